"""Lines about passes that a run lacks or was given later, changes between its parts, and damage to its journal."""

from __future__ import annotations

from bench.analyse.run.run import Run
from bench.measure.records import Prepared, Reference, RunResumed, Unread
from bench.plan import looks, units

MOST_SHOWN = 3


def lines(run: Run) -> list[str]:
    """The lines, without full stops at their ends; none for a run that lacks nothing."""
    sentences = (_unread(run), _changed(run), _extended(run), _references(run), _passes(run))
    return [line for line in sentences if line]


def _unread(run: Run) -> str:
    unread = run.of_kind(Unread)
    if not unread:
        return ""
    shown = [f"line {record.line} ({record.reason})" for record in unread[:MOST_SHOWN]]
    more = [f"{len(unread) - MOST_SHOWN} more"] if len(unread) > MOST_SHOWN else []
    return f"Of the journal, {units.counted(len(unread), 'line')} could not be read: {', '.join([*shown, *more])}"


def _changed(run: Run) -> str:
    changes = [change for record in run.of_kind(RunResumed) for change in record.changed]
    if not changes:
        return ""
    return f"The run was resumed after a change of {', '.join(dict.fromkeys(changes))}; its cells were verified again"


def _extended(run: Run) -> str:
    resumed = run.of_kind(RunResumed)
    if budgets := [f"{record.time_budget:g} s" for record in resumed if record.time_budget]:
        return f"The run's time was extended from {run.head.plan['time_budget']:g} s to {', then to '.join(budgets)}"
    passes = [run.head.plan["passes"], *(record.passes for record in resumed if record.passes)]
    if len(passes) == 1:
        return ""
    # Without five passes there had been no verdicts to see.
    seen = "; its intervals are wider, since it had verdicts before"
    return f"The run was extended from {passes[0]} passes to {', then to '.join(map(str, passes[1:]))}" + seen * (
        passes[-2] >= looks.FIRST
    )


def _references(run: Run) -> str:
    reasons = [record.reason for record in run.of_kind(Reference)]
    reasons += [record.own_reference for record in run.of_kind(Prepared)]
    reasons = [*dict.fromkeys(reason for reason in reasons if reason)]
    if not reasons:
        return ""
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"Contenders computed float64 references of their own instead of a shared one: {reasons[0]}{more}"


def _passes(run: Run) -> str:
    passes = [records.passes for records in run.cells.values()]
    fewer = [count for count in passes if 0 < count < run.plan.passes]
    if not fewer:
        return ""
    least = f"{min(fewer)}" if min(fewer) == max(fewer) else f"{min(fewer)} to {max(fewer)}"
    return f"Of {run.plan.passes} passes, {units.counted(len(fewer), 'timed cell')} had {least}"
