"""The command line: argv in, exit code out."""

import os
import signal
import sys
import threading
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Final, NoReturn, TextIO

import typer
import typer.exceptions

from auditor import __version__, garbage
from auditor.action import Action
from auditor.errors import AuditorError, UsageError
from auditor.findings import Severity
from auditor.model import Cloud

# Everything else is imported inside the commands: `--help` must not wait for two cloud SDKs.

_EPILOG: Final = (
    "Exit codes: 0 nothing at or above --fail-on; 1 findings, with or without gaps; 2 wrong usage or config; "
    "3 gaps and no finding; 70 the auditor itself failed; 130 Ctrl-C; 141 nobody read the answer to its end."
)

app = typer.Typer(
    name="cmek-auditor",
    help="Tell which stored data hangs on which KMS key version, and what becomes unreadable when one goes away.",
    epilog=_EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Format(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"


class ReportKind(StrEnum):
    """What a report is rendered as."""

    HTML = "html"
    PDF = "pdf"
    JSON = "json"
    CSV = "csv"
    OCSF = "ocsf"
    OSCAL = "oscal"
    ASFF = "asff"


class TableKind(StrEnum):
    """What lies in a warehouse's table."""

    S3_METADATA = "s3-metadata"
    NORMAL = "normal"


class Dialect(StrEnum):
    """Which engine reads the statement."""

    DUCKDB = "duckdb"
    ATHENA = "athena"
    TRINO = "trino"
    BIGQUERY = "bigquery"
    SPARK = "spark"


class ReportView(StrEnum):
    """For whom a report is."""

    OPERATOR = "operator"
    TENANT = "tenant"


class Client(StrEnum):
    """Which client lists buckets."""

    CURL = "curl"
    BOTO3 = "boto3"


ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Config file.", envvar="CMEK_AUDITOR_CONFIG")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print the answer.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file; - is standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log more; show the trace of a defect.")]
FailOnOption = Annotated[Severity, typer.Option("--fail-on", help="Lowest severity that makes the exit code 1.")]
AllowGapsOption = Annotated[
    str, typer.Option("--allow-gaps", help="Gap reasons, separated by commas, that do not make the exit code 3.")
]

_CONFIG: Final = Path("auditor.toml")
_INTERRUPTED: Final = 130
"""What shells expect of a command that Ctrl-C ended."""
_READER_GONE: Final = 141
"""What shells tell of a command that wrote into a pipe which nobody reads any more."""
_INTERRUPT_PATIENCE: Final = 5.0
"""Seconds after Ctrl-C until the process ends whatever it is doing."""


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        typer.echo(f"cmek-auditor {__version__}")
        raise typer.Exit


