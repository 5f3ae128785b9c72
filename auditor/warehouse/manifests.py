"""The metadata of a table of Iceberg as pyiceberg understands it, unpacked here: it never takes more than it may.

Imported by `iceberg` alone, when a table is read: pyiceberg is an extra, and slow to import. Its own reader of Avro
unpacks whatever a file grows to, reads behind the end of one that is damaged, and takes one that was cut off behind a
block for a whole one.
"""

import gzip
import threading
import zlib
from collections.abc import Callable, Iterable
from enum import Enum
from io import BytesIO
from typing import Any, Final, Self, TypeVar, cast

from pyiceberg.avro.codecs import AVRO_CODEC_KEY
from pyiceberg.avro.decoder import StreamingBinaryDecoder
from pyiceberg.avro.file import SYNC_SIZE, AvroFile, Block
from pyiceberg.avro.resolver import resolve_reader
from pyiceberg.io import FileIO, InputFile
from pyiceberg.manifest import (
    DEFAULT_READ_VERSION,
    MANIFEST_ENTRY_SCHEMAS,
    MANIFEST_LIST_FILE_SCHEMAS,
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    PartitionFieldSummary,
)
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromByteStream
from pyiceberg.table import FileScanTask, ManifestGroupPlanner
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.typedef import Record
from zstandard import ZstdDecompressor

from auditor.errors import CollectError, ReadOnlyError
from auditor.model import Reason

_D = TypeVar("_D", bound=Record)
_PACKED: Final = ".gz.metadata.json"
_AT_ONCE: Final = 64 << 20
"""Bytes that one file, or one block of one, may become: manifests of 8 MB are usual."""


class Room:
    """How much all metadata of a table may still become; several threads read it."""

    def __init__(self, size: int, manifests: int, entries: int) -> None:
        self.lock = threading.Lock()
        """Held while a file is read: two would take as much as each of them may."""
        self._size = size
        self._left: dict[Callable[..., Any], int] = {_Manifest: manifests, ManifestEntry: entries}

    @property
    def most(self) -> int:
        """Bytes that something may become that is unpacked now."""
        return min(_AT_ONCE, self._size)

    def take(self, size: int) -> None:
        """Count bytes, before or after they were unpacked.

        Raises:
            CollectError: they are too many.
        """
        self._size -= size
        if self._size < 0:
            raise _too_much("is larger than what is read of it at most")

    def count(self, kind: Callable[..., Any], number: int) -> None:
        """Count manifests, or what they tell of.

        Raises:
            CollectError: they are too many.
        """
        self._left[kind] -= number
        if self._left[kind] < 0:
            raise _too_much("names more files than are read of it at most")


class _Whole(InputFile):
    """A file that is read at once: metadata is small beside the rows."""

    def __init__(self, url: str, content: bytes, room: Room) -> None:
        super().__init__(url)
        self.content = content
        self.room = room

    def __len__(self) -> int:
        return len(self.content)

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> BytesIO:  # noqa: ARG002, FBT001, FBT002 - its shape
        return BytesIO(self.content)


class Files(FileIO):
    """Nothing is ever written or removed: whoever tries is refused."""

    def __init__(self, read: Callable[[str], bytes], room: Room) -> None:
        super().__init__()
        self._read = read
        self._room = room

    def new_input(self, location: str) -> _Whole:
        """Read a file."""
        with self._room.lock:
            content = self._read(location)
            self._room.take(len(content))
        return _Whole(location, content, self._room)

    def new_output(self, location: str) -> Any:
        """Refuse to write one."""
        raise ReadOnlyError(f"refused to write {location}")

    def delete(self, location: Any) -> None:
        """Refuse to remove one."""
        raise ReadOnlyError(f"refused to remove {location}")

    def metadata(self, url: str) -> TableMetadata:
        """What a table's own file says, packed or not."""
        content = self.new_input(url).content
        if url.endswith(_PACKED):
            with gzip.open(BytesIO(content)) as file:
                content = _within(file.read(self._room.most + 1), self._room)
        elif len(content) > _AT_ONCE:
            raise _too_much("is larger than what is read of it at most")
        return FromByteStream.table_metadata(BytesIO(content))

    def plan(self, told: TableMetadata, snapshot: Snapshot) -> Iterable[FileScanTask]:
        """Which files of rows a snapshot has, each with what is deleted of it."""
        listed = _Avro[ManifestFile](
            self.new_input(snapshot.manifest_list),
            MANIFEST_LIST_FILE_SCHEMAS[DEFAULT_READ_VERSION],
            read_types={-1: _Manifest, 508: PartitionFieldSummary},
            read_enums={517: ManifestContent},
        )
        with listed as manifests:
            return ManifestGroupPlanner(told, self).plan_files(list(manifests))


