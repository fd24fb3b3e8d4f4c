"""What a worker can be asked to do: one method a request, plain data in and out."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import random
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import implementations
from implementations import Problem, Unavailable

from . import aftercheck, ceilings, contract, environment, exceptions, kernels, layout, memory, spotcheck, training
from .disturbance import Monitor
from .timing import Clocks, Timer
from .verify import Check, verify, worst

PROBE_SIZE = 1536
NOT_HERE = (ImportError, OSError, RuntimeError, AssertionError)
"""What frameworks raise that lack a library, a driver or a device."""


class Failure(Exception):
    """A cell that will have no time: its status, and why."""

    def __init__(self, status: str, reason: str, **figures: float) -> None:
        super().__init__(reason)
        self.status, self.figures = status, figures


@dataclass
class Session:
    """One contender's life in one process."""

    implementation: str
    device: str
    dtype: str
    slowdown: float = 0.0
    clocks: Clocks = field(default_factory=Clocks)
    timer: Timer | None = None
    seconds: float | None = None
    """Of the quickest iteration in the last block of the present cell."""
    verifying: bool = False
    steps_apart: bool = False
    """Whether the present shape's step is timed too, so that its cell's check serves a training's."""

    def __post_init__(self) -> None:
        self.monitor = Monitor(self.clocks)

    def start(self, started: float) -> dict[str, Any]:
        """Import the backend and find the device; `started` is when NumPy's import, needed for all,
        began. Raises Failure."""
        variables = dict(os.environ)  # before the backend, which may add its own
        self.net_class = self._load()
        devices = self._devices()
        import_seconds = self.clocks.wall() - started
        gc.freeze()  # collecting a framework's modules anew before every cell would take longer than the cell
        if self.device not in devices:
            kinds = implementations.device_kinds(self.implementation)
            known = self.device.partition(":")[0] in kinds
            here = f"{self.implementation} finds only {', '.join(devices)} here"
            nowhere = f"{self.implementation} runs on {', '.join(kinds)} only, not on {self.device}"
            raise self._unavailable(here) if known else Failure("unsupported", nowhere)
        return {
            "backend": self.net_class.backend,
            "backend_version": _version(self.net_class.backend),
            "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
            "device_name": self.net_class.device_name(self.device) or "",
            "precision": self.net_class.precision,
            "import_seconds": import_seconds,
            "details": {
                "numpy": np.__version__,
                "blas": _blas(),
                "executable": sys.executable,
                "environment": environment.recorded(variables),
                "kernels": kernels.in_force(),
            },
        }

    def prepare(
        self,
        shape: tuple[int, int, int, int],
        phases: list[str],
        steps: int,
        check: bool = True,
        device_bytes: int = 0,
    ) -> dict[str, Any]:
        """Set up a shape's problem, call each phase for the first time, and verify unless that was
        done before. Raises Failure, also where its device has less than `device_bytes` free."""
        self.timer = None
        free = self.net_class.free_device_bytes(self.device) if hasattr(self.net_class, "free_device_bytes") else None
        if free is not None and free < device_bytes:
            there = f"{free / 1e9:.3g} GB of {self.device} are free"
            raise Failure("out_of_memory", f"its arrays need {device_bytes / 1e9:.3g} GB at least, and {there}")
        self.problem = Problem.random(*shape)
        self.problem.arrays(self.dtype)
        self.steps, self.verifying, self.steps_apart = steps, check, "step" in phases
        now = self.clocks.wall
        started = now()
        self._make().synchronize()
        setup_seconds = now() - started
        # A training begins with a step: whatever a process does once, and its own clock then shows, is the step's.
        first_calls = {
            phase: self._timer(phase).first_call() for phase in sorted(phases, key=lambda one: one != "step")
        }
        told: dict[str, Any] = {"setup_seconds": setup_seconds, "first_calls": first_calls}
        if not check:
            return told | {"tensor": "", "error": None, "tolerance": None, "verify_seconds": 0.0}
        started = now()
        checks = verify(self._make)
        closest = worst(checks)
        if not closest.passed:
            raise wrong(checks)
        verified = {"tensor": closest.tensor, "error": closest.error, "tolerance": closest.tolerance}
        return told | verified | {"verify_seconds": now() - started}

    def enter(self, phase: str, samples: int, inner: int | None = None, seed: int = 0) -> dict[str, Any]:
        """Make ready to time a phase. A given `inner` is kept, else it and `samples` are calibrated.
        `seed` draws where in memory each block's net will lie."""
        gc.collect()
        memory.reset_peak()
        self.layouts = random.Random(seed)
        self.timer = self._timer(phase)
        if inner is None:
            inner, samples = self.timer.choose_inner(samples)
        self.inner, self.samples, self.seconds = inner, samples, None
        return {"inner": inner, "samples": samples}

    def block(self) -> dict[str, Any]:
        """Re-warm and take a block of samples, of a net that lies elsewhere than the last block's."""
        assert self.timer, "enter comes before block"
        phase, self.timer = self.timer.phase, None
        self.holes = layout.scatter(self.layouts)
        self.timer = self._timer(phase)
        rewarm_seconds = self.timer.rewarm()
        before = self.monitor.read()
        seconds, cpu_per_wall = self.timer.block(self.inner, self.samples)
        taken = self.monitor.since(before)
        self.seconds = min(seconds)
        if self.timer.trained:
            self.training = training.Training.of(*self.timer.trained)
        return {"seconds": seconds, "cpu_per_wall": cpu_per_wall, "rewarm_seconds": rewarm_seconds, **taken}

    def leave(self) -> dict[str, Any]:
        """Be done with the phase; the most memory it held. Raises Failure where a block's work was not done."""
        assert self.timer, "enter comes before leave"
        device_bytes, host_bytes = self.timer.net.peak_device_bytes(), memory.peak_bytes()
        timer, self.timer = self.timer, None
        started = self.clocks.wall()
        if reason := next(self.reasons(timer), None):
            raise Failure("wrong", reason)
        check_seconds = self.clocks.wall() - started
        return {"host_bytes": host_bytes, "device_bytes": device_bytes, "check_seconds": check_seconds}

    def reasons(self, timer: Timer) -> Iterator[str]:
        """Why the cell that was timed last is wrong, in words."""
        if self.seconds is None:  # no block was asked for
            return
        trained = self.training if timer.phase == "train" else None
        if not self.verifying and spotcheck.is_clear(timer, self.seconds, trained, self.steps_apart):
            return
        if not (trained and self.steps_apart):
            yield from aftercheck.reasons(timer, self.seconds)
        if trained:
            yield from training.reasons(trained, self._make(), self.steps, self.seconds, self.clocks.wall)

    def ceiling(self) -> dict[str, Any]:
        """The most that this backend gets out of its device."""
        self.timer = None
        gc.collect()
        return ceilings.measure(self.net_class, self.device, self.dtype, self.clocks)

    def probe(self) -> dict[str, Any]:
        """Processor seconds per second of a large product: whether a thread limit held."""
        self.problem = Problem.random(PROBE_SIZE, PROBE_SIZE, PROBE_SIZE, 1)
        timer = self._timer("forward")
        timer.choose_inner(samples=1)
        _, cpu_per_wall = timer.block(inner=8, samples=1)
        return {"cpu_per_wall": cpu_per_wall, "devices": self._devices()}

    def _load(self) -> Any:
        try:
            net_class = implementations.load(self.implementation)
        except Unavailable as error:
            raise Failure("unavailable", str(error)) from error
        except LookupError as error:
            raise Failure("crashed", str(error)) from error
        except NOT_HERE as error:
            raise self._not_here("it cannot be imported", error) from error
        if lacking := contract.complaint(self.implementation, net_class):
            raise Failure("crashed", lacking)
        return net_class

    def _devices(self) -> list[str]:
        try:
            return self.net_class.devices()
        except Unavailable as error:
            raise self._unavailable(str(error)) from error
        except NOT_HERE as error:
            raise self._not_here("it finds no device", error) from error

    def _not_here(self, what: str, error: Exception) -> Exception:
        """Of an exception that is not this project's own; being out of memory is another outcome."""
        if exceptions.is_out_of_memory(error):
            return error
        traceback.print_exception(error)  # into the log: the reason has only its first line
        return self._unavailable(f"{what}: {exceptions.with_place(error)}")

    def _unavailable(self, reason: str) -> Failure:
        """With the variables that may be the cause."""
        hiding = environment.hiding(os.environ, self.device, of_jax="jax" in sys.modules)
        return Failure("unavailable", f"{reason} (in the environment: {', '.join(hiding)})" if hiding else reason)

    def _make(self) -> Any:
        return self.net_class(self.problem, self.device, self.dtype)

    def _timer(self, phase: str) -> Timer:
        return Timer(self._make, phase, getattr(self, "steps", 1), self.clocks, self.slowdown)


def wrong(checks: list[Check]) -> Failure:
    """Named by the first tensor that failed: what goes wrong there spreads to those computed from it."""
    failed = [check for check in checks if not check.passed]
    others = f" (and {len(failed) - 1} more of {len(checks)} comparisons)" if len(failed) > 1 else ""
    return Failure("wrong", f"{failed[0]}{others}", error=failed[0].error, tolerance=failed[0].tolerance)


def _version(backend: str) -> str:
    """Of an import name; of CuPy, whose distributions are called by their CUDA, the module's own."""
    try:
        return importlib.metadata.version(backend)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(backend), "__version__", "unknown"))


def _blas() -> str:
    """The BLAS that NumPy was built with."""
    build = np.show_config(mode="dicts") or {}
    blas = build.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
