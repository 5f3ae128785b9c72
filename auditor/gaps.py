"""The words of every gap: what is missing, what the answer lacks for it, what would close it."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auditor.errors import AuditorError, CollectError, LedgerError
from auditor.findings import (
    Agreement,
    Assessment,
    Basis,
    BucketCoverage,
    Finding,
    Member,
    Readability,
    Status,
    Subject,
    SubjectKind,
)
from auditor.inventory_report import Report
from auditor.model import (
    DECRYPT,
    DENIALS,
    NO_RIGHT,
    AwsKey,
    BucketFacts,
    Cloud,
    Encryption,
    Gap,
    GcpKey,
    Grant,
    KeyAccess,
    KeyGone,
    KeyName,
    KeyUnread,
    Population,
    Probe,
    ProbeKind,
    ProbeOutcome,
    Reason,
    is_being_made,
)
from auditor.moments import day, minute, second
from auditor.overruling import CLOCKS_APART
from auditor.ownership.registered import Portion
from auditor.ownership.untold import NAMES_NO_KEY, NAMES_NONE, NOT_ASKED_YET
from auditor.plurals import counted
from auditor.ports import Recalled
from auditor.principals import same_principal
from auditor.readability import KeyView

CLOCKS: Final = "clocks"
BUCKET_LISTS: Final = "list of all buckets"
OBJECTS: Final = "objects"
PRINCIPALS: Final = {Cloud.AWS: "[platform] aws_principals", Cloud.GCP: "[platform] gcp_service_agents"}
REGISTRIES: Final = "registries"

_OBJECT_HINTS: Final = {
    Reason.ACCESS_DENIED: "grant s3:GetObject and s3:GetObjectVersion on them; HEAD needs no right on the key",
    Reason.EXPIRED_CREDENTIALS: "renew the credentials and sweep again",
    Reason.THROTTLED: "lower requests_per_second, or sweep when the bucket is less busy",
    Reason.TIMEOUT: "sweep again; if it stays so, look at the network between the auditor and the bucket",
    Reason.UNSUPPORTED: "look at one of them in the console: its encryption is of a kind not known here",
    Reason.MALFORMED: "look at one of them in the console: what it says of its key is no key name, or changes",
    Reason.NOT_FOUND: "sweep again: they went away while they were listed",
    Reason.NOT_VISIBLE: "sweep with an identity that sees them",
}
_ASKED_AGAIN: Final = "sweep again: they are asked about again; look whether their keys still work"
_SERVICE_HINTS: Final = {
    Reason.ACCESS_DENIED: "look at the rights of the API key",
    Reason.EXPIRED_CREDENTIALS: "look at the API key: the registry does not take it",
    Reason.THROTTLED: "lower requests_per_second of the registry",
}
_LAST_USE_HINT: Final = "look at the network between the auditor and KMS, and ask again"
_LAST_USE_HINTS: Final = {
    Reason.ACCESS_DENIED: "grant kms:GetKeyLastUsage on the key to the auditor, also by the key's policy",
    Reason.NOT_VISIBLE: "only the key's own account is told; give [[account]] a role there",
    Reason.THROTTLED: "ask again later: KMS answers five of these a second to a whole account, or ask of one KEY",
    Reason.UNSUPPORTED: "look at the endpoint: it does not know GetKeyLastUsage",
    Reason.NOT_FOUND: "poll the key: KMS says that it is not there",
    Reason.EXPIRED_CREDENTIALS: "give the auditor credentials, or renew them",
    Reason.MALFORMED: "ask again; if it stays so, look at the endpoint: it answers something else",
}


def listing_stopped(bucket: str, error: CollectError) -> Gap:
    """The listing of a bucket did not reach its end."""
    return Gap(bucket, error.reason, str(error), error.hint or "sweep again")


def never_swept(bucket: str, *, left: bool = False) -> Gap:
    """No sweep of a bucket was ever tried, or it still runs: nothing at all is known of its objects.

    `left`: to workers, and to nobody else who does not name it.
    """
    hint = "run its workers (`scan --index`), or scan it by name with --bucket" if left else "scan it"
    return Gap(bucket, Reason.NOT_FOUND, "nothing is known of its objects: it was never swept", hint)


def not_usable(bucket: str, error: LedgerError) -> Gap:
    """A bucket was swept, and its inventory is damaged or not there any more: the fault is on the auditor's side."""
    return Gap(bucket, Reason.UNSUPPORTED, f"nothing is known of its objects: {error}", error.hint or "sweep it again")


def not_sampled(bucket: str, error: LedgerError) -> Gap:
    """Probes are asked for, and of what a sweep wrote no object can be chosen for one."""
    return Gap(bucket, Reason.UNSUPPORTED, f"{_NOT_SAMPLED}: {error}", error.hint or "sweep it again")


def of_populations(bucket: str, lacking: Sequence[Population]) -> Iterator[Gap]:
    """The config asks for what it left out when the bucket was swept."""
    if lacking:
        which = " and ".join(one.replace("_", "-") for one in lacking)
        yield Gap(
            bucket,
            Reason.NOT_FOUND,
            f"nothing is known of its {which} objects: the config left them out when it was swept",
            "scan it: the config asks for them now",
        )


