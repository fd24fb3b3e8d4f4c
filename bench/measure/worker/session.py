"""The requests that a worker answers: one method per request, with plain data in and out."""

from __future__ import annotations

import gc
import importlib.metadata
import math
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
from implementations import Unavailable

from . import (
    aftercheck,
    ceilings,
    contract,
    course,
    environment,
    exceptions,
    kernels,
    layout,
    memory,
    problems,
    spotcheck,
    training,
)
from .conformance import checks
from .conformance.subject import Subject
from .disturbance import Monitor
from .timing import Clocks, Timer
from .verify import Check, verify, worst

PROBE_SIZES = (384, 1536)
"""The sizes of a product whose threads are counted: the larger, unless the smaller takes PROBE_SECONDS."""
PROBE_SECONDS = 0.05
MISSING_ERRORS = (ImportError, OSError, RuntimeError, AssertionError)
"""Exceptions that frameworks raise when a library, a driver or a device is missing."""


class Failure(Exception):
    """A cell cannot be timed: its status, and why."""

    def __init__(self, status: str, reason: str, **figures: float) -> None:
        super().__init__(reason)
        self.status, self.figures = status, figures


@dataclass
class Session:
    """One contender in one process."""

    implementation: str
    device: str
    dtype: str
    slowdown: float = 0.0
    clocks: Clocks = field(default_factory=Clocks)
    timer: Timer | None = None
    seconds: float | None = None
    """The time of the quickest iteration in the last block of the current cell."""
    verifying: bool = False
    steps_apart: bool = False
    """Whether the current shape's step is timed too, so that its cell's check also covers a training's steps."""

    def __post_init__(self) -> None:
        self.monitor = Monitor(self.clocks)

    def start(self, started: float) -> dict[str, Any]:
        """Import the backend and find the device; `started` is when the import of NumPy, which all need, began.
        Raises Failure."""
        variables = dict(os.environ)  # before the backend, which may add its own
        self.net_class = self._load()
        self._check_dtype()
        devices = self._devices()
        import_seconds = self.clocks.wall() - started
        gc.freeze()  # else collecting a framework's modules before every cell would take longer than the cell
        if self.device not in devices:
            kinds = implementations.device_kinds(self.implementation)
            known = self.device.partition(":")[0] in kinds
            not_found = f"{self.implementation} finds only {', '.join(devices)} here"
            not_supported = f"{self.implementation} runs on {', '.join(kinds)} only, not on {self.device}"
            raise self._unavailable(not_found) if known else Failure("unsupported", not_supported)
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
        reference: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Set up a shape's problem, call each phase for the first time, and if `check`, verify the results, by the
        `reference` that is stored for all contenders if there is one. Raises Failure, also where the device has less
        than `device_bytes` free."""
        self.timer = None
        free = self.net_class.free_device_bytes(self.device) if hasattr(self.net_class, "free_device_bytes") else None
        if free is not None and free < device_bytes:
            available = f"{free / 1e9:.3g} GB of {self.device} are free"
            raise Failure("out_of_memory", f"its arrays need {device_bytes / 1e9:.3g} GB at least, and {available}")
        self.problem = problems.random(shape, self.dtype)
        self.problem.arrays(self.dtype)
        self.steps, self.verifying, self.steps_apart = steps, check, "step" in phases
        now = self.clocks.wall
        started = now()
        self._make().synchronize()
        setup_seconds = now() - started
        # Steps go first, since a training begins with one: what a process does only once counts as the step's.
        first_calls = {
            phase: self.timer_of(phase).first_call() for phase in sorted(phases, key=lambda phase: phase != "step")
        }
        answer: dict[str, Any] = {"setup_seconds": setup_seconds, "first_calls": first_calls}
        if not check:
            return answer | {"tensor": "", "error": None, "tolerance": None, "verify_seconds": 0.0}
        started = now()
        checks, about_reference = self._verify(reference)
        closest = worst(checks)
        if not closest.passed:
            raise wrong(checks)
        verified = {"tensor": closest.tensor, "error": closest.error, "tolerance": closest.tolerance}
        return answer | verified | about_reference | {"verify_seconds": now() - started}

    def _verify(self, reference: dict[str, Any] | None) -> tuple[list[Check], dict[str, Any]]:
        """Verify by the stored reference, else by one that is computed here; return also why, and whether it is that
        the stored one was changed."""
        if reference is None:
            return verify(self._make), {}
        try:
            return verify(self._make, lambda net: course.stored(net, **reference)), {}
        except course.Unusable as error:
            about = {"own_reference": str(error), "reference_changed": isinstance(error, course.Changed)}
            return verify(self._make), about

    def enter(self, phase: str, samples: int, inner: int | None = None, seed: int = 0) -> dict[str, Any]:
        """Prepare the timing of a phase. A given `inner` is kept, else it and `samples` are calibrated. `seed` decides
        where in memory each block's net will lie."""
        gc.collect()
        memory.reset_peak()
        self.layouts = random.Random(seed)
        self.timer = self.timer_of(phase)
        if inner is None:
            inner, samples = self.timer.choose_inner(samples)
        self.inner, self.samples, self.seconds = inner, samples, None
        return {"inner": inner, "samples": samples}

    def block(self, alignment: int | None = None) -> dict[str, Any]:
        """Re-warm and take a block of samples, with a net that lies elsewhere in memory than the last block's: at this
        `alignment` of its first weights, if it can be had in a moment."""
        assert self.timer, "enter comes before block"
        phase, self.timer = self.timer.phase, None
        self.timer, aligned = self._laid_out(phase, alignment)
        rewarm_seconds = self.timer.rewarm()
        before = self.monitor.read()
        seconds, cpu_per_wall = self.timer.block(self.inner, self.samples)
        disturbance = self.monitor.since(before)
        self.seconds = min(seconds)
        if self.timer.trained:
            self.training = training.Training.of(*self.timer.trained)
        times = {"seconds": seconds, "cpu_per_wall": cpu_per_wall, "rewarm_seconds": rewarm_seconds}
        return {**times, **disturbance, "alignment": aligned}

    def _laid_out(self, phase: str, alignment: int | None) -> tuple[Timer, int | None]:
        """Return the timer of a net that lies elsewhere in memory, and at which alignment its first weights begin."""
        end = self.clocks.wall() + layout.ALIGN_SECONDS
        while True:
            self.holes = layout.scatter(self.layouts)
            timer = self.timer_of(phase)
            aligned = layout.alignment_of(timer.net)
            if alignment is None or aligned in (None, alignment) or self.clocks.wall() >= end:
                return timer, aligned
            del timer  # or its memory would be in the way of the next

    def leave(self) -> dict[str, Any]:
        """Finish the phase; return its peak memory. Raises Failure where a block's work was not done."""
        assert self.timer, "enter comes before leave"
        device_bytes, host_bytes = self.timer.net.peak_device_bytes(), memory.peak_bytes()
        timer, self.timer = self.timer, None
        started = self.clocks.wall()
        if reason := next(self.reasons(timer), None):
            raise Failure("wrong", reason)
        check_seconds = self.clocks.wall() - started
        return {"host_bytes": host_bytes, "device_bytes": device_bytes, "check_seconds": check_seconds}

    def reasons(self, timer: Timer) -> Iterator[str]:
        """Yield why the cell that was timed last is wrong, in words."""
        if self.seconds is None:  # no block was asked for
            return
        trained = self.training if timer.phase == "train" else None
        if not self.verifying and spotcheck.is_clear(timer, self.seconds, trained, self.steps_apart):
            return
        if not (trained and self.steps_apart):
            yield from aftercheck.reasons(timer, self.seconds)
        if trained:
            yield from training.reasons(trained, self._make(), self.steps, self.seconds, self.clocks.wall)

    def ceiling(self, footprints: list[int], probe: bool = False, seconds: float = math.inf) -> dict[str, Any]:
        """Measure the highest rates of this backend on its device, or only a few for a `probe`, for about so many
        `seconds`. `footprints` are the cells', in bytes."""
        self.timer = None
        gc.collect()
        return ceilings.measure(self.net_class, self.device, self.dtype, self.clocks, footprints, probe, seconds)

    def calls(self, phases: list[str]) -> dict[str, Any]:
        """Measure what a call of each phase takes without any work."""
        self.timer = None
        gc.collect()
        return {"seconds": ceilings.calls(self.net_class, self.device, self.dtype, self.clocks, phases)}

    def probe(self) -> dict[str, Any]:
        """Measure the processor seconds per second of a large product, which show whether a thread limit is obeyed."""
        for size in PROBE_SIZES:
            self.problem = problems.random((size, size, size, 1), self.dtype)
            timer = self.timer_of("forward")
            timer.first_call()
            if timer.run(1) > PROBE_SECONDS:
                break
        timer.choose_inner(samples=1)
        _, cpu_per_wall = timer.block(inner=8, samples=1)
        return {"cpu_per_wall": cpu_per_wall, "devices": self._devices()}

    def devices(self) -> dict[str, Any]:
        """Return the devices that the class finds here. Raises Failure."""
        return {"devices": self._devices()}

    def conform(self, check: str, shape: list[int], phases: list[str], threads: int) -> dict[str, Any]:
        """Make one check of the class against the interface, in a process with this limit of threads."""
        self.timer = None
        gc.collect()
        N, D_in, H, D_out = shape
        return checks.outcome(check, Subject(self, (N, D_in, H, D_out), phases, threads))

    def _load(self) -> Any:
        try:
            net_class = implementations.load(self.implementation)
        except Unavailable as error:
            raise Failure("unavailable", str(error)) from error
        except LookupError as error:
            raise Failure("crashed", str(error)) from error
        except MISSING_ERRORS as error:
            raise self._missing("it cannot be imported", error) from error
        if lacking := contract.complaint(self.implementation, net_class):
            raise Failure("crashed", lacking)
        return net_class

    def _check_dtype(self) -> None:
        """Raise Failure where the implementation does not have the dtype."""
        # The implementations of a comparison's base may be older than their dtypes.
        dtypes_of = getattr(implementations, "dtypes_of", lambda name: ("float32", "float64"))
        try:
            known = dtypes_of(self.implementation)
        except LookupError as error:
            raise Failure("crashed", str(error)) from error
        if self.dtype not in known:
            *others, last = known
            only = f"{', '.join(others)} and {last}" if others else last
            raise Failure("unsupported", f"{self.implementation} has no {self.dtype}, only {only}")

    def _devices(self) -> list[str]:
        try:
            return self.net_class.devices()
        except Unavailable as error:
            raise self._unavailable(str(error)) from error
        except MISSING_ERRORS as error:
            raise self._missing("it finds no device", error) from error

    def _missing(self, what: str, error: Exception) -> Exception:
        """Return the failure for an exception that is not this project's; if out of memory, the exception itself."""
        if exceptions.is_out_of_memory(error):
            return error
        traceback.print_exception(error)  # into the log, since the reason has only its first line
        return self._unavailable(f"{what}: {exceptions.with_location(error)}")

    def _unavailable(self, reason: str) -> Failure:
        """Return a failure that names the variables that may be its cause."""
        hiding = environment.hiding(os.environ, self.device, of_jax="jax" in sys.modules)
        return Failure("unavailable", f"{reason} (in the environment: {', '.join(hiding)})" if hiding else reason)

    def _make(self) -> Any:
        return self.net_class(self.problem, self.device, self.dtype)

    def timer_of(self, phase: str) -> Timer:
        """Return the timer of a phase of a new net, at the shape that was prepared."""
        return Timer(self._make, phase, getattr(self, "steps", 1), self.clocks, self.slowdown)


def wrong(checks: list[Check]) -> Failure:
    """Return a failure named by the first tensor that failed, since its errors spread to those computed from it."""
    failed = [check for check in checks if not check.passed]
    further = f" (and {len(failed) - 1} more of {len(checks)} comparisons)" if len(failed) > 1 else ""
    return Failure("wrong", f"{failed[0]}{further}", error=failed[0].error, tolerance=failed[0].tolerance)


def _version(backend: str) -> str:
    """Return a backend's version by its import name; for CuPy, whose distributions are named by CUDA, the module's."""
    try:
        return importlib.metadata.version(backend)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(backend), "__version__", "unknown"))


def _blas() -> str:
    """Return the BLAS that NumPy was built with."""
    build = np.show_config(mode="dicts") or {}
    blas = build.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
