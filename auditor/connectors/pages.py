"""How many requests a listing takes."""

from typing import Final

_ENTRIES: Final = 1_000
"""Entries of a page, at most, in either cloud. Source: ListObjectVersions, ListObjectsV2 and objects.list."""


def pages(entries: int) -> int:
    """The pages of so many entries; an empty listing has one as well."""
    return max(1, -(-entries // _ENTRIES))
