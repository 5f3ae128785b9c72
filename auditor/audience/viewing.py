"""The view of one tenant, made from what the auditor keeps: no cloud is asked."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from auditor.audience.certain import doubt_of, no_data_of
from auditor.audience.looking import seen_of
from auditor.audience.nameable import Nameable, nameable_to
from auditor.audience.narrowing import Audience
from auditor.audience.wholly import behind, told_wholly
from auditor.engine import last_read
from auditor.findings import Judgement
from auditor.model import KeyMemory, KeyName
from auditor.ownership.registered import Tenancy
from auditor.ownership.spelling import spelling_by
from auditor.ports import OpenInventory
from auditor.readability import KeyView
from auditor.run import Parts

_CALLED: Final = "(not named here: {})"
"""In place of the name of a key that may be another tenant's: no two are called the same."""


def audience_of(parts: Parts, judgement: Judgement, rows: OpenInventory, tenant: str) -> Audience:
    """What may be told one tenant of a judgement, and by which names; `rows`: what it stands on.

    Raises:
        LedgerError: ledger or inventory, or what registries said, cannot be read.
        UsageError: nothing is known of such a tenant, or nobody can tell of any.
    """
    doubt = doubt_of(parts, judgement)
    unnamed = Tenancy(tenant, doubt, judgement.registered.digest)
    nameable = nameable_to(tenant, doubt, parts, judgement, (rows,))
    tenancy = with_names(unnamed, keys_of(rows.alone(unnamed)), nameable, parts.registry.labelled(unnamed.said))
    alone = rows.alone(tenancy)
    if not alone.holdings():
        raise no_data_of(tenant, rows, doubt)
    memory = parts.ledger.memory()
    spelling = spelling_by(memory)
    named = frozenset(spelling.one(one) for one in (*nameable.owned, *keys_of(alone)))
    sweeps = parts.ledger.published(judgement.sweeps)

    def reaches(pattern: str) -> bool:
        (mine, _), (every, _) = (_within(some, pattern) for some in (alone, rows))
        return 0 < mine == every

    return Audience(
        tenancy=tenancy,
        rows=alone,
        owned=nameable.owned,
        principals=frozenset(one for some in parts.agents.values() for one in some or ()),
        behind={name: frozenset(behind(one.last)) for name, one in memory.items()},
        wholly=told_wholly(nameable.owned, memory),
        read=dict(_read(memory, judgement.now)),
        rules=parts.rules,
        homes={one.id: one.bucket for one in sweeps},
        seen=seen_of(parts, judgement, rows, doubt),
        reaches=reaches,
        spelling=spelling,
        names=frozenset(name for name, one in spelling.ones.items() if one in named and nameable.may_be(name)),
    )


def with_names(
    tenancy: Tenancy,
    keys: Iterable[KeyName],
    nameable: Nameable,
    labelled: Iterable[KeyName],
    known: Collection[KeyName] = (),
) -> Tenancy:
    """Put something in place of the name of each key that may not be named.

    `labelled`: keys by which the config says who answers for data under them; `known`: keys of which it is decided.
    """
    decided = {*(one.text for one in known), *tenancy.called}
    hidden = sorted(one for one in keys if one.text not in decided and not nameable.may_be(one))
    more = {one.text: _CALLED.format(number) for number, one in enumerate(hidden, len(tenancy.called) + 1)}
    answered_for = frozenset(one.text for one in nameable.among(hidden, labelled))
    return replace(tenancy, called={**tenancy.called, **more}, labelled=tenancy.labelled | answered_for)


def keys_of(rows: OpenInventory) -> frozenset[KeyName]:
    """The keys that data is under."""
    return frozenset(KeyName(one.key) for one in rows.holdings() if one.key is not None)


def _within(rows: OpenInventory, pattern: str) -> tuple[int, int]:
    """Objects in namespaces that a pattern fits, and others."""
    members = [(one.bucket, one.encryption, one.key, one.key_version) for one in rows.holdings()]
    return rows.beyond([(members, ())], pattern, None)[0]


def _read(memory: Mapping[KeyName, KeyMemory], now: datetime) -> Iterator[tuple[KeyName, datetime]]:
    for name, one in memory.items():
        if (at := last_read(KeyView(name, None, one), now)) is not None:
            yield name, at
