"""What a run lacks of what was asked, and what its journal lacks, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.run import tables
from bench.measure.records import Record, RunResumed, Unread
from bench.plan.plain import from_plain

MOST_SHOWN = 3


def lines(records: Sequence[Record]) -> list[str]:
    """Without full stops at their ends; none of a run that is whole."""
    return [line for line in (_unread(records), _changed(records), _passes(records)) if line]


def _unread(records: Sequence[Record]) -> str:
    unread = [record for record in records if isinstance(record, Unread)]
    if not unread:
        return ""
    shown = [f"line {record.line} ({record.reason})" for record in unread[:MOST_SHOWN]]
    more = [f"{len(unread) - MOST_SHOWN} more"] if len(unread) > MOST_SHOWN else []
    return f"Of the journal, {_count(len(unread), 'line')} could not be read: {', '.join([*shown, *more])}"


def _changed(records: Sequence[Record]) -> str:
    changed = [one for record in records if isinstance(record, RunResumed) for one in record.changed]
    if not changed:
        return ""
    return f"The run was resumed after a change of {', '.join(dict.fromkeys(changed))}; its cells were verified again"


def _passes(records: Sequence[Record]) -> str:
    plan = from_plain(tables.started(records).plan)
    passes = [len(cell_records.per_pass()) for cell_records in tables.by_cell(records).values()]
    fewer = [count for count in passes if 0 < count < plan.passes]
    if not fewer:
        return ""
    least = f"{min(fewer)}" if min(fewer) == max(fewer) else f"{min(fewer)} to {max(fewer)}"
    return f"Of {plan.passes} passes, {_count(len(fewer), 'timed cell')} had {least}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
