"""`report --as asff` in the life of findings: what ended long ago is archived however seldom somebody imports."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import reporting
from auditor.findings import Actor
from auditor.ledger.store import LedgerStore
from tests.bundles import BUCKET, OTHERS_KEY, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.hostile import NAMES
from tests.small import Small, a_small_cloud

HUB = '[report]\nsecurity_hub = "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"\n'
STRANGER = Actor("zeta-admin@zeta.example", "Disable", datetime(2026, 1, 1, tzinfo=UTC), "zeta", "zeta", "zeta-1")


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


def test_of_what_ended_no_byte_of_another_tenants_is_told_whoever_had_data_there_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_operator(tmp_path, BUCKET + HUB) as operator:

        def scanned(state: str) -> None:
            for key, version in ((GOOGLE_KEY, 2), (OTHERS_KEY, 1)):
                found = operator.cloud.store.key(key)
                assert found is not None
                found.versions[version].state = state
            operator.scanned()

        for name in (one for one in NAMES.values() if one.strip("./")):
            operator.cloud.store.put("data", f"zeta/zeta{name.replace('/', '|')}/1", key=GOOGLE_KEY, version=2)
        operator.put("acme/strays", 1, key=OTHERS_KEY)
        scanned("DISABLED")
        # Now acme is alone under its key, of which nobody says whose it is.
        for one in operator.cloud.store.buckets["data"].objects[:]:
            if one.name.startswith("zeta/zeta"):
                operator.cloud.store.buckets["data"].objects.remove(one)
        for _ in range(2):
            scanned("ENABLED")
        told_then = LedgerStore.ended
        monkeypatch.setattr(
            LedgerStore,
            "ended",
            lambda self, **more: tuple(replace(one, actor=STRANGER) for one in told_then(self, **more)),
        )
        out = operator.folder / "r.asff.jsonl"
        argv = ["report", "--as", "asff", "-q", "-c", str(operator.config), "-o", str(out)]
        assert run(*argv) == 0
        assert "zeta-admin" in out.read_text()
        assert run(*argv, "--view", "tenant", "acme") == 0
        text = out.read_text()
    assert "zeta" not in text.casefold()
    found = [one for line in text.splitlines() for one in json.loads(line)["Findings"]]
    over = {one["Resources"][0]["Id"]: one for one in found if one["RecordState"] == "ARCHIVED"}
    assert over.keys() == {f"{GOOGLE_KEY}/cryptoKeyVersions/2", "(not named here: 1) version 1"}
    assert all("this view does not tell" in one["ProductFields"]["cmek-auditor/done_by"] for one in over.values())


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
