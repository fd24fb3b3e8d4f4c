"""Arrays lie elsewhere in memory in every block."""

from __future__ import annotations

import random

import pytest

from bench.measure.worker import layout
from bench.measure.worker.session import Session
from bench.measure.worker.timing import Clocks
from implementations import Problem
from tests.bench.fakes import MICRO, FakeClock, FakeNet


def sizes(seed):
    return [hole.nbytes for hole in layout.scatter(random.Random(seed))]


def test_sizes_of_holes_depend_on_the_seed():
    assert len(sizes(1)) == layout.BLOCKS // 2
    assert sizes(1) == sizes(1) != sizes(2)
    assert {*sizes(1)} <= {*layout.SIZES}


@pytest.fixture
def story(monkeypatch):
    """Record in order when memory is scattered, with the sizes of the holes, and when nets are made and step."""
    events = []
    scatter = layout.scatter

    def watched(draw):
        holes = scatter(draw)
        events.append(("scattered", [hole.nbytes for hole in holes]))
        return holes

    monkeypatch.setattr(layout, "scatter", watched)
    return events


def session_of(events):
    clock = FakeClock()
    session = Session("fake", "cpu", "float32", clocks=Clocks(clock, clock))
    session.problem, session.steps = Problem.random(2, 2, 2, 2), 2
    session.net_class = lambda *_: FakeNet(clock, step=1024 * MICRO, watch=lambda name: events.append((name, [])))
    return session


def test_memory_is_scattered_before_every_block_s_net(story):
    session = session_of(story)
    session.enter("step", samples=2, inner=1, seed=7)
    for _ in range(3):
        story.clear()
        session.block()
        names = [name for name, _ in story]
        assert names[:2] == ["scattered", "make"]
        assert names.count("scattered") == names.count("make") == 1
        assert len(session.holes) == layout.BLOCKS // 2


def test_layouts_differ_between_blocks_and_depend_on_the_seed(story):
    def holes(seed):
        story.clear()
        session = session_of(story)
        session.enter("step", samples=2, inner=1, seed=seed)
        for _ in range(3):
            session.block()
        return [sizes for name, sizes in story if name == "scattered"]

    first = holes(7)
    assert len(first) == 3
    assert first[0] != first[1] != first[2]
    assert holes(7) == first
    assert holes(8) != first


def test_block_s_weights_begin_where_it_is_asked_to_put_them():
    session = Session("numpy", "cpu", "float32")
    session.start(session.clocks.wall())
    session.prepare((64, 1000, 100, 10), ["step"], steps=1, check=False)
    session.enter("step", samples=1, inner=1, seed=3)
    asked = [0, 1, 2, 3] * 5
    found = [session.block(alignment)["alignment"] for alignment in asked]
    assert {*found} <= {0, 1, 2, 3}
    assert sum(a == b for a, b in zip(asked, found, strict=True)) > len(asked) / 2, "by chance it would be a quarter"


def test_arrays_that_their_backend_aligns_are_taken_as_they_are(story):
    session = session_of(story)
    session.enter("step", samples=2, inner=1, seed=7)
    story.clear()
    assert session.block(3)["alignment"] is None
    assert [name for name, _ in story].count("scattered") == 1


def test_block_gives_up_what_its_allocator_never_does(story, monkeypatch):
    session = session_of(story)
    session.enter("step", samples=2, inner=1, seed=7)
    monkeypatch.setattr(layout, "alignment_of", lambda net: session.clocks.wall.spend(layout.ALIGN_SECONDS / 3) or 1)
    story.clear()
    assert session.block(2)["alignment"] == 1
    assert [name for name, _ in story].count("scattered") == 3
