"""Which versions of a key data may be under, where a registry alone says that it is under the key."""

from dataclasses import replace

import pytest

from auditor.model import GcpKey, KeyMemory
from auditor.readability.assess import KeyView
from auditor.readability.claim import versions_of
from tests.core_builders import NOW, a_gcp_key, a_version, remembered


def under(key: GcpKey, memory: KeyMemory | None = None) -> list[str]:
    return list(versions_of(KeyView(key.name, key, memory)))


def test_every_version_that_is_not_there_any_more_may_hold_data() -> None:
    key = a_gcp_key(a_version("2"), a_version("4"))
    assert under(key) == ["2", "4", "1", "3"]
    assert under(key, remembered(key, highest_version=6)) == ["2", "4", "1", "3", "5", "6"]


def test_a_number_that_no_key_ever_reaches_is_not_counted_up_to() -> None:
    found = under(a_gcp_key(a_version("1"), a_version("9" * 18)))
    assert (len(found), found[:4]) == (10_002, ["1", "9" * 18, "2", "3"])


@pytest.mark.parametrize("state", ["PENDING_GENERATION", "PENDING_IMPORT", "GENERATION_FAILED"])
def test_a_version_that_was_just_made_and_has_no_material_yet_holds_no_data(state: str) -> None:
    key = a_gcp_key(a_version("1"), a_version("2", state), primary="1")
    assert under(key) == ["1"]
    assert under(key, remembered(key, told={"version 1": "'ENABLED'"})) == ["1"]
    assert under(key, remembered(key, told={"version 1": "'ENABLED'", "version 2": repr(state)})) == ["1"]


def test_a_version_whose_material_is_imported_again_may_hold_data() -> None:
    key = a_gcp_key(a_version("1"), a_version("2", "PENDING_IMPORT"), primary="1")
    assert under(key, remembered(key, told={"version 2": "'DESTROYED'"})) == ["1", "2"], "it is so since this poll"
    asked_before = remembered(key, told={"version 2": "'PENDING_IMPORT'"}, changed={"version 2": NOW})
    assert under(key, asked_before) == ["1", "2"], "it was so at the poll before"
    imported = a_gcp_key(a_version("1"), a_version("2", "PENDING_IMPORT", imported=NOW), primary="1")
    assert under(imported) == ["1", "2"], "the service tells"
    assert under(replace(key, primary="2")) == ["1", "2"], "writes go to it"
