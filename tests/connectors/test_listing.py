"""Which pages of an S3 listing are answers, and what their entries say."""

import re
from dataclasses import replace

import pytest

from auditor.connectors.aws.encryption import Head, Told
from auditor.connectors.aws.listing import LARGEST, NoPageError, Page, is_gone, is_listed, parse_page
from auditor.model import Encryption

ENTRY = (
    "<Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>{}</Size>"
    "<StorageClass>STANDARD</StorageClass>"
)
NAME = "<Name>data</Name>"
ASKED = {"continuation-token": "t"}
MARKED = {"key-marker": "A b", "version-id-marker": "v"}


def live(
    inside: str = "", *, size: object = 1, more: str = "<IsTruncated>false</IsTruncated>", name: str = NAME
) -> bytes:
    entry = f"<Contents>{ENTRY.format(size)}</Contents>"
    return f'<ListBucketResult xmlns="http://s3">{name}{more}{inside}{entry}</ListBucketResult>'.encode()


def versions(inside: str = "", entry: str = "") -> bytes:
    told = f"{NAME}<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>{inside}{entry}"
    return f"<ListVersionsResult>{told}</ListVersionsResult>".encode()


def test_a_page_is_read_column_by_column() -> None:
    version = f"<Version>{ENTRY.format(7)}<VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>"
    echo = "<KeyMarker>A+b</KeyMarker><VersionIdMarker>v</VersionIdMarker>"
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
    place = "<NextKeyMarker>A+b</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
    told = versions(place).replace(b"false", b"true")
    assert parse_page(told, "data", versions=True).following == MARKED
    assert parse_page(versions().replace(b"false", b"true"), "data", versions=True).following == {}


VERSION = f"<Version>{ENTRY.format(7)}<VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>"
TOO_LARGE = b"1125899906842625"
LATER = (
    b"<Contents><Key>b</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>%s</Size></Contents>"
    b"</ListBucketResult>"
)


def test_an_object_may_be_empty() -> None:
    body = live(size=0).replace(b"</ListBucketResult>", LATER % b"7")
    assert parse_page(body, "data", versions=False).sizes == [0, 7]


def a_page(*names: str, more: bool = False, told: tuple[str | None, ...] = ()) -> Page:
    count = len(names)
    following = {"key-marker": "z"} if more else None
    versions = list(told or (None,) * count)
    return Page(
        list(names), versions, [True] * count, [1] * count, [""] * count, [None] * count, [""] * count, following
    )


LACKING: dict[str, tuple[Page, str | None, bool]] = {
    "nothing of that name": (a_page(), None, True),
    "the name itself": (a_page("a"), None, False),
    "longer names": (a_page("ab", "ac"), None, True),
    "the name and longer ones": (a_page("a", "ab"), None, False),
    "the name, whatever its version": (a_page("a", told=("v",)), None, False),
    "the version": (a_page("a", "a", told=("w", "v")), "v", False),
    "other versions": (a_page("a", "a", told=("w", "x")), "v", True),
    "other versions, and more to come": (a_page("a", "a", told=("w", "x"), more=True), "v", False),
    "other versions, a longer name, and more to come": (a_page("a", "ab", told=("w", "x"), more=True), "v", True),
    "other names": (a_page("b"), None, False),
    "nothing, and more to come": (a_page(more=True), None, False),
}


@pytest.mark.parametrize(("page", "version", "lacking"), LACKING.values(), ids=LACKING)
def test_a_name_is_gone_where_a_page_of_it_ends_without_it(page: Page, version: str | None, lacking: bool) -> None:  # noqa: FBT001 - a case
    assert is_gone(page, "a", version) is lacking


def test_a_name_with_a_blank_may_be_another_and_is_never_gone() -> None:
    assert is_gone(a_page(), "ab", None)
    assert not is_gone(a_page(), "a b", None)


