"""What is listed to the byte as it was is not decoded again; whatever else there is, no entry is lost or told twice."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auditor.connectors.aws import stretches
from auditor.connectors.aws.listing import NoPageError, Page, parse_page
from auditor.connectors.aws.sheets import Sheet, decoded, name_at
from auditor.connectors.aws.stretches import Stretches
from auditor.ports import Same
from auditor.rows import End, Fingerprint
from tests.connectors.test_listing import ASKED, MARKED, NO_PAGES, live, versions

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stretches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "ROWS", 4)


@dataclass(frozen=True)
class Entry:
    """One entry of a bucket: a version, or a delete marker."""

    name: str
    version: str = "v1"
    etag: str = "e"
    marker: bool = False


@dataclass
class Kept:
    """A stretch as a snapshot keeps it."""

    rows_kept: list[tuple[str, str | None, str | None]]
    fingerprint: Fingerprint | None
    after: str | None
    verified: tuple[datetime, datetime] | None = (NOW, NOW)
    slot: int = 0

    @property
    def last(self) -> str | None:
        return self.rows_kept[-1][0] if self.rows_kept else None

    @property
    def rows(self) -> int:
        return len(self.rows_kept)


def xml(one: Entry, *, of_versions: bool, style: str = "") -> str:
    name = quote_plus(one.name, safe="/") if style != "not encoded" else escape(one.name)
    key = f"<Key>{name}</Key>"
    about = f"{key}<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    rest = f"<ETag>&quot;{one.etag}&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass>"
    attribute = ' a="b"' if style == "attributes" else ""
    if not of_versions:
        return f"<Contents{attribute}>{about}{rest}</Contents>"
    told = f"{about}<VersionId>{one.version}</VersionId><IsLatest>true</IsLatest>"
    return f"<DeleteMarker>{told}</DeleteMarker>" if one.marker else f"<Version{attribute}>{told}{rest}</Version>"


ORDERS: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "together": list,
    "markers last": lambda some: sorted(some, key=lambda one: one.marker),
    "markers first": lambda some: sorted(some, key=lambda one: not one.marker),
}
"""How a service brings the versions and the delete markers of one page into an order."""


def pages(
    entries: list[Entry], sizes: Iterable[int], *, of_versions: bool, style: str = "", order: str = "together"
) -> Iterator[bytes]:
    """The bodies in which a service lists, so many entries each."""
    tag = "ListVersionsResult" if of_versions else "ListBucketResult"
    encoding = "" if style == "not encoded" else "<EncodingType>url</EncodingType>"
    left = list(entries)
    for size in sizes:
        some, left = left[:size], left[size:]
        more = "true" if left else "false"
        about = f"<Name>data</Name>{encoding}<IsTruncated>{more}</IsTruncated>"
        inside = "".join(xml(one, of_versions=of_versions, style=style) for one in ORDERS[order](some))
        if style == "comments":
            inside = inside.replace("<Key>", "<!-- <Key>x</Key> --><Key>")
        yield f"<{tag}>{about}{inside}</{tag}>".encode()
        if not left:
            return


def listed(
    bodies: Iterable[bytes], known: list[Kept], *, of_versions: bool, whole: bool = False
) -> tuple[list[Kept], int]:
    """What a sweep keeps that knows an earlier one, and how many entries it decoded."""
    made = Stretches(known, None, lambda _: True)
    kept: list[Kept] = []
    now: list[tuple[str, str | None, str | None]] = []
    decoded = 0
    ended: str | None = None
    for body in bodies:
        for some in made.add(Sheet(body, "data", versions=of_versions, whole=whole)):
            after = kept[-1].last if kept else None
            match some:
                case Page():
                    assert some.names[0] != ended, "whoever goes on behind the end of a stretch would skip the rest"
                    ended = None
                    now.extend(zip(some.names, some.versions, some.etags, strict=True))
                    decoded += len(some.names)
                case End(fingerprint):
                    kept.append(Kept(now, fingerprint, after))
                    ended, now = kept[-1].last, []
                case Same(stretch):
                    assert isinstance(stretch, Kept)
                    assert not now, "a stretch ends before another is taken over"
                    assert not ended or stretch.rows_kept[0][0] != ended
                    kept.append(Kept(stretch.rows_kept, stretch.fingerprint, after))
                    ended = kept[-1].last
    assert not now, "the last stretch ends"
    return kept, decoded


def rows(kept: list[Kept]) -> list[tuple[str, str | None, str | None]]:
    return [row for one in kept for row in one.rows_kept]


def expected(entries: list[Entry], *, of_versions: bool) -> list[tuple[str, str | None, str | None]]:
    return [(one.name, one.version if of_versions else None, one.etag) for one in entries if not one.marker]


NAMES = st.text(st.sampled_from("ab/ +%<&é😀"), min_size=1, max_size=3)
ETAGS = st.sampled_from("ef")
SIZES = st.lists(st.integers(1, 9), min_size=40, max_size=40)


@st.composite
def buckets(draw: st.DrawFn, *, of_versions: bool) -> list[Entry]:
    found = {
        (name, version): Entry(name, version, draw(ETAGS), of_versions and draw(st.integers(0, 3)) == 0)
        for name, version in draw(
            st.lists(st.tuples(NAMES, st.sampled_from(["v1", "v2"]) if of_versions else st.just("v1")), max_size=30)
        )
    }
    return [found[place] for place in sorted(found)]


@pytest.mark.parametrize(("of_versions", "order"), [(False, "together"), *((True, order) for order in ORDERS)], ids=str)
@given(data=st.data(), sizes=SIZES)
def test_nothing_is_lost_or_told_twice_whatever_changes(
    data: st.DataObject, sizes: list[int], *, of_versions: bool, order: str
) -> None:
    known: list[Kept] = []
    now = data.draw(buckets(of_versions=of_versions))
    for _ in range(4):
        kept, _ = listed(
            pages(now, data.draw(st.permutations(sizes)), of_versions=of_versions, order=order),
            known,
            of_versions=of_versions,
        )
        assert rows(kept) == expected(now, of_versions=of_versions)
        # Some of it goes, something else comes or changes.
        other = data.draw(buckets(of_versions=of_versions))
        gone = data.draw(st.integers(0, 5))
        both = {(one.name, one.version): one for one in (*now, *other[: data.draw(st.integers(0, 3))])}
        known = kept
        now = [both[place] for number, place in enumerate(sorted(both)) if gone == 0 or number % 6 != gone]


@pytest.mark.parametrize("of_versions", [False, True])
@given(then=SIZES, now=SIZES)
def test_what_is_as_it_was_is_not_decoded_wherever_pages_end(
    then: list[int], now: list[int], *, of_versions: bool
) -> None:
    entries = [Entry(f"{number:02}", marker=of_versions and number % 5 == 3) for number in range(40)]
    known, decoded = listed(pages(entries, then, of_versions=of_versions), [], of_versions=of_versions)
    assert decoded == len(expected(entries, of_versions=of_versions))
    assert len(known) >= 3
    kept, decoded = listed(pages(entries, now, of_versions=of_versions), known, of_versions=of_versions)
    assert (rows(kept), decoded) == (rows(known), 0)


@given(data=st.data(), then=SIZES, now=SIZES)
def test_names_in_no_order_come_to_an_end_and_none_is_lost(
    data: st.DataObject, then: list[int], now: list[int]
) -> None:
    entries = [Entry(f"{number:02}") for number in range(30)]
    known, _ = listed(pages(entries, then, of_versions=False), [], of_versions=False)
    shuffled = data.draw(st.permutations(entries))
    with ended_within(3):
        kept, _ = listed(pages(shuffled, now, of_versions=False), known, of_versions=False)
    assert sorted(rows(kept), key=str) == expected(entries, of_versions=False)


@contextmanager
def ended_within(seconds: int) -> Iterator[None]:
    """Fail where a loop has no end."""

    def too_long(*_: object) -> None:
        raise AssertionError("it does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("change", ["new", "gone", "other", "last"])
def test_a_change_costs_its_own_stretch_alone(change: str) -> None:
    entries = [Entry(f"{number:02}") for number in range(40)]
    known, _ = listed(pages(entries, [4] * 10, of_versions=False), [], of_versions=False)
    assert [one.rows for one in known] == [4] * 10
    changed = {
        "new": [*entries[:10], Entry("09x"), *entries[10:]],
        "gone": entries[:10] + entries[11:],
        "other": [*entries[:10], Entry("10", etag="f"), *entries[11:]],
        "last": [*entries, Entry("40")],
    }[change]
    kept, decoded = listed(pages(changed, [7] * 10, of_versions=False), known, of_versions=False)
    assert rows(kept) == expected(changed, of_versions=False)
    assert decoded == {"new": 5, "gone": 3, "other": 4, "last": 1}[change]
    again, decoded = listed(pages(changed, [3] * 20, of_versions=False), kept, of_versions=False)
    assert (rows(again), decoded) == (rows(kept), 0)


def test_of_a_stretch_in_two_dialects_no_bytes_are_known() -> None:
    entries = [Entry(f"{number:02}") for number in range(3)]
    for styles, known in ((("", ""), True), (("", "not encoded"), False), (("not encoded", ""), False)):
        first, _ = pages(entries, [2, 1], of_versions=True, style=styles[0])
        _, second = pages(entries, [2, 1], of_versions=True, style=styles[1])
        (one,), _ = listed([first, second], [], of_versions=True)
        assert (one.rows, one.fingerprint is not None) == (3, known)


def test_a_stretch_does_not_end_within_a_name() -> None:
    entries = [Entry(name, version) for name in ("0", "1", "2") for version in ("v1", "v2", "v3")]
    kept, _ = listed(pages(entries, [4, 1, 4], of_versions=True), [], of_versions=True)
    assert [one.rows for one in kept] == [9]
    again, decoded = listed(pages(entries, [2] * 5, of_versions=True), kept, of_versions=True)
    assert (rows(again), decoded) == (rows(kept), 0)


def test_a_stretch_does_not_end_within_a_name_where_a_delete_marker_stands_last_on_its_page() -> None:
    marked = [Entry("b1"), Entry("b2"), Entry("b3"), Entry("b4", marker=True), Entry("b5", marker=True)]
    then = [*marked, Entry("c", "v1"), Entry("d"), Entry("e")]
    now = [*marked, Entry("c", "v2"), Entry("c", "v1"), Entry("d"), Entry("e")]
    known, _ = listed(pages(then, [2] * 9, of_versions=True, order="markers last"), [], of_versions=True)
    assert [one.last for one in known] == ["c", "e"]
    kept, _ = listed(pages(now, [2] * 9, of_versions=True, order="markers last"), known, of_versions=True)
    assert rows(kept) == expected(now, of_versions=True)


def test_nothing_is_trusted_of_which_nobody_said_so() -> None:
    entries = [Entry(f"{number:02}") for number in range(4)]
    known, _ = listed(pages(entries, [4], of_versions=False), [], of_versions=False)
    (body,) = pages(entries, [4], of_versions=False)
    came = list(Stretches(known).add(Sheet(body, "data", versions=False)))
    assert not any(isinstance(one, Same) for one in came)


def test_of_a_stretch_that_is_not_trusted_everything_is_decoded() -> None:
    entries = [Entry(f"{number:02}") for number in range(12)]
    known, _ = listed(pages(entries, [4] * 3, of_versions=False), [], of_versions=False)
    made = Stretches(known, None, lambda one: one is not known[1])
    came = [
        some
        for body in pages(entries, [6] * 2, of_versions=False)
        for some in made.add(Sheet(body, "data", versions=False, whole=False))
    ]
    assert [one.stretch for one in came if isinstance(one, Same)] == [known[0], known[2]]
    assert [name for one in came if isinstance(one, Page) for name in one.names] == ["04", "05", "06", "07"]


def test_what_is_gone_on_with_within_a_stretch_is_decoded_to_its_end() -> None:
    entries = [Entry(f"{number:02}") for number in range(12)]
    known, _ = listed(pages(entries, [4] * 3, of_versions=False), [], of_versions=False)
    for after, count in (("03", 0), ("05", 2), ("04x", 3)):
        made = Stretches(known, after, lambda _: True)
        left = [one for one in entries if one.name > after]
        came = [
            some
            for body in pages(left, [3] * 4, of_versions=False)
            for some in made.add(Sheet(body, "data", versions=False, whole=False))
        ]
        assert sum(len(one.names) for one in came if isinstance(one, Page)) == count
    # Somebody who lists from the beginning all the same is not taken for one who goes on.
    made = Stretches(known, "01", lambda _: True)
    (body,) = pages(entries, [12], of_versions=False)
    first, *_ = made.add(Sheet(body, "data", versions=False, whole=False))
    assert isinstance(first, Page)
    assert first.names == ["00", "01", "02", "03"]


def test_a_stretch_that_goes_on_within_its_last_name_is_another() -> None:
    entries = [Entry(f"{number:02}", version) for number in range(4) for version in ("v1", "v2")]
    known, _ = listed(pages(entries, [2] * 4, of_versions=True), [], of_versions=True)
    assert [one.rows for one in known] == [4, 4]
    more = [*entries[:4], Entry("01", "v3"), *entries[4:]]
    kept, decoded = listed(pages(more, [4] * 3, of_versions=True), known, of_versions=True)
    assert (rows(kept), decoded) == (expected(more, of_versions=True), 5)
    last = [*entries, Entry("03", "v3")]
    kept, decoded = listed(pages(last, [8, 1], of_versions=True), known, of_versions=True)
    assert (rows(kept), decoded) == (expected(last, of_versions=True), 5)


STYLES = ["", "not encoded", "attributes", "comments"]


@pytest.mark.parametrize("then", STYLES)
@pytest.mark.parametrize("now", STYLES)
@pytest.mark.parametrize("of_versions", [False, True])
def test_pages_in_other_words_are_decoded(then: str, now: str, *, of_versions: bool) -> None:
    entries = [Entry(f"{number:02} é", marker=of_versions and number % 5 == 3) for number in range(40)]
    known, _ = listed(pages(entries, [5] * 8, of_versions=of_versions, style=then), [], of_versions=of_versions)
    bodies = list(pages(entries, [7] * 8, of_versions=of_versions, style=now))
    try:
        kept, decoded = listed(bodies, known, of_versions=of_versions)
    except NoPageError:
        # Where they cannot be told apart by their bytes a sweep begins anew without what was known.
        assert now == "comments"
        kept, decoded = listed(bodies, [], of_versions=of_versions, whole=True)
    assert rows(kept) == expected(entries, of_versions=of_versions)
    assert decoded == (0 if then == now == "" else len(rows(kept)))


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
