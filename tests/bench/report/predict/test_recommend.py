import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.analyse.predict import recommend
from bench.analyse.predict.recommend import Question
from bench.analyse.run.run import Run
from bench.analyse.run.tables import RunTables
from bench.measure.records import Prepared
from bench.plan.cells import Cell, Contender, Shape, flops
from bench.plan.work import unavoidable_bytes
from bench.report import files
from bench.report.predict import recommend as shown
from tests.bench.made import NUMPY, TORCH, Outcome, Story, plan_of_cells, write_journal

JAX = Contender("jax", "cpu", "float32")
SHAPES = [
    Shape(64, 1000, 100),
    Shape(512, 1000, 100),
    Shape(64, 8000, 100),
    Shape(64, 1000, 800),
    Shape(256, 4000, 400),
]
UNSEEN_SHAPE = Shape(256, 2000, 300)
UNSEEN = ["--N", "256", "--D-in", "2000", "--H", "300"]
SEEN = ["--N", "512", "--D-in", "1000", "--H", "100"]
COST = {"numpy": (1e-5, 4e-11), "torch": (4e-5, 1e-11), "jax": (4.1e-5, 1.01e-11)}
DRIFT = {"numpy": (1, 1.01, 0.99, 1, 1), "torch": (1.01, 1, 0.99, 1, 1), "jax": (0.97, 1.02, 1.03, 0.98, 1)}


def cost(cell, pass_number):
    """Torch and jax are nearly alike, numpy starts sooner and then is slower."""
    fixed, per_flop = COST[cell.contender.implementation]
    work = flops(cell.shape, cell.phase) * per_flop + unavoidable_bytes(cell.shape, cell.phase, 4) * 2e-11
    steps = 50 if cell.phase == "train" else 1
    return steps * (fixed + work) * DRIFT[cell.contender.implementation][pass_number - 1]


def story(contenders=(NUMPY, TORCH, JAX), shapes=tuple(SHAPES), phases=("forward", "step"), **others):
    outcomes = others.pop("outcomes", {})
    return Story(plan_of_cells(contenders, shapes, phases, **others), cost, outcomes)


@pytest.fixture
def results(tmp_path) -> Path:
    """A results folder with one run."""
    write_journal(tmp_path / "runs" / story().name, story().records())
    return tmp_path


def ask(results, capsys, *arguments):
    """(exit code, what it printed, what it complained of)."""
    code = main(["recommend", *map(str, arguments), "--results", str(results)])
    told = capsys.readouterr()
    return code, told.out, told.err


def loaded(made) -> RunTables:
    return made.run().tables


def answer(made, shape=UNSEEN_SHAPE, **others):
    return recommend.recommend(loaded(made), Question(shape, **others))


def test_a_size_that_was_never_measured_is_answered_with_all_that_it_rests_on(results, capsys):
    code, out, err = ask(results, capsys, *UNSEEN)
    assert (code, err) == (0, "")
    assert re.search(r"^N=256 D_in=2000 H=300 +time of a step$", out, re.MULTILINE)
    assert [line.split()[0] for line in out.splitlines()[2:5]][-1] == "numpy"
    assert "may be as fast" in out
    assert f"From run {story().name}, of 2026-01-02T03:04:05+00:00, Model Processor; intervals are 90 %." in out
    assert re.search(r"\d+ % of 30 cells fell within such an interval, typically ± .* %; typical error .* %\.", out)


def test_who_is_slower_for_sure_is_told_apart_and_who_is_alike_is_not(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN)
    assert re.search(r"Use (torch; jax|jax; torch) may be as fast\.", out)


def test_the_line_to_measure_names_those_that_may_be_the_fastest(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN)
    assert re.search(
        r"^pytest bench/ --benchmark-only --N 256 --D-in 2000 --H 300 --phases step --implementations "
        r"(torch,jax|jax,torch)( --dtypes float32)? --threads 2$",
        out,
        re.MULTILINE,
    )


def test_a_size_that_was_measured_is_answered_by_its_measurement(results, capsys):
    code, out, _ = ask(results, capsys, *SEEN)
    assert code == 0
    assert out.count("measured") >= 3
    assert "That run measured this very cell: nothing is predicted." in out
    told = answer(story(), SHAPES[1])
    row = loaded(story()).timings.query("N == 512 and phase == 'step' and implementation == 'jax'").iloc[0]
    mine = told.table[told.table["implementation"] == "jax"].iloc[0]
    assert mine["seconds"] == row["seconds"]
    assert row["seconds_low"] < mine["low"] < mine["seconds"] < mine["high"] < row["seconds_high"]
    assert told.validation is None


def test_measured_and_predicted_can_stand_side_by_side():
    lost = {Cell(JAX, SHAPES[1], "step"): Outcome("not_run", "the run ended")}
    told = answer(story(outcomes=lost), SHAPES[1])
    assert dict(zip(told.table["implementation"], told.table["measured"], strict=True)) == {
        "numpy": True,
        "torch": True,
        "jax": False,
    }


