"""Cloud KMS: one row for each version state, the HSM instance behind it, and who may use the key.

Source: Cloud KMS docs, "Key version states"; google-cloud-kms 3.18 type docstrings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from auditor.findings import Assessment, Basis, Confidence, Readability, Subject, SubjectKind, Undo
from auditor.model import CUSTOMER_INITIATED, GcpKey, GcpKeyVersion
from auditor.moments import second
from auditor.readability.access import ANY_PRINCIPAL, granted_to_all, principal_subject, revocations
from auditor.readability.lines import google_key, google_version
from auditor.readability.table import Standpoint, StateRow, Step, worst

_ADMIN: Final = "an administrator of the key (roles/cloudkms.admin), in its project"
_ENABLE: Final = Step(google_version("enable"), _ADMIN, "ENABLED")
_RESTORE: Final = Step(google_version("restore"), _ADMIN, "DISABLED")
_REIMPORT: Final = Step(
    lambda name: f"call cloudkms ImportCryptoKeyVersion on {name} with the very same key material",
    "whoever holds the original key material",
    "ENABLED",
)

STATES: Final[Mapping[str, StateRow]] = {
    "ENABLED": StateRow(Readability.READABLE, "is ENABLED"),
    "DISABLED": StateRow(
        Readability.UNREADABLE, "is DISABLED: nothing under it can be read until it is enabled", (_ENABLE,)
    ),
    "DESTROY_SCHEDULED": StateRow(
        Readability.DOOMED,
        "is DESTROY_SCHEDULED: nothing under it can be read now, and at the date it is gone for good",
        (_RESTORE, _ENABLE),
    ),
    "DESTROYED": StateRow(Readability.LOST, "is DESTROYED: nothing under it can ever be read again"),
    "IMPORT_FAILED": StateRow(
        Readability.UNREADABLE,
        "is IMPORT_FAILED: it holds no key material until the import is done again",
        (_REIMPORT,),
    ),
    "GENERATION_FAILED": StateRow(Readability.LOST, "is GENERATION_FAILED: it never got key material and never will"),
    "PENDING_EXTERNAL_DESTRUCTION": StateRow(
        Readability.LOST,
        "is PENDING_EXTERNAL_DESTRUCTION: for Cloud KMS it is destroyed; its external manager may still hold the key",
    ),
    "EXTERNAL_DESTRUCTION_FAILED": StateRow(
        Readability.LOST,
        "is EXTERNAL_DESTRUCTION_FAILED: for Cloud KMS it is destroyed; its external manager may still hold the key",
    ),
    "PENDING_GENERATION": StateRow(Readability.UNKNOWN, "is PENDING_GENERATION although data names it"),
    "PENDING_IMPORT": StateRow(Readability.UNKNOWN, "is PENDING_IMPORT although data names it"),
}
"""CryptoKeyVersionState -> its meaning for existing data."""

REIMPORTABLE: Final = StateRow(
    Readability.UNREADABLE,
    "is DESTROYED but can be imported again: nothing under it can be read until the same material is back",
    (_REIMPORT,),
)

HSM_STATES: Final[Mapping[str, tuple[Readability, str]]] = {
    "ACTIVE": (Readability.READABLE, "is ACTIVE"),
    "DISABLING": (Readability.UNREACHABLE, "is DISABLING"),
    "DISABLED": (Readability.UNREACHABLE, "is DISABLED"),
    "DELETING": (Readability.UNREACHABLE, "is DELETING"),
    "DELETED": (Readability.LOST, "is DELETED"),
    "FAILED": (Readability.LOST, "has FAILED, which cannot be recovered"),
    "CREATING": (Readability.UNKNOWN, "is still CREATING although data names its keys"),
    "PENDING_TWO_FACTOR_AUTH_REGISTRATION": (
        Readability.UNKNOWN,
        "waits for its two-factor registration although data names its keys",
    ),
}
"""SingleTenantHsmInstance.State -> its meaning for the keys on it."""


def assess_version(key: GcpKey, number: str | None, at: Standpoint) -> Assessment:
    """Assess the data of one bucket under one version; None stands for data that names the key alone."""
    if number is None:
        return _all_versions_agree(key, at)
    version = next((one for one in key.versions if one.number == number), None)
    candidates = [_not_listed(key, number) if version is None else _by_state(key, version)]
    candidates.extend(
        one
        for one in (
            _by_hsm_instance(key, at),
            _by_connection(key, version),
            _by_access_reasons(key),
            *revocations(key, at),
        )
        if one is not None
    )
    found = worst(candidates)
    # A direct grant changes nothing about the state; it raises the basis on which `readable` stands. What an external
    # key manager does with a request, no policy of Google's tells.
    external = version is not None and version.external
    if found.readability is Readability.READABLE and not external and granted_to_all(key, at):
        return replace(found, basis=Basis.POLICY)
    return found


def version_name(key: GcpKey, number: str) -> str:
    """The version's full resource name."""
    return f"{key.name}/cryptoKeyVersions/{number}"


