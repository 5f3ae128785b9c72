"""What a key tells of a store, an instance or a connection holds for the silent keys that are behind it as well."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.engine import Facts, judge
from auditor.findings import Assessment, Readability, SubjectKind
from auditor.model import (
    SINGLE_TENANT,
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Evidence,
    GcpKey,
    HsmInstance,
    KeyName,
    KeyReading,
    Reason,
)
from auditor.policy import Policy
from auditor.readability import KeyView, beside_others
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    a_version,
    an_aws_key,
    denied,
    remembered,
)

R = Readability
OTHER_AWS = KeyName(AWS_KEY.text[:-1] + "f")
ELSEWHERE = KeyName(AWS_KEY.text.replace("us-east-1", "eu-west-1"))
OTHER_GCP = KeyName(f"{GCP_KEY}-2")
SILENT = denied(reason=Reason.THROTTLED)
MINUTE = timedelta(minutes=1)
SAID = Evidence("kms:DescribeCustomKeyStores", "cks-1", NOW, None, "0" * 64)


def stored(state: str | None, *, key: str = "Enabled", name: KeyName = AWS_KEY, **more: Any) -> AwsKey:
    return an_aws_key(key, name=name, store=CustomKeyStore(more.pop("id", "cks-1"), state, **more), evidence=(SAID,))


def on_instance(state: str | None, name: KeyName = GCP_KEY, **more: Any) -> GcpKey:
    key = a_gcp_key(a_version(protection_level=SINGLE_TENANT), hsm_instance=HsmInstance("instance", state, **more))
    return replace(key, name=name)


def behind(*, reachable: bool | None, name: KeyName = GCP_KEY, older: Reason | None = None) -> GcpKey:
    connection = EkmConnection("connection", reachable, "timeout", older)
    version = a_version(protection_level="EXTERNAL_VPC", ekm_connection="connection")
    return replace(a_gcp_key(version, connections=(connection,)), name=name)


def found(last: AwsKey | GcpKey, other: KeyReading | None, **memory: Any) -> Assessment:
    """What becomes of data under a silent key, when another key says this."""
    name, other_name = (AWS_KEY, OTHER_AWS) if isinstance(last, AwsKey) else (GCP_KEY, OTHER_GCP)
    version = None if isinstance(last, AwsKey) else "1"
    views = {
        name: KeyView(name, None, remembered(last, **memory)),
        other_name: KeyView(other_name, other, None),
    }
    facts = Facts(FixedHoldings(a_holding(name, version)), views, {}, (), Policy(), NOW)
    (assessed,) = judge(facts, ()).assessed
    return assessed.assessment


TOLD: dict[str, tuple[AwsKey | GcpKey, KeyReading, R]] = {
    "a store that went down": (stored("CONNECTED"), stored("DISCONNECTED", name=OTHER_AWS), R.UNREACHABLE),
    "a store that stays up": (stored("CONNECTED"), stored("CONNECTED", name=OTHER_AWS), R.READABLE),
    "a store that came back": (stored("FAILED"), stored("CONNECTED", name=OTHER_AWS), R.READABLE),
    "a store that came back, of a key that was Unavailable": (
        stored("DISCONNECTED", key="Unavailable"),
        stored("CONNECTED", name=OTHER_AWS),
        R.UNKNOWN,
    ),
    "a store that was down and stays so": (
        stored("DISCONNECTED", key="Unavailable"),
        stored("DISCONNECTED", name=OTHER_AWS),
        R.UNREACHABLE,
    ),
    "a store that nobody could read": (stored("CONNECTED"), stored(None, name=OTHER_AWS), R.READABLE),
    "a store as it was before": (
        stored("CONNECTED"),
        stored("DISCONNECTED", name=OTHER_AWS, older=True),
        R.READABLE,
    ),
    "another store": (stored("CONNECTED"), stored("DISCONNECTED", name=OTHER_AWS, id="cks-2"), R.READABLE),
    "a store of another Region": (stored("CONNECTED"), stored("DISCONNECTED", name=ELSEWHERE), R.READABLE),
    "a store, of a key in none": (an_aws_key(), stored("DISCONNECTED", name=OTHER_AWS), R.READABLE),
    "an instance that went down": (on_instance("ACTIVE"), on_instance("DISABLED", OTHER_GCP), R.UNREACHABLE),
    "an instance that came back": (on_instance("DISABLED"), on_instance("ACTIVE", OTHER_GCP), R.READABLE),
    "an instance that was lost": (on_instance("ACTIVE"), on_instance("FAILED", OTHER_GCP), R.LOST),
    "an instance that nobody could read": (on_instance("ACTIVE"), on_instance(None, OTHER_GCP), R.READABLE),
    "an instance as it was before": (
        on_instance("ACTIVE"),
        on_instance("DISABLED", OTHER_GCP, older=True),
        R.READABLE,
    ),
    "a connection that broke": (behind(reachable=True), behind(reachable=False, name=OTHER_GCP), R.UNREACHABLE),
    "a connection that was never verified here": (
        replace(behind(reachable=True), connections=()),
        behind(reachable=False, name=OTHER_GCP),
        R.UNREACHABLE,
    ),
    "a connection that came back": (behind(reachable=False), behind(reachable=True, name=OTHER_GCP), R.READABLE),
    "a connection that nobody could verify": (
        behind(reachable=True),
        behind(reachable=None, name=OTHER_GCP),
        R.READABLE,
    ),
    "a connection as it was before": (
        behind(reachable=True),
        behind(reachable=False, name=OTHER_GCP, older=Reason.TIMEOUT),
        R.READABLE,
    ),
}


@pytest.mark.parametrize(("last", "other", "readability"), TOLD.values(), ids=TOLD)
def test_a_silent_key_is_judged_by_what_others_tell_of_what_stands_behind_it(
    last: AwsKey | GcpKey, other: AwsKey | GcpKey, readability: R
) -> None:
    assert found(last, other).readability is readability


LATER, BEFORE = NOW - MINUTE / 2, NOW - 2 * MINUTE
DATED: dict[str, tuple[AwsKey | GcpKey, KeyReading, R]] = {
    "a store that was told later": (
        stored("CONNECTED"),
        stored("DISCONNECTED", name=OTHER_AWS, older=True, at=LATER),
        R.UNREACHABLE,
    ),
    "a store that was told before": (
        stored("CONNECTED"),
        stored("DISCONNECTED", name=OTHER_AWS, older=True, at=BEFORE),
        R.READABLE,
    ),
    "an instance that was told later": (
        on_instance("ACTIVE"),
        on_instance("DISABLED", OTHER_GCP, older=True, at=LATER),
        R.UNREACHABLE,
    ),
    "a store of which another key says that it is down": (
        stored("CONNECTED"),
        stored(None, key="Unavailable", name=OTHER_AWS),
        R.UNREACHABLE,
    ),
    "a store of which nobody says anything": (stored("CONNECTED"), stored(None, name=OTHER_AWS), R.READABLE),
}


@pytest.mark.parametrize(("last", "other", "readability"), DATED.values(), ids=DATED)
def test_a_word_is_as_young_as_when_it_was_told(last: AwsKey | GcpKey, other: AwsKey | GcpKey, readability: R) -> None:
    assert found(last, other).readability is readability


def test_a_key_that_answers_knows_no_better_what_could_not_be_read_with_it() -> None:
    def judged(word: timedelta) -> R:
        mine = on_instance("ACTIVE", older=True, at=NOW - 5 * MINUTE)
        others = remembered(on_instance("DISABLED", OTHER_GCP), word)
        views = {GCP_KEY: KeyView(GCP_KEY, mine, remembered(mine)), OTHER_GCP: KeyView(OTHER_GCP, None, others)}
        facts = Facts(FixedHoldings(a_holding(GCP_KEY, "1")), views, {}, (), Policy(), NOW)
        return judge(facts, ()).assessed[0].assessment.readability

    assert judged(4 * MINUTE) is R.UNREACHABLE
    assert judged(6 * MINUTE) is R.READABLE


def test_what_a_key_said_that_nothing_needs_any_more_counts_as_well() -> None:
    last = remembered(stored("CONNECTED"), 5 * MINUTE)
    others = {OTHER_AWS: KeyView(OTHER_AWS, None, remembered(stored("FAILED", name=OTHER_AWS)))}
    views = {AWS_KEY: KeyView(AWS_KEY, SILENT, last)}
    facts = Facts(FixedHoldings(a_holding(AWS_KEY)), views, {}, (), Policy(), NOW, others=others)
    (one,) = judge(facts, ()).assessed
    assert one.assessment.readability is R.UNREACHABLE


def test_that_something_came_back_makes_no_old_word_young() -> None:
    for last, other in (
        (stored("FAILED"), stored("CONNECTED", name=OTHER_AWS)),
        (on_instance("DISABLED"), on_instance("ACTIVE", OTHER_GCP)),
    ):
        assert found(last, other, age=timedelta(hours=1)).readability is R.UNKNOWN


def test_what_went_down_is_the_cause_with_the_call_that_said_so() -> None:
    one = found(stored("CONNECTED"), stored("DISCONNECTED", name=OTHER_AWS), age=timedelta(hours=1))
    assert (one.readability, one.subject.kind) == (R.UNREACHABLE, SubjectKind.KEY_STORE)
    assert SAID in one.evidence


OF_THE_KEY = Evidence("cloudkms:GetCryptoKey", "key", NOW, None, "1" * 64)
VERIFIED = Evidence("cloudkms:VerifyConnectivity", "connection", NOW, None, "2" * 64)
LOOKED_AT = Evidence("cloudkms:GetSingleTenantHsmInstance", "instance", NOW, None, "3" * 64)


@pytest.mark.parametrize(
    ("last", "other", "said"),
    [
        (stored("CONNECTED"), stored("FAILED", name=OTHER_AWS), SAID),
        (on_instance("ACTIVE"), on_instance("DISABLED", OTHER_GCP), LOOKED_AT),
        (behind(reachable=True), behind(reachable=False, name=OTHER_GCP), VERIFIED),
    ],
    ids=["store", "instance", "connection"],
)
def test_the_evidence_is_the_keys_own_and_that_of_the_call_about_what_they_share(
    last: AwsKey | GcpKey, other: AwsKey | GcpKey, said: Evidence
) -> None:
    mine = replace(OF_THE_KEY, resource="mine")
    one = found(replace(last, evidence=(mine,)), replace(other, evidence=(OF_THE_KEY, said)))
    assert one.evidence == (mine, said)


def test_what_nobody_tells_of_stays_as_it_was() -> None:
    one, two = EkmConnection("one", reachable=True), EkmConnection("two", reachable=False, detail="timeout")
    versions = [a_version(str(number), ekm_connection=name) for number, name in enumerate(("one", "two"), 1)]
    last = a_gcp_key(*versions, connections=(one, two))
    told = replace(a_gcp_key(connections=(replace(one, reachable=False),)), name=OTHER_GCP)
    views = {GCP_KEY: KeyView(GCP_KEY, None, remembered(last)), OTHER_GCP: KeyView(OTHER_GCP, told, None)}
    known = beside_others(views, NOW)[GCP_KEY].beside
    assert isinstance(known, GcpKey)
    assert known.connections == (two, replace(one, reachable=False, older=Reason.NOT_VISIBLE, at=NOW))


def test_a_word_of_another_key_is_marked_so_and_dated() -> None:
    views = {
        AWS_KEY: KeyView(AWS_KEY, None, remembered(stored("CONNECTED"))),
        OTHER_AWS: KeyView(OTHER_AWS, stored("FAILED", name=OTHER_AWS), None),
        GCP_KEY: KeyView(GCP_KEY, None, remembered(on_instance("ACTIVE"))),
        OTHER_GCP: KeyView(OTHER_GCP, on_instance("DISABLED", OTHER_GCP), None),
    }
    told = beside_others(views, NOW)
    on_aws, on_gcp = told[AWS_KEY].beside, told[GCP_KEY].beside
    assert isinstance(on_aws, AwsKey)
    assert isinstance(on_gcp, GcpKey)
    assert on_aws.store == CustomKeyStore("cks-1", "FAILED", older=True, at=NOW)
    assert on_gcp.hsm_instance == HsmInstance("instance", "DISABLED", older=True, at=NOW)


def test_of_two_words_of_one_moment_the_first_counts() -> None:
    silent = KeyView(AWS_KEY, None, remembered(stored("CONNECTED")))
    first = KeyView(OTHER_AWS, stored("FAILED", name=OTHER_AWS), None)
    third = KeyName(AWS_KEY.text[:-1] + "e")
    second = KeyView(third, stored("CONNECTED", name=third), None)
    for some in ((first, second), (second, first)):
        told = beside_others({AWS_KEY: silent, **{one.name: one for one in some}}, NOW)[AWS_KEY].beside
        assert isinstance(told, AwsKey)
        assert isinstance(some[0].reading, AwsKey)
        assert told.store is not None
        assert told.store.connection_state == some[0].reading.store.connection_state  # type: ignore[union-attr] # both are in one


def test_a_key_that_answers_is_judged_by_its_own_word() -> None:
    mine, others = stored("CONNECTED"), stored("DISCONNECTED", name=OTHER_AWS)
    views = {AWS_KEY: KeyView(AWS_KEY, mine, remembered(mine)), OTHER_AWS: KeyView(OTHER_AWS, others, None)}
    assert beside_others(views, NOW) == views


def test_the_newest_word_counts_be_it_remembered_too() -> None:
    def of(age: timedelta) -> AwsKey | GcpKey | None:
        views = {
            AWS_KEY: KeyView(AWS_KEY, SILENT, remembered(stored("CONNECTED"), 5 * MINUTE)),
            OTHER_AWS: KeyView(OTHER_AWS, None, remembered(stored("DISCONNECTED", name=OTHER_AWS), age)),
        }
        return beside_others(views, NOW)[AWS_KEY].beside

    newer = of(4 * MINUTE)
    assert isinstance(newer, AwsKey)
    assert newer.store is not None
    assert newer.store.connection_state == "DISCONNECTED"
    assert of(6 * MINUTE) is None
    assert of(5 * MINUTE) is None, "of two at the same time each has its own"


def test_a_word_that_a_clock_dated_ahead_is_no_newer_than_now() -> None:
    ahead = NOW + timedelta(days=3)
    for mine, others in (
        (stored("FAILED"), stored("CONNECTED", name=OTHER_AWS, older=True, at=ahead)),
        (on_instance("FAILED"), on_instance("ACTIVE", OTHER_GCP, older=True, at=ahead)),
    ):
        views = {
            mine.name: KeyView(mine.name, mine, remembered(mine)),
            others.name: KeyView(others.name, None, remembered(others)),
        }
        assert beside_others(views, NOW)[mine.name].reading == mine


def test_a_word_that_a_clock_dated_ahead_is_no_newer_than_now_though_a_key_repeats_it() -> None:
    """What another key told of a store is kept beside an answer that could not tell of it."""
    mine = stored("FAILED")
    repeated = stored("CONNECTED", name=OTHER_AWS, older=True, at=NOW + timedelta(days=3))
    views = {mine.name: KeyView(mine.name, mine, None), OTHER_AWS: KeyView(OTHER_AWS, repeated, None)}
    assert beside_others(views, NOW)[mine.name].reading == mine


def test_a_key_that_was_enabled_when_its_store_was_told_to_be_disconnected_was_not_cut_off() -> None:
    views = {
        AWS_KEY: KeyView(AWS_KEY, None, remembered(UNREAD)),
        OTHER_AWS: KeyView(OTHER_AWS, None, remembered(stored("DISCONNECTED", name=OTHER_AWS))),
    }
    assert beside_others(views, NOW)[AWS_KEY].beside is None


def test_what_is_told_now_beats_what_a_clock_dated_ahead() -> None:
    silent = KeyView(AWS_KEY, None, remembered(stored("CONNECTED"), -timedelta(minutes=10)))
    told = KeyView(OTHER_AWS, stored("FAILED", name=OTHER_AWS), None)
    known = beside_others({AWS_KEY: silent, OTHER_AWS: told}, NOW)[AWS_KEY].beside
    assert isinstance(known, AwsKey)
    assert known.store is not None
    assert known.store.connection_state == "FAILED"
    cut_off = KeyView(OTHER_AWS, stored("DISCONNECTED", name=OTHER_AWS), None)
    enabled = KeyView(AWS_KEY, None, remembered(stored(None), -timedelta(minutes=10)))
    known = beside_others({AWS_KEY: enabled, OTHER_AWS: cut_off}, NOW)[AWS_KEY].beside
    assert isinstance(known, AwsKey)
    assert known.store is not None
    assert known.store.connection_state == "DISCONNECTED"


UNREAD = stored(None)
BEFORE_THAT: dict[str, tuple[AwsKey, AwsKey | None, AwsKey, R]] = {
    "another key was Unavailable before": (UNREAD, None, stored(None, key="Unavailable", name=OTHER_AWS), R.READABLE),
    "its store was told to be disconnected before": (UNREAD, None, stored("DISCONNECTED", name=OTHER_AWS), R.READABLE),
    "it was Unavailable itself before": (UNREAD, stored(None, key="Unavailable"), UNREAD, R.READABLE),
    "its store was told to have failed before": (UNREAD, None, stored("FAILED", name=OTHER_AWS), R.UNREACHABLE),
    "it is Disabled": (
        stored(None, key="Disabled"),
        None,
        stored("DISCONNECTED", name=OTHER_AWS),
        R.UNREADABLE,
    ),
}


@pytest.mark.parametrize(("mine", "last", "other", "readability"), BEFORE_THAT.values(), ids=BEFORE_THAT)
def test_a_key_that_is_enabled_was_not_cut_off_before(
    mine: AwsKey, last: AwsKey | None, other: AwsKey, readability: R
) -> None:
    views = {AWS_KEY: KeyView(AWS_KEY, mine, remembered(last) if last is not None else None)}
    if other.name != AWS_KEY:
        views[other.name] = KeyView(other.name, None, remembered(other))
    facts = Facts(FixedHoldings(a_holding(AWS_KEY)), views, {}, (), Policy(), NOW)
    assert judge(facts, ()).assessed[0].assessment.readability is readability


def test_a_key_that_was_enabled_before_its_store_went_down_is_cut_off_all_the_same() -> None:
    told = KeyView(OTHER_AWS, stored("DISCONNECTED", name=OTHER_AWS), None)
    views = {AWS_KEY: KeyView(AWS_KEY, None, remembered(UNREAD)), OTHER_AWS: told}
    facts = Facts(FixedHoldings(a_holding(AWS_KEY)), views, {}, (), Policy(), NOW)
    assert judge(facts, ()).assessed[0].assessment.readability is R.UNREACHABLE


def test_a_key_of_which_nothing_is_known_stays_so() -> None:
    others = KeyView(OTHER_AWS, stored("DISCONNECTED", name=OTHER_AWS), None)
    for memory in (None, remembered(None)):
        views = {AWS_KEY: KeyView(AWS_KEY, SILENT, memory), OTHER_AWS: others}
        assert beside_others(views, NOW)[AWS_KEY].beside is None


def test_a_key_that_is_being_made_tells_nothing_and_is_told_of() -> None:
    made = replace(stored("DISCONNECTED", name=OTHER_AWS), state="Creating")
    assert found(stored("CONNECTED"), made).readability is R.READABLE
    views = {
        AWS_KEY: KeyView(AWS_KEY, an_aws_key("Creating"), remembered(stored("CONNECTED"))),
        OTHER_AWS: KeyView(OTHER_AWS, stored("DISCONNECTED", name=OTHER_AWS), None),
    }
    assert beside_others(views, NOW)[AWS_KEY].beside is not None
