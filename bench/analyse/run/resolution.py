"""What the last calibration of a machine says that a run on it can resolve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.measure.calibrate import SLOWDOWNS
from bench.plan.plan import Plan

from .recorded import RunRecords

FLOOR, TYPICAL = "floor", "typical"
"""What is judged: floors, of a change between two sides; medians paired by round, of who is faster."""
FOUND = 0.95
"""A change is resolved if it is found in at least so many of the trials."""


def resolves(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int = 1, measure: str = FLOOR
) -> float | None:
    """What a calibration says that a run of this design resolves in one of so many cells, by floors or by typical
    times; None where that is nothing it tried, or it `covers` no such design."""
    best = _nearest(calibration, threads, passes, rounds, cells, measure)
    return best["resolution"] if best else None


def of_adaptive(calibration: Mapping[str, Any], threads: int, cells: int = 1, measure: str = FLOOR) -> float | None:
    """The same of an adaptive run, given the time; None also where none was tried."""
    families = [one for one in _families(calibration, threads, cells, measure) if one["passes"] is None]
    if families:
        return max(families, key=lambda one: one["rounds"])["resolution"]
    found = [one for setting in calibration["settings"] if setting["threads"] == threads for one in setting["auto"]]
    return smallest_found([(one["slowdown"], one["detected"]) for one in found])


def has_families(calibration: Mapping[str, Any]) -> bool:
    """Whether a calibration tells of runs of many cells, as earlier versions' do not."""
    return any(setting.get("families") for setting in calibration["settings"])


def tried_cells(calibration: Mapping[str, Any], threads: int, cells: int) -> int:
    """The number of cells in a run that a calibration tells of, if asked about so many: the least that it tried of no
    fewer, or the most that it tried."""
    tried = {one["cells"] for setting in _settings(calibration, threads) for one in setting.get("families", ())} | {1}
    return min((count for count in tried if count >= cells), default=max(tried))


def smallest_found(detected: Sequence[tuple[float, float]]) -> float | None:
    """Of slowdowns and how often each was found: the smallest that was in at least 95 % of the trials, as were all
    above it; None if there is none."""
    best = None
    for slowdown, rate in sorted(detected, reverse=True):
        if slowdown == 0 or not rate >= FOUND:
            break
        best = slowdown
    return best


def is_enough(resolution: float | None, asked: float) -> bool:
    """Whether a machine resolves what is asked of it: of the slowdowns that were tried, the smallest beyond a minimum
    effect, which no change of that very size can be shown to exceed."""
    return resolution is not None and resolution <= min((one for one in SLOWDOWNS if one > asked), default=asked)


def covers(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int = 1, measure: str = FLOOR
) -> bool:
    """Whether a calibration can tell anything of a run of this design."""
    return _nearest(calibration, threads, passes, rounds, cells, measure) is not None


def _nearest(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int, measure: str
) -> Mapping[str, Any] | None:
    """The largest design that takes no more of anything."""
    lone = [design for setting in _settings(calibration, threads) for design in setting["designs"]]
    fitting = [
        design
        for design in [*_families(calibration, threads, cells, measure), *(lone if measure == FLOOR else ())]
        if design["passes"] is not None and design["passes"] <= passes and design["rounds"] <= rounds
        if design.get("cells", 1) == tried_cells(calibration, threads, cells)
    ]
    return max(fitting, key=lambda design: (design["passes"] * design["rounds"], design["passes"]), default=None)


def _families(calibration: Mapping[str, Any], threads: int, cells: int, measure: str) -> list[Mapping[str, Any]]:
    tried = tried_cells(calibration, threads, cells)
    return [
        one
        for setting in _settings(calibration, threads)
        for one in setting.get("families", ())
        if one["measure"] == measure and one["cells"] == tried
    ]


def _settings(calibration: Mapping[str, Any], threads: int) -> list[Mapping[str, Any]]:
    return [setting for setting in calibration["settings"] if setting["threads"] == threads]


def limits(plan: Plan) -> list[int]:
    """The thread limits of a plan's contenders on the host, which is what calibrations are of."""
    return [*dict.fromkeys(plan.threads(cell.contender) for cell in plan.cells if cell.contender.device == "cpu")]


def of_run(run: RunRecords) -> float | None:
    """The resolution of a run, as a fraction: the coarsest of its thread limits, or the largest slowdown that was tried
    where one resolves none; None where its machine was not calibrated for such a run."""
    calibration, design = run.head.calibration, (run.plan.passes, run.plan.rounds)
    if not calibration:
        return None
    covered = [threads for threads in limits(run.plan) if covers(calibration, threads, *design)]
    resolutions = [resolves(calibration, threads, *design) for threads in covered]
    return max((SLOWDOWNS[-1] if each is None else each for each in resolutions), default=None)
