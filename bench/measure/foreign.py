"""Make the texts of a journal harmless when it is read, since anyone may have written it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .worker.one_line import all_visible

_NOT_IN_NAMES = re.compile(r"[^\w.:+%~ -]")
"""Characters that no name of an implementation, device, dtype, phase or variant has; Markdown, HTML, paths and
spreadsheets give them a meaning."""
_NAMES = ("implementation", "device", "dtype", "phase", "variant")
"""The fields of a cell or contender of a plan that are names."""


def harmless(values: dict[str, Any], line: str) -> dict[str, Any]:
    """Return a record's fields, read from a line of JSON, with escapes for invisible characters in texts and for
    characters that no name has in names.

    Cells are named by their parts in the plan and by their keys elsewhere, so both are replaced alike, character by
    character.
    """
    if "\\" in line or not line.isascii() or not line.isprintable():
        values = all_visible(values)
    if isinstance(plan := values.get("plan"), dict):
        values["plan"] = {**plan, **{name: _plan_part(plan[name]) for name in _PLAN_PARTS if name in plan}}
    for field in ("cell", "cells"):
        if field in values:
            values[field] = _keys(values[field])
    if "contender" in values:
        values["contender"] = _name(values["contender"])
    return values


_PLAN_PARTS = ("cells", "ceilings", "baseline")


def _plan_part(value: Any) -> Any:
    if isinstance(value, str):
        return _name(value)
    if isinstance(value, dict):
        return {key: _name(part) if key in _NAMES else part for key, part in value.items()}
    return [_plan_part(part) for part in value] if isinstance(value, list) else value


def _keys(value: Any) -> Any:
    """Escape one or several cell keys, like `step[numpy-cpu-float32-N64-D1000-H100]`, or contender labels."""
    if isinstance(value, str):
        return _key(value)
    if isinstance(value, dict):
        return {_keys(key): item for key, item in value.items()}
    return [_keys(key) for key in value] if isinstance(value, list) else value


def is_harmless_key(text: str) -> bool:
    """Tell whether `harmless` would leave the key of a cell as it is."""
    return _key(text) == text


@lru_cache(maxsize=1 << 16)  # a journal names the same few cells in most of its lines
def _key(text: str) -> str:
    phase, bracket, rest = text.partition("[")
    end = "]" if bracket and rest.endswith("]") else ""
    return str(_name(phase)) + bracket + str(_name(rest.removesuffix(end) if end else rest)) + end


def _name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _NOT_IN_NAMES.sub(lambda match: f"%{ord(match[0]):02x}", value)
