"""`impact`, `retire` and `prove-revoked`: what hangs on a key."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from auditor import scan
from auditor.action import Action
from auditor.commands.answering import Answering, assembled, judged, judged_about, place_for, reasons, writing
from auditor.commands.naming import Names, known_keys
from auditor.errors import UsageError
from auditor.model import Cloud, KeyName
from auditor.outputs import (
    impact_json,
    impact_table,
    move_table,
    retire_json,
    retire_table,
    revocation_json,
    revocation_table,
    tabular,
    terminal,
)
from auditor.ownership.answering import by_any_name
from auditor.progress import progress_on
from auditor.questions.called import Called, called, whole
from auditor.questions.impact.foreseeing import foresee
from auditor.questions.impact.unseen import known_of
from auditor.questions.prove_revoked.answer import Proof
from auditor.questions.prove_revoked.proving import is_meant_revoked, proving, see_that_it_is_meant
from auditor.questions.retire.move import Plan
from auditor.questions.retire.planning import plan_of
from auditor.questions.retire.retiring import (
    each_once,
    names_of_data,
    newest,
    retiring,
    see_that_it_is_there,
)
from auditor.questions.retire.standing import Use
from auditor.skew import plausible

_STAYS: Final = frozenset({Use.IN_USE, Use.TAKES_NEW_DATA})


def foresee_one(path: Path, what: str, action: Action, how: Answering, *, namespaces: bool) -> int:
    """Print what an action on a key would do; 1 if anything depends on it, or is meant to, else 3 for a gap."""
    if namespaces and how.form == "json":
        raise UsageError("--namespaces lists them as CSV", "leave --format or --namespaces away")
    allowed = reasons(how.allow_gaps)
    place_for(how.output)
    with assembled(path, verbose=how.verbose, asking=False) as (_, assembly):
        judged_about(assembly, None)  # where nothing was judged, that is to be told, and not that no key is known
        key, version = _acted_on(what, action, known_keys(assembly.parts))
        judgement = judged_about(assembly, key)
        rows = assembly.rows(judgement)
        found = foresee(assembly.parts, judgement, rows, (key, version, action))
        with writing(how.output) as out:
            if namespaces:
                tabular.write_namespaces(rows.namespaces(found.members), out)
            elif how.form == "json":
                impact_json.write(found, out)
            else:
                # Commands stay whole, so that they can be pasted.
                terminal.plain(out).print(impact_table.impact(found), soft_wrap=True)
    if found.extent.objects != 0 or found.untouched != 0 or found.writes.registries or found.writes.buckets:
        return 1
    return 3 if any(gap.reason not in allowed for gap in found.gaps) else 0


def retire_keys(path: Path, what: str | None, how: Answering, *, destroying: bool, last_usage: bool = False) -> int:
    """Print which key versions may go; 3 where of a key, or of what a bucket holds, nothing is known, else 0.

    Of one key that is asked about also where whether it may go is not proven, and of what goes as a whole, a version or
    a key of AWS, 1 where data is under it or may come. `last_usage`: AWS is asked when its keys were used last; 3 also
    where it does not say.
    """
    allowed = reasons(how.allow_gaps)
    place_for(how.output)
    with assembled(path, verbose=how.verbose, asking=False) as (_, assembly):
        judgement = judged(assembly)
        meant = called(what, *known_keys(assembly.parts)) if what is not None else None
        if what is not None and meant is not None:
            _see_that_it_has_versions(what, meant)
        only, version = (meant.key, meant.version) if meant is not None else (None, None)
        memory = by_any_name(assembly.ledger.memory())
        others = names_of_data(judgement, memory).same(only) if only is not None else ()
        known = newest((only, *others), memory) if only is not None else None
        if only is not None:
            own = {only.text, *(one.text for one in others)}
            held = (one.holding.key_version for one in judgement.assessed if one.holding.key in own)
            see_that_it_is_there(only, version, known.last if known else None, filter(None, held))
        uses = assembly.last_uses() if last_usage else None
        asks = uses.read if uses is not None else None
        found = each_once(retiring(assembly.parts, judgement, only, asks, version), memory)
        stored = (assembly.rows(judgement), assembly.ledger)
        plan = plan_of(only, known, judgement, stored, found.now, others=others) if only is not None else Plan()
        if only is not None and plan.barred is not None and is_meant_revoked(assembly.parts, only, found.now):
            plan = replace(plan, barred="the config means the key to be revoked, so that nothing is to come under it")
        if version is not None:
            plan = replace(plan, moves=tuple(one for one in plan.moves if one.version == version))
        with writing(how.output) as out:
            if how.form == "json":
                retire_json.write(found, plan, out, destroy=destroying)
            else:
                table = retire_table.destroying if destroying else retire_table.retiring
                terminal.plain(out).print(table(found), soft_wrap=True)
                if only is not None and not destroying:
                    seen = impact_table.known(known_of(judgement, only.cloud), found.now)
                    plain = terminal.plain(out)
                    plain.print("", move_table.moves(only, plan, found.now), *seen, sep="\n", soft_wrap=True)
    uses_found = {one.standing.use for one in found.candidates}
    # Whoever asks of one version, or of a key of AWS, which has none, asks whether that may go.
    if only is not None and (version is not None or only.cloud is Cloud.AWS) and uses_found & _STAYS:
        return 1
    is_open = only is not None and Use.NOT_PROVEN in uses_found
    return 3 if is_open or any(gap.reason not in allowed for gap in found.gaps) else 0


def prove_revoked(path: Path, what: str, how: Answering) -> int:
    """Ask a key that is meant to be revoked, and print what proves it; 1 if data can be read, 3 if it is not proven."""
    allowed = reasons(how.allow_gaps)
    place_for(how.output)
    with assembled(path, verbose=how.verbose) as (_, assembly):
        key = whole(what, *known_keys(assembly.parts))
        parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
        asked = parts.clock()
        see_that_it_is_meant(parts, key, asked)
        with progress_on(sys.stderr, quiet=how.quiet) as progress:
            judgement = scan.poll(parts, progress, only=frozenset({key}))
            if parts.probing.reads or parts.probing.dry_runs:
                # After the key was asked: what it says now is kept next to what the attempts find.
                scan.probe(parts, progress, at_once=frozenset({key}))
                judgement = scan.poll(parts, progress, only=frozenset({key}))
        asked += plausible(judgement.run.skew)
        found = proving(parts, judgement, assembly.rows(judgement), key, asked)
        with writing(how.output) as out:
            if how.form == "json":
                revocation_json.write(found, out)
            else:
                terminal.plain(out).print(revocation_table.revocation(found), soft_wrap=True)
    if found.proof is Proof.READABLE:
        return 1
    is_open = found.proof is Proof.NOT_PROVEN or any(gap.reason not in allowed for gap in found.gaps)
    return 3 if is_open else 0


def _acted_on(text: str, action: Action, names: Names) -> tuple[KeyName, str | None]:
    """A key or one of its versions that somebody would act on."""
    found = called(text, *names)
    _see_that_it_has_versions(text, found)
    if found.version is not None and action is Action.REVOKE:
        raise UsageError(f"{text!r}: a right is on the key, never on one version", "name the key without a version")
    return found.key, found.version


def _see_that_it_has_versions(text: str, one: Called) -> None:
    if one.version is not None and one.key.cloud is Cloud.AWS:
        raise UsageError(f"{text!r}: an AWS key is usable or not as a whole", "name the key without a version")
