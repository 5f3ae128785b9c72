"""A judgement as findings for AWS Security Hub CSPM, one request a line: what was seen, each finding, what ended.

Source: AWS Security Finding Format 2018-10-08, as the service model of BatchImportFindings and the lengths in its
documentation have it. docs/exports.md tells what becomes what.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TextIO

from auditor.controls.answer import FrameworkStanding
from auditor.findings import (
    DETECTIONS,
    Demand,
    Finding,
    Judgement,
    Severity,
    Status,
    Subject,
    SubjectKind,
)
from auditor.log import visible
from auditor.model import Cloud, Gap, KeyName, split_version
from auditor.outputs import scan_json, summary, words
from auditor.outputs.controls import Found
from auditor.outputs.excuses import Excuses
from auditor.outputs.stable_ids import uid

VERSION: Final = "2018-10-08"
BATCH: Final = 100
"""Findings of one request, as the service takes them."""
BATCH_BYTES: Final = 6_000_000
"""JSON of one request."""
_AROUND, _BETWEEN = '{{"Findings": [{}]}}\n', ", "
_NAME: Final = "cmek-auditor"
_TITLE: Final = 256
_DESCRIPTION: Final = 1024
_REMEDY: Final = 512
_FIELD: Final = 2048
_REASON: Final = 1024
"""Of one gap: with all that are told, each character an escape, the finding is within the 240 KB that are taken."""
_ID: Final = 512
_RESOURCES: Final = 32
_REQUIREMENTS: Final = 32
_GAPS: Final = 20
"""As many gaps are told one by one; how many there are is told."""
_CUT: Final = "…"
_SEVERITIES: Final = {
    Severity.LOW: "LOW",
    Severity.MEDIUM: "MEDIUM",
    Severity.HIGH: "HIGH",
    Severity.CRITICAL: "CRITICAL",
}
# Never SUPPRESSED: no later import could take it back, so that a finding would stay hidden when its waiver is over.
_WORKFLOWS: Final = {Status.OPEN: "NEW", Status.WAIVED: "NEW", Status.RESOLVED: "RESOLVED"}
_RECORDS: Final = {Status.OPEN: "ACTIVE", Status.WAIVED: "ACTIVE", Status.RESOLVED: "ARCHIVED"}
_NOT_KNOWN: Final = "NOT_AVAILABLE"
_PARTITIONS: Final = frozenset({"aws", "aws-cn", "aws-us-gov"})
"""Those that the format has by the names that they have in ARNs; it takes no other."""
_EFFECTS, _CHECKS = "Effects", "Software and Configuration Checks"
_LISTED: Final = ("tenants", "owners", "teams", "sample_namespaces", "portions")
_PLAIN: Final = ("rule", "status", "confidence", "readability", "since", "since_source", "final_at", "succeeds")
_COUNTED: Final = ("objects", "bytes", "namespaces")


def write(
    judgement: Judgement,
    demands: Iterable[Demand],
    found: Found,
    ended: Iterable[Finding],
    out: TextIO,
    *,
    product: str,
) -> None:
    """Write all requests; memory stays flat however many findings there are.

    `ended`: findings that earlier judgements ended, of which an import may not have heard. `product`: the ARN of the
    integration that takes the findings in, of the account and Region that it is called in.
    """
    texts = map(json.dumps, findings(judgement, demands, found, ended, product))
    out.writelines(_AROUND.format(_BETWEEN.join(batch)) for batch in _batches(texts))


def findings(
    judgement: Judgement, demands: Iterable[Demand], found: Found, ended: Iterable[Finding], product: str
) -> Iterator[dict[str, Any]]:
    """What was seen and what was not, then findings worst first, then those that ended before."""
    told = _Told(judgement, demands, found.frameworks, product)
    yield told.coverage()
    yield from map(told.finding, judgement.findings)
    yield from map(told.finding, ended)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = len(_AROUND)
    for one in texts:
        if batch and (len(batch) == BATCH or size + len(one) > BATCH_BYTES):
            yield batch
            batch, size = [], len(_AROUND)
        batch.append(one)
        size += len(one) + len(_BETWEEN)
    yield batch


class _Told:
    """One judgement, and what its findings have in common."""

    def __init__(
        self,
        judgement: Judgement,
        demands: Iterable[Demand],
        frameworks: tuple[FrameworkStanding, ...],
        product: str,
    ) -> None:
        self._judgement = judgement
        self._demands = {one.id: one for one in demands}
        self._excuses = Excuses(judgement)
        self._product = product
        _, self._partition, _, _, self._account, _ = product.split(":", 5)
        self._now = scan_json.time(judgement.now)
        self._requirements = {
            rule: [
                f"{one.framework.title}: {', '.join(control.id for control in related)}"
                for one in frameworks
                if (related := one.framework.related(rule))
            ]
            for rule in self._demands
        }

    def coverage(self) -> dict[str, Any]:
        """What the judgement stands on, with what is missing of it: the next judgement's replaces it."""
        judgement = self._judgement
        is_whole = summary.is_whole(judgement)
        swept = [one for one in judgement.coverage.buckets if one.complete]
        are_keys_untold = judgement.is_untold and not judgement.coverage.keys_needed
        fields = {
            "objects_listed": str(sum(one.listed for one in swept)) if swept else words.NOT_KNOWN,
            "objects_resolved": str(sum(one.resolved for one in swept)) if swept else words.NOT_KNOWN,
            "keys_unknown": words.NOT_KNOWN if are_keys_untold else str(judgement.coverage.keys_unknown),
            "gaps": str(len(judgement.gaps)),
            "rules_version": judgement.run.rules_version,
            "config_digest": judgement.run.config_digest,
        }
        return {
            **self._base("coverage", "coverage", "INFORMATIONAL" if is_whole else "MEDIUM", _CHECKS),
            "CreatedAt": self._now,
            "Title": f"What cmek-auditor saw: {'all that its config names' if is_whole else 'not all of it'}",
            "Description": _cut(f"{summary.verdict(judgement)} {summary.complete(judgement)}", _DESCRIPTION),
            "ProductFields": self._fields(fields),
            "Resources": [{"Type": "AwsAccount", "Id": f"AWS::::Account:{self._account}"}],
            **({} if is_whole else {"Compliance": {"Status": _NOT_KNOWN, "StatusReasons": list(self._reasons())}}),
            "Workflow": {"Status": "NEW"},
            "RecordState": "ACTIVE",
        }

    def _reasons(self) -> Iterator[dict[str, str]]:
        judgement = self._judgement
        told = _cut(summary.complete(judgement), _REASON)
        yield {"ReasonCode": "INCOMPLETE", "Description": told}
        yield from map(_reason, judgement.gaps[:_GAPS])
        if (more := len(judgement.gaps) - _GAPS) > 0:
            text = f"{words.counted(more, 'more gap')}: `report --as json` has all"
            yield {"ReasonCode": "MORE_GAPS", "Description": text}

    def finding(self, one: Finding) -> dict[str, Any]:
        """One finding; what is over is archived."""
        demand = self._demands.get(one.rule)
        told = scan_json.finding(one)
        kind = _EFFECTS if one.rule in DETECTIONS else _CHECKS
        resources = list(self._resources(one))
        remedy = words.remedy_with_undo(one, demand)
        related = self._requirements.get(one.rule, [])[:_REQUIREMENTS]
        fields = {
            "subject": f"{one.subject.kind.value}: {one.subject.id}",
            **{name: told[name] or "" for name in _PLAIN},
            **{name: words.NOT_KNOWN if told[name] is None else str(told[name]) for name in _COUNTED},
            **{name: ", ".join(told[name]) for name in _LISTED},
            "resources": str(len(resources)),
            "done_by": words.attributed(one),
            "waived": self._excuses.of(one),
            "meant": "true" if one.meant else "",
            "undo": "; ".join(step.call for step in one.undo),
        }
        compliance = {
            **({} if one.status is Status.RESOLVED else {"Status": "FAILED"}),
            **({"RelatedRequirements": related} if related else {}),
        }
        return {
            **self._base(one.rule, one.id, _SEVERITIES[one.severity], kind),
            "CreatedAt": scan_json.time(one.first_seen),
            "FirstObservedAt": scan_json.time(one.first_seen),
            "LastObservedAt": scan_json.time(one.last_seen),
            "Title": _cut(f"{one.rule}: {words.about(one.subject, words.short(one.subject.id))}", _TITLE),
            "Description": _cut(one.cause, _DESCRIPTION),
            **({"Remediation": {"Recommendation": {"Text": _cut(remedy, _REMEDY)}}} if remedy else {}),
            "ProductFields": self._fields(fields),
            "Resources": resources[:_RESOURCES],
            **({"Compliance": compliance} if compliance else {}),
            "Workflow": {"Status": _WORKFLOWS[one.status]},
            "RecordState": _RECORDS[one.status],
        }

    def _base(self, generator: str, name: str, severity: str, kind: str) -> dict[str, Any]:
        """What every finding has. `name`: of what it tells, which stays."""
        view = self._judgement.view
        whose = (uid("view", view.tenant),) if view is not None else ()
        provided = {"Severity": {"Label": severity}, "Types": [kind]}
        return {
            "SchemaVersion": VERSION,
            "Id": "/".join((_NAME, *whose, name)),
            "ProductArn": self._product,
            "ProductName": _NAME,
            "CompanyName": _NAME,
            "GeneratorId": f"{_NAME}/{generator}",
            "AwsAccountId": self._account,
            "UpdatedAt": self._now,
            # The service takes the first from a finding that is new, and the second from one that it has.
            **provided,
            "FindingProviderFields": provided,
        }

    def _fields(self, own: Mapping[str, str]) -> dict[str, str]:
        """What the format has no place for, by the names of `report --as json`; what is empty is left out."""
        view = self._judgement.view
        every = {
            **own,
            "judgement": self._judgement.run.id,
            "version": self._judgement.run.version,
            "tenant": view.tenant if view is not None else "",
        }
        return {f"{_NAME}/{name}": _cut(text, _FIELD) for name, text in every.items() if text.strip()}

    def _resources(self, one: Finding) -> Iterator[dict[str, Any]]:
        # A bucket and the keys that its data is under are of one partition, which need not be the hub's.
        names = (one.subject.id.rpartition(" -> ")[2], *(key for _, _, key, _ in one.members if key is not None))
        partition = next((key.text.split(":", 2)[1] for key in map(_aws_key_of, names) if key), self._partition)
        yield _resource(one.subject, partition)
        buckets = sorted({member[0] for member in one.members} - {one.subject.id})
        yield from (_resource(Subject(SubjectKind.BUCKET, bucket), partition) for bucket in buckets)


