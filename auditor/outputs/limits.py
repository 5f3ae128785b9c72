"""How much of each list a report shows at any fleet's size; of what is left out it tells how much that is."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """As many of each, the worst first."""

    findings: int = 200
    """Told in full; as many of those that are waived."""
    brief: int = 0
    """More findings, told in a line each."""
    evidences: int = 15
    """Of one finding."""
    versions: int = 300
    namespaces: int = 100
    gaps: int = 200
    buckets: int = 500
    files: int = 500
    waivers: int = 500
    resolved: int = 500
    groups: int = 100
    """Of data that changed alike."""
    others: int = 100
    """Of each other kind of change."""


SCREEN: Final = Limits()
"""A page that is opened in a browser: details are folded, and it is searched."""
PAPER: Final = Limits(
    findings=50,
    brief=150,
    evidences=4,
    versions=150,
    namespaces=50,
    gaps=60,
    buckets=100,
    files=100,
    waivers=50,
    resolved=50,
    groups=40,
    others=40,
)
"""Pages that somebody reads and signs: nothing is folded, and whatever is on them takes its place."""
