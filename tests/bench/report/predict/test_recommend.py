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
    """The time of a cell: torch and jax are nearly equal, numpy starts sooner and is slower then."""
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
    """Run the verb; returns its exit code, standard output and standard error."""
    code = main(["recommend", *map(str, arguments), "--results", str(results)])
    output = capsys.readouterr()
    return code, output.out, output.err


def loaded(made) -> RunTables:
    return made.run().tables


def answer(made, shape=UNSEEN_SHAPE, **others):
    return recommend.recommend(loaded(made), Question(shape, **others))


def test_unmeasured_size_is_predicted_with_its_grounds(results, capsys):
    code, out, err = ask(results, capsys, *UNSEEN)
    assert (code, err) == (0, "")
    assert re.search(r"^N=256 D_in=2000 H=300 +time of a step$", out, re.MULTILINE)
    assert [line.split()[0] for line in out.splitlines()[2:5]][-1] == "numpy"
    assert "may be as fast" in out
    assert f"From run {story().name}, of 2026-01-02T03:04:05+00:00, Model Processor; intervals are 90 %." in out
    assert re.search(r"\d+ % of 30 cells fell within such an interval, typically ± .* %; typical error .* %\.", out)


def test_contenders_that_may_be_as_fast_are_named(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN)
    assert re.search(r"Use (torch; jax|jax; torch) may be as fast\.", out)


def test_command_to_measure_names_the_possible_winners(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN)
    assert re.search(
        r"^pytest bench/ --benchmark-only --N 256 --D-in 2000 --H 300 --phases step --implementations "
        r"(torch,jax|jax,torch)( --dtypes float32)? --threads 2$",
        out,
        re.MULTILINE,
    )


def test_sizes_that_would_sharpen_a_wide_prediction_are_proposed(results, capsys, tmp_path):
    file = tmp_path / "answer.json"
    _, out, _ = ask(results, capsys, "--N", 64, "--D-in", 8000, "--H", 800, "--json", file)
    assert re.search(
        r"^To sharpen predictions like this one, from ± \d+ % to about ± \d+ %, measure N=\d+ D_in=\d+ H=\d+( and "
        r"N=\d+ D_in=\d+ H=\d+)? as well, in one run with its other sizes:\n"
        r"pytest bench/ --benchmark-only --N 64 --D-in 1000 --H 100 "
        r"--shapes 512x1000x100,64x8000x100,64x1000x800,256x4000x400(,\d+x\d+x\d+)+ --phases step "
        r"--implementations \S+ --threads 2$",
        out,
        re.MULTILINE,
    )
    proposed = json.loads(file.read_text())["proposal"]
    assert proposed["half_width_after"] < proposed["half_width"]
    assert proposed["measure"] in out
    for shape in proposed["shapes"]:
        assert f"{shape['N']}x{shape['D_in']}x{shape['H']}" in proposed["measure"]


def test_no_sizes_are_proposed_where_the_cell_was_measured(results, capsys):
    _, out, _ = ask(results, capsys, *SEEN)
    assert "sharpen" not in out


def test_measured_size_is_answered_by_its_measurement(results, capsys):
    code, out, _ = ask(results, capsys, *SEEN)
    assert code == 0
    assert out.count("measured") >= 3
    assert "That run measured this very cell: nothing is predicted." in out
    result = answer(story(), SHAPES[1])
    row = loaded(story()).timings.query("N == 512 and phase == 'step' and implementation == 'jax'").iloc[0]
    answered = result.table[result.table["implementation"] == "jax"].iloc[0]
    assert answered["seconds"] == row["seconds"]
    assert row["seconds_low"] < answered["low"] < answered["seconds"] < answered["high"] < row["seconds_high"]
    assert result.validation is None


def test_measured_and_predicted_contenders_are_mixed():
    lost = {Cell(JAX, SHAPES[1], "step"): Outcome("not_run", "the run ended")}
    result = answer(story(outcomes=lost), SHAPES[1])
    assert dict(zip(result.table["implementation"], result.table["measured"], strict=True)) == {
        "numpy": True,
        "torch": True,
        "jax": False,
    }


