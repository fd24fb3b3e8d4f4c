"""Show how a run would have spent its time best: on passes, rounds or samples."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from . import add_run_or_dir, output

HELP = "how many passes, rounds and samples make a run's intervals the narrowest"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    add_run_or_dir(parser)


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.machine import design
    from bench.analyse.run import loading
    from bench.report.machine import design as shown

    _, measured = loading.with_journal(asked.run_or_dir, "with what its blocks cost")
    choices = design.choices(measured)
    output.say(shown.text(choices))
    return [asdict(choice) | {"best": asdict(choice.best)} for choice in choices]
