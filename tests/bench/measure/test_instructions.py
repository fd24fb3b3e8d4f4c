from __future__ import annotations

import pytest

from bench.measure import instructions


@pytest.mark.parametrize(
    ("architecture", "flags", "offered"),
    [
        ("x86_64", ["sse4_2", "avx", "avx2", "fma", "avx512f", "avx512vl"], "AVX-512"),
        ("x86_64", ["sse4_2", "avx", "avx2", "fma", "avx512f"], "AVX2"),
        ("AMD64", ["sse4_2", "avx", "avx2", "fma"], "AVX2"),
        ("x86_64", ["sse4_2", "avx", "avx2"], "AVX"),
        ("x86_64", ["sse4.2"], "SSE4.2"),
        ("x86_64", ["sse2"], "SSE3"),
        ("x86_64", [], None),
        ("aarch64", ["asimd"], "NEON"),
        ("aarch64", ["asimd", "sve"], "SVE"),
        ("arm64", [], "NEON"),
        ("riscv64", ["v"], None),
    ],
)
def test_offered_instructions_are_read_from_flags(architecture, flags, offered):
    assert instructions.offered(architecture, flags) == offered


@pytest.mark.parametrize(
    ("kernel", "written"),
    [("SkylakeX", "AVX-512"), ("Zen", "AVX2"), ("Prescott", "SSE3"), ("armv8", "NEON"), ("neoversev1", None)],
)
def test_kernel_names_ignore_case(kernel, written):
    assert instructions.of_kernel(kernel) == written


@pytest.mark.parametrize(
    ("first", "second", "below"),
    [
        ("AVX2", "AVX-512", True),
        ("AVX-512", "AVX-512", False),
        ("AVX-512", "AVX2", False),
        ("NEON", "SVE", True),
        ("NEON", "AVX2", False),
        (None, "AVX2", False),
        ("AVX2", None, False),
    ],
)
def test_only_instructions_of_one_family_are_compared(first, second, below):
    assert instructions.is_below(first, second) is below
