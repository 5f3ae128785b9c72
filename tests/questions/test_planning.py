"""What stays under old versions is told with its pace, its deadline, and what moving it takes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.model import KeyName
from auditor.outputs import retire_json
from auditor.questions.retire.move import Move, Trend
from auditor.questions.retire.planning import COPIED_A_SECOND, planning
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import NOW, days
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def watching(small: Small) -> Iterator[tuple[Assembly, Clock]]:
    clock = small.cloud.store.clock
    assert isinstance(clock, Clock)
    assembly = assemble(load(small.config), clock)
    yield assembly, clock
    assembly.close()


def planned(assembly: Assembly, key: str = GOOGLE_KEY) -> tuple[Move, ...]:
    judgement = scan.scan(assembly.parts, NoProgress())
    known = assembly.ledger.memory()[KeyName(key)].last
    assert known is not None
    return planning(known, judgement, assembly.rows(judgement), assembly.ledger, judgement.now)


def test_only_what_is_under_an_old_version_has_to_move(watching: tuple[Assembly, Clock]) -> None:
    (one,) = planned(watching[0])
    assert (one.version, one.state, one.objects, one.size, one.namespaces) == ("1", "ENABLED", 10, 1000, 1)
    assert (one.first, one.deadline, one.fits(NOW)) == (None, None, None)
    assert one.copying == timedelta(seconds=1000 / COPIED_A_SECOND)
    assert one.usd == pytest.approx(10 * 0.005 / 1000)
    assert [(row.namespace, row.size) for row in one.largest] == [("acme/old", 1000)]


def test_a_namespace_is_idle_until_it_stores_something_under_a_newer_version(
    small: Small, watching: tuple[Assembly, Clock]
) -> None:
    small.cloud.store.put("data", "acme/old/more", key=GOOGLE_KEY, version=1, size=1)
    small.cloud.store.put("data", "acme/idle/1", key=GOOGLE_KEY, version=1, size=1)
    assert planned(watching[0])[0].idle == 2
    small.cloud.store.put("data", "acme/old/again", key=GOOGLE_KEY, version=2, size=1)
    (one,) = planned(watching[0])
    assert (one.namespaces, one.idle) == (2, 1)


def test_the_pace_of_the_last_month_tells_when_it_would_be_over(small: Small, watching: tuple[Assembly, Clock]) -> None:
    assembly, clock = watching
    begun = clock()
    (one,) = planned(assembly)
    assert one.trend is None, "nobody knows a pace yet"
    clock.ahead += days(1)
    (one,) = planned(assembly)
    assert one.trend is not None
    assert (one.trend.then, one.trend.empty_at) == (1000, None), "it does not become less"
    clock.ahead += days(9)
    home = small.cloud.store.buckets["data"]
    home.objects[:] = [one for one in home.objects if one.name not in {f"acme/old/{number}" for number in range(4)}]
    (one,) = planned(assembly)
    assert one.trend is not None
    assert one.trend.empty_at is not None
    # 400 of 1,000 bytes in ten days, so that the rest takes fifteen more.
    assert abs(one.trend.empty_at - (begun + days(25))) < timedelta(minutes=5)
    clock.ahead += days(35)
    (one,) = planned(assembly)
    assert one.trend is not None
    assert (one.trend.then, one.trend.empty_at) == (600, None), "what was before the last month says nothing of now"


def test_more_than_before_is_no_way_out(small: Small, watching: tuple[Assembly, Clock]) -> None:
    planned(watching[0])
    watching[1].ahead += days(2)
    small.cloud.store.put("data", "acme/old/more", key=GOOGLE_KEY, version=1, size=1)
    (one,) = planned(watching[0])
    assert one.trend is not None
    assert (one.trend.then, one.trend.empty_at) == (1000, None)


def test_what_waits_for_its_destruction_comes_first_and_must_be_restored(
    small: Small, watching: tuple[Assembly, Clock]
) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.versions[3] = replace(key.versions[2], number=3)
    key.primary = 3
    key.versions[2].state = "DESTROY_SCHEDULED"
    key.versions[2].destroy_time = watching[1]() + days(3)
    second, first = planned(watching[0])
    assert (second.version, first.version) == ("2", "1")
    assert second.deadline == key.versions[2].destroy_time
    assert second.first is not None
    assert "DESTROY_SCHEDULED" in second.first
    assert (second.fits(NOW), second.fits(second.deadline)) == (True, False)


def test_what_is_under_a_newer_version_than_the_primary_one_has_to_move_too(
    small: Small, watching: tuple[Assembly, Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    key.primary = 1
    (one,) = planned(watching[0])
    assert (one.version, one.newer, one.objects, one.namespaces) == ("2", True, 10, 1)
    assert one.idle is None, "what is under version 1 may be of before"
    assert cli._run([*small.argv("retire", "--format", "json"), GOOGLE_KEY]) == 0  # noqa: SLF001 - as below
    told = json.loads(capsys.readouterr().out)
    jsonschema.validate(told, retire_json.schema(), format_checker=jsonschema.FormatChecker())
    assert [(each["idle_namespaces"], each["newer_than_primary"]) for each in told["moves"]] == [(None, True)]
    cli._run([*small.argv("retire"), GOOGLE_KEY])  # noqa: SLF001 - as below
    assert "made an older one the primary one again; where that is undone, nothing need move" in capsys.readouterr().out
    key.primary = 2
    assert [(each.version, each.newer) for each in planned(watching[0])] == [("1", False)]


def test_what_is_lost_cannot_be_moved(small: Small, watching: tuple[Assembly, Clock]) -> None:
    small.set_state(1, "DESTROYED")
    assert planned(watching[0]) == ()


def test_a_plan_stands_in_retire_of_that_key_alone(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    def document(*more: str) -> dict[str, Any]:
        assert cli._run([*small.argv("retire", "--format", "json"), *more]) == 0  # noqa: SLF001 - without the end of the process
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        jsonschema.validate(told, retire_json.schema(), format_checker=jsonschema.FormatChecker())
        return told

    cli._run(small.argv("scan", "-q"))  # noqa: SLF001 - as above
    capsys.readouterr()
    assert document()["moves"] == []
    (one,) = document(GOOGLE_KEY)["moves"]
    assert (one["key_version"], one["bytes"], one["idle_namespaces"], one["trend"]) == ("1", 1000, 1, None)
    assert document(GOOGLE_KEY, "--destroy")["moves"] == [], "nothing else stands beside what destroys"
    cli._run([*small.argv("retire"), GOOGLE_KEY])  # noqa: SLF001 - as above
    out = capsys.readouterr().out
    assert "not known: watched for less than a day" in out
    assert "copy_from_namespace" in out
    cli._run([*small.argv("retire", "--destroy"), GOOGLE_KEY])  # noqa: SLF001 - as above
    assert "copy_from_namespace" not in capsys.readouterr().out


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("objects")
        running.store.add_key(AWS_KEY)
        running.store.put("objects", "acme/s3/1", size=100, sse="aws:kms", key=AWS_KEY)
        running.store.put("objects", "acme/other/1", size=100, sse="aws:kms", key=AWS_KEY)
        yield running


def test_on_aws_a_namespace_is_idle_that_has_nothing_under_another_key(
    aws: AwsCloud, small: Small, tmp_path: Path
) -> None:
    other = AWS_KEY[:-1] + ("0" if AWS_KEY[-1] != "0" else "1")
    aws.store.add_key(other)
    aws.store.put("objects", "acme/other/2", size=5, sse="aws:kms", key=other)
    config = tmp_path / "aws.toml"
    config.write_text(small.config.read_text() + AWS_CONFIG)
    assembly = assemble(load(config))
    try:
        (one,) = planned(assembly, AWS_KEY)
        assert (one.version, one.objects, one.size, one.namespaces, one.idle) == (None, 2, 200, 2, 1)
        key = aws.store.key(AWS_KEY)
        assert key is not None
        key.state, key.deletion_date = "PendingDeletion", datetime.now(UTC) + days(8)
        (one,) = planned(assembly, AWS_KEY)
        assert one.deadline is not None
        assert one.first is not None
    finally:
        assembly.close()


def test_a_plan_fits_up_to_the_very_deadline() -> None:
    one = Move("1", "ENABLED", 1, 1, 1, 0, Trend(NOW, 1, None), NOW + days(1), None, days(1), 0.0, ())
    assert (one.fits(NOW), one.fits(NOW + timedelta(seconds=1))) == (True, False)
