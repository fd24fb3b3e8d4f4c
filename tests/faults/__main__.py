"""`python -m tests.faults`: cause every kind of fault at every moment of real runs, and check each run afterwards."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from . import summary, times
from .jobs import jobs_of, run
from .kinds import KINDS
from .summary import Tally

PARTS = ("packs", "interruptions", "refusals", "kills", "times")
SHOWN_CHARACTERS = 600


def main(arguments: Sequence[str]) -> int:
    """Return 0 where all checks pass, else 1."""
    options = _parsed(arguments)
    tally, started = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relubench-faults-") as folder:
        jobs = jobs_of(options, Path(folder))
        with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
            job_by_future = {pool.submit(run, job, Path(folder) / str(number)): job for number, job in enumerate(jobs)}
            for number, future in enumerate(as_completed(job_by_future), 1):
                job_tally = _shortened(future.result())
                tally.add(job_tally)
                for problem in job_tally.problems:
                    print(problem, flush=True)
                minutes = (time.monotonic() - started) / 60
                print(f"{number} of {len(jobs)} after {minutes:.1f} min: {job_by_future[future].name}", flush=True)
        if "times" in options.parts:  # alone, since other jobs would disturb the times
            tally.add(_shortened(times.tally_of(Path(folder) / "times")))
    print("\n".join(summary.lines(tally)))
    required_kills = options.kills if "kills" in options.parts else 0
    complaints = summary.complaints(tally, required_kills, all_kinds=_has_all_kinds(options))
    print("\n".join(complaints) if complaints else "everything holds")
    return 1 if complaints else 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    jobs = (os.cpu_count() or 1) + 1
    parser.add_argument(
        "--jobs", type=int, default=jobs, help="runs at a time; most of their time is waiting (%(default)s)"
    )
    parser.add_argument("--kills", type=int, default=200, help="of runs at random moments (200)")
    parser.add_argument("--seed", type=int, default=1, help="of these moments (1)")
    parser.add_argument("--kinds", default="", help="only these kinds of hostile contenders, by comma")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"only these parts, of {', '.join(PARTS)}")
    options = parser.parse_args(arguments)
    options.parts = [part for part in options.parts.split(",") if part]
    options.kinds = [kind for kind in options.kinds.split(",") if kind]
    for option, names, known in (("--parts", options.parts, PARTS), ("--kinds", options.kinds, [*KINDS])):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"{option}: {unknown[0]!r} is none of {', '.join(known)}")
    return options


def _has_all_kinds(options: argparse.Namespace) -> bool:
    return not options.kinds and "packs" in options.parts


def _shortened(tally: Tally) -> Tally:
    """Cut the details of problems to their end, where a run says what went wrong."""
    problems = [replace(problem, details=problem.details[-SHOWN_CHARACTERS:].strip()) for problem in tally.problems]
    return replace(tally, problems=problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
