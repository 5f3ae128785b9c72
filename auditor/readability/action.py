"""What a key would say of itself after somebody acted on it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from auditor.action import Action
from auditor.model import (
    DECRYPT,
    AwsKey,
    Cloud,
    GcpKey,
    GcpKeyVersion,
    Grant,
    KeyAccess,
    KeyManager,
    Right,
)
from auditor.states import being

AWS_WAITING: Final = timedelta(days=30)
"""Where nothing else is asked for; 7 days at least. Source: AWS KMS API Reference, ScheduleKeyDeletion."""
GCP_WAITING: Final = timedelta(days=30)
"""Where the key sets no other. Source: Cloud KMS docs, "Destroy and restore key versions"."""
_CAN_BE_DISABLED: Final = frozenset({"Enabled", "Updating", "Unavailable"})
_CAN_BE_DELETED: Final = frozenset({*_CAN_BE_DISABLED, "Disabled", "PendingImport"})
"""States in which AWS takes the call. Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"."""


@dataclass(frozen=True, slots=True)
class After:
    """A key as it would be."""

    key: AwsKey | GcpKey
    idle: str | None = None
    """Why the action cannot be taken, or would change nothing: then the key is as before."""


def after(key: AwsKey | GcpKey, version: str | None, action: Action, agents: Iterable[str], now: datetime) -> After:
    """Act on a key as it is known; `version` (Google alone): on this one, else on all that can be acted on.

    `agents`: the principals whose right is taken away.
    """
    if isinstance(key, AwsKey):
        return _aws(key, action, tuple(agents), now)
    if action is Action.REVOKE:
        return After(replace(key, access=_without(key, tuple(agents))))
    acted = {Action.DISABLE: _disabled, Action.DESTROY: _destroyed}[action]
    return _google(key, version, lambda one: acted(one, key, now))


def _aws(key: AwsKey, action: Action, agents: tuple[str, ...], now: datetime) -> After:
    if key.manager is KeyManager.PROVIDER:
        return After(key, "AWS manages this key: its customers can neither disable nor delete it")
    match action:
        case Action.REVOKE:
            return After(replace(key, access=_without(key, agents)))
        case Action.DISABLE if key.state in _CAN_BE_DISABLED:
            return After(replace(key, state="Disabled"))
        case Action.DISABLE:
            return After(key, f"a key that is {being(key.state, Cloud.AWS)} cannot be disabled")
        case Action.DESTROY if key.state in _CAN_BE_DELETED:
            return After(replace(key, state="PendingDeletion", deletion_date=now + AWS_WAITING))
        case _:
            return After(key, f"the deletion of a key that is {being(key.state, Cloud.AWS)} cannot be scheduled")


def _google(key: GcpKey, version: str | None, act: Callable[[GcpKeyVersion], GcpKeyVersion | None]) -> After:
    chosen = [one for one in key.versions if version in {None, one.number}]
    if not chosen:
        return After(key, f"the key has no version {version}" if version else "the key has no versions")
    changed: Mapping[str, GcpKeyVersion] = {
        one.number: new for one in chosen if one.unlisted_since is None and (new := act(one)) is not None
    }
    if not changed:
        states = ", ".join(sorted({being(one.state, Cloud.GCP) for one in chosen}))
        what = f"version {version} is" if version else "all its versions are"
        return After(key, f"{what} {states}, in which that cannot be done")
    return After(replace(key, versions=tuple(changed.get(one.number, one) for one in key.versions)))


def _disabled(one: GcpKeyVersion, _key: GcpKey, _now: datetime) -> GcpKeyVersion | None:
    return replace(one, state="DISABLED") if one.state == "ENABLED" else None


def _destroyed(one: GcpKeyVersion, key: GcpKey, now: datetime) -> GcpKeyVersion | None:
    if one.state not in {"ENABLED", "DISABLED"}:
        return None
    return replace(one, state="DESTROY_SCHEDULED", destroy_time=now + (key.destroy_delay or GCP_WAITING))


def _without(key: AwsKey | GcpKey, agents: tuple[str, ...]) -> KeyAccess:
    """Nothing that was read lets them decrypt."""
    before = key.access or KeyAccess()
    right = DECRYPT[key.name.cloud]
    others = (one for one in before.rights if one.action != right or one.principal not in agents)
    return replace(before, rights=(*others, *(Right(one, right, Grant.ABSENT) for one in agents)))
