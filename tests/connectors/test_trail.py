"""A listing that would never end does, and one that tells nothing for a while is waited for."""

import pytest

from auditor.connectors import trail
from auditor.connectors.trail import Trail

ENDLESS = {
    "nothing at all": [None] * 20,
    "the same page again and again": ["a", *["b"] * 20],
    "two pages in turns": ["a", "b"] * 10,
    "the same page, and nothing between": ["a", *["a", None] * 10],
}


@pytest.mark.parametrize("ends", ENDLESS.values(), ids=ENDLESS)
def test_pages_that_tell_nothing_new_come_to_an_end(monkeypatch: pytest.MonkeyPatch, ends: list[str | None]) -> None:
    monkeypatch.setattr(trail, "_EMPTY_PAGES", 5)
    monkeypatch.setattr(trail, "_PAGES_AGAIN", 3)
    found = Trail()
    got_on = [found.gets_on((one,) if one else None) for one in ends]
    assert got_on[0]
    assert not got_on[-1]
    assert 3 <= got_on.index(False) <= 6


def test_pages_without_an_entry_are_counted_anew_behind_each_that_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_EMPTY_PAGES", 5)
    found = Trail()
    for number in range(5):
        for _ in range(4):
            assert found.gets_on(None)
        assert found.gets_on((number,))
