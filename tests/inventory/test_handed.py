"""What a believed bundle said is kept whole, counts on, and gives way to no older one and to nobody else's."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace as changed

from auditor.errors import CollectError, LedgerError
from auditor.handover.bundle import Believed, Bundle, Data, Open, Seen, SweptBucket
from auditor.inventory import files, notes
from auditor.inventory.handed import BundleStore
from auditor.model import Encryption, Population, Reason
from auditor.ownership.registered import Handed, HandedBucket
from auditor.ports import KeptRegistry
from tests.core_builders import GCP_KEY, NOW

HOUR = timedelta(hours=1)
LIVE, NONCURRENT = Population.LIVE, Population.NONCURRENT
CMEK, UNKNOWN = Encryption.CMEK, Encryption.UNKNOWN
ROW = ("acme/chat", 10, 1000, 2, NOW - 9 * HOUR, NOW - 8 * HOUR)
SWEPT = SweptBucket("gs://data", NOW - 2 * HOUR, NOW - HOUR, NOW - 3 * HOUR, (NONCURRENT,), outside=True, uploads=None)
LATER = changed(SWEPT, bucket="gs://more", started=NOW - HOUR, ended=NOW, left_out=(), outside=False, uploads=False)
BUNDLE = Bundle(
    buckets=(SWEPT, LATER),
    data=(
        Data("gs://data", CMEK, GCP_KEY.text, (ROW,), LIVE, "1"),
        Data("gs://data", CMEK, None, (("acme/chat", 3, 30, 0, *ROW[4:]), ("acme/hid", 1, 1, 0, *ROW[4:])), LIVE, None),
        Data("gs://more", UNKNOWN, None, (("acme/chat", 5, 50, 0, *ROW[4:]),), LIVE, None),
    ),
    gaps=(Open("gs://data", Reason.THROTTLED),),
    judgement="j-1",
    made=NOW,
    operator="Example",
    seen=Seen(4, registries=True, unclear=5, unswept=6),
    tenant="acme",
    version="9.9",
)
BELIEVED = Believed(BUNDLE, "f" * 64, "d" * 64)


@dataclass
class Source:
    """An operator's file."""

    found: Believed = BELIEVED
    name: str = "registry acme.json"
    tenant: str | None = None
    key: str | None = "f" * 64

    def signer(self) -> str | None:
        return self.key

    def version(self) -> str:
        return "v"

    def read(self) -> Believed:
        return self.found


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "registry")


def keep(store: BundleStore, source: Source | None = None, version: str = "v") -> KeptRegistry:
    return store.keep(source or Source(), version, NOW + HOUR)


