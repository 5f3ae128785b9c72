"""Google errors -> reasons.

Source: Cloud KMS docs, Error codes; google.api_core.exceptions; Cloud Storage docs, JSON API status codes.
"""

import json
from typing import Final

import requests
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.protobuf.json_format import ParseError

from auditor.model import Reason

FAULTS: Final = (api.GoogleAPICallError, api.RetryError, GoogleAuthError, requests.RequestException, ParseError)
"""Everything that a call to Google can raise instead of an answer."""

_STATUS: Final = {
    400: Reason.MALFORMED,
    401: Reason.EXPIRED_CREDENTIALS,
    403: Reason.ACCESS_DENIED,
    404: Reason.NOT_FOUND,
    429: Reason.THROTTLED,
    501: Reason.UNSUPPORTED,
}


HINTS: Final = {
    Reason.NOT_FOUND: "look at the name in the config",
    Reason.EXPIRED_CREDENTIALS: "give the auditor credentials, or renew them; to `impersonate` an account takes "
    "iam.serviceAccounts.getAccessToken on it",
    Reason.THROTTLED: "lower requests_per_second or gcp_kms_quota_share",
    Reason.MALFORMED: "look at the name and the endpoint in the config",
    Reason.UNSUPPORTED: "look at the endpoint: it does not know this call",
}
"""What would close a gap, by its reason; a missing permission is named where it is known."""


def reason_of(error: Exception) -> Reason:
    """Why a call gave no answer; faults on the way, and errors of the service itself, count as `timeout`."""
    match error:
        case RefreshError() | DefaultCredentialsError():
            return Reason.EXPIRED_CREDENTIALS
        case api.RetryError(cause=Exception() as cause):
            return reason_of(cause)
        case TransportError():
            return Reason.TIMEOUT
        case requests.HTTPError(response=requests.Response() as response):
            return reason_of_status(response.status_code)
        case requests.JSONDecodeError() | ParseError():
            return Reason.MALFORMED
        case api.GoogleAPICallError(code=401 | 403 | 404) if status_of(error) is None:
            return Reason.MALFORMED
        case api.GoogleAPICallError():
            return reason_of_status(int(error.code or 0))
        case _:
            return Reason.TIMEOUT


def status_of(error: api.GoogleAPICallError) -> str | None:
    """The status that Google's own error names; None for a page that somebody on the way has put in its place."""
    response = error.response
    if not isinstance(response, requests.Response):
        # Over gRPC nobody can put a page in its place; what we made ourselves, of an answer that is none, has a code.
        return str(error.grpc_status_code.name) if error.grpc_status_code is not None else str(error.code)
    return status_in(response.content)


def status_in(body: bytes) -> str | None:
    """The status that the body of Google's own error names; None where the body is something else."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    inner = told.get("error") if isinstance(told, dict) else None
    return str(inner.get("status") or inner.get("code")) if isinstance(inner, dict) else None


def reason_of_status(status: int) -> Reason:
    """Why an HTTP answer was none; errors of the service itself count as `timeout`."""
    return _STATUS.get(status, Reason.TIMEOUT)


def code_of(error: Exception) -> str:
    """The status in words, never the service's free text."""
    if isinstance(error, api.RetryError) and error.cause is not None:
        return code_of(error.cause)
    if isinstance(error, api.GoogleAPICallError):
        status = error.grpc_status_code
        return str(status.name) if status is not None else f"HTTP {int(error.code or 0)}"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    return type(error).__name__


def hint_for(reason: Reason, permission: str) -> str:
    """What would close a gap, where a missing permission is the likeliest cause."""
    if reason is Reason.ACCESS_DENIED:
        return f"grant {permission} to the auditor (deploy/gcp-auditor-role.yaml has all that it needs)"
    return HINTS.get(reason, "look at the network between the auditor and Google Cloud, and try again")
