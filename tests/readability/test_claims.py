"""Which versions of a key data may be under, where a registry alone says that it is under the key."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.findings import Basis, Confidence, Readability, SubjectKind
from auditor.model import AwsKey, Evidence, GcpKey, Holding, KeyMemory
from auditor.policy import Policy
from auditor.readability.assess import KeyView, assess
from auditor.readability.claim import Claim, as_told, assess_claim, versions_of
from tests.core_builders import NOW, a_gcp_key, a_holding, a_version, an_aws_key, remembered


def under(key: GcpKey, memory: KeyMemory | None = None) -> list[str]:
    return list(versions_of(KeyView(key.name, key, memory)))


def test_every_version_that_is_not_there_any_more_may_hold_data() -> None:
    key = a_gcp_key(a_version("2"), a_version("4"))
    assert under(key) == ["2", "4", "1", "3"]
    assert under(key, remembered(key, highest_version=6)) == ["2", "4", "1", "3", "5", "6"]


def test_a_number_that_no_key_ever_reaches_is_not_counted_up_to() -> None:
    found = under(a_gcp_key(a_version("1"), a_version("9" * 18)))
    assert (len(found), found[:4]) == (10_002, ["1", "9" * 18, "2", "3"])


@pytest.mark.parametrize("state", ["PENDING_GENERATION", "PENDING_IMPORT", "GENERATION_FAILED", "IMPORT_FAILED"])
def test_a_version_that_was_just_made_and_has_no_material_yet_holds_no_data(state: str) -> None:
    key = a_gcp_key(a_version("1"), a_version("2", state), primary="1")
    assert under(key) == ["1"]
    assert under(key, remembered(key, told={"version 1": "'ENABLED'"})) == ["1"]
    assert under(key, remembered(key, told={"version 1": "'ENABLED'", "version 2": repr(state)})) == ["1"]


@pytest.mark.parametrize("state", ["PENDING_IMPORT", "IMPORT_FAILED"])
def test_a_version_whose_material_is_imported_again_may_hold_data(state: str) -> None:
    key = a_gcp_key(a_version("1"), a_version("2", state), primary="1")
    assert under(key, remembered(key, told={"version 2": "'DESTROYED'"})) == ["1", "2"], "it is so since this poll"
    asked_before = remembered(key, told={"version 2": repr(state)}, changed={"version 2": NOW})
    assert under(key, asked_before) == ["1", "2"], "it was so at the poll before"
    imported = a_gcp_key(a_version("1"), a_version("2", state, imported=NOW), primary="1")
    assert under(imported) == ["1", "2"], "the service tells"
    assert under(replace(key, primary="2")) == ["1", "2"], "writes go to it"


READ = Evidence("cloudkms", "GetCryptoKey", NOW, None, "d" * 64)
SAID = Evidence("registry", "namespaces.csv", NOW, None, "e" * 64)


def claimed(key: GcpKey | AwsKey, *, said: tuple[Evidence, ...] = (SAID,)) -> tuple[Holding, Claim]:
    holding = a_holding(key.name, objects=None, size=None)
    return holding, assess_claim(holding, KeyView(key.name, key, None), (), Policy(), NOW, said=said)


def bars(claim: Claim) -> list[tuple[str, Readability, bool]]:
    return [(one.subject.id.rpartition("/")[2], one.readability, possible) for one, possible in claim.bars]


@pytest.mark.parametrize(
    ("key", "readability"),
    [
        (an_aws_key(), Readability.READABLE),
        (an_aws_key("Disabled"), Readability.UNREADABLE),
        (a_gcp_key(a_version("1", "PENDING_GENERATION")), Readability.UNKNOWN),
    ],
    ids=["on", "off", "no version that may hold data"],
)
def test_where_versions_play_no_part_the_key_itself_is_what_is_judged(
    key: GcpKey | AwsKey, readability: Readability
) -> None:
    holding, claim = claimed(key)
    assert claim.assessed.holding == holding
    assert claim.bars == ((claim.assessed.assessment, False),), "no mere possibility"
    told = claim.assessed.assessment
    assert (told.readability, told.basis, told.confidence) == (readability, Basis.REGISTRY, Confidence.INFERRED)
    assert told.evidence[-1] == SAID
    assert "that data is under it a registry says" in told.cause


def test_of_versions_that_all_work_nothing_bars_anything() -> None:
    holding, claim = claimed(a_gcp_key(a_version("1"), a_version("2"), primary="2"))
    told = claim.assessed.assessment
    assert claim.assessed.holding == holding, "no version is named"
    assert (told.readability, told.subject.id.rpartition("/")[2]) == (Readability.READABLE, "2")
    assert claim.bars == ((told, False),)


def test_an_older_version_that_is_off_may_bar_it_and_the_primary_one_does() -> None:
    _, claim = claimed(a_gcp_key(a_version("1", "DISABLED"), a_version("2"), primary="2"))
    assert bars(claim) == [("1", Readability.UNREADABLE, True)]
    assert claim.assessed.assessment.readability is Readability.UNKNOWN
    _, claim = claimed(a_gcp_key(a_version("1"), a_version("2", "DISABLED"), primary="2"))
    assert bars(claim) == [("2", Readability.UNREADABLE, False)]


def test_of_versions_that_are_all_off_the_primary_one_speaks_and_without_one_the_first_that_is_worst() -> None:
    off = a_version("1", "DISABLED"), a_version("2", "DISABLED"), a_version("3", "DISABLED")
    _, claim = claimed(a_gcp_key(*off, primary="2"))
    assert claim.assessed.assessment.subject.id.rpartition("/")[2] == "2"
    assert bars(claim) == [
        ("1", Readability.UNREADABLE, True),
        ("2", Readability.UNREADABLE, False),
        ("3", Readability.UNREADABLE, True),
    ]
    _, claim = claimed(a_gcp_key(*off, primary=None))
    assert claim.assessed.assessment.readability is Readability.UNREADABLE
    assert all(possible for _, _, possible in bars(claim))


def test_a_key_without_versions_has_none_that_data_may_be_under() -> None:
    assert under(replace(a_gcp_key(), versions=())) == []


def test_whether_the_data_is_under_the_primary_version_or_was_once_written_under_another_is_told() -> None:
    off = a_version("1", "DISABLED"), a_version("2", "DISABLED")
    _, claim = claimed(a_gcp_key(*off, primary="2"))
    old, primary = (one.cause for one, _ in claim.bars)
    assert "what was written while version 1 was the primary one is under it" in old
    assert primary.endswith("that data is under it a registry says, and nobody saw the objects")


def test_where_versions_differ_the_key_is_unknown_by_inference_with_the_first_date_and_all_that_says_so() -> None:
    soon, late = NOW + timedelta(days=3), NOW + timedelta(days=9)
    key = a_gcp_key(
        a_version("1"),
        a_version("2", "DESTROY_SCHEDULED", destroy_time=late),
        a_version("3", "DESTROY_SCHEDULED", destroy_time=soon),
        primary="1",
        evidence=(READ,),
    )
    _, claim = claimed(key)
    told = claim.assessed.assessment
    assert (told.readability, told.confidence, told.final_at) == (Readability.UNKNOWN, Confidence.INFERRED, soon)
    assert (told.subject.kind, told.subject.id) == (SubjectKind.KEY, key.name.text)
    assert "(version 2 is DESTROY_SCHEDULED, 3 is DESTROY_SCHEDULED)" in told.cause
    assert told.evidence == (READ, SAID)
    assert all(one.evidence == (READ, SAID) for one, _ in claim.bars)


def test_a_bundles_word_adds_to_what_the_key_says_and_takes_nothing_from_it() -> None:
    key = a_gcp_key(a_version("1", "DISABLED"), evidence=(READ,))
    known = assess(a_holding(key.name, "1"), KeyView(key.name, key, None), (), Policy(), NOW)
    told = as_told(known, (SAID,)).assessment
    assert (told.evidence, told.basis) == ((READ, SAID), Basis.BUNDLE)
    assert told.cause.startswith(known.assessment.cause)
