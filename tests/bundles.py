"""An operator that sees buckets and a customer that owns a key, each with a config and a state of its own."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from auditor import cli, scan
from auditor.config import load
from auditor.embedded.google import GoogleCloud
from auditor.findings import Judgement
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, RING, a_google_store
from tests.keys_only import CONFIG
from tests.test_fleet import NoProgress

OTHERS_KEY = f"{RING}/cryptoKeys/zeta-key"
BUCKET = '[[bucket]]\nurl = "gs://data"\nlayout = "{org}/{namespace}/"\ntenant_field = "org"\n'
BUNDLE = '[[registry]]\nkind = "bundle"\npath = "acme.json"\nsigner = "operator.pub"\n'


def a_signer(folder: Path, name: str = "operator") -> Ed25519PrivateKey:
    """A key pair, as openssl writes it: NAME.pem and NAME.pub."""
    key = Ed25519PrivateKey.generate()
    (folder / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / f"{name}.pem").chmod(0o600)
    told = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(told)
    return key


def signed(path: Path) -> dict[str, Any]:
    """What a bundle says."""
    found: dict[str, Any] = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
    return found


def run(*argv: str) -> int:
    return cli._run(list(argv))  # noqa: SLF001 - the command without the end of the process


@dataclass(frozen=True)
class Operator:
    """`search` of acme under version 1, `chat` under version 2; `secret` of zeta under another key."""

    cloud: GoogleCloud
    folder: Path
    key: Ed25519PrivateKey

    @property
    def config(self) -> Path:
        return self.folder / "auditor.toml"

    @property
    def made(self) -> Path:
        return self.folder / "acme.json"

    def put(
        self, namespace: str, version: int, count: int = 10, *, key: str = GOOGLE_KEY, bucket: str = "data"
    ) -> None:
        for number in range(count):
            self.cloud.store.put(bucket, f"{namespace}/{number}", key=key, version=version, size=100)

    def remove(self, namespace: str, bucket: str = "data") -> None:
        """Take all of it out for good."""
        home = self.cloud.store.buckets[bucket]
        home.objects = [one for one in home.objects if not one.name.startswith(f"{namespace}/")]

    def hand_over(self, *customers: "Customer") -> None:
        """Sweep, bundle, send."""
        self.scanned()
        assert self.bundle("-q") == 0
        for one in customers:
            one.given(self)

    def configure(self, more: str) -> None:
        self.config.write_text(CONFIG.format(endpoint=self.cloud.endpoint) + more)

    def scanned(self) -> Judgement:
        assembly = assemble(load(self.config), self.cloud.store.clock)
        try:
            return scan.scan(assembly.parts, NoProgress())
        finally:
            assembly.close()

    def bundle(self, *more: str, tenant: str = "acme") -> int:
        sign_with = ["--sign-with", str(self.folder / "operator.pem")]
        to = ["--output", str(self.made), "--config", str(self.config)]
        return run("bundle", "--tenant", tenant, *sign_with, *to, *more)


@contextmanager
def an_operator(folder: Path, settings: str = BUCKET) -> Iterator[Operator]:
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=3)
    store.add_key(OTHERS_KEY)
    home = folder / "operator"
    home.mkdir()
    with GoogleCloud(store) as cloud:
        running = Operator(cloud, home, a_signer(home))
        running.configure(settings)
        running.put("acme/search", 1)
        running.put("acme/chat", 2)
        running.put("zeta/secret", 1, key=OTHERS_KEY)
        yield running


@dataclass(frozen=True)
class Customer:
    """Owns the key, sees no bucket, and has the operator's public key and the bundle that was handed over."""

    cloud: GoogleCloud
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "auditor.toml"

    @property
    def bundle(self) -> Path:
        return self.folder / "acme.json"

    def configure(self, more: str = BUNDLE) -> None:
        self.config.write_text(CONFIG.format(endpoint=self.cloud.endpoint) + more)

    def given(self, operator: Operator) -> None:
        """Hand over what the operator has made."""
        self.bundle.write_bytes(operator.made.read_bytes())

    def set_state(self, version: int, state: str) -> None:
        key = self.cloud.store.key(GOOGLE_KEY)
        assert key is not None
        key.versions[version].state = state

    def polled(self) -> Judgement:
        assembly = assemble(load(self.config), self.cloud.store.clock)
        try:
            return scan.poll(assembly.parts, NoProgress())
        finally:
            assembly.close()


def a_customer(operator: Operator, name: str = "customer") -> Customer:
    """A customer of this operator, who was told the public key and has no bundle yet."""
    home = operator.folder.parent / name
    home.mkdir()
    (home / "operator.pub").write_bytes((operator.folder / "operator.pub").read_bytes())
    customer = Customer(operator.cloud, home)
    customer.configure()
    return customer
