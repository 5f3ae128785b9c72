"""Whether a key that was revoked on purpose is dead to everybody, told from a judgement that was just made."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from auditor.errors import UsageError
from auditor.findings import (
    Assessed,
    Assessment,
    BucketCoverage,
    Confidence,
    Judgement,
    Readability,
    Status,
    in_order,
    member_of,
)
from auditor.model import (
    AwsKey,
    Cloud,
    Extent,
    Gap,
    GcpKey,
    KeyMemory,
    KeyName,
    Reason,
    cloud_of,
)
from auditor.moments import second
from auditor.overruling import CLOCKS_APART
from auditor.ownership.answering import by_any_name
from auditor.ownership.said import revoked
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.policy import Policy
from auditor.ports import OpenInventory
from auditor.questions.impact.unseen import gaps_beside, known_of
from auditor.questions.prove_revoked.answer import Part, Proof, Revocation
from auditor.questions.prove_revoked.left_to_do import left_to_do
from auditor.questions.prove_revoked.refuting import DEAD, old_refusals, reads_since, replicas, silence
from auditor.questions.retire.retiring import names_of_data, newest
from auditor.rules import revocation_incomplete
from auditor.run import Parts
from auditor.skew import plausible
from auditor.states import being

_READS: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_LEFT: Final = (
    "what the platform keeps in its own memory and on its own disks, and for how long it serves that",
    "copies of the data under other keys, exports and backups",
    "data keys that somebody has kept: they decrypt without the key management service",
    "what was done to the key and undone between two readings of it",
)
_OBJECTS: Final = "the objects: no bucket is configured, and what is under the key others say"
_EXTERNAL: Final = (
    "the external key manager, which may hold the key still: Cloud KMS does not see what is destroyed there"
)
_LEFT_OF: Final = {
    Cloud.AWS: "reads behind an S3 Bucket Key, which may go on for a time that AWS does not state",
    Cloud.GCP: "reads until the change has reached all of Cloud KMS: typically a minute, exceptionally several hours",
}
"""Source: S3 User Guide, Bucket Keys; Cloud KMS docs, consistency."""


def proving(parts: Parts, judgement: Judgement, rows: OpenInventory, key: KeyName, asked: datetime) -> Revocation:
    """Tell what one judgement proves of a key that the config means to be revoked.

    `asked`: since when the key was asked for it, by the clouds' clocks.

    Raises:
        LedgerError: the ledger or the inventory cannot be read.
    """
    memories = by_any_name(parts.ledger.memory())
    spelling = spelling_by(memories)
    others = names_of_data(judgement, memories).same(key)
    own = frozenset(one.text for one in (key, *others))
    memory = newest((key, *others), memories)
    under = [one for one in judgement.assessed if one.holding.key in own]
    groups: dict[Assessment, list[Assessed]] = defaultdict(list)
    for one in under:
        groups[one.assessment].append(one)
    measured = rows.measured([in_order(member_of(one.holding) for one in some) for some in groups.values()], 0)
    found = sorted(zip(groups, measured.each, strict=True), key=lambda pair: (_order(pair[0]), pair[0].cause))
    told = [one for one in judgement.findings if one.rule == revocation_incomplete.RULE.id]
    # A finding speaks of a key by one of its names.
    of_key = (one for one in told if spelling.one(KeyName(one.subject.id)) == spelling.one(key))
    standing = [one.cause for one in of_key if one.status is not Status.RESOLVED]
    changed = max(memory.changed.values(), default=None) if memory is not None else None
    probes = sorted((one for one in parts.ledger.probes() if one.key in own), key=lambda one: one.at)
    standing.extend(silence(memory, judgement.now))
    standing.extend(reads_since(probes, memory))
    standing.extend(old_refusals(under, probes, asked))
    standing.extend(replicas(key, judgement.assessed))
    elsewhere = _is_held_elsewhere(memory, under)
    proof, why = proof_of([one.assessment for one in under], standing, elsewhere=elsewhere)
    by_it = {**memories, key: memory} if memory is not None else memories
    to_do = left_to_do(key, by_it) if proof in {Proof.READABLE, Proof.NOT_PROVEN} else ()
    is_open = proof is Proof.READABLE or bool(to_do)
    last = memory.last if memory is not None else None
    events, head = parts.ledger.head()
    return Revocation(
        key=key,
        meant_since=_meant(parts, memories).revoked.get(key),
        now=judgement.now,
        proof=proof,
        why=why,
        state=_state(memory),
        state_read=memory.last_at if memory is not None else None,
        changed=changed,
        parts=tuple(Part(one, extent) for one, extent in found),
        # Where nobody looks, that no data is told of is no number of objects.
        extent=measured.together if under or not judgement.is_keys_only else Extent(objects=None, size=None),
        populations=measured.populations,
        probes=tuple(probes),
        to_do=to_do,
        undo=tuple(dict.fromkeys(step for one in under for step in one.assessment.undo)) if not is_open else (),
        evidence=tuple(
            dict.fromkeys(
                each
                for evidence in ((last.evidence if last is not None else ()), *(one.evidence for one in groups))
                for each in evidence
            )
        ),
        not_covered=(
            *([_OBJECTS] if judgement.is_keys_only else ()),
            *_LEFT,
            *([_EXTERNAL] if elsewhere else ()),
            *_left_of(key, memory, under),
        ),
        known=known_of(judgement, key.cloud),
        gaps=tuple(_gaps((key, *others), judgement, parts, memory)),
        events=events,
        head=head,
        untold=judgement.is_untold,
        others=others,
    )


def see_that_it_is_meant(parts: Parts, key: KeyName, now: datetime) -> None:
    """Refuse to prove anything of a key that is meant to work: data that cannot be read would be an alarm there.

    Raises:
        LedgerError: the ledger cannot be read.
        UsageError: the config does not mean it to be revoked now.
    """
    memory = parts.ledger.memory()
    policy = _meant(parts, memory)
    if policy.means_revoked(key, now):
        return
    since = policy.revoked.get(key)
    told = f"the config means key {key} to work{f' until {second(since)}' if since is not None else ''}"
    spelling = spelling_by(memory)
    if not any(spelling.is_one(one.name, key) for one in parts.said if one.revoked is not None):
        told = f"no `[[key]]` says that key {key} is meant to be revoked"
    hint = 'give it `intended_state = "revoked"` in its [[key]]; `impact` tells what revoking it would do'
    if doubtful := NamesOfKeys(policy.revoked, spelling).doubtful(key):
        hint = (
            f"one means {doubtful[0]}, which may be it by the other name of its project: poll both, or name it so there"
        )
    raise UsageError(told, hint)


def is_meant_revoked(parts: Parts, key: KeyName, now: datetime) -> bool:
    """Whether the config means the key, by any of its names, to be revoked now.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return _meant(parts, parts.ledger.memory()).means_revoked(key, now)


