"""What a machine can resolve."""