def of_layout_then(bucket: str, then: str | None, now: str) -> Iterator[Gap]:
    """The bucket was swept by another layout than the config has; None where nobody knows by which."""
    if then not in {None, now}:
        yield Gap(
            bucket,
            Reason.NOT_FOUND,
            f"its namespaces and tenants by the layout of the config are not known: it was swept by {then}",
            "scan it",
        )


def of_endpoint_then(bucket: str, made_by: str | None, now: str) -> Iterator[Gap]:
    """The bucket was swept at another endpoint than the config has; None where nobody knows at which."""
    if made_by is not None and made_by.partition(" ")[2] != now:
        yield Gap(
            bucket,
            Reason.NOT_FOUND,
            "what is in it at the endpoint of the config is not known: it was swept at another one",
            "scan it",
        )


def registry_unread(name: str, error: AuditorError, read_at: datetime | None) -> Gap:
    """A registry could not be read now; `read_at`: when it was last, so that what it said then counts."""
    reason = error.reason if isinstance(error, CollectError) else Reason.UNSUPPORTED
    before = (
        f"what it said on {minute(read_at)} counts"
        if read_at is not None
        else "which key data is to be under is not known"
    )
    return Gap(name, reason, f"{error}; {before}", error.hint or "look at the auditor's disk")


def registry_unusable(name: str, count: int, first: str) -> Gap:
    """Some entries of a registry say nothing that can be understood."""
    told = f"{count} of its entries {'is' if count == 1 else 'are'} not heeded; the first is {first}"
    return Gap(
        name,
        Reason.MALFORMED,
        told,
        "mend them: until then nothing about whose key it is passes or ends in its buckets",
    )


def registry_empty(name: str) -> Gap:
    """A registry is read whole and names nothing."""
    told = "it is empty: which key data is to be under is not known"
    return Gap(name, Reason.MALFORMED, told, "write it; where nothing is to be registered, remove its [[registry]]")


def registry_keyless(name: str, namespaces: int, *, alone: bool = False) -> Gap:
    """A registry is read whole and names no key: that nothing was found by it proves nothing.

    `alone`: no bucket is configured, and nobody else tells of data. With buckets it may be there for its labels.
    """
    told = f"{NAMES_NONE} {counted(namespaces, 'namespace')}: which key data is to be under is not known"
    reason = Reason.NOT_FOUND if alone else Reason.NOT_VISIBLE
    return Gap(name, reason, told, "name the keys in `key`, each by its full name")


def nobody_looked() -> Gap:
    """No bucket is configured: nobody saw an object, and what depends on keys is what registries say."""
    return Gap(
        OBJECTS,
        Reason.NOT_VISIBLE,
        "no bucket is configured: which objects are under these keys, and under which of their versions, was not seen; "
        "of what depends on the keys only registries can tell",
        "whoever may list the buckets can tell: they configure them as [[bucket]]",
    )


def last_use_not_known(key: KeyName, reason: Reason) -> Gap:
    """AWS was asked when a key was used last, and did not say."""
    effect = "when it was last used is not known, which may speak against a proof: nothing tells how to destroy it"
    return Gap(key.text, reason, effect, _LAST_USE_HINTS.get(reason, _LAST_USE_HINT))


def registry_lacks_keys(name: str, lacking: int, namespaces: int) -> Gap:
    """A registry is read whole and does not name the key of all its namespaces."""
    its = counted(namespaces, "namespace")
    told = f"{NAMES_NO_KEY} {lacking} of its {its}: which key they are under is not known"
    return Gap(name, Reason.NOT_FOUND, told, "name the keys in `key`, each by its full name")


def of_service(name: str, told: Recalled, too_old: datetime) -> Iterator[Gap]:
    """What is not known of a registry that is a service; `too_old`: one that was not asked since then is told."""
    if told.failed is not None:
        yield registry_unread(name, told.failed, told.listed_at)
    elif told.listed_at < too_old:
        effect = f"what it said on {minute(told.listed_at)} counts: it was not asked since"
        # Whoever allows what no registry can tell has not allowed that none is asked any more.
        yield Gap(name, Reason.TIMEOUT, effect, "scan: it is asked with each sweep")
    if told.unasked:
        why = NOT_ASKED_YET
        hint = "sweep on: each sweep asks about the next ones; or raise metadata_per_sweep"
        yield _keys_not_known(name, Reason.NOT_FOUND, told.unasked, told, (why, hint))
    for reason, count in sorted(told.silent.items()):
        why = f"it does not tell ({reason.replace('_', ' ')})"
        yield _keys_not_known(name, reason, count, told, (why, _SERVICE_HINTS.get(reason, _ASKED_AGAIN)))
    for reason, count in sorted(told.stale.items()):
        since = minute(told.stale_since) if told.stale_since is not None else "before"
        why = reason.replace("_", " ")
        known = counted(told.namespaces, "namespace")
        effect = f"of {count} of {known} it tells nothing now ({why}): what it said of them counts"
        yield Gap(name, reason, f"{effect}, the oldest of {since}", _SERVICE_HINTS.get(reason, _ASKED_AGAIN))
    for why, count in sorted(told.unclear.items()):
        yield _keys_not_known(name, Reason.MALFORMED, count, told, (why, "look at these namespaces in the registry"))


