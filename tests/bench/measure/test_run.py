"""The order of a run, its failures, and resuming it after an interruption."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from bench.measure import journal
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, Calls, Ceiling, Entered, Failed, Left, Prepared, RunStarted, WorkerStarted
from bench.measure.run import BackToBack, RunInProgress
from bench.plan import work
from bench.plan.cells import Cell, Contender, Shape, Side, without_variant
from bench.plan.plain import to_plain
from bench.plan.sides import BASE, HEAD, doubled
from tests.bench.fakes import MICRO, Office, measured, places, plan_of, records_of

SMALL, LARGE = Shape(4, 5, 3), Shape(8, 5, 3)


def crash(ask):
    return WorkerFailed("crashed", f"crashed in {ask.verb}", alive=False)


def failing_at(implementation, verb, where=None, pass_number=1, make=crash):
    """Return a fault that fails one contender's requests of a kind."""

    def fault(ask):
        hit = ask.contender.implementation == implementation and ask.verb == verb and ask.pass_number == pass_number
        return make(ask) if hit and where in (None, ask.where) else None

    return fault


def orders(folder):
    """Return the cells of each (pass, phase, round) in the order of timing."""
    cells = defaultdict(list)
    for block in records_of(folder, Block):
        cells[block.pass_number, block.cell.partition("[")[0], block.round].append(block.cell)
    return dict(cells)


def test_each_pass_has_a_fresh_process_for_each_contender(tmp_path):
    office = Office()
    measured(plan_of(shapes=(SMALL, LARGE), passes=3), tmp_path, office)
    started = Counter((worker.contender.implementation, worker.pass_number) for worker in office.opened)
    assert started == {(name, pass_number): 1 for name in "abc" for pass_number in (1, 2, 3)}
    assert [worker.state for worker in office.opened] == ["closed"] * 9
    assert [record.number for record in records_of(tmp_path, WorkerStarted)] == list(range(1, 10))
    passes = [ask.pass_number for ask in office.asked]
    assert passes == sorted(passes)


def test_only_the_asked_worker_is_awake(tmp_path):
    # Scripted.ask checks this at every request; here, that all are suspended between blocks as well.
    office = Office()
    awake = []
    measured(
        plan_of(shapes=(SMALL, LARGE)),
        tmp_path,
        office,
        notify=lambda progress: awake.append([worker.state for worker in office.opened].count("awake")),
    )
    assert len(awake) == 3 * 2 * 2 * 2 * 2
    assert set(awake) == {0}


def test_every_contender_is_timed_once_in_every_round(tmp_path):
    plan = plan_of(shapes=(SMALL, LARGE), rounds=3)
    measured(plan, tmp_path, Office())
    blocks = records_of(tmp_path, Block)
    assert Counter(places(blocks)) == {
        (pass_number, number, cell.key): 1 for pass_number in (1, 2) for number in (1, 2, 3) for cell in plan.cells
    }
    assert {block.position for block in blocks} == {1, 2, 3}
    assert len(records_of(tmp_path, Left)) == len(records_of(tmp_path, Entered)) == 2 * len(plan.cells)
    assert len(records_of(tmp_path, Prepared)) == 2 * 2 * 3


def test_contenders_are_interleaved_in_rounds(tmp_path):
    measured(plan_of(rounds=3), tmp_path, Office())
    blocks = [
        block for block in records_of(tmp_path, Block) if block.pass_number == 1 and block.cell.startswith("step")
    ]
    assert [block.round for block in blocks] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_order_depends_on_the_seed(tmp_path):
    plan = plan_of("abcdef", passes=3, rounds=3)
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        measured(replace(plan, seed=seed), tmp_path / name, Office())
    assert places(records_of(tmp_path / "one", Block)) == places(records_of(tmp_path / "again", Block))
    assert places(records_of(tmp_path / "one", Block)) != places(records_of(tmp_path / "other", Block))


def test_order_differs_between_rounds_and_passes(tmp_path):
    measured(plan_of("abcdefgh", passes=3, rounds=3, phases=["step"]), tmp_path, Office())
    rounds = [tuple(order) for order in orders(tmp_path).values()]
    assert len(rounds) == 9
    assert len(set(rounds)) == 9
    starts = defaultdict(list)
    for record in records_of(tmp_path, WorkerStarted):
        starts[record.pass_number].append(record.contender)
    assert len(set(map(tuple, starts.values()))) == 3


