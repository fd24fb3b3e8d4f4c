"""The doctor's findings as text."""

from __future__ import annotations

from typing import Any

from tabulate import tabulate

from bench.measure.worker.limits import BUSY_BEYOND_LIMIT
from bench.plan import units
from bench.report.run import surroundings

FACTS = ("cpu", "usable_processors", "memory_bytes", "accelerators", "system", "python", "relubench", "source")


def text(findings: dict[str, Any]) -> str:
    """The machine, a table of what works, and what is missing with how to get it."""
    machine = findings["machine"]
    facts = [(name.replace("_", " "), _fact(name, machine.get(name))) for name in FACTS]
    reports = findings["implementations"]
    working = {name: report for name, report in reports.items() if report["status"] == "ok"}
    missing = {name: report for name, report in reports.items() if report["status"] != "ok"}
    facts += surroundings.of_machine(machine).items()
    parts = [tabulate(facts, tablefmt="plain", disable_numparse=True)]
    if working:
        headers = ["implementation", "backend", "devices", "busy of 1 thread", f"of {machine['usable_processors']}"]
        rows = [_working(name, report, machine["usable_processors"]) for name, report in working.items()]
        parts.append(tabulate(rows, headers, tablefmt="simple", disable_numparse=True))
        blas = next(iter(working.values()))["details"]["blas"]
        parts.append(f"NumPy's BLAS is {blas}. Busy: processor seconds per second of a large matrix product.")
        parts += [
            f"{name}: asked to use 1 thread "
            f"it kept {units.fixed(report['cpu_per_wall_1'], 1)} busy; do not compare it at `--threads 1`."
            for name, report in working.items()
            if "cpu" in report["device_kinds"] and report["cpu_per_wall_1"] > BUSY_BEYOND_LIMIT
        ]
    started = [(name, report["backend"], report["details"]) for name, report in working.items()]
    parts += surroundings.of(machine, started)
    if missing:
        lines = [f"  {name}: {report['status']}, {report['reason']}" for name, report in missing.items()]
        parts.append("\n".join(["Missing here:", *lines]))
    return "\n\n".join(parts)


def _working(name: str, report: dict[str, Any], processors: int) -> list[str]:
    busy = [f"{report[f'cpu_per_wall_{threads}']:.2f}" for threads in (1, processors)]
    return [name, f"{report['backend']} {report['backend_version']}", ", ".join(report["devices"]), *busy]


def _fact(name: str, value: Any) -> str:
    if name == "memory_bytes":
        return units.mebibytes(value)
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)
