"""Where data went from one sweep of a bucket to another, namespace by namespace, aggregated in SQL.

What stays under a key version in a namespace is the lesser of both counts: no listing tells one object from another
that replaced it. What is left over on both sides is put together in three steps, the nearest first.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from auditor.findings import Member
from auditor.inventory.alike import Alike
from auditor.inventory.cuts import OUTSIDE, ROWS_AT_ONCE, Cut, cut
from auditor.inventory.files import very_file
from auditor.inventory.held import rows_alone, rows_of
from auditor.model import Population
from auditor.ownership.registered import Tenancy
from auditor.ports import Flow

_SAMPLES: Final = 10
_ROWS_AT_ONCE: Final = ROWS_AT_ONCE
_MOST: Final = 2**63 - 1
_EMPTY: Final = (
    "bucket VARCHAR, namespace VARCHAR, population VARCHAR, encryption VARCHAR, key VARCHAR, key_version VARCHAR, "
    "objects BIGINT, bytes BIGINT"
)
# What a bucket says of its sizes may add up to more than 64 bits hold: too much to count is no error.
_TOTAL: Final = "CREATE MACRO total(amount) AS least(coalesce(sum(amount), 0), 9223372036854775807)::BIGINT"
# `also`: of this key version what stayed is told as well. Rows in no namespace come alone, and are as of one.
_HELD: Final = """
CREATE OR REPLACE TEMP TABLE held AS
WITH member AS (
    SELECT unnest($buckets::VARCHAR[]) AS bucket, unnest($encryptions::VARCHAR[]) AS encryption,
           unnest($keys::VARCHAR[]) AS key, unnest($versions::VARCHAR[]) AS key_version,
           unnest($places::BIGINT[]) AS place, unnest($homes::BIGINT[]) AS home, unnest($owners::BIGINT[]) AS owner,
           unnest($also::BOOLEAN[]) AS also
), side AS (
    SELECT *, objects AS was, bytes AS was_bytes, 0 AS now, 0 AS now_bytes FROM earlier WHERE {part}
    UNION ALL BY NAME
    SELECT *, 0 AS was, 0 AS was_bytes, objects AS now, bytes AS now_bytes FROM later WHERE {part}
)
SELECT coalesce(namespace, '') AS namespace, home, owner, place, also,
       list_position(['live', 'noncurrent', 'soft_deleted'], population)::BIGINT AS population,
       total(was) AS was, total(was_bytes) AS was_bytes, total(now) AS now, total(now_bytes) AS now_bytes
FROM side JOIN member ON side.bucket = member.bucket AND side.encryption = member.encryption
AND side.key IS NOT DISTINCT FROM member.key AND side.key_version IS NOT DISTINCT FROM member.key_version
WHERE NOT list_contains($left_out::VARCHAR[], side.bucket || ' ' || population)
GROUP BY ALL
"""
_FLOW: Final = """
CREATE OR REPLACE TEMP TABLE flow AS
SELECT home, namespace, place AS before, place AS after, population AS from_population, population AS to_population,
       least(was, now) AS objects, CASE WHEN now <= was THEN now_bytes ELSE was_bytes END AS bytes
FROM held WHERE also AND least(was, now) > 0
"""
_LESS: Final = """
CREATE OR REPLACE TEMP TABLE less AS
SELECT namespace, home, owner, place, population, was - now AS objects, greatest(0, was_bytes - now_bytes) AS bytes
FROM held WHERE was > now
"""
_MORE: Final = """
CREATE OR REPLACE TEMP TABLE more AS
SELECT namespace, home, owner, place, population, now - was AS objects, greatest(0, now_bytes - was_bytes) AS bytes
FROM held WHERE now > was
"""
# Each row takes its stretch of what its set has in all; `beyond` is where the other side has no more.
_STRETCHED: Final = """
CREATE OR REPLACE TEMP TABLE {side} AS
WITH other AS (SELECT {alike}, sum(objects) AS beyond FROM {against} GROUP BY ALL)
SELECT {side}.*, coalesce(beyond, 0) AS beyond, stop - objects AS start
FROM (SELECT *, sum(objects) OVER (PARTITION BY {alike} ORDER BY place, population ROWS UNBOUNDED PRECEDING) AS stop
      FROM {side}) AS {side}
