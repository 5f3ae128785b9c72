"""One holding and what is known of its key -> its assessment."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Assessed, Assessment, Basis, Confidence, Readability, Subject, SubjectKind
from auditor.model import (
    DENIALS,
    NO_RIGHT,
    AwsKey,
    Cloud,
    Encryption,
    Evidence,
    GcpKey,
    Holding,
    KeyGone,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyReading,
    KeyUnread,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    concerns,
    is_being_made,
    told_use,
    use_changes,
)
from auditor.moments import second
from auditor.policy import Policy
from auditor.principals import same_principal
from auditor.readability import aws, gcp
from auditor.readability.ageing import BEHIND, aged, is_fresh
from auditor.readability.probe import settle, standing
from auditor.readability.table import Standpoint, before

_WITHOUT_KMS = {
    Encryption.PROVIDER: (Readability.READABLE, "encrypted by the provider, under no KMS key"),
    Encryption.PROVIDER_KMS: (Readability.READABLE, "encrypted under a KMS key that the provider manages"),
    Encryption.NONE: (Readability.READABLE, "stored without encryption"),
    Encryption.CUSTOMER_SUPPLIED: (Readability.UNKNOWN, "encrypted with a key that only the writer holds"),
    Encryption.UNKNOWN: (Readability.UNKNOWN, "the objects' encryption could not be learnt"),
}


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key as the judge sees it: the newest answer and what is remembered from before."""

    name: KeyName
    reading: KeyReading | None
    """None when it was not asked for in this poll."""
    memory: KeyMemory | None
    beside: AwsKey | GcpKey | None = None
    """What a silent key said last, with what others have told since of all that stands behind it; None where that is
    nothing new, and where the key answers."""

    @property
    def known(self) -> AwsKey | GcpKey | None:
        """The newest answer that gave a state."""
        if isinstance(self.reading, AwsKey | GcpKey):
            return self.reading
        return self.memory.last if self.memory is not None else None

    @property
    def word(self) -> KeyReading | None:
        """The newest answer, or what the service said last where it was not asked now, or a fault hides its answer."""
        kept = self.memory.silence if self.memory is not None else None
        match self.reading:
            case None:
                return kept
            case KeyUnread(reason=reason) if reason not in _TOLD and _is_word(kept):
                return kept
            case reading:
                return reading

    @property
    def denied(self) -> bool:
        """Whether the service's last word is that it will not tell: a fault on the way since then is no other word."""
        match self.reading:
            case KeyUnread(reason=reason) if reason in DENIALS:
                return True
            case KeyUnread() | None:
                return self.memory is not None and self.memory.denied_since is not None
            case _:
                return False


_TOLD: Final = DENIALS | {Reason.NOT_FOUND}
"""Why a key is not read where the service itself says so."""


def _is_word(silence: KeyGone | KeyUnread | None) -> bool:
    return isinstance(silence, KeyGone) or (silence is not None and silence.reason in DENIALS)


def assess(
    holding: Holding,
    view: KeyView | None,
    agents: tuple[str, ...],
    policy: Policy,
    now: datetime,
    *,
    probes: tuple[Probe, ...] = (),
) -> Assessed:
    """Assess one holding; `agents` are the principals that decrypt for its bucket, where they are known.

    `probes` are the newest of each kind for this very data.

    Raises:
        ValueError: the holding names a key and there is no view of it.
    """
    if holding.encryption is not Encryption.CMEK:
        return Assessed(holding, holding.encryption, _without_kms(holding))
    if view is None:
        raise ValueError(f"holding of {holding.bucket} names {holding.key}, and nothing is known of that key")
    encryption: Encryption = holding.encryption
    known = view.reading if isinstance(view.reading, AwsKey) else view.memory.last if view.memory else None
    if isinstance(known, AwsKey) and known.manager is KeyManager.PROVIDER:
        encryption = Encryption.PROVIDER_KMS
    at = Standpoint(agents, view.memory, policy, now)
    telling = telling_of(view, _of_version(holding, view, probes), at)
    # That a read is old proves no key any more, and gives nobody a bar back that it has lifted.
    ever = replace(at, policy=replace(policy, probe_max_age=timedelta.max))
    at = replace(at, memory=_without_readers(view.memory, telling_of(view, _of_version(holding, view, probes), ever)))
    found = _by_key(holding, view, at)
    if isinstance(view.known, GcpKey) and holding.key_version is None:
        found = _beside_other_versions(found, view, probes, at)
    for one in telling:
        # A key never leaves its store, whether it is heard of or not.
        found = settle(found, one, view.known, at)
    return Assessed(holding, encryption, found)


