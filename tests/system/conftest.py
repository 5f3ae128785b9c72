"""Tests with the real tools of an operator; a tool that is not there is a failure, not a skip."""

import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv" / "peers"
READY_WITHIN = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)


def tool(name: str) -> str:
    """Where a program is; it must be there."""
    places = (Path("/usr/sbin"), Path("/usr/bin"), Path("/bin"), ROOT / ".venv" / "bin", PEERS / "bin")
    found = shutil.which(name, path=":".join(str(one) for one in places))
    assert found, f"{name} is not installed: run tests/system/install.sh, then make test-system"
    return found


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running(*command: str, ready: str, env: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a server from when it answers at `ready` to the end of the block; then it is killed, for nothing is kept."""
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env) as process,
    ):
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not _answers(ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    pytest.fail(f"{command[0]} does not get ready:\n{output.read()[-2_000:].decode(errors='replace')}")
                time.sleep(0.1)
            yield
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        # Who it is nobody asks here: certificates of tests are signed by nobody.
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001 - whether it answers at all is asked
        urllib.request.urlopen(url, timeout=2, context=unverified).close()
    except OSError:
        return False
    return True
