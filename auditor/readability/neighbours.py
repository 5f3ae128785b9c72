"""What a custom key store that fails one of its keys leaves known of the data under its others.

Source: AWS KMS Developer Guide, Key stores: a store that is connected may not work all the same, and a key of an
external store may fail alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from auditor.findings import Assessed, Assessment, Basis, Readability, Subject, SubjectKind
from auditor.model import AwsKey, KeyName
from auditor.readability.assess import KeyView
from auditor.readability.aws import store_name
from auditor.readability.table import before


def beside_their_neighbours(assessed: Iterable[Assessed], keys: Mapping[KeyName, KeyView]) -> Iterator[Assessed]:
    """Let nothing count as readable by its key's state alone whose store is known to fail another key.

    It is not unreachable either: what a read has proven is of one key, and the fault may be that key's.
    """
    every = tuple(assessed)
    failing = {
        one.assessment.subject: one.assessment
        for one in every
        if one.assessment.subject.kind is SubjectKind.KEY_STORE and one.assessment.basis is Basis.PROBE
    }
    for one in every:
        subject = _store_of(one, keys) if failing else None
        proof = failing.get(subject) if subject is not None else None
        if proof is None or not _stands_on_its_state(one.assessment):
            yield one
        else:
            yield replace(one, assessment=_doubted(one.assessment, proof))


def _store_of(one: Assessed, keys: Mapping[KeyName, KeyView]) -> Subject | None:
    view = keys.get(KeyName(one.holding.key)) if one.holding.key else None
    key = view.known if view is not None else None
    if not isinstance(key, AwsKey) or key.store is None:
        return None
    return Subject(SubjectKind.KEY_STORE, store_name(key.name, key.store.id))


def _stands_on_its_state(found: Assessment) -> bool:
    return found.readability in {Readability.READABLE, Readability.EXPIRING} and found.basis is not Basis.PROBE


def _doubted(found: Assessment, proof: Assessment) -> Assessment:
    doubt = Assessment(
        Readability.UNKNOWN,
        Basis.STATE,
        f"whether the other keys of the store work is not known: {proof.cause}",
        proof.subject,
        final_at=found.final_at,
        evidence=(*found.evidence, *proof.evidence),
    )
    return before(doubt, found)
