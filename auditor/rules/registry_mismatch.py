"""registry-mismatch: registries agree, and name keys that exist by their own names.

Source: NIST SP 800-53 Rev. 5, CM-8; PCI DSS v4.0.1, 12.3.3.
"""

from dataclasses import replace
from typing import Final

from auditor.findings import Outcome, Severity
from auditor.ownership.owned import HeardRegistry
from auditor.ownership.registered import Mismatch, Portion
from auditor.plurals import agreed, counted
from auditor.rule import Context, Rule, failed, not_applicable, passed, unknown

_WRONG: Final = {
    Mismatch.DISPUTE: ("say different things of", "namespace", ", which therefore neither pass nor end"),
    Mismatch.MISSING_KEY: ("names", "key", " that the service does not know"),
    Mismatch.VERSION: ("names a key version for", "namespace", ", where new data moves on to the next one"),
    Mismatch.ALIAS: ("names an alias for", "namespace", ", which may point to another key tomorrow"),
}


def check(registry: HeardRegistry, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail for what is wrong in one way, however many entries have it."""
    if registry.count:
        says, noun, why = _WRONG[registry.mismatch]
        what = f"{says} {registry.count} {noun}{'s' if registry.count > 1 else ''}{why}"
        return _of_data(registry, failed(f"{registry.name} {what}: {'; '.join(registry.samples)}"))
    if not registry.read:
        return unknown("it was never read")
    if registry.untold and registry.mismatch is Mismatch.DISPUTE:
        of = counted(registry.untold, "namespace")
        return unknown(f"of {of} they name two keys that may be one by the two names of its project")
    if registry.untold:
        they = agreed(registry.untold, "it exists", "they exist")
        why = f": {'; '.join(registry.namesakes)}, by the other name of its project" if registry.namesakes else ""
        return unknown(f"of {counted(registry.untold, 'key')} that it names nobody tells whether {they}{why}")
    if not registry.applies:
        return not_applicable("it says nothing that could be wrong so")
    return passed("nothing in it is wrong so")


def _of_data(registry: HeardRegistry, outcome: Outcome) -> Outcome:
    portions = (Portion.DISPUTED,) if registry.members else ()
    return replace(outcome, members=registry.members, portions=portions)


RULE = Rule(
    id="registry-mismatch",
    title="Registries agree, and name keys that exist by their own names",
    subject=HeardRegistry,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, CM-8; PCI DSS v4.0.1, 12.3.3",
    remedy="Mend the registry: one key for each namespace, by the full name of the key itself. Where a key is gone, "
    "data-lost speaks of its data.",
    check=check,
    of_data=True,
)
