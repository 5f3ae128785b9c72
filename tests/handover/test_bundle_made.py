"""An operator writes what it knows of one tenant's data as a signed file, and nothing of anybody else's."""

import base64
import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from jsonschema import Draft202012Validator

from auditor.errors import UsageError
from auditor.handover import handing
from auditor.handover.bundle import PAYLOAD_TYPE, Bundle, Data, Seen, SweptBucket
from auditor.model import Encryption, Population
from auditor.signing import envelope
from tests.bundles import BUCKET, OTHERS_KEY, Operator, an_operator, run, signed
from tests.clouds import GOOGLE_KEY, an_aws_cloud
from tests.core_builders import AWS_KEY
from tests.hostile import NAMES

FILE = '[[registry]]\nkind = "file"\npath = "namespaces.csv"\nbucket = "gs://data"\n'


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        yield running


def data(operator: Operator) -> dict[tuple[str | None, str | None], list[list[object]]]:
    """(Key, version) -> namespace, objects and bytes of what is told."""
    return {
        (one["key"], one["version"]): [row[:3] for row in one["namespaces"]] for one in signed(operator.made)["data"]
    }


def test_it_tells_which_of_the_tenants_namespaces_is_under_which_version(operator: Operator) -> None:
    operator.scanned()
    assert operator.bundle("-q") == 0
    assert data(operator) == {
        (GOOGLE_KEY, "1"): [["acme/search", 10, 1000]],
        (GOOGLE_KEY, "2"): [["acme/chat", 10, 1000]],
    }
    told = signed(operator.made)
    assert (told["tenant"], told["operator"]) == ("acme", None)
    (swept,) = told["buckets"]
    assert swept["bucket"] == "gs://data"
    assert swept["started"] <= swept["ended"] <= told["made"]
    assert {one["encryption"] for one in told["data"]} == {"cmek"}


def test_it_fits_its_schema(operator: Operator) -> None:
    operator.scanned()
    operator.bundle("-q", "--operator", "Example Platform")
    Draft202012Validator(handing.schema()).validate(signed(operator.made))


def inlined(told: Any, defined: dict[str, Any]) -> Any:
    """A schema as the others are written: without references and words about it."""
    if isinstance(told, list):
        return [inlined(one, defined) for one in told]
    if not isinstance(told, dict):
        return told
    if "$ref" in told:
        return inlined(defined[told["$ref"].rpartition("/")[2]], defined)
    if len(told.get("enum", ())) == 1:
        return {"const": told["enum"][0]}
    return {name: inlined(one, defined) for name, one in told.items() if name not in {"title", "description", "$defs"}}


def test_its_schema_says_what_is_read() -> None:
    made = msgspec.json.schema(Bundle)
    told = handing.schema()
    assert {name: told[name] for name in told if not name.startswith("$") and name != "title"} == inlined(
        made, made["$defs"]
    )


def test_it_is_signed_by_the_operators_key_and_by_no_other(operator: Operator) -> None:
    operator.scanned()
    operator.bundle("-q")
    sealed = json.loads(operator.made.read_text())
    payload = envelope.unseal(sealed, PAYLOAD_TYPE, operator.key.public_key())
    assert json.loads(payload) == signed(operator.made)
    with pytest.raises(ValueError, match="not signed by the expected key"):
        envelope.unseal(sealed, PAYLOAD_TYPE, Ed25519PrivateKey.generate().public_key())


