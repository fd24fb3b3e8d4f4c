"""Arguments of verbs: an invalid one gives one line, with the nearest known name."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from bench.plan.nearest import hint
from bench.plan.values import shown, whole
from bench.report.characters import encodable, output_encoding

MOST = 10**9
"""The largest number that an argument may have."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(2, encodable(f"{self.prog}: {line}; {self.prog} --help says more\n", output_encoding()))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"{shown(value)} is not one of {', '.join(known)}{hint(str(value), known)}"
            )


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raise ValueError for the first empty argument, as an unset variable gives: as a path it would be the working
    folder, and as a list everything."""
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        option, equals, value = argument.partition("=")
        if not argument:
            name = previous if previous.startswith("--") and "=" not in previous else "an argument"
        elif option.startswith("--") and equals and not value:
            name = option
        else:
            continue
        raise ValueError(f"{name}: an empty value, as a variable that is not set gives")


def number(text: str) -> int:
    """Parse a whole number, as a type for argparse; the verb checks its range."""
    negative = re.fullmatch("-[0-9]{1,9}", text)
    try:
        return int(text) if negative else whole(0, MOST)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
