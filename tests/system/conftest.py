"""Tests with the real tools of an operator; a tool that is not there is a failure, not a skip."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)


def tool(name: str) -> str:
    """Where a program is; it must be there."""
    found = shutil.which(name, path=f"{Path('/usr/sbin')}:{Path('/usr/bin')}:{Path('/bin')}:{ROOT / '.venv/bin'}")
    assert found, f"{name} is not installed: run tests/system/install.sh"
    return found
