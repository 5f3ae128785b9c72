"""`cmek-auditor/scan/1`: a judgement as JSON, dependency by dependency; its JSON Schema is in the package."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.controls.answer import FrameworkStanding
from auditor.findings import Actor, Assessed, BucketCoverage, Compared, Finding, Judgement, Readability, Undo
from auditor.model import AwsKey, Dependency, Evidence, Gap, KeyMemory, KeyName, Requests
from auditor.outputs import controls_json, summary
from auditor.ownership.registered import Handed, Registry
from auditor.ports import EachDependency, NamespaceRow
from auditor.prices import usd
from auditor.waiver import FIELDS, GivenWaiver

SCHEMA: Final = "cmek-auditor/scan/1"


def write(judgement: Judgement, rows: EachDependency, out: TextIO, controls: Sequence[FrameworkStanding] = ()) -> None:
    """Write the whole document; memory stays flat however many dependencies there are.

    `controls`: what a report says of them; a scan says nothing.
    """
    told = head(judgement)
    out.write("{")
    out.writelines(f"{json.dumps(name)}: {json.dumps(told[name])},\n " for name in told)
    out.write('"dependencies": [')
    out.writelines(
        ("" if place == 0 else ",") + "\n  " + json.dumps(dependency(row, assessed))
        for place, (row, assessed) in enumerate(rows.rows(judgement.assessed))
    )
    out.write('],\n "findings": [')
    out.writelines(
        ("" if place == 0 else ",") + "\n  " + json.dumps(finding(one)) for place, one in enumerate(judgement.findings)
    )
    out.write('],\n "gaps": ')
    out.write(json.dumps([gap(one) for one in judgement.gaps]))
    out.write(',\n "waivers": ')
    out.write(json.dumps([waiver(one) for one in judgement.waivers]))
    if controls:
        out.write(',\n "controls": ')
        out.write(json.dumps(controls_json.frameworks(controls)))
    out.write("}\n")


def head(judgement: Judgement) -> dict[str, Any]:
    """Everything but the long lists."""
    run, coverage = judgement.run, judgement.coverage
    untold = summary.are_keys_untold(judgement)
    sums = summary.by_readability(judgement.assessed)
    total = sum(sums.values(), summary.Amount())
    return {
        "schema": SCHEMA,
        **({"view": {"tenant": judgement.view.tenant}} if judgement.view is not None else {}),
        "scan": {
            "id": run.id,
            "started": time(run.started),
            "ended": time(run.ended),
            "version": run.version,
            "identity": list(run.identity),
            "config_digest": run.config_digest,
            "config_file_digest": run.config_file_digest,
            "rules_version": run.rules_version,
            "clock_skew_seconds": run.skew.total_seconds(),
        },
        "coverage": {
            "buckets": [bucket(one) for one in coverage.buckets],
            "keys": {
                "needed": None if untold else coverage.keys_needed,
                "read": coverage.keys_read,
                "from_before": coverage.keys_from_before,
                "unknown": None if untold else coverage.keys_unknown,
            },
            "buckets_not_configured": coverage.buckets_not_configured,
            "registries": [registry(one) for one in judgement.registered.registries],
        },
        "totals": _by_registries(judgement)
        if judgement.is_keys_only and not judgement.is_by_bundles
        else {
            "objects": total.objects,
            "bytes": total.size,
            "by_readability": {
                readability.value: {"objects": amount.objects, "bytes": amount.size}
                for readability, amount in sums.items()
            },
        },
    }


def _by_registries(judgement: Judgement) -> dict[str, Any]:
    """The totals where nobody saw an object: in namespaces, as registries name them; null where none told of any.

    Null as well where an older version judged, which did not count each once.
    """
    if judgement.is_untold:
        each = {"objects": None, "bytes": None, "namespaces": None}
        return {**each, "by_readability": {readability.value: each for readability in Readability}}
    spaces = judgement.spaces
    sums = summary.by_readability(judgement.assessed)
    return {
        "objects": None,
        "bytes": sum(sums.values(), summary.Amount()).size,
        "namespaces": spaces.total if spaces is not None else None,
        "by_readability": {
            readability.value: {
                "objects": None,
                "bytes": amount.size,
                "namespaces": spaces.by_readability[readability] if spaces is not None else None,
            }
            for readability, amount in sums.items()
        },
    }


def bucket(one: BucketCoverage) -> dict[str, Any]:
    """One bucket's coverage."""
    return {
        "bucket": one.bucket,
        "complete": one.complete,
        "listed": one.listed,
        "resolved": one.resolved,
        "unresolved": one.unresolved,
        "outside": one.outside,
        "uploads_in_progress": one.uploads_in_progress,
        "sweep_started": time(one.sweep_started),
        "sweep_ended": time(one.sweep_ended),
        "oldest_verified": time(one.oldest_verified),
        "last_attempt_failed": one.last_attempt_failed,
        "left_out": [population.value for population in one.left_out],
        "cloud_count": one.cloud_count,
        "cloud_comparison": comparison(one.compared) if one.compared is not None else None,
        "requests": (
            {**requests(one.bucket, one.sent), "objects_listed_before": one.kept} if one.sent is not None else None
        ),
    }


