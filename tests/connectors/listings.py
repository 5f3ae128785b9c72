"""Listings of S3 as their bytes, entry by entry; what a sweep keeps of them that knows an earlier one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from auditor.connectors.aws.listing import Page
from auditor.connectors.aws.sheets import Sheet
from auditor.connectors.aws.stretches import Stretches
from auditor.ports import Same
from auditor.rows import End, Fingerprint

NOW = datetime(2026, 11, 1, tzinfo=UTC)


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


STYLES = ["", "not encoded", "attributes", "comments"]
"""In which words a service lists: the usual ones, and others that mean the same."""


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
