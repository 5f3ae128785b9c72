"""The doors of the web side, as the config sets them: by which names it is called, and who may come in."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

from auditor.config import Web
from auditor.errors import UsageError
from auditor.web.hosts import Hosts
from auditor.web.logins import Logins
from auditor.web.users import read_users

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{32,}=*")
"""A bearer token that nobody guesses. Source: RFC 6750, section 2.1."""


def logins_of(web: Web, environment: Mapping[str, str] = os.environ) -> Logins | None:
    """Who may log in; None where nobody needs to.

    Raises:
        UsageError: the token or the users cannot be read, or are none.
    """
    if not web.asks:
        return None
    token = _token(web.token_env, environment) if web.token_env is not None else None
    return Logins(token, read_users(web.users_file) if web.users_file is not None else {})


def hosts_of(web: Web, certified: Sequence[str] | None) -> Hosts:
    """By which names requests may call us; `certified`: those of the certificate.

    Raises:
        UsageError: there is no such name.
    """
    if web.is_local:
        return Hosts(web.hosts, local=True)
    names = web.hosts or certified
    if not names:
        raise UsageError(
            "[web] tls_cert has no subject alternative names, so that nobody knows how requests may call this server",
            'write hosts = ["auditor.example.com"], or have the certificate name it',
        )
    return Hosts(names, local=False)


def _token(variable: str, environment: Mapping[str, str]) -> str:
    told = environment.get(variable, "").strip()
    if not told:
        raise UsageError(f"[web] token_env: environment variable {variable} is not set", _HINT)
    if not _TOKEN.fullmatch(told):
        raise UsageError(
            f"[web] token_env: what environment variable {variable} holds is no bearer token of 32 characters or more",
            _HINT,
        )
    return told


_HINT: Final = "make one with `openssl rand -hex 32`, and set the variable to it where the auditor starts"
