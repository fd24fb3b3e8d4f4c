"""The analysis of a run's journal: tables, statistics, verdicts. It has no side effects, except for reading runs."""
