"""How much is known of what may hold data under a key: the oldest word counts, and only of its own cloud."""

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor import scan
from auditor.config import load
from auditor.findings import Agreement, BucketCoverage, Compared, Coverage, Judgement, Run
from auditor.gaps import BUCKET_LISTS, CLOCKS, OBJECTS, not_compared, of_counts
from auditor.model import Cloud, Gap, GcpKey, KeyMemory, KeyName, Population, Reason
from auditor.ownership.registered import Handed, Registered, Registry
from auditor.policy import Policy
from auditor.questions.impact.unseen import gaps_beside, known_of
from auditor.questions.retire import retiring
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW, days, remembered
from tests.small import a_small_cloud
from tests.test_fleet import NoProgress

if TYPE_CHECKING:
    from auditor.run import Parts

KEY = KeyName(GOOGLE_KEY)
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


def some_parts(*, swept: tuple[str, ...] = (), **more: Any) -> "Parts":
    """What a question needs of a run: config and ledger, of which no word is about the key."""
    ledger = SimpleNamespace(
        memory=lambda *_: {}, sweeps=lambda: [SimpleNamespace(bucket=one) for one in swept], failed_attempts=lambda: ()
    )
    what = {"ledger": ledger, "policy": Policy(), "handed": (), "registries": (), "buckets": ("gs://data",)}
    return cast("Parts", SimpleNamespace(**what | more))


def beside(judgement: Judgement, now: datetime = NOW, **more: Any) -> list[Gap]:
    return list(gaps_beside(KEY, judgement, some_parts(**more), now))


def test_a_count_that_was_not_read_doubts_nothing_and_one_that_is_not_explained_does() -> None:
    unexplained = Compared(Agreement.UNEXPLAINED, NOW, NOW, 2_000, 1_990, 1_000)
    gaps = (not_compared("gs://data", OSError()), *of_counts([a_bucket(compared=unexplained)]))
    judgement = replace(judged(a_bucket(), elsewhere=None), gaps=gaps)
    assert beside(judgement) == [gaps[1]]
    (doubt,) = retiring._doubts_of_buckets(Cloud.GCP, some_parts(), judgement)  # noqa: SLF001 - what stands in its way
    assert doubt.startswith("gs://data: the cloud counts 1,990 objects more than the sweep listed: 2,000 on 2026-11-24")


def test_where_all_is_seen_no_gap_stands_beside_the_answer() -> None:
    assert beside(judged(a_bucket(), elsewhere=None)) == []


BUCKETS: dict[str, tuple[dict[str, Any], str, str]] = {
    "populations left out": (
        {"left_out": (Population.NONCURRENT, Population.SOFT_DELETED)},
        "nothing is known of its noncurrent and soft-deleted objects: the config leaves them out",
        "take them into its populations, and scan it",
    ),
    "an old sweep": (
        {"begun": NOW - Policy().sweep_max_age - timedelta(seconds=1)},
        "what was written since 2026-11-23 11:59:59 UTC is not known: its newest whole sweep began then",
        "scan it",
    ),
    "an upload": (
        {"uploads_in_progress": 1},
        "an upload is unfinished, of which nobody tells the key",
        "wait until they end, or abort them; then scan it",
    ),
    "uploads": (
        {"uploads_in_progress": 1000},
        "1,000 uploads are unfinished, of which nobody tells the key",
        "wait until they end, or abort them; then scan it",
    ),
    "two uploads": (
        {"uploads_in_progress": 2},
        "2 uploads are unfinished, of which nobody tells the key",
        "wait until they end, or abort them; then scan it",
    ),
}


@pytest.mark.parametrize(("bucket", "effect", "hint"), BUCKETS.values(), ids=BUCKETS)
def test_what_a_bucket_does_not_tell_is_a_gap(bucket: dict[str, Any], effect: str, hint: str) -> None:
    assert beside(judged(a_bucket(**bucket))) == [Gap("gs://data", Reason.NOT_VISIBLE, effect, hint)]
    # Of the other cloud nothing can be under the key.
    assert beside(judged(a_bucket(), a_bucket("s3://data", **bucket))) == []


def test_a_sweep_that_may_be_as_old_as_it_is_leaves_nothing_open() -> None:
    assert beside(judged(a_bucket(begun=NOW - Policy().sweep_max_age), a_bucket(begun=None))) == []


@pytest.mark.parametrize(
    ("elsewhere", "told"), [(1, "1 bucket of the accounts in use is"), (2, "2 buckets of the accounts in use are")]
)
def test_buckets_that_no_config_names_are_a_gap(elsewhere: int, told: str) -> None:
    gap = Gap(
        BUCKET_LISTS,
        Reason.NOT_VISIBLE,
        f"{told} in no config: nobody looked there",
        "add them as [[bucket]], or set [policy] no_data_elsewhere",
    )
    assert beside(judged(a_bucket(), elsewhere=elsewhere)) == [gap]
    assert beside(judged(a_bucket(), elsewhere=elsewhere), policy=Policy(no_data_elsewhere=True)) == []


def test_buckets_that_the_config_has_since_or_had_once_are_gaps() -> None:
    configured = ("gs://data", "gs://new", "s3://new")
    assert beside(judged(a_bucket()), buckets=configured, swept=("gs://old", "s3://old", "gs://data")) == [
        Gap("gs://new", Reason.NOT_FOUND, "nothing is known of its objects: it is in the config since", "scan it"),
        Gap(
            "gs://old", Reason.NOT_VISIBLE, "nobody looks there: it was swept and has left the config", "name it again"
        ),
    ]


