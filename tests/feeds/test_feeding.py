"""What a feed hints at is polled at once and again after some minutes, and acknowledged only after that."""

import logging
import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from auditor.daemon.loops import Watch
from auditor.errors import AuditorError, CollectError, LedgerError
from auditor.feeds.feeding import Again, Listener, Memory
from auditor.feeds.silence import Ear
from auditor.model import KeyName, Reason
from auditor.ports import Heard, Hint
from tests.clouds import GOOGLE_KEY
from tests.core_builders import AWS_KEY

OTHER = KeyName(f"{AWS_KEY.text[:-1]}2")
FAR = KeyName(AWS_KEY.text.replace("us-east-1", "eu-west-1"))
BEGAN = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
REFUSED = CollectError("cannot listen to q: access denied", reason=Reason.ACCESS_DENIED)


class World:
    """A feed that is told what it brings, whoever polls, and the time."""

    name = "arn:aws:sqs:us-east-1:111122223333:q"

    def __init__(self) -> None:
        self.passed = 0.0
        self.coming: list[Heard | AuditorError] = []
        self.waits: list[float] = []
        self.done: list[str] = []
        """What was polled and acknowledged, in order."""
        self.followed: list[Collection[KeyName]] = []
        self.polls_fail = False
        self.known: Collection[KeyName] | None = frozenset({AWS_KEY, OTHER})
        self.listener = self.a_listener()

    def a_listener(self, memory: Memory | None = None) -> Listener:
        made = Listener(
            self,
            AWS_KEY.owner,
            self,
            clock=lambda: BEGAN + timedelta(seconds=self.passed),
            ticks=lambda: self.passed,
            memory=memory,
        )
        made.memory.begin(self.passed)
        return made

    def hear(self, wait: float) -> Heard:
        self.waits.append(wait)
        one = self.coming.pop(0) if self.coming else Heard()
        if isinstance(one, AuditorError):
            raise one
        return one

    def handled(self, heard: Heard) -> None:
        self.done.append(f"handled {' '.join(heard.receipts)}")

    def follow(self, keys: frozenset[KeyName]) -> None:
        self.done.append(f"polled {' '.join(sorted(one.text[-1] for one in keys)) or 'all'}")
        self.followed.append(keys)
        if self.polls_fail:
            raise LedgerError("the disk is full")

    def needed(self) -> Collection[KeyName] | None:
        return self.known

    def turn(self) -> list[str]:
        """What one more turn does."""
        before = len(self.done)
        self.listener.turn()
        return self.done[before:]

    @property
    def ear(self) -> Ear:
        return self.listener.ear()


def hint(key: KeyName | None = AWS_KEY, at: datetime = BEGAN) -> Hint:
    return Hint(key, "DisableKey", at, "e-1")


def came(*keys: KeyName | None, receipts: str = "a", poison: int = 0) -> Heard:
    return Heard(tuple(hint(one) for one in keys), tuple(receipts), poison)


def test_a_key_is_polled_before_its_message_is_acknowledged() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    assert world.turn() == [f"polled {AWS_KEY.text[-1]}", "handled a"]


def test_many_hints_are_one_poll() -> None:
    world = World()
    world.coming = [came(AWS_KEY, AWS_KEY, receipts="ab"), came(OTHER, AWS_KEY, receipts="cd")]
    (polled, *handled) = world.turn()
    assert polled == f"polled {' '.join(sorted((AWS_KEY.text[-1], '2')))}"
    assert handled == ["handled a b", "handled c d"]


def test_a_queue_that_never_gets_empty_is_not_gathered_for_ever() -> None:
    world = World()
    world.coming = [came(AWS_KEY) for _ in range(500)]
    assert len(world.turn()) == 51


def test_a_look_that_fails_does_not_lose_what_came_before_it() -> None:
    world = World()
    world.coming = [came(AWS_KEY), REFUSED]
    assert world.turn() == [f"polled {AWS_KEY.text[-1]}", "handled a"]


def test_a_hint_that_names_no_key_is_a_poll_of_all() -> None:
    world = World()
    world.coming = [came(AWS_KEY, None, receipts="ab")]
    assert world.turn() == ["polled all", "handled a b"]


def test_before_the_first_poll_any_hint_is_a_poll_of_all() -> None:
    world = World()
    world.known = None
    world.coming = [came(FAR)]
    assert world.turn() == ["polled all", "handled a"]


