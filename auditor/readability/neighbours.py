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
from auditor.moments import second
from auditor.overruling import OUTLIVES_BUCKET_KEYS
from auditor.policy import Policy
from auditor.readability.assess import KeyView, telling_of
from auditor.readability.aws import store_name
from auditor.readability.probe import is_a_read_that_passed, tells_of_its_store
from auditor.readability.table import Standpoint, before


class Stores:
    """The custom key stores that are known to fail a key, and the keys that were read all the same."""

    def __init__(self, probes: Iterable[Probe], keys: Mapping[KeyName, KeyView], policy: Policy, now: datetime) -> None:
        """Look through all probes; `keys` are those on which data depends."""
        self._failed: dict[Subject, Probe] = {}
        self._reads: dict[KeyName, list[Probe]] = {}
        by_key: dict[KeyName, list[Probe]] = defaultdict(list)
        for one in probes:
            by_key[KeyName(one.key)].append(one)
        for name in sorted(by_key.keys() & keys.keys()):
            store = _store_of(keys[name])
            if store is None:
                continue
            at = Standpoint((), keys[name].memory, policy, now)
            telling = telling_of(keys[name], tuple(by_key[name]), at)
            self._reads[name] = [one for one in telling if is_a_read_that_passed(one)]
            used = max((one.at for one in self._reads[name] if not one.cached), default=None)
            for one in telling:
                # What it failed through one bucket is over where the key was used since, through whatever bucket.
                if tells_of_its_store(one) and (used is None or one.at >= used):
                    kept = self._failed.get(store)
                    self._failed[store] = one if kept is None or one.at > kept.at else kept

    @property
    def failing(self) -> frozenset[Subject]:
        """Those that are known to fail a key."""
        return frozenset(self._failed)

    def beside(self, assessed: Iterable[Assessed], keys: Mapping[KeyName, KeyView]) -> Iterator[Assessed]:
        """Let nothing count as readable by its key's state alone whose store is known to fail another key.

        It is not unreachable either: what a read has proven is of one key, and the fault may be that key's.
        """
        for one in assessed:
            name = KeyName(one.holding.key) if one.holding.key else None
            store = _store_of(keys.get(name)) if name is not None else None
            failed = self._failed.get(store) if store is not None else None
            if name is None or store is None or failed is None or self._was_read(name, failed):
                yield one
            else:
                yield replace(one, assessment=_doubted(one.assessment, store, failed))

    def _was_read(self, name: KeyName, failed: Probe) -> bool:
        """Whether a key works for all that its store failed another one."""
        late = failed.at + OUTLIVES_BUCKET_KEYS
        return any(not one.cached or one.at >= late for one in self._reads.get(name, ()))


def _store_of(view: KeyView | None) -> Subject | None:
    key = view.known if view is not None else None
    if not isinstance(key, AwsKey) or key.store is None:
        return None
    return Subject(SubjectKind.KEY_STORE, store_name(key.name, key.store.id))


def _doubted(found: Assessment, store: Subject, failed: Probe) -> Assessment:
    if found.readability not in {Readability.READABLE, Readability.EXPIRING} or found.basis is Basis.PROBE:
        return found
    doubt = Assessment(
        Readability.UNKNOWN,
        Basis.STATE,
        f"custom key store {store.id} failed key {failed.key} at {second(failed.at)} ({failed.code}), and "
        "whether its other keys work is not known",
        store,
        final_at=found.final_at,
        evidence=(*found.evidence, *failed.evidence),
    )
    return before(doubt, found)
