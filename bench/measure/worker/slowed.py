"""A contender that is slower by a known fraction: what a method of measurement must be able to find."""

from __future__ import annotations

from collections.abc import Callable


def slowed(run: Callable[[int], float], slowdown: float, now: Callable[[], float]) -> Callable[[int], float]:
    """A `run(inner)` whose timed region has a delay of `slowdown` times what its iterations took.

    The processor is kept busy meanwhile. The iterations' delays are spent together, behind the last:
    between them, a delay of 10 % made the next NumPy step 0.3 % slower here, and the true slowdown
    would not be the one that was asked for.
    """

    def slower(inner: int) -> float:
        spent = run(inner)
        started = now()
        end = started + spent * slowdown
        while (waited := now()) < end:
            pass
        return spent + (waited - started)

    return slower
