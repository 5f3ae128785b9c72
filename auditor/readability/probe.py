"""What a probe adds to what a key says of itself: a proof, an obstacle that the state hides, or a contradiction.

Source: Amazon S3 API Reference, Error responses; Cloud Storage docs, JSON API status codes; AWS KMS Developer Guide,
Testing your permissions.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.findings import Assessment, Basis, Contradiction, Readability, Subject, SubjectKind
from auditor.model import NO_RIGHT, AwsKey, Cloud, GcpKey, Grant, KeyName, Probe, ProbeKind, ProbeOutcome, concerns
from auditor.moments import second
from auditor.overruling import CLOCKS_APART, OF_THE_VERSION, overrules
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

_OF_ANY_BUCKET: Final = frozenset(CODES) - {NO_RIGHT}
"""What is refused through one bucket and may be through any; that it was not lately is no proof for that one."""
_OF_THE_KEY: Final = frozenset({"DisabledException", "NotFoundException"})
"""What KMS says of the key itself, whatever store it is in."""

_ENDED_BY: Final[Mapping[str, frozenset[str]]] = {
    "DisabledException": frozenset({"state"}),
    "NotFoundException": frozenset({"state"}),
    "KMSInvalidStateException": frozenset({"state", "store"}),
    "KeyUnavailableException": frozenset({"state", "store"}),
    "cloudKmsDisabledKey": frozenset({"version", "instance", "connection"}),
    "cloudKmsDecryptionKeyNotFound": frozenset({"version", "instance", "connection"}),
    NO_RIGHT: frozenset({"right", "reasons"}),
}
"""Code of a refusal -> the facts of a key's `use` that may stand behind it."""
_WELL: Final = frozenset(map(repr, ("Enabled", "ENABLED", "ACTIVE", "CONNECTED", True, Grant.DIRECT)))
"""What a fact says that stands behind no refusal."""
_DISABLED: Final = repr("Disabled")
"""The state that has a code of its own, and so stands behind no other."""

_READS: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_WORDS: Final = {ProbeKind.READ: "a read", ProbeKind.DRY_RUN: "a dry run"}


def probes_of(bucket: str, probes: Iterable[Probe], now: datetime) -> tuple[Probe, ...]:
    """Choose from the probes of one key version those that tell something of its data in one bucket.

    What the key refused through another bucket it refuses through this one, unless a later read passed.
    """
    found = tuple(probes)
    passed = _last_read(found, now)
    mine = [
        one
        for one in found
        if one.bucket == bucket
        # What the key itself refused is over once it was used, through whatever bucket.
        and not (_is_refused(one, OF_THE_VERSION) and passed is not None and one.at < passed)
    ]
    others = (one for one in found if one.bucket != bucket and _is_refused(one, _OF_ANY_BUCKET))
    return (*mine, *(one for one in others if passed is None or one.at > passed))


def rights_of(bucket: str, probes: Iterable[Probe], agents: tuple[str, ...], now: datetime) -> tuple[Probe, ...]:
    """Choose from the probes of one key of Google Cloud, of whatever version, what it refused to a bucket's agents.

    The right is on the key as a whole.
    """
    found = [one for one in probes if one.principal in agents or (one.bucket == bucket and not _is_named(one))]
    passed = _last_read(found, now)
    return tuple(one for one in found if _is_refused(one, {NO_RIGHT}) and (passed is None or one.at > passed))


def _last_read(probes: Iterable[Probe], now: datetime) -> datetime | None:
    used = (one for one in probes if is_a_read_that_passed(one) and not one.cached)
    return max((one.at for one in used if one.at <= now + CLOCKS_APART), default=None)


def _is_refused(probe: Probe, codes: Container[str]) -> bool:
    return probe.outcome is ProbeOutcome.REFUSED and probe.code in codes


def standing(
    probes: Iterable[Probe],
    changed: Callable[[Probe], datetime | None],
    told: Mapping[str, str],
    at: Standpoint,
) -> tuple[Probe, ...]:
    """Choose the probes that still say something: successes that are young enough, refusals that nothing has ended.

    `changed` tells when what decides over the outcome of a probe changed last, None when it was never seen to; `told`
    are the facts of the key's `use` by now.
    """
    every = tuple(probes)
    return tuple(
        one
        for one in every
        if _still_counts(one, at)
        and not any(_outvotes(later, one, at) for later in every)
        and not _is_unsettled(one, changed(one), at)
        and not _is_over(one, told)
    )