def _by_state(key: GcpKey, version: GcpKeyVersion) -> Assessment:
    name = version_name(key, version.number)
    if version.unlisted_since is not None:
        told = f"is not listed any more, although it was {version.state} and cannot be gone yet"
        return StateRow(Readability.UNKNOWN, told).assessment(
            Subject(SubjectKind.KEY_VERSION, name),
            name,
            what=f"key version {name}",
            final_at=version.destroy_time if version.state == "DESTROY_SCHEDULED" else None,
            evidence=key.evidence,
        )
    row = STATES.get(version.state)
    if row is None:
        row = StateRow(Readability.UNKNOWN, f"is in the state {version.state!r}, whose meaning is not known")
    elif version.state == "DESTROYED" and version.reimport_eligible:
        row = REIMPORTABLE
    return row.assessment(
        Subject(SubjectKind.KEY_VERSION, name),
        name,
        what=f"key version {name}",
        final_at=version.destroy_time if version.state == "DESTROY_SCHEDULED" else None,
        since=version.destroyed_time if version.state == "DESTROYED" else None,
        evidence=key.evidence,
    )


def _not_listed(key: GcpKey, number: str) -> Assessment:
    name = version_name(key, number)
    if key.counted:
        row = StateRow(
            Readability.LOST, "does not exist any more: it was deleted, and nothing under it can ever be read again"
        )
    else:
        row = StateRow(Readability.UNKNOWN, "is not listed, and the list does not say whether it is whole")
    return row.assessment(
        Subject(SubjectKind.KEY_VERSION, name), name, what=f"key version {name}", evidence=key.evidence
    )


def _all_versions_agree(key: GcpKey, at: Standpoint) -> Assessment:
    """Judge data that names no version by all versions, deleted ones too: it hangs on one, nobody knows on which."""
    each = [assess_version(key, version.number, at) for version in key.versions]
    if (missing := _first_missing(key, at)) is not None:
        each.append(_not_listed(key, missing))
    subject = Subject(SubjectKind.KEY, key.name.text)
    kinds = {one.readability for one in each}
    if len(kinds) == 1 and key.counted:
        example = worst(each)
        subjects = {one.subject for one in each}
        subject = subjects.pop() if len(subjects) == 1 and example.subject.kind is not _VERSION else subject
        return Assessment(
            readability=example.readability,
            basis=example.basis,
            cause=f"data names key {key.name} without a version; all its versions agree: {example.cause}",
            subject=subject,
            final_at=example.final_at,
            # Nobody knows on which one the data hangs, so each has to come back.
            undo=tuple(dict.fromkeys(step for one in each for step in one.undo)),
            evidence=key.evidence,
            shadowed=tuple(pair for pair in _behind_all(each) if pair != (subject, example.readability)),
        )
    differ = "differ" if len(kinds) > 1 else "may not all be listed"
    return Assessment(
        readability=Readability.UNKNOWN,
        basis=Basis.STATE,
        cause=f"data names key {key.name} without a version, and its versions {differ}",
        subject=subject,
        evidence=key.evidence,
        shadowed=_behind_all(each),
    )


def _behind_all(each: Iterable[Assessment]) -> tuple[tuple[Subject, Readability], ...]:
    """What bars the data, or may, whichever version it hangs on: no version's own state."""
    bars = [
        [pair for pair in ((one.subject, one.readability), *one.shadowed) if pair[0].kind is not _VERSION]
        for one in each
    ]
    return tuple(pair for pair in dict.fromkeys(bars[0]) if all(pair in some for some in bars)) if bars else ()


