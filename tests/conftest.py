"""Fixtures for all tests: pytester, which runs pytest on pytest."""

import os

from bench.measure import git, lock

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        del os.environ[name]  # or a pytest that a test runs takes itself for one of pytest-xdist's
    os.environ[lock.VARIABLE] = "/no/such/folder/lock"  # tests measure beside each other, and time nothing
    git.forget_repository()  # or tests run by a git hook would work on the repository that the hook is of
