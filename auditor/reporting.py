"""What a report tells of a judgement and to whom: every kind of it shows the same, narrowed once for all kinds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TextIO

from auditor.audience.changes import changes_for
from auditor.audience.nameable import nameable_to
from auditor.audience.narrowing import Audience, Narrowing
from auditor.audience.viewing import audience_of, keys_of, with_names
from auditor.config import PRODUCT_EXAMPLE
from auditor.controls.catalogue import frameworks
from auditor.controls.framework import Framework
from auditor.controls.standing import of_rules, standings
from auditor.errors import LedgerError, UsageError
from auditor.findings import Demand, Finding, Judgement
from auditor.model import KeyName
from auditor.outputs import asff, html, ocsf, oscal, pdf, scan_json, tabular
from auditor.outputs.controls import Found
from auditor.outputs.limits import PAPER, SCREEN, Limits
from auditor.outputs.page import Manifest
from auditor.ownership.registered import Tenancy
from auditor.ports import OpenInventory
from auditor.questions.diff.answer import Difference
from auditor.questions.diff.comparing import Compared, chosen, difference
from auditor.questions.period.scans import Scanned
from auditor.wiring import Assembly

ENDINGS: Final = {"ocsf": "ocsf.jsonl", "oscal": "oscal.json", "asff": "asff.jsonl"}
"""Of files whose kind alone would not say what is in them."""
_LATELY: Final = timedelta(days=90)
"""For as long Security Hub keeps a finding that nobody renews."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that any kind of report may show: of a tenant's view nothing else is at hand."""

    judgement: Judgement
    rows: OpenInventory
    demands: tuple[Demand, ...]
    found: Found
    manifest: Manifest
    difference: Callable[[], Difference | str]
    """Tells what changed since the sweeps before; where nothing can be compared, why."""
    made: datetime
    scans: Sequence[Scanned] | str
    """The last ones, or why they are not told."""
    audience: Audience | None = None
    """Of a tenant's view: what may be told it; None: everything is here."""
    security_hub: str | None = None
    """ARN of the integration that takes in what is told as ASFF."""
    ended: Callable[[], Sequence[Finding]] = tuple
    """Tells the findings that ended lately, before this judgement, and have not come back."""

    def html(self, *, linked: bool = False, limits: Limits = SCREEN) -> str:
        """Render it as a page. `linked`: it is shown beside the other pages, and leads to them.

        Raises:
            LedgerError: what it stands on cannot be read.
        """
        return html.render(
            self.judgement,
            self.rows,
            self.demands,
            self.manifest,
            self.made,
            found=self.found,
            difference=self.difference(),
            scans=self.scans,
            linked=linked,
            limits=limits,
        )

    def writers(self, kind: str) -> dict[str, Callable[[TextIO], object]]:
        """What is written of a kind that is text: what each file has behind its name -> what writes it.

        Raises:
            UsageError: it cannot be told, as the config does not say where to.
        """
        match kind:
            case "html":
                return {"": lambda out: out.write(self.html())}
            case "json":
                return {"": lambda out: scan_json.write(self.judgement, self.rows, out, self.found.frameworks)}
            case "ocsf":
                return {"": lambda out: ocsf.write(self.judgement, self.demands, self.found, out)}
            case "oscal":
                return {"": lambda out: oscal.write(self.judgement, self.demands, self.found, self.manifest, out)}
            case "asff":
                product = self._product()
                told = self.judgement, self.demands, self.found
                return {"": lambda out: asff.write(*told, self.ended(), out, product=product)}
            case _:
                return {
                    "": lambda out: tabular.write_findings(self.judgement, out),
                    "-dependencies": lambda out: tabular.write_dependencies(self.judgement, self.rows, out),
                    "-gaps": lambda out: tabular.write_gaps(self.judgement, out),
                }

    def _product(self) -> str:
        if self.security_hub is None:
            what = "report --as asff needs the integration of AWS Security Hub that takes the findings in"
            raise UsageError(what, f'name it in the config: [report] security_hub = "{PRODUCT_EXAMPLE}"')
        return self.security_hub

    def pdf(self) -> bytes:
        """Render the same page on paper, where less of long lists has room.

        Raises:
            LedgerError: as above.
            UsageError: what makes PDFs is not installed.
        """
        return pdf.render(self.html(limits=PAPER))


