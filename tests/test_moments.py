"""A moment of any year is written in one way on every platform."""

import logging
import re
from datetime import UTC, datetime
from pathlib import Path

from auditor import log, moments
from auditor.connectors.gcp import log_entry
from auditor.outputs import words
from auditor.run import new_id

FIRST = datetime(1, 2, 3, 4, 5, 6, 7, UTC)
"""Of a year that `%Y` writes as 1 where the C library pads nothing."""


def test_a_year_has_four_digits_wherever_a_moment_is_written() -> None:
    assert moments.stamp(FIRST) == words.stamp(FIRST) == "0001-02-03T04:05:06Z"
    assert moments.minute(FIRST) == words.instant(FIRST) == "0001-02-03 04:05 UTC"
    assert moments.exact(FIRST) == log_entry.stamp(FIRST) == "0001-02-03T04:05:06.000007Z"
    assert moments.day(FIRST) == "0001-02-03"
    assert new_id(FIRST).startswith("00010203T040506.000007Z-")


def test_a_line_of_the_log_has_its_microseconds_also_where_there_are_none() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "told", None, None)
    record.created = 0.0
    assert log._Plain().format(record).startswith("1970-01-01T00:00:00.000000Z ")  # noqa: SLF001 - the format itself


def test_nothing_writes_a_year_as_the_c_library_pleases() -> None:
    auditor = Path(moments.__file__).parent
    found = [
        (path.relative_to(auditor).as_posix(), line)
        for path in auditor.rglob("*.py")
        if path.relative_to(auditor).parts[0] != "embedded"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"%[YGy]\b|:%Y|%Y", line) and path.name != "moments.py"
    ]
    assert found == []
