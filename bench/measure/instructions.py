"""Sets of vector instructions, from the least to the most: what processors offer, and what kernels are written for."""

from __future__ import annotations

from collections.abc import Collection

SSE, SSE4, AVX, AVX2, AVX512 = "SSE3", "SSE4.2", "AVX", "AVX2", "AVX-512"
NEON, SVE = "NEON", "SVE"
FAMILIES = ((SSE, SSE4, AVX, AVX2, AVX512), (NEON, SVE))
KERNELS = {
    **dict.fromkeys(("prescott", "core2", "atom", "opteron", "opteron_sse3", "athlon", "nano", "bobcat"), SSE),
    **dict.fromkeys(("penryn", "dunnington", "nehalem", "barcelona"), SSE4),
    **dict.fromkeys(("sandybridge", "bulldozer", "piledriver", "steamroller"), AVX),
    **dict.fromkeys(("haswell", "zen", "zen2", "zen3", "excavator"), AVX2),
    **dict.fromkeys(("skylakex", "skx", "knl", "cooperlake", "sapphirerapids", "zen4", "zen5"), AVX512),
    "armv8": NEON,  # OpenBLAS's for ARM processors that it does not know
}
"""What the kernels of OpenBLAS and BLIS, by their names in lower case, are written for."""
GENERIC = "generic"
"""Kernels in plain C."""


def offered(architecture: str, flags: Collection[str]) -> str | None:
    """The most that a processor has, of the flags that its system reports; None for other architectures. A set
    counts from the flags on that OpenBLAS asks for before it runs kernels for it."""
    has = {flag.replace(".", "_").replace("-", "") for flag in flags}
    if architecture.lower() in ("x86_64", "amd64"):
        needed = {AVX512: {"avx512f", "avx512vl"}, AVX2: {"avx2", "fma"}, AVX: {"avx"}, SSE4: {"sse4_2"}}
        return next((name for name, some in needed.items() if some <= has), SSE) if has else None
    if architecture.lower() in ("aarch64", "arm64"):
        return SVE if "sve" in has else NEON
    return None


def of_kernel(kernel: str) -> str | None:
    """What a kernel is written for; None where that is not known."""
    return KERNELS.get(kernel.lower())


def is_below(one: str | None, other: str | None) -> bool:
    """Whether both are of one family and the first is the lesser."""
    return any(one in family and other in family and family.index(one) < family.index(other) for family in FAMILIES)
