"""What a key policy and its grants settle, and what they leave open."""

import json
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.aws.policy import (
    PLATFORM_ACTIONS,
    KeyGrant,
    Policies,
    access_of,
    access_of_managed,
    grant_of,
    parse_grant,
)
from auditor.connectors.aws.statements import like, parse_policy
from auditor.embedded.aws.policy import Call, allowed
from auditor.model import Grant, Reason, Right
from tests.core_builders import AWS_KEY, ROLE

DECRYPT = "kms:Decrypt"
OTHER = "arn:aws:iam::111122223333:role/other"
FOREIGN = "arn:aws:iam::444455556666:role/storage"
ROOT = "arn:aws:iam::111122223333:root"
FOREIGN_SESSION = "arn:aws:sts::444455556666:assumed-role/storage/i-1"
SESSION = "arn:aws:sts::111122223333:assumed-role/storage/i-1"
ALLOW: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": DECRYPT, "Resource": "*"}
DENY = {**ALLOW, "Effect": "Deny"}
VIA = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


NO_RESOURCE = {field: told for field, told in ALLOW.items() if field != "Resource"}
NO_ACTION = {field: told for field, told in ALLOW.items() if field != "Action"}
OF_NO_EFFECT = {"Effect": "Allow", "Principal": "*"}
NOT_HERE = {"NotResource": "arn:aws:kms:us-east-1:111122223333:key/other"}
ANOTHER_KEY = "arn:aws:kms:us-east-1:111122223333:key/other"
IN_OUR_ACCOUNT = "arn:aws:kms:*:${aws:PrincipalAccount}:key/*"
PATH = "arn:aws:iam::111122223333:role/service-role/storage"


def policy(*statements: Any) -> Any:
    document = {"Version": "2012-10-17", "Statement": [*statements, OF_NO_EFFECT]}
    return parse_policy(json.dumps(document))


def by(principal: Any) -> dict[str, Any]:
    return {**ALLOW, "Principal": principal}


def all_but(*principals: str, **more: Any) -> dict[str, Any]:
    return {**DENY, "Principal": None, "NotPrincipal": {"AWS": list(principals)}, **more}


def if_equal(key: str, value: Any, statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "Condition": {"StringEquals": {key: value}}}


