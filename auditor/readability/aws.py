"""AWS KMS: one row for each KeyState; a key is usable or not as a whole.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"; botocore's kms model.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from auditor.findings import Assessment, Basis, Readability, Subject, SubjectKind, Undo
from auditor.model import AwsKey, KeyName
from auditor.moments import second
from auditor.readability.access import granted_to_all, revocations
from auditor.readability.lines import aws_key, aws_store
from auditor.readability.table import Standpoint, StateRow, Step, worst

_ADMIN: Final = "an administrator of the key, in its account"
_ENABLE: Final = Step(aws_key("enable-key"), _ADMIN, "Enabled")
_CANCEL: Final = Step(aws_key("cancel-key-deletion"), _ADMIN, "Disabled")
_HOLDER: Final = "whoever holds the original key material"
_IMPORT: Final = Step(
    lambda name: f"call kms:ImportKeyMaterial on {name} once for every missing material, each with the very same bytes",
    _HOLDER,
    "Enabled",
)

STATES: Final[Mapping[str, StateRow]] = {
    "Enabled": StateRow(Readability.READABLE, "is Enabled"),
    "Updating": StateRow(Readability.READABLE, "is Updating, which does not stop reads"),
    "Disabled": StateRow(
        Readability.UNREADABLE, "is Disabled: nothing under it can be read until it is enabled", (_ENABLE,)
    ),
    "PendingDeletion": StateRow(
        Readability.DOOMED,
        "is PendingDeletion: nothing under it can be read now, and at the date it is gone for good",
        (_CANCEL, _ENABLE),
    ),
    "PendingReplicaDeletion": StateRow(
        Readability.UNREADABLE,
        "is PendingReplicaDeletion: nothing under it can be read; its own deletion starts after the last replica's",
        (_CANCEL, _ENABLE),
    ),
    "PendingImport": StateRow(
        Readability.UNREADABLE,
        "is PendingImport: key material is missing or has expired, so nothing under it can be read",
        (_IMPORT,),
    ),
    "Unavailable": StateRow(
        Readability.UNREACHABLE,
        "is Unavailable: its custom key store is not connected",
    ),
    "Creating": StateRow(Readability.UNKNOWN, "is still Creating although data names it"),
}
"""KeyState -> its meaning for existing data. `Unavailable` is undone on the store, not on the key."""

STORE_CONNECTED: Final = "CONNECTED"
STORE_DISCONNECTED: Final = "DISCONNECTED"
STORE_STATES: Final[Mapping[str, str]] = {
    "CONNECTED": "is connected",
    "CONNECTING": "is still connecting",
    "FAILED": "failed to connect",
    "DISCONNECTED": "is disconnected",
    "DISCONNECTING": "is disconnecting",
}
"""ConnectionState -> how the cause words it. Source: botocore's kms model, ConnectionStateType."""


def assess_key(key: AwsKey, at: Standpoint) -> Assessment:
    """Assess all data under one key from its state, its store, the expiry of its material and who may use it."""
    candidates = [_by_state(key)]
    if (by_store := _by_store(key)) is not None:
        candidates.append(by_store)
    if (by_expiry := _by_expiry(key, at)) is not None:
        candidates.append(by_expiry)
    candidates.extend(revocations(key, at))
    found = worst(candidates)
    # A connected store does not prove that the key behind it works; no policy changes that.
    if found.readability is Readability.READABLE and key.store is None and granted_to_all(key, at):
        return replace(found, basis=Basis.POLICY)
    return found


def missing_materials(key: AwsKey) -> tuple[str, ...]:
    """Ids of the materials without which the key stays PendingImport; empty where they are not known."""
    return tuple(one.id for one in key.materials or () if one.permanent and not one.imported)


def expiry(key: AwsKey) -> datetime | None:
    """When the first of the materials that the key cannot do without expires: aware, UTC."""
    dates = [one.valid_to for one in key.materials or () if one.permanent and one.imported]
    return min((date for date in (*dates, key.valid_to) if date is not None), default=None)


def may_be_back(key: AwsKey) -> bool:
    """Whether a key that was Unavailable for its store's sake may be so no more."""
    return key.state == "Unavailable" and key.store is not None and key.store.connection_state == STORE_CONNECTED


def store_name(key: KeyName, store: str) -> str:
    """Name a custom key store so that equal ids of two accounts or Regions stay apart."""
    return f"{key.owner}/{key.location}/{store}"


