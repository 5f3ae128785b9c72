"""A bucket's layout: what an object name begins with, and which part of it is the namespace."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from auditor.errors import UsageError

_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_HINT = "write a layout such as {org}/{namespace}/"


@dataclass(frozen=True, slots=True)
class Layout:
    """A compiled layout; `read` is called once for every object."""

    text: str
    fields: tuple[str, ...]
    _pattern: re.Pattern[str]
    _tenant: int | None

    @classmethod
    def parse(cls, text: str, tenant_field: str | None = None) -> Self:
        """Compile a layout such as `{org}/{namespace}/`.

        Raises:
            UsageError: no object name could be read by it, or it could be read in two ways.
        """
        fields: list[str] = []
        pattern = ""
        pending: str | None = None
        for found in _PART.finditer(text):
            field, literal, _brace = found.groups()
            if field is not None:
                if pending is not None:
                    raise UsageError(f"layout {text!r} has nothing between {{{pending}}} and {{{field}}}", _HINT)
                if not _FIELD.fullmatch(field):
                    raise UsageError(f"layout {text!r} has a field named {field!r}", "use lower-case letters and _")
                if field in fields:
                    raise UsageError(f"layout {text!r} has the field {{{field}}} twice", _HINT)
                fields.append(field)
                pending = field
            elif literal is not None:
                if not literal.isprintable():
                    raise UsageError(f"layout {text!r} holds a control character", _HINT)
                # Atomic: a field ends at the first place where the literal stands, never at a later one.
                pattern += f"(?>([^/]+?){re.escape(literal)})" if pending is not None else re.escape(literal)
                pending = None
            else:
                raise UsageError(f"layout {text!r} has a brace without its other half", _HINT)
        if not fields:
            raise UsageError(f"layout {text!r} has no field", _HINT)
        if pending is not None:
            raise UsageError(f"layout {text!r} ends in a field, so where the namespace ends is not told", _HINT)
        return cls(text, tuple(fields), re.compile(pattern), _tenant_index(text, fields, tenant_field))

    def __str__(self) -> str:
        return self.text if self._tenant is None else f"{self.text} with tenant {{{self.fields[self._tenant]}}}"

    @property
    def tenant_place(self) -> int | None:
        """Which of its fields is the tenant; None where none is."""
        return self._tenant

    def read(self, name: str) -> tuple[str | None, str | None]:
        """Cut (namespace, tenant) out of an object's name; (None, None) when the name is outside the layout."""
        return self._space(self._pattern.match(name))

    def _space(self, hit: re.Match[str] | None) -> tuple[str | None, str | None]:
        if hit is None:
            return None, None
        values = hit.groups()
        return "/".join(values), None if self._tenant is None else values[self._tenant]

    def read_all(self, names: Sequence[str]) -> tuple["pa.Array[Any]", "pa.Array[Any]"]:
        """Read many names into two columns, namespaces and tenants; a run of names of one namespace is read once."""
        ends: list[int] = []
        found: list[tuple[str | None, str | None]] = []
        at, count = 0, len(names)
        while at < count:
            hit = self._pattern.match(names[at])
            found.append(self._space(hit))
            at += 1
            if hit:
                # A field ends at the first place where its literal stands, so whatever begins alike is read alike.
                start = hit[0]
                while at < count and names[at].startswith(start):
                    at += 1
            ends.append(at)
        lengths = pa.array(ends, pa.int32())
        return _stretched(lengths, [one[0] for one in found]), _stretched(lengths, [one[1] for one in found])


def _tenant_index(text: str, fields: list[str], asked: str | None) -> int | None:
    if asked is not None:
        if asked not in fields:
            raise UsageError(
                f"layout {text!r} has no field {{{asked}}} to name the tenant", f"fields: {', '.join(fields)}"
            )
        return fields.index(asked)
    return next((fields.index(name) for name in ("tenant", "org") if name in fields), None)


def _stretched(ends: pa.Int32Array, values: list[str | None]) -> "pa.Array[Any]":  # quoted: takes no parameters
    """Each value as often as its run is long."""
    runs: pa.Array[Any] = pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, pa.string()))
    stretched: pa.Array[Any] = pc.call_function("run_end_decode", [runs])
    return stretched
