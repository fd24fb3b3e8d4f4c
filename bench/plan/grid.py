"""Read grid files: TOML to a `Grid`, with the file and line in every complaint."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from . import reading, values
from .cells import ALL_THREADS, DTYPES, PHASES, Shape
from .nearest import hint

FOLDER = Path(__file__).parent.parent / "grids"
AUTO_PASSES: Literal["auto"] = "auto"
COMBINATIONS = ("product", "in_turn")
MOST_SIZE = 10**9
"""The largest N, D_in, H or D_out: an array of two such sizes exceeds any memory, and its bytes fit in 64 bits."""
MOST_THREADS = 10**6
MOST_PASSES, MOST_ROUNDS, MOST_SAMPLES = 10**5, 10**5, 10**5
MOST_STEPS = 10**9
MOST_CELLS = 10**7
MOST_BYTES = 1 << 18
"""The largest grid file. Each dot in a dotted key costs about a kilobyte."""
MOST_DOTS = 1000
"""The most dots in a line of a grid file: a dotted key costs memory by the square of its dots."""


class PlanError(ValueError):
    """The request cannot be met; the message is one line that names the option or file and what is accepted."""


@dataclass(frozen=True)
class Grid:
    """The request of a grid file and the options, before it is resolved on this machine."""

    name: str
    N: tuple[int, ...] = (64,)
    D_in: tuple[int, ...] = (1000,)
    H: tuple[int, ...] = (100,)
    D_out: tuple[int, ...] = (10,)
    combine: str = "product"
    """`product` of the axes N, D_in, H, D_out, or `in_turn`: one axis at a time, the others at their first size."""
    shape: tuple[Shape, ...] = ()
    """Single shapes besides the combined sizes."""
    dtype: tuple[str, ...] = ("float32",)
    device: tuple[str, ...] | Literal["auto"] = "auto"
    threads: tuple[int | Literal["all"], ...] = (ALL_THREADS,)
    phase: tuple[str, ...] = PHASES
    implementation: tuple[str, ...] | Literal["all"] = "all"
    passes: int | Literal["auto"] = 5
    """`auto` is as many as it takes to decide, or as the time budget allows."""
    rounds: int = 8
    """Many short blocks tell more than few long ones: see the measured table in ARCHITECTURE.md."""
    samples: int = 6
    """The most samples in a block; slow cells take fewer."""
    baseline: str = "numpy"
    steps: int = 500
    """The steps of one `train`."""
    timeout: int = 120
    """Seconds a worker may take over any one request."""
    time_budget: float | None = None
    """Seconds that a run of `auto` passes may take; five minutes where it is left out."""
    precision: float = 0.01
    """Half a time's interval, as a fraction, from which a cell of `auto` passes is precise enough."""
    min_effect: float = 0.02
    """A relative difference too small to matter, as a fraction."""
    min_effect_of: tuple[tuple[str, float], ...] = ()
    """Minimum effects by a pattern of cells' keys, like `step*numpy*`; the last that matches decides."""
    ceilings: bool = True
    """Whether to measure what the devices can do at most."""
    max_cells: int = 100_000
    """The most cells; a grid of more is refused before they are made."""

    memory_limit: int | None = None
    """Bytes that a worker's process may take on the host; None for as many as there are."""
    max_failures: int = 3
    """Failures in a row after which a contender is left alone; 0 for no limit."""

    def number_of_shapes(self) -> int:
        """Return the number of shapes without making them; a single shape counts even if the combined sizes have it."""
        sizes = [len(axis) for axis in (self.N, self.D_in, self.H, self.D_out)]
        combined = math.prod(sizes) if self.combine == "product" else 1 + sum(size - 1 for size in sizes)
        return combined + len(self.shape)

    def shapes(self) -> list[Shape]:
        """Return every shape once: the combined sizes in the order of the axes, then the single shapes."""
        axes = (self.N, self.D_in, self.H, self.D_out)
        first = [axis[0] for axis in axes]
        varied = ((*first[:i], size, *first[i + 1 :]) for i, axis in enumerate(axes) for size in axis)
        combined = product(*axes) if self.combine == "product" else varied
        return list(dict.fromkeys([*(Shape(*sizes) for sizes in combined), *self.shape]))


