"""Measures the cells of a pytest session: all of them when the first one is requested."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.measure import busy, lock, unexpected, writable
from bench.measure import session as measuring
from bench.measure.journal import FILE
from bench.measure.progress import Progress
from bench.plan.cells import Cell
from bench.plan.plan import Plan
from bench.plan.sides import doubled

from . import against, plugins
from .interim import Interim
from .options import DEFAULT_RESULTS, Asked
from .progress import Display
from .replay import Outcome

if TYPE_CHECKING:
    from bench.analyse.run.loading import Growing
    from bench.analyse.run.run import Run
    from bench.report.screen import Screen


class BenchSession:
    """Measures the selected cells, keeps their outcomes and writes the results."""

    def __init__(self, asked: Asked, timed: bool) -> None:
        self.asked, self.timed = asked, timed
        self.plan: Plan = asked.plan
        self.folder: Path | None = None
        self._begun = False
        self._outcomes: dict[str, Outcome] | None = None
        self._page: list[str] = []
        """The tables of the run, as the terminal shows them."""
        self._summary: list[str] = []
        self.limit_not_applied: float | None = None
        """The limit of pytest-timeout for a test, in seconds, which is not applied to benchmarks."""
        self.ended_early = False
        """Whether an error ended the measuring: the exit code must not say then that something got slower."""
        self.failed = False
        """Whether a comparison has a verdict that has to fail, or could compare nothing."""

    def header(self) -> str:
        plan = self.plan
        contenders = len({cell.contender for cell in plan.cells})
        shapes = len({cell.shape for cell in plan.cells})
        pass_count = self._doubled_plan().passes
        passes = f"{pass_count} passes"
        if plan.time_budget:
            passes = f"{pass_count} passes or more within {plan.time_budget:g} s"
        against = f", against {self.asked.sides[0].label}" if self.asked.sides else ""
        return (
            f"relubench: grid {plan.grid}, {contenders} contenders × {shapes} shapes, {len(plan.cells)} cells, "
            f"{passes}, seed {plan.seed}{against}"
        )

    def warnings(self) -> list[str]:
        """Lines to show before anything is measured."""
        return busy.warnings(busy.share()) if self.timed else []

    def select(self, cells: Sequence[Cell]) -> None:
        """Measure only these cells. A resumed run goes on with all that it was started with."""
        if not self.asked.resume:
            self.plan = self.plan.select(cells)

    def check_writable(self) -> None:
        """Raise UsageError before anything is measured if the results could not be written."""
        try:
            writable.check_results(self.asked.results)
            if self.asked.resume and (complaint := writable.complaint(self.asked.resume)):
                raise ValueError(f"--resume: {complaint}")
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error

    def measure(
        self, display: Display, say: Callable[[str], None] = print, width: Callable[[], int | None] = lambda: None
    ) -> None:
        """Measure all selected cells the first time this is called; `say` shows a line while another run is waited
        for, `width()` returns the columns of the display, None where it has no width."""
        if self._begun:
            return
        self._begun = True
        try:
            with lock.of_machine(self.asked.when_busy if self.timed else "ignore", say):
                self._measure(display, width)
        except lock.Busy as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        except OSError as error:
            self._end_early(writable.worded(error))
        except Exception as error:
            self._end_early(unexpected.in_one_line(error))

    def _end_early(self, reason: str) -> None:
        self.ended_early = True
        pytest.fail(f"measuring ended early: {reason}", pytrace=False)

    def _measure(self, display: Display, width: Callable[[], int | None]) -> None:
        if not self.timed:
            self._outcomes = {}
            self._outcomes = self._verify()
            return
        self.folder = self.asked.resume or measuring.new_run(self.asked.results, self.plan.grid)
        look = _Look(self.folder, width)
        measuring.measure(
            self._doubled_plan(),
            self.folder,
            self.asked.path,
            self._notify(display, look),
            resumed=self.asked.resume is not None,
            undecided=look.undecided,
            suspects=look.suspects,
        )

    def _notify(self, display: Display, look: _Look) -> Callable[[Progress], None]:
        """What shows progress, and of a run that compares contenders also the first shape's table."""
        if self.asked.sides or not self.plan.cells:
            return display.progress
        first = str(self.plan.cells[0].shape)
        return Interim(display.progress, display.table, look.table, first)

    def outcome(self, cell: Cell) -> Outcome:
        """A cell's outcome, after `measure`. It is read from the journal even where the measuring ended early, as by
        Ctrl-C under --pdb: tests and table then agree on what was measured."""
        if self._outcomes is None:
            self._outcomes = self._read_outcomes()
        return self._outcomes.get(cell.key, Outcome("not_run", "the run ended before this cell was measured"))

    def _read_outcomes(self) -> dict[str, Outcome]:
        if self.folder is None:
            return {}
        try:
            run = _read(self.folder)
        except FileNotFoundError:  # the measuring ended before there was a journal
            return {}
        return against.outcomes(run, self.asked.fail_on) if self.asked.sides else _outcomes(run)

    def finish(self, say: Callable[[str], None] = print, screen: Screen | None = None) -> None:
        """Write the results of what was measured, even if the session ended early, and make the summary for a screen;
        `say` shows a line meanwhile."""
        if self.folder is None:
            return
        try:
            self._finish(self.folder, say, screen)
        except Exception as error:
            self.failed = True
            self._summary = [f"warning   the results could not be written: {_worded(error)}"]
            if (self.folder / FILE).exists():
                self._summary.append(f"measured  python -m bench report {_short(self.folder)} writes them")

    def _finish(self, folder: Path, say: Callable[[str], None], screen: Screen | None) -> None:
        from bench.report import files  # pandas only once the timing is over
        from bench.report.run import terminal
        from bench.report.screen import PLAIN

        run = _read(folder)
        # Before the files, which say that a run is complete: a run killed meanwhile can be resumed and added again.
        warnings = _remember(run, folder, say) if run.is_complete and not self.asked.sides else []
        files.write(run, folder, self.asked.results)
        if self.asked.sides:
            self.failed, lines = against.finish(run, folder, self.asked.fail_on)
            changes = f"changes   {_short(folder / 'comparison.md')}"
            self._summary = ["", *lines, "", changes, *_pointers(folder, self.asked.results)]
            return
        last_lines = warnings if run.is_complete else [f"cut off   go on with it by --resume {folder.name}"]
        is_in_default = folder.parent.parent == Path.cwd() / DEFAULT_RESULTS
        page = terminal.page(run, screen or PLAIN, folder.name if is_in_default else _short(folder))
        self._page = ["", *page.split("\n"), ""]
        self._summary = [*_pointers(folder, self.asked.results), *last_lines]

    def summary(self, encoded: Callable[[str], str] = str) -> list[str]:
        """Lines for the end of the terminal's output; `encoded` makes of other people's words what it can show, which
        the tables, with their colours, are already."""
        lines = [*self._summary]
        if self.limit_not_applied is not None:
            lines.append(plugins.limit_not_applied(self.limit_not_applied, self.plan.timeout))
        return [*self._page, *map(encoded, lines)]

    def _doubled_plan(self) -> Plan:
        """The plan with each cell once for each side, where there are two."""
        return doubled(self.plan, self.asked.sides, self.asked.gone) if self.asked.sides else self.plan

    def _verify(self) -> dict[str, Outcome]:
        with tempfile.TemporaryDirectory(prefix="relubench-") as folder:
            failed = measuring.verify(self.plan, Path(folder), self.asked.path)
        outcomes = {cell.key: Outcome("ok") for cell in self.plan.cells}
        return outcomes | {key: Outcome(failure.status, failure.reason) for key, failure in failed.items()}


