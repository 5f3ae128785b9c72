"""Which key versions may go, and what stands in the way of the others, told from what is stored.

No cloud is asked but by whoever is handed in to tell last uses.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from auditor import gaps
from auditor.errors import UsageError
from auditor.findings import Judgement
from auditor.model import AwsKey, Cloud, Gap, GcpKey, Holding, KeyMemory, KeyName, Reason, cloud_of
from auditor.moments import minute
from auditor.overruling import CLOCKS_APART
from auditor.ownership.answering import by_any_name, with_last_word
from auditor.ownership.naming import Named, named_by, takes_new_data, unheard
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.prices import month_of
from auditor.questions.retire.retirement import Seen, call_of, counted_anew, next_step, spoken_against, standings
from auditor.questions.retire.standing import Candidate, LastUse, Next, Retiring, Standing, Step, Use
from auditor.run import Parts
from auditor.skew import plausible

_DOUBTFUL: Final = frozenset({Use.UNUSED, Use.NOT_PROVEN})
"""Where nothing known is in the way of a proof."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_MAY_BE: Final = "which may be this one by the other name of its project"


def retiring(
    parts: Parts,
    judgement: Judgement,
    only: KeyName | None,
    last_use: Callable[[KeyName], LastUse | Reason] | None = None,
    version: str | None = None,
) -> Retiring:
    """Tell it of every key that data names or the config watches, or of one, or of one `version` of that.

    `last_use`: asks AWS when a key was used last; of all keys, those that nothing known is under are asked about.

    Raises:
        LedgerError: the ledger cannot be read.
        UsageError: `only` is none of these keys, or `version` is none that is left of it.
    """
    skew = judgement.run.skew
    now = parts.clock() + plausible(skew)
    memory = by_any_name(parts.ledger.memory())
    under = _under(judgement)
    names = names_of_data(judgement, memory)
    if only is not None and only not in {*under, *parts.watched} and not names.same(only):
        raise not_among(only, names)
    keys = sorted({*under, *parts.watched, *([only] if only is not None else [])})
    seen = _seen(parts, judgement)
    named = named_by(parts, judgement, spelling_by(parts.ledger.memory()))
    of_buckets = {cloud: tuple(_doubts_of_buckets(cloud, parts, judgement)) for cloud in Cloud}

    def candidates(key: KeyName) -> Iterator[Candidate | Gap]:
        others = names.same(key)
        known = newest((key, *others), memory)
        held = [one for name in (key, *others) for one in under.get(name, ())]
        if known is None or known.last is None:
            told = [one for one in judgement.gaps if one.what == key.text]
            effect = "nothing is known of its versions: it gave no state"
            yield from told or [Gap(key.text, Reason.NOT_VISIBLE, effect, "explain its findings, or poll it")]
            return
        last = last_use(key) if last_use is not None and _is_asked(key, only, held) else None
        if isinstance(last, Reason):
            yield gaps.last_use_not_known(key, last)
        counted = counted_anew(known, last, now) if isinstance(last, LastUse) else known
        every = standings(known.last, counted, held, seen, now)
        if version is not None and version not in {one.version for one in every}:
            raise _nothing_left(key, version, known.last)
        for one in every:
            if version not in {None, one.version}:
                continue
            doubts: tuple[str, ...] = ()
            if one.use in _DOUBTFUL:
                alike = (f"data names the key {each}, {_MAY_BE}" for each in names.doubtful_of((key, *others)))
                doubts = (*_doubts(known, parts, judgement, now), *of_buckets[key.cloud], *alike)
                if takes_new_data(known.last, one.version):
                    doubts = (*doubts, *_doubts_of_registries(key, named))
            standing = _doubted(_not_seen(one) if judgement.is_keys_only else one, doubts)
            if isinstance(last, LastUse):
                standing = spoken_against(standing, known, last, seen)
            step = next_step(standing, parts.policy.quarantine, now)
            if step.step is Step.DESTROY and isinstance(last, Reason):
                step = Next(Step.NONE)  # it was to be asked first, and did not answer
            name = f"{key}/cryptoKeyVersions/{one.version}" if one.version is not None else key.text
            month = month_of(known.last, one.version)
            yield Candidate(key, standing, step, call_of(name, step.step), month, last, others)

    found = [each for key in keys if only in {None, key} for each in candidates(key)]
    # Where no key is known at all, that is what the buckets leave open, and no proof that there is none.
    found.extend(_unswept(only, found, parts, judgement) if keys else judgement.gaps)
    if keys and judgement.is_keys_only:
        found.extend(_untold(judgement))
        found.extend(unheard(parts, judgement))
    return Retiring(
        last_uses_asked=last_use is not None,
        now=now,
        judged=judgement.now,
        candidates=tuple(one for one in found if isinstance(one, Candidate)),
        gaps=tuple(dict.fromkeys(one for one in found if isinstance(one, Gap))),
    )