def names() -> list[str]:
    """Return the names of the preset grids."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def file_of(name_or_file: str) -> Path:
    """Return the path of a preset or of a grid file."""
    return FOLDER / f"{name_or_file}.toml" if name_or_file in names() else Path(name_or_file)


def read(name_or_file: str) -> Grid:
    """Read a preset by its name, or a grid file by its path. Raises PlanError."""
    path = file_of(name_or_file)
    if path.suffix != ".toml":
        accepted = f"there are {', '.join(names())}, or a .toml file"
        raise PlanError(
            f"--grid: there is no grid {values.shown(name_or_file)}; {accepted}{hint(name_or_file, names())}"
        )
    try:
        text = reading.read_text(path, MOST_BYTES)
    except OSError as error:
        raise PlanError(f"--grid: cannot read {name_or_file}: {error.strerror}") from error
    except ValueError as error:
        raise PlanError(str(error)) from error
    if not re.sub("#.*", "", text).strip():
        raise PlanError(f"{path}: an empty grid; at least one key is needed, of {', '.join(sorted(_CHECKS))}")
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, where: str) -> Grid:
    """Return the grid in a TOML text; `where` begins its complaints. Raises PlanError."""
    for line_number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > MOST_DOTS:
            raise PlanError(f"{where}:{line_number}: more than {MOST_DOTS} dots in a line")
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may be too long, or brackets too deep, to read
        raise PlanError(f"{where}: not valid TOML: {error}") from error
    return override(Grid(name), settings, lambda key: f"{where}:{_line_of(text, key)}: {_one_line(key)}")


def override(grid: Grid, settings: dict[str, Any], where: Callable[[str], str]) -> Grid:
    """Return `grid` with some of its fields replaced, each checked. `where(key)` begins a complaint.

    Where sizes are replaced, the single shapes, which belong to the former sizes, are left out.
    """
    checked = {}
    for key, value in settings.items():
        if key not in _CHECKS:
            accepted = ", ".join(sorted(_CHECKS))
            raise PlanError(f"{where(key)}: not a key of a grid; keys are {accepted}{hint(key, _CHECKS)}")
        try:
            checked[key] = _CHECKS[key](value)
        except ValueError as error:
            raise PlanError(f"{where(key)}: {error}") from error
    if checked.keys() & {"N", "D_in", "H", "D_out"}:
        checked.setdefault("shape", ())
    return replace(grid, **checked)


def _shape(value: Any) -> Shape:
    """Accept the sizes N, D_in, H and, if it is not 10, D_out: as a list, or as a text like `64x1000x100`."""
    sizes = value.split("x") if isinstance(value, str) else value
    if not isinstance(sizes, list) or len(sizes) not in (3, 4):
        raise ValueError(f"{values.shown(value)} is not N, D_in and H of a shape, like [64, 1000, 100] or 64x1000x100")
    return Shape(*map(values.whole(1, MOST_SIZE), sizes))


def _one_line(key: str) -> str:
    return key if key.isprintable() and len(key) <= values.MOST_SHOWN else values.shown(key)


def _line_of(text: str, key: str) -> int:
    pattern = re.compile(rf"\s*\[*[\"']?{re.escape(key)}\b")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _all_or_many(word: str) -> Callable[[Any], Any]:
    return lambda value: word if value in (word, [word]) else values.many(values.name)(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "N": values.many(values.whole(1, MOST_SIZE)),
    "D_in": values.many(values.whole(1, MOST_SIZE)),
    "H": values.many(values.whole(1, MOST_SIZE)),
    "D_out": values.many(values.whole(1, MOST_SIZE)),
    "combine": values.one_of(COMBINATIONS),
    "shape": values.many(_shape),
    "dtype": values.many(values.one_of(DTYPES)),
    "device": _all_or_many("auto"),
    "threads": values.many(values.or_word(ALL_THREADS, values.whole(1, MOST_THREADS))),
    "phase": values.many(values.one_of(PHASES)),
    "implementation": _all_or_many("all"),
    "passes": values.or_word(AUTO_PASSES, values.whole(1, MOST_PASSES)),
    "rounds": values.whole(1, MOST_ROUNDS),
    "samples": values.whole(1, MOST_SAMPLES),
    "baseline": values.name,
    "steps": values.whole(1, MOST_STEPS),
    "timeout": values.whole(1, values.MOST_SECONDS),
    "time_budget": values.seconds,
    "precision": values.fraction,
    "min_effect": values.fraction,
    "min_effect_of": values.fractions_by_pattern,
    "ceilings": values.yes_or_no,
    "max_cells": values.whole(1, MOST_CELLS),
    "memory_limit": values.size,
    "max_failures": values.whole(0, 1000),
}
assert set(_CHECKS) == {field.name for field in fields(Grid)} - {"name"}
