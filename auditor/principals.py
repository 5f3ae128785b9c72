"""AWS principals by their names: whose one is, and whether two names mean one role or user."""

import re
from typing import Final

_PERSON: Final = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::([0-9]{12}):(role|user|assumed-role)/(.+)")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


def same_principal(one: str, other: str) -> bool:
    """Whether two names mean one role or user.

    A path tells nothing apart: a name is given once in an account, and a session's ARN has the name alone.
    """
    return one == other or (_person(one) is not None and _person(one) == _person(other))


def role_of(name: str) -> str:
    """The role behind a session's name, so that each session is the same; any other name as it is."""
    person = _person(name) if is_session(name) else None
    return ":".join(person) if person is not None else name


def is_session(name: str) -> bool:
    """Whether it names one session of a role, and not the role."""
    hit = _PERSON.fullmatch(name)
    return hit is not None and hit[2] == "assumed-role"


def is_person(name: str) -> bool:
    """Whether it is the ARN of one role, user or session, with no wildcard in it."""
    return _person(name) is not None and not {"*", "?"}.intersection(name)


def account_of(name: str) -> str:
    """The account that a principal is or belongs to; empty where its name does not tell."""
    account = name.split(":")[4] if name.startswith("arn:") and name.count(":") > 4 else name  # noqa: PLR2004 - arn:partition:iam::ACCOUNT:
    return account if _ACCOUNT.fullmatch(account) else ""


def _person(arn: str) -> tuple[str, str, str] | None:
    """(account, `role` or `user`, name) of an ARN."""
    hit = _PERSON.fullmatch(arn)
    if hit is None:
        return None
    account, kind, rest = hit.groups()
    if kind == "assumed-role":
        return account, "role", rest.split("/")[0]
    return account, kind, rest.rpartition("/")[2]
