"""What the report shows of controls: frozen rows, every word of them made from what the rules found."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from auditor.controls.answer import ControlStanding, FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control
from auditor.findings import Demand
from auditor.outputs import words
from auditor.waiver import Waiver

_WAIVERS: Final = 3
"""As many of one control are told one by one."""
TONES: Final = {State.EXCEPTION: "bad", State.OPEN: "open", State.NONE: "good"}
UNSEEN: Final = "not everything was seen: Controls tells what was not"
IDLE: Final = "nothing here that it applies to"
_WHOSE: Final = {"nist": "NIST", "fedramp": "FedRAMP"}


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to show: of frameworks, and of every rule."""

    frameworks: tuple[FrameworkStanding, ...]
    rules: Mapping[str, RuleStanding]
    asked: bool = False
    """Somebody asked for these frameworks alone, so that each is told whole."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule and what it found."""

    id: str
    title: str
    source: str
    outcome: str
    tone: str
    failed: str
    passed: str
    unknown: str
    apart: str
    notes: tuple[str, ...]
    """Why it is not evaluated, or not wholly; hostile."""


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control and what the rules found that relate to it."""

    id: str
    title: str
    baselines: str
    outcome: str
    tone: str
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """(what they found, each (rule, how many exceptions)), those first that decide."""
    waived: tuple[str, ...]
    """Who answers for exceptions until when, and why; hostile."""
    waived_left_out: int


@dataclass(frozen=True, slots=True)
class FrameworkView:
    """One framework as the page shows it."""

    id: str
    title: str
    publisher: str
    about: str
    """Whose keys and buckets it is about; empty: all."""
    digest: str
    counts: tuple[tuple[str, str, str], ...]
    """(how many, what they are, tone)."""
    controls: tuple[ControlRow, ...]
    beside: tuple[tuple[str, str], ...]
    """(id, title) of those near to it that no rule judges."""
    sources: tuple[str, ...]
    rules: tuple[RuleRow, ...]
    """Those that relate to it; none where all rules are told elsewhere on the page."""


@dataclass(frozen=True, slots=True)
class ControlsView:
    """Everything that the section about controls may show."""

    frameworks: tuple[FrameworkView, ...]
    unseen: tuple[str, ...]
    """What nobody saw, of all of them together; hostile."""
    is_narrowed: bool
    is_counted: bool
    """How often rules are met is told; of a tenant's view it is not."""


def view(found: Found, rules: Mapping[str, Demand]) -> ControlsView:
    """Build the section's view."""
    return ControlsView(
        frameworks=tuple(_framework(one, rules, asked=found.asked) for one in found.frameworks),
        unseen=tuple(dict.fromkeys(why for one in found.frameworks for why in one.unseen)),
        is_narrowed=found.asked,
        is_counted=all(one.passed is not None for one in found.rules.values()),
    )


def rule_rows(found: Iterable[RuleStanding], rules: Mapping[str, Demand]) -> tuple[RuleRow, ...]:
    """Build the rows of a table of rules."""
    return tuple(_rule(one, rules.get(one.rule)) for one in found)


def _rule(one: RuleStanding, rule: Demand | None) -> RuleRow:
    # What nobody saw is told once, where the controls are.
    notes = [*one.reasons, *([UNSEEN] if one.unseen else [])]
    return RuleRow(
        id=one.rule,
        title=rule.title if rule else one.rule,
        source=rule.source if rule else "",
        outcome=one.state.value,
        tone=TONES[one.state],
        failed=words.number(_exceptions(one)),
        passed=words.number(one.passed),
        unknown=words.number(one.unknown),
        apart=words.number(one.apart),
        notes=(IDLE,) if one.is_idle else tuple(notes),
    )


def _exceptions(one: RuleStanding) -> int:
    """What still stands; one that nothing tells of any more did not fail now."""
    return max(one.failed, len(one.findings) + len(one.excused))


def _framework(one: FrameworkStanding, rules: Mapping[str, Demand], *, asked: bool) -> FrameworkView:
    told = one.framework
    behind = {each.rule: each for control in one.controls for each in control.rules}
    return FrameworkView(
        id=told.id,
        title=told.title,
        publisher=told.publisher,
        about=words.CLOUDS[told.cloud] if told.cloud is not None else "",
        digest=told.digest,
        counts=tuple((words.number(one.count(state)), state.value, tone) for state, tone in TONES.items()),
        controls=tuple(_control(each) for each in one.controls),
        beside=tuple((each.id, each.title) for each in one.beside),
        sources=tuple(told.sources.values()),
        rules=rule_rows((behind[name] for name in sorted(behind)), rules) if asked else (),
    )


def _control(one: ControlStanding) -> ControlRow:
    waivers = [each for rule in one.rules for each in rule.waivers]
    return ControlRow(
        id=one.control.id,
        title=one.control.title,
        baselines=_baselines(one.control),
        outcome=one.state.value,
        tone=TONES[one.state],
        groups=tuple(_groups(one)),
        waived=tuple(waived(*each) for each in waivers[:_WAIVERS]),
        waived_left_out=max(0, len(waivers) - _WAIVERS),
    )


def _groups(one: ControlStanding) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    groups = (
        ("exception found by", [each for each in one.rules if each.state is State.EXCEPTION]),
        ("not evaluated", [each for each in one.rules if each.state is State.OPEN and not each.is_idle]),
        ("nothing here that they apply to", [each for each in one.rules if each.is_idle]),
        ("no exception found by", [each for each in one.rules if each.state is State.NONE]),
    )
    for what, some in groups:
        if some:
            yield what, tuple((each.rule, _how_many(each)) for each in some)


def _how_many(one: RuleStanding) -> str:
    return words.number(_exceptions(one)) if one.state is State.EXCEPTION else ""


def waived(waiver: Waiver, count: int) -> str:
    """Who answers for how many exceptions, until when and why; hostile."""
    what = f"{words.counted(count, 'exception')} of {waiver.rule} waived until {words.through(waiver.until)}"
    return f"{what} by {waiver.owner}, approved by {waiver.approved_by}: {waiver.reason}"


def _baselines(control: Control) -> str:
    """From which level on each baseline has it: a higher one has what a lower one has."""
    return ", ".join(f"{_WHOSE.get(whose, whose)} from {levels[0]}" for whose, levels in control.baselines.items())
