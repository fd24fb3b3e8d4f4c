"""Statistics of samples and passes, verdicts, changes of level."""
