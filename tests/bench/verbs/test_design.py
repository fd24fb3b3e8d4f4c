"""`python -m bench design` on a made run."""

from __future__ import annotations

import json

from bench.__main__ import USAGE_ERROR, main
from tests.bench.made import write_files, write_journal


def test_table_and_data(tmp_path, capsys):
    write_journal(tmp_path / "runs" / "one")
    assert main(["design", str(tmp_path), "--json", str(tmp_path / "design.json")]) == 0
    printed = capsys.readouterr().out
    assert "2 threads: 5 passes × 2 rounds × 5 samples give ± " in printed
    assert "The narrowest interval in the same time: " in printed
    [choice] = json.loads((tmp_path / "design.json").read_text())
    assert choice["used"] | {"half_width": 0} == {"passes": 5, "rounds": 2, "samples": 5, "half_width": 0}
    assert choice["best"] in [choice["used"], *choice["designs"]]


def test_run_without_a_journal_is_refused(tmp_path, capsys):
    folder = write_journal(tmp_path / "one")
    write_files(folder)
    (folder / "journal.jsonl").unlink()
    assert main(["design", str(folder)]) == USAGE_ERROR
    assert "only a CSV is left of this run" in capsys.readouterr().err