def _of_version(holding: Holding, view: KeyView, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    if view.name.cloud is Cloud.GCP and holding.key_version is None:
        # One object's version is not another's; the right is on the key as a whole.
        return tuple(one for one in probes if one.code == NO_RIGHT)
    return probes


def _beside_other_versions(found: Assessment, view: KeyView, probes: tuple[Probe, ...], at: Standpoint) -> Assessment:
    """Leave nothing readable that names no version while a read under some version is refused: it may hang on it."""
    refused = next(
        (
            one
            for one in telling_of(view, probes, at)
            if one.outcome is ProbeOutcome.REFUSED and one.key_version is not None and one.code != NO_RIGHT
        ),
        None,
    )
    if refused is None or found.readability not in {Readability.READABLE, Readability.EXPIRING}:
        return found
    cause = (
        f"data names key {view.name} without a version, and a read under version {refused.key_version} was refused "
        f"({refused.code}) at {second(refused.at)}, and none has passed since"
    )
    unknown = _unknown(view.name, cause, (*found.evidence, *refused.evidence))
    return before(replace(unknown, final_at=found.final_at), found)


def telling_of(view: KeyView, probes: tuple[Probe, ...], at: Standpoint) -> list[Probe]:
    """The probes under a key that still say something, reads first: what they prove, no dry run can doubt."""
    if isinstance(view.word, KeyGone):
        # S3 may say of a key that is gone what it says of a principal without the right; AWS does not document which.
        probes = tuple(one for one in probes if one.code != NO_RIGHT)
    memory = view.memory
    told = {**memory.told} if memory is not None else {}
    if (key := _answered(view)) is not None:
        told.update(told_use(key))
    found = standing(probes, lambda probe: _changed(view, probe, at), told, at)
    return sorted(found, key=lambda probe: probe.kind is not ProbeKind.READ)


def _without_readers(memory: KeyMemory | None, telling: Iterable[Probe]) -> KeyMemory | None:
    """What is remembered, without the bars of those who have read since: while policies are hidden, a read tells."""
    if memory is None or not memory.barred:
        return memory
    readers = [
        one.principal
        for one in telling
        if one.kind is ProbeKind.READ and one.outcome is ProbeOutcome.PASSED and not one.cached and one.principal
    ]
    barred = tuple(one for one in memory.barred if not any(same_principal(one, reader) for reader in readers))
    return replace(memory, barred=barred)


def _changed(view: KeyView, probe: Probe, at: Standpoint) -> datetime | None:
    """When what decides over the outcome of a probe was seen to change last; None when it never was."""
    memory = view.memory
    if memory is None:
        return None

    def decides(fact: str) -> bool:
        return concerns(fact, probe.key_version, at.agents)

    key = _answered(view)
    if key is not None and any(decides(fact) for fact in use_changes(memory.told, key)):
        return at.now
    # A change in the future was dated by a clock that has been put right since: it is as young as can be.
    return max((min(date, at.now) for fact, date in memory.changed.items() if decides(fact)), default=None)


def _answered(view: KeyView) -> AwsKey | GcpKey | None:
    """What the key says now, if that is anything."""
    reading = view.reading
    return reading if isinstance(reading, AwsKey | GcpKey) and not is_being_made(reading) else None


def _without_kms(holding: Holding) -> Assessment:
    readability, cause = _WITHOUT_KMS[holding.encryption]
    return Assessment(readability, Basis.STATE, cause, Subject(SubjectKind.BUCKET, holding.bucket))


def _by_key(holding: Holding, view: KeyView, at: Standpoint) -> Assessment:
    match _heard(view, at):
        case AwsKey() as key if is_being_made(key):
            # One that was known before is judged as it was, unless its last word was another.
            memory = view.memory
            known = memory is not None and memory.denied_since is None and memory.missing_since is None
            return (known and _remembered(holding, view, at)) or _by_state(holding, key, at.now, at)
        case AwsKey() | GcpKey() as key:
            return _by_state(holding, key, at.now, at)
        case KeyGone() as gone:
            return _gone(holding, view, gone, at)
        case KeyUnread(reason=reason) as unread if reason in DENIALS:
            return _denied(holding, view, unread, at)
        case _:
            return (
                (None if _may_come_back(view) else _still_gone(view, at, one_reading=at.policy.one_reading))
                or _still_denied(holding, view, at)
                or _remembered(holding, view, at)
                or _never_read(view)
            )


def _heard(view: KeyView, at: Standpoint) -> KeyReading | None:
    """What data is judged by: the last word, unless the key may be there again meanwhile."""
    word, memory = view.word, view.memory
    if word is view.reading or not isinstance(word, KeyGone) or not _may_come_back(view):
        return word
    until = memory.missing_until if memory is not None and view.reading is None else None
    return word if until is not None and abs(at.now - until) <= at.policy.poll_max_age else view.reading


def _by_state(holding: Holding, key: AwsKey | GcpKey, said: datetime, at: Standpoint) -> Assessment:
    """Judge by what a key said then."""
    found = aws.assess_key(key, at) if isinstance(key, AwsKey) else gcp.assess_version(key, holding.key_version, at)
    return aged(found, key, said, at.policy, at.now)


def _gone(holding: Holding, view: KeyView, gone: KeyGone, at: Standpoint) -> Assessment:
    settled = gone.proven or _was_settled(view.memory, _missing_until(view, at.now), at)
    if settled or at.policy.one_reading:
        by = "" if settled else " (one reading; poll again some minutes later to confirm it)"
        ever = "nothing under it can ever be read again"
        if _may_come_back(view):
            ever = f"{ever}, unless a related key is replicated there anew: whether that helps is not documented"
        return Assessment(
            readability=Readability.LOST,
            basis=Basis.STATE,
            cause=f"key {view.name} does not exist any more: {ever}{by}",
            subject=Subject(SubjectKind.KEY, view.name.text),
            confidence=Confidence.PROVEN if settled and not _may_come_back(view) else Confidence.INFERRED,
            evidence=gone.evidence,
        )
    cause = f"key {view.name} was not found; it counts as gone when it is still not found some minutes later"
    unknown = replace(_unknown(view.name, cause, gone.evidence), final_at=_known_date(holding, view, at))
    return _past_deletion(holding, view, gone.evidence, at.now) or unknown


def _is_not_retired(reading: KeyReading | None) -> bool:
    """Whether the service does not know a key, and does not count it among those that were deleted either."""
    return isinstance(reading, KeyUnread) and reading.reason is Reason.NOT_FOUND


def is_gone(view: KeyView, policy: Policy, now: datetime) -> bool:
    """Whether the answers settle that the key does not exist any more, whatever data there is.

    That one reading must do where nobody asks again settles nothing.
    """
    at, memory = Standpoint((), None, policy, now), view.memory
    match _heard(view, at):
        case AwsKey() | GcpKey():
            return False
        case KeyGone(proven=proven):
            return proven or _was_settled(memory, _missing_until(view, now), at)
        case _ if _may_come_back(view):
            return False
        case _:
            return memory is not None and _still_gone(view, at, one_reading=False) is not None


def _may_come_back(view: KeyView) -> bool:
    """Whether the name can belong to a key again: that of a replica, which is made anew from its primary."""
    return "key/mrk-" in view.name.text


def _missing_until(view: KeyView, now: datetime) -> datetime | None:
    """Until when it was not there: whoever did not ask now knows it by the last answer."""
    if isinstance(view.reading, KeyGone):
        return now
    return view.memory.missing_until if view.memory is not None else None


def _was_settled(memory: KeyMemory | None, until: datetime | None, at: Standpoint) -> bool:
    """Whether the answers before settle that the key is gone, if it stayed unfound until then."""
    if memory is None or memory.missing_since is None or until is None:
        return False
    return memory.missing_proven or until - memory.missing_since >= at.policy.confirm_missing


def _still_gone(view: KeyView, at: Standpoint, *, one_reading: bool) -> Assessment | None:
    """Judge a key that did not exist when it was last asked for: no answer since then does not bring it back."""
    memory = view.memory
    if memory is None or memory.missing_until is None:
        return None
    if _is_not_retired(view.reading) and not memory.missing_proven:
        return None
    if not one_reading and not _was_settled(memory, memory.missing_until, at):
        return None
    return Assessment(
        readability=Readability.LOST,
        basis=Basis.STATE,
        cause=f"key {view.name} did not exist at {second(memory.missing_until)}, and {_silence(view)}",
        subject=Subject(SubjectKind.KEY, view.name.text),
        confidence=Confidence.INFERRED,
        evidence=_evidence(view),
    )


def _still_denied(holding: Holding, view: KeyView, at: Standpoint) -> Assessment | None:
    """Judge a key whose last word was no state: a fault on the way does not bring an older state back."""
    memory = view.memory
    if memory is None:
        return None
    if view.denied:
        return _denied(holding, view, None, at)
    if memory.missing_since is not None:
        cause = f"key {view.name} was not found at {second(memory.missing_since)}, and {_silence(view)}"
        unknown = replace(_unknown(view.name, cause, _evidence(view)), final_at=_known_date(holding, view, at))
        return _past_deletion(holding, view, _evidence(view), at.now) or unknown
    return None


def _denied(holding: Holding, view: KeyView, unread: KeyUnread | None, at: Standpoint) -> Assessment:
    # Who denies now may have made it anew.
    if not _may_come_back(view):
        past = _past_deletion(holding, view, _evidence(view), at.now)
        if (gone := past or _still_gone(view, at, one_reading=False)) is not None:
            return gone
    memory = view.memory
    if memory is None or memory.last is None or memory.last_at is None:
        how = unread.detail if unread is not None else _since_denied(view)
        return _unknown(view.name, f"the state of key {view.name} was never read: {how}", _evidence(view))
    cause = f"{withdrawn(view)}; its last known state was {_last_state(memory.last, holding.key_version)}"
    unknown = replace(_unknown(view.name, cause, _evidence(view)), final_at=_known_date(holding, view, at))
    # A key never leaves its store: what others tell of that bars it all the same.
    is_back = isinstance(view.beside, AwsKey) and aws.may_be_back(view.beside)
    behind = _by_state(holding, view.beside, memory.last_at, at) if view.beside is not None and not is_back else None
    if behind is not None and behind.readability is Readability.UNREACHABLE and behind.subject.kind in BEHIND:
        return before(behind, unknown)
    return unknown


def withdrawn(view: KeyView) -> str:
    """Say until when a key answered that is denied now.

    Raises:
        ValueError: it never answered.
    """
    if view.memory is None or view.memory.last_at is None:
        raise ValueError(f"{view.name} never answered")
    word = view.word
    how = word.detail if isinstance(word, KeyUnread) and word.reason in DENIALS else _silence(view)
    return f"key {view.name} answered until {second(view.memory.last_at)} and is denied since ({how})"


def _silence(view: KeyView) -> str:
    """Why nothing newer is known of a key that is judged by its last word."""
    return "it was not asked now" if view.reading is None else "it gives no answer now"


def _since_denied(view: KeyView) -> str:
    since = view.memory.denied_since if view.memory is not None else None
    return f"it is denied since {second(since)}, and {_silence(view)}" if since else _silence(view)


def _known_date(holding: Holding, view: KeyView, at: Standpoint) -> datetime | None:
    """The date that the last state had: that nobody answers any more moves no date."""
    last = view.memory.last if view.memory is not None else None
    date = _by_state(holding, last, at.now, at).final_at if last is not None else None
    return date if date is not None and date > at.now else None


def _evidence(view: KeyView) -> tuple[Evidence, ...]:
    return view.word.evidence if view.word is not None else ()


def _never_read(view: KeyView) -> Assessment:
    if isinstance(view.word, KeyUnread):
        told = f"key {view.name} could not be read ({view.word.detail}) and never was"
    else:
        told = f"key {view.name} was not read yet"
    return _unknown(view.name, told, _evidence(view))


def _last_state(key: AwsKey | GcpKey, number: str | None) -> str:
    if isinstance(key, AwsKey):
        return key.state
    states = {version.number: version.state for version in key.versions}
    if number is not None:
        return f"{states.get(number, 'deleted')} for version {number}"
    return ", ".join(f"{state} for version {one}" for one, state in states.items())


def _deletion(holding: Holding, view: KeyView) -> tuple[Subject, datetime | None]:
    """What is to be destroyed and when, by the last answer that gave a state; None where nothing was scheduled."""
    last = view.memory.last if view.memory else None
    if isinstance(last, GcpKey) and holding.key_version is not None:
        subject = Subject(SubjectKind.KEY_VERSION, gcp.version_name(last, holding.key_version))
        for version in last.versions:
            if version.number == holding.key_version and version.state == "DESTROY_SCHEDULED":
                return subject, version.destroy_time
        return subject, None
    date = last.deletion_date if isinstance(last, AwsKey) and last.state == "PendingDeletion" else None
    return Subject(SubjectKind.KEY, view.name.text), date


def _past_deletion(holding: Holding, view: KeyView, evidence: tuple[Evidence, ...], now: datetime) -> Assessment | None:
    """Infer a loss: no answer any more, and a proven deletion date has passed without a cancellation seen."""
    last = view.memory.last if view.memory else None
    subject, date = _deletion(holding, view)
    if last is None or date is None or date > now:
        return None
    return Assessment(
        readability=Readability.LOST,
        basis=Basis.STATE,
        cause=f"{subject.id} was to be destroyed at {second(date)}, no cancellation was seen, "
        "and it gives no answer any more",
        subject=subject,
        confidence=Confidence.INFERRED,
        since=date,
        evidence=(*last.evidence, *evidence),
    )


def _remembered(holding: Holding, view: KeyView, at: Standpoint) -> Assessment | None:
    """Judge by the last proven state; an old `readable` proves nothing any more, an old obstacle stands."""
    memory = view.memory
    if memory is None or memory.last is None or memory.last_at is None:
        return None
    last = view.beside or memory.last
    if isinstance(last, AwsKey) and last is view.beside and aws.may_be_back(last):
        cause = f"key {view.name} was Unavailable when it last answered, and its custom key store is connected by now"
        return _unknown(view.name, cause, last.evidence)
    found = _by_state(holding, last, memory.last_at, at)
    if found.readability is Readability.EXPIRING and found.final_at is not None and found.final_at <= at.now:
        cause = f"{found.cause}; whether it was renewed in time is not known"
        return _unknown(view.name, cause, found.evidence)
    if found.readability is Readability.DOOMED and found.final_at is not None and found.final_at <= at.now:
        # Nobody is told to undo what can no longer be undone.
        cause = f"{found.cause}; that date has passed, and whether it was cancelled in time is not known"
        return replace(found, cause=cause, confidence=Confidence.INFERRED, undo=())
    is_old = not is_fresh(memory.last_at, at.policy, at.now)
    if found.readability in {Readability.READABLE, Readability.EXPIRING} and is_old:
        cause = f"key {view.name} was last read at {second(memory.last_at)}, too long ago to call it readable"
        return replace(_unknown(view.name, cause, found.evidence), final_at=found.final_at)
    return found


def _unknown(name: KeyName, cause: str, evidence: tuple[Evidence, ...]) -> Assessment:
    return Assessment(Readability.UNKNOWN, Basis.STATE, cause, Subject(SubjectKind.KEY, name.text), evidence=evidence)
