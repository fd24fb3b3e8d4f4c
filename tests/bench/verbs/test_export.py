import json

import pytest

from bench.__main__ import main
from bench.report.exports import FORMATS
from tests.bench.made import story, write_files, write_journal


@pytest.fixture
def results(tmp_path):
    """A results folder with one run."""
    write_journal(tmp_path / "results" / "runs" / story().name, story().records())
    return tmp_path / "results"


def complaint(capsys, *arguments):
    """The one line that a verb which cannot do as asked ends with."""
    assert main(["export", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("python -m bench export: ")
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "asv"])
def test_a_format_of_one_file_goes_to_standard_output_or_a_file(results, tmp_path, capsys, form):
    assert main(["export", str(results), "--format", form]) == 0
    printed = capsys.readouterr().out
    output = tmp_path / "out" / "file"
    assert main(["export", str(results), "--format", form, "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert output.read_text(encoding="utf-8") == printed
    assert [path.name for path in output.parent.iterdir()] == ["file"]


def test_what_a_format_leaves_out_is_told_beside_it(results, capsys):
    assert main(["export", str(results), "--format", "bencher"]) == 0
    assert capsys.readouterr().err == "left out: 6 of 12 cells have no time (4 unavailable, 2 wrong)\n"
    assert main(["export", str(results), "--format", "csv"]) == 0
    assert capsys.readouterr().err == ""


def test_a_run_of_which_only_the_tables_are_left_is_exported_too(results, tmp_path, capsys):
    folder = results / "runs" / story().name
    write_files(folder)
    texts = {}
    for journal in ("there", "gone"):
        if journal == "gone":
            (folder / "journal.jsonl").unlink()
        assert main(["export", str(folder), "--format", "pytest-benchmark"]) == 0
        texts[journal] = json.loads(capsys.readouterr().out)["benchmarks"]
    assert [one["fullname"] for one in texts["gone"]] == [one["fullname"] for one in texts["there"]]
    assert texts["gone"][0]["stats"]["median"] == pytest.approx(texts["there"][0]["stats"]["median"])


def test_asv_s_tree_is_written_for_a_commit_and_a_second_run_added(results, tmp_path, capsys):
    tree = tmp_path / "tree"
    for commit in ("a" * 40, "b" * 40):
        assert main(["export", str(results), "--format", "asv", "--output", str(tree), "--commit", commit]) == 0
    found = sorted(path.name[:8] for path in tree.rglob("*") if path.is_file())
    assert found == ["aaaaaaaa", "bbbbbbbb", "benchmar", "machine."]
    assert capsys.readouterr().err == ""


def test_the_json_says_what_was_written(results, tmp_path, capsys):
    output, data = tmp_path / "out.csv", tmp_path / "data.json"
    assert main(["export", str(results), "--format", "csv", "--output", str(output), "--json", str(data)]) == 0
    assert json.loads(data.read_text()) == {"run": story().name, "format": "csv", "files": [str(output)]}


def test_an_unknown_run_is_complained_of(tmp_path, capsys):
    assert "no run here" in complaint(capsys, tmp_path / "nothing", "--format", "csv")


def test_an_unknown_format_is_complained_of_with_those_there_are(results, capsys):
    told = complaint(capsys, results, "--format", "xml")
    assert "--format: 'xml' is not a format; formats are pytest-benchmark, bencher," in told


def test_asv_without_a_folder_is_complained_of(results, capsys):
    assert "--output: asv keeps a tree" in complaint(capsys, results, "--format", "asv")


def test_a_commit_for_another_format_is_complained_of(results, capsys):
    assert "--commit: only asv" in complaint(capsys, results, "--format", "csv", "--commit", "x")


def test_a_source_that_is_no_commit_is_complained_of(results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = complaint(capsys, results, "--format", "asv", "--output", tmp_path / "tree")
    assert "--commit: 'abc1234' is no commit" in told
    assert not (tmp_path / "tree").exists()


def test_a_run_that_does_not_tell_its_commit_is_complained_of(tmp_path, capsys):
    folder = write_journal(tmp_path / "run", story(machine={}).records())
    told = complaint(capsys, folder, "--format", "asv", "--output", tmp_path / "tree")
    assert "--commit: run 2026-01-02T03-04-05-made does not tell the commit it measured; name it" in told


@pytest.mark.parametrize("form", ["csv", "asv"])
def test_an_output_that_cannot_be_written_is_complained_of_and_nothing_is_left(results, tmp_path, capsys, form):
    (tmp_path / "file").write_text("kept")
    commit = ["--commit", "a" * 40] if form == "asv" else []
    told = complaint(capsys, results, "--format", form, "--output", tmp_path / "file" / "below", *commit)
    assert "cannot be written" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "results"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_tree_with_another_s_list_of_benchmarks_is_left_alone(results, tmp_path, capsys):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "benchmarks.json").write_text('{"version": 1}')
    told = complaint(capsys, results, "--format", "asv", "--output", tree, "--commit", "a" * 40)
    assert "benchmarks.json: not asv's list of benchmarks" in told
    assert [path.name for path in tree.iterdir()] == ["benchmarks.json"]


def test_a_run_without_samples_is_no_pytest_benchmark(results, tmp_path, capsys):
    folder = results / "runs" / story().name
    write_files(folder)
    alone = tmp_path / "alone.csv"
    alone.write_bytes((folder / "timings.csv").read_bytes())
    told = complaint(capsys, alone, "--format", "pytest-benchmark")
    assert "has no samples" in told


def test_an_output_that_is_a_link_stays_one(results, tmp_path, capsys):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    assert main(["export", str(results), "--format", "csv", "--output", str(link)]) == 0
    assert link.is_symlink()
    assert target.read_text().startswith("run,")
