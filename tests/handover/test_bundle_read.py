"""A customer without a bucket judges by an operator's bundle: its census, live keys, and nothing that is not signed."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditor.config import load
from auditor.errors import UsageError
from auditor.findings import Judgement, Readability
from auditor.handover.bundle import LARGEST, PAYLOAD_TYPE
from auditor.model import Gap, Reason
from auditor.ownership.registered import Handed
from auditor.signing import envelope
from tests.bundles import BUCKET, BUNDLE, Customer, Operator, a_customer, a_signer, an_operator, run
from tests.clouds import GOOGLE_KEY, Clock

NAME = "registry acme.json"
Told = dict[str, Any]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        running.scanned()
        assert running.bundle("-q", "--operator", "Example Platform") == 0
        yield running


@pytest.fixture
def customer(operator: Operator) -> Customer:
    found = a_customer(operator)
    found.given(operator)
    return found


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, Customer]]:
    """What nobody changes: whoever tries something takes a copy of the customer's folder."""
    with an_operator(tmp_path_factory.mktemp("heard")) as running:
        running.scanned()
        assert running.bundle("-q") == 0
        found = a_customer(running)
        found.given(running)
        found.polled()
        yield running, found


def told(judgement: Judgement) -> Handed:
    (one,) = judgement.registered.registries
    assert one.bundle is not None
    return one.bundle


def refusal(judgement: Judgement) -> Gap:
    """Why the bundle is not believed."""
    (found,) = [one for one in judgement.gaps if one.what == NAME and "operator" not in one.effect.partition(";")[2]]
    return found


def gap(judgement: Judgement, text: str) -> Gap:
    (found,) = [one for one in judgement.gaps if text in one.effect]
    return found


def data(customer: Customer) -> dict[str, dict[str, int | None]]:
    """Readability -> objects by version."""
    found: dict[str, dict[str, int | None]] = {}
    for one in customer.polled().assessed:
        found.setdefault(one.assessment.readability, {})[one.holding.key_version or ""] = one.holding.objects
    return found


def anew(path: Path, key: Ed25519PrivateKey, change: Callable[[Told], None]) -> None:
    """Sign a bundle anew that says something else."""
    content = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
    change(content)
    payload = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    path.write_bytes(envelope.seal(payload, PAYLOAD_TYPE, key))


def set_at(*where: str | int, to: object) -> Callable[[Told], None]:
    def change(content: Any) -> None:
        for step in where[:-1]:
            content = content[step]
        content[where[-1]] = to

    return change


def test_what_the_operator_saw_is_judged_by_the_keys_of_now(customer: Customer) -> None:
    judgement = customer.polled()
    assert {
        (one.holding.key, one.holding.key_version): (one.holding.objects, one.holding.size, one.holding.namespaces)
        for one in judgement.assessed
    } == {(GOOGLE_KEY, "1"): (10, 1000, 1), (GOOGLE_KEY, "2"): (10, 1000, 1)}
    assert all(one.holding.is_told for one in judgement.assessed)
    assert told(judgement).operator == "Example Platform"
    assert judgement.findings == ()


