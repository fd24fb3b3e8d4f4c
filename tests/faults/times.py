"""Whether contenders that crash, hang, flood and take memory change the times of one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks
from .checks import Case, Problem
from .kinds import KINDS
from .packs import LIMITS
from .runs import Place
from .summary import Seen

NEIGHBOURS = (
    "kills_itself",
    "segfaults",
    "sleeps",
    "is_busy",
    "floods_the_pipe",
    "floods_its_log",
    "takes_all_memory",
    "leaves_many_children",
)
GRID = """\
N = [64]
D_in = [1000]
H = [100]
D_out = [10]
device = ["cpu"]
threads = [1]
phase = ["step"]
passes = 5
rounds = 6
samples = 6
steps = 2
timeout = 4
ceilings = false
"""
MOST_WIDTH = 1.5
"""Of an interval that can be judged by, from end to end as a ratio."""
ATTEMPTS = 3
"""Whole comparisons: the machine itself may have changed during one, and is no fault of the contenders."""


def seen_in(folder: Path) -> Seen:
    """No problem where NumPy's time beside hostile contenders is known well, and lies within what runs without them,
    before and after, span with their intervals. The times are in a note."""
    seen = Seen()
    for attempt in range(ATTEMPTS):
        before = _interval(Place(folder / f"{attempt}-before", GRID), ())
        beside = _interval(Place(folder / f"{attempt}-beside", GRID), NEIGHBOURS)
        after = _interval(Place(folder / f"{attempt}-after", GRID), ())
        if before is None or beside is None or after is None:
            return Seen(problems=[Problem(checks.OTHERS, "times", "NumPy has no time")])
        without = f"{_shown(before)} before and {_shown(after)} after without them"
        note = f"NumPy's step beside {len(NEIGHBOURS)} hostile contenders took {_shown(beside)}, {without}"
        seen.notes.append(note)
        if overlaps(beside, (before, after)) and not is_vague(beside):
            return seen
    seen.problems.append(Problem(checks.OTHERS, "times", f"not so, or too vague to tell, {ATTEMPTS} times: {note}"))
    return seen


def overlaps(one: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether an interval has something in common with the span of others."""
    return one[0] <= max(high for _, high in others) and one[1] >= min(low for low, _ in others)


def is_vague(interval: tuple[float, float]) -> bool:
    """Whether an interval is so wide, on a busy machine, that it would overlap whatever had happened."""
    return interval[1] > MOST_WIDTH * interval[0]


def _shown(interval: tuple[float, float]) -> str:
    return f"{interval[0] * 1e6:.1f} to {interval[1] * 1e6:.1f} µs"


def _interval(place: Place, neighbours: Sequence[str]) -> tuple[float, float] | None:
    names = ["numpy"]
    for kind in neighbours:
        assert kind in KINDS
        case = Case(kind, "mid-block")
        names.append(place.add(case.name, f"hostile(kinds.KINDS[{kind!r}].do, {case.moment!r}, {case.name!r})"))
    place.run(names, "--when-busy", "ignore", *LIMITS, deadline=300.0)
    rows = [row for row in place.rows() if row["implementation"] == "numpy" and row["status"] == "ok"]
    return (float(rows[0]["seconds_low"]), float(rows[0]["seconds_high"])) if rows else None
