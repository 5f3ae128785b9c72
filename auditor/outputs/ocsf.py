"""A judgement as OCSF events, one a line: what was seen, what was not, each finding, each control.

Source: Open Cybersecurity Schema Framework 1.8.0, classes Compliance Finding and Detection Finding, profile `cloud`.
docs/exports.md tells what becomes what.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any, Final, TextIO

from auditor.controls.answer import ControlStanding, FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control
from auditor.findings import (
    DETECTIONS,
    Actor,
    Confidence,
    Demand,
    Finding,
    Judgement,
    Severity,
    Status,
    Subject,
    SubjectKind,
)
from auditor.model import Cloud, Evidence, Gap, KeyName, split_version
from auditor.outputs import controls, scan_json, summary, words
from auditor.outputs.controls import Found
from auditor.outputs.excuses import Excuses
from auditor.outputs.stable_ids import uid

VERSION: Final = "1.8.0"
COMPLIANCE: Final = 2003
DETECTION: Final = 2004
_CLASSES: Final = {COMPLIANCE: "Compliance Finding", DETECTION: "Detection Finding"}
_CREATE, _UPDATE, _CLOSE = (1, "Create"), (2, "Update"), (3, "Close")
_UNKNOWN, _INFORMATIONAL = (0, "Unknown"), (1, "Informational")
_SEVERITIES: Final = {
    Severity.LOW: (2, "Low"),
    Severity.MEDIUM: (3, "Medium"),
    Severity.HIGH: (4, "High"),
    Severity.CRITICAL: (5, "Critical"),
}
_STATUSES: Final = {Status.OPEN: (1, "New"), Status.WAIVED: (3, "Suppressed"), Status.RESOLVED: (4, "Resolved")}
_CONFIDENCES: Final = {Confidence.PROVEN: (3, "High"), Confidence.INFERRED: (2, "Medium")}
_PASS, _FAIL, _OTHER = (1, "Pass"), (3, "Fail"), 99
_STATES: Final = {State.NONE: _PASS, State.EXCEPTION: _FAIL, State.OPEN: _UNKNOWN}
"""`Pass` is the schema's word for a check that found nothing; what was not evaluated is never one."""
_PROVIDERS: Final = {Cloud.AWS: "AWS", Cloud.GCP: "GCP"}
_ACCOUNTS: Final = {Cloud.AWS: (10, "AWS Account"), Cloud.GCP: (11, "GCP Project")}
_TYPES: Final = {
    (Cloud.AWS, SubjectKind.KEY): "AwsKmsKey",
    (Cloud.AWS, SubjectKind.BUCKET): "AwsS3Bucket",
    (Cloud.GCP, SubjectKind.KEY): "cloudkms.googleapis.com/CryptoKey",
    (Cloud.GCP, SubjectKind.KEY_VERSION): "cloudkms.googleapis.com/CryptoKeyVersion",
    (Cloud.GCP, SubjectKind.BUCKET): "storage.googleapis.com/Bucket",
}
"""As the clouds' own inventories call them; what they have no name for has ours."""
_TARGET, _AFFECTED = (1, "Target"), (3, "Affected")
_RELATED: Final = 50
"""As many findings of a control are named; how many there are is told."""
_BESIDE: Final = "no rule judges it"
_MAPPED: Final = frozenset(
    {"id", "rule", "severity", "status", "subject", "cause", "confidence", "actor", "evidence", "first_seen"}
    | {"last_seen"}
)
"""What of a finding the schema has a place for; all else of it is told as it is in the JSON."""


def write(judgement: Judgement, demands: Iterable[Demand], found: Found, out: TextIO) -> None:
    """Write all events; memory stays flat however many findings there are."""
    out.writelines(f"{json.dumps(one)}\n" for one in events(judgement, demands, found))


