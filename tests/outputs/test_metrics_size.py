"""A scrape stays small whatever hangs on how many keys: the worst have series of their own, the others go together."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from prometheus_client import CollectorRegistry, generate_latest

from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Run,
    Subject,
    SubjectKind,
)
from auditor.model import Encryption, Extent
from auditor.outputs import metrics
from auditor.rules import load
from tests.core_builders import GCP_KEY, NOW, a_gcp_key, a_holding, a_version
from tests.test_engine import found, judged

if TYPE_CHECKING:
    from auditor.ports import DependencyRows

KEYS = 10_000
NAMESPACES_EACH = 100
ENDED = (Readability.LOST, Readability.DOOMED, Readability.UNREADABLE, Readability.READABLE)


class Rows:
    """The namespaces of a fleet in which each key has its own."""

    def count_namespaces(self, members: Iterable[Member]) -> int:
        return NAMESPACES_EACH * sum(1 for _ in members)

    def namespaces_by_readability(self, assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability], int]:
        told: dict[tuple[str, Readability], int] = {}
        for one in assessed:
            place = one.holding.bucket, one.assessment.readability
            told[place] = told.get(place, 0) + one.holding.namespaces
        return told


def key(number: int) -> str:
    """A name as long as Google Cloud lets it be: 63 letters each for the ring and the key."""
    return f"projects/platform-{number % 7}/locations/us-east1/keyRings/{'r' * 63}/cryptoKeys/{number:063d}"


def a_fleet() -> Judgement:
    """Ten thousand keys, a million namespaces; every key has a grave finding."""
    holding = a_holding(GCP_KEY, "1", namespaces=NAMESPACES_EACH)
    disabled = a_gcp_key(a_version("1", "DISABLED"))
    finding: Finding = found(judged(holding, keys={GCP_KEY: (disabled, None)}))["data-unreadable"]
    subject = Subject(SubjectKind.KEY_VERSION, "one")
    judgements = [
        Assessment(one, Basis.STATE, "cause", subject, final_at=NOW + timedelta(days=1), undo=(), evidence=())
        for one in ENDED
    ]
    return Judgement(
        run=Run("id", NOW, NOW, "0", ("me",), "c" * 64, "r", timedelta(0)),
        now=NOW,
        coverage=Coverage((BucketCoverage("gs://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW),), KEYS, KEYS, None),
        assessed=tuple(
            Assessed(
                replace(holding, key=key(number), objects=number), Encryption.CMEK, judgements[number % len(judgements)]
            )
            for number in range(KEYS)
        ),
        findings=tuple(
            replace(
                finding,
                id=f"{number:016x}",
                subject=Subject(SubjectKind.KEY_VERSION, f"{key(number)}/cryptoKeyVersions/1"),
                extent=Extent(number, number, NAMESPACES_EACH, (f"tenant-{number}" * 10,)),
            )
            for number in range(KEYS)
        ),
        gaps=(),
        tallies=(),
        sweeps=("s1",),
    )


def test_ten_thousand_keys_and_a_million_namespaces_are_less_than_a_megabyte() -> None:
    fleet = a_fleet()
    collector = metrics.JudgementCollector(
        *(lambda: fleet, lambda _: cast("DependencyRows", Rows()), dict, dict),
        reloaded=bool,
        leads=bool,
        rules=tuple((rule.id, rule.severity) for rule in load()),
        version=("0", "r"),
    )
    made = metrics.registry(collector)
    # Far below: what is behind the worst takes no room at all.
    assert len(generate_latest(made)) < 150_000

    told = {one.name: one.samples for one in made.collect()}
    objects = told["cmek_key_version_dependent_objects"]
    assert len({one.labels["key"] for one in objects}) == metrics._WORST + 1  # noqa: SLF001 - and `other`
    assert {one.labels["readability"] for one in objects if one.labels["key"] == "other"} == set(ENDED)
    assert sum(one.value for one in objects) == sum(range(KEYS)), "nothing is left out"
    (worst, *_) = objects
    assert (worst.labels["key"], worst.labels["readability"]) == (key(KEYS - len(ENDED)), Readability.LOST)
    assert sum(one.value for one in told["cmek_dependent_namespaces"]) == 1_000_000
    assert len(told["cmek_finding_info"]) == metrics._WORST  # noqa: SLF001 - as above
    (grave,) = [one for one in told["cmek_findings"] if one.value]
    assert grave.value == KEYS


MANY_BUCKETS = 1000
DATE = NOW.timestamp()


def bucket(number: int) -> str:
    return f"gs://acme-production-tenant-{number:06d}-objects"


def of_many_buckets() -> Judgement:
    """A bucket for each tenant; in the last one nothing can be read, and of the one before not all is known."""
    fleet = a_fleet()
    readable, lost = fleet.assessed[3], fleet.assessed[0]
    (usual,) = fleet.coverage.buckets
    coverage = [replace(usual, bucket=bucket(number)) for number in range(MANY_BUCKETS)]
    coverage[-2] = replace(coverage[-2], resolved=8, unresolved=2)
    coverage[500] = replace(coverage[500], sweep_started=NOW - timedelta(days=3), sweep_ended=NOW - timedelta(days=2))
    return replace(
        fleet,
        assessed=tuple(
            replace(one, holding=replace(one.holding, bucket=bucket(number), objects=10))
            for number in range(MANY_BUCKETS)
            for one in [lost if number == MANY_BUCKETS - 1 else readable]
        ),
        coverage=replace(fleet.coverage, buckets=tuple(coverage)),
    )


def made_of(judgement: Judgement) -> CollectorRegistry:
    swept = {(bucket(number), "resolved"): 10 for number in range(MANY_BUCKETS)}
    collector = metrics.JudgementCollector(
        *(lambda: judgement, lambda _: cast("DependencyRows", Rows()), dict, lambda: swept),
        reloaded=bool,
        leads=bool,
        rules=(),
        version=("0", "r"),
    )
    return metrics.registry(collector)


def of_buckets(made: CollectorRegistry) -> dict[str, dict[str, float]]:
    """Metric -> bucket -> value."""
    return {
        one.name: {sample.labels["bucket"]: sample.value for sample in one.samples}
        for one in made.collect()
        if all("bucket" in sample.labels for sample in one.samples)
    }


def test_a_bucket_for_each_tenant_is_less_than_a_megabyte_and_hides_none_that_is_not_well() -> None:
    made = made_of(of_many_buckets())
    assert len(generate_latest(made)) < 250_000
    told = of_buckets(made)
    objects = told["cmek_dependent_objects"]
    assert len(objects) == metrics._BUCKETS + 1  # noqa: SLF001 - and `other`
    assert sum(objects.values()) == sum(told["cmek_sweep_objects"].values()) == 10 * MANY_BUCKETS
    assert objects[bucket(MANY_BUCKETS - 1)] == 10, "its data is lost"
    coverage = told["cmek_coverage_ratio"]
    assert (coverage[bucket(MANY_BUCKETS - 2)], coverage["other"]) == (0.8, 1.0)
    ended = told["cmek_sweep_last_success_timestamp_seconds"]
    assert bucket(500) not in ended
    assert (ended["other"], ended[bucket(0)]) == (DATE - 2 * 86400, DATE), "an alert asks how old the oldest is"
    assert told["cmek_sweep_duration_seconds"]["other"] == 86400


def test_what_goes_together_with_what_nobody_counted_has_no_number() -> None:
    fleet = of_many_buckets()
    one = fleet.assessed[600]
    untold = replace(one, holding=replace(one.holding, objects=None))
    told = of_buckets(made_of(replace(fleet, assessed=(*fleet.assessed[:600], untold, *fleet.assessed[601:]))))
    assert bucket(600) not in told["cmek_dependent_objects"]
    assert "other" not in told["cmek_dependent_objects"], "a sum of the rest would be fewer than there are"
    assert "other" in told["cmek_dependent_bytes"]
