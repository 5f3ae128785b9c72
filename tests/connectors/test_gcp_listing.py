"""A page of a Cloud Storage listing that tells something twice is none, and one as Google writes it is read once."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from auditor.connectors.gcp.listing import NoPageError, columns, parse_page
from tests.clouds import GOOGLE_KEY

ENTRY: dict[str, Any] = {
    "name": "a",
    "generation": "1",
    "size": "1",
    "timeCreated": "2026-01-01T00:00:00Z",
    "storageClass": "STANDARD",
    "etag": "e",
    "timeDeleted": "2026-01-02T00:00:00Z",
    "kmsKeyName": GOOGLE_KEY,
    "customerEncryption": {"keySha256": "x"},
}
PAGE: dict[str, Any] = {"kind": "storage#objects", "items": [ENTRY, {**ENTRY, "name": "b"}], "nextPageToken": "t"}
PACKED = (",", ":")
LAID_OUT = (" ,\n", "\t: ")


def field(told: dict[str, Any], name: str, separators: tuple[str, str]) -> str:
    return json.dumps({name: told[name]}, separators=separators)[1:-1]


def with_an_escape(field: str) -> str:
    return f'"\\u{ord(field[1]):04x}{field[2:]}'


@pytest.mark.parametrize("escaped", [False, True], ids=["plainly", "with an escape"])
@pytest.mark.parametrize("separators", [PACKED, LAID_OUT], ids=["packed", "laid out"])
@pytest.mark.parametrize("name", [*PAGE, *ENTRY, "keySha256"])
def test_a_page_that_tells_something_twice_is_none(name: str, separators: tuple[str, str], *, escaped: bool) -> None:
    once = json.dumps(PAGE, separators=separators)
    assert [one.name for one in parse_page(once.encode()).items] == ["a", "b"]
    told = next(one for one in (PAGE, ENTRY, ENTRY["customerEncryption"]) if name in one)
    one = field(told, name, separators)
    twice = once.replace(one, f"{one}{separators[0]}{with_an_escape(one) if escaped else one}", 1)
    assert twice != once
    with pytest.raises(NoPageError):
        parse_page(twice.encode())


@pytest.mark.parametrize("left_out", ["storageClass", "etag", "timeDeleted", "kmsKeyName", "customerEncryption"])
def test_what_an_entry_leaves_out_hides_nothing_that_is_told_twice(left_out: str) -> None:
    entry = {name: told for name, told in ENTRY.items() if name != left_out}
    body = json.dumps({**PAGE, "items": [entry]}, separators=PACKED)
    assert len(parse_page(body.encode()).items) == 1
    for name in entry:
        one = field(entry, name, PACKED)
        with pytest.raises(NoPageError):
            parse_page(body.replace(one, f"{one},{one}").encode())


def test_what_looks_like_a_field_within_a_name_is_none() -> None:
    name = '"items":[],"kmsKeyName":"k"'
    body = json.dumps({**PAGE, "items": [{**ENTRY, "name": name}]}, separators=PACKED)
    assert [one.name for one in parse_page(body.encode()).items] == [name]


def test_a_page_as_google_writes_it_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("auditor.connectors.gcp.listing.parse_once")
    items = [ENTRY]
    for name in ("timeDeleted", "kmsKeyName", "customerEncryption"):
        items.append({key: value for key, value in items[-1].items() if key != name})
    for told in ({**PAGE, "items": items}, {"kind": "storage#objects"}, {"kind": "storage#objects", "items": items}):
        parse_page(json.dumps(told, separators=PACKED).encode())


def test_names_from_before_the_place_where_a_listing_goes_on_are_no_page_of_it() -> None:
    when = datetime(2026, 1, 3, tzinfo=UTC)
    entries = [{**ENTRY, "name": name, "size": "1", "etag": "e"} for name in ("b", "c")]
    for one in entries:
        del one["customerEncryption"]
    page = parse_page(json.dumps({**PAGE, "items": entries}).encode())
    for after, names in ((None, ["b", "c"]), ("a", ["b", "c"]), ("b", ["c"])):
        assert columns(page, when, (), after, soft_deleted=False)["name"].to_pylist() == names
    with pytest.raises(NoPageError):
        columns(page, when, (), "bb", soft_deleted=False)
