"""The namespaces of one registry that is a service: which there are, and what was last said of each."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.inventory import files, notes
from auditor.inventory.sql import quoted, working
from auditor.inventory.unwritten import unwritten
from auditor.model import Reason
from auditor.ports import Described, Names, Recalled, Undescribed

_FORM: Final = 1
_NOTE: Final = "service.json"
_LEARNT: Final = "learnt.jsonl"
_AT_ONCE: Final = 50_000
_TIME: Final = pa.timestamp("us", tz="UTC")
_TEXTS: Final = ("name", "key", "parent", "why", "problem")
_NAMES: Final = pa.schema({"name": pa.string()})
_TEXT_COLUMNS: Final[list[tuple[str, pa.DataType]]] = [(name, pa.string()) for name in _TEXTS]
_KNOWN: Final = pa.schema([*_TEXT_COLUMNS, ("size", pa.int64()), ("read_at", _TIME), ("tried_at", _TIME)])
_LEARNT_SCHEMA: Final = pa.schema([*_TEXT_COLUMNS, ("size", pa.int64()), ("at", _TIME)])
_OLD: Final = "read_parquet($known, hive_partitioning = false)"
# A table of an older version has no sizes; beside an empty one that does, they are not known.
_BEFORE: Final = "read_parquet($before, hive_partitioning = false, union_by_name = true)"
_LISTED: Final = f"""
COPY (
    SELECT listed.name, key, parent, why, problem, size, read_at, tried_at
    FROM (SELECT DISTINCT name FROM read_parquet($listed, hive_partitioning = false)) AS listed
    LEFT JOIN {_BEFORE} AS known ON known.name = listed.name ORDER BY listed.name
) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd)
"""  # noqa: S608 - constant text
# A try that failed leaves what was said before; who is not found has gone away.
_FOLDED: Final = f"""
COPY (
    SELECT known.name,
        if(learnt.name IS NULL OR learnt.problem IS NOT NULL, known.key, learnt.key) AS key,
        if(learnt.name IS NULL OR learnt.problem IS NOT NULL, known.parent, learnt.parent) AS parent,
        if(learnt.name IS NULL OR learnt.problem IS NOT NULL, known.why, learnt.why) AS why,
        if(learnt.name IS NULL, known.problem, learnt.problem) AS problem,
        if(learnt.name IS NULL OR learnt.problem IS NOT NULL, known.size, learnt.size) AS size,
        if(learnt.name IS NULL OR learnt.problem IS NOT NULL, known.read_at, learnt.at) AS read_at,
        coalesce(learnt.at, known.tried_at) AS tried_at
    FROM {_BEFORE} AS known LEFT JOIN learnt ON learnt.name = known.name
    WHERE learnt.problem IS DISTINCT FROM '{Reason.NOT_FOUND.value}' ORDER BY known.name
) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd)
"""  # noqa: S608 - constant text
_IS_DUE: Final = """
(tried_at IS NULL OR tried_at NOT BETWEEN $since AND $now)
AND (read_at IS NULL OR problem IS NOT NULL OR read_at NOT BETWEEN $oldest AND $now)
"""
# Whoever waits longest first; by no order of names, so that one customer's do not keep all others waiting.
_DUE: Final = f"SELECT name FROM {_OLD} WHERE {_IS_DUE} ORDER BY tried_at NULLS FIRST, hash(name) LIMIT $most"  # noqa: S608 - constant text
_HOW_MANY: Final = f"SELECT count(*) FROM {_OLD} WHERE {_IS_DUE}"  # noqa: S608 - constant text
_COUNTS: Final = f"SELECT count(*), count(*) FILTER (WHERE tried_at IS NULL) FROM {_OLD}"  # noqa: S608 - constant text
_PROBLEMS: Final = f"""
SELECT problem, read_at IS NULL, count(*), epoch_us(min(read_at)) FROM {_OLD}
WHERE problem IS NOT NULL GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - constant text
_UNCLEAR: Final = f"SELECT why, count(*) FROM {_OLD} WHERE why IS NOT NULL GROUP BY why ORDER BY why"  # noqa: S608 - constant text


@dataclass(frozen=True, slots=True)
class Kept:
    """The table in force, and what its note says of it."""

    path: Path
    digest: str
    told: Recalled


