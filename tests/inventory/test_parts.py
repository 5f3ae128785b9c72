"""Parts of a sweep: a sweep that is gone on with takes over whatever was finished, whole."""

import contextlib
import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.daemon.loops import StoppedError
from auditor.errors import CollectError, DiskError, LedgerError, OrderError
from auditor.inventory import files, notes, parts
from auditor.inventory.folders import folder_name
from auditor.inventory.layout import Layout
from auditor.inventory.parts import Part, disjoint, left
from auditor.inventory.store import FileInventory
from auditor.inventory.totals import Told, Totals
from auditor.model import Listing, Population, Reason, StoredObject
from auditor.ports import Begun, Coming, Same, Shard, Written
from auditor.rows import Done, End, Fingerprint, batched
from tests.inventory.test_store import BUCKET, a_sweep, an_object
from tests.sweeps import InTurn, Streams, begun, settled, snapshot

STORED, SOFT_DELETED = Listing
NAMES = [f"acme/{number // 10}/{number:03}" for number in range(100)]
BROKEN = CollectError("the page was cut", reason=Reason.TIMEOUT)


@pytest.fixture(autouse=True)
def parts_end_at_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_SECONDS", 0.0)


@pytest.fixture
def inventory(tmp_path: Path) -> FileInventory:
    return FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})


class Bucket(InTurn):
    """Two passes over objects at hand, in pages of ten; a pass breaks off behind so many pages."""

    listings = (STORED, SOFT_DELETED)

    def __init__(self, stored: Iterable[StoredObject], deleted: Iterable[StoredObject] = (), pages: int = 999) -> None:
        self._objects = {STORED: list(stored), SOFT_DELETED: list(deleted)}
        self.pages = pages
        self.asked: list[tuple[Listing, str | None]] = []

    def put(self, names: Iterable[str]) -> None:
        """More objects are written."""
        self._objects[STORED] = sorted([*self._objects[STORED], *stored(*names)], key=lambda one: one.name)

    def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
        self.asked.append((listing, after))
        left = [one for one in self._objects[listing] if after is None or one.name > after]
        for start in range(0, len(left), 10):
            if self.pages == 0:
                raise BROKEN
            self.pages -= 1
            yield from batched(left[start : start + 10])


def stored(*names: str, **more: Any) -> list[StoredObject]:
    return [an_object(name, **more) for name in names or NAMES]


def found(root: Path, sweep_id: str) -> list[dict[str, Any]]:
    return snapshot(root / folder_name(BUCKET) / sweep_id)


def broken_off(inventory: FileInventory, bucket: Bucket, one: Begun) -> Begun:
    """Write until the bucket breaks off; what can be gone on with."""
    with pytest.raises(CollectError):
        inventory.write(BUCKET, one, bucket)
    kept = inventory.begun(BUCKET, one.settings)
    assert kept is not None
    return kept


def as_written(written: Written) -> Written:
    return replace(written, files={})


@pytest.mark.parametrize("pages", [2, 3, 6, 10, 11])
def test_what_broke_off_is_gone_on_with_and_is_the_same_in_the_end(
    inventory: FileInventory, tmp_path: Path, pages: int
) -> None:
    # Some were deleted between the passes, so that both tell of them.
    both = {"population": Population.SOFT_DELETED}
    deleted = [an_object(name, version=str(1 + number % 2), **both) for number, name in enumerate(NAMES[::7])]
    whole = Bucket(stored(), deleted)
    expected = inventory.write(BUCKET, begun("whole"), whole)
    settled(inventory, BUCKET, "whole")
    assert expected.listed == 100 + len(NAMES[7::14])
    bucket = Bucket(stored(), deleted, pages)
    kept = broken_off(inventory, bucket, begun("s1"))
    # The page that was read last may go on in the one that did not come.
    assert kept == replace(begun(), kept=min(pages - 1, 9) * 10 + 10 * (pages > 9))
    bucket.pages, before = 999, len(bucket.asked)
    assert as_written(inventory.write(BUCKET, kept, bucket)) == as_written(expected)
    settled(inventory, BUCKET, "s1")
    assert found(tmp_path, "s1") == found(tmp_path, "whole")
    if pages < 10:
        assert bucket.asked[before:] == [(STORED, NAMES[(pages - 1) * 10 - 1]), (SOFT_DELETED, None)]
    else:
        assert bucket.asked[before:] == [(SOFT_DELETED, None)]
    assert inventory.begun(BUCKET, "") is None
    left = [path.name for path in (tmp_path / folder_name(BUCKET) / "s1").iterdir() if path.suffix != ".parquet"]
    assert left == ["snapshot.json"]


def test_what_breaks_off_again_and_again_still_ends(inventory: FileInventory, tmp_path: Path) -> None:
    one, bucket = begun("s1"), Bucket(stored())
    for _ in range(8):
        bucket.pages = 2
        one = broken_off(inventory, bucket, one)
    bucket.pages = 999
    assert inventory.write(BUCKET, one, bucket).listed == 100
    assert [row["name"] for row in found(tmp_path, "s1")] == NAMES
    assert [after for listing, after in bucket.asked if listing is STORED] == [None, *NAMES[9:89:10]]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(StoppedError("the daemon is ending"), StoppedError), (OSError(28, "No space left on device"), DiskError)],
)
def test_whatever_ends_a_sweep_its_finished_parts_stay(
    inventory: FileInventory, error: Exception, raised: type[Exception]
) -> None:
    class Ending(Bucket):
        def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
            with contextlib.suppress(CollectError):
                yield from super().batches(listing, after)
            raise error

    with pytest.raises(raised):
        inventory.write(BUCKET, begun("s1"), Ending(stored(), pages=5))
    assert inventory.begun(BUCKET, "") == replace(begun("s1"), kept=40)


def test_all_versions_of_a_name_are_in_one_part(inventory: FileInventory, tmp_path: Path) -> None:
    versions = [an_object("acme/1/a", version=f"{number:02}") for number in range(25)]
    bucket = Bucket([*versions, *stored("acme/1/b")], pages=2)
    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s1"), bucket)
    assert inventory.begun(BUCKET, "") is None, "no name has ended"
    bucket.pages = 3
    assert inventory.write(BUCKET, begun("s2"), bucket).listed == 26
    assert len(found(tmp_path, "s2")) == 26


