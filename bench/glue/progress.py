"""Shows progress: one line on a terminal, redrawn only between blocks; elsewhere a line every half a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Literal

import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.measure.progress import Progress
from bench.plan import units
from bench.report.characters import encodable, encoding_of

PLAIN_EVERY_SECONDS = 30.0


@contextmanager
def shown(config: pytest.Config) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows progress in a way that suits the output."""
    if config.get_verbosity() < 0:
        yield lambda progress: None
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        if sys.stdout.isatty():
            encoding = encoding_of(sys.stdout)
            with Live(console=Console(), auto_refresh=False, transient=True) as live:
                yield unfailing(lambda progress: live.update(_text(progress, encoding), refresh=True))
        else:
            yield occasionally(time.monotonic)


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
