"""What the JSON Schemas let through is what the code can say: no more words, no fewer."""

import json
from collections.abc import Iterator
from enum import StrEnum
from importlib.resources import files
from typing import Any, Final

import pytest

from auditor.action import Action
from auditor.checkup import Answer
from auditor.controls.answer import State
from auditor.evidence.verified import Check, Outcome
from auditor.findings import Agreement, Basis, Confidence, Readability, Severity, Status, SubjectKind
from auditor.model import Cloud, Encryption, Population, ProbeKind, ProbeOutcome, Reason
from auditor.outputs import diff_json, scan_json
from auditor.ownership.registered import Portion
from auditor.questions.diff.answer import Change, How, Turn
from auditor.questions.period.answer import Ending
from auditor.questions.prove_revoked.answer import Proof
from auditor.questions.retire.standing import Recorded, Step, Use
from auditor.telling import events

SCHEMAS: Final = {one.name: one for one in files("auditor.schemas").iterdir() if one.name.endswith(".json")}
# By the field that they are of, in whichever document.
WORDS: Final[dict[str, type[StrEnum]]] = {
    "action": Action,
    "agreement": Agreement,
    "answer": Answer,
    "basis": Basis,
    "change": Change,
    "cloud": Cloud,
    "compared_by": How,
    "confidence": Confidence,
    "encryption": Encryption,
    "ending": Ending,
    "left_out": Population,
    "next": Step,
    "outcome": ProbeOutcome,
    "population": Population,
    "populations_not_counted": Population,
    "portions": Portion,
    "proof": Proof,
    "readability": Readability,
    "reason": Reason,
    "recorded": Recorded,
    "severity": Severity,
    "state": State,
    "status": Status,
    "turn": Turn,
    "use": Use,
}
# Of these the code has no enum, or two fields of that name have different ones.
OTHERS: Final = {
    "attempts.kind": {one.value for one in ProbeKind},
    "targets.type": {one.value for one in SubjectKind} | {"keys", "resource"},
    "subject.kind": {one.value for one in SubjectKind},
    "changes": {"severity", "status", "readability", "final_at", "objects", "namespaces"},
    "scheme": {"s3://", "gs://"},
    "since_source": {"key_state", "between_polls", "first_read", "audit_log"},
}
OF_ONE: Final[dict[tuple[str, str], type[StrEnum]]] = {
    ("event-1.schema.json", "action"): events.Action,
    ("verify-1.schema.json", "check"): Check,
    **{("verify-1.schema.json", one.value): Outcome for one in Check},
}
"""Where one document has another word under the name."""
_FRAME: Final = frozenset({"properties", "items", "anyOf", "oneOf", "$defs", "propertyNames"})


def enums(told: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Each enum of a schema, without null, with the names of the fields that lead to it."""
    if isinstance(told, list):
        for one in told:
            yield from enums(one, path)
    elif isinstance(told, dict):
        if "enum" in told:
            yield path, {one for one in told["enum"] if one is not None}
        for name, one in told.items():
            if name != "enum":
                yield from enums(one, path if name in _FRAME else (*path, name))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_has_the_words_that_the_code_has(name: str) -> None:
    told = json.loads(SCHEMAS[name].read_text(encoding="utf-8"))
    for path, given in enums(told):
        field = path[-1]
        known = OF_ONE.get((name, field)) or WORDS.get(field)
        meant = (
            {one.value for one in known} if known is not None else OTHERS.get(field, OTHERS.get(".".join(path[-2:])))
        )
        assert given == meant, (name, path)


def test_the_walk_finds_every_kind_of_word() -> None:
    seen = {path for one in SCHEMAS.values() for path, _ in enums(json.loads(one.read_text(encoding="utf-8")))}
    assert {path[-1] for path in seen} >= WORDS.keys()
    assert {".".join(path[-2:]) for path in seen} | {path[-1] for path in seen} >= OTHERS.keys()


def test_a_finding_and_a_gap_are_the_same_in_a_difference_as_in_a_scan() -> None:
    scan, diff = scan_json.schema()["properties"], diff_json.schema()["$defs"]
    assert diff["finding"] == scan["findings"]["items"]
    assert diff["gap"] == scan["gaps"]["items"]
