"""TensorFlow, by hand: each phase and the whole step are graphs (`tf.function`). On a GPU, calls return before the work
is done."""

from __future__ import annotations

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable

try:
    import tensorflow as tf
except ImportError as error:
    raise Unavailable("TensorFlow is not installed: pip install -e '.[tensorflow]'") from error

DEVICE_KINDS = ("cpu", "cuda")
DTYPES = ("float16", "bfloat16", "float32", "float64")
CEILINGS = False

tf.config.experimental.enable_tensor_float_32_execution(False)
for gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(gpu, True)  # else the first net takes all of its memory


@tf.function
def forward(x, w1, w2):
    h_relu = tf.nn.relu(x @ w1)
    return h_relu, h_relu @ w2


@tf.function
def backward(x, y, w2, h_relu, y_pred):
    grad_y = 2 * (y_pred - y)
    grad_w2 = tf.matmul(h_relu, grad_y, transpose_a=True)
    grad_h = tf.where(h_relu > 0, tf.matmul(grad_y, w2, transpose_b=True), 0)
    return tf.matmul(x, grad_h, transpose_a=True), grad_w2


@tf.function
def update(w1, w2, grad_w1, grad_w2, rate):
    w1.assign_sub(rate * grad_w1)
    w2.assign_sub(rate * grad_w2)


@tf.function
def step(w1, w2, x, y, rate):
    h_relu, y_pred = forward(x, w1, w2)
    update(w1, w2, *backward(x, y, w2, h_relu, y_pred), rate)
    return tf.reduce_sum(tf.square(y_pred - y))


class Net(TwoLayerNet):
    backend = "tensorflow"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        self.place = "CPU:0" if device == "cpu" else f"GPU:{_index(device)}"
        with tf.device(self.place):
            # A tensor may use a host array's memory, which is then its own.
            self.x, self.y, w1, w2 = (tf.cast(array.copy(), dtype) for array in problem.arrays(dtype))
            self.w1, self.w2 = tf.Variable(w1), tf.Variable(w2)
            self.rate = tf.constant(self.learning_rate, dtype)

    def forward(self) -> None:
        with tf.device(self.place):
            self.h_relu, self.y_pred = forward(self.x, self.w1, self.w2)

    def backward(self) -> None:
        with tf.device(self.place):
            self.grad_w1, self.grad_w2 = backward(self.x, self.y, self.w2, self.h_relu, self.y_pred)

    def update(self) -> None:
        with tf.device(self.place):
            update(self.w1, self.w2, self.grad_w1, self.grad_w2, self.rate)

    def step(self) -> None:
        with tf.device(self.place):
            step(self.w1, self.w2, self.x, self.y, self.rate)

    def loss(self) -> tf.Tensor:
        return tf.reduce_sum(tf.square(self.y_pred - self.y))

    def train(self, steps: int) -> np.ndarray:
        with tf.device(self.place):
            return self.to_host([step(self.w1, self.w2, self.x, self.y, self.rate) for _ in range(steps)])

    def to_host(self, losses: list[tf.Tensor]) -> np.ndarray:
        return to_numpy(tf.stack(losses))

    def synchronize(self) -> None:
        if self.device != "cpu":
            tf.test.experimental.sync_devices()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.w1), to_numpy(self.w2)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.grad_w1), to_numpy(self.grad_w2)

    def prediction(self) -> np.ndarray:
        return to_numpy(self.y_pred)

    @classmethod
    def devices(cls) -> list[str]:
        count = len(tf.config.list_physical_devices("GPU"))
        return ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]

    @classmethod
    def device_name(cls, device: str) -> str | None:
        if device == "cpu":
            return None
        gpu = tf.config.list_physical_devices("GPU")[_index(device)]
        return tf.config.experimental.get_device_details(gpu).get("device_name")

    def peak_device_bytes(self) -> int | None:
        return None if self.device == "cpu" else tf.config.experimental.get_memory_info(self.place)["peak"]


def to_numpy(tensor: tf.Tensor | tf.Variable) -> np.ndarray:
    """Return a host copy: `numpy()` may return the tensor's own memory."""
    return (tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy().copy()


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)
