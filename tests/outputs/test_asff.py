"""`report --as asff`: every line is a request that Security Hub takes, and nothing that is not known passes."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator
from moto import mock_aws

from auditor.findings import Coverage, Finding, Judgement, Status, Subject, SubjectKind
from auditor.model import Gap, Reason
from auditor.outputs import asff
from tests.controls.judgements import a_judgement
from tests.core_builders import NOW
from tests.hostile import NAMES
from tests.outputs.exported import (
    DEMANDS,
    GAP,
    WAIVER,
    a_meant_judgement,
    a_troubled_judgement,
    an_empty_judgement,
    found_in,
    many,
    seen_by,
)
from tests.outputs.test_hostile import a_judgement as a_hostile_judgement
from tests.outputs.test_hostile import found_of
from tests.outputs.test_ocsf import shows

DOCS = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
HUB = "arn:aws:securityhub:eu-central-1:444455556666:product/444455556666/default"
MODEL = botocore.session.get_session().get_service_model("securityhub")
IMPORT = MODEL.shape_for("BatchImportFindingsRequest")
PARTITIONS = set(MODEL.shape_for("Partition").metadata["enum"])
LENGTHS = {"Id": 512, "Title": 256, "Description": 1024, "GeneratorId": 512, "ProductArn": 2048}
"""As the API's reference has them; its model has none."""
Validate = Callable[[Iterable[dict[str, Any]]], None]


def values(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict | list):
        for one in told.values() if isinstance(told, dict) else told:
            yield from values(one)


def validate(findings: Iterable[dict[str, Any]]) -> None:
    """By the service's model and the lengths of its reference: no field that it does not have, none too long."""
    for one in findings:
        assert one["Resources"]
        report = ParamValidator().validate({"Findings": [one]}, IMPORT)
        assert not report.has_errors(), report.generate_report()
        assert not [name for name, most in LENGTHS.items() if len(one[name]) > most]
        assert len(one["Resources"]) <= 32
        assert len(one.get("Compliance", {}).get("RelatedRequirements", ())) <= 32
        assert len(one.get("Remediation", {}).get("Recommendation", {}).get("Text", "")) <= 512
        assert len(one["ProductFields"]) <= 50
        assert all(len(name) <= 128 and len(text) <= 2048 for name, text in one["ProductFields"].items())
        assert all(len(each.get("Region", "")) <= 16 for each in one["Resources"])
        assert {each["Partition"] for each in one["Resources"] if "Partition" in each} <= PARTITIONS
        # The model demands it of nearly all of them as a pattern, which its validator does not look at.
        assert all(text.strip() for text in values(one))
        assert len(json.dumps(one)) < 240_000


def lines_of(judgement: Judgement, *frameworks: str) -> str:
    out = io.StringIO()
    asff.write(judgement, DEMANDS, found_in(judgement, *frameworks), (), out, product=HUB)
    return out.getvalue()


def told_of(judgement: Judgement, *frameworks: str) -> list[dict[str, Any]]:
    return [one for line in lines_of(judgement, *frameworks).splitlines() for one in json.loads(line)["Findings"]]


@pytest.fixture(scope="module")
def troubled() -> list[dict[str, Any]]:
    return told_of(a_troubled_judgement())


def by_rule(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["GeneratorId"].removeprefix("cmek-auditor/"): one for one in told}


JUDGEMENTS: dict[str, Callable[[], Judgement]] = {
    "troubled": a_troubled_judgement,
    "well": a_judgement,
    "empty": an_empty_judgement,
    "meant": a_meant_judgement,
    "a tenant's": lambda: seen_by(a_troubled_judgement(), "acme"),
}


@pytest.mark.parametrize("make", JUDGEMENTS.values(), ids=JUDGEMENTS)
def test_each_finding_is_one_of_the_format(make: Callable[[], Judgement]) -> None:
    told = told_of(make())
    validate(told)
    assert len({one["Id"] for one in told}) == len(told) == 1 + len(make().findings)
    for one in told:
        assert one["ProductArn"] == HUB
        # Who calls must be who is named: the account of the integration, whosever key it is about.
        assert one["AwsAccountId"] == "444455556666"


def test_the_model_would_notice(troubled: list[dict[str, Any]]) -> None:
    wrongs: list[dict[str, Any]] = [
        {"Exception": True},
        {"Workflow": {"Status": 1}},
        {"Resources": [{"Type": "Other"}]},
        {"Title": " "},
        {"Title": "x" * 257},
    ]
    for wrong in wrongs:
        with pytest.raises(AssertionError):
            validate([{**troubled[0], **wrong}])


