"""`cmek-auditor/diff/1`: what differs between two judgements, as JSON."""

import json
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.findings import Finding, Judgement
from auditor.outputs import diff_words, scan_json
from auditor.questions.diff.answer import ChangedFinding, ComparedBucket, Difference, Group, KeyChange, Place, Total

SCHEMA: Final = "cmek-auditor/diff/1"


def write(one: Difference, out: TextIO) -> None:
    """Write the whole document."""
    data = one.data
    # Where neither side saw an object nothing was counted, and what nobody counted is not 0.
    seen = not one.is_keys_only
    told = {
        "schema": SCHEMA,
        "before": _judgement(one.before),
        "after": _judgement(one.after),
        "verdict": diff_words.verdict(one),
        "worse": one.worse if seen else None,
        "by_turn": {name.value: _total(total if seen else None) for name, total in data.by_turn.items()},
        "by_change": {name.value: _total(total if seen else None) for name, total in data.by_change.items()},
        "unchanged_objects": data.unchanged if seen else None,
        "not_compared": {
            "objects_before": data.not_compared[0] if seen else None,
            "objects_after": data.not_compared[1] if seen else None,
        },
        "buckets": [_bucket(each) for each in one.buckets],
        "groups": [_group(each) for each in data.groups],
        "keys": [_key(each) for each in one.keys],
        "findings": {
            "opened": [_finding(each, one) for each in one.opened],
            "closed": [_finding(each, one) for each in one.closed],
            "changed": [_changed(each, one) for each in one.changed],
            "opened_and_closed": [scan_json.finding(each) for each in one.passed],
        },
        "gaps": {
            "of_the_comparison": [scan_json.gap(each) for each in one.gaps],
            "opened": [scan_json.gap(each) for each in one.gaps_opened],
            "closed": [scan_json.gap(each) for each in one.gaps_closed],
            "standing": [scan_json.gap(each) for each in one.gaps_standing],
        },
        "judged_otherwise": list(one.otherwise),
    }
    out.write(json.dumps(told, indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("diff-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _judgement(one: Judgement) -> dict[str, Any]:
    run = one.run
    return {
        "id": run.id,
        "judged": scan_json.time(one.now),
        "version": run.version,
        "config_digest": run.config_digest,
        "rules_version": run.rules_version,
    }


def _total(one: Total | None) -> dict[str, Any]:
    if one is None:
        return {"objects": None, "bytes": None, "namespaces": None}
    return {"objects": one.objects, "bytes": one.size, "namespaces": one.namespaces}


def _bucket(one: ComparedBucket) -> dict[str, Any]:
    return {
        "bucket": one.bucket,
        "compared_by": one.how.value,
        "why": one.why,
        "left_out": [each.value for each in one.left_out],
        "sweep_before": scan_json.time(one.before),
        "sweep_after": scan_json.time(one.after),
    }


def _group(one: Group) -> dict[str, Any]:
    return {
        "change": one.change.value,
        "turn": one.turn.value,
        "bucket": one.bucket,
        "before": _place(one.before),
        "after": _place(one.after),
        "namespaces": one.namespaces,
        "objects": one.objects,
        "bytes": one.size,
        "sample_namespaces": list(one.samples),
    }


def _place(one: Place | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "encryption": one.encryption.value,
        "key": one.key,
        "key_version": one.key_version,
        "readability": one.readability.value,
        "population": one.population.value if one.population is not None else None,
    }


def _key(one: KeyChange) -> dict[str, Any]:
    return {
        "key": one.key.text,
        "fact": one.fact,
        "before": one.before,
        "read_before": one.read_before,
        "after": one.after,
        "seen_at": scan_json.time(one.at),
        "times": one.times,
    }


def _finding(one: Finding, of: Difference) -> dict[str, Any]:
    return {"finding": scan_json.finding(one), "compared": one.id not in of.unseen}


def _changed(one: ChangedFinding, of: Difference) -> dict[str, Any]:
    was, now = scan_json.finding(one.before), scan_json.finding(one.after)
    changes = {name: {"before": was[name], "after": now[name]} for name in one.fields}
    return {**_finding(one.after, of), "changes": changes}
