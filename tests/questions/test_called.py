"""A key is named by hand in the same ways everywhere, and what nobody has heard of is one error with a hint."""

from typing import Any

import pytest

from auditor.errors import UsageError
from auditor.model import KeyName
from auditor.questions.called import Called, called, may_be_key, whole

ID = "1f3c0f5e-0000-4000-8000-000000000001"
MRK = "mrk-" + "ab" * 16
AWS = KeyName(f"arn:aws:kms:us-east-1:111122223333:key/{ID}")
HERE, THERE = (KeyName(f"arn:aws:kms:{region}:111122223333:key/{MRK}") for region in ("us-east-1", "eu-west-1"))
RING = "projects/acme/locations/us-east1/keyRings/tpuf/cryptoKeys"
MAIN, NUMBERED = KeyName(f"{RING}/main"), KeyName(f"{RING}/7")
BY_NUMBER = KeyName(MAIN.text.replace("acme", "123456"))
KNOWN = (AWS, HERE, THERE, MAIN, NUMBERED)

MEANT: dict[str, Called] = {
    AWS.text: Called(AWS),
    f"111122223333/us-east-1/{ID}": Called(AWS),
    ID: Called(AWS),
    ID.upper(): Called(AWS),
    f"{ID}/3": Called(AWS, "3"),
    MAIN.text: Called(MAIN),
    f"{MAIN}/cryptoKeyVersions/2": Called(MAIN, "2"),
    f"{MAIN}/02": Called(MAIN, "2"),
    "acme/us-east1/tpuf/main": Called(MAIN),
    "acme/us-east1/tpuf/main version 2": Called(MAIN, "2"),
    "acme/us-east1/tpuf/main/2": Called(MAIN, "2"),
    NUMBERED.text: Called(NUMBERED),
    "acme/us-east1/tpuf/7": Called(NUMBERED),
    f"{NUMBERED}/1": Called(NUMBERED, "1"),
    # The same key, as far as anybody can tell.
    BY_NUMBER.text: Called(BY_NUMBER),
    f"{BY_NUMBER}/1": Called(BY_NUMBER, "1"),
    HERE.text.replace("us-east-1", "ap-south-1"): Called(KeyName(HERE.text.replace("us-east-1", "ap-south-1"))),
}


@pytest.mark.parametrize(("text", "meant"), MEANT.items(), ids=MEANT)
def test_a_key_or_version_is_meant_by_each_of_its_names(text: str, meant: Called) -> None:
    assert called(text, KNOWN) == meant


def test_of_keys_that_all_end_alike_the_one_is_offered_that_is_misspelt() -> None:
    tenants = ("acme", "argent", "basalt", "paragon", "zephyr")
    known = [KeyName(MAIN.text.replace("acme", f"{tenant}-keys")) for tenant in tenants]
    for text in ("parragon-keys/us-east1/tpuf/main", known[3].text.replace("paragon", "parragon")):
        with pytest.raises(UsageError) as refused:
            called(text, known)
        assert refused.value.hint == "did you mean paragon-keys/us-east1/tpuf/main?"
    with pytest.raises(UsageError) as refused:
        called("main", known)
    assert refused.value.hint is not None
    assert refused.value.hint.endswith(" or 2 more?"), "of a part that all have none is meant more than another"


REFUSED: dict[str, tuple[str, str]] = {
    MRK: ("is the id of 2 known keys", f"write one of 111122223333/eu-west-1/{MRK} and 111122223333/us-east-1/{MRK}"),
    "alias/data": ("is an alias, which moves", "`aws kms describe-key --key-id=alias/data --query=KeyMetadata.Arn "),
    "alias/da;ta": ("is an alias, which moves", "--key-id='alias/da;ta' "),
    "arn:aws:kms:eu-west-1:111122223333:alias/data": (
        "is an alias, which moves",
        "--region=eu-west-1 --query=KeyMetadata.Arn --output=text` tells it; known there are 111122223333/eu-west-1/",
    ),
    "main": ("no known key is called 'main'", "did you mean acme/us-east1/tpuf/main?"),
    "acme/us-east1/tpuf/mian/2": ("no known key is called", "did you mean acme/us-east1/tpuf/main?"),
    f"{RING}/mian": (
        f"nothing is known of key {RING}/mian: no data that was seen",
        "did you mean acme/us-east1/tpuf/main?",
    ),
    AWS.text.replace("1111", "9999"): ("nothing is known of key", f"did you mean 111122223333/us-east-1/{ID}?"),
    ID.replace("1f3c", "0000"): ("no known key is called", "known are "),
    "arn:aws:kms:us-east-1:111122223333:key/00000000-1111-2222-3333-444444444444": (
        "nothing is known of key",
        "if the name is right, add it as [[key]] and poll",
    ),
    "projects/acme/nonsense": ("is not the full name of a key", "known are "),
    "": ("no known key is called ''", "known are "),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.items(), ids=REFUSED)
def test_what_is_none_or_may_be_several_is_one_error_with_what_may_be_meant(text: str, told: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as refused:
        called(text, KNOWN)
    assert (told[0] in str(refused.value), told[1] in str(refused.value.hint)) == (True, True), refused.value.hint


def test_a_version_whose_number_is_longer_than_can_be_counted_is_one_error_too() -> None:
    for key in (MAIN.text, "acme/us-east1/tpuf/main", f"{MAIN}/cryptoKeyVersions"):
        with pytest.raises(UsageError, match=r"the full name of a key|a key version"):
            called(f"{key}/{'9' * 5000}", KNOWN)


def test_whoever_hears_of_new_keys_may_be_asked_about_one() -> None:
    other = KeyName(f"{RING}/other")
    assert whole(other.text, KNOWN, strangers=True) == other
    with pytest.raises(UsageError, match="nothing is known of key"):
        whole(other.text, KNOWN)


def test_where_a_key_as_a_whole_is_asked_a_version_is_refused() -> None:
    for text in (f"{MAIN}/cryptoKeyVersions/2", "acme/us-east1/tpuf/main version 2", f"{RING}/other/2"):
        with pytest.raises(UsageError, match="is one version"):
            whole(text, KNOWN)


def test_before_any_scan_no_key_is_known_and_the_hint_says_so() -> None:
    with pytest.raises(UsageError) as refused:
        called("acme/us-east1/tpuf/main", ())
    assert refused.value.hint == "no key is known yet: `cmek-auditor scan` finds those that data names"


def test_names_of_keys_are_told_from_ids_of_findings_and_rules() -> None:
    names: tuple[Any, ...] = (ID, MRK, MAIN.text, "acme/us-east1/tpuf/main", "alias/data", AWS.text)
    assert all(map(may_be_key, names))
    assert not any(map(may_be_key, ("stale-version", "7f53b509", "data", "")))
