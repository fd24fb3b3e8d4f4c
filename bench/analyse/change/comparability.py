"""Whether two runs may be compared: the differences of their machines and environments, and which of them matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analyse.run import environments
from bench.plan.units import shortest

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
"""The names of facts that matter, besides the libraries: `processors` is their number, `threads` are those in force,
`steps` those of one train, `matrix_kernels` those of the products, `smt` the processors and their cores."""
ALL = "all"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Difference:
    """A fact that differs between base and head; its values are texts."""

    name: str
    base: str
    head: str
    matters: bool
    cells: int = 0
    """The number of cells that it concerns; 0 for a fact of the machine."""


def differences(base: RunSide, head: RunSide) -> list[Difference]:
    """Return the differences between two runs, those that matter first. What only one side knows does not matter."""
    timed = [
        (before, after)
        for before, after in matched(base, head)
        if before and after and before.status == after.status == "ok"
    ]
    facts = Counter(fact for before, after in timed for fact in _different(before.facts, after.facts))
    environment_pairs = [(before.environment, after.environment) for before, after in timed]
    variables = Counter(variable for pair in environment_pairs for variable in environments.different(*pair))
    of_machine = _different(_machine(base), _machine(head))
    unsorted = [
        *(Difference(*fact, UNKNOWN not in fact, cells) for fact, cells in facts.items()),
        *(Difference(*variable, True, cells) for variable, cells in variables.items()),
        *(Difference(*fact, fact[0] in MATTERING and UNKNOWN not in fact) for fact in of_machine),
    ]
    return sorted(unsorted, key=lambda difference: not difference.matters)


def stopping(differing: Sequence[Difference], allowed: Collection[str] = ()) -> list[Difference]:
    """Return the differences that matter and are not allowed, by name or by `all`."""
    return [difference for difference in differing if difference.matters and not {difference.name, ALL} & set(allowed)]


def libraries(side: RunSide) -> set[str]:
    """Return the names of a run's libraries."""
    return {name for cell in side.cells for name in cell.facts} - set(MATTERING)


def variables(side: RunSide) -> set[str]:
    """Return the names of the environment variables that a run's processes had set."""
    return {name for cell in side.cells for name in cell.environment or {}}


def _different(base: Mapping[str, str], head: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*base, *head]):
        base_value, head_value = base.get(name, UNKNOWN), head.get(name, UNKNOWN)
        if base_value != head_value:
            yield name, base_value, head_value


def _machine(side: RunSide) -> dict[str, str]:
    """Return a machine's facts as texts, except for its processor and GPU, which the cells name."""
    facts: Mapping[str, Any] = side.machine
    system, _, release = str(facts.get("system", "")).partition(" ")
    known_facts = {
        "processors": _joined(facts.get("usable_processors"), "of", facts.get("processors")),
        "quota": ("none" if facts["quota"] is None else f"{shortest(facts['quota'])} processors")
        if "quota" in facts
        else "",
        "smt": _joined(facts.get("affinity"), "processors on", facts.get("usable_cores"), "cores"),
        "governor": facts.get("governor"),
        "turbo": {True: "on", False: "off"}.get(facts.get("turbo")),  # type: ignore[arg-type]
        "os": f"{system} {facts.get('architecture') or ''}".strip(),
        "driver": facts.get("driver") if any(cell.cell.contender.device != "cpu" for cell in side.cells) else None,
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
    return {name: str(value) for name, value in known_facts.items() if value not in (None, "")}


def _joined(*parts: object) -> str:
    return " ".join(map(str, parts)) if all(part not in (None, "") for part in parts) else ""
