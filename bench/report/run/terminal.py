"""The tables and lines that a run ends with on a terminal, and those shown while it is measured."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.run import Run
from bench.plan import looks, units
from bench.plan.plan import Plan
from bench.report.change import paired, unpaired
from bench.report.screen import PLAIN, Screen

from . import costs, crossovers, disturbance, integrity, standings, surroundings, trust, undecided
from .rows import shapes

MOST_WARNINGS = 3
POOLED = (
    "times weigh all passes alike, here and in timings.csv; pytest-benchmark's tables pool the samples of all passes, "
    "so that their medians differ a little"
)


def page(run: Run, screen: Screen = PLAIN, folder: str = "") -> str:
    """The tables of a run and the lines below them; for a run of two sides, what changed. `folder` is the run's, as
    commands name it; by default its name alone."""
    if run.plan.sides:
        return screen.line(unpaired.text(paired.comparison(run)))
    parts = [summary(run.timings, run.plan, screen), "\n".join(_lines(run, screen, folder or run.name))]
    return "\n\n".join(part for part in parts if part)


def _lines(run: Run, screen: Screen, folder: str) -> Iterator[str]:
    """The lines below the tables: how far to trust them, and what to do next."""
    yield from map(screen.sentence, integrity.lines(run))
    if run.timings["status"].eq("ok").any():
        yield screen.sentence(disturbance.state(run), "" if disturbance.is_quiet(run) else "yellow")
    advice = undecided.advice(run, folder)
    if advice:
        yield screen.sentence(advice.sentence)
    if advice and advice.command:
        yield screen.line(f"  {advice.command}", "bold")
    others = [*crossovers.terminal_lines(run), *surroundings.lines(run), *costs.warnings(run)[:MOST_WARNINGS]]
    yield from map(screen.sentence, others)
    if run.timings["status"].eq("ok").any():
        yield screen.sentence(POOLED)
    yield from map(screen.sentence, trust.lines(run))
    if run.is_complete and run.head.calibration and not (advice and advice.command):
        yield screen.sentence(_recommend(run))


def _recommend(run: Run) -> str:
    """The sentence on what to ask of a run that has decided what it can."""
    shape = run.plan.cells[0].shape
    sizes = f"--N {2 * shape.N} --D-in {shape.D_in} --H {shape.H}"
    return f"next: `python -m bench recommend {sizes}` names the fastest contender at sizes that were not measured"


def summary(timings: pd.DataFrame, plan: Plan, screen: Screen = PLAIN) -> str:
    """What was compared; one compact table per shape of the step, or the first phase measured; in words, which
    contenders may be the fastest; and the cells without a time, and why."""
    if timings.empty:
        return ""
    phase = standings.phase_of(timings)
    timed = standings.timed_in(timings, phase)
    parts = [screen.sentence(_compared(timed, plan, phase))] if len(timed) else []
    parts += standings.tables(timed, screen, phase)
    parts.append("\n".join(screen.sentence(line, standings.WINNER) for line in standings.fastest(timed)))
    parts += [_not_timed(timings, screen), _suspects(timings, screen)]
    return "\n\n".join(part for part in parts if part)


def first_look(run: Run, width: int | None = None) -> str:
    """A compact table of the plan's first shape for use while a run is measured, from its first pass on; empty where
    that shape has no time yet."""
    if run.timings.empty:
        return ""
    phase, screen = standings.phase_of(run.timings), Screen(width)
    timed = standings.timed_in(run.timings, phase)
    shape = run.plan.cells[0].shape
    rows = next((rows for of_shape, rows in shapes(timed) if of_shape == shape), None)
    if rows is None:
        return ""
    passes = int(rows["passes"].max())
    few = f"; verdicts need {looks.FIRST}" if standings.are_few(rows) else ""
    title = f"{phase} so far, after {_passes(passes, run.plan)}; speed-ups are over {run.plan.baseline}{few}"
    return "\n".join([screen.sentence(title), *standings.tables(rows, screen, phase)])


def _passes(count: int, plan: Plan) -> str:
    """`1 pass`, or `1 of 5 passes` where their number is known in advance."""
    return units.counted(count, "pass", "passes") if plan.adaptive else f"{count} of {plan.passes} passes"


def _compared(timed: pd.DataFrame, plan: Plan, phase: str) -> str:
    """What the tables compare: the phase, and the device, dtype and threads where they are the same in all rows."""
    words = [phase]
    if timed["device"].nunique() == 1:
        device, model = timed[["device", "device_name"]].iloc[0]
        words.append(f"on {device} ({model})" if pd.notna(model) and model else f"on {device}")
    if timed["dtype"].nunique() == 1:
        words.append(f"in {timed['dtype'].iloc[0]}")
    threads = _threads(timed, plan)
    parts = [" ".join(words), threads, f"speed-ups are over {plan.baseline}"]
    return "; ".join(part for part in parts if part)


def _threads(timed: pd.DataFrame, plan: Plan) -> str:
    """The host threads in force; empty where rows differ, whose names then have them, or where none ran on the host."""
    on_host = timed[timed["device"] == "cpu"]
    if on_host["threads"].nunique() != 1:
        return ""
    count = int(on_host["threads"].iloc[0])
    limits = {cell.contender.threads for cell in plan.cells if cell.contender.device == "cpu"}
    by_default = ", as frameworks use by default" if limits == {"all"} and count == plan.cpus else ""
    return f"{units.counted(count, 'thread')} each{by_default}"


def _not_timed(timings: pd.DataFrame, screen: Screen) -> str:
    failed = standings.with_names(timings)
    failed = failed[failed["status"] != "ok"]
    reasons = failed.groupby(["contender", "status", "reason"], sort=False, observed=True).size()
    lines = [
        screen.sentence(
            f"{name}: {status}, {reason} ({units.counted(count, 'cell')})",
            standings.STYLES[SUSPECT] * (status == "wrong"),
        )
        for (name, status, reason), count in reasons.items()
    ]
    return "\n".join(["Not timed:", *lines]) if lines else ""


def _suspects(timings: pd.DataFrame, screen: Screen) -> str:
    suspects = standings.with_names(timings)
    suspects = suspects[suspects["verdict"] == SUSPECT]
    lines = [
        screen.sentence(f"{row['contender']}: {row['phase']} {row['reason']}", standings.STYLES[SUSPECT])
        for _, row in suspects.iterrows()
    ]
    return "\n".join(["Suspect, and compared with nothing:", *lines]) if lines else ""