def test_contender_that_failed_at_the_cell_is_left_out():
    lost = {Cell(JAX, SHAPES[1], "step"): Outcome("out_of_memory", "too large")}
    result = answer(story(outcomes=lost), SHAPES[1])
    assert set(result.table["implementation"]) == {"numpy", "torch"}
    assert result.left_out == ["jax: out_of_memory at this very cell, too large"]


@pytest.mark.parametrize("cold", [True, False])
def test_total_is_start_and_steps_after_the_first(cold):
    made, question = story(), Question(UNSEEN_SHAPE, steps=500)
    started = recommend.starts(made.run()) if cold else None
    table = recommend.recommend(loaded(made), question, started).table.set_index("implementation")
    for _, row in table.iterrows():
        assert row["start_seconds"] == pytest.approx(0.25 + 0.001 + 0.002)
        assert row["total_seconds"] == pytest.approx(row["start_seconds"] + 499 * row["seconds"])
        assert row["total_low"] < row["total_seconds"] < row["total_high"]


def test_short_training_is_won_by_the_quickest_start():
    slow_start = {TORCH: {"import_seconds": 2.0}}
    made = Story(plan_of_cells((NUMPY, TORCH), SHAPES, ("step",)), cost, workers=slow_start)
    assert answer(made).table.iloc[0]["implementation"] == "torch"
    assert answer(made, steps=10).table.iloc[0]["implementation"] == "numpy"
    assert answer(made, steps=100_000).table.iloc[0]["implementation"] == "torch"


def test_start_is_that_of_a_fresh_process():
    contexts = 3.0
    records = [
        replace(record, setup_seconds=record.setup_seconds + contexts) if is_first else record
        for record, is_first in _with_firsts(story().records())
    ]
    run = Run.of(records).tables
    table = recommend.recommend(run, Question(UNSEEN_SHAPE, steps=500), recommend.starts(Run.of(records))).table
    assert table["start_seconds"].to_numpy() == pytest.approx(0.25 + 0.001 + 0.002 + contexts)
    assert (table["total_low"] < table["total_high"]).all()


def _with_firsts(records):
    """Each record, and whether it is the first Prepared of its process."""
    known = set()
    for record in records:
        is_first = isinstance(record, Prepared) and record.number not in known
        if isinstance(record, Prepared):
            known.add(record.number)
        yield record, is_first


def test_contender_not_measured_that_far_is_left_out():
    wide = [Shape(size, 1000, 100) for size in (4, 16, 64, 256, 1024, 4096)]
    lost = {Cell(NUMPY, shape, "step"): Outcome("out_of_memory", "too large") for shape in wide if shape.N > 64}
    result = answer(story(shapes=wide, phases=("step",), outcomes=lost), Shape(2048, 1000, 100))
    assert set(result.table["implementation"]) == {"torch", "jax"}
    assert result.left_out == ["numpy: N=2,048 lies over 4 times beyond the measured 4 to 64"]


@pytest.mark.parametrize(("question", "line"), [({"threads": 1}, "--threads 1"), ({"phase": "train"}, "--steps 50")])
def test_command_to_measure_repeats_settings_of_the_run(question, line):
    contenders = [Contender(name, "cpu", "float32", 1) for name in ("numpy", "torch", "jax")]
    result = answer(story(contenders, phases=("step", "train"), steps=50), phase=question.get("phase", "step"))
    assert line in result.measure


def test_steps_add_columns(results, capsys):
    _, out, _ = ask(results, capsys, *UNSEEN, "--steps", 5000)
    assert re.search(r"time of a step +start +5,000 steps from the start$", out, re.MULTILINE)


def test_train_is_named_with_its_steps(tmp_path, capsys):
    write_journal(tmp_path, story(phases=("train",), steps=50).records())
    _, out, _ = ask(tmp_path, capsys, *UNSEEN, "--phase", "train")
    assert "time of a train of 50 steps" in out


