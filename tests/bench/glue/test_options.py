"""The command line: valid options make a plan, invalid ones give one line."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from types import SimpleNamespace

import pytest

from bench.glue import options
from bench.measure import machine
from bench.measure.client import ROOT
from bench.plan.cells import PHASES, Shape
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine

PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    str(ROOT / "bench"),
    "-c",
    str(ROOT / "pyproject.toml"),
    "-p",
    "no:cacheprovider",
)
USAGE_ERROR = 4


@pytest.fixture
def folder(pytester):
    """A folder with a module, a file and a grid."""
    pytester.makepyfile(mod="class Net:\n    pass\n", broken="class Net(:\n")
    pytester.path.joinpath("a-file").write_text("")
    pytester.path.joinpath("bad.toml").write_text("N = [4]\nsizes = [1]\n")
    pytester.path.joinpath("empty.toml").write_text("# nothing\n\n")
    pytester.path.joinpath("folder.toml").mkdir()
    pytester.path.joinpath("zero.toml").symlink_to("/dev/zero")
    os.mkfifo(pytester.path / "fifo.toml")
    pytester.path.joinpath("latin.py").write_bytes(b"class Net: ...\n# caf\xe9\n")
    pytester.path.joinpath("null.py").write_bytes(b"class Net: ...\n\0\n")
    return pytester


BAD = [
    (["--grid", "nope"], "--grid", "there is no grid 'nope'"),
    (["--grid", "nowhere.toml"], "--grid", "cannot read"),
    (["--grid", "bad.toml"], "bad.toml:2: sizes", "not a key of a grid"),
    (["--N", "abc"], "--N", "'abc' is not a whole number of at least 1"),
    (["--N", "0"], "--N", "not a whole number of at least 1"),
    (["--N", "4,4"], "--N", "twice"),
    (["--D-in", "-3"], "--D-in", "'-3' is not a whole number"),
    (["--H", ""], "--H", "is not a whole number"),
    (["--devices", "x y"], "--devices", "'x y' is not a device"),
    (["--dtypes", "float8"], "--dtypes", "'float8' is not one of float32, float64, float16, bfloat16"),
    (["--threads", "99999"], "--threads", "99999 is more than the"),
    (["--threads", "many"], "--threads", "nor 'all'"),
    (["--phases", "sideways"], "--phases", "'sideways' is not one of forward"),
    (["--implementations", "nope"], "--implementations", "there is no implementation 'nope'"),
    (["--implementations", "nomod:Net"], "--implementations", "there is no module 'nomod'"),
    (["--implementations", "mod:NoClass"], "--implementations", "mod has no class 'NoClass'"),
    (["--implementations", "broken:Net"], "--implementations", "invalid syntax"),
    (["--implementations", "numpy,,torch"], "--implementations", "'' is not a name"),
    (["--baseline", "nope"], "--baseline", "'nope' is not an implementation"),
    (["--passes", "0"], "--passes", "0 is not a whole number of at least 1"),
    (["--passes", "1.5"], "--passes", "'1.5' is not a whole number"),
    (["--passes", "many"], "--passes", "'many' is not a whole number of at least 1, nor 'auto'"),
    (
        ["--passes", "5", "--time-budget", "60s"],
        "--time-budget",
        "a run of 5 passes takes its time; ask for --passes auto",
    ),
    (["--time-budget", "soon", "--passes", "auto"], "--time-budget", "'soon' is not a time like 90s, 5m or 1h"),
    (["--precision", "1"], "--precision", "'1' is not a percentage like 2%, or a fraction below 1 like 0.02"),
    (["--min-effect", "two"], "--min-effect", "'two' is not a percentage like 2%"),
    (["--ceilings", "maybe"], "--ceilings", "'maybe' is not true or false, nor 'yes' or 'no'"),
    (["--rounds", "0"], "--rounds", "0 is not a whole number of at least 1"),
    (["--rounds", "9" * 12], "--rounds", "is not a whole number of at most 100000"),
    (["--rounds", "auto"], "--rounds", "'auto' is not a whole number"),
    (["--samples", "0"], "--samples", "0 is not a whole number of at least 1"),
    (["--samples", "100001"], "--samples", "100001 is not a whole number of at most 100000"),
    (["--samples", "1.5"], "--samples", "'1.5' is not a whole number"),
    (["--combine", "turns"], "--combine", "'turns' is not one of product, in_turn"),
    (["--min-effect-of", "5%"], "--min-effect-of", "'5%' is not a list of patterns, like update*=5%,train*=3%"),
    (["--min-effect-of", ""], "--min-effect-of", "'' is not a list of patterns"),
    (["--min-effect-of", "=5%"], "--min-effect-of", "'' is no pattern of a cell's key"),
    (["--min-effect-of", "step*=5%,step*=3%"], "--min-effect-of", "'step*' stands there twice"),
    (["--min-effect-of", "step*=lots"], "--min-effect-of", "'step*': 'lots' is not a percentage like 2%"),
    (["--min-effect-of", "stpe*=5%"], "--min-effect-of", "no cell's key is like 'stpe*'"),
    (["--steps", "x"], "--steps", "'x' is not a whole number"),
    (["--cell-timeout", "0"], "--cell-timeout", "is not a whole number"),
    (["--seed", "x"], "--seed", "'x' is not a whole number of at least 0"),
    (["--seed", "-1"], "--seed", "'-1' is not a whole number"),
    (["--resume", "nowhere"], "--resume", "is not a run's folder"),
    (["--results", "a-file"], "--results", "is not a folder"),
    (["--N", "9" * 23], "--N", "is not a whole number of at most 1000000000"),
    (["--N", "9" * 5000], "--N", "is not a whole number"),
    (["--N", "١٢"], "--N", "'١٢' is not a whole number"),
    (["--D-in", "１２"], "--D-in", "is not a whole number"),
    (["--H", "1_000"], "--H", "'1_000' is not a whole number"),
    (["--steps", "9" * 12], "--steps", "is not a whole number of at most"),
    (["--cell-timeout", "9" * 12], "--cell-timeout", "is not a whole number of at most"),
    (["--cell-timeout", "nan"], "--cell-timeout", "'nan' is not a whole number"),
    (["--passes", "9" * 12], "--passes", "is not a whole number of at most"),
    (["--passes", "inf"], "--passes", "'inf' is not a whole number"),
    (["--time-budget", "inf", "--passes", "auto"], "--time-budget", "'inf' is not a time"),
    (["--time-budget", "9999999h", "--passes", "auto"], "--time-budget", "a time is at most"),
    (["--min-effect", "nan"], "--min-effect", "'nan' is not a percentage"),
    (["--precision", "٢%"], "--precision", "is not a percentage"),
    (["--threads", "9" * 23], "--threads", "is not a whole number of at most"),
    (["--seed", "9" * 23], "--seed", "is not a whole number of at most"),
    (["--seed", "٣"], "--seed", "'٣' is not a whole number"),
    (["--max-cells", "0"], "--max-cells", "0 is not a whole number of at least 1"),
    (["--max-cells", "3"], "--max-cells", "cells or more, and at most 3 are measured"),
    (["--grid", ""], "--grid", "an empty value"),
    (["--results", ""], "--results", "an empty value"),
    (["--resume", ""], "--resume", "an empty value"),
    (["--against", ""], "--against", "an empty value"),
    (["--fail-on", ""], "--fail-on", "an empty value"),
    (["--seed", ""], "--seed", "an empty value"),
    (["--implementations", ""], "--implementations", "'' is not a name"),
    (["--grid", "smokey"], "--grid", "did you mean 'smoke'?"),
    (["--grid", "empty.toml"], "empty.toml", "an empty grid"),
    (["--grid", "zero.toml"], "zero.toml", "not a regular file but a device"),
    (["--grid", "fifo.toml"], "fifo.toml", "not a regular file but a FIFO"),
    (["--grid", "folder.toml"], "--grid", "Is a directory"),
    (["--grid", "/dev/zero"], "--grid", "there is no grid '/dev/zero'"),
    (["--grid", "a" * 300 + ".toml"], "--grid", "File name too long"),
    (["--results", "a" * 300], "--results", "File name too long"),
    (["--resume", "a" * 300], "--resume", "is not a run's folder"),
    (["--implementations", "a" * 300], "--implementations", "a name has at most 255"),
    (["--implementations", "numpi"], "--implementations", "did you mean 'numpy'?"),
    (["--implementations", "os:path"], "--implementations", "'path' is a module in os"),
    (["--implementations", "mod:Nett"], "--implementations", "did you mean 'Net'?"),
    (["--implementations", "mod:a b"], "--implementations", "a class is named like package.module:Class"),
    (["--implementations", "latin:Net"], "--implementations", "latin.py:2: not utf-8 text"),
    (["--implementations", "null:Net"], "--implementations", "null.py:2: a null byte"),
    (["--implementations", "broken:Net"], "--implementations", "broken.py:1: "),
    (["--devices", "cpu:1"], "--devices", "a machine has one cpu, without a number"),
    (["--devices", "cuda:١"], "--devices", "is not a device"),
    (["--devices", "cdua"], "--devices", "did you mean 'cuda'?"),
    (["--implementations", "numpy", "--devices", "cdua"], "--devices", "did you mean 'cuda'?"),
    (["--phases", "stpe"], "--phases", "did you mean 'step'?"),
    (["--dtypes", "float46"], "--dtypes", "did you mean 'float64'?"),
    (["--baseline", "numpie"], "--baseline", "did you mean 'numpy'?"),
]
REAL = ["nope", "bad.toml", "x y", "nomod:Net", "mod:NoClass", "nowhere", "a-file", "x"]
"""Values whose complaints are also checked in a pytest process; the others take the same path."""


class Config:
    """The part of pytest's Config that options are read from."""

    def __init__(self, folder, arguments):
        self.invocation_params = SimpleNamespace(dir=folder)
        parser = pytest.Parser(_ispytest=True)
        options.add_options(parser.getgroup("relubench"))
        self.parsed = parser.parse(
            [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]
        )

    def add_cleanup(self, cleanup):
        """Ignore a cleanup, which pytest would call at its end."""

    def getoption(self, name):
        return getattr(self.parsed, name.removeprefix("--").replace("-", "_"))