def comparison(one: Compared) -> dict[str, Any]:
    """What the cloud's own count says of what was listed."""
    return {
        "agreement": one.agreement.value,
        "measured_at": time(one.measured_at),
        "read_at": time(one.read_at),
        "difference": one.difference,
        "allowed": one.allowed,
    }


def registry(one: Registry) -> dict[str, Any]:
    """One registry, as it was read last."""
    return {
        "registry": one.name,
        "buckets": list(one.buckets),
        "namespaces": one.namespaces,
        "unusable": one.unusable,
        "read_at": time(one.read_at),
        "bundle": bundle(one.bundle) if one.bundle is not None else None,
    }


def bundle(one: Handed) -> dict[str, Any]:
    """What an operator's bundle says of itself; `operator` is what it calls itself, `signer` who has signed it."""
    return {
        "tenant": one.tenant,
        "operator": one.operator,
        "signer": f"sha256:{one.signer}",
        "digest": one.digest,
        "version": one.version,
        "made": time(one.made),
        "oldest_sweep": time(one.swept),
        "objects": one.objects,
        "bytes": one.size,
        "encryption_unknown": one.unknown,
        "key_not_named": one.withheld,
        "namespaces_of_nobody": one.unclear,
        "buckets_not_swept": one.unswept,
        "buckets_not_configured": one.elsewhere,
        "registries_usable": one.registries,
    }


def requests(bucket: str, one: Requests) -> dict[str, Any]:
    """Requests about one bucket, and what they cost by list price."""
    return {"list": one.lists, "head": one.heads, "other": one.others, "estimated_usd": round(usd(bucket, one), 7)}


def dependency(row: Dependency, assessed: Assessed) -> dict[str, Any]:
    """One dependency with its readability."""
    found = assessed.assessment
    return {
        "bucket": row.bucket,
        "namespace": row.namespace,
        "tenant": row.tenant,
        "owner": row.owner,
        "team": row.team,
        "population": row.population.value if row.population is not None else None,
        "encryption": assessed.encryption.value,
        "key": row.key,
        "key_version": row.key_version,
        "readability": found.readability.value,
        "basis": found.basis.value,
        "cause": found.cause,
        "final_at": time(found.final_at),
        "objects": row.objects,
        "bytes": row.size,
        "archived": row.archived,
        "oldest": time(row.oldest),
        "newest": time(row.newest),
    }


