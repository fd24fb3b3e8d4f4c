"""The line about a machine that other processes kept busy while it was measured."""

from __future__ import annotations

from bench.analyse.run.disturbance import UNSTEADY, Disturbance, says_unsteady
from bench.analyse.run.run import Run
from bench.plan.cells import without_variant
from bench.plan.units import percent


def lines(run: Run) -> list[str]:
    """One line where cells are unsteady or the whole run was disturbed; none after a quiet run. The cells of two sides
    count once."""
    taken = run.disturbance
    if taken is None:
        return []
    keys = [without_variant(key) for key in run.cells]
    timed = {key for key, measured in zip(keys, run.measured, strict=True) if measured.records.status == "ok"}
    unsteady = {key for key, measured in zip(keys, run.measured, strict=True) if says_unsteady(measured.reason)}
    if not unsteady and not taken.is_disturbed:
        return []
    return [f"{_took(taken)} while this was measured: {_suffered(len(unsteady), len(timed))}"]


def is_quiet(run: Run) -> bool:
    """Whether nothing is known to have disturbed a run."""
    return not lines(run)


def state(run: Run) -> str:
    """The sentence on how quiet the machine was."""
    taken = run.disturbance
    if taken is None:
        return "how quiet the machine was is not known: this system does not report it"
    return next(iter(lines(run)), f"the machine was quiet: {_took(taken)} while this was measured")


def mark(reason: object) -> str:
    """The word beside the time of an unsteady cell."""
    return f" {UNSTEADY}" if says_unsteady(reason) else ""


def _took(taken: Disturbance) -> str:
    steal = "" if taken.stolen is None else f" (and the hypervisor {percent(taken.stolen)}: steal)"
    return f"other processes took {percent(taken.others)} of the processors{steal}"


def _suffered(unsteady: int, timed: int) -> str:
    if not unsteady:
        return f"none of {timed} cells is {UNSTEADY}: their intervals stayed narrow"
    cells = f"{unsteady} of {timed} cells" if timed > 1 else "the only cell"
    return f"{cells} {'is' if unsteady == 1 else 'are'} {UNSTEADY}; run it again on a quieter machine"
