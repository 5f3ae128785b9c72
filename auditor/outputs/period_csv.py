"""All that stood in a period as CSV, one line each: findings, and beside them when nobody looked."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TextIO

from auditor.outputs import scan_json, tabular
from auditor.outputs.period_json import seconds
from auditor.questions.period.answer import Chronicle, Much, Span
from auditor.questions.period.stretches import NOTHING, Stretch

_AMOUNTS: Final = ("objects", "bytes", "namespaces")
_NAMES: Final = (
    "what",
    "incident",
    "finding",
    "rule",
    "severity",
    "subject_kind",
    "subject",
    "readability",
    "cause",
    "since",
    "since_source",
    "first_seen",
    "last_seen",
    "ended",
    "ending",
    "seconds",
    "seconds_in_period",
    "unobserved_seconds",
    "waived_seconds",
    *(f"{amount}_worst" for amount in _AMOUNTS),
    *(f"{amount}_at_end" for amount in _AMOUNTS),
    "succeeds",
    "followed_by",
    "clock_set_back",
)


def write(one: Chronicle, out: TextIO) -> None:
    """One line a finding; `not_observed` when nobody looked, `key_silent` when one key did not tell."""
    tabular.write_rows(out, list(_NAMES), _rows(one))


def _rows(one: Chronicle) -> Iterator[Mapping[str, Any]]:
    for number, incident in enumerate(one.incidents, 1):
        yield from (_finding(number, span) for span in incident.spans)
    yield from (_unseen("not_observed", None, each) for each in one.polls.blind)
    for key in one.keys:
        yield from (_unseen("key_silent", key.key, each) for each in key.silent)


def _finding(number: int, one: Span) -> Mapping[str, Any]:
    return _row(
        what="finding",
        incident=number,
        finding=one.id,
        rule=one.rule,
        severity=one.severity.value,
        subject_kind=one.subject.kind.value,
        subject=one.subject.id,
        readability=one.readability.value if one.readability is not None else None,
        cause=one.cause,
        since=scan_json.time(one.since),
        since_source=one.since_source,
        first_seen=scan_json.time(one.first_seen),
        last_seen=scan_json.time(one.last_seen),
        ended=scan_json.time(one.ended),
        ending=one.ending.value,
        seconds=seconds(one.lasted),
        seconds_in_period=seconds(one.in_period),
        unobserved_seconds=seconds(one.unobserved),
        waived_seconds=seconds(sum((each.length for each in one.waived), NOTHING)),
        succeeds=one.succeeds,
        followed_by=" ".join(one.followed_by),
        clock_set_back="yes" if one.turned_back else "no",
        **_amounts("worst", one.worst),
        **_amounts("at_end", one.last),
    )


def _unseen(what: str, key: str | None, one: Stretch) -> Mapping[str, Any]:
    length = seconds(one.length)
    return _row(
        what=what,
        subject_kind="key" if key is not None else None,
        subject=key,
        since=scan_json.time(one.begin),
        ended=scan_json.time(one.end),
        seconds=length,
        seconds_in_period=length,
        unobserved_seconds=length,
    )


def _row(**told: Any) -> Mapping[str, Any]:
    return dict.fromkeys(_NAMES) | told


def _amounts(when: str, one: Much | None) -> Mapping[str, int | None]:
    numbers = (one.objects, one.size, one.namespaces) if one is not None else (None, None, None)
    return {f"{amount}_{when}": number for amount, number in zip(_AMOUNTS, numbers, strict=True)}
