"""What the environment and the machine do to a run's speed: a sentence each, none where there is nothing to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.analyse.run import environments, kernels, tables
from bench.analyse.run.kernels import Slower
from bench.measure.records import Record, WorkerStarted
from bench.measure.worker import limits
from bench.plan.cells import Contender
from bench.plan.plain import from_plain
from bench.plan.units import kibibytes_or_mebibytes
from bench.report import page

Started = tuple[str, str, Mapping[str, Any]]
"""A contender's name, its backend, and what its process reported."""


def lines(records: Sequence[Record]) -> list[str]:
    """Of a run's journal."""
    plan = from_plain(tables.started(records).plan)
    contenders = {
        contender.label: contender for contender in (*(cell.contender for cell in plan.cells), *plan.ceilings)
    }
    started = [
        (_name(contenders[record.contender]), record.backend, record.details)
        for record in records
        if isinstance(record, WorkerStarted) and contenders[record.contender].device == "cpu"
    ]
    return of(tables.started(records).machine, started)


def of(machine: Mapping[str, Any], started: Iterable[Started]) -> list[str]:
    """Of a machine's facts and the processes that were started on it."""
    by_finding: dict[Slower, list[str]] = {}
    for contender, backend, details in started:
        for finding in kernels.slower(backend, details, machine.get("instructions")):
            by_finding.setdefault(finding, []).append(contender)
    told = [slower(finding, list(dict.fromkeys(names))) for finding, names in by_finding.items()]
    return [*overridden(machine.get("overridden") or {}), *told, *quota(machine)]


def slower(finding: Slower, contenders: Sequence[str]) -> str:
    """What runs below the processor, what causes it, and what to do."""
    remedy = (
        f"{finding.cause} causes this: unset it"
        if finding.cause
        else "nothing in the environment causes this; a newer or another build of that library may know the processor"
    )
    return (
        f"{finding.library} runs {finding.runs}, below the {finding.offered} that this processor offers, "
        f"in {', '.join(contenders)}; {remedy}"
    )


def overridden(values: Mapping[str, str]) -> list[str]:
    """What the user had set, and the contenders' processes did not get."""
    if not values:
        return []
    had = ", ".join(f"{name}={value}" for name, value in values.items())
    pinned = [f"{name}={limits.SETTINGS[name]}" for name in values if name in limits.SETTINGS]
    told = f"the environment sets {had}; contenders are measured without {'that' if len(values) == 1 else 'these'}"
    return [told + (f", with {', '.join(pinned)}" if pinned else "")]


def quota(machine: Mapping[str, Any]) -> list[str]:
    """A limit on processor time that is less than the processors this process may run on."""
    allowed, affinity = machine.get("quota"), machine.get("affinity")
    if not allowed or not affinity or allowed >= affinity:
        return []
    usable = machine.get("usable_processors")
    share = "" if allowed == usable else f", which counts as {usable}"
    throttled = "; one busy thread is already stopped for part of the time" if allowed < 1 else ""
    return [f"a control group's quota leaves {allowed:g} of {affinity} processors{share}{throttled}"]


def _name(contender: Contender) -> str:
    return " of ".join(part for part in (contender.implementation, contender.variant) if part)


def facts(machine: Mapping[str, Any], records: Sequence[Record]) -> dict[str, str]:
    """For the page's section about the machine: what was set, what kernels ran, and what the processors share."""
    started = [record for record in records if isinstance(record, WorkerStarted)]
    variables = environments.of_run(records) or {}
    ran = dict.fromkeys(
        text
        for record in started
        if (text := kernels.in_words(record.backend, record.details)) and not record.device_name
    )
    told = {
        **of_machine(machine),
        "matrix kernels": "; ".join(ran),
        "environment": page.Markdown(", ".join(page.code(f"{name}={value}") for name, value in variables.items())),
    }
    return {name: value for name, value in told.items() if value}


def of_machine(machine: Mapping[str, Any]) -> dict[str, str]:
    """What is known of the processors, where it matters."""
    cores, affinity, turbo = machine.get("usable_cores"), machine.get("affinity"), machine.get("turbo")
    swap = machine.get("swap_bytes") or 0
    told = {
        "quota": f"{machine['quota']:g} processors" if machine.get("quota") else "",
        "hyperthreads": f"{affinity} usable processors on {cores} cores"
        if cores and affinity and cores < affinity
        else "",
        "governor": machine.get("governor") or "",
        "turbo": "" if turbo is None else "on" if turbo else "off",
        "swap in use": kibibytes_or_mebibytes(swap) if swap >= 2**20 else "",
    }
    return {name: value for name, value in told.items() if value}
