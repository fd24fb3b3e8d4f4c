"""What changed between two sides or runs, and over many."""
