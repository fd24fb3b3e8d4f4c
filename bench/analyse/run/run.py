"""A run and its results, each of which is computed once, when it is first used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import pandas as pd

from bench.plan.cells import Contender, Place

from . import ceilings, costs, disturbance, environments, measured, resolution, standing, suspicion, tables, warmup
from .ceilings import Limits
from .columns import SUSPECT
from .costs import Costs
from .disturbance import Disturbance
from .measured import MeasuredCell
from .ranking import Pair
from .recorded import RunRecords
from .standing import Speedup
from .tables import RunTables


@dataclass(frozen=True)
class Run(RunRecords):
    """A run and its tables, ceilings, speed-ups, ranks and costs."""

    @cached_property
    def limits(self) -> dict[Place, dict[int, Limits]]:
        """The best rates of any backend, by device, dtype and thread limit, and by pass."""
        return ceilings.limits(self)

    @cached_property
    def call_seconds(self) -> dict[Contender, dict[str, float]]:
        """What a call of each phase takes without any work, by contender."""
        return ceilings.call_seconds(self)

    @cached_property
    def resolution(self) -> float:
        """The smallest change that the machine can tell, as a fraction: ceilings that move by more have drifted."""
        return resolution.of_run(self) or ceilings.RESOLUTION

    @cached_property
    def measured(self) -> list[MeasuredCell]:
        """The cells with the estimates of their times, in the plan's order."""
        unsteadiness = ceilings.unsteadiness(self, self.resolution)
        cells = measured.cells(
            [*self.cells.values()], self.plan, self.limits, unsteadiness, self.call_seconds, self.spending
        )
        return suspicion.marked(cells, self.plan)

    @cached_property
    def disturbance(self) -> Disturbance | None:
        """What others took of the processors while all cells were sampled; None where the system did not report it."""
        return disturbance.of_run(self)

    @property
    def suspects(self) -> dict[str, str]:
        """The reasons why cells' times cannot be true, by key."""
        return {cell.key: cell.reason for cell in self.measured if cell.status == SUSPECT}

    @cached_property
    def baselines(self) -> dict[str, MeasuredCell]:
        """The cell that each cell is compared with, by key; a baseline is its own."""
        return standing.baselines(self.measured, self.plan.baseline)

    @cached_property
    def speedups(self) -> dict[str, Speedup]:
        """How many times faster each cell is than its baseline, by key."""
        return standing.speedups(self.measured, self.baselines, self.spending, attrgetter("block_typicals"))

    @cached_property
    def floor_speedups(self) -> dict[str, Speedup]:
        """How many times smaller each cell's floors are than its baseline's, by key."""
        return standing.speedups(self.measured, self.baselines, self.spending, attrgetter("block_floors"))

    @cached_property
    def pairs(self) -> list[Pair]:
        """All pairs of cells that can be compared, and which of the two is faster."""
        return standing.pairs(self.measured, self.spending)

    @cached_property
    def ranks(self) -> dict[str, tuple[int, int]]:
        """The best and the worst rank of each cell that can be compared, by key."""
        return standing.ranks(self.measured, self.pairs)

    @property
    def undecided(self) -> set[str]:
        """The keys of cells whose rank or verdict needs more passes."""
        return standing.undecided(self.pairs, self.baselines, self.speedups, self.measured, self.plan.precision)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """One row per cell of the plan, as `timings.csv` has it. It is shared: change a copy."""
        return tables.timings(self, self.measured, self.speedups, self.floor_speedups, self.ranks)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per sample, as `samples.csv.gz` has it. It is shared: change a copy."""
        return tables.samples(self)

    @cached_property
    def costs(self) -> list[Costs]:
        """What each contender costs before its first steady step, at each shape, in the plan's order."""
        return costs.costs(self, self.measured, self.baselines)

    @cached_property
    def warmups(self) -> dict[str, str]:
        """Whether each timed cell kept its pace, by key: one of `warmup.KINDS`."""
        timed = {key: records for key, records in self.cells.items() if records.status == "ok"}
        return dict(zip(timed, warmup.of_cells([*timed.values()]), strict=True))

    @property
    def info(self) -> dict[str, Any]:
        """The run's options, machine and plan, and how it ended, as `run.json` has them."""
        return {
            "run": self.name,
            "started": self.head.started,
            "complete": self.is_complete,
            "options": self.head.options,
            "machine": self.head.machine,
            "plan": {**self.head.plan, "passes": self.plan.passes, "time_budget": self.plan.time_budget},
            "environment": environments.of_run(self),
        }

    @property
    def tables(self) -> RunTables:
        """The run's tables, as they could also be read from its CSV files."""
        return RunTables(self.name, self.timings, self.samples, self.info)