@app.command()
def scan(
    config: ConfigOption = _CONFIG,
    bucket: Annotated[list[str] | None, typer.Option("--bucket", help="Only this bucket URL; may be repeated.")] = None,
    client: Annotated[
        Client, typer.Option("--client", help="How buckets are listed: fast, or through the SDKs, which say the same.")
    ] = Client.CURL,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="Sweep nothing: tell the requests that it would take, by the last sweep's counts, and list prices.",
        ),
    ] = False,
    index: Annotated[
        int | None,
        typer.Option("--index", help="List only the shards of this worker, 0 for the first, and judge nothing."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", help="How many workers list the buckets together, with --index.")
    ] = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    fail_on: FailOnOption = Severity.HIGH,
    allow_gaps: AllowGapsOption = "",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Sweep the buckets, poll the keys, judge once."""
    from auditor.commands.answering import Answering
    from auditor.commands.judging import estimate_sweeps, judge_once
    from auditor.commands.working import share_of, work_once

    share = share_of(index, count)
    if share is not None:
        if estimate or form is not Format.TABLE or output is not None:
            raise UsageError("--index judges nothing: --estimate, --format and --output do not go with it", None)
        return work_once(config, share, bucket or [], quiet=quiet, verbose=verbose, by_sdk=client is Client.BOTO3)

    how = Answering(form.value, output, fail_on, allow_gaps, quiet, verbose)
    if estimate:
        return estimate_sweeps(config, how, bucket or [], by_sdk=client is Client.BOTO3)
    return judge_once(config, how, buckets=bucket or [], by_sdk=client is Client.BOTO3)


@app.command()
def poll(
    key: Annotated[list[str] | None, typer.Argument(help="Only these keys, by full name or as tables print.")] = None,
    config: ConfigOption = _CONFIG,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    fail_on: FailOnOption = Severity.HIGH,
    allow_gaps: AllowGapsOption = "",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Poll the keys and judge from the stored dependencies."""
    from auditor.commands.answering import Answering
    from auditor.commands.judging import judge_once

    return judge_once(config, Answering(form.value, output, fail_on, allow_gaps, quiet, verbose), keys=key or [])


@app.command()
def serve(
    config: ConfigOption = _CONFIG,
    standby: Annotated[
        bool,
        typer.Option("--standby", help="While another daemon works with the same ledger, wait, and take over from it."),
    ] = False,
    verbose: VerboseOption = False,
) -> int:
    """Run the daemon: sweep and poll on the schedule, answer on the web address."""
    from auditor.commands.serving import run_daemon

    return run_daemon(config, standby=standby, verbose=verbose)


@app.command()
def aggregate(
    bucket: Annotated[
        str, typer.Argument(metavar="BUCKET", help="Which bucket of the config, as s3://NAME or gs://NAME.")
    ],
    table: Annotated[str, typer.Option("--table", help="The table in the warehouse, as catalog.schema.table.")],
    kind: Annotated[
        TableKind,
        typer.Option(
            "--from",
            help="What the table is: a live inventory table of S3 Metadata, or one in the normal form "
            "(docs/warehouse.md).",
        ),
    ] = TableKind.S3_METADATA,
    dialect: Annotated[Dialect, typer.Option("--dialect", help="Whose SQL.")] = Dialect.ATHENA,
    never_versioned: Annotated[
        bool,
        typer.Option(
            "--never-versioned",
            help="Of S3 Metadata: the bucket never had versioning, so that each name stands there once, and names need "
            "not be sorted. Where it had, older versions would count as live.",
        ),
    ] = False,
    config: ConfigOption = _CONFIG,
) -> int:
    """Print the SQL that adds up a bucket's objects where an inventory of them lies; nothing is asked."""
    from auditor.commands.aggregating import print_statement

    return print_statement(config, bucket, kind, table, dialect, never_versioned=never_versioned)


@app.command()
def report(
    tenant: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Which tenant, with --view tenant, as `scan --format json` names it."),
    ] = None,
    view: Annotated[
        ReportView, typer.Option("--view", help="For whom: all there is, or `tenant NAME`: of one tenant's own alone.")
    ] = ReportView.OPERATOR,
    kinds: Annotated[
        str | None,
        typer.Option(
            "--as", help="html, pdf, json, csv, ocsf, oscal, asff, or several separated by commas.", show_default="html"
        ),
    ] = None,
    bundle: Annotated[
        bool,
        typer.Option(
            "--bundle",
            help="All of it as one signed archive that `verify` checks: report, judgement, dependencies, readings of "
            "keys, waivers, provenance; of a tenant's view its own alone. Needs --sign-with.",
        ),
    ] = False,
    sign_with: Annotated[
        str | None,
        typer.Option(
            "--sign-with",
            help="Of --bundle: your private Ed25519 key, a PEM file; or with the extra `sign` a key that is elsewhere, "
            "as awskms:ARN or gcpkms:NAME.",
        ),
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="Of a key that is elsewhere: its public key, PEM.")
    ] = None,
    config: ConfigOption = _CONFIG,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File, or for several kinds the name without its ending; - is standard output, for one kind. "
            "CSV adds NAME-dependencies.csv and NAME-gaps.csv.",
            show_default="cmek-report (cmek-period) and the kind's ending; of --bundle cmek-evidence.zip",
        ),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            help="Instead of what is now: what was unreadable when from A to B, and when nobody looked, as A/B: dates, "
            "both included, as 2026-10-01/2026-12-31, or times; UTC.",
        ),
    ] = None,
    framework: Annotated[
        list[str] | None,
        typer.Option(
            "--framework",
            help="Only the controls of this framework, told whole; may be repeated, or several separated by commas. "
            "A name that there is not lists those that there are.",
            show_default="all frameworks",
        ),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Render the newest judgement, or with --period what the ledger tells of a time."""
    from auditor.commands.evidence import write_evidence
    from auditor.commands.reports import render_period, render_report

    if view is ReportView.TENANT and tenant is None:
        raise UsageError("--view tenant names no tenant", "say whose: --view tenant NAME")
    if view is ReportView.OPERATOR and tenant is not None:
        raise UsageError(f"{tenant!r} is given, and nothing that takes it", "for a tenant: --view tenant NAME")
    if bundle:
        if period is not None or framework:
            what = "--period" if period is not None else "--framework"
            raise UsageError(f"{what} and --bundle go not together", "leave it away: a bundle is of what is now, whole")
        if kinds is not None:
            raise UsageError("--as and --bundle go not together", "leave --as away: a bundle has HTML, JSON and CSV")
        if sign_with is None:
            raise UsageError(
                "--bundle needs --sign-with KEY.pem", "make a key: openssl genpkey -algorithm ed25519 -out KEY.pem"
            )
        target = output or Path("cmek-evidence.zip")
        return write_evidence(config, sign_with, public_key, target, tenant, quiet=quiet, verbose=verbose)
    if sign_with is not None or public_key is not None:
        raise UsageError("--sign-with is of --bundle, and nothing else of a report is signed", "give --bundle as well")
    kinds = "html" if kinds is None else kinds
    asked = list(dict.fromkeys(one.strip() for one in kinds.split(",") if one.strip()))
    wrong = [one for one in asked if one not in set(ReportKind)]
    if wrong or not asked:
        raise UsageError(f"--as {kinds!r} names no kind of report", f"kinds are {', '.join(ReportKind)}")
    named = [name for one in framework or () for each in one.split(",") if (name := each.strip())]
    if framework and not named:
        raise UsageError("--framework names none", "name one, as nist-800-53-r5, or leave it out for all")
    if period is not None:
        if tenant is not None or named:
            hint = "leave --view and --framework away"
            raise UsageError("--period tells of all there is, and of no controls", hint)
        return render_period(config, period, asked, output, quiet=quiet, verbose=verbose)
    return render_report(config, asked, output, named, tenant=tenant, quiet=quiet, verbose=verbose)


@app.command(
    epilog="Exit codes: 0 all holds that was asked for; 1 something does not hold; 2 a file or a key cannot be read; "
    "3 no --key was given, so that nobody knows who signed it."
)
def verify(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `report --bundle` has written.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The signer's public key, PEM; without it nobody knows who signed it."),
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option("--after", help="An earlier bundle: see that the ledger of this one goes on from there."),
    ] = None,
    after_key: Annotated[
        Path | None,
        typer.Option("--after-key", help="The public key that the earlier one is signed with, where it is another."),
    ] = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Tell whether an evidence bundle is as it was signed, byte by byte; needs no config, and believes nothing."""
    from auditor.commands.answering import Answering
    from auditor.commands.evidence import verify_bundle

    how = Answering(form.value, output, Severity.HIGH, "", quiet=True, verbose=verbose)
    return verify_bundle(file, key, after, after_key, how)


@app.command()
def bundle(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose data, as `scan --format json` names the tenant.")],
    sign_with: Annotated[Path, typer.Option("--sign-with", help="Your private Ed25519 key, a PEM file.")],
    operator: Annotated[
        str | None, typer.Option("--operator", help="What you call yourself; the signature does not prove it.")
    ] = None,
    config: ConfigOption = _CONFIG,
    output: Annotated[Path, typer.Option("--output", "-o", help="File.")] = Path("cmek-bundle.json"),
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Write what is known of one tenant's data as a signed file for this tenant; asks no cloud."""
    from auditor.commands.bundles import write_bundle

    return write_bundle(config, tenant, operator, sign_with, output, quiet=quiet, verbose=verbose)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="What `bundle` has written.")],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="The operator's public key, PEM; without it nothing is verified."),
    ] = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Tell what is in an operator's bundle and whether its signature holds; believes and keeps nothing of it."""
    from auditor.commands.answering import Answering
    from auditor.commands.bundles import show_bundle

    return show_bundle(file, key, Answering(form.value, output, Severity.HIGH, "", quiet=True, verbose=verbose))


