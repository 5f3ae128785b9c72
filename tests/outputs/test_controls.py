"""What reports, tables and JSON tell of controls: three words, whoever answers for what, and nothing from memory."""

import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest
from rich.console import Console

from auditor.controls.answer import State
from auditor.controls.catalogue import chosen, frameworks
from auditor.controls.framework import Confidence
from auditor.controls.standing import of_rules, standings
from auditor.findings import Judgement, Status
from auditor.outputs import controls, controls_json, html, scan_json, terminal
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from auditor.rules import load
from auditor.waiver import GivenWaiver, Waiver
from tests.controls.judgements import READ, a_judgement
from tests.core_builders import AWS_KEY, NOW, a_holding, an_aws_key, days
from tests.outputs.test_hostile import Rows, a_waiver, found_of
from tests.test_engine import a_bucket

DEMANDS = {rule.id: rule.demand for rule in load()}
MEMORY = [control.id for one in frameworks() for control in one.every if control.confidence is Confidence.MEMORY]


class Words(HTMLParser):
    """The text of each section, with one space between words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self._in = ""
        self.feed(page.partition("</style>")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._in = dict(attrs)["aria-labelledby"] or ""

    def handle_data(self, data: str) -> None:
        self.sections[self._in] = " ".join(f"{self.sections.get(self._in, '')} {data}".split())


def found_in(judgement: Judgement, *names: str) -> Found:
    told = standings(judgement, load(), chosen(names))
    return Found(told, of_rules(judgement, load()), asked=bool(names))


def page_of(judgement: Judgement, *names: str) -> str:
    rows = Rows("x", a_holding())
    demands = tuple(DEMANDS.values())
    return html.render(judgement, rows, demands, Manifest((), 1, "0" * 64), NOW, found=found_in(judgement, *names))


def document_of(judgement: Judgement, *names: str) -> dict[str, object]:
    out = io.StringIO()
    scan_json.write(judgement, Rows("x", a_holding()), out, found_in(judgement, *names).frameworks)
    told: dict[str, object] = json.loads(out.getvalue())
    jsonschema.Draft202012Validator(scan_json.schema()).validate(told)
    return told


def printed(what: object) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(what)
    return out.getvalue()


def a_waived_judgement() -> Judgement:
    judgement = a_judgement(keys={AWS_KEY: (an_aws_key("Disabled", **READ), None)})
    (one,) = (each for each in judgement.findings if each.rule == "data-unreadable")
    rest = tuple(each for each in judgement.findings if each is not one)
    waiver = Waiver(
        "data-unreadable", NOW + days(30), "security@acme.example", "ciso@acme.example", "migration planned"
    )
    given = (GivenWaiver(waiver, covers=(one.id,)),)
    return replace(judgement, findings=(*rest, replace(one, status=Status.WAIVED)), waivers=given)


def test_nothing_from_memory_is_in_any_output() -> None:
    assert len(MEMORY) == 2
    judgement = a_waived_judgement()
    told = [page_of(judgement), json.dumps(document_of(judgement))]
    told += [page_of(judgement, one.id) for one in frameworks()]
    told += [json.dumps(controls_json.related(rule, frameworks())) for rule in DEMANDS]
    related = {rule: [(one, found) for one in frameworks() if (found := one.related(rule))] for rule in DEMANDS}
    told += [printed(terminal.explain_rule(demand, related[rule])) for rule, demand in DEMANDS.items()]
    told.append(printed(terminal.rules((demand, related[rule]) for rule, demand in DEMANDS.items())))
    for name in MEMORY:
        assert not any(name in one for one in told), name


def test_the_report_tells_each_framework_in_one_line_and_its_controls_below() -> None:
    judgement = a_judgement(keys={AWS_KEY: (an_aws_key("Disabled", **READ), None)})
    text = Words(page_of(judgement)).sections["controls"]
    for one, standing in zip(frameworks(), found_in(judgement).frameworks, strict=True):
        counts = " ".join(f"{state} {standing.count(state)}" for state in (State.EXCEPTION, State.OPEN, State.NONE))
        assert f"{one.title} {counts}" in text
        assert all(f"{each.id} {each.title}" in text for each in one.controls)
    assert "A.5.30 IT is ready for disruptions NIST" not in text
    assert "SC-28 Stored data is protected NIST from moderate, FedRAMP from low exception found" in text
    assert "exception found by: data-unreadable (1)" in text
    assert "compliant" not in page_of(judgement)


def test_a_report_that_was_asked_for_one_framework_tells_it_whole_and_no_other() -> None:
    page = page_of(a_judgement(buckets=(a_bucket(resolved=9, unresolved=1),)), "cis-aws-7.0")
    text = Words(page).sections["controls"]
    assert "CIS Amazon Web Services Foundations Benchmark 7.0.0" in text
    assert "NIST SP 800-53 Rev. 5 exception found" not in text
    assert "of what is on AWS" in text
    assert "What its rules found" in text
    assert "the encryption of 1 objects is not known" in text
    assert "data-doomed No data depends on a key that is scheduled for destruction" in text
    assert "not everything was seen: Controls tells what was not" in text
    assert "<details" not in page.partition('id="controls"')[2].partition('id="waivers"')[0]


def test_a_waived_exception_says_until_when_by_whom_and_why() -> None:
    judgement = a_waived_judgement()
    text = Words(page_of(judgement)).sections["controls"]
    waived = "1 exception of data-unreadable waived until 2026-12-24 (UTC, that day included) by security@acme.example"
    assert f"{waived}, approved by ciso@acme.example: migration planned" in text
    found = next(one for one in document_of(judgement, "gdpr")["controls"] if one)  # type: ignore[attr-defined] # read back from JSON
    (rule,) = (one for one in found["rules"] if one["rule"] == "data-unreadable")
    assert (rule["state"], rule["exceptions"], rule["waived"]) == ("exception found", 0, 1)
    (given,) = rule["waivers"]
    assert given == {
        "until": "2026-12-24T12:00:00Z",
        "owner": "security@acme.example",
        "approved_by": "ciso@acme.example",
        "reason": "migration planned",
        "exceptions": 1,
    }


def test_of_many_waivers_the_first_are_told_and_the_others_counted() -> None:
    standing = found_of("x").rules["data-lost"]
    many = tuple(replace(standing.excused[0], waivers=(a_waiver(f"owner-{number}"),)) for number in range(5))
    found = found_of("x", dict.fromkeys(DEMANDS, replace(standing, excused=many)))
    rows = [row for one in controls.view(found, DEMANDS).frameworks for row in one.controls]
    (row,) = (row for row in rows if row.id == "3.7.7")
    assert (len(row.waived), row.waived_left_out) == (3, 2)


def test_the_table_of_rules_says_the_same_as_the_controls() -> None:
    judgement = a_judgement(buckets=(a_bucket(resolved=9, unresolved=1),))
    rows = {one.id: one for one in controls.rule_rows(of_rules(judgement, load()).values(), DEMANDS)}
    assert (rows["sweep-incomplete"].outcome, rows["sweep-incomplete"].tone) == ("exception found", "bad")
    assert (rows["data-lost"].outcome, rows["data-lost"].notes) == ("not evaluated", (controls.UNSEEN,))
    assert rows["sweep-stale"].outcome == "no exception found"
    well = {one.id: one for one in controls.rule_rows(of_rules(a_judgement(), load()).values(), DEMANDS)}
    assert (well["material-expires"].outcome, well["material-expires"].notes) == ("not evaluated", (controls.IDLE,))
    assert (well["data-lost"].outcome, well["data-lost"].notes, well["data-lost"].passed) == (
        "no exception found",
        (),
        "1",
    )


def test_json_of_a_report_has_every_control_with_its_rules_and_a_scan_has_none() -> None:
    told = document_of(a_judgement(), "nist-800-53-r5", "aws-fsbp")["controls"]
    assert isinstance(told, list)
    assert [one["framework"] for one in told] == ["aws-fsbp", "nist-800-53-r5"]
    for one in told:
        rules = {rule["rule"] for rule in one["rules"]}
        assert all(set(each["rules"]) <= rules for each in one["controls"])
        assert sum(one["counts"].values()) == len(one["controls"])
    fsbp = {one["id"]: one for one in told[0]["controls"]}
    assert (fsbp["KMS.5"]["state"], fsbp["KMS.3"]["state"]) == ("not evaluated", "no exception found")
    assert {one["id"] for one in told[0]["judged_by_no_rule"]} == {
        *("CloudTrail.2", "CloudTrail.4", "KMS.1", "KMS.2", "S3.14", "S3.15")
    }
    out = io.StringIO()
    scan_json.write(a_judgement(), Rows("x", a_holding()), out)
    assert "controls" not in json.loads(out.getvalue())


def test_a_rule_tells_the_controls_that_it_relates_to() -> None:
    related = [(one, found) for one in frameworks() if (found := one.related("wrong-key"))]
    text = printed(terminal.explain_rule(DEMANDS["wrong-key"], related))
    assert "PCI DSS 4.0.1 (pci-dss-4.0.1)" in text
    assert "3.7.7  Keys cannot be swapped without authority" in text
    assert "It relates to no control of a framework." in printed(terminal.explain_rule(DEMANDS["waiver-ending"]))
    assert "pci-dss-4.0.1 3.7.7;" in printed(terminal.rules([(DEMANDS["wrong-key"], related)]))


@pytest.mark.parametrize("asked", [False, True])
def test_the_section_has_the_same_tags_whatever_the_names(asked: bool) -> None:  # noqa: FBT001 - a case
    plain, hostile = (
        html.render(
            a_judgement(), Rows("x", a_holding()), (), Manifest((), 1, ""), NOW, found=found_of(name, asked=asked)
        )
        for name in ("harmless", "<script>alert(1)</script>\x1b\u202e")
    )
    assert plain.count("<") == hostile.count("<")
    assert hostile.count("<script") == 1
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile
