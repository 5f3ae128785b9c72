"""Key policies and grants -> may this principal use the key? Only what they themselves settle is called settled.

Source: AWS KMS Developer Guide, Key policies; IAM User Guide, Policy evaluation logic and AWS JSON policy elements.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from auditor import model
from auditor.model import Cloud, Grant, KeyAccess, KeyName, Reason, Right

DECRYPT: Final = model.DECRYPT[Cloud.AWS]
PLATFORM_ACTIONS: Final = (DECRYPT, "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:DescribeKey")
"""What storage needs of a key: read, write, re-key in both steps, look. Source: Amazon S3 User Guide, SSE-KMS."""

_ADMINISTER: Final = "kms:PutKeyPolicy"
_OTHERS: Final = 20

# Conditions that tie a statement to known accounts or principals: it is then not open to everybody.
_NARROWING: Final = frozenset(
    {
        *(
            "kms:calleraccount",
            "aws:principalaccount",
            "aws:principalarn",
            "aws:principalorgid",
            "aws:principalorgpaths",
        ),
        # Not aws:username: every account may have a user of that name.
        *("aws:sourceaccount", "aws:sourceorgid", "aws:userid"),
    }
)
# Conditions on the way that a request takes: a direct call by the auditor meets others than a read through S3 does.
_ON_THE_WAY: Final = frozenset(
    {
        *(
            "kms:viaservice",
            "kms:calleraccount",
            "aws:sourcearn",
            "aws:sourceaccount",
            "aws:sourcevpc",
            "aws:sourcevpce",
        ),
        *("aws:sourceip", "aws:calledvia", "aws:calledvialast", "aws:viaawsservice", "kms:grantisforawsresource"),
    }
)
_ROOT: Final = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:(iam|sts)::([0-9]{12}):(role|user|assumed-role)/(.+)")


class _Match(IntEnum):
    """Whether a statement's principal is the one in question."""

    NO = 0
    MAYBE = 1
    """A session of the role, a list of everybody but some."""
    ACCOUNT = 2
    """Its whole account: an Allow hands the decision to the account's IAM policies, a Deny hits everybody in it."""
    YES = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a key policy."""

    allow: bool
    principals: tuple[str, ...]
    """`*`, account ids, ARNs, unique ids of deleted principals; others with their kind before them (`Service …`)."""
    inverted: bool
    """It speaks of everybody but `principals`."""
    actions: tuple[str, ...]
    other_actions: tuple[str, ...]
    """It speaks of every action but these; empty where `actions` says which."""
    resources: tuple[str, ...]
    conditions: tuple[str, ...]
    """Lower-case condition keys; empty for a statement without a condition."""
    narrowed: bool = False
    """A condition ties it to named accounts or principals, so that it is not open to everybody."""


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


def parse_policy(text: str) -> tuple[Statement, ...]:
    """Read a policy document.

    Raises:
        ValueError: it is no policy.
    """
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError("a policy is an object")  # noqa: TRY004 - the caller knows one error
    return tuple(_statement(one) for one in _list(told.get("Statement")))


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
    read = _statements(policies)
    return KeyAccess(
        rights=tuple(
            Right(principal, action, grant_of(name, principal, action, policies))
            for principal in wanted
            for action in PLATFORM_ACTIONS
        ),
        others=_others(name, wanted, policies),
        public=_public(name, policies),
        administered=_administered(name, policies.default),
        conditional=any(map(_on_the_way, (key for one in read for key in one.conditions))),
        unread=tuple(sorted(unread.items())),
    )


def access_of_managed(name: KeyName, principals: Iterable[str]) -> KeyAccess:
    """Judge a key that AWS manages: its fixed policy lets in its own account, through the service, and no other.

    Source: AWS KMS Developer Guide, AWS managed keys.
    """
    return KeyAccess(
        rights=tuple(
            Right(one, DECRYPT, Grant.POSSIBLE if _account(one) == name.owner else Grant.ABSENT) for one in principals
        )
    )


def grant_of(name: KeyName, principal: str, action: str, policies: Policies) -> Grant:
    """Judge one right. On AWS a key's own policies and grants must allow it: no IAM policy alone can."""
    statements = [one for one in _statements(policies) if _speaks_of(one, name, action)]
    denials = [(_principal_match(one, principal), bool(one.conditions)) for one in statements if not one.allow]
    if any(match >= _Match.ACCOUNT and not conditional for match, conditional in denials):
        return Grant.DENIED
    same_account = _account(principal) == name.owner
    found = [(_principal_match(one, principal), bool(one.conditions)) for one in statements if one.allow]
    found += [
        (_grantee_match(one.grantee, principal), one.constrained)
        for one in policies.grants or ()
        if action.partition(":")[2] in one.operations
    ]
    settled = policies.default is not None and policies.shared is not None
    maybe_denied = any(match for match, _ in denials)
    if any(match is _Match.YES and not conditional for match, conditional in found):
        return Grant.DIRECT if settled and same_account and not maybe_denied else Grant.POSSIBLE
    if any(match for match, _ in found):
        return Grant.POSSIBLE
    return Grant.ABSENT if settled and policies.grants is not None else Grant.UNREAD