def _meant(parts: Parts, memory: Mapping[KeyName, KeyMemory]) -> Policy:
    """What the config means with each key, by any of its names."""
    return replace(parts.policy, revoked=revoked(parts.said, spelling_by(memory)))


def _order(one: Assessment) -> int:
    return tuple(Readability).index(one.readability)


def proof_of(every: Sequence[Assessment], standing: Sequence[str], *, elsewhere: bool = False) -> tuple[Proof, str]:
    """What assessments of all data under a key prove, and what is in the way of more.

    `standing` are the causes of what the rule about it finds; `elsewhere`: somebody outside the cloud may hold the
    material still.
    """
    if any(one.readability in _READS for one in every):
        return Proof.READABLE, standing[0] if standing else "data under the key can still be read"
    if standing:
        return Proof.NOT_PROVEN, standing[0]
    # Two ways of looking: whatever the rule overlooks is no proof either.
    if any(one.readability not in DEAD for one in every):
        return Proof.NOT_PROVEN, "that its data cannot be read is not proven"
    if inferred := [one.cause for one in every if one.confidence is not Confidence.PROVEN]:
        return Proof.NOT_PROVEN, f"that its data cannot be read is only inferred: {inferred[0]}"
    if not every:
        return Proof.NOT_PROVEN, "no data is known to be under the key: there is nothing to prove it by"
    is_for_good = all(one.readability is Readability.LOST for one in every) and not elsewhere
    return (Proof.ERASED if is_for_good else Proof.REVOKED), ""


