"""A bucket's layout as SQL: which expression tells the namespace of a name."""

import re
from typing import Final

from auditor.errors import UsageError
from auditor.inventory.layout import Layout

_PIECES: Final = re.compile(r"\{([^{}]*)\}|([^{}]+)")
_SPECIAL: Final = ".+*?$(){}|"
_UNSAFE: Final = "'\\^[]"
"""What would have to be escaped in a pattern or a text, and engines escape otherwise than each other."""


def namespace_of(layout: Layout, name: str = "name") -> str:
    """Tell the SQL that cuts the namespace out of a column; it gives NULL for names outside the layout.

    Its patterns are of the subset that RE2 and Java read alike: no escapes, no look-around, one group each.

    Raises:
        UsageError: this layout cannot be told so.
    """
    pieces = _pieces(layout)
    # Where only `/` stands between fields the namespace is one stretch of the name, and found at once.
    inner = [literal for literal in pieces[2::2][:-1] if literal != "/"]
    if not inner:
        return _extracted(_pattern(pieces, None), name)
    each = (_extracted(_pattern(pieces, place), name) for place in range(len(layout.fields)))
    return " || '/' || ".join(each)


def tenant_of(layout: Layout, namespace: str = "namespace") -> str:
    """Tell the SQL that cuts the tenant out of a column of namespaces; NULL where the layout names none."""
    place = layout.tenant_place
    return "NULL" if place is None else f"split_part({namespace}, '/', {place + 1})"


def _pieces(layout: Layout) -> list[str]:
    """The literal before the first field, then each field's own literal behind it, with empty texts for the fields.

    Raises:
        UsageError: as above.
    """
    told: list[str] = [""]
    for field, literal in _PIECES.findall(layout.text):
        if field:
            told.append("")
        elif len(told) == 1:
            told[0] = literal
        else:
            told.append(literal)
    if any(char in _UNSAFE for one in told for char in one):
        raise _untold(layout, f"it has one of {' '.join(_UNSAFE)}")
    if any(len(one) > 1 and not one.startswith("/") for one in told[2::2]):
        raise _untold(layout, "a field of it ends in several characters that do not begin with /")
    return [told[0], *told[1:]]


def _untold(layout: Layout, why: str) -> UsageError:
    return UsageError(
        f"layout {layout.text!r} cannot be told in SQL that all engines read alike: {why}",
        "sweep this bucket from here, or let namespaces end in /",
    )


def _pattern(pieces: list[str], chosen: int | None) -> str:
    """The pattern of a whole layout in which one field is a group; None: all of them together."""
    told = f"^{_literal(pieces[0])}"
    literals = pieces[2::2]
    last = len(literals) - 1
    for place, literal in enumerate(literals):
        field = _field(literal)
        begins = place == chosen or (chosen is None and place == 0)
        ends = place == chosen or (chosen is None and place == last)
        told += f"{'(' if begins else ''}{field}{')' if ends else ''}{_literal(literal)}"
    return told


def _field(literal: str) -> str:
    """One character at least, none of them `/`, up to the first place where its literal stands."""
    return "[^/]+" if literal.startswith("/") else f"[^/][^/{literal}]*"


def _literal(text: str) -> str:
    return "".join(f"[{char}]" if char in _SPECIAL else char for char in text)


def _extracted(pattern: str, name: str) -> str:
    # What does not fit is an empty text in some engines, and NULL in others.
    return f"NULLIF(REGEXP_EXTRACT({name}, '{pattern}', 1), '')"
