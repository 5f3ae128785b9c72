"""An S3 bucket through libcurl: listed page after page, each version HEADed, handed on in the listing's order."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from auditor import rows
from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.encryption import (
    CONTRADICTORY,
    Asked,
    Head,
    Told,
    is_amazons,
    is_archive,
    is_encrypted_by_amazon,
    told_by_status,
)
from auditor.connectors.aws.errors import FAULTS, reason_of, reason_of_code
from auditor.connectors.aws.errors import code_of as code_of_fault
from auditor.connectors.aws.listing import NoPageError, Page, is_gone, is_listed
from auditor.connectors.aws.names import is_plain, sibling
from auditor.connectors.aws.objects import MOST_WAITING, S3Bucket
from auditor.connectors.aws.places import is_garbled
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.aws.sheets import Sheet, decoded
from auditor.connectors.aws.signing import S3Signer, code_of
from auditor.connectors.aws.stretches import ROWS, Stretches
from auditor.connectors.aws.unchanged import Comparison, due, is_due, lasts
from auditor.connectors.borders import borders
from auditor.connectors.headers import header
from auditor.connectors.shards import STREAMS, Shards
from auditor.connectors.trail import Trail
from auditor.connectors.transfers import CONNECTIONS, CUT_OFF, TOO_LONG, Transfer, Transfers
from auditor.errors import CollectError, OrderError
from auditor.inventory_report import ByReport
from auditor.model import BucketFacts, CloudCount, Encryption, Gap, Listing, Population, Reason, Requests
from auditor.ports import Coming, Known, Same, Shard
from auditor.rows import Done, End

_HEADS_AHEAD: Final = 3_000
"""No further page is asked for while more HEADs than that wait."""
_CONTROLS: Final = 8
"""Versions that answered lately: one or the other may be deleted before it is asked again."""
_BARE: Final = "400"
_NOT_FOUND: Final = frozenset({"404", "405"})
"""Of a version: it is not there, or is a delete marker by now. Source: S3 API Reference, HeadObject."""
_GONE_TOGETHER: Final = 10
"""So many entries of a report, and no other, that are found nowhere are no accident."""
_THROTTLED_IN_A_ROW: Final = 20
"""Versions whose every try was throttled, one after the other, with no answer between them."""
_THROTTLED_UNDER_ONE_PREFIX: Final = 1_000
"""The same where one prefix has them all, while another was answered: nothing else may be left to ask."""
_HAS_NO_CONTROL: Final = pa.array([Encryption.CUSTOMER_SUPPLIED.value, Encryption.UNKNOWN.value])
_ELSEWHERE: Final = frozenset({301, 307, 400})


def _of_another(url: str, gone: int) -> CollectError:
    return CollectError(
        f"none of the {gone:,} objects that were asked for is in {url}: its report is of something else, or misread",
        "look into a file of the report; leave `s3_inventory` away and list the bucket from here",
        reason=Reason.MALFORMED,
    )


def _within(report: ByReport, shard: Shard) -> Iterator[Page | End]:
    """The rows of one shard; between two names an end, once there are enough for a stretch."""
    count, last = 0, None
    for told in report.rows():
        page = Page(
            names=told["name"],
            versions=told["version"],
            newest=told["newest"],
            sizes=told["size"],
            modified=told["modified"],
            etags=told["etag"],
            classes=told["class"],
            following=None,
            statuses=told["status"],
            archived=told["archived"],
        )
        if shard.until is not None and page.names[0] > shard.until:
            return
        places = [place for place, one in enumerate(page.names) if shard.holds(one)]
        if not places:
            continue
        page = page if len(places) == len(page.names) else page.only(places)
        if count >= ROWS and page.names[0] != last:
            yield End()
            count = 0
        yield page
        count, last = count + len(places), page.names[-1]


class _Gone(Enum):
    """A version that was deleted after it was listed."""

    GONE = auto()


@dataclass(slots=True, eq=False)
class _Rows:
    """One page on its way out: what was listed, and what HEAD told of each."""

    run: "_Run"
    page: Page
    told: list["Told | Reason | _Gone | None"]
    at: list[datetime | None]
    open: int
    """Entries that nothing is known of yet."""
    as_before: pa.Table | None = None
    """What an earlier sweep wrote of the same entries, where none of them needs a HEAD."""
    undecided: int = 0
    """How many of them wait for a version that is known to answer."""


class _Step(Enum):
    """Which question a HEAD is, on the way to what an entry is encrypted with."""

    FIRST = auto()
    AGAIN = auto()
    """The entry once more, after a control has answered."""
    SIBLING = auto()
    """A name much like it, which is not there: is that refused in the same way?"""
    LISTED = auto()
    """No HEAD: is it still listed, after HEAD did not find it?"""
    COMPARED = auto()
    """No HEAD: is it listed by now as HEAD describes it, after both differed?"""


class _Entry(NamedTuple):
    """Whose HEAD it is."""

    page: _Rows
    place: int
    step: _Step = _Step.FIRST
    head: Head | None = None
    """What HEAD said, where that is compared with the listing once more."""


class _Control(NamedTuple):
    """A version that answered: whoever gets a bare 400 right after it is refused by its own key, or by bad luck."""

    name: str
    version: str | None
    answered: bool = True
    """In this sweep, not in an earlier one."""


class _Question(NamedTuple):
    """A HEAD of a version that is known to answer, to tell whether credentials and Region are right."""

    run: "_Run"
    control: _Control
    batch: "list[tuple[_Rows, int]]"
    """Whoever waits for it: one answer is enough for all that were refused before."""
    twice: bool
    """They were refused again since another was answered: with this answer they want the key of whoever wrote them."""


class S3Census:
    """`ports.ObjectSource` over `Transfers`; settings and uploads are the SDK's business."""

    def __init__(
        self,
        by_sdk: S3Bucket,
        clients: AwsClients,
        place: tuple[str | None, str | None],
        populations: tuple[Population, ...],
        *,
        ceiling: float,
        clock: Callable[[], datetime],
        reverify: timedelta = timedelta(0),
        streams: int | None = None,
    ) -> None:
        self._streams = streams
        self._by_sdk = by_sdk
        self._clients = clients
        self._reverify = reverify
        self._region, self._account = place
        self._populations = populations or (Population.LIVE, Population.NONCURRENT)
        self._ceiling = ceiling
        self._clock = clock
        self._markers: int | None = None
        self._gone = 0

    @property
    def url(self) -> str:
        """`s3://NAME`, as configured."""
        return self._by_sdk.url

    @property
    def endpoint(self) -> str:
        """Where it is asked."""
        return self._by_sdk.endpoint

    @property
    def left_out(self) -> tuple[Population, ...]:
        """The populations that the bucket may have and the config leaves out."""
        return self._by_sdk.left_out

    def facts(self) -> BucketFacts | Gap:
        """Read Region, versioning and default key; a Gap when one of them is not readable."""
        return self._by_sdk.facts()

    def borders(self, many: int, known: Sequence[str]) -> list[str]:
        """Names that cut the bucket into so many shards at most; none where nobody knows in which order it lists.

        Raises:
            CollectError: a page could not be read.
        """
        may_split = self._streams_of(self._signer()) > 1
        return borders(many, known, self._by_sdk.names_behind) if may_split else []

    def _streams_of(self, signer: S3Signer) -> int:
        return self._streams or (STREAMS if is_amazons(signer.base) else 1)

    def uploads_in_progress(self) -> int | Gap:
        """Count unfinished multipart uploads; their key is not knowable."""
        return self._by_sdk.uploads_in_progress()

    @property
    def markers(self) -> int | None:
        """Delete markers that its last listing showed, on pages that two shards share twice; None: none are listed."""
        return self._markers

    @property
    def gone(self) -> int:
        """How many entries its last listing told of that were found nowhere."""
        return self._gone

    def cloud_count(self) -> CloudCount | Gap | None:
        """Ask CloudWatch how many objects it counts."""
        return self._by_sdk.cloud_count()

    def needs(self, stored: Mapping[Population, int], known: Known | None) -> Requests:
        """Tell what a sweep of so many objects would ask, retries aside."""
        needed = self._by_sdk.needs(stored, None)
        if known is None:
            return needed
        # A clock that is late knows nothing of that before it has asked anybody.
        now = max(self._clock(), known.newest or datetime.min.replace(tzinfo=UTC))
        return replace(needed, heads=due(known.rest(), self._populations, now, self._reverify))

    @property
    def listings(self) -> tuple[Listing, ...]:
        """One pass shows them all."""
        return self._by_sdk.listings

    def shards(
        self,
        listing: Listing,  # noqa: ARG002 - there is one pass
        shards: Sequence[Shard],
        known: Known | None = None,
        *,
        split: bool = True,
        report: ByReport | None = None,
    ) -> Iterator[tuple[Shard, Coming]]:
        """Yield every stored version in some shards once, of every configured population; each in the listing's order.

        `report`: what is asked for instead of pages.

        Raises:
            OrderError: names do not come in the order that shards need.
            CollectError: a page could not be read, so the listing is not complete.
        """
        self._markers, self._gone = None, 0
        signer = self._signer()
        streams = self._streams_of(signer) if split and report is None else 1
        clients = self._clients
        transfers = Transfers(
            signer,
            clients.wire,
            ceiling=self._ceiling,
            agent=clients.agent,
            certificates=clients.certificates(self._account),
            attempts=clients.attempts,
            bucket=self.url,
        )
        try:
            known = known if self._reverify > timedelta(0) else None
            plan = Shards(shards, _borders(known), streams)
            about = _Listing(
                self._by_sdk,
                self._find,
                self._populations,
                self._clock,
                signer,
                transfers,
                plan,
                known,
                self._reverify,
                report,
            )
            yield from about.shards()
            self._gone = about.gone
            if report is not None and _GONE_TOGETHER <= about.gone == about.asked and not about.reused:
                raise _of_another(self.url, about.gone)
            self._markers = about.markers if about.versions and report is None else None
        except FAULTS as error:
            # The SDK's own: credentials that cannot be renewed, a Region that is none.
            raise self._by_sdk.broken_off(code_of_fault(error), reason_of(error)) from None
        finally:
            transfers.close()

    def _signer(self) -> S3Signer:
        try:
            credentials = self._clients.credentials(self._account)
            place = self._find(self._region)
        except FAULTS as error:
            raise self._by_sdk.broken_off(code_of_fault(error), reason_of(error)) from None
        if credentials is None:
            raise self._by_sdk.broken_off("no credentials", Reason.EXPIRED_CREDENTIALS)
        bucket = self.url.removeprefix("s3://")
        return S3Signer(credentials, bucket, place)

    def _find(self, region: str | None) -> tuple[str, str]:
        return self._clients.place(self.url.removeprefix("s3://"), region, self._account)


