"""What sweeps learnt, in a bucket of our own: whoever shares the ledger judges by it on any machine."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.cli import _run as run
from auditor.embedded.aws import AwsCloud
from auditor.embedded.google import GoogleCloud
from auditor.errors import GoneError
from auditor.inventory.copies import Copies
from tests.clouds import GOOGLE_KEY, an_aws_cloud
from tests.several import KEY, OTHER
from tests.small import a_small_cloud

ON_AWS = """
state = "state"
[platform]
aws_principals = ["arn:aws:iam::111122223333:role/storage"]
[[bucket]]
url = "s3://data"
region = "us-east-1"
layout = "{org}/{namespace}/"
"""


@dataclass
class Machines:
    """`here`, which sweeps, and `there`, which has the same config and ledger, and nothing else."""

    folder: Path
    cloud: AwsCloud | GoogleCloud
    text: str
    key: str
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        for one in ("here", "there"):
            (self.folder / one).mkdir()
            (self.folder / one / "auditor.toml").write_text(self.text)

    def share_ledger(self) -> None:
        """As PostgreSQL does."""
        (self.folder / "there" / "state").mkdir(exist_ok=True)
        shutil.copy(self.folder / "here" / "state" / "ledger.db", self.folder / "there" / "state" / "ledger.db")

    def told(self, where: str, *argv: str) -> Any:
        config = ["--config", str(self.folder / where / "auditor.toml")]
        code = run([argv[0], *config, "--format", "json", *argv[1:]])
        out, self.err = self.capsys.readouterr()
        assert out, self.err
        assert code in {0, 1, 3}, self.err
        return json.loads(out)

    def report(self, where: str) -> dict[str, Any]:
        out = self.folder / f"{where}.json"
        argv = ["report", "-q", "--as", "json", "-o", str(out), "--config", str(self.folder / where / "auditor.toml")]
        assert run(argv) in {0, 1, 3}, self.capsys.readouterr().err
        return dict(json.loads(out.read_text()))

    def put(self) -> list[str]:
        """What there is in the folder of copies."""
        store: Any = self.cloud.store
        found = (one if isinstance(one, str) else one.name for one in store.buckets["own"].objects)
        return sorted(one for one in found if one.startswith("cmek/"))

    def spoil(self, ending: str) -> None:
        """Change the content of what is called so."""
        store: Any = self.cloud.store
        objects = store.buckets["own"].objects
        every = [one[0] for one in objects.values()] if isinstance(objects, dict) else objects
        for one in every:
            if one.name.endswith(ending):
                one.data = b"x" * one.size

    def lose(self) -> None:
        """Take all copies away."""
        store: Any = self.cloud.store
        store.buckets["own"].objects.clear()


@contextmanager
def on_aws(folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Machines]:
    with an_aws_cloud(patch) as cloud:
        cloud.store.add_bucket("data", versioned=True)
        cloud.store.add_bucket("own")
        cloud.store.add_key(KEY)
        cloud.store.add_key(OTHER)
        before = datetime.now(UTC) - timedelta(hours=3)
        for number in range(60):
            name = f"org-{number % 3}/ns-{number % 7}/{number % 40}"
            key = KEY if number % 3 else OTHER
            cloud.store.put("data", name, sse="aws:kms", key=key, size=number, modified=before)
        yield Machines(
            folder, cloud, f'inventory = "s3://own/cmek"\ninventory_region = "us-east-1"\n{ON_AWS}', KEY, capsys
        )


@contextmanager
def on_google(folder: Path, _patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Machines]:
    with a_small_cloud(folder) as small:
        small.cloud.store.add_bucket("own", "acme", "us-east1")
        text = f'inventory = "gs://own/cmek"\ninventory_account = "acme"\n{small.config.read_text()}'
        yield Machines(folder, small.cloud, text, GOOGLE_KEY, capsys)


@pytest.fixture(params=[on_aws, on_google], ids=["S3", "Cloud Storage"])
def machines(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Machines]:
    with request.param(tmp_path, monkeypatch, capsys) as found:
        yield found


def test_who_shares_the_ledger_is_told_the_same_on_a_machine_that_never_swept(machines: Machines) -> None:
    registered = '[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
    for one in ("here", "there"):
        config = machines.folder / one / "auditor.toml"
        config.write_text(f"{config.read_text()}{registered}")
    rows = "".join(f"acme/{name},acme\norg-1/{name},one\n" for name in ("old", "new", "ns-1"))
    (machines.folder / "here" / "namespaces.csv").write_text(f"namespace,tenant\n{rows}")
    machines.told("here", "scan", "-q")
    machines.share_ledger()
    for argv in (("impact", machines.key, "--action", "destroy"), ("retire", machines.key)):
        here, there = (machines.told(where, *argv) for where in ("here", "there"))
        moving = {"at", "final_at", "undo", "generated"}
        parts = [{name: one[name] for name in one.keys() - moving} for one in (here, there)]
        assert parts[0] == parts[1], argv
    here, there = (machines.report(where) for where in ("here", "there"))
    assert here["dependencies"] == there["dependencies"]
    assert here["dependencies"]
    assert any(one["tenant"] for one in there["dependencies"])


def test_who_takes_over_goes_on_with_what_the_other_learnt(machines: Machines) -> None:
    first = machines.told("here", "scan", "-q")
    machines.share_ledger()
    polled = machines.told("there", "poll", "-q")
    assert polled["dependencies"] == first["dependencies"]
    asked = len(machines.cloud.traffic.requests)
    swept = machines.told("there", "scan", "-q")
    assert swept["totals"] == first["totals"]
    since = machines.cloud.traffic.requests[asked:]
    # What was learnt of versions lately is not asked again: it was fetched.
    assert not [one for one in since if one.verb == "HEAD" and one.target.startswith("/data/")]


def test_a_sweep_that_cannot_be_copied_is_not_in_force_and_is_not_lost(machines: Machines) -> None:
    first = machines.told("here", "scan", "-q")
    before = machines.put()
    machines.cloud.traffic.fail("cmek%2Finventory" if machines.key == GOOGLE_KEY else "/own/cmek/", status=403)
    second = machines.told("here", "scan", "-q")
    (gap,) = [one for one in second["gaps"] if "kept here alone" in one["effect"]]
    assert gap["hint"]
    sweeps = [one["coverage"]["buckets"][0]["sweep_started"] for one in (first, second)]
    assert sweeps[0] == sweeps[1]
    assert machines.put() == before
    machines.cloud.traffic.heal()
    asked = len(machines.cloud.traffic.requests)
    third = machines.told("here", "scan", "-q")
    assert not [one for one in third["gaps"] if "kept here alone" in one["effect"]]
    assert third["coverage"]["buckets"][0]["sweep_started"] > sweeps[0]
    assert len(machines.put()) > len(before)
    # The first that is published is the one that was whole; the scan then sweeps anew, and asks of no version again.
    since = machines.cloud.traffic.requests[asked:]
    assert not [one for one in since if one.verb == "HEAD" and one.target.startswith("/data/")]


def test_what_registries_say_is_put_again_where_it_was_removed(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.inventory.registry._COPIED", 0)
    machines.told("here", "scan", "-q")
    before = [one for one in machines.put() if "registry" in one]
    assert before
    machines.lose()
    machines.told("here", "poll", "-q")
    assert [one for one in machines.put() if "registry" in one] == before


def test_what_registries_say_is_refused_where_it_does_not_hold_together(machines: Machines) -> None:
    machines.told("here", "scan", "-q")
    machines.share_ledger()
    machines.spoil("entries.parquet")
    code = run(["impact", machines.key, "--config", str(machines.folder / "there" / "auditor.toml")])
    err = machines.capsys.readouterr().err
    assert code == 70
    assert "is not what was put there" in err
    assert not list((machines.folder / "there" / "state").rglob("entries.parquet"))


def test_no_file_outside_the_state_folder_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    copies = Copies(tmp_path / "state", "s3://own/cmek", lambda: pytest.fail("nobody is asked"))
    for path in (tmp_path / "state" / ".." / "evil", tmp_path / "evil", Path("/evil")):
        with pytest.raises(GoneError, match="no file of the state folder"):
            copies.fetch(path)
    assert not (tmp_path / "evil").exists()


def test_what_is_not_what_was_put_there_is_refused(machines: Machines) -> None:
    machines.told("here", "scan", "-q")
    machines.share_ledger()
    machines.spoil("dependencies.parquet")
    code = run(["impact", machines.key, "--config", str(machines.folder / "there" / "auditor.toml")])
    err = machines.capsys.readouterr().err
    assert code == 70, err
    assert "is not what was put there" in err
    assert not list((machines.folder / "there" / "state").rglob(".writing-*"))


def test_what_is_not_there_is_told_as_such(machines: Machines) -> None:
    machines.told("here", "scan", "-q")
    machines.share_ledger()
    machines.lose()
    code = run(["impact", machines.key, "--config", str(machines.folder / "there" / "auditor.toml")])
    err = machines.capsys.readouterr().err
    assert code == 70, err
    assert "is not here, and cannot be had elsewhere" in err
    assert "own/cmek" in err
