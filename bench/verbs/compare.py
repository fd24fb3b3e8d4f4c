"""Say what changed from one run to another, and whether it got slower."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import Exit, output

HELP = "what changed from one run to another; exits with 1 if it got slower"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    for side in ("BASE", "HEAD"):
        parser.add_argument(
            side.lower(), type=Path, metavar=side, help="a run's folder, a results folder's newest, or a timings.csv"
        )
    add_gate(parser)
    parser.add_argument(
        "--allow", default="", metavar="LIST", help="differences to compare in spite of, like numpy,python, or all"
    )


def add_gate(parser: argparse.ArgumentParser) -> None:
    """Add the options of every verb that judges changes."""
    parser.add_argument(
        "--fail-on",
        default="slower,wrong,missing",
        metavar="LIST",
        help="of slower, unclear, wrong and missing; default: %(default)s",
    )
    parser.add_argument(
        "--min-effect", metavar="SHARE", help="too small to matter, like 2%%; default: that of HEAD's grid"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write it for a pull request")


def run(asked: argparse.Namespace) -> Exit:
    from bench.analyse.change import comparability, gate, sides, unpaired
    from bench.measure import replacing
    from bench.plan import effects
    from bench.report.change import unpaired as shown

    fail_on = gate.fail_on("--fail-on", asked.fail_on)
    base, head = sides.load(asked.base), sides.load(asked.head)
    if base.name == head.name and [cell.floors for cell in base.cells] == [cell.floors for cell in head.cells]:
        raise ValueError(f"{asked.base} and {asked.head} are the same run, {base.name}; name two")
    known = [names(side) for names in (comparability.libraries, comparability.variables) for side in (base, head)]
    allowed = _allowed(asked.allow, set().union(*known))
    min_effect = _min_effect(asked.min_effect, head.min_effect)
    differences = comparability.differences(base, head)
    stopping = comparability.stopping(differences, allowed)
    changes = []
    if not stopping:
        changes = unpaired.compare(base, head, lambda cell: effects.of(cell.key, min_effect, head.min_effects))
    names = list(dict.fromkeys(difference.name for difference in stopping))
    comparison = shown.Comparison(
        base.name,
        head.name,
        gate.incomparable(names) if stopping else gate.outcome(changes, fail_on),
        changes,
        differences,
        stopping,
        remedy=f"To compare them all the same: --allow {','.join(names)}",
        facts={
            "fail_on": list(fail_on),
            "min_effect": min_effect,
            "min_effect_of": dict(head.min_effects),
            "allowed": sorted(allowed),
        },
    )
    output.say(shown.text(comparison))
    if asked.markdown:
        replacing.write_text(asked.markdown, shown.markdown(comparison))
    return Exit(shown.data(comparison), comparison.outcome.exit_code)


def _min_effect(text: str | None, default: float) -> float:
    from bench.plan import grid

    wanted = {} if text is None else {"min_effect": text}
    return grid.override(grid.Grid("compare", min_effect=default), wanted, lambda key: "--min-effect").min_effect


def _allowed(text: str, names: set[str]) -> set[str]:
    """The names of differences in a list. Raises ValueError for a word that names none."""
    import implementations
    from bench.analyse.change.comparability import ALL, MATTERING
    from bench.measure.worker import environment
    from bench.plan.nearest import hint

    words = {word.strip() for word in text.split(",") if word.strip()}
    backends = {name.partition("_")[0] for name in implementations.names() if ":" not in name}
    accepted = {*MATTERING, ALL, *names, *backends}
    for word in sorted(words - accepted):
        if not environment.is_recorded(word):
            known = ", ".join(sorted(accepted))
            raise ValueError(
                f"--allow: {word!r} is no difference that matters; those are {known}, and variables of the environment "
                f"such as OPENBLAS_CORETYPE{hint(word, accepted)}"
            )
    return words
