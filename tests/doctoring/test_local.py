"""What can be told without a cloud is told, and left as it is."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.script import ScriptDirectory

from auditor import connectors
from auditor.checkup import Answer, exit_code
from auditor.doctoring import local
from auditor.locks import held
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud
from tests.turbopuffer_cloud import API_KEY, a_registered_cloud
from tests.visits import run, the, tree, visit

KEY_ENV = "TPUF_KEY_OF_TESTS"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def test_a_state_folder_that_cannot_be_is_missing(small: Small) -> None:
    (small.config.parent / "state").write_text("no folder")
    checks = visit(small)
    told = the(checks, "state folder /")
    assert (told.answer, "is no folder" in told.told, exit_code(checks)) == (Answer.MISSING, True, 1)


def test_a_state_folder_that_may_not_be_written_to_is_missing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small.config.parent / "state"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        # Root may write everywhere: what the system tells everybody else is told here.
        ask = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder and ask(path, mode))
    assert the(visit(small), "state folder /").answer is Answer.MISSING


def test_what_others_may_read_or_write_is_told(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan", "-q"))
    folder = small.config.parent / "state"
    folder.chmod(0o755)
    (folder / "ledger.db").chmod(0o644)
    small.config.chmod(0o666)
    checks = visit(small)
    assert sorted(one.todo for one in checks if one.answer is Answer.MISSING) == [
        f"chmod 700 {folder}",
        f"chmod go-w {small.config}",
    ]
    folder.chmod(0o700)
    small.config.chmod(0o600)
    assert exit_code(visit(small)) == 0


def test_a_disk_that_has_no_room_for_another_sweep_is_told(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, small.argv("scan", "-q"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=150_000_000))
    assert the(visit(small), "disk").answer is Answer.OK
    monkeypatch.setattr(local, "_size", lambda _: 100_000_000)
    assert the(visit(small), "disk").answer is Answer.MISSING
    monkeypatch.setattr(local, "_size", lambda _: 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=99_000_000))
    assert the(visit(small), "disk").answer is Answer.MISSING


def damage_chain(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE event SET body = '{}' WHERE seq = 1")
    database.close()


def age(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()


LEDGERS: dict[str, tuple[Callable[[Path], object], Answer, str]] = {
    "its chain was changed": (damage_chain, Answer.MISSING, "ledger"),
    "no database": (lambda path: path.write_bytes(b"no database" * 500), Answer.MISSING, "not a database"),
    "of a newer version": (lambda path: age(path, "v9999"), Answer.MISSING, "written by a newer version"),
    "empty": (lambda path: path.write_bytes(b""), Answer.OK, "is empty"),
}


@pytest.mark.parametrize(("harm", "answer", "told"), LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_that_cannot_be_used_is_told_and_left_alone(
    small: Small, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], object], answer: Answer, told: str
) -> None:
    run(capsys, small.argv("scan", "-q"))
    path = small.config.parent / "state" / "ledger.db"
    harm(path)
    before = tree(path.parent)
    found = the(visit(small), "ledger ")
    assert (found.answer, told in found.told) == (answer, True), found
    assert tree(path.parent) == before


def test_a_ledger_of_an_older_version_is_not_brought_up_to_date(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, small.argv("scan", "-q"))
    monkeypatch.setattr(ScriptDirectory, "get_current_head", lambda _: "one that is still to be written")
    path = small.config.parent / "state" / "ledger.db"
    before = tree(path.parent)
    found = the(visit(small), "ledger ")
    assert (found.answer, "written by an older version" in found.told) == (Answer.OK, True)
    assert tree(path.parent) == before


def test_a_daemon_that_works_on_the_state_folder_is_told(small: Small, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert the(visit(small), "daemon").told == "none runs"
    assert not (tmp_path / "state" / "daemon.lock").exists()
    with held(tmp_path / "state" / "daemon.lock", AssertionError()):  # type: ignore[arg-type]  # never raised here
        assert the(visit(small), "daemon").told == "one runs; commands may run beside it"
    assert the(visit(small), "daemon").told == "none runs"


def test_registries_are_read_and_told_where_they_cannot_be_used(small: Small, tmp_path: Path) -> None:
    small.config.write_text(f'{small.config.read_text()}\n[[registry]]\nkind = "file"\npath = "of.csv"\n')
    assert the(visit(small), "registry").answer is Answer.MISSING
    (tmp_path / "of.csv").write_text(f"namespace,key\nacme/old,{GOOGLE_KEY}\nacme/new,alias/x\n")
    told = the(visit(small), "registry")
    assert (told.answer, "of its first 2 entries, 1 cannot be used, the first line 3" in told.told) == (
        Answer.MISSING,
        True,
    )
    (tmp_path / "of.csv").write_text(f"namespace,key\nacme/old,{GOOGLE_KEY}\n")
    assert the(visit(small), "registry").answer is Answer.OK


@pytest.mark.parametrize(
    ("mount", "answer"),
    [
        ("fuse.gcsfuse data", Answer.MISSING),
        ("fuse.s3fs elsewhere", Answer.UNKNOWN),
        ("ext4 /dev/sda1", Answer.OK),
    ],
)
def test_a_memory_that_hangs_on_a_key_that_it_watches_is_told(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: str, answer: Answer
) -> None:
    mounts = tmp_path / "mountinfo"
    root = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
    mounts.write_text(f"{root}\n30 22 0:50 / {tmp_path} rw,nosuid shared:9 - {mount} rw,user_id=0\n")
    monkeypatch.setattr(local, "_MOUNTS", mounts)
    assert the(visit(small), "self-lockout").answer is answer
    monkeypatch.setattr(local, "_MOUNTS", tmp_path / "none")
    assert the(visit(small), "self-lockout").answer is Answer.UNKNOWN


def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "turbopuffer", None)
    monkeypatch.delitem(sys.modules, "auditor.connectors.turbopuffer_client", raising=False)
    monkeypatch.delattr(connectors, "turbopuffer_client", raising=False)


UNREADY: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "no API key": (lambda patch: patch.delenv(KEY_ENV), "is not set"),
    "a line break behind the key": (lambda patch: patch.setenv(KEY_ENV, f"{API_KEY}\n"), "holds is no API key"),
    "no client": (no_client, "is not installed"),
}


@pytest.mark.parametrize(("spoil", "told"), UNREADY.values(), ids=UNREADY)
def test_a_registry_that_a_scan_refuses_to_begin_with_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[pytest.MonkeyPatch], None],
    told: str,
) -> None:
    with a_registered_cloud(tmp_path, monkeypatch) as cloud:
        whole = the(visit(cloud.small), "registry turbopuffer")
        spoil(monkeypatch)
        checks = visit(cloud.small)
        one = the(checks, "registry turbopuffer")
        assert (whole.answer, one.answer, exit_code(checks)) == (Answer.OFF, Answer.MISSING, 1)
        code, _, err = run(capsys, cloud.small.argv("scan", "-q"))
        assert (code, told in one.told, one.told in err, one.todo in err) == (2, True, True, True)
        assert cloud.asked() == [], "each request is billed"
        assert API_KEY not in repr(checks) + err


def test_that_reports_may_be_uploaded_nothing_that_only_looks_can_tell(small: Small) -> None:
    text = small.config.read_text().replace("[schedule]\n", '[schedule]\nreport = "0 6 * * *"\n')
    small.config.write_text(text + '[report]\nupload = "gs://own/audit"\n')
    told = the(visit(small), "[report] upload")
    assert (told.answer, "gs://own/audit is set; whether it may be written" in told.told) == (Answer.OFF, True)
    assert not any("own" in one.target for one in small.cloud.traffic.requests)
