"""The pages beside the report: findings, keys and namespaces, one by one; forms and links, no script."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from auditor.errors import AuditorError
from auditor.findings import Finding, Judgement, Severity, Status, member_of
from auditor.model import split_version
from auditor.outputs import browse, html, words
from auditor.outputs.page import finding_view
from auditor.web.asking import (
    FILTERS,
    NAMING,
    PAGING,
    SPACE,
    Filters,
    Place,
    of_findings,
    paging,
    parameters,
    place,
    shown,
)
from auditor.web.choosing import (
    chosen,
    has_in_name,
    named,
    names_of,
    one_named,
    see_that_bucket_is_known,
    see_that_it_is_known,
    see_that_there_is,
)
from auditor.web.readings import Readings

STYLE: Final = "/style.css"
POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_USUAL: Final = 50
_BESIDE: Final = 25
"""Namespaces that are shown beside something else."""

_Item = TypeVar("_Item")


class Pages:
    """One method a page; they are plain functions, so that Starlette runs them beside its loop."""

    def __init__(self, readings: Readings) -> None:
        self._read = readings

    def style(self, _request: Request) -> Response:
        """The stylesheet of all pages."""
        return Response(html.stylesheet(), media_type="text/css")

    def findings(self, request: Request) -> Response:
        """Findings, worst first."""
        where, filters = of_findings(request, blank=True, usual=_USUAL)
        judgement = self._needed()
        filters = see_that_it_is_known(judgement, self._read.memory, lambda: self._read.rows(judgement), filters)
        names = names_of(filters.key, judgement, self._read.memory()) if filters.key is not None else ()
        found = list(chosen(judgement, lambda: self._read.rows(judgement), filters, names))
        now = self._now(judgement)
        some = found[where.start : where.start + where.limit]
        return self._page(
            "findings",
            judgement,
            rows=[browse.finding_row(one, now) for one in some],
            asked=parameters(request, (*PAGING, *FILTERS), blank=True),
            severities=[one.value for one in reversed(Severity)],
            statuses=[one.value for one in Status],
            rules=sorted({one.rule for one in judgement.findings} | {one.id for one in self._read.demands}),
            here=shown(request, where, len(some), total=len(found), more=len(found) > where.start + where.limit),
        )

    def finding(self, request: Request) -> Response:
        """One finding, and the namespaces that hang on it."""
        where = paging(request, _BESIDE)
        judgement = self._needed()
        one = one_named(judgement, self._read.ended, request.path_params["id"])
        rows = self._read.rows(judgement).namespaces(one.members, where.start, where.limit + 1, one.portions)
        some, more = _some(rows if one in judgement.findings else iter(()), where)
        nothing = words.NAMESPACES_NOT_KEPT if one.extent.namespaces else "No namespace hangs on it."
        return self._page(
            "finding",
            judgement,
            one=finding_view(one, {rule.id: rule for rule in self._read.demands}, self._now(judgement)),
            unit="namespaces" if judgement.is_keys_only else "objects",
            key=_key_of(one),
            rows=[browse.space_row(each) for each in some],
            nothing=nothing,
            here=shown(request, where, len(some), total=one.extent.namespaces, more=more),
        )

    def keys(self, request: Request) -> Response:
        """All keys, those with the worst data first."""
        asked = parameters(request, (*PAGING, "text"), blank=True)
        where = place(asked, _USUAL)
        judgement, memory = self._needed(), self._read.memory()
        wanted, now = asked.get("text", "").casefold(), self._now(judgement)
        found = [key for key in browse.keys_of(judgement, memory) if has_in_name(key, wanted)]
        some = found[where.start : where.start + where.limit]
        rows = self._read.rows(judgement)
        return self._page(
            "keys",
            judgement,
            rows=[browse.key_row(key, judgement, memory, rows, now) for key in some],
            asked=asked,
            here=shown(request, where, len(some), total=len(found), more=len(found) > where.start + where.limit),
        )

    def key(self, request: Request) -> Response:
        """One key: its versions, what hangs on each, findings and namespaces."""
        where = paging(request, _BESIDE)
        judgement, memory = self._needed(), self._read.memory()
        key = request.path_params["name"]
        if key not in browse.keys_of(judgement, memory):
            raise HTTPException(
                404, "no data names such a key, and nobody asked it: write its full name, without a version"
            )
        rows = self._read.rows(judgement)
        members = [member_of(one.holding) for one in judgement.assessed if one.holding.key == key]
        some, more = _some(rows.namespaces(members, where.start, where.limit + 1), where)
        about = chosen(judgement, lambda: rows, Filters(key=key), names_of(key, judgement, memory))
        return self._page(
            "key",
            judgement,
            one=browse.key_view(key, judgement, memory, rows, about, now=self._now(judgement)),
            all_findings=f"/findings?{urlencode({'key': key})}",
            rows=[browse.space_row(each) for each in some],
            here=shown(request, where, len(some), total=rows.count_namespaces(members), more=more),
        )

    def namespaces(self, request: Request) -> Response:
        """Namespaces by name, or by how it begins."""
        asked = parameters(request, (*PAGING, *NAMING), blank=True)
        where = place(asked, _USUAL)
        judgement = self._needed()
        see_that_bucket_is_known(judgement, asked.get("bucket"))
        some, more = _some(iter(named(judgement, self._read.rows(judgement), asked, where)), where)
        return self._page(
            "namespaces",
            judgement,
            rows=[browse.space_row(each) for each in some],
            asked=asked,
            here=shown(request, where, len(some), total=None, more=more),
        )

    def namespace(self, request: Request) -> Response:
        """One namespace, and what it hangs on."""
        asked = parameters(request, (*PAGING, *SPACE), needed=SPACE)
        where = place(asked, _USUAL)
        judgement = self._needed()
        rows, bucket, name = self._read.rows(judgement), asked["bucket"], asked["name"]
        now = self._now(judgement)
        found = see_that_there_is(judgement, rows, bucket, name)
        some, more = _some(rows.of_namespace(judgement.assessed, bucket, name, where.start, where.limit + 1), where)
        swept = next((one for one in judgement.coverage.buckets if one.bucket == bucket), None)
        return self._page(
            "namespace",
            judgement,
            one=browse.space_row(found),
            rows=[browse.dependency_view(row, assessed, now) for row, assessed in some],
            findings=browse.findings_about((assessed for _, assessed in some), bucket, name, judgement, now),
            gaps=browse.gaps_of_bucket(judgement, bucket),
            swept=words.exactly(swept.sweep_started) if swept is not None and swept.sweep_started else "",
            here=shown(request, where, len(some), total=None, more=more),
        )

    def reports(self, request: Request) -> Response:
        """Reports that are kept, the newest first."""
        parameters(request, ())
        shelf = self._read.shelf
        rows = (
            [browse.kept_row(name, one, shelf.uploaded(name)) for name, one in shelf.listed()]
            if shelf is not None
            else []
        )
        return self._page("reports", self._needed(), rows=rows)

    def message(self, status: int, told: str) -> Response:
        """A page that says why another one cannot be shown."""
        heading = {400: "That cannot be asked", 404: "There is no such thing", 503: "Not now"}.get(status, "Refused")
        page = html.render_page("message", standing=self._standing(), heading=heading, told=told)
        return HTMLResponse(page, status_code=status, headers={"Content-Security-Policy": POLICY})

    def _standing(self) -> browse.Standing | None:
        """How old and how complete the answer is; None where there is none, or it cannot be read."""
        try:
            judgement = self._read.judgement()
        except AuditorError:
            return None
        return browse.standing(judgement, self._read.clock(), self._read.failing()) if judgement is not None else None

    def _page(self, name: str, judgement: Judgement, **values: Any) -> Response:
        standing = browse.standing(judgement, self._read.clock(), self._read.failing())
        page = html.render_page(name, standing=standing, **values)
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    def _now(self, judgement: Judgement) -> datetime:
        """From when ages and dates count: of an old answer they go on, and no clock of ours that is slow turns them."""
        return max(judgement.now, self._read.clock())

    def _needed(self) -> Judgement:
        judgement = self._read.judgement()
        if judgement is None:
            raise HTTPException(503, "the first judgement is not made yet")
        return judgement


def _some(items: Iterator[_Item], where: Place) -> tuple[Sequence[_Item], bool]:
    """The items of a page, and whether there are more behind it."""
    found = list(islice(items, where.limit + 1))
    return found[: where.limit], len(found) > where.limit


def _key_of(one: Finding) -> str:
    """The key that a finding is about; empty where it is about none."""
    try:
        key, _ = split_version(one.subject.id.rpartition(" -> ")[2])
    except ValueError:
        return ""
    return key.text
