"""A setting of the config file that nobody knows -> which one was meant, or which there are."""

import difflib
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

Table = type[BaseModel]


def meant(config: Table, where: tuple[int | str, ...]) -> str:
    """What to write instead of the setting at this place of the file, one line."""
    written = str(where[-1])
    table, header = _table(config, where[:-1])
    names = [name for name, _, _ in _settings(table)]
    spelt = {name.lower(): name for name in names}
    if close := difflib.get_close_matches(written.lower().replace("-", "_"), spelt, n=1):
        return f"did you mean {spelt[close[0]]}?"
    # Whatever stands after a table's header is that table's, also what was meant for the top of the file.
    if homes := [home for home, has in _homes(config) if written in has and home != header]:
        return f"it is a setting of {' and '.join(homes)}"
    return f"{header or 'the file'} has {', '.join(names)}"


def _homes(config: Table) -> Iterator[tuple[str, frozenset[str]]]:
    """Each table with the names of its settings, the top of the file first."""
    yield "the top of the file, before the first table", frozenset(name for name, _, _ in _settings(config))
    for name, inner, many in _settings(config):
        if inner is not None:
            yield _header(name, many=many), frozenset(name for name, _, _ in _settings(inner))


def _table(config: Table, where: tuple[int | str, ...]) -> tuple[Table, str]:
    """The table at this place, and how its header is written; the file itself has none."""
    table, header = config, ""
    for step in where:
        if isinstance(step, int):
            continue
        inner, many = next((inner, many) for name, inner, many in _settings(table) if name == step)
        if inner is None:
            break
        table, header = inner, f"{header}.{step}" if header else _header(step, many=many)
    return table, header


def _header(name: str, *, many: bool) -> str:
    return f"[[{name}]]" if many else f"[{name}]"


def _settings(table: Table) -> Iterator[tuple[str, Table | None, bool]]:
    """Each setting as the file writes it: the table that it is, if it is one, and whether it is a list of them."""
    for name, field in table.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
        yield field.alias or name, inner, inner is not None and inner is not field.annotation
