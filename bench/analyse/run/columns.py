"""The columns of `timings.csv` and `samples.csv.gz`, each declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from bench.measure.records import STATUSES
from bench.plan.cells import DTYPES, PHASES

from .csvfiles import storable

TEXT, CATEGORY, WHOLE, REAL = "string", "category", "Int64", "float64"
"""The dtypes of columns, as pandas names them."""
NUMERIC = (WHOLE, REAL)
BOUNDS = ("compute", "bandwidth", "call", "overhead")
SUSPECT = "suspect"
VERDICTS = ("faster", "same", "slower", "unclear", SUSPECT)


@dataclass(frozen=True)
class Column:
    """A column of a table, and what its values mean."""

    name: str
    dtype: str
    meaning: str
    unit: str = ""
    """Empty for texts, and for numbers without one."""
    values: tuple[str, ...] = ()
    """The possible values, in their order; empty where any value is possible."""
    is_ordered: bool = False
    """Whether the values are in ascending order."""
    is_optional: bool = False
    """Whether files of earlier versions may lack the column; its values are empty then."""


def _column(dtype: str, meaning: str, unit: str = "", **others: Any) -> Any:
    """Declare a field of a row that is a column of its table."""
    return field(default=None, metadata={"dtype": dtype, "meaning": meaning, "unit": unit, **others})


@dataclass(kw_only=True)
class Timing:
    """A row of `timings.csv`: a cell and its results."""

    run: str = _column(TEXT, "the run: the name of its folder")
    implementation: str = _column(CATEGORY, "the file in `implementations/`, or `module:Class`")
    backend: str | None = _column(CATEGORY, "the library that computes")
    backend_version: str | None = _column(CATEGORY, "its version")
    interpreter: str | None = _column(CATEGORY, "the Python that ran it")
    source: str = _column(CATEGORY, "the revision or the side of its source, or the class of your own")
    device: str = _column(CATEGORY, "`cpu`, `cuda`, `cuda:1`, …")
    device_name: str | None = _column(CATEGORY, "the processor's or the accelerator's name")
    dtype: str = _column(CATEGORY, "of all arrays", values=DTYPES)
    precision: str | None = _column(CATEGORY, "of matrix products, as the backend names it")
    threads: int = _column(WHOLE, "host threads in force: the limit, or as many as it kept busy beyond it")
    N: int = _column(WHOLE, "batch size", "rows")
    D_in: int = _column(WHOLE, "input width", "columns")
    H: int = _column(WHOLE, "hidden width", "columns")
    D_out: int = _column(WHOLE, "output width", "columns")
    phase: str = _column(CATEGORY, "what was timed", values=PHASES, is_ordered=True)
    status: str = _column(CATEGORY, "the outcome of the cell", values=STATUSES)
    reason: str = _column(TEXT, "why it has that status, or what is odd about its time")
    passes: int | None = _column(WHOLE, "passes, each a fresh process, that timed it")
    samples: int | None = _column(WHOLE, "samples of all passes")
    inner: int | None = _column(WHOLE, "iterations in a sample")
    seconds: float | None = _column(
        REAL, "typical time of an iteration: the mean of logs, over passes, of their medians", "s"
    )
    seconds_low: float | None = _column(REAL, "lower end of its 95 % interval", "s")
    seconds_high: float | None = _column(REAL, "upper end of its 95 % interval", "s")
    seconds_floor: float | None = _column(
        REAL, "its floor: the mean of logs, over passes, of the median of their blocks' least samples", "s"
    )
    seconds_p95: float | None = _column(REAL, "the mean of logs, over passes, of their 95th percentiles", "s")
    speedup: float | None = _column(REAL, "the baseline's time over this one, paired by round; above 1 is faster")
    speedup_low: float | None = _column(REAL, "lower end of its 95 % interval")
    speedup_high: float | None = _column(REAL, "upper end of its 95 % interval")
    verdict: str | None = _column(CATEGORY, "of the speed-up; empty for the baseline", values=VERDICTS)
    speedup_floor: float | None = _column(REAL, "the speed-up of the floors", is_optional=True)
    speedup_floor_low: float | None = _column(REAL, "lower end of its 95 % interval", is_optional=True)
    speedup_floor_high: float | None = _column(REAL, "upper end of its 95 % interval", is_optional=True)
    verdict_floor: str | None = _column(
        CATEGORY, "of the floors' speed-up; empty for the baseline", values=VERDICTS, is_optional=True
    )
    rank: int | None = _column(WHOLE, "best rank that it may have among comparable cells", is_optional=True)
    rank_worst: int | None = _column(WHOLE, "worst rank that it may have among them", is_optional=True)
    gflops: float | None = _column(REAL, "operations of an iteration over its time", "1e9/s")
    ceiling_fraction: float | None = _column(REAL, "shortest possible time on the device, over its time")
    bound: str | None = _column(CATEGORY, "what binds it", values=BOUNDS, is_optional=True)
    first_call_seconds: float | None = _column(REAL, "first call of a process, median over processes", "s")
    setup_seconds: float | None = _column(REAL, "set-up of the problem, median over processes", "s")
    import_seconds: float | None = _column(REAL, "import of the backend, median over processes", "s")
    import_seconds_first: float | None = _column(REAL, "import in the first pass", "s", is_optional=True)
    peak_bytes: int | None = _column(WHOLE, "most memory: the process's on the host, else the device's", "bytes")
    error: float | None = _column(REAL, "largest error against float64 NumPy, of the worst tensor")
    tolerance: float | None = _column(REAL, "the error that is allowed there")
    others_share: float | None = _column(
        REAL, "share of the processors' time that other processes took from it", is_optional=True
    )
    steal_share: float | None = _column(
        REAL, "share of the processors' time that the hypervisor gave to other machines", is_optional=True
    )


TIMINGS = tuple(Column(each.name, **each.metadata) for each in fields(Timing))
_OF_TIMINGS = {column.name: column for column in TIMINGS}
SAMPLES = (
    _OF_TIMINGS["run"],
    Column("pass", WHOLE, "the pass, from 1"),
    Column("process", WHOLE, "the process, counted over the run"),
    Column("round", WHOLE, "the round, from 1"),
    Column("position", WHOLE, "the block's position in the round, from 1"),
    *(_OF_TIMINGS[name] for name in ("implementation", "device", "dtype")),
    Column("threads", WHOLE, "the thread limit that was set"),
    *(_OF_TIMINGS[name] for name in ("N", "D_in", "H", "D_out", "phase")),
    Column("inner", WHOLE, "iterations in the sample"),
    Column("sample", WHOLE, "the sample of its block, from 1"),
    Column("seconds", REAL, "of one iteration", "s"),
)


def names(columns: Sequence[Column]) -> list[str]:
    """Return the names of columns, in their order."""
    return [column.name for column in columns]


def table_of(rows: Sequence[Timing]) -> pd.DataFrame:
    """Return the table of rows, as `timings.csv` has it."""
    values = {name: [_storable(getattr(row, name)) for row in rows] for name in names(TIMINGS)}
    return typed(pd.DataFrame(values, columns=names(TIMINGS)), TIMINGS)


def typed(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Return a table with its columns' dtypes; a column that an earlier version's file lacks is empty."""
    typed_columns: dict[str, Any] = {}
    for column in columns:
        values = table[column.name] if column.name in table else pd.Series(None, table.index, dtype=object)
        if column.dtype == CATEGORY:
            categories = list(column.values) or list(dict.fromkeys(values.dropna()))
            typed_columns[column.name] = pd.Categorical(values, categories, ordered=column.is_ordered)
        else:
            typed_columns[column.name] = pd.Series(values, dtype=pd.api.types.pandas_dtype(column.dtype))
    return pd.DataFrame(typed_columns, index=table.index)


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
