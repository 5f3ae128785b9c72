"""What the cloud's own count says of a sweep: told in words, and never by what is known to be in it as well."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from auditor.completeness import compare, handed_on, of_then
from auditor.findings import Agreement
from auditor.gaps import is_narrow, is_of_count, not_compared
from auditor.model import BucketFacts, Cloud, CloudCount, EarlierSweep, Population, Reason, Sweep
from tests.core_builders import NOW, days

YESTERDAY = NOW - days(1.5)
LIVE_ONLY = (Population.NONCURRENT,)


def a_sweep(listed: int = 100_000, bucket: str = "s3://data", **more: Any) -> Sweep:
    cloud = Cloud.AWS if bucket.startswith("s3://") else Cloud.GCP
    facts: dict[str, Any] = {
        "complete": True,
        "outside": 0,
        "uploads_in_progress": 0,
        "oldest_verified": NOW,
        "facts": BucketFacts(bucket, cloud, versioned=True),
        "left_out": (),
        "markers": 0,
        **more,
    }
    return Sweep("s1", bucket, NOW - days(0.1), NOW, listed=listed, resolved=listed, **facts)


def of_s3(count: int, at: datetime = YESTERDAY) -> CloudCount:
    return CloudCount(NOW, at, count)


def of_google(live: int, noncurrent: int = 0, soft_deleted: int = 0, uploads: int = 0) -> CloudCount:
    counts = dict(zip(Population, (live, noncurrent, soft_deleted), strict=True))
    return CloudCount(NOW, YESTERDAY, live + noncurrent + soft_deleted + uploads, counts)


def google(listed: int, **more: Any) -> Sweep:
    return a_sweep(listed, "gs://data", markers=None, **more)


NEVER_VERSIONED = BucketFacts("s3://data", Cloud.AWS, versioned=False)
CASES: dict[str, tuple[Sweep, CloudCount, Agreement]] = {
    "the same": (a_sweep(), of_s3(100_000), Agreement.AGREES),
    "a small bucket, at the tolerance": (a_sweep(0), of_s3(1_000), Agreement.AGREES),
    "a small bucket, beyond it": (a_sweep(0), of_s3(1_001), Agreement.UNEXPLAINED),
    "a large one, at a hundredth": (a_sweep(990_000), of_s3(1_000_000), Agreement.AGREES),
    "a large one, beyond it": (a_sweep(989_999), of_s3(1_000_000), Agreement.UNEXPLAINED),
    "a small bucket, as many more listed": (a_sweep(1_000), of_s3(0), Agreement.AGREES),
    "a small bucket, one more than that": (a_sweep(1_001), of_s3(0), Agreement.FEWER_COUNTED),
    "more came since": (a_sweep(), of_s3(10), Agreement.FEWER_COUNTED),
    "parts of an upload": (a_sweep(0, uploads_in_progress=1), of_s3(11_000), Agreement.EXPLAINED),
    "more than an upload has": (a_sweep(0, uploads_in_progress=1), of_s3(11_001), Agreement.UNEXPLAINED),
    "delete markers": (a_sweep(0, markers=5_000), of_s3(6_000), Agreement.EXPLAINED),
    "more than there are markers": (a_sweep(0, markers=5_000), of_s3(6_001), Agreement.UNEXPLAINED),
    "markers that nobody counted": (a_sweep(0, markers=None), of_s3(6_000), Agreement.NOT_COMPARABLE),
    "none in what never had versions": (
        a_sweep(0, markers=None, facts=NEVER_VERSIONED),
        of_s3(6_000),
        Agreement.UNEXPLAINED,
    ),
    "uploads that nobody counted": (a_sweep(0, uploads_in_progress=None), of_s3(6_000), Agreement.NOT_COMPARABLE),
    "what agrees hides nothing": (a_sweep(uploads_in_progress=None, markers=None), of_s3(100_900), Agreement.AGREES),
    "versions that were left out": (a_sweep(0, left_out=LIVE_ONLY), of_s3(6_000), Agreement.NOT_COMPARABLE),
    "left out where there are none": (
        a_sweep(0, left_out=LIVE_ONLY, markers=None, facts=NEVER_VERSIONED),
        of_s3(6_000),
        Agreement.UNEXPLAINED,
    ),
    "settings that nobody read": (
        a_sweep(0, left_out=LIVE_ONLY, facts=replace(NEVER_VERSIONED, versioned=None)),
        of_s3(6_000),
        Agreement.NOT_COMPARABLE,
    ),
    "google, all of it": (google(60), of_google(30, 20, 10, 90_000), Agreement.AGREES),
    "google, soft-deleted ones missing": (google(50), of_google(30, 20, 9_000), Agreement.UNEXPLAINED),
    "google, soft-deleted ones left out": (
        google(50, left_out=(Population.SOFT_DELETED,)),
        of_google(30, 20, 9_000),
        Agreement.AGREES,
    ),
    "google, uploads are no objects": (
        google(0, uploads_in_progress=None),
        of_google(0, 0, 0, 9_000),
        Agreement.AGREES,
    ),
    "no value yet": (a_sweep(), CloudCount(NOW), Agreement.NOT_KNOWN),
    "a value of no moment": (a_sweep(), CloudCount(NOW, None, 100_000), Agreement.NOT_KNOWN),
    "a moment without a value": (a_sweep(), CloudCount(NOW, YESTERDAY), Agreement.NOT_KNOWN),
    "not read": (a_sweep(), CloudCount(NOW, unread=Reason.ACCESS_DENIED), Agreement.NOT_READ),
}


@pytest.mark.parametrize(("sweep", "told", "agreement"), CASES.values(), ids=CASES)
def test_judges_what_was_listed_by_what_the_cloud_counts(sweep: Sweep, told: CloudCount, agreement: Agreement) -> None:
    found = compare(replace(sweep, counted=told))
    assert found is not None
    assert found.agreement is agreement
    assert found.read_at == NOW


def test_tells_both_numbers_and_how_far_apart_they_may_be() -> None:
    found = compare(a_sweep(0, markers=5, uploads_in_progress=1, counted=of_s3(300)))
    assert found is not None
    assert (found.count, found.difference, found.allowed, found.measured_at) == (300, 300, 11_005, YESTERDAY)
    google_found = compare(google(7, left_out=(Population.LIVE,), counted=of_google(1_000, 3)))
    assert google_found is not None
    assert (google_found.count, google_found.difference) == (3, -4), "of what was looked at alone"
    assert google_found.allowed == 1_000, "beside objects nothing is counted"
    plain = compare(a_sweep(0, markers=None, facts=NEVER_VERSIONED, counted=of_s3(300)))
    assert plain is not None
    assert plain.allowed == 1_000, "nor are there markers where there were never versions"


def test_nobody_compares_what_nobody_asked_for_or_a_sweep_that_is_not_whole() -> None:
    assert compare(a_sweep()) is None
    assert compare(a_sweep(complete=False, counted=of_s3(9))) is None


@pytest.mark.parametrize(
    ("earlier", "agreement"),
    [
        ([(4, 50_000)], Agreement.EXPLAINED),
        ([(4, 50_000), (3, 20)], Agreement.UNEXPLAINED),
        ([(1, 50_000), (0.5, 20)], Agreement.EXPLAINED),
        ([(1, 48_999)], Agreement.UNEXPLAINED),
        ([], Agreement.UNEXPLAINED),
    ],
    ids=["the last before", "had gone before", "went since", "did not have as many either", "the first sweep"],
)
def test_what_went_away_since_the_cloud_counted_was_there_for_earlier_sweeps(
    earlier: list[tuple[float, int]], agreement: Agreement
) -> None:
    before = tuple(EarlierSweep(NOW - days(ago), listed) for ago, listed in earlier)
    found = compare(a_sweep(10, earlier=before, counted=of_s3(50_000)))
    assert found is not None
    assert found.agreement is agreement


def test_a_sweep_hands_on_what_the_next_ones_count_may_be_of() -> None:
    first = replace(a_sweep(7), ended=NOW - days(20))
    second = replace(a_sweep(8), ended=NOW - days(9), earlier=handed_on(first, (), NOW - days(9)))
    assert [one.listed for one in second.earlier] == [7]
    assert [one.listed for one in handed_on(second, (), NOW)] == [8], "the one before is of no count that may come"
    assert handed_on(None, (), NOW) == ()
    ended = [4.5, 3.5]
    third = replace(second, ended=NOW - days(1), earlier=tuple(EarlierSweep(NOW - days(one), 5) for one in (9, *ended)))
    assert [NOW - one.ended for one in handed_on(third, (), NOW)] == [*map(days, ended), days(1)]
    assert handed_on(second, LIVE_ONLY, NOW) == (), "another config listed something else"


def test_of_many_sweeps_a_few_stay_that_listed_most() -> None:
    every = tuple(EarlierSweep(NOW - timedelta(minutes=100 - one), one) for one in range(100))
    kept = handed_on(replace(a_sweep(3), earlier=every), (), NOW)
    assert [one.listed for one in kept] == list(range(68, 100))
    assert of_then(every, NOW - timedelta(minutes=2)) == every[-3:]


def test_a_count_that_could_not_be_read_leaves_no_object_in_doubt() -> None:
    gap = not_compared("s3://data", KeyError("x"))
    assert is_of_count(gap)
    assert is_narrow(gap)
    assert "'x'" not in gap.effect
