import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import grid
from bench.plan.cells import DTYPES, PHASES, Shape
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine, resolve
from tests.bench.made import steady

KEYS = (
    "D_in, D_out, H, N, baseline, ceilings, combine, device, dtype, implementation, max_cells, max_failures, "
    "memory_limit, min_effect, min_effect_of, passes, phase, precision, rounds, samples, shape, steps, threads, "
    "time_budget, timeout"
)


def complaint(text: str) -> str:
    with pytest.raises(PlanError) as caught:
        grid.parse(text, "mine", "mine.toml")
    return str(caught.value)


@pytest.mark.parametrize("name", grid.names())
def test_every_preset_parses(name):
    preset = grid.read(name)
    assert preset.name == name
    assert preset.shapes()
    assert set(preset.dtype) <= set(DTYPES)
    assert set(preset.phase) <= set(PHASES)


def test_preset_names_are_sorted():
    assert {"smoke", "default", "full", "gpu"} <= set(grid.names())
    assert grid.names() == sorted(grid.names())


def test_the_full_preset_is_a_product_of_sizes_in_two_dtypes():
    full = grid.read("full")
    assert full.combine == "product"
    assert len(full.N) >= 5
    assert len(full.D_in) >= 4
    assert len(full.H) >= 4
    assert len(full.shapes()) == len(set(full.shapes())) == len(full.N) * len(full.D_in) * len(full.H)
    assert len(full.dtype) == 2


def test_the_tutorial_preset_is_the_tutorial():
    tutorial = grid.read("tutorial")
    assert tutorial.shapes() == [Shape(64, 1000, 100, 10)]
    assert tutorial.steps == 500
    assert tutorial.dtype == ("float64", "float32")


def test_product_combines_the_axes_in_order():
    requested = Grid("g", N=(3, 1), D_in=(5, 4), H=(6,), D_out=(2, 1))
    assert requested.shapes() == [Shape(*sizes) for sizes in product((3, 1), (5, 4), (6,), (2, 1))]


def test_in_turn_varies_one_axis_at_a_time():
    requested = Grid("g", N=(1, 2, 3), D_in=(4, 5), H=(6, 7), D_out=(8,), combine="in_turn")
    assert requested.shapes() == [
        Shape(1, 4, 6, 8),
        Shape(2, 4, 6, 8),
        Shape(3, 4, 6, 8),
        Shape(1, 5, 6, 8),
        Shape(1, 4, 7, 8),
    ]


axes = st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True).map(tuple)


@steady
@given(axes, axes, axes, axes)
def test_in_turn_is_a_subset_of_product(N, D_in, H, D_out):
    product_shapes = Grid("g", N, D_in, H, D_out).shapes()
    in_turn = Grid("g", N, D_in, H, D_out, combine="in_turn").shapes()
    assert in_turn[0] == product_shapes[0]
    assert len(set(in_turn)) == len(in_turn) == sum(map(len, (N, D_in, H, D_out))) - 3
    assert set(in_turn) <= set(product_shapes)


def test_single_shapes_follow_the_combined_sizes_once():
    text = 'N = [1, 2]\nD_in = 3\nH = 4\ncombine = "in_turn"\nshape = [[5, 6, 7], "2x3x4", [5, 6, 7, 8]]'
    shapes = grid.parse(text, "g", "g.toml").shapes()
    assert shapes == [Shape(1, 3, 4), Shape(2, 3, 4), Shape(5, 6, 7), Shape(5, 6, 7, 8)]


@pytest.mark.parametrize(("settings", "kept"), [({"steps": 9}, True), ({"H": 9}, False)])
def test_other_sizes_leave_out_the_single_shapes(settings, kept):
    requested = grid.override(Grid("g", shape=(Shape(5, 6, 7),)), settings, str)
    assert (Shape(5, 6, 7) in requested.shapes()) is kept


def test_sizes_and_single_shapes_go_together():
    requested = grid.override(Grid("g"), {"H": [9], "shape": ["5x6x7"]}, str)
    assert requested.shapes() == [Shape(64, 1000, 9), Shape(5, 6, 7)]


def test_an_empty_text_has_the_defaults():
    assert grid.parse("", "mine", "mine.toml") == Grid("mine")


def test_a_single_value_is_a_list_of_one():
    assert grid.parse('N = 8\ndtype = "float64"\nthreads = 2', "g", "g.toml") == Grid(
        "g", N=(8,), dtype=("float64",), threads=(2,)
    )


