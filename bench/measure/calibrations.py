"""Where calibrations are kept: one result a machine, by what makes it that machine."""

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
    """What runs of so many passes and rounds resolve; passes are None of as many as it takes."""

    passes: Count | None
    rounds: Count
    resolution: Share | None


class Family(Design):
    """The same of runs of so many cells."""

    cells: Count
    measure: str


class Effect(TypedDict):
    """How often a slowdown was detected."""

    slowdown: Share
    detected: Share


class Settings(TypedDict):
    """Of a thread limit."""

    threads: Count
    designs: list[Design]
    auto: list[Effect]
    families: NotRequired[list[Family]]


class Calibration(TypedDict):
    """What reports read of a calibration, which has more."""

    started: str
    settings: list[Settings]


def new_folder(results: Path) -> Path:
    """Where a calibration's journals go."""
    folder = results / FOLDER / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    folder.mkdir(parents=True)
    return folder


def store(results: Path, facts: dict[str, Any], found: dict[str, Any]) -> Path:
    """Keep what a calibration found, for the reports of later runs on the machine with these facts."""
    path = _file(results, facts)
    with replaced(path) as beside:
        beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path


def stored(results: Path, facts: dict[str, Any]) -> dict[str, Any] | None:
    """What the last calibration of the machine with these facts found; None where there was none. Raises ValueError
    that names its file where it is damaged or cannot be read."""
    path = _file(results, facts)
    try:
        found = json.loads(reading.read_text(path, MOST_BYTES, within=results))
        checked.record(Calibration, found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{FOLDER}/{path.name} is no calibration: {why.removeprefix(f'{path}: ')}") from error
    return dict(found)


def with_sound_calibration(head: RunStarted) -> RunStarted:
    """A run's first record, without a calibration that is none, which would fail only where a report reads it."""
    if head.calibration is None:
        return head
    try:
        checked.record(Calibration, head.calibration)
    except ValueError as error:
        return replace(head, calibration=None, calibration_damaged=f"the journal has no sound calibration: {error}")
    return head


def _file(results: Path, facts: dict[str, Any]) -> Path:
    return results / FOLDER / f"{machine.fingerprint(facts)}.json"