def test_each_kind_of_cover_that_could_be_changed_is_refused(customer: Customer, operator: Operator) -> None:
    customer.polled()
    good = json.loads(customer.bundle.read_text())
    (signature,) = good["signatures"]
    payload = base64.b64decode(good["payload"])
    other = base64.b64encode(payload.replace(b'"objects"', b'"objects"').replace(b"chat", b"cats")).decode()
    covers: dict[str, object] = {
        "another payload": {**good, "payload": other},
        "another type": {**good, "payloadType": "application/json"},
        "a type that is no text": {**good, "payloadType": 1},
        "no signature": {**good, "signatures": []},
        "two signatures": {**good, "signatures": [signature, signature]},
        "a signature of nobody": {**good, "signatures": [{**signature, "sig": base64.b64encode(b"x" * 64).decode()}]},
        "a short signature": {**good, "signatures": [{**signature, "sig": "AAAA"}]},
        "no base64": {**good, "payload": "!" + good["payload"]},
        "a payload that is no text": {**good, "payload": [1]},
        "signatures that are none": {**good, "signatures": "x"},
        "a signature that is none": {**good, "signatures": ["x"]},
        "a field more": {**good, "comment": "x"},
        "a field less": {"payload": good["payload"]},
        "a list": [good],
        "a number": 10**400,
    }
    for what, cover in covers.items():
        customer.bundle.write_text(json.dumps(cover))
        judgement = customer.polled()
        found = gap(judgement, "is not believed")
        assert (found.what, found.reason) == (NAME, Reason.MALFORMED), what
        assert found.hint
        assert "what the one of " in found.effect, what
        assert told(judgement).objects == 20, what
    for text in ("", "{", "\x00", '{"payload": 1, "payload": 2}', "[" * 100_000, "\udcff"):
        customer.bundle.write_bytes(text.encode(errors="surrogateescape"))
        assert gap(customer.polled(), "acme.json").reason is Reason.MALFORMED
    assert operator.made.read_text() == json.dumps(good, sort_keys=True, separators=(",", ":")) + "\n"


