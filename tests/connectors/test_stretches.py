"""What is listed to the byte as it was is not decoded again: what pages are compared with, and where stretches end."""

import pytest

from auditor.connectors.aws import stretches
from auditor.connectors.aws.listing import NoPageError, Page
from auditor.connectors.aws.sheets import Sheet
from auditor.connectors.aws.stretches import Stretches
from auditor.ports import Same
from tests.connectors.listings import STYLES, Entry, expected, listed, pages, rows


@pytest.fixture(autouse=True)
def stretches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "ROWS", 4)


@pytest.mark.parametrize("change", ["new", "gone", "other", "last"])
def test_a_change_costs_its_own_stretch_alone(change: str) -> None:
    entries = [Entry(f"{number:02}") for number in range(40)]
    known, _ = listed(pages(entries, [4] * 10, of_versions=False), [], of_versions=False)
    assert [one.rows for one in known] == [4] * 10
    changed = {
        "new": [*entries[:10], Entry("09x"), *entries[10:]],
        "gone": entries[:10] + entries[11:],
        "other": [*entries[:10], Entry("10", etag="f"), *entries[11:]],
        "last": [*entries, Entry("40")],
    }[change]
    kept, decoded = listed(pages(changed, [7] * 10, of_versions=False), known, of_versions=False)
    assert rows(kept) == expected(changed, of_versions=False)
    assert decoded == {"new": 5, "gone": 3, "other": 4, "last": 1}[change]
    again, decoded = listed(pages(changed, [3] * 20, of_versions=False), kept, of_versions=False)
    assert (rows(again), decoded) == (rows(kept), 0)


def test_of_a_stretch_in_two_dialects_no_bytes_are_known() -> None:
    entries = [Entry(f"{number:02}") for number in range(3)]
    for styles, known in ((("", ""), True), (("", "not encoded"), False), (("not encoded", ""), False)):
        first, _ = pages(entries, [2, 1], of_versions=True, style=styles[0])
        _, second = pages(entries, [2, 1], of_versions=True, style=styles[1])
        (one,), _ = listed([first, second], [], of_versions=True)
        assert (one.rows, one.fingerprint is not None) == (3, known)


def test_a_stretch_does_not_end_within_a_name() -> None:
    entries = [Entry(name, version) for name in ("0", "1", "2") for version in ("v1", "v2", "v3")]
    kept, _ = listed(pages(entries, [4, 1, 4], of_versions=True), [], of_versions=True)
    assert [one.rows for one in kept] == [9]
    again, decoded = listed(pages(entries, [2] * 5, of_versions=True), kept, of_versions=True)
    assert (rows(again), decoded) == (rows(kept), 0)


def test_a_stretch_does_not_end_within_a_name_where_a_delete_marker_stands_last_on_its_page() -> None:
    marked = [Entry("b1"), Entry("b2"), Entry("b3"), Entry("b4", marker=True), Entry("b5", marker=True)]
    then = [*marked, Entry("c", "v1"), Entry("d"), Entry("e")]
    now = [*marked, Entry("c", "v2"), Entry("c", "v1"), Entry("d"), Entry("e")]
    known, _ = listed(pages(then, [2] * 9, of_versions=True, order="markers last"), [], of_versions=True)
    assert [one.last for one in known] == ["c", "e"]
    kept, _ = listed(pages(now, [2] * 9, of_versions=True, order="markers last"), known, of_versions=True)
    assert rows(kept) == expected(now, of_versions=True)


def test_nothing_is_trusted_of_which_nobody_said_so() -> None:
    entries = [Entry(f"{number:02}") for number in range(4)]
    known, _ = listed(pages(entries, [4], of_versions=False), [], of_versions=False)
    (body,) = pages(entries, [4], of_versions=False)
    came = list(Stretches(known).add(Sheet(body, "data", versions=False)))
    assert not any(isinstance(one, Same) for one in came)


