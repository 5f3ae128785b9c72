"""What may hold data under a key, and is not seen: how much of the buckets is known, and every gap in it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from auditor.findings import BucketCoverage, Judgement
from auditor.gaps import BUCKET_LISTS, CLOCKS, OBJECTS, is_of_count, names_of
from auditor.handover.lacking import too_old
from auditor.model import Cloud, Gap, KeyName, Reason, cloud_of
from auditor.moments import second
from auditor.ownership.naming import unheard
from auditor.questions.impact.answer import Known
from auditor.questions.retire.retiring import left_behind, names_of_data
from auditor.readability import KeyView
from auditor.run import Parts


def known_of(judgement: Judgement, cloud: Cloud) -> Known:
    """How much of the buckets of a cloud one judgement knows."""
    mine = _of(judgement, cloud)
    return Known(
        listed=sum(one.listed for one in mine) if not judgement.is_keys_only else None,
        resolved=sum(one.resolved for one in mine) if not judgement.is_keys_only else None,
        swept=min((one.sweep_started for one in mine if one.complete and one.sweep_started), default=None),
        told=min((one.bundle.swept for one in judgement.registered.bundles if one.bundle is not None), default=None),
        buckets=len(mine),
        lacking=sum(not one.complete for one in mine),
        elsewhere=judgement.coverage.buckets_not_configured,
        heard=any(one.namespaces is not None for one in judgement.registered.registries),
    )


def gaps_beside(
    key: KeyName, judgement: Judgement, parts: Parts, now: datetime, counted: Sequence[KeyName] = ()
) -> Iterator[Gap]:
    """Everything about the key, and about what may hold data under it, that is not known.

    `counted`: other names of it whose data counts as well.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    mine = _of(judgement, key.cloud)
    memory = parts.ledger.memory(key)
    own = (key, *counted)
    views = (KeyView(one, None, memory.get(one)) for one in own)
    about = {*(one.bucket for one in mine), *chain.from_iterable(map(names_of, views)), BUCKET_LISTS, OBJECTS, CLOCKS}
    about.update(name for one in judgement.registered.bundles for name in (one.name, *one.buckets))
    if judgement.is_keys_only:
        # Under which version the data is that they do not tell of nobody knows.
        about.update(one.name for one in judgement.registered.registries)
        yield from unheard(parts, judgement)
    # A version that the key does not tell of any more may have data under it all the same.
    versions = tuple(f"{one}/cryptoKeyVersions/" for one in own)
    found = (one for one in judgement.gaps if one.what in about or one.what.startswith(versions))
    # That a listing was not compared with another count makes nothing of it unseen.
    yield from (one for one in found if not is_of_count(one))
    for one in mine:
        yield from _of_bucket(one, parts, now)
    for each in parts.handed:
        # It may have grown too old since it was read: nobody may have looked for a newer one.
        for given in judgement.registered.bundles:
            if given.bundle is not None and given.name == each.source.name and not _is_told_old(given.name, judgement):
                yield from too_old(given.name, given.bundle, now, each.max_age)
    if elsewhere := judgement.coverage.buckets_not_configured if not parts.policy.no_data_elsewhere else 0:
        told = (
            f"{elsewhere:,} buckets of the accounts in use are"
            if elsewhere > 1
            else "1 bucket of the accounts in use is"
        )
        effect = f"{told} in no config: nobody looked there"
        yield Gap(BUCKET_LISTS, Reason.NOT_VISIBLE, effect, "add them as [[bucket]], or set [policy] no_data_elsewhere")
    names = names_of_data(judgement, memory)
    same = frozenset(names.same(key))
    for name in (*sorted(same.difference(counted)), *names.doubtful_of((key, *sorted(same)))):
        # Whoever allows what nobody can see has not allowed to leave out what is known under another name.
        told = f"data names the key {name}, which {'is' if name in same else 'may be'} this one"
        yield Gap(key.text, Reason.UNSUPPORTED, f"{told} by the other name of its project", f"ask for {name} as well")
    judged = {one.bucket for one in judgement.coverage.buckets}
    for url in sorted(one for one in parts.buckets if cloud_of(one) is key.cloud and one not in judged):
        yield Gap(url, Reason.NOT_FOUND, "nothing is known of its objects: it is in the config since", "scan it")
    for url in left_behind(parts):
        if cloud_of(url) is key.cloud:
            effect = "nobody looks there: it was swept and has left the config"
            yield Gap(url, Reason.NOT_VISIBLE, effect, "name it again")


def _is_told_old(name: str, judgement: Judgement) -> bool:
    return any(one.what == name and one.reason is Reason.TIMEOUT for one in judgement.gaps)


def _of(judgement: Judgement, cloud: Cloud) -> tuple[BucketCoverage, ...]:
    return tuple(one for one in judgement.coverage.buckets if cloud_of(one.bucket) is cloud)


def _of_bucket(one: BucketCoverage, parts: Parts, now: datetime) -> Iterator[Gap]:
    if one.left_out:
        which = " and ".join(each.replace("_", "-") for each in one.left_out)
        effect = f"nothing is known of its {which} objects: the config leaves them out"
        yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, "take them into its populations, and scan it")
    begun = one.sweep_started
    if begun is not None and now - begun > parts.policy.sweep_max_age:
        effect = f"what was written since {second(begun)} is not known: its newest whole sweep began then"
        yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, "scan it")
    if count := one.uploads_in_progress:
        told = f"{count:,} uploads are" if count > 1 else "an upload is"
        effect = f"{told} unfinished, of which nobody tells the key"
        yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, "wait until they end, or abort them; then scan it")
