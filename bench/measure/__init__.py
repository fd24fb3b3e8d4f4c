"""Measuring a plan: worker processes, passes, clocks and verification; outcomes go to a journal."""
