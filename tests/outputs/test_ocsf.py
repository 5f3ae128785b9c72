"""`report --as ocsf`: every event is one by OCSF's own schema, and nothing that is not known is a pass."""

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema

from auditor.controls.answer import State
from auditor.findings import DETECTIONS, Finding, Judgement, Status, Subject, SubjectKind
from auditor.outputs import ocsf
from auditor.rules import load
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

DOCS = (Path(__file__).parents[2] / "docs" / "exports.md").read_text()
Validate = Callable[[Iterable[Any]], None]


@pytest.fixture(scope="module")
def validate() -> Validate:
    """By OCSF 1.8.0: no field that it does not have, none left out that it requires."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.VERSION))
    names = {ocsf.COMPLIANCE: "compliance_finding", ocsf.DETECTION: "detection_finding"}
    by_class = {
        (number, *profiles): jsonschema.Draft202012Validator(schema.get_class_schema(name, profiles))
        for number, name in names.items()
        for profiles in ([], ["cloud"])
    }

    def each(events: Iterable[Any]) -> None:
        for one in events:
            by_class[one["class_uid"], *one["metadata"].get("profiles", [])].validate(one)

    return each


def lines_of(judgement: Judgement, *frameworks: str) -> str:
    out = io.StringIO()
    ocsf.write(judgement, DEMANDS, found_in(judgement, *frameworks), out)
    return out.getvalue()


def events_of(judgement: Judgement, *frameworks: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(judgement, *frameworks).splitlines()]


def of(kind: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in events if one["finding_info"]["types"] == [kind]]


@pytest.fixture(scope="module")
def troubled() -> list[dict[str, Any]]:
    return events_of(a_troubled_judgement())


def by_rule(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["finding_info"]["analytic"]["uid"]: one for one in of("finding", events)}


JUDGEMENTS = {
    "troubled": a_troubled_judgement,
    "well": a_judgement,
    "empty": an_empty_judgement,
    "a tenant's": lambda: seen_by(a_troubled_judgement(), "acme"),
}


@pytest.mark.parametrize("make", JUDGEMENTS.values(), ids=JUDGEMENTS)
def test_each_line_is_an_event_of_the_schema(validate: Validate, make: Callable[[], Judgement]) -> None:
    events = events_of(make(), "nist-800-53-r5", "cis-aws-7.0")
    validate(events)
    assert len({one["metadata"]["uid"] for one in events}) == len(events)
    assert len({one["finding_info"]["uid"] for one in events}) == len(events)


def test_the_schema_would_notice(validate: Validate, troubled: list[dict[str, Any]]) -> None:
    for wrong in ({"severity_id": 9}, {"exception": True}, {"class_uid": 2003, "compliance": {"state": "Fail"}}):
        with pytest.raises(jsonschema.ValidationError):
            validate([{**troubled[0], **wrong}])


def test_data_that_cannot_be_read_is_a_detection_with_who_did_it(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["data-unreadable"]
    assert (one["type_uid"], one["severity"], one["status"], one["is_alert"]) == (200402, "Critical", "New", True)
    assert one["cloud"] == {
        "provider": "AWS",
        "region": "us-east-1",
        "account": {"uid": "111122223333", "type_id": 10, "type": "AWS Account"},
    }
    assert [(each["type"], each["role"]) for each in one["resources"]] == [
        ("AwsKmsKey", "Target"),
        ("AwsS3Bucket", "Affected"),
    ]
    first, *rest = one["evidences"]
    assert first["actor"]["user"]["name"] == "arn:aws:iam::1:user/eve"
    assert first["src_endpoint"] == {"ip": "192.0.2.7"}
    assert all(set(each) >= {"api", "resources", "data"} for each in rest)
    assert one["finding_info"]["related_events"] == [{"uid": "1" * 16}]
    assert one["start_time"] <= one["time"] == int(NOW.timestamp() * 1000)


def test_all_other_findings_are_checks_with_the_controls_that_they_relate_to(troubled: list[dict[str, Any]]) -> None:
    assert {rule.id for rule in load() if rule.id.startswith("data-")} == DETECTIONS
    one = by_rule(troubled)["sweep-incomplete"]
    assert (one["class_uid"], one["type_uid"], one["compliance"]["status"]) == (2003, 200301, "Fail")
    assert "NIST SP 800-53 Rev. 5" in one["compliance"]["standards"]
    assert "NIST SP 800-53 Rev. 5 CA-7" in one["compliance"]["requirements"]
    assert one["cloud"] == {"provider": "GCP"}


def test_a_waived_finding_is_suppressed_and_says_by_whom_and_its_controls_fail_all_the_same(
    troubled: list[dict[str, Any]],
) -> None:
    one = by_rule(troubled)["data-doomed"]
    assert (one["status_id"], one["status"], one["is_alert"]) == (3, "Suppressed", False)
    assert one["status_detail"].endswith("by security@acme.example, approved by ciso@acme.example: migration planned")
    (control,) = (each for each in of("control", troubled) if each["compliance"]["control"] == "MP-6")
    assert control["compliance"]["status"] == "Fail"
    assert WAIVER.owner in control["status_detail"]
    assert {"uid": one["finding_info"]["uid"]} in control["finding_info"]["related_events"]


def test_what_is_meant_is_no_alert_and_nobody_is_told_to_undo_it() -> None:
    events = of("finding", events_of(a_meant_judgement()))
    assert {one["remediation"]["desc"] for one in events} == {
        "Nothing, while the config says that this is so on purpose."
    }
    assert not any(one.get("is_alert") for one in events)


def test_what_is_over_is_closed_and_says_nothing_of_the_rest(troubled: list[dict[str, Any]]) -> None:
    one = by_rule(troubled)["wrong-key"]
    assert (one["type_uid"], one["status"], one["compliance"]["status"]) == (200303, "Resolved", "Resolved")
    assert one["compliance"]["status_id"] == 99


def test_a_gap_is_unknown_and_says_what_is_not_known(troubled: list[dict[str, Any]]) -> None:
    (one,) = of("gap", troubled)
    assert (one["severity"], one["compliance"]["status_id"], one["compliance"]["status"]) == ("Unknown", 0, "Unknown")
    assert one["compliance"]["status_code"] == "access_denied"
    assert one["resources"][0]["uid"] == GAP.what
    assert one["remediation"]["desc"] == GAP.hint
    assert one["unmapped"] == {"cmek_auditor": {"objects": 3}}


def test_the_first_event_tells_what_was_seen() -> None:
    first, well, empty = (
        events_of(one(), "gdpr")[0] for one in (a_troubled_judgement, a_judgement, an_empty_judgement)
    )
    assert [one["compliance"]["status"] for one in (first, well, empty)] == ["Unknown", "Seen", "Unknown"]
    told = first["unmapped"]["cmek_auditor"]["coverage"]["buckets"]
    assert [(one["bucket"], one["unresolved"]) for one in told] == [("s3://data", 0), ("gs://data", 1)]
    assert first["compliance"]["status_details"][0].endswith("1 gap")
    assert events_of(seen_by(a_judgement(), "acme"), "gdpr")[0]["compliance"]["status"] == "Unknown"


def test_only_what_was_evaluated_passes() -> None:
    for make in (a_troubled_judgement, an_empty_judgement, a_judgement):
        judgement = make()
        states = {
            (one.framework.title, each.control.id): each.state
            for one in found_in(judgement).frameworks
            for each in one.controls
        }
        for one in of("control", events_of(judgement)):
            told = one["compliance"]
            (standard,) = told["standards"]
            # What no rule judges is in no count, and unknown.
            state = states.get((standard, told["control"]), State.OPEN)
            assert (told["status_code"], told["status"]) == (state.value, CONTROL[state])
            if state is State.OPEN:
                assert one["severity"] == "Unknown"
    empty = Counter(one["compliance"]["status"] for one in of("control", events_of(an_empty_judgement())))
    assert empty["Pass"] == 0
    assert empty["Unknown"] > 150


CONTROL = {State.NONE: "Pass", State.EXCEPTION: "Fail", State.OPEN: "Unknown"}


def test_a_control_that_is_not_evaluated_says_why(troubled: list[dict[str, Any]]) -> None:
    (one,) = (each for each in of("control", troubled) if each["compliance"]["control"] == "3.7.7")
    assert one["compliance"]["status_code"] == "not evaluated"
    assert "gs://data: the encryption of 1 objects is not known" in one["compliance"]["status_details"]
    assert {each["uid"] for each in one["compliance"]["checks"]} == {"wrong-key"}


def test_one_framework_alone_is_told() -> None:
    told = of("control", events_of(a_troubled_judgement(), "gdpr"))
    assert {one["compliance"]["standards"][0] for one in told} == {"GDPR (EU) 2016/679"}
    assert len({one["compliance"]["control"] for one in told}) == 10


def test_the_same_judgement_is_the_same_bytes_and_a_later_one_keeps_the_ids() -> None:
    judgement = a_troubled_judgement()
    assert lines_of(judgement, "gdpr") == lines_of(judgement, "gdpr")
    later = events_of(replace(judgement, run=replace(judgement.run, id="poll-2")), "gdpr")
    now = events_of(judgement, "gdpr")
    assert [one["finding_info"]["uid"] for one in later] == [one["finding_info"]["uid"] for one in now]
    assert not {one["metadata"]["uid"] for one in later} & {one["metadata"]["uid"] for one in now}


def test_a_tenants_view_says_whose_it_is() -> None:
    told = events_of(seen_by(a_troubled_judgement(), "acme"), "gdpr")
    assert {one["metadata"]["tenant_uid"] for one in told} == {"acme"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_name_is_told_as_it_is_and_breaks_no_line(validate: Validate, name: str) -> None:
    out = io.StringIO()
    judgement, _ = a_hostile_judgement(name)
    ocsf.write(judgement, DEMANDS[:1], replace(found_of(name), frameworks=found_of(name).frameworks[:1]), out)
    text = out.getvalue()
    assert text.isascii()
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    events = [json.loads(line) for line in text.splitlines()]
    validate(events)
    assert of("gap", events)[0]["resources"][0]["uid"] == name
    (finding,) = of("finding", events)
    assert finding["unmapped"]["cmek_auditor"]["sample_namespaces"] == [name]


def test_of_a_control_with_many_exceptions_some_are_named_and_all_counted() -> None:
    judgement = a_troubled_judgement()
    (first,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    large = replace(judgement, findings=tuple(many(first, 300)))
    told = of("control", events_of(large, "nist-800-53-r5"))
    (one,) = (each for each in told if each["compliance"]["control"] == "SC-28")
    assert len(one["finding_info"]["related_events"]) == 50
    assert one["finding_info"]["related_events_count"] == 300


SUBJECTS = {
    "nobody's": (Subject(SubjectKind.WAIVER, "data-lost: key x"), None),
    "not named": (Subject(SubjectKind.KEY, "(not named here: 1)"), None),
    "a connection": (
        Subject(SubjectKind.EKM_CONNECTION, "projects/p/locations/l/ekmConnections/c"),
        {"provider": "GCP"},
    ),
}


@pytest.mark.parametrize(("subject", "cloud"), SUBJECTS.values(), ids=SUBJECTS)
def test_what_is_of_no_cloud_has_none(validate: Validate, subject: Subject, cloud: object) -> None:
    judgement = a_troubled_judgement()
    one: Finding = replace(judgement.findings[0], subject=subject, members=(), status=Status.OPEN)
    events = list(ocsf.events(replace(judgement, findings=(one,)), DEMANDS, found_in(judgement, "gdpr")))
    validate(events)
    assert of("finding", events)[0].get("cloud") == cloud


def shows(told: Any, shown: Any) -> bool:
    """Whether what the docs show, which is shortened, is in what is told."""
    if isinstance(shown, dict):
        return isinstance(told, dict) and all(name in told and shows(told[name], one) for name, one in shown.items())
    if isinstance(shown, list):
        return len(told) == len(shown) and all(shows(*each) for each in zip(told, shown, strict=True))
    return bool(told == shown)


def test_the_docs_show_what_is_told(troubled: list[dict[str, Any]]) -> None:
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]
    events = [one for one in examples if "class_uid" in one]
    assert len(events) == 2
    for shown in events:
        assert [one for one in troubled if shows(one, shown)], shown


def test_the_docs_have_the_same_table() -> None:
    for what, words in ocsf.labels().items():
        for ours, (number, theirs) in words.items():
            assert f"| {what} | {ours} | `{number}` {theirs} |" in DOCS
