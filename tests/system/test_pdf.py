"""The report as a PDF, by the real WeasyPrint with the system's Pango, read again by another library."""

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import Destination

from auditor.outputs import html, pdf
from auditor.outputs.controls import Found
from auditor.outputs.limits import PAPER
from auditor.outputs.page import Manifest
from auditor.rules import load
from tests.bundles import OTHERS_KEY, an_operator, run
from tests.core_builders import NOW
from tests.hostile import NAMES
from tests.outputs.test_hostile import a_judgement
from tests.small import a_small_cloud

FETCHING = (
    '"><img src="file:///etc/hostname"><img src="http://127.0.0.1:9/x.png">'
    "</style><style>@import url(http://127.0.0.1:9/x.css); h1 { background: url(file:///etc/hostname) }</style>"
    '<link rel="stylesheet" href="http://127.0.0.1:9/x.css"><link rel="attachment" href="file:///etc/hostname">'
    '<svg><image href="http://127.0.0.1:9/x.png"/><use href="http://127.0.0.1:9/x.svg#a"/></svg>'
)


def page_of(*names: str) -> str:
    """A finding for each name, and each of its texts is the name."""
    judgement, rows = a_judgement(names[0])
    findings = [a_judgement(name)[0].findings[0] for name in names]
    numbered = tuple(replace(one, id=f"{number:016x}") for number, one in enumerate(findings))
    demands, manifest = tuple(rule.demand for rule in load()), Manifest(((names[0], "0" * 64),), 1, "0" * 64)
    judgement = replace(judgement, findings=numbered)
    return html.render(judgement, rows, demands, manifest, NOW, found=Found((), {}), limits=PAPER)


def read(told: bytes) -> tuple[PdfReader, list[str]]:
    found = PdfReader(io.BytesIO(told))
    return found, [" ".join(page.extract_text().split()) for page in found.pages]


def titles(outline: Any, depth: int = 0) -> Iterator[tuple[int, str]]:
    for one in outline:
        if isinstance(one, Destination):
            yield depth, str(one.title)
        else:
            yield from titles(one, depth + 1)


def test_a_report_of_a_scan_can_be_read_found_through_and_signed(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        small.set_state(1, "DISABLED")
        assert run(*small.argv("scan", "-q")) == 1
        target = tmp_path / "report.pdf"
        assert run(*small.argv("report", "-q", "--as", "pdf,json", "-o", str(target))) == 0
    assert (tmp_path / "report.json").is_file()
    found, pages = read(target.read_bytes())
    text = " ".join(pages)
    assert "10 of 20 objects cannot be read now." in pages[0]
    assert "acme/us-east1/tpuf/main version 1" in text
    assert "Prepared by" in pages[-1]
    for number, page in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in page
    # The head tells which report it is, and which section.
    assert all("Audit report · judged 2" in page for page in pages)
    assert found.metadata is not None
    assert str(found.metadata.title).startswith("CMEK audit report, 2")
    assert found.metadata.subject == "10 of 20 objects cannot be read now."
    assert str(found.metadata.creator).startswith("cmek-auditor ")
    root = found.root_object
    assert (str(root["/Lang"]), str(root["/MarkInfo"])) == ("en", "{'/Marked': True}")
    marks = list(titles(found.outline))
    assert [title for depth, title in marks if depth == 0][:3] == ["Verdict", "Deadlines", "Findings"]
    assert (1, "key version acme/us-east1/tpuf/main version 1") in marks
    assert marks[-1] == (0, "Sign-off")


def test_a_tenants_has_no_byte_of_anothers(tmp_path: Path) -> None:
    with an_operator(tmp_path) as operator:
        operator.put("acme/lost", 1, key=OTHERS_KEY, count=3)
        operator.put("zeta/stray", 3)
        operator.scanned()
        target = tmp_path / "acme.pdf"
        argv = ("report", "--view", "tenant", "acme", "-q", "-c", str(operator.config), "--as", "pdf")
        assert run(*argv, "-o", str(target)) == 0
    found, pages = read(target.read_bytes())
    assert found.metadata is not None
    every = [*pages, *map(str, found.metadata.values()), *(title for _, title in titles(found.outline))]
    assert not [one for one in (*every, *found.named_destinations) if "zeta" in one.casefold()]
    assert all("view of tenant acme" in page for page in pages)
    assert all(one in " ".join(pages) for one in ("acme/search", "acme/chat", "acme/lost"))


def test_no_name_makes_it_fetch_anything(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import weasyprint  # noqa: PLC0415 - only where system tests run there are its libraries

    asked: list[str] = []

    def fetch(_self: Any, url: str, *_more: Any) -> None:
        asked.append(url)
        raise ValueError(url)

    monkeypatch.setattr(weasyprint.URLFetcher, "fetch", fetch)
    with caplog.at_level(logging.WARNING):
        told = pdf.render(page_of(FETCHING, *NAMES.values()))
    assert not asked
    assert told.startswith(b"%PDF-")
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_what_is_asked_for_all_the_same_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As if the template itself were wrong."""
    (tmp_path / "secret.txt").write_text("do not show")
    bodies = (f'<img src="file://{tmp_path}/secret.txt">', '<img src="data:image/png;base64,AAAA">')
    links = f'<link rel="attachment" href="file://{tmp_path}/secret.txt">'
    told = pdf.render(f"<html lang=en><head>{links}</head><body>{''.join(bodies)}</body></html>")
    assert b"do not show" not in told
    assert PdfReader(io.BytesIO(told)).attachments == {}
    assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) == 3


def test_a_page_becomes_the_same_bytes_again() -> None:
    page = page_of("acme/prod")
    assert pdf.render(page) == pdf.render(page)


def test_no_line_leaves_the_paper() -> None:
    """Whatever is drawn beside the margins is cut off by printers."""
    from weasyprint import HTML  # noqa: PLC0415 - as above
    from weasyprint.formatting_structure.boxes import TextBox  # noqa: PLC0415 - as above

    found = HTML(string=page_of("acme/" + "x" * 190, *NAMES.values())).render()
    margin = 14 / 25.4 * 96
    for page in found.pages:
        lines = [one for one in page._page_box.descendants() if isinstance(one, TextBox)]  # noqa: SLF001 - where they are
        assert lines
        assert max(one.position_x + one.width for one in lines) <= page.width - margin + 1


def test_of_a_large_fleet_as_much_is_on_paper_as_somebody_reads() -> None:
    page = page_of(*["acme/prod"] * 5_000)
    assert page.count('class="finding ') == 50
    assert page.count('<tr id="f-') == 150
    assert "4800 more are not shown here" in page
