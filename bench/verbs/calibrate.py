"""Measure how small a change this machine can tell, and keep the result for the reports of later runs."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from . import add_when_busy, machine_alone, output

HELP = "how small a change this machine can tell"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("--implementation", default="numpy", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--threads", default="1,all", metavar="LIST", help="limits, default: %(default)s")
    parser.add_argument("--time-budget", default="9m", metavar="TIME", help="default: %(default)s")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")
    add_when_busy(parser)


def run(asked: argparse.Namespace) -> Any:
    from bench.analyse.machine import calibration, set_aside
    from bench.analyse.run import loading
    from bench.glue.progress import occasionally
    from bench.measure import busy, calibrate, calibrations, machine, writable
    from bench.plan import grid
    from bench.report.machine import calibration as shown
    from bench.report.machine import set_aside as trial_shown

    wanted = grid.override(
        grid.Grid("calibration"),
        {"threads": asked.threads.split(","), "time_budget": asked.time_budget, "implementation": asked.implementation},
        lambda key: f"--{key.replace('_', '-')}",
    )
    path = [str(Path.cwd())]
    threads = calibrate.limits(wanted.threads, machine.usable_processors())
    plan = calibrate.plan_of(calibrate.known(asked.implementation, path), threads, time.time_ns() % 2**32)
    writable.check_results(asked.results, calibrations.FOLDER)
    folder = calibrations.new_folder(asked.results)
    output.say(
        f"Timing {asked.implementation} against itself for {asked.time_budget}; leave the machine alone meanwhile."
    )
    for line in busy.warnings(busy.share()):
        output.say(line)
    with machine_alone(asked):
        folders = calibrate.measure(plan, folder, wanted.time_budget or 0.0, path, occasionally(time.monotonic))
    output.say("Timed; finding out what runs of many cells would have found takes another minute or two.")
    in_turns, back_to_back = map(loading.read, folders)
    result = calibration.analyse(in_turns, back_to_back)
    result["set_aside"] = set_aside.trial(in_turns)
    file = calibrations.store(asked.results, result["machine"], result)
    output.say(
        "",
        shown.text(result),
        "",
        trial_shown.text(result["set_aside"]),
        "",
        f"kept in {file}, for the reports of later runs",
    )
    return result