def test_auto_and_all_are_special_words():
    requested = grid.parse('device = ["auto"]\nimplementation = "all"\nthreads = ["all", 1]', "g", "g.toml")
    assert requested == Grid("g", device="auto", implementation="all", threads=("all", 1))


def test_names_of_implementations_and_devices_are_kept():
    requested = grid.parse('device = ["cuda:1", "cpu"]\nimplementation = ["my.module:Net", "numpy"]', "g", "g.toml")
    assert requested.device == ("cuda:1", "cpu")
    assert requested.implementation == ("my.module:Net", "numpy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N = [64]\n\nbatch = 3\n", f"mine.toml:3: batch: not a key of a grid; keys are {KEYS}"),
        ("# sizes\nN = 64.0\n", "mine.toml:2: N: 64.0 is not a whole number of at least 1"),
        ("H = [100, true]", "mine.toml:1: H: True is not a whole number of at least 1"),
        ("passes = true", "mine.toml:1: passes: True is not a whole number of at least 1, nor 'auto'"),
        ("passes = [5]", "mine.toml:1: passes: [5] is not a whole number of at least 1, nor 'auto'"),
        ('time_budget = "soon"', "mine.toml:1: time_budget: 'soon' is not a time like 90s, 5m or 1h"),
        ("time_budget = 0", "mine.toml:1: time_budget: 0 is not a time like 90s, 5m or 1h"),
        ("time_budget = inf", "mine.toml:1: time_budget: inf is not a time like 90s, 5m or 1h"),
        ("time_budget = true", "mine.toml:1: time_budget: True is not a time like 90s, 5m or 1h"),
        ("precision = 1", "mine.toml:1: precision: 1 is not a percentage like 2%, or a fraction below 1 like 0.02"),
        (
            "min_effect = -0.1",
            "mine.toml:1: min_effect: -0.1 is not a percentage like 2%, or a fraction below 1 like 0.02",
        ),
        ('steps = "many"', "mine.toml:1: steps: 'many' is not a whole number of at least 1"),
        ("rounds = 0", "mine.toml:1: rounds: 0 is not a whole number of at least 1"),
        ("D_in = [1000, 0]", "mine.toml:1: D_in: 0 is not a whole number of at least 1"),
        ("timeout = -1", "mine.toml:1: timeout: -1 is not a whole number of at least 1"),
        ("D_out = []", "mine.toml:1: D_out: an empty list; at least one value is needed"),
        ("N = [[64]]", "mine.toml:1: N: [64] is not a whole number of at least 1"),
        ("N = [64, 8, 64]", "mine.toml:1: N: 64 stands there twice"),
        ('phase = ["step", "step"]', "mine.toml:1: phase: 'step' stands there twice"),
        ('phase = "sideways"', f"mine.toml:1: phase: 'sideways' is not one of {', '.join(PHASES)}"),
        (
            'N = 1\ndtype = ["float32", "float46"]',
            "mine.toml:2: dtype: 'float46' is not one of float32, float64, float16, bfloat16; did you mean 'float64'?",
        ),
        ('combine = "zip"', "mine.toml:1: combine: 'zip' is not one of product, in_turn"),
        (
            "shape = [64, 1000, 100]",
            "mine.toml:1: shape: 64 is not N, D_in and H of a shape, like [64, 1000, 100] or 64x1000x100",
        ),
        (
            'shape = "64x1000"',
            "mine.toml:1: shape: '64x1000' is not N, D_in and H of a shape, like [64, 1000, 100] or 64x1000x100",
        ),
        ('shape = "64x0x1"', "mine.toml:1: shape: 0 is not a whole number of at least 1"),
        (
            "shape = [[1, 2, 3], [1, 2, 3, 10]]",
            "mine.toml:1: shape: Shape(N=1, D_in=2, H=3, D_out=10) stands there twice",
        ),
        ('threads = "some"', "mine.toml:1: threads: 'some' is not a whole number of at least 1, nor 'all'"),
        ("threads = [true]", "mine.toml:1: threads: True is not a whole number of at least 1, nor 'all'"),
        ("device = 3", "mine.toml:1: device: 3 is not a name"),
        ("device = []", "mine.toml:1: device: an empty list; at least one value is needed"),
        ('implementation = ["numpy", ""]', "mine.toml:1: implementation: '' is not a name"),
        ("baseline = 1979-05-27", "mine.toml:1: baseline: datetime.date(1979, 5, 27) is not a name"),
        ('"N" = 0', "mine.toml:1: N: 0 is not a whole number of at least 1"),
        ("D_in = 1\n  N = 0", "mine.toml:2: N: 0 is not a whole number of at least 1"),
        ("ceilings = 1", "mine.toml:1: ceilings: 1 is not true or false, nor 'yes' or 'no'"),
        (
            "N = 4\nmin_effect_of = 0.1",
            'mine.toml:2: min_effect_of: 0.1 is not a table of patterns, like "step*numpy*" = "5%"',
        ),
        (
            'N = 4\n[min_effect_of]\n"step*" = "5%"\n"train*" = "lots"',
            "mine.toml:2: min_effect_of: 'train*': 'lots' is not a percentage like 2%, or a fraction below 1 like 0.02",
        ),
        ('[min_effect_of]\n"" = 0.1', "mine.toml:1: min_effect_of: '' is no pattern of a cell's key"),
        ("samples.x = 1", "mine.toml:1: samples: {'x': 1} is not a whole number of at least 1"),
    ],
)
def test_a_complaint_names_file_line_key_and_accepted_values(text, expected):
    assert complaint(text) == expected