def test_the_signature_is_over_what_the_standard_says() -> None:
    """The text is the example of DSSE's protocol.md."""
    key = Ed25519PrivateKey.generate()
    sealed = json.loads(envelope.seal(b"hello world", "http://example.com/HelloWorld", key))
    signature = base64.b64decode(sealed["signatures"][0]["sig"])
    key.public_key().verify(signature, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world")


def test_the_same_judgement_gives_the_same_bytes_but_for_the_time(operator: Operator) -> None:
    operator.scanned()
    found = []
    for _ in range(2):
        operator.bundle("-q")
        told = signed(operator.made)
        found.append({**told, "made": None})
        payload = base64.b64decode(json.loads(operator.made.read_text())["payload"])
        assert payload == json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert found[0] == found[1]


def test_nobody_but_its_owner_may_read_it_and_it_is_whole_or_not_there(operator: Operator) -> None:
    operator.scanned()
    operator.made.write_text("an older one")
    operator.made.chmod(0o644)
    operator.bundle("-q")
    assert stat.S_IMODE(operator.made.stat().st_mode) == 0o600
    assert {one.name for one in operator.folder.iterdir()} == {
        *("acme.json", "auditor.toml", "operator.pem", "operator.pub", "state")
    }


def test_no_byte_of_another_tenants_names_is_in_it(operator: Operator) -> None:
    names = [name.replace("/", "|") for name in NAMES.values() if len(name) > 4 and name.strip("./")]
    others = [*(f"zeta{number}" for number in range(len(names))), "zeta"]
    for tenant, name in zip(others, names, strict=False):
        operator.cloud.store.put("data", f"{tenant}/{name}/secret", key=OTHERS_KEY, version=1)
    # What is mixed up: each has something of the other under its key, or in its bucket.
    operator.put("acme/lost", 1, key=OTHERS_KEY)
    operator.put("zeta/stray", 1)
    operator.configure(f'{BUCKET}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\n')
    operator.scanned()
    assert operator.bundle("-q") == 0
    payload = base64.b64decode(json.loads(operator.made.read_text())["payload"]).decode()
    for one in (*names, *others, "stray", "secret", "zeta", OTHERS_KEY):
        assert one not in payload
        assert json.dumps(one)[1:-1] not in payload
    assert data(operator)[None, None] == [["acme/lost", 10, 1000]]


NUMBERED = GOOGLE_KEY.replace("projects/acme", "projects/123456")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("", True),
        (f'[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\n', True),
        (f'[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "zeta"\n', False),
        (f'[[key]]\nname = "{NUMBERED}"\ntenant = "zeta"\n', False),
        (f'[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\n[[key]]\nname = "{NUMBERED}"\ntenant = "zeta"\n', False),
    ],
    ids=[
        "nobody says whose it is",
        "it is the tenant's",
        "it is another's",
        "its number is another's",
        "two tenants by its two names",
    ],
)
def test_a_key_is_named_that_is_the_tenants_as_far_as_anybody_says(
    operator: Operator, settings: str, *, named: bool
) -> None:
    operator.configure(BUCKET + settings)
    operator.scanned()
    operator.bundle("-q")
    assert {key for key, _ in data(operator)} == {GOOGLE_KEY if named else None}


def test_a_key_that_registries_name_for_several_tenants_is_not_named(operator: Operator) -> None:
    lines = [f"acme/search,{GOOGLE_KEY},acme", f"mars/x,{GOOGLE_KEY},mars"]
    (operator.folder / "namespaces.csv").write_text("\n".join(["namespace,key,tenant", *lines]) + "\n")
    operator.configure(BUCKET + FILE)
    operator.scanned()
    operator.bundle("-q")
    assert data(operator) == {(None, None): [["acme/chat", 10, 1000], ["acme/search", 10, 1000]]}