def _keys_not_known(name: str, reason: Reason, count: int, told: Recalled, why: tuple[str, str]) -> Gap:
    effect = f"of {count} of {counted(told.namespaces, 'namespace')} the registry's key is not known: {why[0]}"
    return Gap(name, reason, effect, why[1])


def registries_disagree(count: int) -> Gap:
    """Registries, or entries of one, say different things of the same namespaces."""
    return Gap(
        REGISTRIES,
        Reason.MALFORMED,
        f"they say different things of {counted(count, 'namespace')}: what they part in neither passes nor ends",
        "make them agree",
    )


def registries_may_disagree(count: int) -> Gap:
    """Registries, or entries of one, name two keys of the same namespaces that may be one."""
    effect = (
        f"of {counted(count, 'namespace')} they name two keys that may be one, by the id of its project and by its "
        "number: whether they say the same is not known"
    )
    hint = "let both names be read, which tells whether they are of one key, or make them name it alike"
    # Reading both tells: whoever allows what nobody can see has not allowed that.
    return Gap(REGISTRIES, Reason.UNSUPPORTED, effect, hint)


def registries_part_in_labels(count: int) -> Gap:
    """Registries, or entries of one, name different owners or teams of the same namespaces."""
    return Gap(
        REGISTRIES,
        Reason.MALFORMED,
        f"they name different owners or teams of {counted(count, 'namespace')}: whom to call about these is not told",
        "make them agree",
    )


def registries_not_beside(error: LedgerError) -> Gap:
    """What registries say could not be put beside the data."""
    told = f"which data is under the wrong key is not known: {error}"
    return Gap(REGISTRIES, Reason.UNSUPPORTED, told, error.hint or "look at the auditor's disk")


_NEW_OBJECTS: Final = "what it makes of new objects whose writer names no key is not known"
_NOT_SAMPLED: Final = "no probe reads its objects"
_A_PROBE: Final = "a probe of "
A_PROBE_OF_IT: Final = f"{_A_PROBE}it told nothing, or may not be as it is now"
"""Where the bucket is not to be named."""
_NOT_COUNTED: Final = "unfinished multipart uploads are not counted"
_NOT_COMPARED: Final = "its objects are not compared with the cloud's own count"


def is_narrow(gap: Gap) -> bool:
    """Whether a gap of a bucket leaves no object of it in doubt: what it leaves open, its own rule says.

    One that is worded otherwise counts as wider than it is, and never as narrower.
    """
    return narrowly(gap) is not None


def narrowly(gap: Gap) -> str | None:
    """The words with which a gap begins that leaves no object in doubt; they name nothing. None: it is none."""
    return next(
        (one for one in (_NEW_OBJECTS, _NOT_SAMPLED, _NOT_COUNTED, _NOT_COMPARED) if gap.effect.startswith(one)), None
    )


def view_of(tenant: str) -> str:
    """What is told to one tenant: what there may be of it that is not in there is a gap of this name."""
    return f"view of tenant {tenant}"


def is_of_probe(gap: Gap) -> bool:
    """Whether a gap is about a probe that told nothing of the data, or of which nobody knows whether it still holds."""
    return gap.effect.startswith(_A_PROBE)


def is_of_count(gap: Gap) -> bool:
    """Whether a gap is about the cloud's own count, which could not be read: what was listed is the same without it."""
    return gap.effect.startswith(_NOT_COMPARED)


def of_counts(buckets: Iterable[BucketCoverage]) -> Iterator[Gap]:
    """Buckets in which the cloud counts more objects than were listed, and nothing that is known explains it."""
    for one in buckets:
        found = one.compared
        if found is None or found.agreement is not Agreement.UNEXPLAINED or found.measured_at is None:
            continue
        total, more = found.count or 0, found.difference or 0
        effect = (
            f"the cloud counts {counted(more, 'object')} more than the sweep listed: {total:,} on "
            f"{day(found.measured_at)}, and {one.listed:,} were listed; what these are is not known"
        )
        hint = (
            "look whether as many were deleted since that day, and whether the auditor's identity, or a policy of the "
            "bucket, hides names from its listing; scan again when the cloud has counted anew, a day later"
        )
        yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, hint)


def of_new_objects(buckets: Iterable[BucketFacts]) -> Iterator[Gap]:
    """Buckets for which keys are declared, and that did not tell what they make of new objects."""
    for one in buckets:
        if one.new_objects is None:
            hint = "grant what its other gap asks for; where it has none, scan it"
            yield Gap(one.url, Reason.NOT_VISIBLE, f"{_NEW_OBJECTS}: it was not read when the bucket was swept", hint)
        elif one.new_objects.default is Encryption.UNKNOWN:
            hint = "look at the bucket's default encryption in the console"
            yield Gap(
                one.url, Reason.UNSUPPORTED, f"{_NEW_OBJECTS}: its default is of a kind that is not known here", hint
            )