@pytest.mark.parametrize("text", ["N = [1,\nH =", "N = 1\nN = 2", "N", "N = 1 2", 'N = "', "= 1", "N = 01"])
def test_invalid_toml_is_refused_with_file_and_position(text):
    message = complaint(text)
    assert message.startswith("mine.toml: not valid TOML: ")
    assert re.search(r"\(at (line \d+, column \d+|end of document)\)$", message)
    assert "\n" not in message


def test_minimum_effects_keep_the_order_of_the_file():
    requested = grid.parse('N = 4\n[min_effect_of]\n"step*" = "5%"\n"*" = 0.1\n"fwd*" = 0\n', "g", "g.toml")
    assert requested == Grid("g", N=(4,), min_effect_of=(("step*", 0.05), ("*", 0.1), ("fwd*", 0.0)))


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "missing.toml"
    with pytest.raises(PlanError) as caught:
        grid.read(str(path))
    assert str(caught.value) == f"--grid: cannot read {path}: No such file or directory"


def test_a_folder_is_refused(tmp_path):
    path = tmp_path / "folder.toml"
    path.mkdir()
    with pytest.raises(PlanError, match=f"^--grid: cannot read {re.escape(str(path))}: "):
        grid.read(str(path))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# caf\xe9\nN = 1\n")
    with pytest.raises(PlanError) as caught:
        grid.read(str(path))
    assert str(caught.value) == f"{path}:1: not UTF-8 text (invalid continuation byte at byte 5)"


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(PlanError) as caught:
        grid.read("huge")
    presets = ", ".join(grid.names())
    assert str(caught.value) == f"--grid: there is no grid 'huge'; there are {presets}, or a .toml file"


def test_a_grid_is_named_by_its_stem_and_complaints_by_its_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("N = [8]\n", encoding="utf-8")
    assert grid.read(str(path)) == Grid("mine", N=(8,))
    path.write_text("N = [8]\nH = 0\n", encoding="utf-8")
    with pytest.raises(PlanError, match=rf"^{re.escape(str(path))}:2: H: 0 is not"):
        grid.read(str(path))


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("yes", True), ("no", False)])
def test_ceilings_can_be_switched(value, expected):
    assert grid.override(Grid("g"), {"ceilings": value}, str).ceilings is expected


