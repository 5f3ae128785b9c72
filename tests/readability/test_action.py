"""What a key would be after somebody acted on it, or why nobody can."""

from dataclasses import replace
from typing import Any

import pytest

from auditor.action import Action
from auditor.model import Grant, KeyManager
from auditor.readability.action import after
from tests.core_builders import NOW, a_gcp_key, a_version, an_aws_key, days

IDLE: dict[str, tuple[Any, str | None, Action]] = {
    "disabled already": (an_aws_key("Disabled"), None, Action.DISABLE),
    "about to be deleted": (an_aws_key("PendingDeletion"), None, Action.DISABLE),
    "to be deleted already": (an_aws_key("PendingDeletion"), None, Action.DESTROY),
    "waits for its material": (an_aws_key("PendingImport"), None, Action.DISABLE),
    "a version that is disabled": (a_gcp_key(a_version("1", "DISABLED"), a_version("2")), "1", Action.DISABLE),
    "a version that is destroyed": (a_gcp_key(a_version("1", "DESTROYED")), "1", Action.DESTROY),
    "a version to be destroyed": (a_gcp_key(a_version("1", "DESTROY_SCHEDULED")), "1", Action.DESTROY),
    "a version that is not there": (a_gcp_key(a_version("1")), "9", Action.DISABLE),
    "a version that is not listed": (a_gcp_key(a_version("1", unlisted_since=NOW)), "1", Action.DISABLE),
    "versions that are all destroyed": (a_gcp_key(a_version("1", "DESTROYED")), None, Action.DISABLE),
}


@pytest.mark.parametrize(("key", "version", "action"), IDLE.values(), ids=IDLE)
def test_what_the_cloud_would_refuse_changes_nothing(key: Any, version: str | None, action: Action) -> None:
    found = after(key, version, action, (), NOW)
    assert found.key == key
    assert found.idle


@pytest.mark.parametrize("state", ["Enabled", "Updating", "Unavailable", "Disabled", "PendingImport"])
def test_an_aws_key_can_be_deleted_from_most_states(state: str) -> None:
    found = after(an_aws_key(state), None, Action.DESTROY, (), NOW)
    assert found.idle is None
    assert found.key == an_aws_key("PendingDeletion", deletion_date=NOW + days(30))


def test_a_right_that_is_taken_away_leaves_the_others() -> None:
    role, other = "arn:aws:iam::111122223333:role/storage", "arn:aws:iam::111122223333:role/backup"
    found = after(an_aws_key(), None, Action.REVOKE, (role,), NOW).key
    assert found.access is not None
    assert found.access.grant(role, "kms:Decrypt") is Grant.ABSENT
    again = after(found, None, Action.REVOKE, (other,), NOW).key
    assert again.access is not None
    assert [one.principal for one in again.access.rights] == [role, other]


@pytest.mark.parametrize("action", [Action.DISABLE, Action.DESTROY, Action.REVOKE])
def test_what_aws_manages_cannot_be_acted_on(action: Action) -> None:
    key = an_aws_key(manager=KeyManager.PROVIDER)
    found = after(key, None, action, ("arn:aws:iam::111122223333:role/storage",), NOW)
    assert found.key == key
    assert found.idle == "AWS manages this key: its customers can neither disable nor delete it"


def test_why_nothing_can_be_done_names_what_was_asked_for() -> None:
    def idle(key: Any, version: str | None) -> str | None:
        return after(key, version, Action.DISABLE, (), NOW).idle

    of_one = a_gcp_key(a_version("1", "DISABLED"))
    assert idle(of_one, "9") == "the key has no version 9"
    assert idle(replace(a_gcp_key(), versions=()), None) == "the key has no versions"
    assert idle(of_one, "1") == "version 1 is DISABLED, in which that cannot be done"
    assert idle(of_one, None) == "all its versions are DISABLED, in which that cannot be done"
    strange = "in a state that this version does not know (77)"
    assert idle(a_gcp_key(a_version("1", "77")), "1") == f"version 1 is {strange}, in which that cannot be done"
    assert idle(an_aws_key("Asleep"), None) == (
        "a key that is in a state that this version does not know (Asleep) cannot be disabled"
    )


@pytest.mark.parametrize(("delay", "waits"), [(None, 30), (days(1), 1), (days(120), 120)])
def test_a_version_is_destroyed_after_the_keys_own_delay(delay: Any, waits: int) -> None:
    key = a_gcp_key(a_version("1"), a_version("2", "DESTROYED"), destroy_delay=delay)
    first = a_version("1", "DESTROY_SCHEDULED", destroy_time=NOW + days(waits))
    assert after(key, None, Action.DESTROY, (), NOW).key == replace(key, versions=(first, key.versions[1]))
