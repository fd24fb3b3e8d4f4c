"""What the last calibration of a machine says that a run on it can resolve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.measure.records import RunStarted
from bench.measure.session import plan_of


def resolves(calibration: Mapping[str, Any], threads: int, passes: int, rounds: int) -> float | None:
    """What a calibration says that a run of this design resolves; None where that is nothing it tried,
    or it `covers` no such design."""
    best = _nearest(calibration, threads, passes, rounds)
    return best["resolution"] if best else None


def covers(calibration: Mapping[str, Any], threads: int, passes: int, rounds: int) -> bool:
    """Whether a calibration can tell anything of a run of this design."""
    return _nearest(calibration, threads, passes, rounds) is not None


def _nearest(calibration: Mapping[str, Any], threads: int, passes: int, rounds: int) -> Mapping[str, Any] | None:
    """The largest design that takes no more of anything."""
    fitting = [
        design
        for setting in calibration["settings"]
        if setting["threads"] == threads
        for design in setting["designs"]
        if design["passes"] <= passes and design["rounds"] <= rounds
    ]
    return max(fitting, key=lambda design: (design["passes"] * design["rounds"], design["passes"]), default=None)


def of_run(head: RunStarted) -> float | None:
    """The coarsest of the run's thread limits, as a fraction; None where none is told."""
    if not head.calibration:
        return None
    plan = plan_of(head)
    limits = {plan.threads(cell.contender) for cell in plan.cells}
    known = [resolves(head.calibration, limit, plan.passes, plan.rounds) for limit in limits]
    return max((one for one in known if one is not None), default=None)
