"""Which versions are not HEADed again, page by page and by a sweep that follows another."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.aws.census import S3Census
from auditor.connectors.aws.listing import Page
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.aws.unchanged import Comparison, due, is_due, lasts
from auditor.connectors.pace import Pace
from auditor.embedded.aws import AwsCloud
from auditor.inventory.folders import folder_name
from auditor.inventory.known import KnownRows
from auditor.inventory.layout import Layout
from auditor.inventory.parts import Part, published
from auditor.inventory.store import FileInventory
from auditor.inventory.totals import Told
from auditor.model import Encryption, Listing, Population, Reason, StoredObject
from auditor.rows import SCHEMA, Fingerprint, batched
from tests.clouds import an_aws_cloud, aws_clients, object_of
from tests.sweeps import batches, snapshot, write

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
OTHER = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000002"
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
STORED, _ = Listing


def an_object(name: str = "a", **more: Any) -> StoredObject:
    facts: dict[str, Any] = {
        "version": "v1",
        "population": Population.LIVE,
        "size": 10,
        "modified": WRITTEN,
        "etag": "e",
        "storage_class": "STANDARD",
        "archived": False,
        "encryption": Encryption.CMEK,
        "key": KEY,
        "key_version": None,
        "verified": NOW - timedelta(hours=1),
        **more,
    }
    return StoredObject(name=name, **facts)


def a_page(*objects: StoredObject) -> Page:
    return Page(
        names=[one.name for one in objects],
        versions=[one.version for one in objects],
        newest=[one.population is Population.LIVE for one in objects],
        sizes=[one.size for one in objects],
        modified=[f"{one.modified:%Y-%m-%dT%H:%M:%S}.000Z" for one in objects],
        etags=[one.etag for one in objects],
        classes=[one.storage_class for one in objects],
        following=None,
    )


def rows_of(*objects: StoredObject, slot: int = 0) -> pa.Table:
    found = pa.Table.from_batches(list(batched(objects)), SCHEMA)
    return found.append_column("slot", pa.array([slot] * len(objects), pa.int64()))


def unchanged(page: Page, before: pa.Table, now: datetime, period: timedelta) -> list[int | None]:
    """Which rows stand for a page's entries; that all do is told as well, and the same way."""
    comparison = Comparison(page, before, now, period)
    places = list(comparison.places())
    assert comparison.whole == (places == [*range(before.num_rows)])
    return places


AS_IT_WAS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "noncurrent by now": {"population": Population.NONCURRENT},
}
CHANGED: dict[str, dict[str, Any]] = {
    "another version": {"version": "v2"},
    "no version": {"version": None},
    "another ETag": {"etag": "f"},
    "no ETag": {"etag": None},
    "another size": {"size": 11},
    "another date": {"modified": WRITTEN + timedelta(seconds=1)},
    "another class": {"storage_class": "GLACIER"},
    "another name": {"name": "b"},
}


@pytest.mark.parametrize("more", AS_IT_WAS.values(), ids=AS_IT_WAS)
@pytest.mark.parametrize("beside", [(), ("z",)], ids=["alone", "beside a new one"])
def test_what_is_listed_as_it_was_is_not_asked_again(more: dict[str, Any], beside: tuple[str, ...]) -> None:
    page = a_page(replace(an_object(), **more), *(an_object(name) for name in beside))
    assert unchanged(page, rows_of(an_object()), NOW, MONTH) == [0, *(None for _ in beside)]


@pytest.mark.parametrize("more", CHANGED.values(), ids=CHANGED)
def test_what_is_listed_otherwise_is_asked_again(more: dict[str, Any]) -> None:
    page = a_page(replace(an_object(), **more))
    assert unchanged(page, rows_of(an_object()), NOW, MONTH) == [None]


UNTRUSTED: dict[str, dict[str, Any]] = {
    "not known then": {"encryption": Encryption.UNKNOWN, "key": None, "verified": None, "problem": Reason.TIMEOUT},
    "asked in the future": {"verified": NOW + timedelta(seconds=1)},
    "written just before it was asked": {"modified": NOW - timedelta(minutes=64, seconds=59)},
    "asked a month ago": {"verified": NOW - MONTH},
    "asked years ago": {"modified": WRITTEN - MONTH * 60, "verified": NOW - MONTH * 50},
    "without an ETag": {"etag": None},
    "under a key that only its writer has": {"encryption": Encryption.CUSTOMER_SUPPLIED, "key": None},
}


