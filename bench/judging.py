"""What a poll of a large fleet costs: python -m bench.judging NAMESPACES ROUNDS [KEYS] prints one line of JSON.

A sweep of three objects for each namespace is written by the inventory itself and published in a ledger; then processes
of their own poll, judge, keep and are scraped, as the daemon is. Keys answer within the process there, as the quotas of
a KMS would be what is measured; what it costs to read them over the wire without any is measured by itself.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from prometheus_client.exposition import generate_latest

from auditor import __version__, garbage, rows, rules
from auditor.action import Action
from auditor.commands.naming import known_keys
from auditor.connectors.gcp.keys import GcpKeys
from auditor.connectors.gcp.session import Endpoints, GcpClients
from auditor.connectors.pace import Pace
from auditor.connectors.wire import Wire
from auditor.controls.catalogue import frameworks
from auditor.controls.standing import of_rules, standings
from auditor.embedded.google import GoogleCloud, Store
from auditor.findings import Judgement, Status
from auditor.inventory.handed import BundleStore
from auditor.inventory.layout import Layout
from auditor.inventory.registry import RegistryStore
from auditor.inventory.store import FileInventory
from auditor.ledger.store import LedgerStore
from auditor.model import (
    DECRYPT,
    BucketFacts,
    Cloud,
    Evidence,
    Gap,
    GcpKey,
    GcpKeyVersion,
    Grant,
    KeyAccess,
    KeyName,
    KeyReading,
    KeyUnread,
    Listing,
    Population,
    Reason,
    Requests,
    Right,
    Sweep,
)
from auditor.outputs import html, metrics
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from auditor.policy import Policy
from auditor.ports import Begun, Coming, KeyNeed, OpenInventory, Shard
from auditor.probing import Budget
from auditor.questions.impact.foreseeing import foresee
from auditor.rows import Done
from auditor.run import Parts
from auditor.scan import poll

BUCKET: Final = "gs://fleet"
LAYOUT: Final = "{org}/{namespace}/"
AGENT: Final = "service-123456@gs-project-accounts.iam.gserviceaccount.com"
KEYS: Final = int(os.environ.get("BENCH_KEYS", "1000"))
"""Of the whole fleet; at most 100,000."""
ROWS_EACH: Final = 3
"""Dependencies of a namespace: under two versions of its customer's key, and under the key that all share."""
_BATCH: Final = 30_000
_RING: Final = "projects/keys/locations/us-east1/keyRings/fleet/cryptoKeys"
_SHARED: Final = KeyName(f"{_RING}/key-00000")
_SCRAPES: Final = 20
_ROOT: Final = Path(__file__).parents[1]


