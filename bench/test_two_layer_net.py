"""The benchmarks: one test a cell. What each phase is stands in `implementations/interface.py`."""


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
