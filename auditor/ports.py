"""The Protocols that `scan.py` speaks, so that it knows no cloud and no database."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from auditor.attribution.logged import Inquiry, Reply
from auditor.errors import CollectError, LedgerError
from auditor.findings import Assessed, Finding, Judgement, Member, Readability
from auditor.handover.bundle import Believed
from auditor.model import (
    BucketFacts,
    Cloud,
    CloudCount,
    Dependency,
    Extent,
    Gap,
    Holding,
    KeyMemory,
    KeyName,
    KeyReading,
    Listing,
    Population,
    Probe,
    Reason,
    Requests,
    Sample,
    Sweep,
)
from auditor.ownership.registered import Declared, Doubt, Entry, Mismatch, Portion, Registered, Registry, Tenancy
from auditor.ownership.spelling import Spelling
from auditor.questions.diff.answer import Between
from auditor.questions.retire.standing import LastUse
from auditor.rows import Done, End, Fingerprint
from auditor.telling.events import Turn


class Stretch(Protocol):
    """Some rows of an earlier sweep, all between two names."""

    @property
    def after(self) -> str | None:
        """Behind which name they begin; None: from the beginning."""

    @property
    def last(self) -> str | None:
        """The last name; None where there are no rows."""

    @property
    def rows(self) -> int:
        """How many."""

    @property
    def fingerprint(self) -> Fingerprint | None:
        """In which bytes they were listed, where nothing stood in them that is to be asked again before its time."""

    @property
    def verified(self) -> tuple[datetime, datetime] | None:
        """When the first of them was verified, and the last."""

    @property
    def slot(self) -> int:
        """A number that spreads over time when stretches are verified again."""


@dataclass(frozen=True, slots=True)
class Same:
    """Here come, instead of rows, those of a stretch, which is listed to the byte as it was."""

    stretch: Stretch


class Known(Protocol):
    """What an earlier sweep of the bucket learnt, to be read once, in the order of names."""

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """All of it, in the order of names; none where rows would look otherwise by today's config."""

    def of(self, names: Sequence[str], versions: Sequence[str | None], newest: str) -> pa.Table:
        """The rows of these entries, which are in order and do not begin before the last that were asked for.

        Beside the columns of `rows.SCHEMA` stands the `slot` of each. `newest` is when the first version of the last
        name among them was written: ISO 8601, as it is listed.
        """

    def anew(self) -> "Known":
        """The same, to be read from its beginning."""

    @property
    def newest(self) -> datetime | None:
        """When the last of its rows was verified."""

    def answered(self) -> Sequence[tuple[str, str | None]]:
        """Name and version of a few that were HEADed without a key of their own."""

    def rest(self) -> Iterator[pa.Table]:
        """All rows, to be counted; of somebody who asks for none by name."""


Portions = tuple[Portion, ...]
"""In the order of their names; none: everything."""

Coming = pa.RecordBatch | End | Same | Done
"""What a listing is made of: rows, ends of names, and stretches that are listed as they were; at last, its end."""


@dataclass(eq=False, slots=True)
class Shard:
    """The names of one listing behind one and up to another; no name is in two of them."""

    after: str | None = None
    """None: from the beginning."""
    until: str | None = None
    """None: to the end. Whoever lists a shard may set it to an earlier name, and list the rest as another shard."""

    def holds(self, name: str) -> bool:
        """Whether a name is in it."""
        return (self.after is None or name > self.after) and (self.until is None or name <= self.until)


class ObjectSource(Protocol):
    """One bucket, read-only."""

    @property
    def url(self) -> str:
        """`s3://NAME` or `gs://NAME`, as configured."""

    @property
    def endpoint(self) -> str:
        """Where it is asked, as far as anybody chose."""

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the bucket may have and the config leaves out."""

    def facts(self) -> BucketFacts | Gap:
        """Read what the bucket says of itself; a Gap when it is not readable, which does not stop a listing."""

    @property
    def listings(self) -> tuple[Listing, ...]:
        """The passes that show every configured population, in the order in which they must be made."""

    def shards(
        self, listing: Listing, shards: Sequence[Shard], known: Known | None = None, *, split: bool = True
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every stored version of the configured populations in some shards, as `rows.SCHEMA`.

        Several shards may be listed at once, and one may be `split` so that there are several. `known`: what need not
        be asked again of versions that are listed as they were; only where it is given stretches may stand for rows. An
        object whose encryption cannot be learnt is there with encryption `unknown` and its `problem`.

        Raises:
            OrderError: names do not come in the order that shards need.
            CollectError: a page could not be read, so the listing is not complete.
        """

    def borders(self, many: int, known: Sequence[str]) -> list[str]:
        """Names, in order, that cut the bucket into so many shards at most; none where it is listed in one go.

        They are chosen from names that are `known` to lie evenly, or by looking at a page here and there.

        Raises:
            CollectError: a page could not be read.
        """

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads; their key is not knowable."""

    @property
    def markers(self) -> int | None:
        """Delete markers that its last listing showed beside the objects, at most; None where nobody counts them."""

    def cloud_count(self) -> CloudCount | Gap | None:
        """Ask the cloud how many objects it counts itself, once a listing has ended; None where nobody wants to know.

        A gap begins with the words by which `gaps.is_of_count` knows it.
        """

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep of so many objects would ask, retries aside; nothing is asked for that.

        `known`: what need not be asked again, as of the moment.
        """


