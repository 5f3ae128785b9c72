"""The pages of the daemon in a real browser: nothing from elsewhere, no script, readable for everybody at any width."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest

from auditor import cli
from auditor.config import load
from auditor.daemon import listening, serving
from auditor.daemon.leading import Leadership
from auditor.outputs import html
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.hostile import NAMES
from tests.small import Small, a_small_cloud
from tests.system.chromium import Browser, a_browser

LONG = "acme/" + "long" * 230
HOSTILE = "acme/<img src=x onerror=alert(1)>\u202egnp\x1b[31m\x07"
WORST = f"acme/{'&<>' * 300}"


@dataclass(frozen=True)
class World:
    browser: Browser
    address: str
    finding: str


@contextmanager
def answering(small: Small) -> Iterator[tuple[str, str]]:
    """The real application on a real socket; its address, and the id of its worst finding."""
    config = load(small.config)
    assembly = assemble(config)
    answering = listening.Answering()
    listener = listening.open_listener("127.0.0.1", 0, answering)
    served = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
    server = listening.make_server(served, answering)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    judgement = assembly.ledger.judgement()
    assert judgement is not None
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", judgement.findings[0].id
    finally:
        server.should_exit = True
        thread.join()
        assembly.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("pages")
    with a_small_cloud(folder) as small:
        store = small.cloud.store
        for number, name in enumerate([*NAMES.values(), HOSTILE, LONG, WORST]):
            store.put("data", f"{name}/{number}/x", key=GOOGLE_KEY, version=1 + number % 2, size=1000 * number)
        doomed = store.add_key(f"{GOOGLE_KEY}-doomed")
        doomed.versions[1].state = "DESTROY_SCHEDULED"
        doomed.versions[1].destroy_time = datetime.now(UTC) + timedelta(days=2)
        store.put("data", f"{HOSTILE}/doomed", key=doomed.name, version=1, size=100)
        store.put("data", "acme/plain/x", key=None)
        small.set_state(1, "DISABLED")
        store.deny("cloudkms.keyRings.getIamPolicy", GOOGLE_KEY.partition("/cryptoKeys/")[0])
        assert cli._run(small.argv("scan", "-q")) == 1  # noqa: SLF001 - the command without the end of the process
        with answering(small) as (address, finding), a_browser(folder / "profile") as browser:
            yield World(browser, address, finding)


PAGES = {
    "report": "/",
    "findings": "/findings",
    "findings that are chosen": "/findings?severity=critical&text=" + quote("<script>alert(1)</script>\u202e"),
    "finding": "/findings/{finding}",
    "keys": "/keys",
    "key": html.key_address(GOOGLE_KEY),
    "namespaces": "/namespaces?prefix=acme",
    "namespace": html.space_address(HOSTILE, "gs://data"),
    "namespace with a long name": html.space_address(LONG, "gs://data"),
    "kept reports": "/reports",
    "what is not there": "/namespaces/one?" + urlencode({"bucket": "gs://data", "name": "<b>" * 1600}),
}


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_it_is_whole_by_itself_and_for_everybody(world: World, path: str, width: int) -> None:
    address = f"{world.address}{path.format(finding=world.finding)}"
    with world.browser.open(address, width) as page:
        is_there = page.status in ({404} if path == PAGES["what is not there"] else {200})
        assert is_there, page.status
        assert {one.partition("?")[0] for one in page.asked} <= {
            address.partition("?")[0],
            f"{world.address}/style.css",
        }
        assert [one for one in page.said if "404" not in one or page.status != 404] == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "1120px", (
            "it has its style"
        )
        assert page.evaluate("document.querySelectorAll('img,b,[onerror]').length") == 0
        assert page.evaluate("document.scripts.length") == int(path == PAGES["report"]), "the report has one of its own"
        text = page.evaluate("document.body.innerText")
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        for scheme in ("light", "dark"):
            page.in_the(scheme)
            assert page.violations() == []


def test_every_page_says_how_old_and_how_complete_the_answer_is(world: World) -> None:
    for name, path in PAGES.items():
        if name in {"report", "what is not there"}:
            continue
        with world.browser.open(f"{world.address}{path.format(finding=world.finding)}", 1280) as page:
            text = page.evaluate("document.querySelector('.standing').innerText")
            assert "Judged " in text
            assert "ago" in text
            assert "1 of 1 bucket swept" in text
            assert "access_denied" in text
            assert "unknown, never fine" in text


def test_one_gets_from_the_report_to_all_else_by_links(world: World) -> None:
    seen: set[str] = set()
    waiting = [f"{world.address}/"]
    while waiting and len(seen) < 40:
        here = waiting.pop(0)
        if here in seen:
            continue
        seen.add(here)
        with world.browser.open(here, 1280) as page:
            assert page.status == 200, here
            links = page.evaluate("[...document.links].map(one => one.href.split('#')[0])")
        waiting += [one for one in links if one not in seen and one.startswith(world.address)]
    kinds = {one.removeprefix(world.address).partition("?")[0] for one in seen}
    assert {"/", "/findings", "/keys", "/namespaces", "/namespaces/one", f"/findings/{world.finding}"} <= kinds
    assert any(one.startswith("/keys/projects/") for one in kinds)
