"""What answers of AWS come to, and where questions to it go."""

from collections.abc import Callable
from typing import Final

from auditor.checkup import Answer, Told
from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.errors import UsageError
from auditor.model import NO_RIGHT, Probe, ProbeOutcome, Reason

_CANNOT: Final = "UnsupportedOperationException"
_NO_DEFAULT: Final = "ServerSideEncryptionConfigurationNotFoundError"


def group_of(account: str | None) -> str:
    """Where checks of an account belong."""
    return f"AWS account {account}" if account else "AWS, default identity"


def endpoint_of(clients: AwsClients, service: str, account: str | None, region: str | None = None) -> str:
    """Where requests to a service go; the service's name where that cannot be told."""
    try:
        return clients.endpoint(service, region, account)
    except (*FAULTS, UsageError):
        return service  # whoever asks is told so


def tried(ask: Callable[[], str | Told], permission: str) -> Told:
    """Ask, and take what was told, or why nothing was."""
    try:
        found = ask()
    except FAULTS as error:
        if code_of(error) == _NO_DEFAULT:
            return Told(None, "no default key of a customer")
        return not_told(error, permission)
    return found if isinstance(found, Told) else Told(None, found)


def may(call: Callable[[], object], permission: str) -> Told:
    """Call, and tell whether that is allowed."""
    try:
        call()
    except FAULTS as error:
        if code_of(error) == _CANNOT:
            return Told(None, "answered: keys of this kind have none")
        return not_told(error, permission)
    return Told(None, "answered")


def not_told(error: Exception, permission: str) -> Told:
    """Why nothing was told, and which permission would change that."""
    reason = reason_of(error)
    return Told(reason, code_of(error), hint_for(reason, permission))


def of_probe(found: Probe) -> Told:
    """What a probe says of the auditor's own right."""
    if found.outcome is ProbeOutcome.PASSED:
        return Told(None, "passed")
    if found.code == NO_RIGHT:
        return Told(Reason.ACCESS_DENIED, "refused for want of the right", "docs/permissions.md tells what probes need")
    text = f"{found.code}: what stops it is not the auditor's right"
    return Told(found.reason or Reason.UNSUPPORTED, text, "look at the key", Answer.UNKNOWN)
