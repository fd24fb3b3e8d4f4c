"""One run's page and terminal table."""
