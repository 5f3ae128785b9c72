"""The part of Cloud Logging's query language that audit entries are looked for by.

Written apart from what the auditor asks, after the language's reference, so that one mistake cannot make both agree.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

_TOKEN: Final = re.compile(r'\s*(?:(AND|OR|NOT)\b|([()])|(<=|>=|!=|=~|!~|=|:|<|>)|"((?:[^"\\]|\\.)*)"|([\w.]+))')
Test = Callable[[Mapping[str, Any]], bool]


class FilterError(ValueError):
    """Text that is no filter, or of a kind that this cloud does not know."""


def compiled(text: str) -> Test:
    """What tells whether an entry fits.

    Raises:
        FilterError: it is none.
    """
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        hit = _TOKEN.match(text, at)
        if hit is None:
            raise FilterError(f"unexpected text at {at}")
        kinds = ("word", "bracket", "operator", "text", "name")
        tokens.append(next((kind, told) for kind, told in zip(kinds, hit.groups(), strict=True) if told is not None))
        at = hit.end()
    if not tokens:
        return lambda _entry: True
    reader = _Reader(tokens)
    found = reader.any_of()
    if reader.left:
        raise FilterError(f"unexpected {reader.left[0][1]}")
    return found


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.left = tokens

    def any_of(self) -> Test:
        parts = [self._all_of()]
        while self._takes("word", "OR"):
            parts.append(self._all_of())
        return lambda entry: any(one(entry) for one in parts)

    def _all_of(self) -> Test:
        parts = [self._one()]
        # Two terms beside each other mean both.
        while self._takes("word", "AND") or (self.left and self.left[0] not in {("word", "OR"), ("bracket", ")")}):
            parts.append(self._one())
        return lambda entry: all(one(entry) for one in parts)

    def _one(self) -> Test:
        if self._takes("word", "NOT"):
            inner = self._one()
            return lambda entry: not inner(entry)
        if self._takes("bracket", "("):
            found = self.any_of()
            self._need("bracket", ")")
            return found
        name = self._need("name")
        if name == "log_id":
            self._need("bracket", "(")
            wanted = self._need("text")
            self._need("bracket", ")")
            return lambda entry: unquote(str(entry.get("logName", "")).rpartition("/logs/")[2]) == wanted
        operator = self._need("operator")
        values = self._values()
        return lambda entry: any(_holds(_field(entry, name), operator, one) for one in values)

    def _values(self) -> list[str]:
        if not self._takes("bracket", "("):
            return [self._need("text")]
        found = [self._need("text")]
        while self._takes("word", "OR"):
            found.append(self._need("text"))
        self._need("bracket", ")")
        return found

    def _takes(self, kind: str, told: str) -> bool:
        if self.left and self.left[0] == (kind, told):
            self.left = self.left[1:]
            return True
        return False

    def _need(self, kind: str, told: str | None = None) -> str:
        if not self.left or self.left[0][0] != kind or told not in {None, self.left[0][1]}:
            raise FilterError(f"{kind} is missing")
        found = self.left[0][1]
        self.left = self.left[1:]
        return re.sub(r"\\(.)", r"\1", found) if kind == "text" else found


def _field(entry: Mapping[str, Any], path: str) -> Any:
    found: Any = entry
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _holds(told: Any, operator: str, wanted: str) -> bool:
    if told is None:
        return operator in {"!=", "!~"}
    text = str(told)
    if operator in {"<", "<=", ">", ">="}:
        ours, theirs = datetime.fromisoformat(text), datetime.fromisoformat(wanted)
        return {"<": ours < theirs, "<=": ours <= theirs, ">": ours > theirs, ">=": ours >= theirs}[operator]
    match operator:
        case "=":
            return text.casefold() == wanted.casefold()
        case "!=":
            return text.casefold() != wanted.casefold()
        case "=~":
            return re.search(wanted, text) is not None
        case "!~":
            return re.search(wanted, text) is None
        case _:
            return wanted.casefold() in text.casefold()
