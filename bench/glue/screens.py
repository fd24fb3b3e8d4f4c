"""The screen that pytest writes to."""

from __future__ import annotations

import shutil

import pytest

from bench.report.characters import output_encoding
from bench.report.screen import Screen


def of(config: pytest.Config) -> Screen:
    """Return the width of pytest's terminal, None where it writes to a file or a pipe, and whether it has colour: as
    `--color`, NO_COLOR and FORCE_COLOR say."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return Screen(encoding=output_encoding())
    width = shutil.get_terminal_size().columns if reporter.isatty() else None
    return Screen(width, bool(reporter.hasmarkup), output_encoding())
