"""What is listed to the byte as it was is not decoded again; whatever else there is, no entry is lost or told twice."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.aws import stretches
from tests.connectors.listings import ORDERS, SIZES, Entry, Kept, buckets, expected, listed, pages, rows


@pytest.fixture(autouse=True)
def stretches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "ROWS", 4)


@pytest.mark.parametrize(("of_versions", "order"), [(False, "together"), *((True, order) for order in ORDERS)], ids=str)
@given(data=st.data(), sizes=SIZES)
def test_nothing_is_lost_or_told_twice_whatever_changes(
    data: st.DataObject, sizes: list[int], *, of_versions: bool, order: str
) -> None:
    known: list[Kept] = []
    now = data.draw(buckets(of_versions=of_versions))
    for _ in range(4):
        kept, _ = listed(
            pages(now, data.draw(st.permutations(sizes)), of_versions=of_versions, order=order),
            known,
            of_versions=of_versions,
        )
        assert rows(kept) == expected(now, of_versions=of_versions)
        # Some of it goes, something else comes or changes.
        other = data.draw(buckets(of_versions=of_versions))
        gone = data.draw(st.integers(0, 5))
        both = {(one.name, one.version): one for one in (*now, *other[: data.draw(st.integers(0, 3))])}
        known = kept
        now = [both[place] for number, place in enumerate(sorted(both)) if gone == 0 or number % 6 != gone]


@pytest.mark.parametrize("of_versions", [False, True])
@given(then=SIZES, now=SIZES)
def test_what_is_as_it_was_is_not_decoded_wherever_pages_end(
    then: list[int], now: list[int], *, of_versions: bool
) -> None:
    entries = [Entry(f"{number:02}", marker=of_versions and number % 5 == 3) for number in range(40)]
    known, decoded = listed(pages(entries, then, of_versions=of_versions), [], of_versions=of_versions)
    assert decoded == len(expected(entries, of_versions=of_versions))
    assert len(known) >= 3
    kept, decoded = listed(pages(entries, now, of_versions=of_versions), known, of_versions=of_versions)
    assert (rows(kept), decoded) == (rows(known), 0)


@given(data=st.data(), then=SIZES, now=SIZES)
def test_names_in_no_order_come_to_an_end_and_none_is_lost(
    data: st.DataObject, then: list[int], now: list[int]
) -> None:
    entries = [Entry(f"{number:02}") for number in range(30)]
    known, _ = listed(pages(entries, then, of_versions=False), [], of_versions=False)
    shuffled = data.draw(st.permutations(entries))
    with ended_within(3):
        kept, _ = listed(pages(shuffled, now, of_versions=False), known, of_versions=False)
    assert sorted(rows(kept), key=str) == expected(entries, of_versions=False)


@contextmanager
def ended_within(seconds: int) -> Iterator[None]:
    """Fail where a loop has no end."""

    def too_long(*_: object) -> None:
        raise AssertionError("it does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
