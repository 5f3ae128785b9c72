"""What would become of the data under a key if somebody acted on it, told from what is stored: no cloud is asked."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from auditor import scan
from auditor.action import Action
from auditor.findings import Assessed, Judgement, Member, Readability, Undo, in_order, member_of
from auditor.model import (
    AwsKey,
    Cloud,
    Gap,
    GcpKey,
    GcpKeyVersion,
    Holding,
    KeyManager,
    KeyName,
    Reason,
    Sweep,
    cloud_of,
)
from auditor.outputs import summary, words
from auditor.ownership.answering import by_any_name
from auditor.ownership.naming import NOTHING_NAMED, named_by, takes_new_data
from auditor.ownership.spelling import Spelling, spelling_by
from auditor.polling.asking import agents_of
from auditor.ports import Measured, OpenInventory
from auditor.questions.impact.answer import Impact, Shift, Writes
from auditor.questions.impact.supposing import Supposed, suppose
from auditor.questions.impact.unseen import gaps_beside, known_of
from auditor.questions.retire.retiring import names_of_data, newest, see_that_it_is_there
from auditor.readability import KeyView, assess
from auditor.readability.action import AWS_WAITING, GCP_WAITING, after
from auditor.run import Parts
from auditor.skew import plausible
from auditor.states import STATES, being

_CAN_BE_READ: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
_WORST: Final = 10
"""Namespaces that an answer names."""
_ORDER: Final = tuple(Readability)
_NOBODY: Final = "the platform"
"""Stands for the principals of a bucket of which nobody knows who decrypts for it."""

_TAKES_EFFECT: Final[Mapping[tuple[Cloud, Action], str]] = {
    (Cloud.AWS, Action.DISABLE): (
        "within seconds, at times minutes; behind an S3 Bucket Key reads may go on for a time that AWS does not state"
    ),
    (Cloud.AWS, Action.REVOKE): (
        "within seconds, at times minutes, a revoked grant within five; behind an S3 Bucket Key reads may go on for a "
        "time that AWS does not state"
    ),
    (Cloud.GCP, Action.DISABLE): "typically within a minute, exceptionally after several hours",
    (Cloud.GCP, Action.REVOKE): "within seconds",
}
"""Source: AWS KMS Developer Guide, "Eventual consistency"; S3 User Guide, Bucket Keys; Cloud KMS docs, consistency."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked, and what is known of it."""

    key: KeyName
    version: str | None
    action: Action
    judgement: Judgement
    agents: Mapping[str, tuple[str, ...]]
    """Bucket -> who decrypts for it, as far as known."""
    known: AwsKey | GcpKey
    """As it was read last, or as if it worked."""
    now: datetime
    spelling: Spelling
    others: tuple[KeyName, ...]
    """Names of the key by which data names it besides."""

    @property
    def names(self) -> frozenset[str]:
        """All names of it under which there may be data."""
        return frozenset(one.text for one in (self.key, *self.others))


