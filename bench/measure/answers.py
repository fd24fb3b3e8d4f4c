"""Whether what came from a worker is an answer to what it was asked. A contender's code runs in that process, and may
write anything."""

from __future__ import annotations

import json
from typing import Any

from .worker.one_line import one_line

FAILURES = ("wrong", "unavailable", "unsupported", "out_of_memory", "crashed")
SHOWN_CHARACTERS = 80


class NoAnswer(Exception):
    """What came does not fit, and why."""


def answer_in(line: bytes, number: int) -> dict[str, Any]:
    """The answer to the request of that number, `{"ok": {…}}` or `{"failed": {"status": …, "reason": …}}`.
    Raises NoAnswer."""
    try:
        reply = json.loads(line)
        identity = reply.pop("id")
        ((outcome, answer),) = reply.items()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NoAnswer(f"it wrote {shown(line)} where an answer was due") from error
    if identity != number or isinstance(identity, bool):
        raise NoAnswer(f"it answered request {shown_value(identity)} when it was asked request {number}")
    if not isinstance(answer, dict) or outcome not in ("ok", "failed"):
        raise NoAnswer(f"it answered {shown(line)}")
    if outcome == "failed" and not _is_failure(**answer):
        raise NoAnswer(f"it answered {shown(line)}")
    return {outcome: answer}


def shown(data: bytes) -> str:
    """The beginning of what was written, as it can be shown."""
    return repr(one_line(data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "backslashreplace"), SHOWN_CHARACTERS))


def shown_value(value: Any) -> str:
    return one_line(repr(value), SHOWN_CHARACTERS)


def _is_failure(status: Any = None, reason: Any = None, error: Any = None, tolerance: Any = None, **more: Any) -> bool:
    figures = all(
        one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in (error, tolerance)
    )
    return status in FAILURES and isinstance(reason, str) and figures and not more
