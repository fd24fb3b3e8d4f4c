"""The worker's protocol, in this process and in a real worker for each installed backend."""

from __future__ import annotations

import io
import json
import math
import re
import sys

import numpy as np
import pytest

import implementations
from bench.measure.client import ProcessWorker, Setting, WorkerFailed
from bench.measure.worker import main
from bench.measure.worker.session import Failure
from bench.plan.cells import PHASES, Contender

CONFIG = {"implementation": "numpy", "device": "cpu", "dtype": "float32", "slowdown": None}
MOST_CPU_PER_WALL = 1.15
"""Processor seconds per second of one thread, with a margin for the clocks."""


def served(*requests, **config):
    """Return the replies to some requests, answered in this process."""
    replies = io.StringIO()
    lines = "".join(json.dumps({"id": number} | request) + "\n" for number, request in enumerate(requests))
    assert main.serve({**CONFIG, **config}, io.StringIO(lines), replies) == 0
    answers = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert [reply.pop("id") for reply in answers] == [*range(len(requests))]
    return answers


def test_every_request_has_a_reply_of_one_line():
    replies = served(
        {"verb": "start"},
        {"verb": "prepare", "shape": [3, 4, 2, 1], "phases": ["forward", "train"], "steps": 2},
        {"verb": "enter", "phase": "forward", "samples": 2, "inner": 3},
        {"verb": "block"},
        {"verb": "block"},
        {"verb": "leave"},
    )
    start, prepared, entered, block, _, left = [reply["ok"] for reply in replies]
    assert start["backend"] == "numpy"
    assert start["backend_version"] == np.__version__
    assert start["precision"] == "highest"
    assert start["device_name"] == ""
    assert start["import_seconds"] > 0
    assert start["details"]["executable"] == sys.executable
    assert prepared["first_calls"].keys() == {"forward", "train"}
    assert 0 <= prepared["error"] <= prepared["tolerance"]
    assert entered == {"inner": 3, "samples": 2}
    assert len(block["seconds"]) == 2
    assert left["host_bytes"] > 0
    assert left["device_bytes"] is None


def test_verified_cells_are_called_without_verification():
    request = {"verb": "prepare", "shape": [3, 4, 2, 1], "phases": ["step"], "steps": 2}
    _, first, later = served({"verb": "start"}, request, {**request, "check": False})
    assert first["ok"]["error"] is not None
    assert later["ok"]["first_calls"]["step"] > 0
    assert [later["ok"][name] for name in ("error", "tolerance", "tensor", "verify_seconds")] == [None, None, "", 0.0]


def test_slowed_contender_is_right():
    _, prepared, _, block, _ = served(
        {"verb": "start"},
        {"verb": "prepare", "shape": [3, 4, 2, 1], "phases": [*PHASES], "steps": 2},
        {"verb": "enter", "phase": "train", "samples": 2, "inner": 1},
        {"verb": "block"},
        {"verb": "leave"},
        slowdown=0.05,
    )
    assert 0 <= prepared["ok"]["error"] <= prepared["ok"]["tolerance"]
    assert len(block["ok"]["seconds"]) == 2


def test_end_of_requests_ends_the_worker():
    assert served() == []


@pytest.mark.parametrize(
    ("config", "status", "message"),
    [
        ({"implementation": "nope"}, "crashed", "there is no implementation 'nope'"),
        ({"implementation": "nomodule:Net"}, "crashed", "there is no module 'nomodule'"),
        ({"implementation": "tests.bench.fakes:Nope"}, "crashed", "has no class 'Nope'"),
        ({"implementation": "tests.bench.fakes:FakeClock"}, "crashed", "FakeClock lacks precision, "),
        ({"device": "cuda"}, "unsupported", "numpy runs on cpu only, not on cuda"),
        ({"dtype": "bfloat16"}, "unsupported", "numpy has no bfloat16, only float16, float32 and float64"),
        ({"implementation": "narrow_nets:Mine"}, "unsupported", "narrow_nets:Mine has no float32, only float16"),
        (
            {"implementation": "plain_nets:Mine", "dtype": "float16"},
            "unsupported",
            "no float16, only float32 and float64",
        ),
        ({"implementation": "odd_nets:Mine"}, "crashed", "DTYPES on line 2 is not a literal tuple of names like"),
    ],
)
def test_missing_contender_is_explained(config, status, message, tmp_path, monkeypatch):
    for name, declared in (("narrow_nets", "DTYPES = ['float16']"), ("plain_nets", ""), ("odd_nets", "DTYPES = 16")):
        source = f"from implementations.numpy_ import Net as Mine\n{declared}\n"
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    [reply] = served({"verb": "start"}, **config)
    assert reply["failed"]["status"] == status
    assert message in reply["failed"]["reason"]


def test_worker_goes_on_after_a_failure(capsys):
    wrong, asked_too_early, unknown, started = served(
        {"verb": "start", "unexpected": 1}, {"verb": "block"}, {"verb": "fly"}, {"verb": "start"}
    )
    assert wrong["failed"]["status"] == "crashed"
    assert asked_too_early["failed"]["status"] == "crashed"
    assert "fly" in unknown["failed"]["reason"]
    assert started["ok"]["backend"] == "numpy"
    assert "Traceback" in capsys.readouterr().err