@dataclass(frozen=True, slots=True)
class KeyNeed:
    """One key whose state matters, and who must be able to decrypt with it."""

    name: KeyName
    principals: tuple[str, ...] = ()
    """AWS: ARNs of roles or users; Google: service agents' e-mail addresses; sorted, empty where they are not known."""


class KeySource(Protocol):
    """The keys of one cloud, read-only."""

    @property
    def cloud(self) -> Cloud:
        """Whose keys it reads."""

    def read(self, needs: Iterable[KeyNeed]) -> Iterator[KeyReading]:
        """Yield one reading for each need, in any order; what could not be read is a `KeyUnread`, not an exception."""


class LastUses(Protocol):
    """Tells when keys of one cloud were used last, read-only."""

    def read(self, name: KeyName) -> LastUse | Reason:
        """Ask about one key; a reason where nobody says."""


class AuditLog(Protocol):
    """What tells who changed keys of one cloud, read-only."""

    @property
    def silent(self) -> str | None:
        """Why the config lets nobody ask it; None: it can be asked."""

    def place(self, key: KeyName) -> str:
        """Where it is asked about a key: inquiries about one place wait for each other."""

    def name(self, key: KeyName) -> str:
        """The log of the account or project that a key is in."""

    def read(self, inquiries: Sequence[Inquiry]) -> Iterator[tuple[Reply, ...]]:
        """Yield replies to inquiries about one place, each as soon as it is there: who stops to listen asks no more.

        None of them after a request that is one of several: whoever listens may ask elsewhere before it goes on.

        What could not be read is told in the reply, and is no exception.
        """


@dataclass(frozen=True, slots=True)
class Hint:
    """What a feed says: somebody did something to a key. It is no truth by itself; it makes the key be read now."""

    key: KeyName | None
    """None: it names none and may bear on any key of the place, as a change of a key store or of IAM does."""
    call: str
    """As the cloud names it, such as `DisableKey`; hostile text."""
    occurred: datetime
    """When, by the cloud's clock; aware, UTC."""
    event: str | None
    """The id of the event, the same in each copy of it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one look at a feed brought."""

    hints: tuple[Hint, ...] = ()
    receipts: tuple[str, ...] = ()
    """What to hand back once the keys are read; messages that hint at nothing have theirs here too."""
    poison: int = 0
    """Messages that nobody can understand; they have receipts, so that they do not come again."""


class Feed(Protocol):
    """A queue of one account or project that tells soon who changed a key; duplicates and disorder are harmless."""

    @property
    def name(self) -> str:
        """How metrics and logs name it: no two share it, and no secret is in it."""

    def hear(self, wait: float) -> Heard:
        """Wait at most so many seconds for messages, and return what came, or nothing.

        Raises:
            CollectError: the feed does not answer, or refuses.
        """

    def handled(self, heard: Heard) -> None:
        """Acknowledge what was heard: the one write to a cloud that a feed makes.

        Raises:
            CollectError: it could not be; the messages will come again.
        """


class Keeping(Protocol):
    """What makes reports and keeps them."""

    def newest(self, until: datetime) -> datetime | None:
        """When the last one up to a moment was made; None: none is kept.

        Raises:
            AuditorError: nobody can tell.
        """

    def keep(self) -> None:
        """Make one more.

        Raises:
            AuditorError: it cannot be made, or not be kept.
        """

    @property
    def uploads(self) -> bool:
        """Whether what is kept is uploaded as well."""

    def upload(self, going: Callable[[], None]) -> None:
        """Upload all that is kept and was not yet; `going` is called before each file, and may break it off.

        Raises:
            AuditorError: some of it cannot be; the rest was.
        """


class Uploads(Protocol):
    """A folder of a bucket of our own, into which reports are put; nothing in it is ever replaced."""

    @property
    def url(self) -> str:
        """Where that is: s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, without a slash at its end."""

    def put(self, name: str, content: bytes) -> None:
        """Put one object into it, unless the very same is there already.

        Raises:
            TakenError: another one of that name is there, or nobody may look whether it is the same.
            CollectError: it could not be put.
        """