DECIDED: dict[str, tuple[tuple[Any, ...], Grant]] = {
    "nobody": ((), Grant.ABSENT),
    "the role": ((ALLOW,), Grant.DIRECT),
    "among others": ((by({"AWS": [OTHER, ROLE]}),), Grant.DIRECT),
    "everybody": ((by("*"),), Grant.DIRECT),
    "everybody, the long way": ((by({"AWS": "*"}),), Grant.DIRECT),
    "another role": ((by({"AWS": OTHER}),), Grant.ABSENT),
    "the same name in another account": ((by({"AWS": FOREIGN}),), Grant.ABSENT),
    "a service": ((by({"Service": "s3.amazonaws.com"}),), Grant.ABSENT),
    "a deleted role's unique id": ((by({"AWS": "AROAEXAMPLEEXAMPLE"}),), Grant.ABSENT),
    "the account, which decides by IAM": ((by({"AWS": ROOT}),), Grant.POSSIBLE),
    "the account by its number": ((by({"AWS": "111122223333"}),), Grant.POSSIBLE),
    "another account": ((by({"AWS": "444455556666"}),), Grant.ABSENT),
    "one session of the role": ((by({"AWS": SESSION}),), Grant.POSSIBLE),
    "everybody but another": (({**ALLOW, "NotPrincipal": {"AWS": OTHER}, "Principal": None},), Grant.POSSIBLE),
    # Its session's ARN is another one, and what an Allow for all but some does no document says.
    "everybody but it": (({**ALLOW, "NotPrincipal": {"AWS": ROLE}, "Principal": None},), Grant.POSSIBLE),
    "everybody but everybody": (({**ALLOW, "NotPrincipal": "*", "Principal": None},), Grant.ABSENT),
    "under a condition": (({**ALLOW, "Condition": VIA},), Grant.POSSIBLE),
    "under an empty condition": (({**ALLOW, "Condition": {}},), Grant.DIRECT),
    "all of KMS": (({**ALLOW, "Action": "kms:*"},), Grant.DIRECT),
    "all there is": (({**ALLOW, "Action": "*"},), Grant.DIRECT),
    "in any case of letters": (({**ALLOW, "Action": ["KMS:decryp?"]},), Grant.DIRECT),
    "something else": (({**ALLOW, "Action": ["kms:Encrypt", "kms:DescribeKey"]},), Grant.ABSENT),
    "all but it": (({**ALLOW, "Action": None, "NotAction": "kms:Decrypt"},), Grant.ABSENT),
    "all but something else": (({**ALLOW, "Action": None, "NotAction": "kms:Encrypt"},), Grant.DIRECT),
    "another key": (({**ALLOW, "Resource": "arn:aws:kms:us-east-1:111122223333:key/other"},), Grant.ABSENT),
    "this key by its name": (({**ALLOW, "Resource": [AWS_KEY.text]},), Grant.DIRECT),
    "something among others": (({**ALLOW, "Action": ["kms:Encrypt", DECRYPT]},), Grant.DIRECT),
    "all but it and something else": (
        ({**ALLOW, "Action": None, "NotAction": ["kms:Encrypt", DECRYPT]},),
        Grant.ABSENT,
    ),
    "this key among others": (({**ALLOW, "Resource": [ANOTHER_KEY, AWS_KEY.text]},), Grant.DIRECT),
    "no resource said, which has no effect": ((NO_RESOURCE,), Grant.ABSENT),
    "no action said, which has no effect": ((NO_ACTION,), Grant.ABSENT),
    "denied without a resource": ((ALLOW, {**NO_RESOURCE, "Effect": "Deny"}), Grant.DIRECT),
    "denied without an action": ((ALLOW, {**NO_ACTION, "Effect": "Deny"}), Grant.DIRECT),
    "keys of its own account by a variable": (({**ALLOW, "Resource": IN_OUR_ACCOUNT},), Grant.POSSIBLE),
    "two variables": (
        ({**ALLOW, "Resource": "arn:aws:kms:${aws:RequestedRegion}:${aws:PrincipalAccount}:key/*"},),
        Grant.POSSIBLE,
    ),
    "a variable that never ends": (({**ALLOW, "Resource": "arn:aws:kms:${aws:"},), Grant.ABSENT),
    "this key or a variable": (({**ALLOW, "Resource": [IN_OUR_ACCOUNT, AWS_KEY.text]},), Grant.DIRECT),
    "a variable of another service": (({**ALLOW, "Resource": "arn:aws:s3:::${aws:username}/*"},), Grant.ABSENT),
    "keys of the account by wildcards": (({**ALLOW, "Resource": "arn:aws:kms:*:111122223333:key/*"},), Grant.DIRECT),
    "a star over several parts of the name": (({**ALLOW, "Resource": "arn:aws:kms:*"},), Grant.POSSIBLE),
    "this key in capitals": (({**ALLOW, "Resource": AWS_KEY.text.upper()},), Grant.POSSIBLE),
    "denied by a variable": ((ALLOW, {**DENY, "Resource": IN_OUR_ACCOUNT}), Grant.POSSIBLE),
    "denied by a star over several parts": ((ALLOW, {**DENY, "Resource": "arn:aws:kms:*"}), Grant.POSSIBLE),
    "the role by a path": ((by({"AWS": PATH}),), Grant.DIRECT),
    "the role by a path denied": ((ALLOW, {**DENY, "Principal": {"AWS": PATH}}), Grant.DENIED),
    "a pattern of roles": ((by({"AWS": "arn:aws:iam::111122223333:role/*"}),), Grant.POSSIBLE),
    "a name with a character left open": ((by({"AWS": "arn:aws:iam::111122223333:role/stor?ge"}),), Grant.POSSIBLE),
    "a name with a variable": ((by({"AWS": "arn:aws:iam::111122223333:role/${aws:username}"}),), Grant.POSSIBLE),
    "somebody who signs in elsewhere": ((by({"Federated": "cognito-identity.amazonaws.com"}),), Grant.ABSENT),
    "an account by its canonical id": ((by({"CanonicalUser": "79a59df900b949e55d96a1e698fb"}),), Grant.ABSENT),
    "a number that is no account": ((by({"AWS": 11112222333}),), Grant.POSSIBLE),
    "the account by a plain number": ((by({"AWS": 111122223333}),), Grant.POSSIBLE),
    "a federated user": ((by({"AWS": "arn:aws:sts::111122223333:federated-user/storage"}),), Grant.ABSENT),
    "the sign of Kelvin": (({**ALLOW, "Action": "\u212ams:Decrypt"},), Grant.ABSENT),
    "denied by the sign of Kelvin": ((ALLOW, {**DENY, "Action": "\u212ams:*"}), Grant.DIRECT),
    "denied under a test of nothing": ((ALLOW, {**DENY, "Condition": {"StringEquals": {}}}), Grant.POSSIBLE),
    "denied under a list of tests": ((ALLOW, {**DENY, "Condition": []}), Grant.POSSIBLE),
    "all but another resource, which is not understood": (({**NO_RESOURCE, **NOT_HERE},), Grant.POSSIBLE),
    "under a condition that is no object": (({**ALLOW, "Condition": ["x"]},), Grant.POSSIBLE),
    "under a test that is no object": (({**ALLOW, "Condition": {"StringEquals": "x"}},), Grant.POSSIBLE),
    "an empty list of principals": ((by({"AWS": []}),), Grant.ABSENT),
    "nobody said": ((by(None),), Grant.ABSENT),
    "a session of another role": (
        (by({"AWS": "arn:aws:sts::111122223333:assumed-role/other/storage"}),),
        Grant.ABSENT,
    ),
    "a session of the name in another account": (
        (by({"AWS": "arn:aws:sts::444455556666:assumed-role/storage/i-1"}),),
        Grant.ABSENT,
    ),
    "a user of the same name": ((by({"AWS": "arn:aws:iam::111122223333:user/storage"}),), Grant.ABSENT),
    "one session denied": ((ALLOW, {**DENY, "Principal": {"AWS": SESSION}}), Grant.POSSIBLE),
    "only denied, under a condition": (({**DENY, "Condition": VIA},), Grant.ABSENT),
    "denied for all but another resource": ((ALLOW, {**DENY, "Resource": None, **NOT_HERE}), Grant.POSSIBLE),
    "denied": ((ALLOW, DENY), Grant.DENIED),
    "denied before allowed": ((DENY, ALLOW), Grant.DENIED),
    "everybody denied": ((ALLOW, {**DENY, "Principal": "*"}), Grant.DENIED),
    "its account denied": ((ALLOW, {**DENY, "Principal": {"AWS": ROOT}}), Grant.DENIED),
    "another denied": ((ALLOW, {**DENY, "Principal": {"AWS": OTHER}}), Grant.DIRECT),
    "denied under a condition": ((ALLOW, {**DENY, "Condition": VIA}), Grant.POSSIBLE),
    "everybody but another denied": ((ALLOW, all_but(OTHER, FOREIGN, "AROAEXAMPLE")), Grant.DENIED),
    "everybody but another denied, under a condition": ((ALLOW, all_but(OTHER, Condition=VIA)), Grant.POSSIBLE),
    "everybody but another denied, by a variable": ((ALLOW, all_but(OTHER, Resource=IN_OUR_ACCOUNT)), Grant.POSSIBLE),
    # Whoever has a permissions boundary is denied all the same; so is whose session and account are not left out.
    "everybody but it denied": ((ALLOW, all_but(ROLE)), Grant.POSSIBLE),
    "everybody but it and its account denied": ((ALLOW, all_but(ROLE, ROOT, SESSION)), Grant.POSSIBLE),
    "everybody but its account denied": ((ALLOW, all_but(ROOT)), Grant.POSSIBLE),
    "everybody but its session denied": ((ALLOW, all_but(SESSION)), Grant.POSSIBLE),
    "everybody but a pattern denied": ((ALLOW, all_but("arn:aws:iam::444455556666:role/*")), Grant.POSSIBLE),
    "everybody but somebody of no known shape denied": ((ALLOW, all_but("storage")), Grant.POSSIBLE),
    "everybody but a service denied": (
        (ALLOW, {**DENY, "Principal": None, "NotPrincipal": {"Service": "s3.amazonaws.com"}}),
        Grant.POSSIBLE,
    ),
    "everybody but another and a service denied": (
        (ALLOW, {**DENY, "Principal": None, "NotPrincipal": {"AWS": OTHER, "Service": "s3.amazonaws.com"}}),
        Grant.POSSIBLE,
    ),
    "everybody but everybody denied": ((ALLOW, all_but("*")), Grant.DIRECT),
    "something else denied": ((ALLOW, {**DENY, "Action": "kms:Encrypt"}), Grant.DIRECT),
}


