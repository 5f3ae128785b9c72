"""A read that passed speaks against a revocation until the very same is refused, or what decides over it changed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor.findings import Assessed, Assessment, Basis, Confidence, Readability, Subject, SubjectKind
from auditor.model import Encryption, Evidence, KeyMemory, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.questions.prove_revoked.refuting import old_refusals, reads_since, replicas, silence
from tests.core_builders import AGENT, GCP_KEY, NOW, a_gcp_key, a_holding, remembered

MINUTES = timedelta(minutes=1)
OTHER_AGENT = "service-222@gs-project-accounts.iam.gserviceaccount.com"
EVIDENCE = Evidence("storage.objects.get", "gs://data", NOW, "", "d" * 64)
PASSED = Probe("gs://data", GCP_KEY.text, "1", ProbeKind.READ, NOW, ProbeOutcome.PASSED, "ok", AGENT)
REFUSED = replace(PASSED, outcome=ProbeOutcome.REFUSED, code="HTTP 403", evidence=(EVIDENCE,))


def changed(fact: str, at: datetime) -> KeyMemory:
    return remembered(a_gcp_key(), changed={fact: at})


def found(*probes: Probe, memory: KeyMemory | None = None) -> list[str]:
    return list(reads_since(probes, memory))


def test_a_read_that_passed_speaks_against_it_whether_the_key_is_remembered_or_not() -> None:
    told = ["a read in gs://data passed at 2026-11-24 12:00:00 UTC, and none like it was refused since"]
    assert found(PASSED) == found(PASSED, memory=remembered(a_gcp_key())) == told


@pytest.mark.parametrize(
    "probe",
    [REFUSED, replace(PASSED, outcome=ProbeOutcome.INCONCLUSIVE), replace(PASSED, kind=ProbeKind.DRY_RUN)],
    ids=str,
)
def test_what_is_no_read_that_passed_says_nothing(probe: Probe) -> None:
    assert found(probe) == []


@pytest.mark.parametrize(
    ("otherwise", "is_over"),
    [
        ({}, True),
        ({"at": NOW - MINUTES}, False),
        ({"bucket": "gs://other"}, False),
        ({"key_version": "2"}, False),
        ({"key_version": None}, False),
        ({"kind": ProbeKind.DRY_RUN}, False),
        ({"principal": OTHER_AGENT}, False),
        ({"principal": None}, False),
        ({"outcome": ProbeOutcome.INCONCLUSIVE}, False),
    ],
)
def test_the_very_same_read_refused_later_ends_it_and_no_other(otherwise: dict[str, Any], *, is_over: bool) -> None:
    later = replace(REFUSED, **{"at": NOW + MINUTES, **otherwise})
    probes = sorted((PASSED, later), key=lambda one: one.at)
    assert (found(*probes) == []) is is_over


def test_of_several_refusals_the_first_behind_it_is_enough() -> None:
    away = replace(REFUSED, bucket="gs://other")
    assert found(PASSED, replace(REFUSED, at=NOW + MINUTES)) == []
    assert found(PASSED, replace(REFUSED, at=NOW + MINUTES), replace(away, at=NOW + 2 * MINUTES)) == []
    assert len(found(PASSED, replace(REFUSED, at=NOW + MINUTES), replace(PASSED, at=NOW + 2 * MINUTES))) == 1


@pytest.mark.parametrize(
    ("fact", "after", "is_over"),
    [
        ("version 1", timedelta(minutes=2), True),
        ("version 1", timedelta(minutes=1), False),
        ("version 1", timedelta(0), False),
        ("version 1", -timedelta(minutes=2), False),
        ("version 2", timedelta(minutes=2), False),
        ("key", timedelta(minutes=2), True),
        (f"right {AGENT}", timedelta(minutes=2), True),
        (f"right {OTHER_AGENT}", timedelta(minutes=2), False),
    ],
)
def test_a_change_of_what_decides_over_it_more_than_a_minute_later_ends_it(
    fact: str, after: timedelta, *, is_over: bool
) -> None:
    assert (found(PASSED, memory=changed(fact, NOW + after)) == []) is is_over


def test_whose_read_it_was_is_not_known_no_change_of_a_right_ends_it() -> None:
    assert len(found(replace(PASSED, principal=None), memory=changed(f"right {AGENT}", NOW + 2 * MINUTES))) == 1


@pytest.mark.parametrize(
    ("memory", "speaks"),
    [
        (None, False),
        (remembered(a_gcp_key(), age=timedelta(0)), False),
        (remembered(a_gcp_key()), True),
        (remembered(a_gcp_key(), missing_since=NOW), False),
    ],
)
def test_a_key_that_said_nothing_now_says_nothing_of_now(memory: KeyMemory | None, *, speaks: bool) -> None:
    assert bool(list(silence(memory, NOW))) is speaks


def dead(basis: Basis = Basis.PROBE, readability: Readability = Readability.UNREADABLE) -> Assessed:
    subject = Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1")
    told = Assessment(readability, basis, "refused", subject, Confidence.PROVEN, evidence=(EVIDENCE,))
    return Assessed(a_holding(GCP_KEY, "1"), Encryption.CMEK, told)


@pytest.mark.parametrize(
    ("one", "probe", "speaks"),
    [
        (dead(), REFUSED, False),
        (dead(), replace(REFUSED, at=NOW - MINUTES), False),
        (dead(), replace(REFUSED, at=NOW - MINUTES - timedelta(seconds=1)), True),
        (dead(), replace(REFUSED, evidence=()), True),
        (dead(), replace(REFUSED, outcome=ProbeOutcome.INCONCLUSIVE), True),
        (dead(Basis.STATE), replace(REFUSED, at=NOW - 9 * MINUTES), False),
        (dead(readability=Readability.UNKNOWN), replace(REFUSED, at=NOW - 9 * MINUTES), False),
    ],
)
def test_data_that_an_attempt_alone_tells_dead_is_tried_again_now(one: Assessed, probe: Probe, *, speaks: bool) -> None:
    assert bool(list(old_refusals([one], [probe], NOW))) is speaks


PRIMARY = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e000040008000000000000001")
REPLICA = KeyName(PRIMARY.text.replace("us-east-1", "eu-west-1"))
STRANGER = KeyName(REPLICA.text[:-1] + "2")


def under(key: KeyName, readability: Readability) -> Assessed:
    told = Assessment(readability, Basis.STATE, "as it says", Subject(SubjectKind.KEY, key.text))
    return Assessed(a_holding(key, bucket="s3://data"), Encryption.CMEK, told)


@pytest.mark.parametrize(
    ("assessed", "speaks"),
    [
        ([], None),
        ([under(REPLICA, Readability.UNREADABLE)], None),
        ([under(REPLICA, Readability.READABLE)], "readable"),
        ([under(REPLICA, Readability.UNKNOWN)], "unknown"),
        ([under(REPLICA, Readability.UNREADABLE), under(REPLICA, Readability.READABLE)], "readable"),
        ([under(REPLICA, Readability.READABLE), under(REPLICA, Readability.UNREADABLE)], "readable"),
        ([under(STRANGER, Readability.READABLE)], None),
        ([under(PRIMARY, Readability.READABLE)], None),
    ],
)
def test_a_replica_whose_data_is_not_dead_speaks_against_it(assessed: list[Assessed], speaks: str | None) -> None:
    told = [f"{REPLICA} is a replica of the key, and data under it is {speaks}"] if speaks else []
    assert list(replicas(PRIMARY, assessed)) == told


@pytest.mark.parametrize("readability", Readability)
def test_dead_is_what_nobody_can_read_by_the_keys_own_doing(readability: Readability) -> None:
    """An outage of what is behind the key ends by itself, and an expiry is yet to come."""
    dead_ones = {Readability.UNREADABLE, Readability.DOOMED, Readability.REVOKED, Readability.LOST}
    assert (list(replicas(PRIMARY, [under(REPLICA, readability)])) == []) is (readability in dead_ones)