def _state(memory: KeyMemory | None) -> str:
    last = memory.last if memory is not None else None
    if last is None or memory is None:
        return "never read"
    gone = " (not found since)" if memory.missing_since is not None else ""
    hidden = " (denied since)" if memory.denied_since is not None else ""
    if isinstance(last, AwsKey):
        return f"{being(last.state, Cloud.AWS)}{gone}{hidden}"
    each = ", ".join(f"{one.number} {being(one.state, Cloud.GCP)}" for one in last.versions)
    return f"{each or 'no versions'}{gone}{hidden}"


def _is_held_elsewhere(memory: KeyMemory | None, under: Iterable[Assessed]) -> bool:
    """Whether data is under versions whose material an external key manager has. Source: Cloud KMS docs, Cloud EKM."""
    last = memory.last if memory is not None else None
    versions = {one.holding.key_version for one in under}
    return isinstance(last, GcpKey) and any(
        one.external for one in last.versions if one.number in versions or None in versions
    )


def _left_of(key: KeyName, memory: KeyMemory | None, under: Iterable[Assessed]) -> Iterator[str]:
    last = memory.last if memory is not None else None
    readabilities = {one.assessment.readability for one in under}
    if readabilities != {Readability.LOST}:
        yield _LEFT_OF[key.cloud]
    if Readability.REVOKED in readabilities:
        yield "whoever else may use the key and read the buckets: grant-too-wide and key-public speak of them"
    if isinstance(last, AwsKey) and last.multi_region:
        yield "its replicas in other Regions: each decrypts what any of them has encrypted, and has a state of its own"


def _gaps(names: Sequence[KeyName], judgement: Judgement, parts: Parts, memory: KeyMemory | None) -> Iterator[Gap]:
    key, *others = names
    yield from gaps_beside(key, judgement, parts, judgement.now, others)
    # Of one that was never seen to change nobody knows since when it is as it was heard of first, nor what it was
    # while it did not tell.
    known = (*memory.changed.values(), memory.first_at, memory.missing_since) if memory is not None else ()
    off = max((one for one in known if one is not None), default=None)
    wrong = {one.bucket for one in parts.ledger.sweeps() if plausible(one.skew) != one.skew}
    for one in judgement.coverage.buckets:
        if cloud_of(one.bucket) is key.cloud:
            yield from _moved_since(one, off, judgement.now, by_a_wrong_clock=one.bucket in wrong)
    if (memory is None or memory.last is None) and all(one.what != key.text for one in judgement.gaps):
        yield Gap(key.text, Reason.NOT_VISIBLE, "the key never told its state", "see that its name is right")


def _moved_since(one: BucketCoverage, off: datetime | None, now: datetime, *, by_a_wrong_clock: bool) -> Iterator[Gap]:
    """What may have left the key since the keys of a bucket's objects were read: it would not be dead with it.

    On S3 the key of what is listed as before was read earlier; a change of its encryption alone shows nowhere else.
    """
    looked = min((each for each in (one.sweep_started, one.oldest_verified) if each is not None), default=None)
    if looked is not None and (by_a_wrong_clock or looked > now + CLOCKS_APART):
        effect = f"when its objects were looked at is not known: a clock was wrong that said {second(looked)}"
        yield Gap(one.bucket, Reason.MALFORMED, effect, "scan again")
    elif looked is not None and off is not None and looked < off:
        yield _moved(one, looked, off)


def _moved(one: BucketCoverage, looked: datetime, off: datetime) -> Gap:
    effect = (
        f"what has moved from the key to another since {second(looked)} is not known: not all of its "
        f"objects were looked at since {second(off)}, when the key was seen to change, or told "
        "its state first, or again"
    )
    hint = "scan again"
    if one.oldest_verified is not None and one.sweep_started is not None and one.sweep_started >= off:
        hint = "scan with [limits] reverify_days = 0, so that every object is asked for its key again"
    return Gap(one.bucket, Reason.NOT_VISIBLE, effect, hint)
