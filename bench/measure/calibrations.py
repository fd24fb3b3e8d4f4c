"""Store and load calibrations: one result per machine, by the machine's fingerprint."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from bench.plan import reading

from . import checked, machine
from .records import RunStarted
from .replacing import replaced

FOLDER = "calibrations"
MOST_BYTES = 1 << 26
Count = Annotated[int, Field(ge=1, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]


class Design(TypedDict):
    """The smallest change that runs of so many passes and rounds resolve; `passes` is None for as many as it takes."""

    passes: Count | None
    rounds: Count
    resolution: Share | None


class Family(Design):
    """The smallest change that runs of so many cells resolve."""

    cells: Count
    measure: str


class Effect(TypedDict):
    """How often a slowdown was detected."""

    slowdown: Share
    detected: Share


class Settings(TypedDict):
    """What a calibration found for a thread limit."""

    threads: Count
    designs: list[Design]
    auto: list[Effect]
    families: NotRequired[list[Family]]


class Calibration(TypedDict):
    """The fields of a calibration that reports read; it has more."""

    started: str
    settings: list[Settings]


def new_folder(results: Path) -> Path:
    """Make and return the folder of a new calibration's journals."""
    folder = results / FOLDER / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    folder.mkdir(parents=True)
    return folder


def store(results: Path, facts: dict[str, Any], calibration: dict[str, Any]) -> Path:
    """Store a calibration for the reports of later runs on the machine with these facts. Return its path."""
    path = _file(results, facts)
    with replaced(path) as beside:
        beside.write_text(json.dumps(calibration, indent=1) + "\n", encoding="utf-8")
    return path


def stored(results: Path, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Return the last calibration of the machine with these facts; None where there was none. Raises ValueError that
    names its file where it is damaged or cannot be read."""
    path = _file(results, facts)
    try:
        calibration = json.loads(reading.read_text(path, MOST_BYTES, within=results))
        checked.record(Calibration, calibration)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{FOLDER}/{path.name} is no calibration: {why.removeprefix(f'{path}: ')}") from error
    return dict(calibration)


def with_sound_calibration(head: RunStarted) -> RunStarted:
    """Return a run's first record without its calibration if that is unsound: else it would fail in a report."""
    if head.calibration is None:
        return head
    try:
        checked.record(Calibration, head.calibration)
    except ValueError as error:
        return replace(head, calibration=None, calibration_damaged=f"the journal has no sound calibration: {error}")
    return head


def _file(results: Path, facts: dict[str, Any]) -> Path:
    return results / FOLDER / f"{machine.fingerprint(facts)}.json"
