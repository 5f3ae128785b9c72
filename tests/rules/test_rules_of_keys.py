"""The rules about keys as a whole: who may use them, what their material does, what was revoked on purpose."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from auditor.findings import Assessment, Basis, Confidence, Readability, Severity, Subject, SubjectKind, Verdict
from auditor.model import LIST_OF_RING, AwsKey, GcpKey, Grant, KeyAccess, KeyManager, KeyName, Material, Reason, Right
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rule import Context, HeldKey
from auditor.rules import (
    grant_missing,
    grant_too_wide,
    key_public,
    material_expires,
    no_key_administrator,
    revocation_incomplete,
)
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    a_gcp_key,
    a_version,
    access,
    an_aws_key,
    days,
    denied,
    remembered,
)

V = Verdict
R = Readability
MORE = GCP_KEY.text.replace("main", "more")


def held(
    key: AwsKey | GcpKey | None, *readabilities: R, platform: tuple[str, ...] | None = None, **more: Any
) -> HeldKey:
    name = key.name if key else AWS_KEY
    subject = Subject(SubjectKind.KEY, name.text)
    return HeldKey(
        view=KeyView(name, key, None),
        last_read=NOW,
        platform=(ROLE if name is AWS_KEY else AGENT,) if platform is None else platform,
        assessments=tuple(Assessment(one, Basis.STATE, "", subject, **more) for one in readabilities),
        members=(),
    )


def at(*known: KeyName, revoked: Mapping[KeyName, datetime | None] | None = None) -> Context:
    policy = Policy(revoked=revoked or {})
    return Context(NOW, policy, {name: KeyView(name, None, None) for name in known})


def imported(state: str = "Enabled", **more: Any) -> AwsKey:
    return an_aws_key(state, origin="EXTERNAL", **more)


def material(days_left: float | None = None, *, there: bool = True, state: str = "CURRENT") -> Material:
    return Material("a" * 64, state, there, NOW + days(days_left) if days_left is not None else None)


MATERIAL: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "made by AWS": (an_aws_key(), V.NOT_APPLICABLE),
    "on Google Cloud": (a_gcp_key(), V.NOT_APPLICABLE),
    "for ever": (imported(materials=(material(),)), V.PASSED),
    "for ever, not listed": (imported(), V.PASSED),
    "for ever, not listed while its Region changes": (imported("Updating"), V.PASSED),
    "some day": (imported(materials=(material(30.001),)), V.FAILED),
    "some day, not listed": (imported(valid_to=NOW + days(31)), V.FAILED),
    "soon, and no data speaks of it": (imported("Disabled", materials=(material(3),)), V.FAILED),
    "missing": (imported("PendingImport", materials=(material(there=False),)), V.FAILED),
    "a pending one is missing": (imported(materials=(material(there=False, state="PENDING_ROTATION"),)), V.PASSED),
    "missing, not listed": (imported("PendingImport"), V.UNKNOWN),
    "not listed, of a key that does not tell": (imported("PendingDeletion"), V.UNKNOWN),
}


@pytest.mark.parametrize(("key", "verdict"), MATERIAL.values(), ids=MATERIAL)
def test_imported_material_must_not_run_out(key: AwsKey | GcpKey | None, verdict: V) -> None:
    assert material_expires.RULE.check(held(key), at()).verdict is verdict


def test_the_date_of_the_expiry_is_part_of_the_finding() -> None:
    assert material_expires.RULE.check(held(imported(valid_to=NOW + days(90))), at()).final_at == NOW + days(90)


def open_to(answer: bool | None, name: KeyName = AWS_KEY) -> AwsKey | GcpKey:  # noqa: FBT001 - three answers
    told = KeyAccess(public=answer, administered=answer)
    return an_aws_key(access=told) if name is AWS_KEY else a_gcp_key(access=told)


PUBLIC: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "of the provider": (an_aws_key(manager=KeyManager.PROVIDER), V.NOT_APPLICABLE),
    "nobody asked": (an_aws_key(), V.UNKNOWN),
    "not settled": (open_to(None), V.UNKNOWN),
    "open": (open_to(True), V.FAILED),
    "closed": (open_to(False), V.PASSED),
    "open on Google Cloud": (open_to(True, GCP_KEY), V.FAILED),
}


@pytest.mark.parametrize(("key", "verdict"), PUBLIC.values(), ids=PUBLIC)
def test_no_key_is_open_to_everybody(key: AwsKey | GcpKey | None, verdict: V) -> None:
    assert key_public.RULE.check(held(key), at()).verdict is verdict


ADMINISTERED: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "of the provider": (an_aws_key(manager=KeyManager.PROVIDER), V.NOT_APPLICABLE),
    "not settled": (open_to(None), V.UNKNOWN),
    "somebody": (open_to(True), V.PASSED),
    "nobody": (open_to(False), V.FAILED),
    "nobody asked": (an_aws_key(), V.UNKNOWN),
    "on Google Cloud": (open_to(None, GCP_KEY), V.NOT_APPLICABLE),
}


@pytest.mark.parametrize(("key", "verdict"), ADMINISTERED.values(), ids=ADMINISTERED)
def test_every_key_has_somebody_to_change_its_policy(key: AwsKey | GcpKey | None, verdict: V) -> None:
    assert no_key_administrator.RULE.check(held(key), at()).verdict is verdict


def with_right(decrypt: Grant, write: Grant, name: KeyName = AWS_KEY) -> AwsKey | GcpKey:
    who = ROLE if name is AWS_KEY else AGENT
    told = access(name, decrypt, rights=(Right(who, "kms:GenerateDataKey", write),))
    return an_aws_key(access=told) if name is AWS_KEY else a_gcp_key(access=told)


G = Grant
MISSING: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "of the provider": (an_aws_key(manager=KeyManager.PROVIDER), V.NOT_APPLICABLE),
    "nobody asked": (an_aws_key(), V.UNKNOWN),
    "all there": (with_right(G.DIRECT, G.DIRECT), V.PASSED),
    "all there, where reading is not settled": (with_right(G.UNREAD, G.DIRECT), V.PASSED),
    "one of two not read": (
        an_aws_key(access=access(AWS_KEY, G.DIRECT, rights=(Right(ROLE, "a", G.UNREAD), Right(ROLE, "b", G.DIRECT)))),
        V.UNKNOWN,
    ),
    "perhaps there": (with_right(G.POSSIBLE, G.POSSIBLE), V.PASSED),
    "reads and cannot write": (with_right(G.DIRECT, G.ABSENT), V.FAILED),
    "may not write": (with_right(G.DIRECT, G.DENIED), V.FAILED),
    "cannot even read": (with_right(G.ABSENT, G.ABSENT), V.NOT_APPLICABLE),
    "policy not read": (with_right(G.UNREAD, G.UNREAD), V.UNKNOWN),
    "cannot write on Google Cloud": (with_right(G.DIRECT, G.ABSENT, GCP_KEY), V.FAILED),
    "project not read on Google Cloud": (with_right(G.WITHDRAWN, G.WITHDRAWN, GCP_KEY), V.UNKNOWN),
}


@pytest.mark.parametrize(("key", "verdict"), MISSING.values(), ids=MISSING)
def test_storage_needs_more_than_reading(key: AwsKey | GcpKey | None, verdict: V) -> None:
    assert grant_missing.RULE.check(held(key), at()).verdict is verdict


def test_who_lacks_what_is_told() -> None:
    rights = (Right(ROLE, "kms:Encrypt", G.ABSENT), Right(ROLE, "kms:ReEncryptFrom", G.DENIED))
    key = an_aws_key(access=access(AWS_KEY, G.DIRECT, rights=rights))
    assert f"{ROLE} lacks kms:Encrypt, kms:ReEncryptFrom" in grant_missing.RULE.check(held(key), at()).text


@pytest.mark.parametrize(
    ("actions", "severity", "told"),
    [
        (("kms:Encrypt", "kms:ReEncryptFrom"), Severity.LOW, ": data cannot be moved to another key in place"),
        (("kms:DescribeKey",), Severity.LOW, ": the platform cannot look at the key"),
        (
            ("kms:Encrypt", "kms:DescribeKey"),
            Severity.LOW,
            ": data cannot be moved to another key in place and the platform cannot look at the key",
        ),
        (("kms:GenerateDataKey",), None, "lacks kms:GenerateDataKey"),
        (("kms:GenerateDataKey", "kms:Encrypt"), None, "lacks kms:GenerateDataKey, kms:Encrypt"),
        (("a right of the future",), None, "lacks a right of the future"),
    ],
)
def test_only_new_writes_that_fail_are_a_grave_matter(
    actions: tuple[str, ...], severity: Severity | None, told: str
) -> None:
    rights = tuple(Right(ROLE, one, G.ABSENT) for one in actions)
    found = grant_missing.RULE.check(held(an_aws_key(access=access(AWS_KEY, G.DIRECT, rights=rights))), at())
    assert (found.verdict, found.severity) == (V.FAILED, severity)
    assert found.text.endswith(told)


def test_writes_that_fail_on_google_cloud_are_grave() -> None:
    assert grant_missing.RULE.check(held(with_right(G.DIRECT, G.ABSENT, GCP_KEY)), at()).severity is None


def test_what_folders_may_still_grant_is_only_inferred() -> None:
    def sure(name: KeyName) -> Confidence:
        return grant_missing.RULE.check(held(with_right(G.DIRECT, G.ABSENT, name)), at()).confidence

    assert (sure(AWS_KEY), sure(GCP_KEY)) == (Confidence.PROVEN, Confidence.INFERRED)


@pytest.mark.parametrize("rule", [grant_missing.RULE, grant_too_wide.RULE])
def test_without_a_platform_nobody_lacks_or_exceeds_anything(rule: Any) -> None:
    key = an_aws_key(access=access(AWS_KEY, G.ABSENT, others=("arn:aws:iam::444455556666:root",)))
    assert rule.check(held(key, platform=()), at()).verdict is V.NOT_APPLICABLE
    assert rule.check(held(None, platform=()), at()).verdict is V.NOT_APPLICABLE


WIDE: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "of the provider": (an_aws_key(manager=KeyManager.PROVIDER), V.NOT_APPLICABLE),
    "nobody asked": (an_aws_key(), V.UNKNOWN),
    "only the platform": (an_aws_key(access=access(AWS_KEY, G.DIRECT, others=())), V.PASSED),
    "not read": (an_aws_key(access=access(AWS_KEY, G.DIRECT, others=None)), V.UNKNOWN),
    "somebody else": (an_aws_key(access=access(AWS_KEY, G.DIRECT, others=("444455556666",))), V.FAILED),
    "the ring, with a key of no use": (
        a_gcp_key(access=access(GCP_KEY, G.DIRECT, others=(), ring_keys=(MORE,))),
        V.FAILED,
    ),
}


@pytest.mark.parametrize(("key", "verdict"), WIDE.values(), ids=WIDE)
def test_only_the_platform_may_decrypt(key: AwsKey | GcpKey | None, verdict: V) -> None:
    assert grant_too_wide.RULE.check(held(key), at()).verdict is verdict


@pytest.mark.parametrize(("count", "more"), [(5, ""), (6, " and 1 more"), (8, " and 3 more")])
def test_of_many_strangers_the_first_five_are_named(count: int, more: str) -> None:
    strangers = tuple(f"stranger-{number}" for number in range(count))
    key = an_aws_key(access=access(AWS_KEY, G.DIRECT, others=strangers))
    told = grant_too_wide.RULE.check(held(key), at()).text
    assert told.startswith(f"{', '.join(strangers[:5])}{more} may decrypt")


def test_a_grant_on_a_ring_whose_keys_all_hold_data_is_not_too_wide() -> None:
    key = a_gcp_key(access=access(GCP_KEY, G.DIRECT, others=(), ring_keys=(MORE,)))
    assert grant_too_wide.RULE.check(held(key), at(GCP_KEY, KeyName(MORE))).verdict is V.PASSED


def test_a_ring_whose_keys_are_not_listed_may_have_more_of_them() -> None:
    hidden = access(GCP_KEY, G.DIRECT, others=(), unread=((LIST_OF_RING, Reason.ACCESS_DENIED),))
    assert grant_too_wide.RULE.check(held(a_gcp_key(access=hidden)), at()).verdict is V.UNKNOWN


def test_an_expiry_that_data_speaks_of_is_told_once() -> None:
    key = imported(materials=(material(3),))
    assert material_expires.RULE.check(held(key, R.READABLE, R.EXPIRING), at()).verdict is V.NOT_APPLICABLE
    barred = material_expires.RULE.check(held(key, R.REVOKED), at())
    assert (barred.verdict, barred.final_at) == (V.FAILED, NOW + days(3))


NOW_REVOKED: Mapping[KeyName, datetime | None] = {AWS_KEY: None}
REVOKED = {
    "meant to work": ({}, (R.READABLE,), V.NOT_APPLICABLE),
    "meant to be revoked tomorrow": ({AWS_KEY: NOW + days(1)}, (R.READABLE,), V.NOT_APPLICABLE),
    "since this moment": ({AWS_KEY: NOW}, (R.READABLE,), V.FAILED),
    "readable": (NOW_REVOKED, (R.UNREADABLE, R.READABLE), V.FAILED),
    "expiring": (NOW_REVOKED, (R.EXPIRING,), V.FAILED),
    "unknown": (NOW_REVOKED, (R.UNREADABLE, R.UNKNOWN), V.FAILED),
    "out of reach, which repairs itself": (NOW_REVOKED, (R.UNREACHABLE,), V.FAILED),
    "dead": (NOW_REVOKED, (R.UNREADABLE, R.DOOMED, R.LOST), V.PASSED),
    "without data": (NOW_REVOKED, (), V.PASSED),
}


@pytest.mark.parametrize(("revoked", "readabilities", "verdict"), REVOKED.values(), ids=REVOKED)
def test_a_revocation_must_be_complete(
    revoked: Mapping[KeyName, datetime | None], readabilities: tuple[R, ...], verdict: V
) -> None:
    key = held(an_aws_key("Disabled"), *readabilities)
    assert revocation_incomplete.RULE.check(key, at(revoked=revoked)).verdict is verdict


WORKING: dict[str, AwsKey | GcpKey] = {
    "it is Enabled": an_aws_key(),
    "its version 2 is ENABLED": a_gcp_key(a_version("1", "DISABLED"), a_version("2"), primary="2"),
}


@pytest.mark.parametrize("readabilities", [(R.UNREADABLE, R.LOST), ()], ids=["all that is known is dead", "no data"])
@pytest.mark.parametrize(("told", "key"), WORKING.items(), ids=WORKING)
def test_a_key_that_works_is_not_revoked_whatever_is_known_under_it(
    told: str, key: AwsKey | GcpKey, readabilities: tuple[R, ...]
) -> None:
    found = revocation_incomplete.RULE.check(held(key, *readabilities), at(revoked={key.name: None}))
    assert (found.verdict, told in found.text) == (V.FAILED, True)


OTHER = f"{ROLE}-2"
ANYBODY = "any principal"
BARRED: dict[str, tuple[tuple[str, ...], str, tuple[Grant, ...], tuple[tuple[Subject, R], ...], V]] = {
    "all that there are": ((ROLE,), ROLE, (Grant.ABSENT,), (), V.PASSED),
    "all that there are, by a read alone": ((ROLE,), ROLE, (Grant.POSSIBLE,), (), V.PASSED),
    "all that there are, by a read in a session": (
        (ROLE,),
        "arn:aws:sts::111122223333:assumed-role/storage/session",
        (Grant.POSSIBLE,),
        (),
        V.PASSED,
    ),
    "one of two": ((ROLE, OTHER), ROLE, (Grant.ABSENT, Grant.DIRECT), (), V.FAILED),
    "one of two, and of the other nobody knows": ((ROLE, OTHER), ROLE, (Grant.ABSENT, Grant.POSSIBLE), (), V.FAILED),
    "one of two, and the other is denied": ((ROLE, OTHER), ROLE, (Grant.POSSIBLE, Grant.DENIED), (), V.PASSED),
    "one of two, and the other lacks it": ((ROLE, OTHER), ROLE, (Grant.POSSIBLE, Grant.ABSENT), (), V.PASSED),
    "anybody": ((ROLE, OTHER), ANYBODY, (Grant.DIRECT, Grant.DIRECT), (), V.PASSED),
    "one of two, and the other in the shadow": (
        (ROLE, OTHER),
        ROLE,
        (Grant.POSSIBLE, Grant.POSSIBLE),
        ((Subject(SubjectKind.PRINCIPAL, f"{OTHER} -> {AWS_KEY}"), R.REVOKED),),
        V.PASSED,
    ),
    "one of two, and the other perhaps": (
        (ROLE, OTHER),
        ROLE,
        (Grant.POSSIBLE, Grant.POSSIBLE),
        ((Subject(SubjectKind.PRINCIPAL, f"{OTHER} -> {AWS_KEY}"), R.UNKNOWN),),
        V.FAILED,
    ),
    "one of two, and somebody else in the shadow": (
        (ROLE, OTHER),
        ROLE,
        (Grant.POSSIBLE, Grant.POSSIBLE),
        ((Subject(SubjectKind.PRINCIPAL, f"somebody -> {AWS_KEY}"), R.REVOKED),),
        V.FAILED,
    ),
    "one of two, and the key is disabled besides": (
        (ROLE, OTHER),
        ROLE,
        (Grant.ABSENT, Grant.DIRECT),
        ((Subject(SubjectKind.KEY, AWS_KEY.text), R.UNREADABLE),),
        V.PASSED,
    ),
    "one of two, and the store perhaps": (
        (ROLE, OTHER),
        ROLE,
        (Grant.ABSENT, Grant.DIRECT),
        ((Subject(SubjectKind.KEY_STORE, "store"), R.UNKNOWN),),
        V.FAILED,
    ),
}


@pytest.mark.parametrize(("platform", "who", "grants", "shadowed", "verdict"), BARRED.values(), ids=BARRED)
def test_a_revocation_is_complete_once_nobody_of_the_platform_can_decrypt(
    platform: tuple[str, ...],
    who: str,
    grants: tuple[Grant, ...],
    shadowed: tuple[tuple[Subject, R], ...],
    verdict: V,
) -> None:
    rights = tuple(Right(one, "kms:Decrypt", grant) for one, grant in zip(platform, grants, strict=True))
    revoked = Assessment(
        R.REVOKED, Basis.POLICY, "", Subject(SubjectKind.PRINCIPAL, f"{who} -> {AWS_KEY}"), shadowed=shadowed
    )
    is_off = any((subject.kind, one) == (SubjectKind.KEY, R.UNREADABLE) for subject, one in shadowed)
    known = an_aws_key("Disabled" if is_off else "Enabled", access=KeyAccess(rights=rights))
    key = replace(held(known, platform=platform), assessments=(revoked,))
    found = revocation_incomplete.RULE.check(key, at(revoked=NOW_REVOKED))
    assert found.verdict is verdict
    assert (OTHER in found.text) is (verdict is V.FAILED)


@pytest.mark.parametrize(("readability", "told"), [(R.READABLE, True), (R.EXPIRING, True), (R.UNKNOWN, False)])
def test_what_can_still_be_read_is_told_apart_from_what_is_not_known(readability: R, told: bool) -> None:  # noqa: FBT001 - a case
    found = revocation_incomplete.RULE.check(held(an_aws_key(), readability), at(revoked=NOW_REVOKED))
    assert ("can still be read" in found.text) is told


def test_what_a_silent_key_said_long_ago_proves_no_revocation() -> None:
    key = held(an_aws_key("Disabled"), R.UNREADABLE)
    silent = KeyView(AWS_KEY, denied(reason=Reason.THROTTLED), remembered(an_aws_key("Disabled"), days(2)))
    found = revocation_incomplete.RULE.check(replace(key, view=silent), at(revoked=NOW_REVOKED))
    assert (found.verdict, found.confidence) == (V.FAILED, Confidence.INFERRED)


def test_a_death_that_is_only_inferred_is_no_proof() -> None:
    key = held(an_aws_key("Disabled"), R.LOST, confidence=Confidence.INFERRED)
    found = revocation_incomplete.RULE.check(key, at(revoked=NOW_REVOKED))
    assert (found.verdict, found.confidence) == (V.FAILED, Confidence.INFERRED)


def test_a_key_that_is_denied_now_is_known_as_it_was() -> None:
    key = HeldKey(KeyView(AWS_KEY, denied(), remembered(open_to(True))), NOW, (), (), ())
    assert key_public.RULE.check(key, at()).verdict is V.FAILED
    assert key_public.RULE.severity is Severity.HIGH
