"""Text on outputs that lack some characters."""

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
def test_missing_characters_are_spelt_in_others(text, encoding, shown):
    assert encodable(text, encoding) == shown


def test_every_printed_character_has_a_plain_spelling():
    lines = (
        path.read_text(encoding="utf-8")
        for folder in ("report", "glue")
        for path in (ROOT / "bench" / folder).glob("*.py")
    )
    printed = {character for text in lines for character in text if not character.isascii()}
    assert "µ" in printed
    assert [character for character in sorted(printed) if "\\" in encodable(character, "ascii")] == []


def test_ascii_stream_spells_missing_characters():
    code = "import sys; from bench.verbs import output; output.spell_what_it_lacks(); print('5 µs ± 1')"
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    assert process.stdout == b"5 us +/- 1\n"
