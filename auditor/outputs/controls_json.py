"""What a judgement says of controls as JSON: part of a report's document, and of what tells of a rule."""

from collections.abc import Iterable
from typing import Any

from auditor.controls.answer import FrameworkStanding, RuleStanding, State
from auditor.controls.framework import Control, Framework
from auditor.outputs import words
from auditor.waiver import Waiver


def frameworks(found: Iterable[FrameworkStanding]) -> list[dict[str, Any]]:
    """Each framework with its controls, and once each rule that relates to some of them."""
    return [_framework(one) for one in found]


def related(rule: str, every: Iterable[Framework]) -> list[dict[str, Any]]:
    """The controls that a rule relates to, framework by framework."""
    return [
        {**_names(one), "controls": [_control(each) for each in controls]}
        for one in every
        if (controls := one.related(rule))
    ]


def _names(one: Framework) -> dict[str, Any]:
    return {"framework": one.id, "name": one.name, "version": one.version}


def _control(one: Control) -> dict[str, Any]:
    return {"id": one.id, "title": one.title}


def _framework(one: FrameworkStanding) -> dict[str, Any]:
    behind = {each.rule: each for control in one.controls for each in control.rules}
    return {
        **_names(one.framework),
        "mapping": one.framework.digest,
        "cloud": one.framework.cloud.value if one.framework.cloud is not None else None,
        "counts": {state.value: one.count(state) for state in State},
        "controls": [
            {
                **_control(each.control),
                "state": each.state.value,
                "rules": [rule.rule for rule in each.rules],
                "applies_to_nothing": list(each.idle),
            }
            for each in one.controls
        ],
        "rules": [_rule(behind[name]) for name in sorted(behind)],
        "judged_by_no_rule": [_control(each) for each in one.beside],
    }


def _rule(one: RuleStanding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "state": one.state.value,
        "passed": one.passed,
        "failed": one.failed,
        "unknown": one.unknown,
        "not_applicable": one.apart,
        "not_judged": list(one.reasons),
        "not_seen": list(one.unseen),
        "exceptions": len(one.findings),
        "waived": len(one.excused),
        "waivers": [_waiver(*each) for each in one.waivers],
    }


def _waiver(one: Waiver, exceptions: int) -> dict[str, Any]:
    return {
        "until": words.stamp(one.until),
        "owner": one.owner,
        "approved_by": one.approved_by,
        "reason": one.reason,
        "exceptions": exceptions,
    }
