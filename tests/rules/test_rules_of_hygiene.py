"""The rules about what a key is and how it is kept, whoever may use it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor.findings import Basis, Readability, Severity, Verdict, member_of
from auditor.model import AwsKey, EkmConnection, GcpKey, HsmInstance, KeyManager, Reason, Rotation
from auditor.policy import Policy
from auditor.readability import KeyView, assess
from auditor.readability.gcp import STATES
from auditor.rule import Context, HeldKey, Rule
from auditor.rules import (
    primary_unusable,
    protection_level,
    rotation_off,
    rotation_overdue,
    short_destroy_delay,
    stale_version,
    weak_algorithm,
)
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days, remembered

V = Verdict


def held(key: AwsKey | GcpKey | None, *under: str | None) -> HeldKey:
    """A key with data under some versions."""
    name = key.name if key else AWS_KEY
    holdings = tuple(a_holding(name, one) for one in under)
    view = KeyView(name, key, None)
    found = tuple(assess(one, view, (), Policy(), NOW).assessment for one in holdings)
    return HeldKey(view, NOW, (), found, tuple(map(member_of, holdings)), holdings)


def at(**policy: Any) -> Context:
    return Context(NOW, Policy(**policy), {})


PRIMARY: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "on AWS": (an_aws_key("Disabled"), V.NOT_APPLICABLE),
    "of a key that signs": (a_gcp_key(purpose="ASYMMETRIC_SIGN"), V.NOT_APPLICABLE),
    "none": (a_gcp_key(), V.FAILED),
    "not listed": (a_gcp_key(primary="2"), V.UNKNOWN),
    "an older one than the newest": (
        a_gcp_key(a_version("1"), a_version("2", "DISABLED"), primary="1"),
        V.PASSED,
    ),
    "of a state of the future": (a_gcp_key(a_version("1", "77"), primary="1"), V.UNKNOWN),
    "on an instance that must be refreshed soon": (
        a_gcp_key(primary="1", hsm_instance=HsmInstance("i", "ACTIVE", NOW + days(3))),
        V.PASSED,
    ),
}
ENCRYPTS = {
    **dict.fromkeys(STATES, V.FAILED),
    "ENABLED": V.PASSED,
    "PENDING_GENERATION": V.UNKNOWN,
    "PENDING_IMPORT": V.UNKNOWN,
}


@pytest.mark.parametrize(("key", "verdict"), PRIMARY.values(), ids=PRIMARY)
def test_new_data_needs_a_primary_version(key: AwsKey | GcpKey | None, verdict: Verdict) -> None:
    assert primary_unusable.RULE.check(held(key), at()).verdict is verdict


BEHIND: dict[str, tuple[dict[str, Any], Verdict]] = {
    "a connection that is not reached": (
        {"connections": (EkmConnection("c1", reachable=True), EkmConnection("c2", reachable=False))},
        V.FAILED,
    ),
    "connections that are reached": (
        {"connections": (EkmConnection("c1", reachable=True), EkmConnection("c2", reachable=True))},
        V.PASSED,
    ),
    "a connection that nobody verified": ({}, V.PASSED),
    "an instance that is disabled": ({"hsm_instance": HsmInstance("i", "DISABLED")}, V.FAILED),
    "no reason that lets anybody in": ({"access_reasons": ()}, V.FAILED),
}


@pytest.mark.parametrize(("behind", "verdict"), BEHIND.values(), ids=BEHIND)
def test_new_data_needs_what_stands_behind_the_primary_version(behind: dict[str, Any], verdict: Verdict) -> None:
    one, two = (
        a_version(str(number), protection_level="EXTERNAL_VPC", ekm_connection=f"c{number}") for number in (1, 2)
    )
    outcome = primary_unusable.RULE.check(held(a_gcp_key(one, two, primary="2", **behind), "1"), at())
    assert outcome.verdict is verdict
    # An enabled version is stopped by something else, which is named.
    assert (", and " in outcome.text) is (verdict is V.FAILED)


@pytest.mark.parametrize(("state", "verdict"), ENCRYPTS.items())
def test_new_data_needs_a_primary_version_that_is_enabled(state: str, verdict: Verdict) -> None:
    key = a_gcp_key(a_version("1"), a_version("2", state), primary="2")
    outcome = primary_unusable.RULE.check(held(key, "1"), at())
    assert outcome.verdict is verdict
    assert (state in outcome.text) is (verdict is not V.UNKNOWN)
    assert ", and " not in outcome.text, "its state says it all"


def test_what_stops_reads_as_well_is_told_once() -> None:
    key = a_gcp_key(a_version("1"), a_version("2", "DISABLED"), primary="2")
    assert primary_unusable.RULE.check(held(key, "1", "2"), at()).verdict is V.NOT_APPLICABLE
    all_off = a_gcp_key(a_version("1", "DISABLED"), a_version("2", "DISABLED"), primary="2")
    assert primary_unusable.RULE.check(held(all_off, "1", None), at()).verdict is V.NOT_APPLICABLE


def test_data_that_names_no_version_hides_no_primary_version_that_is_off() -> None:
    key = a_gcp_key(a_version("1"), a_version("2", "DISABLED"), primary="2")
    assert primary_unusable.RULE.check(held(key, "1", None), at()).verdict is V.FAILED


@pytest.mark.parametrize("readability", [Readability.READABLE, Readability.EXPIRING])
def test_data_without_a_version_that_can_be_read_hides_no_primary_version_that_is_off(readability: Readability) -> None:
    key = held(a_gcp_key(a_version("1"), a_version("2", "DISABLED"), primary="2"), None)
    read = replace(key.assessments[0], readability=readability, basis=Basis.PROBE)
    assert primary_unusable.RULE.check(replace(key, assessments=(read,)), at()).verdict is V.FAILED


def test_a_key_that_is_revoked_on_purpose_need_not_take_new_data() -> None:
    key = a_gcp_key(a_version("1", "DISABLED"), primary="1")
    outcome = primary_unusable.RULE.check(held(key), at(revoked={GCP_KEY: None}))
    assert outcome.verdict is V.NOT_APPLICABLE
    later = primary_unusable.RULE.check(held(key), at(revoked={GCP_KEY: NOW + days(1)}))
    assert later.verdict is V.FAILED


LEVELS = a_gcp_key(
    a_version("1", protection_level="HSM"),
    a_version("2", protection_level="SOFTWARE"),
    a_version("3", protection_level="EXTERNAL"),
    primary="1",
)


def test_every_protection_level_is_allowed_unless_some_are_named() -> None:
    assert protection_level.RULE.check(held(LEVELS, "2"), at()).verdict is V.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("under", "verdict", "concerned"),
    [
        (["1"], V.PASSED, None),
        (["1", "2"], V.FAILED, ["2"]),
        (["3"], V.FAILED, ["3"]),
        (["1", None], V.FAILED, [None]),
        ([], V.PASSED, None),
    ],
    ids=["as allowed", "as allowed and another", "another", "perhaps another", "no data"],
)
def test_versions_in_use_have_a_level_that_is_allowed(
    under: list[str | None], verdict: Verdict, concerned: list[str | None] | None
) -> None:
    outcome = protection_level.RULE.check(
        held(LEVELS, *under), at(allowed_protection_levels=frozenset({"HSM", "HSM_SINGLE_TENANT"}))
    )
    assert outcome.verdict is verdict
    assert (None if outcome.members is None else [version for _, _, _, version in outcome.members]) == concerned


def test_the_next_data_is_under_the_primary_version() -> None:
    key = a_gcp_key(a_version("1", protection_level="HSM"), a_version("2"), primary="2")
    allowed = at(allowed_protection_levels=frozenset({"HSM"}))
    outcome = protection_level.RULE.check(held(key, "1"), allowed)
    assert (outcome.verdict, outcome.members) == (V.FAILED, ()), "none of the data is under it yet"
    assert "version 2 is SOFTWARE" in outcome.text
    assert protection_level.RULE.check(held(an_aws_key()), allowed).verdict is V.NOT_APPLICABLE
    assert protection_level.RULE.check(held(None), allowed).verdict is V.UNKNOWN


KINDS: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "symmetric on AWS": (an_aws_key(), V.PASSED),
    "for signing on AWS": (an_aws_key(usage="SIGN_VERIFY", spec="RSA_2048"), V.FAILED),
    "of another spec on AWS": (an_aws_key(spec="RSA_2048"), V.FAILED),
    "not told on AWS": (an_aws_key(usage=""), V.UNKNOWN),
    "symmetric on Google Cloud": (a_gcp_key(primary="1"), V.PASSED),
    "external on Google Cloud": (
        a_gcp_key(a_version(algorithm="EXTERNAL_SYMMETRIC_ENCRYPTION"), primary="1"),
        V.PASSED,
    ),
    "for signing on Google Cloud": (a_gcp_key(purpose="ASYMMETRIC_SIGN"), V.FAILED),
    "of another algorithm on Google Cloud": (a_gcp_key(a_version(algorithm="AES_256_GCM"), primary="1"), V.FAILED),
    "of an algorithm of the future": (a_gcp_key(a_version(algorithm="777"), primary="1"), V.UNKNOWN),
}


@pytest.mark.parametrize(("key", "verdict"), KINDS.values(), ids=KINDS)
def test_a_key_for_storage_is_symmetric_and_encrypts(key: AwsKey | GcpKey | None, verdict: Verdict) -> None:
    assert weak_algorithm.RULE.check(held(key), at()).verdict is verdict


def test_only_the_data_under_another_algorithm_is_concerned() -> None:
    key = a_gcp_key(a_version("1"), a_version("2", algorithm="AES_256_GCM"), primary="1")
    assert weak_algorithm.RULE.check(held(key, "1"), at()).verdict is V.PASSED
    outcome = weak_algorithm.RULE.check(held(key, "1", "2"), at())
    assert [version for _, _, _, version in outcome.members or ()] == ["2"]
    signs = a_gcp_key(a_version("1"), purpose="MAC")
    assert weak_algorithm.RULE.check(held(signs, "1"), at()).members is None, "the key as a whole"


DELAYS: dict[str, tuple[AwsKey | GcpKey | None, Verdict]] = {
    "never read": (None, V.UNKNOWN),
    "on AWS": (an_aws_key(), V.NOT_APPLICABLE),
    "not told": (a_gcp_key(), V.UNKNOWN),
    "as long as demanded": (a_gcp_key(destroy_delay=days(30)), V.PASSED),
    "shorter": (a_gcp_key(destroy_delay=days(30) - timedelta(seconds=1)), V.FAILED),
    "a day": (a_gcp_key(destroy_delay=days(1)), V.FAILED),
}


@pytest.mark.parametrize(("key", "verdict"), DELAYS.values(), ids=DELAYS)
def test_a_destruction_by_mistake_can_be_noticed_in_time(key: AwsKey | GcpKey | None, verdict: Verdict) -> None:
    assert short_destroy_delay.RULE.check(held(key), at()).verdict is verdict


def test_how_long_is_told_in_days() -> None:
    told = short_destroy_delay.RULE.check(held(a_gcp_key(destroy_delay=days(1))), at()).text
    assert told.endswith("is destroyed 1 day after it was scheduled; the policy demands 30 days")
    two = short_destroy_delay.RULE.check(held(a_gcp_key(destroy_delay=days(2))), at(min_destroy_delay=days(2)))
    assert (two.verdict, two.text) == (V.PASSED, "its versions stay scheduled for 2 days")


YEARLY = Rotation(days(365), NOW + days(100))
OFF = Rotation(None)
NEVER_ROTATED: dict[str, AwsKey | GcpKey] = {
    "managed by AWS": an_aws_key(manager=KeyManager.PROVIDER),
    "imported on AWS": an_aws_key(origin="EXTERNAL", rotation=OFF),
    "in a custom key store": an_aws_key(origin="AWS_CLOUDHSM", rotation=OFF),
    "disabled on AWS": an_aws_key("Disabled", rotation=OFF),
    "pending its deletion": an_aws_key("PendingDeletion", rotation=OFF),
    "for signing on AWS": an_aws_key(usage="SIGN_VERIFY"),
    "for signing on Google Cloud": a_gcp_key(purpose="ASYMMETRIC_SIGN", rotation=OFF),
    "imported on Google Cloud": a_gcp_key(import_only=True, rotation=OFF),
    "external on Google Cloud": a_gcp_key(a_version(protection_level="EXTERNAL"), rotation=OFF),
    "external on Google Cloud, among others": a_gcp_key(
        a_version("1"), a_version("2", protection_level="EXTERNAL_VPC"), rotation=OFF
    ),
    "without an enabled version": a_gcp_key(a_version("1", "DISABLED"), a_version("2", "DESTROYED"), rotation=OFF),
}


@pytest.mark.parametrize("rule", [rotation_off.RULE, rotation_overdue.RULE], ids=lambda rule: rule.id)
@pytest.mark.parametrize("key", NEVER_ROTATED.values(), ids=NEVER_ROTATED)
def test_what_cannot_be_rotated_need_not_be(key: AwsKey | GcpKey, rule: Rule) -> None:
    assert rule.check(held(key), at()).verdict is V.NOT_APPLICABLE


@pytest.mark.parametrize("rule", [rotation_off.RULE, rotation_overdue.RULE], ids=lambda rule: rule.id)
@pytest.mark.parametrize(
    "key",
    [None, an_aws_key(rotation_unread=Reason.ACCESS_DENIED), an_aws_key(usage="", spec=""), a_gcp_key()],
    ids=["no key", "denied", "a key of which kind was not told", "not told"],
)
def test_how_a_key_is_rotated_may_be_unknown(key: AwsKey | GcpKey | None, rule: Rule) -> None:
    assert rule.check(held(key), at()).verdict is V.UNKNOWN


@pytest.mark.parametrize(
    ("key", "verdict"),
    [
        (an_aws_key(rotation=YEARLY), V.PASSED),
        (an_aws_key("Updating", rotation=OFF), V.FAILED),
        (a_gcp_key(a_version("1", "DESTROYED"), a_version("2"), rotation=OFF), V.FAILED),
        (a_gcp_key(rotation=Rotation(days(90), NOW)), V.PASSED),
    ],
)
def test_a_key_that_can_be_rotated_is(key: AwsKey | GcpKey, verdict: Verdict) -> None:
    assert rotation_off.RULE.check(held(key), at()).verdict is verdict


def made(age: float, number: str = "1") -> GcpKey:
    return a_gcp_key(a_version(number, created=NOW - days(age)), primary=number, rotation=OFF)


def of_aws(age: float | None, **rotation: Any) -> AwsKey:
    created = NOW - days(age) if age is not None else None
    return an_aws_key(created=created, rotation=Rotation(**{"period": None, **rotation}))


OVERDUE: dict[str, tuple[AwsKey | GcpKey, Verdict]] = {
    "a version of a year": (made(365), V.PASSED),
    "a version of more than a year": (made(365.1), V.FAILED),
    "a version of no age": (a_gcp_key(primary="1", rotation=OFF), V.UNKNOWN),
    "no primary version": (a_gcp_key(rotation=OFF), V.UNKNOWN),
    "a young key": (of_aws(30), V.PASSED),
    "a key of a year": (of_aws(365), V.PASSED),
    "an old key of which nobody tells the last rotation": (of_aws(366), V.UNKNOWN),
    "the same, though it is rotated by now": (of_aws(800, period=days(365), due=NOW + days(335)), V.UNKNOWN),
    "an old key that was rotated lately": (of_aws(800, latest=NOW - days(365)), V.PASSED),
    "an old key that was rotated long ago": (of_aws(800, latest=NOW - days(366)), V.FAILED),
    "a key of no age that was rotated long ago": (of_aws(None, latest=NOW - days(366)), V.FAILED),
    "a key of no age": (of_aws(None), V.UNKNOWN),
    "an old member of a set that was never rotated": (replace(of_aws(366), multi_region=True), V.FAILED),
    "the same, and nobody lists rotations": (
        replace(of_aws(366, latest_unread=Reason.ACCESS_DENIED), multi_region=True),
        V.UNKNOWN,
    ),
    "a young replica of which nobody tells the last rotation": (replace(of_aws(30), multi_region=True), V.UNKNOWN),
}


@pytest.mark.parametrize(("key", "verdict"), OVERDUE.values(), ids=OVERDUE)
def test_new_data_is_encrypted_with_nothing_old(key: AwsKey | GcpKey, verdict: Verdict) -> None:
    assert rotation_overdue.RULE.check(held(key), at()).verdict is verdict


@pytest.mark.parametrize(("key", "told"), [(of_aws(30), True), (of_aws(800, latest=NOW), False), (made(30), False)])
def test_what_is_only_the_earliest_date_is_told_so(key: AwsKey | GcpKey, *, told: bool) -> None:
    assert rotation_overdue.RULE.check(held(key), at()).text.endswith("or later") is told


def two_versions(old: float | None, new: float | None, rotation: Rotation | None = None, primary: str = "2") -> GcpKey:
    first, second = (NOW - days(one) if one is not None else None for one in (old, new))
    return a_gcp_key(
        a_version("1", created=first), a_version("2", created=second), primary=primary, rotation=rotation or OFF
    )


SCHEDULED = Rotation(days(90), NOW - days(10) + days(90))
STALE: dict[str, tuple[GcpKey, list[str | None], Verdict]] = {
    "under the primary one alone": (two_versions(800, 10), ["2"], V.PASSED),
    "under a young old one": (two_versions(365, 10), ["1", "2"], V.PASSED),
    "under an old one": (two_versions(366, 10), ["1", "2"], V.FAILED),
    "under an old one that is the primary one again": (two_versions(800, 700, primary="1"), ["1"], V.PASSED),
    "under a newer one than the primary one": (two_versions(800, 700, primary="1"), ["2"], V.PASSED),
    "under no version by name": (two_versions(800, 10), [None], V.UNKNOWN),
    "under an old one, and under none by name": (two_versions(366, 10), ["1", None], V.FAILED),
    "under an old one of no age": (two_versions(None, 10), ["1"], V.PASSED),
    "a primary one of no age": (two_versions(800, None), ["1"], V.UNKNOWN),
    "no primary one": (two_versions(800, 10, primary="3"), ["1"], V.UNKNOWN),
}


@pytest.mark.parametrize(("key", "under", "verdict"), STALE.values(), ids=STALE)
def test_data_does_not_stay_on_old_versions_for_ever(key: GcpKey, under: list[str | None], verdict: Verdict) -> None:
    outcome = stale_version.RULE.check(held(key, *under), at())
    assert (outcome.verdict, outcome.severity) == (verdict, None)
    if verdict is V.FAILED:
        assert {version for _, _, _, version in outcome.members or ()} <= {"1", None}


@pytest.mark.parametrize(
    ("rotation", "newest", "late"),
    [
        (SCHEDULED, NOW - days(9) + timedelta(seconds=1), True),
        (Rotation(days(90), NOW - days(9) + days(90)), NOW, True),
        (Rotation(days(90), NOW - days(9) + days(90) + timedelta(seconds=1)), NOW, False),
        (SCHEDULED, NOW - days(9), False),
        (Rotation(days(90), NOW + days(50)), NOW, False),
        (Rotation(days(90), None), NOW, False),
        (OFF, NOW, False),
    ],
    ids=[
        "a day later",
        "by a schedule that is a day late",
        "by one later still",
        "within the day",
        "made by hand",
        "nobody knows when",
        "not rotated",
    ],
)
def test_new_data_is_under_the_new_version(rotation: Rotation, newest: datetime, *, late: bool) -> None:
    key = two_versions(100, 10, rotation)
    subject = held(key, "1", "2")
    first, second = subject.holdings
    outcome = stale_version.RULE.check(replace(subject, holdings=(replace(first, newest=newest), second)), at())
    assert (outcome.verdict, outcome.severity) == ((V.FAILED, Severity.MEDIUM) if late else (V.PASSED, None))
    if late:
        assert [version for _, _, _, version in outcome.members or ()] == ["1"]
        assert f"the last on {newest:%Y-%m-%d}" in outcome.text


def test_a_stale_version_is_told_with_its_number_and_its_data() -> None:
    one = stale_version.RULE.check(held(two_versions(366, 10), "1", "2"), at())
    assert "data is still under version 1 of key" in one.text
    assert [version for _, _, _, version in one.members or ()] == ["1"]
    three = a_gcp_key(*(a_version(str(number), created=NOW - days(500 - number)) for number in (1, 2, 3)), primary="3")
    two = stale_version.RULE.check(held(three, "1", "2", "3"), at())
    assert "data is still under versions 1, 2 of key" in two.text
    assert [version for _, _, _, version in two.members or ()] == ["1", "2"]


def test_the_last_that_was_stored_too_late_is_told() -> None:
    late = [a_holding(GCP_KEY, "1", newest=NOW - days(age), bucket=f"gs://{age}") for age in (1, 3)]
    subject = held(two_versions(100, 10, SCHEDULED), "1", "1")
    outcome = stale_version.RULE.check(replace(subject, holdings=tuple(late)), at())
    assert f"the last on {NOW - days(1):%Y-%m-%d}" in outcome.text


def test_what_is_lost_is_not_asked_to_be_moved() -> None:
    first, second, third = (
        a_version(str(number), state, created=NOW - days(500 - number))
        for number, state in ((1, "DESTROYED"), (2, "DISABLED"), (3, "ENABLED"))
    )
    both = stale_version.RULE.check(held(a_gcp_key(first, second, third, primary="3"), "1", "2"), at())
    assert "data is still under version 2 of key" in both.text
    assert [version for _, _, _, version in both.members or ()] == ["2"]
    alone = stale_version.RULE.check(held(a_gcp_key(first, third, primary="3"), "1", "3"), at())
    assert alone.verdict is V.PASSED


def test_of_aws_nobody_knows_under_which_material_data_is() -> None:
    assert stale_version.RULE.check(held(an_aws_key()), at()).verdict is V.NOT_APPLICABLE
    assert stale_version.RULE.check(held(None), at()).verdict is V.UNKNOWN


def test_what_others_tell_of_a_primary_version_that_is_silent_counts() -> None:
    def told(primary: str) -> GcpKey:
        return a_gcp_key(a_version("1"), a_version("2", primary), primary="2")

    silent = held(told("ENABLED"), "1")
    view = KeyView(GCP_KEY, None, remembered(told("ENABLED")), told("DISABLED"))
    assert primary_unusable.RULE.check(replace(silent, view=view), at()).verdict is V.FAILED
    assert primary_unusable.RULE.check(replace(silent, view=replace(view, beside=None)), at()).verdict is V.PASSED