def asked(folder, *arguments):
    return options.plan_from(Config(folder, arguments))


@pytest.mark.parametrize(("arguments", "option", "complaint"), BAD, ids=lambda value: str(value)[:24])
def test_bad_option_gives_one_line_with_its_name(folder, arguments, option, complaint):
    with pytest.raises(PlanError) as caught:
        asked(folder.path, *arguments)
    line = str(caught.value)
    assert line.startswith((f"{option}: ", f"{folder.path}/{option}: "))
    assert complaint in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("arguments", "option", "complaint"), [bad for bad in BAD if bad[0][1] in REAL], ids=lambda value: str(value)[:24]
)
def test_bad_option_ends_pytest_with_one_line(folder, arguments, option, complaint):
    result = folder.run(*PYTEST, "--collect-only", "-q", *arguments)
    assert result.ret == USAGE_ERROR
    lines = [line for line in [*result.outlines, *result.errlines] if line]
    [line] = lines
    assert line.startswith("ERROR: ")
    assert option in line
    assert complaint in line


THIS_MACHINE = Machine(cpus=4, accelerators=("cuda",))


@pytest.fixture
def this_machine(monkeypatch):
    monkeypatch.setattr(machine, "here", lambda: THIS_MACHINE)


def test_default_is_the_default_grid_on_this_machine(tmp_path, this_machine):
    request = asked(tmp_path)
    assert request.plan.grid == "default"
    assert request.results == tmp_path / "results"
    assert request.resume is None
    assert request.path[0] == str(tmp_path)
    assert request.plan.cpus == 4
    assert {cell.phase for cell in request.plan.cells} <= set(PHASES)
    assert {cell.contender.implementation for cell in request.plan.cells} >= {"numpy", "torch", "jax", "cupy"}
    assert {cell.contender.device for cell in request.plan.cells} == {"cpu", "cuda"}


