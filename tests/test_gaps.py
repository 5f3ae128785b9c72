"""What is told of everything that could not be read: on what, for which reason, what it costs, what closes it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor import gaps
from auditor.errors import CollectError, LedgerError
from auditor.findings import Assessment, Basis, BucketCoverage, Readability, Status, Subject, SubjectKind
from auditor.model import (
    NO_RIGHT,
    AwsKey,
    BucketFacts,
    Cloud,
    CustomKeyStore,
    EkmConnection,
    Encryption,
    Gap,
    GcpKey,
    Grant,
    HsmInstance,
    KeyAccess,
    KeyGone,
    KeyMemory,
    KeyName,
    KeyReading,
    NewObjects,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    Right,
    Rotation,
)
from auditor.readability import KeyView
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
    denied,
    remembered,
)
from tests.test_engine import a_finding

Told = tuple[str, Reason, str, str]
"""(what it is about, reason, words of the effect, words of the hint)."""

LISTED = Gap("projects/acme", Reason.ACCESS_DENIED, "the list is denied", "grant storage.buckets.list")
OF_SWEEPS: dict[str, tuple[Gap, Told]] = {
    "broken off": (
        gaps.listing_stopped("s3://data", CollectError("cannot list", "grant it", reason=Reason.ACCESS_DENIED)),
        ("s3://data", Reason.ACCESS_DENIED, "cannot list", "grant it"),
    ),
    "broken off, and nothing helps": (
        gaps.listing_stopped("s3://data", CollectError("cannot list", reason=Reason.THROTTLED)),
        ("s3://data", Reason.THROTTLED, "cannot list", "sweep again"),
    ),
    "never tried": (gaps.never_swept("s3://data"), ("s3://data", Reason.NOT_FOUND, "never swept", "scan it")),
    "a defect of ours": (
        gaps.defect("s3://data", KeyError("a secret")),
        ("s3://data", Reason.UNSUPPORTED, "by a defect: KeyError;", "report"),
    ),
    "buckets that are not listed": (
        gaps.buckets_not_listed(LISTED),
        (gaps.BUCKET_LISTS, Reason.ACCESS_DENIED, "how many buckets", "grant storage.buckets.list"),
    ),
}


@pytest.mark.parametrize(("gap", "expected"), OF_SWEEPS.values(), ids=OF_SWEEPS)
def test_what_a_sweep_lacks_is_told(gap: Gap, expected: Told) -> None:
    assert_told(gap, expected)
    assert gap.objects is None


def test_an_inventory_that_cannot_be_written_is_a_gap_of_its_bucket() -> None:
    for hint, told in (("free some space", "free some space"), (None, "look at the auditor's disk")):
        gap = gaps.not_written("s3://data", LedgerError("cannot write it", hint))
        assert_told(gap, ("s3://data", Reason.UNSUPPORTED, "cannot write it; an older whole sweep", told))


@pytest.mark.parametrize("reason", Reason)
def test_objects_are_counted_and_every_reason_has_its_hint(reason: Reason) -> None:
    gap = gaps.unresolved("s3://data", reason, 7)
    assert_told(gap, ("s3://data", reason, "7 objects", ""))
    assert (gap.objects, bool(gap.hint)) == (7, True)


def test_nobody_named_who_must_be_able_to_decrypt_is_a_gap() -> None:
    for cloud, name, setting in ((Cloud.AWS, "AWS", "aws_principals"), (Cloud.GCP, "Google", "gcp_service_agents")):
        assert not list(gaps.of_principals(cloud, 0))
        for keys, told in ((1, f"{name} key"), (7, f"7 {name} keys")):
            (gap,) = gaps.of_principals(cloud, keys)
            assert_told(gap, (f"[platform] {setting}", Reason.NOT_VISIBLE, told, setting))


def covered(listed: int, outside: int) -> BucketCoverage:
    return BucketCoverage(
        bucket="s3://data",
        complete=True,
        listed=listed,
        resolved=listed,
        unresolved=0,
        outside=outside,
        uploads_in_progress=0,
        sweep_started=NOW,
        sweep_ended=NOW,
        oldest_verified=NOW,
    )


def test_a_layout_that_no_name_fits_is_a_gap() -> None:
    for listed, outside, wrong in ((0, 0, False), (1, 0, False), (1, 1, True), (7, 6, False), (7, 7, True)):
        found = list(gaps.of_layouts([covered(listed, outside)]))
        assert bool(found) is wrong
        for gap in found:
            assert_told(gap, ("s3://data", Reason.MALFORMED, "fits the bucket's layout", "`layout`"))


def test_what_ends_without_a_look_is_a_gap_of_the_bucket_that_left_the_config() -> None:
    ended = replace(a_finding(), status=Status.RESOLVED)
    (member,) = ended.members
    elsewhere = replace(ended, members=(member, ("s3://left", *member[1:]), ("s3://left", *member[1:3], "2")))
    assert not list(gaps.of_what_left_the_config([a_finding(), ended], {member[0]}, {member[0]: ()}))
    assert not list(gaps.of_what_left_the_config([a_finding()], set(), {}))
    for findings, told in (([elsewhere], "a finding is told"), ([elsewhere, elsewhere], "2 findings are told")):
        (gap,) = gaps.of_what_left_the_config(findings, {member[0]}, {})
        assert_told(gap, ("s3://left", Reason.NOT_VISIBLE, f"{told} as resolved without a look", "name this bucket"))
    of_a_bucket = replace(ended, members=(), subject=Subject(SubjectKind.BUCKET, "s3://left"))
    (gap,) = gaps.of_what_left_the_config([of_a_bucket], {member[0]}, {})
    assert gap.what == "s3://left"
    narrowed = {member[0]: {Population.NONCURRENT, Population.SOFT_DELETED}}
    (gap,) = gaps.of_what_left_the_config([a_finding(), ended], {member[0]}, narrowed)
    words = "a finding is told as resolved without a look at all of its data: the config leaves out its noncurrent and "
    assert_told(
        gap, (member[0], Reason.NOT_VISIBLE, f"{words}soft-deleted objects now", "name its noncurrent and soft")
    )


def test_an_inventory_that_nobody_may_judge_by_is_a_gap_of_its_bucket() -> None:
    for hint, told in (("sweep this bucket", "sweep this bucket"), (None, "sweep it again")):
        gap = gaps.not_usable("s3://data", LedgerError("a file is gone", hint))
        assert_told(gap, ("s3://data", Reason.UNSUPPORTED, "nothing is known of its objects: a file is gone", told))


def test_populations_that_a_sweep_left_out_are_a_gap_where_the_config_asks_for_them() -> None:
    assert not list(gaps.of_populations("s3://data", ()))
    (gap,) = gaps.of_populations("s3://data", (Population.NONCURRENT, Population.SOFT_DELETED))
    assert_told(gap, ("s3://data", Reason.NOT_FOUND, "of its noncurrent and soft-deleted objects", "scan it"))


def test_a_sweep_by_another_layout_than_the_configs_is_a_gap() -> None:
    assert not list(gaps.of_layout_then("s3://data", None, "{org}/"))
    assert not list(gaps.of_layout_then("s3://data", "{org}/", "{org}/"))
    (gap,) = gaps.of_layout_then("s3://data", "{a}/", "{org}/")
    assert_told(gap, ("s3://data", Reason.NOT_FOUND, "it was swept by {a}/", "scan it"))


def test_a_bucket_that_does_not_tell_what_it_makes_of_new_objects_is_a_gap() -> None:
    told = [
        BucketFacts("s3://untold", Cloud.AWS),
        BucketFacts("s3://strange", Cloud.AWS, new_objects=NewObjects(Encryption.UNKNOWN)),
        BucketFacts("s3://plain", Cloud.AWS, new_objects=NewObjects(Encryption.PROVIDER)),
    ]
    assert [(gap.what, gap.reason, gap.effect.rpartition(": ")[2], gap.hint) for gap in gaps.of_new_objects(told)] == [
        (
            "s3://untold",
            Reason.NOT_VISIBLE,
            "it was not read when the bucket was swept",
            "grant what its other gap asks for; where it has none, scan it",
        ),
        (
            "s3://strange",
            Reason.UNSUPPORTED,
            "its default is of a kind that is not known here",
            "look at the bucket's default encryption in the console",
        ),
    ]


def test_dates_that_cannot_be_the_clouds_are_a_gap() -> None:
    assert not list(gaps.of_clock(timedelta(0)))
    for off, told in ((timedelta(days=9.5), "9 days ahead of"), (timedelta(days=-9.5), "9 days behind")):
        (gap,) = gaps.of_clock(off)
        assert_told(gap, ("clocks", Reason.MALFORMED, told, "set this machine's clock"))


def test_a_key_that_the_source_left_out_gave_no_answer() -> None:
    unread = gaps.no_answer(AWS_KEY)
    assert (unread.name, unread.reason) == (AWS_KEY, Reason.TIMEOUT)


WHEN = f"{NOW - timedelta(minutes=1):%Y-%m-%d %H:%M:%S UTC}"
GRANTED = an_aws_key(access=access(AWS_KEY, Grant.DIRECT))
OTHER = "arn:aws:iam::111122223333:role/other"
NEVER_ASKED = f", and whether {ROLE}, {OTHER} may decrypt was never asked"
THROTTLED = denied(reason=Reason.THROTTLED)
NAME = AWS_KEY.text
UNREAD: dict[str, tuple[KeyReading | None, KeyMemory | None, tuple[str, ...], Told | None]] = {
    "never read": (denied(), None, (), (NAME, Reason.ACCESS_DENIED, "counts as unknown", "grant kms:DescribeKey")),
    "never a state": (
        THROTTLED,
        remembered(None, missing_since=NOW),
        (),
        (NAME, Reason.THROTTLED, "counts as unknown", ""),
    ),
    "denied now": (
        denied(),
        remembered(GRANTED),
        (OTHER,),
        (NAME, Reason.ACCESS_DENIED, f"not known any more (AccessDeniedException); it was last read {WHEN}", ""),
    ),
    "not visible now": (
        denied(reason=Reason.NOT_VISIBLE),
        remembered(GRANTED),
        (),
        (NAME, Reason.NOT_VISIBLE, f"it was last read {WHEN}", ""),
    ),
    "a fault now": (
        THROTTLED,
        remembered(GRANTED),
        (ROLE,),
        (NAME, Reason.THROTTLED, f"judged by its state of {WHEN}", "grant"),
    ),
    "a fault now, and asked for others": (
        THROTTLED,
        remembered(GRANTED),
        (ROLE, OTHER),
        (NAME, Reason.THROTTLED, f"judged by its state of {WHEN}, and whether {OTHER} may decrypt was never asked", ""),
    ),
    "a fault now, and nobody was asked for": (
        THROTTLED,
        remembered(an_aws_key()),
        (ROLE, OTHER),
        (NAME, Reason.THROTTLED, f"judged by its state of {WHEN}{NEVER_ASKED}", ""),
    ),
    "not found once": (KeyGone(AWS_KEY, proven=False), None, (), (NAME, Reason.NOT_FOUND, "was not found", "look")),
    "gone for good": (KeyGone(AWS_KEY, proven=True), None, (), None),
    "not asked for": (None, remembered(GRANTED), (ROLE,), None),
    "not asked for, and known of others": (
        None,
        remembered(GRANTED),
        (ROLE, OTHER),
        (NAME, Reason.NOT_VISIBLE, f"whether {OTHER} may decrypt was never asked", "poll again, without naming keys"),
    ),
    "read": (GRANTED, None, (OTHER,), None),
}


@pytest.mark.parametrize(("reading", "memory", "principals", "expected"), UNREAD.values(), ids=UNREAD)
def test_a_key_that_gave_no_state_is_one_gap(
    reading: KeyReading | None, memory: KeyMemory | None, principals: tuple[str, ...], expected: Told | None
) -> None:
    found = list(gaps.of_key(KeyView(AWS_KEY, reading, memory), principals))
    assert len(found) == (expected is not None)
    if expected is not None:
        assert_told(found[0], expected)
        assert found[0].effect.endswith(("never asked", "UTC", "unknown", "depend on it"))


def test_a_key_that_is_not_found_is_told_with_what_becomes_of_its_data() -> None:
    holding = Assessment(Readability.UNKNOWN, Basis.STATE, "", Subject(SubjectKind.KEY, NAME))
    view = KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=False), None)
    (gap,) = gaps.of_key(view, judged=[holding])
    assert gap.effect == "it was not found; if that stays so for some minutes, what depends on it counts as lost"
    (gap,) = gaps.of_key(view)
    assert gap.effect == "it was not found, and no data is known to depend on it"


OPEN_THEN = an_aws_key(
    store=CustomKeyStore("cks-1", None),
    access=access(AWS_KEY, Grant.UNREAD, unread=(("kms:GetKeyPolicy", Reason.NOT_VISIBLE),)),
)
STORE_OPEN = "whether its custom key store is connected is not known"
RIGHT_OPEN = f"whether {ROLE} may decrypt is not known: kms:GetKeyPolicy gave no answer"


@pytest.mark.parametrize("reading", [THROTTLED, None, an_aws_key("Creating")], ids=["fault", "not asked", "being made"])
def test_what_a_key_left_open_stays_open_while_it_is_judged_by_its_last_word(reading: KeyReading | None) -> None:
    def told(memory: KeyMemory) -> set[str]:
        found = gaps.of_key(KeyView(AWS_KEY, reading, memory), (ROLE,), [judged(Readability.READABLE)])
        return {one.effect for one in found} & {STORE_OPEN, RIGHT_OPEN}

    assert told(remembered(OPEN_THEN)) == {STORE_OPEN, RIGHT_OPEN}
    assert told(remembered(OPEN_THEN, denied_since=NOW)) == set()
    assert told(remembered(OPEN_THEN, missing_since=NOW)) == set()


def test_what_an_ekm_connection_left_open_stays_open_as_well() -> None:
    connection = "projects/acme/locations/us-east1/ekmConnections/c1"
    last = a_gcp_key(connections=(EkmConnection(connection, None, Reason.ACCESS_DENIED.value),))
    found = list(gaps.of_key(KeyView(GCP_KEY, None, remembered(last)), (), [judged(Readability.READABLE)]))
    assert [(one.what, one.reason) for one in found] == [(connection, Reason.ACCESS_DENIED)]


def judged(
    readability: Readability,
    subject: str = AWS_KEY.text,
    cause: str = "a cause",
    kind: SubjectKind = SubjectKind.KEY,
) -> Assessment:
    return Assessment(readability, Basis.STATE, cause, Subject(kind, subject))


def test_a_state_that_is_too_old_is_not_told_as_what_data_is_judged_by() -> None:
    view = KeyView(AWS_KEY, THROTTLED, remembered(GRANTED))
    unknown, readable = judged(Readability.UNKNOWN), judged(Readability.READABLE)
    for found_as, told in (
        ([unknown, unknown], f"it was last read {WHEN}, and what depends on it counts as unknown"),
        ([unknown, readable], f"it is judged by its state of {WHEN}"),
        ([readable], f"it is judged by its state of {WHEN}"),
        ([], f"it is judged by its state of {WHEN}"),
    ):
        (gap,) = gaps.of_key(view, (ROLE,), found_as)
        assert gap.effect.endswith(told)


def test_a_key_that_is_being_made_is_a_gap_where_it_is_judged_by_what_it_was() -> None:
    view = KeyView(AWS_KEY, an_aws_key("Creating"), remembered(an_aws_key()))
    (gap,) = gaps.of_key(view, judged=[judged(Readability.UNKNOWN), judged(Readability.READABLE)])
    assert_told(gap, (NAME, Reason.NOT_VISIBLE, f"judged by its state of {WHEN}", "poll again"))
    (gap,) = gaps.of_key(view, judged=[judged(Readability.UNKNOWN, cause="it is odd")])
    assert gap.effect == "it is odd"
    for memory in (None, remembered(None, missing_since=NOW)):
        (gap,) = gaps.of_key(KeyView(AWS_KEY, an_aws_key("Creating"), memory), judged=[judged(Readability.REVOKED)])
        assert gap.effect == "it is being made, and tells nothing"


def test_a_key_that_was_not_found_and_is_judged_lost_is_no_riddle() -> None:
    view = KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=False), None)
    lost, unknown = judged(Readability.LOST), judged(Readability.UNKNOWN)
    assert list(gaps.of_key(view, judged=[lost, lost])) == []
    assert len(list(gaps.of_key(view, judged=[lost, unknown]))) == 1
    assert len(list(gaps.of_key(view))) == 1, "watched, and no data hangs on it"


def hidden(name: KeyName, call: str) -> KeyAccess:
    return access(name, Grant.UNREAD, unread=((call, Reason.ACCESS_DENIED),))


BESIDE: dict[str, tuple[AwsKey | GcpKey, SubjectKind, int]] = {
    "a key beside a policy": (
        an_aws_key("Odd", access=hidden(AWS_KEY, "kms:GetKeyPolicy")),
        SubjectKind.KEY,
        1,
    ),
    "a version beside a policy": (
        a_gcp_key(access=hidden(GCP_KEY, "cloudkms.cryptoKeys.getIamPolicy")),
        SubjectKind.KEY_VERSION,
        1,
    ),
    "a principal beside a policy": (
        an_aws_key(access=hidden(AWS_KEY, "kms:GetKeyPolicy")),
        SubjectKind.PRINCIPAL,
        0,
    ),
    "a principal beside nothing": (an_aws_key(), SubjectKind.PRINCIPAL, 1),
    "a store beside itself": (an_aws_key(store=CustomKeyStore("cks-1", None)), SubjectKind.KEY_STORE, 0),
    "a store beside what it said before": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED", older=True)),
        SubjectKind.KEY_STORE,
        0,
    ),
    "a store beside nothing": (an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")), SubjectKind.KEY_STORE, 1),
    "a key beside its store": (an_aws_key("Odd", store=CustomKeyStore("cks-1", None)), SubjectKind.KEY, 1),
    "an instance beside itself": (
        a_gcp_key(hsm_instance=HsmInstance("i", None)),
        SubjectKind.HSM_INSTANCE,
        0,
    ),
    "an instance beside nothing": (a_gcp_key(hsm_instance=HsmInstance("i", "ODD")), SubjectKind.HSM_INSTANCE, 1),
    "a connection beside itself": (
        a_gcp_key(connections=(EkmConnection("c", None, "timeout"),)),
        SubjectKind.EKM_CONNECTION,
        0,
    ),
    "a connection beside another": (
        a_gcp_key(connections=(EkmConnection("c", None, "timeout"), EkmConnection("d", reachable=True))),
        SubjectKind.EKM_CONNECTION,
        0,
    ),
    "a connection beside nothing": (
        a_gcp_key(connections=(EkmConnection("c", reachable=True),)),
        SubjectKind.EKM_CONNECTION,
        1,
    ),
}


@pytest.mark.parametrize(("reading", "kind", "told"), BESIDE.values(), ids=BESIDE)
def test_a_gap_hides_no_other(reading: AwsKey | GcpKey, kind: SubjectKind, told: int) -> None:
    unknown = judged(Readability.UNKNOWN, "what", "what is odd", kind=kind)
    found = list(gaps.of_key(KeyView(reading.name, reading, None), judged=[unknown]))
    assert sum(one.effect == "what is odd" for one in found) == told


def test_what_is_unknown_without_another_gap_is_one_for_each_cause() -> None:
    unknown = [judged(Readability.UNKNOWN, subject, f"{subject} is odd") for subject in ("k/2", "k/1", "k/2")]
    for reading, reason in ((an_aws_key("Frozen"), Reason.UNSUPPORTED), (None, Reason.NOT_FOUND)):
        found = list(gaps.of_key(KeyView(AWS_KEY, reading, None), judged=[judged(Readability.READABLE), *unknown]))
        assert [(one.what, one.reason, one.effect) for one in found] == [
            ("k/1", reason, "k/1 is odd"),
            ("k/2", reason, "k/2 is odd"),
        ]
        assert {one.hint.startswith("poll again") for one in found} == {reading is None}
    told = list(gaps.of_key(KeyView(AWS_KEY, denied(), None), judged=unknown))
    assert [one.reason for one in told] == [Reason.ACCESS_DENIED], "the gap that there is says it"


def test_what_a_store_that_failed_another_key_needs_is_told() -> None:
    store = Assessment(Readability.UNKNOWN, Basis.STATE, "in doubt", Subject(SubjectKind.KEY_STORE, "1/r/cks-1"))
    (gap,) = gaps.of_key(KeyView(AWS_KEY, an_aws_key(), None), judged=[store])
    assert_told(gap, ("1/r/cks-1", Reason.UNSUPPORTED, "in doubt", "a read that passes ends it"))
    (gap,) = gaps.of_key(KeyView(AWS_KEY, None, None), judged=[store])
    assert gap.hint == "poll again, without naming keys"


def test_a_key_whose_last_word_was_a_denial_is_not_judged_by_an_older_state() -> None:
    memory = remembered(an_aws_key(), denied_since=NOW)
    (found,) = gaps.of_key(KeyView(AWS_KEY, THROTTLED, memory))
    assert_told(found, (NAME, Reason.THROTTLED, "not known any more", ""))


def test_what_stands_behind_a_key_and_is_an_older_word_is_a_gap() -> None:
    older = CustomKeyStore("cks-1", "FAILED", older=True)
    assert len(list(gaps.of_key(KeyView(AWS_KEY, an_aws_key(store=older), None)))) == 1
    behind = a_gcp_key(
        hsm_instance=HsmInstance(INSTANCE, "ACTIVE", older=True),
        connections=(EkmConnection(CONNECTION, reachable=False, older=Reason.THROTTLED),),
    )
    found = list(gaps.of_key(KeyView(GCP_KEY, behind, None)))
    assert [(one.what, one.reason) for one in found] == [
        (INSTANCE, Reason.ACCESS_DENIED),
        (CONNECTION, Reason.THROTTLED),
    ]


def store(state: str | None) -> CustomKeyStore:
    return CustomKeyStore("cks-1", state)


INSTANCE = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
CONNECTION = "projects/acme/locations/us-east1/ekmConnections/one"
OF_GOOGLE = GCP_KEY.text
PROJECT = "resourcemanager.projects.getIamPolicy"


def unread(key: str, *calls: tuple[str, Reason], **more: Any) -> KeyAccess:
    return access(AWS_KEY if key == "aws" else GCP_KEY, *more.pop("grants", (Grant.DIRECT,)), unread=calls, **more)


PARTS: dict[str, tuple[KeyReading, list[Told]]] = {
    "a store that is connected": (an_aws_key(store=store("CONNECTED")), []),
    "a store that was not read": (
        an_aws_key(store=store(None)),
        [(NAME, Reason.NOT_VISIBLE, "key store is connected", "kms:DescribeCustomKeyStores")],
    ),
    "materials that are denied": (
        an_aws_key(materials_unread=Reason.ACCESS_DENIED),
        [(NAME, Reason.ACCESS_DENIED, "key materials", "grant kms:ListKeyRotations on the key")],
    ),
    "materials that a fault hides": (
        an_aws_key(materials_unread=Reason.THROTTLED),
        [(NAME, Reason.THROTTLED, "key materials", "poll again")],
    ),
    "rotation that is denied": (
        an_aws_key(rotation_unread=Reason.ACCESS_DENIED),
        [(NAME, Reason.ACCESS_DENIED, "whether it is rotated", "grant kms:GetKeyRotationStatus on the key")],
    ),
    "rotation of another account": (an_aws_key(rotation_unread=Reason.NOT_VISIBLE), []),
    "materials of another account": (an_aws_key(materials_unread=Reason.NOT_VISIBLE), []),
    "a policy that is denied, and the right hangs on it": (
        an_aws_key(access=unread("aws", ("kms:GetKeyPolicy", Reason.ACCESS_DENIED), grants=(Grant.UNREAD,))),
        [(NAME, Reason.ACCESS_DENIED, f"whether {ROLE} may decrypt is not known", "grant kms:GetKeyPolicy on the key")],
    ),
    "a share that is denied": (
        an_aws_key(access=unread("aws", ("kms:GetKeyPolicy AWS_RAM", Reason.ACCESS_DENIED))),
        [(NAME, Reason.ACCESS_DENIED, "who else may use it", "grant kms:GetKeyPolicy on the key to the auditor")],
    ),
    "two calls, and one of two rights hangs on them": (
        an_aws_key(
            access=unread(
                "aws",
                ("kms:GetKeyPolicy", Reason.TIMEOUT),
                ("kms:ListGrants", Reason.THROTTLED),
                grants=(Grant.DIRECT, Grant.UNREAD),
            )
        ),
        [
            (NAME, Reason.TIMEOUT, "whether other-1 may decrypt", "poll again"),
            (NAME, Reason.THROTTLED, "whether other-1 may decrypt", "poll again"),
        ],
    ),
    "another right than to decrypt": (
        an_aws_key(
            access=unread("aws", ("kms:ListGrants", Reason.TIMEOUT), rights=(Right(ROLE, "kms:Encrypt", Grant.UNREAD),))
        ),
        [(NAME, Reason.TIMEOUT, "who else may use it", "poll again")],
    ),
    "another account's policy, and somebody asks": (
        an_aws_key(access=unread("aws", ("kms:GetKeyPolicy", Reason.NOT_VISIBLE), grants=(Grant.UNREAD,))),
        [(NAME, Reason.NOT_VISIBLE, f"whether {ROLE} may decrypt", "only the key's own account")],
    ),
    "another account's policy, and nobody asks": (
        an_aws_key(access=KeyAccess(unread=(("kms:GetKeyPolicy", Reason.NOT_VISIBLE),))),
        [],
    ),
    "a policy that is denied, and nobody asks": (
        an_aws_key(access=KeyAccess(unread=(("kms:GetKeyPolicy", Reason.ACCESS_DENIED),))),
        [(NAME, Reason.ACCESS_DENIED, "who else may use it", "grant kms:GetKeyPolicy")],
    ),
    "an instance that was not read": (
        a_gcp_key(hsm_instance=HsmInstance(INSTANCE, None)),
        [(INSTANCE, Reason.ACCESS_DENIED, "HSM instance is active", "singleTenantHsmInstances.get")],
    ),
    "an instance that gave no answer": (
        a_gcp_key(hsm_instance=HsmInstance(INSTANCE, None, unread=Reason.TIMEOUT)),
        [(INSTANCE, Reason.TIMEOUT, "HSM instance is active", "poll again")],
    ),
    "a store that gave no answer": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED", older=True, unread=Reason.THROTTLED)),
        [(NAME, Reason.THROTTLED, "custom key store is connected", "poll again")],
    ),
    "a store that is nobody's here": (
        an_aws_key(store=CustomKeyStore("cks-1", None)),
        [(NAME, Reason.NOT_VISIBLE, "custom key store is connected", "grant kms:DescribeCustomKeyStores")],
    ),
    "rotations that may not be listed": (
        an_aws_key(rotation=Rotation(None, latest_unread=Reason.ACCESS_DENIED)),
        [(NAME, Reason.ACCESS_DENIED, "since when its current material is in use", "grant kms:ListKeyRotations")],
    ),
    "rotations of another account": (an_aws_key(rotation=Rotation(None, latest_unread=Reason.NOT_VISIBLE)), []),
    "an instance that is active": (a_gcp_key(hsm_instance=HsmInstance(INSTANCE, "ACTIVE")), []),
    "connections": (
        a_gcp_key(
            connections=(
                EkmConnection("verified", reachable=True),
                EkmConnection("out of reach", reachable=False, detail="TIMEOUT"),
                EkmConnection(CONNECTION, None, "throttled"),
            )
        ),
        [(CONNECTION, Reason.THROTTLED, "reaches the external key manager", "verifyConnectivity")],
    ),
    "a project that was not read, and the right hangs on it": (
        a_gcp_key(access=unread("gcp", (PROJECT, Reason.ACCESS_DENIED), grants=(Grant.WITHDRAWN,))),
        [(OF_GOOGLE, Reason.ACCESS_DENIED, f"whether {AGENT} may decrypt", f"grant {PROJECT} on project acme-keys")],
    ),
    "a project that was not read, and the right is settled": (
        a_gcp_key(access=unread("gcp", (PROJECT, Reason.ACCESS_DENIED))),
        [],
    ),
    "a ring whose keys were not listed": (
        a_gcp_key(access=unread("gcp", ("cloudkms.cryptoKeys.list", Reason.TIMEOUT), grants=(Grant.UNREAD,))),
        [(OF_GOOGLE, Reason.TIMEOUT, "how far a grant reaches", "poll again")],
    ),
    "nothing is missing": (a_gcp_key(a_version(), access=access(GCP_KEY, Grant.DIRECT)), []),
}


@pytest.mark.parametrize(("reading", "expected"), PARTS.values(), ids=PARTS)
def test_what_was_not_read_of_a_key_that_gave_its_state_is_told_part_by_part(
    reading: KeyReading, expected: list[Told]
) -> None:
    access = reading.access if isinstance(reading, AwsKey | GcpKey) else None
    asked = tuple(one.principal for one in access.rights) if access is not None else ()
    found = list(gaps.of_key(KeyView(reading.name, reading, None), asked))
    assert len(found) == len(expected)
    for gap, told in zip(found, expected, strict=True):
        assert_told(gap, told)


def test_of_those_who_need_no_right_any_more_no_gap_speaks() -> None:
    """Who is barred stays asked for after the config has ceased to name them."""
    key = an_aws_key(access=unread("aws", ("kms:GetKeyPolicy", Reason.THROTTLED), grants=(Grant.UNREAD,)))
    for view in (KeyView(AWS_KEY, key, None), KeyView(AWS_KEY, None, KeyMemory(key, NOW))):
        (gap,) = gaps.of_key(view, ())
        assert gap.effect.startswith("who else may use it")


def a_probe(outcome: ProbeOutcome, code: str, **more: Any) -> Probe:
    facts: dict[str, Any] = {
        "bucket": "s3://data",
        "key": NAME,
        "key_version": None,
        "kind": ProbeKind.READ,
        "at": NOW,
        "principal": OTHER,
        **more,
    }
    return Probe(outcome=outcome, code=code, **facts)


OF_A_VERSION = {"bucket": "gs://data", "key": OF_GOOGLE, "key_version": "2", "principal": AGENT}
DENIED = Reason.ACCESS_DENIED
OF_PROBES: dict[str, tuple[Probe, Told | None]] = {
    "passes": (a_probe(ProbeOutcome.PASSED, "ok"), None),
    "is refused by the key": (a_probe(ProbeOutcome.REFUSED, "DisabledException"), None),
    "is refused to somebody else": (
        a_probe(ProbeOutcome.REFUSED, NO_RIGHT),
        (NAME, DENIED, f"{OTHER} may not decrypt, and is not the platform", "permissions.md"),
    ),
    "is refused to nobody that is known": (
        a_probe(ProbeOutcome.REFUSED, NO_RIGHT, principal=None),
        (NAME, DENIED, "may not decrypt, and is not the platform", ""),
    ),
    "is refused to the platform": (a_probe(ProbeOutcome.REFUSED, NO_RIGHT, principal=ROLE), None),
    "is refused on Google Cloud": (a_probe(ProbeOutcome.REFUSED, NO_RIGHT, **OF_A_VERSION), None),
    "is throttled": (
        a_probe(ProbeOutcome.INCONCLUSIVE, "SlowDown", reason=Reason.THROTTLED),
        (NAME, Reason.THROTTLED, "a probe of s3://data told nothing (SlowDown)", "permissions.md"),
    ),
    "is not understood": (
        a_probe(ProbeOutcome.INCONCLUSIVE, "x", **OF_A_VERSION),
        (f"{OF_GOOGLE}/cryptoKeyVersions/2", Reason.UNSUPPORTED, "a probe of gs://data told nothing (x)", ""),
    ),
}


@pytest.mark.parametrize(("probe", "expected"), OF_PROBES.values(), ids=OF_PROBES)
def test_a_probe_that_told_nothing_of_the_platforms_data_is_a_gap(probe: Probe, expected: Told | None) -> None:
    found = list(gaps.of_probes([probe], {"s3://data": ("somebody", ROLE), "s3://other": (OTHER,)}))
    assert len(found) == (expected is not None)
    if expected is not None:
        assert_told(found[0], expected)


WANTED: dict[str, tuple[Probe, bool, timedelta, str | None]] = {
    "made lately": (a_probe(ProbeOutcome.REFUSED, "DisabledException"), True, timedelta(0), None),
    "made at the very limit": (a_probe(ProbeOutcome.REFUSED, "DisabledException"), True, timedelta(hours=2), None),
    "made too long ago": (
        a_probe(ProbeOutcome.REFUSED, "x"),
        True,
        timedelta(hours=2, seconds=1),
        "set [probe] reads and",
    ),
    "made lately, and not asked for": (
        a_probe(ProbeOutcome.REFUSED, "x"),
        False,
        timedelta(0),
        "set [probe] reads and",
    ),
    "made by a dry run": (
        a_probe(ProbeOutcome.REFUSED, "x", kind=ProbeKind.DRY_RUN),
        False,
        timedelta(0),
        "set [probe] dry_runs and",
    ),
    "made a minute from now": (a_probe(ProbeOutcome.REFUSED, "x"), True, timedelta(minutes=-1), None),
    "made later than that": (
        a_probe(ProbeOutcome.REFUSED, "x"),
        True,
        timedelta(minutes=-1, seconds=-1),
        "set [probe]",
    ),
    "made under a version": (
        a_probe(ProbeOutcome.REFUSED, "x", **OF_A_VERSION),
        False,
        timedelta(0),
        "set [probe] reads",
    ),
}


@pytest.mark.parametrize(("probe", "wanted", "age", "hint"), WANTED.values(), ids=WANTED)
def test_a_refusal_that_nobody_tries_again_is_a_gap(
    probe: Probe,
    wanted: bool,  # noqa: FBT001 - a case
    age: timedelta,
    hint: str | None,
) -> None:
    now = probe.at + age
    found = list(
        gaps.of_refusals([probe, probe], lambda kind: wanted and kind is probe.kind, now - timedelta(hours=2), now)
    )
    assert len(found) == (0 if hint is None else 2)
    if hint is not None:
        what = NAME if probe.key_version is None else f"{OF_GOOGLE}/cryptoKeyVersions/2"
        when = f"{probe.at:%Y-%m-%d %H:%M:%S UTC}{', by a clock that was ahead' if age < timedelta(0) else ''}"
        effect = f"a probe of {probe.bucket} was refused at {when}, and none has told otherwise since"
        assert_told(found[0], (what, Reason.NOT_VISIBLE, effect, hint))


def test_an_inventory_that_no_object_can_be_chosen_from_is_a_gap_of_its_bucket() -> None:
    for hint in ("look at the disk", ""):
        told = gaps.not_sampled("s3://data", LedgerError("it is damaged", hint))
        assert_told(
            told,
            ("s3://data", Reason.UNSUPPORTED, "no probe reads its objects: it is damaged", hint or "sweep it again"),
        )
        assert told.hint == (hint or "sweep it again")


def assert_told(gap: Gap, expected: Told) -> None:
    what, reason, effect, hint = expected
    assert (gap.what, gap.reason) == (what, reason)
    assert effect in gap.effect
    assert hint in gap.hint


def test_what_another_endpoint_told_is_nothing_of_this_one() -> None:
    assert not list(gaps.of_endpoint_then("s3://data", None, "http://b"))
    assert not list(gaps.of_endpoint_then("s3://data", "1.0 http://b", "http://b"))
    assert not list(gaps.of_endpoint_then("s3://data", "1.0 ", ""))
    (gap,) = gaps.of_endpoint_then("s3://data", "1.0 http://a", "http://b")
    assert_told(gap, ("s3://data", Reason.NOT_FOUND, "at another one", "scan it"))


def test_a_list_of_buckets_that_breaks_its_reader_is_a_gap() -> None:
    gap = gaps.buckets_not_listed(gaps.list_defect(TypeError("a secret")))
    assert_told(gap, (gaps.BUCKET_LISTS, Reason.UNSUPPORTED, "how many buckets", "scan with --verbose"))
