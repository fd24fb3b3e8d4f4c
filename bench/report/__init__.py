"""Showing a run: tables to CSV, Markdown and terminal text, from saved results alone."""