def _by_state(key: AwsKey) -> Assessment:
    if key.state == "Unavailable" and key.store is not None:
        return _store_down(key, "is not connected (its keys are Unavailable)")
    row = STATES.get(key.state)
    if row is None:
        row = StateRow(Readability.UNKNOWN, f"is in the state {key.state!r}, whose meaning is not known")
    what = f"key {key.name}"
    if key.state == "PendingReplicaDeletion" and key.pending_window_days is not None:
        what = f"{what} (waiting period {key.pending_window_days} days)"
    missing = missing_materials(key)
    if key.state == "PendingImport" and missing:
        row = _pending_import(missing)
    elif key.state == "Disabled" and missing:
        row = _disabled_without(missing)
    final_at = key.deletion_date if key.state == "PendingDeletion" else None
    subject = Subject(SubjectKind.KEY, key.name.text)
    return row.assessment(subject, key.name.text, what=what, final_at=final_at, evidence=key.evidence)


def _pending_import(missing: tuple[str, ...]) -> StateRow:
    """The row of PendingImport with the materials that must come back; all of them, or the key stays as it is."""
    named = ", ".join(missing)
    told = f"is PendingImport: nothing under it can be read while key material {named} is missing"
    return StateRow(Readability.UNREADABLE, told, _imports(missing))


def _imports(missing: tuple[str, ...]) -> tuple[Step, ...]:
    lands_in = "Enabled" if len(missing) == 1 else "Enabled once every missing material is back"
    return tuple(Step(partial(_import_of, one), _HOLDER, lands_in) for one in missing)


def _disabled_without(missing: tuple[str, ...]) -> StateRow:
    """The row of a Disabled key that needs material besides: to enable it is not enough."""
    told = f"is Disabled, and key material {', '.join(missing)} is missing besides: nothing under it can be read"
    enable = replace(_ENABLE, lands_in="PendingImport, while material is missing")
    return StateRow(Readability.UNREADABLE, told, (enable, *_imports(missing)))


def _import_of(material: str, name: str) -> str:
    return f"call kms:ImportKeyMaterial on {name} with KeyMaterialId {material} and the very same bytes"


def _by_store(key: AwsKey) -> Assessment | None:
    if key.store is None or key.store.connection_state in {None, STORE_CONNECTED}:
        return None
    state = key.store.connection_state or ""
    return _store_down(key, STORE_STATES.get(state, f"is in the state {state!r}, whose meaning is not known"))


def _store_down(key: AwsKey, told: str) -> Assessment:
    store = key.store
    if store is None:
        raise ValueError(f"{key.name} has no custom key store")
    name = store_name(key.name, store.id)
    code = f" ({store.error_code})" if store.error_code else ""
    who = "an administrator of the store, in its account"
    connect = Undo(aws_store("connect-custom-key-store", key.name, store.id), who, "CONNECTED")
    # One that failed is only connected once what made it fail is repaired and it was disconnected.
    disconnect = Undo(aws_store("disconnect-custom-key-store", key.name, store.id), who, "DISCONNECTED")
    return Assessment(
        readability=Readability.UNREACHABLE,
        basis=Basis.STATE,
        # Worded without the key: the store is the subject, and all its keys share one finding.
        cause=f"nothing under the keys of custom key store {name} can be read: the store {told}{code}",
        subject=Subject(SubjectKind.KEY_STORE, name),
        undo=(disconnect, connect) if store.connection_state == "FAILED" else (connect,),
        evidence=key.evidence,
    )


def _by_expiry(key: AwsKey, at: Standpoint) -> Assessment | None:
    date = expiry(key)
    if date is None or key.state not in {"Enabled", "Updating"} or date - at.now > at.policy.horizon:
        return None
    ending = [one.id for one in key.materials or () if one.permanent and one.imported and one.valid_to == date]
    which = f" {', '.join(ending)}" if ending else ""
    return Assessment(
        readability=Readability.EXPIRING,
        basis=Basis.STATE,
        cause=f"imported material{which} of key {key.name} expires at {second(date)}; then the whole key "
        "is PendingImport and nothing under it can be read",
        subject=Subject(SubjectKind.KEY, key.name.text),
        final_at=date,
        undo=(
            Undo(
                f"call kms:ImportKeyMaterial on {key.name} with the very same bytes and a later ValidTo or none",
                _HOLDER,
                "Enabled",
                until=None,
            ),
        ),
        evidence=key.evidence,
    )