class Depot(Protocol):
    """A folder of a bucket of our own that has a copy of what sweeps learnt; nothing in it is ever replaced."""

    @property
    def url(self) -> str:
        """Where that is: s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, without a slash at its end."""

    def put_file(self, name: str, path: Path) -> None:
        """Put a file into it, unless the very same is there already.

        Raises:
            CollectError: it could not be put, or another one of that name is there.
            OSError: the file cannot be read.
        """

    def fetch(self, name: str, out: BinaryIO) -> None:
        """Write what is there of that name to a file.

        Raises:
            CollectError: it could not be read, or is not there.
            OSError: it cannot be written.
        """


class Prober(Protocol):
    """Tries to use the keys of one cloud, for data of its buckets; changes nothing."""

    def read(self, sample: Sample, agents: tuple[str, ...]) -> Probe:
        """Read one byte of one stored version; `agents` are the principals that must be able to."""

    def dry_run(self, bucket: str, name: KeyName, agents: tuple[str, ...]) -> Probe | None:
        """Check a right without using it; None where that would tell nothing of the platform."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry of a registry that cannot be used."""

    place: str
    """Where it stands."""
    why: str
    mismatch: Mismatch | None = None
    """Where its key is one, by another kind of name."""

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


class RegistrySource(Protocol):
    """One registry of namespaces, read-only."""

    @property
    def name(self) -> str:
        """How it is told of: no two share it."""

    @property
    def buckets(self) -> tuple[str, ...]:
        """URLs of the buckets of which it knows all namespaces."""

    @property
    def asked(self) -> str:
        """What the config says of it: by another word its entries are other ones."""

    def version(self) -> str:
        """Text that changes when what it says does.

        Raises:
            CollectError: it cannot be read.
        """

    def entries(self) -> Iterator[Entry | Unusable]:
        """Yield what it says of each namespace.

        Raises:
            CollectError: it cannot be read to its end.
        """

    def fields(self) -> tuple[str, ...]:
        """What the first fields of the entries are called that were read last, to be shown; none of a service."""

    def ends(self) -> bool | None:
        """Whether its last line has its line break; None where what it says cannot be cut off between two entries.

        Raises:
            CollectError: it cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Asking:
    """How far the asking of a registry has got."""

    registry: str
    listed: int
    described: int
    chosen: int
    """Of how many namespaces it is asked what they are to be under; 0 while they are listed."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a service says of one namespace."""

    name: str
    """As the service calls it."""
    key: str | None = None
    """Full name of the key that its data is to be under; None: of none of a customer's, or see `why`."""
    parent: str | None = None
    """The namespace whose branch it is: both share objects. None: it is no branch."""
    why: str | None = None
    """Why nobody can tell by that which key its data is to be under; None: it can be told."""
    size: int | None = None
    """Bytes, about, as the service counts them; None: it does not tell."""


@dataclass(frozen=True, slots=True)
class Undescribed:
    """A namespace of which a service said nothing when it was asked."""

    name: str
    reason: Reason
    """`not_found`: it is not there any more."""


@dataclass(frozen=True, slots=True)
class Names:
    """Some of the namespaces that a service has."""

    names: tuple[str, ...]
    odd: int = 0
    """Entries beside them that name no namespace."""


class NamespaceService(Protocol):
    """A platform's own list of its namespaces, read-only."""

    def ready(self) -> None:
        """Make sure that it can be asked at all; nothing is asked yet.

        Raises:
            UsageError: the config, the environment or what is installed does not allow it.
        """

    def names(self) -> Iterator[Names]:
        """Yield the names of all namespaces, page by page, in any order.

        Raises:
            CollectError: a page could not be read, so that nobody knows all.
        """

    def describe(self, names: Sequence[str]) -> Iterator[Described | Undescribed]:
        """Yield what it says of these namespaces, in any order; it ends early where the service answers nobody now."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What is kept of a registry that is a service, as it was asked last."""

    listed_at: datetime
    """Aware, UTC: when all its namespaces were listed last."""
    namespaces: int
    unasked: int = 0
    """Namespaces that it was never asked about: their turn comes."""
    silent: Mapping[Reason, int] = field(default_factory=dict)
    """Namespaces that it never said anything of though it was asked: why, and how many."""
    stale: Mapping[Reason, int] = field(default_factory=dict)
    """Namespaces that it says nothing of any more, so that what it said before counts: why, and how many."""
    stale_since: datetime | None = None
    """Aware, UTC: the oldest of what counts for these."""
    unclear: Mapping[str, int] = field(default_factory=dict)
    """Namespaces of whose key it says what cannot be used: why, and how many."""
    odd: int = 0
    """Entries of its list that name no namespace."""
    failed: CollectError | None = None
    """Why it could not be asked the last time; None: it could."""


