"""A report of S3 Inventory, as its manifest describes it, and its rows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ReportFile:
    """Some rows of a report."""

    key: str
    size: int
    """Bytes."""
    md5: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report, as its manifest describes it."""

    bucket: str
    """Of which bucket it is, without s3://."""
    created: datetime
    """When the cloud began to go through the bucket: aware, UTC, by the cloud's clock."""
    digest: str
    """MD5 of its manifest, hexadecimal: of another report it is another."""
    form: str
    """CSV, ORC or Parquet."""
    columns: tuple[str, ...]
    """Of CSV, in their order, as the service calls them; empty where files name their columns themselves."""
    files: tuple[ReportFile, ...]
    live_only: bool
    """It lists the newest version of each object alone."""
    home: str
    """The bucket that it lies in."""
    owner: str | None = None
    """The account whose bucket that is to be, where the configuration says so."""


@dataclass(frozen=True, slots=True)
class ByReport:
    """What is listed by a report instead of being asked for."""

    at: datetime
    """When that was begun: aware, UTC."""
    rows: Callable[[], Iterator[Mapping[str, list[Any]]]]
    """From the first on, in the order of names, some at a time: by column, as `warehouse.report_rows` names them."""
