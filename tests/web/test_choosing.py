"""Which findings a filter lets through: on a page and in the API the same."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from typing import Any, cast
from urllib.parse import urlencode

import jsonschema
import pytest
from starlette.routing import Route

from auditor.findings import Assessed, Finding, Judgement, Member, Severity, Status, Subject, SubjectKind
from auditor.model import Encryption, Extent, GcpKey, GcpKeyVersion, KeyMemory, KeyName
from auditor.outputs.scan_json import time
from auditor.ownership.registered import Portion
from auditor.ports import Portions, SpaceRows
from auditor.web import openapi
from auditor.web.app import make_app
from auditor.web.asking import Filters
from auditor.web.choosing import chosen
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_holding, an_aws_key, days
from tests.hostile import NAMES
from tests.outputs.test_hostile import a_judgement
from tests.web.test_web import Answer, ask, readings, sent_through

VERSION = f"{GCP_KEY}/cryptoKeyVersions/1"
GCP_DATA: Member = ("gs://data", Encryption.CMEK, GCP_KEY.text, "1")
AWS_DATA: Member = ("s3://data", Encryption.CMEK, AWS_KEY.text, None)
MANY = tuple(f"tenant-{number:02}" for number in range(20))


def finding(name: str, **more: Any) -> Finding:
    judgement, _ = a_judgement("harmless")
    return replace(judgement.findings[0], id=name, extent=Extent(1, 1, 1), **more)


FINDINGS = (
    finding("version", rule="data-lost", subject=Subject(SubjectKind.KEY_VERSION, VERSION), members=()),
    finding(
        "key", rule="rotation-off", severity=Severity.LOW, subject=Subject(SubjectKind.KEY, AWS_KEY.text), members=()
    ),
    finding(
        "right",
        rule="grant-missing",
        status=Status.WAIVED,
        subject=Subject(SubjectKind.PRINCIPAL, f"role/x -> {AWS_KEY}"),
        members=(),
    ),
    finding("bucket", rule="sweep-stale", subject=Subject(SubjectKind.BUCKET, "s3://data"), members=()),
    replace(
        finding("of one", rule="wrong-key", subject=Subject(SubjectKind.BUCKET, "gs://else"), members=(AWS_DATA,)),
        extent=Extent(1, 1, 1, ("acme",), ("acme/Search",), ("ada@acme.example",), ("storage",)),
    ),
    replace(
        finding("of many", rule="orphan-objects", members=(GCP_DATA, AWS_DATA), portions=(Portion.UNREGISTERED,)),
        subject=Subject(SubjectKind.BUCKET, "gs://else"),
        extent=Extent(1, 1, 1, MANY),
    ),
)


class Held:
    """Whose data it is, as the inventory says."""

    def __init__(self, **held: tuple[Member, Portions]) -> None:
        self.held = held
        self.asked = 0

    def held_by(self, tenant: str) -> frozenset[tuple[Member, Portions]]:
        self.asked += 1
        return frozenset([self.held[tenant]] if tenant in self.held else [])


def judgement() -> Judgement:
    found, _ = a_judgement("harmless")
    return replace(found, findings=FINDINGS)


def names(rows: Held | None = None, **filters: Any) -> list[str]:
    asked = cast("SpaceRows", rows or Held())
    return [one.id for one in chosen(judgement(), lambda: asked, Filters(**filters))]


CASES: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, [one.id for one in FINDINGS]),
    "rule": ({"rule": "data-lost"}, ["version"]),
    "a part of a rule": ({"rule": "data"}, []),
    "severity": ({"severity": Severity.LOW}, ["key"]),
    "status": ({"status": Status.WAIVED}, ["right"]),
    "both": ({"status": Status.WAIVED, "severity": Severity.LOW}, []),
    "a key by its data": ({"key": GCP_KEY.text}, ["version", "of many"]),
    "a version": ({"key": VERSION}, ["version", "of many"]),
    "another version": ({"key": f"{GCP_KEY}/cryptoKeyVersions/10"}, []),
    "a key by itself": ({"key": AWS_KEY.text}, ["key", "right", "of one", "of many"]),
    "the beginning of a key": ({"key": GCP_KEY.text[:-1]}, []),
    "a bucket": ({"bucket": "s3://data"}, ["bucket", "of one", "of many"]),
    "a bucket that is a subject alone": ({"bucket": "gs://else"}, ["of one", "of many"]),
    "a tenant that is told": ({"tenant": "acme"}, ["of one"]),
    "text in a rule": ({"text": "ROTATION"}, ["key"]),
    "text in a subject": ({"text": "ROLE/x"}, ["right"]),
    "text in a subject as tables print it": ({"text": "us-east1/tpuf/main version"}, ["version"]),
    "text in a namespace": ({"text": "acme/search"}, ["of one"]),
    "text in a label": ({"text": "Storage"}, ["of one"]),
    "text in an owner": ({"text": "ada@"}, ["of one"]),
    "text in a tenant": ({"text": "TENANT-19"}, ["of many"]),
    "text in an id": ({"text": "of m"}, ["of many"]),
    "text in a cause": ({"text": "cause HARM"}, [one.id for one in FINDINGS]),
    "no wildcard": ({"text": "%"}, []),
}


@pytest.mark.parametrize(("filters", "expected"), CASES.values(), ids=CASES)
def test_all_that_is_given_must_fit(filters: dict[str, Any], expected: list[str]) -> None:
    assert names(**filters) == expected


def test_a_tenant_that_a_finding_is_too_large_to_name_is_looked_for_in_its_data() -> None:
    unregistered = (Portion.UNREGISTERED,)
    assert names(Held(zebra=(GCP_DATA, unregistered)), tenant="zebra") == ["of many"]
    assert names(Held(zebra=(GCP_DATA, (Portion.WRONG_KEY,))), tenant="zebra") == [], "of a portion that is not meant"
    whole = replace(FINDINGS[-1], portions=())
    asked = cast("SpaceRows", Held(zebra=(GCP_DATA, ())))
    about = chosen(replace(judgement(), findings=(whole,)), lambda: asked, Filters(tenant="zebra"))
    assert list(about) == [whole], "it is about all of its data"
    other: Member = ("gs://data", Encryption.CMEK, GCP_KEY.text, "2")
    assert names(Held(zebra=(other, unregistered)), tenant="zebra") == []
    assert names(tenant="nobody") == []
    rows = Held(acme=(GCP_DATA, unregistered))
    assert names(rows, tenant="acme") == ["of one", "of many"]
    assert rows.asked == 1


REFUSED = {
    "?severity=bad": "severity is one of low, medium, high, critical",
    "?status=closed": "status is one of open, waived, resolved",
    "?rule=": "rule is empty",
    "?rule=a&rule=b": "rule is given twice",
    f"?text={'x' * 5001}": "text is longer than 5000 characters",
    "?colour=red": "there is no parameter 'colour'",
}


@pytest.mark.parametrize("query", REFUSED)
def test_a_filter_that_says_nothing_is_refused_and_not_passed_over(query: str) -> None:
    answer = ask(f"/api/v1/findings{query}")
    assert (answer.status, REFUSED[query] in answer.text) == (400, True)


TOLD = KeyName(f"{GCP_KEY}-told")
UNKNOWN = {
    "findings?key=main": "no known key is called 'main', and it is not the full name of a key; did you mean acme-keys/",
    f"findings?key={GCP_KEY}-2": "nothing is known of key",
    "findings?bucket=gs://dat": "no bucket that is known is called so: write its URL as the config does",
    "findings?bucket=data": "did you mean gs://data?",
    "namespaces?bucket=gs://Data": "did you mean gs://data?",
    "findings?rule=data-lots": "there is no such rule",
    "findings?tenant=acmee": "no data that is known is of such a tenant",
    "namespaces?name=acme/alpa": "no namespace that is known is called so",
    f"findings?key={TOLD}/cryptoKeyVersions/99": "no data names such a version of the key",
    "namespaces/dependencies?bucket=gs://data&name=acme/alpa": "no namespace is called so in what was swept of gs://data",
}


@pytest.mark.parametrize("query", UNKNOWN)
def test_what_nobody_has_heard_of_is_not_answered_by_nothing(query: str) -> None:
    class Rows(Held):
        def named(self, *_: object, **__: object) -> tuple[()]:
            return ()

    versions = (GcpKeyVersion("1", "ENABLED"),)
    memory = {GCP_KEY: KeyMemory(None, None), TOLD: KeyMemory(GcpKey(TOLD, versions), NOW)}
    read = replace(readings(judgement), memory=lambda: memory, rows=lambda _: cast("Any", Rows()))
    answer = ask(f"/api/v1/{query}", read)
    assert (answer.status, UNKNOWN[query] in answer.text) == (404, True), answer.text
    if query.startswith(("findings", "namespaces?bucket")):
        page = ask(f"/{query}", read)
        assert (page.status, UNKNOWN[query] in unescape(page.text)) == (404, True), "nor is it on the page for people"
    for key in (f"{GCP_KEY}/cryptoKeyVersions/7", f"{TOLD}/cryptoKeyVersions/1"):
        known = ask(f"/api/v1/findings?key={key}&tenant=acme", read)
        assert (known.status, json.loads(known.text)["items"]) == (200, [])
    assert ask("/api/v1/namespaces?bucket=gs://data&prefix=acme/alpa", read).status == 200
    assert "404" in openapi.document()["paths"][f"/api/v1/{query.partition('?')[0]}"]["get"]["responses"]


def test_each_key_is_told_with_what_it_said_last_and_when() -> None:
    assessed = [
        Assessed(one, one.encryption, found)
        for one in (a_holding(GCP_KEY, "1"), a_holding(GCP_KEY, "9"), a_holding(AWS_KEY), a_holding(TOLD, "1"))
        for found in [judgement().assessed[0].assessment]
    ]
    memory = {
        GCP_KEY: KeyMemory(GcpKey(GCP_KEY, (GcpKeyVersion("1", "DISABLED"),)), NOW),
        AWS_KEY: KeyMemory(an_aws_key("PendingDeletion"), NOW - days(1)),
        TOLD: KeyMemory(None, None),
    }
    read = replace(readings(lambda: replace(judgement(), assessed=tuple(assessed))), memory=lambda: memory)
    told = {
        (one["key"], one["key_version"]): (one["state"], one["state_read"])
        for one in json.loads(ask("/api/v1/keys", read).text)["items"]
    }
    assert told == {
        (GCP_KEY.text, "1"): ("DISABLED", time(NOW)),
        (GCP_KEY.text, "9"): (None, time(NOW)),
        (AWS_KEY.text, None): ("PendingDeletion", time(NOW - days(1))),
        (TOLD.text, "1"): (None, None),
    }


def test_findings_are_chosen_by_any_name_of_a_key() -> None:
    other = KeyName(GCP_KEY.text.replace("projects/acme-keys", "projects/222000222"))
    versions = (GcpKeyVersion("2", "ENABLED"),)
    memory = {name: KeyMemory(GcpKey(name, versions, created=NOW), NOW) for name in (GCP_KEY, other)}
    read = replace(readings(judgement), memory=lambda: memory)
    for asked, expected in ((other.text, ["version", "of many"]), (f"{other}/cryptoKeyVersions/2", [])):
        told = ask(f"/api/v1/findings?key={asked}", read)
        assert [one["id"] for one in json.loads(told.text)["items"]] == expected
    assert "1 to 2 of 2" in ask(f"/findings?key={other}", read).text


SHORT = {
    "acme-keys/us-east1/tpuf/main": ["version", "of many"],
    "acme-keys/us-east1/tpuf/main version 1": ["version", "of many"],
    "acme-keys/us-east1/tpuf/main/1": ["version", "of many"],
    AWS_KEY.text.rpartition("/")[2]: ["key", "right", "of one", "of many"],
}


@pytest.mark.parametrize("asked", SHORT)
def test_a_key_may_be_written_as_tables_print_it(asked: str) -> None:
    memory = {name: KeyMemory(None, None) for name in (GCP_KEY, AWS_KEY)}
    read = replace(readings(judgement), memory=lambda: memory)
    told = ask(f"/api/v1/findings?{urlencode({'key': asked})}", read)
    assert [one["id"] for one in json.loads(told.text)["items"]] == SHORT[asked], told.text
    page = ask(f"/findings?{urlencode({'key': asked})}", read)
    assert f"1 to {len(SHORT[asked])} of {len(SHORT[asked])}" in page.text


NAMED = {
    "name=gs://data/acme/a": ("acme/a", "gs://data"),
    "prefix=gs://data/acme": ("acme", "gs://data"),
    "name=gs://data/acme/a&bucket=gs://data": ("acme/a", "gs://data"),
    "name=gs://dat/acme/a": ("gs://dat/acme/a", None),
    "name=gs://data/a&prefix=gs://data/": ("gs://data/a", None),
    "name=acme/a": ("acme/a", None),
    "": ("", None),
}


@pytest.mark.parametrize("query", NAMED)
def test_a_namespace_may_be_written_behind_its_bucket_as_findings_write_it(query: str) -> None:
    class Rows(Held):
        def __init__(self) -> None:
            super().__init__()
            self.looked: list[tuple[str, str | None]] = []

        def named(self, _: object, name: str, *, bucket: str | None, **__: object) -> tuple[()]:
            self.looked.append((name, bucket))
            return ()

    rows = Rows()
    ask(f"/namespaces?{query}", replace(readings(judgement), rows=lambda _: cast("Any", rows)))
    assert rows.looked[-1] == NAMED[query]


def test_pages_of_what_is_chosen_add_up() -> None:
    read = replace(readings(), judgement=judgement)
    first = json.loads(ask("/api/v1/findings?key=" + AWS_KEY.text + "&limit=3", read).text)
    rest = json.loads(ask(f"/api/v1/findings?key={AWS_KEY}&limit=3&cursor={first['next']}", read).text)
    assert [one["id"] for one in first["items"] + rest["items"]] == ["key", "right", "of one", "of many"]
    assert rest["next"] is None


# --- the description ---

EXAMPLES = {"/api/v1/namespaces/dependencies": {"bucket": "gs://data", "name": "acme/x"}}


def answers(name: str) -> dict[str, Answer]:
    newest, rows = a_judgement(name)
    app = make_app(replace(readings(lambda: newest), rows=lambda _: cast("Any", rows)))

    async def every() -> dict[str, Answer]:
        return {
            path: await sent_through(
                app, f"{path.replace('{id}', newest.findings[0].id)}?{urlencode(EXAMPLES.get(path, {}))}".rstrip("?")
            )
            for path in openapi.document()["paths"]
        }

    return asyncio.run(every())


@pytest.mark.parametrize("name", ["harmless", NAMES["markup"], NAMES["right to left"]])
def test_every_answer_is_as_the_description_says(name: str) -> None:
    document = openapi.document()
    for path, answer in answers(name).items():
        assert (path, answer.status) == (path, 200)
        told = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = jsonschema.Draft202012Validator({**told, "components": document["components"]})
        validator.validate(json.loads(answer.text))
        if "items" in json.loads(answer.text):
            assert json.loads(answer.text)["items"], path


def test_it_describes_every_address_of_the_api_and_how_to_log_in() -> None:
    app = make_app(readings())
    routes = {route.path for route in app.routes if isinstance(route, Route)}
    assert set(openapi.document()["paths"]) == {path for path in routes if path.startswith("/api/")}
    told = openapi.document(('Basic realm="x"', 'Bearer realm="x"'))
    assert set(told["components"]["securitySchemes"]) == {"basic", "bearer"}
    assert told["security"] == [{"basic": []}, {"bearer": []}]
    assert {"401", "429"} <= set(told["paths"]["/api/v1/keys"]["get"]["responses"])
