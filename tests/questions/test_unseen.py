"""How much is known of what may hold data under a key: the oldest word counts, and only of its own cloud."""

from datetime import datetime, timedelta
from typing import Any

from auditor.findings import BucketCoverage, Coverage, Judgement, Run
from auditor.model import Cloud
from auditor.ownership.registered import Handed, Registered, Registry
from auditor.questions.impact.unseen import known_of
from tests.core_builders import NOW, days

RUN = Run("1", NOW, NOW, "0", (), "", "", timedelta())


def a_bucket(url: str = "gs://data", begun: datetime | None = NOW, **more: Any) -> BucketCoverage:
    what = {"complete": True, "listed": 10, "resolved": 9, "unresolved": 1, "outside": 0, "uploads_in_progress": 0}
    return BucketCoverage(bucket=url, **what | more, sweep_started=begun, sweep_ended=begun, oldest_verified=begun)


def a_bundle(swept: datetime) -> Registry:
    handed = Handed("acme", None, "f", "d", "0", NOW, swept, 1, 1, 0, 0, 0, 0, 0, registries=True)
    return Registry("a.bundle", (), 1, NOW, bundle=handed)


def judged(*buckets: BucketCoverage, registries: tuple[Registry, ...] = (), elsewhere: int | None = 0) -> Judgement:
    coverage = Coverage(buckets, 1, 1, elsewhere)
    return Judgement(RUN, NOW, coverage, (), (), (), (), (), registered=Registered(registries=registries))


def test_the_sweep_that_began_first_says_how_old_the_answer_is() -> None:
    found = known_of(judged(a_bucket(begun=NOW - days(1)), a_bucket("gs://more", NOW - days(3))), Cloud.GCP)
    assert found.swept == NOW - days(3)


def test_a_sweep_that_did_not_end_dates_nothing() -> None:
    torn = a_bucket("gs://more", NOW - days(3), complete=False)
    found = known_of(judged(a_bucket(begun=NOW - days(1)), torn), Cloud.GCP)
    assert (found.swept, found.buckets, found.lacking) == (NOW - days(1), 2, 1)
    assert known_of(judged(torn), Cloud.GCP).swept is None


def test_a_bucket_of_the_other_cloud_says_nothing_of_this_one() -> None:
    found = known_of(judged(a_bucket(), a_bucket("s3://data", NOW - days(9), listed=5, resolved=5)), Cloud.GCP)
    assert (found.listed, found.resolved, found.buckets, found.swept) == (10, 9, 1, NOW)


def test_the_oldest_bundle_says_how_old_the_operators_word_is() -> None:
    plain = Registry("names.csv", (), 1, NOW)
    found = known_of(judged(registries=(plain, a_bundle(NOW - days(1)), a_bundle(NOW - days(4)))), Cloud.GCP)
    assert found.told == NOW - days(4)
    assert known_of(judged(registries=(plain,)), Cloud.GCP).told is None


def test_where_no_bucket_is_configured_nobody_counts_objects() -> None:
    found = known_of(judged(elsewhere=None), Cloud.GCP)
    assert (found.listed, found.resolved, found.elsewhere) == (None, None, None)
