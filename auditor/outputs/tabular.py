"""Findings, dependencies, gaps and namespaces as CSV: no cell can become a formula, and none can command a terminal.

A file or a pipe gets every name exactly, for a machine to read. On a terminal control characters are shown as escapes,
as in the tables.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TextIO

from auditor.findings import Judgement
from auditor.log import visible
from auditor.outputs import scan_json
from auditor.ports import DependencyRows, NamespaceRow

_ACTOR: Final = {
    "actor": "principal",
    "actor_call": "call",
    "actor_time": "time",
    "actor_source": "source",
    "actor_via": "via",
    "actor_event_id": "event_id",
}
"""Column -> what of who did it stands there."""
_FORMULA: Final = re.compile(
    r"[\t\r\n]|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]*[=+@\-\uff1d\uff0b\uff20\uff0d]"
)
"""What a spreadsheet takes for the beginning of a formula: also in full width, and behind what some of them drop.

Source: OWASP, CSV Injection.
"""


def write_findings(judgement: Judgement, out: TextIO) -> None:
    """One line a finding; tenants are joined by a space, owners and teams, which may have some in them, by `; `."""
    names = [
        "id",
        "rule",
        "severity",
        "status",
        "subject_kind",
        "subject",
        "readability",
        "cause",
        "confidence",
        "namespaces",
        "objects",
        "bytes",
        "tenants",
        "owners",
        "teams",
        "final_at",
        "since",
        "since_source",
        *_ACTOR,
        "unattributed",
        "first_seen",
        "last_seen",
        "undo",
        "waived_until",
        "meant",
    ]
    write_rows(out, names, (_finding(scan_json.finding(one)) for one in judgement.findings))


def write_dependencies(judgement: Judgement, rows: DependencyRows, out: TextIO) -> None:
    """One line a dependency, the same fields as in the JSON."""
    names = [
        "bucket",
        "namespace",
        "tenant",
        "owner",
        "team",
        "population",
        "encryption",
        "key",
        "key_version",
        "readability",
        "basis",
        "cause",
        "final_at",
        "objects",
        "bytes",
        "archived",
        "oldest",
        "newest",
    ]
    write_rows(out, names, (scan_json.dependency(row, assessed) for row, assessed in rows.rows(judgement.assessed)))


def write_gaps(judgement: Judgement, out: TextIO) -> None:
    """One line a gap: what could not be read, and so is unknown; the same fields as in the JSON."""
    write_rows(out, ["what", "reason", "effect", "hint", "objects"], map(scan_json.gap, judgement.gaps))


def write_namespaces(rows: Iterable[NamespaceRow], out: TextIO) -> None:
    """One line a namespace of one finding."""
    write_rows(
        out, ["bucket", "namespace", "tenant", "owner", "team", "objects", "bytes"], map(scan_json.namespace, rows)
    )


def safe(value: object) -> str:
    """Keep a spreadsheet from running a cell: an apostrophe before what it would take for a formula."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def _finding(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **told,
        "subject_kind": told["subject"]["kind"],
        "subject": told["subject"]["id"],
        "tenants": " ".join(told["tenants"]),
        "owners": "; ".join(told["owners"]),
        "teams": "; ".join(told["teams"]),
        **{name: (told["actor"] or {}).get(field) for name, field in _ACTOR.items()},
        "undo": " && ".join(step["call"] for step in told["undo"]),
        "meant": "true" if told["meant"] else "false",
    }


def write_rows(out: TextIO, names: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """One line with the names of the columns, and one for each row."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    shown = visible if out.isatty() else str
    for row in rows:
        writer.writerow([shown(safe(row[name])) for name in names])
