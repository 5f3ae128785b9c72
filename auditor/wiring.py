"""Config -> everything that a run works with; the one place that knows the concrete parts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Final

from auditor import __version__, rules
from auditor.attribution.inquiring import Inquirer
from auditor.clouds import Clocks, Made, maker
from auditor.clouds.late import Late
from auditor.config import Bucket, Config, Registry
from auditor.connectors.pace import Pace
from auditor.connectors.probes import Paced
from auditor.connectors.registry_bundle import BundleFile
from auditor.connectors.registry_file import FileRegistry
from auditor.connectors.registry_turbopuffer import Account, TurbopufferRegistry
from auditor.connectors.wire import Wire
from auditor.crew import Crew
from auditor.errors import UsageError
from auditor.feeds.silence import Ear
from auditor.findings import Judgement
from auditor.inventory.asked import Asked, AskedRegistry
from auditor.inventory.copies import Copies
from auditor.inventory.handed import BundleStore
from auditor.inventory.layout import Layout
from auditor.inventory.registry import RegistryStore
from auditor.inventory.store import FileInventory, Keep
from auditor.ledger.bookmark import BookmarkFile
from auditor.ledger.store import LedgerStore
from auditor.model import Cloud, KeyName, Population, cloud_of
from auditor.ownership.registered import Labels
from auditor.ports import (
    AuditLog,
    Feed,
    HandedOver,
    KeySource,
    LastUses,
    NamespaceService,
    ObjectSource,
    OpenInventory,
    Uploads,
)
from auditor.probing import Budget
from auditor.rule import Excepted
from auditor.run import Parts
from auditor.skew import plausible
from auditor.telling.sending import Sender
from auditor.waiver import Waiver
from auditor.warehouse.answer import Answer
from auditor.warehouse.iceberg import demand_reader
from auditor.warehouse.metadata_table import MetadataTable
from auditor.warehouse.source import AddedUp

_LONGEST_WAIVER: Final = timedelta(days=366)
_AGENT: Final = f"cmek-auditor/{__version__}"


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one process and the handles that outputs need."""

    parts: Parts
    ledger: LedgerStore
    inventory: FileInventory
    wire: Wire
    last_uses: Callable[[], LastUses | None]
    """Makes who tells when keys of AWS were used last; nothing else needs credentials for it."""
    sender: Callable[[Sender | None], Sender | None]
    """Makes who writes our own log, in the place of another one of this process; None where the config names none."""
    feeds: tuple[tuple[str, Feed], ...] = ()
    """The account or project of each feed of the config, and the feed; only the daemon listens."""
    uploads: Uploads | None = None
    """Where reports that are kept are put as well; None where the config names nothing."""
    security_hub: str | None = None
    """Which integration of AWS Security Hub takes in what reports tell as ASFF."""

    def rows(self, judgement: Judgement) -> OpenInventory:
        """Open the dependencies that a judgement stands on.

        Raises:
            LedgerError: they are not there any more, or are not what the sweeps wrote.
        """
        return _rows(self.ledger, self.inventory, judgement)

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()


