"""To which names the web side answers: a page elsewhere can let a name of its own point here, and read along."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH: Final = "/healthz"
"""The one page that tells nothing: whoever checks that the process lives knows neither a name nor a secret."""
ANY: Final = "*"
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?")


class Hosts:
    """Names and addresses, in the form in which a request has them."""

    def __init__(self, names: Iterable[str] = (), *, local: bool) -> None:
        """`names`: addresses, names, `*.NAME` (one label stands for the `*`) or `*` (any name).

        `local`: those of this machine itself as well.
        """
        self._names = frozenset(_canonical(name) for name in names)
        self.local = local

    def answers(self, host: str) -> bool:
        """Whether a request that calls us so, with any port, is answered."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = _canonical(found["six"] if found["six"] is not None else found["name"])
        if not name:
            return False
        label, dot, rest = name.partition(".")
        return (self.local and _is_local(name)) or not self._names.isdisjoint(
            {name, f"{label and ANY}{dot}{rest}", ANY}
        )

    @property
    def refusal(self) -> str:
        """What whoever calls us otherwise is told."""
        if self.local:
            return "this server answers only to 127.0.0.1, [::1] and localhost, with any port, and to [web] hosts"
        return "this server does not answer to that name; [web] hosts says to which it does"


class OnlyKnownHosts:
    """Answers only requests that name this server by a name that is its own.

    Whoever sends no Host at all is no browser.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host")
            # A load balancer calls us by an address that no certificate names.
            is_check = scope["path"] == HEALTH and not self._hosts.local
            if host is not None and not is_check and not self._hosts.answers(host):
                refusal = JSONResponse({"error": self._hosts.refusal}, status_code=421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _canonical(name: str) -> str:
    """One spelling of each name: lower case, without a dot at its end, addresses as the standard library has them."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().removesuffix(".")


def _is_local(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
