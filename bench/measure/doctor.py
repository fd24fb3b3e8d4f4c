"""Examine the machine and every backend, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import implementations
from bench.plan.cells import Contender

from . import machine
from .client import ProcessWorker, Setting, Worker, WorkerFailed

TIMEOUT_SECONDS = 120


def examine(open_worker: Callable[[Contender, int], Worker] | None = None) -> dict[str, Any]:
    """Return the machine's facts and, for every implementation, its version, its devices and how many processors it
    uses when limited to one thread and to all."""
    with tempfile.TemporaryDirectory(prefix="relubench-") as folder:
        logs = Path(folder)

        def process(contender: Contender, threads: int) -> Worker:
            return ProcessWorker(Setting(contender, threads, TIMEOUT_SECONDS, logs / "worker.log"))

        open_process = open_worker or process
        examined = {name: _implementation(name, open_process) for name in implementations.names()}
    return {"machine": machine.describe(), "implementations": examined}


def _implementation(name: str, open_worker: Callable[[Contender, int], Worker]) -> dict[str, Any]:
    try:
        kinds = implementations.device_kinds(name)
    except LookupError as error:
        return {"status": "crashed", "reason": str(error), "device_kinds": []}
    device = "cpu" if "cpu" in kinds else kinds[0]
    contender = Contender(name, device, "float32")
    thread_limits = dict.fromkeys((1, machine.usable_processors()))
    facts: dict[str, Any] = {"status": "ok", "device_kinds": list(kinds)}
    try:
        for threads in thread_limits:
            worker = open_worker(contender, threads)
            try:
                facts |= worker.ask("start")
                probe = worker.ask("probe")
            finally:
                worker.close()
            facts["devices"] = probe["devices"]
            facts[f"cpu_per_wall_{threads}"] = probe["cpu_per_wall"]
    except WorkerFailed as failure:
        facts |= {"status": failure.status, "reason": failure.reason}
    return facts
