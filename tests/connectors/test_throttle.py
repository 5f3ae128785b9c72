"""How fast a bucket is asked, by a clock that the test moves."""

from auditor.connectors.throttle import Prefixes, Throttle


def passed(throttle: Throttle, begin: float, seconds: float, *, step: float = 0.01) -> int:
    """Ask as often as it lets pass, for so long."""
    count = 0
    for tick in range(round(seconds / step)):
        room = throttle.room(begin + tick * step)
        throttle.took(room)
        count += room
    return count


def test_the_ceiling_is_never_passed_over_any_second() -> None:
    throttle = Throttle(500, 0.0)
    assert 495 <= passed(throttle, 0.0, 1.0) <= 550
    assert 495 <= passed(throttle, 1.0, 1.0) <= 501


def test_a_long_rest_saves_up_no_more_than_a_tenth_of_a_second() -> None:
    throttle = Throttle(500, 0.0)
    assert throttle.room(3600.0) == 50


def test_a_storm_halves_the_rate_once_a_second_and_it_comes_back_within_a_minute() -> None:
    throttle = Throttle(500, 0.0)
    for second in range(5):
        for refusal in range(100):
            throttle.refused(second + refusal / 1000)
    assert throttle.rate == 500 / 2**5
    passed(throttle, 5.0, 40.0)
    assert throttle.rate >= 0.8 * 500
    passed(throttle, 45.0, 30.0)
    assert throttle.rate == 500


def test_however_long_a_storm_lasts_something_is_tried() -> None:
    throttle = Throttle(500, 0.0)
    for second in range(100):
        throttle.refused(float(second))
    assert throttle.rate == 1.0
    assert passed(throttle, 100.0, 10.0) >= 9


def test_a_ceiling_below_one_a_second_is_kept() -> None:
    throttle = Throttle(0.5, 0.0)
    assert passed(throttle, 0.0, 10.0) <= 6
    throttle.refused(10.0)
    assert throttle.rate == 0.5


def test_the_wait_is_as_long_as_the_next_request_needs() -> None:
    throttle = Throttle(10, 0.0)
    throttle.took(throttle.room(0.0))
    assert throttle.room(0.0) == 0
    wait = throttle.wait()
    assert 0 < wait <= 0.1
    assert throttle.room(wait + 1e-9) == 1


def test_a_prefix_gives_way_alone_and_two_mean_the_bucket() -> None:
    prefixes = Prefixes(500)
    assert not prefixes
    assert not prefixes.refused("a", 0.0)
    assert "a" in prefixes
    assert "b" not in prefixes
    assert not prefixes.refused("a", 1.5)
    assert prefixes.refused("b", 3.0), "within two seconds of the other"
    assert not prefixes.refused("b", 5.0)
    assert prefixes.room("a", 5.0) > 0


def test_a_prefix_is_forgotten_once_it_is_as_fast_as_the_bucket() -> None:
    prefixes = Prefixes(500)
    prefixes.refused("a", 0.0)
    prefixes.refused("b", 0.0)
    prefixes.forget([], 1.0)
    assert "a" in prefixes
    for second in range(2, 50):
        prefixes.forget(["b"], float(second))
    assert ("a" in prefixes, "b" in prefixes) == (False, True)


def test_the_wait_of_prefixes_is_that_of_the_nearest() -> None:
    prefixes = Prefixes(10)
    prefixes.refused("a", 0.0)
    prefixes.refused("b", 0.0)
    prefixes.refused("b", 1.0)
    waits = [prefixes.wait([one]) for one in ("a", "b")]
    assert 0 < waits[0] < waits[1]
    assert prefixes.wait(["a", "b"]) == waits[0]
    prefixes.took("nobody")
