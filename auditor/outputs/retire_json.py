"""`cmek-auditor/retire/1`: which key versions may go, as JSON."""

import json
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.model import Cloud
from auditor.outputs import retire_table, scan_json
from auditor.questions.retire.move import Move, Plan
from auditor.questions.retire.standing import Candidate, LastUse, Retiring, Step

SCHEMA: Final = "cmek-auditor/retire/1"


def write(one: Retiring, plan: Plan, out: TextIO, *, destroy: bool) -> None:
    """Write the whole document; the commands that destroy stand in it alone, and only where they are asked for."""
    told = {
        "schema": SCHEMA,
        "at": scan_json.time(one.now),
        "judged": scan_json.time(one.judged),
        "verdict": retire_table.verdict(one),
        "key_versions": [
            _candidate(each, destroy=destroy)
            for each in one.candidates
            if not destroy or each.next.step is Step.DESTROY
        ],
        "moves": [_move(each, one) for each in plan.moves] if not destroy else [],
        "moves_not_known": list(plan.not_known) if not destroy else [],
        "rewriting_barred_by": plan.barred if not destroy else None,
        "moved_by_operator": plan.by_operator if not destroy else False,
        "gaps": [scan_json.gap(each) for each in one.gaps],
    }
    out.write(json.dumps(told, indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("retire-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _move(one: Move, beside: Retiring) -> dict[str, Any]:
    trend = one.trend
    return {
        "key_version": one.version,
        "state": one.state,
        "objects": one.objects,
        "bytes": one.size,
        "namespaces": one.namespaces,
        "idle_namespaces": one.idle,
        "newer_than_primary": one.newer,
        "trend": {
            "since": scan_json.time(trend.since),
            "bytes_then": trend.then,
            "empty_at": scan_json.time(trend.empty_at),
        }
        if trend is not None
        else None,
        "deadline": scan_json.time(one.deadline),
        "first": one.first,
        "copying_seconds": round(one.copying.total_seconds(), 3),
        "fits_before_deadline": one.fits(beside.now),
        "in_place_usd": one.usd,
        "largest_namespaces": [scan_json.namespace(row) for row in one.largest],
    }


def _last_use(one: Candidate) -> dict[str, Any]:
    found = one.last_use if isinstance(one.last_use, LastUse) else None
    return {
        "recorded": one.recorded.value,
        "at": scan_json.time(found.at) if found else None,
        "operation": found.operation if found else None,
        "event_id": found.event if found else None,
        "tracked_since": scan_json.time(found.since) if found else None,
    }


def _candidate(one: Candidate, *, destroy: bool) -> dict[str, Any]:
    found = one.standing
    shown = one.next.step is (Step.DESTROY if destroy else Step.DISABLE)
    return {
        "key": one.key.text,
        "other_names": [name.text for name in one.others],
        "key_version": found.version,
        "state": found.state,
        "use": found.use.value,
        "reasons": list(found.reasons),
        "no_new_data_since": scan_json.time(found.resting),
        "disabled_since": scan_json.time(found.disabled),
        "objects": found.objects,
        "bytes": found.size,
        "usd_month": one.month,
        "last_use": _last_use(one) if one.key.cloud is Cloud.AWS else None,
        "next": one.next.step.value,
        "next_at": scan_json.time(one.next.at),
        "call": one.call if shown else None,
    }