@dataclass(slots=True)
class _Listing:
    """One listing, of which several shards may be listed at once."""

    by_sdk: S3Bucket
    find: Callable[[str | None], tuple[str, str]]
    populations: tuple[Population, ...]
    clock: Callable[[], datetime]
    signer: S3Signer
    transfers: Transfers
    plan: Shards
    known: Known | None
    reverify: timedelta
    report: ByReport | None = None
    held: int = 0
    """Rows that wait to leave."""
    controls: deque[_Control] = field(default_factory=lambda: deque(maxlen=_CONTROLS))
    throttled: Counter[str] = field(default_factory=Counter)
    """By prefix, how many were refused to the end since one was answered."""
    answered: set[str] = field(default_factory=set)
    """Two of the prefixes under which one was answered, or all."""
    runs: "list[_Run]" = field(default_factory=list)
    listed_as_before: deque[_Control] = field(default_factory=lambda: deque(maxlen=_CONTROLS))
    """Versions that answered an earlier sweep, and that this one has seen listed."""
    refused: Reason | None = None
    """Why the last that was known to answer did not, where none is left."""
    waiting: "dict[bool, list[tuple[_Rows, int]]]" = field(default_factory=lambda: {False: [], True: []})
    """Refused once, or twice -> entries that wait for a version that is known to answer."""
    asking: set[bool] = field(default_factory=set)
    """For which of both one is asked just now."""
    markers: int = 0
    """Delete markers on the pages so far."""
    asked: int = 0
    """Entries that were to be HEADed."""
    reused: int = 0
    """Entries of which an earlier sweep's word was taken."""
    gone: int = 0
    """Entries that were found nowhere."""
    _asked_known: bool = False

    @property
    def versions(self) -> bool:
        """All versions are listed."""
        return self.populations != (Population.LIVE,)

    @property
    def room(self) -> bool:
        """One more page may be asked for."""
        return self.transfers.open < _HEADS_AHEAD and self.held <= MOST_WAITING

    @property
    def ended(self) -> bool:
        """No page comes any more, of these shards or of others."""
        return all(one.ended for one in self.runs) and not self.plan.left

    def shards(self) -> Iterator[tuple[Shard, Coming]]:
        """Yield the rows of all shards, some of one and then of another."""
        if self.known is not None:
            self.signer.whole = not self.known.stretches
        self._begin()
        while self.runs:
            for transfer in self.transfers.settled():
                tag = transfer.tag
                run = tag.page.run if isinstance(tag, _Entry) else tag.run if isinstance(tag, _Question) else tag
                assert isinstance(run, _Run)  # noqa: S101 - whatever is asked, a run asks for it
                run.take(transfer)
            for run in tuple(self.runs):
                for some in run.out():
                    yield run.shard, some
                run.list_on()
                if run.done:
                    self.runs.remove(run)
                    yield run.shard, Done()
            self._begin()

    def has_control(self) -> bool:
        """Whether somebody is known who answers: where nothing else is new, those who answered an earlier sweep."""
        if not self.controls and self.listed_as_before:
            self.controls.append(self.listed_as_before.pop())
        if not self.controls and self.known is not None and not self._asked_known:
            self._asked_known = True
            self.controls.extend(_Control(name, version, answered=False) for name, version in self.known.answered())
        return bool(self.controls)

    def confirm(self, control: _Control) -> None:
        """A version of an earlier sweep has answered in this one."""
        if not control.answered and control in self.controls:
            self.controls.remove(control)
            self.controls.append(control._replace(answered=True))

    def _begin(self) -> None:
        """List more shards at once, unless HEADs are what is waited for."""
        while not self.runs or (self.transfers.open < CONNECTIONS and self.held <= MOST_WAITING):
            # What is listed to its end may wait for somebody who answers, in a shard that is not listed yet.
            shard = self.plan.following([one for one in self.runs if not one.ended])
            if shard is None:
                return
            self.runs.append(_Run(self, shard))


