"""Options of pytest-benchmark and of other plugins that measuring does not work with."""

import re

import pytest

from bench.glue import plugins

PARAMETERS = ("N", "H")


def option_of(**values):
    return lambda name, default=None: values.get(name, default)


def complaints(environ=None, **values):
    return list(plugins.complaints(option_of(**values), PARAMETERS, environ or {}))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"dist": "load"}, "-n, --dist: .* add -n 0"),
        ({"dist": "each", "tx": ["2*popen"]}, "-n, --dist: "),
        ({"environ": {"PYTEST_XDIST_WORKER": "gw1"}}, "-n, --dist: "),
        ({"benchmark_cprofile": "tottime"}, "--benchmark-cprofile: .* nothing to profile; leave it out"),
        ({"benchmark_compare_fail": ["min:5%"]}, "--benchmark-compare-fail: .* add --benchmark-compare"),
        ({"benchmark_group_by": "func,param:M"}, "--benchmark-group-by: 'param:M' is not one of group, .*param:N"),
        ({"benchmark_group_by": "size"}, "--benchmark-group-by: 'size' is not one of "),
        (
            {"benchmark_json": "/no/such/folder/out.json"},
            "--benchmark-json: /no/such/folder/out.json: there is no folder /no/such/folder",
        ),
    ],
)
def test_unsuitable_option_gives_one_line(values, complaint):
    [line] = complaints(**values)
    assert re.match(complaint, line)
    assert "\n" not in line


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"dist": "no", "numprocesses": 0, "tx": []},
        {"benchmark_group_by": "func,param:N,param:H"},
        {"benchmark_group_by": "fullname"},
        {"benchmark_compare_fail": ["min:5%"], "benchmark_compare": True},
        {"benchmark_json": "/dev/null"},
        {"benchmark_histogram": []},
    ],
)
def test_other_options_are_accepted(values):
    assert complaints(**values) == []


def test_histogram_packages_are_required_before_measuring(monkeypatch):
    monkeypatch.setattr(plugins, "find_spec", lambda name: None)
    [line] = complaints(benchmark_histogram=["name"])
    assert "pip install 'pytest-benchmark[histogram]'" in line
    monkeypatch.setattr(plugins, "find_spec", lambda name: name)
    assert complaints(benchmark_histogram=["name"]) == []


@pytest.mark.parametrize(
    ("values", "timed", "measuring"),
    [
        ({}, True, True),
        ({"benchmark_disable": True}, False, False),
        ({"benchmark_disable": True, "benchmark_enable": True}, True, True),
        ({"benchmark_skip": True}, True, False),
        ({"benchmark_skip": True, "benchmark_only": True}, True, True),
        ({"collectonly": True}, True, False),
    ],
)
def test_disabled_or_skipped_benchmarks_are_not_measured(values, timed, measuring):
    assert plugins.is_timed(option_of(**values)) is timed
    assert plugins.is_measuring(option_of(**values)) is measuring
