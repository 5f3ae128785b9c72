"""Many HTTP requests at once on one thread: libcurl's multi interface with a rate, retries and deadlines."""

import heapq
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from typing import Final, NamedTuple, Protocol

import pycurl

from auditor.connectors.headers import header
from auditor.connectors.throttle import Prefixes, Throttle
from auditor.connectors.wire import Wire

CONNECTIONS: Final = 64
"""At once, to one bucket: 500 requests a second need 50 at a tenth of a second each."""
_CONNECT: Final = 10_000
_HEAD_WITHIN: Final = 30_000
_GET_WITHIN: Final = 120_000
"""Milliseconds."""
_STALL: Final = 30
"""Seconds without a byte after which an answer is given up."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 20.0
"""Seconds before a request is made again: the first time, and at most."""
_SHORTEST_NAP: Final = 0.0005
"""Seconds."""
_ATTEMPTS: Final = 5
_ATTEMPTS_WHEN_THROTTLED: Final = 30
"""How often a request is made: these many pauses last over five minutes, in which a partition of S3 may be split."""
_SLOW_DOWN: Final = frozenset({429, 503})
_AGAIN: Final = frozenset({0, 408, 429, 500, 502, 503, 504})
"""HTTP status of an answer that is asked for again; 0 = no answer."""
_OLDEST_LIBCURL: Final = 0x080000
_LONGEST_BODY: Final = 64 << 20
"""Bytes, unpacked; a page of a thousand names that are all as long as may be is not a tenth of it. Of header lines
libcurl takes 300 KiB by itself."""
CUT_OFF: Final = "cut off"
TOO_LONG: Final = "too long"
_LOST: Final = {
    pycurl.E_OPERATION_TIMEDOUT: "timed out",
    pycurl.E_PARTIAL_FILE: CUT_OFF,
    pycurl.E_WRITE_ERROR: TOO_LONG,
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_COULDNT_RESOLVE_HOST: "no such host",
    pycurl.E_SSL_CACERT: "certificate not trusted",
}


@dataclass(slots=True, eq=False)
class Transfer:
    """One request, and its answer once it is settled."""

    operation: tuple[str, str]
    """(service, operation), as the table of allowed requests names it."""
    url: str
    tag: object = None
    """Whatever the caller wants to find it by."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """The query that tells this page from the others of its listing."""
    head: bool = False
    """HEAD, which has no body; else GET."""
    as_is: bool = False
    """The path has `.` or `..` segments, which libcurl would fold."""
    attempts: int = 0
    throttled: int = 0
    """How many of them were answered by 429 or 503: those have a patience of their own."""
    status: int = 0
    """HTTP status; 0 = no answer at all."""
    headers: bytes = b""
    """The raw header lines of the last answer."""
    body: bytes = b""
    renewed: bool = False
    """Its credentials were refused once, and made anew."""
    answer: object = None
    """What the signer made of a success."""
    lost: str = ""
    """Why there is no answer."""

    @property
    def prefix(self) -> str:
        """What its path begins with, up to the last slash."""
        return self.url.partition("?")[0].rpartition("/")[0]


class _Bounded(BytesIO):
    """Takes so many bytes and no more: what is longer is no answer, however small it came over the wire."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def take(self, some: bytes) -> int:
        """Keep a part; a number that is not its length makes libcurl end the transfer."""
        return self.write(some) if self.tell() + len(some) <= self._most else -1


class Handle(pycurl.Curl):
    """One reusable request; its connection is kept by the multi handle."""

    transfer: Transfer
    head: BytesIO
    body: _Bounded
    signed: object
    """What its credentials are, None at first; the signer's own. A default here would hide what is put on a handle."""


class Outcome(NamedTuple):
    """What an answer is worth."""

    code: str
    """`ok`, or the service's own code."""
    again: bool = False
    """It is no answer to this request: ask again, as after a fault."""


class Signer(Protocol):
    """Makes a request somebody's, and knows when an answer is none."""

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        """Put credentials on a handle that is about to make this request."""

    def look(self, transfer: Transfer) -> Outcome:
        """Tell the outcome of an answer; what a success says is put into `transfer.answer`."""