def test_of_a_stretch_that_is_not_trusted_everything_is_decoded() -> None:
    entries = [Entry(f"{number:02}") for number in range(12)]
    known, _ = listed(pages(entries, [4] * 3, of_versions=False), [], of_versions=False)
    made = Stretches(known, None, lambda one: one is not known[1])
    came = [
        some
        for body in pages(entries, [6] * 2, of_versions=False)
        for some in made.add(Sheet(body, "data", versions=False, whole=False))
    ]
    assert [one.stretch for one in came if isinstance(one, Same)] == [known[0], known[2]]
    assert [name for one in came if isinstance(one, Page) for name in one.names] == ["04", "05", "06", "07"]


def test_what_is_gone_on_with_within_a_stretch_is_decoded_to_its_end() -> None:
    entries = [Entry(f"{number:02}") for number in range(12)]
    known, _ = listed(pages(entries, [4] * 3, of_versions=False), [], of_versions=False)
    for after, count in (("03", 0), ("05", 2), ("04x", 3)):
        made = Stretches(known, after, lambda _: True)
        left = [one for one in entries if one.name > after]
        came = [
            some
            for body in pages(left, [3] * 4, of_versions=False)
            for some in made.add(Sheet(body, "data", versions=False, whole=False))
        ]
        assert sum(len(one.names) for one in came if isinstance(one, Page)) == count
    # Somebody who lists from the beginning all the same is not taken for one who goes on.
    made = Stretches(known, "01", lambda _: True)
    (body,) = pages(entries, [12], of_versions=False)
    first, *_ = made.add(Sheet(body, "data", versions=False, whole=False))
    assert isinstance(first, Page)
    assert first.names == ["00", "01", "02", "03"]


def test_a_stretch_that_goes_on_within_its_last_name_is_another() -> None:
    entries = [Entry(f"{number:02}", version) for number in range(4) for version in ("v1", "v2")]
    known, _ = listed(pages(entries, [2] * 4, of_versions=True), [], of_versions=True)
    assert [one.rows for one in known] == [4, 4]
    more = [*entries[:4], Entry("01", "v3"), *entries[4:]]
    kept, decoded = listed(pages(more, [4] * 3, of_versions=True), known, of_versions=True)
    assert (rows(kept), decoded) == (expected(more, of_versions=True), 5)
    last = [*entries, Entry("03", "v3")]
    kept, decoded = listed(pages(last, [8, 1], of_versions=True), known, of_versions=True)
    assert (rows(kept), decoded) == (expected(last, of_versions=True), 5)


@pytest.mark.parametrize("then", STYLES)
@pytest.mark.parametrize("now", STYLES)
@pytest.mark.parametrize("of_versions", [False, True])
def test_pages_in_other_words_are_decoded(then: str, now: str, *, of_versions: bool) -> None:
    entries = [Entry(f"{number:02} é", marker=of_versions and number % 5 == 3) for number in range(40)]
    known, _ = listed(pages(entries, [5] * 8, of_versions=of_versions, style=then), [], of_versions=of_versions)
    bodies = list(pages(entries, [7] * 8, of_versions=of_versions, style=now))
    try:
        kept, decoded = listed(bodies, known, of_versions=of_versions)
    except NoPageError:
        # Where they cannot be told apart by their bytes a sweep begins anew without what was known.
        assert now == "comments"
        kept, decoded = listed(bodies, [], of_versions=of_versions, whole=True)
    assert rows(kept) == expected(entries, of_versions=of_versions)
    assert decoded == (0 if then == now == "" else len(rows(kept)))


def test_a_name_that_stands_before_its_place_ends_the_stretch_that_it_stands_in() -> None:
    entries = [Entry(f"{number:02}") for number in range(12)]
    known, _ = listed(pages(entries, [4] * 3, of_versions=False), [], of_versions=False)
    moved = [*entries[:4], entries[9], entries[5], entries[4], *entries[6:9], *entries[10:]]
    kept, decoded = listed(pages(moved, [6, 6], of_versions=False), known, of_versions=False)
    assert (rows(kept), decoded) == (expected(moved, of_versions=False), 8), "and it comes to an end"
