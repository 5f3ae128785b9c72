"""`cmek-auditor/prove-revoked/1`: what proves a revocation, as JSON."""

import json
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.findings import Readability
from auditor.outputs import impact_json, revocation_table, scan_json
from auditor.questions.prove_revoked.answer import Part, Revocation

SCHEMA: Final = "cmek-auditor/prove-revoked/1"


def write(one: Revocation, out: TextIO) -> None:
    """Write the whole document."""
    told = {
        "schema": SCHEMA,
        "key": one.key.text,
        "other_names": [name.text for name in one.others],
        "meant_revoked_since": scan_json.time(one.meant_since),
        "at": scan_json.time(one.now),
        "proof": one.proof.value,
        "verdict": revocation_table.verdict(one),
        "why": one.why or None,
        "state": one.state,
        "state_read": scan_json.time(one.state_read),
        "change_seen": scan_json.time(one.changed),
        "refused_first": scan_json.time(one.refused_first),
        "data": impact_json.extent(one.extent, untold=one.untold),
        "parts": [_part(each) for each in one.parts],
        "populations": {
            name.value: {"objects": objects, "bytes": size} for name, (objects, size) in one.populations.items()
        },
        "attempts": [
            {
                "bucket": each.bucket,
                "key_version": each.key_version,
                "kind": each.kind.value,
                "outcome": each.outcome.value,
                "code": each.code,
                "principal": each.principal,
                "at": scan_json.time(each.at),
                "cached": each.cached,
                "evidence": [scan_json.evidence(said) for said in each.evidence],
            }
            for each in one.probes
        ],
        "to_do": [{"call": step.call, "who": step.who, "lands_in": step.lands_in} for step in one.to_do],
        "undo": [scan_json.undo(step) for step in one.undo],
        "evidence": [scan_json.evidence(each) for each in one.evidence],
        "known": impact_json.known(one.known),
        "not_covered": list(one.not_covered),
        "gaps": [scan_json.gap(each) for each in one.gaps],
        "ledger": {"events": one.events, "head": one.head},
    }
    out.write(json.dumps(told, indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("prove-revoked-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _part(one: Part) -> dict[str, Any]:
    return {
        "readability": one.found.readability.value,
        "basis": one.found.basis.value,
        # What is not known is proven by nothing.
        "confidence": one.found.confidence.value if one.found.readability is not Readability.UNKNOWN else None,
        "cause": one.found.cause,
        "since": scan_json.time(one.found.since),
        "final_at": scan_json.time(one.found.final_at),
        **impact_json.extent(one.extent),
    }