class _Manifest(ManifestFile):
    """One that is read within bounds."""

    def fetch_manifest_entry(self, io: FileIO, discard_deleted: bool = True) -> list[ManifestEntry]:  # noqa: FBT001, FBT002 - its shape
        """What it tells of files.

        Raises:
            ValueError: it is not as long as the list of manifests says: behind a whole block nothing else tells.
        """
        file = cast("_Whole", io.new_input(self.manifest_path))
        if len(file) != self.manifest_length:
            raise ValueError("not the length that is said")
        told = _Avro[ManifestEntry](
            file,
            MANIFEST_ENTRY_SCHEMAS[DEFAULT_READ_VERSION],
            read_types={-1: ManifestEntry, 2: DataFile},
            read_enums={0: ManifestEntryStatus, 101: FileFormat, 134: DataFileContent},
        )
        with told as entries:
            deleted = ManifestEntryStatus.DELETED if discard_deleted else None
            return [self._inheriting(one) for one in entries if one.status != deleted]

    def _inheriting(self, entry: ManifestEntry) -> ManifestEntry:
        # Apache Iceberg, "Sequence Number Inheritance": what was added with the manifest does not say its own.
        if self.sequence_number == 0 or entry.status == ManifestEntryStatus.ADDED:
            if entry.sequence_number is None:
                entry.sequence_number = self.sequence_number
            if entry.file_sequence_number is None:
                entry.file_sequence_number = self.sequence_number
        entry.data_file.spec_id = self.partition_spec_id
        return entry


class _Avro(AvroFile[_D]):
    """A file of Avro of which nothing is read behind its end, and no block is unpacked further than it may be."""

    def __init__(
        self,
        file: _Whole,
        wanted: Schema,
        read_types: dict[int, Callable[..., Any]],
        read_enums: dict[int, Callable[..., Enum]],
    ) -> None:
        super().__init__(file, wanted, read_types, read_enums)
        self._whole = file
        self._wanted = wanted

    def __enter__(self) -> Self:
        self.decoder = StreamingBinaryDecoder(self._whole.content)
        self.header = self._read_header()
        self.schema = self.header.get_schema()
        self.reader = resolve_reader(self.schema, self._wanted, self.read_types, self.read_enums)
        return self

    def _read_block(self) -> int:
        """Go on to the next block.

        Raises:
            EOFError: there is none, and the file ends as one does.
            ValueError: it ends within one, or is damaged.
            CollectError: it becomes too large.
        """
        room = self._whole.room
        try:
            if self.block and self.decoder.read(SYNC_SIZE) != self.header.sync:
                raise ValueError("no end of a block")
            is_end = self.decoder.tell() == len(self._whole)
            count, packed = (0, b"") if is_end else (self.decoder.read_int(), self.decoder.read_bytes())
        except EOFError:
            raise ValueError("cut off") from None
        if is_end:
            raise EOFError
        if count < 1:
            raise ValueError("a block of nothing")
        with room.lock:
            room.count(self.read_types[-1], count)
            content = packed
            if (codec := self.header.meta.get(AVRO_CODEC_KEY)) != "null":
                content = _within(_UNPACK[str(codec)](packed, room.most + 1), room)
        self.block = Block(self.reader, count, StreamingBinaryDecoder(content))
        return count


def _deflated(packed: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    content = unpacking.decompress(packed, most)
    if not unpacking.eof and len(content) < most:
        raise ValueError("cut off")
    return content


def _zstandard(packed: bytes, most: int) -> bytes:
    return ZstdDecompressor().stream_reader(packed).read(most)


_UNPACK: Final = {"deflate": _deflated, "zstandard": _zstandard}
"""How a block is unpacked, and no further than so many bytes; nobody writes metadata in another way."""


def _within(content: bytes, room: Room) -> bytes:
    if len(content) > room.most:
        raise _too_much("becomes larger than what is read of it at most")
    room.take(len(content))
    return content


def _too_much(why: str) -> CollectError:
    return CollectError(
        f"the metadata of the table {why}", "wait until S3 Tables has compacted it", reason=Reason.MALFORMED
    )
