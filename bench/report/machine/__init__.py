"""What a machine can resolve, and what it is."""
