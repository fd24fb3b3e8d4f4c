"""HIPS autograd: NumPy whose calls are recorded, so that the record gives the gradients."""

from __future__ import annotations

from .interface import Unavailable
from .numpy_ import Net as NumpyNet

try:
    import autograd
    import autograd.numpy as anp
except ImportError as error:
    raise Unavailable("autograd is not installed: pip install -e '.[autograd]'") from error

DEVICE_KINDS = ("cpu",)
DTYPES = ("float16", "float32", "float64")
STYLE_OF = "numpy"


def predict(weights, x):
    w1, w2 = weights
    h = anp.dot(x, w1)
    return anp.dot(anp.where(h > 0, h, 0), w2)  # the gradient of anp.maximum at 0 is a half


class Net(NumpyNet):
    backend = "autograd"

    def forward(self) -> None:
        self.pull_back, self.y_pred = autograd.make_vjp(predict)((self.w1, self.w2), self.x)

    def backward(self) -> None:
        self.grad_w1, self.grad_w2 = self.pull_back(2 * (self.y_pred - self.y))
