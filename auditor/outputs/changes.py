"""What the report shows of what changed: one frozen view, made from a difference."""

from dataclasses import dataclass
from typing import Final

from auditor.findings import Finding
from auditor.model import Gap
from auditor.outputs import diff_words, words
from auditor.outputs.limits import SCREEN, Limits
from auditor.questions.diff.answer import Difference, Group

NOTHING_BEFORE: Final = "no earlier judgement was looked for"
_SAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Data that changed alike."""

    what: str
    bucket: str
    before: str
    after: str
    readability: str
    objects: str
    size: str
    namespaces: str
    samples: str
    """A few namespaces."""


@dataclass(frozen=True, slots=True)
class ChangesView:
    """All that the section shows."""

    nothing: str
    """Why nothing is compared; empty where something is."""
    verdict: str = ""
    is_worse: bool = False
    sides: tuple[tuple[str, str], ...] = ()
    """(moment, id) of the earlier and the later judgement."""
    scope: tuple[str, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    groups_left_out: int = 0
    keys: tuple[tuple[str, str, str], ...] = ()
    """(key, what became of it, when it was seen)."""
    keys_left_out: int = 0
    findings: tuple[tuple[str, str, str, str, str], ...] = ()
    """(what became of it, severity, rule, subject, note)."""
    findings_left_out: int = 0
    gaps: tuple[tuple[str, Gap], ...] = ()
    """(whose it is, gap)."""
    gaps_left_out: int = 0


def changes(one: Difference | str, limits: Limits = SCREEN) -> ChangesView:
    """Build the section's view."""
    if isinstance(one, str):
        return ChangesView(nothing=one)
    findings = [
        *(("opened", each, _note(each, one)) for each in one.opened),
        *(("closed", each, _note(each, one)) for each in one.closed),
        *(("changed", each.after, diff_words.fields(each, one)) for each in one.changed),
        *(("opened, closed again", each, "") for each in one.passed),
    ]
    gaps = [
        *(("of the comparison", gap) for gap in one.gaps),
        *(("new", gap) for gap in one.gaps_opened),
        *(("closed", gap) for gap in one.gaps_closed),
    ]
    groups, keys = one.data.groups, one.keys
    return ChangesView(
        nothing="",
        verdict=diff_words.verdict(one),
        is_worse=one.worse,
        sides=tuple((words.instant(each.now), each.run.id) for each in (one.before, one.after)),
        scope=tuple(diff_words.scope(one)),
        groups=tuple(_group(each) for each in groups[: limits.groups]),
        groups_left_out=max(0, len(groups) - limits.groups),
        keys=tuple(
            (words.short_key(each.key), diff_words.key_change(each), words.exactly(each.at))
            for each in keys[: limits.others]
        ),
        keys_left_out=max(0, len(keys) - limits.others),
        findings=tuple(_finding(*each) for each in findings[: limits.others]),
        findings_left_out=max(0, len(findings) - limits.others),
        gaps=tuple(gaps[: limits.others]),
        gaps_left_out=max(0, len(gaps) - limits.others),
    )


def _group(one: Group) -> GroupRow:
    return GroupRow(
        what=diff_words.what(one),
        bucket=one.bucket,
        before=diff_words.place(one.before),
        after=diff_words.after(one),
        readability=one.after.readability.value if one.after is not None else "",
        objects=words.number(one.objects),
        size=words.size(one.size),
        namespaces=diff_words.namespaces(one.namespaces),
        samples=", ".join(name.removeprefix(f"{one.bucket}/") for name in one.samples[:_SAMPLES]),
    )


def _finding(what: str, one: Finding, note: str) -> tuple[str, str, str, str, str]:
    return what, one.severity.value, one.rule, words.short(one.subject.id.rpartition(" -> ")[2]), note


def _note(one: Finding, of: Difference) -> str:
    return diff_words.NOT_COMPARED if one.id in of.unseen else ""
