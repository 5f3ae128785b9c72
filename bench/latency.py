"""How long it takes from a change of a key to /metrics and to whoever is called, at the default settings.

Needs the Debian packages of tests/system/install.sh. `python -m bench.latency [rounds]`: two minutes a round at most.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from tests.small import Small, a_small_cloud
from tests.system.watching import Watched, watching
from tests.test_daemon import serving

_WITHIN: Final = 300.0
_BAR: Final = 90
"""Seconds until /metrics has it, by polling alone (design.md, two planes)."""


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


def _until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + _WITHIN
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(0.1)


def main() -> int:
    """Print each round and the worst; 1 where the bar is missed."""
    rounds = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    for told, called in rounds:
        print(f"/metrics {told:5.1f} s, pager {called:5.1f} s")
    for what, each in (("/metrics", [one[0] for one in rounds]), ("pager", [one[1] for one in rounds])):
        print(f"{what}: median {median(each):.0f} s, longest {max(each):.0f} s of {len(each)}")
    return int(max(told for told, _ in rounds) > _BAR)


if __name__ == "__main__":
    sys.exit(main())
