"""What `retire KEY` advises is what its reader can do, and what it cannot see is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor import cli
from auditor.outputs import retire_json
from tests.bundles import Customer, a_customer, an_operator
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud

SHORT = "acme/us-east1/tpuf/main"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def told(capsys: pytest.CaptureFixture[str], config: Path, *argv: str) -> tuple[int, str]:
    capsys.readouterr()
    code = cli._run([argv[0], "--config", str(config), *argv[1:]])  # noqa: SLF001 - without the end of the process
    got = capsys.readouterr()
    return code, got.out + got.err


def document(capsys: pytest.CaptureFixture[str], config: Path, *argv: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(capsys, config, *argv, "--format", "json")[1])
    jsonschema.Draft202012Validator(retire_json.schema()).validate(found)
    return found


PRIMARY = {
    "DISABLED": "its primary version 2 is DISABLED: enable it first (`gcloud kms keys versions enable 2 ",
    "DESTROYED": "its primary version 2 is DESTROYED: make a new primary version first",
    "DESTROY_SCHEDULED": "its primary version 2 is DESTROY_SCHEDULED: make a new primary version first",
}


@pytest.mark.parametrize(("state", "first"), PRIMARY.items(), ids=PRIMARY)
def test_nothing_is_rewritten_to_a_primary_version_that_does_not_work(
    small: Small, capsys: pytest.CaptureFixture[str], state: str, first: str
) -> None:
    assert told(capsys, small.config, "scan", "-q")[0] == 0
    _, out = told(capsys, small.config, "retire", SHORT)
    assert ("before anything is rewritten" in out, "\n  in place with objects.rewrite" in out) == (False, True)
    small.set_state(2, state)
    told(capsys, small.config, "poll", "-q")
    _, out = told(capsys, small.config, "retire", SHORT)
    assert f"before anything is rewritten: {first}" in out
    assert "\n  not yet (see above), then in place with objects.rewrite" in out
    assert document(capsys, small.config, "retire", SHORT)["rewriting_barred_by"].startswith(first)


def test_of_a_key_that_has_fallen_silent_nobody_knows_whether_its_primary_version_works(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, small.config, "scan", "-q")
    small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    told(capsys, small.config, "poll", "-q")
    assert "the key tells nothing now, so that whether its primary version works is not known" in " ".join(
        told(capsys, small.config, "retire", SHORT)[1].split()
    )


def test_of_a_key_that_never_gave_a_state_it_is_not_said_that_no_data_stays(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    told(capsys, small.config, "scan", "-q")
    code, out = told(capsys, small.config, "retire", SHORT)
    assert (code, "No data" in out) == (3, False)
    assert "Not known: the key never gave a state, so that which versions it has is not known; 20 objects are" in out
    assert "known       the key of 20 of 20 objects in 1 of 1 bucket" in out
    (why,) = document(capsys, small.config, "retire", SHORT)["moves_not_known"]
    assert why.endswith("20 objects are under it")


def test_one_version_is_told_alone_and_one_that_is_gone_is_an_error(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, small.config, "scan", "-q")
    for name in (f"{SHORT}/1", f"{SHORT} version 1", f"{GOOGLE_KEY}/cryptoKeyVersions/1"):
        found = document(capsys, small.config, "retire", name)
        assert [(one["key_version"], one["objects"]) for one in found["key_versions"]] == [("1", 10)]
        assert [one["key_version"] for one in found["moves"]] == ["1"]
    assert document(capsys, small.config, "retire", f"{SHORT}/2")["moves"] == []
    # Whoever asks whether it may go is answered by the code as well; of a whole key there is no one answer.
    codes = [told(capsys, small.config, "retire", one)[0] for one in (f"{SHORT}/1", f"{SHORT}/2", SHORT)]
    assert codes == [1, 1, 0]
    code, out = told(capsys, small.config, "retire", f"{SHORT}/9")
    assert (code, "has no version 9\nhint: its versions are 1, 2" in out) == (2, True)
    small.set_state(1, "DESTROYED")
    told(capsys, small.config, "poll", "-q")
    code, out = told(capsys, small.config, "retire", f"{SHORT}/1")
    assert (code, f"version 1 of key {GOOGLE_KEY} is DESTROYED: nothing of it is left to retire" in out) == (2, True)


@pytest.mark.parametrize("command", ["retire", "impact", "poll", "prove-revoked", "explain"])
def test_a_key_that_nothing_names_is_an_error_that_says_which_may_be_meant(
    small: Small, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    told(capsys, small.config, "scan", "-q")
    code, out = told(capsys, small.config, command, GOOGLE_KEY[:-1])
    error, hint = out.splitlines()
    assert (code, error.startswith(f"error: nothing is known of key {GOOGLE_KEY[:-1]}: ")) == (2, True)
    assert hint == f"hint: did you mean {SHORT}?"


def test_a_key_stands_for_the_one_finding_about_it(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, small.config, "scan", "-q")
    code, out = told(capsys, small.config, "explain", SHORT)
    assert (code, f"error: no finding is about {SHORT}\n" in out) == (2, True)
    small.set_state(1, "DISABLED")
    told(capsys, small.config, "poll", "-q")
    for name in (SHORT, f"{SHORT}/1", f"{GOOGLE_KEY}/cryptoKeyVersions/1"):
        code, out = told(capsys, small.config, "explain", name)
        assert (code, "critical · data-unreadable · open" in out) == (0, True)
    small.set_state(2, "DISABLED")
    told(capsys, small.config, "poll", "-q")
    code, out = told(capsys, small.config, "explain", SHORT)
    assert (code, f" findings are about {SHORT}\nhint: explain one of them: " in out) == (2, True)
    assert "(data-unreadable)" in out


@pytest.fixture
def customer(tmp_path: Path) -> Iterator[Customer]:
    with an_operator(tmp_path) as operator:
        found = a_customer(operator)
        operator.hand_over(found)
        yield found


def test_who_sees_no_bucket_is_told_whom_to_ask_and_nothing_to_rewrite(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, customer.config, "poll", "-q")
    _, out = told(capsys, customer.config, "retire", SHORT)
    assert "ask the platform's operator to move it: only who may write the buckets can" in out
    assert ("objects.rewrite" in out, "copy_from_namespace" in out) == (False, False)
    assert document(capsys, customer.config, "retire", SHORT)["moved_by_operator"] is True


def test_each_gap_of_a_registry_stands_once(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, customer.config, "poll", "-q")
    customer.bundle.write_text("{}")
    told(capsys, customer.config, "poll", "-q")
    for command in ("impact", "retire"):
        lines = [one for one in told(capsys, customer.config, command, SHORT)[1].splitlines() if "gap: " in one]
        assert any("acme.json" in one for one in lines)
        assert sorted(set(lines)) == sorted(lines)


def test_of_a_version_that_may_go_the_code_is_not_that_of_one_with_data(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in small.cloud.store.buckets["data"].objects[:]:
        if one.name.startswith("acme/old/"):
            small.cloud.store.buckets["data"].objects.remove(one)
    told(capsys, small.config, "scan", "-q")
    code, out = told(capsys, small.config, "retire", f"{SHORT}/1")
    assert (code, "without known data, which is not proven" in out) == (3, True)


@pytest.mark.parametrize("primary", ["DISABLED", "DESTROY_SCHEDULED"])
def test_nobody_is_told_to_enable_what_is_meant_to_be_revoked(
    small: Small, capsys: pytest.CaptureFixture[str], primary: str
) -> None:
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n')
    for version in (1, 2):
        small.set_state(version, primary)
    told(capsys, small.config, "scan", "-q")
    _, out = told(capsys, small.config, "retire", SHORT)
    assert "before anything is rewritten: the config means the key to be revoked" in out
    assert "enable" not in out.partition("before anything is rewritten")[2].partition("\n")[0]
