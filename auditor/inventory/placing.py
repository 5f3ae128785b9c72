"""The dependencies of one sweep beside what registries say of their namespaces, and beside each other."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.inventory.cuts import EVERYTHING, OUTSIDE, Cut, cut
from auditor.inventory.files import UNFINISHED, put, very_file
from auditor.inventory.mixing import any_mixed, beside_itself
from auditor.inventory.placed import Writer
from auditor.inventory.sql import working
from auditor.model import KeyName
from auditor.ownership.registered import Labels, Portion
from auditor.ownership.spelling import EACH_ITS_OWN

_T = TypeVar("_T")
_ROWS_AT_ONCE: Final = 100_000
"""Rows that are put beside registries at a time, about, and that are compressed together."""

# Names of Google keys that may have another one; what `one` says is the same for all names of a key alone.
SPELT: Final = "spelt AS (SELECT unnest($names::VARCHAR[]) AS name, unnest($ones::VARCHAR[]) AS one)"
# Of a multi-Region key all replicas are the same key.
_SAME_KEY: Final = """
(entry.{key} = held.key OR coalesce({its}.one = mine.one, false)
 OR (starts_with(split_part(held.key, '/', 2), 'mrk-') AND held.key LIKE 'arn:%'
     AND split_part(entry.{key}, '/', 2) = split_part(held.key, '/', 2)
     AND split_part(entry.{key}, ':', 5) = split_part(held.key, ':', 5)
     AND split_part(entry.{key}, ':', 2) = split_part(held.key, ':', 2)))
"""
# A Google project may be named by its id or its number. Where nobody knows whether both are the same, that is no proof
# of a wrong key, and none of the right one.
_NAMESAKE: Final = """
(({its}.one IS NULL OR mine.one IS NULL)
     AND starts_with(held.key, 'projects/') AND starts_with(entry.{key}, 'projects/')
     AND split_part(entry.{key}, '/', 4) = split_part(held.key, '/', 4)
     AND split_part(entry.{key}, '/', 6) = split_part(held.key, '/', 6)
     AND split_part(entry.{key}, '/', 8) = split_part(held.key, '/', 8)
     AND regexp_full_match(split_part(entry.{key}, '/', 2), '[0-9]+')
         <> regexp_full_match(split_part(held.key, '/', 2), '[0-9]+'))
"""
_THE_KEY: Final = {"key": "key", "its": "its"}
_THE_OTHER: Final = {"key": "other", "its": "others"}
# What is under a customer's key beside the key that is named for its namespace. Where two names are that may be of one
# key, what is under neither is wrong whichever is meant, and of what is under one of them nobody knows.
OTHERWISE: Final = f"""
CASE WHEN entry.key IS NULL OR (entry.other IS NULL AND {_SAME_KEY.format(**_THE_KEY)}) THEN 0
    WHEN {_SAME_KEY.format(**_THE_KEY)} OR {_NAMESAKE.format(**_THE_KEY)} THEN {Portion.NAMESAKE.bit}
    WHEN entry.other IS NOT NULL AND ({_SAME_KEY.format(**_THE_OTHER)} OR {_NAMESAKE.format(**_THE_OTHER)})
    THEN {Portion.NAMESAKE.bit} ELSE {Portion.WRONG_KEY.bit} END
"""
# Of the names that it compares which are of one key; `held` and `entry` are there.
SPELT_EACH: Final = """
LEFT JOIN spelt AS mine ON mine.name = held.key
LEFT JOIN spelt AS its ON its.name = entry.key
LEFT JOIN spelt AS others ON others.name = entry.other
"""
# Whatever is said of one replica is said of all.
SAME: Final = """
if(starts_with(split_part({key}, '/', 2), 'mrk-') AND {key} LIKE 'arn:%',
   concat_ws(':', split_part({key}, ':', 2), split_part({key}, ':', 5), split_part({key}, '/', 2)), {key})
