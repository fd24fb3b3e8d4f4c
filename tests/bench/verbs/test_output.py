"""Every verb where standard output is closed, broken, full, or lacks characters: one line, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as front
from bench.measure.client import ROOT
from bench.verbs import compare
from tests.bench.made import Story, plan_of_cells, write_files, write_journal

VERBS = [
    "report {run}",
    "history --results {results}",
    "export {run} --format csv",
    "recommend --N 64 --D-in 1000 --H 100 --results {run}",
]
CLOSED = "standard output is closed; send it to a file, or to /dev/null where it is not wanted"
BROKEN = "standard output was closed by its reader before all was written"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A results folder with one run, in the history."""
    from bench.history import entries, store

    results = tmp_path_factory.mktemp("saved") / "results"
    story = Story(plan_of_cells())
    run = write_journal(results / "runs" / story.name, story.records())
    write_files(run, results)
    store.add(results, entries.entry_of(story.run()))
    return {"run": str(run), "results": str(results)}


def bench(verb, places, stdout, **environment):
    command = [sys.executable, "-m", "bench", *verb.format(**places).split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, cwd="/", check=False
    )


def one_line(done, line):
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.rstrip("\n")]
    assert done.stderr.startswith("python -m bench")
    assert done.stderr.rstrip("\n").endswith(line)


@pytest.mark.parametrize("verb", VERBS)
def test_a_pipe_that_no_one_reads_ends_in_one_line(places, verb):
    ours, theirs = os.pipe()
    os.close(ours)
    done = bench(verb, places, theirs)
    os.close(theirs)
    one_line(done, BROKEN)


@pytest.mark.parametrize("verb", VERBS)
def test_a_terminal_without_the_characters_is_written_to_in_others(places, verb, tmp_path):
    with (tmp_path / "out").open("wb") as file:
        done = bench(verb, places, file, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "out").read_bytes().decode("ascii")
    assert " us" in text or "numpy," in text


@pytest.mark.parametrize("verb", VERBS[::2])
def test_a_full_disk_ends_in_one_line(places, verb):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        one_line(bench(verb, places, full), "No space left on device; make room there and try again")


@pytest.mark.parametrize("verb", VERBS[::2])
def test_a_standard_output_that_is_closed_ends_in_one_line(places, verb):
    command = " ".join([sys.executable, "-m", "bench", verb.format(**places), ">&-"])
    done = subprocess.run(
        command,
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        check=False,
    )
    one_line(done, CLOSED)


@pytest.mark.parametrize("option", ["json", "markdown"])
def test_a_file_that_cannot_be_written_is_named_before_the_verb_begins(tmp_path, monkeypatch, capsys, option):
    monkeypatch.setattr(compare, "run", lambda asked: pytest.fail("the verb began"))
    file = tmp_path / "no" / "x"
    assert front.main(["compare", "a", "b", f"--{option}", str(file)]) == 2
    said = f"--{option}: {file}: there is no folder {tmp_path / 'no'}"
    assert capsys.readouterr().err == f"python -m bench compare: {said}\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "results/runs"), 2, "results/runs: Permission denied"),
        (ValueError("--since: no"), 2, "--since: no"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_whatever_ends_a_verb_is_one_line_and_never_the_exit_code_of_a_change(monkeypatch, capsys, error, code, said):
    def ending(asked):
        raise error

    monkeypatch.setattr(compare, "run", ending)
    assert front.main(["compare", "a", "b"]) == code
    assert capsys.readouterr().err == f"python -m bench compare: {said}\n"