def not_compared(bucket: str, error: Exception) -> Gap:
    """The cloud's own count could not be read, by a defect of ours."""
    effect = f"{_NOT_COMPARED} ({type(error).__name__})"
    return Gap(bucket, Reason.UNSUPPORTED, effect, "scan this bucket with --verbose and report what it shows")


def defect(bucket: str, error: Exception) -> Gap:
    """A sweep failed by a defect of ours."""
    return Gap(
        bucket,
        Reason.UNSUPPORTED,
        f"the sweep failed by a defect: {type(error).__name__}; an older whole sweep, if any, stays in force",
        "scan this bucket with --verbose and report what it shows",
    )


def not_written(bucket: str, error: LedgerError) -> Gap:
    """A bucket was listed, and its inventory could not be written: the fault is on the auditor's side."""
    return Gap(
        bucket,
        Reason.UNSUPPORTED,
        f"{error}; an older whole sweep, if any, stays in force",
        error.hint or "look at the auditor's disk and sweep again",
    )


def unresolved(bucket: str, reason: Reason, objects: int) -> Gap:
    """Objects were listed, and what they are encrypted with could not be learnt."""
    return Gap(
        bucket, reason, f"the encryption of {counted(objects, 'object')} is not known", _OBJECT_HINTS[reason], objects
    )


def added_up_elsewhere(bucket: str, asked: datetime, told_by: str | None) -> Gap:
    """Objects were not listed from here: somebody else's table was asked; `told_by`: what it is, None: a warehouse."""
    by, setting = (f"told by {told_by}", "s3_metadata") if told_by else ("added up elsewhere", "answer")
    told = f"its objects were {by} on {minute(asked)}: what was not known there, what came since, "
    hint = f"let it pass with --allow-gaps not_visible, or leave `{setting}` away and sweep the bucket from here"
    return Gap(bucket, Reason.NOT_VISIBLE, f"{told}and unfinished uploads are not known", hint)


def listed_by_report(bucket: str, report: Report, gone: int) -> Gap:
    """Objects were not listed from here: S3 Inventory did, some time before; `gone`: how many were not found."""
    others = "its noncurrent versions, " if report.live_only else ""
    left = f"{counted(gone, 'object')} of it that nobody finds, " if gone else ""
    told = f"its objects are those of the report of S3 Inventory that was begun on {minute(report.created)}"
    hint = "let it pass with --allow-gaps not_visible, or leave `s3_inventory` away and list the bucket from here"
    effect = f"{told}: {left}{others}what it lacked, and what came or changed since, is not known"
    return Gap(bucket, Reason.NOT_VISIBLE, effect, hint)


def list_defect(error: Exception) -> Gap:
    """What answered for a list of all buckets was read by nobody yet."""
    told = f"not listed, by a defect: {type(error).__name__}"
    return Gap(BUCKET_LISTS, Reason.UNSUPPORTED, told, "scan with --verbose and report what it shows")


def buckets_not_listed(gap: Gap) -> Gap:
    """Nobody knows how many buckets are not configured."""
    return Gap(BUCKET_LISTS, gap.reason, "how many buckets are not configured is not known", gap.hint)


def nobody_listed() -> Gap:
    """Nobody asked by the buckets and accounts of the config as it is now."""
    effect = "how many buckets are not configured is not known: nobody listed them since the config names these places"
    return Gap(BUCKET_LISTS, Reason.NOT_FOUND, effect, "scan")


def not_among_listed(buckets: Collection[str]) -> Gap:
    """Buckets of the config are not among those that were listed: their accounts have others that nobody counts."""
    named = ", ".join(sorted(buckets)[:3])
    which = f"{named}{', ...' if len(buckets) > 3 else ''}"  # noqa: PLR2004 - as many as are named
    effect = f"how many buckets are not configured is not known: the accounts of {which} were not listed"
    return Gap(BUCKET_LISTS, Reason.NOT_VISIBLE, effect, "name each bucket's account or project as [[account]]")


def names_of(view: KeyView) -> Iterator[str]:
    """Names under which gaps tell of a key: its own, those of its versions, and of what stands behind it."""
    yield view.name.text
    known = view.known
    if isinstance(known, GcpKey):
        yield from (f"{known.name}/cryptoKeyVersions/{one.number}" for one in known.versions)
    yield from names_of_shared(view)


def names_of_shared(view: KeyView) -> Iterator[str]:
    """Names under which gaps tell of what a key shares with others."""
    known = view.known
    if isinstance(known, GcpKey):
        yield from (one.name for one in known.connections)
        if known.hsm_instance is not None:
            yield known.hsm_instance.name


def of_principals(cloud: Cloud, keys: int) -> Iterator[Gap]:
    """Of so many keys nobody said who must be able to decrypt with them: a revocation would pass unseen."""
    if not keys:
        return
    if cloud is Cloud.AWS:
        which = "an AWS key" if keys == 1 else f"{keys} AWS keys"
        why = "the config names none of its roles"
        hint = "name the roles and users that read and write on S3 in [platform] aws_principals"
    else:
        which = "a Google key" if keys == 1 else f"{keys} Google keys"
        why = "the config names none of its service agents"
        hint = "name the storage service agents of its buckets in [platform] gcp_service_agents"
    effect = f"whether the platform may use {which} is not judged: {why}"
    yield Gap(PRINCIPALS[cloud], Reason.NOT_VISIBLE, effect, hint)


