"""`report --as asff` in the life of findings: what ended long ago is archived however seldom somebody imports."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import reporting
from tests.bundles import run
from tests.small import Small, a_small_cloud

HUB = '[report]\nsecurity_hub = "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"\n'


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as made:
        made.config.write_text(made.config.read_text().replace("[gcp]\n", f"{HUB}[gcp]\n"))
        yield made


def told(small: Small, *more: str) -> dict[str, dict[str, Any]]:
    """Rule -> what is told of its finding."""
    out = small.config.parent / "r.asff.jsonl"
    assert run(*small.argv("report", "--as", "asff", "-q", "-o", str(out), *more)) == 0
    every = [one for line in out.read_text().splitlines() for one in json.loads(line)["Findings"]]
    assert len({one["Id"] for one in every}) == len(every)
    return {one["GeneratorId"].removeprefix("cmek-auditor/"): one for one in every}


def disabled(small: Small, *, now: bool) -> None:
    small.set_state(1, "DISABLED" if now else "ENABLED")
    run(*small.argv("poll", "-q"))


def test_what_ended_is_archived_also_by_later_reports_and_what_came_back_is_open(small: Small) -> None:
    small.set_state(1, "DISABLED")
    assert run(*small.argv("scan", "-q")) == 1
    first = told(small)["data-unreadable"]
    assert first["RecordState"] == "ACTIVE"
    for _ in range(3):
        disabled(small, now=False)
        archived = told(small)["data-unreadable"]
        assert (archived["Id"], archived["RecordState"]) == (first["Id"], "ARCHIVED")
        assert archived["UpdatedAt"] > first["UpdatedAt"]
    disabled(small, now=True)
    again = told(small)["data-unreadable"]
    assert (again["Id"], again["RecordState"]) == (first["Id"], "ACTIVE")


def test_a_tenants_report_archives_its_own_and_knows_nothing_of_others(small: Small) -> None:
    small.set_state(1, "DISABLED")
    run(*small.argv("scan", "-q"))
    for _ in range(2):
        disabled(small, now=False)
    small.config.write_text(small.config.read_text().replace("{org}", "{tenant}"))
    run(*small.argv("scan", "-q"))
    assert told(small, "--view", "tenant", "acme")["data-unreadable"]["RecordState"] == "ARCHIVED"


def test_what_ended_longer_ago_than_anybody_keeps_it_is_told_no_more(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.set_state(1, "DISABLED")
    run(*small.argv("scan", "-q"))
    for _ in range(2):
        disabled(small, now=False)
    assert "data-unreadable" in told(small)
    monkeypatch.setattr(reporting, "_LATELY", timedelta(0))
    assert "data-unreadable" not in told(small)


def test_without_a_hub_it_is_refused_before_anything_is_written(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.config.write_text(small.config.read_text().replace(HUB, ""))
    run(*small.argv("scan", "-q"))
    assert run(*small.argv("report", "--as", "html,asff", "-o", str(small.config.parent / "r"))) == 2
    told_to = capsys.readouterr().err
    assert "needs the integration of AWS Security Hub" in told_to
    assert '[report] security_hub = "arn:aws:securityhub:' in told_to
    assert not list(small.config.parent.glob("r.*"))
