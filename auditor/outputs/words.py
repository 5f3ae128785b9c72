"""How numbers, dates and hostile names are written for people: the same in terminal and report."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from auditor import moments, plurals
from auditor.findings import Actor, Demand, Finding, Subject, SubjectKind
from auditor.log import visible
from auditor.model import Cloud, Evidence, Extent, KeyName, split_version
from auditor.states import STATES, being, told
from auditor.waiver import last_day

_MEANT: Final = "Nothing, while the config says that this is so on purpose."
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_STEP: Final = 1000
_TEN: Final = 10
_LEAST: Final = 0.0001

NAMESPACES_NOT_KEPT: Final = "which namespaces hung on it when it was last told is not kept whole"
"""Of a finding that nothing hangs on now, or of which nobody can tell now what does."""

KINDS: Final = {
    SubjectKind.KEY_VERSION: "key version",
    SubjectKind.KEY: "key",
    SubjectKind.KEY_STORE: "custom key store",
    SubjectKind.HSM_INSTANCE: "single-tenant HSM instance",
    SubjectKind.EKM_CONNECTION: "EKM connection",
    SubjectKind.PRINCIPAL: "access to",
    SubjectKind.BUCKET: "bucket",
    SubjectKind.WAIVER: "waiver of",
    SubjectKind.REGISTRY: "registry",
    SubjectKind.AUDIT_LOG: "audit log",
    SubjectKind.FEED: "feed",
}


def remedy(one: Finding, demand: Demand | None) -> str:
    """What to do about a finding; empty where nobody knows its rule."""
    return _MEANT if one.meant else demand.remedy if demand is not None else ""


def remedy_with_undo(one: Finding, demand: Demand | None) -> str:
    """The same, and the calls that undo what was done, in one text."""
    steps = [f"{step.call} (by {step.who})" for step in one.undo]
    told = remedy(one, demand)
    return " ".join([*([told] if told else []), *([f"Undo: {'; '.join(steps)}"] if steps else [])])


def kind(one: Subject) -> str:
    """What a name is of; empty where the name says it: `registry namespaces.csv`."""
    return "" if one.kind is SubjectKind.REGISTRY else KINDS[one.kind]


def about(one: Subject, name: str | None = None) -> str:
    """What it is, and how it is called; `name`: where that is not its id."""
    return f"{kind(one)} {one.id if name is None else name}".lstrip()


def evidence(one: Evidence) -> str:
    """What was asked, of what and when; what a registry said has its name alone, as that says it."""
    asked = "" if one.resource.startswith(f"{one.call} ") else f"{one.call} "
    return f"{asked}{one.resource} at {exactly(one.at)}"


CLOUDS: Final = {Cloud.AWS: "AWS", Cloud.GCP: "Google Cloud"}
SINCE: Final = {
    "audit_log": "as the audit log says",
    "key_state": "as the key service says",
    "between_polls": "seen changing between two polls",
    "first_read": "so when it was first read; it may be older",
}
"""Who dates a finding."""

NOT_KNOWN: Final = "not known"
"""Of what nobody saw: never 0."""


def number(count: int | None) -> str:
    """Thousands in groups."""
    return NOT_KNOWN if count is None else f"{count:,}"


def counted(count: int | None, noun: str, plural: str | None = None) -> str:
    """A number with its noun, in the plural where it belongs; `plural`: where that is not the noun with an s."""
    if count is None:
        return f"{plural or f'{noun}s'} {NOT_KNOWN}"
    return plurals.counted(count, noun, plural)


def amount(extent: Extent) -> str:
    """How much data it is; of what nobody saw, what registries say of it."""
    spaces = counted(extent.namespaces, "namespace")
    if extent.objects is not None:
        return f"{counted(extent.objects, 'object')}, {size(extent.size)}, {spaces}"
    told = f", {size(extent.size)} of data" if extent.size is not None else ""
    return f"{spaces}{told} by the registry, objects {NOT_KNOWN}"


def size(count: int | None) -> str:
    """Bytes in decimal units, two digits at least."""
    if count is None:
        return NOT_KNOWN
    left = float(count)
    for unit in _UNITS:
        if left < _STEP or unit == _UNITS[-1]:
            break
        left /= _STEP
    return f"{left:.0f} {unit}" if unit == "B" or left >= _TEN else f"{left:.1f} {unit}"


def whose(extent: Extent) -> Iterator[str]:
    """Lines that tell whose data it is and who answers for it, as far as somebody says so."""
    for head, names in (("tenants", extent.tenants), ("owners", extent.owners), ("teams", extent.teams)):
        if names:
            yield f"{head:<11} {', '.join(names)}"


def done_by(one: Actor) -> str:
    """Who did it, by which call, when, from where and through whom; and which entry of the log says so."""
    source = f" from {one.source}" if one.source is not None else ""
    via = f", through {one.via}" if one.via is not None else ""
    return f"{one.principal} by {one.call} at {exactly(one.time)}{source}{via} (entry {one.event_id})"


def attributed(one: Finding) -> str:
    """Who did what a finding is about, or why nobody is told; empty where it is about nothing that a call changes."""
    if one.actor is not None:
        is_early = one.sought is not None and not one.sought.settled
        return f"{done_by(one.actor)}{'; entries may still come that tell otherwise' if is_early else ''}"
    return f"not attributed: {one.unattributed}" if one.unattributed is not None else ""


def dollars(amount: float) -> str:
    """A price in USD; what is too little for four places is less than the least of them."""
    if 0 < amount < _LEAST:
        return f"< ${_LEAST}"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def instant(moment: datetime) -> str:
    """A time to the minute, UTC."""
    return moments.minute(moment)


def through(until: datetime) -> str:
    """The last day of what from a moment on counts no more, as a config names it: that day is in it."""
    return f"{last_day(until)} (UTC, that day included)"


def exactly(moment: datetime) -> str:
    """A time to the second, UTC, written as one to the minute is."""
    return moments.second(moment)


def stamp(moment: datetime) -> str:
    """A time to the second in RFC 3339, UTC."""
    return moments.stamp(moment)


def span(length: timedelta) -> str:
    """A length of time in its two largest units."""
    minutes = int(length.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{max(0, int(length.total_seconds()))} s"


def until(moment: datetime, now: datetime) -> str:
    """How far a moment is: `in 2 d 21 h`, or `3 h 5 min ago`."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def state(text: str, cloud: Cloud) -> str:
    """A state of a key or version in the service's own word, where that is one whose meaning is known."""
    return told(text, cloud)


def states(some: Iterable[str], cloud: Cloud) -> str:
    """How many are in which state."""
    counts = sorted(Counter(some).items())
    known = (f"{number(count)} {one}" for one, count in counts if one in STATES[cloud])
    unknown = (f"{number(count)} {being(one, cloud)}" for one, count in counts if one not in STATES[cloud])
    return ", ".join((*known, *unknown))


def short(name: str) -> str:
    """A key, version or other resource without the words that every such name has; still tells any two apart."""
    try:
        key, version = split_version(name)
    except ValueError:
        return visible(name)
    return f"{short_key(key)} version {version}" if version else short_key(key)


def short_key(key: KeyName) -> str:
    """A key without the words that every key's name has."""
    if key.cloud is Cloud.AWS:
        return f"{key.owner}/{key.location}/{key.text.rpartition('/')[2]}"
    _, project, _, location, _, ring, _, name = key.text.split("/")
    return f"{project}/{location}/{ring}/{name}"
