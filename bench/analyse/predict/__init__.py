"""What sizes that were not measured would take."""
