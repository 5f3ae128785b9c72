"""A registry whose file is only the beginning of what it was: somebody may be writing it, or broke off."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from auditor.connectors.registry_file import FileRegistry
from auditor.errors import CollectError
from auditor.inventory.registry import RegistryStore
from tests.clouds import GOOGLE_KEY

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ROWS = tuple(f"{name},{GOOGLE_KEY}-{name},acme\n" for name in ("chat", "mail", "wiki"))
BAD = "odd,no key,acme\n"
LINES = "".join(f'{{"namespace": "{name}", "key": "{GOOGLE_KEY}"}}\n' for name in ("chat", "mail"))
ARRAY = f"[{','.join(LINES.splitlines())}]"


def rows(*every: str) -> str:
    return "".join(("namespace,key,tenant\n", *every))


WHOLE = rows(*ROWS)
OPEN = WHOLE[:-1]
"""As it is left by editors that write no last line break."""
HELD = "it is only the beginning of what it was"
CUT = "it is cut off"

Read = Callable[[str], str]


def reading(path: Path, apart: timedelta = timedelta(seconds=30)) -> Read:
    """Lets polls, so far `apart`, find a file that says something, and tells what they believe, or why they do not."""
    times = count(1)
    store = RegistryStore(path.parent / "registry", {})
    source = FileRegistry(path, None, None, {}, path.name)

    def read(text: str) -> str:
        path.write_text(text)
        kept, version = store.kept(source), source.version()
        if kept is not None and kept.version == version:
            store.unchanged(source)
        else:
            try:
                kept = store.keep(source, version, NOW + next(times) * apart)
            except CollectError as error:
                return str(error).removeprefix(f"{path} ").partition(":")[0]
        unusable = ["unusable"] * kept.registry.unusable
        return " ".join([*map(str, pq.read_table(kept.path).column("namespace").to_pylist()), *unusable])

    return read


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return reading(tmp_path / "namespaces.csv")


BEGINNINGS: dict[str, tuple[str, str, str, str]] = {
    "at the end of a line": (WHOLE, rows(*ROWS[:2]), HELD, "chat mail"),
    "after the first": (WHOLE, rows(ROWS[0]), HELD, "chat"),
    "before a line break": (WHOLE, rows(*ROWS[:2])[:-1], CUT, CUT),
    "within a tenant": (WHOLE, rows(*ROWS[:2])[:-3], CUT, CUT),
    "within the last tenant": (WHOLE, WHOLE[:-3], CUT, CUT),
    "before the last tenant": (WHOLE, WHOLE[:-5], CUT, CUT),
    "of what never had its last line break": (OPEN, OPEN[: -len(ROWS[2])], HELD, "chat mail"),
    "within the last tenant of such a one": (OPEN, OPEN[:-1], HELD, "chat mail wiki"),
    "with what was unusable before": (rows(BAD, *ROWS), rows(BAD, ROWS[0]), HELD, "chat unusable"),
    "with nothing but that": (rows(BAD, *ROWS), rows(BAD), HELD, "unusable"),
    "before what was unusable": (rows(*ROWS, BAD), WHOLE, HELD, "chat mail wiki"),
}


@pytest.mark.parametrize(("before", "now", "first", "then"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_the_beginning_of_a_file_is_not_believed_at_once(
    read: Read, before: str, now: str, first: str, then: str
) -> None:
    read(before)
    assert (read(now), read(now)) == (first, then)


LAST = len(ROWS[2])
PLACES = {1: "chat mail wiki", 2: CUT, 5: CUT, 6: "cannot be understood", LAST - 1: "cannot be understood", LAST: HELD}
"""How many characters of the last line are cut off -> what is told."""


def test_wherever_its_last_line_is_cut_no_entry_is_lost_or_changed(read: Read) -> None:
    read(WHOLE)
    assert {cut: read(WHOLE[:-cut]) for cut in sorted(PLACES, reverse=True)} == PLACES


def test_a_key_that_is_cut_off_is_no_key(read: Read) -> None:
    told = f"namespace,key\nchat,{GOOGLE_KEY}\nmail,{GOOGLE_KEY}\n"
    read(told)
    assert (read(told[:-2]), read(told[: -len("cryptoKeys/main") - 1])) == (CUT, CUT)


HONEST: dict[str, tuple[str, str, str]] = {
    "another order": (WHOLE, rows(ROWS[1], ROWS[0]), "mail chat"),
    "the first is gone": (WHOLE, rows(*ROWS[1:]), "mail wiki"),
    "another key": (WHOLE, rows(ROWS[0], ROWS[1].replace("-mail", "-new")), "chat mail"),
    "more": (rows(*ROWS[:2]), WHOLE, "chat mail wiki"),
    "without its last line break": (WHOLE, OPEN, "chat mail wiki"),
    "more, without a last line break": (rows(*ROWS[:2]), OPEN, "chat mail wiki"),
    "a shorter key": (WHOLE, WHOLE.replace("-wiki", "-w"), "chat mail wiki"),
    "an entry that becomes unusable": (WHOLE, rows(ROWS[0], BAD), "chat unusable"),
    "what was unusable is mended": (rows(*ROWS[:2], BAD), WHOLE, "chat mail wiki"),
    "all of it becomes unusable": (rows(*ROWS[:2]), rows(BAD, BAD), "unusable unusable"),
}


@pytest.mark.parametrize(("before", "now", "told"), HONEST.values(), ids=HONEST)
def test_what_is_no_beginning_of_what_it_was_is_believed_at_once(read: Read, before: str, now: str, told: str) -> None:
    read(before)
    assert read(now) == told


@pytest.mark.parametrize(("seconds", "told"), [(15, [HELD, HELD, "chat"]), (-60, [HELD, HELD, HELD])])
def test_polls_that_follow_at_once_or_by_a_clock_that_was_set_back_believe_nothing_more(
    tmp_path: Path, seconds: int, told: list[str]
) -> None:
    read = reading(tmp_path / "namespaces.csv", timedelta(seconds=seconds))
    read(WHOLE)
    assert [read(rows(ROWS[0])) for _ in range(3)] == told


def test_each_beginning_is_held_by_itself_and_again_after_the_whole(read: Read) -> None:
    read(WHOLE)
    assert (read(rows(ROWS[0])), read(rows(*ROWS[:2]))) == (HELD, HELD), "a file that grows while it is written"
    assert read(WHOLE) == "chat mail wiki"
    assert read(rows(*ROWS[:2])) == HELD, "the next writer broke off in the same place"


def test_what_is_empty_is_not_believed_after_what_could_not_be_used_either(read: Read) -> None:
    read(WHOLE)
    assert read(rows(BAD, BAD)) == "unusable unusable"
    assert read("") == "it is empty, and had 2 entries, none of which can be used, before"


def test_lines_of_objects_may_be_cut_off_and_an_array_may_not(tmp_path: Path) -> None:
    lines, array = reading(tmp_path / "a.jsonl"), reading(tmp_path / "a.json")
    lines(LINES)
    first = LINES.partition("\n")[0]
    assert (lines(f"{first}\n"), lines(first)) == (HELD, CUT)
    assert lines(first.replace("/cryptoKeys/", "")) == CUT, "the first entry cannot be used any more"
    array(ARRAY)
    assert array(f"[{first}]") == "chat"
