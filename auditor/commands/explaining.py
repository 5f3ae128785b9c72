"""`explain` and `rules`: why a finding is there, and what a rule is about."""

import difflib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from auditor import rules as all_rules
from auditor.commands.answering import assembled, judged, writing
from auditor.commands.naming import known_keys
from auditor.controls import catalogue
from auditor.controls.framework import Control, Framework
from auditor.errors import UsageError
from auditor.findings import Finding, Judgement, Status
from auditor.outputs import (
    controls_json,
    scan_json,
    tabular,
    terminal,
    words,
)
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.ports import NamespaceRow, OpenInventory
from auditor.questions.called import called, may_be_key
from auditor.wiring import Assembly

_TOLD_WITHOUT_IT: Final = "`explain` without --namespaces tells how many there were, and some of them"
_NAMED: Final = 5
"""As many findings about a key are named."""
_SHORT: Final = 8
"""As much of an id as tables print."""
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
"""What ids of findings are made of."""


def explain_one(path: Path, what: str, form: str, output: Path | None, *, namespaces: bool, verbose: bool) -> int:
    """Print all about one rule, or one finding that there is or was."""
    rules = {rule.id: rule.demand for rule in all_rules.load()}
    if what in rules:
        if namespaces:
            raise UsageError(f"{what} is a rule, and only a finding has namespaces", "name a finding")
        with writing(output) as out:
            if form == "json":
                out.write(json.dumps(_rule(what)) + "\n")
            else:
                terminal.plain(out).print(terminal.explain_rule(rules[what], _related(what)))
        return 0
    is_id = set(what.lower()) <= _HEXADECIMAL
    if not is_id and not may_be_key(what):
        raise _neither(what)
    with assembled(path, verbose=verbose, asking=False) as (_, assembly):
        judgement = judged(assembly)
        one = _finding(assembly, judgement, what.lower()) if is_id else _finding_about(assembly, judgement, what)
        if namespaces and form == "json":
            hint = "leave --format away, or ask /api/v1/findings/ID/namespaces of `serve`"
            raise UsageError("--namespaces lists them as CSV", hint)
        if namespaces and one not in judgement.findings:
            raise UsageError(
                f"finding {one.id} ended at {words.instant(one.last_seen)}: all namespaces of then are not kept",
                _TOLD_WITHOUT_IT,
            )
        listed = _namespaces(one, assembly.rows(judgement)) if namespaces else ()
        with writing(output) as out:
            if namespaces:
                tabular.write_namespaces(listed, out)
            elif form == "json":
                out.write(json.dumps(scan_json.finding(one)) + "\n")
            else:
                # Commands and names stay whole, so that they can be pasted: the terminal itself folds what is too long.
                terminal.plain(out).print(terminal.explain(one, rules.get(one.rule), judgement), soft_wrap=True)
    return 0


def list_rules(form: str, output: Path | None) -> int:
    """Print all rules."""
    with writing(output) as out:
        if form == "json":
            out.write(json.dumps([_rule(rule.id) for rule in all_rules.load()], indent=1) + "\n")
        else:
            terminal.plain(out).print(terminal.rules((rule.demand, _related(rule.id)) for rule in all_rules.load()))
    return 0


def _finding(assembly: Assembly, judgement: Judgement, what: str) -> Finding:
    """A finding of the newest judgement; else one that has ended, as it was then: an alert may still point to it."""
    found: Sequence[Finding] = [one for one in judgement.findings if one.id.startswith(what)] if what else []
    if what and not found:
        found = assembly.ledger.ended(what)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{what!r} begins the ids of {len(found)} findings", "give more of the id")
    raise _neither(what)


def _finding_about(assembly: Assembly, judgement: Judgement, what: str) -> Finding:
    """The finding about a key, its versions or who may use it, or about one version, where there is one alone."""
    known, unoffered = known_keys(assembly.parts)
    meant = called(what, known, unoffered)
    below = f"/cryptoKeyVersions/{meant.version}" if meant.version is not None else ""
    names = NamesOfKeys(known, spelling_by(assembly.ledger.memory()))
    mine = tuple(f"{one}{below}/" for one in names.every([meant.key]))
    standing = [one for one in judgement.findings if one.status is not Status.RESOLVED]
    found = [one for one in standing if f"{one.subject.id.rpartition(' -> ')[2]}/".startswith(mine)]
    if len(found) == 1:
        return found[0]
    short = words.short(f"{meant.key}{below}")
    if not found:
        of_data = (one for one in names.same(meant.key) if one not in unoffered())
        name = f"{next(of_data, meant.key) if meant.key in unoffered() else meant.key}{below}"
        raise UsageError(f"no finding is about {short}", f"`cmek-auditor impact {name}` tells what hangs on it")
    some = [f"{one.id[:_SHORT]} ({one.rule})" for one in found[:_NAMED]]
    more = [f"{words.number(len(found) - _NAMED)} more"] if len(found) > _NAMED else []
    raise UsageError(f"{len(found)} findings are about {short}", f"explain one of them: {', '.join([*some, *more])}")


def _namespaces(one: Finding, rows: OpenInventory) -> Iterable[NamespaceRow]:
    """All namespaces of a finding, one by one; an empty list would say that there were none where there were some."""
    listed = rows.namespaces(one.members, portions=one.portions)
    first = next(listed, None)
    if first is None and one.extent.namespaces:
        raise UsageError(f"finding {one.id}: {words.NAMESPACES_NOT_KEPT}", _TOLD_WITHOUT_IT)
    return chain(() if first is None else (first,), listed)


def _neither(what: str) -> UsageError:
    alike = difflib.get_close_matches(what, (rule.id for rule in all_rules.load()), 1)
    return UsageError(
        f"{what!r} is neither a rule nor a finding that there is or was",
        f"did you mean {alike[0]}?"
        if alike
        else "`cmek-auditor rules` lists the rules, `poll --format json` the findings",
    )


def _rule(name: str) -> dict[str, Any]:
    rule = next(one for one in all_rules.load() if one.id == name)
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity.value,
        "source": rule.source,
        "remedy": rule.remedy,
        "otherwise": rule.otherwise,
        "controls": controls_json.related(name, catalogue.frameworks()),
    }


def _related(rule: str) -> list[tuple[Framework, tuple[Control, ...]]]:
    """The controls that a rule relates to, framework by framework."""
    return [(one, controls) for one in catalogue.frameworks() if (controls := one.related(rule))]