class _Run:
    """One shard from its first page to its last."""

    def __init__(self, about: _Listing, shard: Shard) -> None:
        self.shard = shard
        self.at: str | None = None
        self.pages = 0
        self.ended = False
        self._about = about
        self._by_sdk = about.by_sdk
        self._signer, self._transfers = about.signer, about.transfers
        self._clock, self._reverify = about.clock, about.reverify
        self._known = about.known.anew() if about.known is not None else None
        self._after = shard.after
        marker = "key-marker" if about.versions else "start-after"
        self._asked = {} if shard.after is None else {marker: shard.after}
        self._trail = Trail()
        self._listing = False
        self._unsure: Sheet | None = None
        """A page without an entry, asked for again, not encoded, to tell where it goes on."""
        self._moved = False
        self._pages: deque[_Rows | End | Same] = deque()
        """What is on its way out."""
        self._stretches = Stretches()
        if self._known is not None:
            now = self._clock()
            self._stretches = Stretches(
                self._known.stretches, shard.after, lambda one: not is_due(one, now, self._reverify)
            )
        self._lasts = True
        """Whatever left since a stretch ended can be trusted for a while."""
        self._reported = _within(about.report, shard) if about.report is not None else None
        self._list()

    @property
    def done(self) -> bool:
        """Everything has left."""
        return self.ended and not self._pages

    def list_on(self) -> None:
        """Ask for the next page, if there is one and room for it."""
        if self._about.room and not (self._listing or self.ended):
            self._list()

    def _list(self) -> None:
        if self._reported is not None:
            self._take_reported(next(self._reported, None))
            return
        self._listing = True
        asked = self._signer.page(self._asked, versions=self._about.versions, tag=self, encoded=self._unsure is None)
        self._transfers.start(asked, first=True)

    def take(self, transfer: Transfer) -> None:
        """What was asked for has come, or will not."""
        if isinstance(transfer.tag, _Question):
            self._controlled(transfer.tag, transfer)
        elif not isinstance(transfer.tag, _Entry):
            self._take_page(transfer)
        else:
            found, place = transfer.tag.page, transfer.tag.place
            match transfer.tag.step:
                case _Step.FIRST:
                    self._heard(found, place, transfer)
                case _Step.AGAIN:
                    self._decided(found, place, transfer)
                case _Step.SIBLING:
                    self._compared_with_sibling(found, place, transfer)
                case _Step.LISTED:
                    self._looked(found, place, transfer)
                case _Step.COMPARED:
                    self._compared(found, place, transfer)

    def _take_page(self, transfer: Transfer) -> None:
        sheet = transfer.answer
        if not isinstance(sheet, Sheet):
            self._fail_or_move(transfer)
            return
        self._listing = False
        try:
            sheet = self._sure(sheet)
            if sheet is None:
                return
            sheet = sheet if self.shard.until is None else sheet.up_to(self.shard.until)
            self._about.markers += sheet.markers
            self._about.plan.listed(self, _last_of(sheet))
            self._go_on(sheet)
            for some in self._stretches.add(sheet):
                if isinstance(some, Page):
                    self._take_entries(some)
                else:
                    self._pages.append(some)
        except NoPageError:
            raise self._by_sdk.broken_off(MALFORMED, Reason.MALFORMED) from None

    def _sure(self, sheet: Sheet) -> Sheet | None:
        """A page of which it is certain where it goes on; None while that is asked.

        Raises:
            NoPageError: it is not to be found out.
        """
        unsure, self._unsure = self._unsure, None
        if unsure is None:
            if not sheet.doubtful or is_amazons(self._signer.base):
                return sheet
            self._unsure = sheet
            self._list()
            return None
        # What is created meanwhile it lists, and some send fewer entries the one time than the other.
        names = sheet.page().names if sheet.end() is not None else []
        if sheet.doubtful or is_garbled(*names, (sheet.following or {}).get("key-marker", "")):
            raise NoPageError("a place that may be encoded or not")
        return sheet if sheet.end() is not None else unsure.going_on(sheet.following)

    def _go_on(self, sheet: Sheet) -> None:
        if sheet.following is None:
            self.ended = True
        elif not (self._trail.leads_on(tuple(sheet.following.items())) and self._trail.gets_on(sheet.end())):
            raise self._by_sdk.endless()
        else:
            self._asked = dict(sheet.following)
            self.list_on()

    def _take_reported(self, some: Page | End | None) -> None:
        """Take what a report tells; None at its end."""
        if some is None:
            self.ended = True
        elif isinstance(some, End):
            self._pages.append(some)
        else:
            self._take_entries(some)

    def _take_entries(self, page: Page) -> None:
        if self._after is not None and page.names and min(page.names) < self._after:
            raise OrderError(self._by_sdk.url)
        page = _wanted(page, self._about.populations, self._after)
        found = _Rows(self, page, [None] * len(page.names), [None] * len(page.names), len(page.names))
        self._pages.append(found)
        self._about.held += len(page.names)
        self._remember(found)
        self._about.reused += len(page.names) - found.open
        self._take_statuses(found)
        self._about.asked += found.open
        if not found.open:
            return
        for place, (name, version) in enumerate(zip(page.names, page.versions, strict=True)):
            if found.told[place] is None:
                self._transfers.start(self._signer.version(name, version, _Entry(found, place)))

    def _remember(self, found: _Rows) -> None:
        """Take what was learnt before of versions that are listed as they were, and need not be asked again yet."""
        page = found.page
        if self._known is None or not page.names:
            return
        first = page.names.index(page.names[-1])
        before = self._known.of(page.names, page.versions, page.modified[first])
        comparison = Comparison(page, before, self._clock(), self._reverify)
        if len(self._about.listed_as_before) < _CONTROLS:
            self._note_control(before)
        if comparison.whole and page.statuses is None:
            found.as_before, found.open = before.select(rows.SCHEMA.names), 0
            return
        columns = (before.column(name).to_pylist() for name in ("encryption", "key", "archived", "verified"))
        told = [
            (Told(Encryption(encryption), key, archived=archived, restored=not archived), verified)
            for encryption, key, archived, verified in zip(*columns, strict=True)
        ]
        for place, row in enumerate(comparison.places()):
            if row is not None:
                found.told[place], found.at[place] = told[row]
                found.open -= 1

    def _take_statuses(self, found: _Rows) -> None:
        """Take what a report says of entries under no KMS key; of the others it does not name the key."""
        page, report = found.page, self._about.report
        if report is None or page.statuses is None or page.archived is None:
            return
        for place, (status, archived) in enumerate(zip(page.statuses, page.archived, strict=True)):
            told, known = told_by_status(status, archived=archived), found.told[place]
            encrypted = is_encrypted_by_amazon(self._signer.base, page.modified[place])
            if told is not None and not (encrypted and told.encryption is Encryption.NONE):
                found.open -= known is None
                found.told[place], found.at[place] = told, report.at
            elif isinstance(known, Told) and known.encryption is not Encryption.CMEK:
                # It was encrypted anew since, which its date and ETag need not tell.
                found.open += 1
                found.told[place] = found.at[place] = None

    def _note_control(self, before: pa.Table) -> None:
        """Note one version that was HEADed by an earlier sweep without a key of its own, and is listed still."""
        plain = pc.index(pc.is_in(before.column("encryption"), _HAS_NO_CONTROL), pa.scalar(value=False)).as_py()
        if plain >= 0:
            name, version = (before.column(which)[plain].as_py() for which in ("name", "version"))
            self._about.listed_as_before.append(_Control(name, version, answered=False))

    def _fail_or_move(self, transfer: Transfer) -> None:
        region = header(transfer.headers, b"x-amz-bucket-region")
        if transfer.status in _ELSEWHERE and region and not self._moved:
            self._moved = True
            self._signer.moved(*self._about.find(region))
            self._list()
            return
        raise self._by_sdk.broken_off(code_of(transfer), _reason(transfer))

    def _heard(self, found: _Rows, place: int, transfer: Transfer) -> None:
        if isinstance(transfer.answer, Head):
            controls = self._about.controls
            self._about.refused = None
            if len(controls) < _CONTROLS or place == 0:
                controls.append(_Control(found.page.names[place], found.page.versions[place]))
                self._ask()
            self._about.throttled.clear()
            if len(self._about.answered) < 2:  # noqa: PLR2004 - so that one is always another
                self._about.answered.add(transfer.prefix)
            self._learn(found, place, transfer.answer)
        elif code_of(transfer) in _NOT_FOUND:
            self._look_up(_Entry(found, place, _Step.LISTED))
        elif code_of(transfer) != _BARE:
            self._settle(found, place, _reason(transfer))
            self._count_refusals(transfer)
        else:
            self._wait(found, place, twice=False)

    def _learn(self, found: _Rows, place: int, head: Head) -> None:
        """Take what HEAD said, or compare it with the listing once more where it is of another than was listed."""
        page = found.page
        encrypted = is_encrypted_by_amazon(self._signer.base, page.modified[place])
        told = head.about(Asked(page.etags[place], page.versions[place], page.sizes[place], encrypted))
        if told is None:
            self._look_up(_Entry(found, place, _Step.COMPARED, head))
        else:
            self._settle(found, place, told)

    def _look_up(self, entry: _Entry) -> None:
        versions = self._about.versions
        asked = {"prefix": entry.page.page.names[entry.place], "max-keys": "1000" if versions else "1"}
        self._transfers.start(self._signer.page(asked, versions=versions, tag=entry), first=True)

    def _count_refusals(self, transfer: Transfer) -> None:
        """Give up where nothing but throttling comes any more: at that pace a sweep would take days.

        Raises:
            CollectError: so it is.
        """
        about = self._about
        if _reason(transfer) is not Reason.THROTTLED:
            about.throttled.clear()
            return
        about.throttled[transfer.prefix] += 1
        alone = len(about.throttled) == 1 and about.answered - about.throttled.keys()
        most = _THROTTLED_UNDER_ONE_PREFIX if alone else _THROTTLED_IN_A_ROW
        if about.throttled.total() >= most:
            raise self._by_sdk.broken_off(code_of(transfer), Reason.THROTTLED)

    def _looked(self, found: _Rows, place: int, transfer: Transfer) -> None:
        """What is neither found nor listed any more was deleted meanwhile, and hangs on no key."""
        page, name, version = transfer.answer, found.page.names[place], found.page.versions[place]
        if isinstance(page, Page) and is_gone(page, name, version) and self._is_meant(page, name, version):
            self._settle(found, place, _Gone.GONE)
        else:
            self._settle(found, place, Reason.NOT_FOUND)

    def _is_meant(self, page: Page, name: str, version: str | None) -> bool:
        """Whether what is not there is what was meant: reports may encode names, and leave versions without an id."""
        is_told = self._about.report is not None
        return not (is_told and ("%" in name or (version == "null" and name in page.names)))

    def _compared(self, found: _Rows, place: int, transfer: Transfer) -> None:
        """What was overwritten meanwhile is listed as HEAD describes it; anything else is an answer about another."""
        page, name, version = transfer.answer, found.page.names[place], found.page.versions[place]
        head = transfer.tag.head if isinstance(transfer.tag, _Entry) else None
        if isinstance(page, Page) and head is not None and is_listed(page, name, version, head):
            self._settle(found, place, head.told)
        elif isinstance(page, Page) and is_gone(page, name, version):
            self._settle(found, place, _Gone.GONE)
        else:
            self._settle(found, place, CONTRADICTORY)

    def _wait(self, found: _Rows, place: int, *, twice: bool) -> None:
        """Let an entry wait until a version that is known to answer is asked after its refusal."""
        found.undecided += 1
        self._about.waiting[twice].append((found, place))
        self._ask()

    def _ask(self) -> None:
        """Ask for a version that is known to answer, once for all that wait."""
        about = self._about
        for twice, batch in about.waiting.items():
            if not batch or twice in about.asking or not about.has_control():
                continue
            about.asking.add(twice)
            about.waiting[twice] = []
            for found, _ in batch:
                found.undecided -= 1
            control = about.controls[-1]
            question = _Question(self, control, batch, twice)
            self._transfers.start(self._signer.version(control.name, control.version, question), first=True)

    def _controlled(self, question: _Question, transfer: Transfer) -> None:
        about = self._about
        about.asking.discard(question.twice)
        if isinstance(transfer.answer, Head):
            about.confirm(question.control)
            for found, place in question.batch:
                if question.twice:
                    self._is_refused(found, place)
                else:
                    self._ask_again(found, place)
        else:
            self._forget_control(question, transfer)
        self._ask()

    def _ask_again(self, found: _Rows, place: int) -> None:
        page = found.page
        again = self._signer.version(page.names[place], page.versions[place], _Entry(found, place, _Step.AGAIN))
        self._transfers.start(again, first=True)

    def _forget_control(self, question: _Question, transfer: Transfer) -> None:
        """It was deleted, overwritten or throttled meanwhile, which says nothing of others: another one decides."""
        about = self._about
        if question.control in about.controls:
            about.controls.remove(question.control)
        if code_of(transfer) == _BARE:
            # Refused after it had answered in this very sweep: it is not the key of whoever wrote it.
            about.refused = Reason.EXPIRED_CREDENTIALS if question.control.answered else about.refused
        elif code_of(transfer) not in _NOT_FOUND:
            about.refused = _reason(transfer)
        about.waiting[question.twice][:0] = question.batch
        for found, _ in question.batch:
            found.undecided += 1

    def _decided(self, found: _Rows, place: int, transfer: Transfer) -> None:
        """Refused, while another was answered in between; if one is answered after it as well, it is its own key."""
        if isinstance(transfer.answer, Head):
            self._learn(found, place, transfer.answer)
        elif code_of(transfer) in _NOT_FOUND:
            self._look_up(_Entry(found, place, _Step.LISTED))
        elif code_of(transfer) != _BARE:
            self._settle(found, place, _reason(transfer))
        elif header(transfer.headers, b"x-amz-request-id") is None:
            # Its own refusal has a number; one that somebody on the way makes has none.
            self._settle(found, place, Reason.MALFORMED)
        else:
            self._wait(found, place, twice=True)

    def _is_refused(self, found: _Rows, place: int) -> None:
        """It wants the key of whoever wrote it, unless it is its name that is refused."""
        name = found.page.names[place]
        if is_plain(name):
            self._settle(found, place, Told(Encryption.CUSTOMER_SUPPLIED))
        else:
            asked = self._signer.version(sibling(name), None, _Entry(found, place, _Step.SIBLING))
            self._transfers.start(asked, first=True)

    def _compared_with_sibling(self, found: _Rows, place: int, transfer: Transfer) -> None:
        """Where a name much like it, that is not there, is just not found, it is not the name that is refused."""
        code = code_of(transfer)
        refused = Reason.UNSUPPORTED if code == _BARE else _reason(transfer)
        self._settle(found, place, Told(Encryption.CUSTOMER_SUPPLIED) if code == "404" else refused)

    def _settle(self, found: _Rows, place: int, told: Told | Reason | _Gone) -> None:
        found.told[place] = told
        self._about.gone += told is _Gone.GONE
        if isinstance(told, Told) and told.problem is None:
            found.at[place] = self._clock()
        found.open -= 1

    def out(self) -> Iterator[Coming]:
        """Let pages leave whose entries are all known; what no control can decide stays unresolved."""
        while self._pages:
            first = self._pages[0]
            if not isinstance(first, _Rows):
                self._pages.popleft()
                yield End() if isinstance(first, End) and not self._lasts else first
                self._lasts = True
                continue
            if first.open and first.undecided == first.open:
                self._clear_up(first)
            if first.open:
                return
            self._pages.popleft()
            self._about.held -= len(first.page.names)
            batch = _batch(first)
            self._lasts = self._lasts and _Gone.GONE not in first.told and lasts(batch)
            if batch.num_rows:
                yield batch

    def _clear_up(self, first: _Rows) -> None:
        """Leave the entries of a page unresolved that wait, where nobody is left to ask and nothing more comes."""
        about = self._about
        self._ask()
        hopeless = about.held > MOST_WAITING or (about.ended and not self._transfers.open)
        if about.asking or about.has_control() or not hopeless:
            return
        for waiting in about.waiting.values():
            for found, place in [one for one in waiting if one[0] is first]:
                self._settle(found, place, about.refused or Reason.UNSUPPORTED)
            waiting[:] = [one for one in waiting if one[0] is not first]
        first.undecided = 0