def finding(one: Finding) -> dict[str, Any]:
    """One finding."""
    return {
        "id": one.id,
        "rule": one.rule,
        "severity": one.severity.value,
        "status": one.status.value,
        "subject": {"kind": one.subject.kind.value, "id": one.subject.id},
        "readability": one.readability.value if one.readability else None,
        "cause": one.cause,
        "confidence": one.confidence.value,
        "namespaces": one.extent.namespaces,
        "objects": one.extent.objects,
        "bytes": one.extent.size,
        "tenants": list(one.extent.tenants),
        "owners": list(one.extent.owners),
        "teams": list(one.extent.teams),
        "sample_namespaces": list(one.extent.sample_namespaces),
        "portions": [portion.value for portion in one.portions],
        "final_at": time(one.final_at),
        "since": time(one.since),
        "since_source": one.since_source,
        "actor": actor(one.actor) if one.actor is not None else None,
        "unattributed": one.unattributed,
        "evidence": [evidence(each) for each in one.evidence],
        "undo": [undo(step) for step in one.undo],
        "succeeds": one.succeeds,
        "waived_until": time(one.waived_until),
        "meant": one.meant,
        "first_seen": time(one.first_seen),
        "last_seen": time(one.last_seen),
    }


def actor(one: Actor) -> dict[str, Any]:
    """Who did it."""
    return {
        "principal": one.principal,
        "call": one.call,
        "time": time(one.time),
        "source": one.source,
        "via": one.via,
        "event_id": one.event_id,
    }


def undo(one: Undo) -> dict[str, Any]:
    """One step of an undo."""
    return {"call": one.call, "who": one.who, "lands_in": one.lands_in, "until": time(one.until)}


def evidence(one: Evidence) -> dict[str, Any]:
    """One evidence."""
    return {
        "call": one.call,
        "resource": one.resource,
        "at": time(one.at),
        "request_id": one.request_id,
        "answer_digest": one.answer_digest,
    }


def gap(one: Gap) -> dict[str, Any]:
    """One gap."""
    return {
        "what": one.what,
        "reason": one.reason.value,
        "effect": one.effect,
        "hint": one.hint,
        "objects": one.objects,
    }


def waiver(one: GivenWaiver) -> dict[str, Any]:
    """One exception, and the findings that it is about."""
    told = one.waiver
    return {
        "rule": told.rule,
        "match": {field: getattr(told, field) for field in FIELDS},
        "until": time(told.until),
        "owner": told.owner,
        "approved_by": told.approved_by,
        "reason": told.reason,
        "covers": list(one.covers),
        "covers_in_part": list(one.in_part),
    }


def keys(judgement: Judgement, memory: Mapping[KeyName, KeyMemory]) -> Iterator[dict[str, Any]]:
    """Each key version that data depends on, with what it said last and what depends on it."""
    sums: dict[tuple[str, str | None], list[Assessed]] = {}
    for one in judgement.assessed:
        if one.holding.key is not None:
            sums.setdefault((one.holding.key, one.holding.key_version), []).append(one)
    for (key, version), group in sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        amount = sum((summary.Amount(one.holding.objects, one.holding.size) for one in group), summary.Amount())
        worst = min(group, key=lambda one: summary.WORST_FIRST.index(one.assessment.readability)).assessment
        yield {
            "key": key,
            "key_version": version,
            "state": _state(kept := memory.get(KeyName(key)), version),
            "state_read": time(kept.last_at) if kept is not None else None,
            "readability": worst.readability.value,
            "cause": worst.cause,
            "final_at": time(worst.final_at),
            "objects": amount.objects,
            "bytes": amount.size,
            "namespaces": sum(one.holding.namespaces for one in group),
            "buckets": sorted({one.holding.bucket for one in group}),
        }


def _state(kept: KeyMemory | None, version: str | None) -> str | None:
    """What a key, or its version, said last of itself; None where it never did, and for a key with versions whole."""
    last = kept.last if kept is not None else None
    if isinstance(last, AwsKey):
        return last.state
    return next((one.state for one in last.versions if one.number == version), None) if last is not None else None


def namespace(row: NamespaceRow) -> dict[str, Any]:
    """One namespace of a finding."""
    return {
        "bucket": row.bucket,
        "namespace": row.namespace,
        "tenant": row.tenant,
        "owner": row.owner,
        "team": row.team,
        "objects": row.objects,
        "bytes": row.size,
    }


def worst_of_namespace(row: NamespaceRow) -> dict[str, Any]:
    """One namespace with the worst of its data."""
    return {**namespace(row), "readability": row.readability.value if row.readability else None}


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("scan-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def time(moment: datetime | None) -> str | None:
    """A moment in RFC 3339."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
