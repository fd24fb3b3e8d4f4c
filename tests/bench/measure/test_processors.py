"""Affinity, quota, cores and clock, from folders like those of Linux."""

from __future__ import annotations

import os

import pytest

from bench.measure import processors

V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V2_UNIFIED = "29 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
V1 = "30 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "31 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
V1_DOCKER = "30 23 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct"


def filled(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def system(root, groups, mounts, files):
    """Make a root folder whose process is in these control groups."""
    proc = {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}
    return filled(root, proc | {f"sys/fs/cgroup/{name}": text for name, text in files.items()})


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        ("0::/", V2, {}, None),
        ("0::/", V2, {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", V2, {"cpu.max": "max 100000"}, None),
        ("0::/a/b", V2, {"a/b/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", V2, {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 0.5),
        ("0::/a/b", V2, {"a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"}, 3.0),
        ("0::/a/b", V2, {"a/b/c/cpu.max": "50000 100000", "other/cpu.max": "50000 100000"}, None),
        ("0::/../elsewhere", V2, {"cpu.max": "100000 100000"}, 1.0),
        (
            "4:cpu,cpuacct:/",
            V1,
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            "4:cpu,cpuacct:/a",
            V1,
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "4:cpu,cpuacct:/docker/abc",
            V1_DOCKER,
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        (
            "3:cpuset:/a\n2:memory:/a\n1:cpu,cpuacct:/a\n0::/a",
            f"{V1_MEMORY}\n{V1}\n{V2_UNIFIED}",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
                "unified/a/cpu.max": "200000 100000",
                "memory/a/cpu.cfs_quota_us": "1",
                "memory/a/cpu.cfs_period_us": "100000",
            },
            2.0,
        ),
        ("0::/", V2, {"cpu.max": "nonsense"}, None),
        ("0::/", V2, {"cpu.max": "100000 0"}, None),
        ("nonsense", "nonsense", {}, None),
    ],
)
def test_quota_is_the_least_of_all_groups(tmp_path, groups, mounts, files, quota):
    assert processors.quota(system(tmp_path, groups, mounts, files)) == quota


def test_quota_is_none_without_control_groups(tmp_path):
    assert processors.quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "usable"),
    [("max", 4), (50_000, 1), (100_000, 1), (199_999, 1), (200_000, 2), (390_000, 3), (800_000, 4)],
)
def test_quota_is_rounded_down_to_at_least_one_processor(tmp_path, monkeypatch, quota, usable):
    monkeypatch.setattr(processors, "affinity", lambda: [0, 1, 2, 3])
    assert processors.usable(system(tmp_path, "0::/", V2, {"cpu.max": f"{quota} 100000"})) == usable


def test_affinity_defaults_to_every_processor(monkeypatch):
    monkeypatch.delattr(processors.os, "sched_getaffinity", raising=False)
    assert processors.affinity() == list(range(os.cpu_count() or 1))


def topology(root, siblings):
    return filled(root, {f"{processors.CPUS}/cpu{n}/topology/thread_siblings_list": s for n, s in enumerate(siblings)})


def test_hyperthreads_of_a_core_are_one_core(tmp_path):
    root = topology(tmp_path, ["0,2", "1,3", "0,2", "1,3"])
    assert processors.cores([0, 1, 2, 3], root) == 2
    assert processors.cores([0, 1], root) == 2
    assert processors.cores([0, 2], root) == 1


def test_cores_are_none_where_the_system_does_not_tell(tmp_path):
    assert processors.cores([0, 1], tmp_path) is None


@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({"intel_pstate/no_turbo": "0"}, True),
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({}, None),
    ],
)
def test_turbo_is_read_from_either_driver(tmp_path, files, turbo):
    assert (
        processors.turbo(filled(tmp_path, {f"{processors.CPUS}/{name}": text for name, text in files.items()})) is turbo
    )


def test_description_has_every_fact(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "affinity", lambda: [0, 1])
    root = topology(system(tmp_path, "0::/", V2, {"cpu.max": "150000 100000"}), ["0-1", "0-1"])
    filled(root, {f"{processors.CPUS}/cpu{n}/cpufreq/scaling_governor": "powersave" for n in (0, 1)})
    described = processors.describe(root)
    assert described.pop("swap_bytes") >= 0
    assert described == {
        "usable_processors": 1,
        "affinity": 2,
        "quota": 1.5,
        "usable_cores": 1,
        "governor": "powersave",
        "turbo": None,
    }
