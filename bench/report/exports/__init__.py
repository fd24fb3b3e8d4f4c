"""A run as other tools read it, a file a format."""

FORMATS = ("pytest-benchmark", "bencher", "github-action", "asv", "csv", "jsonl")
