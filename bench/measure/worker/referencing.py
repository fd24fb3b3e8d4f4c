"""The requests that the process of references answers. It runs no contender's code: none decides what others are
verified against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import course, problems
from .reference import rounding_at


class Referencing:
    """Computes references, and writes them to files."""

    def make(self, folder: str, shape: tuple[int, int, int, int], dtype: str, precision: str) -> dict[str, Any]:
        """Compute a shape's reference, write it to a folder that exists, and return the digests of the problem and of
        each file, by its tensor. Raises OSError, MemoryError."""
        problem = problems.random(shape, dtype)
        arrays, rate = problem.arrays(dtype), problem.learning_rate
        del problem  # its float64 arrays are larger than all that follows
        rounding = rounding_at(dtype, precision)
        tensors = course.compute(arrays, rate, rounding)
        return {
            "problem": course.digest_of_problem(arrays, rate, rounding),
            "digests": course.save(tensors, Path(folder)),
        }
