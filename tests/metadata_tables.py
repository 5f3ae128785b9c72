"""Live inventory tables of S3 Metadata, written by Iceberg's own library and put behind an embedded AWS."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import BooleanType, LongType, MapType, NestedField, StringType, TimestampType

from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.store import Bucket, InventoryTable, StoredVersion

HOME: Final = "63a8e430-6e0b-46f5-k833abtwr6s8tmtsycedn8s4yc3xhuse1b--table-s3"
_STATUS: Final = {"AES256": "SSE-S3", "aws:kms": "SSE-KMS", "aws:kms:dsse": "DSSE-KMS"}
# Amazon S3 User Guide, "S3 Metadata live inventory tables schema".
SCHEMA: Final = Schema(
    NestedField(1, "bucket", StringType(), required=True),
    NestedField(2, "key", StringType(), required=True),
    NestedField(3, "sequence_number", StringType(), required=True),
    NestedField(4, "version_id", StringType()),
    NestedField(5, "is_delete_marker", BooleanType()),
    NestedField(6, "size", LongType()),
    NestedField(7, "last_modified_date", TimestampType()),
    NestedField(8, "e_tag", StringType()),
    NestedField(9, "storage_class", StringType()),
    NestedField(10, "is_multipart", BooleanType()),
    NestedField(11, "encryption_status", StringType()),
    NestedField(12, "is_bucket_key_enabled", BooleanType()),
    NestedField(13, "kms_key_arn", StringType()),
    NestedField(14, "checksum_algorithm", StringType()),
    NestedField(15, "object_tags", MapType(20, StringType(), 21, StringType())),
    NestedField(16, "user_metadata", MapType(22, StringType(), 23, StringType())),
)


class Disk(PyArrowFileIO):
    """Keeps what is written to s3://BUCKET/KEY as a file FOLDER/BUCKET/KEY, and says nothing of that in it."""

    def new_input(self, location: str) -> Any:
        return super().new_input(self._path(location))

    def new_output(self, location: str) -> Any:
        path = self._path(location)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        made = super().new_output(path)
        made._location = location  # noqa: SLF001 - what refers to it names the bucket
        return made

    def _path(self, location: str) -> str:
        return location.replace("s3://", f"{self.properties['folder']}/", 1)


def a_table(folder: Path, schema: Schema = SCHEMA) -> Table:
    """An empty one; what is put into it goes to `folder`."""
    (folder / "files").mkdir()
    catalog = SqlCatalog(
        "tests",
        uri="sqlite:///:memory:",
        warehouse=f"s3://{HOME}",
        **{"py-io-impl": "tests.metadata_tables.Disk", "folder": str(folder / "files")},
    )
    catalog.create_namespace("b_data")
    return catalog.create_table("b_data.inventory", schema, properties={"format-version": "2"})


def rows_of(bucket: Bucket) -> list[dict[str, Any]]:
    """What the table says of all versions of a bucket: the newest of a name comes first in the store."""
    return [
        _row(bucket, one, len(versions) - place)
        for versions in bucket.objects.values()
        for place, one in enumerate(versions)
    ]


def _row(bucket: Bucket, one: StoredVersion, number: int) -> dict[str, Any]:
    marker = {"is_delete_marker": one.delete_marker}
    place = {"bucket": bucket.name, "key": one.name, "sequence_number": f"{number:032x}", "version_id": one.version_id}
    modified = {"last_modified_date": one.modified.replace(tzinfo=None, microsecond=0)}
    if one.delete_marker:
        return {**place, **marker, **modified}
    status = "SSE-C" if one.customer_key else _STATUS.get(one.sse or "")
    return {
        **place,
        **marker,
        **modified,
        "size": one.size,
        "e_tag": one.etag,
        "storage_class": one.storage_class,
        "is_multipart": False,
        "encryption_status": status,
        "is_bucket_key_enabled": one.bucket_key,
        "kms_key_arn": one.key,
        "object_tags": {},
        "user_metadata": {},
    }


def add(table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows into a table, in a file of their own."""
    table.append(pa.Table.from_pylist([dict(one) for one in rows], schema=table.schema().as_arrow()))


def serve(cloud: AwsCloud, bucket: str, table: Table, folder: Path) -> InventoryTable:
    """Put a table as it is now behind a bucket of the cloud."""
    store = cloud.store
    if HOME not in store.buckets:
        store.add_bucket(HOME)
    root = folder / "files" / HOME
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            store.put(HOME, str(path.relative_to(root)), size=len(content), data=content)
    found = store.buckets[bucket].table = InventoryTable(table.metadata_location)
    return found
