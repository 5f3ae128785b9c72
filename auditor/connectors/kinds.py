"""What kind of content a file of a report is of."""

from typing import Final

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
}


def kind_of(name: str) -> str:
    """The media type of a file, by the end of its name."""
    return _KINDS.get(name.rpartition(".")[2], "application/octet-stream")
