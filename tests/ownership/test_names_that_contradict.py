"""Two names of keys that were made at one moment and tell what cannot both be so are no names of one key."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Judgement, Readability, Status
from auditor.model import Cloud, GcpKey, GcpKeyVersion, KeyMemory, KeyName, KeyReading
from auditor.ownership.contradicting import apart_by
from auditor.ownership.spelling import spelling_of
from auditor.ports import KeyNeed, KeySource
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW, days
from tests.keys_only import KeysOnly, a_cloud_of_keys
from tests.test_fleet import NoProgress

ID = KeyName(GOOGLE_KEY)
NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))
ZETA = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/zeta"))
ZETAS_NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/777"))
LATER = NOW + days(1)


def a_key(name: KeyName, *states: str, counted: bool = True) -> GcpKey:
    versions = tuple(GcpKeyVersion(str(number), state) for number, state in enumerate(states, 1))
    return GcpKey(name, versions, created=NOW, counted=counted)


def kept(name: KeyName, at: datetime, *states: str, **more: object) -> KeyMemory:
    key = a_key(name, *states)
    return replace(KeyMemory(key, at, first_at=NOW - days(9), highest_version=len(states)), **more)  # type: ignore[arg-type]  # fields by name


ON, OFF = "ENABLED", "DISABLED"
THEN = kept(ID, NOW, OFF)
MEMORIES: dict[str, tuple[KeyMemory, bool]] = {
    "read in one poll, the same": (kept(NUMBER, NOW, OFF), False),
    "read in one poll, otherwise": (kept(NUMBER, NOW, ON), True),
    "read in one poll, with another version": (kept(NUMBER, NOW, OFF, ON), True),
    "it was so already then": (kept(NUMBER, LATER, ON), True),
    "it has changed since": (kept(NUMBER, LATER, ON, changed={"version 1": LATER}), False),
    "it has changed before": (kept(NUMBER, LATER, ON, changed={"version 1": NOW}), True),
    "it was not read then": (kept(NUMBER, LATER, ON, first_at=LATER), False),
    "nobody knows since when it is read": (kept(NUMBER, LATER, ON, first_at=None), False),
    "it has a new version since": (kept(NUMBER, LATER, OFF, ON), False),
    "it never had a version": (kept(NUMBER, LATER), True),
    "its version was deleted since": (kept(NUMBER, LATER, highest_version=1), False),
    "it never told": (KeyMemory(None, None), False),
}


@pytest.mark.parametrize(("other", "expected"), MEMORIES.values(), ids=MEMORIES)
def test_names_contradict_each_other_by_what_both_were_when_the_older_one_was_read(
    other: KeyMemory, *, expected: bool
) -> None:
    apart = apart_by({ID: THEN, NUMBER: other})
    assert (apart(ID, NUMBER), apart(NUMBER, ID)) == (expected, expected)
    assert not apart_by({ID: THEN})(ID, NUMBER)


def test_what_both_have_just_told_counts_more_than_what_is_remembered() -> None:
    memory = {ID: THEN, NUMBER: kept(NUMBER, NOW, ON)}
    assert not apart_by(memory, {ID: a_key(ID, ON), NUMBER: a_key(NUMBER, ON)})(ID, NUMBER)
    assert apart_by(memory, {ID: a_key(ID, ON)})(ID, NUMBER), "the other one gave no answer"
    assert apart_by({}, {ID: a_key(ID, ON), NUMBER: a_key(NUMBER, ON, ON)})(ID, NUMBER)
    few = {ID: a_key(ID, ON), NUMBER: a_key(NUMBER, ON, ON, counted=False)}
    assert not apart_by({}, few)(ID, NUMBER), "more may be there than is listed"


def test_of_three_names_the_two_that_do_not_contradict_each_other_are_of_one_key() -> None:
    keys = [a_key(ID, ON), a_key(ZETA, OFF), a_key(ZETAS_NUMBER, OFF)]
    spelling = spelling_of(keys, apart_by({}, {one.name: one for one in keys}))
    assert spelling.is_one(ZETA, ZETAS_NUMBER)
    assert spelling.is_one(ID, ZETAS_NUMBER) is False
    assert spelling_of(keys).is_one(ZETA, ZETAS_NUMBER) is None
    pair = [a_key(ID, ON), a_key(ZETAS_NUMBER, OFF)]
    assert spelling_of(pair, lambda *_: True).is_one(ID, ZETAS_NUMBER) is False


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeysOnly]:
    """Keys of acme and zeta that are called alike and were made at one moment; zeta's is named by its number."""
    with a_cloud_of_keys(tmp_path) as running:
        store = running.cloud.store
        store.add_project("zeta", 777)
        mine = store.key(GOOGLE_KEY)
        assert mine is not None
        store.add_key(ZETA.text, versions=3, created=mine.created)
        running.say(f"search,{ID},acme", f"chat,{ZETAS_NUMBER},zeta")
        yield running


def told(judgement: Judgement) -> dict[str | None, Readability]:
    return {one.holding.key: one.assessment.readability for one in judgement.assessed}


def lost(judgement: Judgement) -> set[str]:
    return {one.subject.id for one in judgement.findings if one.rule == "data-unreadable" and one.status is Status.OPEN}


def test_a_key_that_tells_otherwise_is_not_judged_by_what_another_of_its_moment_tells(keys: KeysOnly) -> None:
    for version in (1, 2, 3):
        keys.set_state(version, OFF, ZETA.text)
    expected = {ID.text: Readability.READABLE, ZETAS_NUMBER.text: Readability.UNREADABLE}
    first = keys.polled()
    assert told(first) == expected
    assert len(lost(first)) == 3
    keys.cloud.traffic.fail("projects/777", status=503)
    silent = keys.polled()
    assert (told(silent), lost(silent)) == (expected, lost(first)), "acme's answer is none of zeta's"
    keys.cloud.traffic.heal()
    keys.say(f"search,{ID},acme", f"chat,{ZETAS_NUMBER},zeta", f"mail,{ZETA},zeta")
    assert lost(keys.polled()) == lost(first), "its id is another name of it: nothing is told twice"


def test_of_what_changes_between_two_requests_the_newer_counts_and_findings_keep_their_ids(keys: KeysOnly) -> None:
    keys.say(f"search,{ID},acme", f"chat,{NUMBER},acme")
    keys.set_state(1, OFF)
    first = keys.polled()
    assert lost(first) == {f"{ID}/cryptoKeyVersions/1"}
    with contextlib.closing(assemble(load(keys.config), keys.cloud.store.clock)) as assembly:
        source = Changing(assembly.parts.keys[Cloud.GCP], keys)
        parts = replace(assembly.parts, keys={**assembly.parts.keys, Cloud.GCP: source})
        between = scan.poll(parts, NoProgress())
    assert lost(between) == {*lost(first), f"{ID}/cryptoKeyVersions/2"}
    assert lost(keys.polled()) == lost(between)


@dataclass(frozen=True)
class Changing:
    """Version 2 is switched off when the first of the keys was read."""

    source: KeySource
    keys: KeysOnly
    cloud: Cloud = Cloud.GCP

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        for need in needs:
            yield from self.source.read([need])
            self.keys.set_state(2, OFF)
