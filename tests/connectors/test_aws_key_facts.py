"""What KMS says of a key becomes facts: its store, its materials, and what AWS rotates."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from auditor.connectors.aws.keys import WITH_MATERIAL, _Stores, is_rotated, parse_key, parse_materials
from auditor.model import ROTATED, CustomKeyStore, KeyManager, KeyName, Material, Reason

if TYPE_CHECKING:
    from auditor.connectors.aws.session import AwsClients

MINE = KeyName("arn:aws:kms:us-east-1:111122223333:key/1")
WEST = KeyName("arn:aws:kms:us-west-2:111122223333:key/1")
THEIRS = KeyName("arn:aws:kms:us-east-1:444455556666:key/1")
WHEN = datetime(2027, 1, 31, 6, 30, tzinfo=UTC)
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeCustomKeyStores")


def told(store: str, state: str = "CONNECTED", **more: Any) -> dict[str, Any]:
    return {"CustomKeyStoreId": store, "ConnectionState": state, **more}


class Stores:
    """Pages of stores of each (owner, Region), and how often they were asked for."""

    def __init__(self, pages: Mapping[tuple[str, str], Sequence[Mapping[str, Any] | Exception]]) -> None:
        self._pages = pages
        self.asked: list[tuple[str, str, str | None]] = []

    def find(self, name: KeyName, store: str, within: "_Stores | None" = None) -> CustomKeyStore:
        return (within or self.of_a_poll()).find(name, store)

    def of_a_poll(self) -> "_Stores":
        return _Stores(cast("AwsClients", SimpleNamespace(kms=self._kms)))

    def _kms(self, location: str, owner: str) -> Any:
        def describe(**asked: str) -> Mapping[str, Any]:
            marker = asked.get("Marker")
            self.asked.append((owner, location, marker))
            page = self._pages[owner, location][int(marker or 0)]
            if isinstance(page, Exception):
                raise page
            return page

        return SimpleNamespace(describe_custom_key_stores=describe)


def page(*stores: Mapping[str, Any], following: str | None = None) -> dict[str, Any]:
    more = {"Truncated": True, "NextMarker": following} if following is not None else {"Truncated": False}
    return {"CustomKeyStores": stores, **more}


def test_a_store_is_its_accounts_and_its_regions() -> None:
    stores = Stores(
        {
            (MINE.owner, "us-east-1"): [page(told("cks-1"))],
            (MINE.owner, "us-west-2"): [page(told("cks-1", "FAILED", ConnectionErrorCode="USER_LOCKED_OUT"))],
            (THEIRS.owner, "us-east-1"): [page(told("cks-2", "DISCONNECTED"))],
        }
    )
    one = stores.of_a_poll()
    assert one.find(MINE, "cks-1") == CustomKeyStore("cks-1", "CONNECTED", None)
    assert one.find(WEST, "cks-1") == CustomKeyStore("cks-1", "FAILED", "USER_LOCKED_OUT")
    assert one.find(THEIRS, "cks-2") == CustomKeyStore("cks-2", "DISCONNECTED", None)
    assert one.find(MINE, "cks-2") == CustomKeyStore("cks-2", None), "it is another account's"
    assert len(stores.asked) == 3, "each place is read once"


def test_a_store_on_a_later_page_is_found_and_a_list_that_leads_nowhere_ends() -> None:
    place = MINE.owner, MINE.location
    stores = Stores({place: [page(told("cks-1"), following="1"), page(told("cks-2"), following="2"), page(told("c"))]})
    assert [stores.find(MINE, one).connection_state for one in ("cks-1", "cks-2", "c")] == ["CONNECTED"] * 3
    assert [marker for _, _, marker in stores.asked[:3]] == [None, "1", "2"]
    circle = Stores({place: [page(told("cks-1"), following="1"), page(told("cks-2"), following="1")]})
    assert circle.find(MINE, "cks-2").connection_state == "CONNECTED"
    assert circle.find(MINE, "cks-3") == CustomKeyStore("cks-3", None)
    ended = {**page(told("cks-1")), "NextMarker": "1"}
    assert Stores({place: [ended, page(told("cks-2"))]}).find(MINE, "cks-2").connection_state is None


def test_of_stores_that_cannot_be_read_the_reason_is_told_once() -> None:
    place = MINE.owner, MINE.location
    every: tuple[list[Mapping[str, Any] | Exception], ...] = ([DENIED], [page(told("cks-1"), following="1"), DENIED])
    for pages in every:
        stores = Stores({place: pages})
        one = stores.of_a_poll()
        assert one.find(MINE, "cks-1") == CustomKeyStore("cks-1", None, unread=Reason.ACCESS_DENIED)
        assert one.find(MINE, "cks-2").unread is Reason.ACCESS_DENIED
        assert len(stores.asked) == len(pages), "nobody asks again within a poll"


def test_a_key_that_says_nothing_is_nobodys_and_in_no_state() -> None:
    assert parse_key(MINE, {}) == {
        "name": MINE,
        **dict.fromkeys(("state", "origin", "spec", "usage"), ""),
        **dict.fromkeys(("created", "deletion_date", "pending_window_days", "valid_to", "material")),
        "manager": KeyManager.CUSTOMER,
        "multi_region": False,
    }


def test_what_a_key_says_is_kept_as_it_says_it_with_times_in_utc() -> None:
    elsewhere = WHEN.astimezone(timezone(timedelta(hours=5)))
    said = {
        "KeyState": "PendingDeletion",
        "KeyManager": "AWS",
        "Origin": "EXTERNAL",
        "MultiRegion": True,
        "CreationDate": elsewhere,
        "DeletionDate": elsewhere,
        "ValidTo": elsewhere,
        "PendingDeletionWindowInDays": 7,
        "CurrentKeyMaterialId": "m",
        "KeySpec": "S",
        "KeyUsage": "U",
    }
    key = parse_key(MINE, said)
    assert key == {
        "name": MINE,
        "state": "PendingDeletion",
        "manager": KeyManager.PROVIDER,
        "origin": "EXTERNAL",
        "created": WHEN,
        "deletion_date": WHEN,
        "valid_to": WHEN,
        "pending_window_days": 7,
        "multi_region": True,
        "material": "m",
        "spec": "S",
        "usage": "U",
    }
    assert key["created"].tzinfo is UTC


ROTATES: dict[str, Any] = {
    "spec": "SYMMETRIC_DEFAULT",
    "usage": "ENCRYPT_DECRYPT",
    "manager": KeyManager.CUSTOMER,
    "origin": "AWS_KMS",
    "state": "Enabled",
}


def test_aws_rotates_what_it_made_for_customers_to_encrypt_with() -> None:
    assert is_rotated(ROTATES)
    others = {
        "spec": "RSA_2048",
        "usage": "SIGN_VERIFY",
        "manager": KeyManager.PROVIDER,
        "origin": "EXTERNAL",
        "state": "PendingDeletion",
    }
    for name, value in others.items():
        assert not is_rotated({**ROTATES, name: value}), name
    assert all(is_rotated({**ROTATES, "state": one}) for one in ROTATED)


def test_materials_matter_until_the_key_waits_for_its_deletion() -> None:
    assert {"Enabled", "Disabled", "PendingImport", "Updating"} == WITH_MATERIAL


def material(name: str, **more: Any) -> dict[str, Any]:
    return {"KeyMaterialId": name, "KeyMaterialState": "CURRENT", "ImportState": "IMPORTED", **more}


EXPIRES = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": WHEN}
MATERIALS: dict[str, tuple[dict[str, Any], Material]] = {
    "there": (material("a"), Material("a", "CURRENT", imported=True, valid_to=None)),
    "missing": (
        material("a", ImportState="PENDING_IMPORT"),
        Material("a", "CURRENT", imported=False, valid_to=None),
    ),
    "that says nothing": ({}, Material("", "", imported=False, valid_to=None)),
    "that expires": (material("a", **EXPIRES), Material("a", "CURRENT", imported=True, valid_to=WHEN)),
    "that does not": (
        material("a", ValidTo=WHEN, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE"),
        Material("a", "CURRENT", imported=True, valid_to=None),
    ),
}


@pytest.mark.parametrize(("said", "found"), MATERIALS.values(), ids=MATERIALS)
def test_a_material_is_there_or_missing_and_may_expire(said: dict[str, Any], found: Material) -> None:
    assert parse_materials([said]) == (found,)


def test_materials_are_told_by_their_ids_and_one_told_twice_is_missing_if_one_entry_says_so() -> None:
    missing = material("a", ImportState="PENDING_IMPORT")
    assert [one.id for one in parse_materials([material("b"), material("a")])] == ["a", "b"]
    for some in ([missing, material("a")], [material("a"), missing]):
        assert [one.imported for one in parse_materials(some)] == [False]
    assert parse_materials([]) == ()
