"""Tests of CuPy's net on a fake CuPy that computes with NumPy and refuses to mix host and device arrays."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

import implementations
from bench.measure.worker.verify import verify
from implementations import Problem, TwoLayerNet, Unavailable, load

MODULE = "implementations.cupy_"
SHAPE = (6, 9, 8, 4)


class DeviceArray(NDArrayOperatorsMixin):
    """An array as strict as CuPy's: it mixes only with its own kind and scalars, and never converts implicitly."""

    def __init__(self, data):
        self.data = np.asarray(data)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        assert method == "__call__"
        if out is None:
            return DeviceArray(ufunc(*map(unwrap, inputs), **options))
        (target,) = out
        ufunc(*map(unwrap, inputs), out=target.data, **options)
        return target

    def __getitem__(self, key):
        return DeviceArray(self.data[unwrap(key)])

    def __setitem__(self, key, value):
        self.data[unwrap(key)] = unwrap(value)

    @property
    def T(self):  # noqa: N802
        return DeviceArray(self.data.T)

    def sum(self):
        return DeviceArray(self.data.sum())


def unwrap(value):
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value.data if isinstance(value, DeviceArray) else value


class CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(count=2):
    """Return a fake module `cupy` with `count` devices, whose calls are recorded in `calls`."""
    calls = []

    class Device:
        def __init__(self, index):
            self.index = index

        def use(self):
            calls.append(("use", self.index))

        def synchronize(self):
            calls.append(("synchronize", self.index))

    def get_device_count():
        if isinstance(count, Exception):
            raise count
        return count

    fake = ModuleType("cupy")
    fake.calls = calls
    fake.asarray = lambda array: DeviceArray(np.array(array))
    fake.asnumpy = lambda array: array.data.copy()
    fake.maximum, fake.square = np.maximum, np.square
    fake.stack = lambda arrays: DeviceArray(np.stack([array.data for array in arrays]))
    fake.get_default_memory_pool = lambda: SimpleNamespace(total_bytes=lambda: 4096)
    fake.cuda = SimpleNamespace(
        Device=Device,
        runtime=SimpleNamespace(
            getDeviceCount=get_device_count,
            getDeviceProperties=lambda index: {"name": f"Stand-in {index}".encode()},
            CUDARuntimeError=CUDARuntimeError,
        ),
    )
    return fake


@pytest.fixture
def install(monkeypatch):
    """Return a function that installs a module as `cupy` and imports the net's class; restore both afterwards."""
    original = sys.modules.pop(MODULE, None)
    attribute = vars(implementations).pop("cupy_", None)

    def make(fake):
        sys.modules.pop(MODULE, None)
        monkeypatch.setitem(sys.modules, "cupy", fake)
        return importlib.import_module(MODULE).Net

    yield make
    sys.modules.pop(MODULE, None)
    vars(implementations).pop("cupy_", None)
    if original is not None:
        sys.modules[MODULE] = original
    if attribute is not None:
        implementations.cupy_ = attribute


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def problem():
    problem = Problem.random(*SHAPE, seed=1)
    assert np.abs(problem.x @ problem.w1).min() > 1e-3
    return problem


def expected_results(problem, steps):
    """Return all results of a net, in float64, after `steps` steps and one more forward and backward."""
    x, y, w1, w2 = problem.x, problem.y, problem.w1, problem.w2
    losses = []
    for step in range(steps + 1):
        mask = (x @ w1 > 0).astype(float)
        y_pred = (x @ w1 * mask) @ w2
        grad_w1 = np.einsum("ni,nh,nh->ih", x, mask, 2 * (y_pred - y) @ w2.T)
        grad_w2 = np.einsum("nh,no->ho", x @ w1 * mask, 2 * (y_pred - y))
        if step < steps:
            losses.append(((y_pred - y) ** 2).sum())
            w1, w2 = w1 - problem.learning_rate * grad_w1, w2 - problem.learning_rate * grad_w2
    return SimpleNamespace(losses=np.array(losses), w1=w1, w2=w2, y_pred=y_pred, gradients=(grad_w1, grad_w2))


