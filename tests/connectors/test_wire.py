"""What the clouds' Date headers say of their clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.connectors.wire import Wire

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