def of_layouts(buckets: Iterable[BucketCoverage]) -> Iterator[Gap]:
    """Buckets of which no object's name fits the layout: nothing is told of namespaces and tenants."""
    for one in buckets:
        if 0 < one.listed == one.outside:
            yield Gap(
                one.bucket,
                Reason.MALFORMED,
                "no object's name fits the bucket's layout: what hangs on a key is told without namespaces and tenants",
                "look at `layout` in the config and at the names in the bucket",
            )


def of_namesakes(portions: Mapping[Member, Collection[Portion]]) -> Iterator[Gap]:
    """Keys of data that registries name by the other name of their project, perhaps, or other data of a namespace."""
    for key in _under(portions, Portion.NAMESAKE):
        effect = "whether its data is under the right key is not known: a registry names one that may be it by the "
        hint = "let both names be read, or name the project in the registry as the objects do, by its id or its number"
        # Reading both tells: whoever allows what nobody can see has not allowed that.
        yield Gap(key, Reason.UNSUPPORTED, f"{effect}other name of its project", hint)
    for key in _under(portions, Portion.MIXED_NAMES):
        effect = "whether namespaces are under it alone is not known: other data of theirs is under one that may be it "
        hint = "let both names be read, which tells whether they are of one key, or name the right one in a registry"
        yield Gap(key, Reason.UNSUPPORTED, f"{effect}by the other name of its project", hint)


def _under(portions: Mapping[Member, Collection[Portion]], portion: Portion) -> list[str]:
    return sorted({key for (_, _, key, _), some in portions.items() if portion in some and key is not None})


def of_registries_that_left(
    findings: Iterable[Finding], before: Collection[str], now: Collection[str], claimed: Container[str] = ()
) -> Iterator[Gap]:
    """Registries that the config names no more, where findings end with them.

    `claimed` is where nobody but registries told of data, and still nobody else does.
    """
    ended = sum(
        one.status is Status.RESOLVED and (bool(one.portions) or any(bucket in claimed for bucket, *_ in one.members))
        for one in findings
    )
    for name in sorted(set(before).difference(now)) if ended else ():
        which = "a finding is" if ended == 1 else f"{ended} findings are"
        effect = f"{which} told as resolved, perhaps only because the config leaves out this registry now"
        yield Gap(name, Reason.NOT_VISIBLE, effect, "name it in the config again to have that judged")


def of_claims_that_ended(findings: Iterable[Finding], claimed: Container[str]) -> Iterator[Gap]:
    """Findings that end now because the config has buckets, and their data is in none of them.

    `claimed` is where registries alone told of data, and no bucket of the config.
    """
    ended: Counter[str] = Counter()
    for one in findings:
        if one.status is Status.RESOLVED:
            ended.update({bucket for bucket, *_ in one.members if bucket in claimed})
    for bucket, count in sorted(ended.items()):
        which = "a finding is" if count == 1 else f"{count} findings are"
        effect = f"{which} told as resolved without a look at all of its data: with buckets, what a registry alone says"
        hint = "configure the buckets that its namespaces are in as [[bucket]], and scan, to have that judged"
        yield Gap(bucket, Reason.NOT_VISIBLE, f"{effect} counts no more", hint)


def of_what_left_the_config(
    findings: Iterable[Finding], configured: Container[str], narrowed: Mapping[str, Collection[Population]]
) -> Iterator[Gap]:
    """Findings that end now although nobody looked, because the config leaves out their bucket or part of it.

    `narrowed` are the populations of each bucket that are looked at no longer.
    """
    ended: Counter[str] = Counter()
    for one in findings:
        if one.status is Status.RESOLVED:
            buckets = {bucket for bucket, *_ in one.members}
            if one.subject.kind is SubjectKind.BUCKET:
                buckets.add(one.subject.id)
            ended.update(each for each in buckets if each not in configured or narrowed.get(each))
    for bucket, count in sorted(ended.items()):
        which = "a finding is" if count == 1 else f"{count} findings are"
        lacking = " and ".join(sorted(one.replace("_", "-") for one in narrowed.get(bucket, ())))
        what = f"its {lacking} objects" if lacking else "this bucket"
        yield Gap(
            bucket,
            Reason.NOT_VISIBLE,
            f"{which} told as resolved without a look at all of its data: the config leaves out {what} now",
            f"name {what} in the config again, and scan, to have that judged",
        )


def of_clock(off: timedelta) -> Iterator[Gap]:
    """The dates of the clouds' answers are too far off to be theirs."""
    if off:
        days = f"{abs(off).days} days {'ahead of' if off > timedelta(0) else 'behind'}"
        yield Gap(
            CLOCKS,
            Reason.MALFORMED,
            f"the clouds' answers are dated {days} this machine's clock; dates are judged by this clock alone",
            "set this machine's clock; if it is right, look who answers in the clouds' place",
        )


def no_answer(name: KeyName) -> KeyUnread:
    """The source left the key out."""
    return KeyUnread(name, Reason.TIMEOUT, "no answer", "poll again")