def assemble(
    config: Config,
    clock: Callable[[], datetime] | None = None,
    *,
    by_sdk: bool = False,
    asking: bool = True,
    after: Assembly | None = None,
    workers: int = 1,
    crew: Crew | None = None,
) -> Assembly:
    """Make all parts; nothing is asked of a cloud yet. `by_sdk`: buckets are listed through the SDKs.

    Without `asking` only what is stored is told: nothing that asks a cloud is made, and no credentials are needed.
    `after`: another assembly of this process on the same ledger, whose place this one takes: it goes on with its handle
    on the ledger and with what was counted. `workers`: so many processes share the rates of the config among them.
    `crew`: those that list large buckets for this one.

    Raises:
        LedgerError: the ledger cannot be opened.
        UsageError: there are no credentials where the config needs them.
    """
    now = clock or (lambda: datetime.now(UTC))
    wire = after.wire if after is not None else _wire(clock)

    def corrected() -> datetime:
        return now() + plausible(wire.skew())

    waivers = waivers_of(config, now())
    clocks = Clocks(now, corrected)
    asked = config.shared_out(workers)
    clouds = clouds_of(asked, wire, clocks) if asking else {}
    late = _perhaps(config).difference(clouds) if asking else frozenset()

    @cache
    def made(cloud: Cloud) -> Made:
        return clouds[cloud] if cloud in clouds else maker(cloud)(asked, wire, _AGENT, clocks)

    def keys(cloud: Cloud) -> KeySource:
        return made(cloud).keys

    def log(cloud: Cloud) -> AuditLog | None:
        return made(cloud).audit_log if cloud in clouds or cloud in late else None

    ledger = after.ledger if after is not None else LedgerStore(ledger_of(config))
    if after is None:
        # Who cannot make it is told so by whatever is to be kept there.
        with suppress(OSError):
            config.state.mkdir(parents=True, mode=0o700, exist_ok=True)
    layouts = _layouts(config)
    copies = _copies(config, made)
    registry = _registry(config, copies)
    inventory = _inventory(config, layouts, registry, copies)
    feeds = tuple(_feeds(config, made)) if asking else ()
    services = tuple(_services(config, layouts, wire, now))
    agents = config.platform.gcp_service_agents
    pace = Pace(config.probe.per_second, burst=1)

    def identity() -> tuple[str, ...]:
        return tuple(sorted({one for each in clouds.values() for one in each.identity()}))

    parts = Parts(
        buckets=tuple(one.url for one in config.bucket),
        sources=tuple(_source(clouds[cloud_of(one.url)], one, by_sdk=by_sdk) for one in config.bucket if asking),
        listers=tuple(one for each in clouds.values() if (one := each.lister()) is not None),
        keys={
            **{one: Late(one, partial(keys, one)) for one in late},
            **{cloud: one.keys for cloud, one in clouds.items()},
        },
        inventory=inventory,
        ledger=ledger,
        rules=rules.load(),
        policy=config.judging,
        watched=tuple(KeyName(one.name) for one in config.key),
        said=tuple(one.said for one in config.key),
        agents={Cloud.AWS: config.platform.aws_principals, Cloud.GCP: None if agents == "bucket" else tuple(agents)},
        probing=Budget(config.probe.reads, config.probe.dry_runs, config.probe.per_hour, config.probe.per_second),
        probers={cloud: Paced(one.prober, pace) for cloud, one in clouds.items()},
        clock=now,
        skew=wire.skew,
        sent=wire.sent,
        identity=identity,
        version=__version__,
        rules_version=rules.version(),
        config_digest=config.digest,
        places_digest=config.places_digest,
        config_file_digest=config.file_digest,
        registry=registry,
        bundles=BundleStore(config.state / "registry"),
        registries=(*registries_of(config), *services),
        services=services,
        handed=handed_of(config, corrected),
        waivers=waivers,
        inquirer=Inquirer(log) if config.audit_log.attribute else None,
        ears=tuple(Ear(feed.name, owner) for owner, feed in feeds),
        by_sdk=by_sdk,
        left=frozenset(one.url for one in config.bucket if one.swept_by == "workers"),
        crew=crew,
        heard=wire.heard,
    )

    def last_uses() -> LastUses | None:
        return maker(Cloud.AWS)(config, wire, _AGENT, clocks).last_uses()

    def sender(before: Sender | None) -> Sender | None:
        sink = made(Cloud.GCP).own_log() if config.log.cloud_logging is not None else None
        return Sender(sink, ledger, BookmarkFile(config.state / "own-log.json"), now, before=before) if sink else None

    uploads = _uploads(config, made) if asking else None
    hub = config.report.security_hub
    return Assembly(parts, ledger, inventory, wire, last_uses, sender, feeds, uploads, hub)


