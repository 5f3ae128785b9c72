"""What a probe adds to what a key says of itself: a proof, an obstacle that the state hides, or a contradiction.

Source: Amazon S3 API Reference, Error responses; Cloud Storage docs, JSON API status codes; AWS KMS Developer Guide,
Testing your permissions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Assessment, Basis, Contradiction, Readability, Subject, SubjectKind
from auditor.model import NO_RIGHT, AwsKey, Cloud, GcpKey, KeyName, Probe, ProbeKind, ProbeOutcome
from auditor.principals import same_principal
from auditor.readability.access import principal_subject
from auditor.readability.table import Standpoint, before

CODES: Final[Mapping[str, Readability]] = {
    "DisabledException": Readability.UNREADABLE,
    "KMSInvalidStateException": Readability.UNREADABLE,
    "NotFoundException": Readability.UNREADABLE,
    "KeyUnavailableException": Readability.UNREACHABLE,
    "cloudKmsDisabledKey": Readability.UNREADABLE,
    "cloudKmsDecryptionKeyNotFound": Readability.UNREADABLE,
    NO_RIGHT: Readability.REVOKED,
}
"""Code of a refusal -> what it proves; S3 writes KMS's codes with `KMS.` before them."""

_OF_THE_VERSION: Final = frozenset({"DisabledException", "NotFoundException", "cloudKmsDisabledKey"})
"""What is said of key or version, whatever bucket it was asked through."""
_OF_THE_KEY: Final = frozenset({"DisabledException", "NotFoundException"})
"""What KMS says of the key itself, whatever store it is in."""

_STATE, _STORE, _VERSION, _INSTANCE, _CONNECTION, _RIGHT, _REASONS = (
    "state",
    "store",
    "version",
    "instance",
    "connection",
    "right",
    "reasons",
)
_ENDED_BY: Final[Mapping[str, frozenset[str]]] = {
    "DisabledException": frozenset({_STATE}),
    "NotFoundException": frozenset({_STATE}),
    "KMSInvalidStateException": frozenset({_STATE, _STORE}),
    "KeyUnavailableException": frozenset({_STATE, _STORE}),
    "cloudKmsDisabledKey": frozenset({_VERSION, _INSTANCE, _CONNECTION}),
    "cloudKmsDecryptionKeyNotFound": frozenset({_VERSION, _INSTANCE, _CONNECTION}),
    NO_RIGHT: frozenset({_RIGHT, _REASONS}),
}
"""Code of a refusal -> the facts of a key's `use` whose change may have put an end to what it speaks of."""

_CLOCKS_APART: Final = timedelta(minutes=1)
"""How far two readings of the clocks may differ."""
_READS: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_WORDS: Final = {ProbeKind.READ: "a read", ProbeKind.DRY_RUN: "a dry run"}


def probes_of(bucket: str, probes: Iterable[Probe], now: datetime) -> tuple[Probe, ...]:
    """Choose from the probes of one key version those that tell something of its data in one bucket.

    What the key itself refused through another bucket it refuses through this one, unless a later read here passed.
    """
    found = tuple(probes)
    passed = max((one.at for one in found if _proves(one) and one.at <= now + _CLOCKS_APART), default=None)
    # What the key itself refused is over once it was used, through whatever bucket.
    valid = [one for one in found if not (_is_of_the_version(one) and passed is not None and one.at < passed)]
    mine = [one for one in valid if one.bucket == bucket]
    last = max((one.at for one in mine if _is_believed(one, now)), default=None)
    others = (one for one in valid if one.bucket != bucket and _is_of_the_version(one))
    return (*mine, *(one for one in others if last is None or one.at > last))


def standing(probes: Iterable[Probe], changed: Callable[[Probe], datetime | None], at: Standpoint) -> tuple[Probe, ...]:
    """Choose the probes that still say something: a success that is young enough, and none from before a change.

    `changed` tells when what decides over the outcome of a probe changed last; None when it was never seen to.
    """
    every = tuple(probes)
    return tuple(
        one
        for one in every
        if _still_counts(one, at)
        and not any(_outvotes(later, one, at) for later in every)
        and not _is_before(one, changed(one), at)
    )


