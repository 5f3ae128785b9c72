"""The pages beside the report: what they show, what they lead to, and that names stay text."""

import base64
import hashlib
import html as html_of
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from auditor.errors import LedgerError
from auditor.findings import Assessed, Finding, Judgement, Readability, Status, member_of
from auditor.model import Extent, Gap, Grant, KeyMemory, KeyName, Reason
from auditor.outputs import browse, html
from auditor.ownership.registered import Portion
from auditor.rules import load
from auditor.web.readings import Readings
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    a_gcp_key,
    a_holding,
    a_version,
    access,
    an_aws_key,
    remembered,
)
from tests.hostile import NAMES
from tests.outputs.test_hostile import Tags, a_judgement
from tests.web.test_web import ask, readings

MEMORY: Mapping[KeyName, KeyMemory] = {
    GCP_KEY: remembered(a_gcp_key(a_version("1", "DISABLED"), a_version("12"), a_version("3", "DESTROYED"))),
    AWS_KEY: remembered(an_aws_key("PendingDeletion"), denied_since=NOW - timedelta(hours=1)),
}
LONGEST = "<b>" * 1666 + "ab"
FIVE = timedelta(hours=5)


def shown(name: str = "harmless", **more: Any) -> Readings:
    judgement, rows = a_judgement(name)
    judgement = more.pop("judgement", judgement)
    facts = {
        "rows": lambda _: cast("Any", rows),
        "memory": lambda: MEMORY,
        "demands": tuple(rule.demand for rule in load()),
        **more,
    }
    return replace(readings(lambda: judgement), **facts)


def paths(name: str) -> dict[str, str]:
    judgement, _ = a_judgement(name)
    return {
        "findings": "/findings",
        "finding": f"/findings/{judgement.findings[0].id}",
        "keys": "/keys",
        "key": html.key_address(GCP_KEY.text),
        "namespaces": "/namespaces",
        "namespace": html.space_address(name, "gs://data"),
    }


@pytest.mark.parametrize("name", [*NAMES.values(), LONGEST], ids=[*NAMES, "5,000 characters"])
def test_pages_have_the_same_tags_whatever_the_names(name: str) -> None:
    for (page, plainly), path in zip(paths("harmless").items(), paths(name).values(), strict=True):
        plain, hostile = Tags(), Tags()
        plain.feed(ask(plainly, shown()).text)
        answer = ask(path, shown(name))
        hostile.feed(answer.text)
        assert (page, answer.status) == (page, 200)
        assert (hostile.tags, hostile.attributes) == (plain.tags, plain.attributes)
        assert not {"script", "style", "img", "b"} & set(hostile.tags)
        assert not {"style", "onerror", "src"} & hostile.attributes
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text


def test_every_page_says_how_old_the_answer_is_and_what_it_lacks() -> None:
    failing = shown(clock=lambda: NOW + timedelta(hours=3), failing=lambda: ("key_poll",))
    for path in [*paths("harmless").values(), "/findings/4567", "/namespaces/one?bucket=b&name=", "/keys/nope"]:
        text = re.sub(r"<[^>]*>", "", ask(path, failing).text)
        assert "Judged 3 h 0 min ago (2026-11-24 12:00:00 UTC)" in text, path
        assert "Gaps: 1 timeout. What could not be read is unknown, never fine." in text
        assert "key_poll failed again and again: this gets no newer" in text


STRANGE = "a state that this version does not know (77)"


def test_keys_tell_states_that_nobody_knows_in_words_and_facts_as_people_read_them() -> None:
    key = a_gcp_key(a_version("1", "77"), a_version("2", "DISABLED"), access=access(GCP_KEY, Grant.ABSENT))
    changed = {"version 1": NOW, f"right {AGENT}": NOW - timedelta(hours=1)}
    read = shown(memory=lambda: {GCP_KEY: remembered(key, changed=changed)})
    text = html_of.unescape(re.sub(r"<[^>]*>", " ", ask("/keys", read).text))
    assert f"1 DISABLED, 1 in {STRANGE}" in text
    text = html_of.unescape(re.sub(r"<[^>]*>", " ", ask(html.key_address(GCP_KEY.text), read).text))
    assert f"to {STRANGE}, seen " in text
    assert "to absent, seen " in text
    assert "Grant." not in text
    other = {GCP_KEY: remembered(key, changed={"reasons": NOW}, told={"reasons": "False"})}
    assert "to no, seen " in ask(html.key_address(GCP_KEY.text), shown(memory=lambda: other)).text


REPORTS = Path(__file__).parents[2] / "reports"


