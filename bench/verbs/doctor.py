"""Report what this machine has."""

from __future__ import annotations

import argparse
from typing import Any

from . import output

HELP = "backends, devices, BLAS and threads of this machine"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""


def run(asked: argparse.Namespace) -> Any:
    from bench.measure import doctor
    from bench.report.machine import doctor as shown

    findings = doctor.examine()
    output.say(shown.text(findings))
    return findings
