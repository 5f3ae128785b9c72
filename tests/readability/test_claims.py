"""Which versions of a key data may be under, where a registry alone says that it is under the key."""

from auditor.model import GcpKey, KeyMemory
from auditor.readability.assess import KeyView
from auditor.readability.claim import versions_of
from tests.core_builders import a_gcp_key, a_version, remembered


def under(key: GcpKey, memory: KeyMemory | None = None) -> list[str]:
    return list(versions_of(KeyView(key.name, key, memory)))


def test_every_version_that_is_not_there_any_more_may_hold_data() -> None:
    key = a_gcp_key(a_version("2"), a_version("4"))
    assert under(key) == ["2", "4", "1", "3"]
    assert under(key, remembered(key, highest_version=6)) == ["2", "4", "1", "3", "5", "6"]


def test_a_number_that_no_key_ever_reaches_is_not_counted_up_to() -> None:
    found = under(a_gcp_key(a_version("1"), a_version("9" * 18)))
    assert (len(found), found[:4]) == (10_002, ["1", "9" * 18, "2", "3"])
