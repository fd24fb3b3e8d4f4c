"""`python -m tests.faults`: every kind of fault at every moment, in real runs, and what must hold after each."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from . import filesystems, interruptions, kills, packs, refusals, summary, times
from .checks import Case, Problem
from .kinds import KINDS
from .summary import Seen

PARTS = ("packs", "interruptions", "refusals", "kills", "times")
PACK_SIZE = 28
CHAIN_KILLS = 10
SHOWN_CHARACTERS = 600


@dataclass(frozen=True)
class Job:
    """Runs that share a folder, in a process of their own."""

    name: str
    run: Callable[[Path], Seen]


def main(arguments: Sequence[str]) -> int:
    """0 where everything holds, else 1."""
    asked = _asked(arguments)
    seen, started = Seen(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relubench-faults-") as folder:
        jobs = _jobs(asked, Path(folder))
        with ProcessPoolExecutor(asked.jobs, max_tasks_per_child=1) as pool:
            running = {pool.submit(_run, job, Path(folder) / str(number)): job for number, job in enumerate(jobs)}
            for number, future in enumerate(as_completed(running), 1):
                _take(future, seen)
                minutes = (time.monotonic() - started) / 60
                print(f"{number} of {len(jobs)} after {minutes:.1f} min: {running[future].name}", flush=True)
        if "times" in asked.parts:  # alone, or the other jobs would be what is measured
            seen.problems += times.problems_of(Path(folder) / "times")
    print("\n".join(summary.lines(seen)))
    found = summary.complaints(seen, asked.kills if "kills" in asked.parts else 0, whole=_is_whole(asked))
    print("\n".join(found) if found else "everything holds")
    return 1 if found else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--jobs", type=int, default=4, help="runs at a time; most of their time is waiting (4)")
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


def _jobs(asked: argparse.Namespace, folder: Path) -> list[Job]:
    jobs: list[Job] = []
    if "packs" in asked.parts:
        for pack in packs.packed(packs.cases(asked.kinds), PACK_SIZE):
            jobs.append(Job(f"{len(pack)} contenders at {pack[0].moment}", _Pack(pack)))
    if "interruptions" in asked.parts:
        with filesystems.small(folder / "tried") as can_mount:
            cases = interruptions.cases(own_disk=can_mount)
        if not can_mount:
            print("no small file system can be mounted here: full disks are left out", flush=True)
        jobs += [Job(f"{case.kind} at {case.moment}", _Interruption(case)) for case in cases]
    if "refusals" in asked.parts:
        jobs += [Job(name, _Refusal(name)) for name in refusals.REFUSALS]
    if "kills" in asked.parts:
        for number, first in enumerate(range(0, asked.kills, CHAIN_KILLS)):
            count = min(CHAIN_KILLS, asked.kills - first)
            jobs.append(Job(f"{count} kills", _Kills(1000 * asked.seed + number, count)))
    return jobs


@dataclass(frozen=True)
class _Pack:
    pack: list[Case]

    def __call__(self, folder: Path) -> Seen:
        found = packs.problems_of(folder, self.pack)
        return Seen([case for case in self.pack if (folder / "fired" / case.name).exists()], 0, found)


@dataclass(frozen=True)
class _Interruption:
    case: Case

    def __call__(self, folder: Path) -> Seen:
        found = interruptions.problems_of(folder, self.case)
        return Seen([self.case] if (folder / "fired" / self.case.name).exists() else [], 0, found)


@dataclass(frozen=True)
class _Refusal:
    name: str

    def __call__(self, folder: Path) -> Seen:
        return Seen([], 0, refusals.REFUSALS[self.name](folder))


@dataclass(frozen=True)
class _Kills:
    seed: int
    count: int

    def __call__(self, folder: Path) -> Seen:
        chain = kills.chain_of(folder, self.seed, self.count)
        return Seen([], chain.kills, chain.problems)


def _run(job: Job, folder: Path) -> Seen:
    folder.mkdir(parents=True)
    return job.run(folder)


def _take(future: Future[Seen], seen: Seen) -> None:
    one = future.result()
    seen.cases += one.cases
    seen.kills += one.kills
    shown = [Problem(each.count, each.where, each.what[-SHOWN_CHARACTERS:].strip()) for each in one.problems]
    seen.problems += shown
    for each in shown:
        print(f"{each.count} | {each.where} | {each.what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
