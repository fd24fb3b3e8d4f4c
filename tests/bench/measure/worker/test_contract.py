"""Classes that cannot be measured."""

import pytest

import implementations
from bench.measure.worker.contract import ONLY_BY_DEFAULTS, complaint
from implementations import TwoLayerNet, Unavailable
from implementations.numpy_ import Net


class WithoutUpdate(TwoLayerNet):
    forward = backward = loss = weights = gradients = prediction = lambda self: None


class WithoutBackend(WithoutUpdate):
    def update(self): ...


class OddBackend(WithoutBackend):
    backend = 3


class Fine(WithoutBackend):
    backend = "numpy"


class NotDerived:
    backend = "numpy"

    def forward(self): ...


class Alike:
    """Derives from nothing, and has all that is needed."""

    backend = "numpy"


for method in vars(TwoLayerNet):
    if not method.startswith("_") and method not in ONLY_BY_DEFAULTS:
        setattr(Alike, method, lambda self: None)


@pytest.mark.parametrize(
    ("net_class", "message"),
    [
        (
            WithoutBackend,
            'own:Net has no `backend`; name the package whose version is recorded, like backend = "numpy"',
        ),
        (OddBackend, "own:Net has 3 for `backend`; name the package"),
        (WithoutUpdate, 'own:Net lacks update; write it, see "Add a backend" in the README'),
        (lambda problem, device, dtype: None, "own:Net is no class but of type function; write a class derived from"),
        (3, "own:Net is no class but of type int"),
    ],
)
def test_unfit_class_is_told_what_to_write(net_class, message):
    assert complaint("own:Net", net_class).startswith(message)


def test_class_that_is_not_derived_is_told_all_it_lacks():
    line = complaint("own:Net", NotDerived)
    assert line.startswith("own:Net lacks precision, consumes_graph, backward, update, step, train, ")
    assert "or derive it from implementations.TwoLayerNet" in line
    assert "forward" not in line


@pytest.mark.parametrize("net_class", [Fine, Alike, Net])
def test_complete_class_is_accepted(net_class):
    assert complaint("own:Net", net_class) == ""


@pytest.mark.parametrize("name", implementations.names())
def test_every_implementation_is_accepted(name):
    try:
        net_class = implementations.load(name)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert complaint(name, net_class) == ""