def _statements(policies: Policies) -> tuple[Statement, ...]:
    return (*(policies.default or ()), *(policies.shared or ()))


def _statement(told: Any) -> Statement:
    if not isinstance(told, dict):
        raise ValueError("a statement is an object")  # noqa: TRY004 - the caller knows one error
    if told.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("a statement allows or denies")
    inverted = "NotPrincipal" in told
    tests = list(_tests(told.get("Condition")))
    keys = [key for _, key, _ in tests]
    return Statement(
        allow=told["Effect"] == "Allow",
        principals=tuple(_principals(told.get("NotPrincipal" if inverted else "Principal"))),
        inverted=inverted,
        actions=tuple(map(str, _list(told.get("Action")))),
        other_actions=tuple(map(str, _list(told.get("NotAction")))),
        # `NotResource` in a key policy is not understood here: it counts as speaking of this key under a condition.
        resources=tuple(map(str, _list(told.get("Resource", "*")))) if "NotResource" not in told else ("*",),
        conditions=tuple(sorted(keys)) + (("?",) if "NotResource" in told else ()),
        narrowed=any(_narrows(*test) for test in tests),
    )


def _tests(told: Any) -> Iterable[tuple[str, str, list[str]]]:
    """(operator, key, values) of each test of a condition, operator and key in lower case; `?` for what is none."""
    if not told:
        return
    if not isinstance(told, dict):
        yield "?", "?", []
        return
    for operator, block in told.items():
        if not isinstance(block, dict):
            yield operator.lower(), "?", []
            continue
        for key, values in block.items():
            yield operator.lower(), key.lower(), list(map(str, _list(values)))


def _narrows(operator: str, key: str, values: list[str]) -> bool:
    """Whether a test holds for named accounts or principals alone; `IfExists` also lets in who has no such key."""
    loose = "not" in operator or operator.startswith(("null", "foranyvalue", "forallvalues"))
    loose = loose or operator.endswith("ifexists")
    return key in _NARROWING and not loose and bool(values) and all(_names_whose(key, one) for one in values)


def _names_whose(key: str, value: str) -> bool:
    """Whether a value says without a wildcard whose principals it means: the account, the organisation, the role."""
    match key:
        case "aws:principalarn":
            whose = value.split(":")[4] if value.count(":") > 4 else ""  # noqa: PLR2004 - arn:partition:iam::ACCOUNT:
        case "aws:principalorgpaths":
            whose = value.partition("/")[0]
        case "aws:userid":
            whose = value.partition(":")[0]
        case _:
            whose = value
    return whose != "" and not {"*", "?"}.intersection(whose)


def _principals(told: Any) -> Iterable[str]:
    if not isinstance(told, dict):
        return map(str, _list(told))
    return (str(one) if kind == "AWS" else f"{kind} {one}" for kind, entries in told.items() for one in _list(entries))


def _list(told: Any) -> list[Any]:
    if told is None:
        return []
    return list(told) if isinstance(told, list) else [told]


