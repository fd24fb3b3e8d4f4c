"""What a run can resolve, by the last calibration of its machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.measure.calibrate import SLOWDOWNS
from bench.plan.plan import Plan

from .recorded import RunRecords

FLOOR, TYPICAL = "floor", "typical"
"""The measures: floors for a change between two sides; medians paired by round for the order of contenders."""
FOUND = 0.95
"""The share of trials from which a change that they find counts as resolved."""


def resolves(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int = 1, measure: str = FLOOR
) -> float | None:
    """Return what a run of this design resolves in one of its cells, by floors or by typical times; None where it
    resolves no slowdown that was tried, or the calibration does not cover the design."""
    best = _nearest(calibration, threads, passes, rounds, cells, measure)
    return best["resolution"] if best else None


def of_adaptive(calibration: Mapping[str, Any], threads: int, cells: int = 1, measure: str = FLOOR) -> float | None:
    """Return what an adaptive run resolves, given enough time; None also where no such run was tried."""
    families = [family for family in _families(calibration, threads, cells, measure) if family["passes"] is None]
    if families:
        return max(families, key=lambda family: family["rounds"])["resolution"]
    effects = [effect for setting in _settings(calibration, threads) for effect in setting["auto"]]
    return smallest_found([(effect["slowdown"], effect["detected"]) for effect in effects])


def has_families(calibration: Mapping[str, Any]) -> bool:
    """Return whether a calibration covers runs of many cells; those of earlier versions do not."""
    return any(setting.get("families") for setting in calibration["settings"])


def tried_cells(calibration: Mapping[str, Any], threads: int, cells: int) -> int:
    """Return the number of cells whose trials stand for a run of `cells`: the smallest number tried that is not below,
    else the largest."""
    families = [family for setting in _settings(calibration, threads) for family in setting.get("families", ())]
    tried = {family["cells"] for family in families} | {1}
    return min((count for count in tried if count >= cells), default=max(tried))


def smallest_found(detected: Sequence[tuple[float, float]]) -> float | None:
    """Return the smallest slowdown that, like all larger ones, was found in at least 95 % of the trials; or None.

    `detected` has the slowdowns and how often each was found."""
    best = None
    for slowdown, rate in sorted(detected, reverse=True):
        if slowdown == 0 or not rate >= FOUND:
            break
        best = slowdown
    return best


def is_enough(resolution: float | None, asked: float) -> bool:
    """Return whether a resolution suffices for a minimum effect: it is at most the smallest slowdown tried above that
    effect. A change of the very size of the minimum effect cannot be shown to exceed it."""
    return resolution is not None and resolution <= min((s for s in SLOWDOWNS if s > asked), default=asked)


def covers(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int = 1, measure: str = FLOOR
) -> bool:
    """Return whether a calibration has a design from which this one can be judged."""
    return _nearest(calibration, threads, passes, rounds, cells, measure) is not None


def _nearest(
    calibration: Mapping[str, Any], threads: int, passes: int, rounds: int, cells: int, measure: str
) -> Mapping[str, Any] | None:
    """Return the largest calibrated design with no more passes and rounds."""
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
        family
        for setting in _settings(calibration, threads)
        for family in setting.get("families", ())
        if family["measure"] == measure and family["cells"] == tried
    ]


def _settings(calibration: Mapping[str, Any], threads: int) -> list[Mapping[str, Any]]:
    return [setting for setting in calibration["settings"] if setting["threads"] == threads]


def limits(plan: Plan) -> list[int]:
    """Return the thread limits of a plan's contenders on the host, where calibrations are made."""
    return [*dict.fromkeys(plan.threads(cell.contender) for cell in plan.cells if cell.contender.device == "cpu")]


def of_run(run: RunRecords) -> float | None:
    """Return a run's resolution as a fraction; None where its machine was not calibrated for such a run.

    It is the coarsest of its thread limits; one that resolves nothing counts as the largest slowdown tried."""
    calibration, design = run.head.calibration, (run.plan.passes, run.plan.rounds)
    if not calibration:
        return None
    covered = [threads for threads in limits(run.plan) if covers(calibration, threads, *design)]
    resolutions = [resolves(calibration, threads, *design) for threads in covered]
    return max((SLOWDOWNS[-1] if each is None else each for each in resolutions), default=None)
