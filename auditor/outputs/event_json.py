"""An event as JSON: `{action, occurred_at, actor, targets, context, metadata}`, of a bounded size."""

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from auditor.findings import Actor, BucketCoverage, Finding
from auditor.log import visible
from auditor.model import Gap
from auditor.outputs.scan_json import time
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import SCHEMA, Event

_MOST_TEXT: Final = 1500
"""Bytes of one text; a name of an object has 1,024 at most."""
_MOST: Final = 10
"""Of anything that there may be many of: namespaces, buckets, steps of an undo."""
_CUT: Final = "..."


def event(one: Event) -> dict[str, Any]:
    """One event."""
    return {
        "action": one.action.value,
        "occurred_at": time(one.occurred_at),
        "actor": _actor(one.actor) if one.actor is not None else None,
        "targets": list(_targets(one.about)),
        "context": {
            "judgement": one.judged.id,
            "judged_at": time(one.judged.now),
            "version": one.judged.version,
            "config_digest": one.judged.config_digest,
            "not_attributed_because": _text(one.unattributed),
            "changes": [
                {"what": _text(each.what), "before": _text(each.before), "after": _text(each.after)}
                for each in one.changes
            ],
            "finding": _finding(one.about) if isinstance(one.about, Finding) else None,
            "gap": _gap(one.about) if isinstance(one.about, Gap) else None,
        },
        "metadata": {"schema": SCHEMA, "insert_id": one.id},
    }


def schema() -> dict[str, Any]:
    """The JSON Schema of an event."""
    text = files("auditor.schemas").joinpath("event-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def _actor(one: Actor) -> dict[str, Any]:
    return {
        "type": "principal",
        "id": _text(one.principal),
        "call": _text(one.call),
        "at": time(one.time),
        "source": _text(one.source),
        "via": _text(one.via),
        "event_id": _text(one.event_id),
    }


def _targets(about: object) -> Iterator[dict[str, Any]]:
    match about:
        case Finding() as one:
            yield _target(one.subject.kind.value, one.subject.id)
            keys = {(member[2], member[3]) for member in one.members if member[2] is not None}
            for key, version in _some(keys):
                yield {**_target("key", key), "version": version}
            for bucket in _some({member[0] for member in one.members}):
                yield _target("bucket", bucket)
            if one.extent.namespaces:
                yield {
                    "type": "namespaces",
                    "count": one.extent.namespaces,
                    "names": [_text(name) for name in one.extent.sample_namespaces[:_MOST]],
                }
        case KeyChange() as one:
            yield {**_target("key", one.key.text), "version": one.fact.partition("version ")[2] or None}
        case Gap() as one:
            yield _target("resource", one.what)
        case BucketCoverage() as one:
            yield _target("bucket", one.bucket)
        case _:
            yield _target("keys", "all")


def _target(kind: str, name: str | None) -> dict[str, Any]:
    return {"type": kind, "id": _text(name)}


def _finding(one: Finding) -> Mapping[str, Any]:
    return {
        "id": one.id,
        "rule": one.rule,
        "severity": one.severity.value,
        "status": one.status.value,
        "readability": one.readability.value if one.readability is not None else None,
        "cause": _text(one.cause),
        "confidence": one.confidence.value,
        "since": time(one.since),
        "since_source": one.since_source,
        "final_at": time(one.final_at),
        "waived_until": time(one.waived_until),
        "objects": one.extent.objects,
        "bytes": one.extent.size,
        "tenants": [_text(name) for name in one.extent.tenants[:_MOST]],
        "undo": [
            {"call": _text(each.call), "who": _text(each.who), "lands_in": _text(each.lands_in)}
            | {"until": time(each.until)}
            for each in one.undo[:_MOST]
        ],
    }


def _gap(one: Gap) -> Mapping[str, Any]:
    return {
        "reason": one.reason.value,
        "effect": _text(one.effect),
        "hint": _text(one.hint),
        "objects": one.objects,
    }


def _some(many: Iterable[Any]) -> list[Any]:
    return sorted(many, key=str)[:_MOST]


def clipped(told: str) -> str:
    """A text that commands no terminal, and that ends somewhere."""
    shown = visible(told)
    if len(shown.encode()) <= _MOST_TEXT:
        return shown
    return f"{shown.encode()[:_MOST_TEXT].decode(errors='ignore')}{_CUT}"


def _text(told: str | None) -> str | None:
    return clipped(told) if told is not None else None