def foresee(
    parts: Parts, judgement: Judgement, rows: OpenInventory, target: tuple[KeyName, str | None, Action]
) -> Impact:
    """Tell what an action on a key, or on one of its versions, would do to the data of the newest judgement.

    `judgement`: as it is about that key at least; of its findings nobody asks.

    Raises:
        LedgerError: the ledger or the inventory cannot be read.
        UsageError: the key is known, and the version is none of its own.
    """
    key, version, action = target
    told = parts.ledger.memory(key)
    remembered = by_any_name(told)
    others = names_of_data(judgement, remembered).same(key)
    own = frozenset(one.text for one in (key, *others))
    memory = newest((key, *others), remembered)
    sweeps, _ = scan.usable(parts)
    under = [one for one in judgement.assessed if one.holding.key in own]
    read = memory.last if memory is not None else None
    held = (one.holding.key_version for one in under if one.holding.key_version is not None)
    see_that_it_is_there(key, version, read, held)
    case = _Case(
        key=key,
        version=version,
        action=action,
        judgement=judgement,
        agents={
            **{one.bucket: agents_of(parts, one.facts) for one in sweeps},
            **{one.holding.bucket: parts.agents[key.cloud] or () for one in under if not one.holding.is_seen},
        },
        known=read if read is not None else _as_if_it_worked(key, version, under),
        now=parts.clock() + plausible(judgement.run.skew),
        spelling=spelling_by(remembered),
        others=others,
    )
    losing = {agent for one in under for agent in _deciding(case, one.holding.bucket)}
    acted = after(case.known, version, action, losing, case.now)
    moved, stays, undo = _moved(case, under, acted.key, parts) if acted.idle is None else ({}, under, ())
    members = in_order(member_of(one.holding) for some in moved.values() for one in some)
    groups = sorted(moved, key=lambda pair: (-_ORDER.index(pair[1]), _ORDER.index(pair[0])))
    left = [one for one in stays if _hangs_on(case, one)]
    measured = rows.measured([_members(moved[pair]) for pair in groups], _WORST)
    final, final_at = _final(case)
    # Under other versions no data comes that registries name the key for.
    is_named = takes_new_data(case.known, version)
    named = named_by(parts, judgement, spelling_by(told)) if is_named else NOTHING_NAMED
    writes = _writes(case, sweeps, lambda: _namespaces(rows, under, measured, members), idle=acted.idle is not None)
    return Impact(
        key=key,
        version=version,
        action=action,
        now=case.now,
        judged=judgement.now,
        state=_state(case) if read is not None else "never read",
        state_read=memory.last_at if memory is not None else None,
        idle=acted.idle,
        shifts=tuple(Shift(*pair, extent) for pair, extent in zip(groups, measured.each, strict=True)),
        extent=measured.together,
        members=members,
        worst=measured.worst,
        populations=measured.populations,
        untouched=_together(one.holding for one in left),
        stands=tuple(_standing(left)),
        stands_until=min(
            (one.assessment.final_at for one in left if one.assessment.final_at is not None), default=None
        ),
        writes=replace(writes, registries=named.who(key)),
        takes_effect=_takes_effect(case),
        final=final,
        final_at=final_at if acted.idle is None else None,
        undo=undo,
        not_covered=tuple(_not_covered(case)),
        known=known_of(judgement, key.cloud),
        untold=judgement.is_untold,
        others=others,
        # What is not known of a registry may hide data of today, and of tomorrow.
        gaps=tuple(
            dict.fromkeys((*_gaps(case, parts, read=read is not None), *_gaps_of_defaults(case, sweeps), *named.gaps))
        ),
    )


def _moved(
    case: _Case, under: Iterable[Assessed], key: AwsKey | GcpKey, parts: Parts
) -> tuple[Mapping[tuple[Readability, Readability], list[Assessed]], list[Assessed], tuple[Undo, ...]]:
    """Judge all data under the key as it would be: what is otherwise then, what is as before, and how to undo it."""
    moved: dict[tuple[Readability, Readability], list[Assessed]] = defaultdict(list)
    stays: list[Assessed] = []
    undo: dict[Undo, None] = {}
    for one in under:
        agents = _deciding(case, one.holding.bucket)
        if one.holding.is_claimed:
            pair = suppose(one.holding, agents, Supposed(case.known, key, case.version, parts.policy, case.now))
            if pair is None:
                stays.append(one)
                continue
            before, after_it = pair
            moved[before.readability, after_it.readability].append(one)
            if _NOBODY not in agents or case.action is not Action.REVOKE:
                undo.update(dict.fromkeys(_back(after_it.undo, _state_under(case, case.version))))
            continue
        would = assess(one.holding, KeyView(case.key, key, None), agents, parts.policy, case.now).assessment
        was = one.assessment.readability
        if would.readability is was or was is Readability.LOST or would.readability in _CAN_BE_READ:
            stays.append(one)
            continue
        moved[was, would.readability].append(one)
        if would.readability is not Readability.UNKNOWN and _NOBODY not in agents:
            undo.update(dict.fromkeys(_back(would.undo, _state_under(case, one.holding.key_version))))
    return moved, stays, tuple(undo)