@pytest.mark.parametrize("more", UNTRUSTED.values(), ids=UNTRUSTED)
def test_what_cannot_be_trusted_is_asked_again(more: dict[str, Any]) -> None:
    before = an_object(**more)
    assert unchanged(a_page(before), rows_of(before), NOW, MONTH) == [None]


def test_what_was_asked_five_minutes_after_it_was_written_is_trusted() -> None:
    before = an_object(modified=NOW - timedelta(minutes=65))
    assert unchanged(a_page(before), rows_of(before), NOW, MONTH) == [0]


def test_without_a_period_everything_is_asked_again() -> None:
    assert unchanged(a_page(an_object()), rows_of(an_object()), NOW, timedelta(0)) == [None]


@given(
    st.datetimes(datetime(2006, 1, 1), datetime(2026, 10, 1)),  # noqa: DTZ001 - made aware below
    st.integers(0, 2**48 - 1),
    st.integers(600, 86_400 * 90),
    st.integers(1, 365),
)
def test_each_version_is_asked_once_within_the_period(written: datetime, slot: int, later: int, days: int) -> None:
    verified = written.replace(microsecond=0, tzinfo=UTC) + timedelta(seconds=later)
    one = an_object(modified=written.replace(microsecond=0, tzinfo=UTC), verified=verified)
    period = timedelta(days=days)
    stretch = AStretch((verified, verified), slot)

    def due(after: timedelta) -> bool:
        asked = unchanged(a_page(one), rows_of(one, slot=slot), verified + after, period) == [None]
        assert is_due(stretch, verified + after, period) is asked, "one by one as in a stretch"
        return asked

    assert due(period)
    steps = [due(period * step / 50) for step in range(51)]
    assert steps == sorted(steps), "once due it stays so until it is asked"


@dataclass
class AStretch:
    # What is asked of a stretch when it is due.
    verified: tuple[datetime, datetime] | None
    slot: int = 0
    after: str | None = None
    last: str | None = "z"
    rows: int = 1
    fingerprint: Fingerprint | None = None


def test_a_stretch_is_due_with_the_first_of_its_rows_and_where_one_is_of_the_future() -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    start = NOW - timedelta(seconds=int(NOW.timestamp()) % 86_400)
    assert not is_due(AStretch((start, start + hour)), start + hour, day)
    assert is_due(AStretch((start - hour, start + hour)), start + hour, day)
    assert is_due(AStretch((start, start + 2 * hour)), start + hour, day), "of the future"
    assert is_due(AStretch(None), start + hour, day)
    assert is_due(AStretch((start, start)), start, timedelta(0))
    assert not is_due(AStretch((start, start)), start, timedelta(seconds=1))


LASTING: dict[str, tuple[dict[str, Any], bool]] = {
    "as most are": ({}, True),
    "not known": (UNTRUSTED["not known then"], False),
    "without an ETag": ({"etag": None}, False),
    "written just before": ({"modified": NOW - timedelta(minutes=64, seconds=59)}, False),
    "written five minutes before": ({"modified": NOW - timedelta(minutes=65)}, True),
}


@pytest.mark.parametrize(("more", "expected"), LASTING.values(), ids=LASTING)
def test_rows_last_where_each_could_be_trusted(more: dict[str, Any], *, expected: bool) -> None:
    (some,) = batched([an_object("a"), an_object("b", **more)])
    assert lasts(some) is expected


def test_no_rows_last() -> None:
    (some,) = batched([an_object()])
    assert lasts(some.slice(0, 0)) is True