def content_of(
    assembly: Assembly,
    judgement: Judgement,
    tenant: str | None = None,
    *,
    asked: tuple[Framework, ...] = (),
    made: datetime | None = None,
) -> Content:
    """Gather it of a judgement; for a tenant all that is not its own is left out.

    `asked`: of which frameworks' controls alone it tells; none: of all. `made`: when it says that it was; None: now.

    Raises:
        LedgerError: what it stands on cannot be read.
        UsageError: nothing is known of such a tenant, or nobody can tell of any.
    """
    rows = assembly.rows(judgement)
    told, shown, audience = judgement, rows, None
    if tenant is not None:
        audience = audience_of(assembly.parts, judgement, rows, tenant)
        told, shown = Narrowing(judgement, audience).done(), audience.rows

    def changes(two: Compared) -> Difference | str:
        return difference(assembly.inventory, two) if audience is None else _of_tenant(assembly, two, audience, rows)

    return Content(
        judgement=told,
        rows=shown,
        demands=demands(assembly),
        found=_found_in(assembly, told, asked),
        manifest=_manifest(assembly, told),
        difference=lambda: _since_the_sweeps_before(assembly, told, changes),
        made=made or datetime.now(UTC),
        scans=_scans(assembly) if tenant is None else "what could not be read after a scan is not kept by tenant",
        audience=audience,
        security_hub=assembly.security_hub,
        ended=lambda: tuple(_ended(assembly, judgement, audience)),
    )


def demands(assembly: Assembly) -> tuple[Demand, ...]:
    """What the rules demand that judge here."""
    return tuple(rule.demand for rule in assembly.parts.rules)


def _found_in(assembly: Assembly, judgement: Judgement, asked: tuple[Framework, ...]) -> Found:
    """What the rules found, and what that says of controls; of all frameworks where none is asked for."""
    rules = assembly.parts.rules
    told = standings(judgement, rules, asked or frameworks())
    return Found(told, of_rules(judgement, rules), asked=bool(asked))


def _manifest(assembly: Assembly, judgement: Judgement) -> Manifest:
    """What this judgement stands on, and the ledger as it was when it had been kept."""
    sweeps = assembly.ledger.published(judgement.sweeps)
    files = tuple(sorted(item for one in sweeps for item in (one.files or {}).items()))
    return Manifest(files, *assembly.ledger.chain().end_of(judgement.run.id))


def _since_the_sweeps_before(
    assembly: Assembly, judgement: Judgement, told: Callable[[Compared], Difference | str]
) -> Difference | str:
    """What changed; where nothing can be compared, why: the rest of a report stands all the same."""
    try:
        return told(chosen(assembly.ledger, assembly.inventory, last=judgement.run.id))
    except (LedgerError, UsageError) as error:
        # What fails may name a bucket that is not the tenant's.
        return str(error) if judgement.view is None else "what the operator has kept of before cannot be compared"


def _of_tenant(assembly: Assembly, two: Compared, audience: Audience, rows: OpenInventory) -> Difference | str:
    of, parts = audience.tenancy, assembly.parts

    def naming(then: OpenInventory, keys: frozenset[KeyName]) -> Tenancy:
        nameable = nameable_to(of.tenant, of.doubt, parts, two.after.judgement, (rows, then))
        return with_names(of, keys, nameable, parts.registry.labelled(of.said), keys_of(audience.rows))

    inventory = assembly.inventory
    return changes_for(two, audience, inventory, lambda sweeps: inventory.open(sweeps, of.said), naming)


def _ended(assembly: Assembly, judgement: Judgement, audience: Audience | None) -> Iterator[Finding]:
    """Findings that ended lately; for a tenant its part of those of which it still has one."""
    told = {one.id for one in judgement.findings}
    every = assembly.ledger.ended(since=judgement.now - _LATELY)
    before = [one for one in every if one.id not in told and one.last_seen <= judgement.now]
    yield from before if audience is None else Narrowing(judgement, audience).ended(before)


def _scans(assembly: Assembly) -> Sequence[Scanned] | str:
    """The last scans, or why they are not told."""
    try:
        return assembly.ledger.scans()
    except LedgerError as error:
        return str(error)
