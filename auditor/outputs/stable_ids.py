"""Ids of what has none of its own, for formats that ask for one: the same thing has the same, for ever."""

import json
from typing import Final
from uuid import NAMESPACE_URL, uuid5

SPACE: Final = "https://cmek-auditor.example/exports/v1"
"""What is ours in other people's formats."""
_NAMESPACE: Final = uuid5(NAMESPACE_URL, SPACE)


def uid(*parts: str) -> str:
    """A version 5 UUID of what is named part by part; no part can run into the next."""
    return str(uuid5(_NAMESPACE, json.dumps(parts)))
