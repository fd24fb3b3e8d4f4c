"""Each process begins with an empty folder for compiled kernels, unless the user has named one."""

import os
import tempfile
from pathlib import Path

import pytest

from bench.measure import compiled
from bench.measure.client import ProcessWorker, Setting
from bench.measure.worker import environment
from bench.measure.worker.limits import COMPILED, COMPILED_PREFIX
from bench.plan.cells import Contender

NET = """
import os
from implementations.numpy_ import Net as NumpyNet

class Net(NumpyNet):
    @classmethod
    def devices(cls):
        folder = os.path.dirname(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        return ["cpu", f"cuda:{len(os.listdir(folder))}"] if os.path.isdir(folder) else ["cpu"]
"""


def left():
    return {*Path(tempfile.gettempdir()).glob(f"{COMPILED_PREFIX}*")}


def test_variables_name_places_in_the_folder(tmp_path):
    named = compiled.variables(tmp_path, {})
    assert named.keys() == COMPILED.keys()
    assert all(value.startswith(f"{tmp_path}{os.sep}") for value in named.values())


def test_folder_that_the_user_has_named_is_used(tmp_path):
    assert "NUMBA_CACHE_DIR" not in compiled.variables(tmp_path, {"NUMBA_CACHE_DIR": "/mine"})


def test_without_a_folder_nothing_is_named():
    assert compiled.variables(None, {}) == {}
    compiled.remove(None)


def test_folder_cannot_be_made_where_temporary_files_cannot(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert compiled.new_folder() is None


@pytest.mark.parametrize("name", COMPILED)
def test_only_a_folder_of_the_user_is_recorded(name, tmp_path):
    assert environment.recorded({name: "/mine"}) == {name: "/mine"}
    assert environment.recorded({name: f"{tmp_path}/{COMPILED_PREFIX}x1/part"}) == {}


def test_process_has_an_empty_folder_that_ends_with_it(tmp_path, monkeypatch):
    for name in COMPILED:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "lookednet.py").write_text(NET, encoding="utf-8")
    before = left()
    worker = ProcessWorker(
        Setting(Contender("lookednet:Net", "cpu", "float32"), 1, 60, tmp_path / "log", path=[str(tmp_path)])
    )
    try:
        worker.ask("start")
        assert worker.ask("devices") == {"devices": ["cpu", "cuda:0"]}
        assert len(left() - before) >= 1
    finally:
        worker.close()
    assert not (worker._compiled and worker._compiled.exists())
