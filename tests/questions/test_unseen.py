"""How much is known of what may hold data under a key: the oldest word counts, and only of its own cloud."""

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import BucketCoverage, Coverage, Judgement, Run
from auditor.gaps import CLOCKS
from auditor.model import Cloud, Gap, KeyName, Reason
from auditor.ownership.registered import Handed, Registered, Registry
from auditor.questions.impact.unseen import gaps_beside, known_of
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW, days
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress

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


@pytest.mark.parametrize(("named", "heard"), [((), False), ((None,), False), ((3,), True), ((None, 3), True)], ids=repr)
def test_one_registry_that_was_read_is_heard(named: tuple[int | None, ...], heard: bool) -> None:  # noqa: FBT001 - a case
    every = tuple(Registry(f"{place}.csv", (), one, NOW) for place, one in enumerate(named))
    assert known_of(judged(registries=every), Cloud.GCP).heard is heard


def test_gaps_of_clocks_and_of_what_a_bundle_speaks_of_stand_beside_every_answer(tmp_path: Path) -> None:
    told = replace(a_bundle(NOW), buckets=("gs://theirs",))
    beside = [Gap(one, Reason.TIMEOUT, "", "") for one in (CLOCKS, "a.bundle", "gs://theirs", "gs://data")]
    others = [Gap(one, Reason.TIMEOUT, "", "") for one in ("another.bundle", "gs://not-theirs", "s3://data")]
    with a_small_cloud(tmp_path) as small, contextlib.closing(assemble(load(small.config))) as assembly:
        found = scan.scan(assembly.parts, NoProgress())
        asked = replace(found, gaps=(*beside, *others), registered=Registered(registries=(told,)))
        gaps = list(gaps_beside(KeyName(GOOGLE_KEY), asked, assembly.parts, found.now))
    assert [one for one in gaps if one.reason is Reason.TIMEOUT] == beside
