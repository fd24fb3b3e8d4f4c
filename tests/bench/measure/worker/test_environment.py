"""Which variables a worker gets, and which of them are recorded."""

from __future__ import annotations

import pytest

from bench.measure.client import ProcessWorker, Setting
from bench.measure.worker import environment, limits
from bench.plan.cells import Contender


@pytest.mark.parametrize(
    "name",
    [
        *("JAX_DISABLE_JIT", "JAX_DEBUG_NANS", "JAX_DEBUG_INFS", "JAX_CHECK_TRACER_LEAKS", "JAX_LOG_COMPILES"),
        *("JAX_ENABLE_CHECKS", "JAX_DUMP_IR_TO", "JAX_TRANSFER_GUARD"),
        *("TORCH_SHOW_CPP_STACKTRACES", "TORCH_DISTRIBUTED_DEBUG", "TORCH_COMPILE_DEBUG", "TORCH_LOGS"),
        *("TORCHDYNAMO_DISABLE", "PYTORCH_NO_CUDA_MEMORY_CACHING", "TRITON_INTERPRET"),
        *("CUDA_LAUNCH_BLOCKING", "HIP_LAUNCH_BLOCKING", "CUBLAS_LOGINFO_DBG", "CUPY_CUDA_COMPILE_WITH_DEBUG"),
        *("NUMBA_DISABLE_JIT", "NUMBA_DEBUG", "NUMBA_DEBUGINFO", "NUMBA_BOUNDSCHECK", "NUMBA_ENABLE_CUDASIM"),
        *("PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG", "PYTHONPROFILEIMPORTTIME"),
        *("MALLOC_CHECK_", "MALLOC_PERTURB_", "LD_DEBUG", "MKL_VERBOSE", "ONEDNN_VERBOSE", "COV_CORE_SOURCE"),
    ],
)
def test_debugging_switch_is_removed_and_reported(name):
    assert name not in environment.of_worker({name: "1", "HOME": "/root"}, 1)
    assert environment.overridden({name: "1"}) == {name: "1"}
    assert not environment.is_recorded(name)


@pytest.mark.parametrize("value", ["0", "false", "", "off"])
def test_debugging_switch_that_is_off_is_not_reported(value):
    assert environment.overridden({"JAX_DEBUG_NANS": value}) == {}


def test_pytorch_jit_is_switched_off_by_0():
    assert environment.overridden({"PYTORCH_JIT": "0"}) == {"PYTORCH_JIT": "0"}
    assert environment.overridden({"PYTORCH_JIT": "1"}) == {}
    assert "PYTORCH_JIT" not in environment.of_worker({"PYTORCH_JIT": "0"}, 1)


@pytest.mark.parametrize(("value", "stays"), [("debug", False), ("pymalloc_debug", False), ("malloc", True)])
def test_allocator_is_recorded_unless_it_debugs(value, stays):
    variables = environment.of_worker({"PYTHONMALLOC": value}, 1)
    assert environment.recorded(variables) == ({"PYTHONMALLOC": value} if stays else {})
    assert bool(environment.overridden({"PYTHONMALLOC": value})) != stays


@pytest.mark.parametrize(
    ("name", "value", "remaining"),
    [
        ("XLA_FLAGS", "--xla_dump_to=/tmp/x --xla_cpu_max_isa=AVX --xla_dump_hlo_as_text", "--xla_cpu_max_isa=AVX"),
        ("XLA_FLAGS", "--xla_dump_to=/tmp/x", None),
        ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true", "--xla_cpu_enable_fast_math=true"),
        ("GLIBC_TUNABLES", "glibc.malloc.check=3:glibc.malloc.tcache_count=0", "glibc.malloc.tcache_count=0"),
        ("GLIBC_TUNABLES", "glibc.malloc.perturb=7", None),
    ],
)
def test_only_debugging_parts_of_a_variable_are_removed(name, value, remaining):
    variables = environment.of_worker({name: value}, 1)
    assert variables.get(name) == remaining
    assert environment.recorded(variables) == ({name: remaining} if remaining else {})
    assert environment.overridden({name: value}) == ({} if remaining == value else {name: value})


def test_other_value_of_a_pinned_setting_is_reported():
    parents = {"NVIDIA_TF32_OVERRIDE": "1", "CUPY_TF32": "0", "XLA_PYTHON_CLIENT_PREALLOCATE": "False"}
    assert environment.overridden(parents) == {"NVIDIA_TF32_OVERRIDE": "1"}
    assert environment.of_worker(parents, 1)["NVIDIA_TF32_OVERRIDE"] == "0"