def test_every_option_overrides_the_grid(tmp_path, this_machine):
    arguments = ["--grid", "smoke", "--implementations", "torch,numpy", "--devices", "cpu", "--dtypes", "float64"]
    arguments += [
        "--threads",
        "1,all",
        "--N",
        "2,3",
        "--D-in",
        "4",
        "--H",
        "5",
        "--D-out",
        "6",
        "--phases",
        "train,step",
    ]
    arguments += ["--passes", "9", "--baseline", "torch", "--steps", "8", "--cell-timeout", "7", "--seed", "42"]
    plan = asked(tmp_path, *arguments, "--results", "elsewhere").plan
    assert list(dict.fromkeys(cell.contender.implementation for cell in plan.cells)) == ["torch", "numpy"]
    assert list(dict.fromkeys(cell.shape for cell in plan.cells)) == [Shape(2, 4, 5, 6), Shape(3, 4, 5, 6)]
    assert list(dict.fromkeys(cell.phase for cell in plan.cells)) == ["train", "step"]
    assert {(cell.contender.device, cell.contender.dtype) for cell in plan.cells} == {("cpu", "float64")}
    assert {cell.contender.threads for cell in plan.cells} == {1, "all"}
    assert (plan.passes, plan.baseline, plan.steps, plan.timeout, plan.seed) == (9, "torch", 8, 7, 42)
    assert len(plan.cells) == 2 * 2 * 2 * 2


