"""Who is let in: a bearer token or a name and password with each request, without sessions or cookies."""

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from auditor.web.hosts import HEALTH
from auditor.web.users import Hashed

_log = logging.getLogger(__name__)

_REMEMBERED: Final = 60.0
"""Seconds after its last use in which a password that was right is not hashed again."""
_MOST: Final = 64
"""As many right passwords are remembered, and so many addresses with wrong ones."""
_TRIES: Final = 10
"""Wrong passwords from one address at once; then one more each `_PAUSE` seconds."""
_TRIES_OF_ALL: Final = 30
"""The same of all addresses together, with one more a second."""
_PAUSE: Final = 6.0
_WAITING: Final = 8
"""Passwords that wait for their turn to be hashed: one at a time is."""
_SELDOM: Final = 60.0
"""Seconds until refused logins are logged again."""


class _Answer(Enum):
    LET_IN = auto()
    REFUSED = auto()
    LATER = auto()


@dataclass(slots=True)
class _Budget:
    """Tries that are left: some at once, and one more each so many seconds."""

    most: int
    pause: float
    left: float
    at: float

    def has_any(self, now: float) -> bool:
        self.left = min(self.most, self.left + max(0.0, now - self.at) / self.pause)
        self.at = now
        return self.left >= 1.0

    def spend(self) -> None:
        self.left -= 1.0


class Logins:
    """Compares what requests bring with a token and with users. It keeps neither token nor passwords, only digests.

    To hash a password costs on purpose. So that nobody makes us do nothing else, one is hashed at a time, few wait for
    it, and wrong ones are counted by address and together; whoever was right within a minute is not hashed again.
    """

    def __init__(
        self, token: str | None, users: Mapping[str, Hashed], ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secrets.token_bytes(32)
        self._token = self._digest(token.encode()) if token is not None else None
        self._users = users
        self._ticks = ticks
        self._right: dict[bytes, float] = {}
        self._budgets: dict[str, _Budget] = {}
        self._of_all = _Budget(_TRIES_OF_ALL, 1.0, _TRIES_OF_ALL, ticks())
        self._waiting = 0
        self._one_at_a_time = asyncio.Lock()
        self._told: float | None = None

    @property
    def challenges(self) -> tuple[str, ...]:
        """How one can log in, as `WWW-Authenticate` says it."""
        basic = ('Basic realm="cmek-auditor", charset="UTF-8"',) if self._users else ()
        return (*basic, *(('Bearer realm="cmek-auditor"',) if self._token is not None else ()))

    async def answer(self, given: list[str], address: str) -> _Answer:
        """Judge the `Authorization` headers of a request."""
        if len(given) != 1:
            return _Answer.REFUSED
        kind, _, told = given[0].partition(" ")
        match kind.lower():
            case "bearer":
                is_right = self._token is not None and hmac.compare_digest(self._digest(_bytes(told)), self._token)
                found = _Answer.LET_IN if is_right else _Answer.REFUSED
            case "basic" if self._users:
                found = await self._by_password(told.strip(), address)
            case _:
                found = _Answer.REFUSED
        if found is not _Answer.LET_IN:
            self._tell(address)
        return found

    async def _by_password(self, told: str, address: str) -> _Answer:
        digest = self._digest(_bytes(told))
        if self._is_known(digest):
            return _Answer.LET_IN
        if self._waiting >= _WAITING:
            return _Answer.LATER
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                # Whoever opens several connections at once is hashed for one of them.
                return _Answer.LET_IN if self._is_known(digest) else await self._hashed(told, digest, address)
        finally:
            self._waiting -= 1

    async def _hashed(self, told: str, digest: bytes, address: str) -> _Answer:
        budget = self._budget(address)
        now = self._ticks()
        if not (budget.has_any(now) and self._of_all.has_any(now)):
            return _Answer.LATER
        name, password = _parted(told)
        user = self._users.get(name)
        checked = await asyncio.to_thread((user or self._stand_in(name)).fits, password)
        if user is None or not checked:
            budget.spend()
            self._of_all.spend()
            return _Answer.REFUSED
        if len(self._right) >= _MOST:
            del self._right[min(self._right, key=self._right.__getitem__)]
        self._right[digest] = self._ticks()
        return _Answer.LET_IN

    def _stand_in(self, name: str) -> Hashed:
        """Whose hash is computed for a name that nobody has: it costs what one of the users' does, always the same."""
        users = list(self._users.values())
        return users[int.from_bytes(self._digest(name.encode())) % len(users)]

    def _is_known(self, digest: bytes) -> bool:
        now = self._ticks()
        self._right = {one: at for one, at in self._right.items() if now - at < _REMEMBERED}
        found = digest in self._right
        if found:
            self._right[digest] = now
        return found

    def _budget(self, address: str) -> _Budget:
        now = self._ticks()
        if address not in self._budgets and len(self._budgets) >= _MOST:
            # Who has most left loses nothing by being forgotten.
            del self._budgets[max(self._budgets, key=lambda one: (self._budgets[one].left, -self._budgets[one].at))]
        return self._budgets.setdefault(address, _Budget(_TRIES, _PAUSE, _TRIES, now))

    def _digest(self, some: bytes) -> bytes:
        return hashlib.blake2b(some, key=self._secret, digest_size=32).digest()

    def _tell(self, address: str) -> None:
        now = self._ticks()
        if self._told is None or now - self._told >= _SELDOM:
            self._told = now
            _log.warning("a login from %s was refused; more of them are not logged for a minute", address)


class OnlyWhoMay:
    """Asks for a login on every page but the check that the process lives."""

    def __init__(self, app: ASGIApp, logins: Logins) -> None:
        self._app = app
        self._logins = logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("somewhere", 0))[0]
        given = Headers(scope=scope).getlist("authorization")
        answer = await self._logins.answer(given, address)
        if answer is _Answer.LET_IN:
            await self._app(scope, receive, send)
        else:
            await self._refusal(answer)(scope, receive, send)

    def _refusal(self, answer: _Answer) -> Response:
        if answer is _Answer.LATER:
            told = {"error": "too many logins were refused or wait; try again later"}
            return JSONResponse(told, status_code=429, headers={"Retry-After": str(int(_PAUSE))})
        refusal = JSONResponse({"error": "log in: no valid token, or no name and password, came with the request"}, 401)
        for challenge in self._logins.challenges:
            refusal.headers.append("WWW-Authenticate", challenge)
        return refusal


def _bytes(told: str) -> bytes:
    # Headers are bytes, which Starlette tells as Latin-1.
    return told.encode("latin-1")


def _parted(told: str) -> tuple[str, bytes]:
    """Name and password of basic authentication. Source: RFC 7617."""
    try:
        name, _, password = base64.b64decode(told, validate=True).partition(b":")
        return name.decode(), password
    except ValueError:
        return "", b""
