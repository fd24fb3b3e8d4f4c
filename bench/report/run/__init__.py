"""The page and the terminal table of one run."""
