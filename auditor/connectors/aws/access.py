"""Who may use a key: its policy, the policy of a share through RAM, its grants."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from auditor.connectors.aws.errors import FAULTS, code_of, reason_of
from auditor.connectors.aws.policy import PLATFORM_ACTIONS, KeyGrant, Policies, access_of, grant_of, parse_grant
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.aws.statements import Statement, parse_policy
from auditor.connectors.digest import digest
from auditor.connectors.pace import Pace, Paces
from auditor.connectors.trail import Trail
from auditor.model import Evidence, Grant, KeyAccess, KeyName, Reason

T = TypeVar("T")

_POLICY: Final = "kms:GetKeyPolicy"
_SHARE: Final = "kms:GetKeyPolicy AWS_RAM"
_GRANTS: Final = "kms:ListGrants"
_LASTS: Final = timedelta(hours=1)
"""How long a share's policy and the grants are believed while the key's policy gives all rights that are judged."""


class AwsAccess:
    """Reads policies with an identity of the key's own account: no other may.

    Needs `kms:GetKeyPolicy` and `kms:ListGrants`.
    """

    def __init__(self, clients: AwsClients, policies: Pace, lists: Paces, clock: Callable[[], datetime]) -> None:
        self._clients = clients
        self._policies = policies
        self._lists = lists
        self._clock = clock
        self._kept: dict[tuple[str, KeyName], tuple[datetime, Any]] = {}

    def read(self, name: KeyName, principals: tuple[str, ...]) -> tuple[KeyAccess, tuple[Evidence, ...]]:
        """Tell who may use one key, and which calls said so; what could not be read stands in `unread`."""
        unread: dict[str, Reason] = {}
        if not self._is_ours(name):
            unread[_POLICY] = Reason.NOT_VISIBLE
            return access_of(name, principals, Policies(None, None, None), unread), ()
        default = self._try(name, _POLICY, lambda: self._policy(name, "default"), unread)
        settled = default is not None and all(
            grant_of(name, one, action, Policies(default)) is Grant.DIRECT
            for one in principals
            for action in PLATFORM_ACTIONS
        )
        # What may still grant a right that the policy does not is read now; what only adds to them may be an hour old.
        share = self._recent(_SHARE, name, settled, lambda: self._try(name, _SHARE, lambda: self._share(name), unread))
        grants: tuple[KeyGrant, ...] | None = ()
        if principals:
            grants = self._recent(
                _GRANTS, name, settled, lambda: self._try(name, _GRANTS, lambda: self._grants(name), unread)
            )
        policies = Policies(default, share, grants)
        told = {_POLICY: default, _GRANTS: grants} if principals else {_POLICY: default}
        evidence = tuple(
            Evidence(call, name.text, self._clock(), None, digest(repr(said)))
            for call, said in told.items()
            if said is not None
        )
        return access_of(name, principals, policies, unread), evidence

    def _is_ours(self, name: KeyName) -> bool:
        """Whether the identity is of the key's account; one that cannot be told is let try."""
        caller = self._clients.caller(name.owner)
        return isinstance(caller, Reason) or caller[0] == name.owner

    def _try(self, name: KeyName, call: str, read: Callable[[], T], unread: dict[str, Reason]) -> T | None:
        try:
            return read()
        except FAULTS as error:
            unread[call] = reason_of(error)
        except (ValueError, RecursionError):
            unread[call] = Reason.MALFORMED
        self._kept.pop((call, name), None)
        return None

    def _recent(self, call: str, name: KeyName, settled: bool, read: Callable[[], T | None]) -> T | None:  # noqa: FBT001 - private
        now = self._clock()
        at, kept = self._kept.get((call, name), (now - 2 * _LASTS, None))
        if settled and timedelta(0) <= now - at < _LASTS:
            found: T | None = kept
            return found
        found = read()
        if found is not None:
            self._kept[call, name] = now, found
        return found

    def _share(self, name: KeyName) -> tuple[Statement, ...]:
        try:
            return self._policy(name, "AWS_RAM")
        except ClientError as error:
            if code_of(error) == "NotFoundException":
                return ()  # the key is not shared
            raise

    def _policy(self, name: KeyName, policy: str) -> tuple[Statement, ...]:
        self._policies.wait()
        told = self._clients.kms(name.location, name.owner).get_key_policy(KeyId=name.text, PolicyName=policy)
        return parse_policy(told.get("Policy", ""))

    def _grants(self, name: KeyName) -> tuple[KeyGrant, ...]:
        client = self._clients.kms(name.location, name.owner)
        found: list[KeyGrant] = []
        asked: dict[str, Any] = {"KeyId": name.text, "Limit": 100}
        trail = Trail()
        while True:
            self._lists.of(name.owner, name.location).wait()
            page: Mapping[str, Any] = client.list_grants(**asked)
            found.extend(map(parse_grant, page.get("Grants", ())))
            if not page.get("Truncated"):
                return tuple(found)
            asked["Marker"] = page.get("NextMarker")
            if not trail.leads_on(asked["Marker"]):
                raise ValueError("a page says that there is more, and not where")