def _speaks_of(statement: Statement, name: KeyName, action: str) -> bool:
    if not any(_like(one, name.text) for one in statement.resources):
        return False
    if statement.other_actions:
        return not any(_like(one.lower(), action.lower()) for one in statement.other_actions)
    return any(_like(one.lower(), action.lower()) for one in statement.actions)


def _like(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` any text, `?` any one character; in time that no hostile pattern can blow up."""
    at = place = 0
    star, resume = -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", text[place]}:
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return pattern[at:].strip("*") == ""


def _principal_match(statement: Statement, principal: str) -> _Match:
    best = max((_match(one, principal) for one in statement.principals), default=_Match.NO)
    if not statement.inverted:
        return best
    # Everybody but these; whether a session of a named role is meant is not settled by its name alone.
    return _Match.NO if best is _Match.YES else _Match.MAYBE


def _match(told: str, principal: str) -> _Match:
    if told in {"*", principal}:
        return _Match.YES
    if (root := _ROOT.fullmatch(told)) is not None:
        return _Match.ACCOUNT if root[1] == _account(principal) else _Match.NO
    return _Match.MAYBE if _is_session_of(told, principal) else _Match.NO


def _grantee_match(grantee: str, principal: str) -> _Match:
    """A grant to an account's root lets that account decide."""
    return _match(grantee, principal)


def _is_session_of(told: str, principal: str) -> bool:
    """`assumed-role/NAME/SESSION` speaks of one session of the role NAME, whatever the role's path."""
    session, role = _ARN.fullmatch(told), _ARN.fullmatch(principal)
    if session is None or role is None or session[3] != "assumed-role" or session[2] != role[2]:
        return False
    return role[3] == "role" and session[4].split("/")[0] == role[4].rpartition("/")[2]


def _account(principal: str) -> str:
    hit = _ARN.fullmatch(principal)
    return hit[2] if hit else ""


def _others(name: KeyName, wanted: tuple[str, ...], policies: Policies) -> tuple[str, ...] | None:
    """Who else may decrypt. The key's own account is not told: its IAM policies are its owner's own affair."""
    if not wanted:
        return None
    found = {
        one
        for statement in _statements(policies)
        if statement.allow and not statement.inverted and _speaks_of(statement, name, DECRYPT)
        for one in statement.principals
    }
    found.update(one.grantee for one in policies.grants or () if DECRYPT.partition(":")[2] in one.operations)
    own = {name.owner, *(one for one in found if (root := _ROOT.fullmatch(one)) and root[1] == name.owner)}
    sessions = {one for one in found if any(_is_session_of(one, ours) for ours in wanted)}
    strangers = tuple(sorted(found.difference(own, wanted, sessions)))[:_OTHERS]
    complete = None not in {policies.default, policies.shared, policies.grants}
    return strangers if strangers or complete else None


def _on_the_way(condition: str) -> bool:
    return condition in _ON_THE_WAY or condition.startswith("kms:encryptioncontext")


def _public(name: KeyName, policies: Policies) -> bool | None:
    """Whether a statement lets everybody do anything with the key; a condition may still narrow it to nobody new."""
    if policies.default is None or policies.shared is None:
        return None
    answer: bool | None = False
    for one in _statements(policies):
        everybody = one.inverted or "*" in one.principals
        if not one.allow or not everybody or not any(_like(each, name.text) for each in one.resources):
            continue
        if not one.conditions:
            return True
        if not one.narrowed:
            answer = None
    return answer


def _administered(name: KeyName, statements: tuple[Statement, ...] | None) -> bool | None:
    """Whether somebody may change the policy; the unique id that a deleted principal leaves behind is nobody."""
    if statements is None:
        return None
    speaking = [one for one in statements if _speaks_of(one, name, _ADMINISTER)]
    if any(not one.allow and "*" in one.principals and not one.conditions for one in speaking):
        return False
    allowing = [one for one in speaking if one.allow and (one.inverted or any(map(_exists, one.principals)))]
    if any(not one.conditions and not one.inverted for one in allowing):
        return True if all(one.allow for one in speaking) else None
    return None if allowing else False


def _exists(principal: str) -> bool:
    return principal == "*" or bool(_ROOT.fullmatch(principal)) or bool(_ARN.fullmatch(principal))
