"""Show how a run would have spent its time best: on passes, rounds or samples."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import output

HELP = "how many passes, rounds and samples make a run's intervals the narrowest"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("run_or_dir", type=Path, metavar="RUN|DIR", help="a run's folder, or a results folder's newest")


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.machine import design
    from bench.analyse.run import loading
    from bench.measure import journal
    from bench.report.machine import design as shown

    folder = loading.find(asked.run_or_dir)
    measured = loading.load(folder)
    if measured is None:
        raise FileNotFoundError(
            f"{folder}: only a CSV is left of this run, no {journal.FILE} with what its blocks cost"
        )
    choices = design.choices(measured)
    output.say(shown.text(choices))
    return [asdict(choice) | {"best": asdict(choice.best)} for choice in choices]
