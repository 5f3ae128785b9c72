"""What a sweep that broke off leaves is gone on with only where that is the same listing of the same bucket."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from auditor import scan
from auditor.config import load
from auditor.embedded.google import GoogleCloud
from auditor.errors import OrderError
from auditor.findings import Judgement
from auditor.inventory import files, parts
from auditor.inventory.store import FileInventory
from auditor.model import Listing
from auditor.ports import Begun, Coming, Known, ObjectSource, Passes, Shard, Written
from auditor.rows import Done
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, a_google_store
from tests.small import CONFIG, Small
from tests.test_at_once import Meanwhile
from tests.test_fleet import NoProgress

OBJECTS = 2_500


@pytest.fixture(autouse=True)
def parts_end_with_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_SECONDS", 0.0)


@contextmanager
def a_cloud(folder: Path, prefix: str = "acme/new") -> Iterator[Small]:
    """One bucket of three pages."""
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=2)
    for number in range(OBJECTS):
        store.put("data", f"{prefix}/{number:04}", key=GOOGLE_KEY, version=2, size=100)
    with GoogleCloud(store) as cloud:
        config = folder / "auditor.toml"
        config.write_text(CONFIG.format(endpoint=cloud.endpoint))
        yield Small(cloud, config)


@contextmanager
def assembled(small: Small) -> Iterator[Assembly]:
    assembly = assemble(load(small.config))
    yield assembly
    assembly.close()


def swept(small: Small) -> Judgement:
    with assembled(small) as assembly:
        return scan.scan(assembly.parts, NoProgress())


def objects(judgement: Judgement) -> dict[str, int]:
    return {one.bucket: one.listed for one in judgement.coverage.buckets}


def break_off(small: Small) -> None:
    """Let a sweep end at its third page."""
    small.cloud.traffic.fail("pageToken", skip=1, status=403)
    judgement = swept(small)
    assert judgement.coverage.buckets[0].last_attempt_failed is not None
    assert kept(small) == 1
    small.cloud.traffic.heal()


def kept(small: Small) -> int:
    return len(list((small.config.parent / "state").glob("inventory/*/.unfinished-*")))


def test_what_took_no_time_is_listed_anew_hours_later(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        small.cloud.traffic.heal()
        for path in (tmp_path / "state").glob("inventory/*/.unfinished-*/*"):
            os.utime(path, times=(0, time.time() - 2 * 3600))
        small.cloud.store.put("data", "acme/new/0000-new", key=GOOGLE_KEY, version=2, size=100)
        assert objects(swept(small)) == {"gs://data": OBJECTS + 1}


def pages(small: Small, since: int) -> list[str]:
    return [one.target for one in small.cloud.traffic.requests[since:] if "/o?" in one.target]


def test_what_broke_off_is_gone_on_with_behind_what_it_finished(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        begin = len(small.cloud.traffic.requests)
        judgement = swept(small)
        assert objects(judgement) == {"gs://data": OBJECTS}
        assert judgement.coverage.buckets[0].last_attempt_failed is None
        assert "startOffset=acme%2Fnew%2F0999" in pages(small, begin)[0]
        assert kept(small) == 0


def test_what_is_gone_on_with_is_no_newer_than_a_sweep_that_began_after_it(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:

        def newer_then_fail() -> None:
            assert objects(swept(small)) == {"gs://data": OBJECTS}
            small.cloud.traffic.fail("pageToken", skip=1, status=403)

        with assembled(small) as assembly:
            scan.scan(assembly.parts, Meanwhile(newer_then_fail))
        small.cloud.traffic.heal()
        small.cloud.store.put("data", "acme/new/0000x", key=GOOGLE_KEY, version=1, size=100)
        with assembled(small) as assembly:
            scan.poll(assembly.parts, NoProgress())
        assert objects(swept(small)) == {"gs://data": OBJECTS + 1}


def test_at_another_endpoint_it_is_begun_anew(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
    with a_cloud(tmp_path, "acme/other") as other:
        begin = len(other.cloud.traffic.requests)
        assert objects(swept(other)) == {"gs://data": OBJECTS}
        assert not any("startOffset" in one for one in pages(other, begin))
        assert kept(other) == 0


BEFORE = (
    b'{"kind": "storage#objects", "items": [{"name": "acme/new/0001", "generation": "1", "size": "1", '
    b'"timeCreated": "2026-01-01T00:00:00Z"}]}'
)


def test_where_it_cannot_be_gone_on_with_the_same_scan_begins_anew(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        small.cloud.traffic.fail("startOffset", status=200, body=BEFORE)
        judgement = swept(small)
        assert objects(judgement) == {"gs://data": OBJECTS}
        assert judgement.gaps == ()


def test_what_another_process_has_given_up_meanwhile_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        write = FileInventory.write

        def too_late(self: FileInventory, bucket: str, begun: Begun, passes: Passes) -> Written:
            if begun.kept:
                (folder,) = (tmp_path / "state").glob("inventory/*/.unfinished-*")
                shutil.rmtree(folder)
            return write(self, bucket, begun, passes)

        monkeypatch.setattr(FileInventory, "write", too_late)
        judgement = swept(small)
        assert (objects(judgement), judgement.gaps) == ({"gs://data": OBJECTS}, ())
        assert judgement.coverage.buckets[0].kept == 0, "it is a sweep of its own, as old as it is"


def test_what_breaks_off_again_stays_as_it_was(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        small.cloud.traffic.fail("startOffset", status=403)
        assert not swept(small).coverage.buckets[0].complete
        small.cloud.traffic.heal()
        begin = len(small.cloud.traffic.requests)
        assert objects(swept(small)) == {"gs://data": OBJECTS}
        assert "startOffset" in pages(small, begin)[0]


def test_a_refusal_of_later_soft_deleted_objects_does_not_mean_that_there_are_none(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        for number in range(OBJECTS):
            small.cloud.store.put(
                "data", f"acme/old/{number:04}", key=GOOGLE_KEY, version=1, soft_deleted_since=small.cloud.store.clock()
            )
        small.cloud.traffic.fail("pageToken", skip=3, status=403)
        assert not swept(small).coverage.buckets[0].complete
        small.cloud.traffic.heal()
        # What the bucket says of itself is not readable, so that it may be one that keeps nothing.
        small.cloud.traffic.fail("/b/data?", status=403)
        small.cloud.traffic.fail("startOffset", status=400, times=1)
        begin = len(small.cloud.traffic.requests)
        assert objects(swept(small)) == {"gs://data": 2 * OBJECTS}
        assert "softDeleted=true" in pages(small, begin)[0]


def test_by_another_ledger_it_is_begun_anew_and_later_sweeps_count(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        swept(small)
        for _ in range(3):
            with assembled(small) as assembly:
                scan.poll(assembly.parts, NoProgress())
        break_off(small)
        for path in (tmp_path / "state").glob("ledger.db*"):
            path.unlink()
        begin = len(small.cloud.traffic.requests)
        assert objects(swept(small)) == {"gs://data": OBJECTS}
        assert not any("startOffset" in one for one in pages(small, begin))
        for number in range(3):
            small.cloud.store.put("data", f"acme/new/{number}x", key=GOOGLE_KEY, version=1, size=100)
            assert objects(swept(small)) == {"gs://data": OBJECTS + number + 1}


def test_the_sdks_go_on_with_no_sweep_but_their_own(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        break_off(small)
        begin = len(small.cloud.traffic.requests)
        assembly = assemble(load(small.config), by_sdk=True)
        assert objects(scan.scan(assembly.parts, NoProgress())) == {"gs://data": OBJECTS}
        assembly.close()
        assert not any("startOffset" in one for one in pages(small, begin))


def test_on_a_disk_that_is_full_nothing_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with a_cloud(tmp_path) as small:
        break_off(small)
        begin = len(small.cloud.traffic.requests)
        with monkeypatch.context() as patch:
            patch.setattr(files, "put", full)
            (gap,) = (one for one in swept(small).gaps if "No space" in str(one.effect))
        assert gap.what == "gs://data"
        assert all("startOffset" in one or "pageToken" in one for one in pages(small, begin))
        assert kept(small) == 1
        begin = len(small.cloud.traffic.requests)
        assert objects(swept(small)) == {"gs://data": OBJECTS}
        assert "startOffset" in pages(small, begin)[0]


def test_what_was_swept_at_another_endpoint_is_a_gap_until_it_is_swept_at_this_one(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small:
        assert swept(small).gaps == ()
    with a_cloud(tmp_path, "acme/other") as other, assembled(other) as assembly:
        (gap,) = [one for one in scan.poll(assembly.parts, NoProgress()).gaps if one.what == "gs://data"]
        assert gap.what == "gs://data"
        assert "another" in gap.effect
        assert scan.wanting(assembly.parts) == {"gs://data"}
        assert scan.scan(assembly.parts, NoProgress()).gaps == ()


class Disordered:
    """A bucket that cannot be listed in shards."""

    def __init__(self, source: ObjectSource) -> None:
        self._source = source
        self.split: list[bool] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def shards(
        self, listing: Listing, shards: Sequence[Shard], known: Known | None = None, *, split: bool = True
    ) -> Iterator[tuple[Shard, Coming]]:
        self.split.append(split)
        for shard, some in self._source.shards(listing, shards, known, split=split):
            yield shard, some
            if split and not isinstance(some, Done):
                raise OrderError(self._source.url)


def test_what_cannot_be_listed_in_shards_is_listed_in_one_go_by_the_same_scan(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as small, assembled(small) as assembly:
        source = Disordered(assembly.parts.sources[0])
        whole = replace(assembly.parts, sources=(cast("ObjectSource", source),))
        judgement = scan.scan(whole, NoProgress())
        assert objects(judgement) == {"gs://data": OBJECTS}
        assert judgement.coverage.buckets[0].complete
        assert source.split == [True, False, False], "each pass of the second attempt"
        assert kept(small) == 0
