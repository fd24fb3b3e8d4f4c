"""Name the fastest contender at a size, measured or predicted."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import output
from .arguments import number

if TYPE_CHECKING:
    from bench.report.predict.styles import Style

HELP = "the fastest contender at a size, measured or predicted"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    for axis in ("--N", "--D-in", "--H"):
        parser.add_argument(axis, type=number, required=True, metavar="SIZE")
    parser.add_argument("--D-out", type=number, default=10, metavar="SIZE", help="default: %(default)s")
    parser.add_argument("--phase", default="step", help="default: %(default)s")
    parser.add_argument(
        "--steps",
        type=number,
        metavar="COUNT",
        help="of a training whose import, set-up and first call count as well",
    )
    parser.add_argument("--device", help="default: all that the run has")
    parser.add_argument("--dtype", help="default: float32, where the run has it")
    parser.add_argument("--threads", type=number, metavar="COUNT", help="default: all limits that the run has")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR|RUN", help="default: the newest in %(default)s"
    )
    parser.add_argument(
        "--no-diff",
        action="store_true",
        help="leave out the lines in which a recommended style differs from the plain implementation",
    )


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.predict import recommend
    from bench.analyse.run import loading
    from bench.plan.cells import Shape
    from bench.report.predict import recommend as shown

    shape = Shape(asked.N, asked.D_in, asked.H, asked.D_out)
    question = recommend.Question(shape, asked.phase, asked.steps, asked.device, asked.dtype, asked.threads)
    run = loading.load(asked.results)
    tables = loading.tables_of(run, asked.results) if run else loading.load_run(asked.results)
    answer = recommend.recommend(tables, question, recommend.starts(run) if run and asked.steps else None)
    style = _style(str(answer.table["implementation"].iloc[0]), question.phase, asked.no_diff)
    output.say(shown.text(answer, style))
    return shown.data(answer, style)


def _style(name: str, phase: str, no_diff: bool) -> Style | None:
    """Return what an implementation of this project does otherwise than the one it is a style of; None where it is of
    none, or a source cannot be read: the answer stands without it."""
    from bench.report.predict.styles import Style
    from implementations import style_of, styles

    with suppress(LookupError):
        if (plain := style_of(name)) != name:
            diff = None if no_diff else styles.difference(name, phase)
            return Style(name, plain, styles.sentence(name), diff)
    return None