@pytest.mark.parametrize("rounds", [4, 5])
def test_sides_of_a_cell_are_adjacent_and_lead_equally_often(tmp_path, rounds):
    sides = tuple(Side(name, name, "python", "/there", tuple("abcd")) for name in (BASE, HEAD))
    plan = doubled(plan_of("abcd", phases=["step"], passes=6, rounds=rounds), sides)
    measured(plan, tmp_path, Office())
    leads, pairs = defaultdict(list), []
    for order in orders(tmp_path).values():
        pairs.append(tuple(without_variant(key) for key in order[::2]))
        assert pairs[-1] == tuple(without_variant(key) for key in order[1::2])
        for key in order[::2]:
            leads[without_variant(key)].append("~head" in key)
    assert len(set(pairs)) > 10  # of 24 orders
    for led in leads.values():
        assert sum(led) == len(led) / 2 == 3 * rounds
    assert len({tuple(led) for led in leads.values()}) == 2  # cells alternate independently


def test_contenders_of_other_dtype_or_threads_have_other_rounds(tmp_path):
    plan = plan_of("ab", phases=["step"])
    others = [Contender("a", "cpu", "float64"), Contender("a", "cpu", "float32", 1)]
    plan = replace(plan, cells=plan.cells + tuple(Cell(contender, SMALL, "step") for contender in others))
    measured(plan, tmp_path, Office())
    own_rounds = [block for block in records_of(tmp_path, Block) if block.cell == Cell(others[0], SMALL, "step").key]
    assert {block.position for block in own_rounds} == {1}
    assert {record.threads for record in records_of(tmp_path, WorkerStarted)} == {1, 2}
    names = {record.contender for record in records_of(tmp_path, WorkerStarted)}
    assert names == {"a-cpu-float32", "b-cpu-float32", "a-cpu-float64", "a-cpu-float32-T1"}


def test_inner_is_chosen_again_after_too_short_samples(tmp_path):
    plan = plan_of(("a", "b"), phases=("step",), passes=4)
    office = Office(inner=lambda number: 1 if number <= 2 else 10_000)  # in the first pass, the machine was busy
    measured(plan, tmp_path, office)
    asked = {
        pass_number: [a.request["inner"] for a in office.of("enter") if a.pass_number == pass_number]
        for pass_number in range(1, 5)
    }
    assert asked == {1: [None, None], 2: [None, None], 3: [10_000, 10_000], 4: [10_000, 10_000]}


def test_variants_share_an_inner_that_is_chosen_again(tmp_path):
    contenders = [Contender("a", "cpu", "float32", variant=variant) for variant in ("one", "other")]
    cells = tuple(Cell(contender, Shape(4, 5, 3), "step") for contender in contenders)
    office = Office(inner=lambda number: 1 if number <= 2 else 10_000 + number)
    measured(replace(plan_of(("a",), phases=("step",), passes=3), cells=cells), tmp_path, office)
    inners = defaultdict(set)
    for block in records_of(tmp_path, Block):
        inners[block.pass_number].add(block.inner)
    assert inners[1] == {1}
    assert len(inners[2]) == 1
    assert inners[2] == inners[3] != {1}


def test_inner_is_kept_after_the_first_pass(tmp_path):
    office = Office()
    measured(plan_of(passes=3), tmp_path, office)
    assert {ask.request["inner"] for ask in office.of("enter") if ask.pass_number == 1} == {None}
    inners = defaultdict(set)
    for block in records_of(tmp_path, Block):
        inners[block.cell].add(block.inner)
    assert all(len(choices) == 1 for choices in inners.values())
    assert all(ask.request["inner"] in range(10_001, 10_004) for ask in office.of("enter") if ask.pass_number > 1)


def test_prepare_has_the_shape_phases_and_steps(tmp_path):
    office = Office()
    measured(plan_of("a", phases=["train", "forward"], steps=9, passes=1), tmp_path, office)
    asked = office.of("prepare")[0].request
    request = {"shape": [4, 5, 3, 10], "phases": ["train", "forward"], "steps": 9, "check": True}
    assert asked == request | {"device_bytes": work.needed_device_bytes(Shape(4, 5, 3), 4)}


