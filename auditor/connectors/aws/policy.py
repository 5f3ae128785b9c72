"""Key policies and grants -> may this principal use the key? Only what they themselves settle is called settled.

Source: AWS KMS Developer Guide, Key policies; IAM User Guide, Policy evaluation logic and NotPrincipal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auditor import model
from auditor.connectors.aws.statements import (
    Match,
    Statement,
    is_account,
    is_gone,
    match,
    principal_match,
    speaks_of,
)
from auditor.model import Cloud, Grant, KeyAccess, KeyName, Reason, Right
from auditor.principals import account_of, is_person, is_session, same_principal

DECRYPT: Final = model.DECRYPT[Cloud.AWS]
PLATFORM_ACTIONS: Final = (DECRYPT, "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:DescribeKey")
"""What storage needs of a key: read, write, re-key in both steps, look. Source: Amazon S3 User Guide, SSE-KMS."""

_ADMINISTER: Final = "kms:PutKeyPolicy"
_OPENING: Final = (
    *("kms:Decrypt", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant", _ADMINISTER),
    *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext"),
)
"""What opens a key to whoever may do it: using it, or letting somebody use it."""
_OTHERS: Final = 20


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """One grant on a key."""

    grantee: str
    operations: tuple[str, ...]
    constrained: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """All that can let somebody use a key; None where it could not be read."""

    default: tuple[Statement, ...] | None
    shared: tuple[Statement, ...] | None = ()
    """The policy `AWS_RAM` of a key that is shared through RAM; empty where there is none."""
    grants: tuple[KeyGrant, ...] | None = ()


def parse_grant(told: Mapping[str, Any]) -> KeyGrant:
    """Read one grant of ListGrants; a service's grantee is never one of the platform's principals."""
    grantee = told.get("GranteePrincipal") or f"Service {told.get('GranteeServicePrincipal', '')}"
    return KeyGrant(
        str(grantee),
        tuple(map(str, told.get("Operations", ()))),
        bool(told.get("Constraints") or told.get("SourceArn")),
    )


def access_of(name: KeyName, principals: Iterable[str], policies: Policies, unread: Mapping[str, Reason]) -> KeyAccess:
    """Judge all that the policies say of the platform's principals, and of everybody else."""
    wanted = tuple(principals)
    return KeyAccess(
        rights=tuple(
            Right(principal, action, grant_of(name, principal, action, policies))
            for principal in wanted
            for action in PLATFORM_ACTIONS
        ),
        others=_others(name, wanted, policies),
        public=_public(name, policies),
        administered=_administered(name, policies.default),
        unread=tuple(sorted(unread.items())),
    )


def access_of_managed(name: KeyName, principals: Iterable[str]) -> KeyAccess:
    """Judge a key that AWS manages: its fixed policy lets in its own account, through the service, and no other.

    Source: AWS KMS Developer Guide, AWS managed keys.
    """
    return KeyAccess(
        rights=tuple(
            Right(one, DECRYPT, Grant.POSSIBLE if account_of(one) == name.owner else Grant.ABSENT) for one in principals
        )
    )


def grant_of(name: KeyName, principal: str, action: str, policies: Policies) -> Grant:
    """Judge one right. On AWS a key's own policies and grants must allow it: no IAM policy alone can."""
    speaking = _speaking(_statements(policies), name, action)
    denials = [(principal_match(one, principal), firm) for one, firm in speaking if not one.allow]
    if any(who >= Match.ACCOUNT and firm for who, firm in denials):
        return Grant.DENIED
    found = [(principal_match(one, principal), firm) for one, firm in speaking if one.allow]
    found += [
        (match(one.grantee, principal), not one.constrained)
        for one in policies.grants or ()
        if action.partition(":")[2] in one.operations
    ]
    settled = policies.default is not None and policies.shared is not None
    same_account = account_of(principal) == name.owner
    maybe_denied = any(who for who, _ in denials)
    if any(who is Match.YES and firm for who, firm in found):
        return Grant.DIRECT if settled and same_account and not maybe_denied else Grant.POSSIBLE
    if any(who for who, _ in found):
        return Grant.POSSIBLE
    return Grant.ABSENT if settled and policies.grants is not None else Grant.UNREAD


def _statements(policies: Policies) -> tuple[Statement, ...]:
    return (*(policies.default or ()), *(policies.shared or ()))


