"""The evidence of a judgement: all of it, nothing secret, the same bytes each time, and verifiable without us."""

import base64
import errno
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # it is public, and not listed as such

from auditor.config import Config, load
from auditor.evidence import archive, settings, tree
from auditor.evidence.statement import Head, Statement
from auditor.evidence.tree import Peaks
from auditor.ledger.chain import Chain
from auditor.ledger.link import FIRST, Event
from auditor.ledger.store import LedgerStore
from auditor.outputs import provenance_json, scan_json, verify_json
from tests.bundles import a_signer, run
from tests.clouds import GOOGLE_KEY
from tests.handover.test_bundle_made import inlined
from tests.hostile import NAMES
from tests.keys_only import a_cloud_of_keys
from tests.ledger.raw import sql
from tests.small import Small, a_small_cloud

SECRETS = {
    "TURBOPUFFER_API_KEY": "tpuf_planted-in-the-environment",
    "AUDITOR_TOKEN": "bearer-planted-in-the-environment",
    "AWS_SECRET_ACCESS_KEY": "aws/planted+in+the+environment",
    "AWS_SESSION_TOKEN": "session-planted-in-the-environment",
    "PGPASSWORD": "password-planted-in-the-environment",
}
EXTERNAL_ID = "planted-in-the-config"
SECRET_SETTINGS = f"""
[[account]]
id = "111122223333"
role_arn = "arn:aws:iam::111122223333:role/auditor"
external_id = "{EXTERNAL_ID}"
profile = "profile-planted-in-the-config"
[[waiver]]
rule = "data-unreadable"
match = {{ namespace = "acme/old" }}
until = 2026-12-24
owner = "security@acme.example"
approved_by = "risk@acme.example"
reason = "moved next week"
"""


@dataclass(frozen=True)
class Operated:
    """A small cloud that was scanned, with a bundle, and another one after a version was disabled."""

    small: Small
    folder: Path

    def bundle(self, name: str, *more: str) -> int:
        sign_with = ["--sign-with", str(self.folder / "operator.pem"), "-o", str(self.folder / name)]
        return run(*self.small.argv("report", "--bundle", "-q", *sign_with, *more))

    def verify(self, name: str, *more: str, key: str = "operator.pub") -> int:
        return run("verify", str(self.folder / name), "--key", str(self.folder / key), *more)

    def after(self, name: str) -> list[str]:
        return ["--after", str(self.folder / name)]

    def polled(self) -> None:
        assert run(*self.small.argv("poll", "-q", "-o", os.devnull)) in {0, 1}

    @property
    def ledger(self) -> Path:
        return self.folder / "state" / "ledger.db"


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    folder = tmp_path_factory.mktemp("operated")
    a_signer(folder)
    with pytest.MonkeyPatch.context() as patched, a_small_cloud(folder) as small:
        for name, value in SECRETS.items():
            patched.setenv(name, value)
        with small.config.open("a") as file:
            file.write(SECRET_SETTINGS)
        for number, name in enumerate(NAMES.values()):
            small.cloud.store.put("data", name, key=GOOGLE_KEY, version=1 + number % 2, size=100)
        one = Operated(small, folder)
        assert run(*small.argv("scan", "-q", "-o", os.devnull)) == 0
        assert one.bundle("first.zip") == 0
        small.set_state(1, "DISABLED")
        one.polled()
        assert one.bundle("second.zip") == 0
        yield one


def files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive_:
        return {name: archive_.read(name) for name in archive_.namelist()}


FILES = [
    "attestation.intoto.json",
    "manifest.json",
    "config.json",
    "dependencies.parquet",
    "findings.csv",
    "gaps.csv",
    "how-to-verify.txt",
    "key-readings.jsonl",
    "ledger-events.jsonl",
    "ledger-tree.txt",
    "provenance.json",
    "report.html",
    "scan.json.gz",
    "waivers.json",
]


