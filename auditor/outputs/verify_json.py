"""`cmek-auditor/verify/1`: whether an evidence bundle holds, as JSON; its JSON Schema is in the package."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TextIO

from auditor.errors import RefusedError
from auditor.evidence.verified import Check, Looked, Outcome, Verified
from auditor.outputs import evidence_text, scan_json

SCHEMA: Final = "cmek-auditor/verify/1"


def write(path: Path, after: Path | None, found: Verified | RefusedError, out: TextIO, *, keyed: bool) -> None:
    """Write the whole document; `keyed`: a key to verify with was given."""
    told: dict[str, Any] = {"schema": SCHEMA, "bundle": str(path), "after": str(after) if after is not None else None}
    if isinstance(found, RefusedError):
        told |= {"holds": False, "checks": dict(_until(found.check, keyed=keyed))}
        told |= {"refused": {"check": found.check, "because": str(found), "hint": found.hint}}
        told |= {"found": None, "earlier": None, "proven": [], "not_proven": [], "not_checked": []}
    else:
        told |= {"holds": True, "checks": dict(evidence_text.outcomes(found)), "refused": None}
        told |= {"found": _looked(found.bundle), "earlier": _looked(found.earlier) if found.earlier else None}
        told |= {
            "proven": list(evidence_text.proven(found)),
            "not_proven": list(evidence_text.not_proven(found)),
            "not_checked": list(evidence_text.not_checked(found)),
        }
    json.dump(told, out, indent=1)
    out.write("\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("verify-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def _until(failed: str, *, keyed: bool) -> Iterator[tuple[Check, Outcome]]:
    """What failed; all else held where that is the last check, and else it may be of either of two bundles."""
    for one in Check:
        is_known = failed == Check.CONTINUES and (keyed or one is not Check.SIGNATURE)
        yield one, Outcome.FAILED if one == failed else Outcome.PASSED if is_known else Outcome.NOT_CHECKED


def _looked(one: Looked) -> dict[str, Any]:
    about = one.statement.predicate
    return {
        "signature": {
            "verified": one.signer is not None,
            "key": f"sha256:{one.signer}" if one.signer is not None else None,
            "named_by_file": f"sha256:{one.named}" if one.named is not None else None,
        },
        "digest": one.digest,
        "bytes": one.size,
        "files": [{"name": name, "bytes": size, "sha256": digest} for name, size, digest in one.statement.files],
        "ledger": {
            "events": about.ledger.events,
            "head": about.ledger.head,
            "root": about.ledger.root,
            "events_in_it": one.shown,
            "key_readings": one.readings,
            "heads_given_before": one.given,
        },
        "judgement": {
            "id": about.judgement.id,
            "tenant": about.judgement.tenant,
            "at": scan_json.time(about.judgement.at),
            "verdict": about.judgement.verdict,
            "findings": about.judgement.findings,
            "gaps": about.judgement.gaps,
            "version": about.tool.judged_by,
            "rules_version": about.tool.rules,
            "config_digest": about.config.sha256,
            "made_by_version": about.tool.made_by,
        },
    }
