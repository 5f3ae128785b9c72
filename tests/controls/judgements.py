"""Judgements as the judge makes them, of a fleet that is well but for what a case is about."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from auditor.controls.answer import ControlStanding
from auditor.controls.framework import Confidence, Control, Framework
from auditor.controls.standing import standings
from auditor.engine import Facts, judge
from auditor.findings import BucketCoverage, Coverage, Judgement, Run
from auditor.model import Cloud, Gap, Grant, Holding, KeyMemory, KeyName, KeyReading, Probe
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rules import load
from tests.core_builders import (
    AGENT,
    AWS_KEY,
    GCP_KEY,
    NOW,
    ROLE,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    access,
    an_aws_key,
)
from tests.test_engine import a_bucket

READ: dict[str, Any] = {"access": access(AWS_KEY, Grant.DIRECT)}
GOOGLE = a_holding(GCP_KEY, "1")
GOOGLE_READ: dict[str, Any] = {"access": access(GCP_KEY, Grant.DIRECT)}


def a_judgement(
    *holdings: Holding,
    keys: Mapping[KeyName, tuple[KeyReading | None, KeyMemory | None]] | None = None,
    buckets: tuple[BucketCoverage, ...] = (a_bucket(),),
    probes: tuple[Probe, ...] = (),
    gaps: Iterable[Gap] = (),
    named: bool = True,
    **more: Any,
) -> Judgement:
    """Of one AWS key in use, of which all was read and nothing is wrong, where a case does not say otherwise.

    `named`: who must be able to decrypt is.
    """
    held = holdings or (a_holding(),)
    read: dict[KeyName, tuple[KeyReading | None, KeyMemory | None]] = {
        AWS_KEY: (an_aws_key(**READ), None),
        GCP_KEY: (a_gcp_key(**GOOGLE_READ), None),
    }
    used = {KeyName(one.key) for one in held if one.key}
    views = {name: KeyView(name, *view) for name, view in {**read, **(keys or {})}.items() if name in used}
    agents = {one.bucket: (ROLE if one.bucket.startswith("s3") else AGENT,) for one in held if named}
    result = judge(Facts(FixedHoldings(*held), views, agents, buckets, Policy(), NOW, probes), load())
    facts: dict[str, Any] = {
        "run": Run("poll-1", NOW, NOW, "0", ("me",), "c" * 64, "r", timedelta(0)),
        "now": NOW,
        "coverage": Coverage(buckets, len(views), len(views), None),
        "assessed": result.assessed,
        "findings": result.findings,
        "gaps": tuple(gaps),
        "tallies": result.tallies,
        "sweeps": ("s1",),
        **more,
    }
    return Judgement(**facts)


def a_framework(*rules: str, cloud: Cloud | None = None, confidence: Confidence = Confidence.SEEN) -> Framework:
    """Of one control."""
    source = "s" if confidence is Confidence.SEEN else None
    control = Control("X-1", "Keys are kept well", tuple(sorted(rules)), confidence, source)
    return Framework("x-1.0", "X", "1.0", "Somebody", "d" * 12, {"s": "somewhere"}, (control,), cloud=cloud)


def told(judgement: Judgement, *rules: str, cloud: Cloud | None = None) -> ControlStanding:
    """What a judgement says of a control that these rules relate to."""
    (standing,) = standings(judgement, load(), (a_framework(*rules, cloud=cloud),))
    (control,) = standing.controls
    return control
