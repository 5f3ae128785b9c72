"""Of what media type a file of a report is."""

from typing import Final

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
}


def media_type_of(name: str) -> str:
    """The media type of a file, by the end of its name."""
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
