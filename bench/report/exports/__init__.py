"""A run in formats that other tools read, one module per format."""

FORMATS = ("pytest-benchmark", "bencher", "github-action", "asv", "csv", "jsonl")
