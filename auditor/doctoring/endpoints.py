"""Where requests go, and what time it is there: told by the answers that came, and by a look at who was silent."""

import socket
import ssl
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from auditor.addresses import shown
from auditor.checkup import Answer, Check, Question, Told
from auditor.doctoring.asking import ask
from auditor.doctoring.local import MACHINE
from auditor.model import Reason

_WAIT: Final = 3.0
_OFF: Final = timedelta(minutes=1)
"""Less is no harm: rules count in minutes and more."""
_SILENT: Final = frozenset({Reason.TIMEOUT, Reason.EXPIRED_CREDENTIALS, Reason.MALFORMED})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def of_endpoints(heard: Iterable[tuple[str, Told]], within: float) -> list[Check]:
    """Tell of each endpoint whether it answered; one that did not is looked at."""
    told: defaultdict[str, list[Told]] = defaultdict(list)
    for endpoint, one in heard:
        told[endpoint].append(one)
    found: list[Question | Check] = []
    for endpoint, answers in sorted(told.items()):
        if any(one.reason not in _SILENT for one in answers):
            found.append(_answered(endpoint))
        else:
            found.append(Question(MACHINE, _what(endpoint), partial(_look, endpoint), None, endpoint))
    return [check for check, _, _ in ask(found, within)]


def of_clock(skew: timedelta, heard: bool) -> Check:  # noqa: FBT001 - one call
    """Tell how far this machine's clock is off, by the dates of the answers."""
    what = "clock"
    if not heard:
        told = "no answer came that it could be held against"
        return Check(MACHINE, what, Answer.UNKNOWN, told, reason=Reason.TIMEOUT)
    seconds = round(abs(skew).total_seconds())
    if abs(skew) < _OFF:
        return Check(MACHINE, what, Answer.OK, f"{seconds} s off the clouds'" if seconds else "as the clouds'")
    side = "behind" if skew > timedelta(0) else "ahead of"
    return Check(
        MACHINE,
        what,
        Answer.MISSING,
        f"{seconds} s {side} the clouds'",
        lost="AWS refuses requests of a clock that is some minutes off; dates are judged by the clouds' clock while "
        "it is within a day, and by this one beyond",
        todo="set this machine's clock, by NTP",
    )


def _what(endpoint: str) -> str:
    return f"endpoint {shown(endpoint)}"


def _answered(endpoint: str) -> Check:
    url = urlsplit(endpoint)
    if url.scheme != "http":
        return Check(MACHINE, _what(endpoint), Answer.OK, "answered, over TLS")
    if url.hostname in _LOOPBACK:
        return Check(MACHINE, _what(endpoint), Answer.OK, "answered, over plain http on loopback")
    lost = "answers can be read and changed on the way, and with them every verdict"
    todo = "write https:// where the endpoint is set"
    return Check(MACHINE, _what(endpoint), Answer.MISSING, "answered, over plain http", lost=lost, todo=todo)


def _look(endpoint: str) -> Told:
    """Why nobody answered: the name, the connection, the certificate, or none of these."""
    url = urlsplit(endpoint)
    if url.hostname is None:
        return Told(Reason.TIMEOUT, "where it is could not be told", "look at the credentials and the Region")
    if url.scheme in getproxies():
        return Told(Reason.TIMEOUT, "nothing came back through the proxy", "look at the proxy and at its rules")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        with socket.create_connection((url.hostname, port), _WAIT) as plain:
            if url.scheme == "https":
                ssl.create_default_context().wrap_socket(plain, server_hostname=url.hostname).close()
    except socket.gaierror:
        return Told(Reason.TIMEOUT, "its name cannot be resolved", "look at the name, and at this machine's DNS")
    except ssl.SSLCertVerificationError as error:
        todo = "look who answers in its place; a private authority goes into AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE"
        return Told(Reason.TIMEOUT, f"its certificate is not trusted: {error.verify_message}", todo)
    except OSError as error:
        told = error.strerror or type(error).__name__
        return Told(Reason.TIMEOUT, f"no connection: {told}", "look at the address, the route and the firewall")
    return Told(Reason.TIMEOUT, "it takes connections, and no request got a usable answer", "look at the checks of it")