@app.command()
def impact(
    key: Annotated[str, typer.Argument(help="Key or KEY/VERSION, by full name or as tables print them.")],
    action: Annotated[Action, typer.Option("--action", help="What somebody would do.")] = Action.DISABLE,
    config: ConfigOption = _CONFIG,
    namespaces: Annotated[
        bool, typer.Option("--namespaces", help="All namespaces that would be affected, as CSV.")
    ] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    allow_gaps: AllowGapsOption = "",
    verbose: VerboseOption = False,
) -> int:
    """Tell what would break if somebody disabled, destroyed or revoked a key or a version; does none of it."""
    from auditor.commands.answering import Answering
    from auditor.commands.key_questions import foresee_one

    how = Answering(form.value, output, Severity.HIGH, allow_gaps, quiet=True, verbose=verbose)
    return foresee_one(config, key, action, how, namespaces=namespaces)


@app.command()
def retire(
    key: Annotated[
        str | None, typer.Argument(help="Only this key or KEY/VERSION, by full name or as tables print it.")
    ] = None,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Print the commands that destroy what has waited long enough, alone.")
    ] = False,
    last_usage: Annotated[
        bool,
        typer.Option(
            "--last-usage",
            help="Ask AWS when its keys that nothing known is under, or KEY, were used last (GetKeyLastUsage): "
            "a use speaks against a proof, and none proves nothing.",
        ),
    ] = False,
    config: ConfigOption = _CONFIG,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    allow_gaps: AllowGapsOption = "",
    verbose: VerboseOption = False,
) -> int:
    """Tell which key versions are proven unused and may go, and what stands in the way of others; does nothing."""
    from auditor.commands.answering import Answering
    from auditor.commands.key_questions import retire_keys

    how = Answering(form.value, output, Severity.HIGH, allow_gaps, quiet=True, verbose=verbose)
    return retire_keys(config, key, how, destroying=destroy, last_usage=last_usage)


