"""A judgement as OSCAL assessment results: observations, risks, and a finding for each control that was evaluated.

Source: NIST Open Security Controls Assessment Language 1.2.1, assessment-results model. docs/exports.md tells what
becomes what.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final, TextIO
from urllib.parse import quote

from auditor.controls.answer import ControlStanding, FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control, Framework
from auditor.findings import BucketCoverage, Demand, Finding, Judgement, Status, Subject, SubjectKind
from auditor.log import visible
from auditor.model import Gap
from auditor.outputs import controls, scan_json, streamed_json, summary, words
from auditor.outputs.controls import Found
from auditor.outputs.excuses import Excuses
from auditor.outputs.markdown import plain
from auditor.outputs.page import Manifest
from auditor.outputs.stable_ids import SPACE, uid

VERSION: Final = "1.2.1"
STATES: Final = {State.NONE: ("satisfied", "pass"), State.EXCEPTION: ("not-satisfied", "fail")}
"""OSCAL's own words. What was not evaluated has none: it is in no finding."""
RISKS: Final = {Status.OPEN: "open", Status.WAIVED: "deviation-approved", Status.RESOLVED: "closed"}
_NIST: Final = "nist-800-53-r5"
"""Its controls are in a catalog that NIST publishes as OSCAL, with ids that others use as well."""
_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9.-]+")
_AROUND: Final = re.compile(r"^ | $")
_SPACE_SHOWN: Final = r"\\x20"
_RELATED: Final = 50
"""As many observations of a control are named; all have the rule's id."""
_NO_PLAN: Final = "There is no assessment plan in OSCAL: what is judged is what these rules and this config say."
_WORDS: Final = (
    "satisfied means: all rules that relate to the control were put to everything that the config names, and found no "
    "exception. It says of nothing that it complies with anything. A control that is not evaluated is excluded, has an "
    "observation that says why, and is in no finding."
)


def write(judgement: Judgement, demands: Iterable[Demand], found: Found, manifest: Manifest, out: TextIO) -> None:
    """Write the whole document; memory stays flat however many findings there are."""
    streamed_json.write(_Told(judgement, demands, found.frameworks, manifest).document(), out)


def control_id(framework: Framework, control: Control) -> str:
    """A token that names a control: NIST's own where it has one, and else one of ours, with the framework in it."""
    if framework.id == _NIST:
        return control.id.lower().replace("(", ".").replace(")", "")
    return f"{framework.id}_{_NO_TOKEN.sub('_', control.id).strip('_')}"


