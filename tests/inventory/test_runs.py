"""Two passes over one bucket become one run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from auditor import rows
from auditor.inventory.runs import merged
from auditor.model import Encryption, Population, StoredObject

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[str, str | None]


def batches(listed: list[Row], population: Population, page: int) -> Iterator[pa.RecordBatch]:
    """Pages of so many rows, in the listing's order."""
    ordered = sorted(listed, key=lambda row: (row[0].encode(), row[1] or ""))
    for start in range(0, len(ordered), page):
        some: list[Any] = []
        for name, version in ordered[start : start + page]:
            some.append(
                StoredObject(
                    name, version, population, 1, WHEN, None, "STANDARD", False, Encryption.NONE, None, None, WHEN
                )
            )
        yield from rows.batched(some)


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "a/", "b", "\uff41", "\U0001f600", "z"]), st.sampled_from([*"1234", None])),
    unique=True,
)


@given(ROWS, ROWS, st.integers(1, 4), st.integers(1, 4))
def test_every_generation_is_there_once_in_order_and_by_the_later_word(
    stored: list[Row], deleted: list[Row], stored_page: int, deleted_page: int
) -> None:
    live, soft = Population.LIVE, Population.SOFT_DELETED
    twice: list[int] = []
    both = merged(batches(stored, live, stored_page), batches(deleted, soft, deleted_page), twice.append)
    found = [(row["name"], row["version"], row["population"]) for some in both for row in some.to_pylist()]
    expected = dict.fromkeys(stored, live.value) | dict.fromkeys(deleted, soft.value)
    assert {(name, version): population for name, version, population in found} == expected
    assert len(found) == len(expected)
    assert sum(twice) == len(set(stored) & set(deleted))
    names = [name.encode() for name, _, _ in found]
    assert names == sorted(names)
