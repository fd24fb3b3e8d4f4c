"""pytest's hooks: options, parameters and outcomes. Everything else is in the folders beside this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from bench.glue import plugins, progress, replay, screens
from bench.glue.options import add_options, plan_from
from bench.glue.session import BenchSession
from bench.measure import git, interrupts, unexpected
from bench.measure.worker.one_line import one_line
from bench.plan.cells import PHASES, Cell
from bench.plan.grid import PlanError
from bench.report.characters import encodable, output_encoding

SESSION = pytest.StashKey[BenchSession]()
PARAMETERS = ("implementation", "device", "dtype", "threads", "N", "D_in", "H", "D_out")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser.getgroup("relubench", "what relubench measures"))


def pytest_configure(config: pytest.Config) -> None:
    stack = ExitStack()
    stack.enter_context(interrupts.handled())
    config.add_cleanup(stack.close)
    git.forget_repository()  # pytest-benchmark asks git for the commit that its JSON names
    plugins.refuse(config, PARAMETERS)
    try:
        asked = plan_from(config)
    except PlanError as error:
        raise pytest.UsageError(encodable(one_line(str(error), 5000), output_encoding())) from error
    except Exception as error:
        raise pytest.UsageError(encodable(unexpected.in_one_line(error), output_encoding())) from error
    config.stash[SESSION] = BenchSession(asked, plugins.is_timed(config.getoption))
    for mark in dict.fromkeys(mark for cell in asked.plan.cells for mark in replay.marks_of(cell)):
        config.addinivalue_line("markers", f"{mark}: benchmarks of {mark}.")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    phase = metafunc.definition.originalname.removeprefix("test_")
    if "samples" not in metafunc.fixturenames or phase not in PHASES:
        return
    cells = [cell for cell in metafunc.config.stash[SESSION].plan.cells if cell.phase == phase]
    marks = {mark: getattr(pytest.mark, mark) for mark in {mark for cell in cells for mark in replay.marks_of(cell)}}
    metafunc.parametrize(PARAMETERS, [_parameters(cell, marks) for cell in cells])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    without_cells = [item for item in items if replay.is_phase_without_cells(item)]
    config.hook.pytest_deselected(items=without_cells)
    items[:] = [item for item in items if item not in without_cells]


def pytest_collection_finish(session: pytest.Session) -> None:
    selected = [cell for item in session.items if (cell := replay.cell_of(item)) is not None]
    bench_session = session.config.stash[SESSION]
    bench_session.select(selected)
    if selected and plugins.is_measuring(session.config.getoption):
        bench_session.check_writable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Give a test its clock when it begins, since marks for ten thousand tests would take long to make beforehand."""
    if (clock := replay.clock_of(item)) is not None:
        replay.give_clock(item, clock)
    return (yield)


@pytest.fixture
def samples(
    request: pytest.FixtureRequest, implementation, device, dtype, threads, N, D_in, H, D_out
) -> replay.Samples:
    """Return the cell's samples, which are measured with all others when the first is requested.

    The other arguments are the test's parameters, which are read from its node. The test is skipped where a
    backend or device is missing, before pytest-benchmark's fixture is made."""
    session = request.config.stash[SESSION]
    with progress.shown(request.config) as display:
        session.measure(display, progress.said(request.config), lambda: screens.of(request.config).width)
    cell = replay.cell_of(request.node)
    assert cell is not None
    return replay.samples_or_skip(request.node, session.outcome(cell))


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Set no timer for a benchmark: pytest-timeout sets none once a plugin says that it has set one."""
    if replay.cell_of(item) is None:
        return None
    item.config.stash[SESSION].limit_not_applied = settings.timeout
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Write the results before any other plugin's hook runs, since one that fails would lose them."""
    bench_session = session.config.stash[SESSION]
    with interrupts.current.held_back():
        bench_session.finish(progress.said(session.config), screens.of(session.config))
    if bench_session.ended_early or interrupts.current.name:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    elif bench_session.failed and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Print the summary below every other plugin's, even where one of these fails, as --benchmark-compare-fail does."""
    try:
        return (yield)
    finally:
        for line in config.stash[SESSION].summary(lambda words: encodable(words, output_encoding())):
            terminalreporter.write_line(line)


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [config.stash[SESSION].header(), *config.stash[SESSION].warnings()]
    return [encodable(line, output_encoding()) for line in lines]


def _parameters(cell: Cell, marks: Mapping[str, pytest.MarkDecorator]) -> object:
    contender, shape = cell.contender, cell.shape
    values = (contender.implementation, contender.device, contender.dtype, contender.threads)
    own = [*(marks[mark] for mark in replay.marks_of(cell)), *replay.MARKS]
    return pytest.param(*values, shape.N, shape.D_in, shape.H, shape.D_out, id=cell.id, marks=own)
