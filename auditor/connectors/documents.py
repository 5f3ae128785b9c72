"""JSON documents that others wrote."""

import json
from typing import Any


def parse_once(text: str | bytes) -> Any:
    """Read a document in which every object names each field once: of two nobody knows which one is meant.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep.
    """
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("something is told twice")
    return found
