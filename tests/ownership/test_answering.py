"""A key that is silent under one of its names is judged by what it tells under the other, newest first."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.findings import Readability
from auditor.model import Evidence, GcpKey, GcpKeyVersion, KeyGone, KeyMemory, KeyName, KeyReading, KeyUnread, Reason
from auditor.ownership.answering import answered_by_any_name, needed_by_any_name, remembered_by_any_name
from auditor.ownership.spelling import EACH_ITS_OWN, spelling_of
from auditor.ports import KeyNeed
from auditor.questions.retire.retiring import newest
from tests.clouds import GOOGLE_KEY
from tests.core_builders import AWS_KEY, NOW, days
from tests.keys_only import a_cloud_of_keys
from tests.ownership.test_registry import judged, said
from tests.small import Small, a_small_cloud

ID = KeyName(GOOGLE_KEY)
NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))
SPELLING = spelling_of(GcpKey(name, (), created=NOW) for name in (ID, NUMBER))
SAID = Evidence("cloudkms:GetCryptoKey", NUMBER.text, NOW, "r-1", "ab")


def key(name: KeyName, state: str = "ENABLED") -> GcpKey:
    return GcpKey(name, (GcpKeyVersion("1", state, "SOFTWARE"),), created=NOW, evidence=(SAID,))


def unread(name: KeyName, reason: Reason) -> KeyUnread:
    return KeyUnread(name, reason, reason.value, "try again")


FAULT, DENIED, MISSING = (unread(ID, reason) for reason in (Reason.TIMEOUT, Reason.ACCESS_DENIED, Reason.NOT_FOUND))
STATE, GONE = key(NUMBER, "DISABLED"), KeyGone(NUMBER, proven=True, evidence=(SAID,))
ANSWERS: dict[str, tuple[KeyReading, KeyReading, KeyReading]] = {
    "a fault, and a state": (FAULT, STATE, key(ID, "DISABLED")),
    "denied, and a state": (DENIED, STATE, key(ID, "DISABLED")),
    "not found, and a state": (MISSING, STATE, key(ID, "DISABLED")),
    "a fault, and gone": (FAULT, GONE, KeyGone(ID, proven=True, evidence=(SAID,))),
    "denied, and gone": (DENIED, GONE, KeyGone(ID, proven=True, evidence=(SAID,))),
    "a fault, and denied": (FAULT, unread(NUMBER, Reason.ACCESS_DENIED), DENIED),
    "denied, and a fault": (DENIED, unread(NUMBER, Reason.TIMEOUT), DENIED),
    "not found, and denied": (MISSING, unread(NUMBER, Reason.ACCESS_DENIED), DENIED),
    "denied, and not found": (DENIED, unread(NUMBER, Reason.NOT_FOUND), DENIED),
    "a fault, and not found": (FAULT, unread(NUMBER, Reason.NOT_FOUND), MISSING),
    "two faults": (FAULT, unread(NUMBER, Reason.THROTTLED), FAULT),
    "two states": (key(ID), STATE, key(ID)),
    "gone, and a state": (KeyGone(ID, proven=True), STATE, KeyGone(ID, proven=True)),
}


@pytest.mark.parametrize(("mine", "other", "expected"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("reverse", [False, True], ids=["first", "last"])
def test_a_name_tells_what_the_other_one_tells_more(
    mine: KeyReading, other: KeyReading, expected: KeyReading, *, reverse: bool
) -> None:
    asked: dict[KeyName, KeyReading] = {ID: mine, NUMBER: other}
    found = answered_by_any_name(dict(reversed(asked.items())) if reverse else asked, SPELLING)
    assert found[ID] == expected
    assert set(found) == {ID, NUMBER}


def test_names_that_only_may_be_of_one_key_tell_nothing_of_each_other() -> None:
    asked: dict[KeyName, KeyReading] = {ID: FAULT, NUMBER: STATE, AWS_KEY: unread(AWS_KEY, Reason.TIMEOUT)}
    assert answered_by_any_name(asked, EACH_ITS_OWN) == asked
    assert answered_by_any_name({ID: FAULT}, SPELLING) == {ID: FAULT}


MEMORIES: dict[str, tuple[KeyMemory, KeyMemory, str]] = {
    "the other told later": (KeyMemory(key(ID), NOW), KeyMemory(STATE, NOW + days(1)), "DISABLED"),
    "the other told before": (KeyMemory(key(ID), NOW), KeyMemory(STATE, NOW - days(1)), "ENABLED"),
    "it was denied later": (
        KeyMemory(key(ID), NOW, denied_since=NOW + days(2)),
        KeyMemory(STATE, NOW + days(1)),
        "ENABLED",
    ),
    "it was missing later": (
        KeyMemory(key(ID), NOW, missing_since=NOW, missing_until=NOW + days(2)),
        KeyMemory(STATE, NOW + days(1)),
        "ENABLED",
    ),
    "both told at one moment": (KeyMemory(key(ID), NOW), KeyMemory(STATE, NOW), "ENABLED"),
    "it never was asked": (KeyMemory(None, None), KeyMemory(STATE, NOW), "DISABLED"),
    "both told at one moment, and the other was denied since": (
        KeyMemory(key(ID), NOW),
        KeyMemory(STATE, NOW, denied_since=NOW + days(1)),
        "ENABLED",
    ),
    "it told later, and the other was denied since": (
        KeyMemory(key(ID), NOW + days(1)),
        KeyMemory(STATE, NOW, denied_since=NOW + days(2)),
        "ENABLED",
    ),
    "it never told a state": (KeyMemory(None, None, denied_since=NOW), KeyMemory(STATE, NOW + days(1)), "DISABLED"),
}


@pytest.mark.parametrize(("mine", "other", "expected"), MEMORIES.values(), ids=MEMORIES)
def test_a_name_remembers_what_another_told_since(mine: KeyMemory, other: KeyMemory, expected: str) -> None:
    found = remembered_by_any_name({ID: mine, NUMBER: other}, SPELLING)
    last = found[ID].last
    assert isinstance(last, GcpKey)
    assert (last.name, last.versions[0].state) == (ID, expected)
    assert found[ID].denied_since == (mine.denied_since or other.denied_since if expected == "ENABLED" else None)


def test_a_name_remembers_that_the_key_was_gone_since_by_another() -> None:
    other = KeyMemory(
        key(NUMBER),
        NOW,
        missing_since=NOW + days(1),
        missing_until=NOW + days(2),
        missing_proven=True,
        silence=GONE,
    )
    found = remembered_by_any_name({ID: KeyMemory(key(ID), NOW), NUMBER: other}, SPELLING)
    assert found == {ID: replace(other, last=key(ID), silence=replace(GONE, name=ID)), NUMBER: other}


def test_what_a_key_said_last_is_told_with_its_denial_by_whatever_name() -> None:
    told = KeyMemory(key(ID), NOW)
    denied = KeyMemory(STATE, NOW, denied_since=NOW + days(1), silence=DENIED)
    found = newest((ID, NUMBER), {ID: told, NUMBER: denied})
    assert found == replace(told, denied_since=denied.denied_since, silence=DENIED)
    assert newest((ID, NUMBER), {ID: told}) == told


def test_nobody_who_was_barred_under_one_name_is_forgotten_under_the_other() -> None:
    mine = KeyMemory(key(ID), NOW, barred=("a@acme.example",), granted=("c@acme.example",))
    silence = unread(NUMBER, Reason.ACCESS_DENIED)
    other = KeyMemory(STATE, NOW + days(1), barred=("b@acme.example",), granted=("d@acme.example",), silence=silence)
    found = remembered_by_any_name({ID: mine, NUMBER: other, AWS_KEY: mine}, SPELLING)
    assert (found[ID].barred, found[ID].granted) == (
        ("a@acme.example", "b@acme.example"),
        ("c@acme.example", "d@acme.example"),
    )
    assert found[ID].silence == unread(ID, Reason.ACCESS_DENIED)
    assert (found[NUMBER], found[AWS_KEY]) == (other, mine)
    assert remembered_by_any_name({ID: mine}, SPELLING) == {ID: mine}


def test_everybody_who_must_decrypt_is_asked_for_under_each_name() -> None:
    needs = (KeyNeed(ID, ("a", "c")), KeyNeed(NUMBER, ("b",)), KeyNeed(AWS_KEY, ("d",)))
    found = needed_by_any_name(needs, SPELLING)
    assert found == (KeyNeed(ID, ("a", "b", "c")), KeyNeed(NUMBER, ("a", "b", "c")), KeyNeed(AWS_KEY, ("d",)))
    assert needed_by_any_name(needs, EACH_ITS_OWN) == needs


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        running.config.write_text(
            f'{running.config.read_text()}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
        )
        yield running


@pytest.mark.parametrize("silent", [GOOGLE_KEY, NUMBER.text])
def test_data_is_unreadable_by_what_either_name_tells_then_and_later(small: Small, silent: str) -> None:
    said(small, f"acme/old,{NUMBER},", f"acme/new,{NUMBER},")
    judged(small)
    for version in (1, 2):
        small.set_state(version, "DISABLED")
    small.cloud.traffic.fail(silent, status=503)
    told = judged(small, sweep=False)
    assert {one.assessment.readability for one in told.assessed} == {Readability.UNREADABLE}
    assert not [gap for gap in told.gaps if "cryptoKeys" in gap.what]
    assert (told.coverage.keys_read, told.coverage.keys_from_before) == (told.coverage.keys_needed, 0)
    # Nobody answers any more: what was told last by any name stands.
    small.cloud.traffic.fail("cryptoKeys", status=503)
    silence = judged(small, sweep=False)
    assert {one.assessment.readability for one in silence.assessed} == {Readability.UNREADABLE}


def test_what_a_name_told_while_nothing_needed_the_other_counts_for_that_one(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        by_both = (f"search,{GOOGLE_KEY},acme", f"chat,{NUMBER},acme")
        keys.say(*by_both)
        keys.scanned()
        for version in (1, 2, 3):
            keys.set_state(version, "DISABLED")
        keys.say(f"chat,{NUMBER},acme")
        keys.scanned()
        keys.say(*by_both)
        keys.cloud.traffic.fail("cryptoKeys", status=503)
        found = {one.holding.key: one.assessment.readability for one in keys.scanned().assessed}
        assert found == {NUMBER.text: Readability.UNREADABLE}, "as the finding calls it that is open since"


def test_a_denial_by_one_name_counts_for_the_other_that_nothing_needed_then(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        by_both = (f"search,{GOOGLE_KEY},acme", f"chat,{NUMBER},acme")
        keys.say(*by_both)
        keys.scanned()
        keys.say(f"chat,{NUMBER},acme")
        keys.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
        keys.scanned()
        keys.say(*by_both)
        keys.cloud.traffic.fail("cryptoKeys", status=503)
        found = {one.holding.key: one.assessment.readability for one in keys.scanned().assessed}
        assert found == {NUMBER.text: Readability.UNKNOWN}, "as the finding calls it that is open since"


def test_a_name_that_answers_first_for_a_silent_one_is_asked_who_must_decrypt_by_that(small: Small) -> None:
    store = small.cloud.store
    judged(small)
    said(small, f"acme/old,{NUMBER},", f"acme/new,{NUMBER},")
    store.revoke(GOOGLE_KEY.rpartition("/cryptoKeys/")[0], f"serviceAccount:{store.agent('acme')}")
    small.cloud.traffic.fail(GOOGLE_KEY, status=503)
    told = judged(small, sweep=False)
    assert {one.assessment.readability for one in told.assessed} == {Readability.REVOKED}
