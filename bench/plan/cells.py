"""The things that are measured: shapes, contenders, cells, and the work in each phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PHASES = ("forward", "backward", "update", "step", "train")
DTYPES = ("float32", "float64")
DEFAULT_D_OUT = 10
ALL_THREADS: Literal["all"] = "all"


Place = tuple[str, str, str]
"""A device, a dtype and a thread limit."""


@dataclass(frozen=True, order=True)
class Shape:
    """Sizes of the network and its batch: x is (N, D_in), w1 (D_in, H), w2 (H, D_out)."""

    N: int
    D_in: int
    H: int
    D_out: int = DEFAULT_D_OUT

    def __str__(self) -> str:
        wide = f"-O{self.D_out}" if self.D_out != DEFAULT_D_OUT else ""
        return f"N{self.N}-D{self.D_in}-H{self.H}{wide}"


@dataclass(frozen=True, order=True)
class Contender:
    """An implementation on a device, in a dtype, with a limit on its host threads."""

    implementation: str
    device: str
    dtype: str
    threads: int | Literal["all"] = ALL_THREADS
    variant: str = ""
    """Tells apart contenders that are alike in all else, like one that is slowed on purpose."""

    def __str__(self) -> str:
        return f"{self.implementation}-{self.device}-{self.dtype}"

    @property
    def label(self) -> str:
        """Its name with its thread limit, like `numpy-cpu-float32-T1`."""
        limited = f"-T{self.threads}" if self.threads != ALL_THREADS else ""
        return f"{self}{limited}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"~{self.variant}" if self.variant else ""

    @property
    def group(self) -> tuple[str, str]:
        """Contenders that are timed in turns: those whose dtype and thread limit agree."""
        return self.dtype, str(self.threads)

    @property
    def place(self) -> Place:
        """Contenders that share their ceilings: those whose device, dtype and thread limit agree."""
        return self.device, *self.group


@dataclass(frozen=True)
class Side:
    """What one side's contenders are run by."""

    name: str
    """`base` or `head`: the variant of its contenders."""
    label: str
    """For people, like `9bd0a46 (origin/main)`."""
    interpreter: str
    source: str
    """The folder that holds its `implementations`."""
    implementations: tuple[str, ...]
    """Their names."""


@dataclass(frozen=True, order=True)
class Cell:
    """One row of the results."""

    contender: Contender
    shape: Shape
    phase: str

    @property
    def id(self) -> str:
        """What stands between a test's brackets, like `jax-cpu-float32-N64-D1000-H100`."""
        limited = f"-T{self.contender.threads}" if self.contender.threads != ALL_THREADS else ""
        return f"{self.contender}-{self.shape}{limited}{self.contender._suffix}"

    @property
    def key(self) -> str:
        """Names the cell in the journal, like `step[jax-cpu-float32-N64-D1000-H100]`."""
        return f"{self.phase}[{self.id}]"


def without_variant(key: str) -> str:
    """The key of the cell that a variant's is of."""
    name, variant, _ = key.partition("~")
    return f"{name}]" if variant else key


def flops(shape: Shape, phase: str, steps: int = 1) -> int:
    """Floating-point operations of one iteration of a phase, counting matrix products as 2·m·k·n.

    Forward: x·w1 and h_relu·w2. Backward: h_reluᵀ·grad_y, grad_y·w2ᵀ and xᵀ·grad_h. A step is both,
    4·N·D_in·H + 6·N·H·D_out; its update, a multiplication and a subtraction for every weight, is
    counted only where it is timed alone. `train` is `steps` steps.
    """
    first, second = shape.N * shape.D_in * shape.H, shape.N * shape.H * shape.D_out
    match phase:
        case "forward":
            return 2 * first + 2 * second
        case "backward":
            return 2 * first + 4 * second
        case "update":
            return 2 * (shape.D_in * shape.H + shape.H * shape.D_out)
        case "step":
            return 4 * first + 6 * second
        case "train":
            return steps * flops(shape, "step")
    raise ValueError(f"{phase!r} is not a phase; phases are {', '.join(PHASES)}")