def test_contender_is_verified_in_its_first_pass_only(tmp_path):
    office = Office()
    measured(plan_of(shapes=(SMALL, LARGE), passes=3), tmp_path, office)
    checks = Counter((ask.pass_number, ask.request["check"]) for ask in office.of("prepare"))
    assert checks == {(1, True): 6, (2, False): 6, (3, False): 6}


def test_resume_verifies_cells_not_verified_before(tmp_path):
    plan = plan_of("ab", passes=2)
    uninterrupted = Office()
    measured(plan, tmp_path / "whole", uninterrupted)
    for at in range(len(uninterrupted.asked)):
        folder = tmp_path / f"cut-at-{at}"
        with pytest.raises(KeyboardInterrupt):
            measured(plan, folder, Office(interrupt_at=at))
        known = {key for record in records_of(folder, Prepared) for key in record.cells}
        resumed_office = Office()
        measured(plan, folder, resumed_office, resumed=True)
        for ask in resumed_office.of("prepare"):
            keys = {cell.key for cell in plan.cells if cell.contender == ask.contender}
            assert ask.request["check"] is (not keys <= known)
            known |= keys


def variants(*names):
    contenders = [Contender("a", "cpu", "float32", 1, name) for name in names]
    return replace(plan_of(passes=3), cells=tuple(Cell(contender, SMALL, "step") for contender in contenders))


def test_variants_share_layouts_that_differ_between_passes(tmp_path):
    office = Office()
    measured(variants("reference", "+0%", "+5%"), tmp_path, office)
    seeds = defaultdict(set)
    for ask in office.of("enter"):
        seeds[ask.pass_number].add(ask.request["seed"])
    assert {pass_number: len(drawn) for pass_number, drawn in seeds.items()} == {1: 1, 2: 1, 3: 1}
    assert len(set.union(*seeds.values())) == 3


def test_contenders_have_their_own_layouts(tmp_path):
    office = Office()
    measured(plan_of("abc", phases=["step"], passes=1), tmp_path, office)
    assert len({ask.request["seed"] for ask in office.of("enter")}) == 3


def test_back_to_back_times_all_blocks_of_a_contender_at_once(tmp_path):
    plan = plan_of("abcdef", phases=["step"], passes=3, rounds=3)
    with journal.Journal(tmp_path) as book:
        book.append(RunStarted("r", "2026-01-02T03:04:05+00:00", to_plain(plan), {}, []))
        BackToBack(plan, book, Office().open).measure()
    orders = defaultdict(list)
    for block in records_of(tmp_path, Block):
        orders[block.pass_number].append((block.cell, block.round, block.position))
    for timed in orders.values():
        contenders = list(dict.fromkeys(cell for cell, _, _ in timed))
        assert len(contenders) == 6
        assert timed == [(cell, number, rank) for rank, cell in enumerate(contenders, 1) for number in (1, 2, 3)]
    assert len(set(map(tuple, orders.values()))) == 3, "in another order in each pass"


def test_schedule_gives_the_plan_of_each_pass_and_the_end(tmp_path):
    plan = plan_of("ab", passes=2, rounds=3)
    few = replace(plan.select(plan.cells[:1]), rounds=2, passes=3)
    office = Office()
    visited = []

    def schedule(run, pass_number):
        visited.append(pass_number)
        return {1: plan, 2: few, 3: few}.get(pass_number)

    with journal.Journal(tmp_path) as book:
        book.append(RunStarted("r", "2026-01-02T03:04:05+00:00", to_plain(plan), {}, []))
        run = RunInProgress(plan, book, office.open, now=office.clock)
        run.measure(schedule)
    assert visited == [1, 2, 3, 4]
    done = Counter((block.pass_number, block.cell) for block in records_of(tmp_path, Block))
    assert done == {(1, cell.key): 3 for cell in plan.cells} | {(2, few.cells[0].key): 2, (3, few.cells[0].key): 2}
    assert set(run.tally.left.values()) == {0}


def test_cost_of_a_pass_includes_time_between_requests(tmp_path):
    office = Office()
    run = measured(plan_of(shapes=(SMALL, LARGE), passes=2), tmp_path, office)
    assert run.cost(run.plan) == pytest.approx(office.clock() / 2)


