"""Thread limits and other settings that must be made before a framework is imported."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

# OpenMP serves PyTorch, OpenBLAS NumPy, Accelerate NumPy on macOS; JAX's CPU client reads NPROC,
# and neither OMP_NUM_THREADS nor XLA_FLAGS.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",
)
SETTINGS = {
    "NVIDIA_TF32_OVERRIDE": "0",  # cuBLAS: float32 means float32 for every caller
    "CUPY_TF32": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # else the first JAX worker takes 3/4 of the GPU's memory
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONHASHSEED": "0",
    # glibc raises these two by what a process happens to have freed, up to these values (mallopt(3)):
    # the same NumPy step took 275 or 370 µs by that alone. They are pinned at the largest values.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}
COMPILED = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "NUMBA_CACHE_DIR": "numba",
    "CUPY_CACHE_DIR": "cupy",
    "CUDA_CACHE_PATH": "cuda",
    "CACHEDB": "tinygrad.db",
}
"""Variables that say where frameworks keep compiled kernels, and the part of a process's own folder for each."""
COMPILED_PREFIX = "relubench-compiled-"
"""The beginning of that folder's name."""
BUSY_BEYOND_LIMIT = 1.25
"""A contender exceeds its thread limit if it keeps more than this many times as many threads busy."""
FILE_BYTES = 256 << 20
"""The largest file that a worker may write."""


def environment(threads: int) -> dict[str, str]:
    """Return the variables that a worker's environment adds to its parent's."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads)) | SETTINGS


def limit_processors(threads: int) -> None:
    """Where the system allows, leave this process only so many processors, a limit that every framework obeys."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def die_with_parent() -> None:
    """On Linux, have the kernel end this process with its parent, even while it is stopped."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_files() -> None:
    """Let no file grow beyond FILE_BYTES: a contender's output goes to a log, which is shortened only after its
    answer. Writing more raises an error in its code."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft == resource.RLIM_INFINITY or soft > FILE_BYTES:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, hard))


def be_killed_first() -> None:
    """On Linux, let the system kill this process first for want of memory, rather than its parent."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        return
