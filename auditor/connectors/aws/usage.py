"""When a key of AWS was used last, as KMS recorded it.

Source: AWS KMS API Reference, GetKeyLastUsage; AWS KMS Developer Guide, Determine past usage of a KMS key.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from auditor.connectors.aws.errors import FAULTS, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.pace import Pace
from auditor.model import KeyName, Reason
from auditor.questions.retire.standing import LastUse


class AwsLastUses:
    """Asks about keys one by one, with an identity of each key's own account: no other is answered.

    Needs `kms:GetKeyLastUsage`. An account and Region from which nothing at all came is not asked again.
    """

    def __init__(self, clients: AwsClients, pace: Pace) -> None:
        self._clients = clients
        self._pace = pace
        self._silent: set[tuple[str, str]] = set()
        self._callers: dict[str, tuple[str, str] | Reason] = {}

    def read(self, name: KeyName) -> LastUse | Reason:
        """Ask about one key; a reason where nobody says.

        Raises:
            UsageError: the config names a profile that is not there, or half of the credentials is missing.
        """
        place = name.owner, name.location
        if place in self._silent:
            return Reason.TIMEOUT
        if not self._may_be_ours(name):
            return Reason.NOT_VISIBLE
        client = self._clients.kms(name.location, name.owner)
        self._pace.wait()
        try:
            return parse_last_use(name, client.get_key_last_usage(KeyId=name.text))
        except FAULTS as error:
            reason = reason_of(error)
            if reason is Reason.TIMEOUT and not isinstance(error, ClientError):
                self._silent.add(place)
            return reason

    def _may_be_ours(self, name: KeyName) -> bool:
        """Whether the identity is of the key's account; one that cannot be told, which is asked once, is let try."""
        if name.owner not in self._callers:
            self._callers[name.owner] = self._clients.caller(name.owner)
        caller = self._callers[name.owner]
        return isinstance(caller, Reason) or caller[0] == name.owner


def parse_last_use(name: KeyName, told: Mapping[str, Any]) -> LastUse | Reason:
    """Read GetKeyLastUsage's answer, which names the key by its ARN or by its id."""
    if told["KeyId"] not in {name.text, name.text.rpartition("/")[2]}:
        return Reason.MALFORMED
    use = told.get("KeyLastUsage", {})
    return LastUse(
        since=told["TrackingStartDate"].astimezone(UTC),
        created=_utc(told.get("KeyCreationDate")),
        at=_utc(use.get("Timestamp")),
        operation=use.get("Operation"),
        event=use.get("CloudTrailEventId"),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