def _source(cloud: Made, one: Bucket, *, by_sdk: bool) -> ObjectSource:
    plain = cloud.source(one, by_sdk=by_sdk)
    table = cloud.table(one) if one.s3_metadata else None
    if one.answer is None and table is None:
        return plain
    layout = Layout.parse(one.layout, one.tenant_field)
    path = one.answer or Path(one.url)
    answer = Answer(path, one.url, cloud_of(one.url), layout, one.populations or tuple(Population))
    if table is None:
        return AddedUp(plain, answer)
    demand_reader()
    return AddedUp(plain, MetadataTable(table, answer))


def _feeds(config: Config, made: Callable[[Cloud], Made]) -> Iterator[tuple[str, Feed]]:
    for one in config.account:
        if one.feed is not None:
            yield one.id or one.project or "", made(Cloud.AWS if one.id else Cloud.GCP).feed(one)


def _uploads(config: Config, made: Callable[[Cloud], Made]) -> Uploads | None:
    url = config.report.upload
    return made(cloud_of(url)).uploads(url) if url is not None else None


def _wire(clock: Callable[[], datetime] | None) -> Wire:
    # Time passes as a clock that is given says; only the system's own can be set while it does.
    return Wire(lambda: datetime.now(UTC)) if clock is None else Wire(clock, lambda: clock().timestamp())


def ledger_of(config: Config) -> Path | str:
    """Where the ledger is: a file, or the URL of a PostgreSQL database."""
    return config.ledger or config.state / "ledger.db"


def registries_of(config: Config) -> tuple[FileRegistry, ...]:
    """The registries of the config that are files; none is read yet."""
    layouts = _layouts(config)
    return tuple(
        _file(one, one.path, layouts) for one in config.registry if one.kind == "file" and one.path is not None
    )


def handed_of(config: Config, clock: Callable[[], datetime]) -> tuple[HandedOver, ...]:
    """The registries of the config that are operators' bundles; none is read yet. `clock`: aware, UTC."""
    return tuple(
        HandedOver(BundleFile(one.path, one.signer, one.name, clock, one.tenant), timedelta(hours=one.max_age_hours))
        for one in config.registry
        if one.kind == "bundle" and one.path is not None and one.signer is not None
    )


def service_of(one: Registry, key_env: str, wire: Wire) -> NamespaceService:
    """The platform's API that a registry of the config is; nothing is asked yet."""
    account = Account(one.url, key_env, one.requests_per_second)
    return TurbopufferRegistry(account, f"registry {one.name}", wire, _AGENT)


