"""Checks of a run after a fault. Each check returns the problems that it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .kinds import Kind
from .runs import PASSES, PHASES, ROUNDS, Ended, Workspace

ROWS, BLOCKS, PROCESSES = "rows lost", "blocks lost beyond the one in flight", "processes left"
FILES, TRACEBACKS, HANGS, OTHERS = "temporary files left", "tracebacks", "hangs", "other complaints"
COUNTED = (ROWS, BLOCKS, PROCESSES, FILES, TRACEBACKS, HANGS, OTHERS)
STATUSES = {"ok", "wrong", "unavailable", "unsupported", "out_of_memory", "timeout", "crashed", "not_run"}
MOST_LOG_BYTES = 2 << 20


@dataclass(frozen=True)
class Problem:
    """A check that failed: the count it belongs to, the run or case, and the details."""

    count: str
    label: str
    details: str

    def __str__(self) -> str:
        return f"{self.count} | {self.label} | {self.details}"


@dataclass(frozen=True)
class Case:
    """A kind of fault at a moment of a worker's life."""

    kind: str
    moment: str

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.moment.replace(' ', '_').replace('-', '_')}"


def of_process(ended: Ended, workspace: Workspace, label: str) -> list[Problem]:
    """Check that a run ended, showed no traceback, and left no process or temporary file."""
    problems = [Problem(PROCESSES, label, process) for process in ended.left_behind]
    problems += [Problem(FILES, label, file) for file in workspace.temporary_files()]
    if ended.code is None:
        problems.append(Problem(HANGS, label, ended.output[-400:]))
    if "Traceback (most recent call last)" in ended.output or "INTERNALERROR" in ended.output:
        problems.append(Problem(TRACEBACKS, label, ended.output[-2000:]))
    return problems


def of_logs(workspace: Workspace, label: str) -> list[Problem]:
    newest = workspace.newest()
    logs = (newest / "logs").glob("*") if newest else ()
    sizes = {log.name: log.stat().st_size for log in logs}
    return [Problem(OTHERS, label, f"{name} has {size} bytes") for name, size in sizes.items() if size > MOST_LOG_BYTES]


def of_rows(workspace: Workspace, implementations: Iterable[str], label: str) -> list[Problem]:
    """Check that every cell is one row, with a status, and with a reason unless it is `ok`."""
    rows = workspace.rows()
    row_counts = Counter((row["implementation"], row["phase"]) for row in rows)
    cells = [(name, phase) for name in implementations for phase in PHASES]
    miscounted = [cell for cell in cells if row_counts[cell] != 1]
    problems = [Problem(ROWS, label, f"{row_counts[cell]} rows of {cell[0]} {cell[1]}") for cell in miscounted]
    for row in rows:
        if row["status"] not in STATUSES or (row["status"] != "ok" and not row["reason"]):
            problems.append(Problem(ROWS, label, f"{row['implementation']} {row['phase']} is {row['status']!r}"))
    return problems


def of_blocks(workspace: Workspace, label: str, expected: dict[tuple[str, str], int]) -> list[Problem]:
    """Check that each cell has the blocks expected, and none twice."""
    blocks = workspace.blocks()
    occurrences = Counter((block["cell"], block["pass_number"], block["round"]) for block in blocks)
    duplicates = [block for block, count in occurrences.items() if count > 1]
    problems = [Problem(OTHERS, label, f"a block is there twice: {block}") for block in duplicates]
    block_counts = Counter(_cell(block["cell"]) for block in blocks)
    for cell, count in expected.items():
        problem = Problem(BLOCKS, label, f"{' '.join(cell)}: {block_counts[cell]} of {count}")
        problems += [problem] * max(0, count - block_counts[cell])
    return problems


def of_unharmed(workspace: Workspace, label: str, implementation: str = "numpy") -> list[Problem]:
    """Check that a contender beside those with faults is measured completely."""
    rows = [row for row in workspace.rows() if row["implementation"] == implementation]
    failed = [row for row in rows if row["status"] != "ok"]
    problems = [Problem(OTHERS, label, f"numpy {row['phase']} is {row['status']}: {row['reason']}") for row in failed]
    return problems + of_blocks(workspace, label, {(implementation, phase): PASSES * ROUNDS for phase in PHASES})


def of_case(workspace: Workspace, case: Case, kind: Kind) -> list[Problem]:
    """Check that the fault did happen, and that the contender's cells have the statuses it allows."""
    if not workspace.has_fired(case.name):
        return [Problem(OTHERS, case.name, "the fault did not happen")]
    rows = {row["phase"]: row for row in workspace.rows() if row["implementation"] == f"{case.name}:Net"}
    problems: list[Problem] = []
    expected: dict[tuple[str, str], int] = {}
    for phase in PHASES:
        row = rows.get(phase)
        if row is None:
            continue  # counted as lost elsewhere
        allowed = statuses_of(case, kind, phase)
        if row["status"] not in allowed:
            problems.append(
                Problem(OTHERS, case.name, f"{phase} is {row['status']}, not {' or '.join(allowed)}: {row['reason']}")
            )
        expected[f"{case.name}:Net", phase] = least_blocks(case, row["status"], phase)
    return problems + of_blocks(workspace, case.name, expected)


def statuses_of(case: Case, kind: Kind, phase: str) -> tuple[str, ...]:
    if case.moment == "shutdown":
        return ("ok",)
    if case.moment in ("import", "construction", "verification") or phase == "step":
        return kind.statuses
    return tuple(dict.fromkeys(("ok", *kind.statuses))) if kind.lasts else ("ok",)


def least_blocks(case: Case, status: str, phase: str) -> int:
    """Return the least number of blocks of a cell in the journal, by the cell's status."""
    if status == "ok":
        return PASSES * ROUNDS
    if phase == "step" and case.moment == "mid-block":
        return 1
    return ROUNDS if phase == "step" and case.moment == "report" else 0


def _cell(key: str) -> tuple[str, str]:
    """Return the implementation and phase of a cell's key, `step[module:Net-cpu-…]`."""
    phase, _, rest = key.partition("[")
    return rest.partition("-")[0], phase
