"""What a judgement says of controls: three states, never two."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from auditor.controls.framework import Control, Framework
from auditor.findings import Finding
from auditor.waiver import Waiver


class State(StrEnum):
    """The words for people, everywhere; docs/adr/0030-what-a-control-says.md says when each is right."""

    NONE = "no exception found"
    EXCEPTION = "exception found"
    OPEN = "not evaluated"


@dataclass(frozen=True, slots=True)
class Excused:
    """A finding that somebody accepts for a time, and who does: it stays an exception."""

    finding: Finding
    waivers: tuple[Waiver, ...]


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """What one rule found in what a framework is about."""

    rule: str
    state: State
    passed: int | None
    """None, as the next: of a tenant's view it is not counted."""
    failed: int
    unknown: int | None
    apart: int | None
    """To how many it does not apply."""
    reasons: tuple[str, ...] = ()
    """What it could not judge, in words that may be hostile."""
    unseen: tuple[str, ...] = ()
    """What nobody saw, so that more may be there to judge; likewise."""
    is_idle: bool = False
    """It was put to everything, and applies to nothing here."""
    findings: tuple[Finding, ...] = ()
    """The exceptions that nobody excuses, worst first."""
    excused: tuple[Excused, ...] = ()

    @property
    def exceptions(self) -> tuple[Finding, ...]:
        """All of them, whether somebody excuses them or not."""
        return (*self.findings, *(one.finding for one in self.excused))

    @property
    def waivers(self) -> tuple[tuple[Waiver, int], ...]:
        """Each waiver of its exceptions, and of how many; the most first."""
        counts = Counter(waiver for each in self.excused for waiver in each.waivers)
        return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0].name)))


@dataclass(frozen=True, slots=True)
class ControlStanding:
    """What the rules found that relate to one control."""

    control: Control
    state: State
    rules: tuple[RuleStanding, ...]

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """(rule, what it could not judge) of each that could not judge all."""
        return tuple((one.rule, why) for one in self.rules for why in one.reasons)

    @property
    def unseen(self) -> tuple[str, ...]:
        """What nobody saw of what its rules are about."""
        return tuple(dict.fromkeys(why for one in self.rules for why in one.unseen))

    @property
    def idle(self) -> tuple[str, ...]:
        """Rules that apply to nothing here."""
        return tuple(one.rule for one in self.rules if one.is_idle)


@dataclass(frozen=True, slots=True)
class FrameworkStanding:
    """What a judgement says of the controls of one framework."""

    framework: Framework
    controls: tuple[ControlStanding, ...]
    """Those that a rule relates to, in the framework's order."""
    beside: tuple[Control, ...]
    """Those near to it that no rule judges: they are in no count."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """What nobody saw of what it is about."""
        return tuple(dict.fromkeys(why for one in self.controls for why in one.unseen))

    def count(self, state: State) -> int:
        """How many controls are so."""
        return sum(one.state is state for one in self.controls)