def _borders(known: Known | None) -> list[str]:
    """Names at which a listing may be split so that every stretch of an earlier one is in one shard."""
    found = ((one.last, one.fingerprint) for one in (known.stretches if known is not None else ()))
    return [last for last, told in found if last is not None and (told is None or decoded(told.last.encode()) == last)]


def _last_of(sheet: Sheet) -> str | None:
    """The last name of a page, as far as it has one."""
    last = sheet.last()
    if last is not None:
        return decoded(last)
    names = sheet.page().names
    return names[-1] if names else None


def _reason(transfer: Transfer) -> Reason:
    if transfer.lost:
        return Reason.MALFORMED if transfer.lost in {CUT_OFF, TOO_LONG} else Reason.TIMEOUT
    return reason_of_code(code_of(transfer))


def _wanted(page: Page, populations: tuple[Population, ...], after: str | None) -> Page:
    keep: Iterable[int] = range(len(page.names))
    newest = populations == (Population.LIVE,)
    if len(populations) == 1 and page.newest.count(newest) != len(page.newest):
        keep = [place for place in keep if page.newest[place] is newest]
    if after is not None and after in page.names:
        # Some begin with the name behind which they were to begin.
        keep = [place for place in keep if page.names[place] != after]
    return page.only(keep) if isinstance(keep, list) else page


