"""Predictions for sizes that were not measured."""