def _read(folder: Path) -> Run:
    from bench.analyse.run import loading

    return loading.read(folder)


class _Look:
    """Looks at a run while it is measured. pandas is imported at the first look."""

    def __init__(self, folder: Path, width: Callable[[], int | None] = lambda: None) -> None:
        self.folder, self.width = folder, width
        self._growing: Growing | None = None

    def undecided(self) -> set[str]:
        """The keys of cells that need more passes."""
        from bench.analyse.change import paired

        run = self._run()
        return paired.undecided(run) if run.plan.sides else run.undecided

    def table(self) -> str:
        """What is known of the run's first shape so far."""
        from bench.report.run import terminal

        return terminal.first_look(self._run(), self.width())

    def suspects(self) -> set[str]:
        """The keys of cells that seem slower on head and have to be confirmed."""
        from bench.analyse.change import paired

        return paired.suspects(self._run())

    def _run(self) -> Run:
        from bench.analyse.run import loading

        self._growing = self._growing or loading.Growing(self.folder)
        return self._growing.run()


def _outcomes(run: Run) -> dict[str, Outcome]:
    from bench.report.plain import plain

    facts = ["seconds", "seconds_low", "seconds_high", "speedup", "speedup_low", "speedup_high", "verdict", "gflops"]
    return {
        key: Outcome(
            str(row["status"]),
            str(row["reason"]),
            records.samples,
            {name: plain(row[name]) for name in ["run", "threads", "precision", "backend_version", *facts]},
        )
        for (key, records), (_, row) in zip(run.cells.items(), run.timings.iterrows(), strict=True)
    }


def _remember(run: Run, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Add a complete run to the history beside it; `say` shows a line while another process is waited for. Returns a
    warning if that fails, so that the run is not lost."""
    try:
        from bench.history import entries, store

        store.add(folder.parent.parent, entries.entry_of(run), say)
    except Exception as error:
        return [f"warning   this run is not in the history: {_worded(error)}"]
    return []


def _worded(error: Exception) -> str:
    if isinstance(error, OSError):
        return writable.worded(error)
    return str(error) if isinstance(error, ValueError) else unexpected.in_one_line(error)


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
