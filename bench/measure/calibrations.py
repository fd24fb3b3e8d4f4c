"""Where calibrations are kept: one result a machine, by what makes it that machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.plan import reading

from . import machine

FOLDER = "calibrations"
MOST_BYTES = 1 << 26


def new_folder(results: Path) -> Path:
    """Where a calibration's journals go."""
    folder = results / FOLDER / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    folder.mkdir(parents=True)
    return folder


def store(results: Path, facts: dict[str, Any], found: dict[str, Any]) -> Path:
    """Keep what a calibration found, for the reports of later runs on the machine with these facts."""
    path = _file(results, facts)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)  # a link that lies there would else be written through
    beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def stored(results: Path, facts: dict[str, Any]) -> dict[str, Any] | None:
    """What the last calibration of the machine with these facts found; None if there was none that can be read."""
    try:
        found = dict(json.loads(reading.read_text(_file(results, facts), MOST_BYTES, within=results)))
    except (OSError, ValueError, TypeError):  # TypeError: JSON that is no object
        return None
    return found if isinstance(found.get("settings"), list) else None


def _file(results: Path, facts: dict[str, Any]) -> Path:
    return results / FOLDER / f"{machine.fingerprint(facts)}.json"
