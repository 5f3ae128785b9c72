"""What the daemon's log says of bundles and of gaps: each once, when it happens, and never many lines."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor.config import load
from auditor.daemon.timers import Daemon
from auditor.errors import LedgerError
from auditor.signing import envelope
from auditor.wiring import assemble
from tests.bundles import Customer, Operator, a_customer, an_operator

Turn = Callable[[], list[str]]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        running.scanned()
        assert running.bundle("-q", "--operator", "Example Platform") == 0
        (running.folder / "older.json").write_bytes(running.made.read_bytes())
        # Each command takes the log for itself: the newer one is made before anybody listens.
        running.put("acme/new", 3)
        running.hand_over()
        yield running


@pytest.fixture
def customer(operator: Operator) -> Customer:
    return a_customer(operator)


@pytest.fixture
def turn(customer: Customer, caplog: pytest.LogCaptureFixture) -> Iterator[Turn]:
    """A poll of the customer's daemon, and what its log says of bundles."""
    config = load(customer.config)
    assembly = assemble(config, customer.cloud.store.clock)
    made = Daemon(assembly.parts, config.schedule)

    def poll() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            made._poll()  # noqa: SLF001 - what its timer calls
        return [
            f"{one.levelname} {one.getMessage()}" for one in caplog.records if one.name == "auditor.telling.bundles"
        ]

    yield poll
    assembly.close()


def of_bundles(lines: list[str]) -> list[str]:
    return [one for one in lines if one.partition(" ")[2].startswith("bundle ")]


def test_a_bundle_that_is_missing_comes_is_refused_and_goes_is_told_each_time_once(
    customer: Customer, operator: Operator, turn: Turn
) -> None:
    lines = turn()
    assert len(of_bundles(lines)) == 1
    assert lines[0].startswith("WARNING bundle missing: registry acme.json: ")
    assert "No such file or directory; what it tells is not known; " in lines[0]
    assert of_bundles(turn()) == []

    good = (operator.folder / "older.json").read_bytes()
    customer.bundle.write_bytes(good)
    signer = envelope.fingerprint(operator.key.public_key())
    (taken,) = of_bundles(turn())
    assert taken.startswith("INFO bundle taken: registry acme.json of tenant acme, made ")
    assert " ago by Example Platform (as it says) from sweeps since " in taken
    assert taken.endswith(f"signed by sha256:{signer}")
    assert turn() == []

    customer.bundle.write_text(json.dumps({**json.loads(good), "payload": "AAAA"}))
    (refused,) = of_bundles(turn())
    assert refused.startswith("WARNING bundle refused: registry acme.json: ")
    assert "is not believed" in refused
    assert of_bundles(turn()) == []
    customer.bundle.write_bytes(good[:100])
    (refused,) = of_bundles(turn())
    assert refused.startswith("WARNING bundle refused: "), "another reason is news"
    customer.bundle.unlink()
    assert of_bundles(turn())[0].startswith("WARNING bundle missing: ")
    customer.bundle.write_bytes(good)
    assert of_bundles(turn()) == ["INFO bundle believed again: registry acme.json"]

    customer.given(operator)
    (taken,) = of_bundles(turn())
    assert taken.startswith("INFO bundle taken: registry acme.json of tenant acme, made ")


def test_a_bundle_of_which_nothing_could_be_told_is_told_of_with_the_next_poll(
    customer: Customer, operator: Operator, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn()
    customer.given(operator)

    def fail(_: object) -> None:
        raise LedgerError("the server went away")

    with monkeypatch.context() as patched:
        patched.setattr("auditor.telling.lines.tell", fail)
        assert turn() == []
    (taken,) = of_bundles(turn())
    assert taken.startswith("INFO bundle taken: ")
