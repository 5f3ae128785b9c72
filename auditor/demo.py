"""The demo told on one page: two embedded clouds and a platform, one scan, one change, one poll."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import kms_v1 as kms
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport

from auditor import scan
from auditor.commands.reports import write_report
from auditor.commands.serving import leading_or_waiting
from auditor.config import load
from auditor.daemon import serving
from auditor.embedded import fleet, owned
from auditor.errors import AuditorError, UsageError
from auditor.findings import Finding, Judgement, Readability, Status
from auditor.locks import held
from auditor.model import Cloud, Encryption, KeyName
from auditor.outputs import scan_json, terminal, words
from auditor.progress import progress_on
from auditor.questions.retire.retiring import retiring
from auditor.questions.retire.standing import Use
from auditor.reporting import content_of
from auditor.run import Parts
from auditor.wiring import Assembly, assemble

_NAME: Final = "cmek-auditor"
_NOT_OURS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")
"""Settings of the user's own that would count in place of the demo's."""
_MARK: Final = "# Written by `cmek-auditor demo`, which replaces this folder's contents.\n"
_WHERE: Final = """\
# Where its AWS is stands in environment variables of the demo's own process, and not here: this file is for commands
# that ask no cloud (explain, report, impact), or for all of them while `cmek-auditor demo --keep` runs and once what
# that prints is pasted. Else scan, poll and serve ask the real AWS with your own credentials.
"""
_POLICY: Final = """
[sweep]
cloud_counts = true

[policy]
# These clouds forget no key for a moment: one that is not found is gone, for the daemon as for the scan before it.
confirm_missing_minutes = 0
"""
_ACCEPTED_FOR: Final = timedelta(days=60)
_REGISTRIES: Final = "Whose each namespace of one bucket is, and its key, {file} says{platform}."
_ASKED: Final = ", and the platform's own API on {}"
_NOT_ASKED: Final = " (and the platform's API as well, with the extra `turbopuffer`)"
_REASONS: Final = 2
_OWNERSHIP: Final = ("foreign-tenant-key", "wrong-key", "not-customer-managed", "mixed-keys", "orphan-objects")


def run(folder: Path, seed: int, *, keep: bool) -> int:
    """Run the demo in a folder of its own; 0 when it showed what it promises."""
    began = time.monotonic()
    _prepare(folder)
    with _cloud("google", seed) as google, _cloud("aws", seed) as aws, _platform(seed) as platform:
        _point_at(aws)
        config = folder / "auditor.toml"
        config.write_text(config_text(google, platform), encoding="utf-8")
        owned.write(folder)
        _say(f"Two embedded clouds are running: Google Cloud on {google}, AWS on {aws}.")
        _say(_REGISTRIES.format(file=folder / owned.FILE, platform=_ASKED.format(platform) if platform else _NOT_ASKED))
        _say("Sweeping them with the real clients, polling the keys, judging:")
        assembly = assemble(load(config))
        try:
            _show(assembly, folder, google)
            _say(f"\nAll of it took {time.monotonic() - began:.0f} s.")
            if keep:
                return _keep(assembly, config, google, aws)
        finally:
            assembly.close()
    _say(
        f"\nNext: open {folder / 'report.html'}, look into {folder / 'scan.json'}, or run `{_command()} demo --keep`\n"
        "to leave clouds and daemon running. README.md tells how to point it at real clouds."
    )
    return 0


def config_text(google: str, platform: str | None = None) -> str:
    """The demo's config file."""
    until = (datetime.now(UTC) + _ACCEPTED_FOR).date()
    return _MARK + _WHERE + fleet.config(google, until, platform) + _POLICY


