"""What is said of all that an operator's bundle leaves open, each gap with its reason and its number."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from auditor.errors import AuditorError, CollectError
from auditor.handover.bundle import CLOCKS_APART
from auditor.handover.lacking import is_refusal, not_believed, not_compared, of_bundle, too_old, written_since
from auditor.model import Gap, GcpKey, KeyName, Reason
from auditor.ownership.registered import Declared, Handed, HandedBucket, Registered, Registry
from auditor.readability import KeyView
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_version, an_aws_key, remembered

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
DAY = timedelta(days=1)
WHOLE = Handed("acme", None, "ab" * 32, "d", "0", NOW, NOW, 20, 2000, 0, 0, 0, 0, 0, registries=True)
BUCKET = HandedBucket("gs://data", (), outside=False, uploads=False)
NEWER = "get a newer bundle from the operator, as often as you need to know"
ASK = "ask the operator, who can mend it and send another bundle"


def left_open(**more: Any) -> list[Gap]:
    """What a bundle leaves open besides being another's word."""
    first, *others = of_bundle("acme.json", replace(WHOLE, **more), NOW, DAY)
    assert (first.what, first.reason, first.hint) == ("acme.json", Reason.NOT_VISIBLE, NEWER)
    assert first.effect.startswith("no bucket is configured: ")
    return others


def test_a_bundle_that_lacks_nothing_is_another_s_word_all_the_same() -> None:
    assert left_open() == []
    (told,) = of_bundle("acme.json", WHOLE, NOW, DAY)
    assert (
        "an operator says, in a bundle of 2026-11-24 12:00 UTC that is signed with the key sha256:abababababababab;"
        in (told.effect)
    )
    (named,) = of_bundle("acme.json", replace(WHOLE, operator="Example"), NOW, DAY)
    assert "an operator that calls itself Example says" in named.effect


def test_that_keys_were_read_before_the_sweep_is_said() -> None:
    def says(verified: Any) -> bool:
        (told,) = of_bundle("acme.json", replace(WHOLE, verified=verified), NOW, DAY)
        return "of some objects the key was read at 2026-11-24 11:00 UTC, and not since" in told.effect

    assert says(NOW - HOUR)
    (same,) = of_bundle("acme.json", replace(WHOLE, verified=NOW), NOW, DAY)
    assert "of some objects" not in same.effect
    assert not says(None)


def test_a_sweep_that_began_in_the_future_is_no_sweep_of_now() -> None:
    assert left_open(swept=NOW + CLOCKS_APART) == []
    (found,) = left_open(swept=NOW + CLOCKS_APART + SECOND)
    assert (found.what, found.reason) == ("acme.json", Reason.MALFORMED)
    assert "began in the future, at 2026-11-24 12:05 UTC" in found.effect


def test_a_bundle_older_than_is_allowed_is_a_gap_that_no_other_is_like() -> None:
    assert [*too_old("acme.json", replace(WHOLE, swept=NOW - DAY), NOW, DAY)] == left_open(swept=NOW - DAY) == []
    late = replace(WHOLE, swept=NOW - DAY - HOUR)
    (found,) = too_old("acme.json", late, NOW, DAY)
    assert left_open(swept=late.swept) == [found]
    assert found == Gap(
        "acme.json",
        Reason.TIMEOUT,
        "the oldest sweep that it tells of began 25 hours ago, and max_age_hours allows 24",
        NEWER,
    )


OF_THE_WHOLE: dict[str, tuple[dict[str, Any], str, int | None]] = {
    "objects of unknown encryption": ({"unknown": 3}, "the operator could not learn what 3 objects are encrypted", 3),
    "one object": ({"unknown": 1}, "the operator could not learn what 1 object is encrypted", 1),
    "objects under a key that is kept back": ({"withheld": 2}, "2 objects are under a key that the operator does", 2),
    "one such object": ({"withheld": 1}, "1 object is under a key that the operator does not name", 1),
    "buckets without a sweep": ({"unswept": 2}, "the operator has 2 buckets without a whole sweep", None),
    "buckets that nobody knows": ({"elsewhere": None}, "which buckets the operator does not look at is not", None),
    "buckets in no config": ({"elsewhere": 1}, "the operator has 1 bucket in no config: what of acme is", None),
    "namespaces of nobody": ({"unclear": 4}, "of 4 namespaces of the operator nobody says for certain", None),
    "words that could not be used": ({"registries": False}, "not all that tells the operator whose a namespace", None),
}


@pytest.mark.parametrize(("facts", "effect", "count"), OF_THE_WHOLE.values(), ids=OF_THE_WHOLE)
def test_each_thing_that_the_operator_does_not_know_is_a_gap(
    facts: dict[str, Any], effect: str, count: int | None
) -> None:
    (found,) = left_open(**facts)
    assert (found.what, found.reason, found.objects) == ("acme.json", Reason.NOT_VISIBLE, count)
    assert found.effect.startswith(effect)
    assert found.hint.startswith("ask the operator")