def test_every_key_of_a_grid_has_an_option():
    assert {key for _, key, _ in (*options.AXES, *options.SCALARS)} == {field.name for field in fields(Grid)} - {"name"}


def test_rounds_and_samples_override_the_grid(tmp_path, this_machine):
    plan = asked(tmp_path, "--grid", "smoke", "--rounds", "7", "--samples", "100000").plan
    assert (plan.rounds, plan.samples) == (7, 100_000)
    assert asked(tmp_path, "--rounds", "1", "--samples", "1").plan.samples == 1


def test_combine_option_combines_sizes(tmp_path, this_machine):
    sizes = ["--N", "1,2", "--D-in", "3,4", "--H", "5", "--D-out", "6", "--combine"]
    shapes = [
        {cell.shape for cell in asked(tmp_path, *sizes, combine).plan.cells} for combine in ("product", "in_turn")
    ]
    assert [len(combined) for combined in shapes] == [4, 3]
    assert shapes[0] - shapes[1] == {Shape(2, 4, 5, 6)}


def test_shapes_option_adds_single_shapes(tmp_path, this_machine):
    sizes = ["--N", "1", "--D-in", "3", "--H", "5", "--shapes", "7x8x9,7x8x9x2"]
    shapes = {cell.shape for cell in asked(tmp_path, *sizes).plan.cells}
    assert shapes == {Shape(1, 3, 5), Shape(7, 8, 9), Shape(7, 8, 9, 2)}


def test_min_effect_of_overrides_the_table_of_the_grid(tmp_path, this_machine):
    (tmp_path / "own.toml").write_text('N = [3]\n[min_effect_of]\n"step*" = "5%"\n')
    plan = asked(tmp_path, "--grid", "own.toml", "--min-effect-of", "update*=5%,train*torch*=0.1").plan
    assert plan.min_effects == (("update*", 0.05), ("train*torch*", 0.1))


def test_passes_auto_makes_an_adaptive_plan(tmp_path, this_machine):
    plan = asked(tmp_path, "--passes", "auto", "--time-budget", "1m", "--precision", "0.5%", "--min-effect", "3%").plan
    assert (plan.adaptive, plan.passes, plan.time_budget) == (True, 5, 60.0)
    assert (plan.precision, plan.min_effect) == pytest.approx((0.005, 0.03))
    assert asked(tmp_path, "--passes", "auto").plan.time_budget == 285.0


