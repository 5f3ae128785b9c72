"""What the commands do: one function each, from a config file to an exit code."""

import difflib
import getpass
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

from auditor import __version__, checkup, doctoring, log, scan
from auditor import rules as all_rules
from auditor.action import Action
from auditor.config import Config, load
from auditor.connectors.registry_bundle import look
from auditor.controls import catalogue
from auditor.controls.framework import Control, Framework
from auditor.daemon import serving
from auditor.daemon.leading import Leadership
from auditor.errors import AuditorError, CollectError, RefusedError, UsageError
from auditor.evidence.making import make
from auditor.evidence.verified import Verified
from auditor.evidence.verifying import verify
from auditor.findings import Finding, Judgement, Severity, Status
from auditor.grants import GcpGrants
from auditor.handover.bundling import bundling
from auditor.handover.handing import hand_over
from auditor.log import visible
from auditor.model import Cloud, KeyName, Reason
from auditor.outputs import (
    bundle_text,
    controls_json,
    diff_json,
    diff_table,
    doctor_json,
    doctor_table,
    estimate_json,
    evidence_text,
    grants,
    html,
    impact_json,
    impact_table,
    move_table,
    pdf,
    period_csv,
    period_json,
    period_page,
    retire_json,
    retire_table,
    revocation_json,
    revocation_table,
    scan_json,
    show_json,
    show_table,
    tabular,
    terminal,
    verify_json,
    verify_table,
    words,
)
from auditor.ownership.naming import named_by
from auditor.ownership.registering import ready
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.ports import NamespaceRow, OpenInventory
from auditor.progress import progress_on
from auditor.questions.called import Called, called, may_be_key, whole
from auditor.questions.diff.comparing import compare
from auditor.questions.estimate import estimate, estimate_registries
from auditor.questions.impact.foreseeing import foresee
from auditor.questions.impact.unseen import known_of
from auditor.questions.period.asking import period_of
from auditor.questions.prove_revoked.answer import Proof
from auditor.questions.prove_revoked.proving import is_meant_revoked, proving, see_that_it_is_meant
from auditor.questions.retire.move import Plan
from auditor.questions.retire.planning import plan_of
from auditor.questions.retire.retiring import (
    each_once,
    names_of_data,
    newest,
    retiring,
    see_by_which_name,
    see_that_it_is_there,
)
from auditor.questions.retire.standing import Use
from auditor.reporting import ENDINGS, Content, content_of
from auditor.signing.elsewhere import is_uri, signer_at
from auditor.signing.envelope import Signer
from auditor.signing.keys import fingerprint_of, signing_key, verifying_key
from auditor.skew import plausible
from auditor.web.users import line_for
from auditor.wiring import Assembly, assemble, stored

_STANDARD_OUTPUT: Final = Path("-")
_LONGEST_OPERATOR: Final = 200
_OF_NO_PERIOD: Final = {
    "pdf": "ask for html, and print it with a browser",
    "ocsf": "ask for json",
    "oscal": "ask for json",
}
"""Kind of report -> what to ask for instead where a period is to be told."""
_STAYS: Final = frozenset({Use.IN_USE, Use.TAKES_NEW_DATA})
_TOLD_WITHOUT_IT: Final = "`explain` without --namespaces tells how many there were, and some of them"
_NAMED: Final = 5
"""As many findings about a key are named."""
_SHORT: Final = 8
"""As much of an id as tables print."""
_Names = tuple[Collection[KeyName], Collection[KeyName]]
"""What keys are called; and which of these names data does not know, though it knows the key by another."""
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
"""What ids of findings are made of."""


@dataclass(frozen=True, slots=True)
class Answering:
    """How a judging command answers."""

    form: str
    """`table` or `json`."""
    output: Path | None
    fail_on: Severity
    allow_gaps: str
    quiet: bool
    verbose: bool


