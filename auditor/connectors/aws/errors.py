"""AWS error codes -> reasons.

Source: Amazon S3 API Reference, Error responses; botocore's kms model; AWS General Reference, common errors.
"""

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from auditor.connectors.aws.answers import MALFORMED
from auditor.model import Reason

FAULTS: Final = (ClientError, BotoCoreError, ResponseParserError)
"""Everything that a call to AWS can raise instead of an answer."""

_CODES: Final = {
    "AccessDenied": Reason.ACCESS_DENIED,
    "AccessDeniedException": Reason.ACCESS_DENIED,
    "AllAccessDisabled": Reason.ACCESS_DENIED,
    "UnauthorizedOperation": Reason.ACCESS_DENIED,
    "403": Reason.ACCESS_DENIED,
    "NoSuchBucket": Reason.NOT_FOUND,
    "NoSuchKey": Reason.NOT_FOUND,
    "NoSuchVersion": Reason.NOT_FOUND,
    "MetadataConfigurationNotFound": Reason.NOT_FOUND,
    "NotFoundException": Reason.NOT_FOUND,
    "AWS.SimpleQueueService.NonExistentQueue": Reason.NOT_FOUND,
    "QueueDoesNotExist": Reason.NOT_FOUND,
    "KmsAccessDenied": Reason.ACCESS_DENIED,
    "KMS.AccessDeniedException": Reason.ACCESS_DENIED,
    "404": Reason.NOT_FOUND,
    "405": Reason.NOT_FOUND,
    "ExpiredToken": Reason.EXPIRED_CREDENTIALS,
    "ExpiredTokenException": Reason.EXPIRED_CREDENTIALS,
    "InvalidToken": Reason.EXPIRED_CREDENTIALS,
    "InvalidAccessKeyId": Reason.EXPIRED_CREDENTIALS,
    "InvalidClientTokenId": Reason.EXPIRED_CREDENTIALS,
    "UnrecognizedClientException": Reason.EXPIRED_CREDENTIALS,
    "SignatureDoesNotMatch": Reason.EXPIRED_CREDENTIALS,
    "RequestTimeTooSkewed": Reason.EXPIRED_CREDENTIALS,
    "SlowDown": Reason.THROTTLED,
    "503": Reason.THROTTLED,
    "429": Reason.THROTTLED,
    "Throttling": Reason.THROTTLED,
    "ThrottlingException": Reason.THROTTLED,
    "TooManyRequestsException": Reason.THROTTLED,
    "RequestLimitExceeded": Reason.THROTTLED,
    "RequestThrottled": Reason.THROTTLED,
    "OverLimit": Reason.THROTTLED,
    MALFORMED: Reason.MALFORMED,
    "InvalidArnException": Reason.MALFORMED,
    "ValidationException": Reason.MALFORMED,
    "UnknownOperationException": Reason.UNSUPPORTED,
    "UnsupportedOperationException": Reason.UNSUPPORTED,
    "NotImplemented": Reason.UNSUPPORTED,
    "InvalidObjectState": Reason.UNSUPPORTED,
    "PermanentRedirect": Reason.MALFORMED,
    "301": Reason.MALFORMED,
}


HINTS: Final = {
    Reason.NOT_FOUND: "look at the name and the account in the config",
    Reason.EXPIRED_CREDENTIALS: "give the auditor credentials, or renew them",
    Reason.THROTTLED: "lower requests_per_second or kms_quota_share",
    Reason.MALFORMED: "look at the name and the `region` in the config",
    Reason.UNSUPPORTED: "look at the endpoint: it does not know this call",
}
"""What would close a gap, by its reason; a missing permission is named where it is known."""


def reason_of(error: Exception) -> Reason:
    """Why a call gave no answer; faults on the way, and codes that nobody knows, count as `timeout`."""
    if isinstance(error, ClientError):
        reason = reason_of_code(code_of(error))
        if reason is Reason.ACCESS_DENIED and error.operation_name.startswith("AssumeRole"):
            return Reason.EXPIRED_CREDENTIALS  # it is the auditor that has none, whatever was to be asked with them
        return reason
    if isinstance(error, ResponseParserError):
        return Reason.MALFORMED
    if isinstance(error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError):
        return Reason.EXPIRED_CREDENTIALS
    return Reason.TIMEOUT


def reason_of_code(code: str) -> Reason:
    """The reason that a service's code stands for; codes that nobody knows count as `timeout`."""
    return _CODES.get(code, Reason.TIMEOUT)


def code_of(error: Exception) -> str:
    """The service's own code, or the kind of the fault; never its free text."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__


def hint_for(reason: Reason, permission: str) -> str:
    """What would close a gap, where a missing permission is the likeliest cause."""
    if reason is Reason.ACCESS_DENIED:
        return f"grant {permission} to the auditor"
    return HINTS.get(reason, "look at the network between the auditor and AWS, and try again")