@pytest.mark.parametrize(("statements", "grant"), DECIDED.values(), ids=DECIDED)
def test_only_what_the_policy_settles_is_called_settled(statements: tuple[Any, ...], grant: Grant) -> None:
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(policy(*statements))) is grant


OF_ITS_SESSION: dict[str, tuple[str, Grant]] = {
    "the role with a path": ("arn:aws:iam::111122223333:role/team/a/storage", Grant.POSSIBLE),
    "another role with a path": ("arn:aws:iam::111122223333:role/storage/other", Grant.ABSENT),
    "a user of the role's name": ("arn:aws:iam::111122223333:user/storage", Grant.ABSENT),
    "a name of no known shape": ("storage", Grant.ABSENT),
}


@pytest.mark.parametrize(("principal", "grant"), OF_ITS_SESSION.values(), ids=OF_ITS_SESSION)
def test_a_session_that_is_named_is_perhaps_the_roles(principal: str, grant: Grant) -> None:
    assert grant_of(AWS_KEY, principal, DECRYPT, Policies(policy(by({"AWS": SESSION})))) is grant


def test_another_accounts_role_also_needs_its_own_accounts_word() -> None:
    named = Policies(policy(by({"AWS": FOREIGN})))
    assert grant_of(AWS_KEY, FOREIGN, DECRYPT, named) is Grant.POSSIBLE
    assert grant_of(AWS_KEY, FOREIGN, DECRYPT, Policies(policy(by({"AWS": "444455556666"})))) is Grant.POSSIBLE
    assert grant_of(AWS_KEY, FOREIGN, DECRYPT, Policies(policy(ALLOW))) is Grant.ABSENT


GRANTS = {
    "to the role": (KeyGrant(ROLE, ("Decrypt",), constrained=False), Grant.DIRECT),
    "under a constraint": (KeyGrant(ROLE, ("Decrypt",), constrained=True), Grant.POSSIBLE),
    "for something else": (KeyGrant(ROLE, ("Encrypt",), constrained=False), Grant.ABSENT),
    "to another": (KeyGrant(OTHER, ("Decrypt",), constrained=False), Grant.ABSENT),
    "to the account": (KeyGrant(ROOT, ("Decrypt",), constrained=False), Grant.POSSIBLE),
    "to the role by a path": (KeyGrant(PATH, ("Decrypt",), constrained=False), Grant.DIRECT),
    "to a session": (KeyGrant(SESSION, ("Decrypt",), constrained=False), Grant.POSSIBLE),
}


@pytest.mark.parametrize(("one", "grant"), GRANTS.values(), ids=GRANTS)
def test_a_grant_lets_what_it_names(one: KeyGrant, grant: Grant) -> None:
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies((), (), (one,))) is grant
    denied = Policies(policy(DENY), (), (one,))
    assert grant_of(AWS_KEY, ROLE, DECRYPT, denied) is Grant.DENIED


def test_what_was_not_read_is_no_proof() -> None:
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(None)) is Grant.UNREAD
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies((), None)) is Grant.UNREAD
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies((), (), None)) is Grant.UNREAD
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(policy(ALLOW), None)) is Grant.POSSIBLE, "a share may deny it"
    granted = KeyGrant(ROLE, ("Decrypt",), constrained=False)
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(None, (), (granted,))) is Grant.POSSIBLE, "the policy may deny it"
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(policy(ALLOW), (), None)) is Grant.DIRECT