def test_keys_that_nothing_needs_are_acknowledged_and_counted_and_not_polled() -> None:
    world = World()
    world.coming = [came(FAR), came(receipts="b"), came(receipts="c", poison=1), came(AWS_KEY, receipts="d")]
    world.known = frozenset()
    assert world.turn() == ["handled a", "handled b", "handled c", "handled d"]
    world.known = frozenset({AWS_KEY})
    world.coming = [came(AWS_KEY)]
    world.turn()
    assert world.ear.messages == {"needed": 1, "unneeded": 2, "nothing": 1, "poison": 1}


def test_an_event_tells_a_projects_id_and_data_may_tell_its_number() -> None:
    event, one, other = (KeyName(GOOGLE_KEY.replace("projects/acme", f"projects/{name}")) for name in ("a", "1", "2"))
    world = World()
    followed: list[Collection[KeyName]] = world.followed
    world.known = frozenset({one, other, AWS_KEY, KeyName(f"{one}-2")})
    world.coming = [came(event), came(KeyName(f"{event}-3"), receipts="b")]
    assert world.turn() == ["polled n n", "handled a", "handled b"]
    assert followed == [{one, other}]
    world.known = frozenset({event, one})
    world.coming = [came(event)]
    world.passed += 60
    world.turn()
    assert followed[1:] == [{event}], "which poll reads it by its other names is known better there"
    assert (world.ear.messages["needed"], world.ear.messages["unneeded"]) == (2, 1)


def test_every_outcome_is_counted_from_zero() -> None:
    assert World().ear.messages == {"needed": 0, "unneeded": 0, "nothing": 0, "poison": 0}


def test_a_key_is_read_again_after_two_and_after_ten_minutes() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    world.turn()
    for passed, polled in ((119.9, False), (120.0, True), (121.0, False), (599.0, False), (600.0, True), (9e9, False)):
        world.passed = passed
        assert bool(world.turn()) is polled, passed


def test_hints_that_come_again_and_again_do_not_put_the_second_reading_off() -> None:
    again = Again()
    for now in (0.0, 60.0, 119.0):
        again.plan([AWS_KEY], now)
    assert again.take(119.0) == frozenset()
    assert again.take(120.0) == {AWS_KEY}
    assert again.take(718.0) == frozenset()
    assert again.take(719.0) == {AWS_KEY}
    assert again.wait(719.0) is None


def test_no_look_waits_beyond_what_is_due() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    world.turn()
    world.passed = 117.0
    world.turn()
    assert (world.waits[0], world.waits[-1]) == (4.0, 3.0)


def test_a_poll_that_fails_leaves_the_message_and_is_made_again_by_itself() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    world.polls_fail = True
    with pytest.raises(LedgerError):
        world.turn()
    assert world.done == [f"polled {AWS_KEY.text[-1]}"]
    world.polls_fail = False
    assert world.turn() == [f"polled {AWS_KEY.text[-1]}"]
    world.passed = 5.0
    assert world.turn() == []


def a_storm(world: World, until: float, *keys: KeyName | None) -> list[float]:
    """When something was polled while these keys were hinted at ten times a second."""
    polled = []
    while world.passed < until:
        world.coming = [came(*keys, receipts=f"{world.passed:.1f}".replace(".", "-"))]
        if any(one.startswith("polled") for one in world.turn()):
            polled.append(world.passed)
        world.passed = round(world.passed + 0.1, 1)
    return polled


@pytest.mark.parametrize("key", [AWS_KEY, None])
def test_a_storm_of_hints_at_one_key_is_a_few_polls(key: KeyName | None) -> None:
    world = World()
    assert a_storm(world, 40.0, key) == [0.0, 1.0, 3.0, 7.0, 15.0, 23.0, 31.0, 39.0]
    world.passed = 46.9
    assert world.turn() == []
    assert world.waits[-1] == pytest.approx(0.1)
    world.passed = 47.0
    polled, *handled = world.turn()
    assert (polled.startswith("polled "), len(handled)) == (True, 9), "the last hint is not lost"


def test_a_storm_is_over_after_some_seconds_without_a_hint() -> None:
    world = World()
    a_storm(world, 7.5, AWS_KEY)
    world.passed = 15.0
    world.turn()
    world.passed = 15.0 + 8.0 + 10.0
    world.coming = [came(AWS_KEY)]
    assert world.turn() == [f"polled {AWS_KEY.text[-1]}", "handled a"]
    world.passed += 1.0
    world.coming = [came(AWS_KEY)]
    assert len(world.turn()) == 2


def test_a_storm_at_one_key_does_not_hold_up_another() -> None:
    world = World()
    a_storm(world, 7.5, AWS_KEY)
    world.coming = [came(AWS_KEY, OTHER, receipts="ab"), came(OTHER, receipts="c")]
    assert world.turn() == ["polled 2", "handled c"]
    world.passed = 15.0
    assert world.turn()[-1] == "handled a b"