@app.command("prove-revoked")
def prove_revoked(
    key: Annotated[
        str, typer.Argument(help='A key with `intended_state = "revoked"`, by full name or as tables print it.')
    ],
    config: ConfigOption = _CONFIG,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    allow_gaps: AllowGapsOption = "",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Ask a key that is meant to be revoked, and tell what proves that nobody can read its data, and what does not."""
    from auditor.commands.answering import Answering
    from auditor.commands.key_questions import prove_revoked as prove

    return prove(config, key, Answering(form.value, output, Severity.HIGH, allow_gaps, quiet, verbose))


@app.command()
def diff(
    before: Annotated[
        str | None,
        typer.Argument(
            help="Id of the earlier judgement, how it begins, or a time (2026-11-25T09:00; UTC), for the newest until "
            "then; else the newest from before the last sweep of each bucket."
        ),
    ] = None,
    after: Annotated[str | None, typer.Argument(help="Likewise of the later one; else the newest of all.")] = None,
    config: ConfigOption = _CONFIG,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    fail_on: FailOnOption = Severity.HIGH,
    allow_gaps: AllowGapsOption = "",
    verbose: VerboseOption = False,
) -> int:
    """Tell what changed between two judgements: data, keys, findings, gaps; asks no cloud."""
    from auditor.commands.answering import Answering
    from auditor.commands.comparing import compare_two

    return compare_two(config, before, after, Answering(form.value, output, fail_on, allow_gaps, True, verbose))


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="Id of a finding, or of a rule, or a key with one finding.")],
    config: ConfigOption = _CONFIG,
    namespaces: Annotated[
        bool,
        typer.Option(
            "--namespaces",
            help="All namespaces of the finding, as CSV; a terminal gets control characters escaped.",
        ),
    ] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Tell all about one finding or one rule."""
    from auditor.commands.explaining import explain_one

    return explain_one(config, what, form.value, output, namespaces=namespaces, verbose=verbose)


@app.command()
def rules(form: FormatOption = Format.TABLE, output: OutputOption = None) -> int:
    """List all rules."""
    from auditor.commands.explaining import list_rules

    return list_rules(form.value, output)


@app.command()
def doctor(
    grants: Annotated[
        Cloud | None,
        typer.Option("--grants", help="Print what this cloud must grant for the config, to be pasted; ask nobody."),
    ] = None,
    config: ConfigOption = _CONFIG,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    verbose: VerboseOption = False,
) -> int:
    """Check config, machine, credentials and each permission by one harmless request; tell what to grant."""
    from auditor.commands.answering import Answering
    from auditor.commands.doctor import print_grants, see_doctor

    how = Answering(form.value, output, Severity.HIGH, "", quiet=True, verbose=verbose)
    return see_doctor(config, how) if grants is None else print_grants(config, grants, how)


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="Who logs in with it.")],
) -> int:
    """Ask for a password, or read it as a line of standard input, and print a line for [web] users_file."""
    from auditor.commands.users import make_user

    return make_user(name)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo writes.")] = Path("demo"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave clouds and daemon running until Ctrl-C.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Which fleet.")] = 7,
) -> int:
    """Show it all on two embedded clouds; nothing leaves this machine."""
    from auditor.demo import run

    return run(folder, seed, keep=keep)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    _occupy_closed_streams()
    _write_any_text()
    signal.signal(signal.SIGINT, _interrupt)
    garbage.seldom()
    code = _run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = _READER_GONE
    except OSError as error:
        code = code if code not in {0, 1, 3} else _told(AuditorError(f"cannot write the answer: {error.strerror}"))
        os._exit(code)
    if code in {_INTERRUPTED, _READER_GONE}:
        # Threads that wait for a cloud must not keep the process, nor what cannot be written: it is only temporary.
        os._exit(code)
    if any(one is not threading.main_thread() and not one.daemon for one in threading.enumerate()):
        # Everything is told and closed; a call that hangs must not keep the process for ever.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _occupy_closed_streams() -> None:
    """Else the first file that is opened gets such a number, and what others print there gets into the file."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = _nowhere()


def _write_any_text() -> None:
    """Files and pipes get UTF-8, as with --output; a terminal that cannot show a character shows its escape."""
    if isinstance(sys.stdout, TextIOWrapper):
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def _run(argv: list[str]) -> int:
    try:
        code = app(argv or ["--help"], standalone_mode=False, prog_name="cmek-auditor")
    except typer.exceptions.TyperException as error:
        # Whoever has left something out of a command wants to know of that one.
        context = getattr(error, "ctx", None)
        asked = context.command_path if context is not None else "cmek-auditor"
        what = "arguments and options" if context is not None and context.parent is not None else "commands and options"
        return _told(UsageError(_sentence(error.format_message()), f"{asked} --help lists {what}"))
    except typer.exceptions.Abort:
        return _interrupted()
    except AuditorError as error:
        return _told(error)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return _READER_GONE
    except SystemExit as end:
        # typer ends with 1 where a pipe is broken, and here 1 means findings.
        if isinstance(end.__context__, BrokenPipeError):
            return _READER_GONE
        raise
    except Exception as error:
        if {"--verbose", "-v"}.intersection(argv):
            raise
        return _told(
            AuditorError(f"the auditor itself failed: {type(error).__name__}", "run it with --verbose to see where")
        )
    # typer itself turns Ctrl-C into this code.
    return _interrupted() if code == _INTERRUPTED else int(code or 0)


def _interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt; where Python drops it, inside a destructor or a callback, end all the same."""
    timer = threading.Timer(_INTERRUPT_PATIENCE, lambda: os._exit(_interrupted()))
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


def _interrupted() -> int:
    _told(
        AuditorError(
            "interrupted", "nothing is half-done; the next scan goes on from the last finished part of a sweep"
        )
    )
    return _INTERRUPTED


def _told(error: AuditorError) -> int:
    from auditor.log import visible

    try:
        sys.stderr.write(f"error: {visible(str(error))}\n")
        if error.hint:
            sys.stderr.write(f"hint: {visible(error.hint)}\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = _nowhere()  # who reads no words still gets the code
    return error.exit_code


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _sentence(text: str) -> str:
    """In the form of this house's messages: lower case, no full stop, no name of an exception."""
    return (text[:1].lower() + text[1:]).replace("Value error, ", "").rstrip(".")
