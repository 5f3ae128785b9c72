"""What a key's policies and grants let a caller do, decided as AWS decides it.

Written apart from what the auditor reads out of the same policies, so that one mistake cannot make both agree.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One use of a key as policies see it."""

    principal: str
    """ARN of the role or user behind it."""
    action: str
    via: str | None = None
    """The service that makes the call for the principal: what `kms:ViaService` compares."""

    @property
    def account(self) -> str:
        """The principal's account."""
        return self.principal.split(":")[4]


def allowed(
    call: Call, key: str, documents: Iterable[Mapping[str, Any]], grants: Iterable[Mapping[str, Any]], *, by_iam: bool
) -> bool:
    """Whether the call passes; `by_iam` tells whether the principal's own IAM policies allow it."""
    statements = [one for document in documents for one in _many(document["Statement"])]
    speaking = [
        one
        for one in statements
        if _action(one, call.action) and _resource(one, key, call) and _holds(one.get("Condition") or {}, call)
    ]
    if any(one["Effect"] == "Deny" and _denied(one, call) for one in speaking):
        return False
    mine = call.account == key.split(":")[4]
    allowing = [one for one in speaking if one["Effect"] == "Allow"]
    operation = call.action.removeprefix("kms:")
    mine_by_grant = [one for one in grants if _plain(one["GranteePrincipal"]) == _plain(call.principal)]
    granted = any(operation in one["Operations"] for one in mine_by_grant)
    if granted or any(_named(one, call) for one in allowing):
        return mine or by_iam
    return by_iam and any(_meant(one, call) for one in allowing)


def _named(statement: Mapping[str, Any], call: Call) -> bool:
    """The very principal is named, or everybody."""
    return bool({"*", _plain(call.principal)}.intersection(_principals(statement.get("Principal"))))


def _meant(statement: Mapping[str, Any], call: Call) -> bool:
    """It, everybody, or its account is named; or it is not among those that are left out."""
    ours = {"*", _plain(call.principal), call.account, f"arn:aws:iam::{call.account}:root"}
    if "NotPrincipal" in statement:
        return not ours.intersection(_principals(statement["NotPrincipal"]))
    return bool(ours.intersection(_principals(statement.get("Principal"))))


def _denied(statement: Mapping[str, Any], call: Call) -> bool:
    """As for an Allow, but that only whose account is left out as well is left out of a Deny."""
    if "NotPrincipal" not in statement:
        return _meant(statement, call)
    spared = set(_principals(statement["NotPrincipal"]))
    account = {call.account, f"arn:aws:iam::{call.account}:root"}
    return "*" not in spared and not (_plain(call.principal) in spared and account & spared)


def _principals(told: Any) -> list[str]:
    if isinstance(told, dict):
        told = told.get("AWS", [])
    return [_plain(one) for one in _many(told) if isinstance(one, str)]


def _plain(principal: str) -> str:
    """Without the path, which names nobody apart: roles and users have one name each in an account."""
    whose, slash, name = principal.partition("/")
    return f"{whose}/{name.split('/')[-1]}" if slash and whose.endswith((":role", ":user")) else principal


def _action(statement: Mapping[str, Any], action: str) -> bool:
    """Nothing where a statement names no action: it has no effect then, and none without a resource."""
    if "NotAction" in statement:
        return not any(_fits(one, action, re.IGNORECASE) for one in _many(statement["NotAction"]))
    return any(_fits(one, action, re.IGNORECASE) for one in _many(statement.get("Action", [])))


def _resource(statement: Mapping[str, Any], key: str, call: Call) -> bool:
    told = [one.replace("${aws:PrincipalAccount}", call.account) for one in _many(statement.get("Resource", []))]
    return any(_fits(one, key) for one in told)


def _holds(condition: Mapping[str, Any], call: Call) -> bool:
    facts = {
        "kms:ViaService": call.via,
        "kms:CallerAccount": call.account,
        "aws:PrincipalAccount": call.account,
        "aws:PrincipalArn": call.principal,
    }
    for operator, block in condition.items():
        for key, wanted in block.items():
            fact = facts[key]
            told = [one.replace("${aws:PrincipalAccount}", call.account) for one in _many(wanted)]
            hit = fact is not None and any(_fits(one, fact) for one in told)
            if hit is operator.startswith("StringNot"):
                return False
    return True


def _fits(pattern: str, text: str, flags: int = 0) -> bool:
    """Wildcards as policies have them; only plain letters have a small and a capital form."""
    spelt = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(spelt, text, flags | re.ASCII | re.DOTALL) is not None


def _many(told: Any) -> list[Any]:
    return list(told) if isinstance(told, list) else [told]