class Transfers:
    """The requests of one bucket; of one thread.

    Whoever is trusted has a certificate from the file `certificates`, or from libcurl's own where that is None. `start`
    takes any number; `settled` makes as many as the rate and the connections allow and returns those that are
    done. Faults, cut-off answers, 429 and 5xx are tried again with growing, jittered pauses.
    """

    def __init__(
        self,
        signer: Signer,
        wire: Wire,
        *,
        ceiling: float,
        agent: str,
        certificates: str | None = None,
        connections: int = CONNECTIONS,
        attempts: int | None = None,
        bucket: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if pycurl.version_info()[2] < _OLDEST_LIBCURL:
            raise RuntimeError(f"libcurl {pycurl.version_info()[1]} is too old to sign; install the pycurl wheel")
        self._signer = signer
        self._wire = wire
        self._agent = agent
        self._certificates = certificates
        self._bucket = bucket
        self._clock = clock
        self._sleep = sleep
        self._throttle = Throttle(ceiling, clock())
        self._prefixes = Prefixes(ceiling)
        self._held: dict[str, deque[Transfer]] = {}
        """By prefix, what may not leave yet though the bucket's rate would let it."""
        self._closed: set[str] = set()
        """Prefixes under which a HEAD was refused to the end, and none answered since."""
        self._most = connections
        self._attempts = attempts or _ATTEMPTS, attempts or _ATTEMPTS_WHEN_THROTTLED
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._handles: dict[tuple[bool, bool], list[Handle]] = {}
        self._flying = 0
        self._ready: deque[Transfer] = deque()
        self._later: list[tuple[float, int, Transfer]] = []
        self._number = count()
        self._outcomes: Counter[tuple[str, str, str]] = Counter()
        self._date: str | None = None

    @property
    def open(self) -> int:
        """Requests that are not settled yet."""
        held = sum(map(len, self._held.values())) if self._held else 0
        return self._flying + len(self._ready) + len(self._later) + held

    @property
    def rate(self) -> float:
        """Requests a second, as they are let through now."""
        return self._throttle.rate

    def start(self, transfer: Transfer, *, first: bool = False) -> None:
        """Queue a request, before all others where it is to be `first`.

        Raises:
            ReadOnlyError: it is not in the table of allowed requests.
        """
        self._wire.allow(*transfer.operation, {})
        if first:
            self._ready.appendleft(transfer)
        else:
            self._ready.append(transfer)

    def settled(self, within: float = 1.0) -> list[Transfer]:
        """Work until something is settled, `within` so many seconds, and return it."""
        until = self._clock() + within
        done: list[Transfer] = []
        while not done and self.open:
            now = self._clock()
            self._wake(now)
            self._admit(now)
            self._multi.perform()
            self._collect(done)
            if done:
                break
            now = self._clock()
            if now >= until:
                break
            nap = max(_SHORTEST_NAP, min(until - now, self._nap(now)))
            if self._flying:
                self._multi.select(nap)
            else:
                # With nothing to wait for libcurl would not wait at all.
                self._sleep(nap)
        self._report()
        return done

    def close(self) -> None:
        """Let go of all connections; what is not settled is dropped."""
        self._report()
        self._multi.close()

    def _wake(self, now: float) -> None:
        due: list[Transfer] = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        # Before those that were never made: however slow it goes, some come to their end.
        self._ready.extendleft(reversed(due))

    def _admit(self, now: float) -> None:
        if not self._ready and not self._held:
            return
        room = min(self._most - self._flying, self._throttle.room(now))
        left = self._admit_held(room, now) if self._held else room
        slowed = bool(self._prefixes)
        while left > 0 and self._ready:
            transfer = self._ready.popleft()
            if slowed and not self._may_leave(transfer, now):
                continue
            self._send(transfer)
            left -= 1
        if left < room:
            self._throttle.took(room - left)
        if slowed:
            self._prefixes.forget(self._held, now)

    def _admit_held(self, room: int, now: float) -> int:
        """Let requests leave that wait for their prefix; return what is left of the room."""
        for prefix, waiting in list(self._held.items()):
            for _ in range(min(room, len(waiting), self._prefixes.room(prefix, now))):
                self._prefixes.took(prefix)
                self._send(waiting.popleft())
                room -= 1
            if not waiting:
                del self._held[prefix]
        return room

    def _may_leave(self, transfer: Transfer, now: float) -> bool:
        """Whether the prefix of a request lets it leave now; else it waits with the others under it."""
        prefix = transfer.prefix
        if prefix not in self._prefixes:
            return True
        if prefix not in self._held and self._prefixes.room(prefix, now) > 0:
            self._prefixes.took(prefix)
            return True
        held = self._held.setdefault(prefix, deque())
        if transfer.attempts:
            held.appendleft(transfer)
        else:
            held.append(transfer)
        return False

    def _send(self, transfer: Transfer) -> None:
        pool = self._handles.setdefault((transfer.head, transfer.as_is), [])
        curl = pool.pop() if pool else self._new_handle(transfer)
        curl.transfer = transfer
        curl.setopt(pycurl.URL, transfer.url)
        self._signer.sign(curl, transfer)
        transfer.attempts += 1
        self._multi.add_handle(curl)
        self._flying += 1

    def _nap(self, now: float) -> float:
        """Seconds in which nothing can happen but an answer."""
        naps = [1.0]
        if self._later:
            naps.append(self._later[0][0] - now)
        if (self._ready or self._held) and self._flying < self._most:
            own = self._throttle.wait()
            # What waits for its prefix alone needs both.
            naps.append(own if self._ready else max(own, self._prefixes.wait(self._held)))
        return min(naps)

    def _collect(self, done: list[Transfer]) -> None:
        while True:
            more, good, bad = self._multi.info_read(self._most)
            for curl in good:
                transfer = self._taken(curl)
                transfer.status = curl.getinfo(pycurl.RESPONSE_CODE)
                transfer.lost = ""
                self._judge(transfer, done)
            for curl, number, _message in bad:
                transfer = self._taken(curl)
                transfer.status = 0
                transfer.lost = _LOST.get(number, f"curl {number}")
                self._judge(transfer, done)
            if not more:
                return

    def _taken(self, curl: pycurl.Curl) -> Transfer:
        assert isinstance(curl, Handle)  # noqa: S101 - the multi handle gives back what it was given
        transfer = curl.transfer
        self._multi.remove_handle(curl)
        self._flying -= 1
        self._handles[transfer.head, transfer.as_is].append(curl)
        head = curl.head
        transfer.headers = head.getvalue()
        head.seek(0)
        head.truncate()
        if not transfer.head:
            body = curl.body
            transfer.body = body.getvalue()
            body.seek(0)
            body.truncate()
        return transfer

    def _judge(self, transfer: Transfer, done: list[Transfer]) -> None:
        outcome = Outcome(transfer.lost) if transfer.lost else self._signer.look(transfer)
        if self._date is None and transfer.status:
            self._date = header(transfer.headers, b"date")
        self._outcomes[(*transfer.operation, outcome.code)] += 1
        if transfer.status in _SLOW_DOWN:
            now = self._clock()
            if self._prefixes.refused(transfer.prefix, now):
                self._throttle.refused(now)
            transfer.throttled += 1
        again = outcome.again or transfer.status in _AGAIN
        if again and self._has_patience(transfer):
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (transfer.attempts - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            heapq.heappush(self._later, (self._clock() + wait, next(self._number), transfer))
            return
        if transfer.head and transfer.status in _SLOW_DOWN:
            self._closed.add(transfer.prefix)
        elif transfer.head and transfer.status and not again:
            self._closed.discard(transfer.prefix)
        done.append(transfer)

    def _has_patience(self, transfer: Transfer) -> bool:
        """Whether a request is made again: a HEAD not where others under its prefix were throttled to the end.

        A page has its patience: without it there is no sweep. Faults and throttling are counted apart: under load
        both come, and neither may use up what the other needs.
        """
        faults, throttled = self._attempts
        if transfer.status not in _SLOW_DOWN:
            return transfer.attempts - transfer.throttled < faults
        most = 1 if transfer.head and transfer.prefix in self._closed else throttled
        return transfer.throttled < most

    def _report(self) -> None:
        for (service, operation, outcome), number in self._outcomes.items():
            self._wire.answered(service, operation, outcome, self._date, number=number, bucket=self._bucket)
            self._date = None
        self._outcomes.clear()

    def _new_handle(self, transfer: Transfer) -> Handle:
        curl = Handle()
        curl.signed = None
        curl.head = BytesIO()
        # Called a dozen times for each answer, and so without a step through Python.
        curl.setopt(pycurl.HEADERFUNCTION, curl.head.write)
        curl.setopt(pycurl.USERAGENT, self._agent)
        if self._certificates is not None:
            curl.setopt(pycurl.CAINFO, self._certificates)
        curl.setopt(pycurl.NOSIGNAL, True)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, _CONNECT)
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, _STALL)
        curl.setopt(pycurl.TIMEOUT_MS, _HEAD_WITHIN if transfer.head else _GET_WITHIN)
        if transfer.as_is:
            curl.setopt(pycurl.PATH_AS_IS, True)
        if transfer.head:
            curl.setopt(pycurl.NOBODY, True)
        else:
            curl.body = _Bounded(_LONGEST_BODY)
            curl.setopt(pycurl.WRITEFUNCTION, curl.body.take)
            curl.setopt(pycurl.ACCEPT_ENCODING, "")
        return curl
