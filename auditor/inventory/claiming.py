"""What registries say of namespaces, as dependencies of which nobody saw an object."""

import os
from pathlib import Path
from typing import Final

import duckdb

from auditor.inventory.files import UNFINISHED, put, very_file
from auditor.inventory.placing import OfKeys
from auditor.inventory.sql import quoted, settle

# Of a namespace whose entries name several keys each may hold some of it. Whose the key is, and who answers for it,
# counts where nobody says so of the namespace, and not where entries part.
_CLAIMED: Final = """
COPY (
    SELECT entry.bucket, entry.namespace, coalesce(entry.tenant, if(entry.contradicted, NULL, owner.tenant)) AS tenant,
        NULL::VARCHAR AS population, 'cmek' AS encryption, entry.key, NULL::VARCHAR AS key_version,
        NULL::BIGINT AS objects, entry.size AS bytes, NULL::BIGINT AS archived,
        NULL::TIMESTAMPTZ AS oldest, NULL::TIMESTAMPTZ AS newest,
        NULL::VARCHAR AS first_name, NULL::VARCHAR AS last_name,
        coalesce(entry.owner, if(entry.parted, NULL, label.owner)) AS owner,
        coalesce(entry.team, if(entry.parted, NULL, label.team)) AS team
    FROM (
        SELECT bucket, namespace, tenant, owner, team, size, contradicted, parted, unnest(keys) AS key
        FROM read_parquet($entries, hive_partitioning = false)
    ) AS entry
    LEFT JOIN (
        SELECT unnest($keys::VARCHAR[]) AS key, unnest($tenants::VARCHAR[]) AS tenant
    ) AS owner ON owner.key = entry.key
    LEFT JOIN (
        SELECT unnest($labelled::VARCHAR[]) AS key, unnest($owners::VARCHAR[]) AS owner,
            unnest($teams::VARCHAR[]) AS team
    ) AS label ON label.key = entry.key
    ORDER BY entry.namespace, entry.bucket, entry.key
) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def claim(entries: Path, target: Path, of_keys: OfKeys) -> None:
    """Write the dependencies."""
    unfinished = target.with_name(f"{UNFINISHED}{os.getpid()}-{target.name}")
    values = {
        "entries": [very_file(entries)],
        "keys": list(of_keys.tenants),
        "tenants": list(of_keys.tenants.values()),
        "labelled": list(of_keys.labels),
        "owners": [one.owner for one in of_keys.labels.values()],
        "teams": [one.team for one in of_keys.labels.values()],
    }
    with duckdb.connect() as database:
        settle(database, target.parent)
        database.execute(_CLAIMED.format(target=quoted(unfinished)), values)
    put(unfinished, target)