class OutOfMemoryError(RuntimeError):
    """An exception with the name that PyTorch and CuPy use."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 1 TiB"),
        np._core._exceptions._ArrayMemoryError((10**9,), np.dtype("f8")),
        OutOfMemoryError("CUDA"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_out_of_memory_is_recognised_by_the_exception(error, capsys):
    described = main.describe(error)
    assert described["status"] == "out_of_memory"
    assert described["reason"].startswith(type(error).__name__)


def test_other_exceptions_are_crashes_with_their_location(capsys):
    try:
        raise ValueError("first line\nsecond line")
    except ValueError as error:
        described = main.describe(error)
    assert described["status"] == "crashed"
    assert described["reason"].startswith("ValueError: first line second line (")
    assert "test_main.py:" in described["reason"]
    assert "second line" in capsys.readouterr().err
    assert main.describe(ValueError())["reason"].startswith("ValueError: no message")


def test_long_message_is_cut_and_its_location_kept(capsys):
    try:
        raise ValueError("x" * 10_000)
    except ValueError as error:
        described = main.describe(error)
    assert len(described["reason"]) < 600
    assert re.search(r"test_main\.py:\d+\)$", described["reason"])


def test_reason_of_a_failure_is_on_one_line():
    assert main.describe(Failure("unavailable", "first\nsecond"))["reason"] == "first second"


def test_failure_keeps_its_figures():
    described = main.describe(Failure("wrong", "why", error=0.5, tolerance=math.inf))
    assert described == {"status": "wrong", "reason": "why", "error": 0.5, "tolerance": math.inf}


@pytest.fixture
def process(tmp_path):
    """Return a function that starts worker processes, which end with the test."""
    workers = []

    def start(implementation, device="cpu", dtype="float32", threads=1):
        setting = Setting(
            Contender(implementation, device, dtype), threads, 120, tmp_path / "log", path=[str(tmp_path)]
        )
        workers.append(ProcessWorker(setting))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.mark.parametrize("name", implementations.names())
def test_real_process_measures_every_backend_on_one_thread(process, name):
    kinds = implementations.device_kinds(name)
    worker = process(name, device="cpu" if "cpu" in kinds else kinds[0])
    try:
        start = worker.ask("start")
    except WorkerFailed as error:
        failure = error
    else:
        failure = None
    if failure:
        assert (failure.status, failure.alive) == ("unavailable", True), failure.reason
        pytest.skip(f"{name}: {failure.reason}")
    assert start["backend_version"] != "unknown"
    prepared = worker.ask("prepare", shape=[4, 5, 3, 2], phases=[*PHASES], steps=3)
    assert [*prepared["first_calls"]] == [
        "step",
        "forward",
        "backward",
        "update",
        "train",
    ]  # the step in a cold process
    assert prepared["error"] <= prepared["tolerance"]
    for phase in PHASES:
        entered = worker.ask("enter", phase=phase, samples=2, inner=None)
        assert entered["inner"] >= 1
        assert 1 <= entered["samples"] <= 2
        for _ in range(2):
            block = worker.ask("block")
            assert len(block["seconds"]) == entered["samples"]
            assert min(block["seconds"]) > 0
        assert worker.ask("leave")["host_bytes"] > 0
    probe = worker.ask("probe")
    assert start["backend"] == (name.partition(":")[2] or name.partition("_")[0])
    assert "cpu" in probe["devices"]
    assert 0 < probe["cpu_per_wall"] <= MOST_CPU_PER_WALL


TALKATIVE = """
import os, sys
print("printed at import", flush=True)
from implementations.numpy_ import Net


class Talkative(Net):
    def forward(self):
        print('{"ok": "printed in forward"}', flush=True)
        print("complained in forward", file=sys.stderr, flush=True)
        os.write(1, b"written to descriptor 1\\n")
        os.system("echo said by a child")
        super().forward()
"""


def test_output_of_a_backend_goes_to_the_log(process, tmp_path):
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    worker = process("talkative:Talkative")
    assert worker.ask("start")["backend"] == "numpy"
    worker.ask("prepare", shape=[4, 5, 3, 2], phases=["backward"], steps=1)
    worker.ask("enter", phase="backward", samples=2, inner=2)
    assert len(worker.ask("block")["seconds"]) == 2
    log = (tmp_path / "log").read_text()
    for message in (
        "printed at import",
        "printed in forward",
        "complained in forward",
        "written to descriptor 1",
        "said by a child",
    ):
        assert message in log


BLOCKER = """
import sys

BLOCKED = {"pandas", "scipy", "psutil", "rich", "pytest", "pytest_benchmark", "tabulate", "threadpoolctl", "cpuinfo",
           "torch", "jax", "cupy"}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocker())