PLAIN = Told(Encryption.PROVIDER)
LISTED: dict[str, tuple[str, str | None, Head, bool]] = {
    "as it is": ("a", "v", Head(PLAIN, "e", "v", 1), True),
    "whatever its version": ("a", None, Head(PLAIN, "e", None, 1), True),
    "another content": ("a", "v", Head(PLAIN, "f", "v", 1), False),
    "another length": ("a", "v", Head(PLAIN, "e", "v", 2), False),
    "without a length": ("a", "v", Head(PLAIN, "e", "v"), True),
    "another version": ("a", "w", Head(PLAIN, "e", "v", 1), False),
    "another name": ("b", "v", Head(PLAIN, "e", "v", 1), False),
}


@pytest.mark.parametrize(("name", "version", "head", "listed"), LISTED.values(), ids=LISTED)
def test_what_head_describes_is_listed_or_not(name: str, version: str | None, head: Head, listed: bool) -> None:  # noqa: FBT001 - a case
    page = replace(a_page("a", told=("v",)), etags=["e"])
    assert is_listed(page, name, version, head) is listed


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
    "another version of the name": (versions("<KeyMarker>A+b</KeyMarker><VersionIdMarker>w</VersionIdMarker>"), True),
    "entries in another namespace": (versions(entry='<v:Version xmlns:v="else"><v:Key>a</v:Key></v:Version>'), True),
    "another bucket's": (live(name="<Name>another</Name>"), False),
    "of no bucket": (live(name=""), False),
    "of a bucket without a name": (live(name="<Name></Name>"), False),
    "said twice that there is no more": (live("<IsTruncated>false</IsTruncated>"), False),
    "said twice whether there is more": (live("<IsTruncated>true</IsTruncated>"), False),
    "names rolled up": (live("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"), False),
    "names to be rolled up": (live("<Delimiter>/</Delimiter>"), False),
    "names behind one that nobody asked for": (live("<StartAfter>Z</StartAfter>"), False),
    "the first page instead of a later one": (versions("<KeyMarker/><VersionIdMarker/>"), True),
    "names from before the place": (versions(entry=VERSION.replace("<Key>a<", "<Key>A<")), True),
    "an entry in another namespace among others": (
        live('<o:Contents xmlns:o="else"><o:Key>b</o:Key></o:Contents>'),
        False,
    ),
    "whether there is more in another namespace as well": (
        live('<o:IsTruncated xmlns:o="else">true</o:IsTruncated>'),
        False,
    ),
    "two names of one entry and none of another": (
        live()
        .replace(b"</Key>", b"</Key><Key>b</Key>")
        .replace(b"</ListBucketResult>", LATER.replace(b"<Key>b</Key>", b"") % b"1"),
        False,
    ),
    "two classes of one entry and none of another": (
        live()
        .replace(b"<Storage", b"<StorageClass>GLACIER</StorageClass><Storage")
        .replace(b"</ListBucketResult>", LATER % b"1"),
        False,
    ),
    "of some names alone": (live("<Prefix>zzz</Prefix>"), False),
    "rolled up by another than none": (live("<Delimiter>/</Delimiter>"), False),
    "twice of which names": (live("<Prefix></Prefix><Prefix></Prefix>"), False),
    "twice how it is encoded": (live("<EncodingType>url</EncodingType><EncodingType>url</EncodingType>"), False),
    "twice how many it has": (live("<KeyCount>1</KeyCount><KeyCount>1</KeyCount>"), False),
    "twice how many it may have": (live("<MaxKeys>1</MaxKeys><MaxKeys>1</MaxKeys>"), False),
    "one name of two from before the place": (
        versions(entry=VERSION.replace("<Key>a<", "<Key>A<") + VERSION),
        True,
    ),
    "a name that is no text": (live("<EncodingType>url</EncodingType>").replace(b"<Key>a<", b"<Key>%FF<"), False),
    "a place that is no text": (
        versions("<NextKeyMarker>%FF</NextKeyMarker>").replace(b">false<", b">true<"),
        True,
    ),
    "a size below nothing": (live(size=-1), False),
    "a size that no object has": (live(size=LARGEST + 1), False),
    "a size that is no number": (live(size="much"), False),
    "a document with entities of its own": (
        b'<!DOCTYPE x [<!ENTITY e "b">]>' + live().replace(b"<Key>a<", b"<Key>a&e;<"),
        False,
    ),
    "another document with all that a page has": (live().replace(b"ListBucketResult", b"Error"), False),
    "one size below nothing among others": (live().replace(b"</ListBucketResult>", LATER % b"-1"), False),
    "one size that no object has among others": (
        live().replace(b"</ListBucketResult>", LATER % b"1125899906842625"),
        False,
    ),
    "nothing said of which is the newest": (
        versions(entry=f"<Version>{ENTRY.format(1)}<VersionId>v</VersionId></Version>"),
        True,
    ),
    "more than a text for whether there is more": (live(more="<IsTruncated>false<b/>true</IsTruncated>"), False),
    "more than a text for whose it is": (live(name="<Name>data<b/>base</Name>"), False),
    "a name in pieces": (live().replace(b"<Key>a</Key>", b"<Key>a<b/>b</Key>"), False),
    "no size": (live().replace(b"<Size>1</Size>", b""), False),
    "no name": (live().replace(b"<Key>a</Key>", b""), False),
    "no date": (live().replace(b"LastModified", b"Last"), False),
}