def test_parts_end_after_a_minute(inventory: FileInventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s1"), Bucket(stored(), pages=5))
    assert inventory.begun(BUCKET, "") is None
    assert parts._SECONDS == 60  # noqa: SLF001 - what the page for readers says


def test_a_listing_in_no_order_is_begun_anew(inventory: FileInventory, tmp_path: Path) -> None:
    bucket = Bucket(stored(*NAMES[:20], *reversed(NAMES[20:50])), pages=4)
    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s1"), bucket)
    assert inventory.begun(BUCKET, "") is None
    bucket.pages = 999
    assert inventory.write(BUCKET, begun("s2"), bucket).listed == 50
    assert [row["name"] for row in found(tmp_path, "s2")] == NAMES[:50]


def test_what_turns_out_to_have_no_order_is_not_gone_on_with(inventory: FileInventory, tmp_path: Path) -> None:
    # What comes last stands, by its name, before what was finished: nobody asks for it any more.
    bucket = Bucket(stored(*NAMES[:12], *NAMES[13:40], *reversed(NAMES[40:50]), NAMES[12]), pages=3)
    kept = broken_off(inventory, bucket, begun("s1"))
    bucket.pages = 999
    with pytest.raises(OrderError):
        inventory.write(BUCKET, kept, bucket)
    assert inventory.begun(BUCKET, "") is None
    assert inventory.write(BUCKET, begun("s2"), bucket).listed == 50
    assert [row["name"] for row in found(tmp_path, "s2")] == NAMES[:50]


def unfinished(root: Path) -> Path:
    return root / folder_name(BUCKET) / ".unfinished-s1"


def pause(folder: Path, hours: float) -> None:
    """As if all that was done there had been done so much earlier; below zero: as if the clock were set back."""
    for path in folder.iterdir():
        os.utime(path, times=(0, path.stat().st_mtime - hours * 3600))


def work(folder: Path, hours: float) -> None:
    """As if whoever went on there last had begun so much earlier."""
    path = folder / ".begun"
    os.utime(path, times=(0, path.stat().st_mtime - hours * 3600))


# (hours from the beginning to the last part, hours since then)
PAUSES = {
    "what took no time, within an hour": (0.0, 0.9, True),
    "what took no time, behind an hour": (0.0, 1.1, False),
    "what took 18 minutes, within four times as long": (0.3, 1.1, True),
    "what took 18 minutes, behind four times as long": (0.3, 1.3, False),
    "what took hours, within a day": (7.0, 23.9, True),
    "what took hours, behind a day": (7.0, 24.1, False),
    "where the clock was set back a little": (0.0, -0.9, True),
    "where the clock was set back by more than an hour": (0.0, -1.1, False),
}


@pytest.mark.parametrize(("worked", "hours", "still"), PAUSES.values(), ids=PAUSES)
def test_how_long_a_sweep_took_says_how_long_it_is_gone_on_with(
    inventory: FileInventory, tmp_path: Path, worked: float, hours: float, *, still: bool
) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=3), begun("s1"))
    work(unfinished(tmp_path), worked)
    pause(unfinished(tmp_path), hours)
    assert (inventory.begun(BUCKET, "") == kept) is still
    inventory.prune(BUCKET, ())
    assert not unfinished(tmp_path).exists(), "another one is whole"


def test_pauses_are_no_work_however_often_a_sweep_breaks_off(inventory: FileInventory, tmp_path: Path) -> None:
    one, bucket = begun("s1"), Bucket(stored())
    for number in range(3):
        bucket.pages = 2
        one = broken_off(inventory, bucket, one)
        pause(unfinished(tmp_path), 0.3)
        assert inventory.begun(BUCKET, "") == replace(one, kept=10 * (number + 1))
    bucket.pages = 2
    with pytest.raises(CollectError):
        inventory.write(BUCKET, one, bucket)
    pause(unfinished(tmp_path), 0.2)
    assert inventory.begun(BUCKET, "") is None, "what was listed first is older than an hour"


def test_who_goes_on_and_finishes_nothing_makes_nothing_younger(inventory: FileInventory, tmp_path: Path) -> None:
    bucket = Bucket(stored(), pages=3)
    kept = broken_off(inventory, bucket, begun("s1"))
    work(unfinished(tmp_path), 1.0)
    for hours in (2.0, 1.9):
        pause(unfinished(tmp_path), hours)
        bucket.pages = 1
        assert broken_off(inventory, bucket, kept) == kept
    pause(unfinished(tmp_path), 0.2)
    assert inventory.begun(BUCKET, "") is None


def test_work_of_all_who_went_on_counts(inventory: FileInventory, tmp_path: Path) -> None:
    one, bucket = begun("s1"), Bucket(stored())
    for _ in range(3):
        bucket.pages = 2
        one = broken_off(inventory, bucket, one)
        work(unfinished(tmp_path), 5.0)
        pause(unfinished(tmp_path), 19.0)
        assert inventory.begun(BUCKET, "") == one, "as where somebody is ended each day after five hours"


def test_what_is_whole_and_no_ledger_has_heard_of_is_as_old_as_its_work_allows(
    inventory: FileInventory, tmp_path: Path
) -> None:
    inventory.write(BUCKET, begun("s1"), Bucket(stored()))
    folder = tmp_path / folder_name(BUCKET) / "s1"
    work(folder, 3.0)
    pause(folder, 11.9)
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    assert inventory.write(BUCKET, kept, Bucket(stored())).listed == 100
    pause(folder, 0.2)
    assert inventory.begun(BUCKET, "") is None


def test_what_lies_in_the_folder_of_another_bucket_is_not_gone_on_with(
    inventory: FileInventory, tmp_path: Path
) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=3), begun("s1"))
    other = "gs://other"
    shutil.copytree(tmp_path / folder_name(BUCKET), tmp_path / folder_name(other))
    assert inventory.begun(other, "") is None
    assert inventory.begun(BUCKET, "") == kept


