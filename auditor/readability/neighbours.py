"""What a custom key store that fails one of its keys leaves known of the data under its others.

Source: AWS KMS Developer Guide, Key stores: a store that is connected may not work all the same, and a key of an
external store may fail alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from auditor.findings import Assessed, Assessment, Basis, Readability, Subject, SubjectKind
from auditor.model import AwsKey, KeyName, Probe
from auditor.policy import Policy
from auditor.readability.assess import KeyView, telling_of
from auditor.readability.aws import store_name
from auditor.readability.probe import proves, tells_of_its_store
from auditor.readability.table import Standpoint, before


class Stores:
    """The custom key stores that are known to fail a key, and the keys that were read all the same."""

    def __init__(self, probes: Iterable[Probe], keys: Mapping[KeyName, KeyView], policy: Policy, now: datetime) -> None:
        """Look through all probes; a store is known to fail for as long as one of `keys` is in it that it failed."""
        self._failed: dict[Subject, Probe] = {}
        self._read: set[KeyName] = set()
        by_key: dict[KeyName, list[Probe]] = defaultdict(list)
        for one in probes:
            by_key[KeyName(one.key)].append(one)
        for name in sorted(by_key.keys() & keys.keys()):
            view = keys[name]
            store = _store_of(view)
            if store is None:
                continue
            for one in telling_of(view, tuple(by_key[name]), Standpoint((), view.memory, policy, now)):
                if tells_of_its_store(one):
                    self._failed.setdefault(store, one)
                elif proves(one):
                    self._read.add(name)

    def beside(self, assessed: Iterable[Assessed], keys: Mapping[KeyName, KeyView]) -> Iterator[Assessed]:
        """Let nothing count as readable by its key's state alone whose store is known to fail another key.

        It is not unreachable either: what a read has proven is of one key, and the fault may be that key's.
        """
        for one in assessed:
            name = KeyName(one.holding.key) if one.holding.key else None
            store = _store_of(keys.get(name)) if name is not None else None
            failed = self._failed.get(store) if store is not None and name not in self._read else None
            if store is None or failed is None or not _stands_on_its_state(one.assessment):
                yield one
            else:
                yield replace(one, assessment=_doubted(one.assessment, store, failed))


def _store_of(view: KeyView | None) -> Subject | None:
    key = view.known if view is not None else None
    if not isinstance(key, AwsKey) or key.store is None:
        return None
    return Subject(SubjectKind.KEY_STORE, store_name(key.name, key.store.id))


def _stands_on_its_state(found: Assessment) -> bool:
    return found.readability in {Readability.READABLE, Readability.EXPIRING} and found.basis is not Basis.PROBE


def _doubted(found: Assessment, store: Subject, failed: Probe) -> Assessment:
    doubt = Assessment(
        Readability.UNKNOWN,
        Basis.STATE,
        f"custom key store {store.id} failed key {failed.key} at {failed.at:%Y-%m-%dT%H:%M:%SZ} ({failed.code}), and "
        "whether its other keys work is not known",
        store,
        final_at=found.final_at,
        evidence=(*found.evidence, *failed.evidence),
    )
    return before(doubt, found)
