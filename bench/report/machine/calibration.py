"""A calibration's result as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from bench.analyse.run.resolution import FLOOR, TYPICAL, is_enough
from bench.plan.cells import Shape
from bench.plan.units import fixed, percent, short_percent
from bench.report.run.rows import shape_name

MEASURES = {FLOOR: "floors", TYPICAL: "typical times"}


def text(result: Mapping[str, Any]) -> str:
    """A table for each thread limit, and the resolution."""
    cpu = result["machine"].get("cpu", "unknown processor")
    parts = [
        f"{result['implementation']} step at {shape_name(Shape(**result['shape']))} against itself, slowed by so much, "
        f"on {cpu}.\nA trial is {result['passes']} passes × {result['rounds']} rounds × {result['samples']} samples; "
        f"found means that its floor is slower by more than {percent(result['min_effect'])} "
        "(at 0 %: any verdict, a false alarm)."
    ]
    return "\n\n".join(parts + [_setting(setting) for setting in result["settings"]])


def sentence(resolution: float | None, threads: int, design: str, asked: float, among: str = "") -> str:
    """The sentence about what runs of a `design`, in words, resolve on a calibrated machine; `among` says in one of how
    many cells. It warns where a run is `asked` to judge smaller differences."""
    resolves = f"resolve {short_percent(resolution)}" if resolution is not None else "do not resolve even 10 %"
    line = f"on this machine, {design} on {_threads(threads)} {resolves}{among}"
    if is_enough(resolution, asked):
        return line
    return f"{line}; smaller changes, beyond the {short_percent(asked)} asked for, may be missed: add passes"


def _setting(setting: Mapping[str, Any]) -> str:
    headers = [
        "slowdown",
        "found",
        "95 %",
        "covered",
        "auto: found",
        "covered",
        "passes",
        "back to back: found",
        "covered",
    ]
    by_slowdown = [{effect["slowdown"]: effect for effect in setting[name]} for name in ("auto", "back_to_back")]
    rows = []
    for effect in setting["effects"]:
        auto, naive = (effects.get(effect["slowdown"]) for effects in by_slowdown)
        rows.append(
            [
                short_percent(effect["slowdown"]),
                percent(effect["detected"], 1),
                f"{percent(effect['detected_low'])} to {percent(effect['detected_high'])}",
                percent(effect["coverage"], 1),
                *(
                    [percent(auto["detected"], 1), percent(auto["coverage"], 1), fixed(auto["passes"], 1)]
                    if auto
                    else ["—"] * 3
                ),
                *([percent(naive["detected"]), percent(naive["coverage"])] if naive else ["—"] * 2),
            ]
        )
    table = tabulate(rows, headers, tablefmt="simple", colalign=["right"] * len(headers), disable_numparse=True)
    independent = setting["effects"][0]["trials"]
    back_to_back = setting["back_to_back"][0]["trials"] if setting["back_to_back"] else 0
    return (
        f"{_threads(setting['threads'])}: {setting['passes_measured']} passes, of which random sets stand for trials; "
        f"the intervals count the {independent} that share no pass.\n"
        f"{fixed(setting['seconds_timed'], 2)} s timed per contender in a trial. Back to back: {back_to_back} trials, "
        f"of one process a side.\n\n{table}\n\n{_resolution(setting)}"
    ) + _families(setting)


def _families(setting: Mapping[str, Any]) -> str:
    """How often one slower cell is found among many, by the number of cells; empty for an earlier version's result."""
    families = [family for family in setting.get("families", ()) if family["effects"] and family["passes"] is not None]
    if not families:
        return ""
    slowdowns = [effect["slowdown"] for effect in families[0]["effects"] if effect["slowdown"] > 0]
    headers = ["cells in the run", "judged by", *map(short_percent, slowdowns), "false alarms", "resolution"]
    rows = []
    for family in families:
        effects = {effect["slowdown"]: effect for effect in family["effects"]}
        alarms = [effects[0.0]["detected"] / family["cells"]]
        alarms += [effect["false_alarms"] * (1 - 1 / family["cells"]) for effect in family["effects"]]
        best = "> 10 %" if family["resolution"] is None else short_percent(family["resolution"])
        rates = [percent(effects[slowdown]["detected"]) for slowdown in slowdowns]
        rows.append([family["cells"], MEASURES[family["measure"]], *rates, percent(max(alarms), 2), best])
    align = ["right", "left", *["right"] * (len(headers) - 2)]
    table = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
    passes, rounds = families[0]["passes"], families[0]["rounds"]
    return (
        f"\n\nOne cell slower among so many, found in {passes} passes × {rounds} rounds; false alarms are the share of "
        f"cells called faster or slower that are not, in the worst column:\n\n{table}"
    )


def _resolution(setting: Mapping[str, Any]) -> str:
    designs = [
        f"{design['passes']} × {design['rounds']}: "
        + ("> 10 %" if design["resolution"] is None else short_percent(design["resolution"]))
        for design in setting["designs"]
    ]
    best = "more than 10 %" if setting["resolution"] is None else short_percent(setting["resolution"])
    return f"Resolution: {best}, the smallest found in 95 % of trials. By passes × rounds: {', '.join(designs)}."


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