def assert_close(actual, expected, dtype):
    assert type(actual) is np.ndarray
    assert actual.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_phases_compute_prediction_gradients_and_update(install, dtype, problem):
    net = install(fake_cupy())(problem, dtype=dtype)
    expected = expected_results(problem, 0)
    net.forward()
    assert_close(net.prediction(), expected.y_pred, dtype)
    net.backward()
    for actual, gradient in zip(net.gradients(), expected.gradients, strict=True):
        assert_close(actual, gradient, dtype)
    assert_close(net.to_host([net.loss()]), expected_results(problem, 1).losses, dtype)
    net.update()
    after = expected_results(problem, 1)
    for actual, weights in zip(net.weights(), (after.w1, after.w2), strict=True):
        assert_close(actual, weights, dtype)


def test_step_and_train_agree(install, dtype, problem):
    Net = install(fake_cupy())
    expected = expected_results(problem, 5)
    stepped, trained = Net(problem, dtype=dtype), Net(problem, dtype=dtype)
    for _ in range(5):
        stepped.step()
    losses = trained.train(5)
    assert_close(losses, expected.losses, dtype)
    for net in (stepped, trained):
        for actual, after in zip(net.weights(), (expected.w1, expected.w2), strict=True):
            assert_close(actual, after, dtype)


def test_verification_passes(install, dtype, problem):
    Net = install(fake_cupy())
    checks = verify(lambda: Net(problem, "cuda", dtype))
    assert [str(check) for check in checks if not check.passed] == []


def test_later_phases_change_no_returned_arrays_and_no_problem(install, dtype, problem):
    net = install(fake_cupy())(problem, dtype=dtype)
    net.forward()
    net.backward()
    arrays = [*net.weights(), *net.gradients(), net.prediction(), *problem.arrays(dtype), problem.w1, problem.w2]
    copies = [array.copy() for array in arrays]
    net.update()
    net.train(3)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_devices_are_listed_and_named(install):
    Net = install(fake_cupy(2))
    assert issubclass(Net, TwoLayerNet)
    assert Net.backend == "cupy"
    assert Net.devices() == ["cuda", "cuda:0", "cuda:1"]
    assert Net.device_name("cuda") == Net.device_name("cuda:0") == "Stand-in 0"
    assert Net.device_name("cuda:1") == "Stand-in 1"


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_the_requested_device_is_used_and_synchronized(install, problem, device, index):
    fake = fake_cupy()
    net = install(fake)(problem, device)
    assert fake.calls == [("use", index)]
    net.forward()
    net.backward()
    net.update()
    assert fake.calls == [("use", index)]
    net.synchronize()
    assert fake.calls == [("use", index), ("synchronize", index)]


def test_peak_device_bytes_come_from_the_memory_pool(install, problem):
    assert install(fake_cupy())(problem).peak_device_bytes() == 4096


def test_unavailable_without_a_device(install):
    with pytest.raises(Unavailable, match="finds no CUDA device"):
        install(fake_cupy(0)).devices()


def test_unavailable_with_the_message_of_the_cuda_runtime(install):
    error = CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    with pytest.raises(Unavailable, match="finds no CUDA device: cudaErrorInsufficientDriver"):
        install(fake_cupy(error)).devices()


def test_unavailable_without_cupy_with_an_install_hint(install):
    with pytest.raises(Unavailable, match=r"CuPy is not installed: .*cuda1[23]"):
        install(None)


def test_the_fake_is_as_strict_as_cupy():
    on_device = fake_cupy().asarray(np.ones(3))
    with pytest.raises(TypeError, match="Unsupported type"):
        on_device + np.ones(3)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(on_device)


def test_the_fake_was_removed_again():
    for module in (sys.modules.get(MODULE), getattr(implementations, "cupy_", None)):
        assert module is None or not hasattr(module.cupy, "calls")
    assert not hasattr(sys.modules.get("cupy"), "calls")


def test_on_a_real_gpu(dtype):
    try:
        Net = load("cupy")
        devices = Net.devices()
    except Unavailable as reason:
        pytest.skip(str(reason))
    problem = Problem.random(64, 1000, 100, 10)
    for device in devices:
        checks = verify(lambda device=device: Net(problem, device, dtype))
        assert [str(check) for check in checks if not check.passed] == []
        assert Net.device_name(device)
        assert Net(problem, device, dtype).peak_device_bytes() >= problem.w1.astype(dtype).nbytes
