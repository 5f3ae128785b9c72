"""What a custom key store that fails one of its keys leaves known of the data under its others."""

from dataclasses import replace
from typing import Any

import pytest

from auditor.findings import Assessed, Assessment, Basis, Readability, Subject, SubjectKind
from auditor.model import CustomKeyStore, Encryption, Evidence, KeyName
from auditor.readability import KeyView, beside_their_neighbours
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days, remembered

STORE = CustomKeyStore("cks-1", "CONNECTED")
OTHER = KeyName(AWS_KEY.text[:-1] + "f")
SUBJECT = Subject(SubjectKind.KEY_STORE, f"{AWS_KEY.owner}/{AWS_KEY.location}/cks-1")
KEY = Subject(SubjectKind.KEY, OTHER.text)
TOLD = Evidence("kms:DescribeKey", "a key", NOW, None, "0" * 64)
TRIED = Evidence("s3:GetObject", "a key", NOW, None, "1" * 64)
PROOF = Assessment(Readability.UNREACHABLE, Basis.PROBE, "it does not do its work", SUBJECT, evidence=(TRIED,))
BY_STATE = Assessment(Readability.READABLE, Basis.STATE, "is Enabled", KEY, evidence=(TOLD,))


def beside(proof: Assessment, other: Assessment, **more: Any) -> Assessment:
    """What becomes of data under another key beside a failing one."""
    failing = Assessed(a_holding(AWS_KEY), Encryption.CMEK, proof)
    neighbour = Assessed(a_holding(OTHER), Encryption.CMEK, other)
    key = an_aws_key(name=OTHER, **{"store": STORE, **more})
    views = {
        AWS_KEY: KeyView(AWS_KEY, an_aws_key(store=STORE), None),
        OTHER: KeyView(OTHER, None, remembered(key)),
    }
    same, found = beside_their_neighbours((failing, neighbour), views)
    assert same == failing, "what is proven stays as it is"
    return found.assessment


@pytest.mark.parametrize("basis", [Basis.STATE, Basis.POLICY])
def test_what_only_a_state_calls_readable_is_unknown_beside_a_key_that_the_store_fails(basis: Basis) -> None:
    found = beside(PROOF, replace(BY_STATE, basis=basis))
    assert (found.readability, found.basis, found.subject) == (Readability.UNKNOWN, Basis.STATE, SUBJECT)
    assert found.cause == "whether the other keys of the store work is not known: it does not do its work"
    assert found.evidence == (TOLD, TRIED)


def test_a_date_stays_that_the_key_has_of_its_own() -> None:
    date = NOW + days(2)
    found = beside(PROOF, replace(BY_STATE, readability=Readability.EXPIRING, final_at=date))
    assert (found.readability, found.final_at) == (Readability.UNKNOWN, date)
    assert found.shadowed == ((KEY, Readability.EXPIRING),)


@pytest.mark.parametrize(
    ("proof", "other", "more"),
    [
        (PROOF, replace(BY_STATE, basis=Basis.PROBE), {}),
        (PROOF, replace(BY_STATE, readability=Readability.UNREADABLE), {}),
        (PROOF, BY_STATE, {"store": CustomKeyStore("cks-2", "CONNECTED")}),
        (PROOF, BY_STATE, {"store": None}),
        (replace(PROOF, basis=Basis.STATE), BY_STATE, {}),
        (replace(PROOF, subject=Subject(SubjectKind.KEY, AWS_KEY.text)), BY_STATE, {}),
    ],
    ids=["was read itself", "is worse itself", "another store", "no store", "the store tells it", "the key alone"],
)
def test_other_data_is_judged_by_itself(proof: Assessment, other: Assessment, more: dict[str, Any]) -> None:
    assert beside(proof, other, **more) == other


def test_data_under_no_key_and_on_google_cloud_is_left_alone() -> None:
    every = (
        Assessed(a_holding(AWS_KEY), Encryption.CMEK, PROOF),
        Assessed(a_holding(None, encryption=Encryption.NONE), Encryption.NONE, BY_STATE),
        Assessed(a_holding(GCP_KEY, "1"), Encryption.CMEK, BY_STATE),
        Assessed(a_holding(OTHER), Encryption.CMEK, BY_STATE),
    )
    views = {
        AWS_KEY: KeyView(AWS_KEY, an_aws_key(store=STORE), None),
        GCP_KEY: KeyView(GCP_KEY, a_gcp_key(a_version()), None),
        OTHER: KeyView(OTHER, None, None),
    }
    assert tuple(beside_their_neighbours(every, views)) == every
