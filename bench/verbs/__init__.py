"""The verbs of `python -m bench`, a file each: its HELP, the options it adds, and what it does."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from bench.measure import lock


class Exit(NamedTuple):
    """What a verb returns whose exit code says something: its data and the code."""

    data: Any
    code: int


def add_when_busy(parser: argparse.ArgumentParser) -> None:
    """The option of verbs that measure."""
    parser.add_argument(
        "--when-busy",
        choices=lock.WHEN_BUSY,
        default=lock.WHEN_BUSY[0],
        help="while another run measures on this machine; default: %(default)s",
    )


def machine_alone(asked: argparse.Namespace) -> AbstractContextManager[None]:
    """Within, no other run measures on this machine. Raises Busy, a ValueError."""
    return lock.of_machine(asked.when_busy, lambda line: print(line, flush=True))