def stands_behind(fact: str, probe: Probe) -> bool:
    """Whether a fact of the key's `use` may be why a probe was refused."""
    kind, _, which = fact.partition(" ")
    if kind not in _ENDED_BY.get(probe.code, frozenset()):
        return False
    # Where several may be the storage service agent on Google Cloud, the right of each may be why.
    return kind != "right" or same_principal(which, probe.principal or "") or not _is_named(probe)


def _is_named(probe: Probe) -> bool:
    """Whether it is known who read: on Google Cloud the storage service agent, whichever of the platform's that is."""
    return KeyName(probe.key).cloud is not Cloud.GCP or "@" in (probe.principal or "")


def facts_behind(probe: Probe, told: Mapping[str, str]) -> dict[str, str]:
    """Choose from the facts of a key's `use` those that may be why a probe was refused."""
    return {
        fact: value
        for fact, value in told.items()
        if stands_behind(fact, probe) and concerns(fact, probe.key_version, (fact.partition(" ")[2],))
    }


def next_to(probe: Probe, told: Mapping[str, str]) -> Probe:
    """Put beside a refusal what the key tells next to it; what explains it already, nothing else does better."""
    known = {fact: was for fact, was in probe.told.items() if _explains(fact, was, probe)}
    return replace(probe, told={**probe.told, **facts_behind(probe, told), **known})


def _explains(fact: str, was: str, probe: Probe) -> bool:
    """Whether what a fact said is why a probe was refused; what was well is not."""
    is_disabled = (was == _DISABLED) == (probe.code == "DisabledException") or fact != "state"
    return was not in _WELL and is_disabled and stands_behind(fact, probe)


def tells_of_its_store(probe: Probe) -> bool:
    """Whether a probe was refused for no reason that the key told of itself, so that its store may be why."""
    by_store = probe.outcome is ProbeOutcome.REFUSED and "store" in _ENDED_BY.get(probe.code, frozenset())
    return by_store and not any(_explains(fact, was, probe) for fact, was in probe.told.items())


def is_a_read_that_passed(probe: Probe) -> bool:
    """Whether it is a read that passed, be it through a bucket key."""
    return probe.kind is ProbeKind.READ and probe.outcome is ProbeOutcome.PASSED


def _is_over(probe: Probe, told: Mapping[str, str]) -> bool:
    """Whether what stood behind a refusal is not any more as it was; `told` are facts of the key's `use`."""
    return any(told.get(fact, was) != was and _explains(fact, was, probe) for fact, was in probe.told.items())


def is_over_for_good(probe: Probe, told: Mapping[str, str]) -> bool:
    """Whether what stood behind a refusal is well by now: what has only become worse may come back as it was."""
    return any(told.get(fact) in _WELL and _explains(fact, was, probe) for fact, was in probe.told.items())


def _is_unsettled(probe: Probe, changed: datetime | None, at: Standpoint) -> bool:
    """Whether it was made too soon behind a change, or is a success from before it."""
    if probe.outcome is ProbeOutcome.REFUSED:
        return probe.early
    return changed is not None and probe.at - changed < at.policy.propagation


def is_early(probe: Probe, changed: Mapping[str, datetime], propagation: timedelta) -> bool:
    """Whether a refusal was made too soon behind a change of what may stand behind it."""
    dates = (date for fact, date in changed.items() if facts_behind(probe, {fact: ""}))
    return any(timedelta(0) <= probe.at - date < propagation for date in dates)


def _outvotes(later: Probe, earlier: Probe, at: Standpoint) -> bool:
    return overrules(later, earlier) and earlier.at < later.at <= at.now + CLOCKS_APART


def _is_believed(probe: Probe, now: datetime) -> bool:
    """Whether its word may be taken: of a clock that ran ahead only the refusals are."""
    passed = probe.outcome is ProbeOutcome.PASSED and probe.at <= now + CLOCKS_APART
    return passed or probe.outcome is ProbeOutcome.REFUSED


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
    what = f"{_WORDS[probe.kind]} at {second(probe.at)} was refused ({probe.code})"
    barred = _barred(found, probe, key, at, what)
    if barred is not None and found.readability is Readability.REVOKED and barred.readability is not found.readability:
        return before(barred, found)
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
    name = KeyName(probe.key)
    subject = Subject(SubjectKind.KEY, name.text)
    if name.cloud is Cloud.GCP:
        subject = Subject(SubjectKind.KEY_VERSION, f"{name}/cryptoKeyVersions/{probe.key_version}")
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
        # That nobody tells any more of what is to come moves no date.
        final_at=found.final_at if found.readability is Readability.UNKNOWN else None,
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
    text = f"{found.cause}; yet a read at {second(probe.at)} succeeded"
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
