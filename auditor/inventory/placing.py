"""The dependencies of one sweep beside what registries say of their namespaces."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import duckdb

from auditor.inventory.files import UNFINISHED, put, very_file
from auditor.inventory.sql import quoted, settle
from auditor.registered import Portion

# Of a multi-Region key all replicas are the same key; a Google project may be named by its id or its number, and
# whether both are the same nobody says: that is no proof of a wrong key.
_SAME_KEY: Final = """
(entry.key = held.key
 OR (starts_with(split_part(held.key, '/', 2), 'mrk-') AND held.key LIKE 'arn:%'
     AND split_part(entry.key, '/', 2) = split_part(held.key, '/', 2)
     AND split_part(entry.key, ':', 5) = split_part(held.key, ':', 5)
     AND split_part(entry.key, ':', 2) = split_part(held.key, ':', 2))
 OR (starts_with(held.key, 'projects/') AND starts_with(entry.key, 'projects/')
     AND split_part(entry.key, '/', 4) = split_part(held.key, '/', 4)
     AND split_part(entry.key, '/', 6) = split_part(held.key, '/', 6)
     AND split_part(entry.key, '/', 8) = split_part(held.key, '/', 8)
     AND regexp_full_match(split_part(entry.key, '/', 2), '[0-9]+')
         <> regexp_full_match(split_part(held.key, '/', 2), '[0-9]+')))
"""
_PLACED: Final = f"""
COPY (
    SELECT held.* REPLACE (coalesce(entry.tenant, held.tenant) AS tenant),
        CASE WHEN held.namespace IS NULL OR held.encryption = 'unknown' THEN 0 ELSE
            if(entry.key IS NOT NULL AND held.encryption = 'cmek' AND NOT {_SAME_KEY}, {Portion.WRONG_KEY.bit}, 0)
            | if(entry.key IS NOT NULL AND held.encryption <> 'cmek', {Portion.NOT_CUSTOMER_MANAGED.bit}, 0)
            | if(owner.tenant <> coalesce(entry.tenant, held.tenant), {Portion.FOREIGN_TENANT.bit}, 0)
        END
        | if($is_known AND held.namespace IS NOT NULL AND entry.namespace IS NULL, {Portion.UNREGISTERED.bit}, 0)
        | if($is_known AND entry.namespace IS NULL AND branched.namespace IS NOT NULL, {Portion.BRANCHED.bit}, 0)
        AS portions
    FROM read_parquet($held, hive_partitioning = false) AS held
    LEFT JOIN (
        SELECT * FROM read_parquet($entries, hive_partitioning = false) WHERE bucket = $bucket
    ) AS entry ON entry.namespace = held.namespace
    LEFT JOIN (
        SELECT DISTINCT parent AS namespace FROM read_parquet($entries, hive_partitioning = false)
        WHERE bucket = $bucket AND parent IS NOT NULL
    ) AS branched ON branched.namespace = held.namespace
    LEFT JOIN (
        SELECT unnest($keys::VARCHAR[]) AS key, unnest($tenants::VARCHAR[]) AS tenant
    ) AS owner ON owner.key = held.key
    ORDER BY held.namespace
) TO '{{target}}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)
"""  # noqa: S608 - numbers of our own


def place(held: Path, target: Path, bucket: str, entries: Path, tenants: Mapping[str, str], *, is_known: bool) -> None:
    """Write the dependencies of a bucket anew: whose they are by the registries, and how they part from them.

    `tenants`: key -> whose it is. `is_known`: the registries know all namespaces of the bucket.
    """
    unfinished = target.with_name(f"{UNFINISHED}{os.getpid()}-{target.name}")
    with duckdb.connect() as database:
        settle(database, target.parent)
        values = {
            "held": [very_file(held)],
            "entries": [very_file(entries)],
            "bucket": bucket,
            "keys": list(tenants),
            "tenants": list(tenants.values()),
            "is_known": is_known,
        }
        database.execute(_PLACED.format(target=quoted(unfinished)), values)
    put(unfinished, target)
