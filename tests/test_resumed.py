"""A scan that is killed at any moment is gone on with, and ends with exact totals."""

import json
import random
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from auditor.embedded.google import GoogleCloud
from auditor.embedded.traffic import Fault, Request
from auditor.inventory.parts import disjoint, finished, left, rows_of
from auditor.model import Listing
from tests.clouds import GOOGLE_KEY, a_google_store, an_aws_cloud
from tests.forked import Forked
from tests.small import CONFIG as CONFIG_OF_GOOGLE
from tests.small import Small, a_small_cloud
from tests.sweeps import snapshot

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
OBJECTS = 6_000
CONFIG = """
state = "state"
[limits]
requests_per_second = 1500
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://data"
region = "us-east-1"
layout = "{org}/{namespace}/"
"""
SCAN = """
import sys
from auditor import cli
from auditor.connectors.aws import census
from auditor.connectors.transfers import Transfers
from auditor.inventory import parts
parts._SECONDS = 0.02
census._HEADS_AHEAD = 100
# With more of them a busy machine answers hundreds of requests before it has taken those of the first page.
Transfers.__init__.__kwdefaults__["connections"] = 4
sys.exit(cli._run(sys.argv[1:]))
"""


def scanning(config: Path) -> Forked:
    return Forked(SCAN, "scan", "-q", "--format", "json", "--config", str(config))


def test_a_scan_that_is_killed_twenty_times_goes_on_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = random.Random(5)  # noqa: S311 - repeatable
    config = tmp_path / "auditor.toml"
    config.write_text(CONFIG)
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("data")
        cloud.store.add_key(KEY)
        for number in range(OBJECTS):
            cloud.store.put("data", f"acme/{number % 7}/{number:06}", sse="aws:kms", key=KEY, size=number)
        monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", 40)
        seen = 0
        kept: list[int] = []
        done: set[str] = set()
        for _ in range(20):
            process = scanning(config)
            # Behind so many further requests, wherever that is: in a page, in a part, between two.
            until = seen + chosen.randrange(100, 500)
            while len(cloud.traffic.requests) < until and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            _, err = process.communicate(timeout=60)
            assert err == ""
            assert done.isdisjoint(headed(cloud.traffic.requests[seen:])), "what is finished is not done again"
            seen = len(cloud.traffic.requests)
            folders = list((tmp_path / "state").glob("inventory/*/.unfinished-*"))
            rows = [some for one in folders for some in rows_of(finished(one))]
            done = {name for some in rows for name in some["name"].to_pylist() if name}
            kept.append(len(done))
        assert kept == sorted(kept), "no finished part is lost"
        assert len(set(kept)) > 5, "it was killed with ever more done"
        process = scanning(config)
        out, err = process.communicate(timeout=120)
        told = json.loads(out)
        assert (err, told["totals"]["objects"]) == ("", OBJECTS)
        assert told["totals"]["bytes"] == sum(range(OBJECTS))
        everything = {f"acme/{number % 7}/{number:06}" for number in range(OBJECTS)}
        assert set(headed(cloud.traffic.requests[seen:])) == everything - done
    assert not list((tmp_path / "state").glob("inventory/*/.unfinished-*"))


def headed(requests: Iterable[Request]) -> list[str]:
    """Names of the objects of which some HEAD requests asked."""
    paths = (urlsplit(one.target).path for one in requests if one.verb == "HEAD")
    return [unquote(one.removeprefix("/data/")) for one in paths if one.startswith("/data/")]


def test_a_scan_in_shards_that_is_killed_lists_what_is_left_of_each(tmp_path: Path) -> None:
    chosen = random.Random(8)  # noqa: S311 - repeatable
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=2)
    total = 4_000
    for number in range(total):
        name = f"acme/{number % 23:02}/{number:06}"
        store.put("data", name, key=GOOGLE_KEY, version=1 + number % 2, size=number)
    with pytest.MonkeyPatch.context() as patch, GoogleCloud(store) as cloud:
        patch.setattr("auditor.embedded.google.storage._PAGE", 20)
        arrived = cloud.traffic.arrived

        def slowly(request: Request) -> Fault | None:
            time.sleep(0.02)
            return arrived(request)

        patch.setattr(cloud.traffic, "arrived", slowly)
        config = tmp_path / "auditor.toml"
        config.write_text(CONFIG_OF_GOOGLE.format(endpoint=cloud.endpoint) + "[limits]\nstreams = 4\n")
        seen, holes = 0, 0
        for _ in range(8):
            process = scanning(config)
            until = seen + chosen.randrange(10, 60)
            while len(cloud.traffic.requests) < until and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            assert process.communicate(timeout=60)[1] == ""
            seen = len(cloud.traffic.requests)
            folders = list((tmp_path / "state").glob("inventory/*/.unfinished-*"))
            holes = max([holes, *(len(left(disjoint(finished(one), Listing.STORED))) for one in folders)])
        assert holes > 2, "several shards were under way"
        process = scanning(config)
        out, err = process.communicate(timeout=120)
        told = json.loads(out)
        assert (err, told["totals"]["objects"], told["totals"]["bytes"]) == ("", total, sum(range(total)))
        pages = sum("/o?" in one.target and "softDeleted" not in one.target for one in cloud.traffic.requests)
        assert pages < total / 20 * 2, "most of it was not done again"
    (whole,) = (tmp_path / "state").glob("inventory/*/*/snapshot.json")
    names = [row["name"] for row in snapshot(whole.parent)]
    assert names == sorted(names)
    assert len(set(names)) == total


def test_what_was_killed_is_not_gone_on_with_by_another_config(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        killed_in_the_second_listing(small)
        kept = list((tmp_path / "state").glob("inventory/*/.unfinished-*"))
        assert len(kept) == 1
        small.config.write_text(small.config.read_text().replace("{org}/{namespace}/", "{org}/"))
        out, _ = scanning(small.config).communicate(timeout=60)
        assert json.loads(out)["totals"]["objects"] == 20
        asked = [one.target for one in small.cloud.traffic.requests]
        assert sum("/o?" in one and "softDeleted" not in one for one in asked) == 2


def test_a_whole_sweep_that_has_lost_the_list_of_its_parts_is_begun_anew_at_once(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        killed_in_the_second_listing(small)
        (folder,) = (tmp_path / "state").glob("inventory/*/.unfinished-*")
        assert finished(folder)
        # As a disk leaves it that has lost one of its files: whole by its name, and nobody knows of which parts.
        folder.rename(folder.with_name(folder.name.removeprefix(".unfinished-")))
        told = json.loads(scanning(small.config).communicate(timeout=60)[0])
        assert told["totals"]["objects"] == 20
        (bucket,) = told["coverage"]["buckets"]
        assert (bucket["complete"], bucket["last_attempt_failed"]) == (True, None)
        assert bucket["requests"]["objects_listed_before"] == 0


def killed_in_the_second_listing(small: Small) -> None:
    small.cloud.traffic.fail("softDeleted", delay=60, times=1)
    process = scanning(small.config)
    while not any("softDeleted" in one.target for one in small.cloud.traffic.requests):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
