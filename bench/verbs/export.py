"""Write a run in a format that other tools read."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import replacing, writable
from bench.plan.nearest import hint
from bench.report.exports import FORMATS

from . import output

if TYPE_CHECKING:
    from bench.report.exports.cells import Exported

HELP = "write a run in a format that other tools read"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("run_or_dir", type=Path, metavar="RUN|DIR", help="a run's folder, or a results folder's newest")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument(
        "--output", type=Path, metavar="FILE|DIR", help="default: standard output; asv needs a folder, and adds to it"
    )
    parser.add_argument(
        "--commit",
        metavar="NAME",
        help="that asv files the run under: a name in the repository here, or a full hash; default: the run's source",
    )


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.run import loading
    from bench.report.exports import cells

    if asked.format not in FORMATS:
        raise ValueError(
            f"--format: {asked.format!r} is not a format; formats are {', '.join(FORMATS)}{hint(asked.format, FORMATS)}"
        )
    if asked.commit is not None and asked.format != "asv":
        raise ValueError(f"--commit: only asv files runs by commit, {asked.format} does not")
    if asked.output is None and asked.format == "asv":
        raise ValueError("--output: asv keeps a tree of files; name its folder, its results_dir")
    run = loading.load(asked.run_or_dir)
    exported = cells.of_run(run) if run else cells.of_tables(loading.load_run(asked.run_or_dir))
    texts = _texts(exported, asked)
    try:
        if asked.format == "asv":
            replacing.write_texts(texts)
        elif asked.output is not None:
            replacing.write_text(asked.output, texts[asked.output])
    except OSError as error:
        raise ValueError(f"--output: cannot be written: {writable.worded(error)}") from error
    written = [*map(str, texts)]
    if left_out := _left_out(exported, asked.format):
        output.say(left_out, to=sys.stderr)
    if written:
        output.say(*written)
    return {"run": exported.run.name, "format": asked.format, "files": written}


def _texts(exported: Exported, asked: argparse.Namespace) -> dict[Path, str]:
    """The texts by the file to write each to; none where the only one was written to standard output."""
    from bench.report.exports import formats

    if asked.format == "asv":
        return _tree(exported, asked.output, asked.commit)
    text = formats.TEXTS[asked.format](exported)
    if asked.output is None:
        output.write_exactly(text)
        return {}
    return {asked.output: text}


def _tree(exported: Exported, folder: Path, commit: str | None) -> dict[Path, str]:
    from bench.plan import reading
    from bench.report.exports import asv, commits

    name = exported.source.removesuffix("-dirty") if commit is None else commit
    if commit is None and not name:
        raise ValueError(f"--commit: run {exported.run.name} does not tell the commit it measured; name it")
    commit_of_run = commits.find(name, Path.cwd())
    benchmarks_file = folder / asv.BENCHMARKS
    known = {}
    if benchmarks_file.exists():
        known = asv.read_benchmarks(reading.read_text(benchmarks_file, asv.MOST_BYTES), benchmarks_file)
    return {folder / name: text for name, text in asv.files(exported, commit_of_run, known).items()}


def _left_out(exported: Exported, format_name: str) -> str:
    """The line about cells that a format of times alone leaves out; empty where there are none."""
    from bench.report.exports import formats

    statuses = Counter(cell.row["status"] for cell in exported.cells if not cell.ok)
    if not statuses or format_name not in formats.TEXTS or format_name in formats.WHOLE:
        return ""
    counts = ", ".join(f"{count} {name}" for name, count in statuses.items())
    return f"left out: {statuses.total()} of {len(exported.cells)} cells have no time ({counts})"
