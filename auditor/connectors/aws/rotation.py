"""Whether AWS rotates a key by itself, and since when its current material is in use."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from auditor.connectors.aws.errors import FAULTS, code_of, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.digest import digest
from auditor.connectors.pace import Pace
from auditor.connectors.trail import Trail
from auditor.model import Evidence, KeyName, Reason, Rotation

_STATUS: Final = "kms:GetKeyRotationStatus"
_LIST: Final = "kms:ListKeyRotations"
_LASTS: Final = timedelta(hours=1)
"""How long an answer is believed: no verdict about data hangs on it."""
_PERIOD: Final = 365
"""Days between two rotations where none are named. Source: AWS KMS API Reference, EnableKeyRotation."""
_A_DAY: Final = timedelta(days=1)
_CANNOT: Final = "UnsupportedOperationException"


class AwsRotations:
    """Reads the rotation of keys whose material AWS makes.

    Needs `kms:GetKeyRotationStatus`. With `kms:ListKeyRotations`, which only the key's own account may call, it also
    tells since when the current material is in use where that does not follow from the period.
    """

    def __init__(self, clients: AwsClients, pace: Pace, lists: Pace, clock: Callable[[], datetime]) -> None:
        self._clients = clients
        self._pace = pace
        self._lists = lists
        self._clock = clock
        self._kept: dict[KeyName, tuple[datetime, Rotation | None, tuple[Evidence, ...]]] = {}

    def read(self, name: KeyName, created: datetime | None) -> tuple[Rotation | Reason | None, tuple[Evidence, ...]]:
        """Tell how one key is rotated, and which calls said so; None where it cannot be, a reason where nobody says."""
        now = self._clock()
        if name in self._kept:
            at, known, said = self._kept[name]
            if timedelta(0) <= now - at < _LASTS:
                return known, said
        try:
            found = self._status(name)
        except FAULTS as error:
            return (None if code_of(error) == _CANNOT else self._why(name, reason_of(error))), ()
        calls = [_STATUS]
        if created is not None and is_before_its_first(found, created):
            found = replace(found, latest=created)
        elif (latest := self._latest(name, created)) is not None:
            found = replace(found, latest=latest)
            calls.append(_LIST)
        said = tuple(Evidence(one, name.text, now, None, digest(repr(found))) for one in calls)
        self._kept[name] = now, found, said
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

    def _latest(self, name: KeyName, created: datetime | None) -> datetime | None:
        """Since when the current material is in use; None where that cannot be learnt."""
        if not self._is_ours(name):
            return None
        client = self._clients.kms(name.location, name.owner)
        asked: dict[str, Any] = {"KeyId": name.text, "IncludeKeyMaterial": "ROTATIONS_ONLY", "Limit": 1000}
        dates: list[datetime | None] = [created]
        trail = Trail()
        try:
            while True:
                self._lists.wait()
                page: Mapping[str, Any] = client.list_key_rotations(**asked)
                dates.extend(one.get("RotationDate") for one in page["Rotations"])
                if not page.get("Truncated"):
                    return max((one.astimezone(UTC) for one in dates if one is not None), default=None)
                asked["Marker"] = page.get("NextMarker")
                if not trail.leads_on(asked["Marker"]):
                    return None
        except FAULTS:
            return None


def is_before_its_first(rotation: Rotation, created: datetime) -> bool:
    """Whether a key has not come to its first rotation by itself: the next one is one period after it was made.

    Any later date tells nothing of the last rotation: the first is one period after that was switched on, whenever
    that was.
    """
    if rotation.period is None or rotation.due is None:
        return False
    return abs(rotation.due - created - rotation.period) <= _A_DAY


def parse_rotation(told: Mapping[str, Any]) -> Rotation:
    """Read GetKeyRotationStatus."""
    if not told["KeyRotationEnabled"]:
        return Rotation(None)
    due = told.get("NextRotationDate")
    period = timedelta(days=told.get("RotationPeriodInDays") or _PERIOD)
    return Rotation(period, due.astimezone(UTC) if due is not None else None)
