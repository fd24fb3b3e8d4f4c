"""Sentences on what the environment and the machine do to a run's speed; none where they do nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.analyse.run import environments, kernels
from bench.analyse.run.kernels import Slower
from bench.analyse.run.run import Run
from bench.measure.records import WorkerStarted
from bench.measure.worker import limits
from bench.plan.cells import Contender
from bench.plan.units import kibibytes_or_mebibytes, shortest
from bench.report import page

Started = tuple[str, str, Mapping[str, Any]]
"""A contender's name, its backend, and what its process reported."""


def lines(run: Run) -> list[str]:
    """The sentences about a run."""
    measured = [cell.contender for cell in run.plan.cells]
    contenders = {contender.label: contender for contender in (*measured, *run.plan.ceilings)}
    started = [
        (_name(contenders[worker.contender]), worker.backend, worker.details)
        for worker in run.of_kind(WorkerStarted)
        if contenders[worker.contender].device == "cpu"
    ]
    return of(run.head.machine, started)


def of(machine: Mapping[str, Any], started: Iterable[Started]) -> list[str]:
    """The sentences about a machine, by its facts, and about the processes that were started on it."""
    by_finding: dict[Slower, list[str]] = {}
    for contender, backend, details in started:
        for finding in kernels.slower(backend, details, machine.get("instructions")):
            by_finding.setdefault(finding, []).append(contender)
    kernels_below = [slower(finding, list(dict.fromkeys(names))) for finding, names in by_finding.items()]
    return [*overridden(machine.get("overridden") or {}), *kernels_below, *quota(machine)]


def slower(finding: Slower, contenders: Sequence[str]) -> str:
    """The sentence about a library that uses less than the processor offers: its cause, and what to do."""
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
    """The sentence about variables that the user had set and that contenders' processes did not get."""
    if not values:
        return []
    settings = ", ".join(f"{name}={value}" for name, value in values.items())
    pinned = [f"{name}={limits.SETTINGS[name]}" for name in values if name in limits.SETTINGS]
    line = f"the environment sets {settings}; contenders are measured without {'that' if len(values) == 1 else 'these'}"
    return [line + (f", with {', '.join(pinned)}" if pinned else "")]


def quota(machine: Mapping[str, Any]) -> list[str]:
    """The sentence about a quota of processor time that is less than the processors this process may run on."""
    allowed, affinity = machine.get("quota"), machine.get("affinity")
    if not allowed or not affinity or allowed >= affinity:
        return []
    usable = machine.get("usable_processors")
    share = "" if allowed == usable else f", which counts as {usable}"
    throttled = "; one busy thread is already stopped for part of the time" if allowed < 1 else ""
    return [f"a control group's quota leaves {shortest(allowed)} of {affinity} processors{share}{throttled}"]


def _name(contender: Contender) -> str:
    return " of ".join(part for part in (contender.implementation, contender.variant) if part)


def facts(run: Run) -> dict[str, str]:
    """The facts for the page's section on the machine: variables, matrix kernels, and what the processors share."""
    variables = environments.of_run(run) or {}
    kernels_run = dict.fromkeys(
        text
        for worker in run.of_kind(WorkerStarted)
        if (text := kernels.in_words(worker.backend, worker.details)) and not worker.device_name
    )
    values = {
        **of_machine(run.head.machine),
        "matrix kernels": "; ".join(kernels_run),
        "environment": page.Markdown(", ".join(page.code(f"{name}={value}") for name, value in variables.items())),
    }
    return {name: value for name, value in values.items() if value}


def of_machine(machine: Mapping[str, Any]) -> dict[str, str]:
    """The known facts about the processors that matter for speed."""
    cores, affinity, turbo = machine.get("usable_cores"), machine.get("affinity"), machine.get("turbo")
    swap = machine.get("swap_bytes") or 0
    values = {
        "quota": f"{shortest(machine['quota'])} processors" if machine.get("quota") else "",
        "hyperthreads": f"{affinity} usable processors on {cores} cores"
        if cores and affinity and cores < affinity
        else "",
        "governor": machine.get("governor") or "",
        "turbo": "" if turbo is None else "on" if turbo else "off",
        "swap in use": kibibytes_or_mebibytes(swap) if swap >= 2**20 else "",
    }
    return {name: value for name, value in values.items() if value}
