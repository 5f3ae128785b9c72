"""The report in a real browser: no outside request, no script, nothing wider than the window."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor import cli
from tests.clouds import GOOGLE_KEY
from tests.small import a_small_cloud
from tests.system.conftest import tool

BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("report")
    with a_small_cloud(folder) as small:
        small.set_state(1, "DISABLED")
        doomed = small.cloud.store.add_key(f"{GOOGLE_KEY}-doomed")
        doomed.versions[1].state = "DESTROY_SCHEDULED"
        doomed.versions[1].destroy_time = datetime.now(UTC) + timedelta(days=2)
        small.cloud.store.put("data", "acme/doomed/1", key=doomed.name, version=1, size=100)
        small.cloud.store.put("data", f"{'long' * 60}/{'name' * 60}/x", key=None)
        assert cli._run(small.argv("scan", "-q")) == 1  # noqa: SLF001 - the command without the end of the process
        page = folder / "report.html"
        assert cli._run(small.argv("report", "--output", str(page))) == 0  # noqa: SLF001 - as above
        yield page


def browse(*arguments: str) -> str:
    done = subprocess.run(
        [tool("chromium"), *BROWSER, *arguments], capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout


def test_it_asks_nobody_for_anything(report: Path) -> None:
    log = report.with_name("net.json")
    browse(f"--log-net-log={log}", "--virtual-time-budget=2000", "--dump-dom", report.as_uri())
    text = log.read_text()
    told = json.loads(text if text.rstrip().endswith("}") else text.rstrip().rstrip(",") + "]}")
    asked = {one.get("params", {}).get("url", "") for one in told["events"]}
    from_page = {url for url in asked if url.startswith("http") and "google" not in url and "gvt1" not in url}
    assert from_page == set()
    assert "<script" not in report.read_text()


@pytest.mark.parametrize("width", [400, 1400])
def test_it_is_never_wider_than_the_window(report: Path, width: int) -> None:
    frame = report.with_name(f"frame-{width}.html")
    frame.write_text(
        f'<iframe id=f src="{report.name}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>f.onload=()=>{const d=f.contentDocument.documentElement;"
        "document.title=d.scrollWidth+'/'+d.clientWidth+'/'+d.querySelectorAll('h2').length}</script>"
    )
    told = browse("--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom", frame.as_uri())
    wide, window, headings = map(int, told.partition("<title>")[2].partition("</title>")[0].split("/"))
    assert (wide, headings) == (window, 13)


def test_on_a_phone_all_of_the_deadlines_is_seen_without_scrolling_sideways(report: Path) -> None:
    frame = report.with_name("phone.html")
    frame.write_text(
        f'<iframe id=f src="{report.name}" style="width:420px;height:900px;border:0"></iframe>'
        "<script>f.onload=()=>{const d=f.contentDocument.querySelector('[aria-labelledby=deadlines] .scroll');"
        "document.title=d.scrollWidth+'/'+d.clientWidth+'/'+d.querySelectorAll('tbody tr').length}</script>"
    )
    told = browse("--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom", frame.as_uri())
    wide, window, rows = map(int, told.partition("<title>")[2].partition("</title>")[0].split("/"))
    assert (wide, rows) == (window, 1)


BROKEN_DATES = """
const page = f.contentDocument, walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
const date = /[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?( UTC|Z)?)?|in [0-9]+ d [0-9]+ h/g;
let all = 0, broken = 0;
while (walker.nextNode()) {
  for (const hit of walker.currentNode.data.matchAll(date)) {
    const range = page.createRange();
    range.setStart(walker.currentNode, hit.index);
    range.setEnd(walker.currentNode, hit.index + hit[0].length);
    all += 1;
    broken += new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1;
  }
}
document.title = all + "/" + broken;
"""


@pytest.mark.parametrize("width", [360, 420, 800, 1280])
def test_no_date_is_broken(report: Path, width: int) -> None:
    frame = report.with_name(f"dates-{width}.html")
    frame.write_text(
        f'<iframe id=f src="{report.name}" style="width:{width}px;height:900px;border:0"></iframe>'
        f"<script>f.onload=()=>{{{BROKEN_DATES}}}</script>"
    )
    told = browse("--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom", frame.as_uri())
    dates, broken = map(int, told.partition("<title>")[2].partition("</title>")[0].split("/"))
    assert (dates >= 10, broken) == (True, 0)


def test_it_prints(report: Path) -> None:
    paper = report.with_name("report.pdf")
    browse(f"--print-to-pdf={paper}", report.as_uri())
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_size > 20_000