class _Told:
    """One judgement, and the parts of its document."""

    def __init__(
        self,
        judgement: Judgement,
        demands: Iterable[Demand],
        frameworks: tuple[FrameworkStanding, ...],
        manifest: Manifest,
    ) -> None:
        self._judgement = judgement
        self._demands = {one.id: one for one in demands}
        self._frameworks = frameworks
        self._manifest = manifest
        self._excuses = Excuses(judgement)
        buckets = [Subject(SubjectKind.BUCKET, one.bucket) for one in judgement.coverage.buckets]
        every = (*buckets, *(one.subject for one in judgement.findings))
        self._subjects = {one: self._uid("subject", one.kind, one.id) for one in every}
        self._now = scan_json.time(judgement.now)
        self._origin = {"actors": [{"type": "tool", "actor-uuid": self._uid("tool")}]}

    def document(self) -> dict[str, Any]:
        """All of it, with iterators where lists are long."""
        run = self._judgement.run
        names = [one.framework.id for one in self._frameworks]
        view = self._judgement.view
        whose = f", view of tenant {plain(view.tenant)}" if view is not None else ""
        objectives = list(self._objectives())
        return {
            "assessment-results": {
                "uuid": self._uid("assessment-results", run.id, *names),
                "metadata": {
                    "title": f"CMEK audit, judgement {run.id}{whose}",
                    "last-modified": self._now,
                    "version": run.id,
                    "oscal-version": VERSION,
                    "remarks": _WORDS,
                },
                "import-ap": {"href": f"#{self._uid('plan')}", "remarks": _NO_PLAN},
                **({"local-definitions": {"objectives-and-methods": objectives}} if objectives else {}),
                "results": [self._result()],
                "back-matter": {"resources": [*self._resources()]},
            }
        }

    def _result(self) -> dict[str, Any]:
        judgement = self._judgement
        run = judgement.run
        whole = plain(summary.complete(judgement))
        is_found = any(each.state in STATES for one in self._frameworks for each in one.controls)
        return {
            "uuid": self._uid("result", run.id),
            "title": f"Judgement {run.id}",
            "description": plain(summary.verdict(judgement)),
            "start": scan_json.time(run.started),
            "end": scan_json.time(run.ended),
            "props": _props(
                {
                    "tool-version": run.version,
                    "rules-version": run.rules_version,
                    "config-digest": run.config_digest,
                    "tenant": judgement.view.tenant if judgement.view is not None else None,
                    "gaps": len(judgement.gaps),
                }
            ),
            "local-definitions": {
                **({"inventory-items": self._items()} if self._subjects else {}),
                "assessment-assets": self._assets(),
            },
            "reviewed-controls": {"control-selections": [self._selection(one) for one in self._frameworks]},
            "observations": self._observations(),
            **({"risks": map(self._risk, judgement.findings)} if judgement.findings else {}),
            **({"findings": self._findings()} if is_found else {}),
            "remarks": f"What was seen: {whole}.",
        }

    def _assets(self) -> dict[str, Any]:
        tool = self._uid("tool")
        component = {
            "uuid": tool,
            "type": "software",
            "title": "cmek-auditor",
            "description": "Joins stored objects to the key versions that they are encrypted under; reads only.",
            "props": [{"name": "version", "value": _string(self._judgement.run.version)}],
            "status": {"state": "operational"},
        }
        platform = {"uuid": self._uid("platform"), "uses-components": [{"component-uuid": tool}]}
        return {"components": [component], "assessment-platforms": [platform]}

    def _objectives(self) -> Iterator[dict[str, Any]]:
        """Of controls that no catalog in OSCAL has: what is meant, in words of ours."""
        for of in self._frameworks:
            for one in of.controls if of.framework.id != _NIST else ():
                name = control_id(of.framework, one.control)
                part = {"id": f"{name}_obj", "name": "assessment-objective", "prose": plain(one.control.title)}
                yield {"control-id": name, "parts": [part]}

    def _selection(self, of: FrameworkStanding) -> dict[str, Any]:
        left_out = [one for one in of.controls if one.state not in STATES]
        remarks = []
        if left_out:
            remarks.append(f"Not evaluated, and so excluded: {', '.join(plain(one.control.id) for one in left_out)}.")
        if of.beside:
            remarks.append(f"Near, and judged by no rule: {', '.join(plain(one.id) for one in of.beside)}.")
        excluded = [{"control-id": control_id(of.framework, one.control)} for one in left_out]
        return {
            "description": plain(of.framework.title),
            "props": _props({"framework": of.framework.id, "mapping": of.framework.digest}),
            "links": [{"href": f"#{self._of_framework(of.framework)}", "rel": "reference"}],
            "include-controls": [{"control-id": control_id(of.framework, one.control)} for one in of.controls],
            **({"exclude-controls": excluded} if excluded else {}),
            **({"remarks": " ".join(remarks)} if remarks else {}),
        }

    def _items(self) -> Iterator[dict[str, Any]]:
        for one, name in self._subjects.items():
            yield {
                "uuid": name,
                "description": words.about(one, plain(one.id)),
                "props": [{"name": "asset-id", "value": _string(one.id)}, *_props({"kind": one.kind.value})],
            }

    def _observations(self) -> Iterator[dict[str, Any]]:
        yield self._keys()
        yield from map(self._bucket, self._judgement.coverage.buckets)
        yield from map(self._gap, self._judgement.gaps)
        yield from map(self._observation, self._judgement.findings)
        for of in self._frameworks:
            yield from (self._not_evaluated(of, one) for one in of.controls if one.state not in STATES)

    def _observed(
        self, name: str, title: str, description: str, kind: str, props: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "uuid": name,
            "title": title,
            "description": description,
            "props": props,
            "methods": ["EXAMINE"],
            "types": [kind],
            "origins": [self._origin],
            "collected": self._now,
        }

    def _keys(self) -> dict[str, Any]:
        judgement, covered = self._judgement, self._judgement.coverage
        untold = summary.are_keys_untold(judgement)
        props = {
            "keys-needed": None if untold else covered.keys_needed,
            "keys-read": covered.keys_read,
            "keys-from-before": covered.keys_from_before,
            "keys-unknown": None if untold else covered.keys_unknown,
            "buckets": len(covered.buckets),
            "buckets-not-configured": covered.buckets_not_configured,
            "gaps": len(judgement.gaps),
        }
        whole = plain(summary.complete(judgement))
        return self._observed(self._uid("coverage"), "What was seen", whole, "coverage", _props(props))

    def _bucket(self, one: BucketCoverage) -> dict[str, Any]:
        told = scan_json.bucket(one)
        names = ("complete", "listed", "resolved", "unresolved", "outside", "uploads_in_progress", "sweep_started")
        props = {name.replace("_", "-"): told[name] for name in (*names, "sweep_ended", "oldest_verified")}
        swept = "swept" if one.complete else "no whole sweep is in force"
        text = f"{plain(one.bucket)}: {swept}, {one.resolved} of {words.counted(one.listed, 'object')} resolved"
        observed = self._observed(
            self._uid("coverage", one.bucket),
            f"What was seen of {plain(one.bucket)}",
            text,
            "coverage",
            _props({**props, "left-out": " ".join(told["left_out"]) or None}),
        )
        observed["subjects"] = [self._subject(Subject(SubjectKind.BUCKET, one.bucket))]
        failed = one.last_attempt_failed
        return {**observed, **({"remarks": f"The last attempt failed: {plain(failed)}"} if failed else {})}

    def _gap(self, one: Gap) -> dict[str, Any]:
        """What could not be read: nothing is known of it, which is not that it is well."""
        props = _props({"what": one.what, "reason": one.reason.value, "objects": one.objects})
        name = self._uid("gap", one.what, one.reason, one.effect, one.hint)
        title = f"Could not be read: {plain(one.what)}"
        observed = self._observed(name, title, plain(one.effect) or "nothing is known of it", "gap", props)
        return {**observed, **({"remarks": plain(one.hint)} if one.hint else {})}

    def _observation(self, one: Finding) -> dict[str, Any]:
        observed = self._observed(
            self._uid("observation", one.id),
            _title(one),
            plain(one.cause),
            "historic" if one.status is Status.RESOLVED else "finding",
            _props(_facts(one)),
        )
        observed |= {
            "methods": ["TEST"],
            "subjects": [self._subject(one.subject)],
            "collected": scan_json.time(one.last_seen),
        }
        if evidence := list(_evidence(one)):
            observed["relevant-evidence"] = evidence
        if some := one.extent.sample_namespaces:
            observed["remarks"] = f"Namespaces with most objects: {', '.join(map(plain, some))}"
        return observed

    def _subject(self, one: Subject) -> dict[str, Any]:
        return {
            "subject-uuid": self._subjects[one],
            "type": "inventory-item",
            "title": words.about(one, plain(words.short(one.id))),
        }

    def _not_evaluated(self, of: FrameworkStanding, one: ControlStanding) -> dict[str, Any]:
        why = [*(f"{rule}: {text}" for rule, text in one.reasons), *one.unseen]
        why += [f"{rule}: nothing here that it applies to" for rule in one.idle]
        return self._observed(
            self._uid("not-evaluated", of.framework.id, one.control.id),
            f"{State.OPEN.value}: {plain(f'{of.framework.title} {one.control.id}')}",
            "; ".join(map(plain, why)) or State.OPEN.value,
            "not-evaluated",
            _props({"framework": of.framework.id, "control": one.control.id, "state": one.state.value}),
        )

    def _risk(self, one: Finding) -> dict[str, Any]:
        demand = self._demands.get(one.rule)
        waived = self._excuses.of(one)
        hangs = f"Hangs on it: {words.amount(one.extent)}." if one.extent.namespaces or one.extent.objects else ""
        system = {"system": SPACE}
        told = words.remedy(one, demand)
        remedies = [("Remedy", told)] if told else []
        remedies += [("Undo", f"{step.call} (by {step.who})") for step in one.undo]
        facets = [
            {"name": "severity", **system, "value": one.severity.value},
            {"name": "confidence", **system, "value": one.confidence.value},
        ]
        return {
            "uuid": self._uid("risk", one.id),
            "title": _title(one),
            "description": plain(f"{one.cause}. {waived[0].upper()}{waived[1:]}" if waived else one.cause),
            "statement": hangs or (plain(demand.title) if demand else plain(one.cause)),
            "props": _props({"finding": one.id, "rule": one.rule}),
            "status": RISKS[one.status],
            "origins": [self._origin],
            "characterizations": [{"origin": self._origin, "facets": facets}],
            **({"deadline": scan_json.time(one.final_at)} if one.final_at is not None else {}),
            **({"remediations": self._remedies(one, remedies)} if remedies else {}),
            "related-observations": [{"observation-uuid": self._uid("observation", one.id)}],
        }

    def _remedies(self, one: Finding, told: list[tuple[str, str]]) -> list[dict[str, Any]]:
        return [
            {
                "uuid": self._uid("remedy", one.id, str(place)),
                "lifecycle": "recommendation",
                "title": title,
                "description": plain(text),
            }
            for place, (title, text) in enumerate(told)
        ]

    def _findings(self) -> Iterator[dict[str, Any]]:
        for of in self._frameworks:
            yield from (self._finding(of, one) for one in of.controls if one.state in STATES)

    def _finding(self, of: FrameworkStanding, one: ControlStanding) -> dict[str, Any]:
        state, reason = STATES[one.state]
        name = control_id(of.framework, one.control)
        title = plain(f"{of.framework.title} {one.control.id}: {one.control.title}")
        every = [each for rule in one.rules for each in rule.exceptions]
        remarks = [controls.waived(waiver, count) for rule in one.rules for waiver, count in rule.waivers]
        if len(every) > _RELATED:
            left = words.number(len(every) - _RELATED)
            remarks.append(f"{left} more observations are not named here: find them by their property rule")
        seen = [self._uid("observation", each.id) for each in islice(every, _RELATED)] or [self._uid("coverage")]
        risks = [self._uid("risk", each.id) for each in islice(every, _RELATED)]
        return {
            "uuid": self._uid("control", of.framework.id, one.control.id),
            "title": title,
            "description": "; ".join(map(_rule, one.rules)),
            "props": _props({"framework": of.framework.id, "control": one.control.id, "state": one.state.value}),
            "origins": [self._origin],
            "target": {
                "type": "objective-id",
                "target-id": f"{name}_obj",
                "title": title,
                "status": {"state": state, "reason": reason, "remarks": one.state.value},
            },
            "related-observations": [{"observation-uuid": each} for each in seen],
            **({"related-risks": [{"risk-uuid": each} for each in risks]} if risks else {}),
            **({"remarks": plain("; ".join(remarks))} if remarks else {}),
        }

    def _resources(self) -> Iterator[dict[str, Any]]:
        run, manifest = self._judgement.run, self._manifest
        digests = {"rules-version": run.rules_version, "config-digest": run.config_digest}
        yield {
            "uuid": self._uid("plan"),
            "title": "What is judged",
            "description": "The rules of cmek-auditor and the settings in force, by their digests.",
            "props": _props({**digests, "config-file-digest": run.config_file_digest}),
        }
        if manifest.files:
            yield {
                "uuid": self._uid("files", run.id),
                "title": "What was swept",
                "description": "Inventory files that the judgement stands on, with their SHA-256.",
                "props": _props({"ledger-head": manifest.ledger_head or None}),
                "rlinks": [
                    {"href": quote(name), "hashes": [{"algorithm": "SHA-256", "value": digest}]}
                    for name, digest in manifest.files
                ],
            }
        for one in self._frameworks:
            told = one.framework
            yield {
                "uuid": self._of_framework(told),
                "title": plain(told.title),
                "description": plain(f"{told.publisher}; controls by id, with titles of ours"),
                "props": _props({"framework": told.id, "mapping": told.digest}),
            }

    def _of_framework(self, one: Framework) -> str:
        return self._uid("framework", one.id)

    def _uid(self, *parts: str) -> str:
        """A tenant's document tells less of the same: it has ids of its own."""
        view = self._judgement.view
        return uid("oscal", view.tenant if view is not None else "", *parts)


