"""Whether what a registry says is only the beginning of what it said before.

A file that somebody writes anew in its place is that for a moment, and for ever where the writer dies.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb

from auditor.errors import CollectError
from auditor.inventory import files, notes
from auditor.inventory.sql import working
from auditor.model import Reason
from auditor.plurals import agreed, counted
from auditor.ports import KeptRegistry

_HELD: Final = "held.json"
_COLUMNS: Final = ("bucket", "namespace", "key", "tenant", "owner", "team", "parent", "size")
_IS_SAME: Final = " AND ".join(f"now.{one} IS NOT DISTINCT FROM before.{one}" for one in _COLUMNS)
_IS_CUT: Final = " AND ".join(
    f"(now.{one} IS NULL OR coalesce(starts_with(before.{one}::VARCHAR, now.{one}::VARCHAR), false))"
    for one in _COLUMNS
)
# Entries stand in the order of the file.
_PARTED: Final = (
    f"SELECT now.file_row_number, {_IS_CUT} FROM read_parquet($now, file_row_number = true) AS now "  # noqa: S608 - names of columns alone
    "JOIN read_parquet($before, file_row_number = true) AS before USING (file_row_number) "
    f"WHERE NOT ({_IS_SAME}) LIMIT 2"
)
_COUNT: Final = "SELECT count(*) FROM read_parquet($path)"
_LONG_ENOUGH: Final = timedelta(seconds=30)
"""Of polls of a few keys several may come within a second, and a writer who waits for its own source is as it was."""
_WRITE: Final = "write it whole, under another name, and rename it"


@dataclass(frozen=True, slots=True)
class Read:
    """What a registry says now, written down and not believed yet."""

    path: Path
    """Its entries, in the order of the file."""
    version: str
    unusable: int
    ends: bool
    """Its last line has its line break."""
    at: datetime
    """Aware, UTC: when it was read."""


def see_that_it_is_whole(now: Read, before: KeptRegistry) -> None:
    """Refuse what is only the beginning of what a registry said before, until it is seen again half a minute later.

    Where the line break at the end was lost as well, it is refused as long as it is so: people whose editors write none
    never wrote one.

    Raises:
        CollectError: it is not believed, or not yet.
    """
    held = now.path.parent / _HELD
    found = _beginning(now, before)
    if found is None:
        held.unlink(missing_ok=True)
        return
    if before.ends and not now.ends:
        why = "it is cut off: it is the beginning of what it was, and its last line has lost its line break"
        raise _refused(why, f"{_WRITE}; where it is meant so, end its last line with a line break")
    since = _held_since(held, now)
    if since is not None and now.at - since >= _LONG_ENOUGH:
        held.unlink(missing_ok=True)
        return
    if since is None:
        notes.write(held, {"version": now.version, "since": now.at})
    left, whole = found
    of = f"{left:,} of {counted(whole, 'entry', 'entries')} {agreed(left, 'is', 'are')} left"
    hint = f"nothing, where it is meant so: a poll half a minute later that finds the same believes it; else {_WRITE}"
    raise _refused(f"it is only the beginning of what it was: {of}", hint)


def forget(home: Path) -> None:
    """What a registry says was seen to be what it said before."""
    (home / _HELD).unlink(missing_ok=True)


def _beginning(now: Read, before: KeptRegistry) -> tuple[int, int] | None:
    """How many entries are left of how many, where they are the first ones.

    What breaks off within its last entry changes that one, and perhaps makes it unusable.
    """
    lacking = before.registry.unusable - now.unusable
    if lacking < -(not now.ends):
        return None
    with working(now.path.parent) as database:
        left, whole = _count(database, now.path), _count(database, before.path)
        if left > whole:
            return None
        told = {"now": files.very_file(now.path), "before": files.very_file(before.path)}
        parted = database.execute(_PARTED, told).fetchall()
    found = left + now.unusable, whole + before.registry.unusable
    if parted:
        return found if parted == [(left - 1, True)] and not now.ends else None
    # Where those that cannot be used stood is not kept: the last ones may be what is not there any more.
    return found if left < whole or lacking > 0 else None


def _count(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    ((count,),) = database.execute(_COUNT, {"path": files.very_file(path)}).fetchall()
    return int(count)


def _held_since(held: Path, now: Read) -> datetime | None:
    """Since when the very same is not believed; None where it was not seen before, or by a clock that was ahead."""
    try:
        told = notes.read(held)
        since = datetime.fromisoformat(told["since"])
        return since if told["version"] == now.version and since <= now.at else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refused(what: str, hint: str) -> CollectError:
    return CollectError(what, hint, reason=Reason.MALFORMED)
