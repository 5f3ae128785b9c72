"""The mapping as data: rules that exist, sources for what is told, and names that somebody can type."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from auditor.controls.catalogue import NOT_MAPPED, chosen, frameworks, parse
from auditor.controls.framework import Confidence, Framework
from auditor.errors import UsageError
from auditor.rules import load

LEVELS = ("low", "moderate", "high")
# What the mapping says, as it was decided: a change here is one that somebody means.
DECIDED = {
    ("nist-800-53-r5", "data-unreadable"): "CP-10 SC-12 SC-12(1) SC-28",
    ("nist-800-53-r5", "data-doomed"): "CM-3(6) CP-9 MP-6 SC-12(1)",
    ("iso-27001-2022", "data-lost"): "A.5.33 A.8.13 A.8.24",
    ("pci-dss-4.0.1", "wrong-key"): "3.7.7",
    ("soc2-2017", "probe-disagrees"): "A1.3 CC7.2",
    ("csa-ccm-v4", "retirable-version"): "CEK-14 CEK-21",
    ("bsi-c5-2025", "data-unreachable"): "CRY-18",
    ("cis-aws-5.0", "key-public"): "",
    ("cis-aws-5.0", "rotation-off"): "3.6",
    ("cis-aws-7.0", "key-public"): "2.21",
    ("cis-aws-7.0", "rotation-off"): "4.6",
    ("cis-gcp-4.0", "key-public"): "1.9",
    ("cis-gcp-5.0", "key-public"): "1.10",
    ("hipaa", "audit-log-off"): "164.308(a)(1)(ii)(D) 164.312(b)",
    ("gdpr", "retirable-version"): "Art. 5(1)(f) Art. 17",
    ("nis2-2024-2690", "data-doomed"): "9.2(c)(vii) 9.2(c)(viii) 9.2(c)(x)",
    ("dora", "material-expires"): "Art. 9 RTS 2024/1774 Art. 7",
    # KMS.1 and KMS.2 are about policies of IAM, which nobody reads here; KMS.3 is about what is scheduled for deletion.
    ("aws-fsbp", "grant-too-wide"): "",
    ("aws-fsbp", "key-public"): "KMS.5",
    ("aws-fsbp", "data-doomed"): "KMS.3",
    ("aws-fsbp", "data-unreadable"): "",
    ("finos-ccc-2025.10", "poll-stale"): "CCC.KeyMgmt.CN01",
}


def by_id() -> dict[str, Framework]:
    return {one.id: one for one in frameworks()}


def test_every_file_is_a_framework_of_its_own_name() -> None:
    names = [one.name for one in (files("auditor.controls") / "frameworks").iterdir()]
    assert sorted(names) == [f"{one.id}.json" for one in frameworks()]
    every = [name for one in frameworks() for name in (one.id, *one.also)]
    assert len(every) == len(set(every))


def test_every_rule_of_the_data_exists_and_every_rule_has_a_control_or_is_known_to_have_none() -> None:
    mapped = {rule for one in frameworks() for control in one.every for rule in control.rules}
    rules = {one.id for one in load()}
    assert mapped <= rules
    assert rules - mapped == NOT_MAPPED


def test_the_mapping_is_the_one_that_was_decided() -> None:
    told = {(name, rule): " ".join(one.id for one in by_id()[name].related(rule)) for name, rule in DECIDED}
    assert told == DECIDED


def test_what_is_told_was_seen_somewhere_and_says_where() -> None:
    kept = [(one.id, each.id) for one in frameworks() for each in one.every if each.confidence is Confidence.MEMORY]
    assert kept == [("csa-ccm-v4", "CEK-19"), ("hipaa", "164.316(b)(2)(i)")]
    for one in frameworks():
        assert all(each.source in one.sources for each in one.controls), one.id


def test_titles_are_short_words_of_ours_that_claim_nothing() -> None:
    for one in frameworks():
        for each in one.every:
            assert len(each.title) <= 70, (one.id, each.id)
            assert not re.search(r"compl(y|ian)|certif|shall|must", each.title, re.IGNORECASE), (one.id, each.id)


def test_a_baseline_has_what_a_lower_one_has() -> None:
    for each in by_id()["nist-800-53-r5"].every:
        for levels in each.baselines.values():
            assert levels == LEVELS[LEVELS.index(levels[0]) :], each.id
    assert by_id()["nist-800-53-r5"].also == ("fedramp-r5",)


def test_frameworks_are_chosen_by_their_names_in_whatever_order() -> None:
    assert [one.id for one in chosen(["soc2-2017", "hipaa", "soc2-2017"])] == ["hipaa", "soc2-2017"]
    assert [one.id for one in chosen(["fedramp-r5", "nist-800-53-r5"])] == ["nist-800-53-r5"]
    assert chosen([]) == frameworks()


ALIKE = {
    "nist-800-53": "nist-800-53-r5",
    "NIST-800-53-R5": "nist-800-53-r5",
    "pci-dss-4": "pci-dss-4.0.1",
    "pci": "pci-dss-4.0.1",
    "cis-gcp": "cis-gcp-4.0 or cis-gcp-5.0",
}


@pytest.mark.parametrize(("given", "meant"), ALIKE.items())
def test_a_name_that_there_is_not_leads_to_the_next_one_and_to_all(given: str, meant: str) -> None:
    with pytest.raises(UsageError) as told:
        chosen(["hipaa", given])
    assert str(told.value) == f"--framework {given!r} is none"
    hint = told.value.hint or ""
    assert hint.startswith(f"did you mean {meant}? frameworks are aws-fsbp, ")
    assert all(one.id in hint for one in frameworks())


def test_a_name_like_none_gets_the_list_alone() -> None:
    with pytest.raises(UsageError) as told:
        chosen(["zzzz"])
    assert (told.value.hint or "").startswith("frameworks are aws-fsbp")


WRONG: dict[str, dict[str, Any]] = {
    "an id twice": {"controls": [{}, {}]},
    "seen nowhere": {"controls": [{"source": None}]},
    "a source that the file does not name": {"controls": [{"source": "other"}]},
    "from memory, with a source": {"controls": [{"confidence": "memory"}]},
    "rules out of order": {"controls": [{"rules": ["data-lost", "data-doomed"]}]},
    "a rule twice": {"controls": [{"rules": ["data-lost", "data-lost"]}]},
    "no controls": {"controls": []},
    "another confidence": {"controls": [{"confidence": "sure"}]},
    "a level that there is not": {"controls": [{"baselines": {"nist": ["extreme"]}}]},
    "a field too many": {"text": "the framework's own words"},
    "no name for a command line": {"id": "X 1"},
}
CONTROL = {"id": "1", "title": "t", "rules": ["data-lost"], "confidence": "seen", "source": "s"}
FILE = {"id": "x-1", "name": "X", "version": "1", "publisher": "p", "sources": {"s": "w"}, "controls": [{}]}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_file_that_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    def text(more: dict[str, Any]) -> str:
        told: dict[str, Any] = {**FILE, **more}
        return json.dumps({**told, "controls": [{**CONTROL, **one} for one in told["controls"]]})

    assert parse(text({})).title == "X 1"
    with pytest.raises(ValueError):  # noqa: PT011 - the words are pydantic's
        parse(text(wrong))


def test_the_digest_changes_with_the_mapping() -> None:
    text = (files("auditor.controls") / "frameworks" / "hipaa.json").read_text()
    assert parse(text).digest == by_id()["hipaa"].digest != parse(text.replace("contingency", "emergency")).digest
