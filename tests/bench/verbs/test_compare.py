"""`python -m bench compare BASE HEAD` on invented runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import USAGE_ERROR, main
from bench.measure import journal
from tests.bench.made import MACHINE, TORCH, Outcome, Story, plan_of_cells, settled, write_files, write_journal


@pytest.fixture
def run(tmp_path):
    """A function that writes a run in which torch takes `factor` times as long as usual."""

    def write(name: str, factor: float = 1.0, **others) -> str:
        def seconds(cell, pass_number):
            return settled(cell, pass_number) * (factor if cell.contender == TORCH else 1.0)

        story = Story(**{"plan": plan_of_cells(), "seconds": seconds, "name": name, **others})
        return str(write_journal(tmp_path / "runs" / name, story.records()))

    return write


def test_equal_run_passes(run, capsys):
    assert main(["compare", run("a"), run("b", 1.001)]) == 0
    assert capsys.readouterr().out.endswith("0 of 2 cells slower, 2 same\n")


def test_slower_run_is_a_regression_and_is_written(run, tmp_path, capsys):
    page, data = tmp_path / "c.md", tmp_path / "c.json"
    assert main(["compare", run("a"), run("b", 1.1), "--markdown", str(page), "--json", str(data)]) == 1
    summary = capsys.readouterr().out.splitlines()[-1]
    assert summary.startswith("1 of 2 cells slower, worst +10.0 % [")
    assert page.read_text().startswith(f"### ❌ {summary}\n")
    result = json.loads(data.read_text())
    assert (result["base"], result["head"], result["summary"], result["exit_code"]) == ("a", "b", summary, 1)
    assert (result["fail_on"], result["min_effect"]) == (["slower", "wrong", "missing"], 0.02)


def test_faster_run_passes(run):
    assert main(["compare", run("a"), run("b", 0.9)]) == 0


@pytest.mark.parametrize(("options", "code"), [(["--min-effect", "20%"], 0), (["--fail-on", "wrong"], 0)])
def test_options_choose_what_fails(run, options, code):
    assert main(["compare", run("a"), run("b", 1.1), *options]) == code


def test_default_min_effect_is_that_of_head(run):
    assert main(["compare", run("a"), run("b", 1.1, plan=plan_of_cells(min_effect=0.2))]) == 0


def test_min_effect_may_differ_by_cell(run):
    torch = plan_of_cells(min_effects=(("step*torch*-T2]", 0.2),))
    assert main(["compare", run("a"), run("b", 1.1, plan=torch)]) == 0
    assert main(["compare", run("a"), run("c", 1.1, plan=torch), "--min-effect", "1%"]) == 0
    assert main(["compare", run("a"), run("d", 1.1, plan=plan_of_cells(min_effects=(("*numpy*", 0.2),)))]) == 1


def test_wrong_or_missing_cell_is_a_regression(run):
    plan = plan_of_cells()
    wrong = run("wrong", plan=plan, outcomes={plan.cells[1]: Outcome("wrong", "off")})
    assert main(["compare", run("a"), wrong]) == 1
    assert main(["compare", run("a"), run("less", plan=plan_of_cells((TORCH,)))]) == 1


def test_too_few_passes_are_not_judged(run, capsys):
    assert main(["compare", run("a"), run("b", 1.1, passes=4)]) == 3
    assert "4 passes, and fewer than 5 decide nothing" in capsys.readouterr().out


def test_fail_on_unclear(run):
    noisy = run("noisy", seconds=lambda cell, pass_number: settled(cell, pass_number) * (1 + pass_number % 2))
    assert main(["compare", run("a"), noisy, "--fail-on", "unclear"]) == 3


def test_different_machine_is_refused_with_a_list(run, tmp_path, capsys):
    page = tmp_path / "c.md"
    head = run("b", machine={**MACHINE, "cpu": "Other Processor"}, workers={TORCH: {"backend_version": "9.9"}})
    assert main(["compare", run("a"), head, "--markdown", str(page)]) == 3
    for text in (capsys.readouterr().out, page.read_text()):
        assert "cpu: Model Processor → Other Processor (2 cells)" in text
        assert "torch: 1.2.3 → 9.9 (1 cell)" in text
        assert "--allow cpu,torch" in text
    assert main(["compare", run("c"), head, "--allow", "cpu"]) == 3
    assert main(["compare", run("d"), head, "--allow", "cpu, torch"]) == 0
    assert "cpu: Model Processor → Other Processor" in capsys.readouterr().out
    assert main(["compare", run("e"), head, "--allow", "all"]) == 0


def test_absent_difference_may_be_allowed(run):
    assert main(["compare", run("a"), run("b"), "--allow", "gpu,jax,python"]) == 0


def test_timings_csv_with_samples_is_accepted(run):
    base, head = run("a"), run("b", 1.1)
    for folder in (base, head):
        write_files(Path(folder))
    assert main(["compare", f"{base}/timings.csv", f"{head}/timings.csv"]) == 1
    assert main(["compare", base, f"{head}/timings.csv"]) == 1


def test_results_folder_means_its_newest_run(run, tmp_path):
    base = run("2026-01-01", 1.0)
    run("2026-01-02", 1.1)
    assert main(["compare", base, str(tmp_path)]) == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fail-on", "worse"], "--fail-on: 'worse' is nothing to fail on; list some of slower, unclear"),
        (["--fail-on", ","], "--fail-on: ',' is nothing to fail on"),
        (["--min-effect", "lots"], "--min-effect: 'lots' is not a percentage like 2%"),
        (
            ["--allow", "cpu,weather"],
            "--allow: 'weather' is no difference that matters; those are all, autograd, blas, cpu",
        ),
        (["--markdown", "no/such/folder/c.md"], "no/such/folder/c.md"),
    ],
)
def test_bad_option_is_named_in_one_line(run, options, complaint, capsys):
    assert main(["compare", run("a"), run("b"), *options]) == USAGE_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m bench compare: ")
    assert complaint in line


def test_invalid_run_is_named_in_one_line(run, tmp_path, capsys):
    (tmp_path / journal.FILE).write_text("nonsense\n")
    for invalid in (tmp_path / "nothing", tmp_path / journal.FILE):
        assert main(["compare", run("a"), str(invalid)]) == USAGE_ERROR
        [line] = capsys.readouterr().err.splitlines()
        assert str(invalid) in line


def test_run_against_itself_is_refused(run, tmp_path, capsys):
    folder = run("a")
    assert main(["compare", folder, str(tmp_path)]) == USAGE_ERROR
    assert "are the same run, a; name two" in capsys.readouterr().err


def test_both_runs_are_required(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["compare", "results"])
    assert exit_.value.code == USAGE_ERROR


def with_environment(variables):
    return {"workers": {TORCH: {"details": {"blas": "model-blas 1.0", "environment": variables}}}}


def test_different_variable_is_refused_until_allowed(run, capsys):
    base, head = run("base", **with_environment({})), run("head", **with_environment({"OPENBLAS_CORETYPE": "Prescott"}))
    assert main(["compare", base, head]) == 3
    text = capsys.readouterr().out
    assert "OPENBLAS_CORETYPE: not set → Prescott" in text
    assert "--allow OPENBLAS_CORETYPE" in text
    assert main(["compare", base, head, "--allow", "OPENBLAS_CORETYPE"]) == 0


def test_only_variables_that_matter_may_be_allowed(run, capsys):
    base, head = run("base"), run("head", 1.001)
    assert main(["compare", base, head, "--allow", "XLA_FLAGS"]) == 0
    assert main(["compare", base, head, "--allow", "HOME"]) == USAGE_ERROR
    assert "'HOME' is no difference that matters" in capsys.readouterr().err


def test_environment_is_known_without_the_journal(run):
    folders = [
        Path(run(name, **with_environment(variables)))
        for name, variables in (("base", {}), ("head", {"XLA_FLAGS": "--x"}))
    ]
    for folder in folders:
        write_files(folder, folder.parent)
        (folder / journal.FILE).unlink()
    assert main(["compare", *map(str, folders)]) == 3
    assert main(["compare", *map(str, folders), "--allow", "XLA_FLAGS"]) == 0
