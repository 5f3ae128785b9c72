"""Policy documents -> statements: whom each speaks of, which actions, which keys, and under what conditions.

Source: AWS KMS API Reference, PutKeyPolicy; IAM User Guide, AWS JSON policy elements.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from auditor.connectors.documents import parse_once
from auditor.model import KeyName
from auditor.principals import account_of, is_session, same_principal

_ROOT: Final = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?")
_GONE: Final = re.compile(r"(?:AROA|AIDA)[A-Z0-9]+")
_KINDS: Final = ("Service ", "Federated ", "CanonicalUser ")
_UNKNOWN: Final = "?"
"""Stands for a condition whose meaning is not settled here."""

# Conditions that tie a statement to known accounts or principals: it is then not open to everybody.
_NARROWING: Final = frozenset(
    {
        *("kms:calleraccount", "aws:principalaccount", "aws:principalarn", "aws:principalorgid"),
        # Not aws:username: every account may have a user of that name.
        *("aws:principalorgpaths", "aws:sourceaccount", "aws:sourceorgid", "aws:userid"),
    }
)
_TELLING_WHOM: Final = frozenset({"kms:calleraccount", "aws:principalaccount", "aws:principalarn"})
_NAMING: Final = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"})
"""Operators that hold for the named values alone, and never where the request has no such key."""


class Match(IntEnum):
    """Whether a statement's principal is the one in question."""

    NO = 0
    MAYBE = 1
    """A session of the role, a list of everybody but some, a name of no known shape."""
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
    conditional: bool
    """It holds under a condition, or may not be about this key: nothing is settled by it."""
    narrowed: bool
    """A condition ties it to named accounts or principals, so that it is not open to everybody."""
    tied_to: tuple[str, ...]
    """The accounts or ARNs that a condition ties it to; empty where none does."""

    @property
    def for_everybody(self) -> bool:
        """It names everybody, or all but some; all but everybody is nobody."""
        return ("*" in self.principals) is not self.inverted


def parse_policy(text: str) -> tuple[Statement, ...]:
    """Read a policy document; a statement without an action or a resource is left out, for KMS gives it no effect.

    Raises:
        ValueError: it is no policy.
    """
    told = parse_once(text)
    if not isinstance(told, dict):
        raise ValueError("a policy is an object")  # noqa: TRY004 - the caller knows one error
    if not (statements := _list(told.get("Statement"))):
        raise ValueError("a policy says something")
    return tuple(one for one in map(_statement, statements) if one is not None)


def speaks_of(statement: Statement, name: KeyName, action: str) -> bool | None:
    """Whether a statement is about an action with a key; None where its resource does not settle it."""
    listed = any(_same_action(one, action) for one in statement.other_actions or statement.actions)
    if listed is bool(statement.other_actions):
        return False
    about = {_covers(one, name.text) for one in statement.resources}
    return True if True in about else None if None in about else False


def principal_match(statement: Statement, principal: str) -> Match:
    """Whether a statement is about a principal."""
    best = max((match(one, principal) for one in statement.principals), default=Match.NO)
    if not statement.inverted:
        return best
    if "*" in statement.principals:
        return Match.NO
    # Left out of a Deny is surely only who is named with account and session, and has no permissions boundary; what
    # an Allow for all but some does, no document says. Who is none of those that a Deny leaves out is denied.
    others = all(is_gone(one) or account_of(one) for one in statement.principals)
    return Match.YES if others and best is Match.NO and not statement.allow else Match.MAYBE


def match(told: str, principal: str) -> Match:
    """Whether the name that a policy or grant tells is the principal."""
    if (root := _ROOT.fullmatch(told)) is not None:
        return Match.ACCOUNT if root[1] == account_of(principal) else Match.NO
    if told in {"*", principal}:
        return Match.YES
    if same_principal(told, principal):
        return Match.MAYBE if is_session(told) else Match.YES
    strange = {"*", "?", "$"}.intersection(told) or not (is_gone(told) or told.startswith(("arn:", *_KINDS)))
    return Match.MAYBE if strange else Match.NO


def is_account(principal: str) -> bool:
    """Whether it is a whole account: its number or its root."""
    return _ROOT.fullmatch(principal) is not None


