"""The history of finished runs: an index over them, which can be rebuilt from their folders at any time."""
