"""The API described as OpenAPI 3.1: its shapes are those of the package's own JSON Schemas."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from auditor import __version__
from auditor.findings import Severity, Status
from auditor.outputs import scan_json
from auditor.web.asking import LONGEST, MOST, USUAL

_Schema = Mapping[str, Any]

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_OF_SOMETHING: Final = frozenset({"findings", "namespaces", "dependencies_of_namespace"})
"""Operations that a name in a parameter may ask for what is not there."""


def document(challenges: Sequence[str] = ()) -> dict[str, Any]:
    """The whole description. `challenges`: how one logs in, as `WWW-Authenticate` says it."""
    kinds = [one.partition(" ")[0].lower() for one in challenges]
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "cmek-auditor",
            "version": __version__,
            "description": "Which stored data hangs on which KMS key version. Everything is read-only.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {path: {"get": _operation(path, *one, asks=bool(kinds))} for path, one in _paths().items()},
        "components": {"schemas": dict(_schemas())},
    }
    if kinds:
        told["components"]["securitySchemes"] = {kind: {"type": "http", "scheme": kind} for kind in kinds}
        told["security"] = [{kind: []} for kind in kinds]
    return told


def _paths() -> Mapping[str, tuple[str, str, _Schema, list[_Schema]]]:
    """Path -> name of the operation, what it is, its answer, its parameters."""
    limit = _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}, "Items of a page.")
    cursor = _query("cursor", {"type": "string", "format": "cursor"}, "`next` of the page before.")
    paging = [limit, cursor]
    one = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of a finding, or how it begins.",
        "schema": {"type": "string", "minLength": 1},
    }
    filters = [
        _query("rule", _name(), "Of this rule."),
        _query("severity", {"enum": [each.value for each in Severity]}, "As bad as this."),
        _query("status", {"enum": [each.value for each in Status]}, "Where it stands."),
        _query("tenant", _name(), "Data of this tenant hangs on it."),
        _query("key", _name(), "About this key, or version of a key, in full or as tables print it, or data under it."),
        _query("bucket", _name(), "About this bucket, or data in it."),
        _query("text", _name(), "With this text in what a table shows of it, in any case."),
    ]
    naming = [
        _query("name", _name(), "Exactly this name."),
        _query("prefix", _name(), "Names that begin so."),
        _query("bucket", _name(), "In this bucket alone."),
    ]
    space = [
        {**_query("bucket", _name(), "In this bucket."), "required": True},
        {**_query("name", _name(), "Of this namespace."), "required": True},
    ]
    return {
        "/api/v1/status": ("status", "How the daemon is, and what it judged last", _ref("Status"), []),
        "/api/v1/judgement": ("judgement", "The newest judgement without its long lists", _ref("Judgement"), []),
        "/api/v1/findings": ("findings", "Findings, worst first", _page("Finding"), [*filters, *paging]),
        "/api/v1/findings/{id}": ("finding", "One finding, also one that has ended", _ref("Finding"), [one]),
        "/api/v1/findings/{id}/namespaces": (
            "namespaces_of_finding",
            "All namespaces that hang on a finding",
            _page("Namespace"),
            [one, *paging],
        ),
        "/api/v1/namespaces": (
            "namespaces",
            "Namespaces by name, with the worst of their data",
            _page("JudgedNamespace"),
            [*naming, *paging],
        ),
        "/api/v1/namespaces/dependencies": (
            "dependencies_of_namespace",
            "Dependencies of one namespace",
            _page("Dependency"),
            [*space, *paging],
        ),
        "/api/v1/dependencies": (
            "dependencies",
            "Dependencies, each with its readability",
            _page("Dependency"),
            paging,
        ),
        "/api/v1/keys": ("keys", "Key versions that data depends on", _page("KeyVersion"), paging),
        "/api/v1/openapi.json": ("openapi", "This description", {"type": "object"}, []),
    }


def _operation(path: str, name: str, summary: str, answer: _Schema, asked: list[_Schema], *, asks: bool) -> _Schema:
    whys = {
        "400": "A parameter is not known, or says what cannot be.",
        "421": "The server is not called by a name of its own.",
    }
    if name in _OF_SOMETHING:
        whys["404"] = "Nobody has heard of what is asked for by its name."
    if "{" in path:
        whys["404"] = "There is none such, or what was there is not kept."
    if name != "openapi":
        whys["503"] = "Nothing is judged yet, or the ledger cannot be read now."
    if asks:
        whys |= {"401": "No valid login came with the request.", "429": "Too many logins were refused."}
    refused = {code: {"description": why, "content": _json(_ref("Error"))} for code, why in sorted(whys.items())}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": asked,
        "responses": {"200": {"description": summary, "content": _json(answer)}, **refused},
    }


@cache
def _schemas() -> Mapping[str, _Schema]:
    scan = scan_json.schema()["properties"]
    head = {name: scan[name] for name in ("schema", "scan", "coverage", "totals")}
    namespace = {
        "bucket": _TEXT,
        "namespace": _TEXT,
        **{name: _or_null(_TEXT) for name in ("tenant", "owner", "team")},
        "objects": _or_null(_COUNT),
        "bytes": _or_null(_COUNT),
    }
    dependency = scan["dependencies"]["items"]["properties"]
    readability = dependency["readability"]
    config = {
        "digest": _TEXT,
        "file_digest": _or_null(_TEXT),
        "read": _TIME,
        "refused_since": _or_null(_object({"at": _TIME, "why": _TEXT})),
    }
    feed = {
        "feed": _TEXT,
        "of": _TEXT,
        **{name: _or_null(_TIME) for name in ("last_answer", "last_event")},
        "fault": _or_null(_TEXT),
    }
    state = {
        "judged": _or_null(_TIME),
        "loops": {"type": "object", "additionalProperties": {"type": "boolean"}},
        "loops_failing": _list(_object({"loop": _TEXT, "turns": _COUNT, "why": _TEXT})),
        "feeds": _object({"listened_to": _list(_object(feed)), "keys_polled_alone": _or_null(_COUNT)}),
        "config": _object(config),
        "leader": {"type": "boolean"},
        "log": _or_null(
            _object(
                {
                    "name": _TEXT,
                    "told_at": _or_null(_TIME),
                    "entries": _object(dict.fromkeys(("written", "refused", "lost"), _COUNT)),
                    "unwritten_because": _or_null(scan["gaps"]["items"]["properties"]["reason"]),
                }
            )
        ),
    }
    judged = {
        "scan": scan["scan"],
        "coverage": scan["coverage"],
        "gaps": _COUNT,
        "gaps_by_reason": {"type": "object", "additionalProperties": _COUNT},
        "buckets_failed": _list(_object({"bucket": _TEXT, "why": _TEXT})),
        "keys_not_read": _list(
            _object(
                {"key": _TEXT, "reason": scan["gaps"]["items"]["properties"]["reason"], "last_read": _or_null(_TIME)}
            )
        ),
        "last_poll_age_seconds": _or_null({"type": "number"}),
        "findings": {**_COUNT, "description": "Those that are open: waived ones are not counted."},
        "next_loss": _or_null(_TIME),
    }
    return {
        "Error": _object({"error": _TEXT}),
        "Status": {"anyOf": [_object(state), _object({**state, **judged})]},
        "Judgement": _object({**head, "gaps": _list(scan["gaps"]["items"], MOST), "gaps_total": _COUNT}),
        "Finding": scan["findings"]["items"],
        "Dependency": scan["dependencies"]["items"],
        "Namespace": _object(namespace),
        "JudgedNamespace": _object({**namespace, "readability": _or_null(readability)}),
        "KeyVersion": _object(
            {
                "key": _TEXT,
                "key_version": _or_null(_TEXT),
                "state": _or_null(_TEXT),
                "state_read": _or_null(_TIME),
                "readability": readability,
                "cause": _TEXT,
                "final_at": _or_null(_TIME),
                "objects": _or_null(_COUNT),
                "bytes": _or_null(_COUNT),
                "namespaces": _COUNT,
                "buckets": _list(_TEXT),
            }
        ),
    }


def _query(name: str, schema: _Schema, description: str) -> _Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _name() -> _Schema:
    return {"type": "string", "minLength": 1, "maxLength": LONGEST}


def _page(name: str) -> _Schema:
    return _object({"items": _list(_ref(name), MOST), "next": _or_null({"type": "string", "format": "cursor"})})


def _list(items: _Schema, most: int | None = None) -> _Schema:
    return {"type": "array", "items": items, **({"maxItems": most} if most is not None else {})}


def _object(properties: Mapping[str, _Schema]) -> _Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": dict(properties),
    }


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _json(schema: _Schema) -> _Schema:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}