def test_answer_is_written_as_json(results, capsys, tmp_path):
    file = tmp_path / "answer.json"
    code, _, _ = ask(results, capsys, *UNSEEN, "--steps", 10, "--json", file)
    data = json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code == 0
    assert data["run"] == story().name
    assert data["shape"] == {"N": 256, "D_in": 2000, "H": 300, "D_out": 10}
    assert data["cross_validation"]["cells"] == 30
    first = data["contenders"][0]
    assert first["low"] < first["seconds"] < first["high"]
    assert first["tied"] is False


def test_contenders_are_sorted_by_time():
    table = answer(story()).table
    assert table["seconds"].is_monotonic_increasing
    assert not table["tied"].iloc[0]


@pytest.mark.parametrize("shape", [UNSEEN_SHAPE, SHAPES[1]], ids=["predicted", "measured"])
def test_ratios_are_to_the_first_contender(shape):
    table = answer(story(), shape).table
    assert table.loc[0, ["ratio", "ratio_low", "ratio_high"]].tolist() == [1, 1, 1]
    others = table.iloc[1:]
    assert others["ratio"].to_numpy() == pytest.approx(
        (others["seconds"] / table["seconds"].iloc[0]).to_numpy(), rel=0.02
    )
    assert (others["ratio_low"] < others["ratio"]).all()
    assert (others["ratio"] < others["ratio_high"]).all()
    assert (others["tied"] | (others["ratio_low"] > 1)).all()


def test_device_dtype_and_threads_select_contenders():
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
    narrowed = answer(made, threads=1, dtype="float64")
    assert set(narrowed.table["threads"]) == {1}
    assert narrowed.measure is None or narrowed.measure.endswith("--dtypes float64 --threads 1")


def test_accelerator_is_named_with_its_device():
    contenders = [NUMPY, Contender("torch", "cuda", "float32"), Contender("jax", "cuda", "float32")]
    result = answer(story(contenders))
    assert "torch, cuda" in shown.text(result)
    assert "--devices cuda" in result.measure
    assert set(answer(story(contenders), device="cuda").table["implementation"]) == {"torch", "jax"}


def test_contender_with_too_few_sizes_is_left_out():
    lost = {Cell(JAX, shape, "step"): Outcome("timeout", "too slow") for shape in SHAPES[:3]}
    result = answer(story(outcomes=lost))
    assert set(result.table["implementation"]) == {"numpy", "torch"}
    assert result.left_out == ["jax: timed at 2 of the 3 sizes that predicting takes"]
    assert "Not answered for:\njax: timed at 2" in shown.text(result)


def test_certain_answer_proposes_no_measurement():
    result = answer(story((NUMPY, TORCH)), SHAPES[4])
    assert result.measure is None
    assert "To be sure" not in shown.text(result)
    assert "Use torch, which is clearly the fastest." in shown.text(result)


def test_single_contender_is_named_as_the_only_one():
    assert "Only numpy can be answered for." in shown.text(answer(story((NUMPY,)), SHAPES[0]))


def test_csv_alone_is_enough(tmp_path, capsys):
    (tmp_path / "timings.csv").write_text(files.timings_csv(loaded(story()).timings))
    code, out, _ = ask(tmp_path / "timings.csv", capsys, *UNSEEN)
    assert code == 0
    assert f"From run {story().name}, Model Processor; intervals" in out
    assert ask(tmp_path / "timings.csv", capsys, *SEEN)[0] == 0


def test_single_pass_has_no_interval(tmp_path, capsys):
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
def test_invalid_question_gives_one_line(results, capsys, arguments, complaint):
    code, out, err = ask(results, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"python -m bench recommend: {complaint}")
    assert err.count("\n") == 1


def test_missing_run_gives_one_line(tmp_path, capsys):
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
def test_run_without_suitable_times_gives_one_line(tmp_path, capsys, made, complaint):
    write_journal(tmp_path, made.records())
    code, _, err = ask(tmp_path, capsys, "--N", 100, "--D-in", 1000, "--H", 100)
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1
