"""How a name is written on a page of S3's, and behind which name the next page begins.

Source: Amazon S3 API Reference, ListObjectVersions, `encoding-type`: names, and the place where a page goes on, are
encoded. Ceph's gateway encodes the names; some of its releases encode the place where a page goes on, and none that
where it began.
"""

from collections.abc import Collection
from urllib.parse import unquote_plus


def decoded(name: str) -> str:
    """Read a name that is encoded.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    return unquote_plus(name, errors="strict") if "%" in name or "+" in name else name


def readings(name: str, *, encoded: bool) -> set[str]:
    """What a name may mean on a page, encoded as the page says or not as some do."""
    if not encoded:
        return {name}
    try:
        return {name, decoded(name)}
    except UnicodeDecodeError:
        return {name}


def is_garbled(*names: str) -> bool:
    """Whether one of them, not encoded, may be another: XML makes a line break of a carriage return."""
    return any("\n" in one for one in names)


def behind(name: str, ends: Collection[str], *, encoded: bool) -> str:
    """The name behind which the next page begins, of a page that names one and ends with some entries.

    Raises:
        UnicodeDecodeError: the page has no entry, and the name is no text.
    """
    if not ends:
        return decoded(name) if encoded else name
    # Whatever it names instead: behind the last entry nothing is skipped.
    return max(readings(name, encoded=encoded).intersection(ends), default=max(ends))
