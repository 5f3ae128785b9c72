"""A real Chromium, spoken to through its debugging pipe: no driver and no port in between.

Source: the Chrome DevTools Protocol.
"""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.system.conftest import PEERS, tool

_FLAGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
_PATIENCE: Final = 60.0


def axe() -> str:
    """The accessibility rules as a script, out of the package that carries them."""
    found = sorted(PEERS.glob("lib/python*/site-packages/axe_playwright_python/axe.min.js"))
    assert found, "axe-core is not installed: run make test-system"
    return found[0].read_text()


@dataclass
class Shown:
    """One address as the browser has it."""

    browser: "Browser"
    session: str
    asked: list[str] = field(default_factory=list)
    """Every address that the page had fetched."""
    said: list[str] = field(default_factory=list)
    """Errors and warnings of the console."""
    status: int = 0

    def evaluate(self, script: str) -> Any:
        """The value of an expression, on the page."""
        given = {"expression": script, "awaitPromise": True, "returnByValue": True}
        told = self.browser.call("Runtime.evaluate", given, self.session)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def violations(self) -> list[str]:
        """What the accessibility rules complain of."""
        self.evaluate(f"{axe()};undefined")
        # What passes is not told one by one: to name each element takes longer than to look at all of them.
        found = self.evaluate("axe.run({resultTypes: ['violations']}).then(one => one.violations)")
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]

    def in_the(self, scheme: str) -> None:
        """Show it as in the `dark` or in the `light`."""
        given = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.call("Emulation.setEmulatedMedia", given, self.session)

    def picture(self, path: Path) -> None:
        """Keep what the page looks like, from top to bottom."""
        given = {"captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.browser.call("Page.captureScreenshot", given, self.session)["data"]))


class Browser:
    """Addresses are opened one by one, each in a tab of its own."""

    def __init__(self, out: int, into: int) -> None:
        self._out, self._in = out, into
        self._number = 0
        self._rest = b""
        self._pages: dict[str, Shown] = {}
        self._loaded: set[str] = set()

    def call(self, method: str, params: dict[str, Any] | None = None, session: str | None = None) -> Any:
        """Make one call and wait for its answer."""
        self._number += 1
        number = self._number
        asked = {"id": number, "method": method, "params": params or {}, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                return told["result"]
            self._heard(told)

    @contextmanager
    def open(self, address: str, width: int) -> Iterator[Shown]:
        """Open an address in a window of this width, and wait until all of it is there."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        shown = self._pages[session] = Shown(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable", None, session)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", size, session)
        self._loaded.discard(session)
        self.call("Page.navigate", {"url": address}, session)
        while session not in self._loaded:
            self._heard(self._next())
        yield shown
        self.call("Target.closeTarget", {"targetId": target})

    def _heard(self, told: dict[str, Any]) -> None:
        page, params = self._pages.get(told.get("sessionId", "")), told.get("params", {})
        if page is None:
            return
        match told["method"]:
            case "Network.requestWillBeSent":
                page.asked.append(params["request"]["url"])
            case "Network.responseReceived" if params["type"] == "Document":
                page.status = params["response"]["status"]
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                page.said.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                page.said.append(json.dumps(params)[:300])
            case "Page.loadEventFired":
                self._loaded.add(page.session)

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            more = os.read(self._in, 1 << 20)
            assert more, "the browser ended"
            self._rest += more
        told, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(told)
        return found


@contextmanager
def a_browser(profile: Path) -> Iterator[Browser]:
    """Run a browser to the end of the block."""
    from_us, to_us = os.pipe(), os.pipe()
    # It reads from descriptor 3 and writes to 4, whatever ours are.
    script = f'exec "$0" "$@" 3<&{from_us[0]} 4>&{to_us[1]}'
    command = ["bash", "-c", script, tool("chromium"), *_FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    with subprocess.Popen(
        command, pass_fds=(from_us[0], to_us[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(from_us[0])
        os.close(to_us[1])
        try:
            yield Browser(from_us[1], to_us[0])
        finally:
            process.kill()
            os.close(from_us[1])
            os.close(to_us[0])
