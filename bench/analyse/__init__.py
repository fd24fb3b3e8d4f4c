"""What a run's journal means: tables, statistics, verdicts. Pure but for reading runs."""
