"""`cmek-auditor/period/1`: what a ledger tells of a period, as JSON."""

import json
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.outputs import period_words, scan_json
from auditor.questions.period.answer import (
    BucketWatch,
    Chronicle,
    GapSpan,
    Incident,
    KeyWatch,
    Much,
    Point,
    Repair,
    Span,
    repairs,
)
from auditor.questions.period.stretches import Stretch

SCHEMA: Final = "cmek-auditor/period/1"
_BLIND: Final = 10_000
"""Of so many the longest are told one by one."""


def write(one: Chronicle, version: str, out: TextIO) -> None:
    """Write the whole document; `version`: of the program that writes it."""
    out.write(json.dumps(_told(one, version), indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("period-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _told(one: Chronicle, version: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": version,
        "period": _stretch(one.period),
        "asked": scan_json.time(one.asked),
        "until": scan_json.time(one.until),
        "verdict": period_words.verdict(one),
        "notes": list(period_words.notes(one)),
        "ledger": {
            "events": one.chain.events,
            "head": one.chain.head,
            "first_judgement": scan_json.time(one.chain.began),
            "last_judgement": scan_json.time(one.chain.newest),
        },
        "observed": _observed(one),
        "keys": [_key(each) for each in one.keys],
        "buckets": [_bucket(each) for each in one.buckets],
        "incidents": [_incident(each) for each in one.incidents],
        "repairs": [_repair(each) for each in repairs(one.incidents)],
        "worst": _much(one.worst if one.polls.observed else None),
        "trend": [_point(each) for each in one.course],
        "gaps": [_gap(each) for each in one.gaps],
        "judged_by": [
            {
                "first": scan_json.time(each.first),
                "version": each.version,
                "rules_version": each.rules_version,
                "config_digest": each.config_digest,
            }
            for each in one.judges
        ],
    }


def _observed(one: Chronicle) -> dict[str, Any]:
    polls = one.polls
    longest = sorted(polls.blind, key=lambda each: -each.length)[:_BLIND]
    return {
        "share": one.share,
        "seconds": seconds(polls.observed),
        "of_seconds": seconds(one.over.length),
        "polls_of_all_keys": polls.whole,
        "polls_of_a_few": polls.few,
        "polls_without_an_answer": polls.silent,
        "promised_seconds": {"shortest": seconds(polls.promised[0]), "longest": seconds(polls.promised[1])}
        if polls.promised is not None
        else None,
        "longest_blind_seconds": seconds(polls.longest_blind),
        "blind": [_stretch(each) for each in sorted(longest)],
        "blind_left_out": len(polls.blind) - len(longest),
        "clock_set_back": [{"at": scan_json.time(each.at), "by_seconds": seconds(each.by)} for each in one.set_back],
    }


def _key(one: KeyWatch) -> dict[str, Any]:
    return {
        "key": one.key,
        "needed_seconds": seconds(one.needed),
        "observed_seconds": seconds(one.observed),
        "longest_blind_seconds": seconds(one.longest_blind),
        "silent": [_stretch(each) for each in one.silent],
    }


def _bucket(one: BucketWatch) -> dict[str, Any]:
    return {
        "bucket": one.bucket,
        "configured_seconds": seconds(one.configured),
        "complete_sweeps": one.complete,
        "failed_sweeps": one.failed,
        "last_complete": scan_json.time(one.last_complete),
        "longest_without_seconds": seconds(one.longest_without) if one.longest_without is not None else None,
        "unswept_seconds": seconds(one.unswept),
        "incomplete_seconds": seconds(one.incomplete),
        "least_coverage": one.least_coverage,
    }


def _incident(one: Incident) -> dict[str, Any]:
    return {
        "severity": one.severity.value,
        "since": scan_json.time(one.since),
        "first_seen": scan_json.time(one.first_seen),
        "ended": scan_json.time(one.ended),
        "ending": one.ending.value,
        "seconds": seconds(one.lasted),
        "stopped_seconds": seconds(one.stopped),
        "stopped_seconds_in_period": seconds(one.stopped_in_period),
        "worst": _much(one.worst),
        "spans": [_span(each) for each in one.spans],
    }


def _span(one: Span) -> dict[str, Any]:
    return {
        "finding": one.id,
        "rule": one.rule,
        "severity": one.severity.value,
        "subject": {"kind": one.subject.kind.value, "id": one.subject.id},
        "readability": one.readability.value if one.readability is not None else None,
        "cause": one.cause,
        "since": scan_json.time(one.since),
        "since_source": one.since_source,
        "first_seen": scan_json.time(one.first_seen),
        "last_seen": scan_json.time(one.last_seen),
        "ended": scan_json.time(one.ended),
        "ending": one.ending.value,
        "seconds": seconds(one.lasted),
        "seconds_in_period": seconds(one.in_period),
        "unobserved_seconds": seconds(one.unobserved),
        "worst": _much(one.worst),
        "at_end": _much(one.last),
        "waived": [_stretch(each) for each in one.waived],
        "succeeds": one.succeeds,
        "followed_by": list(one.followed_by),
        "clock_set_back": one.turned_back,
    }


def _repair(one: Repair) -> dict[str, Any]:
    def told(length: timedelta | None) -> float | None:
        return seconds(length) if length is not None else None

    return {
        "severity": one.severity.value,
        "incidents": one.incidents,
        "repaired": one.repaired,
        "median_seconds": told(one.median),
        "worst_seconds": told(one.worst),
        "open": one.open,
        "longest_open_seconds": told(one.longest_open),
        "ended_otherwise": one.otherwise,
        "waived": one.waived,
    }


def _point(one: Point) -> dict[str, Any]:
    return {
        **_stretch(one.stretch),
        "observed_seconds": seconds(one.observed),
        "not_readable": _much(one.stopped),
        "not_known": _much(one.unknown),
    }


def _gap(one: GapSpan) -> dict[str, Any]:
    return {
        **scan_json.gap(one.gap),
        "first_seen": scan_json.time(one.first_seen),
        "ended": scan_json.time(one.ended),
        "seconds_in_period": seconds(one.in_period),
    }


def _much(one: Much | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"objects": one.objects, "bytes": one.size, "namespaces": one.namespaces}


def _stretch(one: Stretch) -> dict[str, Any]:
    return {"begin": scan_json.time(one.begin), "end": scan_json.time(one.end)}


def seconds(length: timedelta) -> float:
    """A length of time to the millisecond."""
    return round(length.total_seconds(), 3)
