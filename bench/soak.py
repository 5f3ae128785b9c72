"""Whether a daemon misses a change of a key, whatever kills it, and whether its memory stays: python -m bench.soak.

The daemon polls two embedded clouds each second and sweeps them each minute, while keys change and SIGKILL ends it at
any moment. A change is missed if no page of the API tells it in time; at the end the ledger itself is walked. No kill
comes in the last third, so that one process lives long enough to be measured.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from auditor.ledger import codec, journal
from auditor.ledger.codec import KeptKey
from auditor.ledger.database import Database
from auditor.ledger.store import LedgerStore
from bench.worlds import Subject, a_world
from tests.system.conftest import free_ports

_TICK: Final = 0.25
_WITHIN: Final = 60.0
"""Seconds until a change must be told, also over a restart."""
_GROWTH: Final = 1.10
_LONG: Final = 300
"""Cycles from which a life tells something of growth: in short ones pools of threads still come and go."""


@dataclass
class Life:
    """One daemon process from its start to its end."""

    process: subprocess.Popen[str]
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    """Resident KiB, file descriptors and threads at each cycle."""

    def sample(self) -> None:
        """Look at it once."""
        with suppress(OSError, IndexError):
            told = Path(f"/proc/{self.process.pid}/status").read_text()
            resident, threads = (int(told.split(f"{name}:")[1].split()[0]) for name in ("VmRSS", "Threads"))
            files = len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
            self.samples.append((resident, files, threads))

    def most(self, what: int, *, first: bool) -> int:
        """The most of one figure in the second sixth of its life, or in the last one."""
        sixth = len(self.samples) // 6
        some = self.samples[sixth : 2 * sixth] if first else self.samples[-sixth:]
        return max(one[what] for one in some)

    @property
    def is_long(self) -> bool:
        """Whether it tells anything of growth."""
        return len(self.samples) >= _LONG


class Daemon:
    """A daemon that is started again whenever it was killed."""

    def __init__(self, config: Path, port: int, env: Mapping[str, str], seconds: int, log: Path) -> None:
        self._command = [sys.executable, "-m", "bench.hasty", str(seconds), "serve", "--standby", "-c", str(config)]
        self._env = env
        self._log = log
        self._address = f"http://127.0.0.1:{port}"
        self.lives = [self._begun()]

    def _begun(self) -> Life:
        with self._log.open("a") as log:
            return Life(subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log, text=True))

    def get(self, path: str) -> Any:
        """An answer of the API; None where there is none."""
        with suppress(OSError, ValueError), urllib.request.urlopen(self._address + path, timeout=5) as answer:  # noqa: S310 - loopback
            return json.load(answer)
        return None

    def kill(self) -> None:
        """End it without a word, and start it again."""
        self.lives[-1].process.kill()
        self.lives[-1].process.wait()
        self.lives.append(self._begun())

    def end(self) -> int:
        """End it in peace; its exit code."""
        self.lives[-1].process.send_signal(signal.SIGTERM)
        return self.lives[-1].process.wait(timeout=30)


@dataclass
class Soak:
    """What is to be done, and what came of it."""

    subjects: Sequence[Subject]
    daemons: Sequence[Daemon]
    changes_at: list[int]
    kills_at: list[int]
    """Cycles, the soonest last."""
    cycles: int = 0
    faults: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Seconds until each change was told."""
    _open: dict[str, float] = field(default_factory=dict)
    """Subject -> when it was changed; not told yet."""
    _seen: str = ""

    def run(self, cycles: int) -> None:
        """Change and kill until so many cycles have passed and every change is told or missed."""
        while self.cycles < cycles or self._open or self.changes_at:
            time.sleep(_TICK)
            self._look()
            if self.kills_at and self.cycles >= self.kills_at[-1]:
                self.kills_at.pop()
                time.sleep(random.uniform(0, 1.5))  # noqa: S311 - at any moment of a poll
                random.choice(self.daemons).kill()  # noqa: S311 - any
            free = [one for one in self.subjects if one.name not in self._open]
            if self.changes_at and self.cycles >= self.changes_at[-1] and free:
                self.changes_at.pop()
                chosen = random.choice(free)  # noqa: S311 - any
                chosen.change()
                self._open[chosen.name] = time.monotonic()
            for daemon in self.daemons:
                if daemon.lives[-1].process.poll() is not None:
                    self.faults.append(f"a daemon ended by itself with {daemon.lives[-1].process.returncode}")
                    daemon.kill()

    def _look(self) -> None:
        told = [status for one in self.daemons if (status := one.get("/api/v1/status")) is not None]
        if sum(status["leader"] for status in told) > 1:
            self.faults.append("two daemons led at a time")
        for status in told:
            if status["judged"] is not None and status["scan"]["id"] > self._seen:
                self._seen = status["scan"]["id"]
                self.cycles += 1
                for one in self.daemons:
                    one.lives[-1].sample()
        shown = next(
            (page for one in self.daemons if (page := one.get("/api/v1/findings?status=open&limit=1000"))), None
        )
        if shown is None:
            return
        standing = {(one["subject"]["id"], one["rule"]) for one in shown["items"] if one["rule"].startswith("data-")}
        now = time.monotonic()
        for subject in self.subjects:
            if subject.name not in self._open:
                continue
            mine = {rule for name, rule in standing if name == subject.name}
            if mine == ({subject.finding} if subject.finding else set()):
                self.waits.append(now - self._open.pop(subject.name))
            elif now - self._open[subject.name] > _WITHIN:
                late = f"cycle {self.cycles}, {len(told)} daemons answer, scan {self._seen}"
                why = f"{subject.name} is {subject.states[-1]}, and told is {mine or 'nothing'} ({late})"
                self.faults.append(f"{datetime.now(UTC):%H:%M:%S} {why}")
                del self._open[subject.name]


