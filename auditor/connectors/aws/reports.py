"""Reports of S3 Inventory: which one is the newest of a bucket, whether it tells of all its objects, and its files.

Source: Amazon S3 API Reference, GetBucketInventoryConfiguration; Amazon S3 User Guide, "Locating your inventory list".
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from auditor.connectors.aws.bodies import FAULTS, flowing
from auditor.connectors.aws.errors import code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.errors import CollectError
from auditor.inventory_report import Report, ReportFile
from auditor.model import Reason

_SMALL: Final = 64 << 20
"""Bytes of a manifest: some hundred for each file of a report."""
_TRIES: Final = 3
"""How often a file is begun that breaks off: the SDK asks again for answers, and not for what lacks of one."""
_MOST_PAGES: Final = 20
"""Of the names of reports: 1,000 names are 500 of them."""
_DATED: Final = re.compile(r"(20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}Z)/manifest[.](json|checksum)")
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_BUCKET: Final = re.compile(r"arn:aws[a-z-]*:s3:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])")
_FORMATS: Final = {"CSV": ".csv.gz", "ORC": ".orc", "Parquet": ".parquet"}
_FIELDS: Final = ("Size", "LastModifiedDate", "StorageClass", "ETag", "EncryptionStatus")
"""Without these a report does not tell what a listing does, or which objects need no HEAD."""
CONFIGURED: Final = "s3:GetInventoryConfiguration"
_WITHOUT: Final = "or leave `s3_inventory` away and list the bucket from here"
_LATEST: Final = timedelta(hours=1)
"""So far ahead of ours may the clock be by which a report was begun."""


class S3Reports:
    """The reports of one bucket that one inventory configuration of its makes."""

    def __init__(
        self,
        clients: AwsClients,
        url: str,
        name: str,
        place: tuple[str | None, str | None],
        clock: Callable[[], datetime],
        *,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name`: of the configuration; `place`: the bucket's Region and account; `clock`: the cloud's."""
        self._clients = clients
        self._ticks = ticks
        self._clock = clock
        self._bucket = url.removeprefix("s3://")
        self._name = name
        self._place = place

    def newest(self) -> Report:
        """Find the newest report that is whole.

        Raises:
            CollectError: there is none, it does not tell of the whole bucket, or nobody may know.
        """
        with self._told(f"its inventory configuration {self._name} cannot be read", CONFIGURED):
            client = self._clients.s3(*self._place)
            told = client.get_bucket_inventory_configuration(Bucket=self._bucket, Id=self._name)
        made: Any = told.get("InventoryConfiguration") or {}
        home, prefix, owner = _destination(made)
        live_only = self._of_everything(made)
        place = f"{prefix}/{self._bucket}/{self._name}/".removeprefix("/")
        day = self._newest_day(home, place, owner)
        checksum, content = (self._small(home, f"{place}{day}/manifest.{end}", owner) for end in ("checksum", "json"))
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if digest != checksum.decode("ascii", "replace").strip().lower():
            raise _unusable(f"the manifest of its report of {day} is not what its checksum says", Reason.MALFORMED)
        created, form, columns, files = _manifest(content, self._bucket, home, f"{prefix}/{self._bucket}/".lstrip("/"))
        # What it has answered tells how far its clock is from ours.
        if created > self._clock() + _LATEST:
            raise _unusable(f"its report of {day} says that it was begun in the time to come", Reason.MALFORMED)
        return Report(self._bucket, created, digest, form, columns, files, live_only, home, owner)

    def fetch(self, report: Report, file: ReportFile, target: Path) -> None:
        """Put a file on the disk, once it is what the manifest says that it is.

        Raises:
            CollectError: it cannot be read, or is another.
            OSError: it cannot be written.
        """
        left = _TRIES
        while True:
            left -= 1
            try:
                told, size = hashlib.md5(usedforsecurity=False), 0
                with target.open("wb") as out:
                    for chunk in self._chunks(report.home, file.key, report.owner):
                        size += len(chunk)
                        if size > file.size:
                            break
                        told.update(chunk)
                        out.write(chunk)
            except CollectError as error:
                if left and error.reason is Reason.TIMEOUT:
                    continue
                raise
            if size != file.size or told.hexdigest() != file.md5:
                raise _unusable("a file of its report is not what the manifest says", Reason.MALFORMED)
            return

    def _of_everything(self, made: Mapping[str, Any]) -> bool:
        """Whether reports list the newest versions alone.

        Raises:
            CollectError: they do not list all names, or say too little of each object.
        """
        if made.get("Id") != self._name:
            raise _unusable("its inventory configuration is answered with another", Reason.MALFORMED)
        if made.get("IsEnabled") is not True:
            raise _unusable(f"its inventory configuration {self._name} is off", Reason.NOT_VISIBLE, "enable it, ")
        if (made.get("Filter") or {}).get("Prefix"):
            why = f"its inventory configuration {self._name} has a filter: not all objects are in its reports"
            raise _unusable(why, Reason.UNSUPPORTED, "take the filter away, ")
        if lacking := [one for one in _FIELDS if one not in (made.get("OptionalFields") or ())]:
            raise _lacks(f"the reports of {self._name}", lacking)
        return made.get("IncludedObjectVersions") != "All"

    def _newest_day(self, home: str, place: str, owner: str | None) -> str:
        """The folder of the newest report that has both a manifest and its checksum, which come last."""
        found: dict[str, set[str]] = {}
        # Behind the dates comes `data`, with a name for each file of each report.
        asked: dict[str, Any] = {"Bucket": home, "Prefix": f"{place}2", **_owned(owner)}
        with self._told("its reports cannot be listed", f"s3:ListBucket on {home}"):
            for _ in range(_MOST_PAGES):
                page = self._clients.s3(*self._place).list_objects_v2(**asked)
                for one in page.get("Contents", []):
                    if hit := _DATED.fullmatch(one["Key"].removeprefix(place)):
                        found.setdefault(hit[1], set()).add(hit[2])
                if not page.get("IsTruncated"):
                    break
                asked["ContinuationToken"] = page["NextContinuationToken"]
            else:
                raise _unusable(f"too many reports lie in s3://{home}/{place}", Reason.UNSUPPORTED, "remove old ones, ")
        whole = [day for day, parts in found.items() if len(parts) == len(("json", "checksum"))]
        if not whole:
            why = f"no report lies in s3://{home}/{place} yet"
            raise _unusable(why, Reason.NOT_FOUND, "wait for the first, which takes up to two days, ")
        return max(whole)

    def _small(self, home: str, key: str, owner: str | None) -> bytes:
        content = bytearray()
        for chunk in self._chunks(home, key, owner):
            content += chunk
            if len(content) > _SMALL:
                raise _unusable("the manifest of its report is larger than 64 MiB", Reason.MALFORMED)
        return bytes(content)

    def _chunks(self, home: str, key: str, owner: str | None) -> Iterator[bytes]:
        with self._told("a file of its report cannot be read", f"s3:GetObject on {home}"):
            asked: dict[str, Any] = {"Bucket": home, "Key": key, **_owned(owner)}
            told = self._clients.s3(*self._place).get_object(**asked)
            yield from flowing(told, "a file of its report", self._ticks)

    @contextmanager
    def _told(self, what: str, permission: str) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            reason = reason_of(error)
            hint = hint_for(reason, permission)
            if code_of(error) == "NoSuchConfiguration":
                what, reason = f"it has no inventory configuration {self._name}", Reason.NOT_FOUND
                hint = f"make one, {_WITHOUT}"
            raise CollectError(f"{what}: {code_of(error)}", hint, reason=reason) from None