def test_what_other_settings_made_is_not_gone_on_with(inventory: FileInventory) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=3), begun("s1", settings="live"))
    assert inventory.begun(BUCKET, "all") is None
    assert inventory.begun(BUCKET, "live") == kept


def test_the_newest_of_several_is_gone_on_with(inventory: FileInventory, tmp_path: Path) -> None:
    other = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})
    buckets = [Bucket(stored(), pages=2) for _ in range(3)]

    def at_once(left: list[tuple[int, Bucket]]) -> None:
        """Each begins while the one before still runs."""
        (after, bucket), *rest = left
        real = bucket.batches

        def batches(listing: Listing, behind: str | None) -> Iterator[pa.RecordBatch]:
            if rest:
                at_once(rest)
            yield from real(listing, behind)

        bucket.batches = batches  # type: ignore[assignment, method-assign] # it does as it did, and more
        with pytest.raises(CollectError):
            other.write(BUCKET, replace(begun(f"s{after}"), after=after), bucket)

    at_once(list(zip((1, 3, 2), buckets, strict=True)))
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    assert (kept.id, kept.after) == ("s3", 3)


def test_a_sweep_that_begins_anew_removes_what_nobody_goes_on_with(inventory: FileInventory, tmp_path: Path) -> None:
    for number in range(3):
        broken_off(inventory, Bucket(stored(), pages=2), begun(f"s{number}"))
    assert [path.name for path in (tmp_path / folder_name(BUCKET)).iterdir()] == [".unfinished-s2"]
    bucket = Bucket(stored(*reversed(NAMES)), pages=2)
    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s3"), bucket)
    assert list((tmp_path / folder_name(BUCKET)).iterdir()) == [], "what has no order helps nobody"


def test_an_answer_that_cannot_be_to_where_it_was_to_go_on_ends_the_going_on(inventory: FileInventory) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=2), begun("s1"))

    class Elsewhere(Bucket):
        def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
            yield from super().batches(listing, after)
            raise CollectError("names from before", reason=Reason.MALFORMED)

    with pytest.raises(CollectError):
        inventory.write(BUCKET, kept, Elsewhere(stored()))
    assert inventory.begun(BUCKET, "") is None


class Spoilt(Bucket):
    """A bucket one of whose pages is none: that with so many objects before it."""

    def __init__(self, before: int | None) -> None:
        super().__init__(stored())
        self.before = before
        self.goes_on = True

    def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
        if after is not None and not self.goes_on:
            self.asked.append((listing, after))
            raise NO_PAGE
        for some in super().batches(listing, after):
            if self.before is not None and some["name"][-1].as_py() > NAMES[self.before]:
                raise NO_PAGE
            yield some

    def begins(self) -> list[str | None]:
        """Behind which names it was listed since somebody asked."""
        names, self.asked = [after for listing, after in self.asked if listing is STORED], []
        return names


NO_PAGE = CollectError("no page", reason=Reason.MALFORMED)


def swept_like_a_scan(inventory: FileInventory, bucket: Bucket, sweep_id: str) -> int | None:
    """Go on with what can be gone on with; begin anew where nothing of it is left; how many objects, if whole."""
    one = inventory.begun(BUCKET, "") or begun(sweep_id)
    with contextlib.suppress(CollectError):
        return inventory.write(BUCKET, one, bucket).listed
    if one.kept and inventory.begun(BUCKET, "") is None:
        with contextlib.suppress(CollectError):
            return inventory.write(BUCKET, begun(f"{sweep_id}-anew"), bucket).listed
    return None


def test_what_breaks_off_where_it_goes_on_begins_anew_and_may_be_whole(inventory: FileInventory) -> None:
    bucket = Spoilt(before=50)
    assert swept_like_a_scan(inventory, bucket, "s1") is None
    bucket.before, bucket.goes_on = None, False
    assert swept_like_a_scan(inventory, bucket, "s2") == 100
    assert bucket.begins() == [None, NAMES[39], None]


def test_what_comes_no_further_from_its_beginning_either_begins_anew_once(inventory: FileInventory) -> None:
    bucket = Spoilt(before=50)
    bucket.goes_on = False
    for number in range(5):
        assert swept_like_a_scan(inventory, bucket, f"s{number}") is None
    assert bucket.begins() == [None, NAMES[39], None, *[NAMES[39]] * 3]
    # Now it comes further, and stands still there: that is another place.
    bucket.goes_on, bucket.before = True, 70
    assert swept_like_a_scan(inventory, bucket, "s5") is None
    bucket.goes_on = False
    for number in range(6, 9):
        assert swept_like_a_scan(inventory, bucket, f"s{number}") is None
    assert bucket.begins() == [NAMES[39], NAMES[59], None, NAMES[59], NAMES[59]]


def test_what_comes_further_than_where_it_goes_on_keeps_what_it_finished(inventory: FileInventory) -> None:
    bucket = Spoilt(before=50)
    for number in range(4):
        assert swept_like_a_scan(inventory, bucket, f"s{number}") is None
    assert bucket.begins() == [None, NAMES[39], NAMES[39], NAMES[39]]
    bucket.before = None
    assert swept_like_a_scan(inventory, bucket, "s4") == 100
    assert bucket.begins() == [NAMES[39]]


@pytest.mark.parametrize("note", [b"", b"no note"])
def test_where_nothing_says_how_far_it_came_from_its_beginning_it_begins_anew(
    inventory: FileInventory, tmp_path: Path, note: bytes
) -> None:
    bucket = Spoilt(before=50)
    swept_like_a_scan(inventory, bucket, "s1")
    (tmp_path / folder_name(BUCKET) / ".unfinished-s1" / ".malformed").write_bytes(note)
    swept_like_a_scan(inventory, bucket, "s2")
    assert bucket.begins() == [None, NAMES[39], None]