class Recall:
    """One folder: a table sorted by name, a note that proves it, and what was learnt since, a line each."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def kept(self) -> Kept | None:
        """What is in force; None where nothing is, or it is not as it was written."""
        try:
            told = notes.read(self._home / _NOTE)
            if told["form"] != _FORM:
                return None
            since = datetime.fromisoformat(told["stale_since"]) if told["stale_since"] else None
            recalled = Recalled(
                listed_at=datetime.fromisoformat(told["listed_at"]),
                namespaces=int(told["namespaces"]),
                unasked=int(told["unasked"]),
                silent=_by_reason(told["silent"]),
                stale=_by_reason(told["stale"]),
                stale_since=since,
                unclear=dict(told["unclear"]),
                odd=int(told["odd"]),
            )
            return Kept(self._home / told["file"], told["digest"], recalled)
        except (OSError, KeyError, ValueError, TypeError):
            return None

    def whole(self) -> Kept | None:
        """The same, once the table itself is proven to be what was written."""
        found = self.kept()
        try:
            return found if found is not None and files.digest(found.path) == found.digest else None
        except OSError:
            return None

    def put_names(self, pages: Iterable[Names], at: datetime) -> None:
        """Put in force that these namespaces are all that there are; what was said of them before stays.

        Raises:
            LedgerError: it cannot be written down.
        """
        before = self.whole()
        listed = self._home / f"{files.UNFINISHED}listed"
        with self._writing():
            odd = _write_names(listed, pages)
            self._put(_LISTED, {"listed": [files.very_file(listed)]}, before=before, listed_at=at, odd=odd)
            listed.unlink()

    def fold(self) -> None:
        """Put in force what was learnt since.

        Raises:
            LedgerError: it cannot be written down.
        """
        before = self.whole()
        learnt = self._home / _LEARNT
        with self._writing():
            if before is not None and learnt.exists():
                told = before.told
                found = _read_learnt(learnt)
                self._put(_FOLDED, {}, before=before, listed_at=told.listed_at, odd=told.odd, learnt=found)
            # Whatever is learnt is learnt of namespaces of a list.
            learnt.unlink(missing_ok=True)

    @contextmanager
    def learning(self) -> Iterator[Callable[[Described | Undescribed, datetime], None]]:
        """Keep what is said of namespaces as it comes, so that whoever is killed loses the last line at most.

        Raises:
            LedgerError: it cannot be written down.
        """
        with self._writing(), (self._home / _LEARNT).open("a", encoding="utf-8", buffering=1) as file:

            def keep(one: Described | Undescribed, at: datetime) -> None:
                if isinstance(one, Described):
                    told = {"key": one.key, "parent": one.parent, "why": one.why, "size": one.size, "problem": None}
                else:
                    told = {"problem": one.reason.value}
                file.write(json.dumps({"name": one.name, "at": at.isoformat(), **told}) + "\n")

            yield keep

    def due(self, most: int, since: datetime, oldest: datetime, now: datetime) -> tuple[str, ...]:
        """Whom to ask about next: none that was asked after `since`, nor one that said something after `oldest`.

        Raises:
            LedgerError: it cannot be read.
        """
        times = {"since": since, "oldest": oldest, "now": now}
        return tuple(name for (name,) in self._asked(_DUE, {**times, "most": most}))

    def how_many_due(self, oldest: datetime, now: datetime) -> int:
        """How many are to be asked about by now.

        Raises:
            LedgerError: it cannot be read.
        """
        ((count,),) = self._asked(_HOW_MANY, {"since": now, "oldest": oldest, "now": now})
        return int(count)

    def _asked(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        kept = self.whole()
        if kept is None:
            return [(0,)] if sql is _HOW_MANY else []
        with self._writing(), working(self._home) as database:
            return database.execute(sql, {"known": [files.very_file(kept.path)], **values}).fetchall()

    def _put(
        self,
        sql: str,
        values: Mapping[str, Any],
        *,
        before: Kept | None,
        listed_at: datetime,
        odd: int,
        learnt: pa.Table | None = None,
    ) -> None:
        """Write the table anew and put it in force."""
        writing = self._home / f"{files.UNFINISHED}known"
        nothing = self._home / f"{files.UNFINISHED}none"
        pq.write_table(_KNOWN.empty_table(), nothing)
        older = [nothing] if before is None else [nothing, before.path]
        with working(self._home) as database:
            if learnt is not None:
                database.register("learnt", learnt)
            database.execute(
                sql.format(target=quoted(writing)), {"before": [files.very_file(one) for one in older], **values}
            )
            digest = files.digest(writing)
            path = self._home / f"known-{digest[:16]}.parquet"
            files.put(writing, path)
            counted = _counted(database, path)
        notes.write(
            self._home / _NOTE,
            {"form": _FORM, "file": path.name, "digest": digest, "listed_at": listed_at, "odd": odd, **counted},
        )
        nothing.unlink()
        for old in self._home.glob("known-*.parquet"):
            if old != path:
                old.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            files.make_folder(self._home, self._home.parent)
            yield
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise unwritten("what a registry says cannot be kept", self._home, error) from None


def _counted(database: duckdb.DuckDBPyConnection, path: Path) -> dict[str, Any]:
    values = {"known": [files.very_file(path)]}
    ((namespaces, unasked),) = database.execute(_COUNTS, values).fetchall()
    problems = database.execute(_PROBLEMS, values).fetchall()
    since = min((oldest for *_, oldest in problems if oldest is not None), default=None)
    return {
        "namespaces": namespaces,
        "unasked": unasked,
        "silent": {reason: count for reason, never, count, _ in problems if never},
        "stale": {reason: count for reason, never, count, _ in problems if not never},
        "stale_since": datetime.fromtimestamp(since / 1e6, UTC) if since is not None else None,
        "unclear": dict(database.execute(_UNCLEAR, values).fetchall()),
    }


def _write_names(path: Path, pages: Iterable[Names]) -> int:
    """Write the names down as they come; tell how many entries name no namespace."""
    odd = 0

    def each() -> Iterator[str]:
        nonlocal odd
        for page in pages:
            odd += page.odd
            yield from page.names

    names = each()
    with pq.ParquetWriter(path, _NAMES, compression="zstd") as writer:
        while some := list(islice(names, _AT_ONCE)):
            writer.write_table(pa.table({"name": some}, _NAMES))
    return odd


def _read_learnt(path: Path) -> pa.Table:
    """What was learnt, the last of each namespace; a line that broke off tells nothing."""
    found: dict[str, dict[str, Any]] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                told = json.loads(line)
                at = datetime.fromisoformat(told["at"])
                found[told["name"]] = {**dict.fromkeys(_TEXTS), "size": None, **told, "at": at}
            except (ValueError, KeyError, TypeError):
                continue
    return pa.Table.from_pylist(list(found.values()), _LEARNT_SCHEMA)


def _by_reason(told: Mapping[str, int]) -> dict[Reason, int]:
    return {Reason(reason): int(count) for reason, count in told.items()}