def judge_once(
    path: Path,
    how: Answering,
    buckets: list[str] | None = None,
    keys: list[str] | None = None,
    *,
    by_sdk: bool = False,
) -> int:
    """Scan (with `buckets`, an empty list for all) or poll (with `keys`, likewise) and print the judgement."""
    allowed = _reasons(how.allow_gaps)
    _place_for(how.output)  # before a scan of hours, not after it
    with _assembled(path, verbose=how.verbose, by_sdk=by_sdk) as (config, assembly):
        # Nobody asks again in this run: one reading must do, and says so.
        parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
        with progress_on(sys.stderr, quiet=how.quiet) as progress:
            if buckets is not None:
                judgement = scan.scan(parts, progress, only=_configured(config, buckets))
            else:
                names = _known_keys(assembly, assembly.ledger.judgement()) if keys else ((), ())
                # A registry may name a key since: the poll hears it, and refuses what nobody names.
                may_be_new = bool(parts.registries or parts.services or parts.handed)
                only = frozenset(whole(one, *names, strangers=may_be_new) for one in keys or ())
                scan.probe(parts, progress)
                judgement = scan.poll(parts, progress, only=only)
        with _writing(how.output) as out:
            _print(judgement, assembly.rows(judgement), how.form, out)
            if buckets is not None and how.form == "table" and judgement.coverage.buckets:
                swept = (one for one in judgement.coverage.buckets if not buckets or one.bucket in buckets)
                terminal.plain(out).print("", terminal.sent(swept), sep="\n")
    return exit_code(judgement, how.fail_on, allowed)


def estimate_sweeps(path: Path, how: Answering, buckets: list[str], *, by_sdk: bool = False) -> int:
    """Print what sweeps of the buckets (an empty list for all) would ask and cost; make none."""
    _place_for(how.output)
    with _assembled(path, verbose=how.verbose, by_sdk=by_sdk) as (config, assembly):
        chosen = _configured(config, buckets)
        found, registries = estimate(assembly.parts, chosen), estimate_registries(assembly.parts, chosen)
        rate = config.limits.requests_per_second
        with _writing(how.output) as out:
            if how.form == "json":
                estimate_json.write(found, rate, out, registries)
            else:
                terminal.plain(out).print(terminal.estimates(found, rate, registries))
    return 0


def foresee_one(path: Path, what: str, action: Action, how: Answering, *, namespaces: bool) -> int:
    """Print what an action on a key would do; 1 if anything depends on it, or is meant to, else 3 for a gap."""
    allowed = _reasons(how.allow_gaps)
    _place_for(how.output)
    with _assembled(path, verbose=how.verbose, asking=False) as (_, assembly):
        judgement = _judged(assembly)
        key, version = _acted_on(what, action, _known_keys(assembly, judgement))
        rows = assembly.rows(judgement)
        found = foresee(assembly.parts, judgement, rows, (key, version, action))
        with _writing(how.output) as out:
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
    allowed = _reasons(how.allow_gaps)
    _place_for(how.output)
    with _assembled(path, verbose=how.verbose, asking=False) as (_, assembly):
        judgement = _judged(assembly)
        meant = called(what, *_known_keys(assembly, judgement)) if what is not None else None
        if what is not None and meant is not None:
            _see_that_it_has_versions(what, meant)
        only, version = (meant.key, meant.version) if meant is not None else (None, None)
        memory = assembly.ledger.memory()
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
        with _writing(how.output) as out:
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
    allowed = _reasons(how.allow_gaps)
    _place_for(how.output)
    with _assembled(path, verbose=how.verbose) as (_, assembly):
        key = whole(what, *_known_keys(assembly, assembly.ledger.judgement()))
        parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
        asked = parts.clock()
        see_that_it_is_meant(parts, key, asked)
        before = assembly.ledger.judgement()
        if before is not None:
            see_by_which_name(key, names_of_data(before, assembly.ledger.memory()))
        with progress_on(sys.stderr, quiet=how.quiet) as progress:
            judgement = scan.poll(parts, progress, only=frozenset({key}))
            if parts.probing.reads or parts.probing.dry_runs:
                # After the key was asked: what it says now is kept next to what the attempts find.
                scan.probe(parts, progress, at_once=frozenset({key}))
                judgement = scan.poll(parts, progress, only=frozenset({key}))
        asked += plausible(judgement.run.skew)
        found = proving(parts, judgement, assembly.rows(judgement), key, asked)
        with _writing(how.output) as out:
            if how.form == "json":
                revocation_json.write(found, out)
            else:
                terminal.plain(out).print(revocation_table.revocation(found), soft_wrap=True)
    if found.proof is Proof.READABLE:
        return 1
    is_open = found.proof is Proof.NOT_PROVEN or any(gap.reason not in allowed for gap in found.gaps)
    return 3 if is_open else 0


def see_doctor(path: Path, how: Answering) -> int:
    """Print what the config needs and what of it is there; 1 if something is missing, else 3 if not all was told."""
    _place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    checks = doctoring.examine(path, config)
    with _writing(how.output) as out:
        if how.form == "json":
            doctor_json.write(checks, out)
        else:
            terminal.plain(out).print(doctor_table.doctor(checks))
    return checkup.exit_code(checks)