FAR = "2999-01-01T00:00:00Z"
WRONG: dict[str, Callable[[Told], None]] = {
    "another schema": set_at("schema", to="cmek-auditor/bundle/2"),
    "a field more": set_at("more", to=1),
    "made in the future": set_at("made", to=FAR),
    "made at no time": set_at("made", to="yesterday"),
    "made without a zone": set_at("made", to="2026-01-01T00:00:00"),
    "made in a zone of its own": set_at("made", to="2026-01-01T00:00:00+05:00"),
    "a sweep in a zone of its own": set_at("buckets", 0, "started", to="2026-01-01T00:00:00+05:00"),
    "objects of before all times": set_at("data", 0, "namespaces", 0, 4, to="0001-01-01T00:00:00+23:59"),
    "a sweep that ended before it began": set_at("buckets", 0, "started", to=FAR),
    "objects of the future": set_at("data", 0, "namespaces", 0, 5, to=FAR),
    "a huge number": set_at("data", 0, "namespaces", 0, 1, to=2**63),
    "a number beyond all": set_at("data", 0, "namespaces", 0, 1, to=10**400),
    "fewer than none": set_at("data", 0, "namespaces", 0, 2, to=-1),
    "no objects": set_at("data", 0, "namespaces", 0, 1, to=0),
    "half an object": set_at("data", 0, "namespaces", 0, 1, to=0.5),
    "a number that is text": set_at("data", 0, "namespaces", 0, 1, to="10"),
    "more archived than there are": set_at("data", 0, "namespaces", 0, 3, to=11),
    "a namespace twice": lambda one: one["data"][0]["namespaces"].append(one["data"][0]["namespaces"][0]),
    "left out twice": lambda one: one["buckets"][0].update(left_out=["noncurrent", "noncurrent"]),
    "data twice": lambda one: one["data"].append(one["data"][-1]),
    "data in another order": lambda one: one["data"].reverse(),
    "a key that is none": set_at("data", 0, "key", to="alias/main"),
    "a key with its version": set_at("data", 0, "key", to=f"{GOOGLE_KEY}/cryptoKeyVersions/1"),
    "a version that is none": set_at("data", 0, "version", to="primary"),
    "a key of another cloud": set_at("data", 0, "key", to="arn:aws:kms:us-east-1:111122223333:key/1"),
    "a key of what has none": set_at("data", 0, "encryption", to="provider"),
    "an unknown encryption": set_at("data", 0, "encryption", to="rot13"),
    "a bucket without a sweep": set_at("buckets", to=[]),
    "a bucket that is none": set_at("buckets", 0, "bucket", to="https://data"),
    "a bucket with a line break": set_at("buckets", 0, "bucket", to="gs://data\n"),
    "an operator that forges lines": set_at("operator", to="x\nerror: y"),
    "a tenant without a name": set_at("tenant", to=""),
    "a reason that is none": set_at("gaps", to=[{"about": "gs://data", "reason": "because"}]),
    "a long name": set_at("data", 0, "namespaces", 0, 0, to="é" * 1000),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused_though_it_is_signed(
    heard: tuple[Operator, Customer], tmp_path: Path, change: Callable[[Told], None]
) -> None:
    operator, known = heard
    customer = Customer(known.cloud, shutil.copytree(known.folder, tmp_path / "customer"))
    anew(customer.bundle, operator.key, change)
    judgement = customer.polled()
    found = gap(judgement, "is not believed: what is signed ")
    assert (found.what, found.reason) == (NAME, Reason.MALFORMED)
    assert told(judgement).objects == 20


def test_what_is_written_in_another_way_than_it_was_is_refused(customer: Customer, operator: Operator) -> None:
    customer.polled()
    payload = base64.b64decode(json.loads(customer.bundle.read_text())["payload"])
    for other in (payload + b" ", payload.replace(b'"gaps":[]', b'"gaps":[],"gaps":[]')):
        customer.bundle.write_bytes(envelope.seal(other, PAYLOAD_TYPE, operator.key))
        assert "is not believed" in gap(customer.polled(), "what the one of").effect


def test_what_another_key_has_signed_is_refused(customer: Customer) -> None:
    other = a_signer(customer.folder, "thief")
    anew(customer.bundle, other, set_at("data", to=[]))
    judgement = customer.polled()
    found = gap(judgement, "not signed by the expected key")
    assert "what it tells is not known" in found.effect
    assert judgement.assessed == ()
    assert judgement.registered.registries[0].namespaces is None


def test_a_refusal_names_the_key_that_was_expected_and_the_one_that_the_file_names(
    customer: Customer, operator: Operator
) -> None:
    expected = envelope.fingerprint(operator.key.public_key())
    good = json.loads(customer.bundle.read_text())

    def refused_as(keyid: object) -> Gap:
        (one,) = good["signatures"]
        sig = base64.b64encode(b"x" * 64).decode()
        customer.bundle.write_text(json.dumps({**good, "signatures": [{**one, "sig": sig, "keyid": keyid}]}))
        return gap(customer.polled(), "is not believed")

    assert f"it names the expected key sha256:{expected}, and was changed or damaged" in refused_as(expected).effect
    found = refused_as("ab" * 32)
    assert f"not signed by the expected key sha256:{expected}; it names sha256:{'ab' * 32};" in found.effect
    assert "if they sign with another key now" in found.hint
    for keyid in (None, 1, "\x1b[31m", "ab" * 33, "AB" * 32):
        assert f"the expected key sha256:{expected}, or was changed since; it names no key;" in refused_as(keyid).effect


def test_a_refusal_says_what_became_of_the_file(customer: Customer) -> None:
    good = customer.bundle.read_bytes()
    cases = {
        b"": "it is empty",
        b" \n": "it is empty",
        good[:-40]: f"it is cut off: it ends after {len(good) - 40:,} bytes within its JSON",
        b"\x1f\x8b\xff\xfe": "it is no text, and a bundle is JSON",
        b"<html>no such file</html>": "it is no JSON, as from line 1 column 1: it was damaged or is another file",
        b'{"a": 1}': "it is JSON, and no signed envelope: it has not exactly payload, payloadType and signatures",
        good.replace(b'"payload":"', b'"payload":"\x40'): "its payload is no base64, so that it was damaged",
    }
    for content, why in cases.items():
        customer.bundle.write_bytes(content)
        assert f"is not believed: {why}" in gap(customer.polled(), "is not believed").effect


def test_a_bundle_that_was_never_believed_is_a_gap_and_no_all_clear(customer: Customer) -> None:
    customer.bundle.unlink()
    judgement = customer.polled()
    assert gap(judgement, "what it tells is not known").reason is Reason.NOT_FOUND
    assert run("poll", "-q", "-c", str(customer.config)) == 3


def test_a_larger_file_than_is_read_is_refused(customer: Customer) -> None:
    customer.polled()
    with customer.bundle.open("r+b") as file:
        file.truncate(LARGEST + 1)
    judgement = customer.polled()
    assert "has more than 67,108,864 bytes" in gap(judgement, "acme.json has").effect
    assert told(judgement).objects == 20


def test_a_file_that_would_take_much_memory_is_refused_before_it_is_taken_apart(customer: Customer) -> None:
    customer.polled()
    for one in ("[" + "[]," * 1000 + "[]]", "{" + ",".join(f'"{number}":0' for number in range(1000)) + "}"):
        customer.bundle.write_text(one)
        judgement = customer.polled()
        assert "too many parts for an envelope" in gap(judgement, "is not believed").effect
        assert told(judgement).objects == 20


def test_a_public_key_that_is_none_is_a_gap_and_the_last_bundle_counts(customer: Customer) -> None:
    customer.polled()
    good = (customer.folder / "operator.pub").read_bytes()
    ec = generate_private_key(SECP256R1()).public_key()
    for content in (b"", b"ssh-ed25519 AAAA", ec.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)):
        (customer.folder / "operator.pub").write_bytes(content)
        judgement = customer.polled()
        assert gap(judgement, "nothing can be verified with").reason is Reason.MALFORMED
        assert told(judgement).objects == 20
    (customer.folder / "operator.pub").write_bytes(good)
    assert not [one for one in customer.polled().gaps if one.reason is Reason.MALFORMED]


