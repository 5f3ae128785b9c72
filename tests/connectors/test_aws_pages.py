"""What pages of a listing settle: whether a version is there, is another by now, and where the next page begins."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.stub import Stubber

from auditor.connectors.aws.encryption import Head, Told
from auditor.connectors.aws.listing import LARGEST
from auditor.connectors.aws.objects import (
    Listed,
    S3Bucket,
    _About,
    _as_it_is,
    _end_of,
    _has_number,
    _Heads,
    _is_doubtful,
    _is_gone,
    _is_listed,
    _last_version,
    _read,
    _Undecided,
    _unresolved,
    headed,
    parse_listed,
)
from auditor.connectors.pace import Pace
from auditor.errors import CollectError
from auditor.model import Encryption, Population, Reason

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

WHEN = datetime(2026, 11, 1, tzinfo=UTC)


def a_version(name: str = "a", version: str | None = "v1", etag: str | None = "e", size: int = 17) -> Listed:
    return Listed(name, version, newest=True, size=size, modified=WHEN, etag=etag, storage_class="STANDARD")


GONE: dict[str, tuple[Listed, list[Listed], bool, bool]] = {
    "an empty page": (a_version(), [], False, True),
    "it is there": (a_version(), [a_version()], False, False),
    "another version of it alone": (a_version(), [a_version(version="v2")], False, True),
    "any version, where none was named": (a_version(version=None), [a_version(version="v2")], False, False),
    "more of its versions may follow": (a_version(), [a_version(version="v2")], True, False),
    "another name follows": (a_version(), [a_version(version="v2"), a_version("ab")], True, True),
    "names that begin with it": (a_version(), [a_version("ab"), a_version("ac")], False, True),
    "a page about something else": (a_version(), [a_version("b")], False, False),
    "something else among them": (a_version(), [a_version("ab"), a_version("b")], False, False),
    "a name that may be another": (a_version("a b"), [], False, False),
    "an empty page that is not the last": (a_version(), [], True, False),
}


@pytest.mark.parametrize(("version", "found", "truncated", "is_gone"), GONE.values(), ids=GONE)
def test_a_version_is_gone_where_a_page_that_would_list_it_does_not(
    version: Listed, found: list[Listed], *, truncated: bool, is_gone: bool
) -> None:
    assert _is_gone(_About(found, truncated), version) is is_gone


def a_head(etag: str | None = "e", size: int | None = 17, **told: Any) -> Head:
    return Head(Told(Encryption.CMEK, "k", **told), etag, "v1", size)


LISTED: dict[str, tuple[Listed, Head, list[Listed], bool]] = {
    "as it was": (a_version(), a_head(), [a_version("b"), a_version()], True),
    "any version, where none was named": (a_version(version=None), a_head(), [a_version(version="v9")], True),
    "another version": (a_version(), a_head(), [a_version(version="v2")], False),
    "another name": (a_version(), a_head(), [a_version("b")], False),
    "another content": (a_version(), a_head(), [a_version(etag="f")], False),
    "another size": (a_version(), a_head(), [a_version(size=18)], False),
    "HEAD told no size": (a_version(), a_head(size=None), [a_version(size=18)], True),
    "nothing": (a_version(), a_head(), [], False),
}


@pytest.mark.parametrize(("version", "head", "found", "is_listed"), LISTED.values(), ids=LISTED)
def test_a_head_is_believed_where_a_page_lists_what_it_describes(
    version: Listed, head: Head, found: list[Listed], *, is_listed: bool
) -> None:
    assert _is_listed(_About(found, truncated=False), version, head) is is_listed


def test_a_page_that_is_asked_for_as_it_is_is_asked_for_without_an_encoding() -> None:
    for encoding, left in (("none", {"prefix": "a"}), ("url", {"prefix": "a", "encoding-type": "url"})):
        params = {"query_string": {"prefix": "a", "encoding-type": encoding}}
        _as_it_is(params, model=None)
        assert params == {"query_string": left}
    nothing: dict[str, Any] = {"query_string": {}}
    _as_it_is(nothing)
    assert nothing == {"query_string": {}}


EMPTY = {"IsTruncated": True, "NextKeyMarker": "a%2Bb", "EncodingType": "url"}
DOUBTFUL: dict[str, tuple[dict[str, Any], bool]] = {
    "a place that may be two": (EMPTY, True),
    "a place that is the same either way": ({**EMPTY, "NextKeyMarker": "ab"}, False),
    "not encoded": ({**EMPTY, "EncodingType": None}, False),
    "nobody says where": ({**EMPTY, "NextKeyMarker": None}, False),
    "the last page": ({**EMPTY, "IsTruncated": False}, False),
    "a version tells": ({**EMPTY, "Versions": [{}]}, False),
    "a delete marker tells": ({**EMPTY, "DeleteMarkers": [{}]}, False),
}


@pytest.mark.parametrize(("page", "doubtful"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_page_without_entries_may_go_on_behind_one_name_or_another(page: dict[str, Any], *, doubtful: bool) -> None:
    assert _is_doubtful(page) is doubtful


def test_names_are_read_as_the_page_says_that_they_are_written() -> None:
    for kind in ("Contents", "Versions", "DeleteMarkers"):
        for encoding, name in (("url", "a+b c"), (None, "a%2Bb+c")):
            page = _read({"EncodingType": encoding, kind: [{"Key": "a%2Bb+c"}]})
            assert page[kind] == [{"Key": name}]
    assert _read({"EncodingType": "url"}) == {"EncodingType": "url"}
    with pytest.raises(UnicodeDecodeError):
        _read({"EncodingType": "url", "Contents": [{"Key": "%FF"}]})


def test_only_the_services_own_refusal_has_a_number() -> None:
    def refused(**headers: str) -> ClientError:
        told: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPHeaders": headers}}
        return ClientError(told, "HeadObject")

    assert _has_number(refused(**{"x-amz-request-id": "r"}))
    assert not _has_number(refused(via="a proxy"))
    assert not _has_number(ClientError({"Error": {}}, "HeadObject"))
    bare: Any = {"Error": {}, "ResponseMetadata": {}}
    assert not _has_number(ClientError(bare, "HeadObject"))
    assert not _has_number(ConnectTimeoutError(endpoint_url="https://s3"))


def entry(name: str, version: str | None = None, days: float = 0) -> dict[str, Any]:
    return {"Key": name, "VersionId": version, "LastModified": WHEN + timedelta(days=days)}


def test_pages_are_told_apart_by_the_last_entry_of_each_kind() -> None:
    versions, markers = [entry("a", "1"), entry("b", "2")], [entry("a", "3")]
    assert _end_of(versions, markers) == (("b", "2"), ("a", "3"))
    assert _end_of(versions, []) == (("b", "2"),)
    assert _end_of([], []) is None
    assert _end_of([{}]) == ((None, None),)


LAST: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str]] = {
    "of versions": ([entry("b", "2"), entry("a", "1")], [], "1"),
    "the older of two kinds": ([entry("a", "1", days=1)], [entry("a", "2")], "2"),
    "the other way round": ([entry("a", "1")], [entry("a", "2", days=1)], "1"),
    "one kind ends with another name": ([entry("a", "1", days=1)], [entry("b", "2")], "1"),
    "none of that name": ([entry("b", "1")], [entry("c", "2")], ""),
    "nothing": ([], [], ""),
    "without an id": ([entry("a")], [], ""),
}


@pytest.mark.parametrize(("versions", "markers", "last"), LAST.values(), ids=LAST)
def test_a_page_goes_on_behind_the_last_version_of_a_name(
    versions: list[dict[str, Any]], markers: list[dict[str, Any]], last: str
) -> None:
    assert _last_version("a", versions, markers) == last


def told(**more: Any) -> dict[str, Any]:
    return {"Key": "a", "VersionId": "v1", "Size": 17, "LastModified": WHEN, "ETag": '"e"', **more}


@pytest.mark.parametrize("size", [-1, LARGEST + 1])
def test_an_entry_of_a_size_that_no_object_has_is_none(size: int) -> None:
    with pytest.raises(ValueError, match="no object"):
        parse_listed(told(Size=size), newest=True, versioned=True)


def test_an_entry_may_be_as_large_and_as_small_as_any_object() -> None:
    for size in (0, LARGEST):
        assert parse_listed(told(Size=size), newest=True, versioned=True).size == size
    assert parse_listed(told(VersionId=""), newest=True, versioned=True).version is None
    assert parse_listed(told(ETag=""), newest=True, versioned=True).etag is None


def test_an_object_is_what_its_listing_and_its_head_say() -> None:
    version = a_version()
    well = headed(version, Told(Encryption.CMEK, "k"), WHEN)
    assert (well.name, well.version, well.population, well.size) == ("a", "v1", Population.LIVE, 17)
    assert (well.modified, well.etag, well.storage_class, well.archived) == (WHEN, "e", "STANDARD", False)
    assert (well.encryption, well.key, well.key_version) == (Encryption.CMEK, "k", None)
    assert (well.verified, well.problem) == (WHEN, None)
    failed = headed(version, Told(Encryption.UNKNOWN, None, problem=Reason.ACCESS_DENIED), WHEN)
    assert (failed.encryption, failed.verified, failed.problem) == (Encryption.UNKNOWN, None, Reason.ACCESS_DENIED)


def test_of_what_no_head_told_the_encryption_is_unknown() -> None:
    found = _unresolved(a_version(), Reason.THROTTLED)
    assert (found.encryption, found.key, found.verified, found.problem) == (
        Encryption.UNKNOWN,
        None,
        None,
        Reason.THROTTLED,
    )


@pytest.fixture(scope="module")
def client() -> "S3Client":
    """A client that reaches nobody."""
    alone = Config(retries={"total_max_attempts": 1})
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b")
    return session.client("s3", region_name="eu-west-1", config=alone)


@pytest.mark.parametrize("repeated", ["a b+c", "a+b%2Bc"], ids=["as it was asked", "encoded"])
def test_a_page_may_repeat_its_place_in_either_way(client: "S3Client", repeated: str) -> None:
    bucket = S3Bucket(client, "s3://data", (), Pace(1_000), lambda: WHEN)
    page = {"Name": "data", "IsTruncated": False, "EncodingType": "url", "Prefix": "", "Delimiter": ""}
    with Stubber(client) as stub:
        stub.add_response("list_objects_v2", {**page, "StartAfter": repeated})
        assert list(bucket._live_pages("a b+c")) == [[]]  # noqa: SLF001 - its public way HEADs what is listed
        stub.add_response("list_object_versions", {**page, "KeyMarker": repeated})
        assert list(bucket._version_pages("a b+c")) == [[]]  # noqa: SLF001 - likewise
        for elsewhere in ({"StartAfter": "a b"}, {"StartAfter": repeated, "Prefix": "x"}):
            stub.add_response("list_objects_v2", {**page, **elsewhere})
            with pytest.raises(CollectError):
                list(bucket._live_pages("a b+c"))  # noqa: SLF001 - likewise


REFUSED: dict[str, tuple[str, bool, Reason | None]] = {
    "not there, and not listed": ("404", False, None),
    "a delete marker by now, and not listed": ("405", False, None),
    "not there, and listed": ("404", True, Reason.NOT_FOUND),
    "a delete marker, and listed": ("405", True, Reason.NOT_FOUND),
    "denied": ("403", False, Reason.ACCESS_DENIED),
}


@pytest.mark.parametrize(("code", "listed", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_a_head_does_not_find_is_gone_only_where_nobody_lists_it(
    client: "S3Client", code: str, problem: Reason | None, *, listed: bool
) -> None:
    heads = _Heads(client, "data", lambda: WHEN, versions=True)
    page = {"Name": "data", "Prefix": "a", "MaxKeys": 1000, "IsTruncated": False, "EncodingType": "url"}
    with Stubber(client) as stub:
        stub.add_client_error("head_object", code, http_status_code=int(code))
        stub.add_response("list_object_versions", {**page, "Versions": [told()] if listed else []})
        found = heads.learn(a_version())
    assert found == (_unresolved(a_version(), problem) if problem is not None else None)


def test_a_bare_refusal_decides_nothing_yet(client: "S3Client") -> None:
    heads = _Heads(client, "data", lambda: WHEN, versions=True)
    with Stubber(client) as stub:
        stub.add_client_error("head_object", "400", http_status_code=400)
        found = heads.learn(a_version())
    assert found == _Undecided(a_version(), _unresolved(a_version(), Reason.UNSUPPORTED))
