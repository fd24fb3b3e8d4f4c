"""The jobs of the suite: a job has a process and a folder of its own, and one or more runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import filesystems, interruptions, kills, packs, refusals
from .checks import OTHERS, Case, Problem
from .summary import Tally

PACK_SIZE = 28
CHAIN_KILLS = 10


@dataclass(frozen=True)
class Job:
    name: str
    run: Callable[[Path], Tally]


def jobs_of(options: argparse.Namespace, folder: Path) -> list[Job]:
    """Return the jobs requested. In the folder it is tried whether a file system can be mounted."""
    jobs: list[Job] = []
    if "packs" in options.parts:
        for pack in packs.packed(packs.cases(options.kinds), PACK_SIZE):
            jobs.append(Job(f"{len(pack)} contenders at {pack[0].moment}", _Pack(pack)))
    if "interruptions" in options.parts:
        with filesystems.small(folder / "tried") as can_mount:
            cases = interruptions.cases(own_disk=can_mount)
        if not can_mount:
            print("no small file system can be mounted here: full disks are left out", flush=True)
        jobs += [Job(f"{case.kind} at {case.moment}", _Interruption(case)) for case in cases]
        jobs.append(Job("interrupted without timing", _without_timing))
    if "refusals" in options.parts:
        jobs += [Job(name, _Refusal(name)) for name in refusals.REFUSALS]
    if "kills" in options.parts:
        for number, first in enumerate(range(0, options.kills, CHAIN_KILLS)):
            count = min(CHAIN_KILLS, options.kills - first)
            jobs.append(Job(f"{count} kills", _Kills(1000 * options.seed + number, count)))
    return jobs


@dataclass(frozen=True)
class _Pack:
    pack: list[Case]

    def __call__(self, folder: Path) -> Tally:
        problems = packs.problems_of(folder, self.pack)
        return Tally([case for case in self.pack if (folder / "fired" / case.name).exists()], 0, problems)


@dataclass(frozen=True)
class _Interruption:
    case: Case

    def __call__(self, folder: Path) -> Tally:
        problems = interruptions.problems_of(folder, self.case)
        return Tally([self.case] if (folder / "fired" / self.case.name).exists() else [], 0, problems)


def _without_timing(folder: Path) -> Tally:
    return Tally(problems=interruptions.without_timing(folder))


@dataclass(frozen=True)
class _Refusal:
    name: str

    def __call__(self, folder: Path) -> Tally:
        return Tally([], 0, refusals.REFUSALS[self.name](folder))


@dataclass(frozen=True)
class _Kills:
    seed: int
    count: int

    def __call__(self, folder: Path) -> Tally:
        chain = kills.chain_of(folder, self.seed, self.count)
        return Tally([], chain.kills, chain.problems)


def run(job: Job, folder: Path) -> Tally:
    """Run a job in a new folder. An error of the suite itself must not cost the other jobs' results."""
    folder.mkdir(parents=True)
    try:
        return job.run(folder)
    except Exception as error:
        return Tally(problems=[Problem(OTHERS, job.name, f"the suite itself failed: {error!r}")])
