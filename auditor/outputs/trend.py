"""What the report shows of the last scans: how much could not be read, or was not known, after each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from auditor.outputs import words
from auditor.questions.period.answer import Much
from auditor.questions.period.scans import Scanned

_LEAST_HEIGHT: Final = 2.0
"""Percent: what is less is drawn as high, so that it is seen."""
_GAP: Final = 0.3
"""Percent between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """What is drawn of one scan, in percent from the upper left corner."""

    x: float
    y: float
    width: float
    height: float
    readability: str


@dataclass(frozen=True, slots=True)
class TrendView:
    """Columns and one row for each scan."""

    nothing: str
    """Why the last scans are not told; empty where they are."""
    unit: str
    """What columns are the number of."""
    most: str
    most_unknown: str
    """Empty where all was known."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, str, str, str], ...]
    """(scan, objects, bytes, bytes not known)."""


def view(told: Sequence[Scanned] | str) -> TrendView:
    """Build the section's view; of a text, that it is why there is none."""
    scans = () if isinstance(told, str) else told
    # Where nobody tells bytes of some data, namespaces are all that can be compared.
    by_size = all(much.size is not None for one in scans for much in (one.stopped, one.unknown))

    def number(much: Much) -> int:
        return (much.size or 0) if by_size else much.namespaces

    def shown(count: int) -> str:
        return words.size(count) if by_size else words.number(count)

    numbers = [(number(one.stopped), number(one.unknown)) for one in scans]
    unknown = max((count for _, count in numbers), default=0)
    return TrendView(
        nothing=told if isinstance(told, str) else "",
        unit="bytes" if by_size else "namespaces",
        most=shown(max((count for count, _ in numbers), default=0)),
        most_unknown=shown(unknown) if unknown else "",
        columns=tuple(_columns(numbers)),
        rows=tuple(
            (
                words.instant(one.at),
                words.number(one.stopped.objects),
                words.size(one.stopped.size),
                words.size(one.unknown.size),
            )
            for one in scans
        ),
    )


def _columns(numbers: list[tuple[int, int]]) -> Iterator[Column]:
    """What cannot be read stands below, what is not known on it."""
    most, width = max((sum(each) for each in numbers), default=0), 100 / max(1, len(numbers))
    for place, each in enumerate(numbers):
        y = 100.0
        for count, readability in zip(each, ("unreadable", "unknown"), strict=True):
            if count:
                height = min(y, max(_LEAST_HEIGHT, 100 * count / most))
                y -= height
                yield Column(
                    round(place * width, 3), round(y, 2), round(width - _GAP, 3), round(height, 2), readability
                )