def test_a_namespace_whose_tenant_is_not_certain_is_in_no_bundle_and_counted(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["acme/search,acme", "acme/search,zeta", "acme/chat,acme"]
    (operator.folder / "namespaces.csv").write_text("\n".join(["namespace,tenant", *lines]) + "\n")
    operator.configure(BUCKET + FILE)
    operator.scanned()
    operator.bundle()
    # The key has data that may be of zeta.
    assert data(operator) == {(None, None): [["acme/chat", 10, 1000]]}
    assert signed(operator.made)["seen"]["unclear"] == 1
    assert "1 namespace of all tenants of which nobody says for certain whose they are" in capsys.readouterr().out


def namespaces(operator: Operator) -> set[object]:
    """Those that are told."""
    return {row[0] for one in signed(operator.made)["data"] for row in one["namespaces"]}


@pytest.mark.parametrize(
    ("lines", "left"),
    [(["acme/search,alias/main,mars", "acme/chat,,acme"], {"acme/chat"}), (None, set())],
    ids=["an entry that cannot be used", "it was never read"],
)
def test_what_a_registry_may_say_is_another_tenants_is_in_no_bundle(
    operator: Operator, capsys: pytest.CaptureFixture[str], lines: list[str] | None, left: set[str]
) -> None:
    """The names of the objects say that all of it is acme's, and of two words the registry's counts."""
    if lines is not None:
        (operator.folder / "namespaces.csv").write_text("\n".join(["namespace,key,tenant", *lines]) + "\n")
    operator.configure(BUCKET + FILE)
    operator.scanned()
    if not left:
        assert "no data is known to be of tenant 'acme'" in refused(operator, capsys)
        return
    operator.bundle("-q")
    assert namespaces(operator) == left
    # `search` of acme, and `secret` of zeta, are anybody's.
    assert signed(operator.made)["seen"]["unclear"] == 2


def test_a_registry_that_names_tenants_and_no_keys_tells_all_that_a_bundle_needs(operator: Operator) -> None:
    (operator.folder / "namespaces.csv").write_text("namespace,tenant\nacme/search,acme\nzeta/secret,zeta\n")
    operator.configure(BUCKET + FILE)
    assert "names a key for none" in " ".join(one.effect for one in operator.scanned().gaps)
    operator.bundle("-q")
    assert signed(operator.made)["seen"]["registries"] is True
    (operator.folder / "namespaces.csv").unlink()
    operator.scanned()
    operator.bundle("-q")
    assert signed(operator.made)["seen"]["registries"] is False


def test_a_bucket_that_was_swept_by_another_layout_tells_nobody_whose_it_is(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.scanned()
    operator.configure(BUCKET.replace("{org}/{namespace}", "{namespace}/{org}"))
    assert run("poll", "-q", "-c", str(operator.config)) == 3
    assert "no data is known to be of tenant 'acme'" in refused(operator, capsys)
    operator.scanned()
    assert operator.bundle("-q", tenant="search") == 0


def test_a_config_that_was_never_judged_by_is_not_told_by(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.scanned()
    operator.configure(f'{BUCKET}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "zeta"\n')
    assert "was made by another config" in refused(operator, capsys)
    operator.scanned()
    operator.bundle("-q")
    assert GOOGLE_KEY not in operator.made.read_text()
    assert {key for key, _ in data(operator)} == {None}


def test_a_key_that_has_data_in_no_namespace_may_be_anybodys(operator: Operator) -> None:
    operator.cloud.store.put("data", "outside", key=GOOGLE_KEY, version=3)
    operator.scanned()
    operator.bundle("-q")
    assert {key for key, _ in data(operator)} == {None}
    operator.configure(f'{BUCKET}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\n')
    operator.scanned()
    operator.bundle("-q")
    assert {key for key, _ in data(operator)} == {GOOGLE_KEY}


def test_it_says_what_the_operator_did_not_see(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.configure(BUCKET + BUCKET.replace("gs://data", "gs://nobody-has-this"))
    operator.cloud.store.put("data", "outside", size=1)
    operator.scanned()
    operator.bundle()
    told = signed(operator.made)
    assert (told["seen"]["unswept"], told["buckets"][0]["outside"]) == (1, True)
    assert "nobody-has-this" not in json.dumps(told)
    assert "not in it: 1 bucket without a whole sweep" in capsys.readouterr().out


def test_it_tells_what_was_made_and_who_signed_it(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.scanned()
    assert operator.bundle("--operator", "Example Platform") == 0
    out = capsys.readouterr().out
    assert f"wrote {operator.made}\n2 namespaces of acme, 20 objects, 2.0 kB, in 1 bucket" in out
    assert f"sha256:{envelope.fingerprint(operator.key.public_key())}\n" in out
    assert signed(operator.made)["operator"] == "Example Platform"


def refused(operator: Operator, capsys: pytest.CaptureFixture[str], *more: str, tenant: str = "acme") -> str:
    operator.made.unlink(missing_ok=True)
    capsys.readouterr()
    assert operator.bundle("-q", *more, tenant=tenant) == 2
    assert not operator.made.exists()
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "\nhint: " in err
    return err


def test_an_unknown_tenant_is_one_clear_error(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.scanned()
    assert "no data is known to be of tenant 'mars'" in refused(operator, capsys, tenant="mars")
    assert "\x1b" not in refused(operator, capsys, tenant="\x1b[31m")
    assert "is no text in UTF-8" in refused(operator, capsys, tenant="acme\udcff")


def test_a_tenant_that_is_misspelt_is_guessed_and_else_some_are_named(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.scanned()
    assert "hint: did you mean 'acme'?\n" in refused(operator, capsys, tenant="acmee")
    assert "hint: did you mean 'acme'?\n" in refused(operator, capsys, tenant="ACME")
    assert "hint: tenants with data are 'acme', 'zeta'; " in refused(operator, capsys, tenant="mars")
    for number in range(20):
        operator.put(f"corp-{number:02}/search", 1, count=1)
    operator.put("bad\x1b[31m/search", 1, count=1)
    operator.scanned()
    assert "hint: did you mean 'corp-07'?\n" in refused(operator, capsys, tenant="corp07")
    told = refused(operator, capsys, tenant="bad")
    assert "\x1b" not in told
    assert " and 18 more; a registry or " in told


def test_where_nobody_says_whose_anything_is_no_tenant_is_guessed(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.configure(BUCKET + FILE)
    operator.scanned()
    assert "hint: of no namespace it is certain whose it is" in refused(operator, capsys)


def test_without_a_judgement_or_a_bucket_there_is_nothing_to_tell(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no judgement yet" in refused(operator, capsys)
    operator.configure(f'[[key]]\nname = "{GOOGLE_KEY}"\n')
    operator.scanned()
    assert "views and bundles need [[bucket]]: without one nobody saw whose data is where" in refused(operator, capsys)


def test_what_is_no_key_to_sign_with_is_refused(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.scanned()
    path = operator.folder / "other.pem"
    argv = [
        "bundle",
        "--tenant",
        "acme",
        "--sign-with",
        str(path),
        "-c",
        str(operator.config),
        "-o",
        str(operator.made),
    ]

    def told() -> str:
        assert run(*argv) == 2
        return capsys.readouterr().err

    assert "cannot be read" in told()
    path.write_bytes((operator.folder / "operator.pub").read_bytes())
    assert "no private key" in told()
    path.write_bytes(operator.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    assert "passphrase" in told()
    path.write_bytes((operator.folder / "operator.pem").read_bytes())
    path.chmod(0o644)
    assert "everybody on this machine may read it" in told()
    assert not operator.made.exists()


def test_the_key_to_sign_with_is_never_written_over(operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    operator.scanned()
    path = operator.folder / "operator.pem"
    before = path.read_bytes()
    (operator.folder / "link.json").symlink_to(path)
    for output in (path, operator.folder / "link.json"):
        assert "is the key to sign with" in refused(operator, capsys, "--output", str(output))
    assert path.read_bytes() == before


def test_a_name_of_an_operator_that_could_forge_a_line_is_refused(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.scanned()
    for name in ("a\nb", "", "x" * 201):
        assert "is no name" in refused(operator, capsys, "--operator", name)


def test_it_asks_no_cloud(operator: Operator) -> None:
    operator.scanned()
    before = operator.cloud.traffic.requests
    assert operator.bundle("-q") == 0
    assert operator.cloud.traffic.requests == before


def test_what_is_under_several_keys_that_are_not_named_is_told_together(operator: Operator) -> None:
    operator.cloud.store.add_key(f"{OTHERS_KEY}-2")
    operator.put("zeta/more", 1, key=f"{OTHERS_KEY}-2")
    operator.put("acme/lost", 1, count=2, key=OTHERS_KEY)
    for number in range(3):
        operator.cloud.store.put("data", f"acme/lost/more-{number}", size=7, key=f"{OTHERS_KEY}-2", version=1)
    operator.configure(f'{BUCKET}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme"\n')
    operator.scanned()
    operator.bundle("-q")
    (kept,) = [one for one in signed(operator.made)["data"] if one["key"] is None]
    ((name, objects, size, _, oldest, newest),) = kept["namespaces"]
    assert (name, objects, size) == ("acme/lost", 5, 221)
    written = [one.created for one in operator.cloud.store.buckets["data"].objects if one.name.startswith("acme/lost/")]
    assert [datetime.fromisoformat(one).replace(microsecond=0) for one in (oldest, newest)] == [
        one.replace(microsecond=0) for one in (min(written), max(written))
    ]


def test_what_could_not_be_read_of_the_tenants_bucket_is_told_as_a_reason_alone(operator: Operator) -> None:
    operator.cloud.store.add_bucket("archive", "acme", "us-east1")
    operator.put("acme/old", 1, bucket="archive")
    operator.configure(BUCKET.replace("gs://data", "gs://archive") + BUCKET)
    operator.cloud.traffic.fail("/b/archive/o?uploads", status=403, code="AccessDenied")
    operator.cloud.traffic.fail("GET /archive?uploads", status=403, code="AccessDenied")
    judgement = operator.scanned()
    told = sorted({(one.what, one.reason.value) for one in judgement.gaps if one.what in {"gs://archive", "gs://data"}})
    assert "gs://archive" in {what for what, _ in told}
    operator.bundle("-q")
    found = signed(operator.made)
    assert [one["bucket"] for one in found["buckets"]] == ["gs://archive", "gs://data"]
    assert [(one["about"], one["reason"]) for one in found["gaps"]] == told
    assert [one["uploads"] for one in found["buckets"]] == [
        None if one.uploads_in_progress is None else bool(one.uploads_in_progress)
        for one in sorted(judgement.coverage.buckets, key=lambda each: each.bucket)
    ]


def test_data_under_a_key_that_the_provider_manages_is_told_as_such_without_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud, an_operator(tmp_path, "") as operator:
        cloud.store.add_key(AWS_KEY.text, manager="AWS")
        cloud.store.add_bucket("data", AWS_KEY.location)
        cloud.store.put("data", "acme/search/0", sse="aws:kms", key=AWS_KEY.text)
        region = f'region = "{AWS_KEY.location}"'
        operator.configure(BUCKET.replace("gs://data", "s3://data").replace("layout", f"{region}\nlayout"))
        operator.scanned()
        operator.bundle("-q")
        assert [(one["encryption"], one["key"]) for one in signed(operator.made)["data"]] == [("provider_kms", None)]


def test_what_could_not_be_read_of_the_tenants_key_is_told_too(operator: Operator) -> None:
    operator.cloud.traffic.fail(GOOGLE_KEY, status=403, code="PERMISSION_DENIED")
    judgement = operator.scanned()
    assert GOOGLE_KEY in {one.what for one in judgement.gaps}
    operator.bundle("-q")
    assert GOOGLE_KEY in {one["about"] for one in signed(operator.made)["gaps"]}
    assert OTHERS_KEY not in operator.made.read_text()


def test_a_bundle_that_nobody_would_read_is_not_written(operator: Operator) -> None:
    now = datetime.now(UTC)
    names = (f"{'x' * 1000}{number:06}" for number in range(50_000))
    rows = tuple((name, 1, 1, 0, now, now) for name in names)
    whole = Bundle(
        buckets=(SweptBucket("gs://data", now, now, now, (), outside=False, uploads=None),),
        data=(Data("gs://data", Encryption.PROVIDER, None, rows, Population.LIVE, None),),
        gaps=(),
        judgement="1",
        made=now,
        operator=None,
        seen=Seen(0, registries=True, unclear=0, unswept=0),
        tenant="acme",
        version="1",
    )
    with pytest.raises(UsageError, match="no more than 67,108,864 are read"):
        handing.hand_over(whole, operator.key, operator.made)
    nothing = msgspec.structs.replace(whole.data[0], namespaces=(("y", 0, 0, 0, now, now),))
    one = msgspec.structs.replace(whole, data=(nothing,))
    with pytest.raises(UsageError, match="nobody could read the bundle"):
        handing.hand_over(one, operator.key, operator.made)
    assert not operator.made.exists()