def _together(holdings: Iterable[Holding]) -> int | None:
    """How many objects; None where nobody saw those of some."""
    each = [one.objects for one in holdings]
    known = [one for one in each if one is not None]
    return sum(known) if len(known) == len(each) else None


def _standing(some: Iterable[Assessed]) -> Iterator[tuple[Readability, int | None]]:
    """How many objects are how readable now, the worst first."""
    held: dict[Readability, list[Holding]] = defaultdict(list)
    for one in some:
        held[one.assessment.readability].append(one.holding)
    for readability in sorted(held, key=summary.WORST_FIRST.index):
        yield readability, _together(held[readability])


def _back(steps: Iterable[Undo], state: str | None) -> Iterator[Undo]:
    """The steps that lead back to the state of before, and none beyond it."""
    for step in steps:
        yield step
        if step.lands_in == state:
            return


def _deciding(case: _Case, bucket: str) -> tuple[str, ...]:
    """Whose right counts for the data of a bucket."""
    return case.agents.get(bucket) or (_NOBODY,)


def _hangs_on(case: _Case, one: Assessed) -> bool:
    """Whether data is under the key or the version in question, or may be."""
    named = one.holding.key_version
    return case.version is None or named in {None, case.version}


def _buckets(under: Iterable[Assessed]) -> frozenset[str]:
    return frozenset(one.holding.bucket for one in under)


def _members(some: Iterable[Assessed]) -> tuple[Member, ...]:
    return in_order(member_of(one.holding) for one in some)


def _as_if_it_worked(key: KeyName, version: str | None, under: Iterable[Assessed]) -> AwsKey | GcpKey:
    """Of a key that was never read: all that data names is enabled."""
    if key.cloud is Cloud.AWS:
        return AwsKey(name=key, state="Enabled", manager=KeyManager.CUSTOMER, origin="")
    named = {one for one in (version, *(each.holding.key_version for each in under)) if one is not None} or {"1"}
    return GcpKey(key, tuple(GcpKeyVersion(one, "ENABLED") for one in sorted(named, key=int)))


def _state_under(case: _Case, version: str | None) -> str | None:
    """The state of what data is under; None where that is not one."""
    if isinstance(case.known, AwsKey):
        return case.known.state
    return next((one.state for one in case.known.versions if one.number == version), None)


def _state(case: _Case) -> str:
    known = case.known
    if isinstance(known, AwsKey):
        return words.state(known.state, Cloud.AWS)
    states = {words.state(one.state, Cloud.GCP) for one in known.versions if case.version in {None, one.number}}
    return ", ".join(sorted(states)) or "not listed"


def _namespaces(rows: OpenInventory, under: Iterable[Assessed], known: Measured, members: tuple[Member, ...]) -> int:
    """How many namespaces have data under the key: counted already where all of it is affected."""
    every = _members(under)
    return known.together.namespaces if every == members else rows.measured([every], 0).together.namespaces


def _writes(case: _Case, sweeps: Iterable[Sweep], namespaces: Callable[[], int], *, idle: bool) -> Writes:
    if idle:
        already = _failing_already(case)
        return Writes(True, already) if already is not None else Writes(False, "the action changes nothing")
    fail, text = _new_data(case)
    if fail is False:
        return Writes(fail, text)
    return Writes(
        fail=fail,
        text=text,
        namespaces=namespaces(),
        buckets=tuple(one.bucket for one in sweeps if _is_default(case, one)),
    )


def _is_default(case: _Case, one: Sweep) -> bool | None:
    """Whether the key is the default key of a bucket, by whatever name; None where nobody knows."""
    default, key = one.facts.default_key, case.key
    if default is None or cloud_of(one.bucket) is not key.cloud:
        return False
    if key.cloud is Cloud.AWS:
        return default in {key.text, key.text.rpartition("/")[2]}
    return case.spelling.is_one(KeyName(default), key)


