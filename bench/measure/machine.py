"""Facts about this machine, found without importing a backend."""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench.plan.plan import Machine

from . import git, instructions, processors
from .worker import environment

MEASUREMENT = 2
"""The version of the method of measurement: increased whenever timings change by it, so that no series spans that."""


def here() -> Machine:
    """Return the processors that this process may use and the accelerators present."""
    return Machine(cpus=usable_processors(), accelerators=accelerators())


def usable_processors() -> int:
    """Return how many processors this process may use at once, which may be fewer than the machine has."""
    return processors.usable()


def accelerators() -> tuple[str, ...]:
    """Return the accelerators: `cuda` for one NVIDIA GPU, `cuda:0`, `cuda:1`, … for several, `mps` on Apple silicon."""
    count = _cuda_devices()
    cuda = ("cuda",) if count == 1 else tuple(f"cuda:{index}" for index in range(count))
    mps = ("mps",) if sys.platform == "darwin" and platform.machine() == "arm64" else ()
    return cuda + mps


def describe() -> dict[str, Any]:
    """Return the facts that decide whether timings of two machines are comparable."""
    import cpuinfo  # imported late: it runs other programs for most of a second

    cpu = cpuinfo.get_cpu_info()
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return {
        "host": platform.node(),
        "cpu": cpu.get("brand_raw", platform.processor() or platform.machine()),
        "architecture": platform.machine(),
        "processors": psutil.cpu_count(),
        **processors.describe(),
        "instructions": instructions.offered(platform.machine(), cpu.get("flags", ())),
        "megahertz": round(frequency.max or frequency.current) if frequency else None,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "load": round(psutil.getloadavg()[0], 2),
        "accelerators": list(accelerators()),
        "driver": _driver(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "relubench": _version("relubench"),
        "measurement": MEASUREMENT,
        "source": _revision(Path(__file__).parent),
        "overridden": environment.overridden(os.environ),
    }


def fingerprint(facts: dict[str, Any]) -> str:
    """Return twelve hexadecimal digits, equal for two machines if the calibration of one holds for the other."""
    values = [facts.get(name) for name in ("cpu", "architecture", "processors", "usable_processors", "accelerators")]
    # A quota may be a fraction of processors, which the number of usable ones does not show.
    if (facts.get("quota") or math.inf) < facts.get("affinity", 0):
        values.append(facts["quota"])
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


def _cuda_devices() -> int:
    """Return the number of GPUs by NVIDIA's driver itself, which creates no context for this."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(library)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def _driver() -> str | None:
    """Return the version of NVIDIA's driver by its own tool; None where there is no such tool."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        words = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return words[0] if words else None


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _revision(folder: Path) -> str:
    """Return the git revision of the sources; empty where they are not in a repository."""
    described = git.run(folder, "describe", "--always", "--tags", timeout=10)
    # `git describe --dirty` would write the index.
    changed = git.run(folder, "status", "--porcelain", "--untracked-files=no", timeout=10)
    if described.returncode or changed.returncode:
        return ""
    return described.stdout.strip() + ("-dirty" if changed.stdout else "")
