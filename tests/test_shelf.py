"""Reports that are kept are there whole or not at all, and what is read is what was written."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.errors import AuditorError
from auditor.shelf import ChangedError, Damaged, Kept, Shelf, Told, Uploaded

MADE = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
DEEP = b'{"a": ' + b"[" * 10_000
HUGE = b'{"a": "' + b"a" * (1 << 20) + b'"}'


def told(after: int = 0) -> Told:
    made = MADE + timedelta(seconds=after)
    return Told("a run", made - timedelta(minutes=1), made, "All can be read.", "1.0", 7, "a" * 64)


def page(folder: Path) -> None:
    (folder / "report.html").write_text("<p>page</p>")
    (folder / "report-gaps.csv").write_text("what\n")


def test_what_was_put_is_read_and_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 3)
    assert (shelf.listed(), shelf.newest(MADE)) == ((), None)
    name, kept = shelf.put(told(), page)
    assert name == "2026-11-28T06-00-00Z"
    assert [(one.name, one.size) for one in kept.files] == [("report-gaps.csv", 5), ("report.html", 11)]
    assert shelf.listed() == ((name, Kept(told(), kept.files)),)
    assert shelf.newest(MADE) == MADE
    assert shelf.newest(MADE - timedelta(seconds=1)) is None
    assert shelf.read(name, "report.html") == b"<p>page</p>"
    assert shelf.read(name, "report.json") is None
    assert shelf.read("2026-11-29T06-00-00Z", "report.html") is None


def test_the_oldest_go_and_those_of_one_second_are_told_apart(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 3)
    for after in (0, 1, 1, 1):
        shelf.put(told(after), page)
    names = ["2026-11-28T06-00-01Z-3", "2026-11-28T06-00-01Z-2", "2026-11-28T06-00-01Z"]
    assert [name for name, _ in shelf.listed()] == names


@pytest.mark.parametrize("keep", [1, 3])
def test_what_was_just_put_stays_though_a_clock_that_was_ahead_has_named_others(tmp_path: Path, keep: int) -> None:
    shelf = Shelf(tmp_path, keep)
    for after in (86_400, 86_401, 86_402):
        shelf.put(told(after), page)
    name, _ = shelf.put(told(), page)
    assert shelf.read(name, "report.html") == b"<p>page</p>"
    assert len(shelf.listed()) == keep


def test_the_disk_has_a_report_and_the_folder_that_names_its_files_before_it_is_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[str] = []
    monkeypatch.setattr("auditor.shelf._settle", lambda path: settled.append(path.name))
    name, _ = Shelf(tmp_path, 3).put(told(), page)
    *files, writing, folder = settled
    assert sorted(files) == ["kept.json", "report-gaps.csv", "report.html"]
    assert (writing, folder) == (f".unfinished-{name}", tmp_path.name)


def test_of_ten_in_a_second_the_last_one_is_the_newest(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 20)
    names = [shelf.put(told(), page)[0] for _ in range(11)]
    assert [name for name, _ in shelf.listed()] == names[::-1]


def test_a_second_has_room_for_any_number_of_them(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 2_000)
    name, _ = shelf.put(told(), page)
    for number in range(2, 1_002):
        (tmp_path / f"{name}-{number}").mkdir()
    assert shelf.put(told(), page)[0] == f"{name}-1002"
    assert shelf.listed()[0][0] == f"{name}-1002"


def test_of_what_could_not_be_written_nothing_is_left_and_those_of_before_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1)
    name, _ = shelf.put(told(), page)

    def full(folder: Path) -> None:
        page(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(AuditorError, match="No space left on device"):
        shelf.put(told(9), full)
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_what_a_killed_process_left_is_no_report_and_goes_with_the_next_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 2)
    (tmp_path / ".unfinished-2026-11-28T05-00-00Z").mkdir()
    assert shelf.listed() == ()
    name, _ = shelf.put(told(), page)
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("..", "report.html"),
        ("../reports/2026-11-28T06-00-00Z", "report.html"),
        ("2026-11-28T06-00-00Z", "../../secret.txt"),
        ("2026-11-28T06-00-00Z", "kept.json"),
        ("2026-11-28T06-00-00Z\n", "report.html"),
        ("2026-11-28T06-00-00Z", "report.html\n"),
        (".unfinished-2026-11-28T06-00-00Z", "report.html"),
        ("", ""),
    ],
)
def test_no_name_leads_out_of_it(tmp_path: Path, name: str, file: str) -> None:
    shelf = Shelf(tmp_path / "reports", 3)
    shelf.put(told(), page)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "reports" / ".unfinished-2026-11-28T06-00-00Z").mkdir()
    assert shelf.read(name, file) is None


def test_what_was_changed_is_not_shown_as_what_was_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 3)
    name, _ = shelf.put(told(), page)
    (tmp_path / name / "report.html").write_text("<p>pagE</p>")
    with pytest.raises(ChangedError, match="was changed since it was written"):
        shelf.read(name, "report.html")
    (tmp_path / name / "report.html").unlink()
    with pytest.raises(ChangedError, match="No such file"):
        shelf.read(name, "report.html")
    assert shelf.read(name, "report-gaps.csv") == b"what\n"


def test_one_that_was_made_while_the_clock_was_ahead_hides_none_of_before(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 3)
    shelf.put(told(), page)
    shelf.put(told(365 * 86_400), page)
    assert shelf.newest(MADE + timedelta(days=1)) == MADE


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"told": {}, "files": []}', DEEP, HUGE])
def test_of_which_nobody_knows_what_it_was_it_is_told_so(tmp_path: Path, body: bytes) -> None:
    shelf = Shelf(tmp_path, 3)
    older, _ = shelf.put(told(), page)
    newer, _ = shelf.put(told(60), page)
    (tmp_path / newer / "kept.json").write_bytes(body)
    (first, about), (second, _) = shelf.listed()
    assert (first, second, isinstance(about, Damaged)) == (newer, older, True)
    assert shelf.newest(MADE) == MADE
    with pytest.raises(ChangedError, match=r"what report .* was is not known"):
        shelf.read(newer, "report.html")


@pytest.mark.parametrize(
    "body", [DEEP, HUGE, b'{"to": "\xff", "at": "2026-11-28T06:00:00Z"}', b'{"to": "gs://own", "at": "2026']
)
def test_a_damaged_note_counts_as_none_and_breaks_no_look_at_what_waits(tmp_path: Path, body: bytes) -> None:
    shelf = Shelf(tmp_path, 3)
    name, _ = shelf.put(told(), page)
    (tmp_path / name / ".uploaded").write_bytes(body)
    assert (shelf.uploaded(name), shelf.waiting("gs://own")) == (None, (name,))


def test_a_time_without_a_zone_is_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 3)
    name, _ = shelf.put(told(), page)
    about = tmp_path / name / "kept.json"
    about.write_bytes(re.sub(rb'"made":"([^"]*)Z"', rb'"made":"\1"', about.read_bytes()))
    assert shelf.newest(MADE) is None


@pytest.mark.parametrize("file", ["report.html", "kept.json", ".uploaded"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, file: str) -> None:
    shelf = Shelf(tmp_path, 3)
    name, _ = shelf.put(told(), page)
    (tmp_path / name / file).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name / file)
    assert shelf.waiting("gs://own") == (name,)
    if file != ".uploaded":
        with pytest.raises(ChangedError, match="is no file"):
            list(shelf.content(name))


def test_no_link_is_followed_neither_to_read_nor_to_write(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 3)
    name, _ = shelf.put(told(), page)
    folder, elsewhere = tmp_path / "reports" / name, tmp_path / "elsewhere"
    elsewhere.write_bytes((folder / "report.html").read_bytes())
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(elsewhere)
    with pytest.raises(ChangedError, match=r"report\.html of report .* cannot be read"):
        shelf.read(name, "report.html")
    (folder / ".uploaded-writing").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    shelf.tell_uploaded(name, Uploaded("gs://own", MADE))
    assert (elsewhere.read_bytes(), shelf.waiting("gs://own")) == (before, ())
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert isinstance(shelf.listed()[0][1], Damaged)
