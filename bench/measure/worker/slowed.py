"""Slow a contender by a known fraction, which a method of measurement must be able to detect."""

from __future__ import annotations

from collections.abc import Callable


def slowed(run: Callable[[int], float], slowdown: float, now: Callable[[], float]) -> Callable[[int], float]:
    """Return a `run(inner)` whose timed region has a delay of `slowdown` times what its iterations took.

    The processor is kept busy during the delay. An iteration that follows a delay is a few microseconds slower, so
    that the true slowdown would differ from the intended one (by 0.3 % of 10 % where each NumPy step had a delay of
    its own): therefore all delays are spent together, after the last iteration, and an untimed iteration follows.
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
