"""The API: a judgement as JSON, page by page."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from auditor.findings import Finding, Judgement
from auditor.outputs import scan_json, words
from auditor.web.readings import Readings

_MOST: Final = 1000
_USUAL: Final = 100
_LIMIT: Final = re.compile(r"[0-9]{1,4}")


class Api:
    """One method an address; they are plain functions, so that Starlette runs them beside its loop."""

    def __init__(self, readings: Readings) -> None:
        self._read = readings

    def status(self, _request: Request) -> Response:
        """How the daemon is, and what it judged last."""
        judgement = self._read.judgement()
        loops = dict(self._read.loops_alive())
        config = self._config()
        if judgement is None:
            return JSONResponse({"judged": None, "loops": loops, "config": config})
        head = scan_json.head(judgement)
        return JSONResponse(
            {
                "judged": _time(judgement.now),
                "loops": loops,
                "config": config,
                "scan": head["scan"],
                "coverage": head["coverage"],
                "gaps": len(judgement.gaps),
                "gaps_by_reason": dict(sorted(Counter(one.reason.value for one in judgement.gaps).items())),
                "buckets_failed": [
                    {"bucket": one.bucket, "why": one.last_attempt_failed}
                    for one in judgement.coverage.buckets
                    if one.last_attempt_failed is not None
                ],
                "keys_not_read": self._keys_not_read(judgement),
                # Below zero when this machine's clock went back since.
                "last_poll_age_seconds": round((self._read.clock() - judgement.run.ended).total_seconds(), 3),
                "findings": sum(one.status.value == "open" for one in judgement.findings),
                "next_loss": _time(judgement.next_loss),
            }
        )

    def _config(self) -> dict[str, Any]:
        loaded = self._read.loaded()
        refused = {"at": _time(loaded.refused[0]), "why": loaded.refused[1]} if loaded.refused else None
        return {"digest": loaded.digest, "read": _time(loaded.at), "refused_since": refused}

    def _keys_not_read(self, judgement: Judgement) -> list[dict[str, Any]]:
        """Keys of which the newest poll learnt no state: why, and when one was last read."""
        reasons = {gap.what: gap.reason for gap in reversed(judgement.gaps)}
        memory = self._read.memory()
        return [
            {"key": name.text, "reason": reasons[name.text].value, "last_read": _time(kept.last_at)}
            for name, kept in sorted(memory.items())
            if name.text in reasons and kept.last_at != judgement.now
        ]

    def judgement(self, _request: Request) -> Response:
        """The newest judgement without its long lists, and its gaps."""
        judgement = self._needed()
        gaps = [scan_json.gap(one) for one in judgement.gaps[:_MOST]]
        return JSONResponse({**scan_json.head(judgement), "gaps": gaps, "gaps_total": len(judgement.gaps)})

    def findings(self, request: Request) -> Response:
        """Findings, worst first."""
        return _page(request, (scan_json.finding(one) for one in self._needed().findings))

    def finding(self, request: Request) -> Response:
        """One finding, also one that has ended."""
        return JSONResponse(scan_json.finding(self._one(request)))

    def namespaces(self, request: Request) -> Response:
        """All namespaces that hang on a finding."""
        judgement, one = self._needed(), self._one(request)
        if one not in judgement.findings:
            raise HTTPException(404, "this finding has ended: all namespaces of then are not kept")
        start, limit = _place(request)
        rows = self._read.rows(judgement).namespaces(one.members, start, limit + 1, one.portions)
        first = next(rows, None)
        if first is None and not start and one.extent.namespaces:
            raise HTTPException(404, words.NAMESPACES_NOT_KEPT)
        some = chain(() if first is None else (first,), rows)
        return _page(request, map(scan_json.namespace, some), skipped=True)

    def dependencies(self, request: Request) -> Response:
        """All dependencies, each with its readability."""
        judgement = self._needed()
        start, limit = _place(request)
        rows = self._read.rows(judgement).rows(judgement.assessed, start, limit + 1)
        return _page(request, (scan_json.dependency(row, assessed) for row, assessed in rows), skipped=True)

    def keys(self, request: Request) -> Response:
        """Each key version that data depends on, and what does."""
        return _page(request, scan_json.keys(self._needed()))

    def _needed(self) -> Judgement:
        judgement = self._read.judgement()
        if judgement is None:
            raise HTTPException(503, "the first judgement is not made yet")
        return judgement

    def _one(self, request: Request) -> Finding:
        asked = request.path_params["id"]
        found: Sequence[Finding] = [one for one in self._needed().findings if one.id.startswith(asked)]
        if not found:
            found = self._read.ended(asked)
        if len(found) > 1:
            raise HTTPException(404, f"the ids of {len(found)} findings begin so: give more of the id")
        if found:
            return found[0]
        raise HTTPException(404, "there neither is nor was such a finding")


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _page(request: Request, items: Iterable[Mapping[str, Any]], *, skipped: bool = False) -> Response:
    """One page and the cursor of the next; `skipped` says that the items begin at the page already."""
    start, limit = _place(request)
    found = list(islice(items, 0 if skipped else start, limit + 1 if skipped else start + limit + 1))
    more = len(found) > limit
    following = base64.urlsafe_b64encode(str(start + limit).encode()).decode() if more else None
    return JSONResponse({"items": found[:limit], "next": following})


def _place(request: Request) -> tuple[int, int]:
    asked = request.query_params
    unknown = sorted(set(asked) - {"limit", "cursor"})
    if unknown:
        raise HTTPException(400, f"there is no parameter {unknown[0]!r}; limit and cursor are")
    limit = asked.get("limit", str(_USUAL))
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= _MOST):
        raise HTTPException(400, f"limit is a number from 1 to {_MOST}")
    cursor = asked.get("cursor")
    if cursor is None:
        return 0, int(limit)
    try:
        start = int(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except ValueError:
        raise HTTPException(400, "cursor is not one that a page before gave") from None
    if not 0 <= start < 2**53:
        raise HTTPException(400, "cursor is not one that a page before gave")
    return start, int(limit)
