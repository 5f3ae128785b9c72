"""Adds up the matrix of all workers and prints it."""

from collections import Counter
from typing import Any

import pytest

from tests.truth.matrix import MATRIX, table


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["matrix"] = [[*place, count] for place, count in MATRIX.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("matrix", [])
    MATRIX.update(Counter({(claim, can): count for claim, can, count in told}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if MATRIX:
        terminalreporter.section("verdicts against reads")
        for line in table(MATRIX):
            terminalreporter.write_line(line)
