"""Whether AWS rotates a key by itself, and since when its current material is in use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from auditor.connectors.aws.errors import FAULTS, code_of, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.digest import digest
from auditor.connectors.pace import Pace, Paces
from auditor.connectors.trail import Trail
from auditor.model import Evidence, KeyName, Reason, Rotation

_STATUS: Final = "kms:GetKeyRotationStatus"
_LIST: Final = "kms:ListKeyRotations"
_LASTS: Final = timedelta(hours=1)
"""How long an answer is believed: no verdict about data hangs on it."""
_PERIOD: Final = 365
"""Days between two rotations where none are named. Source: AWS KMS API Reference, EnableKeyRotation."""
_CANNOT: Final = "UnsupportedOperationException"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was told of a key, and when."""

    at: datetime
    material: str | None
    found: Rotation
    said: tuple[Evidence, ...]

    def holds(self, material: str | None, now: datetime) -> bool:
        """Whether it is believed still: not where the key has new material, or should have."""
        is_due = self.found.due is not None and self.at < self.found.due <= now
        return material == self.material and not is_due and timedelta(0) <= now - self.at < _LASTS


class AwsRotations:
    """Reads the rotation of keys whose material AWS makes.

    Needs `kms:GetKeyRotationStatus`. With `kms:ListKeyRotations`, which only the key's own account may call, it also
    tells since when the current material is in use where that does not follow from the period.
    """

    def __init__(self, clients: AwsClients, pace: Pace, lists: Paces, clock: Callable[[], datetime]) -> None:
        self._clients = clients
        self._pace = pace
        self._lists = lists
        self._clock = clock
        self._kept: dict[KeyName, _Kept] = {}

    def read(self, key: Mapping[str, Any]) -> tuple[Rotation | Reason | None, tuple[Evidence, ...]]:
        """Tell how one key is rotated, and which calls said so; None where it cannot be, a reason where nobody says.

        `key`: what DescribeKey said of it.
        """
        name: KeyName = key["name"]
        now = self._clock()
        if (kept := self._kept.get(name)) is not None and kept.holds(key["material"], now):
            return kept.found, kept.said
        try:
            found = self._status(name)
        except FAULTS as error:
            return (None if code_of(error) == _CANNOT else self._why(name, reason_of(error))), ()
        # A member of a multi-Region set has the material of the others, whenever it was made itself.
        made = None if key["multi_region"] else key["created"]
        latest = self._latest(name, made)
        unread = latest if isinstance(latest, Reason) else None
        found = replace(found, latest=None if isinstance(latest, Reason) else latest, latest_unread=unread)
        calls = [_STATUS] if unread is not None else [_STATUS, _LIST]
        said = tuple(Evidence(one, name.text, now, None, digest(repr(found))) for one in calls)
        if unread in {None, Reason.NOT_VISIBLE, Reason.ACCESS_DENIED}:
            self._kept[name] = _Kept(now, key["material"], found, said)
        return found, said

    def _status(self, name: KeyName) -> Rotation:
        self._pace.wait()
        told = self._clients.kms(name.location, name.owner).get_key_rotation_status(KeyId=name.text)
        return parse_rotation(told)

    def _why(self, name: KeyName, reason: Reason) -> Reason:
        """Why nobody says: another account lets see it whom it wants."""
        return reason if reason is not Reason.ACCESS_DENIED or self._is_ours(name) else Reason.NOT_VISIBLE

    def _is_ours(self, name: KeyName) -> bool:
        """Whether the identity is of the key's account; one that cannot be told is let try."""
        caller = self._clients.caller(name.owner)
        return isinstance(caller, Reason) or caller[0] == name.owner

    def _latest(self, name: KeyName, made: datetime | None) -> datetime | Reason | None:
        """Since when the current material is in use; a reason where nobody says, None where it was never rotated.

        The next date tells nothing of the last: a rotation by hand leaves it as it is.
        """
        if not self._is_ours(name):
            return Reason.NOT_VISIBLE
        client = self._clients.kms(name.location, name.owner)
        asked: dict[str, Any] = {"KeyId": name.text, "IncludeKeyMaterial": "ROTATIONS_ONLY", "Limit": 1000}
        dates: list[datetime | None] = [made]
        trail = Trail()
        try:
            while True:
                self._lists.of(name.owner, name.location).wait()
                page: Mapping[str, Any] = client.list_key_rotations(**asked)
                dates.extend(one.get("RotationDate") for one in page["Rotations"])
                if not page.get("Truncated"):
                    return max((one.astimezone(UTC) for one in dates if one is not None), default=None)
                asked["Marker"] = page.get("NextMarker")
                if not trail.leads_on(asked["Marker"]):
                    return Reason.MALFORMED
        except FAULTS as error:
            return reason_of(error)


def parse_rotation(told: Mapping[str, Any]) -> Rotation:
    """Read GetKeyRotationStatus."""
    if not told["KeyRotationEnabled"]:
        return Rotation(None)
    due = told.get("NextRotationDate")
    period = timedelta(days=told.get("RotationPeriodInDays") or _PERIOD)
    return Rotation(period, due.astimezone(UTC) if due is not None else None)
