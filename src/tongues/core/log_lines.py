"""One line of log: for people as it is, or as JSON for programs, with the run and the trace it belongs to."""

import hashlib
import json
import os
import re
from datetime import UTC, datetime

from tongues.core.meters import METER

MARK = "tongues| "
"""What a step's line begins with among those of others, where lines are text."""

FORMAT_ENV = "TONGUES_LOG_FORMAT"
"""text or json."""

RUN_ENV = "TONGUES_RUN_ID"
"""The run that this process is part of; in a pod the identifier of the KFP run."""

_LOGGER = '"logger": "tongues"'
_ERROR = "error: "
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def run_id() -> str:
    """The run, empty where this process is part of none."""
    return os.environ.get(RUN_ENV, "")


def trace_id() -> str:
    """32 hex digits, equal in all steps of a run: the caller's (W3C, TRACEPARENT), else made from the run."""
    if found := _TRACEPARENT.fullmatch(os.environ.get("TRACEPARENT", "")):
        return found[1]
    return hashlib.sha256(run_id().encode()).hexdigest()[:32] if run_id() else ""


def is_json() -> bool:
    """Whether lines are asked for as JSON."""
    return os.environ.get(FORMAT_ENV, "text") == "json"


def log_line(message: str, *, mark: str = "") -> str:
    """A message as it is printed.

    Args:
        message: one sentence; one that begins with "error: " has that level.
        mark: what a line of text begins with; JSON names its logger instead.
    """
    if not is_json():
        return mark + message
    is_error = message.startswith(_ERROR)
    told = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "error" if is_error else "info",
        "logger": "tongues",
        "message": message,
        "step": METER.common["step"],
        "model": METER.common["model"],
        "run_id": run_id(),
        "trace_id": trace_id(),
    }
    return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False)


def message_of(line: str) -> str | None:
    """The message of a step's line among lines of others, in either form; None where it is none of ours."""
    if MARK in line:
        return line.split(MARK, 1)[1].rstrip()
    if _LOGGER not in line:
        return None
    try:
        return str(json.loads(line[line.index("{") :])["message"])
    except (ValueError, KeyError):
        return None
