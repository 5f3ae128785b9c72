"""What the report shows of the last scans: how much could not be read after each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from auditor.outputs import words
from auditor.questions.period.scans import Scanned

_LEAST_HEIGHT: Final = 2.0
"""Percent: what is less is drawn as high, so that it is seen."""
_GAP: Final = 0.3
"""Percent between two columns."""


@dataclass(frozen=True, slots=True)
class TrendView:
    """One column and one row for each scan; x, width and height in percent."""

    unit: str
    """What columns are the number of."""
    most: str
    columns: tuple[tuple[float, float, float], ...]
    rows: tuple[tuple[str, str, str, str], ...]
    """(scan, objects, bytes, bytes not known)."""


def view(scans: Sequence[Scanned]) -> TrendView:
    """Build the section's view."""
    sizes = [one.stopped.size for one in scans]
    # Where nobody tells bytes of some data, namespaces are all that can be compared.
    by_size = None not in sizes
    numbers = [size or 0 for size in sizes] if by_size else [one.stopped.namespaces for one in scans]
    most, width = max(numbers, default=0), 100 / max(1, len(scans))
    return TrendView(
        unit="bytes" if by_size else "namespaces",
        most=words.size(most) if by_size else words.number(most),
        columns=tuple(
            (round(place * width, 3), round(width - _GAP, 3), round(max(_LEAST_HEIGHT, 100 * number / most), 2))
            for place, number in enumerate(numbers)
            if number
        ),
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
