"""Tests of what a style does otherwise than the plain implementation, read from sources alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import implementations
from implementations import names, style_of, styles
from tests.implementations.test_discovery import FRAMEWORKS

ROOT = Path(__file__).parent.parent.parent
STYLES = [name for name in names() if style_of(name) != name]
PHASES = ("forward", "backward", "update", "step", "train")
SOURCES = "\n".join(file.read_text("utf-8") for file in (ROOT / "implementations").glob("*.py"))

LAZY = """
import json
import sys
from implementations import names, style_of, styles

for name in names():
    if style_of(name) != name:
        styles.sentence(name), styles.difference(name, "step")
print(json.dumps([*sys.modules]))
"""


def side(name, phase, sign):
    """Return the lines of one side of a diff."""
    return [line[1:] for line in styles.difference(name, phase)[2:] if line.startswith(sign)]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes implementations, by the stems of their files, into a folder of their own. All are
    styles of `plain`."""
    monkeypatch.setattr(styles, "_own_file", lambda name: tmp_path / f"{name.partition(':')[0]}.py")
    monkeypatch.setattr(styles, "style_of", lambda name: "plain")

    def write_files(**sources):
        for stem, source in sources.items():
            (tmp_path / f"{stem}.py").write_text(source, encoding="utf-8")

    return write_files


@pytest.mark.parametrize("name", STYLES)
def test_every_style_has_a_sentence_and_lines_of_its_own(name):
    sentence = styles.sentence(name)
    assert sentence.endswith(".")
    assert sentence in " ".join(SOURCES.split())
    phase = "train" if name == "jax_scan" else "step"  # whose step is that of jax
    first, second, *lines = styles.difference(name, phase)
    for line, sign, each in ((first, "---", style_of(name)), (second, "+++", name)):
        assert line.startswith(f"{sign} implementations/{each.partition(':')[0]}")
        assert (ROOT / line[4:]).is_file()
    assert any(line.startswith("+") for line in lines)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", STYLES)
def test_every_line_of_a_diff_is_one_of_a_source(name, phase):
    for line in styles.difference(name, phase)[2:]:
        assert line == "@@" or (line[0] in " +-" and line[1:] in SOURCES)


def test_reading_sources_imports_no_framework():
    done = subprocess.run([sys.executable, "-c", LAZY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert not FRAMEWORKS & {*loaded}
    own = {name for name in loaded if name.startswith("implementations.")}
    assert own == {"implementations.interface", "implementations.styles"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("numpy_aligned", "    np.matmul(self.x, self.w1, out=self.h_relu)"),  # a method of the class it extends
        ("torch_inplace", "def fused_step(self) -> None:"),  # another method that the phase calls
        ("torch_inplace", "@torch.inference_mode()"),  # a decorator
        ("torch_inplace", "relu_backward = torch.ops.aten.threshold_backward.grad_input"),  # a variable of the file
        ("torch_compile", "def step(w1, w2, x, y, rate):"),
        ("torch_function", "class ReLU(torch.autograd.Function):"),
        ("numba", "def fused(dtype: str):"),  # a function that makes what the phase calls
        ("torch_module", "self.model = torch.nn.Sequential(self.first, torch.nn.ReLU(), self.second)"),
        ("array_api:numpy", "    self.w1 = self.w1 - self.learning_rate * self.grad_w1"),
    ],
)
def test_what_a_phase_uses_is_followed(name, line):
    assert line in side(name, "step", "+")


def test_code_that_both_run_is_no_difference():
    assert styles.difference("jax_scan", "forward") == []
    assert not any(line.startswith("def update") for line in side("jax_grad", "step", "+"))  # the plain file has it
    assert "self.x, self.y = x.to(device), y.to(device)" not in side("torch_inplace", "step", "+")


def test_a_sentence_is_the_first_of_the_docstring_on_one_line(write):
    write(plain="", one='"""Uses 1.5 times\nthe memory. And more."""', none="", endless='"""No end"""')
    assert styles.sentence("one") == "Uses 1.5 times the memory."
    assert styles.sentence("none") == ""
    assert styles.sentence("endless") == "No end"


def test_a_class_may_have_the_name_of_the_one_it_extends(write):
    write(
        plain="class Net:\n    def step(self):\n        self.slow()\n\n    def slow(self):\n        pass\n",
        quick="from .plain import Net\n\n\nclass Net(Net):\n    def slow(self):\n        return 1\n",
    )
    assert styles.difference("quick", "step")[3:] == [" def slow(self):", "-    pass", "+    return 1"]


def test_comments_stay_and_docstrings_go(write):
    docstring = '"""Two\n        lines."""'
    write(
        plain="class Net:\n    def step(self):\n        pass\n",
        other=f"class Net:\n    def step(self):\n        {docstring}\n        # Why.\n\n        return 1\n",
    )
    assert side("other", "step", "+") == ["    # Why.", "    return 1"]


def test_functions_that_call_each_other_are_shown_once(write):
    write(
        plain="class Net:\n    def step(self):\n        pass\n",
        other="def f():\n    g()\n\n\ndef g():\n    f()\n\n\nclass Net:\n    def step(self):\n        f()\n",
    )
    assert side("other", "step", "+") == ["    f()", "def f():", "    g()", "def g():", "    f()"]


def test_a_net_without_the_phase_has_no_lines(write):
    write(plain="class Net:\n    def step(self):\n        pass\n", other="Net = object\n")
    assert side("other", "step", "-") == ["def step(self):", "    pass"]
    assert side("other", "step", "+") == []


@pytest.mark.parametrize("source", ["def (", "from .missing import Net\n"], ids=["not Python", "a missing file"])
def test_a_source_that_cannot_be_read_is_a_lookup_error(write, source):
    write(plain="class Net: ...\n", other=source)
    with pytest.raises(LookupError, match="other"):
        styles.difference("other", "step")


def test_styles_is_no_implementation():
    assert "styles" not in implementations.names()
