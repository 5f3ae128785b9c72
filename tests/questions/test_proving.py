"""What one judgement proves of a key, part by part: its state in words, its gaps, and what no answer can tell."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor.errors import UsageError
from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Confidence,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Run,
    Severity,
    Status,
    Subject,
    SubjectKind,
    Undo,
)
from auditor.model import (
    AwsKey,
    Encryption,
    Evidence,
    Extent,
    Gap,
    GcpKey,
    KeyMemory,
    KeyName,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
)
from auditor.ownership.said import Said
from auditor.policy import Policy
from auditor.ports import Measured
from auditor.questions.prove_revoked.answer import Proof, Revocation
from auditor.questions.prove_revoked.proving import (
    is_meant_revoked,
    proof_of,
    proving,
    see_that_it_is_meant,
)
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days, remembered

if TYPE_CHECKING:
    from auditor.ports import OpenInventory
    from auditor.run import Parts

R = Readability
HOUR = timedelta(hours=1)
CALL = Evidence("cloudkms:GetCryptoKey", GCP_KEY.text, NOW, "", "a" * 64)
LISTED = Evidence("cloudkms:ListCryptoKeyVersions", GCP_KEY.text, NOW, "", "b" * 64)
ENABLE = Undo("enable version 1", "an administrator", "ENABLED")
OFF = a_gcp_key(a_version("1", "DISABLED"), a_version("2", "DISABLED"))
PROJECT_NUMBER = KeyName(GCP_KEY.text.replace("acme-keys", "123456"))
MRK = KeyName("arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e000040008000000000000001")


def found(readability: R = R.UNREADABLE, cause: str = "it is off", **more: Any) -> Assessment:
    return Assessment(readability, Basis.STATE, cause, Subject(SubjectKind.KEY, GCP_KEY.text), **more)


def under(assessment: Assessment, version: str | None = "1", key: KeyName = GCP_KEY) -> Assessed:
    return Assessed(a_holding(key, version), Encryption.CMEK, assessment)


def a_bucket(url: str = "gs://data", begun: datetime | None = NOW, **more: Any) -> BucketCoverage:
    return BucketCoverage(url, True, 10, 10, 0, 0, 0, begun, begun, **{"oldest_verified": begun, **more})


def judged(*assessed: Assessed, buckets: Sequence[BucketCoverage] | None = None, **more: Any) -> Judgement:
    run = Run("1", NOW, NOW, "0", (), "", "", timedelta())
    coverage = Coverage((a_bucket(),) if buckets is None else tuple(buckets), 1, 1, 0)
    what = {"findings": (), "gaps": (), "tallies": (), "sweeps": (), **more}
    return Judgement(run, NOW, coverage, assessed, **what)


def a_finding(**more: Any) -> Finding:
    facts: dict[str, Any] = {
        "id": "1",
        "rule": "revocation-incomplete",
        "severity": Severity.HIGH,
        "status": Status.OPEN,
        "subject": Subject(SubjectKind.KEY, GCP_KEY.text),
        "readability": None,
        "cause": "the rule knows more",
        "confidence": Confidence.PROVEN,
        "extent": Extent(0, 0),
        "members": (),
        "final_at": None,
        "since": NOW,
        "since_source": "first_read",
        "evidence": (),
        "undo": (),
        "first_seen": NOW,
        "last_seen": NOW,
    }
    return Finding(**facts | more)


class Rows:
    """Each set of holdings is as large as its holdings are many; all together are 99."""

    def measured(self, wanted: Sequence[tuple[Member, ...]], top: int) -> Measured:
        assert top == 0, "no namespace is shown"
        each = tuple(Extent(objects=len(one), size=10 * len(one)) for one in wanted)
        return Measured(each, Extent(objects=99, size=990), {Population.LIVE: (99, 990)}, ())


@dataclass
class Told:
    """What the ledger and the config say."""

    memory: dict[KeyName, KeyMemory] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()
    said: tuple[Said, ...] = (Said(GCP_KEY, revoked=True),)
    skews: dict[str, timedelta] = field(default_factory=dict)

    @property
    def parts(self) -> "Parts":
        buckets = ("gs://data", "s3://data")
        ledger = SimpleNamespace(
            memory=lambda *_: self.memory,
            probes=lambda: self.probes,
            head=lambda: (7, "hash"),
            failed_attempts=tuple,
            sweeps=lambda: tuple(SimpleNamespace(bucket=one, skew=skew) for one, skew in self.skews.items()),
        )
        parts = SimpleNamespace(
            ledger=ledger,
            said=self.said,
            policy=Policy(),
            buckets=buckets,
            handed=(),
            registries=(),
        )
        return cast("Parts", parts)

    def proves(self, judgement: Judgement, key: KeyName = GCP_KEY) -> Revocation:
        return proving(self.parts, judgement, cast("OpenInventory", Rows()), key, judgement.now)


def off(last: GcpKey | AwsKey = OFF, **more: Any) -> KeyMemory:
    return remembered(last, timedelta(0), **more)


def told(*assessed: Assessed, **more: Any) -> Revocation:
    memory = more.pop("memory", off(evidence_of(OFF)))
    return Told({GCP_KEY: memory} if memory is not None else {}, **more).proves(judged(*assessed))


def evidence_of(key: GcpKey) -> GcpKey:
    return replace(key, evidence=(CALL,))


def test_all_data_under_the_key_is_weighed_and_no_other() -> None:
    dead = under(found())
    away = (under(found(R.READABLE), key=KeyName(f"{GCP_KEY}-2")), Assessed(a_holding(None), Encryption.NONE, found()))
    assert told(dead, *away).proof is Proof.REVOKED
    assert told(dead, under(found(R.READABLE), "2")).proof is Proof.READABLE


def test_what_is_judged_alike_is_one_part_and_the_most_readable_stands_first() -> None:
    doomed, off_two = found(R.DOOMED), found(cause="and so is 2")
    answer = told(under(doomed), under(found(), "3"), under(off_two, "2"), under(found(), "4"))
    order = sorted((one.found for one in answer.parts), key=lambda one: tuple(R).index(one.readability))
    assert [one.found for one in answer.parts] == order
    assert [(one.found.cause, one.extent.objects) for one in answer.parts if one.found.readability is R.UNREADABLE] == [
        ("and so is 2", 1),
        ("it is off", 2),
    ]
    assert (answer.extent, answer.populations) == (Extent(objects=99, size=990), {Population.LIVE: (99, 990)})


def test_where_nobody_looks_that_no_data_is_told_of_is_no_number() -> None:
    dead = under(found())
    keys_only, no_data = judged(buckets=()), judged()
    assert Told().proves(keys_only).extent == Extent(objects=None, size=None)
    assert Told().proves(no_data).extent.objects == 99
    assert Told().proves(judged(dead, buckets=())).extent.objects == 99
    assert (Told().proves(keys_only).untold, Told().proves(judged(dead)).untold) == (True, False)


@pytest.mark.parametrize(
    ("finding", "counts"),
    [
        (a_finding(), True),
        (a_finding(status=Status.WAIVED), True),
        (a_finding(status=Status.RESOLVED), False),
        (a_finding(rule="data-unreadable"), False),
        (a_finding(subject=Subject(SubjectKind.KEY, f"{GCP_KEY}-2")), False),
    ],
    ids=["open", "waived", "over", "of another rule", "of another key"],
)
def test_what_the_rule_finds_of_the_key_stands_in_the_way(finding: Finding, *, counts: bool) -> None:
    answer = Told({GCP_KEY: off()}).proves(judged(under(found()), findings=(finding,)))
    assert (answer.proof, answer.why) == ((Proof.NOT_PROVEN, "the rule knows more") if counts else (Proof.REVOKED, ""))


PASSED = Probe("gs://data", GCP_KEY.text, "1", ProbeKind.READ, NOW, ProbeOutcome.PASSED, "ok", None)


def test_attempts_under_the_key_alone_are_told_the_oldest_first() -> None:
    soon, before = replace(PASSED, at=NOW + HOUR), replace(PASSED, at=NOW - HOUR)
    other = replace(PASSED, key=f"{GCP_KEY}-2")
    answer = told(under(found()), probes=(soon, other, before))
    assert answer.probes == (before, soon)
    assert (answer.proof, "passed at" in answer.why) == (Proof.NOT_PROVEN, True)


def test_a_refusal_of_before_that_nobody_made_again_stands_in_the_way() -> None:
    by_probe = replace(found(), basis=Basis.PROBE, evidence=(CALL,))
    refused = replace(PASSED, outcome=ProbeOutcome.REFUSED, evidence=(CALL,))
    assert told(under(by_probe), probes=(refused,)).proof is Proof.REVOKED
    late = told(under(by_probe), probes=(replace(refused, at=NOW - HOUR),))
    assert (late.proof, "an attempt of before alone" in late.why) == (Proof.NOT_PROVEN, True)


def test_a_key_that_gave_no_answer_now_stands_in_the_way() -> None:
    answer = told(under(found()), memory=remembered(OFF))
    assert (answer.proof, "gave no answer now" in answer.why) == (Proof.NOT_PROVEN, True)


def test_a_replica_whose_data_is_read_stands_in_the_way() -> None:
    replica = KeyName(MRK.text.replace("us-east-1", "eu-west-1"))
    memory = {MRK: off(an_aws_key("Disabled", name=MRK, multi_region=True))}
    judgement = judged(under(found(), None, MRK), under(found(R.READABLE), None, replica))
    answer = Told(memory).proves(judgement, MRK)
    assert (answer.proof, answer.why.startswith(f"{replica} is a replica")) == (Proof.NOT_PROVEN, True)


@pytest.mark.parametrize(
    ("dead", "version", "to_do", "undo"),
    [
        (found(R.READABLE, undo=(ENABLE,)), "ENABLED", 1, ()),
        (found(R.READABLE, undo=(ENABLE,)), "DISABLED", 0, ()),
        (found(confidence=Confidence.INFERRED, undo=(ENABLE,)), "ENABLED", 1, ()),
        (found(confidence=Confidence.INFERRED, undo=(ENABLE,)), "DISABLED", 0, (ENABLE,)),
        (found(undo=(ENABLE,)), "ENABLED", 0, (ENABLE,)),
        (found(R.LOST, undo=(ENABLE,)), "DESTROYED", 0, (ENABLE,)),
    ],
    ids=["read", "read by what is off", "inferred, on", "inferred, off", "proven", "erased"],
)
def test_what_is_not_done_yet_is_gone_on_with_and_only_what_is_done_is_undone(
    dead: Assessment, version: str, to_do: int, undo: tuple[Undo, ...]
) -> None:
    answer = told(under(dead), under(dead, "2"), memory=off(a_gcp_key(a_version("1", version))))
    assert (len(answer.to_do), answer.undo) == (to_do, undo), "each way back is told once"


def test_it_stands_on_the_keys_own_answer_and_on_those_of_each_part() -> None:
    answer = told(under(found(evidence=(LISTED, CALL))), under(found(cause="else", evidence=(LISTED,)), "2"))
    assert answer.evidence == (CALL, LISTED)
    assert told(under(found(evidence=(LISTED,))), memory=None).evidence == (LISTED,)
    assert told(under(found(evidence=(LISTED,))), memory=KeyMemory(None, None)).evidence == (LISTED,)


def test_dates_are_the_newest_that_are_known() -> None:
    changed = {"version 1": NOW - 2 * HOUR, "version 2": NOW - HOUR}
    memory = {GCP_KEY: remembered(OFF, HOUR, changed=changed)}
    since = (Said(GCP_KEY, revoked=True, since=NOW - days(3)),)
    answer = Told(memory, said=since).proves(judged(under(found())))
    assert (answer.changed, answer.state_read, answer.meant_since) == (NOW - HOUR, NOW - HOUR, NOW - days(3))
    assert (answer.now, answer.events, answer.head) == (NOW, 7, "hash")
    nothing = Told().proves(judged(under(found())))
    assert (nothing.changed, nothing.state_read, nothing.meant_since) == (None, None, None)
    assert Told({GCP_KEY: off()}).proves(judged(under(found()))).changed is None


@pytest.mark.parametrize(
    ("memory", "state"),
    [
        (None, "never read"),
        (KeyMemory(None, None, denied_since=NOW), "never read"),
        (off(), "1 DISABLED, 2 DISABLED"),
        (off(missing_since=NOW), "1 DISABLED, 2 DISABLED (not found since)"),
        (off(denied_since=NOW), "1 DISABLED, 2 DISABLED (denied since)"),
        (off(replace(OFF, versions=()), missing_since=NOW), "no versions (not found since)"),
        (off(a_gcp_key(a_version("1", "MELTED"))), "1 in a state that this version does not know (MELTED)"),
    ],
    ids=["nothing kept", "denied ever", "off", "gone", "denied", "no version", "a new state"],
)
def test_the_state_is_what_the_key_said_last(memory: KeyMemory | None, state: str) -> None:
    assert told(under(found()), memory=memory).state.startswith(state)


def of_aws(state: str, readability: R = R.UNREADABLE, **more: Any) -> Revocation:
    facts = {"multi_region": more.pop("multi_region", False)}
    memory = {AWS_KEY: off(an_aws_key(state, **facts), **more)}
    return Told(memory).proves(judged(under(found(readability), None, AWS_KEY)), AWS_KEY)


def test_the_state_of_a_key_of_aws_is_one_word() -> None:
    assert of_aws("Disabled").state == "Disabled"
    assert of_aws("Disabled", missing_since=NOW, denied_since=NOW).state == "Disabled (not found since) (denied since)"


BUCKET_KEYS = "reads behind an S3 Bucket Key"
SPREADING = "reads until the change has reached all of Cloud KMS"
REPLICAS = "its replicas in other Regions"
WHOEVER = "whoever else may use the key"
EXTERNAL = "the external key manager"
NO_BUCKET = "the objects: no bucket is configured"


def uncovered(answer: Revocation) -> set[str]:
    every = (BUCKET_KEYS, SPREADING, REPLICAS, WHOEVER, EXTERNAL, NO_BUCKET)
    return {one for one in every if any(text.startswith(one) for text in answer.not_covered)}


def test_what_no_answer_can_tell_is_said_where_it_may_be() -> None:
    assert uncovered(of_aws("Disabled")) == {BUCKET_KEYS}
    assert uncovered(of_aws("PendingDeletion", R.LOST)) == set()
    assert uncovered(of_aws("Disabled", multi_region=True)) == {BUCKET_KEYS, REPLICAS}
    assert uncovered(told(under(found()))) == {SPREADING}
    assert uncovered(told(under(found()), memory=None)) == {SPREADING}
    assert uncovered(told(under(found(R.LOST)), memory=off(replace(OFF, versions=())))) == set()
    assert uncovered(told(under(found(R.LOST)), under(found(R.REVOKED), "2"))) == {SPREADING, WHOEVER}
    assert uncovered(Told().proves(judged(under(found()), buckets=()))) == {SPREADING, NO_BUCKET}
    assert len(of_aws("Enabled", R.LOST).not_covered) == 4, "what is always so"


OUTSIDE = a_gcp_key(a_version("1", "DESTROYED"), a_version("2", "DESTROYED", protection_level="EXTERNAL"))


@pytest.mark.parametrize(
    ("versions", "is_elsewhere"),
    [(("1",), False), (("2",), True), (("1", "2"), True), ((None,), True), (("1", None), True), (("3",), False)],
    ids=repr,
)
def test_data_under_a_version_that_an_external_manager_holds_is_not_erased(
    versions: tuple[str | None, ...], *, is_elsewhere: bool
) -> None:
    answer = told(*(under(found(R.LOST), one) for one in versions), memory=off(OUTSIDE))
    assert answer.proof is (Proof.REVOKED if is_elsewhere else Proof.ERASED)
    assert (EXTERNAL in uncovered(answer)) is is_elsewhere


INFERRED = Confidence.INFERRED
PROOFS: dict[str, tuple[list[Assessment], list[str], Proof]] = {
    "all dead": ([found(R.REVOKED), found(R.LOST), found(R.DOOMED), found(R.UNREADABLE)], [], Proof.REVOKED),
    "all lost": ([found(R.LOST)] * 2, [], Proof.ERASED),
    "one read left": ([found(R.LOST), found(R.EXPIRING)], [], Proof.READABLE),
    "one unknown": ([found(R.LOST), found(R.UNKNOWN)], [], Proof.NOT_PROVEN),
    "out of reach, which comes back by itself": ([found(R.UNREACHABLE)], [], Proof.NOT_PROVEN),
    "lost, by one reading": ([found(R.LOST, confidence=INFERRED)], [], Proof.NOT_PROVEN),
    "all dead, and the rule knows more": ([found(R.LOST)], ["somebody may still"], Proof.NOT_PROVEN),
    "without data": ([], [], Proof.NOT_PROVEN),
}


@pytest.mark.parametrize(("every", "standing", "proof"), PROOFS.values(), ids=PROOFS)
def test_only_what_is_proven_dead_is_a_proof(every: list[Assessment], standing: list[str], proof: Proof) -> None:
    told, why = proof_of(every, standing)
    assert (told, bool(why)) == (proof, proof in {Proof.READABLE, Proof.NOT_PROVEN})
    assert not standing or why == standing[0]


def test_the_first_of_what_stands_in_the_way_is_told_and_what_is_inferred_by_its_cause() -> None:
    assert proof_of([found(R.EXPIRING)], ["the rule knows more", "and more"]) == (Proof.READABLE, "the rule knows more")
    assert proof_of([found()], ["the rule knows more", "and more"]) == (Proof.NOT_PROVEN, "the rule knows more")
    told_by = [found(), found(cause="by a guess", confidence=Confidence.INFERRED)]
    assert proof_of(told_by, []) == (
        Proof.NOT_PROVEN,
        "that its data cannot be read is only inferred: by a guess",
    )
    some_lost = [found(R.LOST), found()]
    assert proof_of(some_lost, []) == proof_of([found(R.LOST)], [], elsewhere=True) == (Proof.REVOKED, "")
    assert proof_of([found(R.LOST)], []) == (Proof.ERASED, "")


def moved(memory: KeyMemory, bucket: BucketCoverage, **more: Any) -> list[tuple[str, str | None]]:
    """What the answer lacks of a bucket: the reason, and what to do."""
    answer = Told({GCP_KEY: memory}, **more).proves(judged(under(found()), buckets=[bucket]))
    return [(one.reason, one.hint) for one in answer.gaps if one.what == bucket.bucket]


AGAIN = [(Reason.NOT_VISIBLE, "scan again")]
WRONG = [(Reason.MALFORMED, "scan again")]
ANEW = [(Reason.NOT_VISIBLE, "scan with [limits] reverify_days = 0, so that every object is asked for its key again")]
SEEN = off(changed={"version 1": NOW - HOUR})


@pytest.mark.parametrize(
    "memory",
    [
        SEEN,
        off(first_at=NOW - HOUR),
        off(missing_since=NOW - HOUR),
        off(changed={"version 1": NOW - 9 * HOUR, "version 2": NOW - HOUR}, first_at=NOW - 9 * HOUR),
        off(changed={"version 1": NOW - 9 * HOUR}, missing_since=NOW - HOUR),
    ],
    ids=["changed", "heard of first", "gone", "changed twice", "changed, then gone"],
)
def test_what_was_looked_at_before_the_key_was_off_may_have_moved(memory: KeyMemory) -> None:
    second = timedelta(seconds=1)
    assert moved(memory, a_bucket(begun=NOW - HOUR - second)) == AGAIN
    assert moved(memory, a_bucket(begun=NOW - HOUR)) == moved(memory, a_bucket()) == []


def test_of_a_key_that_nothing_is_kept_of_nothing_may_have_moved() -> None:
    assert moved(off(), a_bucket(begun=NOW - HOUR)) == []
    assert moved(SEEN, a_bucket(begun=None)) == []
    unknown = Told().proves(judged(under(found())))
    assert [(one.what, one.reason) for one in unknown.gaps] == [(GCP_KEY.text, Reason.NOT_VISIBLE)]


def test_an_object_whose_key_was_asked_for_before_is_to_be_asked_again() -> None:
    assert moved(SEEN, a_bucket(oldest_verified=NOW - 2 * HOUR)) == ANEW
    assert moved(SEEN, a_bucket(begun=NOW - HOUR, oldest_verified=NOW - 2 * HOUR)) == ANEW
    assert moved(SEEN, a_bucket(begun=NOW - 2 * HOUR, oldest_verified=NOW)) == AGAIN
    assert moved(SEEN, a_bucket(begun=NOW - 2 * HOUR, oldest_verified=None)) == AGAIN
    assert moved(SEEN, a_bucket(begun=None, oldest_verified=NOW - 2 * HOUR)) == AGAIN


def test_a_look_that_a_wrong_clock_has_dated_is_none() -> None:
    minute = timedelta(minutes=1)
    assert moved(SEEN, a_bucket(begun=NOW + minute)) == []
    assert moved(SEEN, a_bucket(begun=NOW + minute + timedelta(seconds=1))) == WRONG
    assert moved(SEEN, a_bucket(), skews={"gs://data": days(2)}) == WRONG
    assert moved(SEEN, a_bucket(), skews={"gs://data": days(1)}) == []
    assert moved(SEEN, a_bucket(), skews={"gs://other": days(2)}) == []
    assert moved(SEEN, a_bucket(begun=None), skews={"gs://data": days(2)}) == []


def test_a_bucket_of_another_cloud_hides_nothing_of_the_key() -> None:
    assert moved(SEEN, a_bucket("s3://data", NOW - 2 * HOUR)) == []


@pytest.mark.parametrize(
    ("memory", "gaps", "expected"),
    [
        (None, (), [Reason.NOT_VISIBLE]),
        (KeyMemory(None, None), (), [Reason.NOT_VISIBLE]),
        (off(), (), []),
        (None, (Gap(GCP_KEY.text, Reason.ACCESS_DENIED, "", ""),), [Reason.ACCESS_DENIED]),
        (None, (Gap("gs://other", Reason.TIMEOUT, "", ""),), [Reason.NOT_VISIBLE]),
        (
            None,
            (Gap(GCP_KEY.text, Reason.ACCESS_DENIED, "", ""), Gap("gs://other", Reason.TIMEOUT, "", "")),
            [Reason.ACCESS_DENIED],
        ),
    ],
    ids=["nothing kept", "no state kept", "told", "a gap tells it", "a gap of else", "both"],
)
def test_that_a_key_never_told_its_state_is_a_gap_once(
    memory: KeyMemory | None, gaps: tuple[Gap, ...], expected: list[Reason]
) -> None:
    answer = Told({GCP_KEY: memory} if memory is not None else {}).proves(judged(under(found()), gaps=gaps))
    assert [one.reason for one in answer.gaps if one.what == GCP_KEY.text] == expected


def meant(*said: Said, key: KeyName = GCP_KEY, memory: dict[KeyName, KeyMemory] | None = None) -> tuple[str, str]:
    """Why it is refused, and what to do; empty where it is not."""
    parts = Told(memory or {}, said=said).parts
    try:
        see_that_it_is_meant(parts, key, NOW)
    except UsageError as error:
        assert not is_meant_revoked(parts, key, NOW)
        return str(error), error.hint or ""
    assert is_meant_revoked(parts, key, NOW)
    return "", ""


def test_only_a_key_that_is_meant_to_be_revoked_now_is_proven_so() -> None:
    assert meant(Said(GCP_KEY, revoked=True)) == ("", "")
    assert meant(Said(GCP_KEY, revoked=True, since=NOW)) == ("", "")
    text, hint = meant()
    told = f"no `[[key]]` says that key {GCP_KEY} is meant to be revoked"
    assert (text, "give it `intended_state" in hint) == (told, True)
    assert meant(Said(GCP_KEY, tenant="acme"), Said(AWS_KEY, revoked=True)) == (text, hint)
    works = f"the config means key {GCP_KEY} to work"
    assert meant(Said(GCP_KEY, revoked=False)) == (works, hint)
    assert meant(Said(GCP_KEY, revoked=True, since=NOW + HOUR))[0] == f"{works} until 2026-11-24 13:00:00 UTC"


def test_a_key_that_is_meant_by_the_other_name_of_its_project_is_told_so() -> None:
    text, hint = meant(Said(PROJECT_NUMBER, revoked=True))
    assert (text, hint.startswith(f"one means {PROJECT_NUMBER}, which may be it")) == (
        f"no `[[key]]` says that key {GCP_KEY} is meant to be revoked",
        True,
    )
    made = {"created": NOW - days(9)}
    keys = {GCP_KEY: a_gcp_key(**made), PROJECT_NUMBER: replace(a_gcp_key(**made), name=PROJECT_NUMBER)}
    memory = {name: off(key) for name, key in keys.items()}
    assert meant(Said(PROJECT_NUMBER, revoked=True), memory=memory) == ("", "")
    since = Told(memory, said=(Said(PROJECT_NUMBER, revoked=True, since=NOW - days(3)),))
    assert since.proves(judged(under(found()))).meant_since == NOW - days(3)