def test_what_stands_still_where_it_did_begins_anew_once_though_the_bucket_grows(inventory: FileInventory) -> None:
    bucket = Spoilt(before=50)
    bucket.goes_on = False
    for number in range(5):
        assert swept_like_a_scan(inventory, bucket, f"s{number}") is None
        if number == 0:
            # They stand before the page that is none: whoever begins anew keeps more, and comes no further.
            bucket.put(f"acme/0/000-{more:02}" for more in range(20))
    assert bucket.begins() == [None, NAMES[39], None, *[NAMES[39]] * 3]


def test_one_shard_that_stands_still_begins_anew_once_though_others_come_further(
    inventory: FileInventory, tmp_path: Path
) -> None:
    bucket = Spoilt(before=50)
    assert swept_like_a_scan(inventory, bucket, "s1") is None
    assert swept_like_a_scan(inventory, bucket, "s2") is None
    bucket.goes_on = False
    assert swept_like_a_scan(inventory, bucket, "s3") is None
    assert bucket.begins() == [None, NAMES[39], NAMES[39], None]
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    # Had there been shards, less of the others would have been listed, and more by whoever goes on.
    (tmp_path / folder_name(BUCKET) / f".unfinished-{kept.id}" / "part-0-stored-000001.json").unlink()
    bucket.put(f"acme/1/010-{more:02}" for more in range(20))
    bucket.goes_on, bucket.before, stands_still = True, None, NAMES[39]
    batches = bucket.batches

    def one_is_none(listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
        if after == stands_still:
            bucket.asked.append((listing, after))
            raise NO_PAGE
        yield from batches(listing, after)

    bucket.batches = one_is_none  # type: ignore[method-assign] # of this one
    for number in range(4, 7):
        assert swept_like_a_scan(inventory, bucket, f"s{number}") is None
    assert bucket.begins() == [NAMES[9], *[NAMES[39]] * 3]


def test_of_several_shards_each_must_come_further(inventory: FileInventory, tmp_path: Path) -> None:
    bucket = Spoilt(before=50)
    swept_like_a_scan(inventory, bucket, "s1")
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    folder = tmp_path / folder_name(BUCKET) / ".unfinished-s1"
    (folder / "part-0-stored-000001.json").unlink()
    left = replace(kept, kept=kept.kept - 10)
    assert inventory.begun(BUCKET, "") == left

    class OneStandsStill(Spoilt):
        def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
            if after == NAMES[39]:
                raise NO_PAGE
            yield from super().batches(listing, after)

    with pytest.raises(CollectError):
        inventory.write(BUCKET, left, OneStandsStill(None))
    assert inventory.begun(BUCKET, "") is None


def test_a_later_pass_is_made_again_with_the_one_before_it(inventory: FileInventory, tmp_path: Path) -> None:
    deleted = stored("acme/0/000x", "acme/9/099x", population=Population.SOFT_DELETED)
    bucket = Bucket(stored(), [*deleted, *stored(*(f"zeta/1/{n:02}" for n in range(20)))], pages=12)
    kept = broken_off(inventory, bucket, begun("s1"))
    folder = tmp_path / folder_name(BUCKET) / ".unfinished-s1"
    (folder / "part-0-stored-000009.rows.parquet").unlink()
    gone = NAMES[-1]
    later = Bucket(
        stored(*NAMES[:-1]), sorted([*deleted, an_object(gone, population=Population.SOFT_DELETED)], key=str), 1
    )
    again = broken_off(inventory, later, kept)
    later.pages = 999
    inventory.write(BUCKET, again, later)
    assert {row["name"]: row["population"] for row in found(tmp_path, "s1")}[gone] == "soft_deleted"
    assert len(found(tmp_path, "s1")) == 102, "and nothing of what was there before"


@pytest.mark.parametrize("killed", [False, True])
def test_a_version_that_came_twice_is_remembered_as_that(inventory: FileInventory, *, killed: bool) -> None:
    twice = [an_object("acme/0/000"), an_object("acme/0/000", key_version="4")]
    bucket = Bucket([*twice, *stored(*NAMES[1:])], pages=4 if killed else 999)
    one = broken_off(inventory, bucket, begun("s1")) if killed else begun("s1")
    bucket.pages = 999
    written = inventory.write(BUCKET, one, bucket)
    assert (written.listed, written.unresolved) == (100, ((Reason.MALFORMED, 1),))


@pytest.mark.parametrize("names", [NAMES, [*NAMES[50:], *NAMES[:50]]], ids=["in order", "in no order"])
def test_the_later_pass_counts_whatever_the_order(inventory: FileInventory, tmp_path: Path, names: list[str]) -> None:
    deleted = stored(*names[:7], population=Population.SOFT_DELETED)
    assert inventory.write(BUCKET, begun(), Bucket(stored(*names), deleted)).listed == 100
    told = [row["population"] for row in found(tmp_path, "s1")]
    assert (told.count("soft_deleted"), told.count("live")) == (7, 93)


def test_two_do_not_go_on_with_one_sweep(inventory: FileInventory, tmp_path: Path) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=2), begun("s1"))
    other = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})

    class Meanwhile(Bucket):
        def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
            assert other.begun(BUCKET, "") is None
            with pytest.raises(LedgerError, match="another process"):
                other.write(BUCKET, kept, Bucket(stored()))
            yield from super().batches(listing, after)

    assert inventory.write(BUCKET, kept, Meanwhile(stored())).listed == 100