def test_paths_are_relative_to_the_invocation_folder(tmp_path, this_machine):
    (tmp_path / "own.toml").write_text("N = [3]\nD_in = [2]\nH = [1]\nimplementation = ['numpy']\nsteps = 4\n")
    request = asked(tmp_path, "--grid", "own.toml", "--results", "elsewhere")
    assert {cell.shape for cell in request.plan.cells} == {Shape(3, 2, 1)}
    assert (request.plan.grid, request.plan.steps) == ("own", 4)
    assert request.results == tmp_path / "elsewhere"


def test_own_class_is_found_in_invocation_folder_and_pythonpath(tmp_path, this_machine, monkeypatch):
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "near" / "beside.py").write_text("class Net: ...")
    (tmp_path / "far" / "away.py").write_text("DEVICE_KINDS = ('cpu', 'cuda')\nclass Net: ...")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "far"))
    request = asked(tmp_path / "near", "--implementations", "beside:Net,away:Net", "--grid", "smoke")
    contenders = dict.fromkeys(str(cell.contender) for cell in request.plan.cells)
    assert list(contenders) == ["beside:Net-cpu-float32", "away:Net-cpu-float32", "away:Net-cuda-float32"]
    assert request.path == (str(tmp_path / "near"), str(tmp_path / "far"))


def test_seed_is_from_the_clock_by_default(tmp_path, this_machine, monkeypatch):
    monkeypatch.setattr(options, "time", SimpleNamespace(time_ns=lambda: 2**32 + 17))
    assert asked(tmp_path).plan.seed == 17
    assert asked(tmp_path, "--seed", "0").plan.seed == 0


@pytest.mark.parametrize("arguments", [["--N", "4"], ["--phases", "step"], ["--rounds", "3"]])
def test_resume_refuses_options_about_what_to_measure(tmp_path, this_machine, arguments):
    with pytest.raises(PlanError, match=f"^{arguments[0]}: a run that is resumed"):
        asked(tmp_path, "--resume", "any", *arguments)


def test_resume_takes_more_passes_or_time(tmp_path, this_machine, monkeypatch):
    given = []
    monkeypatch.setattr(options.session, "resumable", lambda *arguments: given.append(arguments))
    asked(tmp_path, "--resume", "any")
    asked(tmp_path, "--resume", "any", "--passes", "8")
    asked(tmp_path, "--resume", "any", "--time-budget", "9m")
    assert [more for _, _, anyway, more in given] == [{}, {"passes": "8"}, {"time_budget": "9m"}]


def test_resume_takes_a_run_name_or_a_path(tmp_path, this_machine):
    """A name with folders in it is a path from the invocation folder, not from the results folder."""
    (tmp_path / "results" / "runs").mkdir(parents=True)
    (tmp_path / "results" / "elsewhere").mkdir()
    with pytest.raises(PlanError, match=f"^--resume: {tmp_path / '..' / 'elsewhere'} is not a run's folder"):
        asked(tmp_path, "--resume", "../elsewhere")


def test_pattern_that_fits_no_cell_is_refused(tmp_path, this_machine):
    (tmp_path / "own.toml").write_text('N = [3]\n[min_effect_of]\n"stpe*" = "5%"\n')
    with pytest.raises(PlanError, match=r"^grid own: min_effect_of: no cell's key is like 'stpe\*'; keys are like"):
        asked(tmp_path, "--grid", "own.toml")


def test_pattern_may_fit_only_cells_that_options_leave_out(tmp_path, this_machine):
    (tmp_path / "own.toml").write_text('N = [3]\n[min_effect_of]\n"step*torch*" = "5%"\n')
    plan = asked(tmp_path, "--grid", "own.toml", "--implementations", "numpy", "--phases", "forward").plan
    assert plan.min_effects == (("step*torch*", 0.05),)
