"""Text on outputs that lack some of its characters."""

import subprocess
import sys

import pytest

from bench.measure.client import ROOT
from bench.report.characters import encodable


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("153 µs ± 2 %, 3 × 4", "utf-8", "153 µs ± 2 %, 3 × 4"),
        ("153 µs ± 2 %, 3 × 4 — …", "ascii", "153 us +/- 2 %, 3 x 4 - ..."),
        ("153 µs ± — ▁█ ⚠️", "latin-1", "153 µs ± - _# [!]"),
        ("漢 \udc80", "ascii", "\\u6f22 \\udc80"),
        ("half \udc80", "utf-8", "half \\udc80"),
        ("µ", "no such encoding", "µ"),
    ],
)
def test_what_an_encoding_lacks_is_spelt_in_what_it_has(text, encoding, shown):
    assert encodable(text, encoding) == shown


def test_every_character_that_the_harness_prints_has_a_plain_spelling():
    lines = (
        path.read_text(encoding="utf-8")
        for folder in ("report", "glue")
        for path in (ROOT / "bench" / folder).glob("*.py")
    )
    printed = {character for text in lines for character in text if not character.isascii()}
    assert "µ" in printed
    assert [c for c in sorted(printed) if "\\" in encodable(c, "ascii")] == []


def test_a_stream_of_another_encoding_prints_by_the_same_spelling():
    code = "import sys; from bench.verbs import output; output.spell_what_it_lacks(); print('5 µs ± 1')"
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert done.stdout == b"5 us +/- 1\n"
