"""Write the first file of a new backend: a class in NumPy that passes `python -m bench check`."""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path
from typing import Any

from . import output

HELP = "write a first file for a new backend"
CLASS = "Net"
"""The name of the class in each file of `implementations/`."""
RESERVED = ("all", "interface")
"""Names that mean something else: all implementations, and the module of the interface."""
TEMPLATE = '''"""The network in NumPy: replace it by your framework, and check the class after each change."""

from implementations import TwoLayerNet, Unavailable

try:
    import numpy as np  # replace: your framework
except ImportError as error:
    raise Unavailable("NumPy is not installed: pip install numpy") from error  # replace: its name, how to get it

DEVICE_KINDS = ("cpu",)  # replace: the kinds of device it knows, like ("cpu", "cuda")


class Net(TwoLayerNet):
    backend = "numpy"  # replace: the import name, whose version is recorded

    def __init__(self, problem, device="cpu", dtype="float32"):
        super().__init__(problem, device, dtype)
        self.x, self.y, w1, w2 = problem.arrays(dtype)  # replace: move them to the device here, not in the phases
        self.w1, self.w2 = w1.copy(), w2.copy()  # the problem's arrays are shared: copy what is updated

    # Replace the mathematics. A phase computes all of its results from scratch, and nothing else.

    def forward(self):
        self.h = self.x @ self.w1
        self.y_pred = np.maximum(self.h, 0) @ self.w2

    def backward(self):
        grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = np.maximum(self.h, 0).T @ grad_y
        self.grad_w1 = self.x.T @ (grad_y @ self.w2.T * (self.h > 0))

    def update(self):
        self.w1 -= self.learning_rate * self.grad_w1
        self.w2 -= self.learning_rate * self.grad_w2

    def loss(self):
        return np.square(self.y_pred - self.y).sum()

    # Add step() and train(steps) where your framework's users would fuse them, synchronize() where it returns before
    # the work is done, and devices() where it has others than the host's processor: see implementations/interface.py.

    # Replace: fetch the arrays to the host, as NumPy's, and the weights as copies.

    def weights(self):
        return self.w1.copy(), self.w2.copy()

    def gradients(self):
        return self.grad_w1, self.grad_w2

    def prediction(self):
        return self.y_pred
'''


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "name", metavar="NAME", help="of a file in implementations/, or module:Class for one in the working folder"
    )


def run(asked: argparse.Namespace) -> Any:
    import implementations
    from bench.measure import logs

    module, colon, class_name = asked.name.partition(":")
    if colon:
        check_names(asked.name, *module.split("."), class_name)
        file = Path(*module.split(".")).with_suffix(".py")
    else:
        check_names(asked.name, module)
        file = Path(implementations.__file__).parent / f"{module}.py"
        if module in (taken := [*implementations.names(), *RESERVED]):
            raise ValueError(f"{asked.name!r} is taken, as are {', '.join(taken)}; choose another name")
        if module != module.strip("_"):
            raise ValueError(f"{asked.name!r} begins or ends with _, which is no part of an implementation's name")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text(class_name or CLASS))
    except FileExistsError as error:
        raise ValueError(f"{file} is there already, and is left as it is") from error
    output.say(
        f"wrote {logs.path_from_here(file)}: a class in NumPy, whose comments say what to replace. Then:",
        f"  python -m bench check {asked.name}",
        f"  pytest bench/ --benchmark-only --grid smoke --implementations numpy,{asked.name}",
    )
    return {"file": str(file), "implementation": asked.name}


def text(class_name: str = CLASS) -> str:
    """Return the file's text, with a class of this name."""
    return TEMPLATE.replace(f"class {CLASS}(", f"class {class_name}(")


def check_names(name: str, *parts: str) -> None:
    """Raise ValueError where a part of a name cannot name a module or a class."""
    for part in parts:
        if not (part.isascii() and part.isidentifier()) or keyword.iskeyword(part):
            raise ValueError(
                f"{name!r} names no file: write a name of letters, digits and _, like mine, or a class, like mymod:Net"
            )
