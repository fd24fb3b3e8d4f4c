"""The checks of a class against the interface; `suite.py` has their order and reasons."""
