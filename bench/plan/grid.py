"""Grid files: TOML to a `Grid`, with the file and line in every complaint."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from .cells import ALL_THREADS, DTYPES, PHASES, Shape

FOLDER = Path(__file__).parent.parent / "grids"
AUTO_PASSES: Literal["auto"] = "auto"
COMBINATIONS = ("product", "in_turn")


class PlanError(ValueError):
    """Something asked for cannot be: one line that names the option or file and what is accepted."""


@dataclass(frozen=True)
class Grid:
    """What a grid file or its options ask for, before it is known what this machine has."""

    name: str
    N: tuple[int, ...] = (64,)
    D_in: tuple[int, ...] = (1000,)
    H: tuple[int, ...] = (100,)
    D_out: tuple[int, ...] = (10,)
    combine: str = "product"
    """`product` of the axes N, D_in, H, D_out, or `in_turn`: from the first of each, one axis at a time."""
    dtype: tuple[str, ...] = ("float32",)
    device: tuple[str, ...] | Literal["auto"] = "auto"
    threads: tuple[int | Literal["all"], ...] = (ALL_THREADS,)
    phase: tuple[str, ...] = PHASES
    implementation: tuple[str, ...] | Literal["all"] = "all"
    passes: int | Literal["auto"] = 5
    """`auto`: as many as it takes to decide, or as the time budget allows."""
    rounds: int = 5
    samples: int = 12
    """The most samples in a block; slow cells take fewer."""
    baseline: str = "numpy"
    steps: int = 500
    """Of one `train`."""
    timeout: int = 120
    """Seconds a worker may take over any one request."""
    time_budget: float | None = None
    """Seconds that a run of `auto` passes may take; five minutes where it is left out."""
    precision: float = 0.01
    """Half a time's interval, as a fraction, from which a cell of `auto` passes is precise enough."""
    min_effect: float = 0.02
    """A relative difference too small to matter, as a fraction."""
    min_effect_of: tuple[tuple[str, float], ...] = ()
    """The same for cells by a pattern of their key, like `step*numpy*`; the last that matches decides."""
    ceilings: bool = True
    """Whether to measure what the devices can do at most."""

    def shapes(self) -> list[Shape]:
        """Every shape once, in the order of the axes."""
        axes = (self.N, self.D_in, self.H, self.D_out)
        if self.combine == "product":
            return [Shape(*sizes) for sizes in product(*axes)]
        first = [axis[0] for axis in axes]
        turns = [[*first[:i], size, *first[i + 1 :]] for i, axis in enumerate(axes) for size in axis]
        return list(dict.fromkeys(Shape(*sizes) for sizes in turns))