def test_a_poll_of_all_is_one_of_a_key_in_a_storm() -> None:
    world = World()
    a_storm(world, 1.0, AWS_KEY)
    world.coming = [came(None, receipts="z")]
    polled, *handled = world.turn()
    assert (polled, handled[-1], len(handled)) == ("polled all", "handled z", 10)
    world.passed = 1.1
    assert world.turn() == []


def test_nothing_is_acknowledged_that_was_not_polled_since_it_came() -> None:
    world = World()
    for passed in range(600):
        world.passed = passed / 10
        world.coming = [came(AWS_KEY, receipts=chr(0x4E00 + passed))]
        world.turn()
    came_at = {chr(0x4E00 + passed): passed / 10 for passed in range(600)}
    polled_at = {0.0, 1.0, 3.0, 7.0} | {15.0 + 8 * one for one in range(9)}
    last = -1.0
    for one in world.done:
        if one.startswith("polled"):
            last = min(at for at in polled_at if at > last)
        else:
            assert came_at[one.removeprefix("handled ")] <= last


def test_a_key_in_a_storm_is_polled_though_its_feed_fails() -> None:
    world = World()
    a_storm(world, 0.5, AWS_KEY)
    world.passed = 1.0
    world.coming = [REFUSED]
    before = len(world.done)
    with pytest.raises(CollectError):
        world.turn()
    assert world.done[before] == f"polled {AWS_KEY.text[-1]}"
    assert len(world.done) - before == 5, "and what had come is acknowledged"


def test_what_waits_in_a_storm_comes_again_where_the_poll_fails_and_is_polled_all_the_same() -> None:
    world = World()
    a_storm(world, 0.5, AWS_KEY)
    world.passed, world.polls_fail = 1.0, True
    with pytest.raises(LedgerError):
        world.turn()
    world.polls_fail = False
    assert world.turn() == [f"polled {AWS_KEY.text[-1]}"], "what was not acknowledged is forgotten here"


def test_what_comes_while_the_loop_ends_stays_in_the_queue() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    with pytest.raises(AuditorError, match="its loop is ending"):
        world.listener.turn(lambda: True)
    assert world.done == []


def test_a_feed_that_fails_rests_longer_and_longer_and_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.coming = [*([REFUSED] * 8), came(AWS_KEY), REFUSED, REFUSED]
    rests: list[float] = []
    stopping = threading.Event()

    def rest(length: float | None = None) -> bool:
        rests.append(length or 0)
        if not world.coming:
            stopping.set()
        return stopping.is_set()

    monkeypatch.setattr(stopping, "wait", rest)
    watch = Watch(lambda: world.passed)
    world.listener.run(watch, stopping)
    assert rests == [2, 4, 8, 16, 32, 60, 60, 60, 2]
    assert world.done == [f"polled {AWS_KEY.text[-1]}", "handled a"]
    assert world.ear.fault == str(REFUSED)
    assert watch.running_for(world.listener.loop) == timedelta(0)


def test_what_it_knows_goes_on_with_whoever_takes_its_place() -> None:
    world = World()
    world.coming = [came(AWS_KEY)]
    world.turn()
    before = world.ear
    world.listener = world.a_listener(world.listener.memory)
    assert world.ear == before


def test_times_are_told_by_the_clouds_clocks_and_nothing_happens_in_the_future() -> None:
    world = World()
    world.passed = 10.0
    late = Hint(AWS_KEY, "DisableKey", BEGAN + timedelta(days=9_999), "e-1")
    elsewhere = [hint(FAR, BEGAN - timedelta(hours=1)), hint(KeyName(GOOGLE_KEY), BEGAN)]
    world.coming = [Heard((late, *elsewhere), ("a",))]
    world.turn()
    now = BEGAN + timedelta(seconds=10)
    assert (world.ear.since, world.ear.answered, world.ear.newest) == (BEGAN, now, now)
    assert world.ear.told == {"us-east-1": now, "eu-west-1": BEGAN - timedelta(hours=1)}
    assert world.ear.told_of == {("acme", "us-east1"): BEGAN}, "who that is is judged with what is known of names"


def test_poison_is_logged_once_an_hour_and_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with caplog.at_level(logging.WARNING):
        for passed in (0.0, 10.0, 3_599.0, 3_601.0):
            world.passed = passed
            world.coming = [came(receipts="x", poison=1)]
            world.turn()
    assert [one.getMessage() for one in caplog.records] == [
        f"feed {world.name}: 1 messages are no events, and were set aside"
    ] * 2
