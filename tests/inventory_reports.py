"""Reports of S3 Inventory, as the service writes them, put behind an embedded AWS."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import orc

from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws.store import Bucket, InventoryConfiguration, StoredVersion

NAME: Final = "daily"
_STATUS: Final = {"AES256": "SSE-S3", "aws:kms": "SSE-KMS", "aws:kms:dsse": "DSSE-KMS"}
_ENDS: Final = {"CSV": "csv.gz", "ORC": "orc", "Parquet": "parquet"}
# Amazon S3 User Guide, "Amazon S3 Inventory list": names in CSV, and in the other two.
COLUMNS: Final[dict[str, tuple[str, Any]]] = {
    "Bucket": ("bucket", pa.string()),
    "Key": ("key", pa.string()),
    "VersionId": ("version_id", pa.string()),
    "IsLatest": ("is_latest", pa.bool_()),
    "IsDeleteMarker": ("is_delete_marker", pa.bool_()),
    "Size": ("size", pa.int64()),
    "LastModifiedDate": ("last_modified_date", pa.timestamp("ms")),
    "ETag": ("e_tag", pa.string()),
    "StorageClass": ("storage_class", pa.string()),
    "EncryptionStatus": ("encryption_status", pa.string()),
    "IntelligentTieringAccessTier": ("intelligent_tiering_access_tier", pa.string()),
}
OF_LIVE: Final = [one for one in COLUMNS if one not in {"VersionId", "IsLatest", "IsDeleteMarker"}]


def rows_of(bucket: Bucket) -> list[dict[str, Any]]:
    """What a report of all versions says, in no order that anybody could rely on."""
    found = [
        _row(bucket, one, newest=place == 0)
        for versions in bucket.objects.values()
        for place, one in enumerate(versions)
    ]
    return sorted(found, key=lambda row: hashlib.sha256(repr(row).encode()).digest())


def _row(bucket: Bucket, one: StoredVersion, *, newest: bool) -> dict[str, Any]:
    row = {
        "Bucket": bucket.name,
        "Key": one.name,
        "VersionId": one.version_id or "",
        "IsLatest": newest,
        "IsDeleteMarker": one.delete_marker,
        "LastModifiedDate": one.modified.replace(microsecond=0),
    }
    if one.delete_marker:
        return row
    status = "SSE-C" if one.customer_key else _STATUS.get(one.sse or "", "NOT-SSE")
    return {
        **row,
        "Size": one.size,
        "ETag": one.etag,
        "StorageClass": one.storage_class,
        "EncryptionStatus": status,
    }


def configure(cloud: AwsCloud, bucket: str, form: str = "CSV", **more: Any) -> InventoryConfiguration:
    """Have reports of a bucket made in another one."""
    if "reports" not in cloud.store.buckets:
        cloud.store.add_bucket("reports")
    made = cloud.store.buckets[bucket].inventories[NAME] = InventoryConfiguration("reports", "all", form, **more)
    return made


def deliver(
    cloud: AwsCloud,
    bucket: str,
    rows: Sequence[Mapping[str, Any]],
    at: datetime,
    columns: Sequence[str] = tuple(COLUMNS),
    **said: Any,
) -> str:
    """Put a report of two files into place; `said` stands in its manifest instead. Return its folder."""
    made = cloud.store.buckets[bucket].inventories[NAME]
    prefix = f"{made.prefix}/" if made.prefix else ""
    home = f"{prefix}{bucket}/{NAME}"
    day = f"{at:%Y-%m-%dT%H-%MZ}"
    files = []
    for number, some in enumerate((rows[::2], rows[1::2])):
        content = CONTENT[made.form](some, columns)
        key = f"{home}/data/{day}-{number}.{_ENDS[made.form]}"
        cloud.store.put(made.home, key, size=len(content), data=content)
        files.append({"key": key, "size": len(content), "MD5checksum": _md5(content)})
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{made.home}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(at.timestamp() * 1000)),
        "fileFormat": made.form,
        "fileSchema": ", ".join(columns) if made.form == "CSV" else "as in the files",
        "files": files,
        **said,
    }
    put_manifest(cloud, f"{home}/{day}", json.dumps(manifest).encode(), made.home)
    return f"{home}/{day}"


def put_manifest(cloud: AwsCloud, folder: str, content: bytes, home: str = "reports", checksum: str = "") -> None:
    """Put a manifest and its checksum into place."""
    told = (checksum or _md5(content)).encode()
    cloud.store.put(home, f"{folder}/manifest.json", size=len(content), data=content)
    cloud.store.put(home, f"{folder}/manifest.checksum", size=len(told), data=told)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([[_text(one, row.get(one)) for one in columns] for row in rows])
    return gzip.compress(out.getvalue().encode())


def _text(column: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    return quote_plus(str(value), safe="/") if column == "Key" else str(value)


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    told = [{COLUMNS[one][0]: _plain(row.get(one)) for one in columns} for row in rows]
    return pa.Table.from_pylist(told, schema=pa.schema([COLUMNS[one] for one in columns]))


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _orc(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    out = io.BytesIO()
    orc.write_table(_table(rows, columns), out, compression="ZLIB")
    return out.getvalue()


def _parquet(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    out = io.BytesIO()
    pq.write_table(_table(rows, columns), out, compression="snappy")
    return out.getvalue()


CONTENT: Final = {"CSV": _csv, "ORC": _orc, "Parquet": _parquet}