"""
# Whose each key is, and who answers for data under it, as far as nobody says otherwise.
OWNING: Final = "SELECT unnest($owned::VARCHAR[]) AS same, unnest($tenants::VARCHAR[]) AS tenant"
LABELLED: Final = """
SELECT unnest($labelled::VARCHAR[]) AS same, unnest($owners::VARCHAR[]) AS owner, unnest($teams::VARCHAR[]) AS team
"""
_HELD: Final = "held AS (SELECT * FROM read_parquet($held, hive_partitioning = false) WHERE {span})"
# Each key is spelled once, so that a million namespaces are compared by numbers. Where `named` is the same it is one
# key; `keys` asks for all of them.
SPELLING: Final = """
spelled AS (
    SELECT key, starts_with(key, 'projects/') AND regexp_full_match(split_part(key, '/', 2), '[0-9]+') AS numbered,
        if(starts_with(split_part(key, '/', 2), 'mrk-') AND key LIKE 'arn:%',
           concat_ws(':', split_part(key, ':', 2), split_part(key, ':', 5), split_part(key, '/', 2)), key) AS same
    FROM ({keys})
), spelling AS (
    SELECT key, numbered, spelt.one, dense_rank() OVER (ORDER BY same) AS same,
        dense_rank() OVER (ORDER BY coalesce(spelt.one, same)) AS named,
        dense_rank() OVER (ORDER BY if(starts_with(key, 'projects/'), regexp_replace(key, '^projects/[^/]+', ''), same))
        AS alike
    FROM spelled LEFT JOIN spelt ON spelt.name = spelled.key
)
"""
# Of keys beside each other: whether they are several for certain, and not perhaps one by the names of its project.
SEVERAL: Final = """
(coalesce(min(alike) <> max(alike), false)
    OR coalesce(min(same) FILTER (numbered) <> max(same) FILTER (numbered), false)
    OR coalesce(min(same) FILTER (NOT numbered) <> max(same) FILTER (NOT numbered), false)
    OR coalesce(min(one) <> max(one), false))
"""
# What is under no KMS key counts as one key more, and what its writer encrypted as another.
_MIXED: Final = f"""
WITH {_HELD}, {SPELT}, {SPELLING.format(keys="SELECT DISTINCT key FROM held WHERE encryption = 'cmek'")}, live AS (
    SELECT held.namespace, held.encryption, coalesce(spelling.numbered, false) AS numbered, spelling.one,
        CASE held.encryption WHEN 'cmek' THEN spelling.same WHEN 'customer_supplied' THEN -1 ELSE 0 END AS same,
        CASE held.encryption WHEN 'cmek' THEN spelling.named WHEN 'customer_supplied' THEN -1 ELSE 0 END AS named,
        CASE held.encryption WHEN 'cmek' THEN spelling.alike WHEN 'customer_supplied' THEN -1 ELSE 0 END AS alike
    FROM held LEFT JOIN spelling ON spelling.key = held.key
    WHERE held.population = 'live' AND held.namespace IS NOT NULL AND held.encryption <> 'unknown'
)
SELECT namespace, if({SEVERAL}, {Portion.MIXED_KEYS.bit}, {Portion.MIXED_NAMES.bit}) AS portion
FROM live GROUP BY namespace HAVING bool_or(encryption = 'cmek') AND min(named) <> max(named)
"""  # noqa: S608 - words of our own
# Far cheaper, and true wherever that is: names of keys are not compared by what they mean.
_PERHAPS_MIXED: Final = f"""
WITH {_HELD}
SELECT namespace FROM held WHERE population = 'live' AND namespace IS NOT NULL AND encryption <> 'unknown'
GROUP BY namespace HAVING bool_or(encryption = 'cmek')
    AND (min(encryption) <> max(encryption) OR min(coalesce(key, '')) <> max(coalesce(key, '')))
"""  # noqa: S608 - words of our own
_PLACED: Final = f"""
    WITH {_HELD}, {SPELT}
    SELECT held.* REPLACE (coalesce(entry.tenant, held.tenant) AS tenant),
        coalesce(entry.owner, if(entry.parted, NULL, label.owner)) AS owner,
        coalesce(entry.team, if(entry.parted, NULL, label.team)) AS team,
        CASE WHEN held.namespace IS NULL OR held.encryption = 'unknown' THEN 0 ELSE
            if(held.encryption = 'cmek', {OTHERWISE}, 0)
            | if(entry.key IS NOT NULL AND held.encryption <> 'cmek', {Portion.NOT_CUSTOMER_MANAGED.bit}, 0)
            | if(owner.tenant <> coalesce(entry.tenant, held.tenant), {Portion.FOREIGN_TENANT.bit}, 0)
            | if(held.population = 'live' AND entry.key IS NULL, coalesce(mixed.portion, 0), 0)
        END
        | if($is_known AND held.namespace IS NOT NULL AND entry.namespace IS NULL, {Portion.UNREGISTERED.bit}, 0)
        | if(entry.contradicted, {Portion.DISPUTED.bit}, 0)
        | if($is_known AND entry.namespace IS NULL AND branched.namespace IS NOT NULL, {Portion.BRANCHED.bit}, 0)
        AS portions
    FROM held
    LEFT JOIN (
        SELECT * FROM read_parquet($entries, hive_partitioning = false) WHERE bucket = $bucket AND {{span}}
    ) AS entry ON entry.namespace = held.namespace
    LEFT JOIN (
        SELECT DISTINCT parent AS namespace FROM read_parquet($entries, hive_partitioning = false)
        WHERE bucket = $bucket AND parent IS NOT NULL
    ) AS branched ON branched.namespace = held.namespace
    {SPELT_EACH}
    LEFT JOIN ({OWNING}) AS owner ON owner.same = {SAME.format(key="held.key")}
    LEFT JOIN ({LABELLED}) AS label ON label.same = {SAME.format(key="held.key")}
    {{mixed}}
    ORDER BY held.namespace NULLS FIRST
