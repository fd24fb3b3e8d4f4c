"""NumPy's network with one fault at one moment of its worker's life.

The modules that `runs.py` writes import it in workers.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from implementations.numpy_ import Net as Numpy

from . import kinds

MOMENTS = ("import", "construction", "first call", "verification", "mid-block", "report", "shutdown")
"""At `report` a worker reports the memory that a cell took, after its blocks."""
FIRED = "RELUBENCH_FAULTS_FIRED"
"""The variable that names the folder with a file for each fault that has happened."""
BLOCK = 2
"""The number of the block in a process in whose middle a fault happens."""


def hostile(do: Callable[[], Any], moment: str, name: str, once: bool = False) -> type[Numpy]:
    """Return a class of networks with a fault. With `once`, it happens only in the first process that gets there."""
    fired = Path(os.environ[FIRED]) / name
    blocks = 0

    def fire() -> None:
        if once and fired.exists():
            return
        fired.touch()
        do()

    class Hostile(Numpy):
        has_stepped = is_in_block = False

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if moment == "construction":
                fire()

        def step(self) -> None:
            nonlocal blocks
            self.has_stepped = True
            if moment == "first call" and _is_called_by("first_call"):
                fire()
            if moment == "mid-block" and not self.is_in_block and _is_called_by("block"):
                self.is_in_block = True
                blocks += 1
                if blocks == BLOCK:
                    fire()
            super().step()

        def prediction(self) -> np.ndarray:
            if moment == "verification" and _is_called_by("verify"):
                fire()
            return kinds.results_as(super().prediction())

        def gradients(self) -> tuple[np.ndarray, np.ndarray]:
            w1, w2 = super().gradients()
            return kinds.results_as(w1), kinds.results_as(w2)

        def weights(self) -> tuple[np.ndarray, np.ndarray]:
            w1, w2 = super().weights()
            return kinds.results_as(w1), kinds.results_as(w2)

        def peak_device_bytes(self) -> None:
            if moment == "report" and self.has_stepped:
                fire()

    if moment == "import":
        fire()
    if moment == "shutdown":
        atexit.register(fire)
    return Hostile


def _is_called_by(function: str) -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == function:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
