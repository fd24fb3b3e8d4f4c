"""What must hold after a run, whatever happened in it. Each check returns what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .kinds import Kind
from .runs import PASSES, PHASES, ROUNDS, Ended, Place

ROWS, BLOCKS, PROCESSES = "rows lost", "blocks lost beyond the one in flight", "processes left"
FILES, TRACEBACKS, HANGS, OTHERS = "temporary files left", "tracebacks", "hangs", "other complaints"
COUNTED = (ROWS, BLOCKS, PROCESSES, FILES, TRACEBACKS, HANGS, OTHERS)
STATUSES = {"ok", "wrong", "unavailable", "unsupported", "out_of_memory", "timeout", "crashed", "not_run"}
MOST_LOG_BYTES = 2 << 20


@dataclass(frozen=True)
class Problem:
    """Something that does not hold: of which count it is, where, and what was seen."""

    count: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.count} | {self.where} | {self.what}"


@dataclass(frozen=True)
class Case:
    """A kind of fault at a moment."""

    kind: str
    moment: str

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.moment.replace(' ', '_').replace('-', '_')}"


def of_process(ended: Ended, place: Place, where: str) -> list[Problem]:
    """Of a run's end: it came, it showed no traceback, and no process or temporary file is left."""
    found = [Problem(PROCESSES, where, one) for one in ended.left]
    found += [Problem(FILES, where, one) for one in place.temporary_files()]
    if ended.code is None:
        found.append(Problem(HANGS, where, ended.output[-400:]))
    if "Traceback (most recent call last)" in ended.output or "INTERNALERROR" in ended.output:
        found.append(Problem(TRACEBACKS, where, ended.output[-2000:]))
    return found


def of_logs(place: Place, where: str) -> list[Problem]:
    newest = place.newest()
    logs = (newest / "logs").glob("*") if newest else ()
    sizes = {log.name: log.stat().st_size for log in logs}
    return [Problem(OTHERS, where, f"{name} has {size} bytes") for name, size in sizes.items() if size > MOST_LOG_BYTES]


def of_rows(place: Place, implementations: Iterable[str], where: str) -> list[Problem]:
    """Every cell is one row, with a status, and with a reason unless it is `ok`."""
    rows = place.rows()
    seen = Counter((row["implementation"], row["phase"]) for row in rows)
    wanted = [(name, phase) for name in implementations for phase in PHASES]
    found = [Problem(ROWS, where, f"{seen[cell]} rows of {cell[0]} {cell[1]}") for cell in wanted if seen[cell] != 1]
    for row in rows:
        if row["status"] not in STATUSES or (row["status"] != "ok" and not row["reason"]):
            found.append(Problem(ROWS, where, f"{row['implementation']} {row['phase']} is {row['status']!r}"))
    return found


def of_blocks(place: Place, where: str, expected: dict[tuple[str, str], int]) -> list[Problem]:
    """Each cell has the blocks that it should, and none twice."""
    blocks = place.blocks()
    places = Counter((block["cell"], block["pass_number"], block["round"]) for block in blocks)
    found = [Problem(OTHERS, where, f"a block is there twice: {one}") for one, times in places.items() if times > 1]
    seen = Counter(_cell(block["cell"]) for block in blocks)
    for cell, count in expected.items():
        found += [Problem(BLOCKS, where, f"{' '.join(cell)}: {seen[cell]} of {count}")] * max(0, count - seen[cell])
    return found


def of_unharmed(place: Place, where: str, implementation: str = "numpy") -> list[Problem]:
    """A contender beside those with faults is measured whole."""
    rows = [row for row in place.rows() if row["implementation"] == implementation]
    failed = [row for row in rows if row["status"] != "ok"]
    found = [Problem(OTHERS, where, f"numpy {row['phase']} is {row['status']}: {row['reason']}") for row in failed]
    return found + of_blocks(place, where, {(implementation, phase): PASSES * ROUNDS for phase in PHASES})


def of_case(place: Place, case: Case, kind: Kind) -> list[Problem]:
    """A hostile contender's cells end as its fault makes them end, and the fault did happen."""
    if not place.has_fired(case.name):
        return [Problem(OTHERS, case.name, "the fault did not happen")]
    rows = {row["phase"]: row for row in place.rows() if row["implementation"] == f"{case.name}:Net"}
    found: list[Problem] = []
    expected: dict[tuple[str, str], int] = {}
    for phase in PHASES:
        row = rows.get(phase)
        if row is None:
            continue  # it is counted as lost
        allowed = statuses_of(case, kind, phase)
        if row["status"] not in allowed:
            found.append(
                Problem(OTHERS, case.name, f"{phase} is {row['status']}, not {' or '.join(allowed)}: {row['reason']}")
            )
        expected[f"{case.name}:Net", phase] = least_blocks(case, row["status"], phase)
    return found + of_blocks(place, case.name, expected)


def statuses_of(case: Case, kind: Kind, phase: str) -> tuple[str, ...]:
    if case.moment == "shutdown":
        return ("ok",)
    if case.moment in ("import", "construction", "verification") or phase == "step":
        return kind.statuses
    return tuple(dict.fromkeys(("ok", *kind.statuses))) if kind.lasts else ("ok",)


def least_blocks(case: Case, status: str, phase: str) -> int:
    """That a cell has in the journal, by the status that it ended with."""
    if status == "ok":
        return PASSES * ROUNDS
    if phase == "step" and case.moment == "mid-block":
        return 1
    return ROUNDS if phase == "step" and case.moment == "report" else 0


def _cell(key: str) -> tuple[str, str]:
    """Implementation and phase of a cell's key, `step[module:Net-cpu-…]`."""
    phase, _, rest = key.partition("[")
    return rest.partition("-")[0], phase