def _show(assembly: Assembly, folder: Path, google: str) -> None:
    parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
    with progress_on(sys.stderr, quiet=False) as progress:
        before = scan.scan(parts, progress)
        _say("")
        console = terminal.plain(sys.stdout)
        terminal.show(before, console, most=12)
        _say("\nWhose key is it? What is otherwise than registries and the config say:")
        whose = [one for one in before.findings if one.rule in _OWNERSHIP and one.status is Status.OPEN]
        console.print(terminal.findings(whose, before.now, console))
        _tell_what_may_go(parts, before, folder)
        _say("")
        for written in write_report(content_of(assembly, before), "html", folder / "report.html"):
            _say(f"wrote {written}")
        with (folder / "scan.json").open("w", encoding="utf-8", newline="") as out:
            scan_json.write(before, assembly.rows(before), out)
        _say(f"wrote {folder / 'scan.json'}")

        chosen = _busiest_version(before)
        _say(f"\nNow somebody disables {chosen}")
        changed = time.monotonic()
        _disable(google, chosen)
        after = scan.poll(parts, progress)
        seconds = time.monotonic() - changed
    found = _new(before, after)
    _say(f"Found {seconds:.1f} s after the change, without listing a single object:\n")
    console.print(terminal.explain(found, None, after))


def _tell_what_may_go(parts: Parts, judgement: Judgement, folder: Path) -> None:
    """Show what stands in the way of a version that nothing is under: a proof takes a day and more."""
    found = retiring(parts, judgement, KeyName(owned.NACRE))
    one = next(each for each in found.candidates if each.standing.use is not Use.IN_USE)
    _say(f"\nMay a key version go? Nothing is known under {words.short(one.name)}, but that is not proven:")
    for why in one.standing.reasons[:_REASONS]:
        _say(f"  {why}")
    more = len(one.standing.reasons) - _REASONS
    config = shlex.quote(str(folder / "auditor.toml"))
    _say(f"  and {more} more; `{_command()} retire {words.short_key(KeyName(owned.NACRE))} -c {config}`")


def _keep(assembly: Assembly, config: Path, google: str, aws: str) -> int:
    settings = load(config)
    judgement = assembly.ledger.judgement()
    chosen = _busiest_version(judgement) if judgement is not None else f"{owned.NACRE}/cryptoKeyVersions/1"

    def started(address: str) -> None:
        _say(f"\nThe daemon is running, and so are both clouds, until Ctrl-C:\n  report   {address}/")
        _say(f"  metrics  {address}/metrics\n  API      {address}/api/v1/status\n  config   {config.absolute()}")
        _say(f"  Google   {google}\n  AWS      {aws}")
        _say("For commands in another terminal:")
        for line in _for_another_terminal(config, aws):
            _say(f"  {line}")
        _say("To disable one more key version, in the embedded cloud alone (ENABLED instead of DISABLED undoes it):")
        _say(f"  {_to_disable(google, chosen)}")

    leadership = leading_or_waiting(assembly, standby=False)
    done = serving.serve(serving.Serving(config, settings, assembly, leadership), started, serving.hang_ups())
    serving.leave(at_once=not done)
    return 0


def _prepare(folder: Path) -> None:
    """Empty the folder if an earlier demo made it; touch no other."""
    config = folder / "auditor.toml"
    try:
        if folder.is_dir() and any(folder.iterdir()):
            if not config.is_file() or not config.read_text(encoding="utf-8").startswith(_MARK):
                raise UsageError(f"{folder} holds something that no demo wrote", "name another --folder")
            _make_sure_that_no_daemon_works_on(folder)
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuditorError(f"cannot use {folder}: {error.strerror}", "name another --folder") from None


def _make_sure_that_no_daemon_works_on(folder: Path) -> None:
    """`--keep` may still run there: it would lose its ledger under its hands."""
    busy = UsageError(f"a demo still runs on {folder}", "end it with Ctrl-C, or name another --folder")
    if (folder / "state" / "daemon.lock").exists():
        with held(folder / "state" / "daemon.lock", busy):
            pass


