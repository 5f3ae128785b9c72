"""The live inventory table of S3 Metadata: where it is, whether it is whole, and its files.

Source: Amazon S3 API Reference, GetBucketMetadataConfiguration, GetTableMetadataLocation; Amazon S3 User Guide,
"Permissions for querying metadata tables". Its files are read as objects of the bucket behind the table, whose name
ends in `--table-s3`: no other bucket's objects are.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from auditor.connectors.aws.bodies import FAULTS, flowing
from auditor.connectors.aws.errors import code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.errors import CollectError
from auditor.inventory_report import ByReport
from auditor.model import Reason
from auditor.ports import Coming

_FILE: Final = re.compile(r"s3://([a-z0-9-]+--table-s3)/(.+)", re.DOTALL)
_HOME: Final = re.compile(r"arn:aws[a-z-]*:s3tables:[a-z0-9-]+:[0-9]{12}:bucket/[a-z0-9_-]{3,63}")
_SMALL: Final = 64 << 20
"""Bytes of metadata that are read at once."""
_TRIES: Final = 3
"""How often a file is begun that breaks off: the SDK asks again for answers, and not for what lacks of one."""
_ACTIVE: Final = "ACTIVE"
_WITHOUT: Final = "or leave `s3_metadata` away and sweep the bucket from here"
CONFIGURED: Final = "s3:GetBucketMetadataTableConfiguration"
"""The permission that is asked for first."""
_LOCATED: Final = "s3tables:GetTableMetadataLocation"
_READ: Final = "s3tables:GetTableData"
_NEWEST: Final = "the table may have been compacted meanwhile, and the next sweep reads its newest metadata"
_MOVED: Final = {
    Reason.NOT_FOUND: _NEWEST,
    # So S3 says to whoever may not list that there is none.
    Reason.ACCESS_DENIED: f"grant {_READ} to the auditor; if it has that, {_NEWEST}",
}
"""What may be done about a file that the table names and that cannot be had."""


class S3Tables:
    """`warehouse.metadata_table.Table` of one bucket."""

    def __init__(
        self,
        clients: AwsClients,
        url: str,
        region: str | None,
        account: str | None,
        ticks: Callable[[], float] = time.monotonic,
        *,
        heads: Callable[[ByReport], Iterator[Coming]] | None = None,
    ) -> None:
        """`heads`: who HEADs objects of the bucket; None: nobody does."""
        self._heads = heads
        self._clients = clients
        self._ticks = ticks
        self._bucket = url.removeprefix("s3://")
        self._place = region, account

    def place(self) -> str:
        """The URL of the metadata of the table as it is just now.

        Raises:
            CollectError: there is none, it is not whole yet, or nobody may know.
        """
        with self._told("its configuration of S3 Metadata cannot be read", CONFIGURED):
            told = self._clients.s3(*self._place).get_bucket_metadata_configuration(Bucket=self._bucket)
        asked = _table(told)
        region = asked["tableBucketARN"].split(":")[3]
        with self._told("its table of S3 Metadata cannot be found", _LOCATED):
            found = self._clients.s3tables(region, self._place[1]).get_table_metadata_location(**asked)
        location = found.get("metadataLocation")
        if not location:
            raise _unusable("its table of S3 Metadata has no metadata yet", Reason.NOT_VISIBLE)
        return str(location)

    def read(self, url: str) -> bytes:
        """Read a small file whole.

        Raises:
            CollectError: it cannot be read, or is not small.
        """
        content = bytearray()
        for chunk in self._chunks(url):
            content += chunk
            if len(content) > _SMALL:
                raise _unusable("a file of its table's metadata is larger than 64 MiB", Reason.MALFORMED)
        return bytes(content)

    def fetch(self, url: str, target: Path, size: int) -> None:
        """Put a file on the disk; one of more than `size` bytes is given up as soon as it has them.

        Raises:
            CollectError: it cannot be read.
            OSError: it cannot be written.
        """
        left = _TRIES
        while True:
            left -= 1
            try:
                with target.open("wb") as out:
                    for chunk in self._chunks(url):
                        out.write(chunk)
                        if out.tell() > size:
                            why = "a file of its table has more bytes than its metadata says"
                            raise _unusable(why, Reason.MALFORMED)
            except CollectError as error:
                if left and error.reason is Reason.TIMEOUT:
                    continue
                raise
            return

    def ask(self, report: ByReport) -> Iterator[pa.RecordBatch]:
        """HEAD what a report lists; yield what is known of each, as `rows.SCHEMA`, leaving out what is there no more.

        Raises:
            CollectError: it broke off.
        """
        if self._heads is None:
            raise _unusable("nobody asks its objects", Reason.UNSUPPORTED)
        for some in self._heads(report):
            if isinstance(some, pa.RecordBatch):
                yield some

    def _chunks(self, url: str) -> Iterator[bytes]:
        hit = _FILE.fullmatch(url)
        if hit is None:
            raise _unusable("its table names a file that is in no table bucket", Reason.MALFORMED)
        with self._told("a file of its table of S3 Metadata cannot be read", _READ, _MOVED):
            told = self._clients.s3(*self._place).get_object(Bucket=hit[1], Key=hit[2])
            yield from flowing(told, "a file of its table of S3 Metadata", self._ticks)

    @contextmanager
    def _told(self, what: str, permission: str, hints: Mapping[Reason, str] | None = None) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            reason = reason_of(error)
            hint = (hints or {}).get(reason) or hint_for(reason, permission)
            raise CollectError(f"{what}: {code_of(error)}", hint, reason=reason) from None


def _table(told: Mapping[str, Any]) -> dict[str, str]:
    """Which table it is, as it is asked for.

    Raises:
        CollectError: there is none, or it is not whole.
    """
    result = (told.get("GetBucketMetadataConfigurationResult") or {}).get("MetadataConfigurationResult") or {}
    inventory, home = result.get("InventoryTableConfigurationResult") or {}, result.get("DestinationResult") or {}
    if inventory.get("ConfigurationState") != "ENABLED":
        raise _unusable("it has no live inventory table of S3 Metadata", Reason.NOT_FOUND, "enable one, ")
    status = str(inventory.get("TableStatus"))
    if status != _ACTIVE:
        failed = str((inventory.get("Error") or {}).get("ErrorCode") or "")
        more = f" ({failed})" if failed else ""
        why = f"its table of S3 Metadata is {status}{more}, and not all objects are in it"
        raise _unusable(why, Reason.NOT_VISIBLE, "wait until it is ACTIVE, ")
    asked = {
        "tableBucketARN": str(home.get("TableBucketArn")),
        "namespace": str(home.get("TableNamespace")),
        "name": str(inventory.get("TableName")),
    }
    if not _HOME.fullmatch(asked["tableBucketARN"]):
        raise _unusable("its configuration of S3 Metadata names no table bucket", Reason.MALFORMED)
    return asked


def _unusable(why: str, reason: Reason, hint: str = "sweep again later, ") -> CollectError:
    return CollectError(why, f"{hint}{_WITHOUT}", reason=reason)
