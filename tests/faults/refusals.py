"""What a run refuses before it measures, and what it waits for: one line, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from . import checks, filesystems
from .checks import Problem
from .runs import Ended, Place, Started

USAGE_ERROR = 4
WAIT_SECONDS = 60.0
PATIENT = ("--cell-timeout", "120")
"""For a contender that waits until the test has seen enough."""


def _refused(place: Place, where: str, words: Sequence[str], *options: str) -> list[Problem]:
    ended = place.run(("numpy",), *options)
    return checks.of_process(ended, place, where) + _of_refusal(ended, where, words)


def _of_refusal(ended: Ended, where: str, words: Sequence[str]) -> list[Problem]:
    lines = [line for line in ended.output.splitlines() if all(word in line for word in words)]
    if ended.code == USAGE_ERROR and len(lines) == 1:
        return []
    return [Problem(checks.OTHERS, where, f"exit code {ended.code}, not one line with {words}: {ended.output[-800:]}")]


def full_disk(folder: Path) -> list[Problem]:
    """A disk on which there is no room from the start."""
    place = Place(folder)
    with filesystems.small(place.results, size="64k") as mounted:
        if not mounted:
            return []
        with (place.results / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1 << 10))
            except OSError:
                pass
        return _refused(place, "full disk", ("results",), "--when-busy", "ignore")


def read_only_disk(folder: Path) -> list[Problem]:
    place = Place(folder)
    with filesystems.small(place.results, read_only=True) as mounted:
        return _refused(place, "read-only disk", ("results",), "--when-busy", "ignore") if mounted else []


def file_for_a_folder(folder: Path) -> list[Problem]:
    place = Place(folder)
    place.results.mkdir()
    (place.results / "runs").write_text("not a folder")
    return _refused(place, "file for a folder", ("results",), "--when-busy", "ignore")


def dangling_link(folder: Path) -> list[Problem]:
    place = Place(folder)
    place.results.mkdir()
    (place.results / "runs").symlink_to(place.folder / "nowhere" / "at all")
    return _refused(place, "dangling link", ("results",), "--when-busy", "ignore")


def second_run(folder: Path) -> list[Problem]:
    """While one measures, a second fails or waits as it is asked to, and both end whole."""
    place, other = Place(folder / "first"), Place(folder / "second")
    name = place.add("sleeper", "hostile(kinds.waits_for_a_file, 'mid-block', 'sleeper', once=True)")
    lock = {"RELUBENCH_LOCK": str(folder / "lock")}
    with Started(place, place.command(("numpy", name), *PATIENT), lock) as first:
        if not place.wait_until_fired("sleeper", WAIT_SECONDS):
            return [Problem(checks.OTHERS, "second run", f"the first one did not begin: {first.said()}")]
        refused = other.run(("numpy",), "--when-busy", "fail", **lock)
        found = _of_refusal(refused, "second run", ("another run measures on this machine",))
        with Started(other, other.command(("numpy",)), lock) as second:
            if not second.wait_until_said("waiting until it has ended", WAIT_SECONDS):
                found.append(Problem(checks.OTHERS, "second run", f"it does not wait: {second.said()}"))
            (place.fired / "go").touch()
            for ended, where in ((first.end(WAIT_SECONDS), place), (second.end(WAIT_SECONDS), other)):
                found += checks.of_process(ended, where, "second run") + checks.of_unharmed(where, "second run")
    return found


def second_resume(folder: Path) -> list[Problem]:
    """A run that is measured is not resumed by another process."""
    place = Place(folder)
    name = place.add("sleeper", "hostile(kinds.waits_for_a_file, 'mid-block', 'sleeper', once=True)")
    with Started(place, place.command(("numpy", name), "--when-busy", "ignore", *PATIENT)) as first:
        if not place.wait_until_fired("sleeper", WAIT_SECONDS):
            return [Problem(checks.OTHERS, "second resume", f"the first one did not begin: {first.said()}")]
        resumed = place.run((), "--resume", str(place.newest()), "--when-busy", "ignore")
        found = _of_refusal(resumed, "second resume", ("is being measured by another process",))
        (place.fired / "go").touch()
        found += checks.of_process(first.end(WAIT_SECONDS), place, "second resume")
    return found + checks.of_unharmed(place, "second resume") + checks.of_rows(place, ["numpy", name], "second resume")


REFUSALS: dict[str, Callable[[Path], list[Problem]]] = {
    function.__name__: function
    for function in (full_disk, read_only_disk, file_for_a_folder, dangling_link, second_run, second_resume)
}
