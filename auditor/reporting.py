"""A judgement as the HTML report: what it compares with, what it stands on, and the rules that made it."""

from datetime import UTC, datetime

from auditor.controls.catalogue import frameworks
from auditor.controls.framework import Framework
from auditor.controls.standing import of_rules, standings
from auditor.errors import LedgerError, UsageError
from auditor.findings import Demand, Judgement
from auditor.outputs import html
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from auditor.questions.diff.answer import Difference
from auditor.questions.diff.comparing import compare
from auditor.wiring import Assembly


def html_of(
    assembly: Assembly,
    judgement: Judgement,
    asked: tuple[Framework, ...] = (),
    *,
    linked: bool = False,
    made: datetime | None = None,
) -> str:
    """Render the report of a judgement, with what changed since the sweeps before it.

    `asked`: of which frameworks alone; none: of all. `linked`: it is shown beside the other pages, and leads to them.
    `made`: when it says that it was; None: now.

    Raises:
        LedgerError: what it stands on cannot be read.
    """
    rows, now = assembly.rows(judgement), made or datetime.now(UTC)
    difference = _since_the_sweeps_before(assembly, judgement)
    return html.render(
        judgement,
        rows,
        demands(assembly),
        _manifest(assembly, judgement),
        now,
        found=found_in(assembly, judgement, asked),
        difference=difference,
        linked=linked,
    )


def found_in(assembly: Assembly, judgement: Judgement, asked: tuple[Framework, ...] = ()) -> Found:
    """What the rules found, and what that says of controls; of all frameworks where none is asked for."""
    rules = assembly.parts.rules
    told = standings(judgement, rules, asked or frameworks())
    return Found(told, of_rules(judgement, rules), asked=bool(asked))


def demands(assembly: Assembly) -> tuple[Demand, ...]:
    """What the rules demand that judge here."""
    return tuple(rule.demand for rule in assembly.parts.rules)


def _manifest(assembly: Assembly, judgement: Judgement) -> Manifest:
    """What this judgement stands on, and the ledger as it was when it had been kept."""
    sweeps = assembly.ledger.published(judgement.sweeps)
    files = tuple(sorted(item for one in sweeps for item in (one.files or {}).items()))
    return Manifest(files, *assembly.ledger.chain().end_of(judgement.run.id))


def _since_the_sweeps_before(assembly: Assembly, judgement: Judgement) -> Difference | str:
    """What changed; where nothing can be compared, why: the rest of a report stands all the same."""
    try:
        return compare(assembly.ledger, assembly.inventory, last=judgement.run.id)
    except (LedgerError, UsageError) as error:
        return str(error)