def test_what_a_key_has_signed_that_is_trusted_no_more_does_not_count_on(
    customer: Customer, operator: Operator
) -> None:
    customer.set_state(1, "DISABLED")
    (finding,) = customer.polled().findings
    a_signer(customer.folder, "operator")
    judgement = customer.polled()
    assert "not signed by the expected key" in gap(judgement, "what it tells is not known").effect
    assert judgement.assessed == ()
    # What it told is no all-clear either.
    assert [one.id for one in judgement.findings if one.status == "open"] == [finding.id]
    (customer.folder / "operator.pub").write_bytes((operator.folder / "operator.pub").read_bytes())
    assert told(customer.polled()).objects == 20


def test_an_older_bundle_than_the_one_read_last_is_not_believed(customer: Customer, operator: Operator) -> None:
    older = operator.made.read_bytes()
    operator.put("acme/new", 3)
    operator.scanned()
    operator.bundle("-q")
    customer.given(operator)
    assert told(customer.polled()).objects == 30
    customer.bundle.write_bytes(older)
    judgement = customer.polled()
    found = gap(judgement, "and the one that was read last is newer")
    assert (found.what, found.reason) == (NAME, Reason.MALFORMED)
    assert told(judgement).objects == 30
    customer.given(operator)
    assert not [one for one in customer.polled().gaps if one.reason is Reason.MALFORMED]


def test_a_damaged_state_lets_no_older_bundle_be_believed(customer: Customer, operator: Operator) -> None:
    older = operator.made.read_bytes()
    operator.put("acme/new", 3)
    operator.hand_over(customer)
    assert told(customer.polled()).objects == 30
    (kept,) = (customer.folder / "state" / "registry").glob("registry-acme-json-*/told-*.parquet")
    kept.write_bytes(b"")
    customer.bundle.write_bytes(older)
    judgement = customer.polled()
    assert "what it tells is not known" in gap(judgement, "and the one that was read last is newer").effect
    assert judgement.assessed == ()
    customer.given(operator)
    assert told(customer.polled()).objects == 30


def test_another_bundle_of_the_same_moment_is_not_believed(customer: Customer, operator: Operator) -> None:
    customer.polled()
    anew(customer.bundle, operator.key, lambda one: one["data"].pop())
    judgement = customer.polled()
    assert "the one that was read last is newer" in gap(judgement, "was made").effect
    assert told(judgement).objects == 20


