"""The Python array API standard: one text for several frameworks, in the words that all of them have. What the standard
lacks, such as waiting for a device, is the framework's own net's."""

from __future__ import annotations

from importlib import import_module

from .interface import TwoLayerNet, Unavailable

DEVICE_KINDS = {"numpy": ("cpu",), "torch": ("cpu", "cuda"), "jax": ("cpu", "cuda"), "cupy": ("cuda",)}
DTYPES = {
    "numpy": ("float16", "float32", "float64"),
    "torch": ("float16", "bfloat16", "float32", "float64"),
    "jax": ("float16", "bfloat16", "float32", "float64"),
    "cupy": ("float16", "float32", "float64"),
}


class Phases(TwoLayerNet):
    def forward(self) -> None:
        self.h = self.x @ self.w1
        self.h_relu = self.xp.where(self.h > 0, self.h, self.xp.zeros_like(self.h))
        self.y_pred = self.h_relu @ self.w2

    def backward(self) -> None:
        xp = self.xp
        grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = xp.matrix_transpose(self.h_relu) @ grad_y
        grad_h = grad_y @ xp.matrix_transpose(self.w2)
        grad_h = xp.where(self.h > 0, grad_h, xp.zeros_like(grad_h))
        self.grad_w1 = xp.matrix_transpose(self.x) @ grad_h

    def update(self) -> None:
        self.w1 = self.w1 - self.learning_rate * self.grad_w1
        self.w2 = self.w2 - self.learning_rate * self.grad_w2

    def loss(self):
        return self.xp.sum(self.xp.square(self.y_pred - self.y))

    step, train = TwoLayerNet.step, TwoLayerNet.train


def __getattr__(name: str) -> type[TwoLayerNet]:
    """Return the network on one framework's arrays."""
    if name not in DEVICE_KINDS:
        raise AttributeError(name)
    try:
        from array_api_compat import array_namespace
    except ImportError as error:
        raise Unavailable("array-api-compat is not installed: pip install -e '.[array-api]'") from error
    own_net = import_module(f".{name}_", __package__).Net

    class Net(Phases, own_net):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            self.xp = array_namespace(self.x)

    return Net