def test_both_policies_of_a_shared_key_count() -> None:
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies((), policy(ALLOW))) is Grant.DIRECT
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(policy(ALLOW), policy(DENY))) is Grant.DENIED


def test_every_right_of_every_principal_is_judged() -> None:
    unread = {"kms:ListGrants": Reason.THROTTLED, "kms:GetKeyPolicy": Reason.TIMEOUT}
    found = access_of(AWS_KEY, (ROLE, OTHER), Policies(policy(ALLOW)), unread)
    assert found.unread == (("kms:GetKeyPolicy", Reason.TIMEOUT), ("kms:ListGrants", Reason.THROTTLED))
    assert [(one.principal, one.action) for one in found.rights] == [
        (principal, action) for principal in (ROLE, OTHER) for action in PLATFORM_ACTIONS
    ]
    assert found.grant(ROLE, DECRYPT) is Grant.DIRECT
    assert found.grant(ROLE, "kms:Encrypt") is Grant.ABSENT


def test_what_storage_needs_of_a_key_is_all_asked_for() -> None:
    needed = ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:DescribeKey")
    assert needed == PLATFORM_ACTIONS


def test_a_key_that_aws_manages_lets_in_its_own_account_alone() -> None:
    assert access_of_managed(AWS_KEY, (ROLE, FOREIGN)).rights == (
        Right(ROLE, DECRYPT, Grant.POSSIBLE),
        Right(FOREIGN, DECRYPT, Grant.ABSENT),
    )