@pytest.mark.parametrize(("body", "of_versions"), NO_PAGES.values(), ids=NO_PAGES)
def test_what_is_no_answer_to_the_question_is_no_page(body: bytes, of_versions: bool) -> None:  # noqa: FBT001 - a case
    with pytest.raises(NoPageError):
        parse_page(body, "data", versions=of_versions, asked=MARKED if of_versions else ASKED)


def test_a_remark_within_a_text_is_none_of_it() -> None:
    body = live(more="<IsTruncated>fal<!-- true -->se</IsTruncated>").replace(b"<Key>a<", b"<Key>a<!-- ? --><?b c?>b<")
    page = parse_page(body, "data", versions=False)
    assert (page.names, page.following) == (["ab"], None)


def test_no_object_is_larger_than_a_pebibyte() -> None:
    assert LARGEST == 1_125_899_906_842_624


@pytest.mark.parametrize("column", ["Key", "Size", "LastModified"])
def test_one_entry_of_many_that_lacks_what_all_have_makes_no_page(column: str) -> None:
    later = LATER % b"7"
    whole = live().replace(b"</ListBucketResult>", later)
    assert parse_page(whole, "data", versions=False).names == ["a", "b"]
    cut = re.sub(rf"<{column}>[^<]*</{column}>".encode(), b"", later)
    with pytest.raises(NoPageError):
        parse_page(live().replace(b"</ListBucketResult>", cut), "data", versions=False)


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
    body = live(name="<Name>another</Name>")
    for name in ("mine-abcdef0123456789-s3alias", "mine-abcdef0123456789--ol-s3"):
        assert parse_page(body, name, versions=False).names == ["a"]
    assert parse_page(live(), "data", versions=False).names == ["a"]


def test_a_page_that_was_asked_for_by_a_prefix_says_so() -> None:
    asked = {"prefix": "a b"}
    body = versions("<Prefix>a+b</Prefix>")
    assert parse_page(body, "data", versions=True, asked=asked).names == []
    with pytest.raises(NoPageError):
        parse_page(versions(), "data", versions=True, asked=asked)


def test_a_page_is_as_long_as_was_asked_for_where_anything_was() -> None:
    body = versions("<MaxKeys>500</MaxKeys>")
    assert parse_page(body, "data", versions=True).names == []
    assert parse_page(body, "data", versions=True, asked={"max-keys": "500"}).names == []
    assert parse_page(versions(), "data", versions=True, asked={"max-keys": "1000"}).names == []
    with pytest.raises(NoPageError):
        parse_page(body, "data", versions=True, asked={"max-keys": "1000"})


def test_a_page_behind_a_name_says_so() -> None:
    body = live("<StartAfter>A+b</StartAfter><EncodingType>url</EncodingType>")
    assert parse_page(body, "data", versions=False, asked={"start-after": "A b"}).names == ["a"]
    assert parse_page(live(), "data", versions=False, asked={"start-after": "A b"}).names == ["a"]
    # Ceph repeats it as it was asked, though it says that it encodes names.
    assert parse_page(body, "data", versions=False, asked={"start-after": "A+b"}).names == ["a"]
    with pytest.raises(NoPageError):
        parse_page(body, "data", versions=False, asked={"start-after": "A c"})


