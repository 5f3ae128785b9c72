"""What a request asks for: which page of a list, and which of its items. What nobody knows is refused."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request

from auditor.findings import Severity, Status

MOST: Final = 1000
USUAL: Final = 100
LONGEST: Final = 5000
"""Characters of a name that is asked for: an object's whole name has fewer."""
_LIMIT: Final = re.compile(r"[0-9]{1,4}")
PAGING: Final = ("limit", "cursor")


@dataclass(frozen=True, slots=True)
class Place:
    """One page of a list."""

    start: int
    limit: int

    @property
    def cursor(self) -> str:
        """How it is asked for."""
        return base64.urlsafe_b64encode(str(self.start).encode()).decode()

    @property
    def following(self) -> str:
        """The cursor of the page after it."""
        return Place(self.start + self.limit, self.limit).cursor


@dataclass(frozen=True, slots=True)
class Here:
    """Where a page of a list stands; an address is empty where there is no such page."""

    told: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which findings are asked for: all that is given must fit; None fits all."""

    rule: str | None = None
    severity: Severity | None = None
    status: Status | None = None
    tenant: str | None = None
    key: str | None = None
    """Full name of a key, or of a version of it; as it was asked, until somebody looked which one is meant."""
    bucket: str | None = None
    text: str | None = None


FILTERS: Final = tuple(Filters.__dataclass_fields__)
NAMING: Final = ("name", "prefix", "bucket")
"""How namespaces are found."""
SPACE: Final = ("bucket", "name")
"""What names one namespace."""


def parameters(
    request: Request, known: Iterable[str], *, needed: Iterable[str] = (), blank: bool = False
) -> dict[str, str]:
    """The parameters of a request, each once. `blank`: a field of a form that was left empty asks for nothing.

    Raises:
        HTTPException: one is not known, given twice, longer than any name, or lacking though `needed`.
    """
    known = tuple(known)
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise HTTPException(400, f"there is no parameter {name!r}; {_named(known)}")
        if name in found:
            raise HTTPException(400, f"{name} is given twice")
        if len(value) > LONGEST:
            raise HTTPException(400, f"{name} is longer than {LONGEST} characters")
        found[name] = value
    if blank:
        found = {name: value for name, value in found.items() if value}
    for name, value in found.items():
        if not value:
            raise HTTPException(400, f"{name} is empty")
    for name in needed:
        if name not in found:
            raise HTTPException(400, f"{name} is missing")
    return found


def place(asked: dict[str, str], usual: int = USUAL) -> Place:
    """Which page is asked for.

    Raises:
        HTTPException: limit or cursor is none.
    """
    limit = asked.get("limit", str(usual))
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= MOST):
        raise HTTPException(400, f"limit is a number from 1 to {MOST}")
    cursor = asked.get("cursor")
    if cursor is None:
        return Place(0, int(limit))
    try:
        start = int(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except ValueError:
        raise HTTPException(400, "cursor is not one that a page before gave") from None
    if not 0 <= start < 2**53:
        raise HTTPException(400, "cursor is not one that a page before gave")
    return Place(start, int(limit))


def shown(request: Request, place: Place, count: int, *, total: int | None, more: bool) -> Here:
    """Where a page of a list stands, with the addresses of those beside it."""
    path, asked = request.url.path, [one for one in request.query_params.multi_items() if one[0] != "cursor" and one[1]]

    def address(start: int) -> str:
        cursor = Place(start, place.limit).cursor
        return f"{path}?{urlencode([*asked, *([('cursor', cursor)] if start else [])])}"

    of = f" of {total:,}" if total is not None else ""
    return Here(
        told=f"{place.start + 1:,} to {place.start + count:,}{of}" if count else f"none behind {place.start:,}{of}",
        before=address(max(0, place.start - place.limit)) if place.start else "",
        after=address(place.start + place.limit) if more else "",
    )


def paging(request: Request, usual: int = USUAL) -> Place:
    """Which page of a list without filters is asked for."""
    return place(parameters(request, PAGING), usual)


def of_findings(request: Request, *, blank: bool = False, usual: int = USUAL) -> tuple[Place, Filters]:
    """Which page of which findings is asked for."""
    asked = parameters(request, (*PAGING, *FILTERS), blank=blank)
    words = {name: value for name, value in asked.items() if name in FILTERS}
    severity, status = words.pop("severity", None), words.pop("status", None)
    if severity is not None and severity not in set(Severity):
        raise HTTPException(400, f"severity is one of {', '.join(Severity)}")
    if status is not None and status not in set(Status):
        raise HTTPException(400, f"status is one of {', '.join(Status)}")
    filters = Filters(
        severity=Severity(severity) if severity else None, status=Status(status) if status else None, **words
    )
    return place(asked, usual), filters


def _named(known: tuple[str, ...]) -> str:
    if not known:
        return "none is"
    *some, last = known
    return f"{', '.join(some)} and {last} are"