def walked(ledger: Path, subjects: Sequence[Subject]) -> tuple[int, int, list[str]]:
    """How many links and polls the ledger has, and what it tells otherwise than it was."""
    store = LedgerStore(ledger, looking=True)
    links = store.verify()
    store.close()
    polls, faults = 0, []
    states: defaultdict[str, list[str]] = defaultdict(list)
    opened: defaultdict[str, list[str]] = defaultdict(list)
    database = Database(ledger, looking=True)
    with database.reading() as connection:
        for one in journal.events(connection):
            polls += one.kind == "poll_made"
            if one.kind == "finding_opened":
                told = json.loads(one.body)
                opened[told["subject"]["id"]] += [told["rule"]] if told["rule"].startswith("data-") else []
            elif one.kind == "key_changed":
                for name, state in _states(codec.load(KeptKey, one.body)):
                    if states[name][-1:] != [state]:
                        states[name].append(state)
    database.close()
    for subject in subjects:
        if states[subject.name] != subject.states:
            faults.append(f"{subject.name} was {subject.states}, and kept is {states[subject.name]}")
        if opened[subject.name] != subject.findings:
            faults.append(f"{subject.name}: {subject.findings} should have opened, and {opened[subject.name]} did")
    return links, polls, faults


def _states(kept: KeptKey) -> list[tuple[str, str]]:
    if kept.aws is not None:
        return [(kept.aws.name.text, kept.aws.state)]
    if kept.gcp is None:
        return []
    return [(f"{kept.gcp.name.text}/cryptoKeyVersions/{one.number}", one.state) for one in kept.gcp.versions]


def grown(life: Life) -> list[str]:
    """What became more over a long life than it may."""
    faults = []
    for what, name in enumerate(("memory, KiB", "file descriptors", "threads") if life.is_long else ()):
        before, after = life.most(what, first=True), life.most(what, first=False)
        if after > _GROWTH * before + (0 if what == 0 else 2):
            faults.append(f"{name}: {before} grew to {after} over {len(life.samples)} cycles")
    return faults


def main() -> int:
    """Print a table; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--cycles", type=int, default=2_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--daemons", type=int, default=1, help="that work with one ledger, one at a time")
    parser.add_argument("--every", type=int, default=1, help="seconds between two polls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="where the daemons' own words stay")
    asked = parser.parse_args()
    random.seed(asked.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, a_world(Path(name)) as (subjects, config, env):
        ports, log = free_ports(asked.daemons), asked.log or Path(name) / "log"
        daemons = [Daemon(config(port), port, env, asked.every, log) for port in ports]
        every = asked.cycles / max(1, asked.changes)
        changes = sorted((int(5 + one * every) for one in range(asked.changes)), reverse=True)
        kills = sorted((random.randrange(5, asked.cycles * 2 // 3) for _ in range(asked.kills)), reverse=True)  # noqa: S311 - it hides nothing
        soak = Soak(subjects, daemons, changes, kills)
        try:
            soak.run(asked.cycles)
            codes = [one.end() for one in daemons]
        finally:
            for one in daemons:
                one.lives[-1].process.kill()
        links, polls, faults = walked(Path(name) / "state" / "ledger.db", subjects)
        told = log.read_text()
    lives = [life for one in daemons for life in one.lives]
    longest = max(lives, key=lambda life: len(life.samples))
    faults = [*soak.faults, *faults, *grown(longest), *(f"a daemon ended with {code}" for code in codes if code)]
    faults += [f"logged: {line}" for line in told.splitlines() if " failed: " in line or "Traceback" in line]
    waits = sorted(soak.waits)
    print(f"seconds                  {time.monotonic() - began:.0f}")
    print(f"polls, links             {polls:,}, {links:,}")
    print(f"changes told             {len(waits)} of {sum(len(one.states) - 1 for one in subjects)}")
    if waits:
        print(f"seconds until told       median {waits[len(waits) // 2]:.1f}, longest {waits[-1]:.1f}")
    print(f"findings opened          {sum(len(one.findings) for one in subjects)}, each once unless told below")
    print(f"kills                    {len(lives) - len(daemons)}")
    print(f"longest life, cycles     {len(longest.samples)}")
    if longest.is_long:
        for what, name in enumerate(("resident KiB", "file descriptors", "threads")):
            print(f"  {name:<22} {longest.most(what, first=True):,} early, {longest.most(what, first=False):,} late")
    print(f"faults                   {len(faults)}")
    for fault in faults:
        print(f"  {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