def print_grants(path: Path, cloud: Cloud, how: Answering) -> int:
    """Print what a cloud must grant for the config, to be pasted; no cloud is asked."""
    _place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    keys = doctoring.known_keys(config)
    aws = doctoring.aws_grants(config, keys) if cloud is Cloud.AWS else None
    gcp = doctoring.gcp_grants(config, keys) if cloud is Cloud.GCP else None
    if not (aws and aws.policies) and not (gcp and gcp.roles):
        raise UsageError(f"--grants {cloud}: the config names no bucket and no key there", "name the other cloud")
    with _writing(how.output) as out:
        if how.form == "json":
            grants.write_json(aws, gcp, out)
        elif aws is not None:
            grants.write_aws(aws, out, sys.stderr)
        else:
            out.writelines(f"{line}\n" for line in grants.gcp_text(gcp or GcpGrants(())))
    return 0


def compare_two(path: Path, first: str | None, last: str | None, how: Answering) -> int:
    """Print what differs between two judgements; 1 if something got worse, else 3 where something is not compared."""
    allowed = _reasons(how.allow_gaps)
    _place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    with stored(config) as (ledger, inventory):
        found = compare(ledger, inventory, first, last)
    with _writing(how.output) as out:
        if how.form == "json":
            diff_json.write(found, out)
        else:
            terminal.plain(out).print(diff_table.difference(found))
    if found.worse or found.alarming(how.fail_on):
        return 1
    return 3 if any(gap.reason not in allowed for gap in found.all_gaps) else 0


def exit_code(judgement: Judgement, fail_on: Severity, allowed: frozenset[Reason]) -> int:
    """1 for an open finding at or above the level, else 3 for a gap that is not allowed, else 0."""
    if any(one.status is Status.OPEN and one.severity.rank >= fail_on.rank for one in judgement.findings):
        return 1
    return 3 if any(gap.reason not in allowed for gap in judgement.gaps) else 0


def run_daemon(path: Path, *, standby: bool, verbose: bool) -> int:
    """Serve until SIGTERM or SIGINT, and read the config anew at SIGHUP; with `standby` behind another daemon."""
    again = serving.hang_ups()
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    assembly = assemble(config)
    ready(assembly.parts)
    leadership = leading_or_waiting(assembly, standby=standby)
    assembly.ledger.verify()

    def started(address: str) -> None:
        if sys.stdout is not None:
            waits = "" if leadership else "; another daemon works, and this one waits"
            sys.stdout.write(f"serving on {address} (metrics: {address}/metrics, report: {address}/){waits}\n")
            sys.stdout.flush()

    done = serving.serve(serving.Serving(path, config, assembly, leadership, verbose=verbose), started, again)
    serving.leave(at_once=not done)
    return 0


def leading_or_waiting(assembly: Assembly, *, standby: bool) -> Leadership:
    """Make this daemon the one that works with its ledger, or one that may wait for that.

    Raises:
        UsageError: another daemon works, and this one is not to wait.
    """
    leadership = Leadership(assembly.ledger)
    leadership.look()
    if not leadership and not standby:
        raise UsageError(
            f"another daemon works with the ledger {assembly.ledger.name}",
            "stop it first, let this one wait with --standby, or give it a `state` of its own",
        )
    return leadership


def make_user(name: str) -> int:
    """Print a line for a file of users; the password comes from the terminal, unseen, or from a pipe."""
    if sys.stdin is not None and sys.stdin.isatty():
        given = getpass.getpass("password: ")
        if getpass.getpass("again: ") != given:
            raise UsageError("the two are not the same", "type it again")
    else:
        given = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    line = line_for(name, given)
    sys.stdout.write(f"{line}\n")
    return 0


