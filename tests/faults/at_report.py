"""A pytest plugin that causes a fault while a run's own process writes its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from . import parent
from .contender import FIRED

KIND = "RELUBENCH_FAULTS_AT_REPORT"


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    name = os.environ.get(KIND, "")
    if not name:
        return
    os.environ[parent.RUN] = str(os.getpid())
    from bench.report import files

    timings_csv = files.timings_csv

    def with_fault(*arguments: Any) -> str:
        fired = Path(os.environ[FIRED]) / f"{name}_report"
        if not fired.exists():
            fired.touch()
            (parent.KINDS | parent.ON_OWN_DISK)[name].do()
        return timings_csv(*arguments)

    files.timings_csv = with_fault
