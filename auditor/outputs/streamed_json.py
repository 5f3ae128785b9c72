"""JSON whose long lists are written as they are made, so that memory stays flat."""

import json
from collections.abc import Iterator
from typing import Any, TextIO


def write(told: Any, out: TextIO) -> None:
    """Write one document; an iterator in it becomes an array, one item a line."""
    out.writelines(_pieces(told))
    out.write("\n")


def _pieces(told: Any) -> Iterator[str]:
    if isinstance(told, dict):
        yield "{"
        for place, (name, one) in enumerate(told.items()):
            yield f"{', ' if place else ''}{json.dumps(name)}: "
            yield from _pieces(one)
        yield "}"
    elif isinstance(told, list):
        yield "["
        for place, one in enumerate(told):
            yield ", " if place else ""
            yield from _pieces(one)
        yield "]"
    elif isinstance(told, Iterator):
        yield "["
        for place, one in enumerate(told):
            yield f"{',' if place else ''}\n{json.dumps(one)}"
        yield "]"
    else:
        yield json.dumps(told)