@pytest.mark.parametrize("status", ["wrong", "timeout", "crashed", "out_of_memory", "unavailable", "unsupported"])
def test_failed_start_fails_all_cells_of_its_contender(tmp_path, status):
    def failure(ask):
        return WorkerFailed(status, "why", alive=status in ("wrong", "unavailable", "unsupported"))

    office = Office(fault=failing_at("b", "start", make=failure))
    plan = plan_of(shapes=(SMALL, LARGE))
    measured(plan, tmp_path, office)
    [failed] = records_of(tmp_path, Failed)
    assert (failed.status, failed.reason) == (status, "why")
    assert set(failed.cells) == {cell.key for cell in plan.cells if cell.contender.implementation == "b"}
    expected = {
        (pass_number, round_number, cell.key)
        for pass_number in (1, 2)
        for round_number in (1, 2)
        for cell in plan.cells
        if cell.contender.implementation != "b"
    }
    assert set(places(records_of(tmp_path, Block))) == expected
    assert Counter(worker.contender.implementation for worker in office.opened)["b"] == 1
    assert all(worker.state == "closed" for worker in office.opened)


@pytest.mark.parametrize(
    ("verb", "status", "alive"),
    [
        ("prepare", "wrong", True),
        ("prepare", "crashed", False),
        ("prepare", "out_of_memory", False),
        ("prepare", "timeout", False),
    ],
)
def test_failed_prepare_fails_the_contender_s_cells_of_that_shape(tmp_path, verb, status, alive):
    def failure(ask):
        return WorkerFailed(status, "why", alive, error=0.5, tolerance=1e-6)

    office = Office(fault=failing_at("b", verb, str(SMALL), make=failure))
    plan = plan_of(shapes=(SMALL, LARGE))
    measured(plan, tmp_path, office)
    failed = records_of(tmp_path, Failed)
    keys = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.shape == SMALL}
    assert {key for record in failed for key in record.cells} == keys
    assert len(failed) == (1 if alive else len(keys)), "a process that is gone is asked for each phase again"
    assert {(each.status, each.error, each.tolerance, each.pass_number) for each in failed} == {(status, 0.5, 1e-6, 1)}
    done = Counter(block.cell for block in records_of(tmp_path, Block))
    assert done == {cell.key: 4 for cell in plan.cells if cell.key not in keys}
    assert not [ask for ask in office.of("prepare") if ask.pass_number == 2 and ask.contender.implementation == "b"][1:]


