"""The resolution of a machine."""
