"""Whether two runs may be compared: what differs between their machines and environments, and does it matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analyse.run import environments

from .sides import RunSide, matched

MATTERING = (
    "cpu",
    "gpu",
    "driver",
    "processors",
    "quota",
    "smt",
    "governor",
    "turbo",
    "os",
    "python",
    "blas",
    "matrix_kernels",
    "threads",
    "dtype",
    "precision",
    "steps",
    "relubench",
)
"""Names of what matters, besides the libraries: `processors` is how many, `threads` are those in force, `steps` those
of one train, `matrix_kernels` are what the products run on, `smt` how many cores the processors are."""
ALL = "all"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Difference:
    """What is one thing in base and another in head, in words."""

    name: str
    base: str
    head: str
    matters: bool
    cells: int = 0
    """How many it concerns; 0 where it is the machine."""


def differences(base: RunSide, head: RunSide) -> list[Difference]:
    """Those that matter first. What only one side knows is told, but is no difference that matters."""
    timed = [
        (before, after)
        for before, after in matched(base, head)
        if before and after and before.status == after.status == "ok"
    ]
    of_cells = Counter(one for before, after in timed for one in _different(before.facts, after.facts))
    found = [Difference(*one, UNKNOWN not in one, cells) for one, cells in of_cells.items()]
    variables = Counter(
        one for before, after in timed for one in environments.different(before.environment, after.environment)
    )
    found += [Difference(*one, True, cells) for one, cells in variables.items()]
    found += [
        Difference(*one, one[0] in MATTERING and UNKNOWN not in one)
        for one in _different(_machine(base), _machine(head))
    ]
    return sorted(found, key=lambda one: not one.matters)


def stopping(found: Sequence[Difference], allowed: Collection[str] = ()) -> list[Difference]:
    """Those that matter and are not allowed, by name or by `all`."""
    return [one for one in found if one.matters and not {one.name, ALL} & set(allowed)]


def libraries(side: RunSide) -> set[str]:
    """The names of a run's libraries."""
    return {name for one in side.cells for name in one.facts} - set(MATTERING)


def variables(side: RunSide) -> set[str]:
    """The names of the environment's variables that a run's processes had set."""
    return {name for one in side.cells for name in one.environment or {}}


def _different(base: Mapping[str, str], head: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*base, *head]):
        here, there = base.get(name, UNKNOWN), head.get(name, UNKNOWN)
        if here != there:
            yield name, here, there


def _machine(side: RunSide) -> dict[str, str]:
    """A machine's facts in words, but for its processor and GPU, which the cells name."""
    facts: Mapping[str, Any] = side.machine
    system, _, release = str(facts.get("system", "")).partition(" ")
    told = {
        "processors": _joined(facts.get("usable_processors"), "of", facts.get("processors")),
        "quota": ("none" if facts["quota"] is None else f"{facts['quota']:g} processors") if "quota" in facts else "",
        "smt": _joined(facts.get("affinity"), "processors on", facts.get("usable_cores"), "cores"),
        "governor": facts.get("governor"),
        "turbo": {True: "on", False: "off"}.get(facts.get("turbo")),  # type: ignore[arg-type]
        "os": f"{system} {facts.get('architecture') or ''}".strip(),
        "driver": facts.get("driver") if any(one.cell.contender.device != "cpu" for one in side.cells) else None,
        "relubench": facts.get("relubench"),
        "source": facts.get("source"),
        "kernel": release,
        "host": facts.get("host"),
        "clock": _joined(facts.get("megahertz"), "MHz"),
        "load": facts.get("load"),
        "swap": _joined(facts.get("swap_bytes"), "bytes"),
        "memory": _joined(facts.get("memory_bytes"), "bytes"),
        "sampling": side.sampling,
    }
    return {name: str(value) for name, value in told.items() if value not in (None, "")}


def _joined(*parts: object) -> str:
    return " ".join(map(str, parts)) if all(part not in (None, "") for part in parts) else ""