def while_it_waits(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen once, as soon as somebody waits for a sweep that another process goes on with."""
    acts = [act]
    monkeypatch.setattr("auditor.inventory.store.time.sleep", lambda _: acts.pop()() if acts else None)


class Held(Bucket):
    """A bucket that is listed when it may be, and says when somebody has begun to."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(stored())
        self.listing, self.may_go_on = threading.Event(), threading.Event()
        self._broken = broken

    def batches(self, listing: Listing, after: str | None) -> Iterator[pa.RecordBatch]:
        self.listing.set()
        assert self.may_go_on.wait(60)
        if self._broken:
            raise OrderError(BUCKET)
        yield from super().batches(listing, after)


@contextlib.contextmanager
def another_that_ends_meanwhile(
    root: Path, monkeypatch: pytest.MonkeyPatch, kept: Begun, bucket: Held
) -> Iterator[list[Written]]:
    """Another process goes on with a sweep, and is through with it while this one waits for its turn."""
    other = FileInventory(root, {BUCKET: Layout.parse("{org}/{namespace}/")})
    found: list[Written] = []

    def go_on() -> None:
        with contextlib.suppress(CollectError):
            found.append(other.write(BUCKET, kept, bucket))

    def end() -> None:
        bucket.may_go_on.set()
        thread.join()

    thread = threading.Thread(target=go_on)
    thread.start()
    assert bucket.listing.wait(60)
    while_it_waits(monkeypatch, end)
    yield found
    assert not thread.is_alive(), "somebody has waited"


def test_what_another_process_ends_while_this_one_waits_for_it_is_whole(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))
    with another_that_ends_meanwhile(tmp_path, monkeypatch, kept, Held()) as theirs:
        mine = inventory.write(BUCKET, kept, bucket := Bucket(stored()))
    assert bucket.asked == []
    assert mine.ended is not None
    assert [replace(mine, ended=None)] == theirs
    assert [path.name for path in (tmp_path / folder_name(BUCKET)).iterdir()] == ["s1"]


def test_what_another_process_gives_up_while_this_one_waits_for_it_is_no_fault_of_the_disk(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))
    with (
        another_that_ends_meanwhile(tmp_path, monkeypatch, kept, Held(broken=True)),
        pytest.raises(LedgerError, match="nothing of it is left") as refused,
    ):
        inventory.write(BUCKET, kept, Bucket(stored()))
    assert not isinstance(refused.value, DiskError), "whoever has that begins anew"
    assert refused.value.hint


def test_what_is_gone_before_anybody_goes_on_with_it_is_not_made_anew(inventory: FileInventory, tmp_path: Path) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))
    home = tmp_path / folder_name(BUCKET)
    shutil.rmtree(home / ".unfinished-s1")
    with pytest.raises(LedgerError, match="nothing of it is left") as refused:
        inventory.write(BUCKET, kept, Bucket(stored()))
    assert not isinstance(refused.value, DiskError)
    assert list(home.iterdir()) == []


def test_what_is_being_removed_is_no_fault_of_the_disk_for_whoever_goes_on_with_it(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))
    bucket, faults = Held(), list[LedgerError]()

    def go_on() -> None:
        other = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})
        try:
            other.write(BUCKET, kept, bucket)
        except LedgerError as error:
            faults.append(error)
        bucket.listing.set()

    threads: list[threading.Thread] = []
    remove = shutil.rmtree

    def meanwhile(path: Path, **more: Any) -> None:
        if not threads:
            threads.append(threading.Thread(target=go_on))
            threads[0].start()
            assert bucket.listing.wait(60)
        remove(path, **more)

    monkeypatch.setattr("auditor.inventory.store.shutil.rmtree", meanwhile)
    inventory.prune(BUCKET, ())
    bucket.may_go_on.set()
    threads[0].join()
    (fault,) = faults
    assert not isinstance(fault, DiskError), "whoever has that begins anew"
    assert list((tmp_path / folder_name(BUCKET)).iterdir()) == []


def test_what_somebody_was_killed_over_while_it_was_removed_is_removed_by_the_next(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))
    with monkeypatch.context() as patch:
        patch.setattr("auditor.inventory.store.shutil.rmtree", lambda *_, **__: None)
        inventory.prune(BUCKET, ())
    assert inventory.begun(BUCKET, "") is None
    inventory.prune(BUCKET, ())
    assert list((tmp_path / folder_name(BUCKET)).iterdir()) == []


def test_what_is_removed_while_somebody_looks_at_it_is_not_gone_on_with(
    inventory: FileInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off(inventory, Bucket(stored(), pages=5), begun("s1"))

    def too_late(folder: Path, _: str) -> Iterator[Path]:
        shutil.rmtree(folder)
        # As where the folder goes after it was seen to be one.
        return iter(list(folder.iterdir()))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "glob", too_late)
        assert inventory.begun(BUCKET, "") is None


def test_two_that_begin_anew_at_once_leave_each_other_alone(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    other = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})
    before = [lambda: other.write(BUCKET, begun("s2"), Bucket(stored()))]

    def late(file: Any, how: int) -> None:
        if how & fcntl.LOCK_EX and before:
            assert before.pop()().listed == 100
        lock(file, how)

    monkeypatch.setattr("auditor.inventory.store.fcntl.flock", late)
    assert inventory.write(BUCKET, begun("s1"), Bucket(stored())).listed == 100
    assert sorted(path.name for path in (tmp_path / folder_name(BUCKET)).iterdir()) == ["s1", "s2"]