_VERSION: Final = SubjectKind.KEY_VERSION


def _first_missing(key: GcpKey, at: Standpoint) -> str | None:
    """The lowest number that was given out and is not listed any more; numbers go up from 1 and never come back."""
    listed = {version.number for version in key.versions}
    highest = max(map(int, listed), default=0)
    if at.memory is not None:
        highest = max(highest, at.memory.highest_version)
    number = 1
    while str(number) in listed:
        number += 1
    return str(number) if number <= highest else None


def _by_hsm_instance(key: GcpKey, at: Standpoint) -> Assessment | None:
    instance = key.hsm_instance
    if instance is None or instance.state is None:
        return None
    subject = Subject(SubjectKind.HSM_INSTANCE, instance.name)
    readability, told = HSM_STATES.get(
        instance.state, (Readability.UNKNOWN, f"is in the state {instance.state!r}, whose meaning is not known")
    )
    if readability is not Readability.READABLE:
        row = StateRow(readability, f"{told}: nothing under its keys can be read")
        return row.assessment(
            subject, instance.name, what=f"single-tenant HSM instance {instance.name}", evidence=key.evidence
        )
    if instance.disable_time is None or instance.disable_time - at.now > at.policy.horizon:
        return None
    if instance.older and instance.disable_time <= at.now:
        row = StateRow(Readability.UNKNOWN, "was to disable itself, and whether it was refreshed is not known")
        return row.assessment(
            subject, instance.name, what=f"single-tenant HSM instance {instance.name}", evidence=key.evidence
        )
    return Assessment(
        readability=Readability.EXPIRING,
        basis=Basis.STATE,
        cause=f"single-tenant HSM instance {instance.name} disables itself at "
        f"{second(instance.disable_time)} unless it is refreshed; then nothing under its keys can be read",
        subject=subject,
        final_at=instance.disable_time,
        undo=(
            Undo(
                f"propose a refresh of single-tenant HSM instance {instance.name}, have it approved, and execute it",
                "the quorum of the instance",
                "ACTIVE with a later disable_time",
                until=instance.disable_time,
            ),
        ),
        evidence=key.evidence,
    )


def _by_connection(key: GcpKey, version: GcpKeyVersion | None) -> Assessment | None:
    """Judge the EKM connection of one version; one that could not be verified proves nothing."""
    name = version.ekm_connection if version is not None else None
    connection = next((one for one in key.connections if one.name == name), None)
    if connection is None or connection.reachable is not False:
        return None
    return Assessment(
        readability=Readability.UNREACHABLE,
        basis=Basis.PROBE,
        cause=f"nothing under the keys of EKM connection {connection.name} can be read: Cloud KMS does not reach its "
        f"external key manager ({connection.detail})",
        subject=Subject(SubjectKind.EKM_CONNECTION, connection.name),
        undo=(
            Undo(
                f"repair the external key manager behind {connection.name}, or its network, certificate or permission",
                "whoever runs the external key manager",
                "VerifyConnectivity succeeds; the version may have to be enabled again",
            ),
        ),
        evidence=key.evidence,
    )


def _by_access_reasons(key: GcpKey) -> Assessment | None:
    reasons = key.access_reasons
    if reasons is None or CUSTOMER_INITIATED in reasons:
        return None
    # The flag sets the whole list.
    allowed = ",".join(one.lower().replace("_", "-") for one in (*reasons, CUSTOMER_INITIATED))
    told = "allows no access reason at all" if not reasons else f"does not allow {CUSTOMER_INITIATED}"
    return Assessment(
        readability=Readability.REVOKED,
        basis=Basis.POLICY,
        cause=f"the Key Access Justifications policy of key {key.name} {told}: every ordinary read is refused, if the "
        "key is enrolled in their enforcement, which no call tells",
        confidence=Confidence.INFERRED,
        subject=principal_subject(ANY_PRINCIPAL, key.name),
        undo=(
            Undo(
                google_key("update", key.name, f"--allowed-access-reasons={allowed}"),
                _ADMIN,
                "reads are allowed again; no data needs copying",
            ),
        ),
        evidence=key.evidence,
    )
