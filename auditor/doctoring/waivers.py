"""Whether what waivers name is there: one that fits nothing accepts nothing, and nobody notices."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from auditor import rules as all_rules
from auditor.checkup import Answer, Check
from auditor.config import Config
from auditor.doctoring.local import CONFIG, is_there
from auditor.errors import AuditorError
from auditor.findings import Judgement, Member, member_of
from auditor.ledger.database import OlderSchemaError
from auditor.model import GcpKey, KeyMemory, KeyName, Reason
from auditor.outputs import browse, words
from auditor.ownership.owned import OwnedBucket, OwnedKey, PlacedKey
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.ports import OpenInventory
from auditor.rule import Caused, HeldKey, Rule, SweptBucket
from auditor.waiver import FIELDS, Waiver, fits
from auditor.waiving import Sight, is_key, is_within, reaches_any
from auditor.wiring import ledger_of, looked_at

_WHAT: Final = "[[waiver]]"
_OF_KEYS: Final[frozenset[object]] = frozenset({HeldKey, OwnedKey, PlacedKey, Caused})
_OF_BUCKETS: Final[frozenset[object]] = frozenset({SweptBucket, OwnedBucket})
_LOST: Final = "what it is to accept stays open, and alerts"
_NOTHING_YET: Final = "nothing is judged yet that would tell whether they fit anything"


def of_waivers(config: Config, waivers: Sequence[Waiver]) -> Iterator[Check]:
    """Hold each waiver against the findings, and all data, of the last judgement."""
    if not waivers:
        return
    where = ledger_of(config)
    if isinstance(where, Path) and not is_there(where):
        yield Check(CONFIG, _WHAT, Answer.OFF, _NOTHING_YET)
        return
    try:
        with looked_at(config) as (ledger, rows):
            judgement = ledger.judgement()
            if judgement is None:
                yield Check(CONFIG, _WHAT, Answer.OFF, _NOTHING_YET)
                return
            there = _There(judgement, rows, ledger.memory(), {one.id: one for one in all_rules.load()})
            yield from _checks(waivers, there)
    except OlderSchemaError:
        yield Check(CONFIG, _WHAT, Answer.OFF, _NOTHING_YET)
    except AuditorError as error:
        told, todo = f"whether they fit anything is not known: {error}", error.hint or "look at the state folder"
        yield Check(CONFIG, _WHAT, Answer.UNKNOWN, told, reason=Reason.UNSUPPORTED, todo=todo)


@dataclass(frozen=True, slots=True)
class _There:
    """All that a waiver may be about."""

    judgement: Judgement
    rows: Callable[[Judgement], OpenInventory]
    memory: Mapping[KeyName, KeyMemory]
    rules: Mapping[str, Rule]

    @property
    def keys(self) -> tuple[str, ...]:
        return browse.keys_of(self.judgement, self.memory)

    @property
    def buckets(self) -> tuple[str, ...]:
        swept = {one.bucket for one in self.judgement.coverage.buckets}
        return tuple(sorted(swept | {one.holding.bucket for one in self.judgement.assessed}))

    def fit(self, waiver: Waiver) -> bool:
        """Whether any finding of its rule, or anything that one may be about, is within what a waiver names."""
        names = NamesOfKeys(map(KeyName, self.keys), spelling_by(self.memory))
        of_data = {one.id for one in self.rules.values() if one.is_about_data}
        sight = Sight(of_data, (), lambda *asked: self.rows(self.judgement).beyond(*asked), (), names)
        if reaches_any(waiver, self.judgement.findings, sight):
            return True
        if waiver.rule not in of_data:
            return self._has_key(waiver, names) or self._has_bucket(waiver)
        every = (member_of(one.holding) for one in self.judgement.assessed)
        held = tuple(one for one in every if self._may_be_within(waiver, one, names))
        if waiver.namespace is not None or waiver.tenant is not None:
            found = self.rows(self.judgement).beyond([(held, ())], waiver.namespace, waiver.tenant) if held else ()
            return any(within for within, _ in found)
        # What holds no data may be waived as a whole.
        return bool(held) or self._has_key(waiver, names) or self._has_bucket(waiver)

    def _may_be_within(self, waiver: Waiver, member: Member, names: NamesOfKeys) -> bool:
        """Whether data is within what a waiver names, or may be: what names no version may be under any."""
        key, version = member[2:]
        of_key = () if key is None or version is not None else (KeyName(key), *names.same(KeyName(key)))
        known = (self.memory[one] for one in of_key if one in self.memory)
        said = (None, *(each for one in known for each in _versions(one)))
        return any(is_within(waiver, member, names, each) for each in said)

    def _has_key(self, waiver: Waiver, names: NamesOfKeys) -> bool:
        if waiver.key is None or waiver.bucket is not None or not self._is_of(waiver, _OF_KEYS):
            return False
        return any(
            is_key(waiver.key, name, version, names)
            for name, known in self.memory.items()
            for version in (None, *_versions(known))
        )

    def _has_bucket(self, waiver: Waiver) -> bool:
        if waiver.bucket is None or waiver.key is not None or not self._is_of(waiver, _OF_BUCKETS):
            return False
        return any(fits(waiver.bucket, one) for one in self.buckets)

    def cannot_be(self, waiver: Waiver, name: str) -> bool:
        """Whether what a waiver names is there, and no finding of its rule can be about such a thing."""
        known, subjects = {"key": (self.keys, _OF_KEYS), "bucket": (self.buckets, _OF_BUCKETS)}.get(name, ((), None))
        is_of = subjects is None or self._is_of(waiver, subjects)
        return not is_of and any(fits(getattr(waiver, name), one) for one in known)

    def _is_of(self, waiver: Waiver, subjects: frozenset[object]) -> bool:
        """Whether findings of its rule can be about such subjects, or about data, wherever that is."""
        rule = self.rules[waiver.rule]
        return rule.is_about_data or rule.subject in subjects


def _versions(known: KeyMemory) -> Iterator[str]:
    if isinstance(known.last, GcpKey):
        yield from (one.number for one in known.last.versions)


def _checks(waivers: Sequence[Waiver], there: _There) -> Iterator[Check]:
    bad = [one for one in waivers if not there.fit(one)]
    for one in bad:
        given = [name for name in FIELDS if getattr(one, name) is not None]
        alone = [name for name in given if len(given) > 1 and not there.fit(_by(one, name))] or given
        what = " and ".join(_named(one, name) for name in alone)
        told = f"no finding and no data of the last judgement has {what}"
        if any(there.cannot_be(one, name) for name in alone):
            told = f"no finding of its rule can be about {what}"
        yield Check(CONFIG, f"waiver of {one.name}", Answer.MISSING, told, lost=_LOST, todo=_todo(one, alone, there))
    if not bad:
        yield Check(CONFIG, _WHAT, Answer.OK, f"{words.counted(len(waivers), 'waiver')}: each fits something known")


def _by(waiver: Waiver, name: str) -> Waiver:
    """The same by one of its patterns alone."""
    told = {name: getattr(waiver, name)}
    key, bucket, namespace, tenant = (told.get(each) for each in FIELDS)
    return replace(waiver, key=key, bucket=bucket, namespace=namespace, tenant=tenant)


def _named(waiver: Waiver, name: str) -> str:
    return f"{name} {getattr(waiver, name)}"


def _todo(waiver: Waiver, alone: Sequence[str], there: _There) -> str:
    if wrong := [name for name in alone if there.cannot_be(waiver, name)]:
        return f"match by something else than {' and '.join(wrong)}; `explain {waiver.rule}` tells what it is about"
    known = {"key": there.keys, "bucket": there.buckets}
    for name in alone:
        if close := difflib.get_close_matches(getattr(waiver, name), known.get(name, ()), n=1, cutoff=0.8):
            return f"did you mean {name} {close[0]}? else remove the waiver"
    how = (
        "keys by their full names, buckets by their URLs, namespaces and tenants as findings tell them, * for any text"
    )
    return f"write {how}; what is over needs no waiver"
