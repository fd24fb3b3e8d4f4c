"""What this machine has: each backend asked in a process of its own."""

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
    """The machine's facts, and of every implementation its version, devices and whether one thread
    and all threads keep to their number."""
    with tempfile.TemporaryDirectory(prefix="relubench-") as folder:
        logs = Path(folder)

        def process(contender: Contender, threads: int) -> Worker:
            return ProcessWorker(Setting(contender, threads, TIMEOUT_SECONDS, logs / "worker.log"))

        opened = open_worker or process
        found = {name: _implementation(name, opened) for name in implementations.names()}
    return {"machine": machine.describe(), "implementations": found}


def _implementation(name: str, open_worker: Callable[[Contender, int], Worker]) -> dict[str, Any]:
    try:
        kinds = implementations.device_kinds(name)
    except LookupError as error:
        return {"status": "crashed", "reason": str(error), "device_kinds": []}
    device = "cpu" if "cpu" in kinds else kinds[0]
    contender = Contender(name, device, "float32")
    limits = dict.fromkeys((1, machine.usable_processors()))
    facts: dict[str, Any] = {"status": "ok", "device_kinds": list(kinds)}
    try:
        for threads in limits:
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