@contextmanager
def stored(config: Config) -> Iterator[tuple[LedgerStore, FileInventory]]:
    """Open what is stored and nothing else: no credentials are needed for it.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    ledger = LedgerStore(ledger_of(config))
    try:
        yield ledger, _inventory(config, _layouts(config), None, _copies(config, _alone(config)))
    finally:
        ledger.close()


@contextmanager
def looked_at(config: Config) -> Iterator[tuple[LedgerStore, Callable[[Judgement], OpenInventory]]]:
    """Open what is stored to look at it: the ledger, and the data that a judgement of it stands on.

    Raises:
        LedgerError: the ledger cannot be opened, or the data is not what was written.
    """
    ledger = LedgerStore(ledger_of(config), looking=True)
    copies = _copies(config, _alone(config))
    inventory = _inventory(config, _layouts(config), _registry(config, copies), copies)
    try:
        yield ledger, lambda judgement: _rows(ledger, inventory, judgement)
    finally:
        ledger.close()


def _rows(ledger: LedgerStore, inventory: FileInventory, judgement: Judgement) -> OpenInventory:
    if judgement.is_keys_only:
        return inventory.claimed(judgement.registered.digest)
    return inventory.open(ledger.published(judgement.sweeps), judgement.registered.digest)


def _alone(config: Config) -> Callable[[Cloud], Made]:
    """What makes a cloud once it is asked for something: of what is stored here nobody is."""

    @cache
    def made(cloud: Cloud) -> Made:
        wire = _wire(None)
        return maker(cloud)(config, wire, _AGENT, Clocks(lambda: datetime.now(UTC), lambda: datetime.now(UTC)))

    return made


def _copies(config: Config, made: Callable[[Cloud], Made]) -> Copies | None:
    url = config.inventory
    return Copies(config.state, url, lambda: made(cloud_of(url)).depot(url)) if url is not None else None


def _registry(config: Config, copies: Copies | None) -> RegistryStore:
    return RegistryStore(
        config.state / "registry",
        {one.name: one.tenant for one in config.key if one.tenant},
        {one.name: Labels(one.owner, one.team) for one in config.key if one.owner or one.team},
        copies,
    )


def _layouts(config: Config) -> Mapping[str, Layout]:
    return {one.url: Layout.parse(one.layout, one.tenant_field) for one in config.bucket}


def _inventory(
    config: Config, layouts: Mapping[str, Layout], registry: RegistryStore | None, copies: Copies | None
) -> FileInventory:
    keep = Keep(config.retention.snapshots, config.retention.weekly_snapshots)
    return FileInventory(config.state / "inventory", layouts, keep, registry, copies)


def _file(one: Registry, path: Path, layouts: Mapping[str, Layout]) -> FileRegistry:
    fields = {url: layout.fields for url, layout in layouts.items()} or None
    bucket = one.bucket or (next(iter(layouts)) if len(layouts) == 1 else None)
    return FileRegistry(path, bucket, fields, one.fields, one.name)


def _services(
    config: Config, layouts: Mapping[str, Layout], wire: Wire, clock: Callable[[], datetime]
) -> Iterator[AskedRegistry]:
    """The registries that are a platform's API; nothing is asked yet."""
    for one in config.registry:
        if one.api_key_env is None:
            continue
        name = f"registry {one.name}"
        bucket = one.bucket or name
        asked = Asked(
            name=name,
            bucket=bucket,
            layout=layouts[bucket].fields if layouts else ("namespace",),
            constants=tuple(sorted(one.fields.items())),
            where=f"{one.url} {one.api_key_env} {bucket}",
            per_sweep=one.metadata_per_sweep,
            reread=timedelta(days=one.reread_days),
        )
        yield AskedRegistry(asked, service_of(one, one.api_key_env, wire), config.state / "registry", clock)


def waivers_of(config: Config, now: datetime) -> tuple[Waiver, ...]:
    """The exceptions of the config.

    Raises:
        UsageError: one names a rule that is none, or ends too late.
    """
    known = {one.id: one for one in rules.load() if one.subject is not Excepted}
    for place, one in enumerate(config.waiver, 1):
        if one.rule not in known:
            hint = "`cmek-auditor rules` lists all rules; those about waivers cannot be waived"
            raise UsageError(f"waiver {place}: there is no rule {one.rule!r} to be waived", hint)
        if not known[one.rule].is_about_data and (one.match.namespace is not None or one.match.tenant is not None):
            raise UsageError(
                f"waiver {place}: findings of {one.rule} are about keys or buckets as a whole",
                "match a key or a bucket",
            )
        if one.until > (now + _LONGEST_WAIVER).date():
            raise UsageError(
                f"waiver {place}: until {one.until} is more than a year ahead",
                "give a day within a year: what is accepted is to be looked at again",
            )
    return tuple(one.given() for one in config.waiver)


def _perhaps(config: Config) -> frozenset[Cloud]:
    """Clouds whose keys a registry may name, where no bucket says which: known when it is read."""
    is_open = not config.bucket and any(one.cloud is None for one in config.registry)
    return frozenset(Cloud) if is_open else frozenset()


def clouds_of(config: Config, wire: Wire, clocks: Clocks) -> Mapping[Cloud, Made]:
    """Those that hold a bucket, a key or a log which the config names, or are said to."""
    named = {cloud_of(one.url) for one in config.bucket}.union(KeyName(one.name).cloud for one in config.key)
    if not config.bucket:
        named.update(cloud for one in config.registry if (cloud := one.cloud) is not None)
        named.update(Cloud.AWS if one.id else Cloud.GCP for one in config.account)
    if config.log.cloud_logging is not None:
        named.add(Cloud.GCP)
    return {one: maker(one)(config, wire, _AGENT, clocks) for one in Cloud if one in named}
