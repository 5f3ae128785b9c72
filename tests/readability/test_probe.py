"""What a probe proves, hides nothing of, and contradicts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.findings import Assessment, Basis, Confidence, Readability, Subject, SubjectKind
from auditor.model import (
    NO_RIGHT,
    AwsKey,
    CustomKeyStore,
    EkmConnection,
    Evidence,
    GcpKey,
    Grant,
    HsmInstance,
    KeyAccess,
    KeyGone,
    KeyReading,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    told_use,
)
from auditor.policy import Policy
from auditor.readability import KeyView, assess, is_early, next_to, probes_of, rights_of
from auditor.readability.probe import facts_behind, standing
from auditor.readability.table import Standpoint
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    denied,
    remembered,
)

R = Readability
POLICY = Policy()
SESSION = "arn:aws:sts::111122223333:assumed-role/storage/i-1"
STRANGER = "arn:aws:sts::111122223333:assumed-role/cmek-auditor/session"
TOLD = Evidence("kms:DescribeKey", "a key", NOW, None, "0" * 64)
TRIED = Evidence("s3:GetObject", "a key", NOW, None, "1" * 64)


def a_probe(outcome: ProbeOutcome = ProbeOutcome.PASSED, code: str = "ok", **more: Any) -> Probe:
    facts: dict[str, Any] = {
        "bucket": "s3://data",
        "key": AWS_KEY.text,
        "key_version": None,
        "kind": ProbeKind.READ,
        "at": NOW - timedelta(minutes=1),
        "principal": SESSION,
        **more,
    }
    return Probe(outcome=outcome, code=code, **facts)


def refused(code: str, **more: Any) -> Probe:
    return a_probe(ProbeOutcome.REFUSED, code, **more)


def on_google(outcome: ProbeOutcome, code: str = "ok") -> Probe:
    return a_probe(outcome, code, bucket="gs://data", key=GCP_KEY.text, key_version="1", principal=AGENT)


def aws(key: KeyReading | None, *probes: Probe, memory: Any = None, agents: tuple[str, ...] = (ROLE,)) -> Assessment:
    view = KeyView(AWS_KEY, key, memory)
    return assess(a_holding(), view, agents, POLICY, NOW, probes=probes).assessment


def google(
    key: GcpKey, probe: Probe, version: str | None = "1", agents: tuple[str, ...] = (AGENT,), memory: Any = None
) -> Assessment:
    view = KeyView(GCP_KEY, key, memory)
    return assess(a_holding(GCP_KEY, version), view, agents, POLICY, NOW, probes=(probe,)).assessment


PASSED: dict[str, tuple[AwsKey, Probe, Basis]] = {
    "by the platform": (an_aws_key(), a_probe(), Basis.PROBE),
    "by somebody else": (an_aws_key(), a_probe(principal=STRANGER), Basis.STATE),
    "by somebody else, where the policy names the platform": (
        an_aws_key(access=access(AWS_KEY, Grant.DIRECT)),
        a_probe(principal=STRANGER),
        Basis.PROBE,
    ),
    "with a bucket key": (an_aws_key(), a_probe(cached=True), Basis.STATE),
    "a dry run of the platform": (an_aws_key(), a_probe(kind=ProbeKind.DRY_RUN), Basis.POLICY),
    "a dry run of somebody else": (an_aws_key(), a_probe(kind=ProbeKind.DRY_RUN, principal=STRANGER), Basis.STATE),
    "a dry run on a custom store": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")),
        a_probe(kind=ProbeKind.DRY_RUN),
        Basis.STATE,
    ),
    "a read on a custom store": (an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")), a_probe(), Basis.PROBE),
    "two hours ago": (an_aws_key(), a_probe(at=NOW - timedelta(hours=2)), Basis.PROBE),
    "more than two hours ago": (an_aws_key(), a_probe(at=NOW - timedelta(hours=2, seconds=1)), Basis.STATE),
    "inconclusive": (an_aws_key(), a_probe(ProbeOutcome.INCONCLUSIVE, "SlowDown"), Basis.STATE),
    "a dry run, where the policy names the platform": (
        an_aws_key(access=access(AWS_KEY, Grant.DIRECT)),
        a_probe(kind=ProbeKind.DRY_RUN),
        Basis.POLICY,
    ),
}


@pytest.mark.parametrize(("key", "probe", "basis"), PASSED.values(), ids=PASSED)
def test_a_probe_that_passes_raises_the_basis_where_it_proves_something(
    key: AwsKey, probe: Probe, basis: Basis
) -> None:
    found = aws(key, probe)
    assert (found.readability, found.basis, found.contradiction) == (R.READABLE, basis, None)


def test_without_a_platform_a_read_by_anybody_proves_the_key() -> None:
    assert aws(an_aws_key(), a_probe(principal=STRANGER), agents=()).basis is Basis.PROBE


def test_one_of_several_principals_that_reads_proves_the_key() -> None:
    assert aws(an_aws_key(), a_probe(), agents=(ROLE, f"{ROLE}-2")).basis is Basis.PROBE


def test_a_dry_run_takes_nothing_from_what_a_read_has_proven() -> None:
    assert aws(an_aws_key(), a_probe(), a_probe(kind=ProbeKind.DRY_RUN)).basis is Basis.PROBE


REFUSED: dict[str, tuple[AwsKey, Probe, R]] = {
    "disabled": (an_aws_key(), refused("DisabledException"), R.UNREADABLE),
    "invalid state": (an_aws_key(), refused("KMSInvalidStateException"), R.UNREADABLE),
    "not found": (an_aws_key(), refused("NotFoundException"), R.UNREADABLE),
    "unavailable": (an_aws_key(), refused("KeyUnavailableException"), R.UNREACHABLE),
    "invalid state on a connected store": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")),
        refused("KMSInvalidStateException"),
        R.UNREACHABLE,
    ),
    "unavailable on a connected store": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")),
        refused("KeyUnavailableException"),
        R.UNREACHABLE,
    ),
    "disabled on a connected store": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")),
        refused("DisabledException"),
        R.UNREADABLE,
    ),
    "not found on a connected store": (
        an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")),
        refused("NotFoundException"),
        R.UNREADABLE,
    ),
    "a month ago": (an_aws_key(), refused("DisabledException", at=NOW - timedelta(days=30)), R.UNREADABLE),
    "by a clock that was a day ahead": (
        an_aws_key(),
        refused("DisabledException", at=NOW + timedelta(days=400)),
        R.UNREADABLE,
    ),
    "no right of the platform": (an_aws_key(), refused(NO_RIGHT), R.REVOKED),
    "no right of somebody else": (an_aws_key(), refused(NO_RIGHT, principal=STRANGER), R.READABLE),
    "no right of nobody known": (an_aws_key(), refused(NO_RIGHT, principal=None), R.READABLE),
    "a code of the future": (an_aws_key(), refused("NewException"), R.READABLE),
    "a minute in the future": (an_aws_key(), refused("DisabledException", at=NOW + timedelta(minutes=1)), R.UNREADABLE),
    "by a clock that was ahead": (
        an_aws_key(),
        refused("DisabledException", at=NOW + timedelta(hours=1)),
        R.UNREADABLE,
    ),
    "a dry run of a disabled key": (
        an_aws_key(),
        refused("DisabledException", kind=ProbeKind.DRY_RUN),
        R.UNREADABLE,
    ),
    "a dry run that finds no key in its own account": (
        an_aws_key(),
        refused("NotFoundException", kind=ProbeKind.DRY_RUN),
        R.UNREADABLE,
    ),
    "a dry run that finds no key in another account": (
        an_aws_key(),
        refused("NotFoundException", kind=ProbeKind.DRY_RUN, principal=SESSION.replace("111122223333", "444455556666")),
        R.READABLE,
    ),
    "inconclusive, whatever its code": (
        an_aws_key(),
        a_probe(ProbeOutcome.INCONCLUSIVE, "DisabledException"),
        R.READABLE,
    ),
    "while the material expires": (
        an_aws_key(valid_to=NOW + timedelta(days=3)),
        refused("DisabledException"),
        R.UNREADABLE,
    ),
}


@pytest.mark.parametrize(("key", "probe", "readability"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_an_obstacle_and_a_contradiction(key: AwsKey, probe: Probe, readability: R) -> None:
    found = aws(key, probe)
    assert found.readability is readability
    if readability is R.READABLE:
        assert (found.basis, found.contradiction) == (Basis.STATE, None)
    else:
        assert (found.basis, found.confidence) == (Basis.PROBE, Confidence.PROVEN)
        assert found.contradiction is not None
        assert found.contradiction.probe_failed


BOTH: dict[str, tuple[AwsKey, Probe]] = {
    "a read that passes": (an_aws_key(), a_probe()),
    "a dry run that passes": (an_aws_key(), a_probe(kind=ProbeKind.DRY_RUN)),
    "a read that is refused": (an_aws_key(), refused("DisabledException")),
    "a read that is refused, of a dead key": (an_aws_key("Disabled"), refused("DisabledException")),
    "a read that passes, of a dead key": (an_aws_key("Disabled"), a_probe()),
}


@pytest.mark.parametrize(("key", "probe"), BOTH.values(), ids=BOTH)
def test_what_the_key_says_and_what_the_probe_found_are_both_evidence(key: AwsKey, probe: Probe) -> None:
    found = aws(replace(key, evidence=(TOLD,)), replace(probe, evidence=(TRIED,)))
    assert found.evidence == (TOLD, TRIED)


def test_a_store_that_fails_and_a_principal_that_is_refused_are_named() -> None:
    store = aws(an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED")), refused("KMSInvalidStateException"))
    assert (store.subject.kind, store.subject.id) == (SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1")
    person = aws(an_aws_key(), refused(NO_RIGHT))
    assert (person.subject.kind, person.subject.id) == (SubjectKind.PRINCIPAL, f"{SESSION} -> {AWS_KEY}")


@pytest.mark.parametrize(("who", "told"), [(SESSION, True), (ROLE, True), (STRANGER, False), (None, False)])
def test_a_read_by_a_session_of_the_role_that_has_no_right_is_told(who: str | None, told: bool) -> None:  # noqa: FBT001 - a case
    found = aws(an_aws_key(access=access(AWS_KEY, Grant.ABSENT)), a_probe(principal=who))
    assert found.readability is R.REVOKED
    assert (found.contradiction is not None) is told


def test_a_read_that_passes_on_a_dead_key_is_told_and_changes_nothing() -> None:
    found = aws(an_aws_key("Disabled"), a_probe())
    assert found.readability is R.UNREADABLE
    assert found.contradiction is not None
    assert not found.contradiction.probe_failed
    assert aws(an_aws_key("Disabled"), a_probe(cached=True)).contradiction is None, "a bucket key goes on for a while"
    assert aws(an_aws_key("Disabled"), a_probe(kind=ProbeKind.DRY_RUN)).contradiction is None, (
        "it may not look at states"
    )
    assert aws(an_aws_key("Disabled"), refused("DisabledException")).contradiction is None


def test_only_the_revoked_principals_own_read_contradicts_a_revocation() -> None:
    revoked = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    assert aws(revoked, a_probe(principal=STRANGER)).contradiction is None
    assert aws(revoked, a_probe(principal=ROLE)).contradiction is not None


def test_around_a_change_probes_say_nothing() -> None:
    def found(minutes_after: float, probe: Probe) -> Assessment:
        changed = NOW - timedelta(minutes=30)
        memory = remembered(an_aws_key(), changed={"state": changed})
        return aws(an_aws_key(), replace(probe, at=changed + timedelta(minutes=minutes_after)), memory=memory)

    for minutes, basis in ((-5, Basis.STATE), (9.99, Basis.STATE), (10, Basis.PROBE)):
        assert found(minutes, a_probe()).basis is basis
    for minutes in (-5, 0, 10):
        assert found(minutes, refused("DisabledException")).readability is R.UNREADABLE
        assert found(minutes, refused("DisabledException", early=True)).readability is R.READABLE


def test_a_change_that_this_very_poll_has_found_leaves_every_success_behind() -> None:
    memory = remembered(an_aws_key())
    assert aws(an_aws_key("Disabled"), a_probe(), memory=memory).contradiction is None
    was = remembered(an_aws_key("Disabled"))
    assert aws(an_aws_key(), a_probe(), memory=was).basis is Basis.STATE
    passed = on_google(ProbeOutcome.PASSED)
    off = remembered(a_gcp_key(a_version(state="DISABLED")))
    assert google(a_gcp_key(), passed, memory=off).basis is Basis.STATE
    assert google(a_gcp_key(), passed, memory=remembered(a_gcp_key())).basis is Basis.PROBE


def test_the_first_answer_of_a_key_is_no_change() -> None:
    never_found = remembered(None, missing_since=NOW - timedelta(days=1))
    assert aws(an_aws_key(), refused("DisabledException"), memory=never_found).readability is R.UNREADABLE


ON_STORE = an_aws_key(store=CustomKeyStore("cks-1", "CONNECTED"))


def test_a_store_that_is_only_remembered_counts_as_well() -> None:
    throttled = denied(reason=Reason.THROTTLED)
    for reading in (throttled, None):
        dry = a_probe(kind=ProbeKind.DRY_RUN)
        assert aws(reading, dry, memory=remembered(ON_STORE)).basis is Basis.STATE
        assert aws(reading, dry, memory=remembered(an_aws_key())).basis is Basis.POLICY
        for age in (timedelta(minutes=1), timedelta(hours=1)):
            found = aws(reading, refused("KMSInvalidStateException"), memory=remembered(ON_STORE, age))
            assert (found.readability, found.subject.kind) == (R.UNREACHABLE, SubjectKind.KEY_STORE)


def test_what_is_doubted_stands_on_both_answers() -> None:
    doubt = replace(refused(NO_RIGHT, kind=ProbeKind.DRY_RUN), evidence=(TRIED,))
    assert aws(an_aws_key(evidence=(TOLD,)), doubt).evidence == (TOLD, TRIED)


def test_a_key_that_another_account_tries_dry_and_finds_disabled_is_disabled() -> None:
    foreign = SESSION.replace("111122223333", "444455556666")
    found = aws(an_aws_key(), refused("DisabledException", kind=ProbeKind.DRY_RUN, principal=foreign))
    assert found.readability is R.UNREADABLE


ELSEWHERE: dict[str, tuple[Probe, bool]] = {
    "disabled": (refused("DisabledException", bucket="s3://other"), True),
    "not found": (refused("NotFoundException", bucket="s3://other"), True),
    "disabled on Google Cloud": (refused("cloudKmsDisabledKey", bucket="s3://other"), True),
    "an invalid state, which a store may give": (refused("KMSInvalidStateException", bucket="s3://other"), True),
    "not available": (refused("KeyUnavailableException", bucket="s3://other"), True),
    "not found on Google Cloud": (refused("cloudKmsDecryptionKeyNotFound", bucket="s3://other"), True),
    "something else": (refused("AccessDenied", bucket="s3://other"), False),
    "no right": (refused(NO_RIGHT, bucket="s3://other"), False),
    "passed": (a_probe(bucket="s3://other"), False),
    "not proven": (a_probe(ProbeOutcome.INCONCLUSIVE, "DisabledException", bucket="s3://other"), False),
}


@pytest.mark.parametrize(("other", "counts"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_the_version_itself_refuses_through_one_bucket_counts_for_all(
    other: Probe,
    counts: bool,  # noqa: FBT001 - a case
) -> None:
    minute = timedelta(minutes=1)
    nothing = replace(a_probe(ProbeOutcome.INCONCLUSIVE, "x"), at=other.at + minute)
    early, late = replace(a_probe(), at=other.at - minute), replace(a_probe(), at=other.at)
    assert (other in probes_of("s3://data", [other], NOW)) is counts
    assert (other in probes_of("s3://data", [other, nothing, early], NOW)) is counts
    assert probes_of("s3://data", [other, early, late], NOW) == (early, late), "a later word about this very data"
    for weak in ({"kind": ProbeKind.DRY_RUN}, {"cached": True}, {"at": NOW + timedelta(hours=1)}):
        assert (other in probes_of("s3://data", [other, replace(late, **weak)], NOW)) is counts, "no read of the key"
    assert probes_of("s3://data", [early, refused("DisabledException")], NOW) == (early, refused("DisabledException"))


def test_the_latest_change_counts_and_one_of_this_very_moment_too() -> None:
    changed = {"state": NOW - timedelta(minutes=30), "store": NOW - timedelta(minutes=5)}
    probe = a_probe(at=NOW - timedelta(minutes=6))
    for moments in (changed, {"state": NOW}):
        assert aws(an_aws_key(), probe, memory=remembered(an_aws_key(), changed=moments)).basis is Basis.STATE


def test_a_change_of_what_does_not_decide_leaves_a_success_as_it_is() -> None:
    changed = {"right arn:aws:iam::111122223333:role/other": NOW - timedelta(minutes=1)}
    assert aws(an_aws_key(), a_probe(), memory=remembered(an_aws_key(), changed=changed)).basis is Basis.PROBE


DOUBTED: dict[str, tuple[AwsKey, tuple[Probe, ...], bool]] = {
    "by the policy": (an_aws_key(access=access(AWS_KEY, Grant.DIRECT)), (), True),
    "by the state": (an_aws_key(), (), True),
    "by a read of the platform": (an_aws_key(), (a_probe(),), False),
    "by a read of somebody else": (an_aws_key(), (a_probe(principal=STRANGER),), True),
}


@pytest.mark.parametrize(("key", "reads", "told"), DOUBTED.values(), ids=DOUBTED)
def test_a_dry_run_that_is_refused_is_told_and_proves_nothing(
    key: AwsKey,
    reads: tuple[Probe, ...],
    told: bool,  # noqa: FBT001 - a case
) -> None:
    found = aws(key, refused(NO_RIGHT, kind=ProbeKind.DRY_RUN), *reads)
    assert found.readability is R.READABLE
    assert (found.contradiction is not None) is told
    assert found.contradiction is None or not found.contradiction.probe_failed


HIDDEN = access(AWS_KEY, Grant.UNREAD, unread=(("kms:GetKeyPolicy", Reason.ACCESS_DENIED),))


def test_a_read_by_a_principal_that_was_barred_tells_that_it_is_not_any_more() -> None:
    memory = remembered(an_aws_key(), barred=(ROLE,))
    key = an_aws_key(access=HIDDEN)
    assert aws(key, memory=memory).readability is R.UNKNOWN
    assert aws(key, a_probe(), memory=memory).readability is R.READABLE
    for other in (a_probe(principal=STRANGER), a_probe(cached=True), a_probe(kind=ProbeKind.DRY_RUN)):
        assert aws(key, other, memory=memory).readability is R.UNKNOWN
    month_old = a_probe(at=NOW - timedelta(days=30))
    found = aws(key, month_old, memory=memory)
    assert (found.readability, found.basis) == (R.READABLE, Basis.STATE), "it gives the bar back to nobody"
    since = replace(memory, changed={f"right {ROLE}": NOW - timedelta(days=20)})
    assert aws(key, month_old, memory=since).readability is R.UNKNOWN, "from before it was barred"
    absent = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    assert aws(absent, a_probe(), memory=memory).readability is R.REVOKED, "what is read now stands"


def test_a_right_that_a_fault_hid_while_it_changed_has_changed() -> None:
    absent = told_use(an_aws_key(access=access(AWS_KEY, Grant.ABSENT)))
    memory = remembered(an_aws_key(access=access(AWS_KEY, Grant.UNREAD)), told=absent)
    for now, readability in ((Grant.DIRECT, R.READABLE), (Grant.UNREAD, R.REVOKED)):
        found = aws(an_aws_key(access=access(AWS_KEY, now)), refused(NO_RIGHT, told=absent), memory=memory)
        assert found.readability is readability


ON_GOOGLE: dict[str, tuple[str, str]] = {
    "version 1": ("'DISABLED'", "'ENABLED'"),
    "version 2": ("'DISABLED'", "'ENABLED'"),
    "connection 1": ("False", "True"),
    "connection 2": ("False", "True"),
    "instance": ("'DISABLED'", "'ACTIVE'"),
    "reasons": ("False", "True"),
    f"right {AGENT}": (repr(Grant.ABSENT), repr(Grant.DIRECT)),
}
ON_AWS: dict[str, tuple[str, str]] = {
    "state": ("'PendingDeletion'", "'Enabled'"),
    "store": ("'FAILED'", "'CONNECTED'"),
    f"right {ROLE}": (repr(Grant.ABSENT), repr(Grant.POSSIBLE)),
    f"right {ROLE}-2": (repr(Grant.ABSENT), repr(Grant.POSSIBLE)),
}
ENDED: dict[str, frozenset[str]] = {
    "cloudKmsDisabledKey": frozenset({"version 1", "connection 1", "instance"}),
    "cloudKmsDecryptionKeyNotFound": frozenset({"version 1", "connection 1", "instance"}),
    NO_RIGHT: frozenset({"reasons", f"right {AGENT}", f"right {ROLE}"}),
    "DisabledException": frozenset({"state"}),
    "NotFoundException": frozenset({"state"}),
    "KMSInvalidStateException": frozenset({"state", "store"}),
    "KeyUnavailableException": frozenset({"state", "store"}),
}


def standing_then(probe: Probe, told: dict[str, str], now: dict[str, str]) -> bool:
    """Whether a refusal still stands next to which a key told something, and tells something now."""
    at = Standpoint((AGENT, ROLE), None, POLICY, NOW)
    with_told = replace(probe, told=facts_behind(probe, told))
    return bool(standing([with_told], lambda _: None, now, at))


@pytest.mark.parametrize("code", ENDED)
def test_a_refusal_ends_with_what_stood_behind_it_and_with_nothing_else(code: str) -> None:
    on_aws = refused(code, principal=SESSION)
    on_gcp = on_google(ProbeOutcome.REFUSED, code)
    for probe, facts in ((on_aws, ON_AWS), (on_gcp, ON_GOOGLE)):
        for fact, (worst, well) in facts.items():
            bad = "'Disabled'" if (fact, code) == ("state", "DisabledException") else worst
            ends = fact in ENDED[code] and (fact in ON_AWS) == (probe is on_aws)
            assert standing_then(probe, {fact: bad}, {fact: well}) is not ends, fact
            assert standing_then(probe, {fact: bad}, {fact: bad}), "nothing has changed"
            assert standing_then(probe, {fact: bad}, {}), "nothing is told of it"
            assert standing_then(probe, {}, {fact: well}), "nothing was told of it"
    for fact, (_, well) in {**ON_AWS, **ON_GOOGLE}.items():
        if not fact.startswith("right "):
            assert standing_then(on_aws, {fact: well}, {fact: "'something else'"}), "what was well is not why"
    is_explained = standing_then(on_aws, {"state": "'Disabled'"}, {"state": "'Enabled'"})
    assert is_explained is (code != "DisabledException"), "that state has a code of its own"


def test_a_right_that_other_policies_may_take_away_can_stand_behind_a_refusal() -> None:
    fact, probe = f"right {ROLE}", refused(NO_RIGHT)
    possible, absent, direct = map(repr, (Grant.POSSIBLE, Grant.ABSENT, Grant.DIRECT))
    assert not standing_then(probe, {fact: possible}, {fact: direct})
    assert not standing_then(probe, {fact: possible}, {fact: absent})
    assert standing_then(probe, {fact: possible}, {fact: possible}), "back to what was refused"
    assert standing_then(probe, {fact: direct}, {fact: possible})
    by_whom_nobody_knows = on_google(ProbeOutcome.REFUSED, NO_RIGHT)
    by_whom_nobody_knows = replace(by_whom_nobody_knows, principal="the storage service agent of gs://data")
    assert not standing_then(by_whom_nobody_knows, {f"right {AGENT}": absent}, {f"right {AGENT}": direct})
    by_another = replace(by_whom_nobody_knows, principal=f"other-{AGENT}")
    assert standing_then(by_another, {f"right {AGENT}": absent}, {f"right {AGENT}": direct})


KEY_SUBJECT = Subject(SubjectKind.KEY, AWS_KEY.text)
BARRED = Subject(SubjectKind.PRINCIPAL, f"{SESSION} -> {AWS_KEY}")
STORE = Subject(SubjectKind.KEY_STORE, "111122223333/us-east-1/cks-1")
CONNECTED = CustomKeyStore("cks-1", "CONNECTED")
BESIDE: dict[str, tuple[AwsKey, Probe, tuple[tuple[Subject, R], ...]]] = {
    "disabled, and no right": (an_aws_key("Disabled"), refused(NO_RIGHT), ((BARRED, R.REVOKED),)),
    "disabled, and refused as such": (an_aws_key("Disabled"), refused("DisabledException"), ()),
    "doomed, and refused as disabled": (an_aws_key("PendingDeletion"), refused("DisabledException"), ()),
    "disabled, and somebody else has no right": (an_aws_key("Disabled"), refused(NO_RIGHT, principal=STRANGER), ()),
    "disabled, and a dry run": (an_aws_key("Disabled"), refused(NO_RIGHT, kind=ProbeKind.DRY_RUN), ()),
    "disabled, and the store does not work": (
        an_aws_key("Disabled", store=CONNECTED),
        refused("KMSInvalidStateException"),
        ((STORE, R.UNREACHABLE),),
    ),
    "disconnected, and refused as disabled": (
        an_aws_key(store=CustomKeyStore("cks-1", "DISCONNECTED")),
        refused("DisabledException"),
        ((KEY_SUBJECT, R.UNREADABLE),),
    ),
    "well": (an_aws_key(), refused(NO_RIGHT), ()),
    "unknown": (an_aws_key("Frozen"), refused(NO_RIGHT), ((KEY_SUBJECT, R.UNKNOWN),)),
    "expiring": (an_aws_key(valid_to=NOW + timedelta(days=1)), refused(NO_RIGHT), ((KEY_SUBJECT, R.EXPIRING),)),
}


@pytest.mark.parametrize(("key", "probe", "expected"), BESIDE.values(), ids=BESIDE)
def test_what_a_refusal_proves_beside_what_the_key_says_is_named_in_its_shadow(
    key: AwsKey, probe: Probe, expected: tuple[tuple[Subject, R], ...]
) -> None:
    assert aws(key, probe).shadowed == expected


def test_a_key_that_refuses_itself_comes_before_a_right_that_is_not_there() -> None:
    absent = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    found = aws(absent, refused("DisabledException"))
    right = Subject(SubjectKind.PRINCIPAL, f"{ROLE} -> {AWS_KEY}")
    assert (found.readability, found.subject) == (R.UNREADABLE, KEY_SUBJECT)
    assert found.shadowed == ((right, R.REVOKED),)
    assert aws(absent, refused(NO_RIGHT)).subject == right


def test_a_refusal_blames_what_it_speaks_of_whatever_else_is_known() -> None:
    version = Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1")
    probe = on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey")
    instance = HsmInstance("one", "ACTIVE", disable_time=NOW + timedelta(days=1))
    for reading in (a_gcp_key(), a_gcp_key(hsm_instance=instance), denied(GCP_KEY)):
        view = KeyView(GCP_KEY, reading, None)
        found = assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW, probes=(probe,)).assessment
        assert (found.readability, found.subject) == (R.UNREADABLE, version)
    for silent in (an_aws_key(), denied()):
        assert aws(silent, refused("DisabledException")).subject == KEY_SUBJECT


def test_a_refusal_keeps_the_date_of_a_key_that_tells_nothing_any_more() -> None:
    date = NOW + timedelta(days=9)
    doomed = remembered(an_aws_key("PendingDeletion", deletion_date=date))
    found = aws(denied(), refused("KMSInvalidStateException"), memory=doomed)
    assert (found.readability, found.final_at) == (R.UNREADABLE, date)
    expiring = an_aws_key(valid_to=date)
    assert aws(expiring, refused("DisabledException")).final_at is None, "it is no date of what refuses"


def test_a_right_that_google_refuses_is_for_all_versions_until_any_is_read() -> None:
    hour = timedelta(hours=1)
    one = replace(on_google(ProbeOutcome.REFUSED, NO_RIGHT), at=NOW - 2 * hour)
    assert rights_of("gs://data", [one], (AGENT,), NOW) == (one,)
    assert rights_of("gs://data", [one], ("somebody@else",), NOW) == ()
    assert rights_of("gs://data", [replace(one, code="cloudKmsDisabledKey")], (AGENT,), NOW) == ()
    for at, principal, stands in (
        (NOW - 3 * hour, AGENT, True),
        (NOW - 2 * hour, AGENT, False),
        (NOW - hour, AGENT, False),
        (NOW - hour, "somebody@else", True),
        (NOW - hour, "the storage service agent of gs://data", False),
    ):
        read = replace(on_google(ProbeOutcome.PASSED), key_version="2", at=at, principal=principal)
        assert (one in rights_of("gs://data", [one, read], (AGENT,), NOW)) is stands


def test_what_was_told_last_ends_a_refusal_also_while_the_key_is_silent() -> None:
    probe = refused("DisabledException", told={"state": "'Disabled'"})
    for last, readability in (("Enabled", R.READABLE), ("Disabled", R.UNREADABLE)):
        memory = remembered(an_aws_key("Enabled"), told={"state": repr(last)})
        assert aws(denied(reason=Reason.TIMEOUT), probe, memory=memory).readability is readability


def test_a_refusal_is_early_behind_a_change_of_what_may_stand_behind_it() -> None:
    minutes = timedelta(minutes=10)
    for fact, concerned in (("state", True), ("store", False), (f"right {ROLE}", False)):
        for after, early in ((-0.01, False), (0, True), (9.99, True), (10, False)):
            probe = refused("DisabledException", at=NOW + after * timedelta(minutes=1))
            assert is_early(probe, {fact: NOW}, minutes) is (early and concerned)
    both = {"version 1": NOW - minutes, "version 2": NOW}
    probe = replace(on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey"), at=NOW)
    assert not is_early(probe, both, minutes)
    assert is_early(replace(probe, key_version="2"), both, minutes)


def test_what_explains_a_refusal_is_not_forgotten_for_what_does_not() -> None:
    for code, first, then, kept in (
        ("DisabledException", "Disabled", "Enabled", "Disabled"),
        ("DisabledException", "Enabled", "Disabled", "Disabled"),
        ("DisabledException", "PendingDeletion", "Enabled", "Enabled"),
        ("KMSInvalidStateException", "Disabled", "Enabled", "Enabled"),
        ("KMSInvalidStateException", "PendingDeletion", "Enabled", "PendingDeletion"),
        ("KMSInvalidStateException", "PendingDeletion", "Disabled", "PendingDeletion"),
    ):
        probe = next_to(refused(code), {"state": repr(first), f"right {ROLE}": "'x'"})
        assert probe.told == {"state": repr(first)}
        assert next_to(probe, {"state": repr(then)}).told == {"state": repr(kept)}
        assert next_to(probe, {}) == probe


def test_a_version_that_is_enabled_again_ends_refusals_of_that_version_alone() -> None:
    both = a_gcp_key(a_version("1"), a_version("2"))
    probe = on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey")
    for number, readability in (("1", R.READABLE), ("2", R.UNREADABLE)):
        before = a_gcp_key(*(a_version(one, "DISABLED" if one == number else "ENABLED") for one in ("1", "2")))
        told = replace(probe, told=facts_behind(probe, told_use(before)))
        assert google(both, told, memory=remembered(before)).readability is readability


def test_a_connection_that_is_reached_again_ends_refusals_of_the_versions_behind_it() -> None:
    def behind(one: bool, two: bool) -> GcpKey:  # noqa: FBT001 - reached or not
        names = (CONNECTION, CONNECTION.replace("one", "two"))
        versions = (
            a_version(str(number), protection_level="EXTERNAL_VPC", ekm_connection=name)
            for number, name in enumerate(names, 1)
        )
        connections = (EkmConnection(name, reached) for name, reached in zip(names, (one, two), strict=True))
        return a_gcp_key(*versions, connections=tuple(connections))

    probe = on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey")
    now = behind(one=True, two=True)
    for before, readability in (
        (behind(one=False, two=True), R.READABLE),
        (behind(one=True, two=False), R.UNREADABLE),
    ):
        told = replace(probe, told=facts_behind(probe, told_use(before)))
        assert google(now, told, memory=remembered(before)).readability is readability


def test_a_pass_of_a_clock_that_was_ahead_raises_no_basis() -> None:
    for minutes, basis in ((0, Basis.PROBE), (1, Basis.PROBE), (2, Basis.STATE)):
        assert aws(an_aws_key(), a_probe(at=NOW + timedelta(minutes=minutes))).basis is basis


def test_a_change_that_a_wrong_clock_has_dated_ahead_leaves_every_success_behind() -> None:
    for ahead in (timedelta(0), timedelta(days=2)):
        memory = remembered(an_aws_key(), changed={"state": NOW + ahead})
        assert aws(an_aws_key(), a_probe(), memory=memory).basis is Basis.STATE


def test_a_change_that_a_wrong_clock_has_dated_ahead_forgets_no_refusal() -> None:
    memory = remembered(an_aws_key(), changed={"state": NOW + timedelta(days=2)})
    assert aws(an_aws_key(), refused("DisabledException"), memory=memory).readability is R.UNREADABLE


def test_a_key_that_is_denied_or_gone_has_no_policy_any_more() -> None:
    policy = remembered(an_aws_key(access=access(AWS_KEY, Grant.POSSIBLE)))
    dry = refused(NO_RIGHT, kind=ProbeKind.DRY_RUN)
    for reading in (denied(), KeyGone(AWS_KEY, proven=False)):
        assert aws(reading, dry, memory=policy).readability is R.UNKNOWN


def test_a_read_that_is_denied_proves_no_missing_right_while_the_key_itself_is_not_found() -> None:
    gone = KeyGone(AWS_KEY, proven=False)
    assert aws(gone, refused(NO_RIGHT)).readability is R.UNKNOWN
    assert aws(gone, refused("NotFoundException")).readability is R.UNREADABLE
    assert aws(denied(), refused(NO_RIGHT)).readability is R.REVOKED


NO_CHANGE = {
    "policies that give no answer": (access(AWS_KEY, Grant.DIRECT), access(AWS_KEY, Grant.UNREAD)),
    "policies that answer again": (access(AWS_KEY, Grant.UNREAD), access(AWS_KEY, Grant.DIRECT)),
    "another principal asked for": (access(AWS_KEY, Grant.DIRECT, principal="other"), access(AWS_KEY, Grant.DIRECT)),
}


@pytest.mark.parametrize(("before", "after"), NO_CHANGE.values(), ids=NO_CHANGE)
def test_a_fault_or_a_new_question_does_not_forget_a_refusal(before: KeyAccess, after: KeyAccess) -> None:
    memory = remembered(an_aws_key(access=before))
    found = aws(an_aws_key(access=after), refused("DisabledException"), memory=memory)
    assert found.readability is R.UNREADABLE


def test_a_right_that_was_told_otherwise_is_a_change() -> None:
    before = an_aws_key(access=access(AWS_KEY, Grant.ABSENT))
    probe = refused(NO_RIGHT, told=told_use(before))
    found = aws(an_aws_key(access=access(AWS_KEY, Grant.DIRECT)), probe, memory=remembered(before))
    assert found.readability is R.READABLE


def test_a_rotation_does_not_forget_what_an_old_version_refused() -> None:
    probe = on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey")
    view = KeyView(GCP_KEY, a_gcp_key(a_version("1"), a_version("2")), remembered(a_gcp_key(a_version("1"))))
    found = assess(a_holding(GCP_KEY, "1"), view, (AGENT,), POLICY, NOW, probes=(probe,)).assessment
    assert found.readability is R.UNREADABLE


def test_an_unknown_state_stays_unknown_when_a_read_passes_and_not_when_one_is_refused() -> None:
    assert aws(denied(), a_probe()).readability is R.UNKNOWN
    found = aws(denied(), refused("DisabledException"))
    assert (found.readability, found.contradiction) == (R.UNREADABLE, None)


def test_a_probe_changes_nothing_about_a_date() -> None:
    expiring = an_aws_key(valid_to=NOW + timedelta(days=3))
    found = aws(expiring, a_probe())
    assert (found.readability, found.basis) == (R.EXPIRING, Basis.STATE)


GOOGLE: dict[str, tuple[GcpKey, Probe, R, Basis]] = {
    "passed": (a_gcp_key(), on_google(ProbeOutcome.PASSED), R.READABLE, Basis.PROBE),
    "passed through an external manager": (
        a_gcp_key(a_version(protection_level="EXTERNAL")),
        on_google(ProbeOutcome.PASSED),
        R.READABLE,
        Basis.PROBE,
    ),
    "disabled": (a_gcp_key(), on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey"), R.UNREADABLE, Basis.PROBE),
    "not found": (
        a_gcp_key(),
        on_google(ProbeOutcome.REFUSED, "cloudKmsDecryptionKeyNotFound"),
        R.UNREADABLE,
        Basis.PROBE,
    ),
    "no right": (a_gcp_key(), on_google(ProbeOutcome.REFUSED, NO_RIGHT), R.REVOKED, Basis.PROBE),
}


@pytest.mark.parametrize(("key", "probe", "readability", "basis"), GOOGLE.values(), ids=GOOGLE)
def test_a_read_on_google_cloud_speaks_for_the_storage_agent(
    key: GcpKey, probe: Probe, readability: R, basis: Basis
) -> None:
    for agents in ((AGENT,), ()):
        found = google(key, probe, agents=agents)
        assert (found.readability, found.basis) == (readability, basis)


def test_one_objects_version_says_nothing_of_data_whose_version_is_not_known() -> None:
    probe = replace(on_google(ProbeOutcome.REFUSED, "cloudKmsDisabledKey"), key_version=None)
    assert google(a_gcp_key(), probe, None).readability is R.READABLE


CONNECTION = "projects/acme-keys/locations/us-east1/ekmConnections/one"
CONNECTIONS: dict[str, tuple[bool | None, R]] = {
    "reached": (True, R.READABLE),
    "not reached": (False, R.UNREACHABLE),
    "not verified": (None, R.READABLE),
}


@pytest.mark.parametrize(("reachable", "readability"), CONNECTIONS.values(), ids=CONNECTIONS)
def test_an_external_manager_that_is_not_reached_stops_its_keys(reachable: bool | None, readability: R) -> None:  # noqa: FBT001 - a case
    version = a_version(protection_level="EXTERNAL_VPC", ekm_connection=CONNECTION)
    key = a_gcp_key(
        version, a_version("2"), connections=(EkmConnection(CONNECTION, reachable, "EXTERNAL_UNREACHABLE"),)
    )
    found = assess(a_holding(GCP_KEY, "1"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert found.readability is readability
    if reachable is False:
        assert (found.subject.kind, found.subject.id) == (SubjectKind.EKM_CONNECTION, CONNECTION)
    other = assess(a_holding(GCP_KEY, "2"), KeyView(GCP_KEY, key, None), (), POLICY, NOW).assessment
    assert other.readability is R.READABLE, "another version stands on another manager"


def test_what_another_bucket_was_refused_counts_here_until_somebody_reads() -> None:
    hours = timedelta(hours=1)
    other = refused("DisabledException", bucket="s3://other", at=NOW - 1_000 * hours)
    for passed, counts in ((1_001, True), (999, False), (-1, True)):
        for bucket in ("s3://data", "s3://other", "s3://third"):
            read = a_probe(bucket=bucket, at=NOW - passed * hours)
            assert (other in probes_of("s3://data", [other, read], NOW)) is counts, (passed, bucket)
    assert probes_of("s3://data", [other], NOW) == (other,)
    assert aws(an_aws_key(), other).readability is R.UNREADABLE


def test_of_several_reads_the_last_one_counts_and_one_of_the_next_minute_too() -> None:
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    for bucket in ("s3://data", "s3://other"):
        before = refused("DisabledException", bucket=bucket, at=NOW - 2 * hour)
        early, late = (a_probe(bucket="s3://third", at=NOW - hours * hour) for hours in (3, 1))
        assert before not in probes_of("s3://data", [before, early, late], NOW)
        for ahead, over in ((minute, True), (minute + timedelta(seconds=1), False)):
            read = a_probe(bucket="s3://third", at=NOW + ahead)
            assert (before not in probes_of("s3://data", [before, read], NOW)) is over
    lacking = refused("KMSInvalidStateException", at=NOW - 2 * hour)
    for ahead, readability in ((minute, R.READABLE), (minute + timedelta(seconds=1), R.UNREADABLE)):
        assert aws(an_aws_key(), lacking, a_probe(at=NOW + ahead)).readability is readability


def test_a_read_that_passes_contradicts_no_state_that_is_not_known() -> None:
    found = aws(an_aws_key("Frozen"), a_probe())
    assert (found.readability, found.contradiction) == (R.UNKNOWN, None)


def test_a_dry_run_that_is_refused_to_somebody_else_is_no_doubt() -> None:
    for probe in (
        refused(NO_RIGHT, kind=ProbeKind.DRY_RUN, principal=STRANGER),
        refused("SomeOtherException", kind=ProbeKind.DRY_RUN),
        refused("NotFoundException", kind=ProbeKind.DRY_RUN, principal=SESSION.replace("111122223333", "999900001111")),
    ):
        assert aws(an_aws_key(), probe) == replace(aws(an_aws_key()), evidence=probe.evidence)


HOURS = [NOW - timedelta(hours=hours) for hours in range(6)]
OUTVOTED: dict[str, tuple[Probe, Probe, R]] = {
    "a dry run by a later read": (
        refused("DisabledException", kind=ProbeKind.DRY_RUN, at=HOURS[4]),
        a_probe(at=HOURS[3]),
        R.READABLE,
    ),
    "not by an earlier read": (
        refused("DisabledException", kind=ProbeKind.DRY_RUN, at=HOURS[3]),
        a_probe(at=HOURS[4]),
        R.UNREADABLE,
    ),
    "not by a read at the same time": (
        refused("DisabledException", kind=ProbeKind.DRY_RUN, at=HOURS[3]),
        a_probe(at=HOURS[3]),
        R.UNREADABLE,
    ),
    "not by what a bucket key still knew": (
        refused("DisabledException", kind=ProbeKind.DRY_RUN, at=HOURS[4]),
        a_probe(at=HOURS[3], cached=True),
        R.UNREADABLE,
    ),
    "not by a later dry run": (
        refused("DisabledException", at=HOURS[4]),
        a_probe(kind=ProbeKind.DRY_RUN, at=HOURS[3]),
        R.UNREADABLE,
    ),
    "not by a read of the future": (
        refused("DisabledException", kind=ProbeKind.DRY_RUN, at=HOURS[4]),
        a_probe(at=NOW + timedelta(hours=1)),
        R.UNREADABLE,
    ),
    "not by a read through another bucket": (
        refused("KMSInvalidStateException", kind=ProbeKind.DRY_RUN, at=HOURS[4]),
        a_probe(at=HOURS[3], bucket="s3://other"),
        R.UNREADABLE,
    ),
    "what the key said of itself by one through another bucket": (
        refused("DisabledException", at=HOURS[4]),
        a_probe(at=HOURS[3], bucket="s3://other"),
        R.READABLE,
    ),
    "a lacking right by a read of the same principal": (
        refused(NO_RIGHT, at=HOURS[4]),
        a_probe(at=HOURS[3]),
        R.READABLE,
    ),
    "a lacking right not by a read of somebody else": (
        refused(NO_RIGHT, at=HOURS[4]),
        a_probe(at=HOURS[3], principal=STRANGER),
        R.REVOKED,
    ),
}


@pytest.mark.parametrize(("refusal", "passed", "expected"), OUTVOTED.values(), ids=OUTVOTED)
def test_a_read_that_passes_outvotes_what_was_refused_before(refusal: Probe, passed: Probe, expected: R) -> None:
    assert aws(an_aws_key(), refusal, passed).readability is expected


def test_what_the_key_itself_refused_is_over_once_it_was_used_through_whatever_bucket() -> None:
    early, late = NOW - timedelta(hours=3), NOW - timedelta(hours=2)
    for code, over in (("DisabledException", True), ("KMSInvalidStateException", False), (NO_RIGHT, False)):
        mine = refused(code, at=early)
        for other, proves in (
            (a_probe(bucket="s3://other", at=late), True),
            (a_probe(bucket="s3://other", at=late, cached=True), False),
            (a_probe(bucket="s3://other", at=late, kind=ProbeKind.DRY_RUN), False),
            (a_probe(bucket="s3://other", at=early), False),
            (a_probe(bucket="s3://other", at=NOW + timedelta(hours=1)), False),
        ):
            assert (mine in probes_of("s3://data", [mine, other], NOW)) is not (over and proves), (code, other)


def test_a_refusal_is_not_over_because_a_key_changes_its_region() -> None:
    for state in ("Enabled", "Updating"):
        assert told_use(an_aws_key(state)) == told_use(an_aws_key("Enabled"))
    assert told_use(an_aws_key("Disabled")) != told_use(an_aws_key("Enabled"))