def _failing_already(case: _Case) -> str | None:
    """Why no new data can be written under the key as it is; None where nothing says so."""
    if not isinstance(case.known, GcpKey):
        return None
    primary = next((one for one in case.known.versions if one.number == case.known.primary), None)
    if primary is None or primary.state == "ENABLED" or primary.state not in STATES[Cloud.GCP]:
        return None
    return f"new data cannot be written already: version {primary.number}, the primary one, is {primary.state}"


def _new_data(case: _Case) -> tuple[bool | None, str]:
    if case.action is Action.REVOKE:
        return True, "new data cannot be written under the key if the right to encrypt goes with the right to decrypt"
    if isinstance(case.known, AwsKey):
        return True, "new data cannot be written under the key"
    if case.version is None:
        return True, "new data cannot be written under the key until it has another primary version"
    if case.known.primary is None:
        return None, "which version new data is written under is not known"
    if (already := _failing_already(case)) is not None:
        return True, already
    primary = next((one for one in case.known.versions if one.number == case.known.primary), None)
    if primary is not None and primary.state != "ENABLED":
        is_ = f"version {primary.number}, the primary one, is {being(primary.state, Cloud.GCP)}"
        return None, f"whether new data can be written is not known: {is_}"
    if case.known.primary == case.version:
        return True, "it is the primary version: new data cannot be written under the key until another one is"
    return False, f"new data is written under version {case.known.primary}"


def _takes_effect(case: _Case) -> str:
    action = Action.DISABLE if case.action is Action.DESTROY else case.action
    return _TAKES_EFFECT[case.key.cloud, action]


def _final(case: _Case) -> tuple[str, datetime | None]:
    if case.action is not Action.DESTROY:
        return "never by itself", None
    if case.key.cloud is Cloud.AWS:
        text = "7 to 30 days after the call, as the caller chooses; counted here: 30, which is so where nobody chooses"
        return text, case.now + AWS_WAITING
    known = case.known
    delay = known.destroy_delay if isinstance(known, GcpKey) else None
    if delay is None:
        text = f"how long the key waits was not told; counted here: {GCP_WAITING.days} days, Cloud KMS's own default"
        return text, case.now + GCP_WAITING
    return "after the time that the key sets for it", case.now + delay


def _not_covered(case: _Case) -> Iterator[str]:
    if case.judgement.registered.bundles:
        yield "what was written, moved or deleted since the sweeps that an operator's bundle tells of"
    if case.judgement.is_keys_only and not case.judgement.is_by_bundles:
        yield "which objects are under the key, and under which of its versions: no bucket is configured"
    yield "what the platform keeps in its own memory and on its own disks, and for how long it serves that"
    yield "branches and copies that share objects under another key's prefix: no registry tells of them"
    if isinstance(case.known, AwsKey) and case.known.multi_region and case.action is Action.DESTROY:
        yield "a multi-Region primary with replicas waits for them: PendingReplicaDeletion, without a date"
    if case.version is not None and case.action is not Action.REVOKE:
        yield "data that names the key without a version: it counts as unknown where the versions differ"


def _gaps_of_defaults(case: _Case, sweeps: Iterable[Sweep]) -> Iterator[Gap]:
    for one in sweeps:
        if one.facts.default_key is not None and _is_default(case, one) is None:
            effect = f"its default key {one.facts.default_key} may be {case.key} by the other name of its project"
            yield Gap(one.bucket, Reason.UNSUPPORTED, effect, f"ask for {one.facts.default_key} as well")


def _gaps(case: _Case, parts: Parts, *, read: bool) -> Iterator[Gap]:
    yield from gaps_beside(case.key, case.judgement, parts, case.now, case.others)
    if not read and all(one.what != case.key.text for one in case.judgement.gaps):
        yield Gap(
            case.key.text,
            Reason.NOT_VISIBLE,
            "the key was never read: it is judged as if it worked",
            "see that its name is right, and watch it as [[key]] in the config",
        )
    if case.action is Action.REVOKE:
        for url in sorted(_buckets(each for each in case.judgement.assessed if each.holding.key in case.names)):
            if not case.agents.get(url):
                yield Gap(url, Reason.NOT_VISIBLE, "who decrypts for it is not known", "name them in [platform]")