def _speaking(statements: Iterable[Statement], name: KeyName, action: str) -> list[tuple[Statement, bool]]:
    """The statements that speak of an action or may, each with whether it surely does and under no condition."""
    told = [(one, speaks_of(one, name, action)) for one in statements]
    return [(one, about is True and not one.conditional) for one, about in told if about is not False]


def _others(name: KeyName, wanted: tuple[str, ...], policies: Policies) -> tuple[str, ...] | None:
    """Who else may decrypt. The key's own account is not told: its IAM policies are its owner's own affair."""
    if not wanted:
        return None
    speaking = _speaking(_statements(policies), name, DECRYPT)
    denials = [one for one, firm in speaking if firm and not one.allow]
    allowing = [(one, speaks_of(one, name, DECRYPT)) for one, _ in speaking if one.allow]
    perhaps = {who for one, about in allowing if about is None for who in _whom(one)}
    found = {who for one, about in allowing if about for who in _whom(one)}
    found.update(one.grantee for one in policies.grants or () if DECRYPT.partition(":")[2] in one.operations)

    def strange(who: str) -> bool:
        ours = is_account(who) and account_of(who) == name.owner
        ours = ours or any(same_principal(who, one) for one in wanted)
        return not ours and not is_gone(who) and not any(_stops(one, who) for one in denials)

    complete = None not in {policies.default, policies.shared, policies.grants} and not any(map(strange, perhaps))
    strangers = tuple(sorted(filter(strange, found)))[:_OTHERS]
    return strangers if strangers or complete else None


def _whom(statement: Statement) -> Iterable[str]:
    """Whom an Allow lets in; of everybody only those whom a condition ties it to."""
    named = () if statement.inverted else (one for one in statement.principals if one != "*")
    return (*named, *((statement.tied_to or ("*",)) if statement.for_everybody else ()))


def _stops(denial: Statement, who: str) -> bool:
    """Whether a Deny without a condition stops all that a name stands for."""
    if principal_match(denial, who) < Match.ACCOUNT:
        return False
    # Among all whom the name of an account or a pattern stands for may be one that the Deny leaves out.
    spared = map(account_of, denial.principals)
    return not denial.inverted or is_person(who) or (account_of(who) != "" and account_of(who) not in spared)


def _public(name: KeyName, policies: Policies) -> bool | None:
    """Whether a statement lets everybody use the key or hand it on; a condition may narrow it to nobody new."""
    if policies.default is None or policies.shared is None:
        return None
    answers = {_open_for(action, name, _statements(policies)) for action in _OPENING}
    return True if True in answers else None if None in answers else False


def _open_for(action: str, name: KeyName, statements: Iterable[Statement]) -> bool | None:
    speaking = [(one, firm) for one, firm in _speaking(statements, name, action) if one.for_everybody]
    if any(firm and not one.allow and not one.inverted for one, firm in speaking):
        return False
    allowing = [firm for one, firm in speaking if one.allow and (firm or not one.narrowed)]
    if True in allowing and all(one.allow for one, _ in speaking):
        return True
    return None if allowing else False


def _administered(name: KeyName, statements: tuple[Statement, ...] | None) -> bool | None:
    """Whether somebody may change the policy."""
    if statements is None:
        return None
    speaking = _speaking(statements, name, _ADMINISTER)
    denials = [(one, firm) for one, firm in speaking if not one.allow and not (one.inverted and "*" in one.principals)]
    if any(firm and one.for_everybody and not one.inverted for one, firm in denials):
        return False
    able = {
        (_may_administer(who, name), firm)
        for one, firm in speaking
        if one.allow
        for who in (one.principals if not one.inverted else ("all but some",) if one.for_everybody else ())
    }
    if (True, True) in able:
        return None if denials else True
    return None if any(there is not False for there, _ in able) else False


def _may_administer(who: str, name: KeyName) -> bool | None:
    """Whether one who is let change the policy is there to do it: never who is deleted or of another account.

    Source: AWS KMS Developer Guide, KMS permissions (kms:PutKeyPolicy: no cross-account use).
    """
    if is_gone(who) or account_of(who) not in {"", name.owner}:
        return False
    if who == "*" or is_account(who) or (is_person(who) and not is_session(who)):
        return True
    return None  # whether a session, a federated user or a service is ever there, the policy does not tell