OF_BUCKETS: dict[str, tuple[dict[str, Any], str]] = {
    "populations left out": ({"left_out": ("soft_deleted",)}, "its soft-deleted objects were left out"),
    "objects outside": ({"outside": True}, "it has objects whose names tell no namespace"),
    "uploads": ({"uploads": True}, "it has unfinished uploads"),
    "uploads, perhaps": ({"uploads": None}, "it may have unfinished uploads"),
}


@pytest.mark.parametrize(("facts", "effect"), OF_BUCKETS.values(), ids=OF_BUCKETS)
def test_what_the_operator_did_not_see_of_a_bucket_is_a_gap_of_the_bucket(facts: dict[str, Any], effect: str) -> None:
    assert left_open(buckets=(BUCKET,)) == []
    (found,) = left_open(buckets=(BUCKET, replace(BUCKET, bucket="gs://more", **facts)))
    assert (found.what, found.reason, found.hint) == ("gs://more", Reason.NOT_VISIBLE, ASK)
    assert found.effect.startswith(effect)


def test_what_the_operator_could_not_read_keeps_its_reason() -> None:
    (found,) = left_open(gaps=(("gs://data", "throttled"),))
    assert (found.what, found.reason, found.hint) == ("gs://data", Reason.THROTTLED, ASK)


def test_a_bundle_that_is_not_believed_says_why_and_what_counts_instead() -> None:
    torn = CollectError("it is not there", "look for it", reason=Reason.NOT_FOUND)
    found = not_believed("acme.json", torn, WHOLE)
    assert (found.what, found.reason, found.hint) == ("acme.json", Reason.NOT_FOUND, "look for it")
    assert found.effect.endswith("; what the one of 2026-11-24 12:00 UTC told counts")
    alone = not_believed("acme.json", AuditorError("the disk is full"), None)
    assert (alone.reason, alone.hint) == (Reason.UNSUPPORTED, "look at the auditor's disk")
    assert alone.effect == "the disk is full; what it tells is not known"
    assert is_refusal(found)
    assert is_refusal(alone)
    assert not any(map(is_refusal, of_bundle("acme.json", replace(WHOLE, unswept=1), NOW, DAY)))


OFF = "DISABLED"
SWEPT = NOW - DAY
BEFORE, AFTER = SWEPT - HOUR, SWEPT + HOUR


def may_hide(
    *versions: Any, held: Iterable[tuple[str, str | None]] = ((GCP_KEY.text, None),), memory: Any = None, **key: Any
) -> list[str]:
    """The versions that may have taken data since a bundle's sweeps."""
    view = KeyView(GCP_KEY, a_gcp_key(*versions, **key), memory)
    found = [*written_since([WHOLE, replace(WHOLE, swept=SWEPT)], {GCP_KEY: view}, held)]
    assert all((one.what, one.reason, one.hint) == (GCP_KEY.text, Reason.NOT_VISIBLE, NEWER) for one in found)
    assert all("since 2026-11-23 12:00 UTC" in one.effect for one in found), "since the oldest of the sweeps"
    return [one.effect.partition(" cannot be used now")[0] for one in found]


def v(number: str, state: str = OFF, **more: Any) -> Any:
    return a_version(number, state, **{"created": BEFORE, **more})


TOOK = ["version 1"]


def test_what_came_under_a_version_behind_the_sweeps_is_not_known_once_it_cannot_be_used() -> None:
    assert may_hide(v("1"), primary="1") == TOOK
    assert may_hide(v("1", "ENABLED"), primary="1") == [], "what works hides nothing"
    assert may_hide(v("1"), primary="1", held=[(GCP_KEY.text, "1")]) == [], "data is told of, and it is judged by that"
    assert may_hide(v("1"), primary="1", held=[(GCP_KEY.text, "2")]) == TOOK
    assert may_hide(v("1"), primary="1", held=[(f"{GCP_KEY}-2", None)]) == [], "of another key nobody asks"
    assert may_hide(v("1"), v("2"), v("10"), primary="1") == ["version 1, 10"], "the newest was the primary"


@pytest.mark.parametrize(
    ("created", "took"), [(AFTER, True), (None, True), (SWEPT, False), (SWEPT + SECOND, True)], ids=repr
)
def test_a_version_made_behind_the_sweeps_may_have_been_the_primary(created: Any, *, took: bool) -> None:
    rested = remembered(a_gcp_key(), resting={"1": BEFORE}, first_at=BEFORE)
    found = may_hide(v("1", created=created), v("2", "ENABLED"), primary="2", memory=rested)
    assert found == (TOOK if took else [])


