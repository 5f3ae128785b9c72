"""A revocation is called proven only where nobody can read, and whatever leaves that open is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import cli
from auditor.outputs import revocation_json
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud

SHORT = "acme/us-east1/tpuf/main"
MEANT = f'\n[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n'


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        running.config.write_text(running.config.read_text() + MEANT)
        yield running


def run(capsys: pytest.CaptureFixture[str], argv: list[str]) -> tuple[int, str, str]:
    code = cli._run(argv)  # noqa: SLF001 - the command without the end of the process
    out, err = capsys.readouterr()
    return code, out, err


def proven(small: Small, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run(capsys, [*small.argv("prove-revoked"), SHORT, "--format", "json", *more])
    told = json.loads(out)
    jsonschema.validate(told, revocation_json.schema(), format_checker=jsonschema.FormatChecker())
    return code, told


def set_all(small: Small, state: str) -> None:
    for version in (1, 2):
        small.set_state(version, state)


def seen_since(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is looked at again once the key was seen to change."""
    run(capsys, small.argv("poll", "-q"))
    run(capsys, small.argv("scan", "-q"))


def test_a_key_whose_versions_are_all_off_is_proven_revoked_with_the_way_back(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, small.argv("scan", "-q"))
    small.set_state(1, "DISABLED")
    first = json.loads(run(capsys, small.argv("poll", "--format", "json"))[1])["scan"]["ended"]
    set_all(small, "DISABLED")
    seen_since(small, capsys)
    code, told = proven(small, capsys)
    assert (code, told["proof"], told["why"], told["gaps"]) == (0, "revoked", None, [])
    assert told["verdict"] == "Revoked: none of the 20 objects (2.0 kB) in 2 namespaces under the key can be read."
    assert told["state"] == "1 DISABLED, 2 DISABLED"
    assert [(one["objects"], one["readability"], one["basis"]) for one in told["parts"]] == [
        (10, "unreadable", "state")
    ] * 2
    assert told["populations"] == {"live": {"objects": 20, "bytes": 2000}}
    assert told["to_do"] == []
    assert len(told["undo"]) == 2, "each version has its own way back"
    assert first < told["change_seen"] < told["at"], "the last change was seen by the poll before the sweep"
    assert told["state_read"] == told["at"]
    for text in ("memory and on its own disks", "copies of the data", "data keys that", "done to the key and undone"):
        assert any(text in one for one in told["not_covered"]), text
    assert len(told["not_covered"]) == 5, "and reads until all of Cloud KMS knows"
    assert {one["call"] for one in told["evidence"]} >= {"cloudkms:ListCryptoKeyVersions"}
    assert told["ledger"]["events"] > 0


@pytest.mark.parametrize("left", [1, 2])
def test_one_version_that_works_is_no_revocation(small: Small, capsys: pytest.CaptureFixture[str], left: int) -> None:
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DISABLED")
    small.set_state(left, "ENABLED")
    code, told = proven(small, capsys)
    assert (code, told["proof"], told["parts"][0]["readability"]) == (1, "readable", "readable")
    assert told["verdict"].startswith("Not revoked: ")
    assert (len(told["to_do"]), told["undo"]) == (1, []), "what was done is gone on with, and not undone"
    code, out, _ = run(capsys, [*small.argv("prove-revoked"), SHORT, "-q"])
    assert (code, "data under it can still be read" in out) == (1, True)
    assert f"to do 1     gcloud kms keys versions disable {left} --project=acme" in out
    assert "\nundo " not in out


def test_what_is_destroyed_is_erased_and_has_no_way_back(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DESTROYED")
    seen_since(small, capsys)
    code, told = proven(small, capsys)
    assert (code, told["proof"], told["undo"]) == (0, "erased", [])
    assert told["verdict"].startswith("Erased: none of the 20 objects (2.0 kB) in 2 namespaces under the key can ever")
    assert not any("exceptionally" in one for one in told["not_covered"]), "nothing is on its way any more"


def test_a_key_that_tells_nothing_proves_nothing(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    set_all(small, "DISABLED")
    run(capsys, small.argv("scan", "-q"))
    small.cloud.store.deny("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    code, told = proven(small, capsys)
    assert (code, told["proof"], told["verdict"].startswith("Not proven: ")) == (3, "not_proven", True)
    assert GOOGLE_KEY in {one["what"] for one in told["gaps"]}


def test_what_may_hold_more_and_is_not_seen_leaves_it_open(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DISABLED")
    seen_since(small, capsys)
    more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(small.config.read_text() + more)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (3, "revoked")
    assert told["verdict"].endswith("can be read, as far as it is known.")
    assert "gs://more" in {one["what"] for one in told["gaps"]}
    assert proven(small, capsys, "--allow-gaps", "not_found")[0] == 0


def test_attempts_that_were_refused_stand_beside_the_state(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(small.config.read_text() + "\n[probe]\nreads = true\nper_second = 100\n")
    run(capsys, small.argv("scan", "-q"))
    set_all(small, "DISABLED")
    seen_since(small, capsys)
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (0, "revoked")
    assert {(one["kind"], one["outcome"], one["bucket"]) for one in told["attempts"]} == {
        ("read", "refused", "gs://data")
    }
    assert told["refused_first"] == min(one["at"] for one in told["attempts"])
    _, out, _ = run(capsys, [*small.argv("prove-revoked"), SHORT, "-q"])
    assert out.count("attempt     a read in gs://data under version ") == 2


def test_a_read_that_still_passes_is_no_proof_whatever_the_key_says(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.config.write_text(small.config.read_text() + "\n[probe]\nreads = true\nper_second = 100\n")
    run(capsys, small.argv("scan", "-q"))
    key = small.cloud.store.key(GOOGLE_KEY)
    assert key is not None
    set_all(small, "DISABLED")
    key.versions[1].reads_as = "ENABLED"  # the change is still spreading
    code, told = proven(small, capsys)
    assert (code != 0, told["proof"] in {"not_proven", "readable"}) == (True, True)
    assert {one["outcome"] for one in told["attempts"]} >= {"passed"}
    key.versions[1].reads_as = None
    run(capsys, small.argv("scan", "-q"))
    code, told = proven(small, capsys)
    assert (code, told["proof"]) == (0, "revoked"), "a later refusal of the same data ends it"


def test_without_attempts_that_is_said(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    set_all(small, "DISABLED")
    run(capsys, small.argv("scan", "-q"))
    _, out, _ = run(capsys, [*small.argv("prove-revoked"), SHORT, "-q"])
    assert "attempts    none: " in out
    assert "not covered what the platform keeps in its own memory" in out


@pytest.mark.parametrize(
    ("since", "told"),
    [
        (None, f"no `[[key]]` says that key {GOOGLE_KEY} is meant to be revoked\n"),
        ("2099-01-01", f"the config means key {GOOGLE_KEY} to work until 2099-01-01 00:00:00 UTC\n"),
    ],
)
def test_a_key_that_is_meant_to_work_is_refused_before_a_cloud_is_asked(
    small: Small, capsys: pytest.CaptureFixture[str], since: str | None, told: str
) -> None:
    meant = f"{MEANT}since = {since}\n" if since is not None else f'\n[[key]]\nname = "{GOOGLE_KEY}"\n'
    small.config.write_text(small.config.read_text().replace(MEANT, meant))
    code, out, err = run(capsys, [*small.argv("prove-revoked"), GOOGLE_KEY])
    assert (code, out, err.partition("hint")[0]) == (2, "", f"error: {told}")
    assert 'give it `intended_state = "revoked"`' in err
    assert not small.cloud.traffic.requests
