"""Choose a worker's environment variables: those that only debug are left out, and others that change speed or results
are recorded."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping

from . import limits

# From the sources of CPython 3.14, JAX 0.10, PyTorch 2.13, Numba, CuPy, oneDNN, OpenBLAS and glibc.
DEBUGGING = (
    "PYTHONDEVMODE",
    "PYTHONTRACEMALLOC",
    "PYTHONASYNCIODEBUG",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONDEBUG",
    "PYTHONVERBOSE",
    "PYTHONINSPECT",
    "PYTHONDUMPREFS*",
    "PYTHONMALLOCSTATS",
    "PYTHONTHREADDEBUG",
    "PYTHONPERFSUPPORT",
    "PYTHON_PERF_JIT_SUPPORT",
    # pytest-cov and coverage trace every child process that has these.
    "COV_CORE_*",
    "COVERAGE_PROCESS_*",
    "MALLOC_CHECK_",
    "MALLOC_PERTURB_",
    "MALLOC_TRACE",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
    "LD_PROFILE",
    "JAX_DISABLE_JIT",
    "JAX_DEBUG_*",
    "JAX_CHECK_TRACER_LEAKS",
    "JAX_ENABLE_CHECKS",
    "JAX_LOG_*",
    "JAX_LOGGING_LEVEL",
    "JAX_EXPLAIN_CACHE_MISSES",
    "JAX_DISTRIBUTED_DEBUG",
    "JAX_DUMP_IR_*",
    "JAX_INCLUDE_DEBUG_INFO_IN_DUMPS",
    "JAX_INCLUDE_FULL_TRACEBACKS_IN_LOCATIONS",
    "JAX_COMPILATION_CACHE_CHECK_CONTENTS",
    "JAX_TRANSFER_GUARD*",
    "JAX_THREAD_GUARD",
    "JAX_ARRAY_GARBAGE_COLLECTION_GUARD",
    "JAX_NO_TRACING",
    "JAX_NO_EXECUTION",
    "JAX_MUTABLE_ARRAY_CHECKS",
    "JAX_ERROR_CHECKING_BEHAVIOR_*",
    "JAX_PALLAS_ENABLE_DEBUG_CHECKS",
    "JAX_PALLAS_VERBOSE_ERRORS",
    "TF_CPP_*VLOG_LEVEL",
    "TF_CPP_VMODULE",
    "TORCH_SHOW_CPP_STACKTRACES",
    "TORCH_SHOW_DISPATCH_TRACE",
    "TORCH_CPP_LOG_LEVEL",
    "TORCH_DISTRIBUTED_DEBUG",
    "TORCH_LOGS*",
    "TORCH_TRACE",
    "TORCH_USE_CUDA_DSA",
    "TORCH_CUDNN_V8_API_DEBUG",
    "TORCH_FAKE_TENSOR_DEBUG",
    "TORCH_SERIALIZATION_DEBUG",
    "TORCH_COMPILE_DEBUG*",
    "TORCH_COMPILE_DISABLE",
    "TORCH_COMPILE_CPROFILE",
    "TORCH_COMPILE_DYNAMO_PROFILER",
    "TORCH_COMPILE_STROBELIGHT",
    "TORCHDYNAMO_DISABLE",
    "TORCHDYNAMO_VERBOSE",
    "TORCHDYNAMO_DEBUG_FUNCTION",
    "TORCHDYNAMO_EXTENDED_*",
    "TORCHDYNAMO_REPRO_*",
    "TORCHDYNAMO_TRANSLATION_VALIDATION*",
    "TORCHINDUCTOR_NAN_ASSERTS",
    "TORCHINDUCTOR_RUNTIME_TRITON_NAN_ASSERTS",
    "TORCHINDUCTOR_DEBUG_*",
    "TORCHINDUCTOR_PROFILE*",
    "TORCHINDUCTOR_DUMP_*",
    "TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE",
    "PYTORCH_JIT",
    "PYTORCH_JIT_DISABLE",
    "PYTORCH_JIT_LOG_LEVEL",
    "PYTORCH_JIT_STATS",
    "PYTORCH_JIT_TIME",
    "PYTORCH_FUSION_DEBUG",
    "PYTORCH_API_USAGE_STDERR",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "PYTORCH_NO_HIP_MEMORY_CACHING",
    "PYTORCH_CUDA_MEMCHECK",
    "ENABLE_PYTORCH_EXECUTION_TRACE*",
    "TRITON_INTERPRET",
    "TRITON_DEBUG",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_DEVICE_WAITS_ON_EXCEPTION",
    "CUDA_ENABLE_*",
    "CUDA_PROFILE",
    "COMPUTE_PROFILE",
    "CUDNN_LOG*",
    "CUBLAS_LOG*",
    "CUBLASLT_LOG*",
    "HIP_LAUNCH_BLOCKING",
    "AMD_SERIALIZE_*",
    "AMD_LOG_*",
    "CUPY_CUDA_COMPILE_WITH_DEBUG",
    "CUPY_CACHE_SAVE_CUDA_SOURCE",
    "CUPY_DUMP_CUDA_SOURCE_ON_ERROR",
    "NUMBA_DISABLE_JIT",
    "NUMBA_DEBUG*",
    "NUMBA_DUMP_*",
    "NUMBA_TRACE",
    "NUMBA_BOUNDSCHECK",
    "NUMBA_DEVELOPER_MODE",
    "NUMBA_FULL_TRACEBACKS",
    "NUMBA_ENABLE_PROFILING",
    "NUMBA_JIT_COVERAGE",
    "NUMBA_EXTEND_VARIABLE_LIFETIMES",
    "NUMBA_ENABLE_CUDASIM",
    "NUMBA_CUDA_DEBUG*",
    "NUMBA_CUDA_LOG_*",
    "OPENBLAS_VERBOSE",
    "MKL_VERBOSE*",
    "MKLDNN_VERBOSE*",
    "ONEDNN_VERBOSE*",
    "DNNL_VERBOSE*",
    "ONEDNN_JIT_DUMP",
    "DNNL_JIT_DUMP",
    "ONEDNN_JIT_PROFILE",
    "DNNL_JIT_PROFILE",
    "OMP_DISPLAY_*",
    "GOMP_DEBUG",
    "KMP_SETTINGS",
    "KMP_VERSION",
)
"""Patterns of variables that serve debugging and cost time: a worker's environment is without them."""
DEBUGGING_PARTS = {
    "XLA_FLAGS": (r"\s+", r"--?xla_(dump\w*|\w*debug\w*|hlo_profile|\w*sanitizer\w*)(=.*)?"),
    "GLIBC_TUNABLES": (":", r"glibc\.malloc\.(check|perturb)=.*"),
}
"""Variables that contain several settings: what separates the settings, and which of them only debug."""
RECORDED = (
    *("JAX_*", "XLA_*", "LIBTPU_*", "TPU_*", "PJRT_*", "TF_XLA_*", "TF_ENABLE_*", "TF_CUDNN_*", "TF_GPU_*", "TF_NUM_*"),
    *("TF_FORCE_GPU_*", "TF_DETERMINISTIC_*", "TF_DISABLE_*", "TF_USE_*", "TF_CPU_*"),
    *("OPENBLAS_*", "GOTO_*", "MKL_*", "BLIS_*", "AOCL_*", "VECLIB_*", "FLEXIBLAS*"),
    *("OMP_*", "GOMP_*", "KMP_*", "TBB_*", "NUMEXPR_*", "NPROC"),
    *("NPY_*", "NUMPY_*", "NUMBA_*", "CUPY_*"),
    *("TORCH*", "PYTORCH_*", "ATEN_*", "ONEDNN_*", "DNNL_*", "MKLDNN_*", "LRU_CACHE_CAPACITY", "TRITON_*"),
    *("CUDA_*", "CUBLAS*", "CUDNN_*", "NVIDIA_*", "NCCL_*", "HIP_*", "HSA_*", "ROCM_*", "ROCR_*", "ROCBLAS_*"),
    *("HIPBLASLT_*", "MIOPEN_*", "AMD_*", "GPU_MAX_*", "ZE_*", "SYCL_*", "ONEAPI_*", "IGC_*"),
    *("MALLOC_*", "GLIBC_TUNABLES", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "DYLD_INSERT_LIBRARIES"),
    *("JEMALLOC_*", "MIMALLOC_*", "TCMALLOC_*"),
    *("PYTHONMALLOC", "PYTHONOPTIMIZE", "PYTHON_GIL", "PYTHON_JIT", "PYTHON_CPU_COUNT", "PYTHON_TLBC"),
    *(("NVPL_*", "ARMPL_*") if platform.machine().lower() in ("aarch64", "arm64") else ()),
)
"""Patterns of variables that change speed or results."""
PLACES = (
    *("CUDA_HOME", "CUDA_PATH*", "CUDA_ROOT", "CUDA_BIN_PATH", "CUDA_INC_PATH", "CUDA_VERSION"),
    *("CUDNN_VERSION", "CUDNN_HOME", "CUDNN_PATH", "CUDNN_ROOT", "CUBLAS_VERSION"),
    *("NVIDIA_REQUIRE_*", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_PRODUCT_NAME", "NVIDIA_BUILD_ID", "NVIDIA_*_VERSION"),
    *("ROCM_HOME", "ROCM_PATH", "ROCM_VERSION", "HIP_PATH", "ONEAPI_ROOT", "NCCL_VERSION"),
    *("TORCH_HOME", "TORCH_EXTENSIONS_DIR", "PYTORCH_VERSION", "PYTORCH_BUILD_*", "PYTORCH_HOME", "TORCH_HUB"),
    "JAX_TRACEBACK_FILTERING",
)
"""Patterns of variables that only say where something is, or its version, which other fields record."""
NOT_WORTH_SAYING = {"PYTHONHASHSEED", "TF_CPP_MIN_LOG_LEVEL"}
"""Pinned variables that users or tools such as tox set for other reasons than timings."""
OFF = {"", "0", "false", "no", "off", "none"}
DEBUG_ALLOCATORS = {"debug", "malloc_debug", "pymalloc_debug", "mimalloc_debug"}
"""Values of PYTHONMALLOC; others choose an allocator."""
SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH(?!O)", re.IGNORECASE)
SECRET_VALUE = re.compile(r"\w+://[^/\s:@]*:[^/\s@]+@|\b(gh[a-z]_|github_pat_|hf_|sk-|AKIA)[\w-]{12,}")
MOST_CHARACTERS = 200
HIDES_DEVICES = {
    "cuda": ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    "rocm": ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    "xpu": ("ONEAPI_DEVICE_SELECTOR", "ZE_AFFINITY_MASK", "SYCL_DEVICE_FILTER"),
    "tpu": ("TPU_VISIBLE_DEVICES", "TPU_VISIBLE_CHIPS"),
}
"""Variables that choose which devices of a kind a process sees."""
ALL_DEVICES = "all"
JAX_PLATFORMS = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def of_worker(parents: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return a worker's environment: its parent's without debugging, with the thread limit and pinned settings."""
    kept = {}
    for name, value in parents.items():
        sound = _without_debugging(name, value)
        if not _debugs(name, value) and (sound or sound == value):
            kept[name] = sound
    return kept | limits.environment(threads)


def overridden(parents: Mapping[str, str]) -> dict[str, str]:
    """Return the user's variables that a worker does not get, by name, with the value as it may be shown."""
    lost = {}
    for name, value in parents.items():
        if name in limits.SETTINGS:
            differs = name not in NOT_WORTH_SAYING and value.casefold() != limits.SETTINGS[name].casefold()
        elif _debugs(name, value):
            # A switch that is off changes nothing; PyTorch's is the other way round.
            differs = (value.casefold() in OFF) == (name == "PYTORCH_JIT")
        else:
            differs = _without_debugging(name, value) != value
        if differs:
            lost[name] = shown(name, value)
    return dict(sorted(lost.items()))


def recorded(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change speed or results and are not this harness's own settings, by name, with the
    value as it may be shown."""
    names = [name for name in sorted(environment) if is_recorded(name)]
    return {name: shown(name, environment[name]) for name in names if not _is_own_folder(name, environment[name])}


def _is_own_folder(name: str, value: str) -> bool:
    """Tell whether a variable names the process's own folder of compiled kernels."""
    return name in limits.COMPILED and limits.COMPILED_PREFIX in value


def is_recorded(name: str) -> bool:
    """Tell whether a variable is one whose value changes speed or results."""
    if name in limits.COMPILED:  # set by a user, kernels of earlier processes are used again
        return True
    own = name in limits.SETTINGS or name in limits.THREAD_VARIABLES
    return not own and _matches(name, RECORDED) and not _matches(name, PLACES) and not _matches(name, DEBUGGING)


def shown(name: str, value: str) -> str:
    """Return a value in a form for reports: on one line, not too long, and no secret."""
    if SECRET.search(name) or SECRET_VALUE.search(value):
        return "(not shown)"
    text = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in value
    )
    if len(text) <= MOST_CHARACTERS:
        return text
    digest = hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{text[:MOST_CHARACTERS]}… ({len(value)} characters, SHA-256 {digest}…)"


def hiding(environment: Mapping[str, str], device: str, of_jax: bool) -> list[str]:
    """Return `NAME=value` of the variables that may hide a device from a backend."""
    names = (*(JAX_PLATFORMS if of_jax else ()), *HIDES_DEVICES.get(device.partition(":")[0], ()))
    return [
        f"{name}={shown(name, environment[name]) or repr('')}"
        for name in names
        if environment.get(name, ALL_DEVICES) != ALL_DEVICES
    ]


def _debugs(name: str, value: str) -> bool:
    if name == "PYTHONMALLOC":
        return value in DEBUG_ALLOCATORS
    return _matches(name, DEBUGGING)


def _without_debugging(name: str, value: str) -> str:
    if name not in DEBUGGING_PARTS:
        return value
    separator, debugs = DEBUGGING_PARTS[name]
    parts = re.split(separator, value)
    kept = [part for part in parts if not re.fullmatch(debugs, part)]
    return value if len(kept) == len(parts) else (":" if separator == ":" else " ").join(kept)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Match patterns with one star at most; the standard library would compile each pattern in every process."""
    for pattern in patterns:
        begin, star, end = pattern.partition("*")
        if name == pattern or (
            star and len(name) >= len(begin) + len(end) and name.startswith(begin) and name.endswith(end)
        ):
            return True
    return False
