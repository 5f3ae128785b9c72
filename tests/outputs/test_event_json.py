"""Events as the log has them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest

from auditor.findings import Actor, BucketCoverage, Coverage, Finding, Severity, Undo
from auditor.log import visible
from auditor.model import Encryption, Extent, Gap, Reason
from auditor.outputs import event_json
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import Action, Event, Judged, Turn, events_of
from tests.core_builders import GCP_KEY, NOW
from tests.hostile import NAMES
from tests.telling.test_telling import LOST

_LIMIT = 256 * 1024
"""Of one entry. Source: Cloud Logging docs, Quotas and limits."""
ALICE = Actor("alice@acme.example", "UpdateCryptoKeyVersion", NOW - timedelta(seconds=9), "203.0.113.7", None, "e1")
BEFORE = BucketCoverage("gs://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW)
FINDING = replace(LOST, members=(("gs://data", Encryption.CMEK, GCP_KEY.text, "1"),))
GAP = Gap(GCP_KEY.text, Reason.ACCESS_DENIED, "its state is unknown", "grant it")


def turn(*findings: tuple[Finding | None, Finding | None], ended: tuple[Finding, ...] = ()) -> Turn:
    return Turn(
        Judged("20261127T120000.000000Z-0a1b2c3d", NOW, "0.1.0", "d" * 64),
        7,
        findings,
        ended,
        (KeyChange(GCP_KEY, "version 1", "ENABLED", "DISABLED", NOW, 1),),
        (GAP,),
        (replace(GAP, reason=Reason.THROTTLED),),
        (Coverage((BEFORE,), 1, 1, None), Coverage((replace(BEFORE, resolved=9, unresolved=1),), 2, 1, None)),
    )


EVERY = turn(
    (None, replace(FINDING, id="01" * 16)),
    (replace(FINDING, id="02" * 16), replace(FINDING, id="02" * 16, severity=Severity.LOW, actor=ALICE)),
    (replace(FINDING, id="03" * 16), None),
)


def strings(told: object) -> Iterator[str]:
    match told:
        case str():
            yield told
        case dict():
            for one in told.values():
                yield from strings(one)
        case list():
            for one in told:
                yield from strings(one)


def validated(one: Event) -> dict[str, object]:
    told = event_json.event(one)
    jsonschema.Draft202012Validator(event_json.schema()).validate(told)
    return told


def test_every_action_is_told_as_the_schema_says() -> None:
    events = events_of(EVERY)
    assert {one.action for one in events} == set(Action)
    for one in events:
        told = validated(one)
        assert list(told) == ["action", "occurred_at", "actor", "targets", "context", "metadata"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_name_is_told_without_a_character_that_commands(name: str) -> None:
    bad = replace(
        FINDING,
        extent=Extent(1, 1, 1, (name,), (name,)),
        members=((f"gs://{name}", Encryption.CMEK, name, None),),
        cause=name,
        undo=(Undo(name, name, name),),
        actor=Actor(name, name, NOW, name, name, name),
    )
    for one in events_of(turn((None, bad))):
        assert all(text.isprintable() for text in strings(validated(one)))
    assert visible(name) in json.dumps(validated(events_of(turn((None, bad)))[1]), ensure_ascii=False).replace(
        "\\\\", "\\"
    ).replace('\\"', '"')


def test_the_largest_event_fits_into_an_entry_and_says_how_much_it_leaves_out() -> None:
    long = "\U0001f511" * 100_000
    many = tuple(f"{number}{long}" for number in range(50))
    huge = replace(
        FINDING,
        extent=Extent(10**12, 10**18, 10**9, many[:20], many),
        members=tuple((one, Encryption.CMEK, one, "1") for one in many),
        cause=long,
        undo=tuple(Undo(one, long, long) for one in many),
        actor=Actor(long, long, NOW, long, long, long),
    )
    told = validated(events_of(turn((None, huge)))[1])
    assert len(json.dumps(told, ensure_ascii=False).encode()) < _LIMIT
    targets = told["targets"]
    assert isinstance(targets, list)
    assert [one["count"] for one in targets if one["type"] == "namespaces"] == [10**9]
