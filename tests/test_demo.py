"""The demo's bucket that registries speak of: each thing is found once, with the platform's API and without it."""

import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import demo, scan
from auditor.config import load
from auditor.embedded import fleet, owned
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from auditor.embedded.turbopuffer import Platform, Turbopuffer
from auditor.findings import Finding, Judgement
from auditor.model import KeyName
from auditor.questions.retire.retiring import retiring
from auditor.questions.retire.standing import Use
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress

SETTINGS = """
state = "state"
[[account]]
project = "{project}"
[gcp]
storage_endpoint = "{endpoint}"
kms_endpoint = "{endpoint}"
iam_endpoint = "{endpoint}"
"""


@contextmanager
def assembled(folder: Path, *, asking: bool) -> Iterator[Assembly]:
    """That bucket alone, with the platform beside it or without."""
    clock = Clock()
    store = GoogleStore(clock)
    owned.fill(store, fleet.PROJECT, f"serviceAccount:{store.add_project(fleet.PROJECT, 1)}")
    platform = Platform(clock, owned.API_KEY)
    owned.tell(platform)
    until = (clock() + timedelta(days=60)).date()
    folder.mkdir()
    owned.write(folder)
    with GoogleCloud(store) as google, Turbopuffer(platform) as service:
        text = SETTINGS.format(project=fleet.PROJECT, endpoint=google.endpoint)
        text += owned.config(fleet.PROJECT, until, service.endpoint if asking else None)
        (folder / "auditor.toml").write_text(text)
        assembly = assemble(load(folder / "auditor.toml"))
        try:
            yield assembly
        finally:
            assembly.close()


def judged(folder: Path, *, asking: bool) -> Judgement:
    with assembled(folder, asking=asking) as assembly:
        return scan.scan(assembly.parts, NoProgress())


def about_ownership(judgement: Judgement) -> dict[str, Finding]:
    return {
        f"{one.rule} {one.status}": one
        for one in judgement.findings
        if one.rule in {"wrong-key", "foreign-tenant-key", "mixed-keys", "orphan-objects", "not-customer-managed"}
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(owned.API_KEY_ENV, owned.API_KEY)


@pytest.mark.usefixtures("asked")
def test_each_thing_that_is_wrong_is_found_once_and_the_re_key_is_waived(tmp_path: Path) -> None:
    told = about_ownership(judged(tmp_path / "demo", asking=True))
    assert {name: (one.extent.objects, one.extent.sample_namespaces) for name, one in told.items()} == {
        "wrong-key open": (40, (f"gs://{owned.BUCKET}/marlin-orders",)),
        "foreign-tenant-key open": (30, (f"gs://{owned.BUCKET}/nacre-events",)),
        "orphan-objects open": (12, (f"gs://{owned.BUCKET}/quince-old",)),
        # Half of it has moved, and the registries explain why it is under two keys.
        "wrong-key waived": (45, (f"gs://{owned.BUCKET}/opal-search",)),
    }
    assert told["wrong-key open"].extent.owners == ("orders-oncall@marlin.example",)
    assert told["foreign-tenant-key open"].extent.teams == ("events",)


@pytest.mark.usefixtures("asked")
def test_without_the_platforms_client_the_same_is_found(tmp_path: Path) -> None:
    both, alone = (judged(tmp_path / name, asking=name == "both") for name in ("both", "alone"))
    assert [one.namespaces for one in both.registered.registries] == [5, 5]
    assert [one.namespaces for one in alone.registered.registries] == [5]
    told = [[(one.id, one.status, one.extent) for one in each.findings] for each in (both, alone)]
    assert told[0] == told[1]
    assert (both.gaps, alone.gaps) == ((), ())


def test_the_platform_runs_only_where_its_client_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with demo._platform(7) as there:  # noqa: SLF001 - the demo itself would take many seconds
        assert there is not None
    monkeypatch.setitem(sys.modules, "turbopuffer", None)
    with demo._platform(7) as there:  # noqa: SLF001 - as above
        assert there is None


@pytest.mark.usefixtures("asked")
def test_a_version_that_nothing_is_under_is_not_called_unused_on_the_first_day(tmp_path: Path) -> None:
    with assembled(tmp_path / "demo", asking=True) as assembly:
        judgement = scan.scan(assembly.parts, NoProgress())
        found = retiring(assembly.parts, judgement, KeyName(owned.NACRE))
    uses = {one.name.rpartition("/")[2]: (one.standing.use, one.standing.objects) for one in found.candidates}
    assert uses == {"1": (Use.NOT_PROVEN, 0), "2": (Use.IN_USE, 62)}


def test_commands_are_printed_as_the_demo_itself_was_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = tmp_path / "a b" / "cmek-auditor"
    here.parent.mkdir()
    here.touch(0o700)
    monkeypatch.setattr(sys, "argv", [str(here), "demo"])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert shlex.split(demo._command()) == [str(here)]  # noqa: SLF001 - what a user pastes
    monkeypatch.setenv("PATH", str(here.parent))
    assert demo._command() == "cmek-auditor"  # noqa: SLF001 - as above


def test_its_config_says_what_it_does_not_say() -> None:
    text = demo.config_text("http://127.0.0.1:1")
    assert text.startswith("# Written by `cmek-auditor demo`"), "by which the next demo knows it"
    head = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
    assert "Else scan, poll and serve ask the real AWS with your own credentials." in head


def test_the_line_that_disables_a_version_changes_the_embedded_cloud_as_it_is_printed(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        line = demo._to_disable(small.cloud.endpoint, f"{GOOGLE_KEY}/cryptoKeyVersions/1")  # noqa: SLF001 - as above
        command, _, _, method, _, header, _, body, url = shlex.split(line)
        name, _, value = header.partition(": ")
        ask = urllib.request.Request(url, body.encode(), {name: value}, method=method)
        with urllib.request.urlopen(ask) as answer:
            assert (command, answer.status) == ("curl", 200)
        key = small.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        assert [one.state for one in key.versions.values()] == ["DISABLED", "ENABLED"]


def test_what_is_to_be_pasted_into_another_terminal_is_all_that_a_command_needs_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_command", lambda: "env; :")
    lines = "\n".join(demo._for_another_terminal(tmp_path / "a b.toml", "http://127.0.0.1:1"))  # noqa: SLF001 - as above
    mine = {"PATH": "/usr/bin:/bin", "AWS_PROFILE": "mine", "AWS_ENDPOINT_URL": "http://mine"}
    done = subprocess.run(["/bin/sh", "-e"], input=lines, text=True, capture_output=True, check=True, env=mine)
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert "mine" not in " ".join(told.values())
    assert told["CMEK_AUDITOR_CONFIG"] == str(tmp_path / "a b.toml")
    assert {
        told[f"AWS_ENDPOINT_URL_{service}"] for service in ("S3", "KMS", "STS", "CLOUDTRAIL", "SQS", "CLOUDWATCH")
    } == {"http://127.0.0.1:1"}
    assert told[owned.API_KEY_ENV] == owned.API_KEY
