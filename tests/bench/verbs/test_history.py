import json

import pytest

from bench.__main__ import main
from bench.history import store
from tests.bench import many


@pytest.fixture
def results(tmp_path):
    many.write(tmp_path, many.stepping(12, 6))
    return tmp_path


def history(results, *more) -> int:
    return main(["history", *more, "--results", str(results)])


def test_index_is_rebuilt_and_read(results, capsys):
    assert history(results, "rebuild") == 0
    assert capsys.readouterr().out == "the history has 12 runs\n"
    assert history(results, "--cell", "*torch*") == 0
    out = capsys.readouterr().out
    assert "source before → after" in out
    assert "numpy-cpu" not in out


def test_results_are_written_as_json(results, tmp_path):
    file = tmp_path / "history.json"
    assert history(results, "rebuild", "--json", str(file)) == 0
    assert json.loads(file.read_text()) == {"runs": 12, "cut_off": [], "two_sides": [], "unreadable": []}
    assert history(results, "--since", "2026-01-03", "--json", str(file)) == 0
    result = json.loads(file.read_text())
    assert (result["runs"], result["cells"][0]["runs"]) == (12, 10)


def test_failure_gives_one_line(results, capsys):
    def complaint(*options) -> str:
        assert history(results, *options) == 2
        [line] = capsys.readouterr().err.splitlines()
        return line

    assert f"history rebuild --results {results}" in complaint()
    history(results, "rebuild")
    capsys.readouterr()
    assert "--cell: no cell" in complaint("--cell", "nothing")
    assert "--since: 'soon' is neither" in complaint("--since", "soon")
    assert "--since: no run of these cells" in complaint("--since", "2027-01-01")
    (results / store.FILE).write_bytes(b"torn")
    assert "makes it anew" in complaint()
    assert main(["history", "rebuild", "--results", str(results / "runs")]) == 2
    assert "no run here" in capsys.readouterr().err


def test_unknown_action_is_refused(results, capsys):
    with pytest.raises(SystemExit) as caught:
        history(results, "forget")
    assert caught.value.code == 2
    assert "rebuild" in capsys.readouterr().err
