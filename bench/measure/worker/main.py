"""A worker's loop: JSON lines over pipes of its own, so that what a backend prints goes only to a log."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import IO, Any

from . import limits
from .exceptions import is_out_of_memory
from .one_line import one_line

MESSAGE_CHARACTERS = 300


def main(arguments: list[str]) -> int:
    """Serve requests by a configuration: file descriptors `requests` and `replies`, and the contender; without a
    contender, requests for references."""
    config = json.loads(arguments[0])
    limits.die_with_parent()
    limits.limit_processors(config["threads"])
    if config["implementation"]:
        limits.limit_files()
    limits.be_killed_first()
    sys.path[:0] = config["path"]
    with (
        open(config["requests"], encoding="utf-8") as requests,
        open(config["replies"], "w", encoding="utf-8") as replies,
    ):
        return serve(config, requests, replies)


def serve(config: dict[str, Any], requests: IO[str], replies: IO[str]) -> int:
    """Answer requests until there are no more."""
    session: Any = None
    for line in requests:
        request = json.loads(line)
        number, verb = request.pop("id"), request.pop("verb")
        try:
            if verb == "start":
                request["started"] = time.perf_counter()
                from .session import Session  # imported late, while the clock runs: it imports NumPy

                session = Session(*(config[name] for name in ("implementation", "device", "dtype", "slowdown")))
            if verb == "make":
                from .referencing import Referencing

                session = Referencing()
            reply = {"id": number, "ok": getattr(session, verb)(**request)}
        except Exception as error:
            reply = {"id": number, "failed": describe(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
    return 0


def describe(error: Exception) -> dict[str, Any]:
    """Return a failure's status and reason by its exception."""
    if hasattr(error, "status") and hasattr(error, "figures"):  # other people's exceptions may have a status as well
        return {"status": error.status, "reason": one_line(str(error)), **error.figures}
    traceback.print_exception(error)
    sys.stderr.flush()
    message = f"{type(error).__name__}: {one_line(str(error), MESSAGE_CHARACTERS) or 'no message'}"
    if is_out_of_memory(error):
        return {"status": "out_of_memory", "reason": message}
    frames = traceback.extract_tb(error.__traceback__)
    location = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return {"status": "crashed", "reason": message + location}
