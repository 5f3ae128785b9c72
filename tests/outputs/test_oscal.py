"""`report --as oscal`: what it refers to is there, and only what was evaluated is satisfied or not.

tests/system/test_oscal.py validates the same documents by the models of compliance-trestle.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from auditor.controls.answer import State
from auditor.controls.catalogue import frameworks
from auditor.findings import Judgement
from auditor.outputs import oscal
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from tests.controls.judgements import a_judgement
from tests.hostile import NAMES
from tests.outputs.exported import (
    DEMANDS,
    GAP,
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
MANIFEST: Final = Manifest((("s3 data/2026.parquet", "0" * 64),), 3, "f" * 64)
_STRING: Final = re.compile(r"\S(.*\S)?")
_TOKEN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def text_of(judgement: Judgement, found: Found) -> str:
    out = io.StringIO()
    oscal.write(judgement, DEMANDS, found, MANIFEST, out)
    return out.getvalue()


def document_of(judgement: Judgement, *names: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text_of(judgement, found_in(judgement, *names)))["assessment-results"]
    return told


def a_hostile_document(name: str) -> str:
    found = found_of(name)
    return text_of(a_hostile_judgement(name)[0], replace(found, frameworks=found.frameworks[:1]))


def _written_of(judgement: Judgement) -> str:
    return text_of(judgement, found_in(judgement))


WRITTEN: Final[Mapping[str, Callable[[], str]]] = {
    "troubled": lambda: _written_of(a_troubled_judgement()),
    "well": lambda: _written_of(a_judgement()),
    "empty": lambda: _written_of(an_empty_judgement()),
    "tenant": lambda: _written_of(seen_by(a_troubled_judgement(), "acme")),
    **{name: partial(a_hostile_document, each) for name, each in NAMES.items()},
}
"""What is written of each judgement that is tried."""


def within(told: Any) -> Iterator[dict[str, Any]]:
    if isinstance(told, dict):
        yield told
    for one in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from within(one)


def check(told: dict[str, Any]) -> None:
    """What the format demands of every document, and its schema cannot say."""
    every = list(within(told))
    ids = [one["uuid"] for one in every if "uuid" in one]
    assert len(ids) == len(set(ids))
    named = {one[name] for one in every for name in one if name.endswith("-uuid")}
    named |= {one["href"][1:] for one in every if one.get("href", "").startswith("#")}
    assert named <= set(ids)
    objectives = {part["id"] for one in every for part in one.get("parts", [])}
    for one in every:
        assert [] not in one.values()
        assert "\n" not in one.get("title", "")
        if "value" in one:
            assert _STRING.fullmatch(one["value"])
        if "control-id" in one:
            assert _TOKEN.fullmatch(one["control-id"])
        if "target-id" in one and not re.match(r"[a-z]{2}-[0-9.]+_obj$", one["target-id"]):
            assert one["target-id"] in objectives


def result(told: dict[str, Any]) -> dict[str, Any]:
    (one,) = told["results"]
    found: dict[str, Any] = one
    return found


def of(kind: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in result(told)["observations"] if one["types"] == [kind]]


def props(one: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in one["props"]}


@pytest.fixture(scope="module")
def troubled() -> dict[str, Any]:
    return document_of(a_troubled_judgement())


@pytest.mark.parametrize("name", ["troubled", "well", "empty", "tenant", "unicode", "line break"])
def test_all_that_a_document_refers_to_is_in_it(name: str) -> None:
    check(json.loads(WRITTEN[name]())["assessment-results"])


@pytest.mark.parametrize("make", [a_troubled_judgement, a_judgement, an_empty_judgement])
def test_only_what_was_evaluated_is_in_a_finding(make: Any) -> None:
    judgement = make()
    told = result(document_of(judgement))
    states = {
        oscal.control_id(one.framework, each.control): each.state
        for one in found_in(judgement).frameworks
        for each in one.controls
    }
    findings = {one["target"]["target-id"].removesuffix("_obj"): one for one in told.get("findings", [])}
    assert {name: one["target"]["status"]["state"] for name, one in findings.items()} == {
        name: {State.NONE: "satisfied", State.EXCEPTION: "not-satisfied"}[state]
        for name, state in states.items()
        if state is not State.OPEN
    }
    selections = told["reviewed-controls"]["control-selections"]
    included, excluded = (
        {each["control-id"] for one in selections for each in one.get(f"{how}-controls", [])}
        for how in ("include", "exclude")
    )
    assert included == states.keys()
    assert excluded == {name for name, state in states.items() if state is State.OPEN}
    assert len([one for one in told["observations"] if one["types"] == ["not-evaluated"]]) == len(excluded)


def test_where_nothing_was_seen_there_is_no_finding_and_no_risk() -> None:
    text = WRITTEN["empty"]()
    told = json.loads(text)["assessment-results"]
    assert result(told).keys().isdisjoint({"findings", "risks"})
    assert "satisfied" not in text.replace(told["metadata"]["remarks"], "")
    (bucket,) = (one for one in of("coverage", told) if "subjects" in one)
    assert props(bucket)["complete"] == "false"


def test_what_is_not_evaluated_says_why(troubled: dict[str, Any]) -> None:
    (one,) = (each for each in of("not-evaluated", troubled) if props(each)["control"] == "3.7.7")
    assert "gs://data: the encryption of 1 objects is not known" in one["description"]
    assert one["title"] == "not evaluated: PCI DSS 4.0.1 3.7.7"
    (selection,) = (
        each
        for each in result(troubled)["reviewed-controls"]["control-selections"]
        if each["description"] == "PCI DSS 4.0.1"
    )
    assert "Not evaluated, and so excluded: " in selection["remarks"]
    assert " 3.7.7" in selection["remarks"].partition("Near, and judged by no rule: ")[0]
    assert "3.6.1, " in selection["remarks"]


def test_a_gap_is_an_observation_with_its_reason(troubled: dict[str, Any]) -> None:
    (one,) = of("gap", troubled)
    assert (one["description"], one["remarks"]) == (GAP.effect, GAP.hint)
    assert props(one) == {"what": GAP.what, "reason": "access_denied", "objects": "3"}
    assert props(result(troubled))["gaps"] == "1"


def test_each_finding_is_an_observation_and_a_risk(troubled: dict[str, Any]) -> None:
    risks = {props(one)["rule"]: one for one in result(troubled)["risks"]}
    assert {name: one["status"] for name, one in risks.items() if one["status"] != "open"} == {
        "data-doomed": "deviation-approved",
        "wrong-key": "closed",
    }
    doomed = risks["data-doomed"]
    assert doomed["description"].endswith("by security@acme.example, approved by ciso@acme.example: migration planned")
    assert doomed["deadline"] == "2026-12-03T12:00:00Z"
    assert [one["title"] for one in doomed["remediations"]] == ["Remedy", "Undo", "Undo"]
    observed = {props(one)["rule"]: one for one in (*of("finding", troubled), *of("historic", troubled))}
    assert observed.keys() == risks.keys()
    assert observed["wrong-key"]["types"] == ["historic"]
    evidence = observed["data-unreadable"]["relevant-evidence"]
    assert evidence[0]["description"] == "DisableKey by arn:aws:iam::1:user/eve, as the audit log tells"


def test_of_what_is_meant_nobody_is_told_to_undo_it() -> None:
    risks = result(document_of(a_meant_judgement()))["risks"]
    assert {each["description"] for one in risks for each in one["remediations"]} == {
        "Nothing, while the config says that this is so on purpose."
    }


def test_of_a_rule_that_nobody_knows_any_more_no_empty_list_is_told() -> None:
    judgement, out = a_meant_judgement(), io.StringIO()
    unknown = replace(judgement, findings=tuple(replace(one, meant=False) for one in judgement.findings))
    oscal.write(unknown, (), found_in(unknown), MANIFEST, out)
    check(json.loads(out.getvalue())["assessment-results"])


def test_a_waived_exception_is_not_satisfied_and_says_by_whom(troubled: dict[str, Any]) -> None:
    (one,) = (each for each in result(troubled)["findings"] if props(each)["control"] == "MP-6")
    assert one["target"]["status"] == {"state": "not-satisfied", "reason": "fail", "remarks": "exception found"}
    assert one["target"]["target-id"] == "mp-6_obj"
    assert "security@acme.example" in one["remarks"]


def test_controls_of_nist_have_its_own_ids_and_all_others_one_of_their_framework() -> None:
    every = [(one, control, oscal.control_id(one, control)) for one in frameworks() for control in one.controls]
    assert len({name for *_, name in every}) == len(every)
    by_id = {(one.id, control.id): name for one, control, name in every}
    assert by_id["nist-800-53-r5", "SC-12(1)"] == "sc-12.1"
    assert by_id["pci-dss-4.0.1", "3.7.7"] == "pci-dss-4.0.1_3.7.7"
    assert by_id["hipaa", "164.308(a)(7)(ii)(B)"] == "hipaa_164.308_a_7_ii_B"


def test_the_same_judgement_is_the_same_bytes_and_a_later_one_keeps_the_ids() -> None:
    judgement = a_troubled_judgement()
    found = found_in(judgement, "gdpr")
    assert text_of(judgement, found) == text_of(judgement, found)
    now, later = (
        document_of(each, "gdpr") for each in (judgement, replace(judgement, run=replace(judgement.run, id="poll-2")))
    )
    assert now["uuid"] != later["uuid"]
    for name in ("observations", "risks", "findings"):
        assert [one["uuid"] for one in result(now)[name]] == [one["uuid"] for one in result(later)[name]]


def test_a_tenants_document_has_ids_of_its_own_and_says_whose_it_is(troubled: dict[str, Any]) -> None:
    told = document_of(seen_by(a_troubled_judgement(), "acme"))
    assert props(result(told))["tenant"] == "acme"
    assert told["metadata"]["title"].endswith(", view of tenant acme")
    ids, others = ({one["uuid"] for one in within(each) if "uuid" in one} for each in (told, troubled))
    assert not ids & others


def test_of_a_control_with_many_exceptions_some_are_named_and_the_rest_counted() -> None:
    judgement = a_troubled_judgement()
    (first,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    told = document_of(replace(judgement, findings=tuple(many(first, 60))), "nist-800-53-r5")
    (one,) = (each for each in result(told)["findings"] if props(each)["control"] == "SC-28")
    assert len(one["related-observations"]) == len(one["related-risks"]) == 50
    assert one["remarks"].startswith("10 more observations are not named here")


MARKUP = {
    "<b>": r"\<b\>",
    "[a](javascript:x)": r"\[a\](javascript:x)",
    "a*b*_c_ d_e": r"a\*b\*\_c\_ d_e",
    "# head": r"\# head",
    "1. one": r"1\. one",
    "- one": r"\- one",
    "a\nb": r"a\\nb",
    "{{ insert: param, x }}": r"\{\{ insert: param, x \}\}",
    "&amp; `code`": r"\&amp; \`code\`",
    "\x1b[31m": r"\\x1b\[31m",
}


@pytest.mark.parametrize(("name", "told"), MARKUP.items(), ids=range(len(MARKUP)))
def test_no_name_is_markup(name: str, told: str) -> None:
    document = json.loads(a_hostile_document(name))["assessment-results"]
    check(document)
    (gap,) = of("gap", document)
    assert gap["description"] == told


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_stands_in_a_property_as_it_is_but_for_what_cannot_be_seen(name: str) -> None:
    text = a_hostile_document(name)
    assert text.isascii()
    (gap,) = of("gap", json.loads(text)["assessment-results"])
    if name.isprintable():
        assert props(gap)["what"] == name
    assert props(gap)["what"].isprintable()


@pytest.mark.parametrize(
    ("name", "told"), [(" a  ", r"\x20a \x20"), ("", '""'), (" ", r"\x20"), ("\n", r"\n"), ("a b", "a b")]
)
def test_space_around_a_name_is_shown(name: str, told: str) -> None:
    (gap,) = of("gap", json.loads(a_hostile_document(name or "x"))["assessment-results"])
    assert (props(gap)["what"] if name else oscal._string(name)) == told  # noqa: SLF001 - nothing is called so


def test_the_docs_show_what_is_told(troubled: dict[str, Any]) -> None:
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)]
    findings = [one for one in examples if "target" in one]
    assert len(findings) == 1
    for shown in findings:
        assert [one for one in result(troubled)["findings"] if shows(one, shown)], shown


def test_the_docs_have_the_same_tables() -> None:
    for state, (told, _) in oscal.STATES.items():
        assert f"| control | {state.value} | `{told}` |" in DOCS
    for status, told in oscal.RISKS.items():
        assert f"| risk | {status.value} | `{told}` |" in DOCS
