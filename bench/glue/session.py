"""One pytest session's measuring: all its cells at once, at the first that is wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.measure import session as measuring
from bench.measure.progress import Progress
from bench.plan.cells import Cell
from bench.plan.plan import Plan

from .options import Asked
from .replay import Outcome


class BenchSession:
    """Measures the selected cells, keeps their outcomes, writes the results."""

    def __init__(self, asked: Asked, timed: bool) -> None:
        self.asked, self.timed = asked, timed
        self.plan: Plan = asked.plan
        self.folder: Path | None = None
        self._outcomes: dict[str, Outcome] | None = None
        self._summary: list[str] = []

    def header(self) -> str:
        plan = self.plan
        contenders = len({cell.contender for cell in plan.cells})
        shapes = len({cell.shape for cell in plan.cells})
        passes = f"{plan.passes} passes"
        if plan.time_budget:
            passes = f"{plan.passes} passes or more within {plan.time_budget:g} s"
        return (
            f"relubench: grid {plan.grid}, {contenders} contenders × {shapes} shapes, {len(plan.cells)} cells, "
            f"{passes}, seed {plan.seed}"
        )

    def select(self, cells: Sequence[Cell]) -> None:
        """Only these will be measured. A resumed run goes on with all that it was started with."""
        if not self.asked.resume:
            self.plan = self.plan.select(cells)

    def measure(self, notify: Callable[[Progress], None]) -> None:
        """All selected cells, the first time this is called."""
        if self._outcomes is not None:
            return
        self._outcomes = {}
        if not self.timed:
            self._outcomes = self._verified()
            return
        self.folder = self.asked.resume or measuring.new_run(self.asked.results, self.plan.grid)
        folder = self.folder
        measuring.measure(
            self.plan,
            folder,
            self.asked.path,
            notify,
            resumed=self.asked.resume is not None,
            undecided=lambda: _undecided(folder),
        )
        self._outcomes = _outcomes(self.folder)

    def outcome(self, cell: Cell) -> Outcome:
        """A cell's outcome, after `measure`."""
        return (self._outcomes or {}).get(cell.key, Outcome("not_run", "the run ended before this cell was measured"))

    def finish(self) -> None:
        """Write the results of what was measured, however the session ends."""
        if self.folder is None:
            return
        from bench.analyse.runs import load_run  # pandas only once the timing is over
        from bench.measure import journal
        from bench.report import files, terminal

        files.write(self.folder, self.asked.results)
        run = load_run(self.folder)
        told = terminal.page(journal.read(self.folder))
        cut_off = [] if run.info["complete"] else [f"cut off   go on with it by --resume {run.name}"]
        self._summary = ["", *told.splitlines(), "", *_pointers(self.folder, self.asked.results), *cut_off]

    def summary(self) -> list[str]:
        """Lines for the end of the terminal's output."""
        return self._summary

    def _verified(self) -> dict[str, Outcome]:
        with tempfile.TemporaryDirectory(prefix="relubench-") as folder:
            failed = measuring.verify(self.plan, Path(folder), self.asked.path)
        outcomes = {cell.key: Outcome("ok") for cell in self.plan.cells}
        return outcomes | {key: Outcome(failure.status, failure.reason) for key, failure in failed.items()}


def _undecided(folder: Path) -> set[str]:
    from bench.analyse import tables
    from bench.measure import journal

    return tables.undecided(journal.read(folder))


def _outcomes(folder: Path) -> dict[str, Outcome]:
    from bench.analyse import tables
    from bench.measure import journal

    records = journal.read(folder)
    timings = tables.timings(records)
    held = tables.by_cell(records)
    facts = ["seconds", "seconds_low", "seconds_high", "speedup", "speedup_low", "speedup_high", "verdict", "gflops"]
    return {
        key: Outcome(
            str(row["status"]),
            str(row["reason"]),
            tuple(float(second) for block in held[key].blocks for second in block.seconds),
            {name: _plain(row[name]) for name in ["run", "threads", "precision", "backend_version", *facts]},
        )
        for key, (_, row) in zip(held, timings.iterrows(), strict=True)
    }


def _plain(value: Any) -> Any:
    """As JSON has it: no NumPy scalars, and null for what is not known."""
    import pandas as pd

    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _pointers(folder: Path, results: Path) -> list[str]:
    return [
        f"report    {_short(folder / 'report.md')}",
        f"timings   {_short(folder / 'timings.csv')} (also {_short(results / 'timings.csv')})",
        f"samples   {_short(folder / 'samples.csv.gz')}",
    ]


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
