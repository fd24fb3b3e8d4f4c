"""Print which workflow run has the newest artifact of a name, as `run-id=NUMBER`; nothing where none has.

Only runs of a branch of this repository count: a pull request from anywhere can upload an artifact of any name. Needs
what GitHub sets in every job (GITHUB_API_URL, GITHUB_REPOSITORY), and GITHUB_TOKEN with `actions: read`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PER_PAGE = 100
SECONDS = 60


def main() -> int:
    """An answer that cannot be had is an error, not "none": the next upload would take the place of all before it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the artifact's")
    parser.add_argument("branch", help="whose runs count")
    asked = parser.parse_args()
    try:
        found = [one for one in artifacts(asked.name) if _counts(one, asked.branch)]
    except (URLError, OSError, ValueError, KeyError) as error:
        print(f"artifacts {asked.name!r} cannot be listed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if found:
        newest = max(found, key=lambda one: (one["created_at"], one["id"]))
        print(f"run-id={newest['workflow_run']['id']}")
    return 0


def artifacts(name: str) -> Iterator[dict[str, Any]]:
    """All of that name, of any run
    (https://docs.github.com/en/rest/actions/artifacts#list-artifacts-for-a-repository)."""
    where = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/actions/artifacts"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    page, listed = 1, PER_PAGE
    while listed == PER_PAGE:
        query = urlencode({"name": name, "per_page": PER_PAGE, "page": page})
        with urlopen(Request(f"{where}?{query}", headers=headers), timeout=SECONDS) as reply:
            found = json.load(reply)["artifacts"]
        yield from found
        page, listed = page + 1, len(found)


def _counts(artifact: dict[str, Any], branch: str) -> bool:
    run = artifact.get("workflow_run") or {}
    of_here = run.get("head_branch") == branch and run.get("head_repository_id") == run.get("repository_id")
    return of_here and not artifact["expired"]


if __name__ == "__main__":
    sys.exit(main())
