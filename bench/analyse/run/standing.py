"""How a run's rows stand to each other: speed-ups over the baseline, verdicts, ranks. Fills in rows before they
become a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import Estimate, confidence_after, estimate, paired, verdicts
from bench.plan.plan import Plan

from . import ranking

Row = dict[str, Any]
"""A cell's columns by name, and what they were made of by names that begin with `_`."""
LIKE = ("dtype", "precision", "N", "D_in", "H", "D_out")
"""What two rows must share to share a ratio, besides their phase and, where both are on the host, their threads."""
SPEEDUPS = [f"speedup{suffix}{end}" for suffix in ("", "_floor") for end in ("", "_low", "_high")]


def compare(rows: Sequence[Row], plan: Plan) -> list[tuple[Row, Row]]:
    """Speed-ups over the baseline and their verdicts, paired within passes, their variances pooled: of typical
    times, which tell who is faster, and of floors, which tell what changed. Returns the rows with their baselines."""
    candidates: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["implementation"] == plan.baseline and row["status"] == "ok":
            candidates[_likeness(row)].append(row)
    compared, min_effects = [], []
    for row, cell in zip(rows, plan.cells, strict=True):
        base = baseline_of(row, candidates[_likeness(row)]) if row["status"] == "ok" else None
        if base is row:
            row |= dict.fromkeys(SPEEDUPS, 1.0)
        elif base:
            compared.append((row, base))
            min_effects.append(plan.min_effect_of(cell))
    for suffix, ratio in (("", _speedup), ("_floor", _floor_speedup)):
        ratios = pooled([ratio(base, row, plan.adaptive) for row, base in compared])
        for (row, _), one, verdict in zip(compared, ratios, verdicts(ratios, min_effects), strict=True):
            if one.passes:
                row[f"speedup{suffix}"], row[f"verdict{suffix}"] = one.value, verdict
                row[f"speedup{suffix}_low"], row[f"speedup{suffix}_high"] = one.low, one.high
    return compared


def rank(rows: Sequence[Row], plan: Plan) -> None:
    """Each row's place among those that were timed in turns with it."""
    timed = _timed(rows, plan)
    found = ranking.ranks(timed, ranking.compare(timed, plan.adaptive))
    for row, cell in zip(rows, plan.cells, strict=True):
        row["rank"], row["rank_worst"] = found.get(cell.key, (None, None))


def _timed(rows: Sequence[Row], plan: Plan) -> list[ranking.Timed]:
    """Cells that may be ranked: on the host, those whose thread limit did not hold are like no other."""
    return [
        ranking.Timed(
            cell.key,
            (_likeness(row), cell.contender.threads),
            row["_blocks"],
            row["_time"].half_width,
            plan.min_effect_of(cell),
        )
        for row, cell in zip(rows, plan.cells, strict=True)
        if row["status"] == "ok" and (cell.contender.device != "cpu" or row["threads"] == plan.threads(cell.contender))
    ]


def undecided(rows: Sequence[Row], plan: Plan) -> set[str]:
    """The keys of cells whose place among the others, or verdict against the baseline, is `unclear`,
    and whose time is not precise enough to leave it at that; with them those they are compared with."""
    timed = _timed(rows, plan)
    found = ranking.undecided(ranking.compare(timed, plan.adaptive), plan.precision)
    for one, other in compare(rows, plan):
        if one["verdict"] == "unclear" and max(one["_time"].half_width, other["_time"].half_width) > plan.precision:
            found |= {cell.key for row, cell in zip(rows, plan.cells, strict=True) if row is one or row is other}
    return found


def _speedup(base: Row, row: Row, adaptive: bool = False) -> Estimate:
    """How many times faster a row is than another, from the passes and rounds that have both."""
    return paired(base["_blocks"], row["_blocks"], adaptive)


def _floor_speedup(base: Row, row: Row, adaptive: bool = False) -> Estimate:
    """The same of their floors, from the passes that have both."""
    theirs, mine = base["_floors"], row["_floors"]
    shared = [theirs[pass_number] / mine[pass_number] for pass_number in mine if pass_number in theirs]
    return estimate(shared, confidence=confidence_after(len(shared), adaptive))


def _likeness(row: Row) -> tuple[Any, ...]:
    return (*(row.get(name) for name in LIKE), row["_variant"], row["phase"])


def baseline_of(row: Row, candidates: Sequence[Row]) -> Row | None:
    """The baseline on the row's own device, else on the host; threads must agree on the host."""
    same_device = [base for base in candidates if base["device"] == row["device"]]
    if row["device"] == "cpu":
        same_device = [base for base in same_device if base["threads"] == row["threads"]]
        return same_device[0] if same_device else None
    return next(iter([*same_device, *candidates]), None)
