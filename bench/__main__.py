"""`python -m bench VERB`: what is asked of saved results, or of the machine, outside pytest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code: 0, or 2 for what cannot be done as asked."""
    asked = _parser().parse_args(arguments)
    try:
        result = asked.run(asked)
        if asked.json:
            asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"python -m bench {asked.verb}: {error}", file=sys.stderr)
        return USAGE_ERROR
    return 0


def _report(asked: argparse.Namespace) -> Any:
    """Rebuild a run's files from its journal."""
    from bench.analyse import runs
    from bench.measure import journal
    from bench.report import files, terminal

    folder = runs.find(asked.run_or_dir)
    if not (folder / journal.FILE).exists():
        raise FileNotFoundError(f"{folder}: only a CSV is left of this run, no {journal.FILE} to rebuild it from")
    written = files.write(
        folder, asked.run_or_dir if folder != asked.run_or_dir and asked.run_or_dir.is_dir() else None
    )
    run = runs.load_run(folder)
    print(terminal.summary(run.timings, run.info["plan"]["baseline"]), end="\n\n")
    print(*written, sep="\n")
    timings = json.loads(run.timings.to_json(orient="records"))
    return {"run": run.name, "files": [str(path) for path in written], "timings": timings}


def _doctor(asked: argparse.Namespace) -> Any:
    """Say what this machine has."""
    from bench.measure import doctor
    from bench.report import doctor as shown

    found = doctor.examine()
    print(shown.text(found))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", type=Path, metavar="FILE", help="also write the result to a file, as JSON")
    report = verbs.add_parser("report", parents=[common], help="rebuild a run's CSV and Markdown from its journal")
    report.add_argument("run_or_dir", type=Path, metavar="RUN|DIR", help="a run's folder, or a results folder's newest")
    report.set_defaults(run=_report)
    doctor = verbs.add_parser("doctor", parents=[common], help="backends, devices, BLAS and threads of this machine")
    doctor.set_defaults(run=_doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
