"""What a judgement saw of what is on one cloud, and what it did not: in words, for whoever judges controls by it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from auditor.findings import Basis, Counted, Finding, Judgement, Readability, Status, Subject, SubjectKind
from auditor.gaps import CLOCKS, OBJECTS, REGISTRIES, is_narrow, is_of_probe
from auditor.model import Cloud, Encryption, Gap, KeyName, Population

_BEHIND: Final = ("/ekmConnections/", "/singleTenantHsmInstances/")
"""What is in the name of what stands behind keys on Google Cloud, which their own state does not tell of."""
_BY_NO_POLICY: Final = frozenset({Basis.REGISTRY, Basis.BUNDLE, Basis.STATE})
_READ: Final = frozenset({Readability.READABLE, Readability.EXPIRING})
WHYS: Final = 3
_NAMED: Final = 5
"""As many things that were not seen are told one by one."""


class Sight:
    """A judgement, as far as it is about one cloud; None: all of it. Each list is made once."""

    def __init__(self, judgement: Judgement, cloud: Cloud | None) -> None:
        self.judgement = judgement
        self._cloud = cloud
        self._narrow_left_out = [gap for gap in judgement.gaps if not is_narrow(gap)]
        self._tallies = {one.rule: one.parts for one in judgement.tallies}
        registries = {one.name for one in judgement.registered.registries}
        self.registries: Final = _listed(self._about({*registries, REGISTRIES}))
        """What registries did not say, or cannot be believed in."""
        self.data: Final = self._of_data()
        """What of the data nobody saw."""
        self.keys: Final = self._of_keys()
        """What may name more keys, and was not seen."""
        self.findings: Final = self._standing()
        """What each rule finds that still stands."""
        self.unknown: Final = self._unknown()
        """Why it is unknown whether data can be read, the most frequent first."""

    def counted(self, rule: str) -> tuple[Counted, ...] | None:
        """How often a rule gave each outcome; None where nobody told that of each cloud, or it was not put at all."""
        parts = self._tallies.get(rule)
        if parts is None:
            return None
        return tuple(one for one in parts if self._cloud is None or one.cloud in {None, self._cloud})

    def behind_keys(self) -> tuple[str, ...]:
        """What stands behind keys and was not looked at."""
        if self._cloud is Cloud.AWS:
            return ()
        return _listed(one for one in self.judgement.gaps if any(name in one.what for name in _BEHIND))

    def of_probes(self) -> tuple[str, ...]:
        """Probes that told nothing, or may not be as it is now."""
        about = (one for one in self.judgement.gaps if is_of_probe(one))
        return _listed(one for one in about if self._has(Subject(SubjectKind.KEY, one.what)))

    def by_no_policy(self) -> int:
        """How many keys their data counts as readable under, although nobody asked a policy who may decrypt."""
        keys = {
            KeyName(one.holding.key)
            for one in self.judgement.assessed
            if one.holding.key is not None
            and one.encryption is Encryption.CMEK
            and one.assessment.readability in _READ
            and one.assessment.basis in _BY_NO_POLICY
        }
        return sum(self._cloud is None or one.cloud is self._cloud for one in keys)

    def _has(self, subject: Subject) -> bool:
        """Whether something is, or may be, of the cloud."""
        return self._cloud is None or subject.cloud in {None, self._cloud}

    def _standing(self) -> Mapping[str, tuple[Finding, ...]]:
        found: dict[str, list[Finding]] = defaultdict(list)
        for one in self.judgement.findings:
            if one.status is not Status.RESOLVED and self._has(one.subject):
                found[one.rule].append(one)
        return {rule: tuple(some) for rule, some in found.items()}

    def _unknown(self) -> tuple[str, ...]:
        return most(
            one.assessment.cause
            for one in self.judgement.assessed
            if one.assessment.readability is Readability.UNKNOWN
            and one.holding.key is not None
            and self._has(one.assessment.subject)
        )

    def _of_data(self) -> tuple[str, ...]:
        told = [*_cut(self._of_buckets()), *_listed(self._about({CLOCKS}))]
        if self.judgement.is_keys_only:
            told += [*_listed(self._about({OBJECTS})), *self.registries]
        return tuple(told)

    def _of_keys(self) -> tuple[str, ...]:
        """Without buckets the keys are all that config and registries name."""
        if not self.judgement.is_keys_only:
            return self.data
        return (*_listed(self._about({CLOCKS})), *self.registries)

    def _of_buckets(self) -> Iterator[str]:
        covered = [one for one in self.judgement.coverage.buckets if self._has(Subject(SubjectKind.BUCKET, one.bucket))]
        gaps = list(self._about({one.bucket for one in covered}))
        told = {one.what for one in gaps}
        yield from map(_of_gap, gaps)
        for one in covered:
            if not one.complete and one.bucket not in told:
                yield f"{one.bucket}: no whole sweep is in force"
            if one.unresolved and one.bucket not in told:
                yield f"{one.bucket}: the encryption of {one.unresolved} objects is not known"
            if one.left_out:
                which = " and ".join(each.replace("_", "-") for each in Population if each in one.left_out)
                yield f"{one.bucket}: the config leaves out its {which} objects"

    def _about(self, names: Iterable[str]) -> Iterator[Gap]:
        about = set(names)
        return (one for one in self._narrow_left_out if one.what in about)


def most(texts: Iterable[str]) -> tuple[str, ...]:
    """The most frequent texts, the most frequent first."""
    counts = Counter(texts)
    return tuple(text for text, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:WHYS])


def _of_gap(gap: Gap) -> str:
    return f"{gap.what}: {gap.effect}"


def _listed(gaps: Iterable[Gap]) -> tuple[str, ...]:
    return _cut(map(_of_gap, gaps))


def _cut(texts: Iterable[str]) -> tuple[str, ...]:
    """A few one by one, and how many more there are."""
    told = list(dict.fromkeys(texts))
    more = len(told) - _NAMED
    return (*told[:_NAMED], *([f"{more} more of this kind"] if more > 0 else []))
