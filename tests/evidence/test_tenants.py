"""The evidence of one tenant: all of its own, proven to stand in the ledger of all, and no byte of anybody else."""

import base64
import gzip
import io
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from auditor.evidence import archive
from auditor.evidence.statement import Judged
from auditor.evidence.verified import Check
from auditor.evidence.verifying import verify
from auditor.outputs import provenance_json, scan_json, verify_json
from tests.bundles import BUCKET, OTHERS_KEY, Operator, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW
from tests.evidence.forging import JUDGEMENT, PUBLIC, Ledger, stated, written
from tests.evidence.test_made import FILES
from tests.evidence.test_verifying import LEDGER, refusal

OWN_KEY = "projects/acme-keys/locations/us-east1/keyRings/own/cryptoKeys/main"
SAID = f"""
[[key]]
name = "{OWN_KEY}"
tenant = "acme"
[[key]]
name = "{GOOGLE_KEY}"
tenant = "acme"
[[key]]
name = "{OTHERS_KEY}"
tenant = "zeta"
owner = "zeta-security@zeta.example"
[[waiver]]
rule = "data-unreadable"
match = {{ namespace = "zeta/*" }}
until = 2026-12-24
owner = "zeta-security@zeta.example"
approved_by = "zeta-risk@zeta.example"
reason = "zeta moves it"
[[waiver]]
rule = "rotation-off"
match = {{ key = "{GOOGLE_KEY}" }}
until = 2026-12-24
owner = "security@acme.example"
approved_by = "risk@acme.example"
reason = "known to acme"
"""
OF_OTHERS = (b"zeta", b"secret", b"not-in-any-config")


def evidence(operator: Operator, name: str, *more: str, tenant: str | None = "acme") -> int:
    whose = ["--view", "tenant", tenant] if tenant is not None else []
    sign_with = ["--sign-with", str(operator.folder / "operator.pem"), "-o", str(operator.folder / name)]
    return run("report", *whose, "--bundle", "-q", "--config", str(operator.config), *sign_with, *more)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with an_operator(tmp_path_factory.mktemp("tenants"), BUCKET + SAID) as running:
        running.cloud.store.add_project("acme-keys", 98)
        running.cloud.store.add_key(OWN_KEY)
        running.put("acme/own", 1, key=OWN_KEY)
        running.cloud.store.add_bucket("not-in-any-config", "acme", "us-east1")
        running.scanned()
        assert evidence(running, "first.zip") == 0
        for name in (GOOGLE_KEY, OWN_KEY, OTHERS_KEY):
            key = running.cloud.store.key(name)
            assert key is not None
            key.versions[1].state = "DISABLED"
        assert run("poll", "-q", "-o", os.devnull, "--config", str(running.config)) == 1
        assert evidence(running, "second.zip") == 0
        yield running


@pytest.fixture(scope="module")
def second(operator: Operator) -> dict[str, bytes]:
    with zipfile.ZipFile(operator.folder / "second.zip") as one:
        return {name: one.read(name) for name in one.namelist()}


