"""Every verb gives one line and no traceback where standard output is closed, broken, full, or lacks characters."""

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
def paths(tmp_path_factory):
    """The paths of a results folder and of its one run, which is in the history."""
    from bench.history import entries, store

    results = tmp_path_factory.mktemp("saved") / "results"
    story = Story(plan_of_cells())
    run = write_journal(results / "runs" / story.name, story.records())
    write_files(run, results)
    store.add(results, entries.entry_of(story.run()))
    return {"run": str(run), "results": str(results)}


def bench(verb, paths, stdout, **environment):
    command = [sys.executable, "-m", "bench", *verb.format(**paths).split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, cwd="/", check=False
    )


def one_line(process, line):
    assert process.returncode == 2
    assert process.stderr.splitlines() == [process.stderr.rstrip("\n")]
    assert process.stderr.startswith("python -m bench")
    assert process.stderr.rstrip("\n").endswith(line)


@pytest.mark.parametrize("verb", VERBS)
def test_broken_pipe_gives_one_line(paths, verb):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = bench(verb, paths, write_end)
    os.close(write_end)
    one_line(process, BROKEN)


@pytest.mark.parametrize("verb", VERBS)
def test_ascii_output_spells_missing_characters(paths, verb, tmp_path):
    with (tmp_path / "out").open("wb") as file:
        process = bench(verb, paths, file, PYTHONIOENCODING="ascii")
    assert (process.returncode, process.stderr) == (0, "")
    text = (tmp_path / "out").read_bytes().decode("ascii")
    assert " us" in text or "numpy," in text


@pytest.mark.parametrize("verb", VERBS[::2])
def test_full_disk_gives_one_line(paths, verb):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        one_line(bench(verb, paths, full), "No space left on device; make room there and try again")


@pytest.mark.parametrize("verb", VERBS[::2])
def test_closed_standard_output_gives_one_line(paths, verb):
    command = " ".join([sys.executable, "-m", "bench", verb.format(**paths), ">&-"])
    process = subprocess.run(
        command,
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        check=False,
    )
    one_line(process, CLOSED)


@pytest.mark.parametrize("option", ["json", "markdown"])
def test_unwritable_file_is_named_before_the_verb_begins(tmp_path, monkeypatch, capsys, option):
    monkeypatch.setattr(compare, "run", lambda arguments: pytest.fail("the verb began"))
    file = tmp_path / "no" / "x"
    assert front.main(["compare", "a", "b", f"--{option}", str(file)]) == 2
    complaint = f"--{option}: {file}: there is no folder {tmp_path / 'no'}"
    assert capsys.readouterr().err == f"python -m bench compare: {complaint}\n"


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (PermissionError(13, "Permission denied", "results/runs"), 2, "results/runs: Permission denied"),
        (ValueError("--since: no"), 2, "--since: no"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_any_error_gives_one_line_and_not_exit_code_1(monkeypatch, capsys, error, code, complaint):
    def failing(arguments):
        raise error

    monkeypatch.setattr(compare, "run", failing)
    assert front.main(["compare", "a", "b"]) == code
    assert capsys.readouterr().err == f"python -m bench compare: {complaint}\n"