def test_what_is_due_is_counted_by_population() -> None:
    old = {"verified": NOW - 2 * MONTH}
    noncurrent = {"population": Population.NONCURRENT}
    tables = [
        rows_of(an_object("a"), an_object("b", **old), an_object("c", **noncurrent)),
        rows_of(
            an_object("d", **old), an_object("e", encryption=Encryption.UNKNOWN), an_object("f", **old, **noncurrent)
        ),
        rows_of(),
    ]
    assert due(tables, [Population.LIVE], NOW, MONTH) == 3
    assert due(tables, [Population.NONCURRENT], NOW, MONTH) == 1
    assert due(tables, list(Population), NOW, MONTH) == 4
    assert due(tables, [Population.LIVE], NOW, timedelta(0)) == 4
    assert due([], list(Population), NOW, MONTH) == 0


def test_a_sweep_asks_for_an_equal_part_of_all_each_day() -> None:
    verified = NOW - timedelta(hours=1)
    stretches = [
        AStretch((verified, verified), Part(Path(), "", STORED, None, None, "0", f"{n:05}", Told(), ("", "")).slot)
        for n in range(3_000)
    ]
    asked = [sum(is_due(one, verified + timedelta(days=day), MONTH) for one in stretches) for day in range(31)]
    daily = [today - yesterday for yesterday, today in pairwise(asked)]
    assert (asked[0], asked[30]) == (0, 3_000)
    assert max(daily) < 2 * 3_000 / 30


def known_rows(tmp_path: Path, *objects: StoredObject) -> KnownRows:
    inventory = FileInventory(tmp_path, {"s3://data": Layout.parse("{namespace}/")})
    write(inventory, "s3://data", batched(sorted(objects, key=lambda one: one.name)))
    return KnownRows(published(tmp_path / folder_name("s3://data") / "s1"))


NAMES = st.lists(st.text(st.sampled_from("ab/é😀"), min_size=1, max_size=3), unique=True, max_size=12)


@given(NAMES, NAMES, st.integers(1, 4), st.integers(1, 3))
def test_known_rows_are_found_page_after_page(
    tmp_path_factory: pytest.TempPathFactory, then: list[str], now: list[str], page: int, at_once: int
) -> None:
    objects = [an_object(name, version=f"v{version}") for name in then for version in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auditor.inventory.known._ROWS_AT_ONCE", at_once)
        known = known_rows(tmp_path_factory.mktemp("known"), *objects)
        # Each name is listed in two versions, which a page's end may part.
        listed = [name for name in sorted(now) for _ in range(2)]
        for start in range(0, len(listed), page):
            names = listed[start : start + page]
            versions = [f"v{place % 2}" for place in range(start, start + len(names))]
            found = known.of(names, versions, WRITTEN.isoformat())
            told = list(zip(*(found.column(one).to_pylist() for one in ("name", "version")), strict=True))
            # Rows of another version of a name may come along: they equal no entry.
            assert {*zip(names, versions, strict=True)} & {*product(then, ("v0", "v1"))} <= {*told}
            assert {name for name, _ in told} <= {*names}


def a_history(count: int) -> list[StoredObject]:
    """Versions of one name, the newest first, as they are listed."""
    return [an_object(version=f"v{number:03}", modified=WRITTEN - timedelta(minutes=number)) for number in range(count)]


HISTORIES: dict[str, tuple[list[int], int]] = {
    "as it was": ([*range(40)], 40),
    "with a new version": ([-1, *range(40)], 40),
    "with more new versions than a page": ([*range(-25, 40)], 40),
    "with the oldest deleted": ([*range(20)], 20),
    "with the newest deleted": ([*range(30, 40)], 10),
    "with some in between deleted": ([*range(5), *range(33, 40)], 12),
    # What stands so far behind is not looked for, and asked for again.
    "with a new version, and all but the oldest deleted": ([-1, 39], 0),
    "made anew": ([*range(-12, 0)], 0),
}


@pytest.mark.parametrize(("now", "known_still"), HISTORIES.values(), ids=HISTORIES)
def test_of_a_name_with_many_versions_few_are_held_and_those_of_each_page_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: list[int], known_still: int
) -> None:
    monkeypatch.setattr("auditor.inventory.known._ROWS_AT_ONCE", 3)
    monkeypatch.setattr("auditor.inventory.known._MANY", 12)
    known = known_rows(tmp_path, an_object("A"), *a_history(40), an_object("b"))
    found: list[str] = []
    for start in range(0, len(now), 5):
        numbers = now[start : start + 5]
        first = WRITTEN - timedelta(minutes=numbers[0])
        some = known.of(["a"] * len(numbers), [f"v{number:03}" for number in numbers], first.isoformat())
        found += map(str, some.column("version").to_pylist())
        assert known._held.num_rows <= 12 + 3  # noqa: SLF001 - what it holds is the promise
    assert len(found) == len({*found}) == known_still
    assert {*found} <= {f"v{number:03}" for number in now}
    assert known.of(["b"], ["v1"], WRITTEN.isoformat()).column("name").to_pylist() == ["b"]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("data")
        running.store.add_bucket("versioned", versioned=True)
        for key in (KEY, OTHER):
            running.store.add_key(key)
        yield running


