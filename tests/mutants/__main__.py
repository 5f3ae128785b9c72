"""Change the code that verdicts hang on, one small thing at a time, and tell which changes no test notices.

`make mutants` changes all of it, `make mutants MUTANTS=auditor/engine.py` one module. A change that no test can or
should notice stands in accepted.toml with its reason.
"""

import argparse
import gc
import os
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, Final, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.mutants.operators import Mutant, enums_of, mutants
from tests.mutants.plan import ENUMS, HEAVY, ROOT, Target, planned

_MEMORY: Final = 6 << 30
"""Bytes that one try may take: a change can make a loop endless."""
_PATIENCE: Final = 20.0
"""Seconds of work that a try may take at least; ten times as many as without a change where that is more."""
_WAITS: Final = 20
"""How many times longer than its work a try may last: a busy machine is slow, and notices nothing by that."""

Change = tuple[str, str, str, str]
"""(module, function or class, before, after)."""


class Changed(SourceFileLoader):
    """Gives one module another source than its file has."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self._source = source

    def find_spec(self, fullname: str, *_where: object) -> ModuleSpec | None:
        """Answer for this one module alone."""
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the hook's shape
        """Compile the other source; nothing is read from the cache or written to it."""
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Few:
    """Few examples, always the same and none remembered; loaded after tests/conftest.py has chosen its own."""

    @pytest.hookimpl
    def pytest_configure(self) -> None:
        more: Any = {"database": None, "suppress_health_check": list(HealthCheck)}
        settings.register_profile("few", deadline=None, max_examples=15, derandomize=True, **more)
        settings.load_profile("few")


def started(path: Path, source: str | None, tests: Sequence[str], limit: float) -> int:
    """Fork a process off that runs the tests on the changed source; it ends with 0 when they noticed nothing.

    `limit`: seconds of work, whoever else the machine works for.
    """
    child = os.fork()
    if child == 0:
        _tried(path, source, tests, limit)
    return child


def _tried(path: Path, source: str | None, tests: Sequence[str], limit: float) -> NoReturn:
    code = 1
    try:
        for timer, ended_by, seconds in (
            (signal.ITIMER_PROF, signal.SIGPROF, limit),
            (signal.ITIMER_REAL, signal.SIGALRM, _WAITS * limit),
        ):
            signal.signal(ended_by, signal.SIG_DFL)
            signal.setitimer(timer, seconds)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        if source is not None:
            name = ".".join(path.relative_to(Path.cwd()).with_suffix("").parts).removesuffix(".__init__")
            sys.meta_path.insert(0, Changed(name, path, source))
        noticed = any(pytest.main(["-x", "-q", "-p", "no:cacheprovider", one], plugins=[_Few()]) for one in tests)
        code = int(noticed)
    finally:
        os._exit(code)


def _alive(path: Path, found: Sequence[Mutant], target: Target, limit: float, count: int) -> Iterator[Mutant]:
    """Try all mutants of a module, and yield those that survive."""
    running: dict[int, Mutant] = {}
    waiting = iter(found)
    while True:
        while len(running) < count and (one := next(waiting, None)) is not None:
            running[started(path, one.source, target.tests, limit)] = one
        if not running:
            return
        child, status = os.wait()
        tried = running.pop(child)
        if status == 0:
            yield tried


def _unchanged(target: Target) -> float:
    """Seconds of work that the tests of a target are as they are.

    Raises:
        ValueError: they fail, so that no failure would mean anything.
    """
    _, status, used = os.wait4(started(ROOT, None, target.tests, 600.0), 0)
    if status != 0:
        raise ValueError(f"{' '.join(target.tests)} fail as they are; nothing was changed")
    return used.ru_utime + used.ru_stime


def _accepted(modules: Container[str]) -> set[Change]:
    told = tomllib.loads((ROOT / "tests/mutants/accepted.toml").read_text())["accepted"]
    return {
        (one["module"], one["where"], one["before"], one["after"])
        for one in told
        if one["module"] in modules and one["reason"]
    }


def _try_all(targets: Mapping[str, Target], accepted: set[Change], jobs: int) -> bool:
    """Try every mutant and tell what survives; False where that is not just what was accepted."""
    patience = {one: max(_PATIENCE, 10 * _unchanged(one)) for one in dict.fromkeys(targets.values())}
    enums = {name: members for one in ENUMS for name, members in enums_of((ROOT / one).read_text()).items()}
    total, survived = 0, list[Change]()
    for module, target in targets.items():
        found = list(mutants((ROOT / module).read_text(), enums, classes=target.classes))
        begun, before_it = time.monotonic(), len(survived)
        for one in _alive(ROOT / module, found, target, patience[target], jobs):
            survived.append((module, one.where, one.before, one.after))
            if survived[-1] not in accepted:
                print(f"{module}:{one.line}: in {one.where or 'the module'}\n- {one.before}\n+ {one.after}", flush=True)
        seconds = time.monotonic() - begun
        print(f"{module}: {len(found)} mutants, {len(survived) - before_it} survived, {seconds:.0f} s", flush=True)
        total += len(found)
    for module, where, before, after in sorted(accepted.difference(survived)):
        print(f"{module}: accepted, and no survivor any more: in {where or 'the module'}\n- {before}\n+ {after}")
    print(f"{total} mutants, {total - len(survived)} killed, {len(survived)} survived, {len(accepted)} accepted")
    return set(survived) == accepted


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 1 where an unaccepted mutant survives or an accepted one does not, 2 where nothing could be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="mutate only these, such as auditor/engine.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many tries run at the same time")
    asked = parser.parse_args(argv)
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        targets = planned(asked.modules)
        for name in HEAVY:
            import_module(name)
        gc.freeze()
        return 0 if _try_all(targets, _accepted(targets), asked.jobs) else 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
