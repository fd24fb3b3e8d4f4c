import json
import re

import pytest

from bench.__main__ import main
from bench.analyse.predict import recommend
from bench.analyse.predict.recommend import Question
from bench.plan.cells import Contender, Shape, flops
from bench.report.predict import recommend as shown
from bench.report.predict import styles
from bench.report.predict.styles import Style
from implementations import styles as sources
from tests.bench.made import NUMPY, Story, plan_of_cells, write_journal

INPLACE = Contender("numpy_inplace", "cpu", "float32")
OWN = Contender("users.module:Net", "cpu", "float32")
SHAPES = tuple(Shape(N, D_in, 100) for N in (64, 256) for D_in in (1000, 4000))
UNSEEN = ["--N", "128", "--D-in", "2000", "--H", "100"]
SEEN = ["--N", "64", "--D-in", "1000", "--H", "100"]
PER_FLOP = {"numpy": 4e-11, "numpy_inplace": 2e-11, "users.module:Net": 1e-11}
SENTENCE = (
    "numpy_inplace is a style of numpy. NumPy without temporaries: each result has a buffer that is made once, and "
    "`step` multiplies the rate into the smallest array, so that an update is one subtraction."
)


def seconds(cell, pass_number):
    """The time of a cell: numpy_inplace is twice as fast as numpy, and someone's own class is faster still."""
    return (1e-5 + flops(cell.shape, cell.phase) * PER_FLOP[cell.contender.implementation]) * (1 + pass_number / 1000)


def story(contenders=(NUMPY, INPLACE), **others):
    return Story(plan_of_cells(contenders, SHAPES, ("step", "update"), **others), seconds)


def answer(contenders=(NUMPY, INPLACE), shape=SHAPES[0], **others):
    return recommend.recommend(story(contenders, **others).run().tables, Question(shape))


@pytest.fixture
def ask(tmp_path, capsys):
    """Return a function that runs the verb on a made run, and returns the text and the JSON of its answer."""

    def run(made, *arguments):
        write_journal(tmp_path / "runs" / made.name, made.records())
        file = tmp_path / "answer.json"
        code = main(["recommend", *arguments, "--results", str(tmp_path), "--json", str(file)])
        output = capsys.readouterr()
        assert (code, output.err) == (0, "")
        return output.out, json.loads(file.read_text(encoding="utf-8"))

    return run


def test_a_recommended_style_is_described_after_the_verdict(ask):
    out, data = ask(story(), *UNSEEN)
    verdict, style, rest = (out.index(text) for text in ("Use numpy_inplace", SENTENCE, "From run "))
    assert verdict < style < rest
    interval = r"\[\d\.\d\d, \d\.\d\d\]"
    gain = rf"^At this size, its step is predicted to be (1\.9\d|2\.0\d)× {interval} as fast as that of numpy\.$"
    assert re.search(gain, out, re.MULTILINE)
    assert (data["style"]["name"], data["style"]["style_of"]) == ("numpy_inplace", "numpy")
    assert SENTENCE.endswith(data["style"]["sentence"])
    ratio = data["style"]["times_as_fast"]
    assert ratio["ratio_low"] < ratio["ratio"] < ratio["ratio_high"]


def test_the_lines_that_differ_are_shown(ask):
    out, data = ask(story(), *UNSEEN)
    diff = data["style"]["diff"]
    assert diff == sources.difference("numpy_inplace", "step")
    assert "\n".join(diff[: styles.MOST_LINES]) in out
    assert "\nThe code of step in numpy (-) and numpy_inplace (+), any preparations last:\n" in out


def test_the_diff_is_of_the_phase_asked_for(ask):
    _, data = ask(story(), *UNSEEN, "--phase", "update")
    assert data["style"]["diff"] == sources.difference("numpy_inplace", "update")


def test_no_diff_leaves_it_out(ask):
    out, data = ask(story(), *UNSEEN, "--no-diff")
    assert SENTENCE in out
    assert "@@" not in out
    assert "preparations" not in out
    assert data["style"]["diff"] is None


def test_the_gain_of_a_training_is_that_of_its_steps(ask):
    out, data = ask(story(), *UNSEEN, "--steps", "10")
    assert "At this size, its step is predicted to be" in out
    first, second = data["contenders"]
    assert second["ratio"] == pytest.approx(second["seconds"] / first["seconds"])


def test_a_measured_gain_is_called_measured(ask):
    out, _ = ask(story(), *SEEN)
    assert re.search(
        r"At this size, its step was measured to be (1\.9\d|2\.0\d)× \[.*\] as fast as that of numpy\.", out
    )


def test_without_an_interval_the_gain_stands_alone(ask):
    out, data = ask(story(passes=1), *SEEN)
    assert re.search(r"was measured to be \d\.\d\d× as fast as that of numpy\.", out)
    assert data["style"]["times_as_fast"]["ratio_low"] is None


def test_without_the_plain_implementation_no_gain_is_claimed(ask):
    out, data = ask(story((INPLACE,)), *SEEN)
    assert SENTENCE in out
    assert "At this size" not in out
    assert data["style"]["times_as_fast"] is None


@pytest.mark.parametrize("contenders", [(NUMPY,), (NUMPY, INPLACE, OWN)], ids=["plain", "someone's own class"])
def test_what_is_no_style_of_this_project_has_none(ask, contenders):
    out, data = ask(story(contenders), *SEEN)
    assert "is a style of" not in out
    assert data["style"] is None


def test_a_source_that_cannot_be_read_leaves_the_answer(ask, monkeypatch):
    def unreadable(name, phase):
        raise LookupError(f"{name}: cannot read it")

    monkeypatch.setattr(sources, "difference", unreadable)
    out, data = ask(story(), *SEEN)
    assert "Use numpy_inplace, which is clearly the fastest." in out
    assert data["style"] is None


def test_a_gain_is_over_the_plain_one_of_the_same_settings():
    contenders = [
        Contender(name, "cpu", "float32", threads) for name in ("numpy", "numpy_inplace") for threads in (1, 2)
    ]
    made = answer(contenders)
    first = made.table.iloc[0]
    plain = made.table[(made.table["implementation"] == "numpy") & (made.table["threads"] == first["threads"])].iloc[0]
    style = Style("numpy_inplace", "numpy", "It reuses buffers.", None)
    assert styles.data(style, made)["times_as_fast"]["ratio"] == plain["ratio"]


def test_a_long_diff_ends_with_the_files_for_the_rest():
    diff = ["--- folder/plain.py", "+++ folder/other.py", *(f"+{number}" for number in range(styles.MOST_LINES))]
    lines = styles.text(Style("numpy_inplace", "numpy", "It reuses buffers.", diff), answer()).splitlines()
    assert lines[-1] == "2 more lines: compare folder/plain.py with folder/other.py."
    assert lines[-1 - styles.MOST_LINES : -1] == diff[: styles.MOST_LINES]
    whole = styles.text(Style("numpy_inplace", "numpy", "It reuses buffers.", diff[:-2]), answer()).splitlines()
    assert whole[-styles.MOST_LINES :] == diff[:-2]


def test_the_same_code_is_said_to_be_so():
    text = shown.text(answer(), Style("numpy_inplace", "numpy", "It reuses buffers.", []))
    assert "In this phase, its code is that of numpy." in text