class RegistryService(RegistrySource, Protocol):
    """A registry that is asked with each sweep; between sweeps it is told by what is kept of it."""

    @property
    def per_sweep(self) -> int:
        """How many namespaces it is asked about at most each time."""

    def ready(self) -> None:
        """Make sure that it can be asked at all; nothing is asked yet.

        Raises:
            UsageError: the config, the environment or what is installed does not allow it.
        """

    def refresh(self, tell: Callable[[Asking], None]) -> None:
        """Ask which namespaces there are, and keep that; where it could not be asked, that is kept too.

        `tell` is told how far it has got, and may raise to break it off.
        """

    def ask(self, tell: Callable[[Asking], None]) -> None:
        """Ask about those of its namespaces whose turn it is, where it could be asked which there are; keep that.

        `tell`: as above.
        """

    def recalled(self) -> Recalled | None:
        """What is kept; None where it was never asked to the end, or nobody can tell any more."""

    def needs(self) -> tuple[int, int] | None:
        """Pages of its list and namespaces that it would be asked about by now; None where nobody can tell."""


class BundleSource(Protocol):
    """A file that an operator has signed, read-only."""

    @property
    def name(self) -> str:
        """How it is told of: no two registries share it."""

    @property
    def tenant(self) -> str | None:
        """Whose it must be; None: the config does not say."""

    def signer(self) -> str | None:
        """Fingerprint of the key that must have signed it; None where that cannot be read now."""

    def version(self) -> str:
        """Text that changes when the file does, the key, or whose it must be.

        Raises:
            CollectError: one of them cannot be read.
        """

    def read(self) -> Believed:
        """What is signed.

        Raises:
            CollectError: it cannot be read, is not signed by the key, of another tenant, or says what cannot be.
        """


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A bundle of the config, and how old what it tells may be."""

    source: BundleSource
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class KeptRegistry:
    """One registry as it was read last."""

    registry: Registry
    version: str
    """What it called itself then."""
    first_unusable: str | None
    """Where the first entry stands that cannot be used, and why."""
    path: Path
    """Its entries; of a bundle, dependencies."""
    keyed: int
    """Of how many namespaces it names a key."""
    fields: tuple[str, ...] = ()
    """What the first fields of its entries are called, to be shown; hostile."""
    ends: bool | None = None
    """Its last line had its line break; None where no line tells whether it was whole."""


class RegistryKeeper(Protocol):
    """Keeps what registries said when they were read last."""

    def kept(self, source: RegistrySource) -> KeptRegistry | None:
        """What a registry said when it was read last; None where it never was, or nobody can tell any more."""

    def keep(self, source: RegistrySource, version: str, now: datetime) -> KeptRegistry:
        """Read all that a registry says, and keep it in place of what it said before.

        Raises:
            CollectError: it could not be read to its end; what it said before stays.
            LedgerError: it cannot be written down.
        """

    def unchanged(self, source: RegistrySource) -> None:
        """A registry says what it said when it was read last.

        Raises:
            LedgerError: that cannot be written down.
        """

    def together(self, kept: Iterable[KeptRegistry], unread: Iterable[Registry], spelling: Spelling) -> Registered:
        """Put together what registries said last; `unread` are those that never said anything.

        `spelling`: which names are of one key, so that what is said of one name is said of all.

        Raises:
            LedgerError: it cannot be written down.
        """

    def keys(self, digest: str) -> tuple[KeyName, ...]:
        """Every key that registries name.

        Raises:
            LedgerError: what they said then is not kept any more.
        """

    def tenants(self, digest: str) -> Mapping[KeyName, str]:
        """Whose each key is, where the config says so or registries name it for one tenant only.

        Raises:
            LedgerError: what they said then is not kept any more.
        """

    def parted(self, digest: str) -> frozenset[KeyName]:
        """Every key of which the config says two tenants, by several of its names.

        Raises:
            LedgerError: what they said then is not kept any more.
        """

    def shared(self, digest: str) -> frozenset[KeyName]:
        """Every key that registries name for several tenants.

        Raises:
            LedgerError: what they said then is not kept any more.
        """

    def labelled(self, digest: str) -> frozenset[KeyName]:
        """Every key of which the config says who answers for data under it.

        Raises:
            LedgerError: what it said then is not kept any more.
        """

    def declared(self, digest: str) -> Declared:
        """Which keys registries name, and in what they part.

        Raises:
            LedgerError: what they said then is not kept any more.
        """

    def prune(self, digests: Collection[str], sweeps: Collection[str]) -> None:
        """Remove what nothing stands on any more."""


class BundleKeeper(Protocol):
    """Keeps what operators' bundles said when they were believed last."""

    def kept(self, source: BundleSource) -> KeptRegistry | None:
        """What a bundle said when it was believed last; None where none was, or the key is another one now."""

    def keep(self, source: BundleSource, version: str, now: datetime) -> KeptRegistry:
        """Read a bundle, and keep it in place of what it said before.

        Raises:
            CollectError: it is not believed; what it said before stays.
            LedgerError: it cannot be written down.
        """


class BucketLister(Protocol):
    """Lists the buckets of the accounts in use, to tell how many nobody configured."""

    def buckets(self) -> frozenset[str] | Gap:
        """URLs of all buckets, or the Gap when listing is not allowed."""


