"""Who must be able to decrypt, and whether a policy proves that somebody cannot any more."""

from collections.abc import Iterator
from typing import Final

from auditor.findings import Assessment, Basis, Confidence, Readability, Subject, SubjectKind, Undo
from auditor.model import DECRYPT, DENIALS, AwsKey, Cloud, GcpKey, Grant, KeyName
from auditor.readability.lines import google_key
from auditor.readability.table import Standpoint

ANY_PRINCIPAL: Final = "any principal"
"""In the place of a principal, where all are barred alike."""

_UNTOLD: Final = frozenset({Grant.UNREAD, Grant.WITHDRAWN})

_HOW: Final = {
    # On AWS a key's own policies and grants must allow it, so that their silence is a proof.
    (Cloud.AWS, Grant.ABSENT): "neither the key's policies nor its grants let it",
    (Cloud.AWS, Grant.DENIED): "a Deny in the key's policy hits it",
    (Cloud.GCP, Grant.ABSENT): (
        "no policy of key, ring or project lets it decrypt; folder and organisation policies were not read"
    ),
}
_LOST_IT: Final = {
    (Cloud.GCP, Grant.ABSENT): "no policy of key, ring or project lets it decrypt any more",
    (Cloud.GCP, Grant.WITHDRAWN): "its grant on key or ring was removed; the project's policy could not be read",
}
"""How the same is told of a principal that was seen with the right before."""


def revocations(key: AwsKey | GcpKey, at: Standpoint) -> Iterator[Assessment]:
    """Yield one assessment for each principal that provably cannot decrypt; without a proof, none (ADR 0003)."""
    for principal in at.agents:
        if (one := _revocation(key, principal, at)) is not None:
            yield one


def granted_to_all(key: AwsKey | GcpKey, at: Standpoint) -> bool:
    """Whether every principal that must decrypt is granted it by name: then `readable` stands on the policy."""
    cloud = key.name.cloud
    return bool(at.agents) and all(
        key.access is not None and key.access.grant(one, DECRYPT[cloud]) is Grant.DIRECT for one in at.agents
    )


def principal_subject(principal: str, name: KeyName) -> Subject:
    """One principal and one key: whose right it is and on what."""
    return Subject(SubjectKind.PRINCIPAL, f"{principal} -> {name}")


def _revocation(key: AwsKey | GcpKey, principal: str, at: Standpoint) -> Assessment | None:
    cloud = key.name.cloud
    grant = key.access.grant(principal, DECRYPT[cloud]) if key.access is not None else None
    if grant is None:
        # Only an older reading can lack it, which was made for other principals.
        barred = at.memory is not None and principal in at.memory.barred
        return _still_barred(key, principal) if barred else None
    had_it = at.memory is not None and principal in at.memory.granted
    how = (_LOST_IT.get((cloud, grant)) if had_it else None) or _HOW.get((cloud, grant))
    if how is None and grant in _UNTOLD and at.memory is not None and principal in at.memory.barred:
        return _still_barred(key, principal)
    if how is None:
        return None
    return Assessment(
        readability=Readability.REVOKED,
        basis=Basis.POLICY,
        cause=f"{principal} cannot decrypt with key {key.name}: {how}",
        subject=principal_subject(principal, key.name),
        confidence=Confidence.PROVEN if cloud is Cloud.AWS else Confidence.INFERRED,
        undo=(_regrant(key.name, principal),),
        evidence=key.evidence,
    )


def _still_barred(key: AwsKey | GcpKey, principal: str) -> Assessment:
    """Judge a principal that provably could not decrypt when its policies were last read, and that they hide now.

    A fault on the way leaves the proof as it is. A denial does not: who hides a policy may have changed it as well.
    """
    reasons = {reason for _, reason in key.access.unread} if key.access is not None else set()
    hidden = bool(reasons & DENIALS)
    what = "may not be read any more" if hidden else "gave no answer now"
    return Assessment(
        readability=Readability.UNKNOWN if hidden else Readability.REVOKED,
        basis=Basis.POLICY,
        cause=f"{principal} could not decrypt with key {key.name} when its policies were last read; they {what}",
        subject=principal_subject(principal, key.name),
        confidence=Confidence.INFERRED,
        undo=(_regrant(key.name, principal),),
        evidence=key.evidence,
    )


def _regrant(name: KeyName, principal: str) -> Undo:
    """Let the principal decrypt again; no command of AWS changes one statement of a policy."""
    if name.cloud is Cloud.AWS:
        return Undo(
            f"call kms:PutKeyPolicy on {name} with a policy that allows {principal} kms:Decrypt and denies it nowhere",
            "an administrator of the key, in its account",
            "reads are allowed again within minutes; no data needs copying",
        )
    return Undo(
        google_key(
            "add-iam-policy-binding",
            name,
            f"--member=serviceAccount:{principal}",
            "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter",
            "--condition=None",  # else it asks, where another binding of the policy has one
        ),
        "an administrator of the key (roles/cloudkms.admin), in its project",
        "reads are allowed again within seconds; no data needs copying",
    )