def an_entry(name: str, version: str, tag: str = "Version") -> str:
    told = ENTRY.format(1).replace("<Key>a<", f"<Key>{name}<")
    return f"<{tag}>{told}<VersionId>{version}</VersionId><IsLatest>true</IsLatest></{tag}>"


AT_V9 = {"version-id-marker": "v9"}
FOLLOWING: dict[str, tuple[str, str, tuple[str, ...], dict[str, str]]] = {
    "encoded": ("a%2Bb", "v2", (an_entry("a%2Bb", "v2"),), {"key-marker": "a+b", "version-id-marker": "v2"}),
    "as it is": ("a+b", "v2", (an_entry("a%2Bb", "v2"),), {"key-marker": "a+b", "version-id-marker": "v2"}),
    "as it is, and like one that is encoded": (
        "a%7Ez",
        "v2",
        (an_entry("a", "v1"), an_entry("a%257Ez", "v2")),
        {"key-marker": "a%7Ez", "version-id-marker": "v2"},
    ),
    "as it is, which would be no text": (
        "a%FFz",
        "v2",
        (an_entry("a%25FFz", "v2"),),
        {"key-marker": "a%FFz", "version-id-marker": "v2"},
    ),
    "of a delete marker": (
        "b",
        "v2",
        (an_entry("a", "v1"), an_entry("b", "v2", "DeleteMarker")),
        {"key-marker": "b", "version-id-marker": "v2"},
    ),
    "far behind the last entry": (
        "z",
        "v9",
        (an_entry("a", "v1"), an_entry("b", "v2")),
        {"key-marker": "b", "version-id-marker": "v2"},
    ),
    "far behind a delete marker": (
        "z",
        "v9",
        (an_entry("a", "v1"), an_entry("b", "v2", "DeleteMarker")),
        {"key-marker": "b", "version-id-marker": "v2"},
    ),
    "without a version": ("a", "", (an_entry("a", "v1"),), {"key-marker": "a", "version-id-marker": "v1"}),
    "without a version, of none": ("a", "", (an_entry("a", ""),), {"key-marker": "a"}),
    "encoded, within a name": ("a%2Bb", "v9", (an_entry("a%2Bb", "v1"),), {"key-marker": "a+b", **AT_V9}),
    "not encoded where it ought to be": ("%FF", "v9", (an_entry("%25FF", "v1"),), {"key-marker": "%FF", **AT_V9}),
    "of a page without entries": ("a%2Bb", "v2", (), {"key-marker": "a+b", "version-id-marker": "v2"}),
}


@pytest.mark.parametrize(("name", "version", "entries", "following"), FOLLOWING.values(), ids=FOLLOWING)
def test_the_next_page_begins_behind_the_last_entry(
    name: str, version: str, entries: tuple[str, ...], following: dict[str, str]
) -> None:
    place = f"<NextKeyMarker>{name}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
    body = versions(place, "".join(entries)).replace(b"<IsTruncated>false", b"<IsTruncated>true")
    assert parse_page(body, "data", versions=True).following == following


def test_the_next_page_of_one_that_is_not_encoded_begins_at_the_very_name() -> None:
    place = "<NextKeyMarker>a%2Bb</NextKeyMarker><NextVersionIdMarker>v9</NextVersionIdMarker>"
    body = versions(place, an_entry("a%2Bb", "v1")).replace(b"<IsTruncated>false", b"<IsTruncated>true")
    body = body.replace(b"<EncodingType>url</EncodingType>", b"")
    assert parse_page(body, "data", versions=True).following == {"key-marker": "a%2Bb", **AT_V9}


def test_a_place_is_compared_as_it_was_written_where_the_page_is_not_encoded() -> None:
    body = versions("<KeyMarker>A+b</KeyMarker>").replace(b"<EncodingType>url</EncodingType>", b"")
    assert parse_page(body, "data", versions=True, asked={"key-marker": "A+b"}).names == []
    with pytest.raises(NoPageError):
        parse_page(body, "data", versions=True, asked={"key-marker": "A b"})
