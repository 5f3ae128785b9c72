import logging
from dataclasses import replace

import pytest

from auditor.findings import Actor, Confidence, Finding, Severity, Status, Subject, SubjectKind
from auditor.log import visible
from auditor.model import Extent
from auditor.telling import tell
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
TOLD = f"data-lost, acme-keys/us-east1/tpuf/main version 1, 1,200 objects, id {LOST.id}"

CASES: dict[str, tuple[tuple[Finding, ...], tuple[Finding, ...], list[tuple[str, str]]]] = {
    "nothing": ((), (), []),
    "one opens": ((), (LOST,), [("WARNING", f"finding opened: critical {TOLD}")]),
    "who did it becomes known": (
        (LOST,),
        (replace(LOST, actor=Actor("alice", "DisableKey", NOW, None, None, "1")),),
        [("INFO", f"finding attributed: critical {TOLD.replace(', id', ', by alice, id')}")],
    ),
    "it stays": ((LOST,), (replace(LOST, extent=Extent(1300, 1, 1), last_seen=NOW),), []),
    "another one opens": (
        (LOST,),
        (LOST, OTHER),
        [
            (
                "WARNING",
                f"finding opened: critical data-revoked, {ROLE} -> {GCP_KEY}, 1,200 objects, id {OTHER.id}",
            )
        ],
    ),
    "its severity changes": (
        (LOST,),
        (replace(LOST, severity=Severity.LOW),),
        [("WARNING", f"finding changed from open critical: low {TOLD}")],
    ),
    "it is waived": (
        (LOST,),
        (replace(LOST, status=Status.WAIVED),),
        [("WARNING", f"finding changed from open critical: critical (waived) {TOLD}")],
    ),
    "it is resolved": (
        (LOST,),
        (replace(LOST, status=Status.RESOLVED),),
        [("INFO", f"finding resolved: critical {TOLD}")],
    ),
    "it was resolved by a judgement in between": ((LOST,), (), [("INFO", f"finding resolved: critical {TOLD}")]),
    "it stays resolved": ((replace(LOST, status=Status.RESOLVED),), (), []),
    "it opens again": (
        (replace(LOST, status=Status.RESOLVED),),
        (LOST,),
        [("WARNING", f"finding opened: critical {TOLD}")],
    ),
}


@pytest.mark.parametrize(("before", "after", "told"), CASES.values(), ids=CASES)
def test_what_changed_is_told_once(
    before: tuple[Finding, ...],
    after: tuple[Finding, ...],
    told: list[tuple[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        tell(before, after)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == told


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_name_forges_no_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    tell((), (replace(LOST, subject=Subject(SubjectKind.EKM_CONNECTION, name)),))
    (one,) = caplog.records
    assert one.getMessage().isprintable()
    assert visible(name) in one.getMessage()