def plainly(some: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """What people and machines read in each file, nothing packed."""
    for name, content in some.items():
        yield name, gzip.decompress(content) if name.endswith(".gz") else content
    yield "payload", base64.b64decode(json.loads(some["attestation.intoto.json"])["payload"])
    table = pq.read_table(io.BytesIO(some["dependencies.parquet"]))
    yield "table", json.dumps([table.to_pylist(), str(table.schema.metadata)], default=str).encode()


def test_it_has_all_but_what_tells_of_everybody(second: dict[str, bytes]) -> None:
    assert list(second) == [name for name in FILES if name != "config.json"]
    explained = second["how-to-verify.txt"].decode()
    assert all(f"\n{name} " in explained for name in list(second)[2:])
    assert "one tenant's part of a judgement" in explained
    assert "config.json" not in explained
    told = json.loads(second["manifest.json"])
    Draft202012Validator(archive.schema()).validate(told)
    assert told["predicate"]["judgement"]["tenant"] == "acme"
    assert told["predicate"]["judgement"]["verdict"] == "20 of 30 objects cannot be read now."
    Draft202012Validator(provenance_json.schema()).validate(json.loads(second["provenance.json"]))


def test_no_byte_of_anybody_else_is_in_any_file_of_it(second: dict[str, bytes]) -> None:
    for name, content in plainly(second):
        found = [
            content[max(0, content.lower().find(one) - 200) :][:400] for one in OF_OTHERS if one in content.lower()
        ]
        assert not found, name


def test_what_is_looked_for_would_be_found(operator: Operator) -> None:
    assert evidence(operator, "whole.zip", tenant=None) == 0
    with zipfile.ZipFile(operator.folder / "whole.zip") as one:
        every = dict(plainly({name: one.read(name) for name in one.namelist()}))
    assert all(any(mark in content.lower() for content in every.values()) for mark in OF_OTHERS[:2])


def test_all_that_is_its_own_is_in_it(second: dict[str, bytes]) -> None:
    told = json.loads(gzip.decompress(second["scan.json.gz"]))
    Draft202012Validator(scan_json.schema()).validate(told)
    assert told["totals"]["objects"] == 30
    assert {one["rule"] for one in told["findings"]} >= {"data-unreadable"}
    table = pq.read_table(io.BytesIO(second["dependencies.parquet"])).to_pylist()
    assert {(row["namespace"], row["key"], row["objects"]) for row in table} == {
        ("acme/search", GOOGLE_KEY, 10),
        ("acme/chat", GOOGLE_KEY, 10),
        ("acme/own", OWN_KEY, 10),
    }
    assert "known to acme" in second["waivers.json"].decode()
    assert "cannot be read now" in second["report.html"].decode()


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_the_readings_of_its_own_key_stand_in_the_ledger_of_all(operator: Operator, second: dict[str, bytes]) -> None:
    (reading,) = lines(second["key-readings.jsonl"])
    assert reading["subject"] == OWN_KEY, "the other one shares its ring with others, and names them"
    assert '"state":"DISABLED"' in reading["body"]
    assert {one["kind"] for one in lines(second["ledger-events.jsonl"])} == {"poll_made", "head_given"}
    found = verify(operator.folder / "second.zip", None)
    assert (found.bundle.readings, found.bundle.given) == (1, 1)


def test_it_holds_and_goes_on_from_the_tenants_first_and_says_of_whom_it_is(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["verify", str(operator.folder / "second.zip"), "--key", str(operator.folder / "operator.pub")]
    argv += ["--after", str(operator.folder / "first.zip")]
    assert run(*argv, "-f", "json") == 0
    told = json.loads(capsys.readouterr().out)
    Draft202012Validator(verify_json.schema()).validate(told)
    assert told["checks"] == dict.fromkeys(("signature", "files", "ledger", "continues"), "passed")
    assert told["found"]["judgement"]["tenant"] == "acme"
    assert any("all of the tenant's" in one for one in told["not_proven"])
    assert run(*argv) == 0
    shown = capsys.readouterr().out
    assert "\nof          tenant acme, and of nobody else\n" in shown
    assert "\nnot proven  by which config and version was judged" in shown


def test_one_of_a_tenant_and_one_of_everybody_go_on_from_each_other(operator: Operator) -> None:
    assert evidence(operator, "whole.zip", tenant=None) == 0
    assert verify(operator.folder / "whole.zip", None, operator.folder / "first.zip").earlier is not None
    assert verify(operator.folder / "second.zip", None, operator.folder / "whole.zip").earlier is not None


def test_the_same_judgement_gives_the_same_bytes(operator: Operator) -> None:
    assert evidence(operator, "again.zip") == 0
    assert (operator.folder / "again.zip").read_bytes() == (operator.folder / "second.zip").read_bytes()


def test_a_tenant_that_there_is_not_is_one_error_and_no_file(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evidence(operator, "nobody.zip", tenant="nobody") == 2
    assert capsys.readouterr().err.count("error: ") == 1
    assert not (operator.folder / "nobody.zip").exists()


def of(tenant: str | None) -> Judged:
    return Judged(NOW, 1, 0, JUDGEMENT, "All can be read.", tenant)


WITHOUT = replace(LEDGER, shown=tuple(one for one in LEDGER.shown if one.kind != "context_changed"))


@pytest.mark.parametrize(("ledger", "tenant"), [(LEDGER, "acme"), (WITHOUT, None)], ids=["of everybody", "of nobody"])
def test_a_tenants_has_no_context_and_any_other_has(tmp_path: Path, ledger: Ledger, tenant: str | None) -> None:
    files = {**ledger.files(), "report.html": b"<p>all is well</p>"}
    told = stated(files, ledger.head, JUDGEMENT, judgement=of(tenant))
    found = refusal(written(tmp_path / "one.zip", ledger, told=told))
    assert (found.check, "of another judgement" in str(found)) == (Check.LEDGER, True)
    other = stated(files, ledger.head, JUDGEMENT, judgement=of(None if tenant else "acme"))
    assert verify(written(tmp_path / "two.zip", ledger, told=other), PUBLIC).bundle.signer is not None