def test_settings_of_tools_are_not_reported():
    assert environment.overridden({"PYTHONHASHSEED": "1234", "TF_CPP_MIN_LOG_LEVEL": "0"}) == {}
    assert environment.overridden(dict.fromkeys(limits.THREAD_VARIABLES, "1")) == {}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "JAX_PLATFORMS",
            "JAX_ENABLE_X64",
            "XLA_FLAGS",
            "XLA_PYTHON_CLIENT_MEM_FRACTION",
            "JAX_COMPILATION_CACHE_DIR",
        ),
        *("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "BLIS_ARCH_TYPE", "VECLIB_FOO", "TBB_X"),
        *("KMP_AFFINITY", "OMP_PROC_BIND", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT"),
        *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES"),
        *("PYTORCH_CUDA_ALLOC_CONF", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHINDUCTOR_MAX_AUTOTUNE"),
        *("CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "CUDA_MODULE_LOADING", "CUDNN_X", "HIP_VISIBLE_DEVICES"),
        *("NUMBA_OPT", "NUMBA_CPU_NAME", "CUPY_ACCELERATORS", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES", "LD_PRELOAD"),
        *("PYTHONOPTIMIZE", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ROCM_X", "NVIDIA_VISIBLE_DEVICES"),
    ],
)
def test_variables_that_change_speed_are_recorded(name):
    variables = environment.of_worker({name: "one"}, 2)
    assert environment.recorded(variables) == {name: "one"}


def test_other_variables_are_not_recorded():
    places = (
        "HOME",
        "PATH",
        "LD_LIBRARY_PATH",
        "CUDA_HOME",
        "CUDA_VERSION",
        "TORCH_HOME",
        "NVIDIA_DRIVER_CAPABILITIES",
    )
    tools = ("TF_CLI_CONFIG_FILE", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONFAULTHANDLER", "JAX_TRACEBACK_FILTERING")
    assert environment.recorded(environment.of_worker(dict.fromkeys((*places, *tools), "x"), 2)) == {}


def test_other_variables_are_passed_on():
    parents = {"HOME": "/root", "OPENBLAS_CORETYPE": "Haswell", "EMPTY": "", "XLA_FLAGS": ""}
    assert environment.of_worker(parents, 3).items() >= parents.items()
    assert environment.of_worker(parents, 3)["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TORCH_API_KEY", "abc"),
        ("JAX_AUTH_TOKEN", "abc"),
        ("NVIDIA_PASSWORD", "abc"),
        ("TORCHINDUCTOR_REDIS_URL", "redis://me:hunter2@there"),
        ("TORCH_X", "hf_abcdefghijklmnop"),
    ],
)
def test_secret_is_not_shown(name, value):
    assert environment.recorded({name: value}) == {name: "(not shown)"}


def test_control_characters_and_bytes_are_escaped():
    assert environment.shown("OMP_PLACES", "a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"


def test_long_values_are_cut_and_remain_distinct():
    first, second = (environment.shown("LD_PRELOAD", "x" * 5000 + end) for end in "ab")
    assert len(first) < 300
    assert first.startswith("x" * 100)
    assert first != second


def test_variables_that_hide_the_device_are_named():
    variables = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "NVIDIA_VISIBLE_DEVICES": "all"}
    assert environment.hiding(variables, "cuda:1", of_jax=False) == ["CUDA_VISIBLE_DEVICES=''"]
    assert environment.hiding(variables, "cuda", of_jax=True) == ["JAX_PLATFORMS=cpu", "CUDA_VISIBLE_DEVICES=''"]
    assert environment.hiding(variables, "cpu", of_jax=False) == []


SEEING = """
import os
from implementations.numpy_ import Net


class Seeing(Net):
    @classmethod
    def device_name(cls, device):
        return os.environ.get("JAX_DISABLE_JIT", "unset") + " " + os.environ.get("OMP_PROC_BIND", "unset")
"""


def test_real_worker_records_its_environment_without_debugging(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_JIT", "1")
    monkeypatch.setenv("OMP_PROC_BIND", "false")
    (tmp_path / "seeing_more.py").write_text(SEEING)
    contender = Contender("seeing_more:Seeing", "cpu", "float32")
    worker = ProcessWorker(Setting(contender, 1, 60, tmp_path / "log", path=[str(tmp_path)]))
    try:
        started = worker.ask("start")
    finally:
        worker.close()
    assert started["device_name"] == "unset false"
    assert started["details"]["environment"]["OMP_PROC_BIND"] == "false"
    assert not {"JAX_DISABLE_JIT", "OMP_NUM_THREADS", "CUPY_TF32"} & started["details"]["environment"].keys()
