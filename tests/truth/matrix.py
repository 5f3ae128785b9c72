"""What was claimed of each object against what a read of it did, over all worlds of a run."""

from collections import Counter

MATRIX: Counter[tuple[str, str]] = Counter()
"""(claim, `can` or `cannot` be read) -> objects; and the number of worlds under (`worlds`, ``)."""


def table(matrix: Counter[tuple[str, str]]) -> list[str]:
    """Write the matrix as lines."""
    claims = sorted({claim for claim, _ in matrix} - {"worlds"})
    lines = [f"{matrix['worlds', '']} worlds", f"{'claimed':<22}{'a read succeeds':>16}{'a read fails':>16}"]
    return lines + [f"{claim:<22}{matrix[claim, 'can']:>16}{matrix[claim, 'cannot']:>16}" for claim in claims]
