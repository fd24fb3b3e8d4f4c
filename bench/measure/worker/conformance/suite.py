"""What `python -m bench check` checks of a class, in order, and why each matters."""

from __future__ import annotations

from typing import NamedTuple

TUTORIAL = (64, 1000, 100, 10)
TINY = (4, 3, 5, 2)
SHAPES = (TUTORIAL, (7, 11, 5, 3), (1, 6, 4, 2), (9, 3, 8, 1))
"""N, D_in, H and D_out: the tutorial's; one of odd sizes; one sample; one output with more hidden units than inputs."""
ONE = (1, 1, 1, 1)
LARGE = (256, 1000, 500, 10)
"""Products so large that libraries share them among threads."""


class Item(NamedTuple):
    """A check, which a function of the same name makes."""

    name: str
    why: str
    """One sentence that says why a failed one matters."""
    shapes: tuple[tuple[int, int, int, int], ...] = SHAPES
    judges_results: bool = False
    """Whether it compares results with what they have to be."""
    needs_right_results: bool = False
    """Whether it is made only where no check that judges results has failed: it would fail for the same reason."""
    one_thread: bool = False
    """Whether it needs a process that is limited to one thread; it is then made once, on the host."""
    is_information: bool = False
    """Whether it passes with whatever it sees, which is shown."""


CLASS = Item(
    "class",
    "a run that cannot make and call the class has nothing to time, and ends its cells as crashed.",
    shapes=(),
)
"""The check that the class is found and can be called, which the parent makes by starting a process."""
SUITE = (
    Item(
        "types",
        "runs compare host arrays in the cell's own dtype; a cell with other shapes or dtypes is wrong.",
        judges_results=True,
    ),
    Item("arrays", "all nets of a process share the problem's arrays, and what a getter returned is compared later."),
    Item(
        "prediction",
        "only right results are timed: a cell whose prediction is not float64's is wrong.",
        judges_results=True,
    ),
    Item(
        "gradients",
        "only right results are timed: a cell whose gradients are not float64's is wrong.",
        judges_results=True,
    ),
    Item(
        "differences",
        "gradients that are not the slope of the loss do not train the network, whatever they agree with.",
        shapes=(TINY,),
        judges_results=True,
    ),
    Item(
        "update",
        "each update has to subtract the problem's learning rate × gradient, or another training is timed.",
        judges_results=True,
    ),
    Item(
        "trajectories",
        "step, the phases and train are timed as the same work: they have to lead to the same weights.",
        judges_results=True,
    ),
    Item(
        "repetition",
        "phases are timed many times in a row, by what `consumes_graph` says of a second backward.",
        judges_results=True,
    ),
    Item(
        "independence",
        "each block times a new net beside others: nets that share state compute what another one needs.",
        judges_results=True,
    ),
    Item(
        "determinism",
        "each process times the same problem anew: results that vary by more than rounding are unsound.",
        judges_results=True,
    ),
    Item(
        "precision",
        "times of different precisions are not compared: a net has to compute in the one that labels its cell.",
        shapes=(TUTORIAL,),
    ),
    Item(
        "order",
        "work that a constructor or an earlier phase has done is missing from the time of the phase it belongs to.",
    ),
    Item(
        "work",
        "runs call a cell wrong where work is left to getters, kept from earlier calls, or skipped.",
        shapes=(TUTORIAL,),
        needs_right_results=True,
    ),
    Item(
        "threads",
        "with `--threads 1`, a net that uses more processors is compared with none that keeps to the limit.",
        shapes=(LARGE,),
        one_thread=True,
    ),
    Item(
        "overhead",
        "the report takes what a call costs without any work from arrays of one element.",
        shapes=(ONE,),
        is_information=True,
    ),
)