@pytest.mark.parametrize("status", ["crashed", "timeout", "out_of_memory"])
@pytest.mark.parametrize("verb", ["enter", "block", "leave"])
def test_failure_in_a_cell_fails_that_cell_alone(tmp_path, verb, status):
    def failure(ask):
        return WorkerFailed(status, f"{status} in {ask.verb}", alive=False)

    plan = plan_of(shapes=(SMALL, LARGE), phases=("forward", "backward", "step"))
    for phase in ("forward", "backward", "step"):  # in whatever order they come
        office = Office(fault=failing_at("b", verb, phase, make=failure))
        folder = tmp_path / phase
        measured(plan, folder, office)
        failed = records_of(folder, Failed)
        keys = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.phase == phase}
        assert [len(record.cells) for record in failed] == [1, 1]
        assert {record.cells[0] for record in failed} == keys
        assert {(record.status, record.reason) for record in failed} == {(status, f"{status} in {verb}")}
        done = Counter(block.cell for block in records_of(folder, Block) if block.cell not in keys)
        assert done == {cell.key: 4 for cell in plan.cells if cell.key not in keys}
        assert all(worker.state == "closed" for worker in office.opened)
        numbers = [record.number for record in records_of(folder, WorkerStarted)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert 6 < len(numbers) <= 8


def test_cell_that_fails_later_keeps_its_earlier_blocks(tmp_path):
    office = Office(fault=failing_at("b", "block", "step", pass_number=2))
    measured(plan_of(passes=3), tmp_path, office)
    [failed] = records_of(tmp_path, Failed)
    assert failed.pass_number == 2
    blocks = [block for block in records_of(tmp_path, Block) if block.cell == failed.cells[0]]
    assert [block.pass_number for block in blocks] == [1, 1]


def test_journal_is_current_before_each_block(tmp_path):
    office = Office()
    seen = []

    def look(progress):
        records = journal.read(tmp_path)
        seen.append(sum(isinstance(record, Block) for record in records))
        assert seen[-1] == office.blocks_answered
        entered = sum(isinstance(record, Entered) for record in records)
        assert entered == len(office.of("enter"))

    measured(plan_of(), tmp_path, office, notify=look)
    assert seen == list(range(24))


def test_resumed_run_measures_the_same_blocks_once(tmp_path):
    plan = plan_of("ab", shapes=(SMALL, LARGE), rounds=2)
    uninterrupted = Office()
    measured(plan, tmp_path / "whole", uninterrupted)
    expected = Counter(places(records_of(tmp_path / "whole", Block)))
    for at in range(len(uninterrupted.asked)):
        folder = tmp_path / f"cut-at-{at}"
        first, second = Office(interrupt_at=at), Office()
        with pytest.raises(KeyboardInterrupt):
            measured(plan, folder, first)
        assert all(worker.state == "closed" for worker in first.opened)
        before = journal.read(folder)
        measured(plan, folder, second, resumed=True)
        assert journal.read(folder)[: len(before)] == before
        blocks = records_of(folder, Block)
        assert Counter(places(blocks)) == expected
        assert first.blocks_answered + second.blocks_answered == len(blocks)
        numbers = [record.number for record in records_of(folder, WorkerStarted)]
        assert len(set(numbers)) == len(numbers), "a resumed run's processes are others"
        inners = defaultdict(set)
        for block in blocks:
            inners[block.cell].add(block.inner)
        assert all(len(inners_of_cell) == 1 for inners_of_cell in inners.values()), "a calibration is kept when resumed"


def test_resumed_run_does_not_visit_failed_cells(tmp_path):
    plan = plan_of("ab", rounds=2)
    fault = failing_at("b", "prepare")
    with pytest.raises(KeyboardInterrupt):
        measured(plan, tmp_path, Office(fault=fault, interrupt_at=8))
    assert records_of(tmp_path, Failed)
    resumed_office = Office()
    measured(plan, tmp_path, resumed_office, resumed=True)
    assert {ask.contender.implementation for ask in resumed_office.asked} == {"a"}


def test_resuming_a_complete_run_starts_nothing(tmp_path):
    plan = plan_of()
    measured(plan, tmp_path, Office())
    resumed_office = Office()
    measured(plan, tmp_path, resumed_office, resumed=True)
    assert resumed_office.opened == []


def test_progress_rises_from_0_to_1(tmp_path):
    shown = []
    run = measured(plan_of(shapes=(SMALL, LARGE)), tmp_path, Office(), notify=shown.append)
    assert len(shown) == 48
    later = [progress.done for progress in shown[1:]]  # before the first block, the cost of a block is unknown
    assert later == sorted(later)
    assert shown[0].done < 0.5 < 0.9 < shown[-1].done < 1
    assert {progress.pass_number for progress in shown} == {1, 2}
    assert shown[0].passes == 2
    assert shown[-1].seconds_left < shown[0].seconds_left
    assert set(run.tally.left.values()) == {0}
    end = run.tally.progress(2, "step", str(SMALL), "a")
    assert (end.done, end.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize("verb", ["prepare", "enter", "block", "leave"])
def test_progress_leaves_out_blocks_of_failed_cells(tmp_path, verb):
    run = measured(plan_of(shapes=(SMALL, LARGE)), tmp_path, Office(fault=failing_at("b", verb, make=crash)))
    assert run.tally.left["block"] == 0


def test_verify_calls_each_cell_once_and_times_none(tmp_path):
    office = Office(fault=failing_at("b", "prepare", str(LARGE)))
    plan = plan_of(shapes=(SMALL, LARGE))
    with journal.Journal(tmp_path) as book:
        run = RunInProgress(plan, book, office.open, now=office.clock)
        run.verify()
    assert {ask.verb for ask in office.asked} == {"start", "prepare"}
    assert len(office.of("prepare")) == 6 + 2  # the failed one again, phase by phase
    keys = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.shape == LARGE}
    assert set(run.state.failed) == keys


def test_all_contenders_visit_each_quarter_of_a_cache_line_equally_often(tmp_path):
    office = Office()
    measured(plan_of(passes=2, rounds=8, phases=["step"]), tmp_path, office)
    alignments = defaultdict(list)
    for ask in office.of("block"):
        alignments[ask.pass_number, ask.contender.implementation].append(ask.request["alignment"])
    assert all(Counter(each) == dict.fromkeys(range(4), 2) for each in alignments.values())
    assert alignments[1, "a"] == alignments[1, "b"] == alignments[1, "c"] != alignments[2, "a"]


def with_ceilings(plan, names="abc"):
    return replace(plan, ceilings=tuple(Contender(name, "cpu", "float32") for name in names))


def test_ceilings_are_measured_last_in_every_pass(tmp_path):
    office = Office()
    measured(with_ceilings(plan_of(shapes=(SMALL, LARGE), passes=3)), tmp_path, office)
    ceilings = records_of(tmp_path, Ceiling)
    assert Counter((record.pass_number, record.contender) for record in ceilings) == {
        (pass_number, f"{name}-cpu-float32"): 1 for pass_number in (1, 2, 3) for name in "abc"
    }
    assert {record.reason for record in ceilings} == {""}
    assert ceilings[0].products == {"8x8x8": 1e9}
    for pass_number in (1, 2, 3):
        verbs = [ask.verb for ask in office.asked if ask.pass_number == pass_number]
        assert verbs[-3:] == ["ceiling"] * 3
        assert "ceiling" not in verbs[:-3]
        assert verbs.count("calls") == (3 if pass_number == 1 else 0)


def test_all_ceilings_are_measured_a_few_times_and_probed_in_other_passes(tmp_path):
    office = Office()
    measured(with_ceilings(plan_of(shapes=(SMALL, LARGE), passes=10)), tmp_path, office)
    probes = {record.pass_number: record.probe for record in records_of(tmp_path, Ceiling)}
    assert probes == {number: number not in (1, 9) for number in range(1, 11)}
    assert {tuple(ask.request["footprints"]) for ask in office.of("ceiling")} == {(2**18,)}


def test_each_worker_is_closed_once_its_ceilings_are_measured(tmp_path):
    office = Office()
    alive = []

    def fault(ask):
        if ask.verb == "ceiling":
            alive.append(sum(worker.state != "closed" for worker in office.opened))

    office.fault = fault
    measured(with_ceilings(plan_of(passes=1)), tmp_path, office)
    assert alive == [3, 2, 1]


def test_calls_are_measured_of_all_phases_but_trainings(tmp_path):
    office = Office()
    measured(with_ceilings(plan_of("ab", phases=["forward", "step", "train"], passes=2), "a"), tmp_path, office)
    calls = records_of(tmp_path, Calls)
    assert {(record.pass_number, record.contender) for record in calls} == {(1, f"{x}-cpu-float32") for x in "ab"}
    assert all(record.seconds == {"forward": MICRO, "step": MICRO} for record in calls)


@pytest.mark.parametrize("alive", [True, False])
def test_failed_calls_fail_no_cell(tmp_path, alive):
    office = Office(fault=failing_at("b", "calls", make=lambda ask: WorkerFailed("crashed", "why", alive)))
    measured(with_ceilings(plan_of(passes=1)), tmp_path, office)
    assert [record.reason for record in records_of(tmp_path, Calls) if record.reason] == ["crashed: why"]
    assert len(records_of(tmp_path, Ceiling)) == 3
    assert records_of(tmp_path, Failed) == []
    assert all(worker.state == "closed" for worker in office.opened)


def test_ceilings_use_the_contenders_processes(tmp_path):
    office = Office()
    measured(with_ceilings(plan_of(passes=3)), tmp_path, office)
    assert len(office.opened) == 3 * 3
    numbers = {
        record.contender: record.number for record in records_of(tmp_path, WorkerStarted) if record.pass_number == 2
    }
    assert {r.contender: r.number for r in records_of(tmp_path, Ceiling) if r.pass_number == 2} == numbers


def test_ceilings_of_other_backends_use_their_own_processes(tmp_path):
    office = Office()
    measured(with_ceilings(plan_of("ab", passes=3), "abx"), tmp_path, office)
    own_workers = [worker for worker in office.opened if worker.contender.implementation == "x"]
    assert [worker.pass_number for worker in own_workers] == [1, 2, 3]
    assert all(worker.state == "closed" for worker in office.opened)
    assert [ask.verb for ask in office.asked if ask.contender.implementation == "x"] == ["start", "ceiling"] * 3
    assert len(records_of(tmp_path, Ceiling)) == 3 * 3


def test_order_of_ceilings_differs_between_passes(tmp_path):
    measured(with_ceilings(plan_of("abcdef", passes=4), "abcdef"), tmp_path, Office())
    orders = defaultdict(list)
    for record in records_of(tmp_path, Ceiling):
        orders[record.pass_number].append(record.contender)
    assert len(set(map(tuple, orders.values()))) == 4


def test_each_group_measures_only_its_own_ceilings(tmp_path):
    plan = plan_of("ab", phases=["step"], passes=3)
    double, elsewhere = Contender("a", "cpu", "float64"), Contender("a", "cuda", "float32")
    plan = replace(plan, cells=(*plan.cells, Cell(double, SMALL, "step")))
    plan = replace(plan, ceilings=(Contender("a", "cpu", "float32"), double, elsewhere))
    office = Office()
    measured(plan, tmp_path, office)
    labels = Counter(record.contender for record in records_of(tmp_path, Ceiling))
    assert labels == {"a-cpu-float32": 3, "a-cpu-float64": 3}, "no cell is on that device"
    assert len(office.opened) == 3 * 3


@pytest.mark.parametrize("verb", ["start", "ceiling"])
@pytest.mark.parametrize(("status", "alive"), [("unavailable", True), ("crashed", False), ("timeout", False)])
def test_failed_ceilings_are_recorded_once_and_fail_no_cell(tmp_path, verb, status, alive):
    def failure(ask):
        return WorkerFailed(status, "why", alive)

    office = Office(fault=failing_at("x", verb, make=failure))
    plan = with_ceilings(plan_of("ab", passes=3), "ax")
    run = measured(plan, tmp_path, office)
    bad = [record for record in records_of(tmp_path, Ceiling) if record.reason]
    assert [(record.pass_number, record.contender, record.reason) for record in bad] == [
        (1, "x-cpu-float32", f"{status}: why")
    ]
    assert [worker.contender.implementation for worker in office.opened].count("x") == 1
    assert records_of(tmp_path, Failed) == []
    assert all(worker.state == "closed" for worker in office.opened)
    assert set(run.tally.left.values()) == {0}


def test_contender_with_failed_ceilings_has_all_its_cells(tmp_path):
    office = Office(fault=failing_at("b", "ceiling"))
    plan = with_ceilings(plan_of(passes=2))
    measured(plan, tmp_path, office)
    assert Counter(block.cell for block in records_of(tmp_path, Block)) == {cell.key: 4 for cell in plan.cells}
    assert records_of(tmp_path, Failed) == []
    assert [ask.pass_number for ask in office.of("ceiling") if ask.contender.implementation == "b"] == [1]


def test_unavailable_contender_is_not_asked_for_ceilings(tmp_path):
    def failure(ask):
        return WorkerFailed("unavailable", "why", alive=True)

    office = Office(fault=failing_at("b", "start", make=failure))
    run = measured(with_ceilings(plan_of()), tmp_path, office)
    assert {record.contender for record in records_of(tmp_path, Ceiling)} == {"a-cpu-float32", "c-cpu-float32"}
    assert [worker.contender.implementation for worker in office.opened].count("b") == 1
    assert run.tally.left["block"] == 0


def test_no_ceilings_where_every_cell_failed(tmp_path):
    def fault(ask):
        return WorkerFailed("unavailable", "no such device", alive=True) if ask.verb == "start" else None

    office = Office(fault=fault)
    run = measured(with_ceilings(plan_of(), "abcx"), tmp_path, office)
    assert records_of(tmp_path, Ceiling) == []
    assert len(office.opened) == 3
    assert run.tally.left["ceiling"] == 0


def test_resumed_run_measures_ceilings_once_per_pass(tmp_path):
    plan = with_ceilings(plan_of("ab", phases=["step"], passes=3), "abx")
    uninterrupted = Office()
    measured(plan, tmp_path / "whole", uninterrupted)
    for at in range(len(uninterrupted.asked)):
        folder = tmp_path / f"cut-at-{at}"
        with pytest.raises(KeyboardInterrupt):
            measured(plan, folder, Office(interrupt_at=at))
        measured(plan, folder, Office(), resumed=True)
        done = Counter((record.pass_number, record.contender) for record in records_of(folder, Ceiling))
        assert done == {(pass_number, f"{name}-cpu-float32"): 1 for pass_number in (1, 2, 3) for name in "abx"}
        resumed_office = Office()
        measured(plan, folder, resumed_office, resumed=True)
        assert resumed_office.opened == []


def test_verify_measures_no_ceilings(tmp_path):
    office = Office()
    with journal.Journal(tmp_path) as book:
        RunInProgress(with_ceilings(plan_of()), book, office.open, now=office.clock).verify()
    assert office.of("ceiling") == []


def test_progress_counts_the_ceilings(tmp_path):
    shown = []
    run = measured(with_ceilings(plan_of(shapes=(SMALL, LARGE)), "abx"), tmp_path, Office(), notify=shown.append)
    assert [progress.shape for progress in shown if progress.phase == "ceiling"] == [
        "cpu"
    ] * 3  # two passes do not probe
    assert set(run.tally.left.values()) == {0}


def test_from_the_fourth_pass_on_as_many_start_at_once_as_there_are_processors(tmp_path):
    office = Office()
    measured(plan_of(shapes=(SMALL, LARGE), passes=5), tmp_path, office)
    begun = Counter((verb, pass_number) for step, verb, _, pass_number in office.events if step == "begun")
    assert begun == {("start", 4): 3, ("start", 5): 3}
    assert {record.pass_number for record in records_of(tmp_path, WorkerStarted) if record.concurrent} == {4, 5}
    steps = [step for step, verb, _, pass_number in office.events if (verb, pass_number) == ("start", 4)]
    assert steps == ["begun", "begun", "answered", "begun", "answered", "answered"], "two work at once"


def test_a_process_that_is_started_anew_while_others_prepare_did_not_start_alone(tmp_path):
    plan = plan_of(passes=4, phases=("forward", "step"))
    office = Office(fault=failing_at("b", "prepare", pass_number=4, where=None))
    measured(plan, tmp_path, office)
    starts = Counter((record.contender[0], record.concurrent) for record in records_of(tmp_path, WorkerStarted))
    assert starts["b", False] == 3
    assert starts["b", True] > 1


def test_with_a_memory_limit_nothing_is_begun_while_another_is_waited_for(tmp_path):
    office = Office()
    measured(plan_of(passes=5, memory_limit=10**9), tmp_path, office)
    assert not [step for step, *_ in office.events if step == "begun"]
    assert not any(record.concurrent for record in records_of(tmp_path, WorkerStarted))


@pytest.mark.parametrize("verb", ["start", "prepare"])
def test_a_failure_of_what_was_begun_is_its_contenders_alone(tmp_path, verb):
    plan = plan_of(passes=5)
    office = Office(fault=failing_at("b", verb, pass_number=4, where=None))
    measured(plan, tmp_path, office)
    failed = [key for record in records_of(tmp_path, Failed) for key in record.cells]
    assert failed == [cell.key for cell in plan.cells if cell.contender.implementation == "b"]
    blocks = Counter(block.cell for block in records_of(tmp_path, Block))
    assert {blocks[cell.key] for cell in plan.cells if cell.contender.implementation != "b"} == {10}
    assert {worker.state for worker in office.opened} <= {"closed", "dead"}


def test_an_interruption_closes_what_was_begun(tmp_path):
    plan = plan_of(passes=4)
    whole = Office()
    measured(plan, tmp_path / "whole", whole)
    first_start = next(i for i, ask in enumerate(whole.asked) if (ask.verb, ask.pass_number) == ("start", 4))
    office = Office(interrupt_at=first_start)
    with pytest.raises(KeyboardInterrupt):
        measured(plan, tmp_path / "cut", office)
    assert len(office.opened) == 3 * 3 + 2
    assert {worker.state for worker in office.opened} == {"closed"}


def test_the_first_pass_begins_with_the_first_shape_and_group(tmp_path):
    shapes = [Shape(size, 5, 3) for size in (16, 4, 8, 2, 1)]
    measured(plan_of(shapes=shapes, passes=6), tmp_path, Office())
    firsts = [
        next(block.cell for block in records_of(tmp_path, Block) if block.pass_number == pass_number)
        for pass_number in range(1, 7)
    ]
    assert str(shapes[0]) in firsts[0]
    assert len({cell.partition("N")[2] for cell in firsts}) > 1, "later passes have an order of their own"
