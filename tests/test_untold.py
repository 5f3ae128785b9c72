"""Where nobody has told of any data yet, no answer has a number for it: 0 would be an all-clear."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from auditor.config import load
from auditor.daemon import serving, timers
from auditor.outputs import impact_json, revocation_json, scan_json, summary
from auditor.web.readings import Loaded
from auditor.wiring import assemble
from tests.bundles import BUNDLE, Customer, Operator, a_customer, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW
from tests.keys_only import FILE
from tests.web.test_web import ask


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        yield running


@pytest.fixture(params=["missing", "refused"])
def customer(operator: Operator, request: pytest.FixtureRequest) -> Customer:
    """At the first use: no bundle was believed before."""
    found = a_customer(operator)
    if request.param == "refused":
        found.bundle.write_text("{}")
    return found


def reason(customer: Customer) -> str:
    return "malformed" if customer.bundle.exists() else "not_found"


def test_the_text_says_that_it_is_not_known_and_why(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("poll", "-q", "-c", str(customer.config)) == 3
    out = capsys.readouterr().out
    why = f"1 registry could not be read or used now ({reason(customer)})"
    assert out.startswith("What data there is, and whether it can be read, is not known: no bucket is configured")
    assert why in out
    assert "0 of 1 registry read (namespaces not known), keys that data is under not known, 2 gaps" in out


def test_json_has_no_number_of_what_nobody_told(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("poll", "-q", "-c", str(customer.config), "--format", "json") == 3
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(scan_json.schema()).validate(found)
    nothing = {"objects": None, "bytes": None, "namespaces": None}
    sums = found["totals"].pop("by_readability")
    assert found["totals"] == nothing
    assert len(sums) == 8
    assert all(one == nothing for one in sums.values())
    assert (found["coverage"]["keys"]["needed"], found["coverage"]["keys"]["unknown"]) == (None, None)


KEY = f'[[key]]\nname = "{GOOGLE_KEY}"\n'


def test_impact_has_no_number_of_what_nobody_told(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.configure(BUNDLE + KEY)
    customer.polled()
    assert run("impact", GOOGLE_KEY, "--format", "json", "-c", str(customer.config)) == 3
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(impact_json.schema()).validate(found)
    affected = [found["affected"][one] for one in ("objects", "bytes", "namespaces")]
    assert [*affected, found["as_before"], found["writes"]["namespaces"]] == [None] * 5


def test_no_registry_is_said_to_have_said_anything(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.configure(BUNDLE + KEY)
    customer.polled()
    assert run("impact", GOOGLE_KEY, "-c", str(customer.config)) == 3
    out = capsys.readouterr().out
    assert "no bucket is configured, and no registry has said yet what depends on the key" in out
    assert "registries say" not in out


REVOKED = f'{KEY}intended_state = "revoked"\n'


def prove_revoked(customer: Customer, capsys: pytest.CaptureFixture[str]) -> tuple[list[int | None], str]:
    """The numbers of the JSON, which has to fit its schema, and the text, of a key that is off."""
    for version in (1, 2, 3):
        customer.set_state(version, "DISABLED")
    argv = ("prove-revoked", GOOGLE_KEY, "-q", "-c", str(customer.config))
    assert run(*argv, "--format", "json") == 3
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(revocation_json.schema()).validate(found)
    assert (found["proof"], found["why"].startswith("no data is known to be under the key")) == ("not_proven", True)
    assert run(*argv) == 3
    return [found["data"][one] for one in ("objects", "bytes", "namespaces")], capsys.readouterr().out


def test_a_proof_has_no_number_of_what_nobody_told(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.configure(BUNDLE + REVOKED)
    customer.polled()
    numbers, text = prove_revoked(customer, capsys)
    assert numbers == [None] * 3
    assert "none is told of: how much is under the key is not known" in text


def test_that_registries_name_no_namespace_for_a_key_is_no_number_of_objects(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = a_customer(operator)
    customer.configure(FILE + REVOKED)
    (customer.folder / "namespaces.csv").write_text(f"namespace,key\nmail,{GOOGLE_KEY}-2\n")
    customer.polled()
    numbers, text = prove_revoked(customer, capsys)
    assert numbers == [None, None, 0]
    assert "none is told of: how much is under the key is not known" in text


def test_retire_says_that_the_bundle_was_not_read(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.configure(BUNDLE + KEY)
    customer.polled()
    assert run("retire", "--allow-gaps", "not_visible", "-c", str(customer.config)) == 3
    assert "gap: registry acme.json: " in capsys.readouterr().out


def test_impact_says_that_a_bundle_is_in_the_config_since(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = a_customer(operator)
    customer.configure(KEY)
    customer.polled()
    customer.configure(KEY + BUNDLE)
    told = "gap: registry acme.json: what it names is not known: it is in the config since the last judgement"
    # Also of a version that takes no new data: some of today may be under it.
    for argv in (("impact", GOOGLE_KEY), ("impact", f"{GOOGLE_KEY}/1"), ("retire",)):
        assert run(*argv, "-c", str(customer.config), "--allow-gaps", "not_visible") == 3, argv
        assert told in capsys.readouterr().out


def test_retire_names_the_key_of_the_data_where_the_project_is_given_by_its_number(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.scanned()
    assert run("retire", GOOGLE_KEY.replace("projects/acme", "projects/123456"), "-c", str(operator.config)) == 2
    told = capsys.readouterr().err
    assert f"data names {GOOGLE_KEY}, which may be it by the other name of its project" in told
    assert "no data depends on" not in told


def test_report_metrics_and_status_have_none_either(customer: Customer) -> None:
    customer.polled()
    with contextlib.closing(assemble(load(customer.config), customer.cloud.store.clock)) as assembly:
        loops = timers.Daemon(assembly.parts, load(customer.config).schedule)
        read = serving.readings(assembly, loops, lambda: Loaded("0" * 64, NOW))
        page = " ".join(ask("/", read).text.split())
        why = f"of whatever data there is: registry acme.json not read or used ({reason(customer)})"
        assert f'Cannot be read now</p><p class="big">not known</p><p class="quiet">{why}' in page
        assert 'Next loss</p><p class="big">not known<' in page
        first = page[page.index('id="verdict"') : page.index('id="deadlines"')]
        assert "0 B" not in first
        assert '"num">0<' not in first
        lines = ask("/metrics", read).text.splitlines()
        assert f'cmek_gaps{{reason="{reason(customer)}"}} 1.0' in lines
        for name in ("cmek_dependent_", "cmek_key_version_dependent_", "cmek_next_loss_timestamp_seconds"):
            assert not [one for one in lines if one.startswith(name)], name
        status = json.loads(ask("/api/v1/status", read).text)
        assert status["coverage"]["keys"]["needed"] is None
        assert status["gaps_by_reason"] == {"not_visible": 1, reason(customer): 1}


def test_what_is_known_beside_a_bundle_that_was_never_read_is_told_with_what_is_not(operator: Operator) -> None:
    customer = a_customer(operator)
    operator.hand_over(customer)
    customer.configure(BUNDLE + BUNDLE.replace("acme.json", "other.json"))
    judgement = customer.polled()
    assert not judgement.is_untold
    assert summary.verdict(judgement).endswith("20 objects; 1 of 2 registries never read and not counted.")
    (customer.folder / "namespaces.csv").write_text(f"namespace,key\nmail,{GOOGLE_KEY}\n")
    customer.configure(BUNDLE.replace("acme.json", "other.json") + FILE)
    assert summary.verdict(customer.polled()).endswith("not seen; 1 of 2 registries never read and not counted.")


def test_a_registry_that_was_read_and_names_nothing_has_told_that(operator: Operator) -> None:
    customer = a_customer(operator)
    (customer.folder / "namespaces.csv").write_text("namespace,key\n")
    customer.configure(FILE)
    assert not customer.polled().is_untold
    (customer.folder / "namespaces.csv").write_text("namespace,key\nmail,alias/main\n")
    assert customer.polled().is_untold


def test_before_the_first_whole_sweep_a_report_has_no_number_of_objects(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("poll", "-q", "-c", str(operator.config)) == 3
    capsys.readouterr()
    assert run("report", "-q", "-c", str(operator.config), "-o", "-") == 0
    page = " ".join(capsys.readouterr().out.split())
    assert '<p class="big">not known</p><p class="quiet">of whatever objects there are: no bucket has' in page
