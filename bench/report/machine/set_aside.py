"""What setting disturbed rounds aside changes, as text below a calibration's result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.plan.units import percent, short_percent

WORDS = {"floor": "floor", "typical": "typical time"}


def text(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for each thread limit and quantity."""
    return "\n".join(line for result in results for line in _lines(result))


def _lines(result: Mapping[str, Any]) -> list[str]:
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    if not result["set_aside"]:
        return [f"{threads}, disturbed rounds set aside: there were none"]
    begin = f"{threads}, with disturbed rounds set aside ({percent(result['set_aside'])} of all)"
    return [f"{begin}: {_quantity(words, result[name])}" for name, words in WORDS.items()]


def _quantity(name: str, compared: Mapping[str, Any]) -> str:
    ways = compared["kept"], compared["all"]
    noises = ["?" if way["noise"] is None else short_percent(way["noise"]) for way in ways]
    text = f"the noise of a pass's {name} is {noises[0]} instead of {noises[1]}"
    if any(way["detected"] is None for way in ways):
        return f"{text}; too few passes to say what is found"
    resolutions = ["more than 10 %" if way["resolution"] is None else short_percent(way["resolution"]) for way in ways]
    alarms = [next((rate["detected"] for rate in way["detected"] if rate["slowdown"] == 0), 0.0) for way in ways]
    text += f", it resolves {resolutions[0]} instead of {resolutions[1]}"
    return f"{text}, false alarms are {short_percent(alarms[0])} instead of {short_percent(alarms[1])}"
