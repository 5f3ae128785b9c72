"""`scan --estimate` tells what a scan then really asks, and asks no bucket for it."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import cli
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.findings import BucketCoverage
from auditor.model import AwsKey, GcpKey, KeyManager, Population, Requests
from auditor.outputs import estimate_json, terminal
from auditor.prices import PRICES, Estimate, month_of, usd
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import NOW, a_gcp_key, a_version, an_aws_key
from tests.small import Small, a_small_cloud
from tests.test_resumed import CONFIG, KEY
from tests.test_sent import seen

OBJECTS = 1_200


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwsCloud]:
    """Versions enough for two pages; their sizes spread the moments at which they are due again."""
    (tmp_path / "auditor.toml").write_text(CONFIG)
    # What was written within minutes before a HEAD is asked again: here everything was.
    monkeypatch.setattr("auditor.connectors.aws.unchanged.SETTLED", timedelta(0))
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data", versioned=True)
        running.store.add_key(KEY)
        for number in range(1, OBJECTS + 1):
            running.store.put("data", f"acme/a/{number % 1_000:04}", sse="aws:kms", key=KEY, size=2_000 * number)
        yield running


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def told(config: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    argv = ["scan", "--estimate", "--format", "json", "--config", str(config), *more]
    code = cli._run(argv)  # noqa: SLF001 - the command without the end of the process
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    jsonschema.Draft202012Validator(estimate_json.schema()).validate(document)
    return document


def scan(config: Path, *more: str) -> int:
    return cli._run(["scan", "--quiet", "--config", str(config), *more])  # noqa: SLF001 - as above


def requests(document: dict[str, Any]) -> Requests:
    (bucket,) = document["buckets"]
    return Requests(*(bucket["requests"][name] for name in ("list", "head", "other")))


def test_a_bucket_that_was_never_swept_is_unknown_and_no_zero(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    (bucket,) = told(small.config, capsys)["buckets"]
    assert bucket == {
        "bucket": "gs://data",
        "unknown": "never swept",
        "objects": None,
        "swept": None,
        "populations_not_counted": [],
        "requests": None,
        "seconds_at_least": None,
    }
    code = cli._run(small.argv("scan", "--estimate"))  # noqa: SLF001 - as above
    out = capsys.readouterr().out
    assert (code, out.splitlines()[0]) == (0, "gs://data: unknown: never swept")
    assert "$" not in out
    assert small.cloud.traffic.requests == (), "nobody was asked anything"


def test_one_that_never_ended_is_unknown_too(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    fault = small.cloud.traffic.fail("/b/data/o?", status=403)
    assert scan(small.config) == 3
    capsys.readouterr()
    assert told(small.config, capsys)["buckets"][0]["unknown"] == "never swept to its end"
    fault.times = 0
    scan(small.config)
    (lost,) = small.config.parent.glob("state/inventory/*/*/dependencies.parquet")
    lost.unlink()
    capsys.readouterr()
    assert told(small.config, capsys)["buckets"][0]["unknown"] == "what its last sweep wrote cannot be used"


def test_on_gcs_it_is_what_the_next_scan_asks(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2_050):
        deleted: dict[str, Any] = {"soft_deleted_since": NOW} if number < 1_010 else {}
        small.cloud.store.put("data", f"acme/more/{number}", key=GOOGLE_KEY, version=1, **deleted)
    scan(small.config)
    begin = len(small.cloud.traffic.requests)
    capsys.readouterr()
    document = told(small.config, capsys)
    (bucket,) = document["buckets"]
    # 20 and 1,040 stored ones, 1,010 deleted ones, a page of uploads.
    assert requests(document) == Requests(lists=5, others=1)
    assert (bucket["objects"], bucket["unknown"], bucket["seconds_at_least"]) == (2_070, None, 0.012)
    assert len(small.cloud.traffic.requests) == begin, "nobody was asked anything"
    scan(small.config)
    assert seen(small.cloud.traffic, begin) == requests(document)


def test_populations_that_the_config_leaves_out_are_not_counted(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1_100):
        small.cloud.store.put("data", f"acme/more/{number}", key=GOOGLE_KEY, version=1, soft_deleted_since=NOW)
    scan(small.config)
    whole = small.config.read_text()
    small.config.write_text(f'{whole}populations = ["live"]\n')
    capsys.readouterr()
    document = told(small.config, capsys)
    assert (requests(document), document["buckets"][0]["objects"]) == (Requests(lists=2, others=1), 20)
    scan(small.config)
    small.config.write_text(whole)
    capsys.readouterr()
    (bucket,) = told(small.config, capsys)["buckets"]
    assert bucket["populations_not_counted"] == ["noncurrent", "soft_deleted"], "the last sweep did not look there"


def test_on_s3_a_scan_that_follows_needs_pages_alone(
    cloud: AwsCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditor.toml"
    scan(config)
    begin = len(cloud.traffic.requests)
    capsys.readouterr()
    document = told(config, capsys)
    assert requests(document) == Requests(lists=3, others=3)
    assert len(cloud.traffic.requests) == begin, "nobody was asked anything"
    scan(config)
    assert seen(cloud.traffic, begin) == requests(document)


def test_what_is_due_by_now_is_in_it(
    cloud: AwsCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "auditor.toml"
    scan(config)
    clock = Clock()
    later(monkeypatch, clock)
    heads = []
    for days in (10, 20, 30):
        clock.ahead = timedelta(days=days)
        capsys.readouterr()
        estimated = requests(told(config, capsys)).heads
        begin = len(cloud.traffic.requests)
        scan(config)
        heads.append(seen(cloud.traffic, begin).heads)
        assert heads[-1] == estimated
    assert sum(heads) == OBJECTS, "each once in thirty days"


def test_a_clock_that_is_late_makes_nothing_due(
    cloud: AwsCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.ahead = timedelta(minutes=-10)
    later(monkeypatch, clock)
    # The clouds tell their time in whole seconds, and everything was written in this one.
    monkeypatch.setattr("auditor.connectors.aws.unchanged.SETTLED", timedelta(seconds=-5))
    config = tmp_path / "auditor.toml"
    scan(config)
    capsys.readouterr()
    assert requests(told(config, capsys)).heads == 0
    assert cloud.traffic.requests


def later(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("auditor.commands.answering.assemble", lambda config, **more: assemble(config, clock, **more))


def all_by_config(config: Path) -> tuple[str, ...]:
    config.write_text(config.read_text().replace("[limits]\n", "[limits]\nreverify_days = 0\n"))
    return ()


def all_by_sdk(_: Path) -> tuple[str, ...]:
    return "--client", "boto3"


def all_for_damage(config: Path) -> tuple[str, ...]:
    (snapshot,) = config.parent.glob("state/inventory/*/*/snapshot.json")
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    return ()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("change", [all_by_config, all_by_sdk, all_for_damage])
def test_where_all_is_asked_again_so_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], tuple[str, ...]]
) -> None:
    config = tmp_path / "auditor.toml"
    scan(config)
    more = change(config)
    capsys.readouterr()
    assert requests(told(config, capsys, *more)) == Requests(lists=3, heads=OBJECTS, others=3)


def test_pages_of_delete_markers_are_known_from_the_sweep_that_met_them(
    cloud: AwsCloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2_000):
        cloud.store.put("data", f"acme/gone/{number:04}", delete_marker=True)
    config = tmp_path / "auditor.toml"
    scan(config)
    begin = len(cloud.traffic.requests)
    capsys.readouterr()
    document = told(config, capsys)
    scan(config)
    assert seen(cloud.traffic, begin) == requests(document)
    assert requests(document).lists > 3


def test_only_the_bucket_that_is_named_is_told_and_no_other_is_known(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.config.write_text(small.config.read_text() + '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\n')
    both = [one["bucket"] for one in told(small.config, capsys)["buckets"]]
    one = [one["bucket"] for one in told(small.config, capsys, "--bucket", "gs://more")["buckets"]]
    assert (both, one) == (["gs://data", "gs://more"], ["gs://more"])
    argv = small.argv("scan", "--estimate", "--bucket", "gs://other")
    assert cli._run(argv) == 2  # noqa: SLF001 - as above
    assert "is not in the config" in capsys.readouterr().err


def test_the_table_says_whence_its_prices_are(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    scan(small.config)
    capsys.readouterr()
    assert cli._run(small.argv("scan", "--estimate")) == 0  # noqa: SLF001 - as above
    head, row, *notes = capsys.readouterr().out.splitlines()
    assert head.split() == ["bucket", "objects", "LIST", "HEAD", "other", "estimated", "at", "least"]
    assert row.split() == ["gs://data", "20", "3", "0", "1", "<", "$0.0001", "1", "s"]
    (price,) = (one for one in notes if one.startswith("estimated: list price of Cloud Storage"))
    for said in ("$0.005 for 1,000 lists", "2026-11", "multi-regions", "not checked"):
        assert said in price
    assert notes[-1] == "No request was made to any bucket."


LIVE, NONCURRENT, SOFT_DELETED = Population
STORED = {LIVE: 1_000, NONCURRENT: 1, SOFT_DELETED: 2_000}
NEEDS: dict[str, tuple[str, tuple[Population, ...], Mapping[Population, int], Requests]] = {
    "S3": ("s3", (LIVE, NONCURRENT), STORED, Requests(3, 1_001, 3)),
    "S3, live alone": ("s3", (LIVE,), STORED, Requests(2, 1_000, 3)),
    "S3, noncurrent alone: live ones are listed as well": ("s3", (NONCURRENT,), STORED, Requests(3, 1, 3)),
    "S3, empty": ("s3", (LIVE, NONCURRENT), {}, Requests(2, 0, 3)),
    "Google": ("gs", (LIVE, NONCURRENT, SOFT_DELETED), STORED, Requests(5, 0, 1)),
    "Google, live alone": ("gs", (LIVE,), STORED, Requests(2, 0, 1)),
    "Google, deleted alone": ("gs", (SOFT_DELETED,), STORED, Requests(3, 0, 1)),
    "Google, empty": ("gs", (LIVE, NONCURRENT, SOFT_DELETED), {}, Requests(3, 0, 1)),
}


@pytest.mark.parametrize("by_sdk", [False, True], ids=["curl", "boto3"])
@pytest.mark.parametrize(("scheme", "populations", "stored", "needed"), NEEDS.values(), ids=NEEDS)
def test_a_page_has_a_thousand_entries_and_an_empty_listing_one_page(
    tmp_path: Path,
    scheme: str,
    populations: tuple[Population, ...],
    stored: Mapping[Population, int],
    needed: Requests,
    *,
    by_sdk: bool,
) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(
        'state = "state"\n[platform]\naws_principals = ["arn:aws:iam::111122223333:role/storage"]\n'
        f'[gcp]\nstorage_endpoint = "http://127.0.0.1:1"\n[[bucket]]\nurl = "{scheme}://data"\n'
        f'layout = "{{org}}/{{namespace}}/"\npopulations = {[one.value for one in populations]}\n'
    )
    assembly = assemble(load(config), by_sdk=by_sdk)
    try:
        (source,) = assembly.parts.sources
        assert source.needs(stored, None) == needed
    finally:
        assembly.close()


COSTS = {
    "ten million versions of a first sweep on S3": ("s3://data", Requests(10_000, 10_000_000, 3), 4.05),
    "pages alone on Google Cloud": ("gs://data", Requests(1_000_000, 0, 1), 5.00),
}


MONTHS: dict[str, tuple[AwsKey | GcpKey, float | None]] = {
    "a key of AWS": (an_aws_key(), 1.0),
    "a disabled key of AWS": (an_aws_key("Disabled"), 1.0),
    "a key of AWS that waits for its deletion": (an_aws_key("PendingDeletion"), 0.0),
    "a key that AWS manages": (an_aws_key(manager=KeyManager.PROVIDER), 0.0),
    "a version in software": (a_gcp_key(a_version()), 0.06),
    "a disabled version": (a_gcp_key(a_version(state="DISABLED")), 0.06),
    "a version that waits for its destruction": (a_gcp_key(a_version(state="DESTROY_SCHEDULED")), 0.06),
    "a destroyed version": (a_gcp_key(a_version(state="DESTROYED")), 0.0),
    "a version in an HSM": (a_gcp_key(a_version(protection_level="HSM")), 1.0),
    "a version outside": (a_gcp_key(a_version(protection_level="EXTERNAL_VPC")), 3.0),
    "a version of a level of the future": (a_gcp_key(a_version(protection_level="77")), None),
    "a version that signs": (a_gcp_key(a_version(), purpose="ASYMMETRIC_SIGN"), None),
    "a version that is not listed": (a_gcp_key(a_version("2")), None),
}


@pytest.mark.parametrize(("key", "month"), MONTHS.values(), ids=MONTHS)
def test_a_price_of_a_key_is_told_only_where_one_is_known(key: AwsKey | GcpKey, month: float | None) -> None:
    assert month_of(key, "1" if isinstance(key, GcpKey) else None) == month


@pytest.mark.parametrize(("bucket", "asked", "price"), COSTS.values(), ids=COSTS)
def test_prices_are_by_the_thousand(bucket: str, asked: Requests, price: float) -> None:
    assert usd(bucket, asked) == pytest.approx(price, abs=0.001)


def test_every_price_is_dated_and_sourced() -> None:
    assert {one.scheme for one in PRICES} == {"s3://", "gs://"}
    assert all(one.as_of and one.source and one.otherwise and one.place for one in PRICES)


def test_no_control_character_gets_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "s3://\x1b[31mred\x07"
    found = (Estimate(hostile, Requests(1), lacking=(Population.LIVE,)), Estimate(hostile, unknown=hostile))
    swept = BucketCoverage(hostile, True, 10, 10, 0, 0, 0, NOW, NOW, NOW, sent=Requests(1), kept=3)
    terminal.plain(sys.stdout).print(terminal.estimates(found, 500), terminal.sent([swept]))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\\x1b[31mred" in out


def test_buckets_are_added_up_without_those_of_which_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    known = (
        Estimate("s3://a", Requests(2, 1_000, 3), objects=1_000, swept=NOW),
        Estimate("gs://b", Requests(3, 0, 1), objects=2_500, swept=NOW),
    )
    document: dict[str, Any] = {}
    for found, name in (
        (known, "together"),
        ((*known, Estimate("s3://c", unknown="never swept")), "together, without 1"),
    ):
        out = StringIO()
        estimate_json.write(found, 500, out)
        document = json.loads(out.getvalue())
        jsonschema.Draft202012Validator(estimate_json.schema()).validate(document)
        terminal.plain(sys.stdout).print(terminal.estimates(found, 500))
        (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(name))
        assert row.removeprefix(f"{name} bucket").removeprefix(name).split() == [
            "3,500",
            "5",
            "1,000",
            "4",
            "$0.0004",
            "3",
            "s",
        ]
    assert document["totals"] == {
        "buckets": 2,
        "buckets_unknown": 1,
        "objects": 3_500,
        "requests": {"list": 5, "head": 1_000, "other": 4, "estimated_usd": 0.0004266},
    }
    terminal.plain(sys.stdout).print(terminal.estimates(known[:1], 500))
    assert "together" not in capsys.readouterr().out, "one bucket is its own sum"
