"""Refuses options of pytest-benchmark and of other plugins that would spoil the measurements or lose them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.measure import writable

Option = Callable[[str, Any], Any]
"""Returns an option's value by its name, or a default where no plugin has it."""
GROUPINGS = ("group", "name", "func", "fullname", "fullfunc", "param")
NO_BENCHMARK = (
    "pytest-benchmark: the benchmarks need this plugin, which is switched off (-p no:benchmark, or "
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD) or not installed"
)


def is_timed(option: Option) -> bool:
    """Whether pytest-benchmark measures; otherwise every benchmark is called once and verified."""
    return bool(option("benchmark_enable", False) or not option("benchmark_disable", False))


def is_measuring(option: Option) -> bool:
    """Whether the benchmarks that are selected will be measured."""
    skips = option("benchmark_skip", False) and not option("benchmark_only", False)
    shows_only = any(
        option(name, False) for name in ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test")
    )
    return is_timed(option) and not skips and not shows_only


def refuse(config: pytest.Config, parameters: Collection[str]) -> None:
    """Raise UsageError for the first option that measuring does not work with; `parameters` are those of the tests."""
    if config.getoption("benchmark_disable", None) is None:
        raise pytest.UsageError(NO_BENCHMARK)
    if is_measuring(config.getoption):
        for line in complaints(config.getoption, parameters, os.environ):
            raise pytest.UsageError(line)


def complaints(option: Option, parameters: Collection[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each option that would spoil the measurements or lose them."""
    if option("dist", "no") != "no" or "PYTEST_XDIST_WORKER" in environ:
        yield (
            "-n, --dist: each process of pytest-xdist would measure every cell, on the same processors at the same "
            "time; leave them out or add -n 0"
        )
    if option("benchmark_cprofile", None):
        yield (
            "--benchmark-cprofile: the samples come from processes of their own and are only replayed here, so there "
            "is nothing to profile; leave it out"
        )
    if option("benchmark_compare_fail", None) and not option("benchmark_compare", None):
        yield "--benchmark-compare-fail: there is nothing to compare with; add --benchmark-compare"
    if option("benchmark_histogram", None) and None in (find_spec("pygal"), find_spec("pygaljs")):
        yield "--benchmark-histogram: it needs pygal and pygaljs; pip install 'pytest-benchmark[histogram]'"
    for grouping in str(option("benchmark_group_by", "group")).split(","):
        name = grouping.removeprefix("param:")
        if grouping not in GROUPINGS and (name == grouping or name not in parameters):
            accepted = ", ".join((*GROUPINGS, *(f"param:{parameter}" for parameter in parameters)))
            yield f"--benchmark-group-by: {grouping!r} is not one of {accepted}"
    json_file = option("benchmark_json", None)
    if json_file and (complaint := writable.complaint_about_file(Path(json_file))):
        yield f"--benchmark-json: {complaint}"


def limit_not_applied(seconds: float, cell_timeout: float) -> str:
    """The line for a session in which pytest-timeout has a limit for a test: its clock would run for all of them."""
    return (
        f"timeout   pytest-timeout's limit of {seconds:g} s is not applied to benchmarks, since all of them are "
        f"measured in the first one's time; use --cell-timeout ({cell_timeout:g} s here)"
    )
