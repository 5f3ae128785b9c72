"""Endpoints of the environment, looked at before anything is asked: the SDK would break on a bad one in mid-sweep.

Source: AWS SDKs and Tools Reference Guide, Service-specific endpoints.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from auditor.addresses import shown
from auditor.errors import UsageError

_EVERY: Final = "AWS_ENDPOINT_URL"
_SERVICES: Final = ("S3", "KMS", "STS", "CLOUDTRAIL", "SQS", "CLOUDWATCH")
_IGNORED: Final = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
HINT: Final = "write http://HOST:PORT or https://HOST"


def demand_usable(environ: Mapping[str, str]) -> None:
    """See that each service that is asked has an address in it, where it has one.

    Raises:
        UsageError: one is no URL.
    """
    if environ.get(_IGNORED, "").lower() == "true":
        return
    for service in _SERVICES:
        name = next((one for one in (f"{_EVERY}_{service}", _EVERY) if environ.get(one)), None)
        if name is not None and not _is_usable(environ[name]):
            raise UsageError(f"environment variable {name}: {_told(environ[name])} is not an endpoint", HINT)


def _is_usable(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname)


def _told(text: str) -> str:
    """What was given; nothing of it where a password may be in it."""
    return "..." if "@" in text and "://" not in text else repr(shown(text))
