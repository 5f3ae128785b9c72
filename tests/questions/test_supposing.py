"""What an action would do to data of which only a registry tells: no better than it is, version by version."""

import pytest

from auditor.findings import Readability
from auditor.model import AwsKey, GcpKey
from auditor.policy import Policy
from auditor.questions.impact.supposing import Supposed, suppose
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days

R = Readability
DOOMED = {"destroy_time": NOW + days(20)}


def supposed(before: AwsKey | GcpKey, after: AwsKey | GcpKey, version: str | None = None) -> tuple[R, R] | None:
    name = AWS_KEY if isinstance(before, AwsKey) else GCP_KEY
    found = suppose(a_holding(name), (), Supposed(before, after, version, Policy(), NOW))
    return None if found is None else (found[0].readability, found[1].readability)


DESTROYED = a_version("1", "DESTROYED")
DELETED: dict[str, object] = {"deletion_date": NOW + days(20)}
AWS: dict[str, tuple[str, dict[str, object], str, dict[str, object], tuple[R, R] | None]] = {
    "disabled": ("Enabled", {}, "Disabled", {}, (R.READABLE, R.UNREADABLE)),
    "disabled already": ("Disabled", {}, "Disabled", {}, None),
    "enabled": ("Disabled", {}, "Enabled", {}, None),
    "deleted after it was disabled": ("Disabled", {}, "PendingDeletion", DELETED, (R.UNREADABLE, R.DOOMED)),
    "enabled, with material that expires": ("Disabled", {}, "Enabled", {"valid_to": NOW + days(9)}, None),
    "a state that nobody knows": ("Enabled", {}, "Dormant", {}, (R.READABLE, R.UNKNOWN)),
}


@pytest.mark.parametrize(("was", "facts", "would", "more", "expected"), AWS.values(), ids=AWS)
def test_of_a_key_of_aws_what_gets_worse_is_told(
    was: str, facts: dict[str, object], would: str, more: dict[str, object], expected: tuple[R, R] | None
) -> None:
    assert supposed(an_aws_key(was, **facts), an_aws_key(would, **more)) == expected


GOOGLE = {
    "the one that is acted on": ((a_version("1"), a_version("2")), "2", "DISABLED", (R.READABLE, R.UNREADABLE)),
    "one that is lost": ((DESTROYED, a_version("2")), "1", "DISABLED", None),
}


@pytest.mark.parametrize(("versions", "acted", "state", "expected"), GOOGLE.values(), ids=GOOGLE)
def test_of_one_version_of_google_no_other_is_told(
    versions: tuple[object, ...], acted: str, state: str, expected: tuple[R, R] | None
) -> None:
    before = a_gcp_key(*versions)  # type: ignore[arg-type] # versions, as the table has them
    after = a_gcp_key(*(a_version(one.number, state) if one.number == acted else one for one in before.versions))
    assert supposed(before, after, acted) == expected


def test_of_a_key_as_a_whole_the_worst_version_and_all_that_undoes_it_is_told() -> None:
    before = a_gcp_key(a_version("1", "DISABLED"), a_version("2"), a_version("3"))
    after = a_gcp_key(
        a_version("1", "DISABLED"), a_version("2", "DISABLED"), a_version("3", "DESTROY_SCHEDULED", **DOOMED)
    )
    assert supposed(before, after) == (R.READABLE, R.DOOMED)
    found = suppose(a_holding(GCP_KEY), (), Supposed(before, after, None, Policy(), NOW))
    assert found is not None
    calls = [step.call for step in found[1].undo]
    assert any(" enable 2 " in call for call in calls)
    assert any(" restore 3 " in call for call in calls)
    assert not any(" enable 1 " in call for call in calls), "it is no other than before"
    assert len(calls) == len(set(calls))
