"""Rebuild a run's files from its journal."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import Any

from . import add_run_or_dir, output

HELP = "rebuild a run's CSV and Markdown from its journal"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    add_run_or_dir(parser)


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.run import loading
    from bench.report import files
    from bench.report.run import terminal
    from bench.report.screen import Screen

    folder, measured = loading.with_journal(asked.run_or_dir, "to rebuild it from")
    timings = json.loads(loading.tables_of(measured, folder).timings.to_json(orient="records"))
    results = asked.run_or_dir if folder != asked.run_or_dir and asked.run_or_dir.is_dir() else None
    written = files.write(measured, folder, results)
    screen = Screen(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    output.say(terminal.page(measured, screen, str(folder)), "", *map(str, written))
    return {"run": measured.name, "files": [str(path) for path in written], "timings": timings}
