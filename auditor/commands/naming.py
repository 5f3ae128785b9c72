"""Which keys somebody may mean who names one by hand."""

from collections.abc import Collection
from itertools import chain

from auditor.findings import Judgement
from auditor.model import KeyName
from auditor.ownership.naming import named_by
from auditor.questions.retire.retiring import (
    names_of_data,
)
from auditor.wiring import Assembly

Names = tuple[Collection[KeyName], Collection[KeyName]]
"""What keys are called; and which of these names data does not know, though it knows the key by another."""


def known_keys(assembly: Assembly, judgement: Judgement | None) -> Names:
    """Keys that were ever asked, are watched, or are named by data or registries."""
    parts, memory = assembly.parts, assembly.ledger.memory()
    if judgement is None:
        return frozenset((*memory, *parts.watched)), frozenset()
    named = named_by(parts, judgement).by_registries.values()
    held = (one.holding.key for one in judgement.assessed if one.holding.key)
    known = frozenset((*memory, *parts.watched, *map(KeyName, chain(held, *named))))
    of_data = names_of_data(judgement, memory)
    return known, frozenset(one for one in known if of_data.known_by(one))
