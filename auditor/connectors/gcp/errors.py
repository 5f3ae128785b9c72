"""Google errors -> reasons.

Source: Cloud KMS docs, Error codes; google.api_core.exceptions; Cloud Storage docs, JSON API status codes.
"""

from typing import Final

import requests
from google.api_core import exceptions as api
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError

from auditor.model import Reason

FAULTS: Final = (api.GoogleAPICallError, api.RetryError, GoogleAuthError, requests.RequestException)
"""Everything that a call to Google can raise instead of an answer."""

_STATUS: Final = {
    400: Reason.MALFORMED,
    401: Reason.EXPIRED_CREDENTIALS,
    403: Reason.ACCESS_DENIED,
    404: Reason.NOT_FOUND,
    429: Reason.THROTTLED,
    501: Reason.UNSUPPORTED,
}


def reason_of(error: Exception) -> Reason:
    """Why a call gave no answer; faults on the way, and errors of the service itself, count as `timeout`."""
    match error:
        case RefreshError() | DefaultCredentialsError():
            return Reason.EXPIRED_CREDENTIALS
        case TransportError():
            return Reason.TIMEOUT
        case requests.HTTPError(response=requests.Response() as response):
            return _STATUS.get(response.status_code, Reason.TIMEOUT)
        case requests.JSONDecodeError():
            return Reason.MALFORMED
        case api.GoogleAPICallError():
            return _STATUS.get(int(error.code or 0), Reason.TIMEOUT)
        case _:
            return Reason.TIMEOUT


def code_of(error: Exception) -> str:
    """The status in words, never the service's free text."""
    if isinstance(error, api.GoogleAPICallError):
        status = error.grpc_status_code
        return str(status.name) if status is not None else f"HTTP {int(error.code or 0)}"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