def flipped(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


DAMAGES = {
    "a bit at its beginning": lambda path: flipped(path, 5),
    "a bit in its middle": lambda path: flipped(path, path.stat().st_size // 2),
    "a bit at its end": lambda path: flipped(path, -5),
    "no file of rows": lambda path: path.write_bytes(b"PAR1"),
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "nothing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("which", [0, 1, 2, 9])
def test_a_part_that_is_damaged_is_listed_again(
    inventory: FileInventory, tmp_path: Path, damage: Any, which: int
) -> None:
    bucket = Bucket(stored(), pages=5)
    kept = broken_off(inventory, bucket, begun("s1"))
    damage(sorted((tmp_path / folder_name(BUCKET) / ".unfinished-s1").glob("part-*"))[which])
    bucket.pages = 999
    assert inventory.write(BUCKET, kept, bucket).listed == 100
    assert [row["name"] for row in found(tmp_path, "s1")] == NAMES


@pytest.mark.parametrize("told", ["", "{", [], {"id": "s1"}, {"id": "../s1", "started": "2026-01-01", "settings": ""}])
def test_a_sweep_that_does_not_say_what_it_is_is_begun_anew(
    inventory: FileInventory, tmp_path: Path, told: Any
) -> None:
    broken_off(inventory, Bucket(stored(), pages=2), begun("s1"))
    path = tmp_path / folder_name(BUCKET) / ".unfinished-s1" / ".begun"
    if isinstance(told, str):
        path.write_text(told)
    else:
        notes.write(path, told)
    assert inventory.begun(BUCKET, "") is None


def test_a_sweep_of_which_one_bit_says_something_else_is_begun_anew(inventory: FileInventory, tmp_path: Path) -> None:
    kept = broken_off(inventory, Bucket(stored(), pages=2), replace(begun("s1"), after=7, head="f"))
    assert (kept.after, kept.head) == (7, "f")
    path = tmp_path / folder_name(BUCKET) / ".unfinished-s1" / ".begun"
    raw = path.read_bytes()
    for at in range(len(raw)):
        flipped(path, at)
        assert inventory.begun(BUCKET, "") is None
        path.write_bytes(raw)
    assert inventory.begun(BUCKET, "") == kept


def a_part(after: int | None, until: int | None, listing: Listing = STORED) -> Part:
    ends = [None if end is None else f"{end:02}" for end in (after, until)]
    return Part(Path(), json.dumps(ends), listing, ends[0], ends[1], None, ends[1], Told(), ("", ""))


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)), max_size=12))
def test_what_is_kept_of_parts_and_what_is_left_hold_each_name_once(
    ends: list[tuple[int | None, int | None]],
) -> None:
    made = [a_part(after, until) for after, until in ends if until is None or after is None or until > after]
    kept = disjoint([*made, a_part(None, 5, SOFT_DELETED)], STORED)
    assert {part.listing for part in kept} <= {STORED}
    ranges = [Shard(part.after, part.until) for part in kept] + left(kept)
    for name in [f"{number:02}" for number in range(11)] + ["", "\U0010ffff", "05x"]:
        assert [one.holds(name) for one in ranges].count(True) == 1, name
    beginnings = [part.after for part in made if part.after not in {one.after for one in kept}]
    for begin in beginnings:
        assert any(one.until is None or (begin or "") < one.until for one in kept), "none is left out that could stay"
    assert disjoint(kept, STORED) == kept


def test_streams_of_one_pass_are_asked_from_where_they_ended(inventory: FileInventory) -> None:
    streams = Streams(batched(stored()))
    assert inventory.write(BUCKET, begun(), streams).listed == 100
    assert streams.asked == [(STORED, None)]


def a_fingerprint(digest: str = "d") -> Fingerprint:
    return Fingerprint(100, digest, "last")


class Listed(InTurn):
    """A listing that says where stretches end."""

    listings = (STORED,)

    def __init__(self, *coming: Coming | list[StoredObject]) -> None:
        self._coming = coming

    def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:  # noqa: ARG002 - the port's shape
        for one in self._coming:
            yield from batched(one) if isinstance(one, list) else [one]


def kept_parts(root: Path, sweep_id: str) -> list[Part]:
    return parts.published(root / folder_name(BUCKET) / sweep_id)


