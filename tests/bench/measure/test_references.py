"""References are made once, by a process of their own, kept in a folder that is removed, and never a reason to fail."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.analyse.run.run import Run
from bench.measure import journal, processes, references, session
from bench.measure.client import WorkerFailed
from bench.measure.records import Prepared, Reference, RunStarted
from bench.measure.references import References
from bench.measure.run import RunInProgress
from bench.plan import work
from bench.plan.cells import Shape
from bench.plan.plain import to_plain
from bench.report.run import integrity
from tests.bench import fakes
from tests.bench.fakes import FakeClock, Office, plan_of, records_of

LARGE, OTHER, SMALL = Shape(256, 512, 256), Shape(512, 512, 256), Shape(4, 5, 3)
GIGABYTE = 10**9


@dataclass
class Computing:
    """Processes that compute references on a clock, and what they were asked."""

    clock: FakeClock = field(default_factory=FakeClock)
    failure: Exception | None = None
    answer: dict = field(default_factory=lambda: {"problem": "p", "digests": {"w1": "d"}})
    asked: list = field(default_factory=list)
    deadlines: list = field(default_factory=list)
    ended: int = 0

    def open(self, seconds):
        self.deadlines.append(seconds)
        return self

    def ask(self, verb, **request):
        self.asked.append((verb, request))
        self.clock.spend(3.0)
        if self.failure:
            raise self.failure
        (Path(request["folder"]) / "w1.npy").write_text("tensor")
        return self.answer

    def close(self):
        self.ended += 1


@pytest.fixture
def computing():
    return Computing()


@pytest.fixture
def records():
    return []


@pytest.fixture
def made(computing, records, tmp_path, monkeypatch):
    monkeypatch.setattr(references.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(processes, "remove_in_the_end", lambda folder: None)
    return References(computing.open, records.append, computing.clock, lambda: 100 * GIGABYTE)


def test_reference_is_made_once(made, computing, records):
    first = made.of(LARGE, "float32", "highest")
    assert made.of(LARGE, "float32", "highest") == first
    assert first["problem"] == "p"
    assert first["digests"] == {"w1": "d"}
    assert [path.name for path in Path(first["folder"]).iterdir()] == ["w1.npy"]
    request = {"folder": first["folder"], "shape": [256, 512, 256, 10], "dtype": "float32", "precision": "highest"}
    assert computing.asked == [("make", request)]
    assert computing.ended == 1
    assert records == [Reference(str(LARGE), "float32", "highest", work.reference_bytes(LARGE), "", 3.0)]


def test_reference_is_made_once_for_all_contenders(made, computing):
    answers = [made.of(LARGE, "float32", "highest") for _ in range(8)]
    assert len(computing.asked) == 1
    assert answers == [answers[0]] * 8


def test_shapes_dtypes_and_precisions_have_references_of_their_own(made, computing):
    keys = [(LARGE, "float32", "highest"), (LARGE, "float64", "highest"), (LARGE, "float32", "high")]
    folders = {made.of(*key)["folder"] for key in [*keys, (OTHER, "float32", "highest"), *keys]}
    assert len(folders) == len(computing.asked) == computing.ended == 4


def test_small_shapes_have_none(made, computing, records):
    assert made.of(SMALL, "float32", "highest") is None
    assert (computing.asked, records) == ([], [])


def test_deadline_grows_with_the_work(made, computing):
    made.of(LARGE, "float32", "highest")
    made.of(Shape(8192, 4000, 1000), "float32", "highest")
    assert 60 < computing.deadlines[0] < 70
    assert computing.deadlines[1] > 2000


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (WorkerFailed("timeout", "no answer within 9 s", alive=False), "timeout: no answer within 9 s"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_reference_that_cannot_be_made_is_not_tried_again(made, computing, records, failure, reason):
    computing.failure = failure
    assert made.of(LARGE, "float32", "highest") is made.of(LARGE, "float32", "highest") is None
    assert len(computing.asked) == computing.ended == 1
    assert [(record.reason, record.bytes) for record in records] == [(reason, 0)]
    assert not Path(computing.asked[0][1]["folder"]).exists()
    computing.failure = None
    assert made.of(OTHER, "float32", "highest")


def test_answer_that_does_not_fit_is_a_failure(made, computing, records):
    computing.answer = {"problem": 3, "digests": {}}
    assert made.of(LARGE, "float32", "highest") is None
    assert "problem" in records[0].reason


def test_no_folder_for_temporary_files_is_a_failure(made, records, monkeypatch):
    monkeypatch.setattr(references.tempfile, "tempdir", "/no/such/folder")
    assert made.of(LARGE, "float32", "highest") is None
    assert "/no/such/folder" in records[0].reason


def test_too_little_memory_is_a_failure(made, computing, records):
    made.free_bytes = lambda: 1_000_000
    assert made.of(LARGE, "float32", "highest") is None
    assert records[0].reason.startswith("out_of_memory: it needs ")
    assert "0.001 GB are free" in records[0].reason
    assert computing.asked == []


def test_changed_reference_is_made_anew(made, computing):
    first = made.of(LARGE, "float32", "highest")
    made.forget(LARGE, "float32", "highest")
    assert not Path(first["folder"]).exists()
    assert made.of(LARGE, "float32", "highest")["folder"] != first["folder"]
    assert len(computing.asked) == 2


def test_oldest_references_are_removed(made, computing, monkeypatch):
    monkeypatch.setattr(references, "MOST_BYTES", 2 * work.reference_bytes(LARGE))
    shapes = [Shape(256 + number, 512, 256) for number in range(4)]
    folders = [Path(made.of(shape, "float32", "highest")["folder"]) for shape in shapes]
    assert [folder.exists() for folder in folders] == [False, False, False, True]
    monkeypatch.setattr(references, "MOST_BYTES", 3 * work.reference_bytes(Shape(300, 512, 256)))
    folders = [Path(made.of(shape, "float32", "highest")["folder"]) for shape in shapes]
    assert [folder.exists() for folder in folders] == [False, True, True, True]


def test_closing_removes_everything(made, tmp_path):
    made.of(LARGE, "float32", "highest")
    assert [*tmp_path.iterdir()]
    made.close()
    made.close()
    assert [*tmp_path.iterdir()] == []


def test_interruption_leaves_nothing(made, computing, tmp_path):
    computing.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made.of(LARGE, "float32", "highest")
    assert computing.ended == 1
    made.close()
    assert [*tmp_path.iterdir()] == []


# ── in a run ──


class Fixed:
    """References that are there."""

    def __init__(self):
        self.asked, self.forgotten = [], []

    def of(self, *key):
        self.asked.append(key)
        return {"folder": "there"} if key[0] == LARGE else None

    def forget(self, *key):
        self.forgotten.append(key)


def run_with(office, folder, fixed, **changes):
    plan = plan_of("ab", [SMALL, LARGE], ["step"], **changes)
    with journal.Journal(folder) as book:
        book.append(RunStarted(folder.name, "2026-01-01T00:00:00+00:00", to_plain(plan), {}, []))
        run = RunInProgress(plan, book, office.open, now=office.clock, free_bytes=lambda: 100 * GIGABYTE)
        run.references = fixed
        run.measure()
    return run


def test_only_requests_that_verify_name_a_reference(tmp_path):
    office, fixed = Office(), Fixed()
    run_with(office, tmp_path, fixed, passes=2)
    named = {
        (ask.pass_number, ask.where, ask.request.get("reference", {}).get("folder")) for ask in office.of("prepare")
    }
    assert named == {(1, str(SMALL), None), (1, str(LARGE), "there"), (2, str(SMALL), None), (2, str(LARGE), None)}
    assert {key[1:] for key in fixed.asked} == {("float32", "highest")}


def test_reference_that_a_worker_found_changed_is_forgotten(tmp_path, monkeypatch):
    office, fixed = Office(), Fixed()
    prepare = fakes.Scripted._prepare

    def of_own(self, **request):
        about = {"own_reference": "w1.npy was changed", "reference_changed": True} if "reference" in request else {}
        request.pop("reference", None)
        return prepare(self, **request) | about

    monkeypatch.setattr(fakes.Scripted, "_prepare", of_own)
    run = run_with(office, tmp_path, fixed, passes=1)
    assert fixed.forgotten == [(LARGE, "float32", "highest")] * 2
    assert not run.failed
    assert [record.own_reference for record in records_of(tmp_path, Prepared)].count("w1.npy was changed") == 2
    assert "w1.npy was changed" in integrity.lines(Run(*journal.load(tmp_path)))[0]


TAMPERING = """
import tempfile
from pathlib import Path
from implementations.numpy_ import Net as Numpy