@pytest.fixture(scope="module")
def second(operated: Operated) -> dict[str, bytes]:
    return files(operated.folder / "second.zip")


def test_it_has_everything_and_says_what_each_file_is(second: dict[str, bytes]) -> None:
    assert list(second) == FILES
    explained = second["how-to-verify.txt"].decode()
    for name in list(second)[2:]:
        assert f"\n{name} " in explained
    told = json.loads(second["manifest.json"])
    Draft202012Validator(archive.schema()).validate(told)
    assert told["predicate"]["judgement"]["verdict"] in second["report.html"].decode()
    assert b"security@acme.example" in second["waivers.json"]
    assert second["findings.csv"].count(b"\r\n") > 1


def test_the_schema_of_what_is_signed_says_what_is_read() -> None:
    made = msgspec.json.schema(Statement)
    told = archive.schema()
    assert {name: told[name] for name in told if not name.startswith("$") and name != "title"} == inlined(
        made, made["$defs"]
    )


def test_the_same_judgement_gives_the_same_bytes_and_is_told_once(operated: Operated) -> None:
    def given() -> list[Any]:
        return sql(operated.ledger, "SELECT seq FROM event WHERE kind = 'head_given'")[1]

    before = given()
    assert operated.bundle("again.zip") == 0
    assert (operated.folder / "again.zip").read_bytes() == (operated.folder / "second.zip").read_bytes()
    assert given() == before
    assert len(before) == 2


def test_nobody_but_its_owner_may_read_it_and_nothing_is_left_beside_it(operated: Operated) -> None:
    assert stat.S_IMODE((operated.folder / "second.zip").stat().st_mode) == 0o600
    assert [one.name for one in operated.folder.iterdir() if one.name.startswith(".")] == []


def everything(some: dict[str, bytes]) -> Iterator[bytes]:
    """What people and machines read in it, nothing packed."""
    for name, content in some.items():
        yield gzip.decompress(content) if name.endswith(".gz") else content
    yield base64.b64decode(json.loads(some["attestation.intoto.json"])["payload"])
    yield json.dumps(pq.read_table(io.BytesIO(some["dependencies.parquet"])).to_pylist(), default=str).encode()


def test_no_secret_is_in_it(operated: Operated, second: dict[str, bytes]) -> None:
    planted = [*SECRETS.values(), EXTERNAL_ID, "profile-planted-in-the-config"]
    pem = (operated.folder / "operator.pem").read_text().splitlines()[1]
    for content in everything(second):
        for secret in (*planted, pem):
            assert secret.encode() not in content
            assert base64.b64encode(secret.encode()).rstrip(b"=") not in content


def test_the_config_is_told_without_what_opens_a_door(operated: Operated, second: dict[str, bytes]) -> None:
    told = json.loads(second["config.json"])
    assert told["digest"] == load(operated.small.config).digest
    assert told["kept_back"] == ["account.external_id", "account.profile", "state"]
    assert told["settings"]["bucket"][0]["url"] == "gs://data"
    assert told["settings"]["account"][1]["role_arn"] == "arn:aws:iam::111122223333:role/auditor"
    assert told["settings"]["waiver"][0]["match"]["namespace"] == "acme/old"


def settings_of(table: type[BaseModel], where: str = "") -> Iterator[str]:
    for name, field in table.model_fields.items():
        inner = [field.annotation, *get_args(field.annotation)]
        inner += [one for some in list(inner) for one in get_args(some)]
        tables = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        if tables:
            yield from settings_of(tables[0], f"{where}{field.alias or name}.")
        else:
            yield f"{where}{field.alias or name}"


def test_somebody_has_decided_of_each_setting_whether_it_is_told() -> None:
    every = set(settings_of(Config))
    assert every == settings.TOLD | settings.KEPT_BACK
    assert not settings.TOLD & settings.KEPT_BACK


