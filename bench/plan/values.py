"""Check single values of an option's text or of TOML: a check returns the value or raises ValueError."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

from .nearest import hint

Checked = TypeVar("Checked")
LONGEST_NAME = 255
"""The most characters of a name, as in file systems."""
MOST_SHOWN = 80
"""The most characters of a value that a complaint shows."""
MOST_DIGITS = 30
"""The most digits of a number; more are far beyond every bound, and Python refuses to convert thousands."""
SECONDS_PER_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600}
MOST_SECONDS = 366 * 86400
"""A year: no run and no request takes longer."""
BYTES_PER_UNIT = {"": 1, "b": 1, "ib": 1} | {
    f"{prefix}{binary}b": (1024 if binary else 1000) ** power
    for power, prefix in enumerate("kmgt", 1)
    for binary in ("", "i")
}
LEAST_SIZE, MOST_SIZE = 10**6, 10**15

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = MOST_SHOWN
_WHOLE = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}")
_DECIMAL = rf"([0-9]{{1,{MOST_DIGITS}}}(?:\.[0-9]{{1,{MOST_DIGITS}}})?)"
_DURATION = re.compile(rf"{_DECIMAL}[ ]*([smh]?)")
_SIZE = re.compile(rf"{_DECIMAL}[ ]*([kmgt]?i?b|)", re.IGNORECASE)
_FRACTION = re.compile(rf"{_DECIMAL}[ ]*(%?)")


def shown(value: Any) -> str:
    """Return a value as a complaint shows it: on one line, not too long, however deeply it is nested."""
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        return f"a number of {value.bit_length()} bits"
    text = _SHORT.repr(value)
    return text if len(text) <= 2 * MOST_SHOWN else f"{text[:MOST_SHOWN]}…{text[-20:]}"


def whole(least: int, most: int) -> Callable[[Any], int]:
    """Accept a whole number within bounds, or its decimal digits 0 to 9."""

    def check(value: Any) -> int:
        number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(f"{shown(number)} is not a whole number of at least {least}")
        if number > most:
            raise ValueError(f"{shown(number)} is not a whole number of at most {most}")
        return number

    return check


def or_word(word: Literal["all", "auto"], check: Callable[[Any], Checked]) -> Callable[[Any], Checked | str]:
    """Accept what a check accepts, or one word."""

    def check_either(value: Any) -> Checked | str:
        if value == word:
            return word
        try:
            return check(value)
        except ValueError as error:
            raise ValueError(f"{error}, nor {word!r}") from error

    return check_either


def many(check: Callable[[Any], Checked]) -> Callable[[Any], tuple[Checked, ...]]:
    """Accept a list of different values that each pass a check, or a single such value."""

    def check_all(value: Any) -> tuple[Checked, ...]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise ValueError("an empty list; at least one value is needed")
        seen: dict[Checked, None] = {}
        for checked in map(check, values):
            if checked in seen:
                raise ValueError(f"{shown(checked)} stands there twice")
            seen[checked] = None
        return tuple(seen)

    return check_all


def one_of(accepted: Iterable[str]) -> Callable[[Any], str]:
    """Accept one of a few words."""
    known = tuple(accepted)

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            suggestion = hint(value, known) if isinstance(value, str) else ""
            raise ValueError(f"{shown(value)} is not one of {', '.join(known)}{suggestion}")
        return value

    return check


def name(value: Any) -> str:
    """Accept a text that can name something."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is not a name")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"{shown(value)} has {len(value)} characters; a name has at most {LONGEST_NAME}")
    return value


def yes_or_no(value: Any) -> bool:
    """Accept true, false, `yes` or `no`."""
    accepted = {True: True, False: False, "yes": True, "no": False}
    if not isinstance(value, bool | str) or value not in accepted:
        raise ValueError(f"{shown(value)} is not true or false, nor 'yes' or 'no'")
    return accepted[value]


def seconds(value: Any) -> float:
    """Return a time in seconds, given as a number or as a text with a unit like `5m`."""
    matched = None if isinstance(value, bool) else _DURATION.fullmatch(_as_text(value).strip(" "))
    number = float(matched[1]) * SECONDS_PER_UNIT[matched[2]] if matched else 0.0
    if number <= 0:
        raise ValueError(f"{shown(value)} is not a time like 90s, 5m or 1h")
    if number > MOST_SECONDS:
        raise ValueError(f"{shown(value)} is too long; a time is at most {MOST_SECONDS // 3600}h")
    return number


def size(value: Any) -> int:
    """Return a size in bytes, given as a number or as a text with a unit like `6GB` or `512MiB`."""
    matched = None if isinstance(value, bool) else _SIZE.fullmatch(_as_text(value).strip(" "))
    number = float(matched[1]) * BYTES_PER_UNIT[matched[2].lower()] if matched else 0.0
    if not LEAST_SIZE <= number <= MOST_SIZE:
        raise ValueError(f"{shown(value)} is not a size like 6GB or 512MiB, from 1MB to 1PB")
    return int(number)


def fraction(value: Any) -> float:
    """Return a fraction from 0 to below 1, given as a number or as a text like `2%`."""
    matched = None if isinstance(value, bool) else _FRACTION.fullmatch(_as_text(value).strip(" "))
    number = float(matched[1]) / (100 if matched[2] else 1) if matched else 1.0
    if not 0 <= number < 1:
        raise ValueError(f"{shown(value)} is not a percentage like 2%, or a fraction below 1 like 0.02")
    return number


def fractions_by_pattern(value: Any) -> tuple[tuple[str, float], ...]:
    """Return fractions by patterns of cells' keys, given as a table or as a text like `update*=5%,train*=3%`."""
    if isinstance(value, str):
        pairs = [pair.rpartition("=") for pair in value.split(",")]
        if not all(equals for _, equals, _ in pairs):
            raise ValueError(f"{shown(value)} is not a list of patterns, like update*=5%,train*=3%")
        many(str)([pattern for pattern, _, _ in pairs])  # refuses duplicates
        value = {pattern: effect for pattern, _, effect in pairs}
    if not isinstance(value, dict):
        raise ValueError(f'{shown(value)} is not a table of patterns, like "step*numpy*" = "5%"')
    if "" in value:
        raise ValueError("'' is no pattern of a cell's key")
    checked = []
    for pattern, effect in value.items():
        try:
            checked.append((name(pattern), fraction(effect)))
        except ValueError as error:
            raise ValueError(f"{shown(pattern)}: {error}") from error
    return tuple(checked)


def _as_text(value: Any) -> str:
    """Return a number as decimals and a text as it is; "" for anything else and for numbers out of bounds."""
    if isinstance(value, float):
        return f"{value:.{MOST_DIGITS}f}".rstrip("0").rstrip(".") if abs(value) < 1e12 else ""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**MOST_DIGITS else ""
    return value if isinstance(value, str) else ""
