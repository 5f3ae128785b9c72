"""By which of its names a key is called: by the same one for as long as a finding on it is open."""

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import replace
from typing import Final

from auditor.findings import Finding, Status, Subject, SubjectKind
from auditor.model import KeyName
from auditor.ownership.spelling import NamesOfKeys, Spelling, by_id_first

_OF_VERSION: Final = "/cryptoKeyVersions/"


def as_called(spelling: Spelling, before: Iterable[Finding], among: Container[KeyName] | None = None) -> Spelling:
    """The same, with the name by which findings of before speak of each key that has several.

    Those on a whole key first: there is one for all its names. `among`: no other name counts; None: each does.
    """
    spoken: dict[str, list[tuple[bool, KeyName]]] = {}
    for one in before:
        name = _key_of(one.subject) if one.status is not Status.RESOLVED else None
        if name is not None and name in spelling.ones and (among is None or name in among):
            is_whole = one.subject.kind is SubjectKind.KEY and one.readability is None
            spoken.setdefault(spelling.ones[name], []).append((not is_whole, name))
    called = {each: min(names, key=lambda one: (one[0], by_id_first(one[1])))[1] for each, names in spoken.items()}
    return replace(spelling, called=called)


def spoken_of_besides(needed: Collection[KeyName], before: Iterable[Finding], spelling: Spelling) -> frozenset[KeyName]:
    """Names by which findings of before speak of keys that are needed by other names, as far as anybody knows."""
    names = NamesOfKeys(needed, spelling)
    open_ = {key for one in before if one.status is not Status.RESOLVED for key in _keys_of(one)}
    return frozenset(one for one in open_ if one not in needed and names.others(one))


def _keys_of(one: Finding) -> Iterator[KeyName]:
    """The key that a finding is about; of one on what stands behind keys, those of its data."""
    if (key := _key_of(one.subject)) is not None:
        yield key
    elif one.readability is not None:
        yield from {KeyName(text) for _, _, text, _ in one.members if text is not None}


def _key_of(subject: Subject) -> KeyName | None:
    """The key that a finding is about, or a version of it, or what a principal may do with it."""
    match subject.kind:
        case SubjectKind.KEY | SubjectKind.KEY_VERSION:
            return KeyName(subject.id.partition(_OF_VERSION)[0])
        case SubjectKind.PRINCIPAL:
            return KeyName(subject.id.rpartition(" -> ")[2])
        case _:
            return None
