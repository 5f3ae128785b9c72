"""Which calls explain a finding: those that stand, of the right kind and time, and what undoes each of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor.attribution.explaining import Calls, Wanted, explaining
from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.readability.access import ANY_PRINCIPAL
from tests.core_builders import AGENT, AWS_KEY, NOW, days

KEY, OTHER = AWS_KEY.text, f"{AWS_KEY}-2"
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
ASKED = Inquiry(AWS_KEY, frozenset(), NOW - days(2), NOW + MINUTE, NOW)
LANDS = {"UpdateCryptoKeyVersion": "DISABLED"}


def a(call: str, minutes: float, about: str = KEY, **more: Any) -> Change:
    """A call, so many minutes before the finding was seen."""
    lands_in = more.pop("lands_in", None)
    return Change(call, about, NOW - minutes * MINUTE, f"{call}-{minutes}", "alice", lands_in=lands_in, **more)


def by(*calls: str, **more: Any) -> Wanted:
    """What is explained by these calls."""
    named: Calls = {one: frozenset({LANDS[one]}) if one in LANDS else frozenset() for one in calls}
    return Wanted(AWS_KEY, **{"calls": named, "about": frozenset({KEY}), **more})


def found(what: Wanted, *changes: Change, after: datetime | None = None, **more: Any) -> list[str]:
    """Calls that explain it, as minutes before it was seen; in whatever order a log tells them."""
    told = explaining(Reply(ASKED, changes, **more), what, ASKED, after, NOW)
    turned = explaining(Reply(ASKED, changes[::-1], **more), what, ASKED, after, NOW)
    assert told == turned
    return [one.event_id for one in told]


UNDOES: dict[str, set[str]] = {
    "DisableKey": {"EnableKey", "ScheduleKeyDeletion"},
    "CancelKeyDeletion": {"EnableKey", "ScheduleKeyDeletion"},
    "ScheduleKeyDeletion": {"CancelKeyDeletion"},
    "DeleteImportedKeyMaterial": {"ImportKeyMaterial"},
    "DisconnectCustomKeyStore": {"ConnectCustomKeyStore"},
    "CreateKey": {"PutKeyPolicy"},
    "UpdateCryptoKeyVersion": {"UpdateCryptoKeyVersion to ENABLED", "DestroyCryptoKeyVersion"},
    "RestoreCryptoKeyVersion": {"UpdateCryptoKeyVersion to ENABLED", "DestroyCryptoKeyVersion"},
    "DestroyCryptoKeyVersion": {"RestoreCryptoKeyVersion", "ImportCryptoKeyVersion"},
    "PutKeyPolicy": set(),
    "SetIamPolicy": set(),
    "ImportKeyMaterial": set(),
}
LATER = {one for some in UNDOES.values() for one in some} | {"UpdateCryptoKeyVersion to DISABLED"}


@pytest.mark.parametrize("call", UNDOES)
def test_what_was_undone_or_left_behind_for_another_state_explains_nothing(call: str) -> None:
    done = a(call, 5, lands_in=LANDS.get(call))
    assert found(by(call), done) == [done.event_id]
    for one in LATER:
        name, _, state = one.partition(" to ")
        undone = a(name, 3, lands_in=state or None)
        if name != call:
            assert (found(by(call), done, undone) == []) is (one in UNDOES[call]), one
            assert found(by(call), replace(done, at=NOW - 2 * MINUTE), undone) == [done.event_id], one
        assert done.event_id in found(by(call), done, replace(undone, about=OTHER)), "of another key"
    if call == "UpdateCryptoKeyVersion":
        assert found(by(call), done, a(call, 3, lands_in="ENABLED")) == []


def test_of_several_that_undo_it_the_last_counts() -> None:
    early, done, late = a("EnableKey", 7), a("DisableKey", 5), a("EnableKey", 3)
    assert found(by("DisableKey"), early, done) == [done.event_id]
    assert found(by("DisableKey"), early, done, late) == []


def test_in_its_own_second_it_came_before_what_undid_it_only_where_it_was_otherwise_later() -> None:
    done, undone = a("DisableKey", 5), a("EnableKey", 5)
    assert found(by("DisableKey"), done, undone) == [done.event_id]
    assert found(by("DisableKey"), done, undone, after=NOW - 5 * MINUTE) == [done.event_id]
    assert found(by("DisableKey"), done, undone, after=NOW - 5 * MINUTE + SECOND) == []
    assert found(by("DisableKey"), done, after=NOW) == [done.event_id], "nothing has undone it"


MADE = ("DisableKey", "CancelKeyDeletion", "UpdateCryptoKeyVersion", "RestoreCryptoKeyVersion")


@pytest.mark.parametrize("call", [*MADE, "DeleteImportedKeyMaterial"])
def test_what_is_so_already_was_made_so_by_the_first_call(call: str) -> None:
    first, second = (a(call, each, lands_in=LANDS.get(call)) for each in (5, 2))
    assert found(by(call), first, second) == [first.event_id]
    another = a(call, 7, OTHER, lands_in=LANDS.get(call))
    both = by(call, about=frozenset({KEY, OTHER}))
    assert found(both, another, first, second) == [first.event_id], "of what the newest was about"


def test_all_calls_that_disable_make_the_same_and_those_that_take_material_another_thing() -> None:
    for call in MADE:
        first, last = a(call, 5, lands_in=LANDS.get(call)), a("DisableKey", 2)
        assert found(by("DisableKey", call), first, last) == [first.event_id], call
    material, last = a("DeleteImportedKeyMaterial", 5), a("DisableKey", 2)
    assert found(by("DisableKey", "DeleteImportedKeyMaterial"), material, last) == [last.event_id]


def test_what_can_be_done_anew_was_done_by_the_newest_call() -> None:
    first, second = a("ScheduleKeyDeletion", 5), a("ScheduleKeyDeletion", 2)
    assert found(by("ScheduleKeyDeletion"), first, second) == [second.event_id]
    same = replace(second, event_id="b")
    assert found(by("ScheduleKeyDeletion"), first, second, same) == [second.event_id, "b"], "each may be the one"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ImportKeyMaterial", "DeleteImportedKeyMaterial"),
        ("DisconnectCustomKeyStore", "UpdateCustomKeyStore"),
        ("ScheduleKeyDeletion", "DisableKey"),
        ("DisconnectCustomKeyStore", "ScheduleKeyDeletion"),
    ],
)
def test_of_two_kinds_of_calls_in_one_second_each_may_have_been_it(one: str, other: str) -> None:
    """CloudTrail tells whole seconds, and the id of an entry says nothing of which came first."""
    for first, second in (("a", "b"), ("b", "a")):
        both = replace(a(one, 2), event_id=first), replace(a(other, 2), event_id=second)
        assert found(by(one, other), a(one, 7), *both) == ["a", "b"]


def test_two_in_one_second_may_each_have_been_it() -> None:
    first, same, later = a("DisableKey", 5), replace(a("DisableKey", 5), event_id="b"), a("DisableKey", 2)
    assert found(by("DisableKey"), first, same, later) == [first.event_id, "b"]


def test_where_the_first_may_have_been_undone_in_its_second_the_next_may_have_been_it_as_well() -> None:
    first, undone, second, third = a("DisableKey", 5), a("EnableKey", 5), a("DisableKey", 3), a("DisableKey", 2)
    assert found(by("DisableKey"), first, undone, second, third) == [first.event_id, second.event_id]
    assert found(by("DisableKey"), first, replace(undone, about=OTHER), second) == [first.event_id]


MANY_THINGS = (
    *("PutKeyPolicy", "RevokeGrant", "RetireGrant", "CreateKey", "UpdateCustomKeyStore"),
    *("SetIamPolicy", "UpdateCryptoKey", "UpdateEkmConnection"),
)


@pytest.mark.parametrize("call", MANY_THINGS)
def test_of_calls_that_change_many_things_each_may_have_been_it(call: str) -> None:
    first, second = a(call, 5), a(call, 2)
    assert found(by(call), first, second) == [first.event_id, second.event_id]
    if call != "CreateKey":
        other = a("ScheduleKeyDeletion", 7)
        assert found(by(call, "ScheduleKeyDeletion"), other, first) == [first.event_id], "beside what is certain"
        assert found(by(call, "ScheduleKeyDeletion"), first, replace(other, at=NOW)) == [other.event_id]


def test_what_the_log_was_not_looked_through_behind_may_hide_another_call() -> None:
    done = a("DisableKey", 5)
    assert found(by("DisableKey"), done, back_to=NOW - 5 * MINUTE) == [done.event_id]
    assert found(by("DisableKey"), done, back_to=NOW - 5 * MINUTE + SECOND) == []
    newer = a("DisableKey", 4)
    assert found(by("DisableKey"), done, newer, back_to=NOW - 4 * MINUTE) == [done.event_id]


def test_only_what_is_asked_for_of_what_it_is_about_and_in_its_time_counts() -> None:
    done, what = a("DisableKey", 5), by("DisableKey")
    assert found(what, done) == [done.event_id]
    assert found(what, replace(done, call="EnableKey")) == found(what, replace(done, about=OTHER)) == []
    assert found(what, replace(done, at=NOW - days(2))) == [done.event_id]
    assert found(what, replace(done, at=NOW - days(2) - SECOND)) == []
    anytime = replace(ASKED, since=None)
    long_ago = replace(done, at=NOW - days(99))
    assert explaining(Reply(anytime, (long_ago,)), what, anytime, None, NOW) == (long_ago,)
    disables = by("UpdateCryptoKeyVersion")
    for state, counts in (("DISABLED", True), ("ENABLED", False), (None, False)):
        assert bool(found(disables, a("UpdateCryptoKeyVersion", 5, lands_in=state))) is counts
    assert found(what, replace(done, lands_in="whatever")) == [done.event_id]


def test_what_is_dated_a_little_later_counts_where_nothing_else_explains_it() -> None:
    what, before = by("ScheduleKeyDeletion"), a("ScheduleKeyDeletion", 5)
    now, soon, last, late = (a("ScheduleKeyDeletion", each) for each in (0, -0.5, -1, -1.1))
    assert found(what, before, soon) == [before.event_id]
    assert found(what, before, now, soon) == [now.event_id]
    assert found(what, soon) == [soon.event_id]
    assert found(what, last) == [last.event_id]
    assert found(what, late) == []
    undone = a("CancelKeyDeletion", -0.2)
    assert found(what, before, undone) == [before.event_id], "so it was when it was seen"


AGENTS, ALL, GROUP = (frozenset({one}) for one in (f"serviceAccount:{AGENT}", "allUsers", "group:g@acme.example"))


def rights(**more: Any) -> Wanted:
    return by("SetIamPolicy", **more)


def set_policy(minutes: float = 5, **more: Any) -> Change:
    return a("SetIamPolicy", minutes, **more)


def counts(what: Wanted, **more: Any) -> bool:
    return bool(found(what, set_policy(**more)))


def test_a_policy_that_took_a_right_from_somebody_else_did_not_take_this_one() -> None:
    taken = rights(deprived=AGENT)
    assert counts(taken, deprived=AGENTS)
    assert counts(taken, deprived=frozenset({f"serviceAccount:{AGENT.upper()}"}))
    assert counts(rights(deprived=AGENT.upper()), deprived=AGENTS)
    assert counts(taken, deprived=None), "the log does not tell"
    assert counts(taken, deprived=GROUP), "whom a group holds it does not tell either"
    assert counts(taken, deprived=frozenset({"domain:acme.example"}))
    assert counts(taken, deprived=frozenset({"user:bob@acme.example", *GROUP}))
    for one in ("user:bob@acme.example", "serviceAccount:other", "deleted:serviceAccount:gone", ""):
        assert not counts(taken, deprived=frozenset({one} - {""})), one
    assert counts(rights(deprived=ANY_PRINCIPAL), deprived=frozenset({"user:bob@acme.example"}))
    assert counts(rights(deprived=None), deprived=frozenset({"user:bob@acme.example"}))


def test_a_policy_that_gave_nobody_a_right_who_is_everybody_opened_nothing() -> None:
    opened = rights(opened=True)
    assert counts(opened, given=ALL)
    assert counts(opened, given=frozenset({"allAuthenticatedUsers", "user:bob@acme.example"}))
    assert counts(opened, given=None), "the log does not tell"
    assert not counts(opened, given=frozenset({"user:bob@acme.example"}))
    assert not counts(opened, given=frozenset())
    assert counts(rights(), given=frozenset({"user:bob@acme.example"}))


def test_an_entry_that_itself_names_whom_it_is_about_is_the_one() -> None:
    sure, unsure, group = set_policy(5, deprived=AGENTS), set_policy(4), set_policy(3, deprived=GROUP)
    assert found(rights(deprived=AGENT), sure, unsure, group) == [sure.event_id]
    assert found(rights(deprived=AGENT), unsure, group) == [unsure.event_id, group.event_id]
    opened, silent = set_policy(5, given=ALL), set_policy(4)
    assert found(rights(opened=True), opened, silent) == [opened.event_id]
    assert found(rights(opened=True), silent) == [silent.event_id]
    assert found(rights(), opened, silent) == [opened.event_id, silent.event_id]
    nobody = frozenset({"user:"})
    assert found(rights(), set_policy(5, deprived=AGENTS), silent) == ["SetIamPolicy-5", "SetIamPolicy-4"]
    assert found(rights(deprived=AGENT), set_policy(5, deprived=nobody), silent) == ["SetIamPolicy-4"]
