"""What the config means to be so is told as that, for machines and in spreadsheets."""

import csv
import io

import pytest

from auditor.findings import Judgement
from auditor.outputs import scan_json, tabular
from tests.outputs.exported import WAIVER, a_meant_judgement, a_troubled_judgement


@pytest.mark.parametrize(("judgement", "meant"), [(a_meant_judgement(), True), (a_troubled_judgement(), False)])
def test_what_is_meant_is_told(judgement: Judgement, meant: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert {scan_json.finding(one)["meant"] for one in judgement.findings} == {meant}
    out = io.StringIO(newline="")
    tabular.write_findings(judgement, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert {row["meant"] for row in rows} == {"true" if meant else "false"}
    assert {row["waived_until"] for row in rows} == {"", scan_json.time(WAIVER.until)}
