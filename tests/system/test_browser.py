"""The report in a real browser: no outside request, no script but its own, nothing wider than the window."""

import json
import subprocess
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from auditor import cli
from tests.clouds import GOOGLE_KEY
from tests.small import a_small_cloud
from tests.system.chromium import Browser, a_browser
from tests.system.conftest import tool

BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


WAIVER = """
[[waiver]]
rule = "not-customer-managed"
match = {{ bucket = "gs://data" }}
until = {until}
owner = "security@acme.example"
approved_by = "ciso@acme.example"
reason = "the long ones go with the next release"
"""


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
        # Something is waived, and something has changed between two sweeps: both have dates in narrow places.
        until = (datetime.now(UTC) + timedelta(days=60)).date()
        small.config.write_text(small.config.read_text() + WAIVER.format(until=until))
        small.cloud.store.put("data", f"{'long' * 60}/{'other' * 48}/x", key=None)
        assert cli._run(small.argv("scan", "-q")) == 1  # noqa: SLF001 - as above
        page = folder / "report.html"
        assert cli._run(small.argv("report", "--output", str(page))) == 0  # noqa: SLF001 - as above
        small.set_state(1, "ENABLED")
        assert cli._run(small.argv("poll", "-q")) == 1  # noqa: SLF001 - as above
        # It ends tomorrow, and began long before the ledger did: the page shows both.
        now = datetime.now(UTC)
        period = f"{now - timedelta(days=60):%Y-%m-%d}/{now + timedelta(days=1):%Y-%m-%d}"
        argv = small.argv("report", "--period", period, "--output", str(folder / "period.html"))
        assert cli._run(argv) == 0  # noqa: SLF001 - as above
        yield page