def events(judgement: Judgement, demands: Iterable[Demand], found: Found) -> Iterator[dict[str, Any]]:
    """What was seen and what was not, then findings worst first, then controls framework by framework."""
    told = _Told(judgement, demands, found.frameworks)
    yield told.coverage()
    yield from map(told.gap, judgement.gaps)
    yield from map(told.finding, judgement.findings)
    for one in found.frameworks:
        yield from (told.control(one, each) for each in one.controls)
        yield from (told.beside(one, each) for each in one.beside)


class _Told:
    """One judgement, and what its events have in common."""

    def __init__(
        self, judgement: Judgement, demands: Iterable[Demand], frameworks: tuple[FrameworkStanding, ...]
    ) -> None:
        self._judgement = judgement
        self._demands = {one.id: one for one in demands}
        self._excuses = Excuses(judgement)
        self._requirements: dict[str, dict[str, list[str]]] = {
            rule: {
                one.framework.title: [f"{one.framework.title} {control.id}" for control in related]
                for one in frameworks
                if (related := one.framework.related(rule))
            }
            for rule in self._demands
        }

    def coverage(self) -> dict[str, Any]:
        """What the judgement stands on, and whether all of it was seen."""
        judgement = self._judgement
        told = scan_json.head(judgement)
        whole = summary.complete(judgement)
        about = _about(uid("coverage"), "coverage", "What was seen, and how much of it", whole)
        status = (_OTHER, "Seen") if summary.is_whole(judgement) else _UNKNOWN
        return {
            **self._event(COMPLIANCE, _UPDATE, _INFORMATIONAL if status is not _UNKNOWN else _UNKNOWN, about, {}),
            "message": summary.verdict(judgement),
            "compliance": {"control": "coverage", **_status(status), "status_details": [whole]},
            "unmapped": {"cmek_auditor": {name: told[name] for name in ("scan", "coverage", "totals")}},
        }

    def gap(self, one: Gap) -> dict[str, Any]:
        """Something that could not be read: nothing is known of it, which is not that it is well."""
        name = uid("gap", one.what, one.reason, one.effect, one.hint)
        about = _about(name, "gap", "Something could not be read", one.effect)
        return {
            **self._event(COMPLIANCE, _UPDATE, _UNKNOWN, about, _where(Subject(SubjectKind.BUCKET, one.what))),
            "message": f"{one.what}: {one.effect}",
            "compliance": {
                "control": "coverage",
                **_status(_UNKNOWN),
                "status_code": one.reason.value,
                "status_details": [one.effect],
            },
            "resources": [{"uid": one.what, **_role(_TARGET)}],
            **({"remediation": {"desc": one.hint}} if one.hint else {}),
            "unmapped": {"cmek_auditor": {"objects": one.objects}},
        }

    def finding(self, one: Finding) -> dict[str, Any]:
        """One finding: a detection where it says that data cannot be read, or will not be; else of a check."""
        demand = self._demands.get(one.rule)
        is_new = one.first_seen == self._judgement.now
        activity = _CLOSE if one.status is Status.RESOLVED else _CREATE if is_new else _UPDATE
        number = DETECTION if one.rule in DETECTIONS else COMPLIANCE
        title = f"{one.rule}: {words.about(one.subject, words.short(one.subject.id))}"
        about = _about(one.id, "finding", title, one.cause)
        about |= {
            "analytic": {
                "uid": one.rule,
                "name": one.rule,
                **({"desc": demand.title} if demand else {}),
                "type_id": 1,
                "type": "Rule",
            },
            "created_time": _ms(one.first_seen),
            "first_seen_time": _ms(one.first_seen),
            "last_seen_time": _ms(one.last_seen),
        }
        if one.succeeds is not None:
            about["related_events"] = [{"uid": one.succeeds}]
        return {
            **self._event(number, activity, _SEVERITIES[one.severity], about, _where(one.subject)),
            "message": one.cause,
            **dict(zip(("status_id", "status"), _STATUSES[one.status], strict=True)),
            **({"status_detail": waived} if (waived := self._excuses.of(one)) else {}),
            **dict(zip(("confidence_id", "confidence"), _CONFIDENCES[one.confidence], strict=True)),
            "start_time": _ms(one.since),
            **({"end_time": _ms(one.last_seen)} if one.status is Status.RESOLVED else {}),
            **(self._check(one) if number == COMPLIANCE else {"is_alert": one.status is Status.OPEN and not one.meant}),
            "resources": list(_resources(one)),
            **({"evidences": told} if (told := list(_evidences(one))) else {}),
            **({"remediation": {"desc": remedy}} if (remedy := words.remedy_with_undo(one, demand)) else {}),
            "unmapped": {
                "cmek_auditor": {name: value for name, value in scan_json.finding(one).items() if name not in _MAPPED}
            },
        }

    def control(self, of: FrameworkStanding, one: ControlStanding) -> dict[str, Any]:
        """One control of a framework, by what the rules found that relate to it."""
        every = [(each.severity, each) for rule in one.rules for each in rule.exceptions]
        worst = max((severity for severity, _ in every), key=lambda each: each.rank, default=None)
        severity = _SEVERITIES[worst] if worst else _INFORMATIONAL if one.state is State.NONE else _UNKNOWN
        event = self._control(of, one.control, severity, one.state.value)
        why = [*(f"{rule}: {text}" for rule, text in one.reasons), *one.unseen]
        event["compliance"] |= {
            **_status(_STATES[one.state]),
            **({"status_details": why} if why else {}),
            "checks": [self._rule(each) for each in one.rules],
        }
        if every:
            event["finding_info"] |= {
                "related_events": [{"uid": each.id} for _, each in islice(every, _RELATED)],
                "related_events_count": len(every),
            }
        waived = [controls.waived(waiver, count) for rule in one.rules for waiver, count in rule.waivers]
        return {**event, **({"status_detail": "; ".join(waived[:_RELATED])} if waived else {})}

    def beside(self, of: FrameworkStanding, one: Control) -> dict[str, Any]:
        """A control that is near, and that nothing here judges."""
        event = self._control(of, one, _UNKNOWN, State.OPEN.value)
        event["compliance"] |= {**_status(_UNKNOWN), "status_details": [_BESIDE]}
        return event

    def _control(self, of: FrameworkStanding, one: Control, severity: tuple[int, str], state: str) -> dict[str, Any]:
        told = of.framework
        title = f"{told.title} {one.id}: {one.title}"
        about = _about(uid("control", told.id, one.id), "control", title, state)
        cloud = {"provider": _PROVIDERS[told.cloud]} if told.cloud is not None else {}
        return {
            **self._event(COMPLIANCE, _UPDATE, severity, about, cloud),
            "message": f"{title}: {state}",
            "compliance": {
                "standards": [told.title],
                "control": one.id,
                "desc": one.title,
                "status_code": state,
            },
            "unmapped": {"cmek_auditor": {"framework": told.id, "mapping": told.digest}},
        }

    def _rule(self, one: RuleStanding) -> dict[str, Any]:
        demand = self._demands.get(one.rule)
        return {"uid": one.rule, "name": demand.title if demand else one.rule, **_status(_STATES[one.state])}

    def _check(self, one: Finding) -> dict[str, Any]:
        """What a finding says of its rule, and to which controls that relates."""
        related = self._requirements.get(one.rule, {})
        told: dict[str, Any] = {"control": one.rule, **_status(_FAIL), "status_code": State.EXCEPTION.value}
        if one.status is Status.RESOLVED:
            # That one cause ended says nothing of whatever else the rule is put to.
            told |= {**_status((_OTHER, "Resolved")), "status_code": "resolved"}
        if related:
            told |= {"standards": [*related], "requirements": [each for some in related.values() for each in some]}
        return {"compliance": told}

    @property
    def _view(self) -> str | None:
        return self._judgement.view.tenant if self._judgement.view is not None else None

    def _event(
        self,
        number: int,
        activity: tuple[int, str],
        severity: tuple[int, str],
        about: dict[str, Any],
        cloud: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What every event has. `about`: what it tells of, by an id that stays; `cloud`: empty for what is of none."""
        run = self._judgement.run
        return {
            "activity_id": activity[0],
            "activity_name": activity[1],
            "category_uid": number // 1000,
            "category_name": "Findings",
            "class_uid": number,
            "class_name": _CLASSES[number],
            "type_uid": number * 100 + activity[0],
            "type_name": f"{_CLASSES[number]}: {activity[1]}",
            "time": _ms(self._judgement.now),
            "severity_id": severity[0],
            "severity": severity[1],
            "metadata": {
                "version": VERSION,
                **({"profiles": ["cloud"]} if cloud else {}),
                "product": {"name": "cmek-auditor", "vendor_name": "cmek-auditor", "version": run.version},
                "uid": uid("event", run.id, self._view or "", about["uid"]),
                "correlation_uid": run.id,
                **({"tenant_uid": self._view} if self._view is not None else {}),
            },
            **({"cloud": cloud} if cloud else {}),
            "finding_info": about,
        }


def _about(name: str, kind: str, title: str, desc: str) -> dict[str, Any]:
    return {"uid": name, "title": title, "desc": desc, "types": [kind]}


def _status(told: tuple[int, str]) -> dict[str, Any]:
    return {"status_id": told[0], "status": told[1]}


def _role(told: tuple[int, str]) -> dict[str, Any]:
    return {"role_id": told[0], "role": told[1]}


def _resources(one: Finding) -> Iterator[dict[str, Any]]:
    subject, cloud = one.subject, one.subject.cloud
    where = _where(subject)
    yield {
        "uid": subject.id,
        "type": _TYPES.get((cloud, subject.kind), words.KINDS[subject.kind]) if cloud else words.KINDS[subject.kind],
        **({"region": where["region"]} if "region" in where else {}),
        **_role(_TARGET),
    }
    for bucket in sorted({member[0] for member in one.members} - {subject.id}):
        about = Subject(SubjectKind.BUCKET, bucket)
        of = about.cloud
        named = _TYPES[of, SubjectKind.BUCKET] if of else words.KINDS[SubjectKind.BUCKET]
        yield {"uid": bucket, "type": named, **_role(_AFFECTED)}


def _evidences(one: Finding) -> Iterator[dict[str, Any]]:
    if one.actor is not None:
        yield _actor(one.actor)
    for each in one.evidence:
        yield _evidence(each)


def _actor(one: Actor) -> dict[str, Any]:
    told: dict[str, Any] = {
        "uid": one.event_id,
        "actor": {"user": {"name": one.principal, "uid": one.principal}},
        "api": {"operation": one.call},
        "data": {"time": scan_json.time(one.time), "via": one.via},
    }
    if one.source is not None:
        told["src_endpoint"] = {"ip" if _is_address(one.source) else "name": one.source}
    return told


def _evidence(one: Evidence) -> dict[str, Any]:
    return {
        **({"uid": one.request_id} if one.request_id is not None else {}),
        "api": {"operation": one.call},
        "resources": [{"uid": one.resource}],
        "data": {"at": scan_json.time(one.at), "answer_digest": one.answer_digest},
    }


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _where(subject: Subject) -> dict[str, Any]:
    """Provider, and where the name tells them region and account; empty where it is of no cloud."""
    cloud = subject.cloud
    if cloud is None:
        return {}
    told: dict[str, Any] = {"provider": _PROVIDERS[cloud]}
    key = _key_of(subject.id.rpartition(" -> ")[2])
    if key is not None:
        number, name = _ACCOUNTS[cloud]
        told |= {"region": key.location, "account": {"uid": key.owner, "type_id": number, "type": name}}
    return told


def _key_of(text: str) -> KeyName | None:
    try:
        return split_version(text)[0]
    except ValueError:
        return None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def labels() -> Mapping[str, Mapping[str, tuple[int, str]]]:
    """What becomes what, for the table in docs/exports.md."""
    return {
        "severity": {one.value: told for one, told in _SEVERITIES.items()},
        "status": {one.value: told for one, told in _STATUSES.items()},
        "confidence": {one.value: told for one, told in _CONFIDENCES.items()},
        "control": {one.value: told for one, told in _STATES.items()},
    }
