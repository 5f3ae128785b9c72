"""Reports and tables write all their times in one way."""

import re
from pathlib import Path

import pytest

from auditor import outputs
from tests.outputs.test_hostile import page_of


def test_no_time_of_a_report_is_written_as_machines_write_it() -> None:
    shown = re.sub(r"<meta[^>]*>", "", page_of("harmless"))
    assert re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}\S*", shown) == []
    assert len(re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})? UTC", shown)) >= 20


TABLES = sorted(
    path
    for path in Path(outputs.__path__[0]).glob("*.py")
    if path.stem.endswith(("_table", "_text", "_words")) or path.stem in {"terminal", "summary", "last_use"}
)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_no_table_writes_times_as_json_does(path: Path) -> None:
    assert len(TABLES) >= 12, "this looks at what is there"
    assert re.findall(r"\b(?:stamp|exact|isoformat)\(", path.read_text()) == []
