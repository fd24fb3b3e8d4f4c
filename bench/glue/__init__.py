"""The connection of pytest and the harness: options in, outcomes and progress out."""
