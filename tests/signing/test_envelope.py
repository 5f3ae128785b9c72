"""An envelope gives its payload where the one expected key has signed payload and type, and says why where not."""

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from auditor.signing.envelope import NotSignedError, fingerprint, is_signed, rewritten, seal, unseal, unsealed

KIND = "application/x"
PAYLOAD = bytes(range(256))
KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key()
NAME = fingerprint(PUBLIC)
SEALED = seal(PAYLOAD, KIND, KEY)


def cover(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(SEALED)
    return {**told, **more}


def signature(**more: Any) -> dict[str, Any]:
    (one,) = cover()["signatures"]
    return {**one, **more}


def signed_as(**more: Any) -> dict[str, Any]:
    return cover(signatures=[signature(**more)])


def test_what_was_sealed_is_given_back_and_written_in_one_form() -> None:
    assert unseal(cover(), KIND, PUBLIC) == PAYLOAD
    assert unsealed(cover(), KIND) == (PAYLOAD, NAME)
    assert rewritten(cover(), KIND) == SEALED == seal(PAYLOAD, KIND, KEY)
    assert json.dumps(cover(), sort_keys=True, separators=(",", ":")).encode() + b"\n" == SEALED
    assert cover()["payloadType"] == KIND
    assert cover()["signatures"][0]["keyid"] == NAME


def test_what_is_signed_is_the_payload_with_its_type_as_dsse_says() -> None:
    """Source: DSSE, protocol.md: the lengths are decimal, and of the bytes."""
    made = KEY.sign(b"DSSEv1 29 http://example.com/HelloWorld 11 hello world")
    told = {
        "payload": b64encode(b"hello world").decode(),
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [{"sig": b64encode(made).decode()}],
    }
    assert unseal(told, "http://example.com/HelloWorld", PUBLIC) == b"hello world"
    wide = b64encode(KEY.sign("DSSEv1 2 é 11 hello world".encode())).decode()
    assert unseal({**told, "payloadType": "é", "signatures": [{"sig": wide}]}, "é", PUBLIC) == b"hello world"


def test_both_alphabets_of_base64_are_read() -> None:
    (one,) = cover()["signatures"]
    other = cover(
        payload=urlsafe_b64encode(PAYLOAD).decode(),
        signatures=[{**one, "sig": one["sig"].replace("+", "-").replace("/", "_")}],
    )
    assert "-" in other["payload"]
    assert "_" in other["payload"]
    assert unseal(other, KIND, PUBLIC) == PAYLOAD
    assert rewritten(other, KIND) == SEALED


NO_ENVELOPE: dict[str, tuple[Any, str]] = {
    "a list": ([cover()], "it has not exactly payload, payloadType and signatures"),
    "nothing": (None, "it has not exactly payload, payloadType and signatures"),
    "a field more": (cover(more=1), "it has not exactly payload, payloadType and signatures"),
    "a field less": ({"payload": "", "payloadType": KIND}, "it has not exactly payload, payloadType and signatures"),
    "another type": (cover(payloadType="application/y"), "its payloadType is another than application/x"),
    "a payload that is no text": (cover(payload=[1]), "its payload is no text"),
    "a payload that is no base64": (cover(payload="!AAAA"), "its payload is no base64, so that it was damaged"),
    "a payload beyond all text": (cover(payload="éAAA"), "its payload is no base64, so that it was damaged"),
    "no signature": (cover(signatures=[]), "it has not exactly one signature"),
    "two signatures": (cover(signatures=[signature()] * 2), "it has not exactly one signature"),
    "signatures that are none": (cover(signatures="x"), "it has not exactly one signature"),
    "a signature that is none": (cover(signatures=["x"]), "its signature is none"),
    "a signature of nothing": (cover(signatures=[{"keyid": NAME}]), "its signature is none"),
    "a signature and more": (signed_as(more=1), "its signature is none"),
    "a signature that is no text": (signed_as(sig=None), "its signature is no text"),
    "a signature that is no base64": (signed_as(sig="A"), "its signature is no base64, so that it was damaged"),
}


@pytest.mark.parametrize(("told", "why"), NO_ENVELOPE.values(), ids=NO_ENVELOPE)
def test_what_is_no_envelope_says_why(told: Any, why: str) -> None:
    for read in (unsealed, rewritten, lambda one, kind: unseal(one, kind, PUBLIC)):
        with pytest.raises(ValueError, match=f"{why}$") as refusal:
            read(told, KIND)
        assert not isinstance(refusal.value, NotSignedError)


def test_the_name_of_the_key_may_be_left_out_and_decides_nothing() -> None:
    nameless = cover(signatures=[{"sig": signature()["sig"]}])
    assert unseal(nameless, KIND, PUBLIC) == PAYLOAD
    assert unsealed(nameless, KIND) == (PAYLOAD, None)
    assert unseal(signed_as(keyid="nobody"), KIND, PUBLIC) == PAYLOAD
    for none in (1, "ab" * 33, "AB" * 32, f"{NAME}\n", ""):
        assert unsealed(signed_as(keyid=none), KIND)[1] is None


THE_OTHER = fingerprint(OTHER.public_key())
NOT_SIGNED = {
    "by another key": (
        json.loads(seal(PAYLOAD, KIND, OTHER)),
        f"it is not signed by the expected key sha256:{NAME}; it names sha256:{THE_OTHER}",
    ),
    "changed since": (
        cover(payload=b64encode(b"else").decode()),
        f"it names the expected key sha256:{NAME}, and was changed or damaged after that had signed it",
    ),
    "changed, of nobody": (
        signed_as(keyid=None, sig="AAAA"),
        f"it is not signed by the expected key sha256:{NAME}, or was changed since; it names no key",
    ),
}


@pytest.mark.parametrize(("told", "why"), NOT_SIGNED.values(), ids=NOT_SIGNED)
def test_what_the_key_has_not_signed_is_not_given(told: dict[str, Any], why: str) -> None:
    with pytest.raises(NotSignedError) as refusal:
        unseal(told, KIND, PUBLIC)
    assert str(refusal.value) == why


def test_a_type_that_was_changed_with_what_is_asked_for_is_not_signed() -> None:
    with pytest.raises(NotSignedError):
        unseal(cover(payloadType="application/y"), "application/y", PUBLIC)


@pytest.mark.parametrize(
    ("curve", "right", "wrong"), [(ec.SECP256R1(), SHA256(), SHA384()), (ec.SECP384R1(), SHA384(), SHA256())]
)
def test_the_curve_alone_decides_the_hash(curve: ec.EllipticCurve, right: Any, wrong: Any) -> None:
    key = ec.generate_private_key(curve)
    assert is_signed(PAYLOAD, key.sign(PAYLOAD, ec.ECDSA(right)), key.public_key())
    assert not is_signed(PAYLOAD, key.sign(PAYLOAD, ec.ECDSA(wrong)), key.public_key())
    assert not is_signed(b"else", key.sign(PAYLOAD, ec.ECDSA(right)), key.public_key())
    assert not is_signed(PAYLOAD, b"", key.public_key())
