"""What a key's policies and grants let a caller do, decided as AWS decides it.

Written apart from what the auditor reads out of the same policies, so that one mistake cannot make both agree.
"""

import fnmatch
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
    speaking = [one for one in statements if _action(one, call.action) and _holds(one.get("Condition", {}), call)]
    if any(one["Effect"] == "Deny" and _meant(one, call) for one in speaking):
        return False
    mine = call.account == key.split(":")[4]
    allowing = [one for one in speaking if one["Effect"] == "Allow"]
    operation = call.action.removeprefix("kms:")
    granted = any(one["GranteePrincipal"] == call.principal and operation in one["Operations"] for one in grants)
    if granted or any(_named(one, call) for one in allowing):
        return mine or by_iam
    return by_iam and any(_meant(one, call) for one in allowing)


def _named(statement: Mapping[str, Any], call: Call) -> bool:
    """The very principal is named, or everybody."""
    return bool({"*", call.principal}.intersection(_principals(statement.get("Principal"))))


def _meant(statement: Mapping[str, Any], call: Call) -> bool:
    """It, everybody, or its account is named; or it is not among those that are left out."""
    ours = {"*", call.principal, call.account, f"arn:aws:iam::{call.account}:root"}
    if "NotPrincipal" in statement:
        return not ours.intersection(_principals(statement["NotPrincipal"]))
    return bool(ours.intersection(_principals(statement.get("Principal"))))


def _principals(told: Any) -> list[str]:
    return (
        _many(told["AWS"]) if isinstance(told, dict) and "AWS" in told else _many(told) if isinstance(told, str) else []
    )


def _action(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in _many(statement["NotAction"]))
    return any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in _many(statement["Action"]))


def _holds(condition: Mapping[str, Any], call: Call) -> bool:
    facts = {"kms:ViaService": call.via, "kms:CallerAccount": call.account, "aws:PrincipalArn": call.principal}
    for operator, block in condition.items():
        for key, wanted in block.items():
            fact = facts[key]
            hit = fact is not None and any(fnmatch.fnmatchcase(fact, one) for one in _many(wanted))
            if hit is operator.startswith("StringNot"):
                return False
    return True


def _many(told: Any) -> list[Any]:
    return list(told) if isinstance(told, list) else [told]