def _seen(parts: Parts, judgement: Judgement) -> Seen:
    if parts.policy.no_data_elsewhere:
        return Seen(judgement.coverage.buckets, 0)
    return Seen(judgement.coverage.buckets, judgement.coverage.buckets_not_configured, left_behind(parts))


def _under(judgement: Judgement) -> Mapping[KeyName, list[Holding]]:
    found: dict[KeyName, list[Holding]] = defaultdict(list)
    for one in judgement.assessed:
        if one.holding.key is not None:
            found[KeyName(one.holding.key)].append(one.holding)
    return found


def _untold(judgement: Judgement) -> Iterator[Gap]:
    """What is not known where others tell of all data: what bundles and registries leave open, or do not tell now."""
    others = {gaps.OBJECTS, *(one.name for one in judgement.registered.registries)}
    yield from (one for one in judgement.gaps if one.what in others)


def not_among(key: KeyName, names: NamesOfKeys) -> UsageError:
    """Say why nothing can be told of a key under whose name no data is; `names`: what the keys of data are called."""
    if others := names.others(key):
        told = f"no data names key {key}, and data names {names.told(key, 'it')[0]}"
        return UsageError(told, f"ask for {others[0]}")
    return UsageError(
        f"no data is known to be under key {key}, and the config does not watch it", "add it as [[key]] and poll"
    )


def newest(names: Sequence[KeyName], memory: Mapping[KeyName, KeyMemory]) -> KeyMemory | None:
    """What a key said last, asked by any of its names; the first is the one by which it is told."""
    told = [known for name in names if (known := memory.get(name)) is not None]
    latest = max((one for one in told if one.last_at is not None), key=lambda one: one.last_at or _NEVER, default=None)
    if latest is None or latest.last is None:
        return memory.get(names[0])
    return replace(with_last_word(latest, told), last=replace(latest.last, name=names[0]))


def each_once(found: Retiring, memory: Mapping[KeyName, KeyMemory]) -> Retiring:
    """The same with each key by one of its names alone: that by the id of its project."""
    names = NamesOfKeys((one.key for one in found.candidates), spelling_by(memory))
    once = tuple(one for one in found.candidates if not (one.key.owner.isdigit() and names.same(one.key)))
    return replace(found, candidates=once)


def see_that_it_is_there(key: KeyName, version: str | None, read: AwsKey | GcpKey | None, held: Iterable[str]) -> None:
    """See that a key has a version, as far as it tells; `held`: versions that data names.

    Raises:
        UsageError: it has none of that number.
    """
    if not isinstance(read, GcpKey) or version is None:
        return
    numbers = [one.number for one in read.versions]
    if version not in {*numbers, *held}:
        raise UsageError(f"key {key} has no version {version}", f"its versions are {', '.join(numbers) or 'none'}")


def _nothing_left(key: KeyName, version: str, read: AwsKey | GcpKey) -> UsageError:
    """Say why of a version of a key nothing can go any more."""
    states = {one.number: one for one in read.versions} if isinstance(read, GcpKey) else {}
    found = states.get(version)
    state = found.state if found is not None and found.unlisted_since is None else "not listed any more"
    return UsageError(
        f"version {version} of key {key} is {state}: nothing of it is left to retire",
        f"`impact {key}/cryptoKeyVersions/{version}` tells what hangs on it",
    )


