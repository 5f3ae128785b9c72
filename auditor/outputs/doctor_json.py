"""`cmek-auditor/doctor/1`: what was looked at before a scan, and what came of it, as JSON."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.checkup import Answer, Check, verdict

SCHEMA: Final = "cmek-auditor/doctor/1"


def write(checks: Sequence[Check], out: TextIO) -> None:
    """Write the whole document."""
    told = {
        "schema": SCHEMA,
        "verdict": verdict(checks),
        "counts": {one.value: sum(each.answer is one for each in checks) for one in Answer},
        "checks": [_check(one) for one in checks],
    }
    out.write(json.dumps(told, indent=1) + "\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("doctor-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _check(one: Check) -> dict[str, Any]:
    return {
        "group": one.group,
        "what": one.what,
        "answer": one.answer.value,
        "told": one.told,
        "permission": one.permission,
        "reason": one.reason.value if one.reason is not None else None,
        "lost": one.lost or None,
        "todo": one.todo or None,
    }
