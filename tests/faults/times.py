"""Check that contenders that crash, hang, flood and take memory do not change another contender's times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks
from .checks import Case, Problem
from .kinds import KINDS
from .packs import LIMITS
from .runs import Workspace
from .summary import Tally

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
"""The widest interval that can be judged, as a ratio of its ends."""
ATTEMPTS = 3
"""The most comparisons: the machine itself may change during one, which is not the contenders' fault."""


def tally_of(folder: Path) -> Tally:
    """Compare NumPy's time beside hostile contenders with runs without them, before and after. It is a problem if the
    interval is too wide to tell, or outside the span of the others' intervals. The times are in a note."""
    tally = Tally()
    for attempt in range(ATTEMPTS):
        before = _interval(Workspace(folder / f"{attempt}-before", GRID), ())
        beside = _interval(Workspace(folder / f"{attempt}-beside", GRID), NEIGHBOURS)
        after = _interval(Workspace(folder / f"{attempt}-after", GRID), ())
        if before is None or beside is None or after is None:
            return Tally(problems=[Problem(checks.OTHERS, "times", "NumPy has no time")])
        without = f"{_shown(before)} before and {_shown(after)} after without them"
        note = f"NumPy's step beside {len(NEIGHBOURS)} hostile contenders took {_shown(beside)}, {without}"
        tally.notes.append(note)
        if overlaps(beside, (before, after)) and not is_vague(beside):
            return tally
    tally.problems.append(Problem(checks.OTHERS, "times", f"not so, or too vague to tell, {ATTEMPTS} times: {note}"))
    return tally


def overlaps(interval: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Return whether an interval overlaps the span of others."""
    return interval[0] <= max(high for _, high in others) and interval[1] >= min(low for low, _ in others)


def is_vague(interval: tuple[float, float]) -> bool:
    """Return whether an interval is so wide, on a busy machine, that its overlap says nothing."""
    return interval[1] > MOST_WIDTH * interval[0]


def _shown(interval: tuple[float, float]) -> str:
    return f"{interval[0] * 1e6:.1f} to {interval[1] * 1e6:.1f} µs"


def _interval(workspace: Workspace, neighbours: Sequence[str]) -> tuple[float, float] | None:
    names = ["numpy"]
    for kind in neighbours:
        assert kind in KINDS
        case = Case(kind, "mid-block")
        names.append(workspace.add(case.name, f"hostile(kinds.KINDS[{kind!r}].do, {case.moment!r}, {case.name!r})"))
    workspace.run(names, "--when-busy", "ignore", *LIMITS, deadline=300.0)
    rows = [row for row in workspace.rows() if row["implementation"] == "numpy" and row["status"] == "ok"]
    return (float(rows[0]["seconds_low"]), float(rows[0]["seconds_high"])) if rows else None
