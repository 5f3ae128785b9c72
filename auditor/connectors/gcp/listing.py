"""Pages of Cloud Storage listings as they come over the wire -> columns.

Source: Cloud Storage JSON API reference, Objects: list.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from auditor import rows
from auditor.connectors.documents import parse_once
from auditor.model import Cloud, Encryption, Population, Reason, split_version

FIELDS: Final = (
    "kind,items(name,generation,size,storageClass,timeCreated,timeDeleted,etag,kmsKeyName,customerEncryption(keySha256)),"
    "nextPageToken"
)
"""What a page is asked for; without `nextPageToken` every listing would end after its first page, and `kind` tells a
listing from another answer."""
LARGEST: Final = 1 << 50
"""Bytes: two hundred times as much as an object may have. Source: Cloud Storage docs, Quotas and limits (5 TiB)."""
_KIND: Final = "storage#objects"
_REQUIRED: Final = 4
"""Fields of every entry."""
_LIVE: Final = Population.LIVE.value
_NONCURRENT: Final = Population.NONCURRENT.value
_SOFT_DELETED: Final = Population.SOFT_DELETED.value


class Customers(msgspec.Struct, rename="camel", gc=False):
    """That there is one is enough: somebody else holds the key."""

    key_sha256: str | None = None


class Item(msgspec.Struct, rename="camel", gc=False):
    """One entry of a page."""

    name: str
    generation: str
    size: str
    time_created: str
    storage_class: str | None = None
    time_deleted: str | None = None
    etag: str | None = None
    kms_key_name: str | None = None
    customer_encryption: Customers | None = None


class Page(msgspec.Struct, rename="camel"):
    """One page."""

    kind: str
    items: list[Item] = []
    prefixes: list[str] = []
    """Names that stand for many: nobody asks for them."""
    next_page_token: str | None = None


class NoPageError(ValueError):
    """It is no page of a listing, or says what no page can say."""


_DECODER: Final = msgspec.json.Decoder(Page)


def parse_page(body: bytes) -> Page:
    """Read one page.

    Raises:
        NoPageError: it is none.
    """
    try:
        page = _DECODER.decode(body)
        if not _is_as_asked(body, page):
            parse_once(body)
    except (ValueError, RecursionError):
        raise NoPageError("no page of objects, or one that tells something twice") from None
    if page.kind != _KIND or page.prefixes:
        raise NoPageError(f"a {page.kind[:40]}, or one that leaves names out")
    return page


def _is_as_asked(body: bytes, page: Page) -> bool:
    """Whether a page has as many texts as it tells things: then none is told twice, of which a decoder keeps one.

    False: that is not known. With an escape, or with more fields than `FIELDS`, it takes a slower look to tell.
    """
    told, inner = 1 + bool(page.items) + (page.next_page_token is not None), int(bool(page.items))
    for one in page.items:
        told += _REQUIRED
        if one.storage_class is not None:
            told += 1
        if one.etag is not None:
            told += 1
        if one.time_deleted is not None:
            told += 1
        if one.kms_key_name is not None:
            told += 1
        if one.customer_encryption is not None:
            inner += 1
            told += 1 + (one.customer_encryption.key_sha256 is not None)
    # A field is the text of its name and that of its value, which some have others in place of.
    texts = 2 * told - inner
    return body.count(b'"') == 2 * texts and b"\\" not in body


def columns(
    page: Page, at: Any, populations: tuple[Population, ...], after: str | None = None, *, soft_deleted: bool
) -> pa.RecordBatch:
    """Turn the entries of the wanted populations behind a name into rows; `at` is when the page was read: aware, UTC.

    Raises:
        NoPageError: an entry says what no object can say.
    """
    items = page.items
    if not soft_deleted and len({Population.LIVE, Population.NONCURRENT} & set(populations)) == 1:
        live = Population.LIVE in populations
        items = [one for one in items if (not one.time_deleted) is live]
    if after is not None:
        if any(one.name < after for one in items):
            raise NoPageError("names from before the place where it was to go on")
        items = [one for one in items if one.name != after]
    count = len(items)
    try:
        sizes = pa.array([one.size for one in items], pa.string())
        generations = pa.array([one.generation for one in items], pa.string())
        # Of two generations that are told alike one would count.
        if items and not all(pc.all(pc.ascii_is_decimal(one)).as_py() for one in (sizes, generations)):
            raise NoPageError("a size or a generation that is no number")
        size = sizes.cast(pa.int64())
        if items and not 0 <= pc.min(size).as_py() <= pc.max(size).as_py() <= LARGEST:
            raise NoPageError("a size that no object has")
        encryption, key, version, problem = _encryptions(items)
        return rows.batch(
            [
                [one.name for one in items],
                generations,
                [_SOFT_DELETED] * count
                if soft_deleted
                else [_NONCURRENT if one.time_deleted else _LIVE for one in items],
                size,
                pa.array([one.time_created for one in items], pa.string()).cast(rows.TIME),
                [one.etag for one in items],
                [one.storage_class or "STANDARD" for one in items],
                # Every class of Cloud Storage can be read at once.
                pa.repeat(pa.scalar(False), count),
                encryption,
                key,
                version,
                pc.if_else(pc.is_null(problem), pa.scalar(at, rows.TIME), pa.scalar(None, rows.TIME)),
                problem,
            ]
        )
    except (pa.ArrowInvalid, UnicodeEncodeError, OverflowError) as error:
        raise NoPageError(type(error).__name__) from None


def _encryptions(items: list[Item]) -> "tuple[pa.Array[Any], ...]":  # quoted: takes no parameters at run time
    """(encryption, key, key version, problem) of each entry, as columns; a name that many have is read once."""
    named = pa.array([one.kms_key_name for one in items], pa.string()).dictionary_encode()
    told = [_of_key(str(one)) for one in named.dictionary.to_pylist()]
    of_key, key, version, problem = (
        pa.array([one[place] for one in told], pa.string()).take(named.indices) for place in range(4)
    )
    customers = pa.array([one.customer_encryption is not None for one in items], pa.bool_())
    nobody = pc.if_else(customers, Encryption.CUSTOMER_SUPPLIED.value, Encryption.PROVIDER.value)
    return pc.if_else(pc.is_null(named), nobody, of_key), key, version, problem


@lru_cache(maxsize=65_536)
def _of_key(name: str) -> tuple[str, str | None, str | None, str | None]:
    """(encryption, key, key version, problem), as the columns have them."""
    malformed = Encryption.UNKNOWN.value, None, None, Reason.MALFORMED.value
    try:
        key, version = split_version(name)
    except ValueError:
        return malformed
    return (Encryption.CMEK.value, key.text, version, None) if key.cloud is Cloud.GCP else malformed