class Sweeps:
    """One sweep after another of one bucket, each knowing what the last one wrote."""

    def __init__(self, cloud: AwsCloud, folder: Path, bucket: str) -> None:
        self.cloud, self.url, self.at = cloud, f"s3://{bucket}", datetime.now(UTC) + timedelta(hours=1)
        self._inventory = FileInventory(folder, {self.url: Layout.parse("{namespace}/")})
        self._folder = folder / folder_name(self.url)
        self._done = 0

    def __call__(self, reverify: timedelta = MONTH) -> tuple[dict[str, StoredObject], list[str]]:
        """What is stored, and the names that were HEADed."""
        clients, begin = aws_clients(), len(self.cloud.traffic.requests)
        plain = S3Bucket(clients.s3("us-east-1", None), self.url, (), Pace(1e5), lambda: self.at)
        known = KnownRows(published(self._folder / f"s{self._done}")) if self._done else None
        source = S3Census(
            plain, clients, ("us-east-1", None), (), ceiling=1e5, clock=lambda: self.at, reverify=reverify
        )
        self._done += 1
        self.came = list(batches(source, known=known))
        write(self._inventory, self.url, iter(self.came), sweep_id=f"s{self._done}")
        written = snapshot(self._folder / f"s{self._done}")
        found = [object_of({name: row[name] for name in SCHEMA.names}) for row in written]
        heads = [one.target for one in self.cloud.traffic.requests[begin:] if one.verb == "HEAD"]
        objects = {f"{one.name} {one.version}".removesuffix(" null"): one for one in found}
        return objects, sorted(target.partition("?")[0].rpartition("/")[2] for target in heads)


def test_a_sweep_that_follows_asks_only_for_what_is_new_or_changed(cloud: AwsCloud, tmp_path: Path) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    for number in range(2_500):
        cloud.store.put("data", f"acme/{number:04}", sse="aws:kms", key=KEY)
    before, heads = sweep()
    assert len(heads) == 2_500
    first = sweep.at
    sweep.at += timedelta(minutes=10)
    again, heads = sweep()
    assert (again, heads) == (before, [])
    assert {one.verified for one in again.values()} == {first}, "an unchanged line proves nothing new"
    cloud.store.put("data", "acme/0700", size=11, sse="aws:kms", key=OTHER)
    cloud.store.put("data", "acme/1200x", sse="aws:kms", key=OTHER)
    cloud.store.delete("data", "acme/2000", None)
    after, heads = sweep()
    assert heads == ["0700", "1200x"]
    assert len(after) == 2_500
    assert {name for name, one in after.items() if one.key == OTHER} == {"acme/0700", "acme/1200x"}
    assert {after[name].verified for name in ("acme/0700", "acme/1200x")} == {sweep.at}


def test_versions_are_asked_once_and_keep_their_keys_when_they_are_replaced(cloud: AwsCloud, tmp_path: Path) -> None:
    sweep = Sweeps(cloud, tmp_path, "versioned")
    cloud.store.put("versioned", "acme/a", sse="aws:kms", key=KEY, version_id="v1")
    sweep()
    cloud.store.put("versioned", "acme/a", version_id="v2")
    found, heads = sweep()
    assert heads == ["a"]
    assert (found["acme/a v1"].population, found["acme/a v1"].key) == (Population.NONCURRENT, KEY)
    assert (found["acme/a v2"].population, found["acme/a v2"].encryption) == (Population.LIVE, Encryption.PROVIDER)


