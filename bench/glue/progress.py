"""Shows progress: one line on a terminal, redrawn only between blocks, above the newest table of what is known so far;
elsewhere a line every half a minute, and the first table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Literal, Protocol

import pytest
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bench.measure.progress import Progress
from bench.plan import units
from bench.report.characters import encodable, encoding_of

PLAIN_EVERY_SECONDS = 30.0


class Display(Protocol):
    """Where progress is shown while a run goes on."""

    def progress(self, progress: Progress) -> None: ...

    def table(self, make: Callable[[], str]) -> None:
        """Show a table of what is known so far in place of the last one; it is made only where it is shown."""


class Silent:
    """Shows nothing."""

    def progress(self, progress: Progress) -> None: ...

    def table(self, make: Callable[[], str]) -> None: ...


class OnTerminal:
    """Shows a line, and below it the newest table, redrawn in place."""

    def __init__(self, live: Live, encoding: str) -> None:
        self._live, self._encoding = live, encoding
        self._table, self._line = Text(), Text()

    def progress(self, progress: Progress) -> None:
        self._line = _text(progress, self._encoding)
        self._redraw()

    def table(self, make: Callable[[], str]) -> None:
        self._table = Text.from_ansi(encodable(f"\n{make()}\n", self._encoding), no_wrap=True, overflow="crop")
        self._redraw()

    def _redraw(self) -> None:
        with suppress(OSError, ValueError):
            parts = (self._line, self._table) if self._table else (self._line,)  # where it is too high, its end is cut
            self._live.update(Group(*parts), refresh=True)


class OnPaper:
    """Shows a line every half a minute where nothing can be redrawn, and only the first table."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.progress = occasionally(now)
        self._has_table = False

    def table(self, make: Callable[[], str]) -> None:
        if not self._has_table:
            self._has_table = True
            text = encodable(make(), encoding_of(sys.stdout))
            with suppress(OSError, ValueError):
                print(f"\n\n{text}", flush=True)


@contextmanager
def shown(config: pytest.Config) -> Iterator[Display]:
    """Yield a display that suits the output."""
    if config.get_verbosity() < 0:
        yield Silent()
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        if sys.stdout.isatty():
            encoding = encoding_of(sys.stdout)  # Live replaces it
            with Live(console=Console(), auto_refresh=False, transient=True) as live:
                yield OnTerminal(live, encoding)
        else:
            yield OnPaper(time.monotonic)


def said(config: pytest.Config) -> Callable[[str], None]:
    """Return a function that shows a line at once, even where pytest is to be quiet."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext(), suppress(OSError, ValueError):
            print(f"\n{encodable(text, encoding_of(sys.stdout))}", flush=True)

    return say


def line(progress: Progress) -> str:
    """`pass 2/5 · 34 % · 1 min 20 s left · step N64-D1000-H100 · jax-cpu-float32`."""
    time_left = units.minutes(progress.seconds_left) + (" left" if progress.passes else " left at most")
    passes = f"/{progress.passes}" if progress.passes else ""
    return (
        f"pass {progress.pass_number}{passes} · {units.percent(progress.done)} · {time_left} · "
        f"{progress.phase} {progress.shape} · {progress.contender}"
    )


def occasionally(now: Callable[[], float]) -> Callable[[Progress], None]:
    """Return a function that shows a line every half a minute."""
    due = now() + PLAIN_EVERY_SECONDS

    def show(progress: Progress) -> None:
        nonlocal due
        if now() >= due:
            due = now() + PLAIN_EVERY_SECONDS
            text = encodable(line(progress), encoding_of(sys.stdout))
            print(f"\n{text}", end="", flush=True)  # pytest has begun a line of its own

    return unfailing(show)


def unfailing(show: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Wrap a function so that a line that cannot be shown, as behind `| head`, does not end the run."""

    def attempt(progress: Progress) -> None:
        with suppress(OSError, ValueError):
            show(progress)

    return attempt


def _text(progress: Progress, encoding: str) -> Text:
    overflow: Literal["ellipsis", "crop"] = "ellipsis" if encodable("…", encoding) == "…" else "crop"
    return Text(encodable(line(progress), encoding), no_wrap=True, overflow=overflow)