def test_every_setting_of_the_example_is_told_or_kept_back() -> None:
    config = load(Path(__file__).parents[2] / "docs" / "auditor.example.toml")
    told = json.dumps(settings.told(config))
    for secret in ("external_id", "users_file", "token_env", "api_key_env", '"ledger"', '"state"'):
        assert secret not in told
    assert set(settings.kept_back(config)) <= settings.KEPT_BACK


def test_the_table_says_what_the_json_says(second: dict[str, bytes]) -> None:
    told = json.loads(gzip.decompress(second["scan.json.gz"]))
    assert told["controls"], "as a report of the same judgement has it"
    Draft202012Validator(scan_json.schema()).validate(told)
    table = pq.read_table(io.BytesIO(second["dependencies.parquet"])).to_pylist()
    moments = ("final_at", "oldest", "newest")
    for row in table:
        row.update({name: scan_json.time(row[name]) for name in moments})
    for row in told["dependencies"]:
        row.update({name: row[name] and scan_json.time(datetime.fromisoformat(row[name])) for name in moments})
    assert table == told["dependencies"]
    assert sum(row["objects"] for row in table) == 20 + len(NAMES)


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_readings_and_events_are_those_of_the_ledger(operated: Operated, second: dict[str, bytes]) -> None:
    shown = {one["seq"]: one for name in ("key-readings.jsonl", "ledger-events.jsonl") for one in lines(second[name])}
    kept = sql(operated.ledger, "SELECT seq, at, kind, subject, body, previous FROM event")[1]
    for row in kept:
        if row[0] in shown:
            assert shown.pop(row[0]) == dict(
                zip(("seq", "at", "kind", "subject", "body", "previous"), row, strict=True)
            )
    assert not shown
    (reading,) = lines(second["key-readings.jsonl"])
    assert reading["subject"] == GOOGLE_KEY
    assert '"state":"DISABLED"' in reading["body"]
    assert json.loads(reading["body"])["gcp"]["evidence"][0]["answer_digest"]


def test_provenance_fits_its_schema_and_says_what_nobody_knows(operated: Operated, second: dict[str, bytes]) -> None:
    told = json.loads(second["provenance.json"])
    Draft202012Validator(provenance_json.schema()).validate(told)
    assert told["buckets"][0]["sweep_started"] <= told["buckets"][0]["sweep_ended"]
    assert told["judged_from"][0]["config_digest"] == told["config_digest"]
    assert told["config_file_digest"] == hashlib.sha256(operated.small.config.read_bytes()).hexdigest()
    assert "who changed the config" in told["not_known"][0]
    assert told["key_readings"]["keys"] == 1
    assert told["key_readings"]["calls_with_request_id"] + told["key_readings"]["calls_without"] > 0


