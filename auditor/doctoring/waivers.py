"""Whether what waivers name is there: one that fits nothing accepts nothing, and nobody notices."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from auditor.checkup import Answer, Check
from auditor.config import Config
from auditor.doctoring.local import CONFIG, is_there
from auditor.errors import AuditorError
from auditor.findings import Judgement, member_of
from auditor.ledger.database import OlderSchemaError
from auditor.model import GcpKey, KeyMemory, KeyName, Reason
from auditor.outputs import browse, words
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.ports import OpenInventory
from auditor.waiver import FIELDS, Waiver, fits
from auditor.waiving import is_about, is_key, is_within
from auditor.wiring import ledger_of, looked_at

_WHAT: Final = "[[waiver]]"
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
            there = _There(judgement, rows, ledger.memory())
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

    @property
    def keys(self) -> tuple[str, ...]:
        return browse.keys_of(self.judgement, self.memory)

    @property
    def buckets(self) -> tuple[str, ...]:
        swept = {one.bucket for one in self.judgement.coverage.buckets}
        return tuple(sorted(swept | {one.holding.bucket for one in self.judgement.assessed}))

    def fit(self, waiver: Waiver) -> bool:
        """Whether any finding, or anything that one may be about, is within what a waiver names."""
        names = NamesOfKeys(map(KeyName, self.keys), spelling_by(self.memory))
        if any(one.rule == waiver.rule and is_about(waiver, one, names) for one in self.judgement.findings):
            return True
        every = (member_of(one.holding) for one in self.judgement.assessed)
        held = tuple(one for one in every if is_within(waiver, one, names))
        if waiver.namespace is not None or waiver.tenant is not None:
            found = self.rows(self.judgement).beyond([(held, ())], waiver.namespace, waiver.tenant) if held else ()
            return any(within for within, _ in found)
        # What holds no data may be waived as a whole.
        return bool(held) or self._has_key(waiver, names) or self._has_bucket(waiver)

    def _has_key(self, waiver: Waiver, names: NamesOfKeys) -> bool:
        if waiver.key is None or waiver.bucket is not None:
            return False
        return any(
            is_key(waiver.key, name, version, names)
            for name, known in self.memory.items()
            for version in (None, *_versions(known))
        )

    def _has_bucket(self, waiver: Waiver) -> bool:
        if waiver.bucket is None or waiver.key is not None:
            return False
        return any(fits(waiver.bucket, one) for one in self.buckets)


def _versions(known: KeyMemory) -> Iterator[str]:
    if isinstance(known.last, GcpKey):
        yield from (one.number for one in known.last.versions)


def _checks(waivers: Sequence[Waiver], there: _There) -> Iterator[Check]:
    bad = [one for one in waivers if not there.fit(one)]
    for one in bad:
        given = [name for name in FIELDS if getattr(one, name) is not None]
        alone = [name for name in given if len(given) > 1 and not there.fit(_by(one, name))] or given
        told = f"no finding and no data of the last judgement has {' and '.join(_named(one, name) for name in alone)}"
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
    known = {"key": there.keys, "bucket": there.buckets}
    for name in alone:
        if close := difflib.get_close_matches(getattr(waiver, name), known.get(name, ()), n=1, cutoff=0.8):
            return f"did you mean {name} {close[0]}? else remove the waiver"
    how = (
        "keys by their full names, buckets by their URLs, namespaces and tenants as findings tell them, * for any text"
    )
    return f"write {how}; what is over needs no waiver"
