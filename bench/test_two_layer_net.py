"""The benchmarks: one test per cell. `implementations/interface.py` defines the phases."""


def test_forward(samples, benchmark):
    samples.replay(benchmark)


def test_backward(samples, benchmark):
    samples.replay(benchmark)


def test_update(samples, benchmark):
    samples.replay(benchmark)


def test_step(samples, benchmark):
    samples.replay(benchmark)


def test_train(samples, benchmark):
    samples.replay(benchmark)
