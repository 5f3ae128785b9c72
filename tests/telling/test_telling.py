import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from auditor import log
from auditor.findings import Actor, Confidence, Coverage, Finding, Severity, Status, Subject, SubjectKind
from auditor.log import visible
from auditor.model import Extent, Gap, Reason
from auditor.questions.diff.answer import KeyChange
from auditor.telling.events import Judged, Turn
from auditor.telling.lines import tell
from tests.core_builders import GCP_KEY, NOW, ROLE
from tests.hostile import NAMES

LOST = Finding(
    id="a1" * 16,
    rule="data-lost",
    severity=Severity.CRITICAL,
    status=Status.OPEN,
    subject=Subject(SubjectKind.KEY_VERSION, f"{GCP_KEY}/cryptoKeyVersions/1"),
    readability=None,
    cause="it is gone",
    confidence=Confidence.PROVEN,
    extent=Extent(1200, 1, 1),
    members=(),
    final_at=None,
    since=NOW,
    since_source="first_read",
    evidence=(),
    undo=(),
    first_seen=NOW,
    last_seen=NOW,
)
OTHER = replace(LOST, id="b2" * 16, rule="data-revoked", subject=Subject(SubjectKind.PRINCIPAL, f"{ROLE} -> {GCP_KEY}"))
HEIR = replace(LOST, id="c3" * 16, succeeds=LOST.id, actor=Actor("bob", "EnableKey", NOW, None, None, "2"))
TOLD = f"data-lost, acme-keys/us-east1/tpuf/main version 1, 1,200 objects, id {LOST.id}"

COVERAGE = Coverage((), 1, 1, None)


def a_turn(
    *findings: tuple[Finding | None, Finding | None],
    keys: tuple[KeyChange, ...] = (),
    opened: tuple[Gap, ...] = (),
    closed: tuple[Gap, ...] = (),
) -> Turn:
    judged = Judged("20261127T120000.000000Z-0a1b2c3d", NOW, "0.1.0", "d" * 64)
    return Turn(judged, 7, findings, (), keys, opened, closed, (COVERAGE, COVERAGE))


CASES: dict[str, tuple[Turn, list[tuple[str, str]]]] = {
    "nothing": (a_turn(), []),
    "one opens": (a_turn((None, LOST)), [("WARNING", f"finding opened: critical {TOLD}")]),
    "who did it becomes known": (
        a_turn((LOST, replace(LOST, actor=Actor("alice", "DisableKey", NOW, None, None, "1")))),
        [("INFO", f"finding attributed: critical {TOLD.replace(', id', ', by alice, id')}")],
    ),
    "its text changes": (a_turn((LOST, replace(LOST, cause="otherwise", last_seen=NOW))), []),
    "another one opens": (
        a_turn((None, OTHER)),
        [
            (
                "WARNING",
                f"finding opened: critical data-revoked, {ROLE} -> {GCP_KEY}, 1,200 objects, id {OTHER.id}",
            )
        ],
    ),
    "its severity changes": (
        a_turn((LOST, replace(LOST, severity=Severity.LOW))),
        [("WARNING", f"finding changed from open critical: low {TOLD}")],
    ),
    "it is waived": (
        a_turn((LOST, replace(LOST, status=Status.WAIVED))),
        [("WARNING", f"finding changed from open critical: critical (waived) {TOLD}")],
    ),
    "it ends": (a_turn((LOST, None)), [("INFO", f"finding resolved: critical {TOLD}")]),
    "it ends, and who led to it is not said to have ended it": (
        a_turn((replace(LOST, actor=Actor("alice", "DisableKey", NOW, None, None, "1")), None)),
        [("INFO", f"finding resolved: critical {TOLD.replace(', id', ', opened by alice, id')}")],
    ),
    "it ends, and who led to what took its place ended it": (
        a_turn((replace(LOST, actor=Actor("alice", "DisableKey", NOW, None, None, "1")), None), (None, HEIR)),
        [
            ("INFO", f"finding resolved: critical {TOLD.replace(', id', ', opened by alice, ended by bob, id')}"),
            ("WARNING", f"finding opened: critical {TOLD.replace(f', id {LOST.id}', f', by bob, id {HEIR.id}')}"),
        ],
    ),
    "a version is disabled": (
        a_turn(keys=(KeyChange(GCP_KEY, "version 1", "ENABLED", "DISABLED", NOW, 1),)),
        [("INFO", "key changed: acme-keys/us-east1/tpuf/main, version 1 ENABLED -> DISABLED")],
    ),
    "a gap opens and another one closes": (
        a_turn(
            opened=(Gap(GCP_KEY.text, Reason.ACCESS_DENIED, "its state is unknown", "grant it"),),
            closed=(Gap(GCP_KEY.text, Reason.THROTTLED, "its state is unknown", "wait"),),
        ),
        [
            ("WARNING", f"gap opened: {GCP_KEY}: access_denied, its state is unknown"),
            ("INFO", f"gap closed: {GCP_KEY}: throttled, its state is unknown"),
        ],
    ),
}


@pytest.mark.parametrize(("turn", "told"), CASES.values(), ids=CASES)
def test_what_changed_is_told_once(turn: Turn, told: list[tuple[str, str]], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tell((turn,))
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == told


GROWN = a_turn((LOST, replace(LOST, extent=Extent(1300, 1, 1))))


@pytest.fixture
def _logging() -> Iterator[None]:
    """Put the process's log back to what it was."""
    root, ours = logging.getLogger(), logging.getLogger("auditor")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.usefixtures("_logging")
def test_that_data_grew_is_an_object_for_machines_and_no_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log.start(json_lines=False, verbose=False)
    tell((GROWN,))
    assert not capsys.readouterr().err
    log.start(json_lines=True, verbose=False)
    tell((GROWN,))
    (told,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert told["severity"] == "INFO"
    assert told["event"]["action"] == "finding.changed"
    assert told["event"]["context"]["changes"] == [{"what": "objects", "before": "1200", "after": "1300"}]


@pytest.mark.usefixtures("_logging")
def test_plain_lines_hold_no_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.start(json_lines=False, verbose=False)
    tell((a_turn((None, LOST)),))
    (told,) = capsys.readouterr().err.splitlines()
    assert told.endswith(f"warning finding opened: critical {TOLD}")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_name_forges_no_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    tell((a_turn((None, replace(LOST, subject=Subject(SubjectKind.EKM_CONNECTION, name)))),))
    (one,) = caplog.records
    assert one.getMessage().isprintable()
    assert visible(name) in one.getMessage()


def test_of_many_gaps_a_few_are_lines_for_people_and_how_many_more_and_all_are_objects(
    caplog: pytest.LogCaptureFixture,
) -> None:
    some = tuple(
        Gap(f"gs://bucket-{number}", Reason.ACCESS_DENIED, "it is not read", "grant it") for number in range(40)
    )
    with caplog.at_level(logging.INFO):
        tell([a_turn(opened=some), a_turn(closed=some[:7])])
    people = [one.getMessage() for one in caplog.records if getattr(one, "cmek_plain", True)]
    assert people[4:6] == ["gap opened: gs://bucket-4: access_denied, it is not read", "and 35 more gaps opened"]
    assert people[-1] == "and 2 more gaps closed"
    assert len(people) == 5 + 1 + 5 + 1
    assert sum(hasattr(one, "cmek_event") for one in caplog.records) == 47


def test_what_nobody_can_see_by_the_nature_of_things_alarms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        tell([a_turn(opened=(Gap("objects", Reason.NOT_VISIBLE, "nobody looked", "look"),))])
    assert [one.levelname for one in caplog.records] == ["INFO"]
