"""A doctor's visit in tests, and what is asked of its checks."""

from pathlib import Path
from typing import Any

import pytest

from auditor import cli, doctoring
from auditor.checkup import Answer, Check
from auditor.config import load
from tests.small import Small


def visit(small: Small, **more: Any) -> tuple[Check, ...]:
    return doctoring.examine(small.config, load(small.config), **more)


def named(checks: tuple[Check, ...], answer: Answer) -> set[str | None]:
    return {one.permission for one in checks if one.answer is answer}


def the(checks: tuple[Check, ...], what: str) -> Check:
    """The one that begins or ends so; of a thing and its rights, the thing."""
    found = [one for one in checks if one.what.startswith(what) or one.what.endswith(what)]
    assert len(found) == 1 or all(one.what.startswith(found[0].what) for one in found), [one.what for one in found]
    return found[0]


def run(capsys: pytest.CaptureFixture[str], argv: list[str]) -> tuple[int, str, str]:
    code = cli._run(argv)  # noqa: SLF001 - the command without the end of the process
    out, err = capsys.readouterr()
    return code, out, err


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(one.relative_to(folder)): (one.stat().st_mtime_ns, one.read_bytes() if one.is_file() else b"")
        for one in sorted(folder.rglob("*"))
    }
