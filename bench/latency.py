"""How long it takes from a change of a key to /metrics and to whoever is called, at the default settings.

Needs the Debian packages of tests/system/install.sh. `python -m bench.latency [rounds]`: two minutes a round at most.
`python -m bench.latency feed [rounds]`: the same to /metrics with a feed, of a queue into which events come at once:
what EventBridge takes comes on top.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from tests.daemon.test_daemon import serving
from tests.logged_changes import AWS_CONFIG, an_aws_world
from tests.small import Small, a_small_cloud
from tests.system.watching import Watched, watching

_WITHIN: Final = 300.0
_BAR: Final = 90
"""Seconds until /metrics has it, by polling alone (design.md, two planes)."""
_BAR_WITH_FEED: Final = 10
"""The same with a feed."""


def measured(rounds: int) -> list[tuple[float, float]]:
    """Seconds until /metrics tells a version that was disabled, and until the pager does, once a round."""
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name, a_small_cloud(Path(name)) as small:
        # Everything else is as a new user has it.
        small.config.write_text(small.config.read_text().replace("key_poll = 5\n", ""))
        with serving(small.config) as daemon, watching(Path(name), daemon, every="30s") as running:
            _until(lambda: daemon.metric("cmek_dependent_objects", readability="readable"))
            for _ in range(rounds):
                time.sleep(random.uniform(0, 60))  # noqa: S311 - whenever somebody does it
                found.append(_round(small, running))
    return found


def _round(small: Small, running: Watched) -> tuple[float, float]:
    began = time.monotonic()
    small.set_state(1, "DISABLED")
    _until(lambda: running.daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
    told = time.monotonic() - began
    _until(lambda: (running.pager.last("CmekDataCannotBeRead") or {}).get("status") == "firing")
    called = time.monotonic() - began
    small.set_state(1, "ENABLED")
    _until(lambda: (running.pager.last("CmekDataCannotBeRead") or {}).get("status") == "resolved")
    return told, called


def measured_with_feed(rounds: int) -> list[float]:
    """Seconds until /metrics tells a key that was disabled, once a round."""
    found: list[float] = []
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        an_aws_world(Path(name), patch) as world,
    ):
        queue = world.store.add_queue("cmek")
        account = f'[[account]]\nid = "{queue.account}"\nfeed = "{queue.url}"\n'
        world.config.write_text(f'{AWS_CONFIG}[web]\nlisten = "127.0.0.1:0"\n{account}')
        with serving(world.config) as daemon:
            _until(lambda: daemon.metric("cmek_dependent_objects", readability="readable"))
            for _ in range(rounds):
                time.sleep(random.uniform(0, 60))  # noqa: S311 - whenever somebody does it
                world.disable()
                began = time.monotonic()
                _until(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)
                found.append(time.monotonic() - began)
                world.enable()
                _until(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 0)
    return found


def _until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + _WITHIN
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.1)


def main() -> int:
    """Print each round and the worst; 1 where the bar is missed."""
    if sys.argv[1:2] == ["feed"]:
        found = measured_with_feed(int(sys.argv[2]) if len(sys.argv) > 2 else 10)  # noqa: PLR2004 - the second word
        print(" ".join(f"{one:.1f}" for one in found))
        print(f"/metrics with a feed: median {median(found):.1f} s, longest {max(found):.1f} s of {len(found)}")
        return int(max(found) > _BAR_WITH_FEED)
    rounds = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    for told, called in rounds:
        print(f"/metrics {told:5.1f} s, pager {called:5.1f} s")
    for what, each in (("/metrics", [one[0] for one in rounds]), ("pager", [one[1] for one in rounds])):
        print(f"{what}: median {median(each):.0f} s, longest {max(each):.0f} s of {len(each)}")
    return int(max(told for told, _ in rounds) > _BAR)


if __name__ == "__main__":
    sys.exit(main())
