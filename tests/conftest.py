"""Fixtures for all tests: pytester, which runs pytest on pytest."""

pytest_plugins = ["pytester"]