def may_end(fact: str, probe: Probe) -> bool:
    """Whether what was refused may be granted since a fact of the key's `use` has changed.

    That another thing changes is no reason to think better of the one that stood in the way.
    """
    kind, _, which = fact.partition(" ")
    if kind not in _ENDED_BY.get(probe.code, frozenset()):
        return False
    # On Google Cloud it is always the storage service agent who reads, whichever of the platform's that is.
    is_readers = KeyName(probe.key).cloud is Cloud.GCP or same_principal(which, probe.principal or "")
    return kind != _RIGHT or is_readers


def _is_before(probe: Probe, changed: datetime | None, at: Standpoint) -> bool:
    return changed is not None and probe.at - changed < at.policy.propagation


def _is_believed(probe: Probe, now: datetime) -> bool:
    """Whether its word may be taken: of a clock that ran ahead only the refusals are."""
    passed = probe.outcome is ProbeOutcome.PASSED and probe.at <= now + _CLOCKS_APART
    return passed or probe.outcome is ProbeOutcome.REFUSED


def _is_of_the_version(probe: Probe) -> bool:
    """Whether it is a refusal that holds through every bucket."""
    return probe.outcome is ProbeOutcome.REFUSED and probe.code in _OF_THE_VERSION


def _proves(probe: Probe) -> bool:
    """Whether it is a read that used the key."""
    return probe.kind is ProbeKind.READ and probe.outcome is ProbeOutcome.PASSED and not probe.cached


def _outvotes(later: Probe, refused: Probe, at: Standpoint) -> bool:
    """Whether a read has passed since something was refused; of a right, one by the same principal."""
    if not _proves(later) or refused.outcome is not ProbeOutcome.REFUSED:
        return False
    if not refused.at < later.at <= at.now + _CLOCKS_APART or later.bucket != refused.bucket:
        return False
    return refused.code != NO_RIGHT or same_principal(later.principal or "", refused.principal or "-")


def _still_counts(probe: Probe, at: Standpoint) -> bool:
    """Whether a probe says something still: that nobody tries again makes no refusal a success."""
    is_young = at.now - probe.at <= at.policy.probe_max_age
    return _is_believed(probe, at.now) and (is_young or probe.outcome is ProbeOutcome.REFUSED)


def settle(found: Assessment, probe: Probe, key: AwsKey | GcpKey | None, at: Standpoint) -> Assessment:
    """Put one probe beside what the key says of itself; the worst that is proven stands."""
    if probe.outcome is ProbeOutcome.REFUSED:
        return _refused(found, probe, key, at)
    if found.readability in _READS:
        return _passed(found, probe, key, at)
    # A read that passes does not tell what becomes of a key of which nothing is known.
    return found if found.readability is Readability.UNKNOWN else _reads_all_the_same(found, probe)


def _passed(found: Assessment, probe: Probe, key: AwsKey | GcpKey | None, at: Standpoint) -> Assessment:
    if probe.cached or found.readability is not Readability.READABLE:
        return found
    for_platform = _speaks_for(probe, at)
    if probe.kind is ProbeKind.READ:
        # It proves the key for whoever read, and the right of nobody else.
        if at.agents and not for_platform and found.basis is Basis.STATE:
            return found
        return replace(found, basis=Basis.PROBE, evidence=(*found.evidence, *probe.evidence))
    has_store = isinstance(key, AwsKey) and key.store is not None
    if for_platform and found.basis is Basis.STATE and not has_store:
        return replace(found, basis=Basis.POLICY, evidence=(*found.evidence, *probe.evidence))
    return found