def _resource(one: Subject, partition: str) -> dict[str, Any]:
    key = _aws_key_of(one.id.rpartition(" -> ")[2])
    if key is not None:
        told = {"Partition": partition} if partition in _PARTITIONS else {}
        return {"Type": "AwsKmsKey", "Id": key.text, **told, "Region": key.location}
    if one.kind is SubjectKind.BUCKET and one.cloud is Cloud.AWS:
        return {"Type": "AwsS3Bucket", "Id": f"arn:{partition}:s3:::{one.id.removeprefix('s3://')}"}
    return {"Type": "Other", "Id": _cut(one.id, _ID)}


def _reason(one: Gap) -> dict[str, str]:
    hint = f" ({one.hint})" if one.hint else ""
    return {"ReasonCode": one.reason.value.upper(), "Description": _cut(f"{one.what}: {one.effect}{hint}", _REASON)}


def _aws_key_of(text: str) -> KeyName | None:
    try:
        key = split_version(text)[0]
    except ValueError:
        return None
    return key if key.cloud is Cloud.AWS else None


def _cut(text: str, most: int) -> str:
    """What can be seen of it, in no more characters than are taken; counted as UTF-16 does, which counts most."""
    told = visible(text)
    if _length(told) <= most:
        return told
    while _length(told) >= most:
        told = told[: most - 1] if len(told) >= most else told[:-1]
    return f"{told}{_CUT}"


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