def test_a_bundle_of_another_tenant_is_not_believed(customer: Customer, operator: Operator) -> None:
    customer.polled()
    operator.bundle("-q", tenant="zeta")
    customer.given(operator)
    judgement = customer.polled()
    assert "and the one before was of " in gap(judgement, "is of tenant ").effect
    assert told(judgement).tenant == "acme"


def test_a_bundle_of_another_tenant_than_the_config_names_is_refused_from_the_first_one_on(
    customer: Customer, operator: Operator
) -> None:
    operator.bundle("-q", tenant="zeta")
    customer.given(operator)
    customer.configure(f'{BUNDLE}tenant = "acme"\n')
    found = gap(customer.polled(), "is not believed")
    assert "it is of tenant zeta, and the config says acme; what it tells is not known" in found.effect
    assert found.reason is Reason.MALFORMED

    # Nor does it count on where it was believed before the config said so.
    customer.configure()
    assert told(customer.polled()).tenant == "zeta"
    customer.configure(f'{BUNDLE}tenant = "acme"\n')
    judgement = customer.polled()
    assert "what it tells is not known" in gap(judgement, "is not believed").effect
    assert judgement.assessed == ()
    operator.bundle("-q")
    customer.given(operator)
    assert told(customer.polled()).tenant == "acme"


def test_a_stale_bundle_is_a_gap_by_the_age_of_its_oldest_sweep(customer: Customer, operator: Operator) -> None:
    assert not [one for one in customer.polled().gaps if "hours ago" in one.effect]
    clock = operator.cloud.store.clock
    assert isinstance(clock, Clock)
    clock.ahead += timedelta(hours=49)
    found = gap(customer.polled(), "hours ago")
    assert (found.what, found.reason) == (NAME, Reason.TIMEOUT)
    assert "began 49 hours ago, and max_age_hours allows 48" in found.effect
    # Made anew of old sweeps it is no younger.
    payload = base64.b64decode(json.loads(customer.bundle.read_text())["payload"])
    made = datetime.fromisoformat(json.loads(payload)["made"]) + timedelta(hours=49)
    anew(customer.bundle, operator.key, set_at("made", to=made.isoformat().replace("+00:00", "Z")))
    assert told(customer.polled()).made == made
    assert "49 hours ago" in gap(customer.polled(), "hours ago").effect
    customer.configure(f"{BUNDLE}max_age_hours = 50\n")
    assert not [one for one in customer.polled().gaps if "hours ago" in one.effect]


def test_who_allows_what_no_bundle_can_tell_has_not_allowed_an_old_one(customer: Customer, operator: Operator) -> None:
    argv = ("poll", "-q", "-c", str(customer.config), "--allow-gaps", "not_visible")
    assert run(*argv) == 0
    now = datetime.now(UTC)

    def old(one: Told) -> None:
        one["buckets"][0]["started"] = f"{now - timedelta(hours=49):%Y-%m-%dT%H:%M:%SZ}"
        one["made"] = f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"

    anew(customer.bundle, operator.key, old)
    assert run(*argv) == 3
    assert "hours ago" in gap(customer.polled(), "max_age_hours allows").effect


def test_a_clock_that_was_set_back_makes_no_bundle_young(customer: Customer, operator: Operator) -> None:
    customer.polled()
    clock = operator.cloud.store.clock
    assert isinstance(clock, Clock)
    clock.ahead -= timedelta(hours=1)
    found = gap(customer.polled(), "began in the future")
    assert (found.what, found.reason) == (NAME, Reason.MALFORMED)


def test_when_the_key_of_an_object_was_read_longest_ago_is_told(customer: Customer, operator: Operator) -> None:
    """A sweep of S3 asks again about what is listed as before only from time to time, and its key may have changed."""
    anew(customer.bundle, operator.key, set_at("buckets", 0, "verified", to="2026-01-01T00:00:00Z"))
    found = gap(customer.polled(), "was not seen")
    assert "; of some objects the key was read at 2026-01-01 00:00 UTC, and not since" in found.effect
    operator.hand_over(customer)
    assert "the key was read at" not in gap(customer.polled(), "was not seen").effect