print("blocking", flush=True)
"""


def test_worker_needs_only_the_standard_library_and_numpy(process, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = process("numpy")
    assert worker.ask("start")["backend"] == "numpy"
    worker.ask("prepare", shape=[4, 5, 3, 2], phases=["step"], steps=1)
    worker.ask("enter", phase="step", samples=2, inner=2)
    assert len(worker.ask("block")["seconds"]) == 2
    assert worker.ask("leave")["host_bytes"] > 0
    assert "blocking" in (tmp_path / "log").read_text()
    torch_worker = process("torch")
    with pytest.raises(WorkerFailed) as caught:
        torch_worker.ask("start")
    assert caught.value.status == "unavailable"
    assert "pip install" in caught.value.reason


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_real_process_takes_steps_in_bfloat16(process, name):
    pytest.importorskip(name)
    worker = process(name, dtype="bfloat16")
    worker.ask("start")
    prepared = worker.ask("prepare", shape=[16, 100, 10, 3], phases=["step"], steps=3)
    assert prepared["error"] <= prepared["tolerance"]
    entered = worker.ask("enter", phase="step", samples=2, inner=None)
    assert len(worker.ask("block")["seconds"]) == entered["samples"]
    assert worker.ask("leave")["host_bytes"] > 0


def test_missing_device_is_unavailable_and_unknown_unsupported(process):
    worker = process("numpy", device="cuda")
    with pytest.raises(WorkerFailed) as caught:
        worker.ask("start")
    assert (caught.value.status, caught.value.alive) == ("unsupported", True)
    pytest.importorskip("torch")
    with pytest.raises(WorkerFailed) as caught:
        process("torch", device="cuda:99").ask("start")
    assert caught.value.status == "unavailable"
    assert "finds only cpu" in caught.value.reason


UNABLE = """
from implementations.numpy_ import Net


class Unable(Net):
    @classmethod
    def devices(cls):
        {statement}
"""


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("assert []", "AssertionError without a message, from `assert []` at "),
        ("raise RuntimeError", "RuntimeError without a message, from `raise RuntimeError` at "),
        ("raise OSError('no driver')", "OSError: no driver"),
        ("raise ImportError('libcuda.so.1')", "ImportError: libcuda.so.1"),
    ],
)
@pytest.mark.parametrize(
    ("when", "begin"), [("devices", "it finds no device: "), ("import", "it cannot be imported: ")]
)
def test_backend_without_library_driver_or_device_is_unavailable(process, tmp_path, statement, message, when, begin):
    source = UNABLE.format(statement=statement) if when == "devices" else f"{statement}\n"
    (tmp_path / "unable.py").write_text(source)
    with pytest.raises(WorkerFailed) as caught:
        process("unable:Unable").ask("start")
    assert caught.value.status == "unavailable"
    assert caught.value.reason.startswith(begin + message)
    assert "no message" not in caught.value.reason
    assert "Traceback" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("x = y", "crashed"),
        ("raise MemoryError", "out_of_memory"),
        ("raise RuntimeError('out of memory')", "out_of_memory"),
    ],
)
def test_mistake_or_lack_of_memory_is_not_unavailable(process, tmp_path, statement, status):
    (tmp_path / "mistaken.py").write_text(UNABLE.format(statement=statement))
    with pytest.raises(WorkerFailed) as caught:
        process("mistaken:Unable").ask("start")
    assert caught.value.status == status


@pytest.mark.parametrize("platform", ["cuda", "tpu", "nonsense"])
def test_jax_without_a_platform_names_the_variable(process, monkeypatch, platform):
    pytest.importorskip("jax")
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    with pytest.raises(WorkerFailed) as caught:
        process("jax", device="cpu").ask("start")
    assert caught.value.status == "unavailable"
    assert f"JAX_PLATFORMS={platform}" in caught.value.reason
    assert "no message" not in caught.value.reason


@pytest.mark.parametrize("value", ["", "-1"])
def test_variable_that_hides_gpus_is_named(process, monkeypatch, value):
    pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(WorkerFailed) as caught:
        process("torch", device="cuda").ask("start")
    assert caught.value.status == "unavailable"
    assert f"CUDA_VISIBLE_DEVICES={value or repr('')}" in caught.value.reason


WRONG = """
from implementations.numpy_ import Net


class Wrong(Net):
    def backward(self):
        super().backward()
        self.grad_w2 = -self.grad_w2
"""


def test_worker_goes_on_after_a_wrong_net(process, tmp_path):
    (tmp_path / "wrong_net.py").write_text(WRONG)
    worker = process("wrong_net:Wrong", dtype="float64")
    worker.ask("start")
    for shape in ([4, 5, 3, 2], [8, 6, 7, 3]):
        with pytest.raises(WorkerFailed) as caught:
            worker.ask("prepare", shape=shape, phases=["forward"], steps=1)
        failure = caught.value
        assert (failure.status, failure.alive) == ("wrong", True)
        assert "gradient of w2: error" in failure.reason
        assert "tolerance" in failure.reason
        assert "prediction" not in failure.reason
        assert failure.error > failure.tolerance > 0
