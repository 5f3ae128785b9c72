"""The API: a judgement as JSON, page by page."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from auditor.findings import Finding, Judgement
from auditor.outputs import scan_json, words
from auditor.ports import OpenInventory
from auditor.web import openapi
from auditor.web.asking import MOST, NAMING, PAGING, SPACE, Place, of_findings, paging, parameters, place
from auditor.web.choosing import (
    chosen,
    named,
    names_of,
    one_named,
    see_that_bucket_is_known,
    see_that_it_is_known,
    see_that_there_is,
)
from auditor.web.readings import Readings


class Api:
    """One method an address; they are plain functions, so that Starlette runs them beside its loop."""

    def __init__(self, readings: Readings, challenges: Sequence[str] = ()) -> None:
        """`challenges`: how one logs in, as `WWW-Authenticate` says it."""
        self._read = readings
        self._challenges = challenges

    def status(self, request: Request) -> Response:
        """How the daemon is, and what it judged last."""
        parameters(request, ())
        judgement = self._read.judgement()
        loops = dict(self._read.loops_alive())
        failing = [{"loop": loop, "turns": one.turns, "why": one.why} for loop, one in self._read.faults().items()]
        config, feeds = self._config(), self._feeds()
        if judgement is None:
            return JSONResponse(
                {
                    "judged": None,
                    "loops": loops,
                    "loops_failing": failing,
                    "feeds": feeds,
                    "config": config,
                    "leader": self._read.leads(),
                    "log": self._log(),
                }
            )
        head = scan_json.head(judgement)
        return JSONResponse(
            {
                "judged": _time(judgement.now),
                "loops": loops,
                "loops_failing": failing,
                "feeds": feeds,
                "config": config,
                "leader": self._read.leads(),
                "log": self._log(),
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
                "last_poll_age_seconds": self._age(judgement.whole_poll),
                "findings": sum(one.status.value == "open" for one in judgement.findings),
                "next_loss": _time(judgement.next_loss),
            }
        )

    def _age(self, moment: datetime | None) -> float | None:
        return round((self._read.clock() - moment).total_seconds(), 3) if moment is not None else None

    def _config(self) -> dict[str, Any]:
        loaded = self._read.loaded()
        refused = {"at": _time(loaded.refused[0]), "why": loaded.refused[1]} if loaded.refused else None
        return {
            "digest": loaded.digest,
            "file_digest": loaded.file_digest,
            "read": _time(loaded.at),
            "refused_since": refused,
        }

    def _log(self) -> dict[str, Any] | None:
        """How our own log is; None where there is none."""
        log = self._read.own_log()
        if log is None:
            return None
        told = {"name": log.name, "told_at": _time(log.told_at), "entries": dict(log.entries)}
        return {**told, "unwritten_because": log.unwritten.value if log.unwritten is not None else None}

    def _feeds(self) -> dict[str, Any]:
        """How each feed is listened to, and how many keys none tells of."""
        told = [
            {
                "feed": one.feed,
                "of": one.owner,
                "last_answer": _time(one.answered),
                "last_event": _time(one.newest),
                "fault": one.fault,
            }
            for one in self._read.ears()
        ]
        return {"listened_to": told, "keys_polled_alone": self._read.polled_alone()}

    def _keys_not_read(self, judgement: Judgement) -> list[dict[str, Any]]:
        """Keys of which the newest poll learnt no state: why, and when one was last read."""
        reasons = {gap.what: gap.reason for gap in reversed(judgement.gaps)}
        memory = self._read.memory()
        return [
            {"key": name.text, "reason": reasons[name.text].value, "last_read": _time(kept.last_at)}
            for name, kept in sorted(memory.items())
            if name.text in reasons and kept.last_at != judgement.now
        ]

    def judgement(self, request: Request) -> Response:
        """The newest judgement without its long lists, and its gaps."""
        parameters(request, ())
        judgement = self._needed()
        gaps = [scan_json.gap(one) for one in judgement.gaps[:MOST]]
        return JSONResponse({**scan_json.head(judgement), "gaps": gaps, "gaps_total": len(judgement.gaps)})

    def findings(self, request: Request) -> Response:
        """Findings, worst first; parameters narrow them down."""
        where, filters = of_findings(request)
        judgement = self._needed()

        def rows() -> OpenInventory:
            return self._read.rows(judgement)

        filters = see_that_it_is_known(judgement, self._read.memory, rows, filters)
        names = names_of(filters.key, judgement, self._read.memory()) if filters.key is not None else ()
        found = chosen(judgement, rows, filters, names)
        return _page(where, map(scan_json.finding, found))

    def finding(self, request: Request) -> Response:
        """One finding, also one that has ended."""
        parameters(request, ())
        return JSONResponse(scan_json.finding(self._one(request)))

    def namespaces_of(self, request: Request) -> Response:
        """All namespaces that hang on a finding."""
        where = paging(request)
        judgement, one = self._needed(), self._one(request)
        if one not in judgement.findings:
            raise HTTPException(404, "this finding has ended: all namespaces of then are not kept")
        rows = self._read.rows(judgement).namespaces(one.members, where.start, where.limit + 1, one.portions)
        first = next(rows, None)
        if first is None and not where.start and one.extent.namespaces:
            raise HTTPException(404, words.NAMESPACES_NOT_KEPT)
        some = chain(() if first is None else (first,), rows)
        return _page(where, map(scan_json.namespace, some), skipped=True)

    def namespaces(self, request: Request) -> Response:
        """Namespaces by name, or by how it begins, in the order of their names."""
        asked = parameters(request, (*PAGING, *NAMING))
        where = place(asked)
        judgement = self._needed()
        see_that_bucket_is_known(judgement, asked.get("bucket"))
        found = named(judgement, self._read.rows(judgement), asked, where)
        if "name" in asked and not found and not where.start:
            raise HTTPException(404, "no namespace that is known is called so: `prefix` asks for how a name begins")
        return _page(where, map(scan_json.worst_of_namespace, found), skipped=True)

    def dependencies(self, request: Request) -> Response:
        """All dependencies, each with its readability."""
        where = paging(request)
        judgement = self._needed()
        found = self._read.rows(judgement).rows(judgement.assessed, where.start, where.limit + 1)
        return _page(where, (scan_json.dependency(row, assessed) for row, assessed in found), skipped=True)

    def dependencies_of(self, request: Request) -> Response:
        """Those of one namespace."""
        asked = parameters(request, (*PAGING, *SPACE), needed=SPACE)
        where = place(asked)
        judgement = self._needed()
        rows, space = self._read.rows(judgement), (asked["bucket"], asked["name"])
        see_that_there_is(judgement, rows, *space)
        found = rows.of_namespace(judgement.assessed, *space, where.start, where.limit + 1)
        return _page(where, (scan_json.dependency(row, assessed) for row, assessed in found), skipped=True)

    def keys(self, request: Request) -> Response:
        """Each key version that data depends on, and what does."""
        return _page(paging(request), scan_json.keys(self._needed(), self._read.memory()))

    def described(self, request: Request) -> Response:
        """Describe all of this as OpenAPI."""
        parameters(request, ())
        return JSONResponse(openapi.document(self._challenges))

    def _needed(self) -> Judgement:
        judgement = self._read.judgement()
        if judgement is None:
            raise HTTPException(503, "the first judgement is not made yet")
        return judgement

    def _one(self, request: Request) -> Finding:
        return one_named(self._needed(), self._read.ended, request.path_params["id"])


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _page(place: Place, items: Iterable[Mapping[str, Any]], *, skipped: bool = False) -> Response:
    """One page and the cursor of the next; `skipped` says that the items begin at the page already."""
    found = list(islice(items, 0 if skipped else place.start, place.limit + 1 + (0 if skipped else place.start)))
    more = len(found) > place.limit
    return JSONResponse({"items": found[: place.limit], "next": place.following if more else None})
