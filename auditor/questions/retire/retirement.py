"""What is under each version of a key, and whether it is proven that nothing is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from auditor.findings import BucketCoverage
from auditor.model import AwsKey, Cloud, GcpKey, GcpKeyVersion, Holding, KeyManager, KeyMemory, cloud_of, resting
from auditor.moments import minute
from auditor.overruling import CLOCKS_APART
from auditor.plurals import counted
from auditor.questions.retire.standing import MANAGED, SETTLES, LastUse, Next, Standing, Step, Use
from auditor.readability.lines import destroy, disable

_HOLDS_DATA: Final = frozenset({"ENABLED", "DISABLED", "DESTROY_SCHEDULED"})
"""States in which a version can be needed and be acted on; others are being made, or are gone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was swept."""

    buckets: tuple[BucketCoverage, ...]
    """All that the config names."""
    elsewhere: int | None
    """Buckets of the accounts in use that no config names, and that may hold data; None where nobody listed them."""
    left: tuple[str, ...] = ()
    """Buckets that were swept once, and that the config names no more."""


def next_step(one: Standing, quarantine: timedelta, now: datetime) -> Next:
    """Tell what may be done next: nothing that is not proven unused is ever to be put out of use.

    What was disabled long enough is destroyed once everything was looked at again since.
    """
    if one.use is not Use.UNUSED:
        return Next(Step.NONE)
    if one.state == "ENABLED":
        return Next(Step.DISABLE)
    if one.disabled is None:
        return Next(Step.NONE)
    over = one.disabled + quarantine
    is_over = now >= over and one.looked is not None and one.looked >= over
    return Next(Step.DESTROY if is_over else Step.WAIT, over)


def counted_anew(memory: KeyMemory, last: LastUse, now: datetime) -> KeyMemory:
    """What is remembered of a key of AWS, where a use tells that it was not at rest all the time.

    That it took no new data, and was disabled without a break, then counts from the use on: polls may have missed some
    minutes of it, not more. Nothing ever counts from earlier.
    """
    rest = memory.resting.get("")
    if rest is None or last.at is None or last.at <= rest:
        return memory
    return replace(memory, resting={**memory.resting, "": min(last.at, now)})


def spoken_against(one: Standing, memory: KeyMemory, last: LastUse, seen: Seen) -> Standing:
    """Tell why the last use of a key of AWS speaks against its being unused, where it does.

    `memory`: as it is, counted from no use. Lack of a use is never a reason for anything.
    """
    if last.at is None:
        return one
    whole = all(one.complete for one in seen.buckets if cloud_of(one.bucket) is Cloud.AWS)
    looked = _all_looked(Cloud.AWS, seen) if whole else None
    rest = memory.resting.get("")
    used = f"AWS recorded that it was used at {minute(last.at)} ({last.operation or 'operation not told'})"
    if one.use is Use.NOT_PROVEN and rest is not None and last.at > rest:
        why = f"{used}, after it was seen to take no new data: all counts anew from then"
    elif one.use is Use.TAKES_NEW_DATA and looked is not None and last.at > looked:
        why = f"{used}, after everything was looked at: what used it was not seen"
    else:
        return one
    return replace(one, reasons=(why, *one.reasons))


def call_of(name: str, step: Step) -> str | None:
    """The command line of a step on a key version, or a key of AWS; None where nothing is to be done now."""
    match step:
        case Step.DISABLE:
            return disable(name)
        case Step.DESTROY:
            return destroy(name)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one key besides what it says."""

    memory: KeyMemory | None
    holdings: Sequence[Holding]
    seen: Seen
    rests: Mapping[str, datetime]
    """Version, or nothing for all of a key of AWS -> since when it was seen to take no new data, without a break."""
    now: datetime


def standings(
    key: AwsKey | GcpKey, memory: KeyMemory | None, holdings: Sequence[Holding], seen: Seen, now: datetime
) -> tuple[Standing, ...]:
    """Tell it of each version that can still be acted on, by number; `holdings`: all data under the key.

    `key`: what it says now, or said last.
    """
    known = memory.resting if memory is not None else {}
    look = _Look(memory, holdings, seen, {one: known.get(one, now) for one in resting(key)}, now)
    if isinstance(key, AwsKey):
        return (_aws(key, look),)
    acted_on = (one for one in key.versions if one.state in _HOLDS_DATA and one.unlisted_since is None)
    return tuple(_google(one, look) for one in acted_on)


def _aws(key: AwsKey, look: _Look) -> Standing:
    since = look.rests.get("")
    disabled = _disabled("state", since, look) if key.state == "Disabled" else None
    mine = [one for one in look.holdings if not one.is_claimed]
    if key.manager is KeyManager.PROVIDER:
        return replace(_in_use(None, key.state, mine, None, None), reasons=(MANAGED,))
    if mine:
        return _in_use(None, key.state, mine, since, disabled)
    if since is None:
        why = "new data may come under an enabled key at any moment: disable it, then sweep and look again"
        return Standing(None, key.state, Use.TAKES_NEW_DATA, (why, *_claimed(look.holdings)))
    found = Standing(None, key.state, Use.NOT_PROVEN, tuple(_claimed(look.holdings)), since, disabled)
    return _proven(found, Cloud.AWS, look, since)