OLD = Gap(
    "a.bundle",
    Reason.TIMEOUT,
    "the oldest sweep that it tells of began 72 hours ago, and max_age_hours allows 48",
    "get a newer bundle from the operator, as often as you need to know",
)
ONES = (Gap("a.bundle", Reason.NOT_VISIBLE, "", ""), Gap("another.bundle", Reason.TIMEOUT, "", ""))


def given(name: str = "a.bundle") -> SimpleNamespace:
    return SimpleNamespace(source=SimpleNamespace(name=name), max_age=timedelta(hours=48))


def test_a_bundle_that_has_grown_old_since_it_was_read_is_a_gap_once() -> None:
    told = replace(judged(a_bucket(), registries=(a_bundle(NOW - days(3)),)), gaps=ONES)
    assert beside(told, handed=(given(),)) == [ONES[0], OLD]
    assert beside(replace(told, gaps=(*ONES, OLD)), handed=(given(),)) == [ONES[0], OLD], "it was told when it was read"
    assert beside(told, handed=(given("another.bundle"),)) == [ONES[0]], "another one's age is no matter"
    assert beside(told, NOW - days(1), handed=(given(),)) == [ONES[0]], "it is as old as it may be"
    not_believed = replace(told, registered=Registered(registries=(Registry("a.bundle", (), None, None),)))
    assert beside(replace(not_believed, gaps=()), handed=(given(),)) == []


def test_the_gaps_of_the_key_of_its_versions_and_of_the_buckets_stand_beside_the_answer() -> None:
    names = (GOOGLE_KEY, f"{GOOGLE_KEY}/cryptoKeyVersions/7", "gs://data", BUCKET_LISTS, OBJECTS, CLOCKS)
    others = (f"{GOOGLE_KEY}-2", f"{GOOGLE_KEY}-2/cryptoKeyVersions/7", "a.csv", "s3://data")
    gaps = tuple(Gap(one, Reason.TIMEOUT, "", "") for one in (*names, *others))
    plain = Registry("a.csv", (), 1, NOW)
    seen = judged(a_bucket(), a_bucket("s3://data"), registries=(plain,))
    assert [one.what for one in beside(replace(seen, gaps=gaps))] == list(names)
    # Where registries alone tell of data, what one leaves open may be data under the key.
    alone = replace(judged(registries=(plain,)), gaps=gaps)
    found = beside(alone, buckets=(), registries=(SimpleNamespace(name="a.csv"), SimpleNamespace(name="new.csv")))
    assert [one.what for one in found] == ["new.csv", *(one for one in (*names, "a.csv") if one != "gs://data")]


NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))
OTHERS_NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/777"))
BOTH_READ = {name: remembered(GcpKey(name, (), created=NOW)) for name in (KEY, NUMBER)}


def under(*names: KeyName) -> tuple[Any, ...]:
    """Data under keys, of which nothing else counts."""
    return tuple(SimpleNamespace(holding=SimpleNamespace(key=one.text)) for one in names)


def by_other_name(name: KeyName, told: str) -> Gap:
    effect = f"data names the key {name}, which {told} this one by the other name of its project"
    return Gap(GOOGLE_KEY, Reason.UNSUPPORTED, effect, f"ask for {name} as well")


def of_names(counted: tuple[KeyName, ...], *held: KeyName, memory: dict[KeyName, KeyMemory]) -> list[Gap]:
    parts = some_parts()
    cast("Any", parts.ledger).memory = lambda *_: memory
    return list(gaps_beside(KEY, replace(judged(a_bucket()), assessed=under(*held)), parts, NOW, counted))


def test_data_under_another_name_that_is_not_counted_is_a_gap() -> None:
    assert of_names((), KEY, NUMBER, memory=BOTH_READ) == [by_other_name(NUMBER, "is")]
    assert of_names((NUMBER,), KEY, NUMBER, memory=BOTH_READ) == []
    # What nobody has compared may be of it; what was read, and made at another moment, is of another project.
    assert of_names((), KEY, NUMBER, memory={}) == [by_other_name(NUMBER, "may be")]
    assert of_names((), OTHERS_NUMBER, memory=BOTH_READ) == [by_other_name(OTHERS_NUMBER, "may be")]
    read = {**BOTH_READ, OTHERS_NUMBER: remembered(GcpKey(OTHERS_NUMBER, (), created=NOW - days(1)))}
    assert of_names((), NUMBER, OTHERS_NUMBER, memory=read) == [by_other_name(NUMBER, "is")]


def test_the_gaps_of_the_other_names_that_are_counted_stand_beside_the_answer_too() -> None:
    versions = f"{NUMBER}/cryptoKeyVersions/7"
    gaps = tuple(Gap(one, Reason.TIMEOUT, "", "") for one in (NUMBER.text, versions))
    told = replace(judged(a_bucket()), gaps=gaps)
    assert list(gaps_beside(KEY, told, some_parts(), NOW, (NUMBER,))) == list(gaps)
    assert beside(told) == []


def test_buckets_without_a_whole_sweep_are_counted() -> None:
    found = known_of(judged(a_bucket(), *(a_bucket(f"gs://{one}", complete=False) for one in "abc")), Cloud.GCP)
    assert (found.buckets, found.lacking) == (4, 3)
