"""Compare two source trees or environments in the same passes, and say whether the second got slower."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import Exit, add_when_busy, machine_alone, output
from .compare import add_gate

HELP = "two revisions or environments in one run; exits with 1 if the second is slower"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the two sides, and all options of `pytest bench/` that say what to measure."""
    from bench.glue.options import AXES, SCALARS

    side_help = "a git revision of this repository, a Python interpreter or environment, or . for this tree"
    parser.add_argument("--base", required=True, metavar="REF|PYTHON", help=side_help)
    parser.add_argument("--head", default=".", metavar="REF|PYTHON", help="the same; default: %(default)s")
    parser.add_argument("--grid", default="smoke", metavar="NAME|FILE", help="default: %(default)s")
    for option, key, meaning in (*AXES, *SCALARS):
        if option != "--min-effect":
            parser.add_argument(option, dest=f"relubench_{key}", metavar="VALUE", help=meaning)
    parser.add_argument("--seed", metavar="N", help="of the random orders")
    parser.add_argument("--results", default="results", metavar="DIR", help="default: %(default)s")
    add_gate(parser)
    add_when_busy(parser)


def run(asked: argparse.Namespace) -> Exit:
    from bench.analyse.change import gate, paired
    from bench.analyse.run import loading
    from bench.glue import against, options
    from bench.glue.progress import occasionally
    from bench.measure import busy, replacing, session, writable
    from bench.plan.sides import doubled
    from bench.report import files
    from bench.report.change import paired as shown
    from bench.report.change import unpaired

    fail_on = gate.fail_on("--fail-on", asked.fail_on)
    writable.check_results(Path(asked.results))
    values = {**vars(asked), "relubench_min_effect": asked.min_effect, "resume": None, "against": None}

    def option(name: str) -> Any:
        return values.get(name.removeprefix("--").replace("-", "_"))

    with machine_alone(asked), ExitStack() as stack:
        sides = ((asked.base, "--base"), (asked.head, "--head"))
        wanted = options.asked_for(option, Path.cwd(), stack, sides)
        assert wanted.sides
        for line in busy.warnings(busy.share()):
            output.say(line)
        folder = session.new_run(wanted.results, wanted.plan.grid)
        growing = loading.Growing(folder)
        session.measure(
            doubled(wanted.plan, wanted.sides, wanted.gone),
            folder,
            wanted.path,
            occasionally(time.monotonic),
            undecided=lambda: paired.undecided(growing.run()),
            suspects=lambda: paired.suspects(growing.run()),
        )
    measured = loading.read(folder)
    files.write(measured, folder, wanted.results)
    comparison = shown.comparison(measured, fail_on)
    against.write(comparison, folder)
    if asked.markdown:
        replacing.write_text(asked.markdown, unpaired.markdown(comparison))
    output.say("", unpaired.text(comparison), "", f"more in {folder}")
    return Exit(unpaired.data(comparison), comparison.outcome.exit_code)