def test_nothing_but_the_stylesheet_is_let_in_and_the_report_knows_its_own_style() -> None:
    for path in paths("harmless").values():
        answer = ask(path, shown())
        policy = answer.headers["content-security-policy"]
        assert policy == (
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    report = ask("/", shown())
    policy = report.headers["content-security-policy"]
    own = {"style": html.report_style(), "script": (REPORTS / "static/report.js").read_text()}
    for kind, text in own.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    sheet = ask("/style.css", shown())
    assert (sheet.status, sheet.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "@import" not in sheet.text
    assert "url(" not in sheet.text
    for path in ("/api/v1/keys", "/metrics", "/style.css"):
        assert "style-src" not in ask(path, shown()).headers["content-security-policy"]


WRONG = {
    "/findings/4567": (404, "there neither is nor was such a finding"),
    "/findings?severity=bad": (400, "severity is one of"),
    "/findings?colour=red": (400, "there is no parameter"),
    "/keys/nope": (404, "write its full name"),
    "/keys/": (404, "write its full name"),
    "/namespaces/one": (400, "bucket is missing"),
    "/namespaces/one?bucket=gs://data": (400, "name is missing"),
    "/namespaces?limit=0": (400, "limit is a number"),
    "/namespaces?bucket=gs://Data": (404, "no bucket that is known is called so"),
    "/findings?rule=data-lots": (404, "there is no such rule"),
    "/findings?key=main": (404, "did you mean acme-keys/us-east1/tpuf/main?"),
    "/findings?bucket=data": (404, "did you mean gs://data?"),
}


@pytest.mark.parametrize("path", WRONG)
def test_what_cannot_be_shown_is_said_on_a_page(path: str) -> None:
    status, told = WRONG[path]
    answer = ask(path, shown())
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert told in answer.text


def test_before_the_first_judgement_and_without_a_ledger_pages_say_so() -> None:
    def gone() -> Judgement:
        raise LedgerError("the ledger was <deleted>")

    for path in paths("harmless").values():
        early = ask(path, replace(shown(), judgement=lambda: None))
        assert (early.status, "the first judgement is not made yet" in early.text) == (503, True)
        lost = ask(path, replace(shown(), judgement=gone))
        assert (lost.status, "the ledger was &lt;deleted&gt;" in lost.text) == (503, True)


def many(count: int) -> Judgement:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.findings
    return replace(judgement, findings=tuple(replace(one, id=f"{number:016x}") for number in range(count)))


def links(text: str) -> dict[str, str]:
    return {rel: href.replace("&amp;", "&") for rel, href in re.findall(r'<a rel="(\w+)" href="([^"]*)"', text)}


def test_a_list_is_turned_page_by_page_with_what_was_asked_for() -> None:
    read = shown(judgement=many(120))
    first = ask("/findings?severity=critical&text=cause+h&rule=&limit=50", read).text
    assert "1 to 50 of 120" in first
    assert set(links(first)) == {"next"}
    assert "severity=critical&text=cause+h&limit=50&cursor=" in links(first)["next"]
    second = ask(links(first)["next"], read).text
    assert "51 to 100 of 120" in second
    third = ask(links(second)["next"], read).text
    assert ("101 to 120 of 120" in third, set(links(third))) == (True, {"prev"})
    assert links(ask(links(third)["prev"], read).text) == links(second)
    assert ask(links(second)["prev"], read).text == first
    seen = re.findall(r'href="/findings/(\w{16})"', first + second + third)
    assert seen == [one.id for one in many(120).findings]


def test_the_form_shows_what_was_asked_for() -> None:
    text = ask("/findings?severity=high&status=open&text=ac%22me", shown()).text
    assert "<option selected>high</option>" in text
    assert 'name="text" value="ac&#34;me"' in text
    assert "No finding fits, in what could be read." in text


def test_an_address_that_there_is_not_is_told_with_where_those_stand_that_there_are() -> None:
    for path in ("/api/v1/finding", "/metric"):
        answer = ask(path, shown())
        assert (answer.status, "/api/v1/openapi.json names those of the API" in answer.text) == (404, True)


def test_what_is_lost_waits_for_no_deadline() -> None:
    judgement, _ = a_judgement("harmless")
    for readability, told in ((Readability.LOST, "past"), (Readability.UNREADABLE, "none known")):
        some = tuple(replace(one, readability=readability, final_at=None) for one in judgement.findings)
        assert rows_of(ask("/findings", shown(judgement=replace(judgement, findings=some))).text)[0][2] == told


def test_a_finding_that_has_ended_says_that_it_has() -> None:
    (one,) = a_judgement("harmless")[0].findings
    ended: Finding = replace(one, id="0123abcd", status=Status.RESOLVED)
    answer = ask("/findings/0123", shown(ended=lambda _: (ended,)))
    assert answer.status == 200
    assert "This has ended." in answer.text
    assert "is not kept whole" in answer.text
    empty = replace(ended, extent=Extent())
    assert "No namespace hangs on it." in ask("/findings/0123", shown(ended=lambda _: (empty,))).text


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table, as text."""
    table = text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    ]


def test_a_key_is_told_with_versions_that_hold_nothing_and_never_called_unused() -> None:
    answer = ask(html.key_address(GCP_KEY.text), shown())
    rows = rows_of(answer.text)
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("12", "ENABLED", "nothing known"),
        ("3", "DESTROYED", "nothing known"),
        ("1", "DISABLED", "10"),
    ]
    assert rows[2][2].startswith("lost")
    assert rows[0][2] == rows[0][3] == ""
    assert "no proof that it may go" in answer.text
    assert f'href="/findings?{"key=projects%2Facme-keys%2F"}' in answer.text


def test_a_key_without_data_is_told_by_what_it_said() -> None:
    text = ask(html.key_address(AWS_KEY.text), shown()).text
    assert rows_of(text)[0][:2] == ["all of the key", "PendingDeletion"]
    assert "<dt>denied since</dt><dd>2026-11-24 11:00:00 UTC</dd>" in text
    judgement, _ = a_judgement("harmless")
    silent = replace(judgement, gaps=(Gap(AWS_KEY.text, Reason.ACCESS_DENIED, "its state", "grant it"),))
    told = ask(html.key_address(AWS_KEY.text), shown(judgement=silent)).text
    assert "What could not be read of it" in told
    assert "its state" in told


def test_keys_are_told_worst_data_first_and_found_by_a_part_of_the_name() -> None:
    rows = rows_of(ask("/keys", shown()).text)
    assert [row[0].rpartition("/")[2] for row in rows] == ["main", AWS_KEY.text.rpartition("/")[2]]
    assert rows[0][3] == "1 DESTROYED, 1 DISABLED, 1 ENABLED"
    assert (rows[1][1], rows[1][3], rows[1][5]) == ("", "PendingDeletion", "nothing known")
    assert len(rows_of(ask("/keys?text=TPUF", shown()).text)) == 1
    assert "No key is called so." in ask("/keys?text=nope", shown()).text
    assert len(rows_of(ask("/keys?text=acme-keys/us-east1/TPUF/main", shown()).text)) == 1, (
        "as the page itself prints it"
    )


def test_ages_and_dates_go_on_while_no_new_answer_comes() -> None:
    judgement, _ = a_judgement("harmless")
    dated = replace(judgement, findings=tuple(replace(one, final_at=NOW + FIVE * 2) for one in judgement.findings))

    def told(path: str, at: datetime) -> str:
        return ask(path, shown(judgement=dated, clock=lambda: at)).text

    key = html.key_address(GCP_KEY.text)
    for at, read, left in (
        (NOW, "1 min ago", "in 10 h"),
        (NOW + FIVE, "5 h 1 min ago", "in 5 h"),
        (NOW - FIVE, "1 min ago", "in 10 h"),
    ):
        assert f", {read}</dd>" in told(key, at)
        assert read in rows_of(told("/keys", at))[0]
        assert all(left in told(path, at) for path in ("/findings", f"/findings/{dated.findings[0].id}", key))


def test_what_nobody_saw_is_not_known_on_every_page() -> None:
    judgement, rows = a_judgement("harmless")
    (one,) = judgement.assessed
    holding = replace(one.holding, objects=None, size=None)
    claimed = replace(
        judgement,
        assessed=(replace(one, holding=holding),),
        coverage=replace(judgement.coverage, buckets=()),
        findings=tuple(replace(each, extent=Extent(None, None, 1)) for each in judgement.findings),
    )
    rows._holding = holding  # noqa: SLF001 - the same as nobody saw it
    read = shown(judgement=claimed, rows=lambda _: cast("Any", rows))
    for path in ("/findings", "/keys", html.key_address(GCP_KEY.text), html.space_address("harmless", "gs://data")):
        assert "not known" in " ".join(cell for row in rows_of(ask(path, read).text) for cell in row), path


def test_a_namespace_has_the_findings_on_what_it_hangs_on_and_no_others() -> None:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.findings
    other = a_holding(GCP_KEY, "2")
    elsewhere = replace(one, id="e" * 16, members=(member_of(other),), extent=Extent(1, 1, 1))
    named = replace(elsewhere, id="f" * 16, extent=Extent(1, 1, 1, sample_namespaces=("gs://data/harmless",)))
    ended = replace(one, id="a" * 16, status=Status.RESOLVED)
    of_some = replace(one, id="b" * 16, portions=(Portion.WRONG_KEY,), extent=Extent(1, 1, 1))
    some = replace(judgement, findings=(one, elsewhere, named, ended, of_some))
    found = browse.findings_about(judgement.assessed, "gs://data", "harmless", some, NOW)
    assert [each.id for each in found] == [one.id, named.id]


def test_keys_of_the_same_readability_stand_in_the_order_of_their_names() -> None:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.assessed
    fine = replace(one.assessment, readability=Readability.READABLE)
    keys = [f"{GCP_KEY}-{letter}" for letter in "cab"]
    some = tuple(Assessed(replace(one.holding, key=key), one.encryption, fine) for key in keys)
    told = browse.keys_of(replace(judgement, assessed=(*some, one)), {KeyName(f"{GCP_KEY}-0"): KeyMemory(None, None)})
    assert [key.rpartition("/")[2] for key in told] == ["main", "main-a", "main-b", "main-c", "main-0"]
