"""What turbopuffer answers, as values: a page of its list, and what metadata says of a namespace's key.

Source: turbopuffer docs, List namespaces and Namespace metadata; types and changelog of its Python client 3.1.0, which
tell both ways in which `encryption` is written.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from auditor.connectors.documents import parse_once
from auditor.connectors.named_keys import why_no_key
from auditor.ports import Described

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")  # turbopuffer docs, Limits: names of namespaces
_MOST: Final = 2**63 - 1
"""Bytes that are still counted."""
_NO_STEP: Final = frozenset({".", ".."})
"""In a path they would lead elsewhere."""
UNKNOWN_SHAPE: Final = "what it says of its encryption is in no form that is known"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of namespaces."""

    names: tuple[str, ...]
    odd: int
    """Entries whose id no namespace can have."""
    cursor: str | None
    """Where the next page begins; None: this is the last."""


def parse_page(body: bytes) -> Page:
    """Read a page.

    Raises:
        ValueError: it is none, or an entry has no id.
        RecursionError: it is too deep.
    """
    told = parse_once(body)
    entries = told.get("namespaces") if isinstance(told, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ValueError("it has no list of namespaces")
    ids = [one.get("id") for one in entries]
    if not all(isinstance(one, str) for one in ids):
        raise ValueError("an entry has no id")
    cursor = told.get("next_cursor")
    if not (cursor is None or isinstance(cursor, str)):
        raise ValueError("where the next page begins is no text")
    names = tuple(one for one in ids if _is_name(one))
    return Page(names, len(ids) - len(names), cursor or None)


def parse_metadata(name: str, body: bytes) -> Described:
    """Read what is said of one namespace; what is said of its key in no known form is told as that, and never as none.

    Raises:
        ValueError: it is no metadata.
        RecursionError: it is too deep.
    """
    told = parse_once(body)
    if not isinstance(told, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - of an answer, not of an argument
    key, why = _key_of(told.get("encryption"))
    branching = told.get("branching")
    parent = branching.get("parent") if isinstance(branching, dict) else None
    return Described(name, key, parent if _is_name(parent) else None, why, _size_of(told.get("approx_logical_bytes")))


def _key_of(told: Any) -> tuple[str | None, str | None]:
    """The key that data is to be under, or why that cannot be said; neither: under none of a customer's."""
    match _form(told):
        case str(key):
            why = why_no_key(key)
            return (None, why[0]) if why is not None else (key, None)
        case True:
            return None, None
        case _:
            return None, UNKNOWN_SHAPE


def _form(told: Any) -> str | bool:
    """The name of the key; True: none of a customer's; False: nobody knows what is meant."""
    if not isinstance(told, dict):
        return False
    # What is null is as good as not there; of two ways at once nobody knows which one counts.
    given = {field: value for field, value in told.items() if value is not None}
    ways = given.keys() & {"mode", "sse", "cmek"}
    match given:
        case {"mode": "customer-managed", "key_name": str(key)} if ways == {"mode"}:
            return key
        case {"mode": "default"} if ways == {"mode"} and "key_name" not in given:
            return True
        case {"cmek": {"key_name": str(key)}} if ways == {"cmek"}:
            return key
        case {"sse": True} if ways == {"sse"} and "key_name" not in given:
            return True
        case _:
            return False


def _size_of(told: object) -> int | None:
    """A number of bytes; what is none says nothing."""
    is_number = isinstance(told, int) and not isinstance(told, bool)
    return told if is_number and isinstance(told, int) and 0 <= told <= _MOST else None


def _is_name(told: object) -> bool:
    return isinstance(told, str) and _NAME.fullmatch(told) is not None and told not in _NO_STEP