def test_what_was_refused_twice_for_another_reason_is_right_again_in_the_next_sweep(
    cloud: AwsCloud, tmp_path: Path
) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    for name in "ab":
        cloud.store.put("data", f"acme/{name}", sse="aws:kms", key=KEY)
    cloud.store.put("data", "acme/c", sse=None, customer_key=b"k" * 32)
    cloud.traffic.fail("HEAD /data/acme/b", status=400, times=2)
    assert sweep()[0]["acme/b"].encryption is Encryption.CUSTOMER_SUPPLIED
    found, heads = sweep()
    assert (found["acme/b"].key, found["acme/c"].encryption) == (KEY, Encryption.CUSTOMER_SUPPLIED)
    assert {"b", "c"} <= {*heads}


def test_a_key_that_was_changed_without_a_trace_in_the_listing_is_found_within_the_period(
    cloud: AwsCloud, tmp_path: Path
) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    one = cloud.store.put("data", "acme/a", sse="aws:kms", key=KEY)
    sweep()
    cloud.store.put("data", "acme/a", sse="aws:kms", key=OTHER, modified=one.modified)
    assert sweep()[0]["acme/a"].key == KEY
    sweep.at += MONTH
    assert sweep()[0]["acme/a"].key == OTHER


def test_what_was_not_known_is_asked_by_every_sweep(cloud: AwsCloud, tmp_path: Path) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    for name in "ab":
        cloud.store.put("data", f"acme/{name}", sse="aws:kms", key=KEY)
    cloud.traffic.fail("HEAD /data/acme/a", status=403)
    found, _ = sweep()
    assert found["acme/a"].problem is Reason.ACCESS_DENIED
    cloud.traffic.heal()
    found, heads = sweep()
    assert heads == ["a"]
    assert found["acme/a"].key == KEY


def test_archived_objects_stay_archived(cloud: AwsCloud, tmp_path: Path) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    for name, restored in (("a", False), ("b", True)):
        cloud.store.put("data", f"acme/{name}", sse="aws:kms", key=KEY, storage_class="GLACIER", restored=restored)
    cloud.store.put("data", "acme/c", sse="aws:kms", key=KEY)
    archived = {"acme/a": True, "acme/b": False, "acme/c": False}
    for _ in range(2):
        found, heads = sweep()
        assert {name: one.archived for name, one in found.items()} == archived
    assert heads == ["b"], "a copy is there for a time"
    cloud.store.put(
        "data", "acme/b", sse="aws:kms", key=KEY, storage_class="GLACIER", modified=found["acme/b"].modified
    )
    assert sweep()[0]["acme/b"].archived


OTHERS = {"all there": None, "deleted": "delete", "under keys of their own by now": "overwrite"}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_a_customers_own_key_is_told_apart_where_nothing_else_is_new(
    cloud: AwsCloud, tmp_path: Path, others: str | None
) -> None:
    sweep = Sweeps(cloud, tmp_path, "data")
    for number in range(5):
        cloud.store.put("data", f"acme/{number}", sse="aws:kms", key=KEY)
    sweep()
    cloud.store.put("data", "acme/x", sse=None, customer_key=b"k" * 32)
    for number in range(5):
        if others == "delete" and number < 4:
            cloud.store.delete("data", f"acme/{number}", None)
        if others == "overwrite" and number < 4:
            cloud.store.put("data", f"acme/{number}", sse=None, customer_key=b"k" * 32)
    found, _ = sweep()
    told = {one.encryption for name, one in found.items() if name == "acme/x" or others == "overwrite"}
    if others == "overwrite":
        # Those who answered before do not any more: it is not known, rather than taken for bad credentials.
        assert {one.problem for one in found.values()} == {None, Reason.UNSUPPORTED}
    elif others == "delete":
        assert found["acme/x"].problem in {None, Reason.UNSUPPORTED}
    else:
        assert told == {Encryption.CUSTOMER_SUPPLIED}
