"""IAM policies -> may this principal decrypt? Only what the policies themselves settle is called settled.

Source: Cloud KMS docs, Permissions and roles; IAM docs, Policy members.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auditor import model
from auditor.model import Cloud, Grant, KeyAccess, Reason, Right

DECRYPT: Final = model.DECRYPT[Cloud.GCP]
ENCRYPT: Final = "cloudkms.cryptoKeyVersions.useToEncrypt"
PLATFORM_ACTIONS: Final = (DECRYPT, ENCRYPT)
"""What storage needs of a key: read and write. Source: Cloud Storage docs, Customer-managed encryption keys."""

_BOTH: Final = frozenset({"roles/cloudkms.cryptoKeyEncrypterDecrypter", "roles/cloudkms.cryptoOperator"})
GRANTING: Final[Mapping[str, frozenset[str]]] = {
    DECRYPT: _BOTH | {"roles/cloudkms.cryptoKeyDecrypter"},
    ENCRYPT: _BOTH | {"roles/cloudkms.cryptoKeyEncrypter"},
}
"""Predefined roles that hold a permission without a further condition."""

NEVER: Final = frozenset(
    {
        "roles/cloudkms.admin",
        "roles/cloudkms.viewer",
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
"""Predefined roles with neither permission; any role that nobody named here counts as one that may have it."""

_EVERYBODY: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_OTHERS: Final = 20


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


def access_of(
    agents: Iterable[str], policies: Policies, unread: Mapping[str, Reason], ring_keys: tuple[str, ...] = ()
) -> KeyAccess:
    """Judge all that the policies say of the platform's service accounts, and of everybody else."""
    wanted = tuple(agents)
    return KeyAccess(
        rights=tuple(
            Right(agent, action, grant_of(agent, policies, action), above=_is_let_above(agent, policies, action))
            for agent in wanted
            for action in PLATFORM_ACTIONS
        ),
        others=_others(wanted, policies),
        public=_public(policies),
        # Whoever owns the folder or the organisation may change every policy below, and is not seen from here.
        administered=None,
        ring_keys=ring_keys,
        unread=tuple(sorted(unread.items())),
    )


def grant_of(agent: str, policies: Policies, action: str = DECRYPT) -> Grant:
    """Judge what key, ring and project together say of one right of one service account."""
    bindings = _read(policies)
    if any(_direct(agent, action, binding) for binding in bindings):
        return Grant.DIRECT
    if any(_possible(agent, action, binding) for binding in bindings):
        return Grant.POSSIBLE
    if policies.key is None or policies.ring is None:
        return Grant.UNREAD
    return Grant.WITHDRAWN if policies.project is None else Grant.ABSENT


def _is_let_above(agent: str, policies: Policies, action: str) -> bool | None:
    """Whether the project grants it, or may; None where its policy was not read."""
    if policies.project is None:
        return None
    return any(_direct(agent, action, one) or _possible(agent, action, one) for one in policies.project)


def granted_on_ring(agents: Iterable[str], policies: Policies) -> bool:
    """Whether one of them may decrypt by a binding on the ring, and so with every key in it."""
    wanted = tuple(agents)
    return any(_direct(agent, DECRYPT, binding) for binding in policies.ring or () for agent in wanted)


def _read(policies: Policies) -> list[Binding]:
    levels = (policies.key, policies.ring, policies.project)
    return [binding for level in levels if level is not None for binding in level]


def _direct(agent: str, action: str, binding: Binding) -> bool:
    return binding.role in GRANTING[action] and not binding.conditional and f"serviceAccount:{agent}" in binding.members


def _possible(agent: str, action: str, binding: Binding) -> bool:
    if not _may_grant(action, binding):
        return False
    # In another case of letters it is perhaps the same account: e-mail addresses are told as somebody typed them.
    named = f"serviceAccount:{agent}".lower() in map(str.lower, binding.members)
    return named or any(_may_include(binding.members))


def _may_grant(action: str, binding: Binding) -> bool:
    other = frozenset().union(*GRANTING.values()) - GRANTING[action]
    return binding.role not in NEVER and binding.role not in other


def _may_include(members: Iterable[str]) -> Iterable[bool]:
    """A group, a domain, a set of principals or everybody may hold the agent; a single other account may not."""
    return (not member.startswith(("serviceAccount:", "user:", "deleted:")) for member in members)


def _others(wanted: tuple[str, ...], policies: Policies) -> tuple[str, ...] | None:
    if not wanted:
        return None
    ours = {f"serviceAccount:{agent}".lower() for agent in wanted}

    def strangers(bindings: Iterable[Binding]) -> set[str]:
        named = {member for binding in bindings for member in binding.members}
        return {one for one in named if not one.startswith("deleted:") and one.lower() not in ours}

    found = strangers(one for one in _read(policies) if one.role in GRANTING[DECRYPT])
    # A role that nobody named here may let its members decrypt; on a project stand too many to ask after each.
    near = [one for level in (policies.key, policies.ring) for one in level or () if _may_grant(DECRYPT, one)]
    complete = None not in {policies.key, policies.ring, policies.project} and not strangers(near) - found
    return tuple(sorted(found))[:_OTHERS] if found or complete else None


def _public(policies: Policies) -> bool | None:
    """Whether a binding on key or ring is for everybody; a condition may still narrow it."""
    bindings = [one for level in (policies.key, policies.ring) for one in level or ()]
    everybody = [one for one in bindings if _EVERYBODY.intersection(one.members)]
    if any(not one.conditional for one in everybody):
        return True
    return None if everybody or policies.key is None or policies.ring is None else False