def test_who_failed_at_the_very_cell_is_not_predicted_there():
    lost = {Cell(JAX, SHAPES[1], "step"): Outcome("out_of_memory", "too large")}
    told = answer(story(outcomes=lost), SHAPES[1])
    assert set(told.table["implementation"]) == {"numpy", "torch"}
    assert told.left_out == ["jax: out_of_memory at this very cell, too large"]


@pytest.mark.parametrize("cold", [True, False])
def test_a_training_counts_its_start_whose_last_part_is_its_first_step(cold):
    made, asked = story(), Question(UNSEEN_SHAPE, steps=500)
    started = recommend.starts(made.run()) if cold else None
    told = recommend.recommend(loaded(made), asked, started).table.set_index("implementation")
    for _, row in told.iterrows():
        assert row["start_seconds"] == pytest.approx(0.25 + 0.001 + 0.002)
        assert row["total_seconds"] == pytest.approx(row["start_seconds"] + 499 * row["seconds"])
        assert row["total_low"] < row["total_seconds"] < row["total_high"]


def test_a_short_training_is_won_by_who_starts_soonest():
    slow_start = {TORCH: {"import_seconds": 2.0}}
    made = Story(plan_of_cells((NUMPY, TORCH), SHAPES, ("step",)), cost, workers=slow_start)
    assert answer(made).table.iloc[0]["implementation"] == "torch"
    assert answer(made, steps=10).table.iloc[0]["implementation"] == "numpy"
    assert answer(made, steps=100_000).table.iloc[0]["implementation"] == "torch"


def test_a_start_is_that_of_a_process_that_had_no_other_size_before():
    contexts = 3.0
    records = [
        replace(one, setup_seconds=one.setup_seconds + contexts) if isinstance(one, Prepared) and cold else one
        for one, cold in _with_firsts(story().records())
    ]
    run = Run.of(records).tables
    told = recommend.recommend(run, Question(UNSEEN_SHAPE, steps=500), recommend.starts(Run.of(records))).table
    assert told["start_seconds"].to_numpy() == pytest.approx(0.25 + 0.001 + 0.002 + contexts)
    assert (told["total_low"] < told["total_high"]).all()


def _with_firsts(records):
    """Each, and whether it is the first that its process prepared."""
    known = set()
    for one in records:
        cold = isinstance(one, Prepared) and one.number not in known
        if isinstance(one, Prepared):
            known.add(one.number)
        yield one, cold


def test_who_was_not_measured_that_far_is_left_out():
    wide = [Shape(size, 1000, 100) for size in (4, 16, 64, 256, 1024, 4096)]
    lost = {Cell(NUMPY, shape, "step"): Outcome("out_of_memory", "too large") for shape in wide if shape.N > 64}
    told = answer(story(shapes=wide, phases=("step",), outcomes=lost), Shape(2048, 1000, 100))
    assert set(told.table["implementation"]) == {"torch", "jax"}
    assert told.left_out == ["numpy: N=2,048 lies over 4 times beyond the measured 4 to 64"]


@pytest.mark.parametrize(("asked", "line"), [({"threads": 1}, "--threads 1"), ({"phase": "train"}, "--steps 50")])
def test_the_line_to_measure_asks_for_what_the_run_had(asked, line):
    one = [Contender(name, "cpu", "float32", 1) for name in ("numpy", "torch", "jax")]
    told = answer(story(one, phases=("step", "train"), steps=50), phase=asked.get("phase", "step"))
    assert line in told.measure


def test_a_training_has_its_column(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN, "--steps", 5000)
    assert re.search(r"time of a step +start +5,000 steps from the start$", out, re.MULTILINE)


def test_a_train_is_said_to_be_of_so_many_steps(tmp_path, capsys):
    write_journal(tmp_path, story(phases=("train",), steps=50).records())
    _, out, _ = ask(tmp_path, capsys, *UNSEEN, "--phase", "train")
    assert "time of a train of 50 steps" in out


def test_the_answer_is_written_as_json_too(results, capsys, tmp_path):
    file = tmp_path / "answer.json"
    code, _, _ = ask(results, capsys, *UNSEEN, "--steps", 10, "--json", file)
    told = json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code == 0
    assert told["run"] == story().name
    assert told["shape"] == {"N": 256, "D_in": 2000, "H": 300, "D_out": 10}
    assert told["cross_validation"]["cells"] == 30
    first = told["contenders"][0]
    assert first["low"] < first["seconds"] < first["high"]
    assert first["tied"] is False


def test_contenders_stand_best_first():
    table = answer(story()).table
    assert table["seconds"].is_monotonic_increasing
    assert not table["tied"].iloc[0]


