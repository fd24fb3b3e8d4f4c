from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import conftest
from bench.glue.options import Asked
from bench.glue.session import BenchSession
from bench.measure import busy
from tests.bench.made import plan_of_cells


@pytest.fixture
def on_a_busy_machine(monkeypatch):
    monkeypatch.setattr(busy, "share", lambda: 0.75)


def header(timed: bool) -> list[str]:
    session = BenchSession(Asked(plan_of_cells(), Path("results"), None, ()), timed)
    return conftest.pytest_report_header(SimpleNamespace(stash={conftest.SESSION: session}))


def test_header_warns_of_a_busy_machine(on_a_busy_machine):
    grid, warning = header(timed=True)
    assert grid.startswith("relubench: grid made")
    assert "other processes keep 75 % of the processors busy just now" in warning


def test_header_does_not_warn_where_nothing_is_timed(on_a_busy_machine):
    assert len(header(timed=False)) == 1