def test_the_newest_that_was_there_when_the_sweeps_began_was_the_primary() -> None:
    assert may_hide(v("1"), v("2", "ENABLED", created=AFTER), primary="2") == TOOK
    assert may_hide(v("1"), v("2", "ENABLED", created=SWEPT), primary="2") == []
    assert may_hide(v("1"), v("2", "ENABLED", created=None), primary="2") == TOOK
    assert may_hide(v("2"), v("10", "ENABLED"), v("11", "ENABLED", created=AFTER), primary="11") == []


@pytest.mark.parametrize(
    ("resting", "first_at", "took"),
    [
        ({"1": AFTER}, BEFORE, True),
        ({"1": SWEPT}, BEFORE, False),
        ({"1": BEFORE}, BEFORE, False),
        ({"1": AFTER}, AFTER, False),
        ({"2": AFTER}, BEFORE, False),
        ({}, BEFORE, False),
        ({"1": AFTER}, None, True),
    ],
    ids=["since", "at once", "before", "heard of first", "another", "nothing kept", "no first"],
)
def test_a_version_that_rests_only_since_then_took_data(resting: dict[str, Any], first_at: Any, *, took: bool) -> None:
    rested = remembered(a_gcp_key(), resting=resting, first_at=first_at)
    found = may_hide(v("1"), v("2", "ENABLED"), primary="2", memory=rested)
    assert found == (TOOK if took else [])
    assert may_hide(v("1"), v("2", "ENABLED"), primary="2") == [], "of one that nothing is kept of"


def test_of_what_no_bundle_tells_and_of_keys_of_aws_nothing_came_under_a_version() -> None:
    off = KeyView(GCP_KEY, a_gcp_key(v("1"), primary="1"), None)
    unread = KeyView(KeyName(f"{GCP_KEY}-2"), None, None)
    aws = KeyView(AWS_KEY, an_aws_key("Disabled"), None)
    keys = {one.name: one for one in (unread, aws, off)}
    held = [(name.text, None) for name in (AWS_KEY, unread.name, GCP_KEY)]
    assert [one.what for one in written_since([WHOLE], keys, held)] == [GCP_KEY.text]
    assert [*written_since([], keys, held)] == []
    assert [*written_since([WHOLE], {}, held)] == []


def test_every_key_is_looked_at_in_the_order_of_its_name() -> None:
    names = [KeyName(f"{GCP_KEY}-{number}") for number in (3, 1, 2)]
    keys = {one: KeyView(one, GcpKey(one, (v("1"),), primary="1"), None) for one in names}
    held = [(one.text, None) for one in names]
    assert [one.what for one in written_since([WHOLE], keys, held)] == [f"{GCP_KEY}-{number}" for number in (1, 2, 3)]


BUNDLE = Registry("acme.json", (), 2, NOW, bundle=WHOLE)
CSV = Registry("names.csv", (), 2, NOW)


def unplaced(*registries: Registry, **declared: Any) -> list[str]:
    found = [*not_compared(Registered(registries=registries), Declared(**declared))]
    assert all((one.what, one.reason) == ("names.csv", Reason.UNSUPPORTED) for one in found)
    return [one.effect.partition("are in: ")[2] for one in found]


TAKEN = (
    "3 namespaces count as what an operator's bundle tells of by the same name and key, and may be in another bucket"
)
OPEN = (
    "of 1 namespace a bundle tells by that name, and under another key or in several buckets: both count, and "
    "whether it is the same data is not known"
)
NEITHER = "whether what an operator's bundle tells of is under these keys is not known"


def test_namespaces_in_no_bucket_are_compared_with_what_bundles_tell_as_far_as_can_be() -> None:
    of_buckets = {"names.csv": (GCP_KEY.text,)}

    def told(taken: int, open_: int, **more: Any) -> list[str]:
        return unplaced(BUNDLE, CSV, unplaced={"names.csv": (taken, open_)}, **more)

    assert told(3, 0) == [TAKEN]
    assert told(3, 1) == [f"{TAKEN}; {OPEN}"]
    assert told(0, 1, of_buckets=of_buckets) == [OPEN]
    assert told(0, 0, of_buckets=of_buckets) == unplaced(BUNDLE, CSV, of_buckets=of_buckets) == [NEITHER]
    assert told(0, 0) == unplaced(BUNDLE, CSV) == []


def test_without_a_bundle_nothing_is_compared_and_a_bundle_is_not_compared_with_itself() -> None:
    assert unplaced(CSV, unplaced={"names.csv": (3, 0)}) == []
    assert unplaced(BUNDLE, unplaced={"acme.json": (3, 0)}, of_buckets={"acme.json": (GCP_KEY.text,)}) == []
