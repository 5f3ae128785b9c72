from auditor.connectors.pace import Pace, Paces, of_a_bucket


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    time = Time()
    pace = Pace(10, burst=5, clock=time, sleep=time.sleep)
    for _ in range(5):
        pace.wait()
    assert time.now == 0
    for _ in range(20):
        pace.wait()
    assert abs(time.now - 2.0) < 1e-9


def test_a_rest_refills_the_burst_and_no_more() -> None:
    time = Time()
    pace = Pace(10, burst=5, clock=time, sleep=time.sleep)
    for _ in range(5):
        pace.wait()
    time.now = 1_000.0
    for _ in range(6):
        pace.wait()
    assert abs(time.now - 1_000.1) < 1e-9


def test_a_rate_below_one_a_second_still_lets_the_first_pass() -> None:
    time = Time()
    pace = Pace(0.5, clock=time, sleep=time.sleep)
    pace.wait()
    assert time.now == 0
    pace.wait()
    assert time.now == 2.0


def test_a_bucket_is_asked_for_a_tenth_of_a_second_s_worth_at_once() -> None:
    time = Time()
    pace = of_a_bucket(50, clock=time, sleep=time.sleep)
    left: list[float] = []
    for _ in range(200):
        pace.wait()
        left.append(time.now)
    assert max(sum(begin <= one < begin + 1 for one in left) for begin in left) <= 55


def test_each_place_has_a_pace_of_its_own() -> None:
    time = Time()
    paces = Paces(lambda: Pace(10, burst=1, clock=time, sleep=time.sleep))
    for place in (("1", "us-east-1"), ("1", "eu-west-1"), ("2", "us-east-1")):
        paces.of(*place).wait()
    assert time.now == 0
    paces.of("1", "us-east-1").wait()
    assert time.now > 0