"""  # noqa: S608 - numbers of our own
_BESIDE_MIXED: Final = f"LEFT JOIN ({_MIXED}) AS mixed ON mixed.namespace = held.namespace"
# Where no data is mixed, that is not worked out again: of a small bucket DuckDB plans longer than it reads.
_BESIDE_NONE: Final = "CROSS JOIN (SELECT 0 AS portion) AS mixed"


def _asking(database: duckdb.DuckDBPyConnection) -> Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]:
    return lambda text, values: database.execute(text, dict(values)).fetchall()


def has_mixed(held: Path, of_keys: "OfKeys") -> bool:
    """Whether live data of any namespace is under more than one key, or may be."""
    return any_mixed(held, of_keys.ones, _ROWS_AT_ONCE)


def _has_any(database: duckdb.DuckDBPyConnection, text: str, part: Cut, values: Mapping[str, Any]) -> bool:
    ((found,),) = database.execute(f"SELECT EXISTS ({text.format(span=part.text)})", dict(values)).fetchall()
    return bool(found)


@dataclass(frozen=True, slots=True)
class OfKeys:
    """What is said of keys rather than of namespaces."""

    tenants: Mapping[str, str]
    """Key -> whose it is; nobody's where replicas part."""
    labels: Mapping[str, Labels]
    """Key -> who answers for data under it of which no registry says so; nobody where replicas part."""
    ones: Mapping[str, str] = field(default_factory=dict)
    """Name of a Google key that may have another one -> what is the same for all names of that key alone."""
    called: Mapping[str, str] = field(default_factory=dict)
    """What is the same for all names of a key -> the one by which open findings speak of it."""

    @property
    def values(self) -> dict[str, list[Any]]:
        """As queries take it."""
        owning = {one: only(some) for one, some in _by_key(self.tenants).items()}
        labels = _by_key(self.labels)
        return {
            "owned": list(owning),
            "tenants": list(owning.values()),
            "labelled": list(labels),
            "owners": [only(one.owner for one in some) for some in labels.values()],
            "teams": [only(one.team for one in some) for some in labels.values()],
            **self.spelt,
        }

    @property
    def spelt(self) -> dict[str, list[Any]]:
        """Which names are of one key, as queries take it."""
        return {"names": list(self.ones), "ones": list(self.ones.values())}

    @property
    def spoken(self) -> dict[str, list[Any]]:
        """By which of its names a key is called, as queries take it."""
        return {"spoken_of": list(self.called), "spoken_names": list(self.called.values())}


def _by_key(told: Mapping[str, _T]) -> Mapping[str, Sequence[_T]]:
    """All that is told of each key; of a multi-Region key all replicas are the same one."""
    found: dict[str, list[_T]] = defaultdict(list)
    for key, one in told.items():
        found[EACH_ITS_OWN.one_of_all(KeyName(key))].append(one)
    return found


def only(words: Iterable[str | None]) -> str | None:
    """The one that is told; None where none is, or several are."""
    told = {one for one in words if one is not None}
    return min(told) if len(told) == 1 else None


def place(held: Path, target: Path, bucket: str, entries: Path, of_keys: OfKeys, *, is_known: bool) -> None:
    """Write the dependencies of a bucket anew: whose they are by the registries, and how they part from them.

    What of one namespace is not under one key parts as well, where no registry names the one.

    `is_known`: the registries know all namespaces of the bucket.
    """
    unfinished = target.with_name(f"{UNFINISHED}{os.getpid()}-{target.name}")
    values = of_keys.values
    with Writer(unfinished) as writer:
        # Without any registry nobody names a namespace, and the entries are known to be none before they are read.
        if not (is_known or values["owned"] or values["labelled"] or pq.read_metadata(entries).num_rows):
            for some in beside_itself(held, of_keys.ones, _ROWS_AT_ONCE):
                writer.write(some)
        else:
            asked = {"entries": [very_file(entries)], "bucket": bucket, "is_known": is_known, **values}
            for some in _beside_registries(held, target.parent, asked):
                writer.write(some)
    put(unfinished, target)


def _beside_registries(held: Path, folder: Path, values: Mapping[str, Any]) -> Iterator[pa.Table]:
    rows = [very_file(held)]
    with working(folder) as database:
        parts = tuple(cut(rows, _asking(database), _ROWS_AT_ONCE))
        for one in (OUTSIDE, *parts) if len(parts) > 1 else (EVERYTHING,):
            is_mixed = _has_any(database, _PERHAPS_MIXED, one, {"held": rows, **one.values})
            mixed = _BESIDE_MIXED.format(span=one.text) if is_mixed else _BESIDE_NONE
            asked = {"held": rows, **values, **one.values}
            yield database.sql(_PLACED.format(span=one.text, mixed=mixed), params=asked).to_arrow_table()