def _batch(found: _Rows) -> pa.RecordBatch:
    page, known, at = found.page, found.told, found.at
    if found.as_before is not None:
        # Only which versions are the newest may have changed.
        columns = [one.combine_chunks() for one in found.as_before.columns]
        columns[rows.SCHEMA.get_field_index("population")] = _populations(page)
        return rows.batch(columns)
    if _Gone.GONE in known:
        keep = [place for place, one in enumerate(known) if one is not _Gone.GONE]
        page, known, at = page.only(keep), [known[one] for one in keep], [at[one] for one in keep]
    told = [one if isinstance(one, Told) else None for one in known]
    problems = [
        one.problem.value if isinstance(one, Told) and one.problem else one.value if isinstance(one, Reason) else None
        for one in known
    ]
    return rows.batch(
        [
            page.names,
            page.versions,
            _populations(page),
            page.sizes,
            pa.array(page.modified).cast(rows.TIME),
            page.etags,
            page.classes,
            [one.is_archived(kind) if one else is_archive(kind) for one, kind in zip(told, page.classes, strict=True)],
            [one.encryption.value if one else Encryption.UNKNOWN.value for one in told],
            [one.key if one else None for one in told],
            [None] * len(told),
            at,
            problems,
        ]
    )


def _populations(page: Page) -> "pa.Array[Any]":  # quoted: the class takes no parameters at run time
    newest: pa.Array[Any] = pc.if_else(
        pa.array(page.newest, pa.bool_()), Population.LIVE.value, Population.NONCURRENT.value
    )
    return newest
