"""Make records of what others wrote, with their types checked: a worker's answer, or a line of a journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
SHOWN_CHARACTERS = 60


def record(kind: Callable[..., T], values: dict[str, Any]) -> T:
    """Return a record of a kind. Raises ValueError that names the first field whose type or value does not fit."""
    # It is validated as JSON: given Python objects, strict checks accept only the record itself.
    return record_of_json(kind, json.dumps(values))


def record_of_json(kind: Callable[..., T], text: str | bytes) -> T:
    """Return a record of a kind from its fields as JSON. Raises ValueError as `record` does."""
    try:
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{field}: {first['msg']}, not {_shown(first['input'])}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} …"
