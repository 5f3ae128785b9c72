"""Which pages of an S3 listing are answers, and what their entries say."""

import pytest

from auditor.connectors.aws.listing import LARGEST, NoPageError, Page, parse_page

ENTRY = (
    "<Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>{}</Size>"
    "<StorageClass>STANDARD</StorageClass>"
)
ASKED = {"continuation-token": "t"}
MARKED = {"key-marker": "a b", "version-id-marker": "v"}


def live(inside: str = "", *, size: object = 1, more: str = "<IsTruncated>false</IsTruncated>") -> bytes:
    entry = f"<Contents>{ENTRY.format(size)}</Contents>"
    return f'<ListBucketResult xmlns="http://s3">{more}{inside}{entry}</ListBucketResult>'.encode()


def versions(inside: str = "", entry: str = "") -> bytes:
    told = f"<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>{inside}{entry}"
    return f"<ListVersionsResult>{told}</ListVersionsResult>".encode()


def test_a_page_is_read_column_by_column() -> None:
    version = f"<Version>{ENTRY.format(7)}<VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>"
    echo = "<KeyMarker>a+b</KeyMarker><VersionIdMarker>v</VersionIdMarker>"
    assert parse_page(versions(echo, version), "data", versions=True, asked=MARKED) == Page(
        names=["a"],
        versions=["v1"],
        newest=[False],
        sizes=[7],
        modified=["2026-01-01T00:00:00.000Z"],
        etags=["e"],
        classes=["STANDARD"],
        following=None,
    )
    page = parse_page(
        live("<KeyCount>1</KeyCount><ContinuationToken>t</ContinuationToken>"), "data", versions=False, asked=ASKED
    )
    assert (page.versions, page.newest, page.following) == ([None], [True], None)


def test_a_page_says_where_the_next_begins() -> None:
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken>"
    assert parse_page(live(more=more), "data", versions=False).following == {"continuation-token": "n"}
    assert parse_page(live(more="<IsTruncated>true</IsTruncated>"), "data", versions=False).following == {}
    place = "<NextKeyMarker>a+b</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
    told = versions(place).replace(b"false", b"true")
    assert parse_page(told, "data", versions=True).following == MARKED
    assert parse_page(versions().replace(b"false", b"true"), "data", versions=True).following == {}


NO_PAGES: dict[str, tuple[bytes, bool]] = {
    "nothing": (b"", False),
    "no XML": (b"<ListBucketResult>", False),
    "another document": (live(), True),
    "nothing said of more": (live(more=""), False),
    "something else said of more": (live(more="<IsTruncated>True</IsTruncated>"), False),
    "fewer entries than it says": (live("<KeyCount>2</KeyCount>"), False),
    "more entries than it says": (live("<KeyCount>0</KeyCount>"), False),
    "the page before": (live("<ContinuationToken>s</ContinuationToken>"), False),
    "a later page of versions": (versions("<KeyMarker>z</KeyMarker>"), True),
    "another version of the name": (versions("<KeyMarker>a+b</KeyMarker><VersionIdMarker>w</VersionIdMarker>"), True),
    "entries in another namespace": (versions(entry='<v:Version xmlns:v="else"><v:Key>a</v:Key></v:Version>'), True),
    "another bucket's": (live("<Name>another</Name>"), False),
    "of some names alone": (live("<Prefix>zzz</Prefix>"), False),
    "a name that is no text": (live("<EncodingType>url</EncodingType>").replace(b"<Key>a<", b"<Key>%FF<"), False),
    "a size below nothing": (live(size=-1), False),
    "a size that no object has": (live(size=LARGEST + 1), False),
    "a size that is no number": (live(size="much"), False),
    "no size": (live().replace(b"<Size>1</Size>", b""), False),
    "no name": (live().replace(b"<Key>a</Key>", b""), False),
    "no date": (live().replace(b"LastModified", b"Last"), False),
}


@pytest.mark.parametrize(("body", "of_versions"), NO_PAGES.values(), ids=NO_PAGES)
def test_what_is_no_answer_to_the_question_is_no_page(body: bytes, of_versions: bool) -> None:  # noqa: FBT001 - a case
    with pytest.raises(NoPageError):
        parse_page(body, "data", versions=of_versions, asked=MARKED if of_versions else ASKED)


def test_what_an_entry_may_leave_out_is_left_out() -> None:
    body = (
        live(size=LARGEST)
        .replace(b"<ETag>&quot;e&quot;</ETag>", b"")
        .replace(b"<StorageClass>STANDARD</StorageClass>", b"")
    )
    page = parse_page(body, "data", versions=False)
    assert (page.sizes, page.etags, page.classes) == ([LARGEST], [None], ["STANDARD"])
    version = ENTRY.format(1).replace("<ETag>&quot;e&quot;</ETag>", "<ETag></ETag>") + "<IsLatest>true</IsLatest>"
    two = f"<Version>{version}</Version><Version>{version}<VersionId>v</VersionId></Version>"
    page = parse_page(versions(entry=two), "data", versions=True)
    assert (page.versions, page.newest, page.etags) == ([None, "v"], [True, True], [None, None])
    assert page.only([1]).versions == ["v"]
    assert page.only([1]).names == ["a"]


def test_an_access_points_pages_are_of_the_bucket_behind_it() -> None:
    body = live("<Name>another</Name>")
    assert parse_page(body, "mine-abcdef0123456789-s3alias", versions=False).names == ["a"]
    assert parse_page(live("<Name>data</Name>"), "data", versions=False).names == ["a"]


def test_a_page_that_was_asked_for_by_a_prefix_says_so() -> None:
    asked = {"prefix": "a b"}
    body = versions("<Prefix>a+b</Prefix>")
    assert parse_page(body, "data", versions=True, asked=asked).names == []
    with pytest.raises(NoPageError):
        parse_page(versions(), "data", versions=True, asked=asked)