@contextmanager
def _platform(seed: int) -> Iterator[str | None]:
    """Run the embedded platform where its client is installed; None where it is not."""
    if find_spec("turbopuffer") is None:
        yield None
        return
    with _cloud("turbopuffer", seed) as endpoint:
        yield endpoint


@contextmanager
def _cloud(name: str, seed: int) -> Iterator[str]:
    """Run one embedded cloud in a process of its own and yield its address."""
    command = [sys.executable, "-m", "auditor.embedded", name, "--fleet", str(seed), "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise AuditorError(
                f"the embedded {name} cloud did not start", "install the extra: pip install 'cmek-auditor[demo]'"
            )
        yield json.loads(line)["endpoint"]
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.kill()


def _environment(aws: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": aws,
        "AWS_ENDPOINT_URL_KMS": aws,
        "AWS_ENDPOINT_URL_STS": aws,
        "AWS_ENDPOINT_URL_CLOUDTRAIL": aws,
        "AWS_ENDPOINT_URL_SQS": aws,
        "AWS_ENDPOINT_URL_CLOUDWATCH": aws,
        "AWS_ACCESS_KEY_ID": "AKIA111122223333DEMO",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        owned.API_KEY_ENV: owned.API_KEY,
    }


def _point_at(aws: str) -> None:
    """Let nothing of the user's own AWS settings into the demo."""
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    os.environ |= _environment(aws)


def _for_another_terminal(config: Path, aws: str) -> Iterator[str]:
    """What makes commands there ask the demo's clouds, to be pasted, and the first of them."""
    yield f"unset {' '.join(_NOT_OURS)}"
    yield "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in _environment(aws).items())
    yield f"export CMEK_AUDITOR_CONFIG={shlex.quote(str(config.absolute()))}"
    yield f"{_command()} poll"


def _to_disable(google: str, version: str) -> str:
    """What disables a key version of the embedded cloud, to be pasted: nothing but that cloud changes."""
    body = "-H 'Content-Type: application/json' -d '{\"state\": \"DISABLED\"}'"
    return f"curl -s -X PATCH {body} {shlex.quote(f'{google}/v1/{version}?updateMask=state')}"


def _command() -> str:
    """How this program is run again: by its name where the shell finds it by that, else by its place."""
    here = Path(sys.argv[0])
    found = shutil.which(_NAME)
    if here.name != _NAME or (found is not None and here.exists() and Path(found).samefile(here)):
        return _NAME
    return shlex.quote(str(here.absolute()))


def _busiest_version(judgement: Judgement) -> str:
    """The readable Google key version with most objects."""
    readable = [
        one.holding
        for one in judgement.assessed
        if one.assessment.readability is Readability.READABLE
        and one.encryption is Encryption.CMEK
        and one.holding.key is not None
        and one.holding.key_version is not None
        and KeyName(one.holding.key).cloud is Cloud.GCP
    ]
    most = max(readable, key=lambda holding: holding.objects or 0)
    return f"{most.key}/cryptoKeyVersions/{most.key_version}"


def _disable(google: str, version: str) -> None:
    """Do what a customer does in the console; the auditor itself never changes a key."""
    transport = KeyManagementServiceRestTransport(
        host=google.removeprefix("http://"), url_scheme="http", credentials=AnonymousCredentials()
    )
    client = kms.KeyManagementServiceClient(transport=transport)
    wanted = kms.CryptoKeyVersion(name=version, state=kms.CryptoKeyVersion.CryptoKeyVersionState.DISABLED)
    client.update_crypto_key_version(request={"crypto_key_version": wanted, "update_mask": {"paths": ["state"]}})


def _new(before: Judgement, after: Judgement) -> Finding:
    known = {one.id for one in before.findings}
    fresh = [one for one in after.findings if one.id not in known and one.status is Status.OPEN]
    if not fresh:
        raise AuditorError("the poll after the change brought no new finding", "this is a defect of the demo")
    return fresh[0]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
