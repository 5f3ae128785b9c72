"""Which keys somebody may mean who names one by hand."""

from collections.abc import Collection
from itertools import chain

from auditor.model import KeyName
from auditor.ownership.naming import named_by
from auditor.questions.called import Unoffered
from auditor.questions.retire.retiring import names_of_data
from auditor.run import Parts

Names = tuple[Collection[KeyName], Unoffered]
"""What keys are called; and which of these names data does not know, though it knows the key by another."""


def known_keys(parts: Parts) -> Names:
    """Keys that were ever asked, are watched, or are named by data or registries.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    judged = parts.ledger.judgement_about(None)
    named = named_by(parts, judged).by_registries.values() if judged is not None else ()
    known = frozenset((*parts.ledger.key_names(), *parts.watched, *map(KeyName, chain.from_iterable(named))))

    def unknown_to_data() -> Collection[KeyName]:
        judgement = parts.ledger.judgement()
        if judgement is None:
            return frozenset()
        of_data = names_of_data(judgement, parts.ledger.memory())
        return frozenset(one for one in known if of_data.known_by(one))

    return known, unknown_to_data
