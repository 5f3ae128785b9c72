"""What exporters are tried on: judgements with what they tell of controls."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Final

from auditor.controls.catalogue import chosen
from auditor.controls.standing import of_rules, standings
from auditor.findings import Actor, Coverage, Finding, Judgement, Severity, Status, View
from auditor.model import Gap, Reason
from auditor.outputs.controls import Found
from auditor.rules import load
from auditor.waiver import GivenWaiver, Waiver
from tests.controls.judgements import GOOGLE, GOOGLE_READ, READ, a_judgement
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days
from tests.test_engine import a_bucket

RULES: Final = tuple(load())
DEMANDS: Final = tuple(rule.demand for rule in RULES)
GAP: Final = Gap(
    "arn:aws:kms:us-east-1:111122223333:key/k2", Reason.ACCESS_DENIED, "its state is unknown", "grant it", 3
)
ACTOR: Final = Actor("arn:aws:iam::1:user/eve", "DisableKey", NOW, "192.0.2.7", None, "event-1")
WAIVER: Final = Waiver("data-doomed", NOW + days(30), "security@acme.example", "ciso@acme.example", "migration planned")


def found_in(judgement: Judgement, *frameworks: str) -> Found:
    """What is told of controls, of all frameworks or of some."""
    return Found(standings(judgement, RULES, chosen(frameworks)), of_rules(judgement, RULES), asked=bool(frameworks))


@cache
def a_troubled_judgement() -> Judgement:
    """Something open that somebody did, something waived, something over, a gap and a bucket not wholly read."""
    google = a_gcp_key(a_version("1", "DESTROY_SCHEDULED", destroy_time=NOW + days(9)), **GOOGLE_READ)
    judgement = a_judgement(
        a_holding(),
        GOOGLE,
        keys={AWS_KEY: (an_aws_key("Disabled", **READ), None), GCP_KEY: (google, None)},
        buckets=(a_bucket(), a_bucket("gs://data", resolved=9, unresolved=1)),
        gaps=(GAP,),
    )
    by_rule = {one.rule: one for one in judgement.findings}
    unreadable, doomed = by_rule["data-unreadable"], by_rule["data-doomed"]
    over = replace(unreadable, id="0" * 16, status=Status.RESOLVED, rule="wrong-key", first_seen=NOW - days(3))
    changed: dict[str, Finding] = {
        unreadable.id: replace(unreadable, actor=ACTOR, first_seen=NOW - days(1), succeeds="1" * 16),
        doomed.id: replace(doomed, status=Status.WAIVED, waived_until=WAIVER.until),
    }
    findings = tuple(changed.get(one.id, one) for one in judgement.findings)
    return replace(judgement, findings=(*findings, over), waivers=(GivenWaiver(WAIVER, covers=(doomed.id,)),))


def a_meant_judgement() -> Judgement:
    """Of a key that is revoked on purpose: its findings are as the config means them."""
    judgement = a_troubled_judgement()
    meant = (replace(one, severity=Severity.LOW, undo=(), meant=True) for one in judgement.findings)
    return replace(judgement, findings=tuple(meant))


def an_empty_judgement() -> Judgement:
    """Of a config whose only bucket nobody could sweep: no data, no key, no finding of any."""
    judgement = a_judgement(buckets=())
    bucket = replace(a_bucket(), complete=False, listed=0, resolved=0, sweep_started=None, sweep_ended=None)
    empty = Coverage((bucket,), 0, 0, None)
    return replace(judgement, coverage=empty, assessed=(), findings=(), tallies=(), sweeps=())


def seen_by(judgement: Judgement, tenant: str) -> Judgement:
    """The same as if it were of a tenant's view."""
    return replace(judgement, view=View(tenant), run=replace(judgement.run, identity=()))


def many(finding: Finding, count: int) -> Iterable[Finding]:
    """As many of its kind, each with an id of its own."""
    return (replace(finding, id=f"{number:016x}", severity=Severity.HIGH) for number in range(count))
