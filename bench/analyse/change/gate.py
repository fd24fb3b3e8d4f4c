"""Whether changes pass, as an outcome and in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench.plan.nearest import hint
from bench.plan.units import change_with_interval

from .changes import DECIDED, VERDICTS, Change

FAIL_ON = ("slower", "unclear", "wrong", "missing")
"""The verdicts that a gate may fail on."""
DEFAULT_FAIL_ON = ("slower", "wrong", "missing")
CLEAN, REGRESSION, NOT_JUDGED = "clean", "regression", "not judged"
EXIT_CODES = {CLEAN: 0, REGRESSION: 1, NOT_JUDGED: 3}


@dataclass(frozen=True)
class Outcome:
    """The outcome of changes: CLEAN, REGRESSION or NOT_JUDGED."""

    kind: str
    summary: str
    """A summary of the changes in one line."""
    failing: Sequence[Change] = ()

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.kind]


def fail_on(where: str, text: str) -> tuple[str, ...]:
    """Return the verdicts in a list like `slower,wrong`. Raises ValueError, which begins with `where`, for a list that
    is empty or has another word."""
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in [word for word in words if word not in FAIL_ON] or ([] if words else [text]):
        raise ValueError(
            f"{where}: {word!r} is nothing to fail on; list some of {', '.join(FAIL_ON)}{hint(word, FAIL_ON)}"
        )
    return words


def outcome(changes: Sequence[Change], failing_on: Collection[str] = DEFAULT_FAIL_ON) -> Outcome:
    """Return the outcome of changes: a regression where a verdict other than `unclear` is one to fail on; not judged
    where only `unclear` is, or where no cell's change could be decided; else clean."""
    failing = [change for change in changes if change.verdict in failing_on]
    decided = any(change.verdict in DECIDED for change in changes)
    if any(change.verdict != "unclear" for change in failing):
        kind = REGRESSION
    else:
        kind = NOT_JUDGED if failing or not decided else CLEAN
    return Outcome(kind, summary(changes), failing)


def incomparable(names: Sequence[str]) -> Outcome:
    """Return the outcome of sides that differ in what matters."""
    return Outcome(NOT_JUDGED, f"not comparable: {', '.join(dict.fromkeys(names))} differ")


def summary(changes: Sequence[Change]) -> str:
    """Return the cells of each verdict, like `2 of 48 cells slower, worst +7.1 % [5.2, 9.0], 44 same, 2 unclear`."""
    counts = Counter(change.verdict for change in changes)
    slower = [change.ratio for change in changes if change.verdict == "slower"]
    parts = [f"{len(slower)} of {len(changes)} cell{'' if len(changes) == 1 else 's'} slower"]
    if slower:
        parts.append(f"worst {change_with_interval(*max(slower, key=lambda ratio: ratio.value).with_bounds)}")
    order = ("same", "unclear", "faster", *(verdict for verdict in VERDICTS if verdict not in DECIDED))
    named = dict.fromkeys(verdict for verdict in order if counts[verdict])
    parts += [f"{counts[verdict]} {'not timed' if verdict == 'untimed' else verdict}" for verdict in named]
    slower_with_machine = sum(change.with_the_machine and change.verdict == "slower" for change in changes)
    if slower_with_machine:
        parts.append(f"{slower_with_machine} of those slower no more than the machine itself")
    return ", ".join(parts)