def test_what_the_operator_did_not_see_stays_unknown(customer: Customer, operator: Operator) -> None:
    operator.put("zeta/mixed", 1, key=GOOGLE_KEY)
    operator.configure(
        BUCKET + BUCKET.replace("gs://data", "gs://not-there") + f'[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "zeta"\n'
    )
    operator.cloud.store.put("data", "outside", size=1)
    operator.scanned()
    operator.bundle("-q")
    customer.given(operator)
    judgement = customer.polled()
    assert [one.assessment.readability for one in judgement.assessed] == [Readability.UNKNOWN]
    assert gap(judgement, "under a key that the operator does not name").objects == 20
    for text in (
        "1 bucket without a whole sweep",
        "whose names tell no namespace",
        "buckets the operator does not look at",
    ):
        assert gap(judgement, text).reason is Reason.NOT_VISIBLE


def test_a_bundle_that_lacks_something_ends_no_finding(customer: Customer, operator: Operator) -> None:
    customer.set_state(1, "DISABLED")
    (finding,) = customer.polled().findings
    operator.configure(BUCKET + BUCKET.replace("gs://data", "gs://not-there"))
    operator.remove("acme/search")
    operator.scanned()
    operator.bundle("-q")
    customer.given(operator)
    judgement = customer.polled()
    assert told(judgement).objects == 10
    assert [(one.id, one.status) for one in judgement.findings] == [(finding.id, "open")]
    operator.configure(BUCKET)
    operator.scanned()
    operator.bundle("-q")
    customer.given(operator)
    assert [(one.id, one.status) for one in customer.polled().findings] == [(finding.id, "resolved")]


def test_a_bucket_that_left_the_operators_config_ends_no_finding(customer: Customer, operator: Operator) -> None:
    operator.cloud.store.add_bucket("archive", "acme", "us-east1")
    operator.put("acme/old", 1, bucket="archive")
    operator.remove("acme/search")
    operator.configure(BUCKET + BUCKET.replace("gs://data", "gs://archive"))
    operator.hand_over(customer)
    customer.set_state(1, "DISABLED")
    (finding,) = customer.polled().findings
    operator.configure(BUCKET)
    operator.hand_over(customer)
    judgement = customer.polled()
    assert told(judgement).objects == 10
    assert [(one.id, one.status) for one in judgement.findings] == [(finding.id, "open")]
    assert "1 bucket without a whole sweep" in gap(judgement, "whole sweep").effect
    operator.configure(f"{BUCKET}[policy]\nno_data_elsewhere = true\n")
    operator.hand_over(customer)
    assert [(one.id, one.status) for one in customer.polled().findings] == [(finding.id, "resolved")]


CASES = {
    "beside buckets": (f"{BUNDLE}{BUCKET}", "which is for a config without"),
    "no path": (BUNDLE.replace('path = "acme.json"\n', ""), "path is missing"),
    "no signer": (BUNDLE.replace('signer = "operator.pub"\n', ""), "signer is missing"),
    "fields": (f'{BUNDLE}fields = {{ org = "acme" }}\n', "fields is a setting of kind"),
    "a bucket": (f'{BUNDLE}bucket = "gs://data"\n', "bucket is a setting of kind"),
    "no age": (f"{BUNDLE}max_age_hours = 0\n", "max_age_hours"),
    "a signer of a file": (BUNDLE.replace('"bundle"', '"file"'), "signer is a setting of kind"),
}


@pytest.mark.parametrize(("settings", "wrong"), CASES.values(), ids=CASES)
def test_a_config_that_cannot_be_meant_is_refused(tmp_path: Path, settings: str, wrong: str) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(settings)
    with pytest.raises(UsageError, match=wrong):
        load(path)