def _title(one: Finding) -> str:
    return f"{one.rule}: {words.about(one.subject, plain(words.short(one.subject.id)))}"


def _facts(one: Finding) -> dict[str, Any]:
    told = scan_json.finding(one)
    names = ("rule", "severity", "status", "confidence", "readability", "namespaces", "objects", "bytes", "final_at")
    return {
        "finding": one.id,
        **{
            name.replace("_", "-"): told[name]
            for name in (*names, "since", "since_source", "waived_until", "succeeds", "unattributed")
        },
    }


def _evidence(one: Finding) -> Iterator[dict[str, Any]]:
    if one.actor is not None:
        told = scan_json.actor(one.actor)
        props = {name.replace("_", "-"): told[name] for name in ("event_id", "time", "source", "via")}
        text = f"{one.actor.call} by {one.actor.principal}, as the audit log tells"
        yield {"description": plain(text), "props": _props(props)}
    for each in one.evidence:
        yield {
            "description": f"{plain(each.call)} of {plain(each.resource)}",
            "props": _props({"at": each.at, "request-id": each.request_id, "answer-digest": each.answer_digest}),
        }


def _rule(one: RuleStanding) -> str:
    count = f" ({words.counted(len(one.exceptions), 'exception')})" if one.exceptions else ""
    return f"{one.rule}: {'nothing here that it applies to' if one.is_idle else one.state.value}{count}"


def _props(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Properties of ours; what is not known has none."""
    return [{"name": name, "ns": SPACE, "value": _string(one)} for name, one in told.items() if one is not None]


def _string(value: object) -> str:
    """A value as the format lets it stand: on one line, not empty, and without space around it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = visible(scan_json.time(value) or "" if isinstance(value, datetime) else str(value))
    return _AROUND.sub(_SPACE_SHOWN, text) or '""'
