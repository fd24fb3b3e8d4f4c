"""Fixtures for all tests: pytester, which runs pytest on pytest."""

from bench.measure import git

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    git.forget_repository()  # or tests run by a git hook would work on the repository that the hook is of