class Fleet:
    """Objects of a bucket in the order of their names, a batch at a time."""

    listings = (Listing.STORED,)

    def __init__(self, namespaces: int) -> None:
        self._namespaces = namespaces

    def shards(self, _listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Yield all of them."""
        (shard,) = shards
        total = self._namespaces * ROWS_EACH
        for first in range(0, total, _BATCH):
            yield shard, self._batch(pa.array(range(first, min(total, first + _BATCH)), pa.int64()))
        yield shard, Done()

    def _batch(self, numbers: "pa.Array[Any]") -> pa.RecordBatch:  # quoted: the class takes no parameters at run time
        count = len(numbers)
        namespaces = pc.divide(numbers, ROWS_EACH)
        which = pc.subtract(numbers, pc.multiply(namespaces, ROWS_EACH))
        orgs = pc.add(pc.divide(pc.multiply(namespaces, KEYS - 1), self._namespaces), 1)
        shared = pc.equal(which, pa.scalar(ROWS_EACH - 1, pa.int64()))
        org = _padded(orgs, 5)
        name = pc.binary_join_element_wise("org-", org, "/ns-", _padded(namespaces, 7), "/", _padded(which, 10), "")
        key = pc.binary_join_element_wise(f"{_RING}/key-", pc.if_else(shared, "00000", org), "")
        version = pc.if_else(shared, "1", _padded(pc.add(which, 1), 1))
        modified = pc.add(pc.multiply(pc.cast(numbers, pa.int64()), 1_000_000), 1_767_225_600_000_000)
        columns: dict[str, Any] = {
            "name": name,
            "version": pc.cast(numbers, pa.string()),
            "population": pa.repeat(Population.LIVE.value, count),
            "size": pc.multiply(numbers, 7),
            "modified": pc.cast(modified, rows.TIME),
            "storage_class": pa.repeat("STANDARD", count),
            "archived": pa.repeat(False, count),
            "encryption": pa.repeat("cmek", count),
            "key": key,
            "key_version": version,
            "verified": pa.repeat(pa.scalar(datetime.now(UTC), rows.TIME), count),
        }
        return rows.batch([columns.get(one.name, pa.nulls(count, one.type)) for one in rows.SCHEMA])


def _padded(numbers: Any, width: int) -> Any:
    return pc.utf8_lpad(pc.cast(numbers, pa.string()), width, "0")


class Bucket:
    """A bucket that is configured and not swept here."""

    url = BUCKET
    endpoint = ""
    left_out: tuple[Population, ...] = ()
    listings = (Listing.STORED,)

    def facts(self) -> BucketFacts | Gap:
        """What the sweep learnt."""
        return BucketFacts(BUCKET, Cloud.GCP, service_agent=AGENT)

    def shards(self, *_: object, **__: object) -> Iterator[tuple[Shard, Coming]]:
        """Nothing: it is swept already."""
        yield from ()

    @property
    def markers(self) -> None:
        """Nobody counts them."""

    def cloud_count(self) -> None:
        """Nobody wants to know."""

    def borders(self, *_: object) -> list[str]:
        """It is not cut."""
        return []

    def uploads_in_progress(self) -> int:
        """None."""
        return 0

    def needs(self, *_: object) -> Requests:
        """Nothing: it is swept already."""
        return Requests()


class Keys:
    """All keys: one in twenty has a version that cannot be used, and each lets a stranger decrypt.

    So there is a finding for each of them, as where a vendor has a grant on everything.
    """

    cloud = Cloud.GCP

    def __init__(self) -> None:
        self.shared_is = "ENABLED"

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        """Answer at once."""
        for need in needs:
            yield self._read(need.name, int(need.name.text[-5:]))

    def _read(self, name: KeyName, number: int) -> KeyReading:
        at = datetime.now(UTC)
        evidence = (Evidence("cloudkms:ListCryptoKeyVersions", name.text, at, None, f"{number:064}"),)
        if number % 100 == 99:  # noqa: PLR2004 - one in a hundred
            return KeyUnread(name, Reason.ACCESS_DENIED, "GetCryptoKey: 403", "grant it", evidence)
        first = {0: "ENABLED", 20: "DISABLED", 40: "DESTROY_SCHEDULED", 60: "DESTROYED"}.get(number % 80, "ENABLED")
        if name == _SHARED:
            first = self.shared_is
        due = at + timedelta(days=3) if first == "DESTROY_SCHEDULED" else None
        versions = (GcpKeyVersion("1", first, destroy_time=due), GcpKeyVersion("2", "ENABLED"))
        right = Right(AGENT, DECRYPT[Cloud.GCP], Grant.DIRECT)
        access = KeyAccess(rights=(right,), others=("user:somebody@example.com",), public=False)
        return GcpKey(name, versions, primary="2", access=access, evidence=evidence)


class Silent:
    """Progress that nobody watches."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_: None


def fill(folder: Path, namespaces: int) -> int:
    """Write a whole sweep into an inventory and a ledger, as `scan` does."""
    began = datetime.now(UTC)
    written = FileInventory(folder / "inventory", {BUCKET: Layout.parse(LAYOUT)}).write(
        BUCKET, Begun("s1", began, ""), Fleet(namespaces)
    )
    if written.listed != namespaces * ROWS_EACH:
        raise RuntimeError(f"{written.listed} objects were written")
    sweep = Sweep(
        id="s1",
        bucket=BUCKET,
        started=began,
        ended=datetime.now(UTC),
        complete=True,
        listed=written.listed,
        resolved=written.resolved,
        outside=written.outside,
        uploads_in_progress=0,
        oldest_verified=written.oldest_verified,
        facts=BucketFacts(BUCKET, Cloud.GCP, service_agent=AGENT),
        files=written.files,
        left_out=(),
        layout=str(Layout.parse(LAYOUT)),
    )
    ledger = LedgerStore(folder / "ledger.db")
    ledger.publish(sweep)
    ledger.close()
    return written.listed


def parts_of(folder: Path, keys: Keys, ledger: LedgerStore) -> Parts:
    """Everything that a poll works with."""
    registry = RegistryStore(folder / "registry", {})
    return Parts(
        buckets=(BUCKET,),
        sources=(Bucket(),),
        listers=(),
        keys={Cloud.GCP: keys},
        inventory=FileInventory(folder / "inventory", {BUCKET: Layout.parse(LAYOUT)}, registry=registry),
        ledger=ledger,
        rules=rules.load(),
        policy=Policy(),
        said=(),
        watched=(),
        agents={Cloud.AWS: (), Cloud.GCP: None},
        probing=Budget(reads=False, dry_runs=False, per_hour=0, per_second=1.0),
        probers={},
        clock=lambda: datetime.now(UTC),
        skew=lambda: timedelta(0),
        registry=registry,
        bundles=BundleStore(folder / "registry"),
        identity=lambda: ("bench",),
        version=__version__,
        rules_version=rules.version(),
        config_digest="bench",
        places_digest="bench",
        sent=lambda _: Requests(),
    )


def judge(folder: Path, ledger_file: Path) -> dict[str, Any]:
    """Poll three times, with a scrape behind each; between the last two the key that all share is disabled."""
    keys = Keys()
    ledger = LedgerStore(ledger_file)
    parts = parts_of(folder, keys, ledger)
    collector = metrics.JudgementCollector(
        ledger.judgement,
        lambda judgement: parts.inventory.open(ledger.published(judgement.sweeps), judgement.registered.digest),
        dict,
        dict,
        reloaded=bool,
        leads=bool,
        rules=tuple((rule.id, rule.severity) for rule in parts.rules),
        version=(parts.version, parts.rules_version),
    )
    scrape = partial(generate_latest, metrics.registry(collector))
    told: dict[str, Any] = {}
    for what in ("first", "unchanged", "changed"):
        if what == "changed":
            keys.shared_is = "DISABLED"
        began, used = time.perf_counter(), time.process_time()
        judgement = poll(parts, Silent())
        garbage.tidy()
        polled, spent = time.perf_counter(), time.process_time()
        scrape()
        told[what] = {"poll": polled - began, "cpu": spent - used, "scrape": time.perf_counter() - polled}
    _expect_one_finding(judgement)
    seconds = []
    for _ in range(_SCRAPES):
        began = time.perf_counter()
        size = len(scrape())
        seconds.append(time.perf_counter() - began)
    told["again"] = {"scrape": median(seconds), "bytes": size}
    told["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told["findings"] = len(judgement.findings)
    ledger.close()
    return told


def _known(folder: Path, ledger: LedgerStore, judgement: Judgement | None) -> tuple[Parts, Judgement, OpenInventory]:
    """What a process knows of the newest judgement that has not made it."""
    parts = parts_of(folder, Keys(), ledger)
    if judgement is None:
        raise RuntimeError("nothing was judged")
    return parts, judgement, parts.inventory.open(ledger.published(judgement.sweeps), judgement.registered.digest)


def foreseen(folder: Path, ledger_file: Path) -> dict[str, Any]:
    """Ask, in a process that knows nothing yet, what would break if the key that all share was destroyed."""
    began, used = time.perf_counter(), time.process_time()
    ledger = LedgerStore(ledger_file)
    parts, judgement, rows_of = _known(folder, ledger, ledger.judgement_about(_SHARED))
    known_keys(parts)
    impact = foresee(parts, judgement, rows_of, (_SHARED, None, Action.DESTROY))
    told = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    if (impact.extent.namespaces * ROWS_EACH, len(impact.worst)) != (judgement.coverage.buckets[0].listed, 10):
        raise RuntimeError(f"{impact.extent} of {judgement.coverage}")
    ledger.close()
    return {**told, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def reported(folder: Path, ledger_file: Path) -> dict[str, Any]:
    """Render the report, in a process that knows nothing yet."""
    began, used = time.perf_counter(), time.process_time()
    ledger = LedgerStore(ledger_file)
    parts, judgement, rows_of = _known(folder, ledger, ledger.judgement())
    found = Found(standings(judgement, parts.rules, frameworks()), of_rules(judgement, parts.rules))
    demands = tuple(rule.demand for rule in parts.rules)
    manifest = Manifest((), *ledger.chain().end_of(judgement.run.id))
    page = html.render(judgement, rows_of, demands, manifest, datetime.now(UTC), found=found)
    told = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used, "bytes": len(page.encode())}
    ledger.close()
    return {**told, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _expect_one_finding(judgement: Judgement) -> None:
    """All namespaces hang on the one key that was disabled: that is one finding, with all of them in it."""
    swept = judgement.coverage.buckets[0].listed
    about = [
        one
        for one in judgement.findings
        if one.status is Status.OPEN and one.readability is not None and one.subject.id.startswith(_SHARED.text)
    ]
    if [one.extent.namespaces for one in about] != [swept // ROWS_EACH]:
        raise RuntimeError(f"one finding with {swept // ROWS_EACH} namespaces is due, not {about}")


def cloud() -> None:
    """Be a Cloud KMS with all the keys, until standard input ends."""
    store = Store(lambda: datetime.now(UTC))
    agent = store.add_project("keys", 123456)
    store.grant(
        _RING.removesuffix("/cryptoKeys"), "roles/cloudkms.cryptoKeyEncrypterDecrypter", f"serviceAccount:{agent}"
    )
    for number in range(KEYS):
        store.add_key(f"{_RING}/key-{number:05}", versions=2)
    with GoogleCloud(store) as serving:
        print(serving.endpoint, flush=True)
        sys.stdin.read()


def over_the_wire(endpoint: str) -> dict[str, float]:
    """Read all keys of a Cloud KMS that has no quota."""
    wire = Wire(lambda: datetime.now(UTC))
    clients = GcpClients({}, Endpoints(endpoint, endpoint, endpoint), wire)
    source = GcpKeys(clients, Pace(1e6), lambda: datetime.now(UTC))
    began, used = time.perf_counter(), time.process_time()
    read = list(source.read(KeyNeed(KeyName(f"{_RING}/key-{number:05}"), (AGENT,)) for number in range(KEYS)))
    told = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    if not all(isinstance(one, GcpKey) for one in read):
        raise RuntimeError("a key was not read")
    return {**told, "requests": sum(wire.counts().values())}


def measured(namespaces: int, rounds: int) -> dict[str, Any]:
    """Fill a folder and judge by it, each as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        _run("fill", folder, str(namespaces))
        ledger = Path(folder) / "ledger.db"
        judged = []
        for number in range(rounds):
            copy = shutil.copy(ledger, Path(folder) / f"round-{number}.db")
            told = _run("judge", folder, str(copy))
            more = {name: _run(name, folder, str(copy)) for name in ("impact", "report")}
            judged.append({**told, **more})
    argv = [sys.executable, "-m", "bench.judging", "cloud"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as server:
        assert server.stdout is not None  # noqa: S101 - it is piped
        read = _run("read", server.stdout.readline().strip())
        server.communicate()
    return {"rounds": judged, "read": read}


def _run(*command: str) -> Any:
    argv = [sys.executable, "-m", "bench.judging", *command]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    return json.loads(done.stdout)


def main() -> None:
    """Be one of the processes, or start them all."""
    garbage.seldom()
    match sys.argv[1:]:
        case ["cloud"]:
            cloud()
            return
        case ["fill", folder, namespaces]:
            told: Any = fill(Path(folder), int(namespaces))
        case ["judge", folder, ledger]:
            told = judge(Path(folder), Path(ledger))
        case ["impact", folder, ledger]:
            told = foreseen(Path(folder), Path(ledger))
        case ["report", folder, ledger]:
            told = reported(Path(folder), Path(ledger))
        case ["read", endpoint]:
            told = over_the_wire(endpoint)
        case [namespaces, rounds, *keys] if len(keys) <= 1:
            # The processes that it starts are of the same fleet.
            os.environ["BENCH_KEYS"] = keys[0] if keys else str(KEYS)
            told = measured(int(namespaces), int(rounds))
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
