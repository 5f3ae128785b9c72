"""A private file is whole or not there, and what was left of one goes."""

import os
import time
from pathlib import Path

import pytest

from auditor.errors import AuditorError
from auditor.private_file import private_file

LONG_AGO = time.time() - 3601


def test_what_was_left_by_a_process_that_was_killed_goes_with_the_next_one(tmp_path: Path) -> None:
    target = tmp_path / "q4.zip"
    mine = (".writing-1-q4.zip", ".writing-4194304-q4.zip")
    others = (".writing-1-q3.zip", ".writing-x-q4.zip", ".writing--q4.zip", "writing-1-q4.zip", ".writing-1-2-q4.zip")
    for name in (*mine, *others):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    young = tmp_path / ".writing-2-q4.zip"
    young.write_bytes(b"somebody writes it")
    with private_file(target) as file:
        file.write(b"whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([*others, young.name, target.name])
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"whole", 0o600)


def test_what_cannot_be_removed_keeps_nobody_from_writing(tmp_path: Path) -> None:
    folder = tmp_path / ".writing-1-q4.zip"
    folder.mkdir()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    with private_file(tmp_path / "q4.zip") as file:
        file.write(b"whole")
    assert (tmp_path / "q4.zip").read_bytes() == b"whole"


def half_written(target: Path) -> None:
    with private_file(target) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")


def test_where_writing_ends_in_an_error_all_is_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "q4.zip"
    target.write_bytes(b"before")
    with pytest.raises(AuditorError, match=r"cannot write .*q4\.zip: No space"):
        half_written(target)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("q4.zip", b"before")]
