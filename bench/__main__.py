"""`python -m bench VERB`: questions about saved results or about the machine, outside pytest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import interrupts, replacing, unexpected, writable
from bench.measure.worker.one_line import one_line
from bench.verbs import (
    Exit,
    ab,
    calibrate,
    check,
    compare,
    design,
    doctor,
    export,
    history,
    new,
    output,
    recommend,
    report,
    selfcheck,
)
from bench.verbs.arguments import Parser, refuse_empty

VERBS = {
    "report": report,
    "doctor": doctor,
    "new": new,
    "check": check,
    "calibrate": calibrate,
    "design": design,
    "ab": ab,
    "compare": compare,
    "history": history,
    "recommend": recommend,
    "export": export,
    "selfcheck": selfcheck,
}
USAGE_ERROR = 2
INTERRUPTED = 130
"""The exit code by which a shell reports a program that Ctrl-C has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code: 0, 2 for what cannot be done as asked, or the verb's own."""
    if sys.stdout is None:
        return _complain("", output.CLOSED)
    output.spell_what_it_lacks()
    verb = ""
    try:
        try:
            with interrupts.handled():
                refuse_empty(sys.argv[1:] if arguments is None else arguments)
                asked = _parser().parse_args(arguments)
                verb = f" {asked.verb}"
                return _run(asked)
        finally:
            sys.stdout.flush()  # while an error can still be reported
    except (OSError, ValueError) as error:
        return _complain(verb, output.worded(error))
    except Exception as error:  # Python would exit with 1, which says that something got slower
        return _complain(verb, unexpected.in_one_line(error))
    except KeyboardInterrupt:
        _complain(verb, "interrupted")
        return INTERRUPTED


def _run(asked: argparse.Namespace) -> int:
    for option in ("json", "markdown"):
        file = getattr(asked, option, None)
        if file and (complaint := writable.complaint_about_file(file)):
            raise ValueError(f"--{option}: {complaint}")
    result = VERBS[asked.verb].run(asked)
    data, code = result if isinstance(result, Exit) else (result, 0)
    if asked.json:
        replacing.write_text(asked.json, json.dumps(data, indent=1) + "\n")
    return code


def _complain(verb: str, line: str) -> int:
    output.abandon()
    output.say(one_line(f"python -m bench{verb}: {line}", output.MOST_CHARACTERS), to=sys.stderr)
    return USAGE_ERROR


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", type=Path, metavar="FILE", help="also write the result to a file, as JSON")
    for name, verb in VERBS.items():
        verb.add(verbs.add_parser(name, parents=[common], help=verb.HELP))
    return parser


if __name__ == "__main__":
    sys.exit(main())