def of_key(view: KeyView, principals: tuple[str, ...] = (), judged: Sequence[Assessment] = ()) -> Iterator[Gap]:
    """Everything about one key that could not be read.

    `principals` are those who must be able to decrypt with it, `judged` what its data was judged as: what is unknown
    and told by no other gap is one by itself.
    """
    found = list(_of_reading(view, principals, judged))
    lost = bool(judged) and all(one.readability is Readability.LOST for one in judged)
    if lost and _is_gone(view):
        return
    yield from found
    explained = _explained(view.reading, found)
    yield from of_unknown(view, [one for one in judged if one.subject.kind not in explained])


def _is_gone(view: KeyView) -> bool:
    """Whether its last word is that it is not there."""
    if view.word is not None:
        return isinstance(view.word, KeyGone)
    return view.memory is not None and view.memory.missing_since is not None


def is_told(view: KeyView, kept: Iterable[Gap]) -> bool:
    """Whether a gap that is kept says all of a key that told nothing when it was asked last, and was not asked now."""
    is_silent = view.reading is None and (view.denied or _is_gone(view))
    return is_silent and any(gap.what == view.name.text for gap in kept)


def tells_of_silence(view: KeyView, kept: Iterable[Gap]) -> bool:
    """Whether a gap that is kept says that the key gave no answer when it was asked last, not even its last word."""
    word = view.word.reason if isinstance(view.word, KeyUnread) else None
    mine = (gap for gap in kept if gap.what == view.name.text and gap.reason is not word)
    return any(_GAVE_NONE.match(gap.effect) for gap in mine)


def again(gap: Gap, view: KeyView, principals: tuple[str, ...], judged: Sequence[Assessment]) -> Gap:
    """Tell a gap of before as it is now, where it tells by what its key is judged that gave no answer then."""
    if view.memory is None or not (hit := _NO_ANSWER.match(gap.effect)):
        return gap
    unread = KeyUnread(view.name, gap.reason, hit[1], gap.hint)
    return replace(gap, effect=_effect_of_silence(view, unread, principals, judged))


def of_unknown(view: KeyView, judged: Iterable[Assessment]) -> Iterator[Gap]:
    """Whatever is unknown of some data under a key, one gap for each cause."""
    unknown = [one for one in judged if one.readability is Readability.UNKNOWN]
    causes = {one.subject: one.cause for one in unknown}
    claimed = {one.cause for one in unknown if one.basis is Basis.REGISTRY and isinstance(view.known, GcpKey)}
    for subject, cause in sorted(causes.items()):
        if cause in claimed:
            hint = "keep every version enabled until whoever may list the buckets has looked which ones are needed"
            yield Gap(_named(subject), Reason.NOT_VISIBLE, cause, hint)
        else:
            yield Gap(_named(subject), _why_unknown(view), cause, _what_it_needs(view, subject))


def names_of_unknown(judged: Iterable[Assessment]) -> Iterator[str]:
    """Names under which gaps tell of what is unknown of some data."""
    yield from (_named(one.subject) for one in judged if one.readability is Readability.UNKNOWN)


def causes_of_unknown(judged: Iterable[Assessment]) -> Iterator[str]:
    """Why some data is unknown: the words of the gaps that tell of it by its cause."""
    yield from (one.cause for one in judged if one.readability is Readability.UNKNOWN)


def _named(subject: Subject) -> str:
    # A principal's subject names the key behind the arrow.
    return subject.id.rpartition(" -> ")[2]


def _explained(reading: object, found: Sequence[Gap]) -> frozenset[SubjectKind]:
    """What is unknown for a reason that one of these gaps gives.

    A key that tells nothing explains all; one that answers, what stands behind it and who may use it, where that was
    not read. What its own state leaves open it does not.
    """
    if not isinstance(reading, AwsKey | GcpKey) or is_being_made(reading):
        return frozenset(SubjectKind) if found else frozenset()
    kinds: set[SubjectKind] = set()
    if reading.access is not None and reading.access.unread and found:
        kinds.add(SubjectKind.PRINCIPAL)
    if isinstance(reading, AwsKey):
        if reading.store is not None and (reading.store.connection_state is None or reading.store.older):
            kinds.add(SubjectKind.KEY_STORE)
        return frozenset(kinds)
    told = {one.what for one in found}
    if reading.hsm_instance is not None and reading.hsm_instance.name in told:
        kinds.add(SubjectKind.HSM_INSTANCE)
    if any(one.name in told for one in reading.connections):
        kinds.add(SubjectKind.EKM_CONNECTION)
    return frozenset(kinds)


def _why_unknown(view: KeyView) -> Reason:
    """A key that was not asked for told nothing yet; one that answered is in a state that says nothing."""
    return Reason.NOT_FOUND if view.reading is None else Reason.UNSUPPORTED


def _what_it_needs(view: KeyView, subject: Subject) -> str:
    if view.reading is None:
        return "poll again, without naming keys"
    if subject.kind is SubjectKind.KEY_STORE:
        return "repair the store, or the key that it failed; a read that passes ends it ([probe] reads), of either key"
    return "look at the key where it is managed: what it says of itself does not tell whether its data can be read"


