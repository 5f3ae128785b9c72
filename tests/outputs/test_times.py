"""A report writes all its times in one way."""

import re

from tests.outputs.test_hostile import page_of


def test_no_time_of_a_report_is_written_as_machines_write_it() -> None:
    shown = re.sub(r"<meta[^>]*>", "", page_of("harmless"))
    assert re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}\S*", shown) == []
    assert len(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})? UTC", shown)) >= 20