def render_report(
    path: Path,
    kinds: list[str],
    output: Path | None,
    frameworks: list[str],
    *,
    tenant: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Render the newest judgement as files of each kind, of all frameworks or those that are named.

    `tenant`: for whom it is, so that it has what is its own alone; None: for the operator.
    """
    asked = catalogue.chosen(frameworks) if frameworks else ()
    _see_that_they_fit(kinds, output)
    _see_that_it_is_text(tenant)
    with _assembled(path, verbose=verbose, asking=False) as (_, assembly):
        assembly.ledger.verify()
        content = content_of(assembly, _judged(assembly), tenant, asked=asked)
        written = [one for kind, to in _targets(kinds, output) for one in write_report(content, kind, to)]
    _tell_written(written, quiet=quiet)
    return 0


def write_evidence(
    path: Path, sign_with: str, public: Path | None, output: Path, tenant: str | None, *, quiet: bool, verbose: bool
) -> int:
    """Write the newest judgement and all that it stands on as one signed archive; for a tenant its own part alone."""
    _see_that_it_is_text(tenant)
    if output == _STANDARD_OUTPUT:
        raise UsageError("a bundle is a file, and standard output is none", "name a file with --output")
    key = _signer(sign_with, public)
    if output.exists() and not is_uri(sign_with) and output.samefile(sign_with):
        raise UsageError(f"--output {output} is the key to sign with, which would be lost", "choose another --output")
    with _assembled(path, verbose=verbose, asking=False) as (config, assembly):
        assembly.ledger.verify()
        made = make(assembly, config, key, output, tenant)
    if not quiet and sys.stdout is not None:
        told = evidence_text.made(made.statement, made.size, fingerprint_of(key))
        sys.stdout.writelines(f"{visible(one)}\n" for one in (f"wrote {output}", *told))
    return 0


def _signer(sign_with: str, public: Path | None) -> Signer:
    """A key in a file, or one that is elsewhere, of which the public key is in a file."""
    if not is_uri(sign_with):
        if public is not None:
            raise UsageError("--public-key is of a key that --sign-with names by a URI", "leave --public-key away")
        return signing_key(Path(sign_with))
    if public is None:
        raise UsageError(f"--sign-with {sign_with} needs --public-key PUB.pem", "save what its service shows as that")
    return signer_at(sign_with, verifying_key(public))


def verify_bundle(path: Path, key: Path | None, after: Path | None, after_key: Path | None, how: Answering) -> int:
    """Print whether an evidence bundle holds; 1 where it does not, 3 where its signature was not verified.

    Raises:
        RefusedError: something of it does not hold.
        UsageError: a file or a key cannot be read.
    """
    _place_for(how.output)
    log.start(json_lines=False, verbose=how.verbose)
    if after_key is not None and after is None:
        raise UsageError("--after-key is of the bundle that --after names", "name that, or leave both away")
    signer = verifying_key(key) if key is not None else None
    found: Verified | RefusedError
    try:
        found = verify(path, signer, after, verifying_key(after_key) if after_key is not None else None)
    except RefusedError as error:
        if how.form != "json":
            raise
        found = error
    with _writing(how.output) as out:
        if how.form == "json":
            verify_json.write(path, after, found, out, keyed=signer is not None)
        elif isinstance(found, Verified):
            terminal.plain(out).print(verify_table.verified(found, datetime.now(UTC)), soft_wrap=True)
    if isinstance(found, RefusedError):
        raise found
    return 0 if found.bundle.signer is not None else 3


def render_period(path: Path, text: str, kinds: list[str], output: Path | None, *, quiet: bool, verbose: bool) -> int:
    """Render what the ledger tells of a period as files of each kind."""
    period, asked = period_of(text), datetime.now(UTC)
    for kind, instead in _OF_NO_PERIOD.items():
        if kind in kinds:
            raise UsageError(f"--period and --as {kind} go not together", instead)
    _see_that_they_fit(kinds, output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    with stored(config) as (ledger, _):
        found = ledger.chronicle(period, asked)
    if found.chain.began is None:
        raise _not_judged()
    written = list(_targets(kinds, output, "cmek-period"))
    for kind, target in written:
        with _writing(target) as out:
            match kind:
                case "html":
                    out.write(html.render_period(period_page.view(found, asked, __version__)))
                case "json":
                    period_json.write(found, __version__, out)
                case _:
                    period_csv.write(found, out)
    _tell_written([target for _, target in written if target != _STANDARD_OUTPUT], quiet=quiet)
    return 0


def _see_that_they_fit(kinds: list[str], output: Path | None) -> None:
    if output == _STANDARD_OUTPUT and len(kinds) > 1:
        raise UsageError("standard output takes one kind of report", "name a file with --output, or one kind with --as")
    if "pdf" in kinds:
        if output == _STANDARD_OUTPUT and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("a PDF is no text, and standard output is a terminal", "name a file with --output")
        pdf.ready()


def _tell_written(files: Iterable[Path], *, quiet: bool) -> None:
    if not quiet and sys.stdout is not None:
        sys.stdout.writelines(f"wrote {one}\n" for one in files)


def write_bundle(
    path: Path, tenant: str, operator: str | None, sign_with: Path, output: Path, *, quiet: bool, verbose: bool
) -> int:
    """Write what the newest judgement tells of one tenant's data, signed for this tenant."""
    if operator is not None and not (operator.isprintable() and 0 < len(operator) <= _LONGEST_OPERATOR):
        raise UsageError(f"--operator {operator!r} is no name", f"give one of at most {_LONGEST_OPERATOR} characters")
    if not _is_text(tenant):
        raise UsageError(f"--tenant {tenant!r} is no text in UTF-8", "name it as `scan --format json` does")
    key = signing_key(sign_with)
    if output.exists() and output.samefile(sign_with):
        raise UsageError(f"--output {output} is the key to sign with, which would be lost", "choose another --output")
    with _assembled(path, verbose=verbose, asking=False) as (_, assembly):
        assembly.ledger.verify()
        judgement = _judged(assembly)
        now = assembly.parts.clock() + plausible(judgement.run.skew)
        made = bundling(assembly.parts, judgement, assembly.rows(judgement), tenant=tenant, operator=operator, now=now)
    hand_over(made, key, output)
    if not quiet and sys.stdout is not None:
        sys.stdout.writelines(
            f"{visible(one)}\n" for one in (f"wrote {output}", *bundle_text.made(made, fingerprint_of(key)))
        )
    return 0


def show_bundle(path: Path, key: Path | None, how: Answering) -> int:
    """Print what a bundle says of itself and of the data; 3 where its signature was not verified.

    Raises:
        UsageError: it cannot be read, is none, or is not signed by the key.
    """
    _place_for(how.output)
    log.start(json_lines=False, verbose=how.verbose)
    now = datetime.now(UTC)
    try:
        found = look(path, key, now)
    except CollectError as error:
        raise UsageError(str(error), error.hint) from None
    with _writing(how.output) as out:
        if how.form == "json":
            show_json.write(found, out)
        else:
            terminal.plain(out).print(show_table.shown(found, now), soft_wrap=True)
    return 0 if found.signer is not None else 3


def _see_that_it_is_text(tenant: str | None) -> None:
    if tenant is not None and not _is_text(tenant):
        raise UsageError(f"tenant {tenant!r} is no text in UTF-8", "name it as `scan --format json` does")


def _is_text(given: str) -> bool:
    """Whether it was given as text: bytes of a command line that are none stand for themselves."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


def _targets(kinds: list[str], output: Path | None, usual: str = "cmek-report") -> Iterator[tuple[str, Path]]:
    """Each kind with its file: the one that was named, or for several kinds that name with other endings."""
    if output is not None and len(kinds) == 1:
        yield kinds[0], output
        return
    stem = output or Path(usual)
    if stem.suffix.removeprefix(".") in kinds:
        stem = stem.with_suffix("")
    for kind in kinds:
        yield kind, stem.with_name(f"{stem.name}.{ENDINGS.get(kind, kind)}")


def write_report(content: Content, kind: str, target: Path) -> list[Path]:
    """Write a report as a file of one kind; CSV has two more beside it, with the dependencies and the gaps.

    Returns:
        The files that were written; none where it went to standard output.
    """
    if kind == "pdf":
        return _write_bytes(content.pdf(), target)
    written = []
    for more, write in content.writers(kind).items():
        place = target.with_stem(f"{target.stem}{more}") if more else target
        with _writing(place) as out:
            write(out)
        if target == _STANDARD_OUTPUT:
            break
        written.append(place)
    if target == _STANDARD_OUTPUT and kind == "csv":
        missing = f"the dependencies and {words.counted(len(content.judgement.gaps), 'gap')} are not"
        sys.stderr.write(f"note: only the findings go to standard output, {missing}; name a file with --output\n")
    return written


def explain_one(path: Path, what: str, form: str, output: Path | None, *, namespaces: bool, verbose: bool) -> int:
    """Print all about one rule, or one finding that there is or was."""
    rules = {rule.id: rule.demand for rule in all_rules.load()}
    if what in rules:
        if namespaces:
            raise UsageError(f"{what} is a rule, and only a finding has namespaces", "name a finding")
        with _writing(output) as out:
            if form == "json":
                out.write(json.dumps(_rule(what)) + "\n")
            else:
                terminal.plain(out).print(terminal.explain_rule(rules[what], _related(what)))
        return 0
    is_id = set(what.lower()) <= _HEXADECIMAL
    if not is_id and not may_be_key(what):
        raise _neither(what)
    with _assembled(path, verbose=verbose, asking=False) as (_, assembly):
        judgement = _judged(assembly)
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
        with _writing(output) as out:
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
    with _writing(output) as out:
        if form == "json":
            out.write(json.dumps([_rule(rule.id) for rule in all_rules.load()], indent=1) + "\n")
        else:
            terminal.plain(out).print(terminal.rules((rule.demand, _related(rule.id)) for rule in all_rules.load()))
    return 0


@contextmanager
def _assembled(
    path: Path, *, verbose: bool, by_sdk: bool = False, asking: bool = True
) -> Iterator[tuple[Config, Assembly]]:
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    assembly = assemble(config, by_sdk=by_sdk, asking=asking)
    try:
        yield config, assembly
    finally:
        assembly.close()


def _place_for(output: Path | None) -> None:
    if output in {None, _STANDARD_OUTPUT} and sys.stdout is None:
        raise AuditorError("cannot write the answer: standard output is closed", "name another place with --output")


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    _place_for(output)
    if output is None or output == _STANDARD_OUTPUT:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise AuditorError(
                f"cannot write the answer: {error.strerror}", "name another place with --output"
            ) from None
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as error:
        raise AuditorError(f"cannot write {output}: {error.strerror}", "choose another --output") from None


def _write_bytes(told: bytes, output: Path) -> list[Path]:
    """Write what is no text; the file, or none where it went to standard output."""
    if output != _STANDARD_OUTPUT:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(told)
        except OSError as error:
            raise AuditorError(f"cannot write {output}: {error.strerror}", "choose another --output") from None
        return [output]
    with _writing(output) as out:
        out.buffer.write(told)
    return []


def _print(judgement: Judgement, rows: OpenInventory, form: str, out: TextIO) -> None:
    if form == "json":
        scan_json.write(judgement, rows, out)
    else:
        terminal.show(judgement, terminal.plain(out))


def _judged(assembly: Assembly) -> Judgement:
    judgement = assembly.ledger.judgement()
    if judgement is None:
        raise _not_judged()
    return judgement


def _not_judged() -> UsageError:
    return UsageError("there is no judgement yet", "run `cmek-auditor scan` first")


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
    known, unoffered = _known_keys(assembly, judgement)
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
        of_data = (one for one in names.same(meant.key) if one not in unoffered)
        name = f"{next(of_data, meant.key) if meant.key in unoffered else meant.key}{below}"
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


def _reasons(text: str) -> frozenset[Reason]:
    asked = {one.strip() for one in text.split(",") if one.strip()}
    wrong = sorted(asked - set(Reason))
    if wrong:
        raise UsageError(f"--allow-gaps: {wrong[0]!r} is no reason of a gap", f"reasons are {', '.join(Reason)}")
    return frozenset(map(Reason, asked))


def _configured(config: Config, buckets: list[str]) -> frozenset[str]:
    known = {one.url for one in config.bucket}
    wrong = [one for one in buckets if one not in known]
    if wrong:
        raise UsageError(f"--bucket {wrong[0]!r} is not in the config", "name it by its `url`")
    return frozenset(buckets)


def _acted_on(text: str, action: Action, names: _Names) -> tuple[KeyName, str | None]:
    """A key or one of its versions that somebody would act on."""
    found = called(text, *names)
    _see_that_it_has_versions(text, found)
    if found.version is not None and action is Action.REVOKE:
        raise UsageError(f"{text!r}: a right is on the key, never on one version", "name the key without a version")
    return found.key, found.version


def _see_that_it_has_versions(text: str, one: Called) -> None:
    if one.version is not None and one.key.cloud is Cloud.AWS:
        raise UsageError(f"{text!r}: an AWS key is usable or not as a whole", "name the key without a version")


def _known_keys(assembly: Assembly, judgement: Judgement | None) -> _Names:
    """Keys that were ever asked, are watched, or are named by data or registries."""
    parts, memory = assembly.parts, assembly.ledger.memory()
    if judgement is None:
        return frozenset((*memory, *parts.watched)), frozenset()
    named = named_by(parts, judgement).by_registries.values()
    held = (one.holding.key for one in judgement.assessed if one.holding.key)
    known = frozenset((*memory, *parts.watched, *map(KeyName, chain(held, *named))))
    of_data = names_of_data(judgement, memory)
    return known, frozenset(one for one in known if of_data.known_by(one))
