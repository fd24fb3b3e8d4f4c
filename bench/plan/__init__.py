"""What to measure: grid files and options become a plan of cells. Pure."""
