"""What finished runs add up to: an index over them, which can be made again from their folders at any time."""
