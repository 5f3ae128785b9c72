"""How the auditor logs about itself: plain lines or JSON lines on standard error."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from auditor.moments import exact


def visible(text: str) -> str:
    """Show control characters and line breaks as escapes, so that a hostile name cannot forge a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = f"{_time(record)} {record.levelname.lower()} {visible(record.getMessage())}"
        if record.exc_info and record.exc_info[0]:
            told += f" ({record.exc_info[0].__name__})"
        return told


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {"time": _time(record), "severity": record.levelname, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0]:
            told["error"] = record.exc_info[0].__name__
        event = getattr(record, "cmek_event", None)
        return json.dumps(told if event is None else {**told, "event": event})


def also(event: Mapping[str, Any], *, plain: bool) -> Mapping[str, Any]:
    """What a record says besides its text: an object for JSON lines, and whether it is a plain line at all."""
    return {"cmek_event": event, "cmek_plain": plain}


def _is_plain(record: logging.LogRecord) -> bool:
    return getattr(record, "cmek_plain", True)


def _time(record: logging.LogRecord) -> str:
    return exact(datetime.fromtimestamp(record.created, UTC))


def start(*, json_lines: bool, verbose: bool) -> None:
    """Send the log of this process to standard error; the SDKs' own lines only from warning on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if json_lines else _Plain())
    if not json_lines:
        handler.addFilter(_is_plain)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # More connections than a pool keeps are closed again: nothing is lost, and nobody can do anything about it.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("auditor").setLevel(logging.DEBUG if verbose else logging.INFO)
