"""Single namespaces, found by name: what is asked for stands together in the files, so that little of them is read."""

from typing import Final

NAMED: Final = """
, space AS (
    SELECT namespace, bucket, rank, min(tenant) AS tenant, total(objects) AS held, total(bytes) AS bytes,
           min(owner) AS owner, min(team) AS team
    FROM chosen WHERE {part} AND ($bucket::VARCHAR IS NULL OR bucket = $bucket)
    GROUP BY namespace, bucket, rank
)
SELECT bucket, namespace, min(tenant), total(held), total(bytes), max(rank), min(owner), min(team) FROM space
GROUP BY namespace, bucket ORDER BY namespace, bucket LIMIT $most OFFSET $skip
"""
"""Behind `_CHOSEN`: namespaces in the order of their names, each with the worst of its data."""
COUNT: Final = """
SELECT count(*) FROM (
    SELECT DISTINCT namespace, bucket FROM dependency WHERE {part} AND ($bucket::VARCHAR IS NULL OR bucket = $bucket)
)
"""
HELD: Final = """
SELECT DISTINCT bucket, encryption, key, key_version, portions FROM dependency WHERE tenant = $tenant
"""


def upper_bound(prefix: str) -> str | None:
    """The first text behind all that begin so, by code points; None where there is none."""
    for end in range(len(prefix), 0, -1):
        last = ord(prefix[end - 1])
        if last < 0x10FFFF:  # noqa: PLR2004 - the last code point
            # Surrogates are no characters.
            return prefix[: end - 1] + chr(0xE000 if last == 0xD7FF else last + 1)  # noqa: PLR2004 - the last before them
    return None
