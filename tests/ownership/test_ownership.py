"""Keys, defaults, namespaces and registries that do not go together, found over the wire and told until it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor import cli
from auditor.embedded.aws import AwsCloud
from auditor.findings import Confidence, Finding, Judgement, Severity, Status, Verdict
from auditor.ownership.registered import Portion
from tests.clouds import GOOGLE_KEY, RING, Clock, an_aws_cloud
from tests.ownership.test_registry import OTHER_KEY, judged, listed, said
from tests.small import Small, a_small_cloud

IN_EUROPE = GOOGLE_KEY.replace("us-east1", "europe")
BY_NUMBER = GOOGLE_KEY.replace("projects/acme", "projects/123456")
AWS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
AWS_OTHER = AWS_KEY.replace("0001", "0002")
MRK = "arn:aws:kms:us-east-1:111122223333:key/mrk-1f3c0f5e000040008000000000000001"
REGISTRY = '\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
S3 = '\n[[bucket]]\nurl = "s3://objects"\nregion = "us-east-1"\nlayout = "{org}/{namespace}/"\n'
HEADER = "bucket,namespace,key"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """`acme/old` and `acme/new` under two versions of one key."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.clock = Clock()
        running.cloud.store.add_key(OTHER_KEY)
        yield running


@pytest.fixture
def aws(small: Small, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    with an_aws_cloud(monkeypatch) as running:
        running.store.add_bucket("objects")
        for key in (AWS_KEY, AWS_OTHER):
            running.store.add_key(key)
        small.config.write_text(small.config.read_text() + S3)
        yield running


def with_registry(small: Small, *lines: str, more: str = "") -> None:
    if "[[registry]]" not in small.config.read_text():
        small.config.write_text(small.config.read_text() + REGISTRY + more)
    said(small, *lines, header=HEADER)


def of(rule: str, judgement: Judgement) -> list[Finding]:
    return [one for one in judgement.findings if one.rule == rule and one.status is Status.OPEN]


def verdicts(rule: str, judgement: Judgement) -> dict[Verdict, int]:
    (tally,) = (one for one in judgement.tallies if one.rule == rule)
    return {verdict: count for verdict, count in tally.counts.items() if count}


def put(small: Small, namespace: str, *keys: str | None, count: int = 2) -> None:
    for number, key in enumerate(keys * count):
        small.cloud.store.put("data", f"{namespace}/{number}", key=key, version=1 if key else None, size=10)


# mixed-keys


def test_without_a_registry_a_namespace_under_several_keys_is_found(small: Small) -> None:
    put(small, "acme/mixed", GOOGLE_KEY, OTHER_KEY)
    put(small, "acme/half", GOOGLE_KEY, None)
    put(small, "acme/plain", None)
    judgement = judged(small)
    (one,) = of("mixed-keys", judgement)
    assert (one.subject.id, one.severity, one.portions) == ("gs://data", Severity.MEDIUM, (Portion.MIXED_KEYS,))
    assert listed(small, one, judgement) == {"acme/half": 4, "acme/mixed": 4}
    assert (one.extent.objects, one.extent.namespaces) == (8, 2)
    assert f"{GOOGLE_KEY}, {OTHER_KEY}, and no customer's key" in one.cause


def test_versions_of_one_key_are_one_key_and_no_key_at_all_is_no_mixture(small: Small) -> None:
    small.cloud.store.put("data", "acme/old/new", key=GOOGLE_KEY, version=2)
    put(small, "acme/plain", None)
    small.cloud.store.put("data", "acme/plain/own", customer_key_hash="abc")
    assert verdicts("mixed-keys", judged(small)) == {Verdict.PASSED: 1}


def test_what_its_writer_encrypted_beside_a_key_is_a_mixture(small: Small) -> None:
    small.cloud.store.put("data", "acme/old/own", customer_key_hash="abc")
    (one,) = of("mixed-keys", judged(small))
    assert (one.extent.sample_namespaces, one.extent.objects) == (("gs://data/acme/old",), 11)


def test_where_nothing_parts_from_anything_a_sweep_stands_as_it_was(small: Small) -> None:
    judgement = judged(small)
    assert [one for one in small.config.parent.glob("state/registry/*/placed-*") if one.suffix == ".parquet"] == []
    assert verdicts("mixed-keys", judgement) == {Verdict.PASSED: 1}
    put(small, "acme/mixed", GOOGLE_KEY, OTHER_KEY)
    small.cloud.store.add_bucket("more", "acme", "us-east1")
    small.cloud.store.put("more", "acme/old/1", key=GOOGLE_KEY, version=1)
    more = '\n[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(small.config.read_text() + more)
    judgement = judged(small)
    assert [one.subject.id for one in of("mixed-keys", judgement)] == ["gs://data"]
    assert verdicts("mixed-keys", judged(small, sweep=False)) == {Verdict.PASSED: 1, Verdict.FAILED: 1}
    (_,) = (one for one in small.config.parent.glob("state/registry/*/placed-*") if one.suffix == ".parquet")
    assert sum(one.holding.objects or 0 for one in judgement.assessed) == 25
    small.cloud.store.buckets["data"].objects = [
        one for one in small.cloud.store.buckets["data"].objects if "mixed" not in one.name
    ]
    assert of("mixed-keys", judged(small)) == []


def test_a_million_namespaces_under_the_same_keys_are_one_finding(small: Small) -> None:
    for number in range(60):
        put(small, f"acme/mixed-{number:02}", GOOGLE_KEY, OTHER_KEY, count=1)
    (one,) = of("mixed-keys", judged(small))
    assert (one.extent.namespaces, one.extent.objects, len(one.extent.sample_namespaces)) == (60, 120, 10)


def test_what_a_re_key_leaves_behind_until_it_is_deleted_is_no_mixture(small: Small) -> None:
    store = small.cloud.store
    store.buckets["data"].versioned = True
    when = store.clock()
    store.put("data", "acme/old/0", key=OTHER_KEY, version=1, noncurrent_since=when)
    store.put("data", "acme/old/gone", key=OTHER_KEY, version=1, soft_deleted_since=when)
    assert verdicts("mixed-keys", judged(small)) == {Verdict.PASSED: 1}
    store.put("data", "acme/old/live", key=OTHER_KEY, version=1)
    (one,) = of("mixed-keys", judged(small))
    assert one.extent.objects == 11, "live ones"


SAME: dict[str, tuple[tuple[str, ...], bool]] = {
    "a project by its number and its id": ((GOOGLE_KEY, BY_NUMBER), False),
    "and another project of a number": ((GOOGLE_KEY, BY_NUMBER, BY_NUMBER.replace("123456", "7")), True),
    "and another project of an id": ((GOOGLE_KEY, BY_NUMBER, GOOGLE_KEY.replace("acme", "zeta")), True),
    "two projects of a number": ((BY_NUMBER, BY_NUMBER.replace("123456", "7")), True),
    "keys of the same name in two locations": ((GOOGLE_KEY, IN_EUROPE), True),
    "another key, and its project by the number": ((GOOGLE_KEY, OTHER_KEY.replace("acme", "123456")), True),
}


@pytest.mark.parametrize(("keys", "mixed"), SAME.values(), ids=SAME)
def test_two_names_that_may_be_of_one_key_are_no_proof(small: Small, keys: tuple[str, ...], *, mixed: bool) -> None:
    put(small, "acme/mixed", *keys)
    assert bool(of("mixed-keys", judged(small))) is mixed


def test_two_names_of_which_nobody_knows_whether_they_are_of_one_key_do_not_pass(small: Small) -> None:
    put(small, "acme/mixed", GOOGLE_KEY, BY_NUMBER)
    small.cloud.store.deny("cloudkms.cryptoKeys.get", BY_NUMBER)
    judgement = judged(small)
    assert verdicts("mixed-keys", judgement) == {Verdict.UNKNOWN: 1}
    told = {one.what for one in judgement.gaps if one.effect.startswith("whether namespaces are under it alone")}
    assert told == {GOOGLE_KEY, BY_NUMBER}
    small.cloud.store.allow("cloudkms.cryptoKeys.get", BY_NUMBER)
    judgement = judged(small, sweep=False)
    assert verdicts("mixed-keys", judgement) == {Verdict.PASSED: 1}
    assert not any(one.effect.startswith("whether namespaces are under it") for one in judgement.gaps)


def test_replicas_of_a_multi_region_key_are_one_key(small: Small, aws: AwsCloud) -> None:
    for number, key in enumerate((MRK, MRK.replace("us-east-1", "eu-west-1"))):
        aws.store.put("objects", f"acme/s3/{number}", sse="aws:kms", key=key)
    assert of("mixed-keys", judged(small)) == []
    for number, key in enumerate((MRK, MRK.replace("111122223333", "444455556666"), MRK[:-1])):
        aws.store.put("objects", f"acme/{number}/0", sse="aws:kms", key=MRK)
        aws.store.put("objects", f"acme/{number}/1", sse="aws:kms", key=key)
    (one,) = of("mixed-keys", judged(small))
    assert one.extent.sample_namespaces == ("s3://objects/acme/1", "s3://objects/acme/2")


def test_a_key_that_aws_manages_is_no_customers_key(small: Small, aws: AwsCloud) -> None:
    key = aws.store.key(AWS_OTHER)
    assert key is not None
    key.manager = "AWS"
    aws.store.put("objects", "acme/s3/0", sse="aws:kms", key=AWS_OTHER)
    aws.store.put("objects", "acme/s3/1", sse="AES256")
    assert of("mixed-keys", judged(small)) == []
    aws.store.put("objects", "acme/s3/2", sse="aws:kms", key=AWS_KEY)
    (one,) = of("mixed-keys", judged(small))
    assert AWS_OTHER not in one.cause


def test_where_a_registry_names_the_one_key_wrong_key_speaks_of_the_others(small: Small) -> None:
    put(small, "acme/mixed", GOOGLE_KEY, OTHER_KEY)
    with_registry(small, f",acme/mixed,{OTHER_KEY}", ",acme/old,", ",acme/new,")
    judgement = judged(small)
    assert of("mixed-keys", judgement) == []
    (wrong,) = of("wrong-key", judgement)
    assert listed(small, wrong, judgement) == {"acme/mixed": 2}, "a re-key in progress: what is still under the old key"


@pytest.mark.parametrize(
    "lines",
    [(",acme/old,",), (",acme/mixed,",), (f",acme/mixed,{OTHER_KEY}", f",acme/mixed,{GOOGLE_KEY}")],
    ids=["it does not know the namespace", "it names no key", "it names two"],
)
def test_where_a_registry_does_not_explain_it_a_mixture_is_one(small: Small, lines: tuple[str, ...]) -> None:
    put(small, "acme/mixed", GOOGLE_KEY, OTHER_KEY)
    with_registry(small, *lines)
    (one,) = of("mixed-keys", judged(small))
    assert one.extent.sample_namespaces == ("gs://data/acme/mixed",)


def test_a_mixture_is_not_over_because_nobody_knows_any_more(small: Small, aws: AwsCloud) -> None:
    for number, key in enumerate((AWS_KEY, AWS_OTHER)):
        aws.store.put("objects", f"acme/s3/{number}", sse="aws:kms", key=key)
    assert len(of("mixed-keys", judged(small))) == 1
    aws.store.buckets["objects"].objects["acme/s3/1"][0].head_denied = True
    small.config.write_text(f"{small.config.read_text()}[limits]\nreverify_days = 0\n")
    judgement = judged(small)
    (one,) = of("mixed-keys", judgement)
    assert (one.confidence, verdicts("mixed-keys", judgement)[Verdict.UNKNOWN]) == (Confidence.INFERRED, 1)
    del aws.store.buckets["objects"].objects["acme/s3/1"]
    aws.store.buckets["objects"]._sorted = None  # noqa: SLF001 - the store has no other way to purge
    assert of("mixed-keys", judged(small)) == []


def test_a_mixture_is_not_over_while_a_registry_was_never_read(small: Small) -> None:
    put(small, "acme/mixed", GOOGLE_KEY, OTHER_KEY)
    assert len(of("mixed-keys", judged(small))) == 1
    small.config.write_text(small.config.read_text() + REGISTRY)
    judgement = judged(small, sweep=False)
    assert verdicts("mixed-keys", judgement) == {Verdict.UNKNOWN: 1}
    assert len(of("mixed-keys", judgement)) == 1
    with_registry(small, f",acme/mixed,{OTHER_KEY}", ",acme/old,", ",acme/new,")
    assert of("mixed-keys", judged(small, sweep=False)) == []


# key-location-mismatch


def test_a_key_that_serves_no_bucket_which_a_registry_names_it_for_is_found_before_any_data(small: Small) -> None:
    small.cloud.store.add_key(IN_EUROPE)
    with_registry(small, f",acme/old,{GOOGLE_KEY}", f",acme/new,{GOOGLE_KEY}", f",acme/soon,{IN_EUROPE}")
    judgement = judged(small)
    (one,) = of("key-location-mismatch", judgement)
    assert (one.subject.id, one.extent.objects, one.severity) == (IN_EUROPE, 0, Severity.MEDIUM)
    assert one.cause.endswith("is in europe, which does not serve gs://data (which needs a key in us-east1)")
    assert verdicts("key-location-mismatch", judgement) == {Verdict.PASSED: 1, Verdict.FAILED: 1}


def test_data_under_a_key_of_another_place_is_meant_by_the_finding(small: Small) -> None:
    small.cloud.store.add_bucket("moved", "acme", "EU")
    small.cloud.store.put("moved", "acme/old/1", key=GOOGLE_KEY, version=1)
    more = '\n[[bucket]]\nurl = "gs://moved"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(small.config.read_text() + more)
    (one,) = of("key-location-mismatch", judged(small))
    assert (one.subject.id, one.extent.sample_namespaces) == (GOOGLE_KEY, ("gs://moved/acme/old",))
    small.cloud.store.buckets["moved"].location = "EUR5"
    judgement = judged(small)
    assert verdicts("key-location-mismatch", judgement)[Verdict.UNKNOWN] == 1, "of which nobody knows what serves it"
    assert len(of("key-location-mismatch", judgement)) == 1
    small.cloud.store.buckets["moved"].location = "US-EAST1"
    assert of("key-location-mismatch", judged(small)) == []


def test_a_key_of_aws_is_to_be_of_the_buckets_region(small: Small, aws: AwsCloud) -> None:
    elsewhere = MRK.replace("us-east-1", "eu-west-1")
    for key in (MRK, elsewhere):
        aws.store.add_key(key, multi_region=True)
    aws.store.put("objects", "acme/s3/0", sse="aws:kms", key=MRK)
    with_registry(small, f"s3://objects,acme/s3,{elsewhere}", f"s3://objects,acme/more,{GOOGLE_KEY}")
    judgement = judged(small)
    (one,) = of("key-location-mismatch", judgement)
    assert one.subject.id == GOOGLE_KEY, "the replica in the bucket's Region holds the data"
    aws.store.buckets["objects"].default_key = AWS_KEY.replace("us-east-1", "us-west-2")
    assert len(of("key-location-mismatch", judged(small))) == 2


def test_a_location_is_not_right_because_the_registry_that_names_the_key_is_lost(small: Small) -> None:
    small.cloud.store.add_key(IN_EUROPE)
    with_registry(small, ",acme/old,", f",acme/soon,{IN_EUROPE}")
    assert len(of("key-location-mismatch", judged(small))) == 1
    (small.config.parent / "namespaces.csv").unlink()
    for kept in small.config.parent.glob("state/registry/*/registry.json"):
        kept.unlink()
    judgement = judged(small, sweep=False)
    assert len(of("key-location-mismatch", judgement)) == 1
    assert Verdict.PASSED not in verdicts("key-location-mismatch", judgement)
    with_registry(small, ",acme/old,")
    assert of("key-location-mismatch", judged(small, sweep=False)) == []


def test_a_location_is_not_right_because_the_bucket_does_not_tell_it_any_more(small: Small) -> None:
    small.cloud.store.buckets["data"].location = "EU"
    assert len(of("key-location-mismatch", judged(small))) == 1
    small.cloud.store.deny("storage.buckets.get", "data")
    assert len(of("key-location-mismatch", judged(small))) == 1


# bucket-default-mismatch


def test_what_a_google_bucket_makes_of_new_objects_is_compared_with_the_registry(small: Small) -> None:
    bucket = small.cloud.store.buckets["data"]
    assert verdicts("bucket-default-mismatch", judged(small)) == {Verdict.NOT_APPLICABLE: 1}
    with_registry(small, f",acme/old,{GOOGLE_KEY}", f",acme/new,{GOOGLE_KEY}")
    (one,) = of("bucket-default-mismatch", judged(small, sweep=False))
    assert (one.subject.id, one.severity, one.extent.objects) == ("gs://data", Severity.MEDIUM, 0)
    assert "under the provider's own encryption" in one.cause
    bucket.default_key = GOOGLE_KEY
    assert verdicts("bucket-default-mismatch", judged(small)) == {Verdict.PASSED: 1}
    bucket.default_key = OTHER_KEY
    assert "under a default key that nobody declares" in of("bucket-default-mismatch", judged(small))[0].cause
    bucket.default_key, bucket.enforced = None, {"googleManaged": "FullyRestricted"}
    assert verdicts("bucket-default-mismatch", judged(small)) == {Verdict.PASSED: 1}
    bucket.enforced = {"customerManaged": "FullyRestricted"}
    assert "refuses new objects under customers' keys" in of("bucket-default-mismatch", judged(small))[0].cause


def test_what_an_s3_bucket_makes_of_new_objects_is_compared_with_the_registry(small: Small, aws: AwsCloud) -> None:
    with_registry(small, f"s3://objects,acme/s3,{AWS_KEY}")
    (one,) = of("bucket-default-mismatch", judged(small))
    assert (one.subject.id, one.confidence) == ("s3://objects", Confidence.INFERRED)
    aws.store.buckets["objects"].default_key = AWS_KEY.rpartition("/")[2]
    assert of("bucket-default-mismatch", judged(small)) == []
    aws.store.buckets["objects"].default_key = "alias/main"
    assert verdicts("bucket-default-mismatch", judged(small)) == {Verdict.UNKNOWN: 1, Verdict.NOT_APPLICABLE: 1}


def test_a_default_is_not_right_because_it_was_not_told(small: Small) -> None:
    with_registry(small, f",acme/old,{GOOGLE_KEY}", ",acme/new,")
    small.cloud.store.deny("storage.buckets.get", "data")
    judgement = judged(small)
    assert verdicts("bucket-default-mismatch", judgement) == {Verdict.UNKNOWN: 1}
    assert any("what it makes of new objects" in gap.effect for gap in judgement.gaps)
    small.cloud.store.allow("storage.buckets.get", "data")
    judgement = judged(small)
    assert len(of("bucket-default-mismatch", judgement)) == 1
    assert not any("what it makes of new objects" in gap.effect for gap in judgement.gaps)
    small.cloud.store.deny("storage.buckets.get", "data")
    small.cloud.store.buckets["data"].default_key = GOOGLE_KEY
    assert len(of("bucket-default-mismatch", judged(small))) == 1, "what it told last counts"


def test_that_a_bucket_did_not_tell_its_default_is_no_gap_where_nothing_hangs_on_it(small: Small) -> None:
    small.cloud.store.deny("storage.buckets.get", "data")
    assert not any("what it makes of new objects" in gap.effect for gap in judged(small).gaps)


# registry-mismatch


def kinds(judgement: Judgement) -> dict[str, Finding]:
    return {one.subject.id: one for one in of("registry-mismatch", judgement)}


def test_registries_that_disagree_are_told_with_namespaces_and_keys(small: Small) -> None:
    second = '\n[[registry]]\nkind = "file"\npath = "more.csv"\nbucket = "gs://data"\n'
    with_registry(small, f",acme/old,{GOOGLE_KEY}", f",acme/new,{GOOGLE_KEY}", ",acme/more,", more=second)
    other = small.config.parent / "more.csv"
    other.write_text(f"namespace,key,tenant\nacme/old,{OTHER_KEY},zeta\nacme/new,{GOOGLE_KEY},\nacme/x,,\n")
    judgement = judged(small)
    (one,) = kinds(judgement).values()
    assert (one.subject.id, one.severity, one.portions) == (
        "registries (dispute)",
        Severity.MEDIUM,
        (Portion.DISPUTED,),
    )
    assert listed(small, one, judgement) == {"acme/old": 10}
    assert one.cause == (
        "registries say different things of 1 namespace, which therefore neither pass nor end: gs://data/acme/old: "
        f"registry more.csv of gs://data says key {OTHER_KEY} and tenant zeta, "
        f"registry namespaces.csv says key {GOOGLE_KEY}"
    )
    other.write_text("namespace,key,tenant\nacme/old,,\n")
    assert kinds(judged(small, sweep=False)) == {}


def test_of_many_disputes_a_few_are_told_and_all_are_counted(small: Small) -> None:
    lines = [f",acme/{number},{key}" for number in range(9) for key in (GOOGLE_KEY, OTHER_KEY)]
    with_registry(small, *lines)
    (one,) = kinds(judged(small)).values()
    assert "of 9 namespaces" in one.cause
    assert (one.cause.count("gs://data/acme/"), one.extent.objects, one.portions) == (3, 0, ())


def test_names_that_are_no_names_of_keys_are_told_once_for_each_kind(small: Small) -> None:
    alias = "arn:aws:kms:us-east-1:111122223333:alias/main"
    lines = [f",acme/{number},{alias}" for number in range(3)]
    with_registry(small, ",acme/old,", *lines, f",acme/new,{GOOGLE_KEY}/cryptoKeyVersions/1", ",acme/x,nothing")
    told = kinds(judged(small))
    assert {name: one.cause for name, one in told.items()} == {
        "namespaces.csv (alias)": "registry namespaces.csv names an alias for 3 namespaces, which may point to another "
        "key tomorrow: the first is line 3",
        "namespaces.csv (version)": "registry namespaces.csv names a key version for 1 namespace, where new data moves "
        "on to the next one: the first is line 6",
    }


def test_a_key_that_does_not_exist_is_told_of_the_registry_that_names_it(small: Small) -> None:
    missing = f"{RING}/cryptoKeys/typo"
    with_registry(small, f",acme/old,{GOOGLE_KEY}", f",acme/new,{missing}")
    (one,) = kinds(judged(small)).values()
    assert (one.subject.id, one.cause.endswith(f"does not know: {missing}")) == ("namespaces.csv (missing_key)", True)
    small.cloud.traffic.fail("typo", status=503)
    judgement = judged(small, sweep=False)
    assert len(kinds(judgement)) == 1, "that nobody answers is no key"
    small.cloud.traffic.heal()
    small.cloud.store.add_key(missing)
    assert kinds(judged(small, sweep=False)) == {}


def test_of_a_registry_that_was_never_read_nothing_is_known(small: Small) -> None:
    small.config.write_text(small.config.read_text() + REGISTRY)
    assert verdicts("registry-mismatch", judged(small)) == {Verdict.UNKNOWN: 4}
    with_registry(small, ",acme/old,")
    assert verdicts("registry-mismatch", judged(small)) == {Verdict.PASSED: 3, Verdict.NOT_APPLICABLE: 1}


def test_a_dispute_is_not_over_because_what_was_said_is_lost(small: Small) -> None:
    with_registry(small, f",acme/old,{GOOGLE_KEY}", f",acme/old,{OTHER_KEY}")
    assert len(kinds(judged(small))) == 1
    (small.config.parent / "namespaces.csv").unlink()
    assert len(kinds(judged(small, sweep=False))) == 1, "what it said last counts"
    for kept in small.config.parent.glob("state/registry/*/registry.json"):
        kept.unlink()
    judgement = judged(small, sweep=False)
    assert len(kinds(judgement)) == 1
    assert verdicts("registry-mismatch", judgement) == {Verdict.UNKNOWN: 4}


def test_what_a_registry_says_reaches_no_terminal_as_it_is(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    with_registry(small, f",acme/\x1b[31m,{GOOGLE_KEY}", f",acme/\x1b[31m,{OTHER_KEY}")
    (one,) = kinds(judged(small)).values()
    assert cli._run([*small.argv("explain"), one.id]) == 0  # noqa: SLF001 - as a user would
    out = capsys.readouterr().out
    assert "say different things of 1 namespace" in out
    assert "\x1b" not in out
