"""What a published framework demands, as far as the rules here relate to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.model import Cloud


class Confidence(StrEnum):
    """Whether somebody has seen that the framework has a control of this id and subject."""

    SEEN = "seen"
    MEMORY = "memory"
    """Nobody has yet: it is kept, and no output tells of it."""


@dataclass(frozen=True, slots=True)
class Control:
    """One control, by the framework's own id and in words of ours: the frameworks' texts are not ours to print."""

    id: str
    title: str
    rules: tuple[str, ...]
    """Ids of the rules that relate to it, sorted; none: it is near, and nothing here judges it."""
    confidence: Confidence
    source: str | None = None
    """Where it was seen, by its name in the framework's `sources`."""
    baselines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Whose baseline has it, and from which level on; empty where the framework has none."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework in one version: ids move between versions, and are never told without it."""

    id: str
    """As `--framework` names it."""
    name: str
    version: str
    publisher: str
    digest: str
    """Of the mapping: it changes when a rule's controls do."""
    sources: Mapping[str, str]
    every: tuple[Control, ...]
    """What is from memory as well: for whoever confirms it."""
    also: tuple[str, ...] = ()
    """Other names for `--framework`, of frameworks that take these controls over and differ by baselines alone."""
    cloud: Cloud | None = None
    """Whose keys and buckets it is about; None: any."""

    @property
    def controls(self) -> tuple[Control, ...]:
        """Those that may be told."""
        return tuple(one for one in self.every if one.confidence is Confidence.SEEN)

    @property
    def title(self) -> str:
        """Name and version, which go together."""
        return f"{self.name} {self.version}"

    def related(self, rule: str) -> tuple[Control, ...]:
        """The controls that a rule relates to."""
        return tuple(one for one in self.controls if rule in one.rules)
