"""A run's folder from a stranger is shown safely, and nothing outside of it is read or written."""

import csv
import gzip
import json
import re
import shutil

import pytest

from bench.__main__ import main
from bench.measure import journal, session
from bench.measure.logs import file_name
from bench.plan.cells import Cell, Contender
from bench.plan.grid import PlanError
from tests.bench.made import MACHINE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells, write_journal

EVIL = "<script>alert(1)</script> [x](http://evil) ![i](http://evil/i.png) |`a`|\x1b[31m\u202e\u200b\ud800\n# head"
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
CODE = re.compile("`[^`\n]*`")
FORMULA = re.compile(r"[=+\-@\t\r]")
TEXTS = ("run", "implementation", "backend", "backend_version", "interpreter", "source", "device", "device_name")


@pytest.fixture
def results(tmp_path):
    """A results folder with one run of a stranger."""
    up = Contender(f"../../../up{EVIL}", "cpu", "float32")
    plan = plan_of_cells((NUMPY, up, TORCH), grid=EVIL)
    story = Story(
        plan,
        outcomes={Cell(TORCH, SMALL, "step"): Outcome("crashed", f"={EVIL}")},
        name=f"=../../{EVIL}",
        machine={**MACHINE, "cpu": EVIL, "system": EVIL, "source": f"@{EVIL}", "overridden": {"A": EVIL}},
        workers={NUMPY: {"backend_version": f"=1{EVIL}", "details": {"blas": EVIL, "environment": {"B": EVIL}}}},
    )
    write_journal(tmp_path / "results" / "runs" / "a", story.records())
    return tmp_path / "results"


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_report_has_no_markup_and_no_invisible_characters(results, capsys):
    assert main(["report", str(results)]) == 0
    page = (results / "report.md").read_text(encoding="utf-8")
    for text in (page, capsys.readouterr().out):
        assert not UNSEEN.search(text)
        assert "alert(1)" in text
    words = CODE.sub("", page)
    assert "<script" not in page
    assert not re.search(r"(?<!\\)\]\(", words)
    assert [line for line in page.splitlines() if line.startswith("# ")] == [page.splitlines()[0]]
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        columns = {len(re.split(r"(?<!\\)(?:\\\\)*\|", row)) for row in table.splitlines()}
        assert len(columns) == 1, table


def test_tables_have_no_formulas(results):
    assert main(["report", str(results)]) == 0
    with (results / "timings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with gzip.open(results / "runs" / "a" / "samples.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows += list(csv.DictReader(file))
    assert len(rows) > 3
    for row in rows:
        assert not [row[name] for name in (*TEXTS, "reason") if row.get(name) and FORMULA.match(row[name])]
    assert rows[0]["run"].startswith("'=../../")


@pytest.mark.parametrize("arguments", [["history", "rebuild"], ["history"], ["compare"], ["recommend"], ["export"]])
def test_verbs_print_safely_and_write_no_other_files(results, capsys, arguments):
    assert main(["history", "rebuild", "--results", str(results)]) == 0
    copy = shutil.copytree(results, results.parent / "copy")
    before = files_of(results.parent)
    verb = {
        "history": [*arguments, "--results", str(results)],
        "compare": ["compare", str(results), str(copy)],
        "recommend": ["recommend", "--N", "64", "--D-in", "1000", "--H", "100", "--results", str(results)],
        "export": ["export", str(results), "--format", "jsonl"],
    }[arguments[0]]
    capsys.readouterr()
    assert main(verb) in (0, 2)
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert not UNSEEN.search(shown.out + shown.err)
    assert files_of(results.parent) == before


def test_asv_export_stays_in_its_folder(results):
    target = results.parent / "asv"
    before = files_of(results.parent)
    assert main(["export", str(results), "--format", "asv", "--output", str(target), "--commit", "a" * 40]) == 0
    assert all(name.startswith("asv/") for name in files_of(results.parent) - before)


@pytest.mark.parametrize("name", ["timings.csv", "samples.csv.gz", "report.md", "run.json"])
def test_linked_output_is_replaced(results, name):
    outside = results.parent / "outside"
    outside.write_text("kept")
    link = results / "runs" / "a" / name
    link.symlink_to(outside)
    assert main(["report", str(results / "runs" / "a")]) == 0
    assert outside.read_text() == "kept"
    assert not link.is_symlink()


@pytest.mark.parametrize("name", ["timings.csv", "samples.csv.gz", "run.json"])
def test_table_linked_out_of_the_folder_is_not_read(results, capsys, name):
    assert main(["report", str(results / "runs" / "a")]) == 0
    folder = results / "runs" / "a"
    (folder / journal.FILE).unlink()
    (folder / name).rename(results.parent / name)
    (folder / name).symlink_to(results.parent / name)
    assert main(["export", str(folder), "--format", "csv"]) == 2
    assert "leads out of" in capsys.readouterr().err


def test_run_folder_linked_out_of_the_results_is_refused(results, capsys):
    shutil.move(results / "runs" / "a", results.parent / "a")
    (results / "runs" / "a").symlink_to(results.parent / "a")
    assert main(["report", str(results)]) == 2
    assert "leads out of" in capsys.readouterr().err
    assert files_of(results.parent / "a") == {journal.FILE}


def test_run_with_logs_linked_elsewhere_is_not_resumed(tmp_path):
    folder = write_journal(tmp_path / "run", Story(plan_of_cells(), complete=False).records())
    (tmp_path / "elsewhere").mkdir()
    (folder / "logs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match=r"^--resume: .*logs: a symbolic link that leads out of"):
        session.resumable(folder)


@pytest.mark.parametrize("label", [f"../../up{EVIL}-cpu-float32", "a" * 300, "é" * 200, "/etc/passwd", "a\\b"])
def test_log_names_are_safe_and_distinct(tmp_path, label):
    name = file_name(label)
    assert name == (tmp_path / name).name
    assert len(name.encode()) < 250
    assert name != file_name(label + "x")
    (tmp_path / name).write_text("")
    assert file_name("own:Net-cpu-float32-T1~+5%") == "own_Net-cpu-float32-T1~+5%.log"


def test_report_json_is_valid(results):
    assert main(["report", str(results), "--json", str(results.parent / "out.json")]) == 0
    exported = json.loads((results.parent / "out.json").read_text(encoding="utf-8"))
    assert len(exported["timings"]) == 3
