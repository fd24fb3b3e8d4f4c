"""Make one check of a class, by its name in the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import exceptions
from ..one_line import one_line
from . import conduct, results
from .subject import Fault, Seen, Subject

CHECKS: dict[str, Callable[[Subject], Seen]] = {
    check.__name__: check
    for check in (
        *(results.types, results.prediction, results.gradients, results.differences, results.update),
        *(results.trajectories, results.precision),
        *(conduct.repetition, conduct.arrays, conduct.independence, conduct.determinism, conduct.order),
        *(conduct.work, conduct.threads, conduct.overhead),
    )
}


def outcome(check: str, subject: Subject) -> dict[str, Any]:
    """Make a check. Return whether it passed, what was seen, and the share of the tolerance that was used."""
    try:
        seen = CHECKS[check](subject)
    except Exception as error:
        is_ours = isinstance(error, Fault) or (hasattr(error, "status") and hasattr(error, "figures"))
        where = f" ({exceptions.location(error)})" if exceptions.location(error) else ""
        text = str(error) if is_ours else exceptions.summary(error) + where
        return {"passed": False, "seen": one_line(text), "share": 0.0}
    return {"passed": True, "seen": seen.text, "share": seen.share}
