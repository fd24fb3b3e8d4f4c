"""What is checked, what a check may see, and how results are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from implementations import Problem

from .. import problems, verify
from ..course import Course, own
from ..reference import Check, compare, positive, rounding_at

OTHER_RATE = 0.37
"""The factor of a second learning rate, at which a rate that is built in shows."""
VARYING = 256.0
"""The same work may vary by so many times the rounding of a sum: far less than any other fault makes it differ."""

STORED = 4
"""Where each result is rounded to a narrow dtype, it may vary by so many of these roundings besides."""


class Fault(Exception):
    """The class does not fulfil what was checked; the message says what was seen."""


@dataclass(frozen=True)
class Seen:
    """What a check saw of a class that passes; `share` is how much of a tolerance was used."""

    text: str = ""
    share: float = 0.0


@dataclass
class Subject:
    """A class at one shape, in one dtype on one device."""

    session: Any
    """The worker's Session."""
    shape: tuple[int, int, int, int]
    phases: list[str]
    threads: int
    """The limit of the process."""
    courses: dict[float, Course] = field(default_factory=dict)
    """The float64 reference by learning rate."""

    def __post_init__(self) -> None:
        self.problem = problems.random(self.shape, self.dtype)

    @property
    def dtype(self) -> str:
        return self.session.dtype

    @property
    def start(self) -> tuple[np.ndarray, ...]:
        """The problem's w1 and w2 in the net's dtype."""
        return self.problem.arrays(self.dtype)[2:]

    def make(self, problem: Problem | None = None) -> Any:
        return self.session.net_class(problem or self.problem, self.session.device, self.dtype)

    def course(self, net: Any) -> Course:
        rate = net.problem.learning_rate
        if rate not in self.courses:
            self.courses[rate] = own(net)
        return self.courses[rate]


def all_pass(checks: list[Check]) -> Seen:
    """Raise Fault for the first comparison that fails; else return the one that used most of its tolerance."""
    for check in checks:
        if not check.passed:
            raise Fault(str(check))
    closest = verify.worst(checks)
    share = closest.error / closest.tolerance
    return Seen(f"{len(checks)} comparisons", share)


def at_two_rates(subject: Subject) -> tuple[Problem, Problem]:
    problem = subject.problem
    return problem, replace(problem, learning_rate=OTHER_RATE * problem.learning_rate)


def far(first: np.ndarray, other: np.ndarray, subject: Subject) -> str:
    """Return by how much two results differ, in words; empty where it may be rounding."""
    if np.array_equal(first, other):
        return ""
    rounding = rounding_at(subject.dtype, subject.session.net_class.precision)
    scale = positive(float(np.abs(first).max()))
    tolerance = VARYING * rounding.products * math.sqrt(sum(subject.shape)) + STORED * rounding.stored
    check = compare("", other, first.astype(np.float64), subject.dtype, scale, tolerance)
    return "" if check.passed else f"by {check.error:.2g} of its largest entry"
