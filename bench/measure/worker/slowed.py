"""A contender that is slower by a known fraction: what a method of measurement must be able to find."""

from __future__ import annotations

from collections.abc import Callable


def slowed(run: Callable[[int], float], slowdown: float, now: Callable[[], float]) -> Callable[[int], float]:
    """A `run(inner)` whose timed region has a delay of `slowdown` times what its iterations took.

    The processor is kept busy meanwhile. An iteration that follows a delay is a few microseconds
    slower, and the true slowdown would not be the one that was asked for (by 0.3 % of 10 % where each
    NumPy step had its own): so the delays of all are spent together, behind the last, and an iteration
    that is not timed follows them.
    """

    def slower(inner: int) -> float:
        spent = run(inner)
        started = now()
        end = started + spent * slowdown
        while (waited := now()) < end:
            pass
        run(1)
        return spent + (waited - started)

    return slower
