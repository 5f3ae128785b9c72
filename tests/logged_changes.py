"""Clouds whose audit logs tell who changed a key: the same things happen on both."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from auditor import cli, demo, scan
from auditor.config import load
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.findings import Finding, Judgement, Status
from auditor.wiring import Assembly, assemble
from tests.clouds import GOOGLE_KEY, a_google_store, an_aws_cloud
from tests.small import CONFIG
from tests.test_fleet import NoProgress

AWS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
VERSION = f"{GOOGLE_KEY}/cryptoKeyVersions/1"
AWS_CONFIG = """
state = "state"
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://objects"
region = "us-east-1"
layout = "{org}/{namespace}/"
"""
ALICE, BOB = "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"


@dataclass
class World:
    """One cloud with data under one key, whose audit log is asked by a config."""

    cloud: Any
    folder: Path
    is_aws: bool
    alice: str
    bob: str
    _assembly: list[Assembly] = field(default_factory=list)

    @property
    def store(self) -> Any:
        return self.cloud.store

    @property
    def config(self) -> Path:
        return self.folder / "auditor.toml"

    @property
    def log(self) -> list[dict[str, Any]]:
        """All entries, as they are kept."""
        found: list[dict[str, Any]] = self.store.history if self.is_aws else self.store.log
        return found

    def by(self, who: str, do: Callable[[], object]) -> None:
        self.store.caller = who
        do()

    def disable(self) -> None:
        if self.is_aws:
            self.kms().disable_key(KeyId=AWS_KEY)
        else:
            demo._disable(self.cloud.endpoint, VERSION)  # noqa: SLF001 - what a customer does

    def enable(self) -> None:
        if self.is_aws:
            self.kms().enable_key(KeyId=AWS_KEY)
        else:
            key = self.store.key(GOOGLE_KEY)
            key.versions[1].state = "ENABLED"
            self.store.note("UpdateCryptoKeyVersion", VERSION, {"cryptoKeyVersion": {"state": "ENABLED"}})

    def kms(self) -> Any:
        return boto3.client("kms", region_name="us-east-1")

    def forget(self) -> None:
        """Let the key be off without anybody having called."""
        if self.is_aws:
            self.store.key(AWS_KEY).state = "Disabled"
        else:
            self.store.key(GOOGLE_KEY).versions[1].state = "DISABLED"

    def lag(self, length: timedelta) -> None:
        if self.is_aws:
            self.store.history_lag = length
        else:
            self.store.log_lag = length

    def later(self, **length: float) -> None:
        self.store.clock.ahead += timedelta(**length)

    def deny(self) -> None:
        if self.is_aws:
            self.store.denied.add(("LookupEvents", "111122223333"))
        else:
            self.store.deny("logging.logEntries.list", "projects/acme")

    def allow(self) -> None:
        self.store.denied.clear() if self.is_aws else self.store.allow("logging.logEntries.list", "projects/acme")

    @property
    def asked(self) -> int:
        """Requests to the audit log so far."""
        return sum(one.service in {"cloudtrail", "logging"} for one in self.cloud.traffic.requests)

    def scanned(self) -> Judgement:
        return scan.scan(self._assembled().parts, NoProgress())

    def polled(self) -> Judgement:
        return scan.poll(self._assembled().parts, NoProgress())

    def found(self, rule: str = "data-unreadable") -> Finding:
        """The open finding of a rule, after one more poll."""
        return self.of(rule, self.polled())

    def of(self, rule: str, judgement: Judgement) -> Finding:
        (one,) = [one for one in judgement.findings if one.rule == rule and one.status is Status.OPEN]
        return one

    def _assembled(self) -> Assembly:
        if not self._assembly:
            self._assembly.append(assemble(load(self.config), self.store.clock))
        return self._assembly[0]

    def close(self) -> None:
        for one in self._assembly:
            one.close()
        self._assembly.clear()

    def run(self, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
        """A command as a user would run it."""
        quiet = ["-q"] if argv[0] in {"scan", "poll"} else []
        code = cli._run([argv[0], "--config", str(self.config), *quiet, *argv[1:]])  # noqa: SLF001 - as a user would
        out, err = capsys.readouterr()
        assert err == ""
        return code, out

    def told(self, capsys: pytest.CaptureFixture[str], command: str = "poll") -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run(capsys, command, "--format", "json")[1])
        return answer


@contextmanager
def an_aws_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("auditor.connectors.aws.audit_log._QUOTA", 1_000.0)
    monkeypatch.setattr("auditor.connectors.aws.session._ATTEMPTS", 1)
    with an_aws_cloud(monkeypatch) as cloud:
        assert isinstance(cloud, AwsCloud)
        cloud.store.add_bucket("objects")
        cloud.store.add_key(AWS_KEY)
        for number in range(4):
            cloud.store.put("objects", f"acme/s3/{number}", size=100, sse="aws:kms", key=AWS_KEY)
        (folder / "auditor.toml").write_text(AWS_CONFIG)
        world = World(cloud, folder, is_aws=True, alice=ALICE, bob=BOB)
        yield world
        world.close()


@contextmanager
def a_google_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("auditor.connectors.gcp.log_pages._QUOTA", 1_000.0)
    store = a_google_store()
    store.add_bucket("data", "acme", "us-east1")
    store.add_key(GOOGLE_KEY, versions=11)
    for number in range(4):
        store.put("data", f"acme/old/{number}", key=GOOGLE_KEY, version=1, size=100)
    with GoogleCloud(store) as cloud:
        (folder / "auditor.toml").write_text(CONFIG.format(endpoint=cloud.endpoint))
        world = World(cloud, folder, is_aws=False, alice="alice@customer.example", bob="bob@customer.example")
        yield world
        world.close()


WORLDS = {"aws": an_aws_world, "google": a_google_world}
