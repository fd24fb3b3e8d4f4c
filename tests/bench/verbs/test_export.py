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
    """Run an export that fails, and return its one line on standard error."""
    assert main(["export", *map(str, arguments)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("python -m bench export: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize("format_name", [name for name in FORMATS if name != "asv"])
def test_one_file_format_goes_to_standard_output_or_a_file(results, tmp_path, capsys, format_name):
    assert main(["export", str(results), "--format", format_name]) == 0
    printed = capsys.readouterr().out
    output = tmp_path / "out" / "file"
    assert main(["export", str(results), "--format", format_name, "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert output.read_text(encoding="utf-8") == printed
    assert [path.name for path in output.parent.iterdir()] == ["file"]


def test_left_out_cells_are_counted_on_standard_error(results, capsys):
    assert main(["export", str(results), "--format", "bencher"]) == 0
    assert capsys.readouterr().err == "left out: 6 of 12 cells have no time (4 unavailable, 2 wrong)\n"
    assert main(["export", str(results), "--format", "csv"]) == 0
    assert capsys.readouterr().err == ""


def test_run_without_a_journal_is_exported(results, tmp_path, capsys):
    folder = results / "runs" / story().name
    write_files(folder)
    texts = {}
    for journal in ("present", "removed"):
        if journal == "removed":
            (folder / "journal.jsonl").unlink()
        assert main(["export", str(folder), "--format", "pytest-benchmark"]) == 0
        texts[journal] = json.loads(capsys.readouterr().out)["benchmarks"]
    assert [benchmark["fullname"] for benchmark in texts["removed"]] == [
        benchmark["fullname"] for benchmark in texts["present"]
    ]
    assert texts["removed"][0]["stats"]["median"] == pytest.approx(texts["present"][0]["stats"]["median"])


def test_asv_tree_gets_one_file_per_commit(results, tmp_path, capsys):
    tree = tmp_path / "tree"
    for commit in ("a" * 40, "b" * 40):
        assert main(["export", str(results), "--format", "asv", "--output", str(tree), "--commit", commit]) == 0
    names = sorted(path.name[:8] for path in tree.rglob("*") if path.is_file())
    assert names == ["aaaaaaaa", "bbbbbbbb", "benchmar", "machine."]
    assert capsys.readouterr().err == ""


def test_json_names_the_written_files(results, tmp_path, capsys):
    output, data = tmp_path / "out.csv", tmp_path / "data.json"
    assert main(["export", str(results), "--format", "csv", "--output", str(output), "--json", str(data)]) == 0
    assert json.loads(data.read_text()) == {"run": story().name, "format": "csv", "files": [str(output)]}


def test_unknown_run_is_refused(tmp_path, capsys):
    assert "no run here" in complaint(capsys, tmp_path / "nothing", "--format", "csv")


def test_unknown_format_is_refused_with_a_list(results, capsys):
    line = complaint(capsys, results, "--format", "xml")
    assert "--format: 'xml' is not a format; formats are pytest-benchmark, bencher," in line


def test_asv_needs_a_folder(results, capsys):
    assert "--output: asv keeps a tree" in complaint(capsys, results, "--format", "asv")


def test_commit_is_only_for_asv(results, capsys):
    assert "--commit: only asv" in complaint(capsys, results, "--format", "csv", "--commit", "x")


def test_source_that_is_no_commit_is_refused(results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = complaint(capsys, results, "--format", "asv", "--output", tmp_path / "tree")
    assert "--commit: 'abc1234' is no commit" in line
    assert not (tmp_path / "tree").exists()


def test_run_of_unknown_commit_is_refused(tmp_path, capsys):
    folder = write_journal(tmp_path / "run", story(machine={}).records())
    line = complaint(capsys, folder, "--format", "asv", "--output", tmp_path / "tree")
    assert "--commit: run 2026-01-02T03-04-05-made does not tell the commit it measured; name it" in line


@pytest.mark.parametrize("format_name", ["csv", "asv"])
def test_unwritable_output_is_refused_and_leaves_nothing(results, tmp_path, capsys, format_name):
    (tmp_path / "file").write_text("kept")
    commit = ["--commit", "a" * 40] if format_name == "asv" else []
    line = complaint(capsys, results, "--format", format_name, "--output", tmp_path / "file" / "below", *commit)
    assert "cannot be written" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "results"]
    assert (tmp_path / "file").read_text() == "kept"


def test_foreign_list_of_benchmarks_is_not_overwritten(results, tmp_path, capsys):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "benchmarks.json").write_text('{"version": 1}')
    line = complaint(capsys, results, "--format", "asv", "--output", tree, "--commit", "a" * 40)
    assert "benchmarks.json: not asv's list of benchmarks" in line
    assert [path.name for path in tree.iterdir()] == ["benchmarks.json"]


def test_pytest_benchmark_needs_samples(results, tmp_path, capsys):
    folder = results / "runs" / story().name
    write_files(folder)
    alone = tmp_path / "alone.csv"
    alone.write_bytes((folder / "timings.csv").read_bytes())
    line = complaint(capsys, alone, "--format", "pytest-benchmark")
    assert "has no samples" in line


def test_output_link_stays_a_link(results, tmp_path, capsys):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    assert main(["export", str(results), "--format", "csv", "--output", str(link)]) == 0
    assert link.is_symlink()
    assert target.read_text().startswith("run,")
