"""What the suite consists of: runs that share a folder are a job, which has a process of its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import filesystems, interruptions, kills, packs, refusals
from .checks import OTHERS, Case, Problem
from .summary import Seen

PACK_SIZE = 28
CHAIN_KILLS = 10


@dataclass(frozen=True)
class Job:
    name: str
    run: Callable[[Path], Seen]


def jobs_of(asked: argparse.Namespace, folder: Path) -> list[Job]:
    """All that was asked for. A folder is needed to try in whether a file system can be mounted."""
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
        jobs.append(Job("interrupted without timing", _without_timing))
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


def _without_timing(folder: Path) -> Seen:
    return Seen(problems=interruptions.without_timing(folder))


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


def run(job: Job, folder: Path) -> Seen:
    """In a new folder. What goes wrong in the suite itself must not cost what its other jobs have seen."""
    folder.mkdir(parents=True)
    try:
        return job.run(folder)
    except Exception as error:
        return Seen(problems=[Problem(OTHERS, job.name, f"the suite itself failed: {error!r}")])
