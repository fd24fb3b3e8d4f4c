"""The verbs of `python -m bench`, one file each, with its HELP, `add` for its options, and `run`."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import lock


class Exit(NamedTuple):
    """The result of a verb whose exit code has a meaning: its data and the code."""

    data: Any
    code: int


def add_run_or_dir(parser: argparse.ArgumentParser) -> None:
    """Add the argument of verbs that read one run."""
    parser.add_argument("run_or_dir", type=Path, metavar="RUN|DIR", help="a run's folder, or a results folder's newest")


def add_when_busy(parser: argparse.ArgumentParser) -> None:
    """Add the option of verbs that measure."""
    parser.add_argument(
        "--when-busy",
        choices=lock.WHEN_BUSY,
        default=lock.WHEN_BUSY[0],
        help="while another run measures on this machine; default: %(default)s",
    )


def machine_alone(asked: argparse.Namespace) -> AbstractContextManager[None]:
    """Keep other runs from measuring on this machine within the block. Raises Busy, a ValueError."""
    return lock.of_machine(asked.when_busy, lambda line: print(line, flush=True))
