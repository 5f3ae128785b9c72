"""What of a judgement comes into one tenant's bundle: its rows, its buckets and its gaps, and no key of another's."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditor.errors import UsageError
from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Coverage,
    Judgement,
    Readability,
    Run,
    Subject,
    SubjectKind,
)
from auditor.handover import bundling as module
from auditor.handover.bundle import Bundle, Open, Seen
from auditor.handover.bundling import bundling
from auditor.model import Dependency, Encryption, Gap, KeyName, Population, Reason
from auditor.ownership.registered import Doubt
from auditor.policy import Policy
from tests.core_builders import GCP_KEY, NOW, a_holding

if TYPE_CHECKING:
    from auditor.ports import OpenInventory
    from auditor.run import Parts

HOUR = timedelta(hours=1)
LIVE, NONCURRENT = Population.LIVE, Population.NONCURRENT
OTHERS, SHARED = KeyName(f"{GCP_KEY}-2"), KeyName(f"{GCP_KEY}-3")
MOST = 2**63 - 1
ROW = Dependency(
    *("gs://data", "acme/chat", "acme", LIVE, Encryption.CMEK, GCP_KEY.text, "1"),
    *(10, 1000, 2, NOW - 9 * HOUR, NOW - 8 * HOUR),
    samples=(),
)


def row(**more: Any) -> Dependency:
    return replace(ROW, **more)


def a_bucket(url: str = "gs://data", **more: Any) -> BucketCoverage:
    begun: dict[str, Any] = {
        "sweep_started": NOW - 3 * HOUR,
        "sweep_ended": NOW - 2 * HOUR,
        "oldest_verified": NOW - 3 * HOUR,
    }
    return BucketCoverage(
        url,
        complete=True,
        listed=9,
        resolved=9,
        unresolved=0,
        **{"outside": 0, "uploads_in_progress": 0, **begun} | more,
    )


@dataclass
class Rows:
    """The rows of the one tenant that there is."""

    rows: tuple[Dependency, ...]
    others: frozenset[str] = frozenset()

    def of_tenant(self, tenant: str, doubt: Doubt) -> Iterator[Dependency]:
        assert doubt == Doubt()
        return iter(self.rows if tenant == "acme" else ())

    def keys_of_others(self, _tenant: str, _doubt: Doubt) -> frozenset[str]:
        return self.others

    def tenants_like(self, *_asked: object) -> tuple[tuple[str, ...], int]:
        return ("acme",), 1

    def of_nobody(self, _doubt: Doubt) -> int:
        return 3


@dataclass
class Told:
    """What was judged, and what is known besides."""

    rows: tuple[Dependency, ...] = (ROW,)
    buckets: tuple[BucketCoverage, ...] = (a_bucket(),)
    gaps: tuple[Gap, ...] = ()
    assessed: tuple[Assessed, ...] = ()
    others: frozenset[str] = frozenset()
    tenants: dict[KeyName, str] = field(default_factory=dict)

    def bundle(self, tenant: str = "acme", operator: str | None = None) -> Bundle:
        registry = SimpleNamespace(
            shared=lambda _said: frozenset(), parted=lambda _said: frozenset(), tenants=lambda _said: self.tenants
        )
        parts = SimpleNamespace(
            config_digest="c",
            version="9.9",
            registry=registry,
            ledger=SimpleNamespace(memory=dict, sweeps=tuple),
            policy=Policy(),
            inventory=SimpleNamespace(layout=lambda _bucket: None),
            buckets=tuple(one.bucket for one in self.buckets),
        )
        run = Run("j-1", NOW, NOW, "0", (), "c", "", timedelta())
        coverage = Coverage(self.buckets, 1, 1, 4)
        judgement = Judgement(run, NOW, coverage, self.assessed, (), self.gaps, (), ())
        rows = cast("OpenInventory", Rows(self.rows, self.others))
        return bundling(cast("Parts", parts), judgement, rows, tenant=tenant, operator=operator, now=NOW + HOUR)


def told(*rows: Dependency, **more: Any) -> list[tuple[Any, ...]]:
    """Where data is, what it hangs on, and the sums of its namespaces."""
    bundle = Told(rows, **more).bundle()
    return [
        (one.bucket, one.population, one.encryption, one.key, one.version, [each[:4] for each in one.namespaces])
        for one in bundle.data
    ]


CMEK, KEY = Encryption.CMEK, GCP_KEY.text


def test_a_row_is_told_with_its_sums_and_times() -> None:
    (one,) = Told().bundle().data
    assert (one.bucket, one.population, one.encryption, one.key, one.version) == ("gs://data", LIVE, CMEK, KEY, "1")
    assert one.namespaces == (("acme/chat", 10, 1000, 2, NOW - 9 * HOUR, NOW - 8 * HOUR),)


def test_who_made_it_of_what_and_when_stands_in_it() -> None:
    bundle = Told().bundle(operator="Example Platform")
    assert (bundle.tenant, bundle.operator, bundle.judgement) == ("acme", "Example Platform", "j-1")
    assert (bundle.made, bundle.version) == (NOW + HOUR, "9.9")
    assert bundle.seen == Seen(elsewhere=4, registries=True, unclear=3, unswept=0)


def test_what_hangs_on_something_else_is_told_by_itself_in_order() -> None:
    found = told(
        row(namespace="acme/search"),
        row(),
        row(population=NONCURRENT),
        row(key_version="2"),
        row(bucket="gs://a"),
        row(encryption=Encryption.PROVIDER, key=None, key_version=None),
        buckets=(a_bucket("gs://data"), a_bucket("gs://a")),
    )
    chat, search = ("acme/chat", 10, 1000, 2), ("acme/search", 10, 1000, 2)
    assert found == [
        ("gs://a", LIVE, CMEK, KEY, "1", [chat]),
        ("gs://data", LIVE, CMEK, KEY, "1", [chat, search]),
        ("gs://data", LIVE, CMEK, KEY, "2", [chat]),
        ("gs://data", LIVE, Encryption.PROVIDER, None, None, [chat]),
        ("gs://data", NONCURRENT, CMEK, KEY, "1", [chat]),
    ]


def test_a_key_that_may_be_anothers_is_kept_back_with_its_version_and_the_data_is_told() -> None:
    earlier, later = NOW - 20 * HOUR, NOW - HOUR
    rows = (
        row(key=OTHERS.text),
        row(key=SHARED.text, key_version="7", objects=1, size=5, archived=1, oldest=earlier, newest=later),
    )
    (one,) = Told(rows, others=frozenset({OTHERS.text}), tenants={SHARED: "zeta"}).bundle().data
    assert (one.encryption, one.key, one.version) == (CMEK, None, None)
    assert one.namespaces == (("acme/chat", 11, 1005, 3, earlier, later),)
    assert told(rows[0], others=frozenset({OTHERS.text}), tenants={OTHERS: "acme"})[0][3] == OTHERS.text


def test_of_what_is_put_together_the_widest_times_count_whichever_comes_first() -> None:
    wide = row(key=OTHERS.text, oldest=NOW - 20 * HOUR, newest=NOW - HOUR)
    (one,) = Told((wide, row(key=SHARED.text)), others=frozenset({OTHERS.text, SHARED.text})).bundle().data
    assert one.namespaces[0][4:] == (NOW - 20 * HOUR, NOW - HOUR)


def test_sums_stay_numbers_that_a_bundle_can_tell() -> None:
    huge = {"objects": MOST, "size": MOST, "archived": MOST}
    rows = (row(key=OTHERS.text, **huge), row(key=SHARED.text, **huge))
    (found,) = told(*rows, others=frozenset({OTHERS.text, SHARED.text}))
    assert found[-1] == [("acme/chat", MOST, MOST, MOST)]


def test_empty_objects_are_counted_and_what_nobody_counted_is_not() -> None:
    assert told(row(size=0, archived=0))[0][-1] == [("acme/chat", 10, 0, 0)]
    assert told(row(objects=None, size=None, archived=None))[0][-1] == [("acme/chat", 0, 0, 0)]


def test_what_the_key_says_of_itself_counts_before_what_the_bucket_says() -> None:
    assessed = Assessment(Readability.READABLE, Basis.STATE, "", Subject(SubjectKind.KEY, KEY))
    held = Assessed(a_holding(GCP_KEY, "1"), Encryption.PROVIDER_KMS, assessed)
    assert told(ROW, assessed=(held,))[0][2:5] == (Encryption.PROVIDER_KMS, None, None)
    other = Assessed(a_holding(GCP_KEY, "2"), Encryption.PROVIDER_KMS, assessed)
    assert told(ROW, assessed=(other,))[0][2:5] == (CMEK, KEY, "1")


def test_only_buckets_with_data_of_the_tenant_are_told_in_order() -> None:
    every = tuple(map(a_bucket, ("gs://b", "gs://a", "gs://data", "gs://nothing-here")))
    bundle = Told((ROW, row(bucket="gs://a"), row(bucket="gs://b")), buckets=every).bundle()
    assert [one.bucket for one in bundle.buckets] == ["gs://a", "gs://b", "gs://data"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {"verified": NOW - 3 * HOUR, "left_out": (), "outside": False, "uploads": False}),
        ({"oldest_verified": NOW - 9 * HOUR}, {"verified": NOW - 9 * HOUR}),
        ({"oldest_verified": None}, {"verified": NOW - 3 * HOUR}),
        ({"oldest_verified": NOW}, {"verified": NOW - 2 * HOUR}),
        ({"left_out": (NONCURRENT,)}, {"left_out": (NONCURRENT,)}),
        ({"outside": 1}, {"outside": True}),
        ({"uploads_in_progress": 2}, {"uploads": True}),
        ({"uploads_in_progress": None}, {"uploads": None}),
    ],
    ids=repr,
)
def test_a_sweep_says_what_it_saw_and_what_it_did_not(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    (one,) = Told(buckets=(a_bucket(**facts),)).bundle().buckets
    assert (one.started, one.ended) == (NOW - 3 * HOUR, NOW - 2 * HOUR)
    assert {name: getattr(one, name) for name in expected} == expected


def test_gaps_of_its_buckets_and_of_keys_that_are_named_are_told_once_in_order() -> None:
    about = (KEY, "gs://data", "gs://data", "gs://other", OTHERS.text, "gs://data")
    reasons = (Reason.TIMEOUT, Reason.TIMEOUT, Reason.THROTTLED, Reason.TIMEOUT, Reason.TIMEOUT, Reason.TIMEOUT)
    gaps = tuple(
        Gap(what, reason, str(place), "") for place, (what, reason) in enumerate(zip(about, reasons, strict=True))
    )
    bundle = Told((ROW, row(key=OTHERS.text)), gaps=gaps, others=frozenset({OTHERS.text})).bundle()
    assert bundle.gaps == (
        Open("gs://data", Reason.THROTTLED),
        Open("gs://data", Reason.TIMEOUT),
        Open(KEY, Reason.TIMEOUT),
    )


def test_a_tenant_of_whom_nothing_is_known_is_refused() -> None:
    with pytest.raises(UsageError, match="no data is known to be of tenant 'zeta'"):
        Told().bundle("zeta")


def test_more_than_fits_is_refused_and_just_as_much_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._MOST == 1 << 20  # noqa: SLF001 - so many fit, whatever they are called
    monkeypatch.setattr(module, "_MOST", 2)
    rows = tuple(row(namespace=f"acme/{number}") for number in range(3))
    assert len(Told(rows[:2]).bundle().data[0].namespaces) == 2
    with pytest.raises(UsageError, match="does not fit into one bundle") as refusal:
        Told(rows).bundle()
    assert refusal.value.hint == "give it several tenants"


@pytest.mark.parametrize("lacking", ["namespace", "population", "oldest", "newest"])
def test_a_row_of_which_nobody_saw_an_object_is_a_fault(lacking: str) -> None:
    with pytest.raises(ValueError, match="a row of gs://data tells of no object"):
        Told((row(**{lacking: None}),)).bundle()


@pytest.mark.parametrize("lacking", ["sweep_started", "sweep_ended"])
def test_data_of_what_was_not_swept_is_a_fault(lacking: str) -> None:
    with pytest.raises(ValueError, match="gs://data has data and no sweep"):
        Told(buckets=(a_bucket("gs://data", **{lacking: None}),)).bundle()