def test_it_holds_and_goes_on_from_the_first(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated.verify("second.zip", *operated.after("first.zip"), "-f", "json") == 0
    told = json.loads(capsys.readouterr().out)
    Draft202012Validator(verify_json.schema()).validate(told)
    assert told["checks"] == dict.fromkeys(("signature", "files", "ledger", "continues"), "passed")
    assert (told["holds"], told["not_checked"], told["refused"]) == (True, [], None)
    assert told["found"]["ledger"]["heads_given_before"] == 1
    assert told["found"]["ledger"]["events"] > told["earlier"]["ledger"]["events"]
    assert len(told["proven"]) == 3
    assert operated.verify("second.zip", *operated.after("first.zip")) == 0
    told = capsys.readouterr().out
    for beginning in ("signature   verified", "files ", "ledger ", "continues   from ", "not proven"):
        assert f"\n{beginning}" in f"\n{told}"


def test_what_was_not_checked_is_told(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated.verify("first.zip") == 0
    told = capsys.readouterr().out
    assert "\nnot checked whether its ledger was rolled back" in told
    assert "who signed it" not in told.partition("not checked")[2]
    assert run("verify", str(operated.folder / "first.zip")) == 3
    assert capsys.readouterr().out.startswith("signature   NOT verified, anybody may have written it")
    assert run("verify", str(operated.folder / "first.zip"), "-f", "json") == 3
    told = json.loads(capsys.readouterr().out)
    Draft202012Validator(verify_json.schema()).validate(told)
    assert told["checks"] == {
        "signature": "not_checked",
        "files": "passed",
        "ledger": "passed",
        "continues": "not_checked",
    }
    assert len(told["not_checked"]) == 2


def test_what_does_not_hold_is_one_error_with_a_hint_and_code_1(
    operated: Operated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((operated.folder / "second.zip").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.zip").write_bytes(content)
    assert operated.verify(str(tmp_path / "x.zip")) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("error: "), told.err.count("hint: ")) == ("", 1, 1)
    assert operated.verify(str(tmp_path / "x.zip"), "-f", "json") == 1
    found = json.loads(capsys.readouterr().out)
    Draft202012Validator(verify_json.schema()).validate(found)
    assert (found["holds"], found["refused"]["check"], found["found"]) == (False, "files", None)


def test_wrong_usage_is_none_of_the_bundles_faults(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated.verify("no-such.zip") == 2
    assert operated.verify("first.zip", key="operator.pem") == 2
    assert operated.verify("first.zip", "--after-key", str(operated.folder / "operator.pub")) == 2
    assert operated.verify("first.zip", *operated.after("no-such.zip")) == 2
    for asked, because in (
        (("--bundle",), "--bundle needs --sign-with"),
        (("--sign-with", "x.pem"), "--sign-with is of --bundle"),
        (("--bundle", "--as", "html", "--sign-with", "x.pem"), "--as and --bundle"),
        (("--bundle", "--period", "2026-10-01/2026-12-31", "--sign-with", "x.pem"), "--period and --bundle"),
        (("--bundle", "--framework", "nist-800-53-r5", "--sign-with", "x.pem"), "--framework and --bundle"),
        (("--bundle", "--sign-with", str(operated.folder / "operator.pem"), "-o", "-"), "standard output is none"),
    ):
        capsys.readouterr()
        assert run(*operated.small.argv("report", *asked)) == 2
        assert because in capsys.readouterr().err
    pem = operated.folder / "operator.pem"
    before = pem.read_bytes()
    assert operated.bundle("operator.pem") == 2
    assert pem.read_bytes() == before


def test_it_asks_no_cloud_and_says_what_it_wrote(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    asked = operated.small.cloud.traffic.requests
    sign_with = ["--sign-with", str(operated.folder / "operator.pem"), "-o", str(operated.folder / "again.zip")]
    assert run(*operated.small.argv("report", "--bundle", *sign_with)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"wrote {operated.folder / 'again.zip'}"
    assert told[1].startswith("evidence of judgement ")
    assert told[2].startswith("signed with the key whose fingerprint is sha256:")
    assert operated.small.cloud.traffic.requests == asked


def test_anybody_can_verify_it_with_what_python_and_one_library_have(operated: Operated, tmp_path: Path) -> None:
    """None of our code: a ZIP file, a DSSE envelope, an in-toto statement, SHA-256 and Ed25519."""
    with zipfile.ZipFile(operated.folder / "second.zip") as bundle:
        bundle.extractall(tmp_path)
    cover = json.loads((tmp_path / "attestation.intoto.json").read_text())
    payload = base64.b64decode(cover["payload"])
    kind = cover["payloadType"].encode()
    key = load_pem_public_key((operated.folder / "operator.pub").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key.verify(base64.b64decode(cover["signatures"][0]["sig"]), signed)
    told = json.loads(payload)
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    for one in told["subject"]:
        assert hashlib.sha256((tmp_path / one["name"]).read_bytes()).hexdigest() == one["digest"]["sha256"]
    named = {one["name"] for one in told["subject"]}
    assert {one.name for one in tmp_path.iterdir()} == named | {"attestation.intoto.json", "manifest.json"}
    leaves: dict[int, str] = {}
    stack: list[tuple[int, bytes]] = []
    for line in (tmp_path / "ledger-tree.txt").read_text().splitlines():
        first, count, digest = line.split()
        leaves[int(first)] = digest
        size, node = int(count), bytes.fromhex(digest)
        while stack and stack[-1][0] == size:
            node, size = hashlib.sha256(b"\1" + stack.pop()[1] + node).digest(), size * 2
        stack.append((size, node))
    while len(stack) > 1:
        (_, right), (_, left) = stack.pop(), stack.pop()
        stack.append((0, hashlib.sha256(b"\1" + left + right).digest()))
    assert stack[0][1].hex() == told["predicate"]["ledger"]["root"]
    for line in (tmp_path / "key-readings.jsonl").read_text().splitlines():
        one = json.loads(line)
        fields = [one[name] for name in ("previous", "seq", "at", "kind", "subject", "body")]
        link = hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).digest()
        assert hashlib.sha256(b"\0" + link).hexdigest() == leaves[one["seq"]]


def test_the_commands_in_it_verify_it(operated: Operated, tmp_path: Path) -> None:
    needed = ("openssl", "jq", "sha256sum", "base64")
    if lacking := [one for one in needed if shutil.which(one) is None]:
        pytest.skip(f"{lacking[0]} is not installed")  # the commands are for people who have it
    with zipfile.ZipFile(operated.folder / "second.zip") as bundle:
        bundle.extractall(tmp_path)
    shutil.copy(operated.folder / "operator.pub", tmp_path / "PUB.pem")
    told = (tmp_path / "how-to-verify.txt").read_text().partition("with openssl and jq")[2]
    commands = [line.strip() for line in told.splitlines() if line.startswith("  ")]
    assert len(commands) == 5
    script = "set -e\n" + "\n".join(commands)

    def done() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done().returncode == 0, done().stderr
    (tmp_path / "report.html").write_text("<p>all is well</p>")
    assert done().returncode != 0


DOCUMENT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()


def test_the_document_has_the_commands_that_the_bundle_has(second: dict[str, bytes]) -> None:
    (block,) = (one for one in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) if one.startswith("jq "))
    told = second["how-to-verify.txt"].decode().partition("with openssl and jq")[2]
    assert block.splitlines() == [line.strip() for line in told.splitlines() if line.startswith("  ")]


def test_the_program_in_the_document_verifies_both_and_that_one_goes_on_from_the_other(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    named = [str(operated.folder / one) for one in ("operator.pub", "first.zip", "second.zip")]
    monkeypatch.setattr(sys, "argv", ["verify.py", *named])
    exec(compile(program, "verify.py", "exec"), {})  # noqa: S102 - what the document tells people to run
    assert "goes on from the earlier one" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["verify.py", named[0], named[2], named[1]])
    with pytest.raises(AssertionError, match="does not go on"):
        exec(compile(program, "verify.py", "exec"), {})  # noqa: S102 - as above


def test_every_file_is_in_the_document(second: dict[str, bytes]) -> None:
    for name in second:
        assert f"`{name}`" in DOCUMENT


def test_a_library_of_others_reads_the_envelope(operated: Operated) -> None:
    cover = json.loads(files(operated.folder / "second.zip")["attestation.intoto.json"])
    keyid = cover["signatures"][0]["keyid"]
    public = _raw((operated.folder / "operator.pub").read_text())
    found = Envelope.from_dict(cover)
    assert set(found.verify([SSlibKey(keyid, "ed25519", "ed25519", {"public": public})], 1)) == {keyid}


def _raw(pem: str) -> str:
    key = load_pem_public_key(pem.encode())
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def rewritten(ledger: Path, *, forged: bool) -> None:
    """Somebody who may write to the database takes a gap out of what happened, and makes the chain hold again.

    `forged`: what was kept of a head that was given is made to fit as well.
    """
    events: list[Event] = []
    for row in sql(ledger, "SELECT seq, at, kind, subject, body FROM event ORDER BY seq")[1]:
        seq, at, kind, subject, body = row
        if seq == 1:
            body = body.replace('"listed"', '"listed" ')
        if kind == "head_given" and forged:
            told = msgspec.json.decode(body, type=Head)
            peaks = Peaks()
            for one in events[: told.events]:
                peaks.add(1, tree.leaf(one.hash))
            head = Head(told.events, events[told.events - 1].hash, peaks.root.hex())
            body = msgspec.json.encode(head, order="sorted").decode()
        events.append(Event(seq, at, kind, subject, body, events[-1].hash if events else FIRST))
    for one in events:
        values = (one.body, one.previous, one.hash, one.seq)
        sql(ledger, "UPDATE event SET body = ?, previous = ?, hash = ? WHERE seq = ?", values)
    LedgerStore(ledger).rebuild()


@pytest.fixture
def own(operated: Operated, tmp_path: Path) -> Operated:
    """The same with a state of its own, which may be spoilt."""
    shutil.copytree(operated.folder / "state", tmp_path / "state")
    for name in ("operator.pem", "operator.pub", "first.zip", "second.zip", "auditor.toml"):
        shutil.copy(operated.folder / name, tmp_path / name)
    return Operated(Small(operated.small.cloud, tmp_path / "auditor.toml"), tmp_path)


def test_who_writes_the_ledger_anew_is_refused_by_whoever_has_an_earlier_bundle(
    own: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(own.ledger, forged=False)
    own.polled()
    assert own.bundle("third.zip") == 70
    assert "is not the one of which a bundle was made" in capsys.readouterr().err
    rewritten(own.ledger, forged=True)
    assert own.bundle("third.zip") == 0
    assert own.verify("third.zip", "-o", os.devnull) == 0, "by itself it holds"
    assert own.verify("third.zip", *own.after("second.zip")) == 1
    assert "its ledger is another one up to event" in capsys.readouterr().err


def test_who_restores_an_old_ledger_is_refused_by_whoever_has_a_later_bundle(
    own: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(own.ledger, own.folder / "old.db")
    own.small.set_state(2, "DISABLED")
    own.polled()
    assert own.bundle("third.zip") == 0
    for one in own.ledger.parent.glob("ledger.db*"):
        one.unlink()
    shutil.move(own.folder / "old.db", own.ledger)
    assert own.bundle("back.zip") == 0
    assert own.verify("back.zip", *own.after("third.zip")) == 1
    assert "older one of the two" in capsys.readouterr().err
    for state in ("ENABLED", "DISABLED"):
        own.small.set_state(2, state)
        own.polled()
    assert own.bundle("back.zip") == 0
    assert own.verify("back.zip", *own.after("third.zip")) == 1
    assert "another" in capsys.readouterr().err
    assert own.verify("back.zip", "-o", os.devnull, *own.after("first.zip")) == 0, "so far it is as it was"
    own.small.set_state(2, "ENABLED")


def test_a_judgement_that_is_kept_meanwhile_is_the_one_that_is_told(
    own: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give, polls = Chain.give, iter([own.polled])

    def late(chain: Chain, *told: Any) -> bool:
        next(polls, lambda: None)()
        return give(chain, *told)

    monkeypatch.setattr(Chain, "give", late)
    assert own.bundle("third.zip") == 0
    assert own.verify("third.zip", *own.after("second.zip"), "-f", "json") == 0
    found = json.loads(capsys.readouterr().out)["found"]["judgement"]["id"]
    assert found == sql(own.ledger, "SELECT subject FROM event WHERE kind = 'poll_made' ORDER BY seq DESC")[1][0][0]
    assert [row[0] for row in sql(own.ledger, "SELECT subject FROM event WHERE kind = 'head_given'")[1]][-1] == found


def test_what_another_config_said_is_not_told_as_this_one_s(own: Operated) -> None:
    with own.small.config.open("a") as file:
        file.write("[limits]\nstreams = 2\n")
    assert own.bundle("third.zip") == 0
    told = json.loads(files(own.folder / "third.zip")["config.json"])
    assert told["settings"] is None
    assert told["digest"] == json.loads(files(own.folder / "second.zip")["config.json"])["digest"]
    own.polled()
    assert own.bundle("fourth.zip") == 0
    some = files(own.folder / "fourth.zip")
    assert json.loads(some["config.json"])["settings"]["limits"]["streams"] == 2
    changes = [one["config_digest"] for one in json.loads(some["provenance.json"])["judged_from"]]
    assert changes == [told["digest"], load(own.small.config).digest]


def test_a_damaged_ledger_gives_no_evidence(own: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    sql(own.ledger, "UPDATE event SET body = '{}' WHERE seq = 2")
    assert own.bundle("third.zip") == 70
    assert "chain breaks at event 2" in capsys.readouterr().err
    assert not (own.folder / "third.zip").exists()


FAULTS: dict[str, tuple[BaseException, int]] = {
    "Ctrl-C": (KeyboardInterrupt(), 130),
    "a full disk": (OSError(errno.ENOSPC, "No space left on device"), 70),
    "a defect": (RuntimeError("x"), 70),
}


@pytest.mark.parametrize(("fault", "code"), FAULTS.values(), ids=FAULTS)
def test_what_is_not_written_to_its_end_leaves_nothing_behind(
    own: Operated, monkeypatch: pytest.MonkeyPatch, fault: BaseException, code: int
) -> None:
    (own.folder / "third.zip").write_bytes(b"an older one")

    def breaks_off(*_: object) -> None:
        raise fault

    monkeypatch.setattr(archive, "measure", breaks_off)
    before = {one.name for one in own.folder.iterdir()}
    assert own.bundle("third.zip") == code
    assert {one.name for one in own.folder.iterdir()} == before
    assert (own.folder / "third.zip").read_bytes() == b"an older one"


def test_a_report_has_the_head_of_its_judgement_whatever_came_later(own: Operated) -> None:
    def report() -> str:
        assert run(*own.small.argv("report", "-q", "-o", str(own.folder / "r.html"))) == 0
        return (own.folder / "r.html").read_text()

    head = json.loads(files(own.folder / "second.zip")["manifest.json"])["predicate"]["ledger"]
    # That a head was given out with it is in the ledger behind it.
    assert sql(own.ledger, "SELECT count(*) FROM event")[1][0][0] == head["events"] + 1
    assert f"{head['events']} events, chain head {head['head']}" in report()
    assert "verify BUNDLE --key PUB.pem --after EARLIER" in report()


def test_before_the_first_judgement_there_is_nothing_to_tell(own: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(own.folder / "state")
    assert own.bundle("third.zip") == 2
    assert "there is no judgement yet" in capsys.readouterr().err
    assert not (own.folder / "third.zip").exists()


def test_evidence_without_a_bucket_holds_as_well(tmp_path: Path) -> None:
    a_signer(tmp_path)
    with a_cloud_of_keys(tmp_path, "") as keys:
        config = keys.config.read_text()
        keys.config.write_text(f'{config}[[key]]\nname = "{GOOGLE_KEY}"\n')
        argv = ["-q", "-c", str(keys.config)]
        assert run("poll", *argv, "-o", os.devnull) in {0, 3}
        made = str(tmp_path / "keys.zip")
        assert run("report", "--bundle", *argv, "--sign-with", str(tmp_path / "operator.pem"), "-o", made) == 0
    assert run("verify", made, "--key", str(tmp_path / "operator.pub"), "-o", os.devnull) == 0
    assert pq.read_table(io.BytesIO(files(Path(made))["dependencies.parquet"])).num_rows == 0