class Net(Numpy):
    def train(self, steps):
        for file in Path(tempfile.gettempdir()).glob("relubench-references-*/*/w*.npy"):
            file.unlink()
            file.write_text("no array")
        return super().train(steps)
"""


def test_processes_share_a_reference_that_none_can_change(tmp_path, monkeypatch):
    (tmp_path / "tampering.py").write_text(TAMPERING)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(references.tempfile, "tempdir", None)
    monkeypatch.setattr(references, "LEAST_PRODUCTS", 1)
    names = [
        "numpy",
        "tampering:Net",
        "tests.bench.fakes:Slow",
        "tests.bench.measure.worker.test_verify:WrongGradient1",
    ]
    plan = plan_of(names, [Shape(8, 12, 6, 5)], ["train"])
    failed = session.verify(plan, tmp_path, [str(tmp_path)])
    assert {record.status for record in failed.values()} == {"wrong"}
    assert ["WrongGradient1" in key for key in failed] == [True]
    assert [*temporary.iterdir()] == []
    lines = [json.loads(line) for line in (tmp_path / journal.FILE).read_text().splitlines()]
    made = [line for line in lines if line["record"] == "Reference"]
    own = [line["own_reference"] for line in lines if line["record"] == "Prepared" and line["own_reference"]]
    assert [line["reason"] for line in made] == [""] * len(made)
    assert len(made) in (1, 2)  # one more if others are verified after the one that was changed
    (reason,) = own
    assert reason.startswith("the shared reference's w1.npy cannot be read: ")
