"""Which older probes a newer one leaves nothing of."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.model import NO_RIGHT, Probe, ProbeKind, ProbeOutcome
from auditor.overruling import overrules
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, ROLE

SESSION = "arn:aws:sts::111122223333:assumed-role/storage/i-1"
PASSED = Probe("s3://data", AWS_KEY.text, None, ProbeKind.READ, NOW, ProbeOutcome.PASSED, "ok", ROLE)
REFUSED = replace(PASSED, outcome=ProbeOutcome.REFUSED, code="KMSInvalidStateException")
LACKING = replace(REFUSED, code=NO_RIGHT)
DRY: dict[str, Any] = {"kind": ProbeKind.DRY_RUN}
THERE: dict[str, Any] = {"bucket": "s3://other"}
ELSE: dict[str, Any] = {"principal": f"{ROLE}-2"}
ON_GOOGLE: dict[str, Any] = {"key": GCP_KEY.text, "key_version": "1"}

CASES: dict[str, tuple[Probe, Probe, bool]] = {
    "a read that passes ends a refused one": (PASSED, REFUSED, True),
    "whoever reads": (replace(PASSED, **ELSE), REFUSED, True),
    "but of a right only by who lacked it": (replace(PASSED, **ELSE), LACKING, False),
    "under whatever session": (replace(PASSED, principal=SESSION), LACKING, True),
    "and by nobody's name none": (replace(PASSED, principal=None), replace(LACKING, principal=None), False),
    "on Google Cloud it is always the agent": (
        replace(PASSED, **ELSE, **ON_GOOGLE),
        replace(LACKING, principal="the agent of gs://data", **ON_GOOGLE),
        True,
    ),
    "not of another version": (
        replace(PASSED, **{**ON_GOOGLE, "key_version": "2"}),
        replace(REFUSED, **ON_GOOGLE),
        False,
    ),
    "but of a right, by the same agent, it is of all versions": (
        replace(PASSED, **{**ON_GOOGLE, "key_version": "2", "bucket": "gs://other"}),
        replace(LACKING, **ON_GOOGLE),
        True,
    ),
    "not by another agent": (
        replace(PASSED, **ELSE, **{**ON_GOOGLE, "key_version": "2"}),
        replace(LACKING, **ON_GOOGLE),
        False,
    ),
    "not by a refusal": (replace(REFUSED, **{**ON_GOOGLE, "key_version": "2"}), replace(LACKING, **ON_GOOGLE), False),
    "not of another key": (replace(PASSED, key=f"{AWS_KEY.text[:-1]}9"), REFUSED, False),
    "not what a bucket key knew": (replace(PASSED, cached=True), REFUSED, False),
    "a refused dry run as well": (PASSED, replace(REFUSED, **DRY), True),
    "a dry run ends a refused dry run": (replace(PASSED, **DRY), replace(REFUSED, **DRY), True),
    "of the same principal": (replace(PASSED, **DRY, **ELSE), replace(REFUSED, **DRY), False),
    "but no refused read": (replace(PASSED, **DRY), REFUSED, False),
    "through another bucket no invalid state": (replace(PASSED, **THERE), REFUSED, False),
    "but what the key said of itself": (replace(PASSED, **THERE), replace(REFUSED, code="DisabledException"), True),
    "or that there is none": (replace(PASSED, **THERE), replace(REFUSED, code="NotFoundException"), True),
    "or what the version said of itself": (
        replace(PASSED, **ON_GOOGLE, bucket="gs://other"),
        replace(REFUSED, **ON_GOOGLE, code="cloudKmsDisabledKey"),
        True,
    ),
    "not by a dry run": (replace(PASSED, **THERE, **DRY), replace(REFUSED, code="DisabledException"), False),
    "nor by what a bucket key knew": (
        replace(PASSED, **THERE, cached=True),
        replace(REFUSED, code="DisabledException"),
        False,
    ),
    "nor by a dry run of somebody else": (
        replace(PASSED, **THERE, **DRY, **ELSE),
        replace(REFUSED, **DRY, code="DisabledException"),
        False,
    ),
    "but a dry run ends a refused dry run": (
        replace(PASSED, **THERE, **DRY),
        replace(REFUSED, **DRY, code="DisabledException"),
        True,
    ),
    "through a bucket key a day later": (
        replace(PASSED, cached=True, at=NOW + timedelta(hours=24)),
        REFUSED,
        True,
    ),
    "not sooner": (replace(PASSED, cached=True, at=NOW + timedelta(hours=23, minutes=59)), REFUSED, False),
    "whoever reads then": (replace(PASSED, cached=True, at=NOW + timedelta(hours=24), **ELSE), REFUSED, True),
    "but of a right only by who lacked it, also then": (
        replace(PASSED, cached=True, at=NOW + timedelta(hours=24), **ELSE),
        LACKING,
        False,
    ),
    "nor through another bucket": (
        replace(PASSED, cached=True, at=NOW + timedelta(hours=24), **THERE),
        replace(REFUSED, code="DisabledException"),
        False,
    ),
    "a success that is dated behind what came later is none": (
        replace(REFUSED, **THERE, **ELSE),
        replace(PASSED, at=NOW + timedelta(minutes=1, seconds=1)),
        True,
    ),
    "also where that told nothing": (
        replace(PASSED, outcome=ProbeOutcome.INCONCLUSIVE),
        replace(PASSED, at=NOW + timedelta(minutes=2)),
        True,
    ),
    "clocks may be a minute apart": (
        replace(REFUSED, **THERE),
        replace(PASSED, at=NOW + timedelta(minutes=1)),
        False,
    ),
    "and a refusal stays whatever its date": (REFUSED, replace(LACKING, at=NOW + timedelta(days=9)), False),
    "another key's date says nothing": (
        replace(REFUSED, key=f"{AWS_KEY.text[:-1]}9"),
        replace(PASSED, at=NOW + timedelta(days=9)),
        False,
    ),
    "a refusal ends a success": (REFUSED, PASSED, True),
    "of the same principal alone": (REFUSED, replace(PASSED, **ELSE), False),
    "in whatever session": (replace(REFUSED, principal=SESSION), PASSED, True),
    "or of nobody known": (replace(REFUSED, principal=None), replace(PASSED, principal=None), True),
    "tried the same way": (REFUSED, replace(PASSED, **DRY), False),
    "through the same bucket": (REFUSED, replace(PASSED, **THERE), False),
    "and not what a bucket key knew": (REFUSED, replace(PASSED, cached=True), False),
    "a refusal ends no other": (REFUSED, LACKING, False),
    "what told nothing ends nothing": (replace(PASSED, outcome=ProbeOutcome.INCONCLUSIVE), REFUSED, False),
}


@pytest.mark.parametrize(("later", "earlier", "over"), CASES.values(), ids=CASES)
def test_what_a_later_probe_leaves_nothing_of(later: Probe, earlier: Probe, over: bool) -> None:  # noqa: FBT001 - a case
    assert overrules(later, earlier) is over
