"""Behind which name the next page of a listing begins: nothing is skipped, whatever a page says of it."""

import pytest

from auditor.connectors.aws.places import behind, decoded, is_garbled, readings

NO_TEXT = "a%FF"


def test_a_name_is_read_as_it_was_encoded() -> None:
    assert [decoded(one) for one in ("a%2Bb", "a+b", "a%20b+c", "é", "a")] == ["a+b", "a b", "a b c", "é", "a"]
    with pytest.raises(UnicodeDecodeError):
        decoded(NO_TEXT)


def test_a_name_on_an_encoded_page_may_be_meant_as_it_stands() -> None:
    assert readings("a%2Bb", encoded=True) == {"a%2Bb", "a+b"}
    assert readings("a%2Bb", encoded=False) == {"a%2Bb"}
    assert readings(NO_TEXT, encoded=True) == {NO_TEXT}


def test_a_line_break_may_have_been_another_character() -> None:
    assert is_garbled("a", "b\nc")
    assert is_garbled("b\nc", "d\n")
    assert not is_garbled("a", "b c")
    assert not is_garbled()


ENDS = ["a", "a+b"]


@pytest.mark.parametrize(
    ("name", "ends", "encoded", "place"),
    [
        ("a%2Bb", ENDS, True, "a+b"),
        ("a+b", ENDS, True, "a+b"),
        ("a", ENDS, True, "a"),
        ("a%2Bb", ENDS, False, "a+b"),
        ("a+b", ENDS, False, "a+b"),
        ("a", ENDS, False, "a"),
        ("z", ENDS, True, "a+b"),
        (NO_TEXT, ENDS, True, "a+b"),
        ("a%2Bb", ["a%2Bb", "a+b"], True, "a+b"),
        ("a%2Bb", [], True, "a+b"),
        ("a%2Bb", [], False, "a%2Bb"),
    ],
)
def test_the_next_page_begins_behind_an_entry_of_this_one(
    name: str,
    ends: list[str],
    encoded: bool,  # noqa: FBT001 - a column of the table above
    place: str,
) -> None:
    assert behind(name, ends, encoded=encoded) == place


def test_a_place_on_an_empty_page_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        behind(NO_TEXT, [], encoded=True)