def test_a_part_ends_where_the_listing_says_so_and_keeps_in_which_bytes_it_was_listed(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    first, second = stored(*NAMES[:10]), stored(*NAMES[10:25])
    inventory.write(BUCKET, begun("s1"), Listed(first, End(a_fingerprint()), second[:10], second[10:], End(None)))
    one, other = kept_parts(tmp_path, "s1")
    assert (one.rows, one.fingerprint, one.after, one.last) == (10, a_fingerprint(), None, NAMES[9])
    assert (other.rows, other.fingerprint, other.after, other.last) == (15, None, NAMES[9], NAMES[24])
    assert [row["name"] for row in found(tmp_path, "s1")] == NAMES[:25]


def test_of_a_part_that_time_has_ended_within_a_stretch_no_bytes_are_known(
    inventory: FileInventory, tmp_path: Path
) -> None:
    first, second, third = (stored(*NAMES[at : at + 10]) for at in (0, 10, 20))
    told = Listed(first, second, End(a_fingerprint()), third, End(a_fingerprint("e")))
    inventory.write(BUCKET, begun("s1"), told)
    assert [one.fingerprint for one in kept_parts(tmp_path, "s1")] == [None, None, a_fingerprint("e")]


def test_where_a_version_came_twice_or_in_no_order_no_bytes_are_known(inventory: FileInventory, tmp_path: Path) -> None:
    for number, names in enumerate((["a", "a"], ["b", "a"])):
        told = Listed(stored(*names), End(a_fingerprint()))
        inventory.write(BUCKET, begun(f"s{number}"), told)
        assert [one.fingerprint for one in kept_parts(tmp_path, f"s{number}")] == [None]


def test_what_is_listed_as_it_was_is_taken_over_and_outlives_the_sweep_that_wrote_it(
    inventory: FileInventory, tmp_path: Path
) -> None:
    old = [stored(*NAMES[:10]), stored(*NAMES[10:20]), stored(*NAMES[20:30])]
    before = inventory.write(BUCKET, begun("s1"), Listed(*(x for some in old for x in (some, End(a_fingerprint())))))
    first, _, third = kept_parts(tmp_path, "s1")
    new = stored("acme/1/0105")
    after = inventory.write(BUCKET, begun("s2"), Listed(Same(first), new, End(None), Same(third)))
    assert (before.listed, after.listed) == (30, 21)
    shutil.rmtree(tmp_path / folder_name(BUCKET) / "s1")
    assert [row["name"] for row in found(tmp_path, "s2")] == [*NAMES[:10], "acme/1/0105", *NAMES[20:30]]
    a, b, c = kept_parts(tmp_path, "s2")
    assert (a.digests, b.fingerprint, c.digests, c.fingerprint) == (first.digests, None, third.digests, a_fingerprint())
    assert [one.after for one in (a, b, c)] == [None, NAMES[9], "acme/1/0105"]
    sweep = a_sweep(after, sweep_id="s2")
    (holding,) = inventory.open([sweep]).holdings()
    assert holding.objects == 21
    known = inventory.known(sweep, as_is=True)
    assert known is not None
    assert known.stretches == (a, b, c)
    without = inventory.known(sweep, as_is=False)
    assert without is not None
    assert without.stretches == ()


def test_where_no_name_can_be_given_to_a_file_twice_it_is_copied(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    inventory.write(BUCKET, begun("s1"), Listed(stored(*NAMES[:10]), End(a_fingerprint())))
    monkeypatch.setattr(os, "link", refused)
    inventory.write(BUCKET, begun("s2"), Listed(Same(kept_parts(tmp_path, "s1")[0])))
    assert found(tmp_path, "s2") == found(tmp_path, "s1")


@pytest.mark.parametrize("kind", ["rows", "sums"])
def test_a_second_name_that_a_killed_sweep_left_of_a_part_is_not_written_through(
    inventory: FileInventory, tmp_path: Path, kind: str
) -> None:
    inventory.write(BUCKET, begun("s1"), Listed(stored(*NAMES[:10]), End(a_fingerprint())))
    (whole,) = kept_parts(tmp_path, "s1")
    before = {path: path.read_bytes() for path in (whole.path, whole.sums)}
    kept = broken_off(inventory, Bucket(stored(*NAMES[10:]), pages=2), begun("s2"))
    folder = tmp_path / folder_name(BUCKET) / ".unfinished-s2"
    os.link({"rows": whole.path, "sums": whole.sums}[kind], folder / f".writing-part-0-stored-000001.{kind}.parquet")
    inventory.write(BUCKET, kept, Bucket(stored(*NAMES[10:])))
    assert {path: path.read_bytes() for path in before} == before


def test_a_part_that_comes_where_its_names_cannot_is_not_told_twice(inventory: FileInventory, tmp_path: Path) -> None:
    inventory.write(BUCKET, begun("s1"), Listed(stored(*NAMES[:10]), End(None), stored(*NAMES[10:20])))
    first, second = kept_parts(tmp_path, "s1")
    assert inventory.write(BUCKET, begun("s2"), Listed(Same(second), Same(first))).listed == 20
    assert [row["name"] for row in found(tmp_path, "s2")] == NAMES[:20]
    with pytest.raises(CollectError, match="twice"):
        inventory.write(BUCKET, begun("s3"), Listed(Same(first), Same(second), Same(first)))


@pytest.mark.parametrize("taken_over", [False, True])
def test_a_part_that_ends_within_a_name_is_not_gone_on_behind(
    inventory: FileInventory, tmp_path: Path, *, taken_over: bool
) -> None:
    one, other = (replace(an_object("a"), version=version) for version in ("1", "2"))
    inventory.write(BUCKET, begun("s1"), Listed([one], End(a_fingerprint())))
    settled(inventory, BUCKET, "s1")
    (first,) = kept_parts(tmp_path, "s1")

    class Ending(Listed):
        def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:
            yield from super().batches(listing, after)
            raise BROKEN

    begins: list[Any] = [Same(first)] if taken_over else [[one], End(None)]
    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s2"), Ending(*begins, [other]))
    assert inventory.begun(BUCKET, "") is None, "the other version would be skipped"
    assert inventory.write(BUCKET, begun("s3"), Listed(*begins, [other])).listed == 2


def test_what_was_taken_over_is_gone_on_behind(inventory: FileInventory, tmp_path: Path) -> None:
    inventory.write(BUCKET, begun("s1"), Listed(stored(*NAMES[:10]), End(a_fingerprint())))
    (first,) = kept_parts(tmp_path, "s1")

    class Ending(Listed):
        def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:
            yield from super().batches(listing, after)
            raise BROKEN

    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s2"), Ending(Same(first)))
    kept = inventory.begun(BUCKET, "")
    assert kept == replace(begun("s2"), kept=10)
    bucket = Bucket(stored())
    assert inventory.write(BUCKET, replace(begun("s2"), kept=10), bucket).listed == 100
    assert bucket.asked[0] == (STORED, NAMES[9])


def test_what_no_ledger_has_heard_of_is_told_again_without_a_listing(inventory: FileInventory) -> None:
    bucket = Bucket(stored(), stored("zeta/1/a", population=Population.SOFT_DELETED))
    first = inventory.write(BUCKET, begun("s1"), bucket)
    kept = inventory.begun(BUCKET, "")
    assert kept == replace(begun("s1"), kept=101)
    asked = list(bucket.asked)
    again = inventory.write(BUCKET, kept, bucket)
    assert (replace(again, ended=None), bucket.asked) == (first, asked)
    assert again.ended is not None
    assert abs(datetime.now(UTC) - again.ended) < timedelta(minutes=5), "when it was whole, and not when it is told"
    settled(inventory, BUCKET, "s1")
    assert inventory.begun(BUCKET, "") is None
    assert inventory.open([a_sweep(again)]).holdings()


def test_what_no_ledger_has_heard_of_may_be_told_by_two_at_once(
    inventory: FileInventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inventory.write(BUCKET, begun("s1"), Bucket(stored()))
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    other = FileInventory(tmp_path, {BUCKET: Layout.parse("{org}/{namespace}/")})
    close, told = Totals.close, list[Written]()

    def meanwhile(self: Totals) -> Told:
        if not told:
            monkeypatch.setattr(Totals, "close", close)
            told.append(other.write(BUCKET, kept, Bucket(stored())))
        return close(self)

    monkeypatch.setattr(Totals, "close", meanwhile)
    told.append(inventory.write(BUCKET, kept, Bucket(stored())))
    assert [replace(one, ended=None) for one in told] == [first, first]
    assert inventory.open([a_sweep(first)]).holdings(), "the file is what each of them has said"


@pytest.mark.parametrize("kind", ["rows", "sums"])
def test_what_no_ledger_has_heard_of_and_is_damaged_is_not_told(
    inventory: FileInventory, tmp_path: Path, kind: str
) -> None:
    inventory.write(BUCKET, begun("s1"), Bucket(stored()))
    flipped(tmp_path / folder_name(BUCKET) / "s1" / f"part-0-stored-000003.{kind}.parquet", 100)
    kept = inventory.begun(BUCKET, "")
    assert kept is not None
    with pytest.raises(LedgerError, match="damaged"):
        inventory.write(BUCKET, kept, Bucket(stored()))


def test_how_old_a_part_is_its_note_tells_whoever_wrote_its_rows(inventory: FileInventory, tmp_path: Path) -> None:
    inventory.write(BUCKET, begun("s1"), Listed(stored(*NAMES[:10]), End(a_fingerprint())))
    settled(inventory, BUCKET, "s1")
    for path in (tmp_path / folder_name(BUCKET) / "s1").iterdir():
        os.utime(path, times=(0, time.time() - 48 * 3600))

    class Ending(Listed):
        def batches(self, listing: Listing, after: str | None) -> Iterator[Coming]:
            yield from super().batches(listing, after)
            raise BROKEN

    with pytest.raises(CollectError):
        inventory.write(BUCKET, begun("s2"), Ending(Same(kept_parts(tmp_path, "s1")[0])))
    assert inventory.begun(BUCKET, "") == replace(begun("s2"), kept=10)


def test_what_is_new_between_two_stretches_is_in_order(inventory: FileInventory, tmp_path: Path) -> None:
    inventory.write(BUCKET, begun("s1"), Listed(stored("a"), End(a_fingerprint()), stored("c"), End(a_fingerprint())))
    _, second = kept_parts(tmp_path, "s1")
    # A delete marker behind the last row of the first stretch was no row, and is one now.
    inventory.write(BUCKET, begun("s2"), Listed(stored("a", "b"), End(a_fingerprint()), Same(second)))
    assert [one.name for one in kept_parts(tmp_path, "s2")] == ["part-0-stored-000000", "part-0-stored-000001"]
    assert [row["name"] for row in found(tmp_path, "s2")] == ["a", "b", "c"]
    assert inventory.write(BUCKET, begun("s3"), Listed(stored("a", "d"), End(None), Same(second))).listed == 3
    with pytest.raises(CollectError, match="twice"):
        inventory.write(BUCKET, begun("s4"), Listed(stored("a", "c"), End(None), Same(second)))


class InTurns:
    """A listing in two shards, whose rows come in turns."""

    listings = (STORED,)

    def __init__(self, first: list[str], second: list[str], until: str = "m") -> None:
        self._names = first, second
        self._until = until
        self.ended = (True, True)

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        assert listing is STORED
        (whole,) = shards
        whole.until = self._until
        halves = whole, Shard(self._until)
        for names in zip(*self._names, strict=True):
            for shard, name in zip(halves, names, strict=True):
                for some in batched(stored(name)):
                    yield shard, some
        for shard, ended in zip(halves, self.ended, strict=True):
            if ended:
                yield shard, Done()


def test_shards_that_come_in_turns_are_one_snapshot_in_order(inventory: FileInventory, tmp_path: Path) -> None:
    assert inventory.write(BUCKET, begun(), InTurns(list("acem"), list("nprz"))).listed == 8
    assert "".join(row["name"] for row in found(tmp_path, "s1")) == "acemnprz"
    ranges = [(one.after, one.until) for one in kept_parts(tmp_path, "s1")]
    assert [after for after, _ in ranges] == [None, *(until for _, until in ranges[:-1])]
    assert ranges[-1][1] is None


@pytest.mark.parametrize("names", [("ba", "nz"), ("ab", "zn"), ("ab", "az")])
def test_names_in_no_order_are_not_taken_in_shards(inventory: FileInventory, names: tuple[str, str]) -> None:
    with pytest.raises(OrderError):
        inventory.write(BUCKET, begun(), InTurns(list(names[0]), list(names[1])))


def test_a_shard_that_tells_what_is_not_in_it_is_not_taken(inventory: FileInventory) -> None:
    with pytest.raises(OrderError):
        inventory.write(BUCKET, begun(), InTurns(list("az"), list("np")))


class SplitTooLate:
    """A listing that is split at a name behind which it has told some already."""

    listings = (STORED,)

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        assert listing is STORED
        (whole,) = shards
        for some in batched(stored("a", "z")):
            yield whole, some
        whole.until = "m"
        yield whole, Done()
        rest = Shard("m")
        for some in batched(stored("z")):
            yield rest, some
        yield rest, Done()


def test_a_sweep_in_which_two_shards_tell_the_same_name_is_not_whole(inventory: FileInventory) -> None:
    with pytest.raises(LedgerError, match="once and not twice"):
        inventory.write(BUCKET, begun(), SplitTooLate())


@pytest.mark.parametrize("ended", [(True, False), (False, True)])
def test_a_sweep_is_whole_only_when_all_shards_are_there(inventory: FileInventory, ended: tuple[bool, bool]) -> None:
    passes = InTurns(list("ac"), list("np"))
    passes.ended = ended
    with pytest.raises(LedgerError, match="before all of it was listed"):
        inventory.write(BUCKET, begun(), passes)


def test_an_empty_shard_is_one_that_was_listed(tmp_path: Path) -> None:
    for shard in (Shard(), Shard("m"), Shard(None, "m"), Shard("a", "m")):
        writer = parts.Writer(tmp_path, STORED, parts.Names(STORED, found=parts.finished(tmp_path)), shard)
        writer.take(Done())
        (one,) = writer.parts
        assert (one.after, one.until, one.rows, one.last) == (shard.after, shard.until, 0, None)
    assert [one.name[-1] for one in parts.finished(tmp_path)] == list("0123"), "no name is given twice"


@pytest.mark.parametrize("full", [".rows.parquet", ".sums.parquet"])
def test_a_disk_that_is_full_when_a_part_is_put_in_place_is_told_as_that(
    inventory: FileInventory, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    put, puts = files.put, iter(range(99))

    def failing(unfinished: Path, path: Path) -> None:
        if path.name.endswith(full) and next(puts) == 2:
            raise OSError(28, "No space left on device")
        put(unfinished, path)

    monkeypatch.setattr(files, "put", failing)
    with pytest.raises(DiskError, match="No space left on device"):
        inventory.write(BUCKET, begun("s1"), Bucket(stored()))
    kept = inventory.begun(BUCKET, "")
    assert kept == replace(begun("s1"), kept=20)
    assert inventory.write(BUCKET, kept, Bucket(stored())).listed == 100