def browse(*arguments: str) -> str:
    done = subprocess.run(
        [tool("chromium"), *BROWSER, *arguments], capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


def printed(report: Path, name: str) -> Path:
    """A page on paper, which is printed once."""
    paper = report.with_name(f"{name}.pdf")
    if not paper.exists():
        browse(f"--print-to-pdf={paper}", report.with_stem(name).as_uri())
    return paper


PAGES = {"report": 14, "period": 11}
"""Page -> its sections."""


@pytest.mark.parametrize("name", PAGES)
def test_it_asks_nobody_for_anything(report: Path, name: str) -> None:
    page, log = report.with_stem(name), report.with_name(f"net-{name}.json")
    browse(f"--log-net-log={log}", "--virtual-time-budget=2000", "--dump-dom", page.as_uri())
    text = log.read_text()
    told = json.loads(text if text.rstrip().endswith("}") else text.rstrip().rstrip(",") + "]}")
    asked = {one.get("params", {}).get("url", "") for one in told["events"]}
    from_page = {url for url in asked if url.startswith("http") and "google" not in url and "gvt1" not in url}
    assert from_page == set()
    assert page.read_text().count("<script") == 1


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_it_is_never_wider_than_the_window(browser: Browser, report: Path, name: str, width: int) -> None:
    with browser.open(report.with_stem(name).as_uri(), width) as page:
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert (wide, page.evaluate("innerWidth")) == (width, width)
        assert page.evaluate("document.querySelectorAll('h2').length") == PAGES[name]


def test_on_a_phone_all_of_the_deadlines_is_seen_without_scrolling_sideways(browser: Browser, report: Path) -> None:
    with browser.open(report.as_uri(), 420) as page:
        deadlines = "document.querySelector('[aria-labelledby=deadlines] .scroll')"
        wide, window = (page.evaluate(f"{deadlines}.{one}") for one in ("scrollWidth", "clientWidth"))
        assert wide == window > 0
        assert page.evaluate(f"{deadlines}.querySelectorAll('tbody tr').length") == 1


BROKEN_DATES = """
(() => {
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const date = /[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?( UTC|Z)?)?|in [0-9]+ d [0-9]+ h/g;
let all = 0, broken = 0;
while (walker.nextNode()) {
  for (const hit of walker.currentNode.data.matchAll(date)) {
    const range = document.createRange();
    range.setStart(walker.currentNode, hit.index);
    range.setEnd(walker.currentNode, hit.index + hit[0].length);
    all += 1;
    broken += new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1;
  }
}
return [all, broken];
})()
"""


@pytest.mark.parametrize("width", [360, 420, 800, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_no_date_is_broken(browser: Browser, report: Path, name: str, width: int) -> None:
    with browser.open(report.with_stem(name).as_uri(), width) as page:
        dates, broken = page.evaluate(BROKEN_DATES)
        assert (dates >= 10, broken) == (True, 0)


@pytest.mark.parametrize("name", PAGES)
def test_it_prints(report: Path, name: str) -> None:
    paper = printed(report, name)
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_size > 20_000
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(paper).pages]
    for number, page in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in page


@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_read_by_everybody_in_the_dark_and_in_the_light(browser: Browser, report: Path, name: str) -> None:
    for width in (1280, 420):
        with browser.open(report.with_stem(name).as_uri(), width) as page:
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            for scheme in ("light", "dark"):
                page.in_the(scheme)
                assert page.violations() == []
                ink = page.evaluate("getComputedStyle(document.body).color")
                assert (ink == "rgb(22, 32, 43)") is (scheme == "light")


def test_what_was_not_observed_is_hatched_and_a_short_time_is_seen(browser: Browser, report: Path) -> None:
    for width in (1280, 420):
        with browser.open(report.with_stem("period").as_uri(), width) as page:
            hatched = page.evaluate("document.querySelectorAll('.observed .blind').length")
            drawn = page.evaluate(
                "[...document.querySelectorAll('.lines-of-time .r-unreadable')]"
                ".map(one => one.getBoundingClientRect().width)"
            )
            assert (hatched > 0, len(drawn), min(drawn) > 0.5) == (True, 1, True)


@pytest.mark.parametrize("name", PAGES)
def test_what_is_folded_away_is_printed(browser: Browser, report: Path, name: str) -> None:
    paper = printed(report, name)
    told = unicodedata.normalize(
        "NFKC", "".join("".join(page.extract_text().split()) for page in PdfReader(paper).pages)
    )
    with browser.open(report.with_stem(name).as_uri(), 1280) as page:
        folded = page.evaluate(
            "[...document.querySelectorAll('details:not([open]) *')].flatMap(one => [...one.childNodes])"
            ".filter(one => one.nodeType === Node.TEXT_NODE).map(one => one.data)"
        )
    words = {word for text in folded for word in text.split()}
    assert len(words) > 20
    assert {word for word in words if word not in told} == set()


def test_heads_sort_a_table_and_words_narrow_a_list_and_paper_has_all_of_it(browser: Browser, report: Path) -> None:
    rules = "[...document.querySelectorAll('.rules tbody tr')]"
    shown = f"{rules}.filter(one => one.checkVisibility()).length"
    numbers = f"{rules}.map(one => Number(one.cells[3].textContent))"
    button = "document.querySelectorAll('.rules thead button')[3]"
    field = "document.querySelector('[aria-labelledby=rules] .narrow input')"
    with browser.open(report.as_uri(), 1280) as page:
        assert [one for one in page.said if "favicon" not in one] == [], "its own policy lets its own script run"
        before = page.evaluate(numbers)
        page.evaluate(f"{button}.click()")
        assert page.evaluate(numbers) == sorted(before)
        page.evaluate(f"{button}.click()")
        assert page.evaluate(numbers) == sorted(before, reverse=True) != sorted(before)
        heads = "[...document.querySelectorAll('.rules thead th')].map(one => one.ariaSort)"
        assert page.evaluate(heads)[3] == "descending"
        every = page.evaluate(shown)
        page.evaluate(f"{field}.value = 'LOST key'; {field}.dispatchEvent(new Event('input'))")
        some = page.evaluate(shown)
        assert 0 < some < every
        assert page.evaluate("document.querySelector('[aria-labelledby=rules] output').value") == f"{some} of {every}"
        for scheme in ("light", "dark"):
            page.in_the(scheme)
            assert page.violations() == []
        browser.call("Emulation.setEmulatedMedia", {"media": "print"}, page.session)
        assert page.evaluate(shown) == every, "whoever prints it prints all of it"
        assert page.evaluate(f"{field}.checkVisibility()") is False


SORTED = """
[...document.querySelectorAll('table.sortable')].map(table => [...table.tHead.rows[0].cells].map((head, place) => {
  const told = () => [...table.tBodies[0].rows].map(row => row.cells[place].textContent.trim());
  const all = told().sort().join();
  head.querySelector('button')?.click();
  const kept = told().sort().join() === all;
  const empty = told().map(one => one === '' || one === '-');
  return kept && (!empty.includes(true) || empty.slice(empty.indexOf(true)).every(Boolean));
}).every(Boolean))
"""


@pytest.mark.parametrize("name", PAGES)
def test_no_row_is_lost_by_sorting_and_what_is_not_known_is_last(browser: Browser, report: Path, name: str) -> None:
    with browser.open(report.with_stem(name).as_uri(), 1280) as page:
        assert [one for one in page.said if "favicon" not in one] == [], "its own policy lets its own script run"
        told = page.evaluate(SORTED)
        assert len(told) >= 3
        assert all(told)


LENGTHS = """
(() => {
  const table = document.querySelector('[aria-labelledby=keys] table');
  const body = table.tBodies[0], [row] = body.rows;
  const told = ['59 min', '1 h 0 min', '3 s', '10 d 2 h', '-', '9 d 23 h', '23 h 59 min'];
  body.replaceChildren(...told.map(text => {
    const one = row.cloneNode(true);
    one.cells[3].textContent = text;
    return one;
  }));
  table.tHead.querySelectorAll('button')[3].click();
  return [...body.rows].map(one => one.cells[3].textContent);
})()
"""


def test_lengths_of_time_are_sorted_by_how_long_they_are(browser: Browser, report: Path) -> None:
    with browser.open(report.with_stem("period").as_uri(), 1280) as page:
        assert page.evaluate(LENGTHS) == ["3 s", "59 min", "1 h 0 min", "23 h 59 min", "9 d 23 h", "10 d 2 h", "-"]