def _google(version: GcpKeyVersion, look: _Look) -> Standing:
    number, state = version.number, version.state
    since = look.rests.get(number)
    disabled = _disabled(f"version {number}", since, look) if state == "DISABLED" else None
    if mine := [one for one in look.holdings if one.key_version == number]:
        return _in_use(number, state, mine, since, disabled)
    if since is None:
        why = "it is the primary version: new data comes under it"
        return Standing(number, state, Use.TAKES_NEW_DATA, (why, *_claimed(look.holdings)))
    unnamed = sum(one.objects or 0 for one in look.holdings if one.key_version is None)
    reasons = (f"{counted(unnamed, 'object')} with the key's bare name may be under it",) if unnamed else ()
    found = Standing(number, state, Use.NOT_PROVEN, (*reasons, *_claimed(look.holdings)), since, disabled)
    return _proven(found, Cloud.GCP, look, since)


def _claimed(holdings: Sequence[Holding]) -> Iterator[str]:
    """What registries say is under the key, and nobody saw; and that somebody else saw some of it."""
    if any(one.is_told for one in holdings):
        yield "an operator's bundle tells of data under the key: what it does not tell of may be there all the same"
    if named := sum(one.namespaces for one in holdings if one.is_claimed):
        yield f"{counted(named, 'namespace')} that a registry names the key for may hold data under it"


def _disabled(fact: str, since: datetime | None, look: _Look) -> datetime | None:
    """Since when it was seen so without a break: since its state changed, or since it was first heard of again."""
    changed = look.memory.changed.get(fact) if look.memory is not None else None
    return max((one for one in (changed, since) if one is not None), default=None)


def _in_use(
    version: str | None, state: str, mine: Iterable[Holding], since: datetime | None, disabled: datetime | None
) -> Standing:
    every = tuple(mine)
    return Standing(
        version=version,
        state=state,
        use=Use.IN_USE,
        resting=since,
        disabled=disabled,
        objects=sum(one.objects or 0 for one in every),
        size=sum(one.size or 0 for one in every),
    )


def _proven(found: Standing, cloud: Cloud, look: _Look, since: datetime) -> Standing:
    """Unused where nothing stands in the way of a proof, neither what it has against it already."""
    every = (*found.reasons, *_blind(cloud, look.seen, since, look.now))
    looked = _all_looked(cloud, look.seen)
    return replace(found, use=Use.NOT_PROVEN if every else Use.UNUSED, reasons=every, looked=looked)


def _all_looked(cloud: Cloud, seen: Seen) -> datetime | None:
    """From when on everything in buckets of a cloud was looked at, at the latest."""
    return min((_looked(one) for one in seen.buckets if cloud_of(one.bucket) is cloud), default=None)


def _blind(cloud: Cloud, seen: Seen, since: datetime, now: datetime) -> Iterator[str]:
    """Where data could be that was not seen, or came after it was looked for."""
    mine = [one for one in seen.buckets if cloud_of(one.bucket) is cloud]
    if not mine:
        yield "no bucket of its cloud is in the config"
    for one in mine:
        yield from (f"{one.bucket}: {why}" for why in _hidden(one, since + SETTLES, now))
    yield from (f"{one}: it has left the config, and nobody looks there" for one in seen.left if cloud_of(one) is cloud)
    if seen.elsewhere is None:
        yield "which buckets no config names is not known"
    elif seen.elsewhere:
        yield f"{counted(seen.elsewhere, 'bucket')} of the accounts in use in no config: nobody looked there"


def _hidden(one: BucketCoverage, settled: datetime, now: datetime) -> Iterator[str]:
    if not one.complete or one.sweep_started is None:
        yield "it was never swept to its end"
        return
    if one.left_out:
        yield f"its {' and '.join(each.replace('_', '-') for each in one.left_out)} objects were left out"
    if one.unresolved:
        yield f"the key of {counted(one.unresolved, 'object')} is not known"
    if one.uploads_in_progress is None:
        yield "whether uploads are unfinished is not known"
    elif one.uploads_in_progress:
        yield f"{counted(one.uploads_in_progress, 'unfinished upload')}, of which nobody tells the key"
    looked = _looked(one)
    if looked > now + CLOCKS_APART:
        yield f"its objects were looked at by a clock that was ahead, from {minute(looked)} on: sweep it again"
    elif looked < settled:
        yield f"its objects were looked at from {minute(looked)} on; new data may have come until {minute(settled)}"


def _looked(one: BucketCoverage) -> datetime:
    """From when on its objects were looked at: on S3 the key of what is listed as before was read earlier."""
    never = datetime.min.replace(tzinfo=UTC)
    return min(one.sweep_started or never, one.oldest_verified or one.sweep_started or never)
