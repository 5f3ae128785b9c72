"""Whose an AWS principal is, and when two names mean one."""

import pytest

from auditor.principals import account_of, is_person, is_session, role_of, same_principal
from tests.core_builders import ROLE

SESSION = "arn:aws:sts::111122223333:assumed-role/storage/i-1"
STRANGER = "arn:aws:sts::111122223333:assumed-role/cmek-auditor/session"

SAME: dict[str, tuple[str, str, bool]] = {
    "itself": (ROLE, ROLE, True),
    "one name of no known shape": ("x", "x", True),
    "two names of no known shape": ("x", "y", False),
    "a session of the role": (SESSION, ROLE, True),
    "a session of another role": (STRANGER, ROLE, False),
    "a session of the role, which has a path": (SESSION, "arn:aws:iam::111122223333:role/team/a/storage", True),
    "a session that is named like the role": (
        "arn:aws:sts::111122223333:assumed-role/other/storage",
        ROLE,
        False,
    ),
    "the role with and without a path": (ROLE, "arn:aws:iam::111122223333:role/service-role/storage", True),
    "a user with a path": (
        "arn:aws:iam::111122223333:user/team/alice",
        "arn:aws:iam::111122223333:user/alice",
        True,
    ),
    "the same name in another account": (SESSION, ROLE.replace("111122223333", "444455556666"), False),
    "a user of the role's name": ("arn:aws:iam::111122223333:user/storage", ROLE, False),
    "a name of no known shape and a role": ("storage", ROLE, False),
}


@pytest.mark.parametrize(("one", "other", "same"), SAME.values(), ids=SAME)
def test_a_session_is_its_role_and_nobody_else(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a case
    assert same_principal(one, other) is same_principal(other, one) is same


ACCOUNTS = {
    ROLE: "111122223333",
    SESSION: "111122223333",
    "arn:aws:iam::111122223333:root": "111122223333",
    "arn:aws:sts::111122223333:federated-user/Bob": "111122223333",
    "111122223333": "111122223333",
    "arn:aws:iam::*:role/storage": "",
    "11112222333": "",
    "*": "",
    "AROAEXAMPLE": "",
    "arn:aws:iam": "",
    "arn:aws:iam::111122223333": "",
}


@pytest.mark.parametrize(("name", "account"), ACCOUNTS.items())
def test_an_account_is_told_where_the_name_has_it(name: str, account: str) -> None:
    assert account_of(name) == account


def test_a_pattern_is_no_person() -> None:
    assert is_person(ROLE)
    assert is_person(SESSION)
    assert not is_person("arn:aws:iam::111122223333:role/*")
    assert not is_person("arn:aws:iam::111122223333:role/stor?ge")
    assert not is_person("arn:aws:iam::111122223333:root")


def test_a_session_is_told_from_its_role() -> None:
    assert is_session(SESSION)
    assert role_of(SESSION) == role_of(f"{SESSION}-2") != role_of(SESSION.replace("111122223333", "444455556666"))
    assert [role_of(one) for one in (ROLE, "storage", "")] == [ROLE, "storage", ""]
    assert not is_session(ROLE)
    assert not is_session("storage")