LEFT JOIN other USING ({alike})
"""
_MATCHED: Final = """
INSERT INTO flow
SELECT home, namespace, less.place, more.place, less.population, more.population,
       least(less.stop, more.stop) - greatest(less.start, more.start),
       more.bytes::HUGEINT * (least(less.stop, more.stop) - more.start)::HUGEINT // more.objects
       - more.bytes::HUGEINT * (greatest(less.start, more.start) - more.start)::HUGEINT // more.objects
FROM less JOIN more USING ({alike}) WHERE less.start < more.stop AND more.start < less.stop
"""
_LEFT: Final = """
CREATE OR REPLACE TEMP TABLE {side} AS
SELECT namespace, home, owner, place, population, (stop - greatest(start, beyond))::BIGINT AS objects,
       (bytes - bytes::HUGEINT * (greatest(start, beyond) - start)::HUGEINT // objects)::BIGINT AS bytes
FROM {side} WHERE stop > beyond
"""
# Under the same key version, then the same key, then at all: what is nearest went there.
_STEPS: Final = (
    "namespace, home, place",
    "namespace, home, population, owner",
    "namespace, home, population",
)
_ONE_SIDED: Final = """
INSERT INTO flow
SELECT home, namespace, place, NULL, population, NULL, objects, bytes FROM less
UNION ALL SELECT home, namespace, NULL, place, NULL, population, objects, bytes FROM more
"""
_GROUPS: Final = """
WITH space AS (
    SELECT before, after, from_population, to_population, namespace, total(objects) AS held, total(bytes) AS bytes
    FROM flow GROUP BY ALL
)
SELECT before, after, from_population, to_population, total(held), total(bytes), count(*),
       min((-held, namespace), $samples)
FROM space GROUP BY ALL
"""
_ALIKE: Final = """
WITH space AS (
    SELECT list(DISTINCT [before, after, from_population, to_population]) AS flows FROM flow GROUP BY home, namespace
)
SELECT list_sort(flows) AS flows, count(*) FROM space GROUP BY ALL
"""
_POPULATIONS: Final = (None, Population.LIVE, Population.NONCURRENT, Population.SOFT_DELETED)
_Place = tuple[int | None, int | None, int | None, int | None]
"""(place before, place after, population before, population after), each by its number."""


@dataclass(frozen=True, slots=True)
class FoundFlows:
    """`ports.Flows`."""

    flows: tuple[Flow, ...]
    stayed: int
    """Objects that are as they were, told or not."""
    alike: Alike

    def namespaces(self, some: Iterable[int]) -> int:
        """How many namespaces have data in some of the flows."""
        return self.alike.count(some)


Held = Sequence[tuple[Path, bool]]
"""Files with the dependencies of one side, and whether they stand beside registries."""


def flows(
    before: Held,
    after: Held,
    members: Sequence[Member],
    also: Collection[Member],
    left_out: Collection[tuple[str, Population]],
    *,
    of: Tenancy | None = None,
) -> FoundFlows:
    """Compare the dependencies of two sweeps of each bucket.

    `members`: all holdings of both sides; `also`: those of which data that stayed is told as well; `left_out`: what is
    compared in no case; `of`: only what is told to one tenant.

    Raises:
        duckdb.Error: a file is missing or damaged.
    """
    amounts: dict[_Place, list[int]] = defaultdict(lambda: [0, 0, 0])
    samples: dict[_Place, list[tuple[int, str]]] = defaultdict(list)
    alike: Counter[tuple[_Place, ...]] = Counter()
    values = {**_members(members, also), "left_out": [f"{bucket} {population}" for bucket, population in left_out]}
    stayed = 0
    with duckdb.connect() as database:
        files = [*_opened(database, "earlier", before, of), *_opened(database, "later", after, of)]
        ask = _Asking(database)
        for part in (OUTSIDE, *cut(files, ask, _ROWS_AT_ONCE)):
            _compare(ask, part, values)
            stayed += ask("SELECT total(least(was, now)) FROM held", {})[0][0]
            for *place, objects, size, namespaces, most in ask(_GROUPS, {"samples": _SAMPLES}):
                sums = amounts[_place(place)]
                counted = 0 if part is OUTSIDE else namespaces
                sums[:] = min(_MOST, sums[0] + objects), min(_MOST, sums[1] + size), sums[2] + counted
                samples[_place(place)].extend(() if part is OUTSIDE else most)
            if part is not OUTSIDE:
                alike.update({tuple(map(_place, some)): count for some, count in ask(_ALIKE, {})})
    order = sorted(amounts, key=lambda place: tuple(-1 if one is None else one for one in place))
    numbers = {place: number for number, place in enumerate(order)}
    return FoundFlows(
        tuple(_flow(place, amounts[place], samples[place], members) for place in order),
        min(_MOST, stayed),
        Alike((tuple(map(numbers.__getitem__, some)), count) for some, count in alike.items()),
    )


class _Asking:
    """Asks one database."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        database.execute("SET memory_limit = '512MB'")
        database.execute("SET threads = 2")
        database.execute(_TOTAL)

    def __call__(self, text: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._database.execute(text, values or None).fetchall()


def _compare(ask: _Asking, part: Cut, values: Mapping[str, Any]) -> None:
    """Put all that went somewhere in one part of the namespaces into the table of flows."""
    ask(_HELD.format(part=part.text), {**values, **part.values})
    for text in (_FLOW, _LESS, _MORE):
        ask(text, {})
    for alike in _STEPS:
        ask(_STRETCHED.format(side="less", against="more", alike=alike), {})
        ask(_STRETCHED.format(side="more", against="less", alike=alike), {})
        ask(_MATCHED.format(alike=alike), {})
        for side in ("less", "more"):
            ask(_LEFT.format(side=side), {})
    ask(_ONE_SIDED, {})


def _opened(database: duckdb.DuckDBPyConnection, name: str, held: Held, of: Tenancy | None) -> Iterator[str]:
    if not held:
        database.execute(f"CREATE TABLE {name} ({_EMPTY})")
        return
    plain, beside = ([very_file(path) for path, is_beside in held if is_beside is wanted] for wanted in (False, True))
    rows = rows_of(plain, beside)
    columns = "bucket, namespace, population, encryption, key, key_version, objects, bytes"
    text = rows if of is None else rows_alone(database, rows, of)
    database.execute(f"CREATE VIEW {name} AS SELECT {columns} FROM ({text})")
    yield from (*plain, *beside)


def _members(members: Sequence[Member], also: Collection[Member]) -> dict[str, Any]:
    homes = {bucket: number for number, bucket in enumerate(dict.fromkeys(one[0] for one in members))}
    owners = {owner: number for number, owner in enumerate(dict.fromkeys(one[1:3] for one in members))}
    return {
        "buckets": [one[0] for one in members],
        "encryptions": [one[1].value for one in members],
        "keys": [one[2] for one in members],
        "versions": [one[3] for one in members],
        "places": list(range(len(members))),
        "homes": [homes[one[0]] for one in members],
        "owners": [owners[one[1:3]] for one in members],
        "also": [one in also for one in members],
    }


def _place(found: Sequence[int | None]) -> _Place:
    before, after, from_population, to_population = found
    return before, after, from_population, to_population


def _flow(place: _Place, amounts: Sequence[int], samples: list[tuple[int, str]], members: Sequence[Member]) -> Flow:
    before, after, from_population, to_population = place
    was, is_ = (members[one] if one is not None else None for one in (before, after))
    bucket = (was or is_ or ("",))[0]
    return Flow(
        before=was,
        after=is_,
        population_before=_POPULATIONS[from_population or 0],
        population_after=_POPULATIONS[to_population or 0],
        objects=amounts[0],
        size=amounts[1],
        namespaces=amounts[2],
        samples=tuple(f"{bucket}/{namespace}" for _, namespace in heapq.nsmallest(_SAMPLES, samples)),
    )
