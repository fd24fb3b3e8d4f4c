"""The doctor's findings as text."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from bench.plan import units
from bench.report.run import surroundings

FACTS = ("cpu", "usable_processors", "memory_bytes", "accelerators", "system", "python", "relubench", "source")


def text(found: dict[str, Any]) -> str:
    """The machine, a table of what works, and what is missing with how to get it."""
    machine = found["machine"]
    facts = [(name.replace("_", " "), _fact(name, machine.get(name))) for name in FACTS]
    working = {name: one for name, one in found["implementations"].items() if one["status"] == "ok"}
    missing = {name: one for name, one in found["implementations"].items() if one["status"] != "ok"}
    facts += surroundings.of_machine(machine).items()
    parts = [tabulate(facts, tablefmt="plain", disable_numparse=True)]
    if working:
        headers = ["implementation", "backend", "devices", "busy of 1 thread", f"of {machine['usable_processors']}"]
        rows = [_working(name, one, machine["usable_processors"]) for name, one in working.items()]
        parts.append(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
        blas = next(iter(working.values()))["details"]["blas"]
        parts.append(f"NumPy's BLAS is {blas}. Busy: processor seconds per second of a large matrix product.")
        parts += [
            f"{name}: asked to use 1 thread "
            f"it kept {one['cpu_per_wall_1']:.1f} busy; do not compare it at `--threads 1`."
            for name, one in working.items()
            if "cpu" in one["device_kinds"] and one["cpu_per_wall_1"] > 1.25
        ]
    parts += surroundings.of(machine, [(name, one["backend"], one["details"]) for name, one in working.items()])
    if missing:
        lines = [f"  {name}: {one['status']}, {one['reason']}" for name, one in missing.items()]
        parts.append("\n".join(["Missing here:", *lines]))
    return "\n\n".join(parts)


def _working(name: str, one: dict[str, Any], processors: int) -> list[str]:
    busy = [f"{one[f'cpu_per_wall_{threads}']:.2f}" for threads in (1, processors)]
    return [name, f"{one['backend']} {one['backend_version']}", ", ".join(one["devices"]), *busy]


def _fact(name: str, value: Any) -> str:
    if name == "memory_bytes":
        return units.mebibytes(value)
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
