"""The words of every gap that an operator's bundle leaves: it is another's word, of before, and may lack something."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from auditor.errors import AuditorError, CollectError
from auditor.handover.bundle import CLOCKS_APART
from auditor.model import Gap, GcpKey, GcpKeyVersion, KeyMemory, KeyName, Reason
from auditor.moments import minute
from auditor.ownership.registered import Declared, Handed, Registered
from auditor.plurals import agreed, counted
from auditor.readability import KeyView

_ANOTHER: Final = "get a newer bundle from the operator, as often as you need to know"
_OPERATOR: Final = "ask the operator, who can mend it and send another bundle"
_COUNTS: Final = " told counts"
_LOST: Final = "what it tells is not known"
"""How the effect ends of a bundle that is not believed, with one that was before or without."""
_USABLE: Final = "ENABLED"


def not_believed(name: str, error: AuditorError, before: Handed | None) -> Gap:
    """A bundle could not be read, or is not believed; `before`: the one that was, so that it counts on."""
    reason = error.reason if isinstance(error, CollectError) else Reason.UNSUPPORTED
    told = f"what the one of {minute(before.made)}{_COUNTS}" if before is not None else _LOST
    return Gap(name, reason, f"{error}; {told}", error.hint or "look at the auditor's disk")


def is_refusal(gap: Gap) -> bool:
    """Whether a gap of a bundle says that it could not be read, or is not believed, and not what one leaves open."""
    return gap.effect.endswith((_COUNTS, _LOST))


def of_bundle(name: str, told: Handed, now: datetime, max_age: timedelta) -> Iterator[Gap]:
    """What a bundle that counts leaves open."""
    yield _hearsay(name, told)
    age = now - told.swept
    if age < -CLOCKS_APART:
        effect = f"the oldest sweep that it tells of began in the future, at {minute(told.swept)}"
        yield Gap(name, Reason.MALFORMED, effect, "set this machine's clock; if it is right, ask the operator")
    yield from too_old(name, told, now, max_age)
    yield from (Gap(name, Reason.NOT_VISIBLE, effect, _OPERATOR) for effect in _of_the_whole(told))
    if told.unknown:
        are = agreed(told.unknown, "is", "are")
        effect = f"the operator could not learn what {counted(told.unknown, 'object')} {are} encrypted with"
        yield Gap(name, Reason.NOT_VISIBLE, effect, _OPERATOR, told.unknown)
    if told.withheld:
        are, they = (agreed(told.withheld, one, many) for one, many in (("is", "are"), ("it", "they")))
        effect = (
            f"{counted(told.withheld, 'object')} {are} under a key that the operator does not name, as it may be "
            f"another customer's: whether {they} can be read is not known"
        )
        hint = "ask the operator why your data is under it; `[[key]] tenant` in their config lets it be named"
        yield Gap(name, Reason.NOT_VISIBLE, effect, hint, told.withheld)
    for one in told.buckets:
        yield from (Gap(one.bucket, Reason.NOT_VISIBLE, effect, _OPERATOR) for effect in _of_bucket(one.left_out))
        if one.outside:
            effect = "it has objects whose names tell no namespace: whose they are is not known, and no bundle has them"
            yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, _OPERATOR)
        if one.uploads is None or one.uploads:
            may = "may have" if one.uploads is None else "has"
            effect = f"it {may} unfinished uploads, of which nobody tells the key"
            yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, _OPERATOR)
    for about, reason in told.gaps:
        effect = "the operator could not read all of it: what the bundle says of it may lack something"
        yield Gap(about, Reason(reason), effect, _OPERATOR)


def too_old(name: str, told: Handed, now: datetime, max_age: timedelta) -> Iterator[Gap]:
    """Whether a bundle tells of a time that is too long ago."""
    age = now - told.swept
    if age > max_age:
        hours = age / timedelta(hours=1)
        allowed = f"max_age_hours allows {max_age / timedelta(hours=1):g}"
        effect = f"the oldest sweep that it tells of began {hours:,.0f} hours ago, and {allowed}"
        # Whoever allows what no bundle can tell has not allowed that none comes any more.
        yield Gap(name, Reason.TIMEOUT, effect, _ANOTHER)


def written_since(
    told: Iterable[Handed], keys: Mapping[KeyName, KeyView], held: Iterable[tuple[str, str | None]]
) -> Iterator[Gap]:
    """Versions that took new data since the sweeps of bundles, that cannot be used now, and that no data is told of."""
    oldest = min((one.swept for one in told), default=None)
    if oldest is None:
        return
    every = set(held)
    for name in sorted({KeyName(key) for key, _ in every}):
        view = keys.get(name)
        if view is None or not isinstance(view.known, GcpKey):
            continue
        numbers = [
            one.number
            for one in view.known.versions
            if one.state != _USABLE
            and (name.text, one.number) not in every
            and _may_have_taken_data(one, view.known, view.memory, oldest)
        ]
        if numbers:
            effect = (
                f"version {', '.join(numbers)} cannot be used now, and may have taken new data since "
                f"{minute(oldest)}, when the sweeps began that bundles tell of: whether any is under it is not known"
            )
            yield Gap(name.text, Reason.NOT_VISIBLE, effect, _ANOTHER)


def not_compared(told: Registered, declared: Declared) -> Iterator[Gap]:
    """Registries of namespaces that are in no bucket: what a bundle tells of may be theirs, and nobody knows."""
    for one in told.registries if told.bundles else ():
        taken, open_ = declared.unplaced.get(one.name, (0, 0))
        if one.bundle is None and (taken or one.name in declared.of_buckets):
            effect = f"it names keys for namespaces and not the bucket that they are in: {_of_names(taken, open_)}"
            yield Gap(one.name, Reason.UNSUPPORTED, effect, "give it `bucket`, or a column of that name")


def _of_names(taken: int, open_: int) -> str:
    told = []
    if taken:
        what = f"{counted(taken, 'namespace')} {agreed(taken, 'counts', 'count')} as what an operator's bundle tells of"
        told.append(f"{what} by the same name and key, and may be in another bucket")
    if open_:
        what = (
            f"of {counted(open_, 'namespace')} a bundle tells by that name, and under another key or in several buckets"
        )
        told.append(f"{what}: both count, and whether it is the same data is not known")
    if not told:
        told.append("whether what an operator's bundle tells of is under these keys is not known")
    return "; ".join(told)


def _may_have_taken_data(one: GcpKeyVersion, key: GcpKey, memory: KeyMemory | None, since: datetime) -> bool:
    """Whether it is, or was since then, the primary version, as far as anybody knows."""
    if one.number == key.primary or one.created is None or one.created > since:
        return True
    older = [int(each.number) for each in key.versions if each.created is not None and each.created <= since]
    if int(one.number) == max(older):
        return True
    # That it rests is known since the key was first asked, at the latest.
    rested = memory.resting.get(one.number) if memory is not None else None
    return memory is not None and rested is not None and since < rested != memory.first_at


def _hearsay(name: str, told: Handed) -> Gap:
    who = f"an operator that calls itself {told.operator}" if told.operator is not None else "an operator"
    effect = (
        f"no bucket is configured: which objects there are, and what they are under, {who} says, in a bundle of "
        f"{minute(told.made)} that is signed with the key sha256:{told.signer[:16]}; what was written, moved or "
        f"deleted since {minute(told.swept)} was not seen"
    )
    if told.verified is not None and told.verified < told.swept:
        effect += f"; of some objects the key was read at {minute(told.verified)}, and not since"
    return Gap(name, Reason.NOT_VISIBLE, effect, _ANOTHER)


def _of_the_whole(told: Handed) -> Iterator[str]:
    if told.unswept:
        some = counted(told.unswept, "bucket")
        yield f"the operator has {some} without a whole sweep: what of {told.tenant} is there is not known"
    if told.elsewhere is None:
        yield "which buckets the operator does not look at is not known"
    elif told.elsewhere:
        some = counted(told.elsewhere, "bucket")
        yield f"the operator has {some} in no config: what of {told.tenant} is there is not known"
    if told.unclear:
        some, they = counted(told.unclear, "namespace"), agreed(told.unclear, "it is", "they are")
        yield f"of {some} of the operator nobody says for certain whose {they}: {they} in no bundle"
    if not told.registries:
        yield "not all that tells the operator whose a namespace is could be used: some may be missing"


def _of_bucket(left_out: Iterable[str]) -> Iterator[str]:
    for one in left_out:
        yield f"its {one.replace('_', '-')} objects were left out: what of them is under which key is not known"
