"""A judgement as the HTML report: what it compares with, what it stands on, and the rules that made it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from auditor.errors import LedgerError, UsageError
from auditor.findings import Demand, Judgement
from auditor.outputs import html
from auditor.outputs.page import Manifest
from auditor.questions.diff.answer import Difference
from auditor.questions.diff.comparing import compare
from auditor.questions.period.scans import Scanned
from auditor.wiring import Assembly


def html_of(assembly: Assembly, judgement: Judgement, *, linked: bool = False) -> str:
    """Render the report of a judgement, with what changed since the sweeps before it.

    `linked`: it is shown beside the other pages, and leads to them.

    Raises:
        LedgerError: what it stands on cannot be read.
    """
    rows, now = assembly.rows(judgement), datetime.now(UTC)
    difference = _since_the_sweeps_before(assembly, judgement)
    return html.render(
        judgement,
        rows,
        demands(assembly),
        _manifest(assembly),
        now,
        difference=difference,
        scans=_scans(assembly),
        linked=linked,
    )


def demands(assembly: Assembly) -> tuple[Demand, ...]:
    """What the rules demand that judge here."""
    return tuple(rule.demand for rule in assembly.parts.rules)


def _manifest(assembly: Assembly) -> Manifest:
    files = tuple(sorted(item for one in assembly.ledger.sweeps() for item in (one.files or {}).items()))
    events, head = assembly.ledger.head()
    return Manifest(files, events, head)


def _since_the_sweeps_before(assembly: Assembly, judgement: Judgement) -> Difference | str:
    """What changed; where nothing can be compared, why: the rest of a report stands all the same."""
    try:
        return compare(assembly.ledger, assembly.inventory, last=judgement.run.id)
    except (LedgerError, UsageError) as error:
        return str(error)


def _scans(assembly: Assembly) -> Sequence[Scanned] | str:
    """The last scans, or why they are not told."""
    try:
        return assembly.ledger.scans()
    except LedgerError as error:
        return str(error)
