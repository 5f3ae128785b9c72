"""What rules are told of a key: how old its word is, whether it is there, which calls said so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.findings import Assessment, Basis, Readability, Subject, SubjectKind
from auditor.model import AwsKey, Evidence, GcpKey, KeyGone, Reason
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rule import Context, HeldKey
from tests.core_builders import AWS_KEY, NOW, a_gcp_key, an_aws_key, denied, remembered

R = Readability
AT = Context(NOW, Policy(), {})
SILENT = denied(reason=Reason.THROTTLED)
LIMIT = Policy().poll_max_age
SECOND = timedelta(seconds=1)


def held(key: AwsKey | GcpKey, *found: Readability, view: KeyView | None = None) -> HeldKey:
    subject = Subject(SubjectKind.KEY, key.name.text)
    assessments = tuple(Assessment(one, Basis.STATE, "", subject) for one in found)
    return HeldKey(view or KeyView(key.name, key, None), NOW, (), assessments, ())


@pytest.mark.parametrize(
    ("age", "told"),
    [(timedelta(0), True), (LIMIT, True), (LIMIT + SECOND, False), (-LIMIT, True), (-LIMIT - SECOND, False)],
)
def test_what_a_silent_key_said_counts_for_a_quarter_of_an_hour_however_clocks_go(age: timedelta, told: bool) -> None:  # noqa: FBT001 - a case
    view = KeyView(AWS_KEY, SILENT, remembered(an_aws_key(), age))
    assert held(an_aws_key(), view=view).is_told(AT) is told


def test_whoever_denied_or_did_not_find_it_since_told_nothing_that_counts() -> None:
    memory = remembered(an_aws_key(), SECOND)
    for reading, kept in (
        (denied(), memory),
        (KeyGone(AWS_KEY, proven=False), memory),
        (None, replace(memory, missing_since=NOW)),
    ):
        assert not held(an_aws_key(), view=KeyView(AWS_KEY, reading, kept)).is_told(AT)
    assert held(an_aws_key(), view=KeyView(AWS_KEY, denied(), None)).is_told(AT), "nothing was told that could be old"


@pytest.mark.parametrize(
    ("key", "found", "lost"),
    [
        (an_aws_key(), (R.LOST, R.LOST), True),
        (an_aws_key(), (R.LOST, R.UNREADABLE), False),
        (an_aws_key(), (), False),
        (a_gcp_key(), (R.LOST,), False),
    ],
    ids=["all data of a key of AWS", "some of it", "no data", "all data of a key of Google Cloud"],
)
def test_a_key_is_lost_with_all_of_its_data_where_it_is_one_thing(
    key: AwsKey | GcpKey,
    found: tuple[Readability, ...],
    lost: bool,  # noqa: FBT001 - a case
) -> None:
    assert held(key, *found).is_lost(AT) is lost


def test_a_key_that_is_settled_to_be_gone_is_lost_whatever_data_it_has() -> None:
    assert held(a_gcp_key(), view=KeyView(AWS_KEY, KeyGone(AWS_KEY, proven=True), None)).is_lost(AT)


def test_the_evidence_is_what_told_its_state_and_what_told_nothing_since_each_once() -> None:
    first, then = (Evidence("kms:DescribeKey", AWS_KEY.text, NOW - age, None, "0") for age in (SECOND, SECOND * 0))
    key = an_aws_key(evidence=(first,))
    asked = replace(SILENT, evidence=(first, then))
    assert held(key, view=KeyView(AWS_KEY, asked, remembered(key))).evidence == (first, then)
    assert held(key).evidence == (first,)
    assert held(key, view=KeyView(AWS_KEY, asked, None)).evidence == (first, then)
    assert held(key, view=KeyView(AWS_KEY, None, remembered(key))).evidence == (first,)