def _of_reading(view: KeyView, principals: tuple[str, ...], judged: Sequence[Assessment]) -> Iterator[Gap]:
    name = view.name.text
    match view.reading:
        case KeyUnread() as unread:
            yield Gap(name, unread.reason, _effect_of_silence(view, unread, principals, judged), unread.hint)
            if unread.reason not in DENIALS:
                yield from _left_open(view, principals)
        case KeyGone(proven=False):
            yield Gap(
                name,
                Reason.NOT_FOUND,
                "it was not found; if that stays so for some minutes, what depends on it counts as lost"
                if judged
                else "it was not found, and no data is known to depend on it",
                "look whether the key was deleted",
            )
        case AwsKey() as key if is_being_made(key):
            # What is unknown with it is told by its cause.
            if any(one.readability is not Readability.UNKNOWN for one in judged):
                seen = view.memory.last_at if view.memory is not None else None
                by = f"; it is judged by its state of {second(seen)}" if seen is not None else ""
                yield Gap(name, Reason.NOT_VISIBLE, f"it is being made, and tells nothing{by}", "poll again")
                yield from _left_open(view, principals)
        case AwsKey() as key:
            yield from _of_aws_key(key, principals)
        case GcpKey() as key:
            yield from _of_gcp_key(key, principals)
        case None:
            yield from of_unasked(view, principals)
        case _:
            return


def of_unasked(view: KeyView, principals: tuple[str, ...]) -> Iterator[Gap]:
    """What is left open of a key that was not asked this time, by what it said last."""
    memory = view.memory
    if memory is not None and not memory.missing_proven and (strangers := _never_asked(view, principals)):
        told = f"whether {', '.join(strangers)} may decrypt was never asked"
        yield Gap(view.name.text, Reason.NOT_VISIBLE, told, "poll again, without naming keys")
    yield from _left_open(view, principals)


_GAVE_NONE: Final = re.compile(r"no new answer \(|its state is not known( any more)? \(")
_NO_ANSWER: Final = re.compile(r"no new answer \((.*?)\)(?:;|$)")


def _effect_of_silence(
    view: KeyView, unread: KeyUnread, principals: tuple[str, ...], judged: Sequence[Assessment]
) -> str:
    memory = view.memory
    if memory is None or memory.last_at is None:
        return f"its state is not known ({unread.detail}); what depends on it counts as unknown"
    seen = second(memory.last_at)
    if view.denied or memory.missing_since is not None:
        return f"its state is not known any more ({unread.detail}); it was last read {seen}"
    if judged and all(one.readability is Readability.UNKNOWN for one in judged):
        return f"no new answer ({unread.detail}); it was last read {seen}, and what depends on it counts as unknown"
    told = f"no new answer ({unread.detail}); it is judged by its state of {seen}"
    if strangers := _never_asked(view, principals):
        return f"{told}, and whether {', '.join(strangers)} may decrypt was never asked"
    return told


def _left_open(view: KeyView, principals: tuple[str, ...]) -> Iterator[Gap]:
    """What a key that is judged by its last word left open then."""
    memory = view.memory
    if memory is None or memory.denied_since is not None or memory.missing_since is not None:
        return
    match view.beside or memory.last:
        case AwsKey() as last:
            yield from _of_aws_key(last, principals)
        case GcpKey() as last:
            yield from _of_gcp_key(last, principals)
        case _:
            return


def _never_asked(view: KeyView, principals: tuple[str, ...]) -> tuple[str, ...]:
    """Principals of whose right the remembered reading says nothing."""
    last = view.memory.last if view.memory else None
    access = last.access if last is not None else None
    decrypt = DECRYPT[view.name.cloud]
    return tuple(one for one in principals if access is None or access.grant(one, decrypt) is None)


def _of_aws_key(key: AwsKey, principals: tuple[str, ...]) -> Iterator[Gap]:
    if key.store is not None and (key.store.connection_state is None or key.store.older):
        why = key.store.unread or Reason.NOT_VISIBLE
        grant = "grant kms:DescribeCustomKeyStores in the key's account"
        yield Gap(
            key.name.text,
            why,
            "whether its custom key store is connected is not known",
            grant if why in {Reason.NOT_VISIBLE, Reason.ACCESS_DENIED} else "poll again",
        )
    # In another account DescribeKey still tells the earliest expiry: there no verdict lacks the list.
    if key.materials_unread not in {None, Reason.NOT_VISIBLE}:
        yield Gap(
            key.name.text,
            key.materials_unread or Reason.TIMEOUT,
            "which imported key materials it has, and which are missing, is not known",
            _access_hint(key.name, "kms:ListKeyRotations", key.materials_unread or Reason.TIMEOUT),
        )
    untold = key.rotation.latest_unread if key.rotation is not None else None
    if untold not in {None, Reason.NOT_VISIBLE}:
        yield Gap(
            key.name.text,
            untold or Reason.TIMEOUT,
            "since when its current material is in use is not known",
            _access_hint(key.name, "kms:ListKeyRotations", untold or Reason.TIMEOUT),
        )
    # Another account need not let anybody see it, and no verdict hangs on it.
    if key.rotation_unread not in {None, Reason.NOT_VISIBLE}:
        yield Gap(
            key.name.text,
            key.rotation_unread or Reason.TIMEOUT,
            "whether it is rotated is not known",
            _access_hint(key.name, "kms:GetKeyRotationStatus", key.rotation_unread or Reason.TIMEOUT),
        )
    yield from _of_access(key, key.access, principals)


