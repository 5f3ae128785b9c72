import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from google.auth.credentials import Credentials

from auditor.connectors.gcp.buckets import GcsBuckets
from auditor.connectors.gcp.census import GcsCensus, _Signer
from auditor.connectors.gcp.objects import GcsBucket
from auditor.connectors.pace import Pace
from auditor.connectors.transfers import Handle
from auditor.connectors.wire import Wire
from auditor.embedded.google import GoogleCloud
from auditor.errors import CollectError, ReadOnlyError
from auditor.model import BucketFacts, Cloud, Encryption, Gap, Listing, NewObjects, Population, Reason, StoredObject
from tests.clouds import GOOGLE_KEY, Clock, a_google_store, google_clients, objects_of
from tests.hostile import NAMES
from tests.sweeps import batches, everything

WHEN = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=3)
    with GoogleCloud(store) as running:
        yield running


BY_SDK = False


@pytest.fixture(autouse=True, params=["curl", "sdk"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each promise is kept by both clients."""
    monkeypatch.setattr("tests.connectors.test_gcp_objects.BY_SDK", request.param == "sdk")
    return str(request.param)


def a_bucket(
    cloud: GoogleCloud, url: str = "gs://data", populations: tuple[Population, ...] = (), wire: Wire | None = None
) -> GcsBucket | GcsCensus:
    clients = google_clients(cloud, wire)
    uploads = partial(clients.count_uploads, None)
    by_sdk = GcsBucket(clients.storage(None), url, populations, Pace(10_000), clock=Clock(), uploads=uploads)
    return by_sdk if BY_SDK else GcsCensus(by_sdk, clients, None, populations, ceiling=10_000, clock=Clock())


def sweep(cloud: GoogleCloud, **how: Any) -> list[StoredObject]:
    return objects_of(everything(a_bucket(cloud, **how)))


def test_a_listing_tells_the_key_version_of_each_object(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=2, size=17, created=WHEN)
    cloud.store.put("data", "b", key=GOOGLE_KEY, named=False)
    cloud.store.put("data", "c")
    a, b, c = sweep(cloud)
    assert (a.encryption, a.key, a.key_version, a.size, a.modified) == (Encryption.CMEK, GOOGLE_KEY, "2", 17, WHEN)
    assert (b.encryption, b.key, b.key_version) == (Encryption.CMEK, GOOGLE_KEY, None)
    assert (c.encryption, c.key, c.key_version) == (Encryption.PROVIDER, None, None)
    assert not any("/o/" in one.target for one in cloud.traffic.requests)


def test_no_object_is_larger_than_a_pebibyte_and_each_can_be_read_at_once(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a", size=1 << 50, storage_class="ARCHIVE")
    (one,) = sweep(cloud)
    assert (one.size, one.storage_class, one.archived) == (1 << 50, "ARCHIVE", False)
    cloud.store.put("data", "b", size=(1 << 50) + 1)
    with pytest.raises(CollectError):
        sweep(cloud)


def test_a_customers_own_key_is_told_and_no_gap(cloud: GoogleCloud) -> None:
    digest = base64.b64encode(hashlib.sha256(b"k" * 32).digest()).decode()
    cloud.store.put("data", "a", customer_key_hash=digest)
    assert [(one.encryption, one.problem) for one in sweep(cloud)] == [(Encryption.CUSTOMER_SUPPLIED, None)]


def test_a_key_that_is_no_key_is_unresolved(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a", key="projects/acme/else", version=1)
    assert [(one.encryption, one.problem) for one in sweep(cloud)] == [(Encryption.UNKNOWN, Reason.MALFORMED)]


def test_hostile_names_come_back_as_they_were_written(cloud: GoogleCloud) -> None:
    for name in NAMES.values():
        cloud.store.put("data", name, key=GOOGLE_KEY)
    assert [one.name for one in sweep(cloud)] == sorted(NAMES.values(), key=str.encode)


def test_all_three_populations_pin_key_versions(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=1, noncurrent_since=WHEN)
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=2)
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=3, soft_deleted_since=WHEN)
    found = {one.population: one.key_version for one in sweep(cloud)}
    assert found == {Population.NONCURRENT: "1", Population.LIVE: "2", Population.SOFT_DELETED: "3"}
    for population in Population:
        assert {one.population for one in sweep(cloud, populations=(population,))} == {population}


def test_a_noncurrent_generation_that_was_deleted_pins_its_key_version(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=1, noncurrent_since=WHEN, soft_deleted_since=WHEN)
    cloud.store.put("data", "a", key=GOOGLE_KEY, version=2)
    found = {one.population: one.key_version for one in sweep(cloud)}
    assert found == {Population.LIVE: "2", Population.SOFT_DELETED: "1"}


def test_what_names_no_date_of_deletion_was_not_deleted(cloud: GoogleCloud) -> None:
    entry = b'{"name": "a", "generation": "1", "size": "1", "timeCreated": "2026-01-01T00:00:00Z", "timeDeleted": ""}'
    cloud.traffic.fail("/o?", status=200, body=b'{"kind": "storage#objects", "items": [' + entry + b"]}")
    (one,) = sweep(cloud, populations=(Population.LIVE,))
    assert one.population is Population.LIVE


def test_a_bucket_without_soft_delete_has_no_such_objects(cloud: GoogleCloud) -> None:
    cloud.store.buckets["data"].soft_delete *= 0
    cloud.store.put("data", "a")
    assert len(sweep(cloud)) == 1


@pytest.mark.parametrize("empty_pages", [False, True], ids=["full pages", "empty pages between"])
def test_pages_to_the_end(cloud: GoogleCloud, *, empty_pages: bool) -> None:
    cloud.storage.empty_pages = empty_pages
    for number in range(2_500):
        cloud.store.put("data", f"acme/{number:05}", key=GOOGLE_KEY)
    assert [one.name for one in sweep(cloud)] == [f"acme/{number:05}" for number in range(2_500)]


@pytest.mark.parametrize("populations", [(), (Population.LIVE,)], ids=["all", "live"])
def test_a_listing_is_gone_on_with_behind_a_name(cloud: GoogleCloud, populations: tuple[Population, ...]) -> None:
    for number, name in enumerate([*NAMES.values(), *(f"acme/{number:04}" for number in range(1_500))]):
        cloud.store.put("data", name, soft_deleted_since=WHEN if number % 3 == 0 else None)
    source = a_bucket(cloud, populations=populations)
    assert source.listings == ((Listing.STORED,) if populations else tuple(Listing))
    for listing in source.listings:
        whole = [replace(one, verified=WHEN) for one in objects_of(batches(source, listing))]
        assert len(whole) >= 500
        for after in (*NAMES.values(), "acme/0749", "acme/1499", "acme/", "zzzz", "acme/0749x"):
            found = [replace(one, verified=WHEN) for one in objects_of(batches(source, listing, after))]
            assert found == [one for one in whole if one.name > after], after


def test_a_listing_that_goes_on_before_the_name_where_it_was_to_is_none(cloud: GoogleCloud) -> None:
    entry = b'{"name": "%s", "generation": "1", "size": "1", "timeCreated": "2026-01-01T00:00:00Z"}'
    for names, told in (((b"m", b"n"), ["n"]), ((b"n", b"l"), None)):
        items = b", ".join(entry % name for name in names)
        cloud.traffic.heal()
        cloud.traffic.fail("startOffset=m", status=200, body=b'{"kind": "storage#objects", "items": [' + items + b"]}")
        if told is None:
            with pytest.raises(CollectError) as broken:
                objects_of(batches(a_bucket(cloud), Listing.STORED, "m"))
            assert broken.value.reason is Reason.MALFORMED
        else:
            assert [one.name for one in objects_of(batches(a_bucket(cloud), Listing.STORED, "m"))] == told


def test_reads_what_the_bucket_says_of_itself(cloud: GoogleCloud) -> None:
    cloud.store.add_bucket("other", "acme", "europe-west1", versioned=True, default_key=GOOGLE_KEY)
    assert a_bucket(cloud, "gs://other").facts() == BucketFacts(
        url="gs://other",
        cloud=Cloud.GCP,
        location="europe-west1",
        versioned=True,
        default_key=GOOGLE_KEY,
        service_agent="service-123456@gs-project-accounts.iam.gserviceaccount.com",
        new_objects=NewObjects(Encryption.CMEK, GOOGLE_KEY),
    )


def test_reads_what_the_bucket_makes_of_new_objects_and_in_which_regions_it_is(cloud: GoogleCloud) -> None:
    modes = {"googleManaged": "FullyRestricted", "customerManaged": "NotRestricted", "customerSupplied": "Sometimes"}
    cloud.store.add_bucket("other", "acme", "EU", enforced=modes, data_locations=("EUROPE-WEST4", "EUROPE-WEST1"))
    facts = a_bucket(cloud, "gs://other").facts()
    assert isinstance(facts, BucketFacts)
    assert facts.new_objects == NewObjects(
        Encryption.PROVIDER, refused=(Encryption.PROVIDER,), unclear=(Encryption.CUSTOMER_SUPPLIED,)
    )
    assert (facts.location, facts.data_locations) == ("eu", ("europe-west1", "europe-west4"))


@pytest.mark.parametrize(
    "told",
    [
        {"encryption": []},
        {"encryption": {"googleManagedEncryptionEnforcementConfig": "FullyRestricted"}},
        {"encryption": {"customerManagedEncryptionEnforcementConfig": {"restrictionMode": 1}}},
        {"customPlacementConfig": {"dataLocations": "EU"}},
    ],
    ids=["encryption", "a restriction", "its mode", "the regions"],
)
def test_settings_of_another_kind_are_a_gap(cloud: GoogleCloud, told: dict[str, Any]) -> None:
    body = {"kind": "storage#bucket", "id": "data", "projectNumber": "123456", **told}
    cloud.traffic.fail("/b/data?", status=200, body=json.dumps(body).encode())
    gap = a_bucket(cloud).facts()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("permission", "on"), [("storage.buckets.get", "data"), ("resourcemanager.projects.get", "acme")]
)
def test_settings_that_are_denied_are_a_gap_and_the_listing_goes_on(
    cloud: GoogleCloud, permission: str, on: str
) -> None:
    cloud.store.put("data", "a")
    cloud.store.deny(permission, on)
    bucket = a_bucket(cloud)
    gap = bucket.facts()
    assert isinstance(gap, Gap)
    assert (gap.reason, permission in gap.hint) == (Reason.ACCESS_DENIED, True)
    assert len(objects_of(everything(bucket))) == 1


@pytest.mark.parametrize("body", [b"[]", b'{"error": "no"}', b'{"error": {"details": ["x"]}}', b"[" * 60_000])
def test_an_error_that_the_client_cannot_read_is_no_answer(cloud: GoogleCloud, body: bytes) -> None:
    cloud.traffic.fail("/b/data?", status=403, body=body)
    told = a_bucket(cloud).facts()
    assert isinstance(told, Gap)
    assert told.reason is Reason.MALFORMED


def test_unfinished_uploads_are_counted_or_it_is_said_why_not(cloud: GoogleCloud) -> None:
    cloud.store.buckets["data"].uploads = [f"a<{number:04}" for number in range(2_300)]
    assert a_bucket(cloud).uploads_in_progress() == 2_300
    cloud.traffic.fail("uploads=", body=b"no XML", status=200, times=1)
    gap = a_bucket(cloud).uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED
    cloud.store.deny("storage.multipartUploads.list", "data")
    gap = a_bucket(cloud).uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.ACCESS_DENIED


class _Token(Credentials):
    """Valid by its date for ever."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # google-auth has no types
        self.renewed = 0
        self.token = "t0"

    def refresh(self, request: object) -> None:  # noqa: ARG002 - the library's shape
        self.renewed += 1
        self.token = f"t{self.renewed}"


def test_a_token_that_is_refused_before_its_time_is_renewed_once_for_all_that_are_out_with_it() -> None:
    token, curl = _Token(), Handle()
    curl.signed = None
    signer = _Signer(token, "http://here")
    first, second = (signer.page("data", {}, None) for _ in range(2))
    for one in (first, second):
        signer.sign(curl, one)
        one.status = 429
        assert not signer.look(one).again, "that is for the pauses"
        one.status = 401
    assert signer.look(first).again
    assert signer.look(second).again
    signer.sign(curl, first)
    signer.sign(curl, second)
    assert (token.renewed, token.token) == (1, "t1")
    assert not signer.look(first).again, "who is refused with a new token is refused"


BROKEN: dict[str, tuple[dict[str, Any], Reason]] = {
    "denied": ({"status": 403}, Reason.ACCESS_DENIED),
    "no such bucket": ({"status": 404}, Reason.NOT_FOUND),
    "no credentials": ({"status": 401}, Reason.EXPIRED_CREDENTIALS),
    "bad request": ({"status": 400}, Reason.MALFORMED),
    "no JSON": ({"status": 200, "body": b"<html>"}, Reason.MALFORMED),
    "a page that names itself": (
        {"status": 200, "body": b'{"kind": "storage#objects", "nextPageToken": "x"}'},
        Reason.MALFORMED,
    ),
    "a negative size": (
        {
            "status": 200,
            "body": b'{"kind": "storage#objects", "items": [{"name": "a", "generation": "1", "size": "-1", '
            b'"timeCreated": "2026-01-01T00:00:00Z"}]}',
        },
        Reason.MALFORMED,
    ),
    "a size that is a number to some": (
        {
            "status": 200,
            "body": b'{"kind": "storage#objects", "items": [{"name": "a", "generation": "1", "size": "0x10", '
            b'"timeCreated": "2026-01-01T00:00:00Z"}]}',
        },
        Reason.MALFORMED,
    ),
    "a generation that is no number": (
        {
            "status": 200,
            "body": b'{"kind": "storage#objects", "items": [{"name": "a", "generation": "", "size": "1", '
            b'"timeCreated": "2026-01-01T00:00:00Z"}]}',
        },
        Reason.MALFORMED,
    ),
    "a date that is none": (
        {
            "status": 200,
            "body": b'{"kind": "storage#objects", "items": [{"name": "a", "generation": "1", "size": "1", '
            b'"timeCreated": "yesterday"}]}',
        },
        Reason.MALFORMED,
    ),
    "names rolled up": ({"status": 200, "body": b'{"kind": "storage#objects", "prefixes": ["a/"]}'}, Reason.MALFORMED),
    "no object": ({"status": 200, "body": b'{"kind": "storage#objects", "items": [{"name": "a"}]}'}, Reason.MALFORMED),
}


@pytest.mark.parametrize(("fault", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_listing_that_cannot_be_finished_is_an_error_with_a_hint(
    cloud: GoogleCloud, fault: dict[str, Any], reason: Reason
) -> None:
    for number in range(1_500):
        cloud.store.put("data", f"{number:05}")
    cloud.traffic.fail("/o?", skip=1, **fault)
    with pytest.raises(CollectError) as broken:
        sweep(cloud)
    assert (broken.value.reason, bool(broken.value.hint)) == (reason, True)
    assert "gs://data" in str(broken.value)


REFUSALS: dict[str, tuple[dict[str, Any], timedelta, bool]] = {
    "of a bucket without a policy": ({}, timedelta(0), True),
    "of a bucket that has one": ({"status": 400}, timedelta(days=7), False),
    "by a page that somebody put in its place": ({"status": 400, "body": b"<html>400</html>"}, timedelta(0), False),
    "of a later page": ({"status": 400, "skip": 1}, timedelta(0), False),
}


@pytest.mark.parametrize(("fault", "keeps", "told"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_question_for_soft_deleted_objects_means_none_only_where_it_can(
    cloud: GoogleCloud,
    fault: dict[str, Any],
    keeps: timedelta,
    told: bool,  # noqa: FBT001 - a case
) -> None:
    home = cloud.store.buckets["data"]
    for number in range(1_500):
        cloud.store.put("data", f"{number:05}").soft_deleted_since = cloud.store.clock()
    cloud.store.put("data", "live")
    home.soft_delete = timedelta(days=7) if fault.get("skip") else keeps
    bucket = a_bucket(cloud)
    bucket.facts()
    if fault:
        cloud.traffic.fail("softDeleted=", **fault)
    if told:
        assert [one.name for one in objects_of(everything(bucket))] == ["live"]
    else:
        with pytest.raises(CollectError) as broken:
            objects_of(everything(bucket))
        assert broken.value.reason is Reason.MALFORMED


def test_without_its_settings_the_bucket_s_own_refusal_is_believed_on_the_first_page_alone(cloud: GoogleCloud) -> None:
    for number in range(1_500):
        cloud.store.put("data", f"{number:05}").soft_deleted_since = cloud.store.clock()
    cloud.traffic.fail("softDeleted=", status=400, skip=1)
    with pytest.raises(CollectError):
        objects_of(everything(a_bucket(cloud)))
    cloud.traffic.heal()
    cloud.traffic.fail("softDeleted=", status=400)
    assert objects_of(everything(a_bucket(cloud))) == []


CIRCLE = [b'{"kind": "storage#objects", "nextPageToken": "%s"}' % one for one in (b"x", b"y", b"x", b"y", b"x")]


def test_a_listing_that_goes_round_in_a_circle_ends(cloud: GoogleCloud) -> None:
    for body in CIRCLE:
        cloud.traffic.fail("/o?", status=200, body=body, times=1)
    with pytest.raises(CollectError) as broken:
        sweep(cloud)
    assert broken.value.reason is Reason.MALFORMED


ITEM = b'{"name": "a", "generation": "1", "size": "1", "timeCreated": "2026-01-01T00:00:00Z"}'


@pytest.mark.parametrize("item", [b"", ITEM], ids=["nothing", "the same"])
def test_a_listing_that_tells_nothing_new_ends_whatever_tokens_it_names(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, item: bytes
) -> None:
    monkeypatch.setattr("auditor.connectors.trail._EMPTY_PAGES", 10)
    for number in range(30):
        body = b'{"kind": "storage#objects", "items": [%s], "nextPageToken": "t%d"}' % (item, number)
        cloud.traffic.fail("/o?", status=200, body=body, times=1)
    cloud.traffic.fail("/o?", status=403)
    with pytest.raises(CollectError) as broken:
        sweep(cloud)
    assert broken.value.reason is Reason.MALFORMED


def test_an_object_whose_class_is_not_told_is_of_the_usual_one(cloud: GoogleCloud) -> None:
    item = ITEM.replace(b"}", b', "storageClass": null}')
    cloud.traffic.fail("/o?", status=200, body=b'{"kind": "storage#objects", "items": [%s]}' % item, times=1)
    assert [one.storage_class for one in sweep(cloud, populations=(Population.LIVE,))] == ["STANDARD"]


def test_pages_without_an_entry_are_waited_through(cloud: GoogleCloud) -> None:
    for number in range(50):
        body = b'{"kind": "storage#objects", "nextPageToken": "t%d"}' % number
        cloud.traffic.fail("/o?", status=200, body=body, times=1)
    cloud.traffic.fail("t49", status=200, body=b'{"kind": "storage#objects", "items": [%s]}' % ITEM, times=1)
    assert [one.name for one in sweep(cloud, populations=(Population.LIVE,))] == ["a"]


def test_uploads_that_go_round_in_a_circle_or_do_not_say_how_many_are_a_gap(cloud: GoogleCloud) -> None:
    def page(rest: bytes) -> bytes:
        return b"<ListMultipartUploadsResult>" + rest + b"</ListMultipartUploadsResult>"

    place = b"<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker>"
    twice = b"<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>"
    pieces = b"<IsTruncated>false<b/>true</IsTruncated>"
    for rest in (place, b"", b"<IsTruncated>true</IsTruncated>", twice, pieces):
        cloud.traffic.heal()
        cloud.traffic.fail("uploads=", status=200, body=page(rest))
        gap = a_bucket(cloud).uploads_in_progress()
        assert isinstance(gap, Gap), rest
        assert gap.reason is Reason.MALFORMED


NOT_MINE = {
    "another bucket": "<Bucket>other</Bucket>",
    "a page that begins elsewhere": "<KeyMarker>m</KeyMarker>",
    "some names alone": "<Prefix>a</Prefix>",
    "names that stand for many": "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
}


@pytest.mark.parametrize("what", NOT_MINE.values(), ids=NOT_MINE)
def test_uploads_of_others_are_not_counted(cloud: GoogleCloud, what: str) -> None:
    def told(inner: str) -> int | Gap:
        body = f"<ListMultipartUploadsResult>{inner}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        cloud.traffic.heal()
        cloud.traffic.fail("uploads", status=200, body=body.encode())
        return a_bucket(cloud).uploads_in_progress()

    assert told("<Bucket>data</Bucket><KeyMarker/><Prefix/>") == 0
    gap = told(what)
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


def test_a_page_of_uploads_that_comes_again_and_again_is_a_gap(cloud: GoogleCloud) -> None:
    for number in range(20):
        told = f"<NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>{number}</NextUploadIdMarker>"
        one = "<Upload><Key>a</Key><UploadId>1</UploadId></Upload>"
        body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{told}{one}</ListMultipartUploadsResult>"
        cloud.traffic.fail("uploads=", status=200, body=body.encode(), times=1)
    gap = a_bucket(cloud).uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


@pytest.mark.parametrize("places", [["b", "a"], [f"{number:02}" for number in range(20)]])
def test_uploads_that_go_back_or_never_come_are_a_gap(
    cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    monkeypatch.setattr("auditor.connectors.trail._EMPTY_PAGES", 9)
    for number, place in enumerate(places):
        told = f"<NextKeyMarker>{place}</NextKeyMarker><NextUploadIdMarker>{number}</NextUploadIdMarker>"
        body = f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{told}</ListMultipartUploadsResult>"
        cloud.traffic.fail("uploads=", status=200, body=body.encode(), times=1)
    gap = a_bucket(cloud).uploads_in_progress()
    assert isinstance(gap, Gap)
    assert gap.reason is Reason.MALFORMED


def test_a_short_storm_of_503_and_429_is_survived(cloud: GoogleCloud) -> None:
    cloud.store.put("data", "a")
    cloud.traffic.fail("/o?", status=503, times=1)
    cloud.traffic.fail("/o?", status=429, times=1)
    assert len(sweep(cloud)) == 1


def test_lists_the_buckets_of_a_project_or_says_why_not(cloud: GoogleCloud) -> None:
    cloud.store.add_bucket("other", "acme", "us-east1")
    clients = google_clients(cloud)
    assert GcsBuckets(clients, ["acme"]).buckets() == frozenset({"gs://data", "gs://other"})
    assert isinstance(GcsBuckets(clients, []).buckets(), Gap)
    cloud.store.deny("storage.buckets.list", "acme")
    told = GcsBuckets(clients, ["acme"]).buckets()
    assert isinstance(told, Gap)
    assert told.reason is Reason.ACCESS_DENIED


def test_every_answer_is_counted_and_nothing_that_changes_is_sent(cloud: GoogleCloud) -> None:
    wire = Wire(Clock())
    cloud.store.put("data", "a")
    sweep(cloud, wire=wire)
    assert wire.counts()["storage", "objects.list", "ok"] == 2
    before = len(cloud.traffic.requests)
    with pytest.raises(ReadOnlyError):
        google_clients(cloud).storage(None).bucket("data").blob("a").delete()
    with pytest.raises(ReadOnlyError):
        google_clients(cloud).storage(None).bucket("data").blob("a").download_as_bytes()
    assert len(cloud.traffic.requests) == before


def test_what_is_told_of_another_bucket_is_no_answer(cloud: GoogleCloud) -> None:
    body = b'{"kind": "storage#bucket", "id": "elsewhere", "name": "elsewhere", "projectNumber": "1", "location": "US"}'
    cloud.traffic.fail("GET /storage/v1/b/data?", status=200, body=body)
    gap = a_bucket(cloud).facts()
    assert isinstance(gap, Gap)
    assert (gap.reason, "about another bucket" in gap.effect) == (Reason.MALFORMED, True)
