"""IAM policies -> may this principal decrypt? Only what the policies themselves settle is called settled.

Source: Cloud KMS docs, Permissions and roles; IAM docs, Policy members.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auditor.model import Grant

DECRYPTING: Final = frozenset(
    {
        "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        "roles/cloudkms.cryptoKeyDecrypter",
    }
)
"""Predefined roles with cloudkms.cryptoKeyVersions.useToDecrypt and no further condition."""

_NEVER_DECRYPTING: Final = frozenset(
    {
        "roles/cloudkms.admin",
        "roles/cloudkms.viewer",
        "roles/cloudkms.cryptoKeyEncrypter",
        "roles/cloudkms.importer",
        "roles/cloudkms.publicKeyViewer",
        "roles/cloudkms.signer",
        "roles/cloudkms.signerVerifier",
        "roles/cloudkms.verifier",
        "roles/iam.securityReviewer",
        "roles/viewer",
        "roles/browser",
        "roles/logging.viewer",
        "roles/storage.admin",
        "roles/storage.objectAdmin",
        "roles/storage.objectViewer",
        "roles/storage.objectCreator",
    }
)
"""Predefined roles without that permission; any role that is in neither set counts as one that may have it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One role and who has it."""

    role: str
    members: tuple[str, ...]
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Policies:
    """The bindings on a key, its ring and its project; None where they could not be read."""

    key: tuple[Binding, ...] | None
    ring: tuple[Binding, ...] | None
    project: tuple[Binding, ...] | None


def parse_policy(told: Mapping[str, Any]) -> tuple[Binding, ...]:
    """Read a policy as JSON has it."""
    return tuple(
        Binding(str(one.get("role", "")), tuple(map(str, one.get("members", []))), bool(one.get("condition")))
        for one in told.get("bindings", [])
    )


def grant_of(agent: str, policies: Policies) -> Grant:
    """Judge what key, ring and project together say of one service account."""
    read = [one for one in (policies.key, policies.ring, policies.project) if one is not None]
    bindings = [binding for bindings in read for binding in bindings]
    if any(_direct(agent, binding) for binding in bindings):
        return Grant.DIRECT
    if any(_possible(agent, binding) for binding in bindings):
        return Grant.POSSIBLE
    if policies.key is None or policies.ring is None:
        return Grant.UNREAD
    return Grant.WITHDRAWN if policies.project is None else Grant.ABSENT


def _direct(agent: str, binding: Binding) -> bool:
    return binding.role in DECRYPTING and not binding.conditional and f"serviceAccount:{agent}" in binding.members


def _possible(agent: str, binding: Binding) -> bool:
    if binding.role in _NEVER_DECRYPTING:
        return False
    return f"serviceAccount:{agent}" in binding.members or any(_may_include(binding.members))


def _may_include(members: Iterable[str]) -> Iterable[bool]:
    """A group, a domain, a set of principals or everybody may hold the agent; a single other account may not."""
    return (not member.startswith(("serviceAccount:", "user:", "deleted:")) for member in members)
