"""Shows what is known of the first shape while a run still goes on."""

from __future__ import annotations

from collections.abc import Callable

from bench.measure import unexpected
from bench.measure.progress import Progress

LEAST_SECONDS = 15.0
"""Runs that end within this time show no table before their last."""


class Interim:
    """Passes progress on, and shows a table once the first shape of the run was visited, and anew after each pass.

    It is made between blocks, while no worker runs. An error in making it is shown in its place, once: what is measured
    must not be lost for it.
    """

    def __init__(
        self,
        notify: Callable[[Progress], None],
        show: Callable[[Callable[[], str]], None],
        table: Callable[[], str],
        shape: str,
    ) -> None:
        """`table()` returns the text, and is called by `show` where that shows it; `shape` is the first of the run."""
        self.notify, self.show, self.table, self.shape = notify, show, table, shape
        self.last: Progress | None = None
        self.has_failed = False

    def __call__(self, progress: Progress) -> None:
        is_near_its_end = progress.seconds_left < LEAST_SECONDS
        if self.last and self._is_due(self.last, progress) and not (self.has_failed or is_near_its_end):
            self.show(self._text)
        self.last = progress
        self.notify(progress)

    def _is_due(self, last: Progress, now: Progress) -> bool:
        first_visit_is_over = now.pass_number == 1 and last.shape == self.shape != now.shape
        return first_visit_is_over or now.pass_number > last.pass_number

    def _text(self) -> str:
        try:
            return self.table()
        except Exception as error:
            self.has_failed = True
            return f"no table of the passes so far can be shown: {unexpected.in_one_line(error)}"
