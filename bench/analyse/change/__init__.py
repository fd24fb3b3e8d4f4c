"""The changes between two sides or runs, and over many runs."""
