"""`cmek-auditor/impact/1`: what an action on a key would do, as JSON."""

import json
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.model import Extent
from auditor.outputs import impact_table, scan_json
from auditor.questions.impact.answer import Impact, Known

SCHEMA: Final = "cmek-auditor/impact/1"
_COUNTS: Final = ("objects", "bytes", "namespaces")
"""What has no number where nobody told of any data: 0 would be an all-clear."""


def write(one: Impact, out: TextIO) -> None:
    """Write the whole document."""
    told = {
        "schema": SCHEMA,
        "key": one.key.text,
        "other_names": [name.text for name in one.others],
        "key_version": one.version,
        "action": one.action.value,
        "at": scan_json.time(one.now),
        "judged": scan_json.time(one.judged),
        "state": one.state,
        "state_read": scan_json.time(one.state_read),
        "verdict": impact_table.verdict(one),
        "changes_nothing_because": one.idle,
        "affected": extent(one.extent, untold=one.untold),
        "shifts": [
            {"before": each.before.value, "after": each.after.value, **extent(each.extent)} for each in one.shifts
        ],
        "populations": {
            name.value: {"objects": objects, "bytes": size} for name, (objects, size) in one.populations.items()
        },
        "as_before": one.untouched if not one.untold else None,
        "as_before_by_readability": {readability.value: objects for readability, objects in one.stands},
        "as_before_until": scan_json.time(one.stands_until),
        "worst_namespaces": [scan_json.namespace(row) for row in one.worst],
        "writes": {
            "fail": one.writes.fail,
            "text": one.writes.text,
            "namespaces": one.writes.namespaces if not one.untold else None,
            "default_key_of": list(one.writes.buckets),
            "named_by": list(one.writes.registries),
        },
        "takes_effect": one.takes_effect,
        "final": one.final,
        "final_at": scan_json.time(one.final_at),
        "undo": [scan_json.undo(step) for step in one.undo],
        "not_covered": list(one.not_covered),
        "known": known(one.known),
        "gaps": [scan_json.gap(each) for each in one.gaps],
    }
    out.write(json.dumps(told, indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("impact-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def known(one: Known) -> dict[str, Any]:
    """How much of the buckets is known."""
    return {
        "listed": one.listed,
        "resolved": one.resolved,
        "oldest_sweep_started": scan_json.time(one.swept),
        "buckets": one.buckets,
        "buckets_without_sweep": one.lacking,
        "buckets_not_configured": one.elsewhere,
    }


def extent(one: Extent, *, untold: bool = False) -> dict[str, Any]:
    """How much data something is; `untold`: nobody told of any, so that no number is known."""
    told = {
        "objects": one.objects,
        "bytes": one.size,
        "namespaces": one.namespaces,
        "tenants": list(one.tenants),
        "owners": list(one.owners),
        "teams": list(one.teams),
    }
    return {**told, **dict.fromkeys(_COUNTS)} if untold else told
