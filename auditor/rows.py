"""Stored objects as columns: how a sweep hands thousands of them on at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from auditor.model import StoredObject

TIME: Final = pa.timestamp("us", tz="UTC")
_FIELDS: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("name", pa.string(), nullable=False),
    pa.field("version", pa.string()),
    pa.field("population", pa.string(), nullable=False),
    pa.field("size", pa.int64(), nullable=False),
    pa.field("modified", TIME, nullable=False),
    pa.field("etag", pa.string()),
    pa.field("storage_class", pa.string(), nullable=False),
    pa.field("archived", pa.bool_(), nullable=False),
    pa.field("encryption", pa.string(), nullable=False),
    pa.field("key", pa.string()),
    pa.field("key_version", pa.string()),
    pa.field("verified", TIME),
    pa.field("problem", pa.string()),
]
SCHEMA: Final = pa.schema(_FIELDS)
"""One column for each field of `model.StoredObject`, by the same name and meaning."""
_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The very bytes in which a service listed some objects that follow each other."""

    size: int
    """Bytes."""
    digest: str
    """SHA-256, hexadecimal."""
    last: str
    """The last name in it, as the service wrote it."""


@dataclass(frozen=True, slots=True)
class End:
    """Here ends a name: what came since the last end may be kept, and told from something else, by itself."""

    fingerprint: Fingerprint | None = None
    """Of all that was listed since the last end, where the same bytes would mean the same once more."""


@dataclass(frozen=True, slots=True)
class Done:
    """All of a shard was handed on."""


def batched(objects: Iterable[StoredObject]) -> Iterator[pa.RecordBatch]:
    """Turn objects into batches, in their order.

    Raises:
        pa.ArrowInvalid, UnicodeEncodeError, OverflowError: one says something that no object can say.
    """
    arriving = iter(objects)
    while some := list(islice(arriving, _BATCH)):
        yield batch([[getattr(one, name) for one in some] for name in SCHEMA.names])


def batch(columns: list[Any]) -> pa.RecordBatch:
    """Make one batch from its columns, in the schema's order: lists of values or arrays of the right type."""
    arrays = [
        one if isinstance(one, pa.Array) else pa.array(one, kind.type)
        for one, kind in zip(columns, SCHEMA, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
