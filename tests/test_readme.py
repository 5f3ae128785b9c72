"""The README's commands run, and what it shows is what they print."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.routing import Route

from auditor import cli, demo
from auditor.config import load
from auditor.prices import PRICES
from auditor.web.app import make_app
from tests.bundles import a_customer, a_signer, an_operator
from tests.clouds import GOOGLE_KEY, RING
from tests.keys_only import a_cloud_of_keys
from tests.questions.test_prove_revoked import MEANT
from tests.small import a_small_cloud

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
REQUESTS = (ROOT / "docs" / "requests.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.replace("\n   ", "\n"), re.DOTALL)


def commands() -> list[str]:
    return [line.strip() for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line.strip()]


def shown_as(beginning: str) -> str:
    """The one output that begins so."""
    found: list[str] = [text for kind, text in BLOCKS if kind == "text" and text.startswith(beginning)]
    assert len(found) == 1
    return found[0]


def test_every_make_target_exists() -> None:
    targets = [line.split() for line in commands() if line.startswith("make ")]
    assert ["make", "demo"] in targets
    assert ["make", "test"] in targets
    for command in targets:
        subprocess.run([command[0], "--dry-run", *command[1:]], check=True, cwd=ROOT, capture_output=True)


def test_every_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = [line.split()[1:] for line in commands() if line.startswith("cmek-auditor ")]
    assert [one[0] for one in ours] == ["doctor", "scan", "report", "scan", "serve"]
    with a_small_cloud(tmp_path):
        for argv in ours:
            if argv[0] == "serve":
                continue  # tests/daemon/test_daemon.py runs it
            assert cli._run(argv) == 0, capsys.readouterr()  # noqa: SLF001 - the command without the end of the process
    assert (tmp_path / "report.html").is_file()


def test_the_doctor_says_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = shown_as("Of 27 checks")
    with a_small_cloud(tmp_path) as small:
        small.cloud.store.deny("cloudkms.keyRings.getIamPolicy", RING)
        assert cli._run(small.argv("doctor")) == 1  # noqa: SLF001 - as above
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in shown.splitlines() if " ".join(line.split()) not in printed] == []


def test_every_command_in_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    named = set(re.findall(r"`cmek-auditor ([\w-]+)", README)) - {"--help"}
    told = {one.name or getattr(one.callback, "__name__", "") for one in cli.app.registered_commands}
    assert named == told
    for name in named:
        assert cli._run([name, "--help"]) == 0  # noqa: SLF001 - as above
        assert name in capsys.readouterr().out


def test_it_names_every_page_of_the_web_side() -> None:
    app = make_app(cast("Any", SimpleNamespace()))
    pages = {route.path.replace("{id}", "ID") for route in app.routes if isinstance(route, Route)}
    (listed,) = re.findall(r"^`/api/v1/` has (.*?) as JSON", README, re.DOTALL | re.MULTILINE)
    assert {f"/api/v1/{name}" for name in re.findall(r"`(\S+)`", listed)} == {one for one in pages if "/api/" in one}


def test_the_config_in_it_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text("\n".join(text for kind, text in BLOCKS if kind == "toml" and not text.startswith("# keys-only")))
    config = load(path)
    assert (len(config.bucket), len(config.waiver)) == (2, 1)


def test_every_file_that_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_table_of_prices_is_that_of_the_code() -> None:
    rows = [line for line in REQUESTS.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{one.scheme}` | ${one.lists:g} | ${one.others:g} | {one.place}; {one.otherwise} "
        f"| {one.as_of} | {one.source} |"
        for one in PRICES
    ]


def test_what_a_proof_of_a_revocation_looks_like(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with a_small_cloud(tmp_path) as small:
        more = "\n[probe]\nreads = true\nper_second = 100\n"
        small.config.write_text(small.config.read_text() + MEANT + more)
        assert cli._run(small.argv("scan", "-q")) == 1  # noqa: SLF001 - as above
        small.set_state(1, "DISABLED")
        small.set_state(2, "DISABLED")
        assert cli._run(small.argv("poll", "-q")) == 0  # noqa: SLF001 - as above
        assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - as above
        capsys.readouterr()
        assert cli._run([*small.argv("prove-revoked", "-q"), GOOGLE_KEY]) == 0  # noqa: SLF001 - as above
    printed = without_times(capsys.readouterr().out)
    for line in shown_as("Revoked: none").splitlines():
        assert without_times(line) in printed


def test_what_an_answer_without_a_bucket_looks_like(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config,) = (text for kind, text in BLOCKS if kind == "toml" and text.startswith("# keys-only\n"))
    with a_cloud_of_keys(tmp_path, "") as keys:
        own = keys.config.read_text().replace('[[account]]\nproject = "acme"\n', "")
        keys.config.write_text(f"{own}{config}")
        argv = ["--config", str(keys.config), "-q"]
        assert cli._run(["scan", *argv]) == 3  # noqa: SLF001 - as above
        keys.set_state(1, "DISABLED")
        capsys.readouterr()
        assert cli._run(["poll", *argv]) == 1  # noqa: SLF001 - as above
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    for line in shown_as("By what registries say").splitlines():
        assert line in printed


def test_who_did_it_is_told_as_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = shown_as("critical · data-unreadable")
    with a_small_cloud(tmp_path) as small:
        assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - as above
        demo._disable(small.cloud.endpoint, f"{GOOGLE_KEY}/cryptoKeyVersions/1")  # noqa: SLF001 - what a customer does
        assert cli._run(small.argv("poll", "-q")) == 1  # noqa: SLF001 - as above
        capsys.readouterr()
        assert cli._run([*small.argv("explain"), "94402fc0"]) == 0  # noqa: SLF001 - as above
    printed = [without_times(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in shown.splitlines() if without_times(line) not in printed] == []


def test_what_a_bundle_says_to_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (config,) = (text for kind, text in BLOCKS if kind == "toml" and text.startswith("# keys-only, with a bundle\n"))
    *by_openssl, made = shell("cmek-auditor bundle")
    with an_operator(tmp_path) as operator:
        operator.scanned()
        monkeypatch.chdir(operator.folder)
        if shutil.which("openssl"):
            for line in by_openssl:
                subprocess.run(shlex.split(line), check=True, capture_output=True)
        assert cli._run(shlex.split(made)[1:]) == 0  # noqa: SLF001 - as above
        printed = without_times(capsys.readouterr().out).splitlines()
        for line in shown_as("wrote acme.json").splitlines():
            assert without_times(line) in printed
        customer = a_customer(operator)
        customer.configure(config.replace('[[account]]\nproject = "acme"\n', ""))
        customer.given(operator)
        argv = ["--config", str(customer.config), "-q"]
        assert cli._run(["poll", *argv]) == 3  # noqa: SLF001 - as above
        customer.set_state(1, "DISABLED")
        capsys.readouterr()
        assert cli._run(["poll", *argv]) == 1  # noqa: SLF001 - as above
    told = [without_times(line).rstrip() for line in capsys.readouterr().out.splitlines()]
    for line in shown_as("By what an operator's bundle").splitlines():
        assert without_times(line) in told


def test_what_verifying_evidence_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    *by_openssl, first, verify = shell("cmek-auditor report --bundle")
    a_signer(tmp_path)
    monkeypatch.chdir(tmp_path)
    if shutil.which("openssl"):
        for line in by_openssl:
            subprocess.run(shlex.split(line), check=True, capture_output=True)
    with a_small_cloud(tmp_path) as small:
        assert cli._run(small.argv("scan", "-q")) == 0  # noqa: SLF001 - as above
        for line in (first, verify):
            assert cli._run(shlex.split(line)[1:]) == 0  # noqa: SLF001 - as above
        small.set_state(1, "DISABLED")
        assert cli._run(small.argv("poll", "-q")) == 1  # noqa: SLF001 - as above
        assert cli._run(shlex.split(first.replace("-1.zip", "-2.zip"))[1:]) == 0  # noqa: SLF001 - as above
    (named,) = re.findall(r"`cmek-auditor (verify evidence-2.zip .*?)` tells", README)
    capsys.readouterr()
    assert cli._run(shlex.split(named)) == 0  # noqa: SLF001 - as above
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in shown_as("continues   from").splitlines() if line not in printed] == []


def shell(command: str) -> list[str]:
    """The lines of the one block of commands that has this one."""
    found: list[str] = [text for kind, text in BLOCKS if kind == "sh" and command in text]
    assert len(found) == 1
    return found[0].splitlines()


def without_times(text: str) -> str:
    return re.sub(r"\d+ (s|min)\b|\d{4}-\d{2}-\d{2}[T ][\d:]+", "", text)


def test_the_demo_prints_what_it_shows(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [str(Path(sys.executable).with_name("cmek-auditor")), "demo", "--folder", str(folder)]
    elsewhere = {**os.environ, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=elsewhere)
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    shown, impact = shown_as("6,038 of"), shown_as("disabling version 2")
    whose, explained = shown_as("Whose key is it?"), shown_as("high · foreign-tenant-key")
    changed = shown_as("649 objects")
    verdict, _, rows = shown.partition("\n")
    assert verdict in printed
    for row in rows.splitlines():
        if row.startswith("critical"):
            # A row without its deadline, which moves.
            assert " ".join(row.split()[:6]) in printed
    for line in whose.splitlines():
        assert " ".join(line.split()) in printed
    assert "waived until" in printed
    (retire,) = re.findall(r"`(\S+ retire .+)`", done.stdout)
    pasted = subprocess.run(["/bin/sh", "-c", retire], env=elsewhere, capture_output=True, timeout=120, check=False)
    assert pasted.returncode == 3, "it runs as it was printed, where it is not on the PATH; nothing is proven yet"
    assert re.search(r"Found [0-9.]+ s after the change", printed)
    one = subprocess.run(
        [command[0], "explain", "7f53b509", "-c", str(folder / "auditor.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [line for line in explained.splitlines() if without_times(line) not in without_times(one.stdout)] == []
    estimated = subprocess.run(
        [command[0], "scan", "--estimate", "-c", str(folder / "auditor.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert f"```text\n{estimated.stdout}```" in REQUESTS
    foreseen = subprocess.run(
        [command[0], "impact", "paragon-keys/us-east1/tpuf/data/2", "-c", str(folder / "auditor.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert foreseen.returncode == 1
    for line in impact.splitlines():
        # Lines without their ages, which move.
        assert re.sub(r"\d+ (s|min) ago", "", line) in re.sub(r"\d+ (s|min) ago", "", foreseen.stdout)
    told = subprocess.run(
        [command[0], "diff", "-c", str(folder / "auditor.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 1
    for line in changed.splitlines():
        assert line in told.stdout
    assert {path.name for path in folder.iterdir()} >= {"report.html", "scan.json", "auditor.toml"}
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, "a folder that a demo wrote is used again"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused = subprocess.run(
        [*command[:-1], str(tmp_path / "mine")], capture_output=True, text=True, timeout=120, check=False
    )
    assert (refused.returncode, (tmp_path / "mine" / "thesis.txt").is_file()) == (2, True)