def is_gone(principal: str) -> bool:
    """Whether it is the unique id that a deleted role or user leaves behind in a policy."""
    return _GONE.fullmatch(principal) is not None


def like(pattern: str, text: str) -> bool:
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


def _statement(told: Any) -> Statement | None:
    if not isinstance(told, dict):
        raise ValueError("a statement is an object")  # noqa: TRY004 - the caller knows one error
    if told.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("a statement allows or denies")
    (actions, other_actions), (resources, other_resources) = _either(told, "Action"), _either(told, "Resource")
    principal, other_principal = told.get("Principal"), told.get("NotPrincipal")
    if principal is not None and other_principal is not None:
        raise ValueError("a statement is for some or for all but some")
    if not (actions or other_actions) or not (resources or other_resources):
        return None
    tests = list(_tests(told.get("Condition")))
    narrowing = [(key, values) for operator, key, values in tests if _narrows(operator, key, values)]
    telling = [tuple(values) for key, values in narrowing if key in _TELLING_WHOM]
    return Statement(
        allow=told["Effect"] == "Allow",
        principals=tuple(_principals(principal if other_principal is None else other_principal)),
        inverted=other_principal is not None,
        actions=actions,
        other_actions=other_actions,
        # `NotResource` in a key policy is not understood here: it counts as speaking of this key under a condition.
        resources=resources or ("*",),
        conditional=bool(tests or other_resources),
        narrowed=bool(narrowing),
        tied_to=min(telling, key=len, default=()),
    )


def _either(told: dict[str, Any], field: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a field and its opposite list; a statement has one of them, and an empty list says nothing to go by."""
    found = [told.get(field), told.get(f"Not{field}")]
    if None not in found or [] in found:
        raise ValueError(f"a statement lists its {field} or all but some")
    plain, opposite = (tuple(_texts(one)) for one in found)
    return plain, opposite


def _tests(told: Any) -> Iterable[tuple[str, str, list[str]]]:
    """(operator, key, values) of each test of a condition, operator and key in lower case; `?` for what is none."""
    if told is None or told == {}:
        return
    if not isinstance(told, dict):
        yield _UNKNOWN, _UNKNOWN, []
        return
    for operator, block in told.items():
        if not isinstance(block, dict) or not block:
            yield _folded(operator), _UNKNOWN, []
            continue
        for key, values in block.items():
            yield _folded(operator), _folded(key), list(map(str, _list(values)))


def _narrows(operator: str, key: str, values: list[str]) -> bool:
    """Whether a test holds for named accounts or principals alone."""
    named = operator in _NAMING and key in _NARROWING
    return named and bool(values) and all(_names_whose(key, one) for one in values)


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
    return whose != "" and "${" not in value and not {"*", "?"}.intersection(whose)


def _principals(told: Any) -> Iterable[str]:
    if not isinstance(told, dict):
        return _texts(told)
    return (one if kind == "AWS" else f"{kind} {one}" for kind, entries in told.items() for one in _texts(entries))


def _texts(told: Any) -> Iterable[str]:
    for one in _list(told):
        if not isinstance(one, str | int):  # an account may stand there as a number
            raise ValueError("an object or a list stands where a name is due")  # noqa: TRY004 - the caller knows one error
        yield str(one)


def _list(told: Any) -> list[Any]:
    if told is None:
        return []
    return list(told) if isinstance(told, list) else [told]


def _folded(text: str) -> str:
    """Lower case of plain letters alone: the sign of Kelvin, which Python makes a `k`, is none to AWS."""
    return text.lower() if text.isascii() else text


def _same_action(pattern: str, action: str) -> bool:
    return like(_folded(pattern), _folded(action))


def _covers(pattern: str, arn: str) -> bool | None:
    """Whether a resource is the key: surely part by part, perhaps where a variable, a case or a long star decides."""
    parts = pattern.split(":")
    wanted = arn.split(":")
    if pattern == "*" or (len(parts) == len(wanted) and all(map(like, parts, wanted))):
        return True
    before, variable, after = pattern.partition("${")
    loose = f"{before}*{after.rpartition('}')[2]}" if variable else pattern  # any text from the first to the last
    return None if like(_folded(loose), _folded(arn)) else False