class Holdings(Protocol):
    """What the newest complete sweeps say is stored: immutable, so the judge stays pure."""

    def holdings(self) -> tuple[Holding, ...]:
        """All holdings, sorted by (bucket, encryption, key, key version)."""

    def extents(self, wanted: Iterable[Iterable[Member]]) -> tuple[Extent, ...]:
        """How much data each set of holdings is together, each namespace counted once; many at once cost little."""

    def portions(self) -> Mapping[Member, Portions]:
        """Of each holding, which data in it is otherwise than registries say; holdings without any are not in it."""

    def extents_of(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        """How much data some portions of each set of holdings are together."""


@dataclass(frozen=True, slots=True)
class NamespaceRow:
    """One namespace and how much of its data is meant."""

    bucket: str
    namespace: str
    tenant: str | None
    objects: int | None
    """None: nobody saw them, a registry names the namespace."""
    size: int | None
    """Bytes; None where nobody tells."""
    readability: Readability | None = None
    """The worst of its data, where the rows are about that."""
    owner: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """How much data some sets of holdings are."""

    each: tuple[Extent, ...]
    """Without tenants, owners, teams and samples."""
    together: Extent
    populations: Mapping[Population, tuple[int, int]]
    """Objects and bytes of all of them; populations without any are not in it."""
    worst: tuple[NamespaceRow, ...]
    """The namespaces with most of their objects."""


class EachDependency(Protocol):
    """All dependencies, one after the other."""

    def rows(
        self, assessed: Iterable[Assessed], offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield every dependency with its assessment, in an order that only the data decides."""


class DependencyRows(EachDependency, Protocol):
    """The dependencies one by one, for outputs: what `Holdings` sums up for the judge."""

    def count_namespaces(self, members: Iterable[Member]) -> int:
        """How many namespaces these holdings have together."""

    def namespaces(
        self, members: Iterable[Member], offset: int = 0, limit: int | None = None, portions: Portions = ()
    ) -> Iterator[NamespaceRow]:
        """Yield the namespaces of these holdings, or of some portions of them, most objects first."""

    def worst_namespaces(self, assessed: Iterable[Assessed], limit: int) -> tuple[NamespaceRow, ...]:
        """Rank all namespaces by the worst of their data, then by how much is so."""

    def namespaces_by_readability(self, assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability], int]:
        """Count namespaces for each (bucket, readability); one namespace may stand under several."""


class TenantRows(Protocol):
    """The dependencies of one tenant, to be told to it: nothing of another's may be among them."""

    def of_tenant(self, tenant: str, doubt: Doubt) -> Iterator[Dependency]:
        """Yield every dependency of the namespaces that are certainly this tenant's, without names of objects."""

    def keys_of_others(self, tenant: str, doubt: Doubt) -> frozenset[str]:
        """Every key that has data which is not certainly this tenant's."""

    def tenants_like(self, tenant: str, doubt: Doubt, most: int) -> tuple[Sequence[str], int]:
        """The `most` names of tenants that are most like this one, and how many have data for certain.

        For the operator alone.
        """

    def of_nobody(self, doubt: Doubt) -> int:
        """Count the namespaces of which nobody says for certain whose they are."""

    def alone(self, of: Tenancy) -> "OpenInventory":
        """What is told to one tenant, as if nothing else were there: every question is answered by that alone."""


class SpaceRows(Protocol):
    """The part of an `OpenInventory` that finds single namespaces; what it takes grows with what is found alone."""

    def named(
        self, assessed: Iterable[Assessed], name: str, *, prefix: bool, bucket: str | None, offset: int, limit: int
    ) -> tuple[NamespaceRow, ...]:
        """Find namespaces by name, or by how it begins, in the order of their names, with the worst of their data."""

    def of_namespace(
        self, assessed: Iterable[Assessed], bucket: str, namespace: str, offset: int, limit: int
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield the dependencies of one namespace with their assessments."""

    def held_by(self, tenant: str) -> frozenset[tuple[Member, Portions]]:
        """Which holdings have data of a tenant, and of which of their portions it is."""


class OpenInventory(Holdings, DependencyRows, TenantRows, SpaceRows, Protocol):
    """The dependencies of some sweeps, for the judge and for outputs."""

    def populations(self) -> Mapping[tuple[str, Population], int]:
        """Count objects for each (bucket, population) that has some."""

    def measured(self, groups: Sequence[Iterable[Member]], worst: int) -> Measured:
        """How much data some sets of holdings are, each for itself and all together; no holding is in two of them.

        It asks for nothing else, so that it is quick where nothing was asked before. `worst`: how many namespaces are
        named.
        """

    def beyond(
        self, wanted: Sequence[tuple[Sequence[Member], Portions]], namespace: str | None, tenant: str | None
    ) -> tuple[tuple[int, int], ...]:
        """Count for portions of each set of holdings its objects in namespaces and of tenants that patterns fit.

        Beside them stand its others. In a pattern `*` stands for any text; None fits all, anything else nothing that
        has no namespace or tenant. A holding of which nothing is here counts as one other.
        """


class Passes(Protocol):
    """What a sweep is written from; an `ObjectSource` is one."""

    @property
    def listings(self) -> tuple[Listing, ...]:
        """The passes, in the order in which they must be made."""

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Yield the rows of one pass in some shards, or in parts of them, which may come in turns."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What it took to list a shard, or several."""

    rows: int
    sent: Requests
    markers: int | None
    """Delete markers that were seen beside the objects, at most; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sweep that has begun, perhaps one that was killed and is gone on with."""

    id: str
    started: datetime
    settings: str
    """Whatever decides over its rows: parts that were made by other settings are not gone on with."""
    after: int = 0
    """The number of the ledger's newest event when it began."""
    head: str = ""
    """The hash of that event: by another ledger's numbers nobody knows what is newer."""
    kept: int = 0
    """Objects in its finished parts; none: it begins now."""
    shared: Listed | None = None
    """What workers have listed of it together, which is in those parts; None: it is no work of several."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a sweep of one bucket is shared out: its shards, which each worker finds by their numbers."""

    bucket: str
    begun: Begun
    shards: tuple[Shard, ...]
    """In the order of names; every name is in one of them."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one sweep put into the inventory."""

    files: Mapping[str, str]
    """File name below the inventory -> SHA-256, hexadecimal."""
    listed: int
    resolved: int
    outside: int
    oldest_verified: datetime | None
    unresolved: tuple[tuple[Reason, int], ...]
    """(why, how many objects), by reason."""
    ended: datetime | None = None
    """When all of it was there, where that was before and it was only to be told: aware, UTC; None: now."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What dependencies tell that somebody else has added up."""

    asked: datetime
    """When they were asked for: aware, UTC."""
    listed: int
    resolved: int
    outside: int
    unresolved: int


class Sharing(Protocol):
    """What several workers list of one sweep, each a few shards, which is where all of them can read and write it."""

    def planning(self, bucket: str) -> AbstractContextManager[None]:
        """Hold what nobody else may do for a bucket meanwhile: make a plan, or take one away.

        Raises:
            LedgerError: nothing can be written there, or somebody else does not end.
        """

    def plan(self, bucket: str) -> Plan | None:
        """The plan that there is; None where there is none, or none that can be read."""

    def begin(self, plan: Plan) -> None:
        """Put a plan in the place of any that there was, with all that was listed by that.

        Raises:
            DiskError: it cannot be written down.
        """

    def end(self, bucket: str, sweep_id: str) -> None:
        """Forget a plan, and what was listed by it: the sweep is in force, or nobody wants it any more."""

    def listed(self, plan: Plan) -> Mapping[int, Listed]:
        """What shards are listed to their ends, by their numbers."""

    def headway(self, plan: Plan, seen: set[str]) -> tuple[int, int]:
        """How many objects are listed that `seen` has no notes of, and how many of these say no key."""

    def is_untouched(self, plan: Plan) -> bool:
        """Whether nobody has begun to list any of it."""

    def is_at_work(self, plan: Plan) -> bool:
        """Whether somebody lists a shard of it just now."""

    def write(
        self, plan: Plan, number: int, passes: Passes, spent: Callable[[], tuple[Requests, int | None]]
    ) -> Listed:
        """List one shard to its end; what a worker before has finished of it stays.

        `spent` tells, at the end, the requests that this took, and the delete markers that were seen.

        Raises:
            CollectError: the listing broke off.
            BusyError: another process lists it.
            LedgerError: some of it was not listed; a `DiskError` where it cannot be written down.
        """

    def collecting(self, plan: Plan) -> AbstractContextManager[object]:
        """Be the one who puts all shards together.

        Raises:
            BusyError: somebody else does.
        """


class Inventory(Protocol):
    """Snapshots and their dependencies on disk."""

    def layout(self, bucket: str) -> str:
        """How the config says that namespaces are cut out of the names in a bucket."""

    def known(self, sweep: Sweep, *, as_is: bool) -> Known | None:
        """What a sweep learnt, with its stretches where they may stand as they are; None where it was damaged."""

    def begun(self, bucket: str, settings: str) -> Begun | None:
        """The newest sweep that broke off or was killed lately, and can be gone on with."""

    def write(self, bucket: str, begun: Begun, passes: Passes) -> Written:
        """Write one bucket's snapshot and dependencies atomically; where it breaks off, finished parts stay.

        Raises:
            CollectError: the listing broke off.
            LedgerError: another process goes on with this sweep, or rows were lost; a `DiskError` where the disk fails.
        """

    @property
    def sharing(self) -> Sharing:
        """What several workers list of one sweep."""

    def gather(self, plan: Plan, listings: tuple[Listing, ...]) -> Begun:
        """Begin the sweep of a plan with what workers have listed: whoever goes on with it lists the rest.

        Raises:
            LedgerError: it cannot be written down, or somebody goes on with it already.
        """

    def borders(self, sweep: Sweep) -> Sequence[str]:
        """Names in order, between which about as many objects of a sweep lie; none where nobody knows."""

    def take(self, bucket: str, begun: Begun, put: Callable[[Path, Path], Taken]) -> Written:
        """Keep dependencies that somebody else has added up, atomically, beside a snapshot of no object.

        `put` writes them; it is given a folder to work in, and the file.

        Raises:
            CollectError: they cannot be used.
            LedgerError: the disk fails.
        """

    def settle(self, sweep: Sweep) -> None:
        """Forget how to go on with a sweep: the ledger knows it now."""

    def unusable(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose dependencies nobody may judge by: the bucket and why."""

    def damaged(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose objects are not what it wrote: the bucket and why; its sums may be so still."""

    def open(self, sweeps: Iterable[Sweep], said: str = "") -> OpenInventory:
        """Open the dependencies of these sweeps, beside what registries `said` of their namespaces.

        Raises:
            LedgerError: a file that a sweep names is not there, or is not what the sweep wrote.
        """

    def claimed(self, said: str) -> OpenInventory:
        """Open what registries `said` of namespaces as dependencies, where no bucket is swept.

        Raises:
            LedgerError: what they said then is not kept any more, or cannot be read.
        """

    def samples(self, sweeps: Iterable[Sweep]) -> tuple[Sample, ...]:
        """A few stored versions under each key version of each bucket that a probe may read, the best first."""

    def prune(self, bucket: str, needed: Collection[str]) -> None:
        """Remove what killed sweeps left, and sweeps that were replaced long ago and are not to be kept.

        `needed`: ids of those that stay in any case.
        """

    def remove(self, sweep: Sweep) -> None:
        """Remove the files of a sweep that never was in force."""


@dataclass(frozen=True, slots=True)
class Made:
    """One judgement that was made, without what it says."""

    number: int
    """Of its first event in the ledger."""
    id: str
    sweeps: tuple[str, ...]
    """Ids of those that it stands on."""


@dataclass(frozen=True, slots=True)
class PollRecord:
    """One key poll: what was read, by whom, when."""

    id: str
    started: datetime
    ended: datetime
    readings: tuple[KeyReading, ...]
    skew: timedelta
    config_digest: str
    whole: bool = True
    """All needed keys were to be read, and not a few."""
    needed: frozenset[KeyName] = frozenset()
    """All needed keys: one of them that was not read here stays as it was read before."""


@dataclass(frozen=True, slots=True)
class Stood:
    """How much stood under one version of a key from some judgement on."""

    at: datetime
    """Aware, UTC: the moment of that judgement."""
    version: str | None
    objects: int
    size: int
    """Bytes."""


class Follower(Protocol):
    """The ledger told on as it grows."""

    @property
    def number(self) -> int:
        """Of the event behind which all is still to be told."""

    def turns(self) -> tuple[Turn, ...]:
        """What judgements found since, those in which something is otherwise; none: it is at the newest event.

        Raises:
            LedgerError: the ledger cannot be read, or is not what was kept.
        """


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Why entries could not be written."""

    reason: Reason
    for_good: bool = False
    """The service itself says that what was sent is no entry: it never will be."""


@dataclass(frozen=True, slots=True)
class LogStanding:
    """How a log of one's own is."""

    name: str
    entries: Mapping[str, int]
    """Outcome -> entries since this process started: `written`, `refused` for good, `lost` because they got too old."""
    told_at: datetime | None
    """Aware, UTC, by this machine's clock: when it was last told all that there was."""
    unwritten: Reason | None
    """Why it cannot be written now."""


class LogSink(Protocol):
    """A log of one's own in a cloud."""

    @property
    def name(self) -> str:
        """Its full name."""

    def write(self, entries: Sequence[Mapping[str, Any]]) -> Unwritten | None:
        """Write some entries, all or none; None: they are written, else why not."""

    def hint(self, reason: Reason) -> str:
        """What would let it be written."""


class Ledger(Protocol):
    """Append-only, hash-chained memory; its views are what every output shows."""

    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event."""

    def has(self, number: int, hash_: str) -> bool:
        """Whether an event of this ledger has this number and hash, or was the newest before the first."""

    def follow(self, number: int | None = None, *, anew: bool = False) -> Follower:
        """Tell on behind event `number`, or behind the newest; `anew`: first of all that stood there.

        Raises:
            LedgerError: the ledger cannot be read.
        """

    def hash_of(self, number: int) -> str:
        """Hash of one event; of none, what stands before the first."""

    def publish(self, sweep: Sweep) -> bool:
        """Keep one sweep attempt, complete or not; tell whether it is in force now.

        The sweep of a bucket that began last is in force, whichever ended last.
        """

    def sweeps(self) -> tuple[Sweep, ...]:
        """The complete sweep of each bucket that began last, by bucket."""

    def needed(self, bucket: str) -> frozenset[str]:
        """Ids of the bucket's sweep in force and of all sweeps that the newest judgement stands on."""

    def published(self, ids: Iterable[str]) -> tuple[Sweep, ...]:
        """The complete sweeps of these ids, also where a newer one has replaced them since.

        Raises:
            LedgerError: the ledger knows of no such sweep.
        """

    def failed_attempts(self) -> tuple[Sweep, ...]:
        """For each bucket whose newest attempt is not complete: that attempt."""

    def memory(self, about: KeyName | None = None) -> Mapping[KeyName, KeyMemory]:
        """What is remembered of every key ever read; or of all names at least that may be of one key (`about`)."""

    def key_names(self) -> frozenset[KeyName]:
        """Every key ever read, and all that data of the newest judgement is under."""

    def probes(self) -> tuple[Probe, ...]:
        """The newest telling, cached and inconclusive probe of each kind and principal, for each place."""

    def probes_between(self, since: datetime, until: datetime) -> int:
        """How many probes were made between two moments."""

    def keep_probe(self, probe: Probe) -> None:
        """Keep one probe; what it overrules does not stand any more."""

    def forget_probes(self, probes: Iterable[Probe]) -> None:
        """Let probes that were dated by a wrong clock count no more, also not when their time comes.

        Raises:
            LedgerError: the ledger cannot be written.
        """

    def keep_told(self, probes: Iterable[tuple[Probe, Probe]]) -> None:
        """Keep what keys told next to refusals that are kept already: each as it was, and as it is now."""

    def judging(self) -> AbstractContextManager[Callable[[], bool]]:
        """Hold while keys are read and judged: whoever began to read them later keeps its judgement later.

        It gives how to ask whether it is held still.
        """

    def findings(self) -> tuple[Finding, ...]:
        """Findings of the newest judgement that are not resolved."""

    def stood(self, key: str) -> Iterator[Stood]:
        """How much stood under each version of a key whenever that changed, the oldest first."""

    def ended(self, beginning: str) -> tuple[Finding, ...]:
        """Findings whose id begins so, each as it was when it ended last; also those that have come back since."""

    def keep(self, poll: PollRecord, judgement: Judgement) -> None:
        """Keep a poll and the judgement made from it: what changed, and one small record."""

    def judgement(self) -> Judgement | None:
        """The newest judgement, whole; None before the first."""

    def judgement_about(self, key: KeyName | None) -> Judgement | None:
        """The newest judgement without findings, and of no other data than may be under one key by any of its names.

        None before the first. `key`: None for no data at all.
        """


class History(Protocol):
    """The part of a `Ledger` that knows what was judged before."""

    def made(self) -> Iterator[Made]:
        """Yield every judgement, the newest first."""

    def named(self, prefix: str) -> tuple[Made, ...]:
        """The first two judgements, oldest first, whose ids begin so."""

    def then(self, one: Made) -> Judgement:
        """A judgement of before, whole.

        Raises:
            LedgerError: the events that led to it are not what was kept.
        """

    def between(self, first: int, last: int) -> Between:
        """What became of keys and findings from one judgement to another."""

    def published(self, ids: Iterable[str]) -> tuple[Sweep, ...]:
        """The complete sweeps of these ids."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Data of one bucket that went the same way."""

    before: Member | None
    """Under which key version it was; None: it was not there."""
    after: Member | None
    population_before: Population | None
    population_after: Population | None
    objects: int
    size: int
    """Bytes; of data under several sizes, as much as its share of the objects."""
    namespaces: int
    samples: tuple[str, ...]
    """`bucket/namespace` of the ten with most such objects."""


class Flows(Protocol):
    """Where the data of some buckets went from one sweep to another."""

    @property
    def flows(self) -> tuple[Flow, ...]:
        """All that differs, and what was asked for of the rest."""

    @property
    def stayed(self) -> int:
        """Objects that are as they were, told or not."""

    def namespaces(self, some: Iterable[int]) -> int:
        """How many namespaces have data in some of the flows, which are named by their places."""


class SweepRows(Protocol):
    """The part of an `Inventory` that compares what sweeps wrote."""

    def unusable(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose dependencies are not there, or not what it wrote: the bucket and why."""

    def flows(
        self,
        before: Sequence[Sweep],
        after: Sequence[Sweep],
        members: Sequence[Member],
        also: Collection[Member],
        left_out: Collection[tuple[str, Population]],
        *,
        of: Tenancy | None = None,
    ) -> Flows:
        """Compare what is under each key version of each namespace in two sweeps of each of some buckets.

        `members`: all holdings of both sides; `also`: those of which data that stayed is told as well; `left_out`:
        what is compared in no case; `of`: only what is told to one tenant.

        Raises:
            LedgerError: a file is not there, or is not what the sweep wrote.
        """
