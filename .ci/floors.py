"""Print pip constraints that pin what pyproject.toml declares, and the extras named, to its lower bounds."""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\w.]+)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="of pyproject.toml's optional dependencies")
    asked = parser.parse_args()
    try:
        lines = pins(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"], asked.extras)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


def pins(project: dict, extras: list[str]) -> list[str]:
    """`name==version` of each. Raises ValueError for an extra that there is not, and a requirement without a bound."""
    optional = project["optional-dependencies"]
    if unknown := [extra for extra in extras if extra not in optional]:
        raise ValueError(f"{PROJECT.name}: there is no extra {unknown[0]!r}; extras are {', '.join(optional)}")
    declared = [*project["dependencies"], *(one for extra in extras for one in optional[extra])]
    parsed = {text: REQUIREMENT.fullmatch(text) for text in declared}
    if odd := [text for text, match in parsed.items() if not match]:
        raise ValueError(
            f"{PROJECT.name}: {odd[0]!r} is not of the form name>=version, so it has no lower bound to pin"
        )
    return [f"{match['name']}=={match['version']}" for match in parsed.values() if match]


if __name__ == "__main__":
    sys.exit(main())