def names() -> list[str]:
    """The preset grids."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def file_of(name_or_file: str) -> Path:
    """Where a preset, or a grid file, is."""
    return FOLDER / f"{name_or_file}.toml" if name_or_file in names() else Path(name_or_file)


def read(name_or_file: str) -> Grid:
    """A preset by its name, or a grid file by its path. Raises PlanError."""
    path = file_of(name_or_file)
    if path.suffix != ".toml":
        raise PlanError(f"--grid: there is no grid {name_or_file!r}; there are {', '.join(names())}, or a .toml file")
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows editors begin a file with a byte-order mark
    except OSError as error:
        raise PlanError(f"--grid: cannot read {name_or_file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{name_or_file}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, where: str) -> Grid:
    """The grid in a TOML text; `where` stands in its complaints. Raises PlanError."""
    try:
        asked = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number too long, or brackets too deep, to read
        raise PlanError(f"{where}: not valid TOML: {error}") from error
    return override(Grid(name), asked, lambda key: f"{where}:{_line_of(text, key)}: {_one_line(key)}")


def override(grid: Grid, asked: dict[str, Any], where: Callable[[str], str]) -> Grid:
    """`grid` with some of its fields replaced, each checked. `where(key)` begins a complaint."""
    checked = {}
    for key, value in asked.items():
        if key not in _CHECKS:
            accepted = ", ".join(sorted(_CHECKS))
            raise PlanError(f"{where(key)}: not a key of a grid; keys are {accepted}")
        try:
            checked[key] = _CHECKS[key](value)
        except ValueError as error:
            raise PlanError(f"{where(key)}: {error}") from error
    return replace(grid, **checked)


def _one_line(key: str) -> str:
    return key if key.isprintable() else repr(key)


def _line_of(text: str, key: str) -> int:
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines, 1) if re.match(rf"\s*\[*[\"']?{re.escape(key)}\b", line)), 1)


def _many(check: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def check_all(value: Any) -> tuple[Any, ...]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise ValueError("an empty list; at least one value is needed")
        checked = tuple(check(one) for one in values)
        repeated = next((one for one in checked if checked.count(one) > 1), None)
        if repeated is not None:
            raise ValueError(f"{repeated!r} stands there twice")
        return checked

    return check_all


def _all_or_many(word: str) -> Callable[[Any], Any]:
    return lambda value: word if value in (word, [word]) else _many(_text)(value)


def _positive(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a whole number of at least 1")
    return value


def _one_of(*accepted: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in accepted:
            raise ValueError(f"{value!r} is not one of {', '.join(accepted)}")
        return str(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a name")
    return value


def _yes_or_no(value: Any) -> bool:
    accepted = {True: True, False: False, "yes": True, "no": False}
    if not isinstance(value, bool | str) or value not in accepted:
        raise ValueError(f"{value!r} is not true or false, nor 'yes' or 'no'")
    return accepted[value]


def _passes(value: Any) -> int | Literal["auto"]:
    if value == AUTO_PASSES:
        return AUTO_PASSES
    try:
        return _positive(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor 'auto'") from error


def _seconds(value: Any) -> float:
    told = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(value).strip())
    seconds = float(told[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[told[2]] if told else 0.0
    if isinstance(value, bool) or not 0 < seconds < math.inf:
        raise ValueError(f"{value!r} is not a time like 90s, 5m or 1h")
    return seconds


def _fraction(value: Any) -> float:
    told = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", str(value).strip())
    fraction = float(told[1]) / (100 if told[2] else 1) if told else math.nan
    if isinstance(value, bool) or not 0 <= fraction < 1:
        raise ValueError(f"{value!r} is not a percentage like 2%, or a fraction below 1 like 0.02")
    return fraction


def _by_pattern(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict):
        raise ValueError(f'{value!r} is not a table of patterns, like "step*numpy*" = "5%"')
    if "" in value:
        raise ValueError("'' is no pattern of a cell's key")
    checked = []
    for pattern, effect in value.items():
        try:
            checked.append((pattern, _fraction(effect)))
        except ValueError as error:
            raise ValueError(f"{pattern!r}: {error}") from error
    return tuple(checked)


def _threads(value: Any) -> int | Literal["all"]:
    if value == ALL_THREADS:
        return ALL_THREADS
    try:
        return _positive(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor 'all'") from error


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "N": _many(_positive),
    "D_in": _many(_positive),
    "H": _many(_positive),
    "D_out": _many(_positive),
    "combine": _one_of(*COMBINATIONS),
    "dtype": _many(_one_of(*DTYPES)),
    "device": _all_or_many("auto"),
    "threads": _many(_threads),
    "phase": _many(_one_of(*PHASES)),
    "implementation": _all_or_many("all"),
    "passes": _passes,
    "rounds": _positive,
    "samples": _positive,
    "baseline": _text,
    "steps": _positive,
    "timeout": _positive,
    "time_budget": _seconds,
    "precision": _fraction,
    "min_effect": _fraction,
    "min_effect_of": _by_pattern,
    "ceilings": _yes_or_no,
}
assert set(_CHECKS) == {field.name for field in fields(Grid)} - {"name"}
