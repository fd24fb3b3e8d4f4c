"""The things that are measured: shapes, contenders, cells, and the work in each phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PHASES = ("forward", "backward", "update", "step", "train")
DTYPES = ("float32", "float64", "float16", "bfloat16")
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
        output_size = f"-O{self.D_out}" if self.D_out != DEFAULT_D_OUT else ""
        return f"N{self.N}-D{self.D_in}-H{self.H}{output_size}"


@dataclass(frozen=True, order=True)
class Contender:
    """An implementation on a device, in a dtype, with a limit on its host threads."""

    implementation: str
    device: str
    dtype: str
    threads: int | Literal["all"] = ALL_THREADS
    variant: str = ""
    """Distinguishes contenders that are otherwise alike, such as one that is slowed on purpose."""

    def __str__(self) -> str:
        return f"{self.implementation}-{self.device}-{self.dtype}"

    @property
    def label(self) -> str:
        """The contender's name with its thread limit, like `numpy-cpu-float32-T1`."""
        limited = f"-T{self.threads}" if self.threads != ALL_THREADS else ""
        return f"{self}{limited}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"~{self.variant}" if self.variant else ""

    @property
    def group(self) -> tuple[str, str]:
        """The dtype and thread limit. Contenders that agree in both are timed in turns."""
        return self.dtype, str(self.threads)

    @property
    def place(self) -> Place:
        """The device, dtype and thread limit. Contenders that agree in all three share their ceilings."""
        return self.device, *self.group


@dataclass(frozen=True)
class Side:
    """The interpreter and the sources that run the contenders of one side of a comparison."""

    name: str
    """`base` or `head`, which is also the variant of its contenders."""
    label: str
    """The name shown to users, like `9bd0a46 (origin/main)`."""
    interpreter: str
    source: str
    """The folder that contains its `implementations`."""
    implementations: tuple[str, ...]
    """The names of its implementations."""


@dataclass(frozen=True, order=True)
class Cell:
    """A contender at a shape in a phase: one row of the results."""

    contender: Contender
    shape: Shape
    phase: str

    @property
    def id(self) -> str:
        """The text between the brackets of the cell's test, like `jax-cpu-float32-N64-D1000-H100`."""
        limited = f"-T{self.contender.threads}" if self.contender.threads != ALL_THREADS else ""
        return f"{self.contender}-{self.shape}{limited}{self.contender._suffix}"

    @property
    def key(self) -> str:
        """The cell's name in the journal, like `step[jax-cpu-float32-N64-D1000-H100]`."""
        return f"{self.phase}[{self.id}]"


def without_variant(key: str) -> str:
    """Return a cell's key without its variant."""
    name, variant, _ = key.partition("~")
    return f"{name}]" if variant else key


def flops(shape: Shape, phase: str, steps: int = 1) -> int:
    """Return the floating-point operations of one iteration of a phase, a matrix product counting as 2·m·k·n.

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
