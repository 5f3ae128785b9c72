"""A bucket whose objects S3 Inventory lists: what a report tells of an object needs no LIST, and often no HEAD."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import duckdb

from auditor import locks
from auditor.errors import BusyError, CollectError, DiskError
from auditor.inventory import notes
from auditor.inventory.files import digest as files_digest
from auditor.inventory.files import make_folder
from auditor.inventory_report import ByReport, Report, ReportFile
from auditor.model import BucketFacts, Gap, Listing, Population, Reason, Requests
from auditor.ports import Coming, Known, ObjectSource, Shard
from auditor.warehouse import report_rows

_PAGE: Final = 1_000
_ROWS: Final = "report-{digest}.parquet"
_UNFINISHED: Final = "unfinished"
_LOCK: Final = "lock"
_ENDS: Final[Mapping[str, str]] = {"CSV": ".csv.gz", "ORC": ".orc", "Parquet": ".parquet"}
_LIST: Final = "leave `s3_inventory` away and list the bucket from here"
_PATIENCE: Final = 3_600.0
"""Seconds that another process may take to put the same report in order."""


class Reports(Protocol):
    """Where the reports of one bucket lie."""

    def newest(self) -> Report:
        """Find the newest one that is whole.

        Raises:
            CollectError: there is none, it does not tell of the whole bucket, or nobody may know.
        """

    def fetch(self, report: Report, file: ReportFile, target: Path) -> None:
        """Put a file on the disk, once it is what the manifest says that it is.

        Raises:
            CollectError: it cannot be read, or is another.
            OSError: it cannot be written.
        """


class Listed(ObjectSource, Protocol):
    """A bucket that asks for its objects, or takes what a report tells of them."""

    @property
    def gone(self) -> int:
        """How many objects its last listing told of that were found nowhere."""

    def shards(
        self,
        listing: Listing,
        shards: Sequence[Shard],
        known: Known | None = None,
        *,
        split: bool = True,
        report: ByReport | None = None,
    ) -> Iterator[tuple[Shard, Coming]]:
        """As any bucket; of what a report tells only what is under a KMS key is asked for."""


class Reported:
    """As the bucket itself, but its objects are those of one report, which `look` chooses."""

    def __init__(self, bucket: Listed, reports: Reports, root: Path, folder: Path) -> None:
        """`folder`, below `root`: where a report is kept, in order, until there is a newer one."""
        self._bucket = bucket
        self._reports = reports
        self._root, self._folder = root, folder
        self._report: Report | None = None
        self._failed: CollectError | None = None

    def look(self) -> Report | None:
        """Choose the newest report; None where none can be used: then nothing is listed, and it says why."""
        self._report, self._failed = None, None
        try:
            self._report = self._reports.newest()
        except CollectError as error:
            self._failed = error
        return self._report

    def refuse(self, error: CollectError) -> None:
        """Have nothing listed by the report that was chosen."""
        self._report, self._failed = None, error

    @property
    def report(self) -> Report | None:
        """What is listed by."""
        return self._report

    @property
    def url(self) -> str:
        """As configured."""
        return self._bucket.url

    @property
    def endpoint(self) -> str:
        """Where the bucket itself is asked."""
        return self._bucket.endpoint

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the config leaves out, or the report."""
        known = self._report is not None and self._report.live_only
        more = [Population.NONCURRENT] if known else []
        return tuple(dict.fromkeys((*self._bucket.left_out, *more)))

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One pass shows them all."""
        return self._bucket.listings

    @property
    def gone(self) -> int:
        """How many objects its last listing told of that were found nowhere."""
        return self._bucket.gone

    @property
    def markers(self) -> None:
        """Nobody counts them."""

    def facts(self) -> BucketFacts | Gap:
        """What the bucket says of itself."""
        return self._bucket.facts()

    def shards(
        self, listing: Listing, shards: Sequence[Shard], known: Known | None = None, *, split: bool = True
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every version that the report lists and that is there still, as a listing does.

        Raises:
            CollectError: there is no report that can be used, or it is not what it is to be.
            DiskError: there is no room for it.
        """
        del split  # it is read from its beginning to its end
        if self._failed is not None:
            raise self._failed
        report = self._report
        assert report is not None  # noqa: S101 - it was chosen, or that failed
        with self._in_order(report) as rows:
            if not report_rows.has_versions(rows):
                # The configuration may have said otherwise when it was made.
                self._report = replace(report, live_only=True)
            if {Population.LIVE, Population.NONCURRENT} <= set(self.left_out):
                why = "its report lists current versions alone, and the config wants none of them"
                raise CollectError(why, _LIST, reason=Reason.UNSUPPORTED)
            yield from self._bucket.shards(
                listing, shards, known, report=ByReport(report.created, lambda: report_rows.read(rows, _PAGE))
            )

    def borders(self, *_: object) -> list[str]:
        """It is listed in one go."""
        return []

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads, of which no report tells."""
        return self._bucket.uploads_in_progress()

    def cloud_count(self) -> None:
        """Nobody compares: the cloud's count is of another time."""

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep asks at most: no page but those with the names of reports."""
        most = self._bucket.needs(stored, known)
        # The configuration, a checksum, a manifest, and a file at least.
        return Requests(lists=2, heads=most.heads, others=most.others + 4)

    def _in_order(self, report: Report) -> BinaryIO:
        """The rows of a report in the order of names, fetched unless they are there already.

        Open, so that they stay there until whoever reads them has done so.
        """
        path = self._folder / _ROWS.format(digest=report.digest)
        busy = BusyError(f"another process reads the report of {self.url} for an hour", "look what it does")
        try:
            make_folder(self._folder, self._root)
            with locks.held(self._folder / _LOCK, busy, _PATIENCE):
                if not _is_proven(path):
                    self._fetch(report, path)
                return path.open("rb")
        except (OSError, duckdb.OperationalError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            raise DiskError(
                f"cannot write the report of {self.url}: {why}", f"look at disk and rights of {self._folder}"
            ) from None

    def _fetch(self, report: Report, rows: Path) -> None:
        # Nobody else is at work here: what lies about is of an older report, or of a process that was killed.
        for path in self._folder.glob("report-*"):
            path.unlink(missing_ok=True)
        unfinished = self._folder / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            files = []
            for number, one in enumerate(report.files):
                files.append(unfinished / f"{number:06}{_ENDS[report.form]}")
                self._reports.fetch(report, one, files[-1])
            done = unfinished / rows.name
            report_rows.write(report.form, report.columns, files, report.bucket, done)
            notes.write(_proof(rows), files_digest(done))
            done.replace(rows)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _proof(rows: Path) -> Path:
    return rows.with_suffix(".json")


def _is_proven(rows: Path) -> bool:
    """Whether a report is kept as it was put in order."""
    try:
        return bool(notes.read(_proof(rows)) == files_digest(rows))
    except (OSError, ValueError):
        return False