def test_device_dtype_and_threads_narrow_it_down():
    contenders = [
        Contender(name, "cpu", dtype, threads)
        for name in ("numpy", "torch")
        for dtype in ("float32", "float64")
        for threads in (1, 2)
    ]
    made = story(contenders)
    assert set(answer(made).table["dtype"]) == {"float32"}
    assert set(answer(made, dtype="float64").table["dtype"]) == {"float64"}
    assert len(answer(made).table) == 4
    one = answer(made, threads=1, dtype="float64")
    assert set(one.table["threads"]) == {1}
    assert one.measure is None or one.measure.endswith("--dtypes float64 --threads 1")


def test_an_accelerator_is_named_and_proposed_with_its_device():
    contenders = [NUMPY, Contender("torch", "cuda", "float32"), Contender("jax", "cuda", "float32")]
    told = answer(story(contenders))
    assert "torch, cuda" in shown.text(told)
    assert "--devices cuda" in told.measure
    assert set(answer(story(contenders), device="cuda").table["implementation"]) == {"torch", "jax"}


def test_a_contender_with_too_few_sizes_is_left_out_and_named():
    lost = {Cell(JAX, shape, "step"): Outcome("timeout", "too slow") for shape in SHAPES[:3]}
    told = answer(story(outcomes=lost))
    assert set(told.table["implementation"]) == {"numpy", "torch"}
    assert told.left_out == ["jax: timed at 2 of the 3 sizes that predicting takes"]
    assert "Not answered for:\njax: timed at 2" in shown.text(told)


def test_a_sure_answer_proposes_nothing():
    told = answer(story((NUMPY, TORCH)), SHAPES[4])
    assert told.measure is None
    assert "To be sure" not in shown.text(told)
    assert "Use torch, which is clearly the fastest." in shown.text(told)


def test_one_contender_alone_is_said_to_be_alone():
    assert "Only numpy can be answered for." in shown.text(answer(story((NUMPY,)), SHAPES[0]))


def test_from_a_csv_alone_it_answers_as_well(tmp_path, capsys):
    (tmp_path / "timings.csv").write_text(files.timings_csv(loaded(story()).timings))
    code, out, _ = ask(tmp_path / "timings.csv", capsys, *UNSEEN)
    assert code == 0
    assert f"From run {story().name}, Model Processor; intervals" in out
    assert ask(tmp_path / "timings.csv", capsys, *SEEN)[0] == 0


def test_from_one_pass_a_measured_cell_has_no_interval(tmp_path, capsys):
    write_journal(tmp_path, story(passes=1).records())
    code, out, _ = ask(tmp_path, capsys, *SEEN)
    assert code == 0
    assert "[?]" in out
    assert re.search(r"To be sure, measure it:\npytest .* --passes 2$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--N", 0, "--D-in", 1, "--H", 1], "--N 0: a size is a whole number above 0"),
        (["--N", 1, "--D-in", -5, "--H", 1], "--D-in -5: a size is a whole number above 0"),
        ([*UNSEEN, "--D-out", 0], "--D-out 0: a size is a whole number above 0"),
        ([*UNSEEN, "--phase", "sideways"], "--phase sideways: phases are forward, backward, update, step, train"),
        ([*UNSEEN, "--phase", "update"], "--phase update: this run has forward, step"),
        ([*UNSEEN, "--device", "tpu"], "--device tpu: this run has cpu"),
        ([*UNSEEN, "--dtype", "float64"], "--dtype float64: this run has float32"),
        ([*UNSEEN, "--threads", 64], "--threads 64: this run has 2"),
        ([*UNSEEN, "--steps", 0], "--steps 0: a training takes one step or more"),
        ([*UNSEEN, "--steps", 5, "--phase", "forward"], "--steps counts steps: it goes with --phase step, not forward"),
        (
            ["--N", 99999, "--D-in", 2000, "--H", 300],
            "N=99,999 lies over 4 times beyond the measured 64 to 512; measure it: "
            "pytest bench/ --benchmark-only --N 99999 --D-in 2000 --H 300 --phases step",
        ),
    ],
)
def test_what_cannot_be_answered_is_one_line(results, capsys, arguments, complaint):
    code, out, err = ask(results, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"python -m bench recommend: {complaint}")
    assert err.count("\n") == 1


def test_no_run_is_one_line(tmp_path, capsys):
    code, _, err = ask(tmp_path / "nowhere", capsys, *UNSEEN)
    assert code == 2
    assert err.count("\n") == 1
    assert "nowhere: no run here" in err


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (story(shapes=SHAPES[:1]), "timed step at too few sizes to predict others (it takes 3); measure it: pytest"),
        (story(passes=0), "has no time of such a cell: every one failed or was not run"),
    ],
    ids=["one size", "nothing measured"],
)
def test_a_run_that_says_nothing_of_it_says_so(tmp_path, capsys, made, complaint):
    write_journal(tmp_path, made.records())
    code, _, err = ask(tmp_path, capsys, "--N", 100, "--D-in", 1000, "--H", 100)
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1
