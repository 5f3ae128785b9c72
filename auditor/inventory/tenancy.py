"""The questions that are asked of dependencies about the data of one tenant alone."""

from typing import Final

from auditor.registered import Portion

_CERTAIN: Final = f"namespace IS NOT NULL AND portions & {Portion.DISPUTED.bit} = 0"
"""Of which entries of registries say different things may be another tenant's."""
ROWS: Final = f"""
SELECT bucket, namespace, tenant, population, encryption, key, key_version, objects, bytes, archived,
       epoch_us(oldest), epoch_us(newest), NULL, NULL, NULL, NULL
FROM dependency WHERE tenant = $tenant AND {_CERTAIN} AND {{part}}
ORDER BY bucket, namespace, population, encryption, key NULLS FIRST, key_version NULLS FIRST
"""  # noqa: S608 - a number of our own
FOREIGN: Final = f"""
SELECT DISTINCT key FROM dependency
WHERE key IS NOT NULL AND namespace IS NOT NULL AND NOT coalesce(tenant = $tenant AND {_CERTAIN}, false)
"""  # noqa: S608 - as above
UNCLEAR: Final = f"""
SELECT count(*) FROM (
    SELECT DISTINCT bucket, namespace FROM dependency
    WHERE namespace IS NOT NULL AND (tenant IS NULL OR NOT ({_CERTAIN})) AND {{part}}
)
"""  # noqa: S608 - as above
