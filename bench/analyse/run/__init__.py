"""One run: its tables, ranks, ceilings, costs."""