def _refused(found: Assessment, probe: Probe, key: AwsKey | GcpKey | None, at: Standpoint) -> Assessment:
    what = f"{_WORDS[probe.kind]} at {probe.at:%Y-%m-%dT%H:%M:%SZ} was refused ({probe.code})"
    barred = _barred(found, probe, key, at, what)
    if found.readability not in {*_READS, Readability.UNKNOWN}:
        told = replace(found, evidence=(*found.evidence, *probe.evidence))
        # What the key says of itself may be all that the refusal means.
        return told if barred is None or barred.subject == found.subject else before(told, barred)
    if barred is not None:
        return before(barred, found)
    if _bars_the_platform(probe, at) and probe.kind is ProbeKind.DRY_RUN:
        return _doubted(found, probe, what)
    return found


def _bars_the_platform(probe: Probe, at: Standpoint) -> bool:
    return CODES.get(probe.code) is Readability.REVOKED and _speaks_for(probe, at)


def _barred(
    found: Assessment, probe: Probe, key: AwsKey | GcpKey | None, at: Standpoint, what: str
) -> Assessment | None:
    """Tell what a refusal proves by itself; None where that is nothing."""
    readability = CODES.get(probe.code)
    if readability is None or _is_another_accounts_word(probe):
        return None
    subject, name = found.subject, KeyName(probe.key)
    if readability is Readability.REVOKED:
        if not _speaks_for(probe, at) or probe.kind is ProbeKind.DRY_RUN:
            return None
        subject = principal_subject(probe.principal or "", name)
        cause = f"{probe.principal} cannot decrypt with key {name}: {what}"
    elif isinstance(key, AwsKey) and key.store is not None and probe.code not in _OF_THE_KEY:
        readability = Readability.UNREACHABLE
        subject = Subject(SubjectKind.KEY_STORE, f"{name.owner}/{name.location}/{key.store.id}")
        cause = f"custom key store {subject.id} does not do its work: {what}, although it says that it is connected"
    else:
        cause = f"nothing under {subject.id} can be read: {what}"
    contradiction = None
    if found.readability in _READS:
        contradiction = Contradiction(f"{found.cause}; yet {what}", probe_failed=True)
    return Assessment(
        readability=readability,
        basis=Basis.PROBE,
        cause=cause,
        subject=subject,
        evidence=(*found.evidence, *probe.evidence),
        contradiction=contradiction,
    )


def _reads_all_the_same(found: Assessment, probe: Probe) -> Assessment:
    """Tell a read that passes though the key is said not to work; the state stands, because it is the worse."""
    if probe.cached or probe.kind is not ProbeKind.READ:
        return found
    barred = found.subject.id.partition(" -> ")[0]
    if found.readability is Readability.REVOKED and not same_principal(barred, probe.principal or ""):
        return found
    text = f"{found.cause}; yet a read at {probe.at:%Y-%m-%dT%H:%M:%SZ} succeeded"
    return replace(
        found,
        contradiction=Contradiction(text, probe_failed=False),
        evidence=(*found.evidence, *probe.evidence),
    )


def _speaks_for(probe: Probe, at: Standpoint) -> bool:
    """Whether the probe tried a right of the platform; a read on Google Cloud is always made by its storage agent."""
    if KeyName(probe.key).cloud is Cloud.GCP:
        return probe.kind is ProbeKind.READ
    return probe.principal is not None and any(same_principal(probe.principal, one) for one in at.agents)


def _doubted(found: Assessment, probe: Probe, what: str) -> Assessment:
    """Tell a dry run that is refused; it is no proof, because a direct call meets other conditions than S3's does.

    What IAM policies, service control policies and endpoints demand, nobody but the account can read.
    """
    if found.basis is Basis.PROBE or found.readability not in _READS:
        return found
    text = f"{found.cause}; yet {what}, which proves nothing where a policy looks at how a request comes"
    return replace(
        found, contradiction=Contradiction(text, probe_failed=False), evidence=(*found.evidence, *probe.evidence)
    )


def _is_another_accounts_word(probe: Probe) -> bool:
    """To a caller of another account KMS says NotFoundException of what it will not show."""
    if probe.kind is ProbeKind.READ or probe.code != "NotFoundException":
        return False
    return probe.principal is None or probe.principal.split(":")[4:5] != [KeyName(probe.key).owner]
