"""A key in a KMS or an HSM signs as one in a file does, and what it signs is verified before anybody gets it."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from moto import mock_aws
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME  # type: ignore[attr-defined]  # it is, and is not listed

from auditor.errors import RefusedError, UsageError
from auditor.evidence.verifying import verify
from auditor.signing import envelope
from auditor.signing.elsewhere import is_uri, signer_at
from tests.bundles import run
from tests.evidence.forging import BEGINNING, told_of, written

P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
URI = "hv:evidence/1"


def pem(key: Any) -> bytes:
    told: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return told


def vault(monkeypatch: pytest.MonkeyPatch, sign: Callable[[bytes], bytes]) -> None:
    """What stands behind the URI."""

    class Vault:
        @classmethod
        def from_priv_key_uri(cls, *_: Any) -> Any:
            return SimpleNamespace(sign=lambda data: SimpleNamespace(signature=sign(data).hex()))

    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "hv", Vault)


KEYS: dict[str, tuple[Any, Callable[[bytes], bytes]]] = {
    "P-256": (P256, lambda data: P256.sign(data, ec.ECDSA(SHA256()))),
    "P-384": (P384, lambda data: P384.sign(data, ec.ECDSA(SHA384()))),
}


@pytest.mark.parametrize(("key", "sign"), KEYS.values(), ids=KEYS)
def test_what_it_signs_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Any, sign: Callable[[bytes], bytes]
) -> None:
    vault(monkeypatch, sign)
    made = written(tmp_path / "one.zip", told_of(BEGINNING), key=signer_at(URI, key.public_key()))
    found = verify(made, envelope.any_public_key(pem(key)))
    assert found.bundle.signer == envelope.fingerprint(key.public_key())
    content = bytearray(made.read_bytes())
    content[content.index(b"all is well")] ^= 1
    made.write_bytes(content)
    with pytest.raises(RefusedError):
        verify(made, key.public_key())
    with pytest.raises(RefusedError, match="not signed by the expected key"):
        verify(made, Ed25519PrivateKey.generate().public_key())


def test_another_key_than_was_said_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vault(monkeypatch, KEYS["P-256"][1])
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(UsageError, match="has another key than --public-key says"):
        signer_at(URI, other).sign(b"x")


def test_whatever_a_service_does_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: bytes) -> bytes:
        raise RuntimeError("no route\nto host" + "x" * 500)

    vault(monkeypatch, fails)
    with pytest.raises(UsageError, match="RuntimeError: no route to host") as told:
        signer_at(URI, P256.public_key()).sign(b"x")
    assert len(str(told.value)) < 300
    assert told.value.hint
    with pytest.raises(UsageError, match="nothing is signed by gcpkms:x"):
        signer_at("gcpkms:x", Ed25519PrivateKey.generate().public_key())


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    with pytest.raises(UsageError) as told:
        signer_at(URI, P256.public_key())
    assert told.value.hint == "pip install 'cmek-auditor[sign]'"


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("awskms:arn:aws:kms:us-east-1:111122223333:key/1", True),
        ("gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", True),
        ("operator.pem", False),
        ("./awskms:x", False),
        ("c:\\keys\\operator.pem", False),
        ("file2:/etc/shadow", False),
        ("gnupg:abc", False),
        ("sigstore:?", False),
        ("awskms:", False),
    ],
)
def test_only_a_key_that_is_elsewhere_is_named_by_a_uri(given: str, means: bool) -> None:  # noqa: FBT001 - a table
    assert is_uri(given) is means


def test_a_key_of_aws_kms_signs() -> None:
    """The key's own Region is asked, whatever the environment says, and gets a digest alone.

    moto signs a digest as if that were the message.
    """
    with mock_aws(), pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "testing")
        patched.setenv("AWS_DEFAULT_REGION", "us-west-1")
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        kms = boto3.client("kms", region_name="eu-central-1")
        made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        public = load_der_public_key(kms.get_public_key(KeyId=made["KeyId"])["PublicKey"])
        assert isinstance(public, ec.EllipticCurvePublicKey)
        signer = signer_at(f"awskms:{made['Arn']}", public)
        found = bytes.fromhex(signer._signer.sign(b"what is signed").signature)  # noqa: SLF001 - as said above
    assert envelope.is_signed(hashlib.sha256(b"what is signed").digest(), found, public)


def test_a_key_of_another_kind_verifies_nothing() -> None:
    others = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())
    for key in others:
        with pytest.raises(ValueError, match="neither an Ed25519 key"):
            envelope.any_public_key(pem(key))
    with pytest.raises(ValueError, match="no public key"):
        envelope.any_public_key(b"-----BEGIN PUBLIC KEY-----")


def test_what_belongs_together_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.pub").write_bytes(pem(P256))
    for more, because in (
        (["--sign-with", URI], "needs --public-key"),
        (["--sign-with", "operator.pem", "--public-key", "p.pub"], "--public-key is of a key that"),
        (["--sign-with", URI, "--public-key", str(tmp_path / "none.pub")], "cannot be read"),
    ):
        assert run("report", "--bundle", *more) == 2
        assert because in capsys.readouterr().err
    assert run("report", "--public-key", "p.pub") == 2
