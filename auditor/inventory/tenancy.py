"""The questions that are asked of dependencies about the data of one tenant alone."""

from collections.abc import Mapping
from typing import Final

from auditor.ownership.registered import Doubt, Portion


def certain(doubted: str, unsound: str) -> str:
    """Of which entries of registries say different things, or may, may be another tenant's."""
    return f"""
namespace IS NOT NULL AND portions & {Portion.DISPUTED.bit} = 0 AND NOT list_contains({doubted}, bucket)
AND NOT (portions & {Portion.UNREGISTERED.bit} <> 0 AND list_contains({unsound}, bucket))
"""


_CERTAIN: Final = certain("$doubted::VARCHAR[]", "$unsound::VARCHAR[]")
ROWS: Final = f"""
SELECT bucket, namespace, tenant, population, encryption, key, key_version, objects, bytes, archived,
       epoch_us(oldest), epoch_us(newest), NULL, NULL, NULL, NULL
FROM dependency WHERE tenant = $tenant AND {_CERTAIN} AND {{part}}
ORDER BY bucket, namespace, population, encryption, key NULLS FIRST, key_version NULLS FIRST
"""  # noqa: S608 - a number of our own
FOREIGN: Final = f"""
SELECT DISTINCT key FROM dependency
WHERE key IS NOT NULL AND NOT coalesce(tenant = $tenant AND {_CERTAIN}, false)
"""  # noqa: S608 - as above; what is in no namespace is anybody's
NAMED: Final = f"""
SELECT tenant, count(*) OVER () FROM (SELECT DISTINCT tenant FROM dependency WHERE tenant IS NOT NULL AND {_CERTAIN})
ORDER BY jaro_winkler_similarity(lower(tenant), lower($tenant)) DESC, tenant LIMIT $most
"""  # noqa: S608 - as above
UNCLEAR: Final = f"""
SELECT count(*) FROM (
    SELECT DISTINCT bucket, namespace FROM dependency
    WHERE namespace IS NOT NULL AND (tenant IS NULL OR NOT ({_CERTAIN})) AND {{part}}
)
"""  # noqa: S608 - as above


def doubted(doubt: Doubt) -> Mapping[str, list[str]]:
    """What stands for the buckets in question."""
    return {"doubted": list(doubt.buckets), "unsound": list(doubt.unregistered)}
