"""Pages of S3 listings as they come over the wire -> columns.

Source: Amazon S3 API Reference, ListObjectsV2 and ListObjectVersions, response syntax.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Self, cast

from lxml import etree

from auditor.connectors.aws.encryption import Head
from auditor.connectors.aws.places import behind, decoded, is_garbled, readings

_ROOTS: Final = {"ListBucketResult": "Contents", "ListVersionsResult": "Version"}
_COLUMNS: Final = ("Key", "Size", "LastModified", "ETag", "StorageClass")
_COLUMNS_OF_VERSIONS: Final = (*_COLUMNS, "VersionId", "IsLatest")
_ECHOES: Final = {
    "bucket": "Name",
    "prefix": "Prefix",
    "continuation-token": "ContinuationToken",
    "key-marker": "KeyMarker",
    "version-id-marker": "VersionIdMarker",
    "start-after": "StartAfter",
    "delimiter": "Delimiter",
}
"""What was asked -> the element that repeats it."""
_ENCODED: Final = frozenset({"prefix", "key-marker", "start-after"})
_ONCE: Final = (*_ECHOES.values(), "EncodingType", "IsTruncated", "KeyCount", "MaxKeys")
_NEXT: Final = ("NextKeyMarker", "NextVersionIdMarker", "NextContinuationToken")
_NEWEST: Final = frozenset({"true", "false"})
_ROLLED_UP: Final = "CommonPrefixes"
"""Names that stand for many: nobody asks for them."""
_ALIASES: Final = ("-s3alias", "--ol-s3")
"""How names of access points end, whose pages tell the bucket behind. Source: S3 User Guide, Access point aliases."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
LARGEST: Final = 1 << 50
"""Bytes: twenty times as much as an object may have. Source: Amazon S3 User Guide, Uploading objects (50 TB)."""
_SAID: Final = frozenset({"bucket", "prefix"})
"""What every page must repeat."""
_ALWAYS: Final = frozenset({"Key", "Size", "LastModified", "IsLatest"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page; every column is as long as `names`."""

    names: list[str]
    versions: list[str | None]
    newest: list[bool]
    sizes: list[int]
    modified: list[str]
    """ISO 8601, as the service wrote them."""
    etags: list[str | None]
    classes: list[str]
    following: Mapping[str, str] | None
    """Query parameters that ask for the next page, empty where it says none; None on the last page."""
    doubtful: bool = field(default=False, compare=False)
    """It has no entry to tell by whether the name is encoded behind which it goes on."""
    dialect: str = field(default="", compare=False)
    """The name of its root with its namespace, where names in it are encoded; empty where they are not."""
    statuses: list[str | None] | None = None
    """What a report of S3 Inventory says of how each is encrypted; None: it is of a listing, which does not."""
    archived: list[bool] | None = None
    """Likewise, which are in an access tier of which nothing is read without a restore."""

    def only(self, places: Sequence[int]) -> Self:
        """The same page with these entries alone."""
        return replace(
            self,
            names=[self.names[one] for one in places],
            versions=[self.versions[one] for one in places],
            newest=[self.newest[one] for one in places],
            sizes=[self.sizes[one] for one in places],
            modified=[self.modified[one] for one in places],
            etags=[self.etags[one] for one in places],
            classes=[self.classes[one] for one in places],
            statuses=None if self.statuses is None else [self.statuses[one] for one in places],
            archived=None if self.archived is None else [self.archived[one] for one in places],
        )


class NoPageError(ValueError):
    """It is no page of a listing, or says what no page can say."""


def parse_page(
    body: bytes, bucket: str, *, versions: bool, asked: Mapping[str, str] = NOTHING, entries: int | None = None
) -> Page:
    """Read one page of a bucket that was asked for with `encoding-type=url`, and the place where it was to begin.

    `entries`: how many it has, where the body lacks some of them.

    Raises:
        NoPageError: it is none, or one of another bucket, or one that begins elsewhere.
    """
    # Remarks may stand within a text, and would cut it in two.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise NoPageError("no XML") from None
    about: Any = root.getroottree().docinfo  # the stubs lack its fields
    if about.doctype:
        raise NoPageError("a document with entities of its own")
    space, _, tag = root.tag.rpartition("}")
    if tag != ("ListVersionsResult" if versions else "ListBucketResult"):
        raise NoPageError(f"a {tag[:40]}")
    _look_around(root, space, _ROOTS[tag])
    found = _columns(root, space, _ROOTS[tag], _COLUMNS_OF_VERSIONS if versions else _COLUMNS)
    encoded = _text(root, space, "EncodingType") == "url"
    try:
        names = [decoded(one) for one in found["Key"]] if encoded else found["Key"]
    except UnicodeDecodeError:
        raise NoPageError("a name that is no text") from None
    count = len(names)
    if not versions and _text(root, space, "KeyCount") not in {
        "",
        str(count if entries is None else entries),
    }:
        raise NoPageError("another number of entries than it says")
    _same_place(root, space, {**asked, "bucket": bucket}, encoded=encoded)
    if count and "key-marker" in asked and min(names) < asked["key-marker"]:
        raise NoPageError("names from before the place where it was to begin")
    try:
        sizes = [int(one) for one in found["Size"]]
    except ValueError:
        raise NoPageError("a size that is no number") from None
    if count and not 0 <= min(sizes) <= max(sizes) <= LARGEST:
        raise NoPageError("a size that no object has")
    try:
        following = _following(root, space, versions=versions, encoded=encoded)
    except UnicodeDecodeError:
        raise NoPageError("a place that is no text") from None
    if versions and not _NEWEST.issuperset(found["IsLatest"]):
        raise NoPageError("a version that does not say whether it is the newest")
    if versions and "" in found["VersionId"]:
        pairs = zip(found["VersionId"], found["IsLatest"], strict=True)
        if any(not version and newest == "false" for version, newest in pairs):
            # Whoever is asked for it without a version answers of the newest.
            raise NoPageError("a version that is not the newest and has no id")
    return Page(
        names=names,
        versions=[one or None for one in found["VersionId"]] if versions else [None] * count,
        newest=[one == "true" for one in found["IsLatest"]] if versions else [True] * count,
        sizes=sizes,
        modified=found["LastModified"],
        etags=[one.strip('"') or None for one in found["ETag"]],
        classes=[one or "STANDARD" for one in found["StorageClass"]],
        following=following,
        doubtful=bool(following) and versions and encoded and not count and _is_doubtful(root, space),
        dialect=root.tag if encoded else "",
    )


def is_alias(bucket: str) -> bool:
    """Whether it is the name of an access point, whose pages tell the bucket behind it."""
    return bucket.endswith(_ALIASES)


def is_gone(page: Page, name: str, version: str | None) -> bool:
    """Whether a page that begins with a name shows that it, or this version of it, is not there any more."""
    listed = any(one == name and version in {None, each} for one, each in zip(page.names, page.versions, strict=True))
    to_its_end = page.following is None or any(one != name for one in page.names)
    about_it = all(one.startswith(name) for one in page.names)
    return not listed and to_its_end and about_it and is_certain(name)


def is_certain(name: str) -> bool:
    """Whether it is the name for certain: a blank may be a plus, and a line break a carriage return, not encoded."""
    return " " not in name and not is_garbled(name)


def is_listed(page: Page, name: str, version: str | None, head: Head) -> bool:
    """Whether a page lists a name, or this version of it, as HEAD describes it."""
    columns = zip(page.names, page.versions, page.etags, page.sizes, strict=True)
    return any(
        one == name and version in {None, each} and etag == head.etag and head.size in {None, size}
        for one, each, etag, size in columns
    )


def _columns(root: etree._Element, space: str, row: str, columns: tuple[str, ...]) -> dict[str, list[str]]:
    """One list of texts for each column; missing elements are empty texts.

    Raises:
        NoPageError: an element is missing that every entry has.
    """
    paths = _paths(space.removeprefix("{"), row)
    rows = int(str(paths["count"](root)).partition(".")[0])
    if paths["ambiguous"](root):
        raise NoPageError("an entry that says something twice")
    found: dict[str, list[str]] = {}
    for name in columns:
        texts = cast("list[str]", paths[name](root))
        if len(texts) != rows:
            # Rare: the column by itself tells not whose an element is missing.
            tag = f"{space}}}{name}" if space else name
            told = [one.find(tag) for one in root.iterfind(f"{space}}}{row}" if space else row)]
            if any(one is not None and len(one) for one in told):
                raise NoPageError(f"{name} with more in it than a text")
            texts = ["" if one is None else one.text or "" for one in told]
            if name in _ALWAYS and not all(texts):
                raise NoPageError(f"an entry without {name}")
        found[name] = texts
    return found


@cache
def _paths(space: str, row: str) -> Mapping[str, etree.XPath]:
    names = {"s": space} if space else None
    prefix = "s:" if space else ""
    paths = {
        name: etree.XPath(f"{prefix}{row}/{prefix}{name}/text()", namespaces=names, smart_strings=False)
        for name in _COLUMNS_OF_VERSIONS
    }
    twice = " | ".join(
        f"{prefix}{row}/{prefix}{name}/preceding-sibling::{prefix}{name}" for name in _COLUMNS_OF_VERSIONS
    )
    return {
        **paths,
        "count": etree.XPath(f"count({prefix}{row})", namespaces=names),
        "ambiguous": etree.XPath(f"boolean({twice})", namespaces=names),
    }


def _look_around(root: etree._Element, space: str, row: str) -> None:
    """Look at everything that stands beside the entries.

    Raises:
        NoPageError: something is said twice, or in another namespace, or stands for names that are not told.
    """
    names = Counter(one.tag for one in root.iterchildren(etree.Element))
    for tag, count in names.items():
        there, _, name = str(tag).rpartition("}")
        if name == _ROLLED_UP or (name in {row, *_ONCE} and there != space) or (name in {*_ONCE, *_NEXT} and count > 1):
            raise NoPageError(f"a page with {name} where none, one or another is due")


def _following(root: etree._Element, space: str, *, versions: bool, encoded: bool) -> Mapping[str, str] | None:
    """The query of the next page; None where there is none.

    Raises:
        NoPageError: it does not say whether there is one, or behind which version.
    """
    match _text(root, space, "IsTruncated"):
        case "true":
            pass
        case "false":
            return None
        case _:
            raise NoPageError("a page that does not say whether there is more")
    if not versions:
        token = _text(root, space, "NextContinuationToken")
        return {"continuation-token": token} if token else {}
    name, version = _text(root, space, "NextKeyMarker"), _text(root, space, "NextVersionIdMarker")
    if not name:
        return {}
    ends = _ends(root, space, encoded=encoded)
    if not ends and not version:
        # Behind the name alone, versions of it would be skipped that are not listed yet.
        raise NoPageError("a place that names no version, and no entry that tells which")
    if ends:
        last = behind(name, [one for one, _ in ends], encoded=encoded)
        end = next(each for one, each in ends if one == last)
        name, version = last, (version if last in readings(name, encoded=encoded) else "") or end
    else:
        name = behind(name, (), encoded=encoded)
    return {"key-marker": name, **({"version-id-marker": version} if version else {})}


def _is_doubtful(root: etree._Element, space: str) -> bool:
    """Whether the next place of a page that lists no version may be read in two ways."""
    return len(readings(_text(root, space, "NextKeyMarker"), encoded=True)) > 1 and not _ends(root, space, encoded=True)


def _ends(root: etree._Element, space: str, *, encoded: bool) -> list[tuple[str, str]]:
    """Name and version of the last of the versions and of the delete markers, that which stands last first.

    Most list both together, and some one kind behind the other.
    """
    inside = f"{space}}}" if space else ""
    found: dict[str, tuple[str, str]] = {}
    for one in root.iterchildren(f"{inside}Version", f"{inside}DeleteMarker", reversed=True):
        if one.tag not in found:
            name = one.findtext(f"{inside}Key") or ""
            found[one.tag] = (decoded(name) if encoded else name), one.findtext(f"{inside}VersionId") or ""
        if len(found) > 1:
            break
    return list(found.values())


def _same_place(root: etree._Element, space: str, asked: Mapping[str, str], *, encoded: bool) -> None:
    """Compare where the page says that it begins with where it was to begin.

    Raises:
        NoPageError: somebody has given an answer to another question.
    """
    for asks, name in _ECHOES.items():
        told = _told(root, space, name)
        if told is None and asks not in _SAID:
            continue
        # Ceph encodes names and repeats what was asked as it was.
        found = readings(told or "", encoded=encoded and asks in _ENCODED)
        if asked.get(asks, "") not in found and not (asks == "bucket" and told and is_alias(asked[asks])):
            raise NoPageError(f"a page of another {asks}")
    most = _text(root, space, "MaxKeys")
    if most and most != asked.get("max-keys", most):
        raise NoPageError("a page of another length")


def _text(root: etree._Element, space: str, name: str) -> str:
    return _told(root, space, name) or ""


def _told(root: etree._Element, space: str, name: str) -> str | None:
    """The text of what stands beside the entries; None where it does not stand there.

    Raises:
        NoPageError: there is more in it than a text.
    """
    one = root.find(f"{space}}}{name}" if space else name)
    if one is None:
        return None
    if len(one):
        raise NoPageError(f"{name} with more in it than a text")
    return one.text or ""
