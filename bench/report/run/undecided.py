"""What would decide the verdicts of a run that are unclear, and the command for it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from bench.analyse.run.deciding import MOST_PASSES, Outlook, outlook, pass_seconds
from bench.analyse.run.run import Run
from bench.plan import looks
from bench.plan.units import counted, minutes

from .standings import phase_of


@dataclass(frozen=True)
class Advice:
    """A sentence, and the command that it ends with; empty where there is none to give."""

    sentence: str
    command: str = ""


def advice(run: Run, folder: str) -> Advice | None:
    """What would decide the verdicts of the phase that the tables show; None where none is unclear, or where a run that
    was cut off has to go on first. `folder` is the run's, as commands name it."""
    plan = run.plan
    if not run.is_complete or not run.timings["status"].eq("ok").any():
        return None
    if plan.passes < looks.FIRST and not plan.adaptive:
        more = looks.FIRST - plan.passes
        cost = minutes(more * pass_seconds(run))
        return Advice(
            f"{counted(plan.passes, 'pass is', 'passes are')} too few for a verdict, which needs {looks.FIRST}; {more} "
            f"more take about {cost}:",
            _command(folder, looks.FIRST),
        )
    phase = phase_of(run.timings)
    ahead = outlook(run, run.measured, run.speedups, phase)
    if ahead is None:
        return None
    begin = f"unclear: {ahead.unclear} of {counted(ahead.verdicts, 'verdict')} on {phase}"
    calmer = _calmer(run)
    if ahead.beyond == ahead.unclear:
        return Advice(f"{begin}; {MOST_PASSES} passes would not decide {_them(ahead.beyond)}, but {calmer} may")
    if plan.time_budget is not None:
        budget = ceil((plan.time_budget + ahead.seconds) / 60)
        return Advice(f"{begin}; {_further(ahead, calmer)}", _longer(folder, budget))
    return Advice(f"{begin}; {_further(ahead, calmer)}", _command(folder, ahead.passes))


def _further(ahead: Outlook, calmer: str) -> str:
    beyond = f" ({ahead.beyond} would take more than {MOST_PASSES}, or {calmer})" if ahead.beyond else ""
    some = "all" if ahead.decided == ahead.unclear else f"{ahead.decided}"
    decided = "it" if ahead.unclear == 1 else f"{some} of them"
    return (
        f"{counted(ahead.further, 'more pass', 'more passes')} (about {minutes(ahead.seconds)}) would probably "
        f"decide {decided}{beyond}:"
    )


def _calmer(run: Run) -> str:
    """What makes times vary less: nothing else running and, unless that is so already, one thread."""
    on_host = [cell.contender for cell in run.plan.cells if cell.contender.device == "cpu"]
    has_more = any(run.plan.threads(contender) > 1 for contender in on_host)
    return "a calmer machine" + (" or `--threads 1`" if has_more else "")


def _command(folder: str, passes: int) -> str:
    return f"pytest bench/ --benchmark-only --resume {folder} --passes {passes}"


def _longer(folder: str, minutes: int) -> str:
    return f"pytest bench/ --benchmark-only --resume {folder} --time-budget {minutes}m"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