def rows(kept: KeptRegistry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(kept.path).to_pylist()
    return found


def test_what_a_bundle_says_of_itself_is_kept_as_it_says_it(store: BundleStore) -> None:
    kept = keep(store)
    assert kept == store.kept(Source())
    assert (kept.version, kept.first_unusable, kept.keyed) == ("v", None, 3)
    assert (kept.registry.name, kept.registry.buckets) == ("registry acme.json", ("gs://data", "gs://more"))
    assert (kept.registry.namespaces, kept.registry.read_at, kept.registry.unusable) == (3, NOW + HOUR, 0)
    assert kept.registry.bundle == Handed(
        tenant="acme",
        operator="Example",
        signer="f" * 64,
        digest="d" * 64,
        version="9.9",
        made=NOW,
        swept=NOW - 2 * HOUR,
        objects=19,
        size=1081,
        unknown=5,
        withheld=4,
        unclear=5,
        unswept=6,
        elsewhere=4,
        registries=True,
        buckets=(
            HandedBucket("gs://data", ("noncurrent",), outside=True, uploads=None),
            HandedBucket("gs://more", (), outside=False, uploads=False),
        ),
        gaps=(("gs://data", "throttled"),),
        verified=NOW - 3 * HOUR,
    )


def test_each_namespace_is_a_row_and_a_key_that_is_kept_back_makes_its_encryption_unknown(store: BundleStore) -> None:
    found = rows(keep(store))
    assert found[0] == {
        "bucket": "gs://data",
        "namespace": "acme/chat",
        "tenant": "acme",
        "population": "live",
        "encryption": "cmek",
        "key": GCP_KEY.text,
        "key_version": "1",
        "objects": 10,
        "bytes": 1000,
        "archived": 2,
        "oldest": NOW - 9 * HOUR,
        "newest": NOW - 8 * HOUR,
        "first_name": None,
        "last_name": None,
        "swept": NOW - 2 * HOUR,
        "signer": "f" * 64,
        "source": "registry acme.json",
    }
    assert [(one["bucket"], one["namespace"], one["encryption"], one["key"], one["swept"]) for one in found[1:]] == [
        ("gs://data", "acme/chat", "unknown", None, NOW - 2 * HOUR),
        ("gs://data", "acme/hid", "unknown", None, NOW - 2 * HOUR),
        ("gs://more", "acme/chat", "unknown", None, NOW - HOUR),
    ]


def test_data_under_no_kms_key_keeps_its_encryption_and_is_nothing_unknown(store: BundleStore) -> None:
    plain = changed(BUNDLE, data=(Data("gs://data", Encryption.PROVIDER, None, (ROW,), LIVE, None),))
    kept = keep(store, Source(replace(BELIEVED, bundle=plain)))
    assert kept.registry.bundle is not None
    assert (kept.registry.bundle.unknown, kept.registry.bundle.withheld) == (0, 0)
    assert [one["encryption"] for one in rows(kept)] == ["provider"]


def test_more_than_is_written_at_once_is_written_whole(store: BundleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.inventory.handed._AT_ONCE", 3)
    assert len(rows(keep(store))) == 4


def test_a_bundle_counts_for_whom_and_by_whose_key_it_is_meant_alone(store: BundleStore) -> None:
    assert store.kept(Source()) is None
    keep(store)
    meant = [Source(tenant="acme"), Source(key=None), Source(tenant="acme", key=None)]
    assert all(store.kept(one) is not None for one in meant)
    others = [Source(tenant="zeta"), Source(key="e" * 64), Source(tenant="zeta", key=None), Source(name="other")]
    assert all(store.kept(one) is None for one in others)


def test_a_newer_one_takes_the_place_of_the_one_before(store: BundleStore) -> None:
    first = keep(store)
    newer = Source(replace(BELIEVED, bundle=changed(BUNDLE, made=NOW + HOUR, data=BUNDLE.data[:1]), digest="e" * 64))
    second = keep(store, newer, "w")
    assert second.version == "w"
    assert second.registry.bundle is not None
    assert (second.registry.bundle.made, second.registry.bundle.objects) == (NOW + HOUR, 10)
    assert [*second.path.parent.glob("told-*")] == [second.path]
    assert first.path != second.path
    assert sorted(one.name for one in second.path.parent.iterdir()) == ["bundle.json", second.path.name]
    assert second.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_same_bundle_is_believed_again(store: BundleStore) -> None:
    first = keep(store)
    assert keep(store, version="w").path == first.path
    assert store.believed(Source()) == BELIEVED
    assert first.path.exists()


REFUSED: dict[str, tuple[Believed, str]] = {
    "an older one": (
        replace(BELIEVED, bundle=changed(BUNDLE, made=NOW - HOUR)),
        "was made 2026-11-24 11:00:00 UTC, and the one that was read last is newer",
    ),
    "another one of that moment": (replace(BELIEVED, digest="e" * 64), "and the one that was read last is newer"),
    "an older one of the same words": (
        replace(BELIEVED, bundle=changed(BUNDLE, made=NOW - HOUR), digest="d" * 64),
        "and the one that was read last is newer",
    ),
    "another tenant's": (
        replace(BELIEVED, bundle=changed(BUNDLE, tenant="zeta", made=NOW + HOUR), digest="e" * 64),
        "is of tenant zeta, and the one before was of acme",
    ),
}


@pytest.mark.parametrize(("found", "why"), REFUSED.values(), ids=REFUSED)
def test_what_may_be_played_back_is_refused_and_what_was_believed_stays(
    store: BundleStore, found: Believed, why: str
) -> None:
    kept = keep(store)
    for refused in (lambda: keep(store, Source(found)), lambda: store.believed(Source(found))):
        with pytest.raises(CollectError, match=why) as refusal:
            refused()
        assert refusal.value.reason is Reason.MALFORMED
        assert str(refusal.value).startswith("registry acme.json ")
    assert store.kept(Source()) == kept


def test_though_its_data_is_damaged_no_older_one_is_believed(store: BundleStore) -> None:
    keep(store).path.write_bytes(b"")
    assert store.kept(Source()) is None
    with pytest.raises(CollectError, match="the one that was read last is newer"):
        store.believed(Source(REFUSED["an older one"][0]))
    assert keep(store).path.stat().st_size > 0


def test_what_another_key_signed_before_holds_nothing_up(store: BundleStore) -> None:
    keep(store)
    older = Source(replace(REFUSED["an older one"][0], signer="e" * 64), key="e" * 64)
    assert keep(store, older).registry.bundle is not None


@pytest.mark.parametrize("name", ["file", "digest", "form", "namespaces", "read_at", "version", "handed"])
def test_a_note_that_lacks_something_is_none(store: BundleStore, name: str) -> None:
    note = keep(store).path.parent / "bundle.json"
    told = notes.read(note)
    notes.write(note, {each: value for each, value in told.items() if each != name})
    assert store.kept(Source()) is None


@pytest.mark.parametrize(
    "change", [{"form": 1}, {"form": 3}, {"handed": {}}, {"handed": None}, {"read_at": "x"}], ids=repr
)
def test_a_note_of_another_form_is_none(store: BundleStore, change: dict[str, Any]) -> None:
    note = keep(store).path.parent / "bundle.json"
    notes.write(note, notes.read(note) | change)
    assert store.kept(Source()) is None


def test_nothing_is_left_of_what_was_not_written_to_its_end(store: BundleStore) -> None:
    kept = keep(store)
    died = kept.path.with_name(f"{files.UNFINISHED}{2**22 + 1}")
    died.write_bytes(b"half of it")
    torn = Source(replace(BELIEVED, bundle=changed(BUNDLE, made=NOW + HOUR, buckets=(LATER,))))
    with pytest.raises(KeyError):
        keep(store, torn)
    assert sorted(one.name for one in kept.path.parent.iterdir()) == ["bundle.json", kept.path.name]
    assert store.kept(Source()) == kept


def test_a_note_that_somebody_changed_is_none(store: BundleStore) -> None:
    kept = keep(store)
    note = kept.path.parent / "bundle.json"
    note.write_text(note.read_text().replace("acme", "zeta"))
    assert store.kept(Source()) is None
    note.write_text(json.dumps([]))
    assert store.kept(Source()) is None


def test_where_nothing_can_be_written_the_bundle_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("no folder")
    with pytest.raises(LedgerError, match="what registries say cannot be kept: "):
        keep(BundleStore(tmp_path / "registry"))


def test_what_another_key_is_meant_for_meanwhile_is_not_told_as_kept(store: BundleStore) -> None:
    class Turns(Source):
        """Its key is another once it was read."""

        def read(self) -> Believed:
            self.key = "e" * 64
            return super().read()

    with pytest.raises(LedgerError, match="is not kept as it was written"):
        keep(store, Turns())
