"""What is counted of answers, and what the clouds' Date headers say of their clocks."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auditor.connectors.wire import OTHER, Wire
from auditor.model import Requests

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO_DATES = {
    "off the calendar": "Fri, 31 Dec 9999 23:59:59 -0500",
    "no date": "garbage",
    "empty": "",
    "no zone": "Thu, 01 Jan 2026 09:00:00 -0000",
    "no such day": "Thu, 99 Jan 2026 09:00:00 GMT",
    "no such zone": "Thu, 01 Jan 2026 09:00:00 +9999999999999999",
}


@pytest.mark.parametrize("date", NO_DATES.values(), ids=NO_DATES)
def test_an_answer_whose_date_makes_no_sense_is_counted_and_tells_no_skew(date: str) -> None:
    wire = Wire(lambda: NOW)
    wire.answered("s3", "GetObject", "ok", date)
    assert (wire.requests("s3"), wire.skew()) == (1, timedelta(0))


def test_the_median_of_the_dates_that_make_sense_is_the_skew() -> None:
    wire = Wire(lambda: NOW)
    for date in ("Thu, 01 Jan 2026 00:00:10 GMT", *NO_DATES.values(), "Thu, 01 Jan 2026 01:00:20 +0100"):
        wire.answered("s3", "GetObject", "ok", date)
    assert wire.skew() == timedelta(seconds=15)


@pytest.mark.parametrize("jump", [timedelta(minutes=5), timedelta(minutes=-5)], ids=["forwards", "backwards"])
def test_one_answer_after_our_clock_was_set_tells_the_new_skew(jump: timedelta) -> None:
    passed = 0.0
    ours = NOW
    wire = Wire(lambda: ours, lambda: passed)
    for passed in (float(second) for second in range(0, 300, 10)):
        ours = NOW + timedelta(seconds=passed)
        wire.answered("kms", "DescribeKey", "ok", format_datetime(ours, usegmt=True))
    assert wire.skew() == timedelta(0)
    passed += 60
    true = NOW + timedelta(seconds=passed)
    ours = true + jump
    wire.answered("kms", "DescribeKey", "ok", format_datetime(true, usegmt=True))
    assert wire.skew() == -jump
    assert ours + wire.skew() == true


def test_a_clock_that_goes_on_as_time_does_keeps_the_median() -> None:
    passed = 0.0
    wire = Wire(lambda: NOW + timedelta(seconds=passed), lambda: passed)
    for passed, off in ((0.0, 10), (3600.0, 10), (7200.0, -50)):
        date = NOW + timedelta(seconds=passed + off)
        wire.answered("kms", "DescribeKey", "ok", format_datetime(date, usegmt=True))
    assert wire.skew() == timedelta(seconds=10)


def test_what_other_processes_were_answered_counts_as_answers_and_as_no_request_of_this_one() -> None:
    wire = Wire(lambda: NOW)
    wire.answered("s3", "HeadObject", "ok", bucket="s3://data")
    wire.heard({("s3", "HeadObject", "ok"): 6, ("s3", "HeadObject", "SlowDown"): 1})
    assert wire.counts() == {("s3", "HeadObject", "ok"): 7, ("s3", "HeadObject", "SlowDown"): 1}
    assert wire.sent("s3://data") == Requests(heads=1)


def test_error_codes_that_never_come_twice_fill_neither_the_memory_nor_a_scrape() -> None:
    wire = Wire(lambda: NOW)
    wire.answered("s3", "HeadObject", "AccessDenied")
    for number in range(1000):
        wire.answered("s3", "HeadObject", f"request-{number}")
    wire.answered("s3", "HeadObject", "ok")
    wire.answered("s3", "HeadObject", "AccessDenied")
    wire.answered("kms", "DescribeKey", "ThrottlingException")
    counts = wire.counts()
    assert len(counts) == 23
    assert counts["s3", "HeadObject", OTHER] == 981
    assert (counts["s3", "HeadObject", "AccessDenied"], counts["s3", "HeadObject", "ok"]) == (2, 1)
    assert counts["kms", "DescribeKey", "ThrottlingException"] == 1
    assert wire.requests("s3") == 1003
