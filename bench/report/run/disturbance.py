"""What is said of a machine that other processes kept busy while it was measured."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.run import tables
from bench.analyse.run.disturbance import UNSTEADY, Disturbance, of_run, says_unsteady
from bench.measure.records import Record
from bench.plan.cells import without_variant
from bench.plan.plain import from_plain
from bench.plan.units import percent


def lines(records: Sequence[Record]) -> list[str]:
    """One line where cells are unsteady or the whole run was disturbed; none after a quiet run. The cells of two sides
    count once."""
    taken = of_run(records)
    if taken is None:
        return []
    timings = tables.timings(records)
    keys = [without_variant(cell.key) for cell in from_plain(tables.started(records).plan).cells]
    timed = {key for key, status in zip(keys, timings["status"], strict=True) if status == "ok"}
    unsteady = {key for key, reason in zip(keys, timings["reason"], strict=True) if says_unsteady(reason)}
    if not unsteady and not taken.is_disturbed:
        return []
    return [f"{_took(taken)} while this was measured: {_suffered(len(unsteady), len(timed))}"]


def mark(reason: object) -> str:
    """What stands beside the time of an unsteady cell."""
    return f" {UNSTEADY}" if says_unsteady(reason) else ""


def _took(taken: Disturbance) -> str:
    steal = "" if taken.stolen is None else f" (and the hypervisor {percent(taken.stolen)}: steal)"
    return f"other processes took {percent(taken.others)} of the processors{steal}"


def _suffered(unsteady: int, timed: int) -> str:
    if not unsteady:
        return f"none of {timed} cells is {UNSTEADY}: their intervals stayed narrow"
    cells = f"{unsteady} of {timed} cells" if timed > 1 else "the only cell"
    return f"{cells} {'is' if unsteady == 1 else 'are'} {UNSTEADY}; run it again on a quieter machine"
