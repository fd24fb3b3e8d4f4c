"""Shows what changed between two sides or runs, and over many runs."""