def _is_asked(key: KeyName, only: KeyName | None, under: Sequence[Holding]) -> bool:
    """Whether its last use is asked for: of what holds data it changes nothing, and the quota is small."""
    return key.cloud is Cloud.AWS and (key == only or all(one.is_claimed for one in under))


def left_behind(parts: Parts) -> tuple[str, ...]:
    """Buckets that a sweep was tried of, and that the config names no more: what is there now nobody knows.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    configured = set(parts.buckets)
    tried = {one.bucket for one in (*parts.ledger.sweeps(), *parts.ledger.failed_attempts())}
    return tuple(sorted(tried - configured))


def names_of_data(judgement: Judgement, memory: Mapping[KeyName, KeyMemory]) -> NamesOfKeys:
    """What the keys of data are called: a project has an id and a number."""
    held = {one.holding.key for one in judgement.assessed if one.holding.key is not None}
    return NamesOfKeys(map(KeyName, held), spelling_by(memory))


def _unswept(
    only: KeyName | None, found: Iterable[Candidate | Gap], parts: Parts, judgement: Judgement
) -> Iterator[Gap]:
    """Why buckets that hold what nobody knows are so: of all of them there may be keys that nobody knows either.

    Of one key only where it is not proven unused for it.
    """
    proven = all(isinstance(one, Gap) or one.standing.use is not Use.NOT_PROVEN for one in found)
    clouds = set(Cloud) if only is None else set() if proven else {only.cloud}
    whole = {one.bucket for one in judgement.coverage.buckets if one.complete}
    for url in sorted(one for one in parts.buckets if cloud_of(one) in clouds and one not in whole):
        told = [one for one in judgement.gaps if one.what == url]
        effect = "nothing is known of its objects: it is in the config since the last judgement"
        yield from told or [Gap(url, Reason.NOT_FOUND, effect, "scan it")]


def _not_seen(one: Standing) -> Standing:
    """A version of which nobody here knows what is under it, because no bucket is configured."""
    use = Use.NOT_PROVEN if one.use in {Use.TAKES_NEW_DATA, Use.UNUSED} else one.use
    return replace(one, use=use, objects=one.objects or None, size=one.size if one.objects else None)


def _doubted(one: Standing, doubts: tuple[str, ...]) -> Standing:
    return replace(one, use=Use.NOT_PROVEN, reasons=(*one.reasons, *doubts)) if doubts else one


def _doubts(known: KeyMemory, parts: Parts, judgement: Judgement, now: datetime) -> Iterator[str]:
    """Why nothing that was read proves anything of now: a key that has fallen silent, another config, a wrong clock."""
    silent = known.denied_since is not None or known.missing_since is not None
    oldest = now - parts.policy.poll_max_age
    if silent or known.last_at is None or not oldest <= known.last_at <= now + CLOCKS_APART:
        when = minute(known.last_at) if known.last_at is not None else "a time that nobody knows"
        yield f"the key tells nothing now; what it said last is of {when}"
    if judgement.run.config_digest != parts.config_digest:
        yield "the last judgement was made by another config: poll first"
    if plausible(judgement.run.skew) != judgement.run.skew:
        yield "the clock here and those of the clouds are more than a day apart"


def _doubts_of_registries(key: KeyName, named: Named) -> Iterator[str]:
    """Why data that is not there yet may be meant to come under the key."""
    if who := named.who(key):
        yield f"a registry names it for its namespaces, whose data may come under it: {', '.join(who)}"
    yield from (f"what registries name is not known: {one.what}: {one.effect}" for one in named.gaps)


def _doubts_of_buckets(cloud: Cloud, parts: Parts, judgement: Judgement) -> Iterator[str]:
    """Why a sweep proves nothing of what is in a bucket now."""
    mine = {one for one in parts.buckets if cloud_of(one) is cloud}
    for url in sorted(mine.difference(one.bucket for one in judgement.coverage.buckets)):
        yield f"{url}: it is in the config since the last judgement"
    yield from (f"{one.what}: {one.effect}" for one in judgement.gaps if one.what in mine and not gaps.is_of_count(one))
    for sweep in parts.ledger.sweeps():
        if sweep.bucket in mine and plausible(sweep.skew) != sweep.skew:
            yield f"{sweep.bucket}: it was swept by a clock that was more than a day wrong: sweep it again"