def test_the_service_takes_them_and_what_is_told_again_replaces_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        hub = boto3.client("securityhub", region_name="eu-central-1")
        hub.enable_security_hub()
        for _ in range(2):
            for line in lines_of(a_troubled_judgement(), "gdpr").splitlines():
                answer = hub.batch_import_findings(**json.loads(line))
                assert (answer["FailedCount"], answer["SuccessCount"]) == (0, len(json.loads(line)["Findings"]))
        kept = hub.get_findings()["Findings"]
    told = told_of(a_troubled_judgement(), "gdpr")
    assert sorted(one["Id"] for one in kept) == sorted(one["Id"] for one in told)


def test_data_that_cannot_be_read_is_an_effect_with_who_did_it(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["data-unreadable"]
    assert one["FindingProviderFields"] == {"Severity": {"Label": "CRITICAL"}, "Types": ["Effects"]}
    assert (one["Severity"], one["Types"]) == ({"Label": "CRITICAL"}, ["Effects"])
    assert (one["Workflow"], one["RecordState"]) == ({"Status": "NEW"}, "ACTIVE")
    assert one["Compliance"]["Status"] == "FAILED"
    key, bucket = one["Resources"]
    assert key == {
        "Type": "AwsKmsKey",
        "Id": "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001",
        "Partition": "aws",
        "Region": "us-east-1",
    }
    assert bucket == {"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::data"}
    fields = one["ProductFields"]
    assert fields["cmek-auditor/done_by"].startswith("arn:aws:iam::1:user/eve by DisableKey at ")
    assert fields["cmek-auditor/done_by"].endswith(" from 192.0.2.7 (entry event-1)")
    assert (fields["cmek-auditor/objects"], fields["cmek-auditor/readability"]) == ("10", "unreadable")
    assert fields["cmek-auditor/undo"].startswith("aws kms enable-key ")
    assert fields["cmek-auditor/undo"] in one["Remediation"]["Recommendation"]["Text"]
    assert one["UpdatedAt"] == NOW.isoformat().replace("+00:00", "Z")
    assert one["CreatedAt"] == one["FirstObservedAt"] < one["UpdatedAt"]


def test_all_other_findings_are_checks_with_the_controls_that_they_relate_to(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["sweep-incomplete"]
    assert one["Types"] == ["Software and Configuration Checks"]
    assert any(
        each.startswith("NIST SP 800-53 Rev. 5: ") and "CA-7" in each
        for each in one["Compliance"]["RelatedRequirements"]
    )
    assert one["Resources"] == [{"Type": "Other", "Id": "gs://data"}]


def test_a_waived_finding_says_by_whom_and_fails_all_the_same(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["data-doomed"]
    assert (one["Workflow"], one["RecordState"]) == ({"Status": "NEW"}, "ACTIVE")
    assert one["ProductFields"]["cmek-auditor/status"] == "waived"
    assert one["ProductFields"]["cmek-auditor/waived"].endswith(f"approved by {WAIVER.approved_by}: migration planned")
    assert one["Compliance"]["Status"] == "FAILED"


def test_nothing_is_suppressed_ever_as_no_later_import_could_show_it_again() -> None:
    for make in JUDGEMENTS.values():
        assert not [one for one in told_of(make()) if one["Workflow"]["Status"] == "SUPPRESSED"]


def test_what_is_meant_says_so_and_nobody_is_told_to_undo_it(troubled: list[dict[str, Any]]) -> None:
    told = told_of(a_meant_judgement())[1:]
    assert {one["ProductFields"]["cmek-auditor/meant"] for one in told} == {"true"}
    assert not [one for one in troubled if "cmek-auditor/meant" in one["ProductFields"]]
    assert {one["Remediation"]["Recommendation"]["Text"] for one in told} == {
        "Nothing, while the config says that this is so on purpose."
    }


def test_what_is_over_is_archived_and_passes_nothing(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["wrong-key"]
    assert (one["Workflow"]["Status"], one["RecordState"]) == ("RESOLVED", "ARCHIVED")
    assert "Status" not in one["Compliance"]


def test_nothing_passes_ever() -> None:
    for make in JUDGEMENTS.values():
        assert not [one for one in told_of(make()) if one.get("Compliance", {}).get("Status") == "PASSED"]


def test_the_first_finding_tells_what_was_not_seen(troubled: list[dict[str, Any]]) -> None:
    one = troubled[0]
    assert (one["Id"], one["Severity"]["Label"]) == ("cmek-auditor/coverage", "MEDIUM")
    assert one["Title"] == "What cmek-auditor saw: not all of it"
    assert one["Compliance"]["Status"] == "NOT_AVAILABLE"
    whole, gap = one["Compliance"]["StatusReasons"]
    assert whole["ReasonCode"] == "INCOMPLETE"
    assert whole["Description"].endswith("1 gap")
    assert gap == {"ReasonCode": "ACCESS_DENIED", "Description": f"{GAP.what}: {GAP.effect} ({GAP.hint})"}
    assert one["ProductFields"]["cmek-auditor/gaps"] == "1"
    assert one["Resources"] == [{"Type": "AwsAccount", "Id": "AWS::::Account:444455556666"}]


def test_where_all_was_seen_it_says_so_and_only_there() -> None:
    well, empty, a_view = (
        told_of(one)[0] for one in (a_judgement(), an_empty_judgement(), seen_by(a_judgement(), "acme"))
    )
    assert (well["Severity"]["Label"], "Compliance" in well) == ("INFORMATIONAL", False)
    assert well["Title"] == "What cmek-auditor saw: all that its config names"
    for one in (empty, a_view):
        assert (one["Severity"]["Label"], one["Compliance"]["Status"]) == ("MEDIUM", "NOT_AVAILABLE")


def test_of_what_nobody_looked_at_no_number_is_told() -> None:
    def counts(judgement: Judgement) -> list[str]:
        fields = told_of(judgement)[0]["ProductFields"]
        return [fields[f"cmek-auditor/{name}"] for name in ("objects_listed", "objects_resolved", "keys_unknown")]

    keys_only = replace(a_judgement(), coverage=Coverage((), 2, 1, None))
    assert counts(an_empty_judgement()) == ["not known"] * 3
    assert counts(keys_only) == ["not known", "not known", "1"]
    assert counts(replace(keys_only, coverage=Coverage((), 0, 0, None), assessed=()))[2] == "not known"
    assert "not known" not in counts(a_judgement())


def test_of_many_gaps_some_are_told_and_all_are_counted() -> None:
    gaps = tuple(Gap(f"key {number}", Reason.TIMEOUT, "its state is unknown", "", None) for number in range(30))
    one = told_of(replace(a_judgement(), gaps=gaps))[0]
    reasons = one["Compliance"]["StatusReasons"]
    assert len(reasons) == 22
    assert reasons[1] == {"ReasonCode": "TIMEOUT", "Description": "key 0: its state is unknown"}
    assert reasons[-1] == {"ReasonCode": "MORE_GAPS", "Description": "10 more gaps: `report --as json` has all"}
    assert one["ProductFields"]["cmek-auditor/gaps"] == "30"


def test_the_same_judgement_is_the_same_bytes_and_a_later_one_keeps_the_ids() -> None:
    judgement = a_troubled_judgement()
    assert lines_of(judgement, "gdpr") == lines_of(judgement, "gdpr")
    later = told_of(replace(judgement, run=replace(judgement.run, id="poll-2")), "gdpr")
    assert [one["Id"] for one in later] == [one["Id"] for one in told_of(judgement, "gdpr")]


def test_a_tenants_view_is_told_beside_the_operators_and_says_whose_it_is() -> None:
    judgement = a_troubled_judgement()
    told = told_of(seen_by(judgement, "acme"), "gdpr")
    assert {one["ProductFields"]["cmek-auditor/tenant"] for one in told} == {"acme"}
    assert not {one["Id"] for one in told} & {one["Id"] for one in told_of(judgement, "gdpr")}
    assert not {one["Id"] for one in told} & {one["Id"] for one in told_of(seen_by(judgement, "globex"), "gdpr")}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_name_can_be_taken_and_breaks_no_line(name: str) -> None:
    judgement, _ = a_hostile_judgement(name)
    out = io.StringIO()
    asff.write(
        judgement, DEMANDS[:1], replace(found_of(name), frameworks=found_of(name).frameworks[:1]), (), out, product=HUB
    )
    assert out.getvalue().isascii()
    told = [one for line in out.getvalue().splitlines() for one in json.loads(line)["Findings"]]
    validate(told)
    assert all(text.isprintable() for one in told for text in values(one))


def test_however_long_gaps_are_the_first_finding_is_taken() -> None:
    long = "日" * 5_000
    gaps = tuple(Gap(f"{number}{long}", Reason.TIMEOUT, long, long, None) for number in range(30))
    one = told_of(seen_by(replace(a_judgement(), gaps=gaps), long))[0]
    validate([one])
    assert {len(each["Description"]) for each in one["Compliance"]["StatusReasons"][1:-1]} == {1_024}


LONG = {"ascii": "x", "two units": "😀", "shown as an escape": "\n", "wide": "日"}


@pytest.mark.parametrize("char", LONG.values(), ids=LONG)
def test_what_is_too_long_is_cut_and_says_so(char: str) -> None:
    judgement = a_troubled_judgement()
    long = replace(judgement.findings[0], cause=char * 5_000, unattributed=char * 5_000, actor=None)
    one = told_of(replace(judgement, findings=(long,)), "gdpr")[1]
    validate([one])
    assert one["Description"].endswith("…")
    assert 1_023 <= len(one["Description"].encode("utf-16-le")) // 2 <= 1_024
    assert one["ProductFields"]["cmek-auditor/done_by"].endswith("…")
    short = replace(long, cause="x" * 1_024)
    assert told_of(replace(judgement, findings=(short,)), "gdpr")[1]["Description"] == "x" * 1_024


def test_many_findings_are_many_requests_that_are_each_taken() -> None:
    judgement = a_troubled_judgement()
    (first,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    lines = lines_of(replace(judgement, findings=tuple(many(first, 250))), "gdpr").splitlines()
    assert [len(json.loads(one)["Findings"]) for one in lines] == [100, 100, 51]


def test_large_findings_are_fewer_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    judgement = a_troubled_judgement()
    large = replace(judgement, findings=tuple(many(judgement.findings[0], 20)))
    # Three would fit, were there nothing around and between them.
    most = 3 * len(json.dumps(told_of(large, "gdpr")[-1]))
    monkeypatch.setattr(asff, "BATCH_BYTES", most)
    lines = lines_of(large, "gdpr").splitlines()
    assert {len(json.loads(one)["Findings"]) for one in lines[1:-1]} == {2}
    assert all(len(one) <= most for one in lines)
    assert sum(len(json.loads(one)["Findings"]) for one in lines) == 21


def test_of_a_finding_with_many_buckets_some_are_resources_and_all_are_counted() -> None:
    judgement = a_troubled_judgement()
    (first,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    members = tuple((f"s3://data-{number:02}", *first.members[0][1:]) for number in range(50))
    one = told_of(replace(judgement, findings=(replace(first, members=members),)), "gdpr")[1]
    validate([one])
    assert len(one["Resources"]) == 32
    assert one["ProductFields"]["cmek-auditor/resources"] == "51"


SUBJECTS = {
    "nobody's": (Subject(SubjectKind.WAIVER, "data-lost: key x"), "Other"),
    "not named": (Subject(SubjectKind.KEY, "(not named here: 1)"), "Other"),
    "a connection": (Subject(SubjectKind.EKM_CONNECTION, "projects/p/locations/l/ekmConnections/c"), "Other"),
    "access": (
        Subject(SubjectKind.PRINCIPAL, "role -> arn:aws:kms:us-east-1:111122223333:key/k"),
        "AwsKmsKey",
    ),
}


@pytest.mark.parametrize(("subject", "kind"), SUBJECTS.values(), ids=SUBJECTS)
def test_what_the_service_has_a_word_for_is_called_by_it(subject: Subject, kind: str) -> None:
    judgement = a_troubled_judgement()
    one: Finding = replace(judgement.findings[0], subject=subject, members=(), status=Status.OPEN)
    told = told_of(replace(judgement, findings=(one,)), "gdpr")[1]
    validate([told])
    assert [each["Type"] for each in told["Resources"]] == [kind]
    assert told["ProductFields"]["cmek-auditor/subject"] == f"{subject.kind.value}: {subject.id}"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso"])
def test_a_key_and_its_buckets_are_of_its_partition_whichever_the_hub_is_in(partition: str) -> None:
    judgement = a_troubled_judgement()
    (first,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    key = f"arn:{partition}:kms:xx-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    of_key = replace(first, subject=Subject(SubjectKind.KEY, key))
    member = ("s3://data", *first.members[0][1:2], key, None)
    of_bucket = replace(first, subject=Subject(SubjectKind.BUCKET, "s3://data"), members=(member,))
    one, other = told_of(replace(judgement, findings=(of_key, of_bucket)), "gdpr")[1:]
    validate([one, other])
    assert [each["Id"] for each in one["Resources"]] == [key, f"arn:{partition}:s3:::data"]
    assert [each["Id"] for each in other["Resources"]] == [f"arn:{partition}:s3:::data"]


def test_the_docs_show_what_is_told(troubled: list[dict[str, Any]]) -> None:
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]
    shown = [one for one in examples if "GeneratorId" in one]
    assert len(shown) == 1
    assert [one for one in troubled if shows(one, shown[0])]
