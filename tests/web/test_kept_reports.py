"""The pages of reports that are kept: what was written, or nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.outputs import html
from auditor.shelf import Shelf, Told, Uploaded
from tests.core_builders import NOW
from tests.web.test_web import Answer, ask, readings

NAME = "2026-11-24T12-00-00Z"
STYLE = "h1 { color: red }"
PAGE = f"<!doctype html><html><head><style>{STYLE}</style></head><body><h1>old</h1></body></html>"
HOSTILE = '"><script>alert(1)</script>\u202e\x1b[31m'


def told(verdict: str = "All can be read.") -> Told:
    return Told("a run", NOW, NOW + timedelta(minutes=2), verdict, "1.0", 1234, "b" * 64)


def written(folder: Path) -> None:
    (folder / "report.html").write_text(PAGE)
    (folder / "report.json").write_text('{"a": 1}')
    (folder / "report-gaps.csv").write_text("what\n")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "reports", 5)


def asked(path: str, shelf: Shelf | None) -> Answer:
    return ask(path, replace(readings(), shelf=shelf))


def test_kept_reports_are_listed_with_what_can_be_checked_of_them(shelf: Shelf) -> None:
    name, kept = shelf.put(told(), written)
    page = asked("/reports", shelf)
    assert page.status == 200
    for one in kept.files:
        assert f'href="/reports/{name}/{one.name}" title="SHA-256 {one.sha256}"' in page.text
    assert all(one in page.text for one in ("All can be read.", "event 1,234", "b" * 64))


def test_where_none_is_kept_it_is_said_how_to_have_one(shelf: Shelf) -> None:
    for one in (shelf, None):
        page = asked("/reports", one)
        assert (page.status, "[schedule] report" in page.text) == (200, True)
    assert asked("/reports?x=1", shelf).status == 400


def test_of_one_that_cannot_be_told_of_it_is_said_why(shelf: Shelf, tmp_path: Path) -> None:
    name, _ = shelf.put(told(), written)
    (tmp_path / "reports" / name / "kept.json").write_text("{}")
    assert "What this one was is not known: kept.json is not what was written" in asked("/reports", shelf).text


def test_an_old_report_is_shown_with_the_style_of_its_time_and_nothing_else(shelf: Shelf) -> None:
    name, _ = shelf.put(told(), written)
    page = asked(f"/reports/{name}/report.html", shelf)
    assert (page.status, page.text) == (200, PAGE)
    assert html.style_of(page.text) == STYLE
    digest = "'sha256-tTSm1OckW5h6W6ygQhQ4J51f9En6kC/x9O18pXFX6KM='"
    assert page.headers["content-security-policy"].startswith(f"default-src 'none'; style-src {digest};")


@pytest.mark.parametrize(
    ("file", "kind"), [("report.json", "application/json"), ("report-gaps.csv", "text/csv; charset=utf-8")]
)
def test_other_files_are_given_to_be_kept(shelf: Shelf, file: str, kind: str) -> None:
    name, _ = shelf.put(told(), written)
    given = asked(f"/reports/{name}/{file}", shelf)
    assert (given.status, given.headers["content-type"]) == (200, kind)
    assert given.headers["content-disposition"] == f'attachment; filename="{name}-{file}"'
    assert given.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [f"{NAME}/kept.json", f"{NAME}/none.html", "..%2F/report.html", "x/..", "a/b/c"])
def test_what_is_not_kept_is_not_there(shelf: Shelf, path: str) -> None:
    shelf.put(told(), written)
    assert asked(f"/reports/{path}", shelf).status == 404
    assert asked(f"/reports/{path}", None).status == 404


def test_what_was_changed_is_not_shown(shelf: Shelf, tmp_path: Path) -> None:
    name, _ = shelf.put(told(), written)
    (tmp_path / "reports" / name / "report.html").write_text("<script>alert(1)</script>")
    page = asked(f"/reports/{name}/report.html", shelf)
    assert (page.status, "was changed since it was written" in page.text) == (503, True)
    assert "<script>" not in page.text


def test_no_verdict_does_harm(shelf: Shelf) -> None:
    shelf.put(told(HOSTILE), written)
    page = asked("/reports", shelf).text
    assert "<script>" not in page
    assert not {"\u202e", "\x1b"} & set(page)
    assert json.dumps("alert(1)") not in page


def test_where_a_report_is_besides_is_said(shelf: Shelf) -> None:
    name, _ = shelf.put(told(), written)
    assert "uploaded" not in asked("/reports", shelf).text
    shelf.tell_uploaded(name, Uploaded("s3://own/<b>", datetime(2026, 11, 28, 6, 1, tzinfo=UTC)))
    page = asked("/reports", shelf).text
    assert "uploaded to s3://own/&lt;b&gt; at" in page
    assert '<time datetime="2026-11-28T06:01' in page or "2026-11-28 06:01 UTC" in page
