"""Vector instruction sets: what processors offer, and what kernels are written for."""

from __future__ import annotations

from collections.abc import Collection

SSE, SSE4, AVX, AVX2, AVX512 = "SSE3", "SSE4.2", "AVX", "AVX2", "AVX-512"
NEON, SVE = "NEON", "SVE"
FAMILIES = ((SSE, SSE4, AVX, AVX2, AVX512), (NEON, SVE))  # each from the least to the most
KERNELS = {
    **dict.fromkeys(("prescott", "core2", "atom", "opteron", "opteron_sse3", "athlon", "nano", "bobcat"), SSE),
    **dict.fromkeys(("penryn", "dunnington", "nehalem", "barcelona"), SSE4),
    **dict.fromkeys(("sandybridge", "bulldozer", "piledriver", "steamroller"), AVX),
    **dict.fromkeys(("haswell", "zen", "zen2", "zen3", "excavator"), AVX2),
    **dict.fromkeys(("skylakex", "skx", "knl", "cooperlake", "sapphirerapids", "zen4", "zen5"), AVX512),
    "armv8": NEON,  # OpenBLAS's for ARM processors that it does not know
}
"""The instruction set that each kernel of OpenBLAS and BLIS is written for, by its name in lower case."""
GENERIC = "generic"
"""The name of kernels in plain C."""


def offered(architecture: str, flags: Collection[str]) -> str | None:
    """Return the largest set that a processor has, by the flags that its system reports; None for other architectures.
    A set needs the flags that OpenBLAS asks for before it runs kernels for it."""
    reported = {flag.replace(".", "_").replace("-", "") for flag in flags}
    if architecture.lower() in ("x86_64", "amd64"):
        needed = {AVX512: {"avx512f", "avx512vl"}, AVX2: {"avx2", "fma"}, AVX: {"avx"}, SSE4: {"sse4_2"}}
        return next((name for name, least in needed.items() if least <= reported), SSE) if reported else None
    if architecture.lower() in ("aarch64", "arm64"):
        return SVE if "sve" in reported else NEON
    return None


def of_kernel(kernel: str) -> str | None:
    """Return the instruction set that a kernel is written for; None where that is not known."""
    return KERNELS.get(kernel.lower())


def is_below(first: str | None, second: str | None) -> bool:
    """Tell whether both sets are of one family and the first is the lesser."""
    return any(
        first in family and second in family and family.index(first) < family.index(second) for family in FAMILIES
    )
