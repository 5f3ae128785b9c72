"""`cmek-auditor/provenance/1`: by whom, with what and from when on was judged; its JSON Schema is in the package."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.findings import Judgement
from auditor.outputs import scan_json

SCHEMA: Final = "cmek-auditor/provenance/1"
_NOT_KNOWN: Final = (
    "who changed the config: it is a file, and the ledger keeps when another one began to judge, and not who wrote it",
    "what services answered word by word: the ledger keeps what was read from each answer, and the SHA-256 of that",
    "when this was signed: no time stamp of another is in it, and times are those of the clouds' clocks",
)
_NOT_TOLD: Final = (
    "from when on this config judged: the ledger's events that say so name others as well, and are not in a tenant's"
)


@dataclass(frozen=True, slots=True)
class JudgedFrom:
    """From when on something judged."""

    event: int
    """Number of the ledger's event that says so."""
    at: datetime
    version: str
    rules_version: str
    config_digest: str
    config_file_digest: str | None
    identity: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of keys that are shown."""

    keys: int
    with_request_id: int
    """Calls behind them that a service gave an id to."""
    without: int


def write(judgement: Judgement, changes: Iterable[JudgedFrom], readings: Readings, out: TextIO) -> None:
    """Write the whole document."""
    run, coverage = judgement.run, judgement.coverage
    told = {
        "schema": SCHEMA,
        "judgement": run.id,
        "started": scan_json.time(run.started),
        "ended": scan_json.time(run.ended),
        "judged_at": scan_json.time(judgement.now),
        "clock_skew_seconds": run.skew.total_seconds(),
        "identities": list(run.identity),
        "version": run.version,
        "rules_version": run.rules_version,
        "config_digest": run.config_digest,
        "config_file_digest": run.config_file_digest,
        "judged_from": [_change(one) for one in changes],
        "buckets": [_windows(scan_json.bucket(one)) for one in coverage.buckets],
        "buckets_not_configured": coverage.buckets_not_configured,
        "oldest_key_reading": scan_json.time(judgement.oldest_key_read),
        "poll_interval_seconds": judgement.poll_interval.total_seconds() if judgement.poll_interval else None,
        "key_readings": {
            "keys": readings.keys,
            "calls_with_request_id": readings.with_request_id,
            "calls_without": readings.without,
        },
        "not_known": [*_NOT_KNOWN, *([_NOT_TOLD] if judgement.view is not None else [])],
    }
    json.dump(told, out, indent=1)
    out.write("\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("provenance-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def _change(one: JudgedFrom) -> dict[str, Any]:
    return {
        "event": one.event,
        "at": scan_json.time(one.at),
        "version": one.version,
        "rules_version": one.rules_version,
        "config_digest": one.config_digest,
        "config_file_digest": one.config_file_digest,
        "identities": list(one.identity),
    }


def _windows(told: Mapping[str, Any]) -> dict[str, Any]:
    names = ("bucket", "complete", "left_out", "sweep_started", "sweep_ended", "oldest_verified", "last_attempt_failed")
    return {name: told[name] for name in names}
