"""Show each cell's floor from run to run, when it changed, and how the newest run compares."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import output

HELP = "each cell's time from run to run, when it changed, and what else changed then"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "action", nargs="?", choices=["rebuild"], metavar="rebuild", help="make the index anew, of the runs' folders"
    )
    parser.add_argument(
        "--cell", default="*", metavar="PATTERN", help="like 'step*torch*', with * and ? for any characters"
    )
    parser.add_argument("--since", metavar="WHEN", help="a date, or so long ago as in 30d, 12h or 4w; default: all")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")


def run(asked: argparse.Namespace) -> Any:
    from bench.history import store
    from bench.history.look import look, since
    from bench.report.change import history as shown

    if asked.action == "rebuild":
        rebuilt = store.rebuild(asked.results, output.say)
        output.say(shown.rebuilt(rebuilt.runs, rebuilt.cut_off, rebuilt.two_sides, rebuilt.unreadable))
        return asdict(rebuilt)
    try:
        begin = since(asked.since) if asked.since else None
    except ValueError as error:
        raise ValueError(f"--since: {error}") from error
    with store.reading(asked.results) as reader:
        result = look(reader, asked.cell, begin)
    if not result.trends:
        raise ValueError(f"--since: no run of these cells is from {begin:%Y-%m-%d %H:%M} on")
    output.say(shown.text(result))
    return shown.data(result)
