"""Pages of S3 listings as bytes: what is told of them before their entries are decoded is what these say."""

from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.connectors.aws.listing import NoPageError, parse_page
from auditor.connectors.aws.sheets import Sheet, decoded, name_at
from tests.connectors.listings import NAMES, STYLES, Entry, pages, xml
from tests.connectors.test_listing import ASKED, MARKED, NO_PAGES, live, versions


@pytest.mark.parametrize(("body", "of_versions"), NO_PAGES.values(), ids=NO_PAGES)
def test_what_is_no_page_is_none_when_it_is_decoded_or_before(body: bytes, of_versions: bool) -> None:  # noqa: FBT001 - a case
    asked = MARKED if of_versions else ASKED
    with pytest.raises(NoPageError):
        Sheet(body, "data", versions=of_versions, asked=asked, whole=False).page()


def test_what_stands_around_the_entries_is_checked_at_once() -> None:
    entries = [Entry(f"{number:02}") for number in range(5)]
    (body,) = pages(entries, [5], of_versions=False)
    assert Sheet(body, "data", versions=False, whole=False).following is None
    for wrong in (
        body.replace(b"<Name>data", b"<Name>else"),
        body.replace(b"<IsTruncated>false", b"<IsTruncated>"),
        body.replace(b"</ListBucketResult>", b"<CommonPrefixes/></ListBucketResult>"),
        body.replace(b"<IsTruncated>", b"<KeyCount>4</KeyCount><IsTruncated>"),
        body[:-1],
    ):
        with pytest.raises(NoPageError):
            Sheet(wrong, "data", versions=False, whole=False)
    counted = body.replace(b"<IsTruncated>", b"<KeyCount>5</KeyCount><IsTruncated>")
    assert len(Sheet(counted, "data", versions=False, whole=False).page().names) == 5


def test_a_page_of_no_entries_or_of_one_is_as_it_is() -> None:
    assert list(Sheet(live(), "data", versions=False, whole=False).page().names) == ["a"]
    assert Sheet(versions(), "data", versions=True, whole=False).page() == parse_page(versions(), "data", versions=True)


@pytest.mark.parametrize("kind", ["a name", "an entry", "two names in one entry"])
def test_entries_are_not_parted_where_bytes_tell_others(kind: str) -> None:
    (body,) = pages([Entry("00"), Entry("01")], [2], of_versions=False)
    assert [(one.name, one.is_row) for one in Sheet(body, "data", versions=False).split()] == [
        (b"00", True),
        (b"01", True),
    ]
    first, second = b"<Key>00</Key>", b"<Key>01</Key>"
    wrong = {
        "a name": body.replace(first, b"<!-- <Key>x</Key> -->" + first),
        "an entry": body.replace(first, b"<!-- <Contents><Key>x</Key> -->" + first),
        "two names in one entry": body.replace(first, b"<!-- <Key>x</Key> -->" + first).replace(
            second, b'<Key a="b">01</Key>'
        ),
    }[kind]
    sheet = Sheet(wrong, "data", versions=False)
    assert sheet.page().names == ["00", "01"]
    with pytest.raises(NoPageError):
        sheet.split()


def test_a_name_is_told_only_of_an_entry_that_begins_there() -> None:
    assert name_at(memoryview(b"<Contents><Key>a</Key>")) == b"a"
    assert name_at(memoryview(b" <Contents><Key>a</Key>")) is None
    assert name_at(memoryview(b"<Contents><Key/>")) is None
    assert decoded(b"a%2Bb+c") == "a+b c"
    with pytest.raises(NoPageError):
        decoded(b"%FF")


@pytest.mark.parametrize("of_versions", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_page_tells_the_same_decoded_at_once_or_later(count: int, *, of_versions: bool) -> None:
    entries = [Entry(f"{number:02}", marker=of_versions and number == 1) for number in range(count)]
    (body,) = pages(entries, [9], of_versions=of_versions)
    at_once, later = (Sheet(body, "data", versions=of_versions, whole=whole) for whole in (True, False))
    assert at_once.dialect == later.dialect != ""
    assert (
        bytes(at_once.entries)
        == bytes(later.entries)
        == "".join(xml(one, of_versions=of_versions) for one in entries).encode()
    )
    assert at_once.last() == later.last() == (f"{count - 1:02}".encode() if count else None)
    assert at_once.page() == later.page()


@pytest.mark.parametrize(
    "entries",
    [
        [Entry("c", "v9"), Entry("a", marker=True)],
        [Entry("a", marker=True), Entry("d", marker=True), Entry("b"), Entry("e")],
        [Entry("a"), Entry("d"), Entry("b", marker=True), Entry("e", marker=True)],
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_where_delete_markers_stand_apart_the_last_entry_is_not_the_last_name(
    entries: list[Entry], *, whole: bool
) -> None:
    (body,) = pages(entries, [9], of_versions=True)
    sheet = Sheet(body, "data", versions=True, whole=whole)
    assert (sheet.dialect, sheet.last()) == ("", None), "by its bytes nobody tells where a name ends"
    for until in "abcde":
        names = [one.name for one in entries if not one.marker and one.name <= until]
        assert sheet.up_to(until).page().names == names


@pytest.mark.parametrize("style", ["", "not encoded", "attributes"])
def test_a_page_that_is_cut_has_none_behind_it(style: str) -> None:
    first, _ = pages([Entry(f"{number:02}") for number in range(6)], [3, 3], of_versions=True, style=style)
    body = first.replace(b"</IsTruncated>", b"</IsTruncated><NextKeyMarker>02</NextKeyMarker>")
    sheet = Sheet(body, "data", versions=True)
    assert sheet.following == {"key-marker": "02", "version-id-marker": "v1"}
    assert sheet.up_to("02") is sheet
    assert (sheet.up_to("01").following, sheet.up_to("01").page().names) == (None, ["00", "01"])
    assert (sheet.up_to("0").following, sheet.up_to("0").page().names) == (None, [])
    if style:
        assert not sheet.up_to("01").entries, "there is nothing to compare"


@given(
    names=st.lists(NAMES, unique=True, max_size=9), until=NAMES, whole=st.booleans(), style=st.sampled_from(STYLES[:3])
)
@example(names=["%aa", "b", "c"], until="c", whole=True, style="not encoded")
def test_a_page_up_to_a_name_is_the_listings_last(names: list[str], until: str, *, whole: bool, style: str) -> None:
    entries = [Entry(name, marker=number % 3 == 2) for number, name in enumerate(sorted(names))]
    (body,) = pages(entries, [99], of_versions=True, style=style)
    cut = Sheet(body, "data", versions=True, whole=whole).up_to(until)
    left = [one for one in entries if one.name <= until]
    assert cut.page().names == [one.name for one in left if not one.marker]
    if style == "":
        told = "".join(xml(one, of_versions=True) for one in left)
        assert bytes(cut.entries) == told.encode()
        assert cut.last() == (quote_plus(left[-1].name, safe="/").encode() if left else None)