PUBLIC: dict[str, tuple[Any, bool | None]] = {
    "a role": (ALLOW, False),
    "everybody": (by("*"), True),
    "everybody by a list": (by({"AWS": [ROLE, "*"]}), True),
    "everybody but one": ({**ALLOW, "NotPrincipal": {"AWS": ROLE}, "Principal": None}, True),
    "everybody but everybody": ({**ALLOW, "NotPrincipal": "*", "Principal": None}, False),
    "everybody denied": ({**by("*"), "Effect": "Deny"}, False),
    "everybody, with no resource": ({**NO_RESOURCE, "Principal": "*"}, False),
    "everybody, with no action": ({**NO_ACTION, "Principal": "*"}, False),
    "everybody, in another service": ({**by("*"), "Action": "s3:GetObject"}, False),
    "everybody, to look": ({**by("*"), "Action": ["kms:DescribeKey", "kms:List*", "kms:GetKeyPolicy"]}, False),
    "everybody, to encrypt": ({**by("*"), "Action": "kms:encrypt"}, True),
    "everybody, to make data keys": ({**by("*"), "Action": "kms:GenerateDataKey*"}, True),
    "everybody, to move data": ({**by("*"), "Action": "kms:ReEncrypt*"}, True),
    "everybody, to hand it on": ({**by("*"), "Action": "kms:CreateGrant"}, True),
    "everybody, to change the policy": ({**by("*"), "Action": "kms:Put*"}, True),
    "everybody, all but looking": ({**by("*"), "Action": None, "NotAction": "kms:DescribeKey"}, True),
    "everybody, keys of one's own account": ({**by("*"), "Resource": IN_OUR_ACCOUNT}, None),
    "everybody of everybody's account": (
        if_equal("aws:PrincipalAccount", "${aws:PrincipalAccount}", by("*")),
        None,
    ),
    "everybody of one account or everybody's": (
        if_equal("aws:PrincipalAccount", ["111122223333", "${kms:CallerAccount}"], by("*")),
        None,
    ),
    "everybody whose ARN holds their own account": (
        if_equal("aws:PrincipalArn", "arn:aws:iam::${aws:PrincipalAccount}:role/storage", by("*")),
        None,
    ),
    "everybody below a number": (
        {**by("*"), "Condition": {"NumericLessThan": {"aws:PrincipalAccount": "999999999999"}}},
        None,
    ),
    "everybody of one account": (
        {**by("*"), "Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}},
        False,
    ),
    "everybody not of one account": (
        {**by("*"), "Condition": {"StringNotEquals": {"kms:CallerAccount": "111122223333"}}},
        None,
    ),
    "everybody of any account": ({**by("*"), "Condition": {"StringLike": {"aws:PrincipalAccount": "*"}}}, None),
    "everybody through S3": ({**by("*"), "Condition": VIA}, None),
    "everybody through S3 of one account": (
        {**by("*"), "Condition": {"StringEquals": {**VIA["StringEquals"], "kms:CallerAccount": "111122223333"}}},
        False,
    ),
    "everybody with another key": ({**by("*"), "Resource": ANOTHER_KEY}, False),
    "everybody with this key among others": ({**by("*"), "Resource": [ANOTHER_KEY, AWS_KEY.text]}, True),
    "everybody under a condition of no known shape": ({**by("*"), "Condition": ["x"]}, None),
}


@pytest.mark.parametrize(("statement", "public"), PUBLIC.values(), ids=PUBLIC)
def test_a_key_is_public_when_nothing_narrows_everybody(statement: Any, public: bool | None) -> None:  # noqa: FBT001 - a case
    assert access_of(AWS_KEY, (), Policies(policy(statement)), {}).public is public


CLOSED: dict[str, tuple[Any, bool | None]] = {
    "everybody denied all": ({**DENY, "Principal": "*", "Action": "kms:*"}, False),
    "everybody denied something else": ({**DENY, "Principal": "*", "Action": "kms:DescribeKey"}, True),
    "one denied": (DENY, True),
    "everybody but one denied": (all_but(ROLE, ROOT, Action="kms:*"), None),
    "strangers denied": (
        {**DENY, "Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}},
        None,
    ),
    "nobody denied": (all_but("*"), True),
}


@pytest.mark.parametrize(("denial", "public"), CLOSED.values(), ids=CLOSED)
def test_a_deny_may_close_what_stands_open(denial: Any, public: bool | None) -> None:  # noqa: FBT001 - a case
    assert access_of(AWS_KEY, (), Policies(policy(by("*"), denial)), {}).public is public


def test_a_policy_that_was_not_read_says_nothing_of_everybody_and_of_its_administrator() -> None:
    for policies in (Policies(None), Policies((), None), Policies(None, policy(by("*")))):
        assert access_of(AWS_KEY, (), policies, {}).public is None
    assert access_of(AWS_KEY, (), Policies(None), {}).administered is None


NAMED: dict[str, tuple[str, str | list[str], bool]] = {
    "calling account": ("kms:CallerAccount", "111122223333", True),
    "account": ("aws:PrincipalAccount", "111122223333", True),
    "several accounts": ("aws:PrincipalAccount", ["111122223333", "444455556666"], True),
    "several accounts and everybody": ("aws:PrincipalAccount", ["111122223333", "*"], False),
    "accounts that begin alike": ("aws:PrincipalAccount", "1*", False),
    "no account": ("aws:PrincipalAccount", [], False),
    "organisation": ("aws:PrincipalOrgID", "o-a1b2c3", True),
    "any organisation": ("aws:PrincipalOrgID", "o-*", False),
    "part of an organisation": ("aws:PrincipalOrgPaths", "o-a1b2c3/r-ab12/*", True),
    "the same part of any organisation": ("aws:PrincipalOrgPaths", "*/r-ab12/", False),
    "principal": ("aws:PrincipalArn", ROLE, True),
    "all roles of an account": ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/*", True),
    "a role of any account": ("aws:PrincipalArn", "arn:aws:iam::*:role/storage", False),
    "a role of some accounts": ("aws:PrincipalArn", "arn:aws:iam::11112222333?:role/storage", False),
    "no name of a principal": ("aws:PrincipalArn", "storage", False),
    "an account and no principal of it": ("aws:PrincipalArn", "arn:aws:iam::111122223333", False),
    "source account": ("aws:SourceAccount", "111122223333", True),
    "source organisation": ("aws:SourceOrgID", "o-a1b2c3", True),
    "sessions of a role": ("aws:userid", "AROAEXAMPLE:*", True),
    "a session of any role": ("aws:userid", "*:i-1", False),
    "a user's name, which any account may have": ("aws:username", "alice", False),
}


@pytest.mark.parametrize(("key", "value", "narrow"), NAMED.values(), ids=NAMED)
def test_everybody_is_narrowed_by_what_says_whose_principals_are_meant(
    key: str,
    value: str | list[str],
    narrow: bool,  # noqa: FBT001 - a case
) -> None:
    statement = {**by("*"), "Condition": {"StringLike": {key: value}}}
    assert access_of(AWS_KEY, (), Policies(policy(statement)), {}).public is (False if narrow else None)


NAMING = ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"]


@pytest.mark.parametrize("operator", NAMING)
def test_an_operator_that_holds_for_the_named_alone_narrows_everybody(operator: str) -> None:
    statement = {**by("*"), "Condition": {operator: {"aws:PrincipalArn": ROLE}}}
    assert access_of(AWS_KEY, (), Policies(policy(statement)), {}).public is False


OPENING = [
    *("kms:Decrypt", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant", "kms:PutKeyPolicy"),
    *("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    *("kms:GenerateDataKeyPair", "kms:GenerateDataKeyPairWithoutPlaintext"),
]


@pytest.mark.parametrize("action", OPENING)
def test_a_key_is_public_by_any_one_thing_that_everybody_may_do_with_it(action: str) -> None:
    statement = {**by("*"), "Action": action}
    assert access_of(AWS_KEY, (), Policies(policy(statement)), {}).public is True


LOOSE = ["StringNotEquals", "Null", "ForAnyValue:StringEquals", "ForAllValues:StringEquals", "StringEqualsIfExists"]


@pytest.mark.parametrize("operator", LOOSE)
def test_an_operator_that_holds_without_the_value_narrows_nobody(operator: str) -> None:
    statement = {**by("*"), "Condition": {operator: {"aws:PrincipalOrgID": "o-a1b2c3"}}}
    assert access_of(AWS_KEY, (), Policies(policy(statement)), {}).public is None


PUT = {**ALLOW, "Action": "kms:PutKeyPolicy"}
ADMINISTERED: dict[str, tuple[tuple[Any, ...], bool | None]] = {
    "the account": (({**by({"AWS": ROOT}), "Action": "kms:*"},), True),
    "a role": ((PUT,), True),
    "a deleted role": (({**PUT, "Principal": {"AWS": "AROAEXAMPLEEXAMPLE"}},), False),
    "nobody": ((ALLOW,), False),
    "no statement at all": ((), False),
    "under a condition": (({**PUT, "Condition": VIA},), None),
    "everybody": (({**PUT, "Principal": "*"},), True),
    "another account": (({**PUT, "Principal": {"AWS": ["444455556666", FOREIGN]}},), False),
    "another account and a role": (({**PUT, "Principal": {"AWS": ["444455556666", ROLE]}},), True),
    "a user of another account's session": (
        ({**PUT, "Principal": {"AWS": "arn:aws:sts::444455556666:federated-user/Bob"}},),
        False,
    ),
    "a session, which may never come again": (({**PUT, "Principal": {"AWS": SESSION}},), None),
    "a federated user": (({**PUT, "Principal": {"AWS": "arn:aws:sts::111122223333:federated-user/Bob"}},), None),
    "a service": (({**PUT, "Principal": {"Service": "s3.amazonaws.com"}},), None),
    "without a resource": (({**NO_RESOURCE, "Action": "kms:PutKeyPolicy"},), False),
    "by a variable": (({**PUT, "Resource": IN_OUR_ACCOUNT},), None),
    "everybody but everybody": (({**PUT, "NotPrincipal": "*", "Principal": None},), False),
    "everybody denied without a resource": ((PUT, {**NO_RESOURCE, "Effect": "Deny", "Principal": "*"}), True),
    "everybody but everybody denied": ((PUT, all_but("*", Action="kms:*")), True),
    "everybody but one denied": ((PUT, all_but(ROOT, Action="kms:*")), None),
    "everybody denied by a variable": (
        (PUT, {**PUT, "Effect": "Deny", "Principal": "*", "Resource": IN_OUR_ACCOUNT}),
        None,
    ),
    "a deleted role and one that exists": (({**PUT, "Principal": {"AWS": ["AROAEXAMPLE", ROLE]}},), True),
    "everybody but another": (({**PUT, "NotPrincipal": {"AWS": OTHER}, "Principal": None},), None),
    "everybody but a deleted role": (({**PUT, "NotPrincipal": {"AWS": "AROAEXAMPLE"}, "Principal": None},), None),
    "only denied": (({**PUT, "Effect": "Deny"},), False),
    "everybody denied under a condition": ((PUT, {**PUT, "Effect": "Deny", "Principal": "*", "Condition": VIA}), None),
    "of another key": (({**PUT, "Resource": ANOTHER_KEY},), False),
    "everybody denied": ((PUT, {**PUT, "Effect": "Deny", "Principal": "*"}), False),
    "somebody denied": ((PUT, {**PUT, "Effect": "Deny", "Principal": {"AWS": OTHER}}), None),
}


@pytest.mark.parametrize(("statements", "administered"), ADMINISTERED.values(), ids=ADMINISTERED)
def test_a_key_needs_somebody_who_exists_to_change_its_policy(
    statements: tuple[Any, ...],
    administered: bool | None,  # noqa: FBT001 - a case
) -> None:
    assert access_of(AWS_KEY, (), Policies(policy(*statements)), {}).administered is administered


def test_who_else_may_decrypt_is_told_without_the_keys_own_account() -> None:
    statements = policy(
        by({"AWS": [ROOT, ROLE, SESSION, OTHER, "444455556666"]}), by({"Service": "logs.amazonaws.com"})
    )
    grants = (KeyGrant(FOREIGN, ("Decrypt",), constrained=False), KeyGrant("x", ("Encrypt",), constrained=False))
    found = access_of(AWS_KEY, (ROLE,), Policies(statements, (), grants), {})
    assert found.others == ("444455556666", "Service logs.amazonaws.com", OTHER, FOREIGN)
    assert access_of(AWS_KEY, (ROLE,), Policies(policy(ALLOW)), {}).others == ()
    assert access_of(AWS_KEY, (ROLE,), Policies(policy(ALLOW), (), None), {}).others is None
    assert access_of(AWS_KEY, (), Policies(statements), {}).others is None, "nobody says who the platform is"


def test_nobody_else_is_whom_a_policy_denies_leaves_out_or_lets_do_something_else() -> None:
    statements = policy(
        ALLOW,
        {**DENY, "Principal": {"AWS": OTHER}},
        {**by({"AWS": OTHER}), "Action": "kms:Encrypt"},
        {**by({"AWS": OTHER}), "Resource": ANOTHER_KEY},
        by({"AWS": SESSION}),
    )
    assert access_of(AWS_KEY, (ROLE, FOREIGN), Policies(statements), {}).others == ()


OTHERS: dict[str, tuple[tuple[Any, ...], tuple[str, ...] | None]] = {
    "the role by a path": ((by({"AWS": PATH}),), ()),
    "a session of the role by a path": ((by({"AWS": SESSION}),), ()),
    "a deleted role and a deleted user": ((by({"AWS": ["AROAEXAMPLE", "AIDAEXAMPLE"]}),), ()),
    "one who is denied": ((by({"AWS": FOREIGN}), {**DENY, "Principal": {"AWS": FOREIGN}}), ()),
    "one whose account is denied": ((by({"AWS": FOREIGN}), {**DENY, "Principal": {"AWS": "444455556666"}}), ()),
    "an account that is denied": (
        (by({"AWS": "444455556666"}), {**DENY, "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}),
        (),
    ),
    "an account one of which is denied": (
        (by({"AWS": "444455556666"}), {**DENY, "Principal": {"AWS": FOREIGN}}),
        ("444455556666",),
    ),
    "a session that is denied by its name": (
        (by({"AWS": FOREIGN_SESSION}), {**DENY, "Principal": {"AWS": FOREIGN_SESSION}}),
        (),
    ),
    "one who is denied under a condition": (
        (by({"AWS": FOREIGN}), {**DENY, "Principal": {"AWS": FOREIGN}, "Condition": VIA}),
        (FOREIGN,),
    ),
    "one who is denied without a resource": (
        (by({"AWS": FOREIGN}), {**NO_RESOURCE, "Effect": "Deny", "Principal": {"AWS": FOREIGN}}),
        (FOREIGN,),
    ),
    "one who is denied by a variable": (
        (by({"AWS": FOREIGN}), {**DENY, "Principal": {"AWS": FOREIGN}, "Resource": IN_OUR_ACCOUNT}),
        (FOREIGN,),
    ),
    "everybody but the platform denied": ((by({"AWS": [FOREIGN, "444455556666"]}), all_but(ROLE, ROOT)), ()),
    "everybody but it denied": ((by({"AWS": FOREIGN}), all_but(FOREIGN, ROOT)), (FOREIGN,)),
    "an account all but one of which are denied": (
        (by({"AWS": "444455556666"}), all_but(FOREIGN)),
        ("444455556666",),
    ),
    "everybody": ((by("*"),), ("*",)),
    "everybody but one": (({**ALLOW, "NotPrincipal": {"AWS": OTHER}, "Principal": None},), ("*",)),
    "everybody, whom a Deny stops": ((by("*"), {**DENY, "Principal": "*"}), ()),
    "everybody, all but some of whom a Deny stops": ((by("*"), all_but(FOREIGN)), ("*",)),
    "everybody of the key's account": ((if_equal("kms:CallerAccount", "111122223333", by("*")),), ()),
    "everybody of the key's account by another key": (
        (if_equal("aws:PrincipalAccount", ["111122223333"], by("*")),),
        (),
    ),
    "everybody of two accounts": (
        (if_equal("aws:PrincipalAccount", ["111122223333", "444455556666"], by("*")),),
        ("444455556666",),
    ),
    "everybody of two accounts and of one": (
        (
            {
                **by("*"),
                "Condition": {
                    "StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]},
                    "StringLike": {"kms:CallerAccount": "111122223333"},
                },
            },
        ),
        (),
    ),
    "everybody who is the platform": ((if_equal("aws:PrincipalArn", ROLE, by("*")),), ()),
    "everybody who is somebody else": ((if_equal("aws:PrincipalArn", FOREIGN, by("*")),), (FOREIGN,)),
    "everybody through S3": (({**by("*"), "Condition": VIA},), ("*",)),
    "everybody of their own account": (
        (if_equal("aws:PrincipalAccount", "${aws:PrincipalAccount}", by("*")),),
        ("*",),
    ),
    "somebody by a variable": (({**by({"AWS": FOREIGN}), "Resource": IN_OUR_ACCOUNT},), None),
    "the platform by a variable": (({**ALLOW, "Resource": IN_OUR_ACCOUNT},), ()),
}


@pytest.mark.parametrize(("statements", "others"), OTHERS.values(), ids=OTHERS)
def test_a_stranger_is_who_exists_and_is_not_stopped(
    statements: tuple[Any, ...], others: tuple[str, ...] | None
) -> None:
    assert access_of(AWS_KEY, (ROLE,), Policies(policy(*statements)), {}).others == others


def test_a_grantee_by_a_path_is_the_platform_and_a_deleted_one_nobody() -> None:
    grants = tuple(KeyGrant(one, ("Decrypt",), constrained=False) for one in (PATH, SESSION, "AROAEXAMPLE"))
    assert access_of(AWS_KEY, (ROLE,), Policies(policy(ALLOW), (), grants), {}).others == ()


def test_strangers_are_told_although_not_all_was_read_and_never_more_than_twenty() -> None:
    strangers = [f"arn:aws:iam::444455556666:role/r{number:02}" for number in range(25)]
    statements = policy(by({"AWS": strangers}))
    for policies in (Policies(statements, None), Policies(statements, (), None), Policies(None, statements)):
        assert access_of(AWS_KEY, (ROLE,), policies, {}).others == tuple(strangers[:20])
    for unread in (Policies(None), Policies((), None), Policies((), (), None)):
        assert access_of(AWS_KEY, (ROLE,), unread, {}).others is None


NO_POLICY = ["", "null", "[]", '"x"', '{"Statement": ["x"]}', "{", "[" * 100]
NOTHING = ["{}", '{"Statement": null}', '{"Statement": []}']
TWICE = ['{"Statement": [{"Effect": "Deny", "Effect": "Allow"}]}', '{"Statement": [], "Statement": {}}']
ODD = [
    *({**ALLOW, field: []} for field in ("Action", "Resource")),
    *({**NO_ACTION, "NotAction": told} for told in ([], [[DECRYPT]], {"a": "b"})),
    *({**ALLOW, f"Not{field}": "x"} for field in ("Action", "Resource", "Principal")),
    *(by({"AWS": told}) for told in ([[ROLE]], {"a": ROLE}, 1.5)),
]
NO_EFFECT = ['{"Statement": {}}', '{"Statement": {"Effect": "deny"}}', '{"Statement": {"Effect": ["Allow"]}}']


@pytest.mark.parametrize("text", [*NO_POLICY, *NO_EFFECT, *NOTHING, *TWICE])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"object|Expecting|allows or denies|says something|twice"):
        parse_policy(text)


@pytest.mark.parametrize("statement", ODD, ids=str)
def test_a_statement_that_aws_would_not_have_taken_is_no_proof(statement: Any) -> None:
    with pytest.raises(ValueError, match=r"lists its|some or for all|a name is due"):
        policy(ALLOW, statement)


def test_a_grant_to_a_service_is_to_nobody_of_the_platform() -> None:
    told = {"GranteeServicePrincipal": "backup.amazonaws.com", "Operations": ["Decrypt"]}
    assert parse_grant(told) == KeyGrant("Service backup.amazonaws.com", ("Decrypt",), constrained=False)
    bound = {
        "GranteePrincipal": ROLE,
        "Operations": ["Decrypt"],
        "Constraints": {"EncryptionContextSubset": {"a": "b"}},
    }
    assert parse_grant(bound) == KeyGrant(ROLE, ("Decrypt",), constrained=True)
    assert parse_grant({"GranteePrincipal": ROLE, "SourceArn": "arn:aws:s3:::data"}).constrained
    assert not parse_grant({"GranteePrincipal": ROLE, "Constraints": {}}).constrained


def test_every_action_of_the_platform_is_one_that_grants_know() -> None:
    shape: Any = botocore.session.get_session().get_service_model("kms").shape_for("GrantOperation")
    assert {one.removeprefix("kms:") for one in PLATFORM_ACTIONS} <= set(shape.enum)


WILDCARDS: dict[tuple[str, str], bool] = {
    **dict.fromkeys([("", ""), ("*", ""), ("*", "ab"), ("a*", "a"), ("a**", "a"), ("?", "a"), ("a?c", "abc")], True),
    **dict.fromkeys([("a*b", "ab"), ("a*b", "acb"), ("*ab", "aab"), ("*a*b", "xaab"), ("a*ab", "aaab")], True),
    **dict.fromkeys([("a*bc", "abbc"), ("ab*cd*", "abcd"), ("*b", "aab")], True),
    **dict.fromkeys([("", "a"), ("a", ""), ("?", ""), ("b", "ab"), ("ab", "a"), ("a*", "b"), ("a*b", "ac")], False),
    **dict.fromkeys([("ab*", "a"), ("*a", "ab"), ("a*?", "a"), ("ba", "ab"), ("X", "")], False),
}


@pytest.mark.parametrize(("pattern", "text"), WILDCARDS)
def test_a_star_is_any_text_and_a_question_mark_one_character(pattern: str, text: str) -> None:
    assert like(pattern, text) is WILDCARDS[pattern, text]


def test_a_hostile_pattern_costs_no_time() -> None:
    assert not like("*a" * 5_000 + "b", "a" * 2_000)
    assert like("*a" * 1_000, "a" * 2_000)
    variables = {**ALLOW, "Resource": "${" * 20_000 + "}x"}
    assert grant_of(AWS_KEY, ROLE, DECRYPT, Policies(policy(variables))) is Grant.ABSENT


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_mean_what_shells_mean_by_them(pattern: str, text: str) -> None:
    assert like(pattern, text) is fnmatchcase(text, pattern)


PRINCIPAL = st.sampled_from([ROLE, PATH, OTHER, FOREIGN, ROOT, "*", "111122223333", "444455556666", "AROAEXAMPLE"])
RESOURCE = st.sampled_from(["*", AWS_KEY.text, [ANOTHER_KEY, AWS_KEY.text], ANOTHER_KEY, IN_OUR_ACCOUNT])
NARROW = {"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}
STATEMENT = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        "Action": st.sampled_from(["kms:Decrypt", "KMS:*", "kms:D*", "kms:Encrypt", ["kms:Encrypt", "kms:Decrypt"]]),
    },
    optional={
        "Resource": st.just("*") | RESOURCE,
        "Condition": st.sampled_from([{}, VIA, NARROW, {"StringNotEquals": {"kms:CallerAccount": "111122223333"}}]),
    },
).flatmap(
    lambda base: st.lists(PRINCIPAL, min_size=1, max_size=2).flatmap(
        lambda who: st.sampled_from(["Principal", "Principal", "NotPrincipal"]).map(
            lambda field: {**base, field: {"AWS": who}}
        )
    )
)
GRANT = st.fixed_dictionaries(
    {
        "GranteePrincipal": st.sampled_from([ROLE, PATH, OTHER, FOREIGN]),
        "Operations": st.lists(st.sampled_from(["Decrypt", "Encrypt"]), min_size=1),
    }
)


@given(st.lists(STATEMENT, max_size=4), st.lists(GRANT, max_size=2), st.sampled_from([ROLE, FOREIGN]), st.booleans())
def test_no_verdict_differs_from_what_another_reading_of_the_policy_decides(
    statements: list[dict[str, Any]],
    grants: list[dict[str, Any]],
    principal: str,
    by_iam: bool,  # noqa: FBT001 - drawn
) -> None:
    read = Policies(policy(*statements), (), tuple(map(parse_grant, grants)))
    call = Call(principal, DECRYPT, via="s3.us-east-1.amazonaws.com")
    real = allowed(call, AWS_KEY.text, [{"Statement": statements}], grants, by_iam=by_iam)
    match grant_of(AWS_KEY, principal, DECRYPT, read):
        case Grant.DIRECT:
            assert real
        case Grant.ABSENT | Grant.DENIED:
            assert not real
        case other:
            assert other is Grant.POSSIBLE
