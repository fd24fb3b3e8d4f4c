"""Time how long runs of many cells take to read, analyse and report, on made journals."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.plan import values
from bench.plan.cells import PHASES

from . import output

HELP = "how long runs of many cells take to read, analyse and report"
ROOT = Path(__file__).parent.parent.parent
MOST_CELLS = 100_000
FEW_CELLS = 100
"""The cells of a first run, after which every library is imported."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("--cells", default="1000,10000", metavar="LIST", help="sizes of runs; default: %(default)s")


def run(asked: argparse.Namespace) -> Any:
    from bench.report.machine import selfcheck as shown

    try:
        sizes = values.many(values.whole(1, MOST_CELLS))(asked.cells.split(","))
    except ValueError as error:
        raise ValueError(f"--cells: {error}") from error
    results = []
    for cells in sizes:
        output.say(f"A made run of {cells:,} cells …")
        results.append(_in_fresh_process(cells))
    output.say("", shown.text(results))
    return results


def _in_fresh_process(cells: int) -> dict[str, Any]:
    """Measure a size in a process of its own, whose peak memory is then of that size alone."""
    with (
        tempfile.TemporaryDirectory(prefix="relubench-") as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes,
    ):
        try:
            return processes.submit(measure, Path(folder), cells).result()
        except BrokenProcessPool as error:
            raise ValueError(
                f"--cells: the process for {cells:,} cells was ended, perhaps for want of memory"
            ) from error


def measure(folder: Path, cells: int) -> dict[str, Any]:
    """Return the seconds that each stage of a made run of so many cells takes, and the peak bytes of this process."""
    stages(folder / "first", FEW_CELLS)
    samples, seconds = stages(folder / "made", cells)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds["collect"] = collecting(folder, cells)
    return {"cells": cells, "samples": samples, "seconds": seconds, "peak_bytes": peak}


def stages(folder: Path, cells: int) -> tuple[int, dict[str, float]]:
    """Return the number of samples in a made run of so many cells, which is written into a folder, and the seconds that
    each stage of its analysis takes."""
    from bench.analyse.run import loading
    from bench.measure import synthetic
    from bench.measure.journal import Journal
    from bench.report import files
    from bench.report.run import terminal

    plan, growing = synthetic.plan_of(cells), loading.Growing(folder)
    is_last_pass = False
    with Journal(folder) as journal:
        for record in synthetic.records(plan):
            if not is_last_pass and getattr(record, "pass_number", 0) == plan.passes:
                is_last_pass = True
                growing.run()  # as the look before the last pass does
            journal.append(record)
    seconds: dict[str, float] = {}
    with _timed(seconds, "look"):
        undecided = growing.run().undecided
    del growing, undecided
    with _timed(seconds, "read"):
        made = loading.read(folder)
    with _timed(seconds, "table"):
        samples = int(made.timings["samples"].sum())
    for stage in ("costs", "warmups"):
        with _timed(seconds, stage):
            getattr(made, stage)
    with _timed(seconds, "page"):
        terminal.page(made)
    with _timed(seconds, "files"):
        files.write(made, folder)
    seconds["total"] = sum(seconds.values()) - seconds["look"]
    return samples, seconds


def collecting(folder: Path, cells: int) -> float:
    """Return the seconds in which pytest collects a grid of so many cells, or a few more: of NumPy, in every phase."""
    sizes = [*range(1, -(-cells // len(PHASES)) + 1)]
    grid = folder / "grid.toml"
    grid.write_text(f'implementation = ["numpy"]\nN = {sizes}\n', encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "bench", "--collect-only", "-q", "-p", "no:cacheprovider"]
    seconds: dict[str, float] = {}
    with _timed(seconds, "collect"):
        done = subprocess.run([*command, "--grid", str(grid)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"pytest could not collect {cells:,} cells: {(done.stderr or done.stdout).strip()[-500:]}")
    return seconds["collect"]


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begun