@pytest.mark.parametrize(
    ("value", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5 h", 5400), ("0.5s", 0.5), (120, 120), (2.5, 2.5)]
)
def test_a_time_budget_is_in_seconds_minutes_or_hours(value, seconds):
    assert grid.override(Grid("g"), {"time_budget": value}, str).time_budget == seconds


@pytest.mark.parametrize(
    ("value", "fraction"), [("2%", 0.02), ("0.5 %", 0.005), ("0.02", 0.02), (0.02, 0.02), (0, 0.0)]
)
@pytest.mark.parametrize("key", ["precision", "min_effect"])
def test_a_fraction_may_be_a_percentage(key, value, fraction):
    assert getattr(grid.override(Grid("g"), {key: value}, str), key) == pytest.approx(fraction)


def test_passes_may_be_auto():
    assert grid.parse('passes = "auto"\ntime_budget = "2m"', "g", "g.toml") == Grid("g", passes="auto", time_budget=120)


def test_options_replace_only_what_they_name():
    requested = grid.override(Grid("g", H=(7,)), {"N": ["8", "16"], "passes": "3", "threads": ["1", "all"]}, str)
    assert requested == Grid("g", H=(7,), N=(8, 16), passes=3, threads=(1, "all"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("N", ["8", "eight"], "--N: 'eight' is not a whole number of at least 1"),
        ("N", ["8", ""], "--N: '' is not a whole number of at least 1"),
        ("N", ["8", "08"], "--N: 8 stands there twice"),
        ("passes", "0", "--passes: 0 is not a whole number of at least 1, nor 'auto'"),
        ("passes", "-3", "--passes: '-3' is not a whole number of at least 1, nor 'auto'"),
        ("time_budget", "5 days", "--time_budget: '5 days' is not a time like 90s, 5m or 1h"),
        ("precision", "100%", "--precision: '100%' is not a percentage like 2%, or a fraction below 1 like 0.02"),
        ("min_effect", "nan", "--min_effect: 'nan' is not a percentage like 2%, or a fraction below 1 like 0.02"),
        ("dtype", ["half"], "--dtype: 'half' is not one of float32, float64, float16, bfloat16"),
        ("device", [""], "--device: '' is not a name"),
    ],
)
def test_a_complaint_names_the_option_and_accepted_values(key, value, expected):
    with pytest.raises(PlanError) as caught:
        grid.override(Grid("g"), {key: value}, lambda key: f"--{key}")
    assert str(caught.value) == expected


def grid_or_complaint(text: str) -> Grid | str:
    """Return the grid in a text, or the complaint; other exceptions propagate."""
    try:
        return grid.parse(text, "any", "any.toml")
    except PlanError as error:
        return str(error)


@steady
@given(st.text(max_size=60))
def test_any_text_is_a_grid_or_a_plan_error(text):
    result = grid_or_complaint(text)
    assert isinstance(result, Grid) or result.startswith("any.toml:")


values = st.recursive(
    st.sampled_from(['"all"', '"auto"', '"float32"', '"step"', '"x"', '""', "true", "nan", "inf", "1e3", "07:32:00"])
    | st.integers(-3, 99).map(str),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | inner.map(lambda part: f"{{ a = {part} }}")
    ),
    max_leaves=4,
)
keys = st.sampled_from([*KEYS.split(", "), "other", '"N"', "a.b"])


@steady
@given(st.lists(st.tuples(keys, values), max_size=4))
def test_any_toml_is_a_grid_or_one_line_of_complaint(pairs):
    result = grid_or_complaint("\n".join(f"{key} = {value}" for key, value in pairs))
    if isinstance(result, Grid):
        assert result.shapes()
    else:
        assert re.fullmatch(r"any\.toml(:[1-4]: \w+: .+|: not valid TOML: .+)", result)


def test_a_key_with_too_many_dots_is_refused_before_parsing():
    with pytest.raises(PlanError, match=r"^g\.toml:2: more than 1000 dots in a line"):
        grid.parse("N = 1\n" + ".".join("a" * 100_000) + " = 1", "g", "g.toml")


def test_number_of_shapes_agrees_with_shapes():
    for combine in grid.COMBINATIONS:
        requested = Grid("g", N=(1, 2, 3), D_in=(4, 5), H=(6,), D_out=(7, 8), combine=combine)
        assert requested.number_of_shapes() == len(requested.shapes())


SCALARS = st.sampled_from(
    ["9" * 23, "0x" + "F" * 5000, "nan", "inf", "-inf", "1e400", "1_000", "true", "1979-05-27", '""', '"auto"', '"all"']
) | st.text(max_size=20).map(lambda text: '"' + text.replace("\\", "").replace('"', "") + '"')
NESTED = st.recursive(
    SCALARS | values,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        | inner.map(lambda part: f"{{ a.b = {part} }}")
    ),
    max_leaves=5,
)
MACHINE = Machine(2, ("cuda",))


@steady
@given(st.text() | st.lists(st.tuples(keys, NESTED), max_size=5).map(lambda pairs: "\n".join(map(" = ".join, pairs))))
def test_any_text_is_a_plan_or_one_line_of_complaint(text):
    complaint = ""
    try:
        requested = grid.override(grid.parse(text, "any", "any.toml"), {"max_cells": 1000}, str)
        plan = resolve(requested, MACHINE, ["numpy", "torch"], lambda name: ("cpu", "cuda"), 1)
        assert 1 <= len(plan.cells) <= 1000
    except PlanError as error:
        complaint = str(error)
    assert len(complaint.splitlines()) <= 1