def _owned(owner: str | None) -> dict[str, str]:
    # Whoever took over the name of a bucket that was deleted is not asked.
    return {"ExpectedBucketOwner": owner} if owner else {}


def _destination(made: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """Bucket, prefix, and whose bucket that is to be.

    Raises:
        CollectError: it names none.
    """
    told = (made.get("Destination") or {}).get("S3BucketDestination") or {}
    hit = _BUCKET.fullmatch(str(told.get("Bucket")))
    if hit is None:
        raise _unusable("its inventory configuration names no bucket for reports", Reason.MALFORMED)
    return hit[1], str(told.get("Prefix") or ""), told.get("AccountId") or None


def _manifest(
    content: bytes, bucket: str, home: str, place: str
) -> tuple[datetime, str, tuple[str, ...], tuple[ReportFile, ...]]:
    """When it was begun, its format, columns and files.

    Raises:
        CollectError: it says what no manifest can, or is another bucket's.
    """
    try:
        told = json.loads(content)
        created = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(told["creationTimestamp"]))
        form, schema = str(told["fileFormat"]), str(told["fileSchema"])
        files = tuple(ReportFile(str(one["key"]), int(one["size"]), str(one["MD5checksum"])) for one in told["files"])
        source, lies_in = told["sourceBucket"], str(told["destinationBucket"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise _unusable("the manifest of its report cannot be read", Reason.MALFORMED) from None
    if not files:
        # That says as little as one without a row.
        raise _unusable("the manifest of its report names no file", Reason.MALFORMED)
    if form not in _FORMATS:
        raise _unusable("its report has a format that is not known here", Reason.UNSUPPORTED)
    hit = _BUCKET.fullmatch(lies_in)
    if source != bucket or (hit[1] if hit else lies_in) != home or not _are_own(files, place, form):
        raise _unusable("the manifest of its report is of something else", Reason.MALFORMED)
    columns = tuple(one.strip() for one in schema.split(",")) if form == "CSV" else ()
    if len(set(columns)) != len(columns):
        raise _unusable("its report names a column twice", Reason.MALFORMED)
    return created, form, columns, files


def _are_own(files: Collection[ReportFile], place: str, form: str) -> bool:
    """Whether each file is where reports of the bucket are, and of this format; none twice."""
    return len({one.key for one in files}) == len(files) and all(
        one.key.startswith(place) and one.key.endswith(_FORMATS[form]) and _MD5.fullmatch(one.md5) and one.size >= 0
        for one in files
    )


def _lacks(what: str, fields: Collection[str]) -> CollectError:
    named = ", ".join(fields)
    return _unusable(f"{what} lack {named}", Reason.UNSUPPORTED, f"add {named} to the fields of the configuration, ")


def _unusable(why: str, reason: Reason, hint: str = "sweep again later, ") -> CollectError:
    return CollectError(why, f"{hint}{_WITHOUT}", reason=reason)
