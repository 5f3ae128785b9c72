"""A listing in shards: each name once, as many streams as may be, and the same rows as in one go."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.aws import stretches
from auditor.connectors.aws.census import S3Census
from auditor.connectors.aws.objects import S3Bucket
from auditor.connectors.gcp.census import GcsCensus
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.pace import Pace
from auditor.connectors.shards import Order, Shards, between, one_after_the_other
from auditor.embedded.google import GoogleCloud
from auditor.errors import OrderError
from auditor.inventory.folders import folder_name
from auditor.inventory.known import KnownRows
from auditor.inventory.layout import Layout
from auditor.inventory.parts import published
from auditor.inventory.store import FileInventory
from auditor.model import Encryption, Listing, Population, StoredObject
from auditor.ports import Coming, ObjectSource, Same, Shard
from auditor.rows import Done
from tests.clouds import GOOGLE_KEY, Clock, a_google_store, an_aws_cloud, aws_clients, google_clients
from tests.core_builders import NOW
from tests.hostile import NAMES
from tests.sweeps import begun, settled, snapshot

KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
PAGE = 10


@dataclass(eq=False)
class Stream:
    shard: Shard
    at: str | None = None
    pages: int = 0
    ended: bool = False


@dataclass
class Listed:
    names: list[str]
    requests: int = 0
    rounds: int = 0
    """As long as it takes where every answer takes equally long."""
    most: int = 0


def listed(
    names: Sequence[str],
    *,
    streams: int = 4,
    borders: Sequence[str] = (),
    left: Sequence[Shard] = (),
    choose: Callable[[list[Stream]], list[Stream]] = list,
) -> Listed:
    """List names as a service would, a page of each chosen stream a round."""
    plan, found = Shards(left or [Shard()], borders, streams), Listed([])
    running: list[Stream] = []
    while True:
        while (shard := plan.following(running)) is not None:
            running.append(Stream(shard))
        if not running:
            return found
        found.rounds += 1
        found.most = max(found.most, len(running))
        for one in choose(running):
            behind = [name for name in names if one.shard.after is None or name > one.shard.after]
            behind = [name for name in behind if one.at is None or name > one.at][:PAGE]
            page = [name for name in behind if one.shard.until is None or name <= one.shard.until]
            found.requests += 1
            found.names += page
            plan.listed(one, page[-1] if page else None)
            if len(page) < PAGE:
                one.ended = True
                running.remove(one)


TEXTS = st.text(st.sampled_from("az/-0Z_.é%\U0001f600"), min_size=1, max_size=5)


@given(
    st.sets(TEXTS, max_size=150),
    st.sets(TEXTS, max_size=6),
    st.sets(TEXTS, max_size=3),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_every_name_is_listed_once(
    names: set[str], borders: set[str], ends: set[str], streams: int, chosen: random.Random
) -> None:
    cuts = [None, *sorted(ends), None]
    left = [Shard(after, until) for after, until in pairwise(cuts)]
    found = listed(
        sorted(names),
        streams=streams,
        borders=sorted(borders),
        left=left,
        choose=lambda running: chosen.sample(running, chosen.randint(1, len(running))),
    )
    assert sorted(found.names) == sorted(names)
    assert found.most <= streams


def in_namespaces(count: int) -> list[str]:
    return sorted(
        f"tenant-{number % 7}/ns-{hashlib.sha256(bytes([number % 251])).hexdigest()[:8]}/{number:08}"
        for number in range(count)
    )


SHAPES = {
    "in namespaces": in_namespaces(6_000),
    "by number": [f"data/{number:010}" for number in range(6_000)],
    "behind a long prefix": [f"a/very/long/prefix/of-one/{number:06}" for number in range(6_000)],
    "almost all in one place": [*(f"a/{number:05}" for number in range(5_900)), *(f"z{n:02}" for n in range(100))],
}


@pytest.mark.parametrize("names", SHAPES.values(), ids=SHAPES)
def test_a_first_listing_is_split_where_names_are(names: list[str]) -> None:
    alone, found = listed(names, streams=1), listed(names)
    assert (alone.requests, alone.rounds) == (601, 601)
    assert sorted(found.names) == names
    assert found.most == 4
    assert found.rounds < alone.rounds / 4 * 1.15, "almost always four are under way"
    assert found.requests < alone.requests * 1.1


def test_a_later_listing_is_split_at_known_names_from_its_beginning() -> None:
    names = SHAPES["in namespaces"]
    found = listed(names, borders=names[199::200])
    assert sorted(found.names) == names
    assert found.rounds <= 601 / 4 * 1.15
    assert found.requests <= 601 + 30, "one page or two for each shard"


def test_a_small_listing_is_made_in_one_go() -> None:
    found = listed([f"{number:02}" for number in range(39)])
    assert (found.most, found.requests) == (1, 4)


def test_names_are_guessed_only_from_plain_ones_and_in_order() -> None:
    for name in ("%", "é", "z", ""):
        assert between(name, None, {}) is None
    assert between("a b/c", None, {}) == "b"
    assert between("a%", None, {}) == "b"
    assert between("a%", "b", {}) is None
    assert between("zz", None, {}) is None
    assert between("mA", "mC", {1: "ABC"}) == "mB"
    assert between("m0", None, {0: "m", 1: "0248"}) == "n"
    assert between("data/0", None, {**dict(enumerate("data/")), 5: "0248"}) == "data0", "it ends a whole beginning"
    assert between("m0", "n", {0: "m", 1: "0248"}) == "m4"


@given(TEXTS, TEXTS | st.none(), st.dictionaries(st.integers(0, 4), st.sets(st.sampled_from("az/-0Z_.é%"))))
def test_what_is_guessed_lies_between(at: str, until: str | None, seen: dict[int, set[str]]) -> None:
    name = between(at, until, seen)
    assert name is None or (at < name and (until is None or name < until))


def names_of(some: Coming) -> object:
    return some.column("name").to_pylist() if isinstance(some, pa.RecordBatch) else some


def test_one_shard_after_the_other_is_listed_to_its_last_name() -> None:
    facts: dict[str, Any] = {"version": None, "population": Population.LIVE, "size": 1, "modified": NOW, "etag": None}
    kind: dict[str, Any] = {"storage_class": "STANDARD", "archived": False, "encryption": Encryption.NONE, "key": None}
    stored = [StoredObject(name=name, key_version=None, verified=NOW, **facts, **kind) for name in ("a", "b", "c", "d")]

    def behind(shard: Shard) -> Iterator[StoredObject]:
        return iter([one for one in stored if shard.after is None or one.name > shard.after])

    shards = [Shard(None, "b"), Shard("c", None), Shard("b", "bb")]
    coming = list(one_after_the_other(shards, behind))
    assert [(shard, names_of(some)) for shard, some in coming] == [
        (shards[0], ["a", "b"]),
        (shards[0], Done()),
        (shards[1], ["d"]),
        (shards[1], Done()),
        (shards[2], Done()),
    ]


@pytest.mark.parametrize("ends", [(None, "c"), ("a", None)])
def test_names_in_no_order_are_refused_where_a_shard_relies_on_it(ends: tuple[str | None, str | None]) -> None:
    order = Order(Shard(*ends), "s3://data")
    order.follow(["b", "b", "d"])
    order.follow([])
    with pytest.raises(OrderError):
        order.follow(["c"])
    with pytest.raises(OrderError):
        Order(Shard(*ends), "s3://data").follow(["z", "b"])
    Order(Shard(), "s3://data").follow(["z", "b"])


def test_names_that_come_in_no_order_are_split_no_more() -> None:
    plan, one = Shards([Shard()], streams=4), Stream(Shard())
    for name in ("b", "c", "d", "a", "e", "f", "g"):
        plan.listed(one, name)
    plan.following([])
    assert plan.following([one]) is None


# Both clouds, over the wire.

ALL = [f"acme/{number % 5}/{number:03}" for number in range(150)]


def rows_of(coming: Iterator[tuple[Shard, Coming]]) -> tuple[list[dict[str, Any]], list[Shard]]:
    """All rows, by name and version, and the shards in which they came: in each in order, and no others."""
    rows: dict[Shard, list[dict[str, Any]]] = {}
    done: list[Shard] = []
    for shard, some in coming:
        assert shard not in done
        match some:
            case pa.RecordBatch():
                rows.setdefault(shard, []).extend(some.drop_columns(["verified"]).to_pylist())
            case Done():
                done.append(shard)
    for shard, told in rows.items():
        names = [one["name"] for one in told]
        assert names == sorted(names)
        assert all(shard.holds(name) for name in names)
    every = [one for told in rows.values() for one in told]
    return sorted(every, key=lambda one: (one["name"], one["version"] or "")), done


@pytest.fixture(params=["s3", "s3 live", "gcs", "gcs live"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ObjectSource]]:
    """A bucket in pages of ten, with hostile names, several versions of some, and what is deleted."""
    populations = (Population.LIVE,) if "live" in request.param else ()
    names = [*ALL, *NAMES.values(), "zeta", "zeta/z"]
    if "s3" in request.param:
        monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", PAGE)
        with an_aws_cloud(monkeypatch) as cloud:
            cloud.store.add_bucket("data", versioned=True)
            cloud.store.add_key(KEY)
            for name in [*names, *ALL[::3], *ALL[:20]]:
                cloud.store.put("data", name, sse="aws:kms", key=KEY)
            for name in ALL[5::9]:
                cloud.store.delete("data", name, None)

            def made(**how: Any) -> S3Census:
                clients, place = aws_clients(), ("us-east-1", None)
                by_sdk = S3Bucket(clients.s3(*place), "s3://data", populations, Pace(100_000), Clock())
                return S3Census(by_sdk, clients, place, populations, ceiling=100_000, clock=Clock(), **how)

            yield made
        return
    monkeypatch.setattr("auditor.embedded.google.storage._PAGE", PAGE)
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1", versioned=True)
    store.add_key(GOOGLE_KEY)
    for name in [*(one for one in names if one != ".."), *ALL[::3]]:
        store.put("data", name, key=GOOGLE_KEY, version=1, size=100)
    with GoogleCloud(store) as google:

        def made_by_google(**how: Any) -> GcsCensus:
            clients = google_clients(google)
            by_sdk = GcsBucket(
                clients.storage(None), "gs://data", populations, Pace(100_000), clock=Clock(), uploads=lambda *_: 0
            )
            return GcsCensus(by_sdk, clients, None, populations, ceiling=100_000, clock=Clock(), **how)

        yield made_by_google


def test_several_shards_at_once_tell_what_one_listing_tells(source: Callable[..., ObjectSource]) -> None:
    alone, (one,) = rows_of(source().shards(Listing.STORED, [Shard()]))
    assert (one.after, one.until) == (None, None), "elsewhere than at the clouds themselves nobody knows the order"
    every, done = rows_of(source(streams=4).shards(Listing.STORED, [Shard()]))
    assert every == alone
    assert len(every) >= len(ALL)
    assert len(done) > 1
    _, (alone_again,) = rows_of(source(streams=4).shards(Listing.STORED, [Shard()], split=False))
    assert alone_again.until is None


def test_what_is_left_is_listed_and_nothing_else(source: Callable[..., ObjectSource]) -> None:
    alone, _ = rows_of(source().shards(Listing.STORED, [Shard()]))
    ends = [(None, "acme/0/010"), ("acme/0/100", "acme/1/x"), ("acme/3", "acme/3/999"), ("zeta", None)]
    expected = [one for one in alone if any(Shard(*each).holds(one["name"]) for each in ends)]
    for streams in (1, 2, 4):
        # Made anew each time: whoever lists a shard may split it.
        every, done = rows_of(source(streams=streams).shards(Listing.STORED, [Shard(*each) for each in ends]))
        assert every == expected
        assert len(done) >= len(ends)


class Knowing:
    """The passes of a source that knows an earlier sweep."""

    def __init__(self, source: ObjectSource, known: KnownRows | None) -> None:
        self._source, self._known = source, known
        self.listings = source.listings
        self.shards_seen: set[Shard] = set()
        self.taken_over = 0

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        for shard, some in self._source.shards(listing, shards, self._known):
            self.shards_seen.add(shard)
            self.taken_over += isinstance(some, Same)
            yield shard, some


@pytest.mark.parametrize("bucket", ["live", "versions"])
def test_sweeps_in_shards_that_follow_each_other_tell_what_is_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bucket: str
) -> None:
    monkeypatch.setattr("auditor.embedded.aws.s3._PAGE", PAGE)
    monkeypatch.setattr(stretches, "ROWS", 20)
    chosen = random.Random(11)  # noqa: S311 - repeatable
    populations = (Population.LIVE,) if bucket == "live" else ()
    names = [f"acme/{number % 5}/{number:03}" for number in range(300)] + list(NAMES.values())
    inventory = FileInventory(tmp_path, {"s3://data": Layout.parse("{org}/{namespace}/")})
    folder = tmp_path / folder_name("s3://data")
    split = taken_over = 0
    with an_aws_cloud(monkeypatch) as cloud:
        home = cloud.store.add_bucket("data", versioned=bucket == "versions")
        keys = [KEY, KEY.replace("01", "02")]
        for key in keys:
            cloud.store.add_key(key)
        for name in names:
            cloud.store.put("data", name, sse="aws:kms", key=KEY)
        clock = Clock()
        clock.ahead = timedelta(hours=1)
        clients, place = aws_clients(), ("us-east-1", None)
        by_sdk = S3Bucket(clients.s3(*place), "s3://data", populations, Pace(1e5), clock)
        for number in range(12):
            how: dict[str, Any] = {"ceiling": 1e5, "clock": clock, "reverify": timedelta(days=30), "streams": 4}
            source = Knowing(
                S3Census(by_sdk, clients, place, populations, **how),
                KnownRows(published(folder / f"s{number - 1}")) if number else None,
            )
            written = inventory.write("s3://data", begun(f"s{number}"), source)
            settled(inventory, "s3://data", f"s{number}")
            stored = {
                (name, one.version_id if bucket == "versions" else None): (one.key, one.size)
                for name, versions in home.objects.items()
                for one in versions[: None if bucket == "versions" else 1]
                if not one.delete_marker
            }
            rows = snapshot(folder / f"s{number}")
            assert {(one["name"], one["version"]): (one["key"], one["size"]) for one in rows} == stored
            assert written.listed == len(rows) == len(stored)
            assert [one["name"] for one in rows] == sorted(one["name"] for one in rows)
            split += len(source.shards_seen) > 1
            taken_over += source.taken_over
            for name in chosen.sample(names, chosen.choice([0, 1, 3])):
                match chosen.randrange(3):
                    case 0:
                        cloud.store.put("data", name, size=number, sse="aws:kms", key=keys[1])
                    case 1:
                        cloud.store.put("data", f"{name}x{number}", sse="aws:kms", key=keys[1])
                    case _:
                        cloud.store.delete("data", name, None)
    assert split == 12
    assert taken_over > 50
