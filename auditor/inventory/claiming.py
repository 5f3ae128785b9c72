"""What registries and operators' bundles say of namespaces, as dependencies of which this auditor saw no object."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.inventory import totals
from auditor.inventory.files import UNFINISHED, put, very_file
from auditor.inventory.placing import LABELLED, OTHERWISE, OWNING, SAME, SPELT, SPELT_EACH, OfKeys
from auditor.inventory.sql import quoted, working
from auditor.ownership.registered import Portion
from auditor.rows import TIME

_OF_BUNDLES: Final[list["pa.Field[Any]"]] = [  # quoted: the class takes no parameters at run time
    pa.field("swept", TIME),
    pa.field("signer", pa.string()),
    pa.field("source", pa.string()),
]
TOLD: Final = pa.schema([*totals.SCHEMA, *_OF_BUNDLES])
"""What bundles say: dependencies, when the bucket was swept, who has signed that, and which bundle says so."""
# Of what two bundles of one signer tell of one tenant in a bucket, the newer sweep counts. Another signer's word takes
# nothing away: who hides data by it would have only to say that he looked later.
_GATHERED: Final = """
COPY (
    SELECT * EXCLUDE (swept, signer, source) FROM read_parquet($files, hive_partitioning = false)
    QUALIFY rank() OVER (PARTITION BY bucket, tenant, signer ORDER BY swept DESC, source) = 1
    ORDER BY namespace, bucket, population, encryption, key NULLS FIRST, key_version NULLS FIRST
) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""
# Of a namespace whose entries name several keys each may hold some of it. Whose the key is, and who answers for it,
# counts where nobody says so of the namespace, and not where entries part. What a bundle tells of a namespace under a
# key, by whatever name or replica, is claimed no more. What a bundle tells parts from what other registries say as what
# was swept does; but whose the data is only these say in the words in which they say whose a key is. A key of
# several names is one: it is called as open findings call it, whatever names it now; else as a bundle does, or by its
# project's id.
_CLAIMED: Final = f"""
COPY (
    WITH entries AS (
        SELECT * FROM read_parquet($entries, hive_partitioning = false)
    ), told AS (
        SELECT * FROM read_parquet($told, hive_partitioning = false)
    ), {SPELT}, owning AS ({OWNING}), label AS ({LABELLED}), spoken AS (
        SELECT unnest($spoken_of::VARCHAR[]) AS one, unnest($spoken_names::VARCHAR[]) AS name
    ), called AS (
        SELECT one, coalesce(any_value(spoken.name), first(spelt.name ORDER BY
            spelt.name NOT IN (SELECT key FROM told WHERE key IS NOT NULL),
            regexp_full_match(split_part(spelt.name, '/', 2), '[0-9]+'), spelt.name
        )) AS name
        FROM spelt LEFT JOIN spoken USING (one)
        WHERE spelt.name IN (SELECT unnest(keys) FROM entries UNION ALL SELECT key FROM told)
        GROUP BY one
    ), claim AS (
        SELECT DISTINCT entry.bucket, entry.namespace,
            coalesce(entry.tenant, if(entry.contradicted, NULL, owning.tenant)) AS tenant,
            NULL::VARCHAR AS population, 'cmek' AS encryption, coalesce(called.name, entry.key) AS key,
            NULL::VARCHAR AS key_version,
            NULL::BIGINT AS objects, entry.size AS bytes, NULL::BIGINT AS archived,
            NULL::TIMESTAMPTZ AS oldest, NULL::TIMESTAMPTZ AS newest,
            NULL::VARCHAR AS first_name, NULL::VARCHAR AS last_name,
            coalesce(entry.owner, if(entry.parted, NULL, label.owner)) AS owner,
            coalesce(entry.team, if(entry.parted, NULL, label.team)) AS team,
            if(entry.contradicted, {Portion.DISPUTED.bit}, 0)::BIGINT AS portions
        FROM (
            SELECT bucket, namespace, tenant, owner, team, size, contradicted, parted, unnest(keys) AS key FROM entries
        ) AS entry
        LEFT JOIN owning ON owning.same = {SAME.format(key="entry.key")}
        LEFT JOIN label ON label.same = {SAME.format(key="entry.key")}
        LEFT JOIN spelt AS its ON its.name = entry.key
        LEFT JOIN called ON called.one = its.one
        WHERE NOT EXISTS (
            SELECT 1 FROM told LEFT JOIN spelt AS mine ON mine.name = told.key
            WHERE told.bucket = entry.bucket AND told.namespace = entry.namespace
                AND coalesce(mine.one, {SAME.format(key="told.key")})
                    = coalesce(its.one, {SAME.format(key="entry.key")})
        )
    ), seen AS (
        SELECT held.* REPLACE (
                coalesce(entry.tenant, held.tenant) AS tenant, coalesce(called.name, held.key) AS key
            ),
            coalesce(entry.owner, if(entry.parted, NULL, label.owner)) AS owner,
            coalesce(entry.team, if(entry.parted, NULL, label.team)) AS team,
            (CASE WHEN held.encryption = 'cmek' THEN {OTHERWISE}
                | if(owning.tenant <> entry.tenant, {Portion.FOREIGN_TENANT.bit}, 0)
            WHEN held.encryption <> 'unknown' AND entry.key IS NOT NULL THEN {Portion.NOT_CUSTOMER_MANAGED.bit}
            ELSE 0 END | if(entry.contradicted, {Portion.DISPUTED.bit}, 0))::BIGINT AS portions
        FROM told AS held
        LEFT JOIN entries AS entry ON entry.bucket = held.bucket AND entry.namespace = held.namespace
        LEFT JOIN label ON label.same = {SAME.format(key="held.key")}
        {SPELT_EACH}
        LEFT JOIN called ON called.one = mine.one
        LEFT JOIN owning ON owning.same = {SAME.format(key="held.key")}
    )
    SELECT * FROM (SELECT * FROM claim UNION ALL BY NAME SELECT * FROM seen)
    ORDER BY namespace, bucket, key, key_version NULLS FIRST, population NULLS FIRST
) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd)
"""  # noqa: S608 - words and numbers of our own


def gather(database: duckdb.DuckDBPyConnection, bundles: Collection[Path], target: Path) -> None:
    """Put together what bundles say."""
    unfinished = target.with_name(f"{UNFINISHED}{os.getpid()}-{target.name}")
    if bundles:
        files = {"files": [very_file(one) for one in bundles]}
        database.execute(_GATHERED.format(target=quoted(unfinished)), files)
    else:
        pq.write_table(totals.SCHEMA.empty_table(), unfinished)
    put(unfinished, target)


def claim(entries: Path, told: Path, target: Path, of_keys: OfKeys) -> None:
    """Write the dependencies."""
    unfinished = target.with_name(f"{UNFINISHED}{os.getpid()}-{target.name}")
    values = {"entries": [very_file(entries)], "told": [very_file(told)], **of_keys.values, **of_keys.spoken}
    with working(target.parent) as database:
        database.execute(_CLAIMED.format(target=quoted(unfinished)), values)
    put(unfinished, target)
