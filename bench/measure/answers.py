"""Check that what a worker wrote answers the request. A contender's code runs in that process and may write
anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict

from . import checked
from .worker.one_line import all_visible, one_line

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Failure:
    """The answer to a request that failed."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    status: Literal["wrong", "unavailable", "unsupported", "out_of_memory", "crashed"]
    reason: str
    error: float | None = None
    tolerance: float | None = None


class NoAnswer(Exception):
    """What the worker wrote does not answer the request; the message says why."""


def answer_in(line: bytes, number: int) -> dict[str, Any]:
    """Return the answer to request `number`: `{"ok": {…}}` or `{"failed": Failure}`. Raises NoAnswer."""
    try:
        reply = json.loads(line)
        identity = reply.pop("id")
        ((outcome, answer),) = reply.items()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NoAnswer(f"it wrote {shown(line)} where an answer was due") from error
    if type(identity) is int and identity != number:
        raise NoAnswer(f"it answered request {identity} when it was asked request {number}")
    if type(identity) is not int or not isinstance(answer, dict) or outcome not in ("ok", "failed"):
        raise NoAnswer(f"it answered {shown(line)}")
    if outcome == "ok":
        return {outcome: answer}
    try:
        return {outcome: checked.record(Failure, all_visible(answer))}
    except (ValueError, RecursionError) as error:
        raise NoAnswer(f"it answered {shown(line)}") from error


def shown(data: bytes) -> str:
    """Return the beginning of what was written in a form that can be shown."""
    return repr(one_line(data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "backslashreplace"), SHOWN_CHARACTERS))
