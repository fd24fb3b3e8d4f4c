"""`python -m tests.faults`: every kind of fault at every moment, in real runs, and what must hold after each."""

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
from .summary import Seen

PARTS = ("packs", "interruptions", "refusals", "kills", "times")
SHOWN_CHARACTERS = 600


def main(arguments: Sequence[str]) -> int:
    """0 where everything holds, else 1."""
    asked = _asked(arguments)
    seen, started = Seen(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relubench-faults-") as folder:
        jobs = jobs_of(asked, Path(folder))
        with ProcessPoolExecutor(asked.jobs, max_tasks_per_child=1) as pool:
            running = {pool.submit(run, job, Path(folder) / str(number)): job for number, job in enumerate(jobs)}
            for number, future in enumerate(as_completed(running), 1):
                one = _shortened(future.result())
                seen.add(one)
                for problem in one.problems:
                    print(problem, flush=True)
                minutes = (time.monotonic() - started) / 60
                print(f"{number} of {len(jobs)} after {minutes:.1f} min: {running[future].name}", flush=True)
        if "times" in asked.parts:  # alone, or the other jobs would be what is measured
            seen.add(_shortened(times.seen_in(Path(folder) / "times")))
    print("\n".join(summary.lines(seen)))
    found = summary.complaints(seen, asked.kills if "kills" in asked.parts else 0, whole=_is_whole(asked))
    print("\n".join(found) if found else "everything holds")
    return 1 if found else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    jobs = (os.cpu_count() or 1) + 1
    parser.add_argument(
        "--jobs", type=int, default=jobs, help="runs at a time; most of their time is waiting (%(default)s)"
    )
    parser.add_argument("--kills", type=int, default=200, help="of runs at random moments (200)")
    parser.add_argument("--seed", type=int, default=1, help="of these moments (1)")
    parser.add_argument("--kinds", default="", help="only these kinds of hostile contenders, by comma")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"only these parts, of {', '.join(PARTS)}")
    asked = parser.parse_args(arguments)
    asked.parts = [part for part in asked.parts.split(",") if part]
    asked.kinds = [kind for kind in asked.kinds.split(",") if kind]
    for option, names, known in (("--parts", asked.parts, PARTS), ("--kinds", asked.kinds, [*KINDS])):
        if unknown := [name for name in names if name not in known]:
            parser.error(f"{option}: {unknown[0]!r} is none of {', '.join(known)}")
    return asked


def _is_whole(asked: argparse.Namespace) -> bool:
    return not asked.kinds and "packs" in asked.parts


def _shortened(seen: Seen) -> Seen:
    """With what was seen cut to its end, where a run says what went wrong."""
    short = [replace(one, what=one.what[-SHOWN_CHARACTERS:].strip()) for one in seen.problems]
    return replace(seen, problems=short)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