def _of_gcp_key(key: GcpKey, principals: tuple[str, ...]) -> Iterator[Gap]:
    if key.hsm_instance is not None and (key.hsm_instance.state is None or key.hsm_instance.older):
        why = key.hsm_instance.unread or Reason.ACCESS_DENIED
        yield Gap(
            key.hsm_instance.name,
            why,
            "whether this single-tenant HSM instance is active is not known",
            "grant cloudkms.singleTenantHsmInstances.get" if why is Reason.ACCESS_DENIED else "poll again",
        )
    for one in key.connections:
        if one.reachable is None or one.older is not None:
            yield Gap(
                one.name,
                one.older or Reason(one.detail),
                "whether Cloud KMS reaches the external key manager behind it is not known",
                "set [probe] verify_connectivity, and grant cloudkms.ekmConnections.verifyConnectivity to the auditor",
            )
    yield from _of_access(key, key.access, principals)


def of_probes(probes: Iterable[Probe], agents: Mapping[str, tuple[str, ...]]) -> Iterator[Gap]:
    """Probes that were asked for and told nothing of the platform's data."""
    for one in probes:
        for_nobody = one.code == NO_RIGHT and not any(
            same_principal(one.principal or "", each) for each in agents.get(one.bucket, ())
        )
        if one.outcome is ProbeOutcome.INCONCLUSIVE:
            effect = f"{_A_PROBE}{one.bucket} told nothing ({one.code})"
        elif for_nobody and KeyName(one.key).cloud is Cloud.AWS:
            effect = f"{_A_PROBE}{one.bucket} told nothing: {one.principal} may not decrypt, and is not the platform"
        else:
            continue
        name = one.key if one.key_version is None else f"{one.key}/cryptoKeyVersions/{one.key_version}"
        yield Gap(name, Reason.ACCESS_DENIED if for_nobody else one.reason or Reason.UNSUPPORTED, effect, _PROBE_HINT)


def of_refusals(
    probes: Iterable[Probe], wanted: Callable[[ProbeKind], bool], since: datetime, now: datetime
) -> Iterator[Gap]:
    """Refusals by which data is judged, where nobody asks for such probes any more or none was made since a moment.

    One of a moment that is still to come was dated by a wrong clock: how old it is, nobody knows.
    """
    for one in probes:
        ahead = one.at > now + CLOCKS_APART
        if wanted(one.kind) and one.at >= since and not ahead:
            continue
        option = "reads" if one.kind is ProbeKind.READ else "dry_runs"
        name = one.key if one.key_version is None else f"{one.key}/cryptoKeyVersions/{one.key_version}"
        when = f"{second(one.at)}{', by a clock that was ahead' if ahead else ''}"
        yield Gap(
            name,
            Reason.NOT_VISIBLE,
            f"{_A_PROBE}{one.bucket} was refused at {when}, and none has told otherwise since",
            f"set [probe] {option} and scan, where an object can be read: a read that passes ends it, a day later "
            "where it passes through a bucket key",
        )


_PROBE_HINT: Final = "docs/permissions.md tells what probes need; or switch them off in [probe]"
_OPEN: Final = frozenset({Grant.UNREAD, Grant.WITHDRAWN})
_PROJECT_POLICY: Final = "resourcemanager.projects.getIamPolicy"


def _of_access(key: AwsKey | GcpKey, access: KeyAccess | None, principals: tuple[str, ...]) -> Iterator[Gap]:
    """What could not be read of who may use a key, and what the answer lacks for it.

    Who was asked about besides those that must be able to decrypt is nobody's concern here.
    """
    if access is None:
        return
    decrypt = DECRYPT[key.name.cloud]
    rights = [one for one in access.rights if one.principal in principals]
    open_for = [one.principal for one in rights if one.action == decrypt and one.grant in _OPEN]
    for call, reason in access.unread:
        # Another account's policies cannot be read by anybody: a gap only where the config asks who may decrypt.
        if (reason is Reason.NOT_VISIBLE and not rights) or (call == _PROJECT_POLICY and not open_for):
            continue
        if open_for and call != "cloudkms.cryptoKeys.list":
            effect = f"whether {', '.join(open_for)} may decrypt is not known: {call} gave no answer"
        else:
            effect = f"who else may use it, or how far a grant reaches, is not fully known: {call} gave no answer"
        yield Gap(key.name.text, reason, effect, _access_hint(key.name, call, reason))


def _access_hint(name: KeyName, call: str, reason: Reason) -> str:
    if reason is Reason.NOT_VISIBLE:
        return "only the key's own account can tell; give [[account]] a role there"
    if reason is not Reason.ACCESS_DENIED:
        return "poll again"
    where = f"project {name.owner}" if call == _PROJECT_POLICY else "the key"
    return f"grant {call.partition(' ')[0]} on {where} to the auditor"
