"""Check an implementation against the interface, before it is put into a grid."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import Exit, add_when_busy, machine_alone, output
from .arguments import number

HELP = "whether a class fulfils the interface; exits with 1 if it does not"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("implementation", metavar="IMPLEMENTATION", help="a name, or package.module:Class")
    parser.add_argument("--device", metavar="LIST", help="default: the first of each kind that it finds")
    parser.add_argument("--dtype", metavar="LIST", help="default: all that its file declares")
    parser.add_argument("--threads", type=number, metavar="COUNT", help="a limit; default: all processors")
    parser.add_argument(
        "--timeout", default="60s", metavar="TIME", help="the most that one check may take; default: %(default)s"
    )
    add_when_busy(parser)


def run(asked: argparse.Namespace) -> Exit:
    from bench.measure import checking, client, machine
    from bench.plan import values
    from bench.plan.cells import DTYPES
    from bench.report import check as shown

    wanted = {}
    for option, text, accept in (
        ("device", asked.device, values.name),
        ("dtype", asked.dtype, values.one_of(DTYPES)),
    ):
        wanted[option] = _checked(f"--{option}", values.many(accept), text.split(",")) if text else ()
    processors = machine.usable_processors()
    question = checking.Asked(
        asked.implementation,
        client.folders_of_classes(Path.cwd()),
        wanted["device"],
        wanted["dtype"],
        asked.threads if asked.threads is None else _checked("--threads", values.whole(1, processors), asked.threads),
        _checked("--timeout", values.seconds, asked.timeout),
    )
    output.say(f"Checking {asked.implementation}; no check may take longer than {asked.timeout}.", "")
    with machine_alone(asked):
        outcomes = checking.check(question)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    output.say(shown.text(asked.implementation, outcomes, width))
    has_failed = any(outcome.status == checking.FAILED for outcome in outcomes)
    return Exit(shown.data(outcomes), 1 if has_failed else 0)


def _checked(option: str, check: Callable[[Any], Any], value: Any) -> Any:
    """Return an option's value, or raise ValueError that names the option."""
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error
