"""What the rules about ownership say, case by case, and what they are asked about."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from auditor.engine import Facts, judge
from auditor.findings import BucketCoverage, Confidence, Member, Outcome, Readability, SubjectKind, Verdict, member_of
from auditor.model import (
    BucketFacts,
    Cloud,
    Encryption,
    Holding,
    KeyGone,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyReading,
    NewObjects,
    Reason,
)
from auditor.ownership.owned import HeardRegistry, OwnedBucket, Place, PlacedKey
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Declared, Disputed, Flawed, Mismatch, Portion, Registered, Registry, Word
from auditor.ownership.spelling import Spelling
from auditor.policy import Policy
from auditor.ports import Portions
from auditor.readability import KeyView
from auditor.rule import Context, Rule
from auditor.rules import (
    bucket_default_mismatch,
    key_location_mismatch,
    mixed_keys,
    not_customer_managed,
    registry_mismatch,
    wrong_key,
)
from tests.core_builders import (
    AWS_KEY,
    GCP_KEY,
    NOW,
    FixedHoldings,
    a_gcp_key,
    a_holding,
    an_aws_key,
    denied,
    remembered,
)

V = Verdict
AT = Context(NOW, Policy(), {})
GOOGLE = BucketFacts("gs://data", Cloud.GCP, "us-east1")
AMAZON = BucketFacts("s3://data", Cloud.AWS, "us-east-1")
OTHER = KeyName(f"{GCP_KEY}-2")
PLAIN: Member = ("gs://data", Encryption.PROVIDER, None, None)
HELD: Member = ("gs://data", Encryption.CMEK, GCP_KEY.text, "1")
ELSE: Member = ("gs://data", Encryption.CMEK, OTHER.text, "1")


def told(rule: Rule, subject: object) -> tuple[Verdict, str]:
    outcome: Outcome = rule.check(subject, AT)
    return outcome.verdict, outcome.text


# key-location-mismatch


def a_place(url: str, location: str | None, *members: Member) -> Place:
    return Place(BucketFacts(url, Cloud.GCP, location), members)


PLACED: dict[str, tuple[PlacedKey, V, str]] = {
    "where its buckets are": (
        PlacedKey(GCP_KEY, (a_place("gs://a", "US-EAST1"), a_place("gs://b", "us-east1")), told=True),
        V.PASSED,
        "its location us-east1 serves all buckets that it is for",
    ),
    "where one of them is not": (
        PlacedKey(GCP_KEY, (a_place("gs://a", "us-east1"), a_place("gs://b", "EU")), told=False),
        V.FAILED,
        f"key {GCP_KEY} is in us-east1, which does not serve gs://b (which needs a key in europe)",
    ),
    "where none of many is": (
        PlacedKey(GCP_KEY, tuple(a_place(f"gs://{one}", "EU") for one in "abcde"), told=True),
        V.FAILED,
        "gs://c (which needs a key in europe) and 2 more",
    ),
    "nowhere for any bucket": (
        PlacedKey(KeyName(GCP_KEY.text.replace("us-east1", "global")), (a_place("gs://a", None),), told=True),
        V.FAILED,
        "is in global, which does not serve gs://a (whatever it needs, it is no key there)",
    ),
    "for a bucket whose place is not known, beside one that is wrong": (
        PlacedKey(GCP_KEY, (a_place("gs://a", None), a_place("gs://b", "EU")), told=True),
        V.FAILED,
        "gs://b",
    ),
    "for a bucket whose place is not known": (
        PlacedKey(GCP_KEY, (a_place("gs://a", "us-east1"), a_place("gs://b", None)), told=True),
        V.UNKNOWN,
        "which key location serves gs://b is not known",
    ),
    "where its buckets are, and a registry was never read": (
        PlacedKey(GCP_KEY, (a_place("gs://a", "us-east1"),), told=False),
        V.UNKNOWN,
        "never read",
    ),
    "for no bucket, and a registry was never read": (PlacedKey(GCP_KEY, (), told=False), V.UNKNOWN, "never read"),
    "for no bucket": (PlacedKey(GCP_KEY, (), told=True), V.NOT_APPLICABLE, "no bucket is known"),
}


@pytest.mark.parametrize(("key", "verdict", "text"), PLACED.values(), ids=PLACED)
def test_a_key_is_to_be_where_its_buckets_are(key: PlacedKey, verdict: V, text: str) -> None:
    found = told(key_location_mismatch.RULE, key)
    assert found[0] is verdict
    assert text in found[1]


def test_of_three_wrong_buckets_all_are_named() -> None:
    _, text = told(
        key_location_mismatch.RULE, PlacedKey(GCP_KEY, tuple(a_place(one, "EU") for one in "abc"), told=True)
    )
    assert text.endswith("c (which needs a key in europe)")


def test_only_data_in_the_wrong_place_is_meant() -> None:
    there: Member = ("gs://b", *HELD[1:])
    key = PlacedKey(GCP_KEY, (a_place("gs://data", "us-east1", HELD), a_place("gs://b", "EU", there)), told=True)
    assert key.members == (there, HELD)
    assert key_location_mismatch.RULE.check(key, AT).members == (there,)


# bucket-default-mismatch


def a_bucket(facts: BucketFacts | None = GOOGLE, **more: Any) -> OwnedBucket:
    said: dict[str, Any] = {
        "members": (),
        "portions": {},
        "known": True,
        "sound": True,
        "swept": True,
        "providers": (),
        **more,
    }
    return OwnedBucket(bucket="gs://data", facts=facts, **said)


def of(new: NewObjects | None, *declared: KeyName, url: str = "gs://data", **more: Any) -> OwnedBucket:
    facts = replace(AMAZON if url.startswith("s3") else GOOGLE, new_objects=new)
    return a_bucket(facts, declared=declared, **more)


E = Encryption
AWS_ID = AWS_KEY.text.rpartition("/")[2]
MRK = KeyName(AWS_KEY.text.replace("key/", "key/mrk-"))
S3 = "s3://data"
BY_NUMBER = KeyName(GCP_KEY.text.replace("acme-keys", "123"))
SPELT = Spelling(dict.fromkeys((GCP_KEY, BY_NUMBER), "one"))
ALIKE = Spelling({GCP_KEY: "one", BY_NUMBER: "another"})
LETS = "lets new objects arrive whose writer names no key, "
DEFAULTS: dict[str, tuple[OwnedBucket, V, str]] = {
    "nobody knows whether keys are declared": (
        a_bucket(declared=None),
        V.UNKNOWN,
        "whether keys are declared for its namespaces is not known",
    ),
    "nobody declares a key": (of(NewObjects(E.PROVIDER)), V.NOT_APPLICABLE, "nobody declares a key"),
    "it never told anything": (a_bucket(None, declared=(GCP_KEY,)), V.UNKNOWN, "names no key is not known"),
    "it did not tell": (of(None, GCP_KEY), V.UNKNOWN, "names no key is not known"),
    "it told something that is not known here": (of(NewObjects(E.UNKNOWN), AWS_KEY, url=S3), V.UNKNOWN, "is not known"),
    "Google's own": (of(NewObjects(E.PROVIDER), GCP_KEY), V.FAILED, f"{LETS}under the provider's own encryption"),
    "S3's own, and no key of the writer's": (
        of(NewObjects(E.PROVIDER, refused=(E.CUSTOMER_SUPPLIED,)), AWS_KEY, url=S3),
        V.FAILED,
        f"{LETS}under the provider's own encryption; whether a policy refuses them is not read",
    ),
    "a key of Amazon's": (
        of(NewObjects(E.PROVIDER_KMS), AWS_KEY, url=S3),
        V.FAILED,
        f"{LETS}under a key that the provider manages",
    ),
    "nothing under Google's own": (
        of(NewObjects(E.PROVIDER, refused=(E.PROVIDER,)), GCP_KEY, OTHER, known=None),
        V.PASSED,
        "refuses new objects that are under no customer's key",
    ),
    "whatever it says of Google's own": (
        of(NewObjects(E.PROVIDER, unclear=(E.PROVIDER,)), GCP_KEY),
        V.UNKNOWN,
        "which kinds of encryption it refuses is not known",
    ),
    "whatever it says of customers' keys": (of(NewObjects(E.PROVIDER, unclear=(E.CMEK,)), GCP_KEY), V.UNKNOWN, "kinds"),
    "whatever it says of the writer's keys": (
        of(NewObjects(E.PROVIDER, unclear=(E.CUSTOMER_SUPPLIED,)), GCP_KEY),
        V.FAILED,
        LETS,
    ),
    "no customers' keys at all": (
        of(NewObjects(E.CMEK, GCP_KEY.text, refused=(E.CMEK,)), GCP_KEY),
        V.FAILED,
        "gs://data refuses new objects under customers' keys",
    ),
    "the declared key": (of(NewObjects(E.CMEK, GCP_KEY.text), GCP_KEY), V.PASSED, "the declared key is its default"),
    "the declared key, of a project by its number": (
        of(NewObjects(E.CMEK, BY_NUMBER.text), GCP_KEY, spelling=SPELT),
        V.PASSED,
        "the declared key",
    ),
    "the declared key, which entries call by two names": (
        of(NewObjects(E.CMEK, GCP_KEY.text), BY_NUMBER, GCP_KEY, spelling=SPELT),
        V.PASSED,
        "the declared key",
    ),
    "what may be the declared key, or is called alike": (
        of(NewObjects(E.CMEK, BY_NUMBER.text), GCP_KEY),
        V.UNKNOWN,
        f"whether its default key {BY_NUMBER} is the declared one by the other name of its project nobody says",
    ),
    "a key that is called as the declared one is": (
        of(NewObjects(E.CMEK, BY_NUMBER.text), GCP_KEY, spelling=ALIKE),
        V.FAILED,
        f"{LETS}under a default key that nobody declares for it",
    ),
    "what may be one of two declared keys": (
        of(NewObjects(E.CMEK, BY_NUMBER.text), GCP_KEY, OTHER),
        V.FAILED,
        f"{LETS}under a default key that is declared for at most some of its namespaces, of 2 keys",
    ),
    "the declared key, while a registry was never read": (
        of(NewObjects(E.CMEK, GCP_KEY.text), GCP_KEY, known=None),
        V.UNKNOWN,
        "a registry that may declare more keys",
    ),
    "another key": (
        of(NewObjects(E.CMEK, OTHER.text), GCP_KEY),
        V.FAILED,
        f"{LETS}under a default key that nobody declares for it",
    ),
    "one of two declared keys": (
        of(NewObjects(E.CMEK, OTHER.text), GCP_KEY, OTHER),
        V.FAILED,
        f"{LETS}under a default key that is declared for some of its namespaces, of 2 keys",
    ),
    "the declared key by its id": (of(NewObjects(E.CMEK, AWS_ID), AWS_KEY, url=S3), V.PASSED, "the declared key"),
    "the declared key by its id in words": (of(NewObjects(E.CMEK, f"key/{AWS_ID}"), AWS_KEY, url=S3), V.PASSED, ""),
    "another key by its id": (of(NewObjects(E.CMEK, AWS_ID[::-1]), AWS_KEY, url=S3), V.FAILED, "nobody declares"),
    "the last part of a name on Google Cloud": (of(NewObjects(E.CMEK, "main"), GCP_KEY), V.FAILED, "nobody declares"),
    "a replica of the declared key": (
        of(NewObjects(E.CMEK, MRK.text.replace("us-east-1", "eu-west-1")), MRK, url=S3),
        V.PASSED,
        "the declared key",
    ),
    "an alias": (of(NewObjects(E.CMEK, "alias/main"), AWS_KEY, url=S3), V.UNKNOWN, "set by an alias"),
    "an alias in full": (
        of(NewObjects(E.CMEK, "arn:aws:kms:us-east-1:111122223333:alias/main"), AWS_KEY, url=S3),
        V.UNKNOWN,
        "set by an alias",
    ),
    "a key without a name": (of(NewObjects(E.CMEK), GCP_KEY), V.FAILED, "nobody declares"),
}


@pytest.mark.parametrize(("bucket", "verdict", "text"), DEFAULTS.values(), ids=DEFAULTS)
def test_a_bucket_lets_no_new_object_arrive_without_its_key(bucket: OwnedBucket, verdict: V, text: str) -> None:
    found = told(bucket_default_mismatch.RULE, bucket)
    assert found[0] is verdict
    assert text in found[1]


def test_what_a_policy_may_refuse_besides_is_no_proof_and_concerns_no_data_that_is_there() -> None:
    lets = bucket_default_mismatch.RULE.check(of(NewObjects(E.PROVIDER), GCP_KEY), AT)
    refuses = bucket_default_mismatch.RULE.check(of(NewObjects(E.PROVIDER, refused=(E.CMEK,)), GCP_KEY), AT)
    assert (lets.confidence, refuses.confidence) == (Confidence.INFERRED, Confidence.PROVEN)
    assert lets.members == refuses.members == ()


# mixed-keys and what it has in common with not-customer-managed

MIXED: Mapping[Member, Portions] = {HELD: (Portion.MIXED_KEYS,), ELSE: (Portion.MIXED_KEYS, Portion.UNREGISTERED)}
HALF: Mapping[Member, Portions] = {HELD: (Portion.MIXED_KEYS,), PLAIN: (Portion.MIXED_KEYS,)}
EVERY = (HELD, ELSE, PLAIN)
MANY = tuple(("gs://data", Encryption.CMEK, f"{GCP_KEY}-{number}", "1") for number in range(5))
MIXES: dict[str, tuple[OwnedBucket, V, str]] = {
    "never swept": (a_bucket(members=EVERY, portions=MIXED, swept=False), V.UNKNOWN, "no whole sweep"),
    "a registry was never read": (a_bucket(members=EVERY, portions=MIXED, known=None), V.UNKNOWN, "never read"),
    "nothing was put beside each other": (
        a_bucket(members=EVERY, known=False, compared=False),
        V.UNKNOWN,
        "could not be put beside each other",
    ),
    "under one key each": (a_bucket(members=EVERY), V.PASSED, "each namespace is under one key"),
    "under one key each, and a registry that says so": (a_bucket(members=EVERY, known=False), V.PASSED, ""),
    "under one key each, as far as it is known": (
        a_bucket(members=EVERY, unresolved=True),
        V.UNKNOWN,
        "the encryption of some of its data is not known",
    ),
    "under two names, which may be of one key": (
        a_bucket(members=EVERY, portions={HELD: (Portion.MIXED_NAMES,)}),
        V.UNKNOWN,
        "whether names of keys that differ in their project alone are of one key nobody says",
    ),
    "under two keys": (
        a_bucket(members=EVERY, portions=MIXED, known=False, unresolved=True),
        V.FAILED,
        f"is under several keys, and no registry says which is right: {GCP_KEY}, {OTHER}",
    ),
    "under a key and under none": (
        a_bucket(members=EVERY, portions=HALF),
        V.FAILED,
        f": {GCP_KEY}, and no customer's key",
    ),
    "under a key of the provider's and under none": (
        a_bucket(members=EVERY, portions=HALF, providers=(HELD,)),
        V.PASSED,
        "each namespace is under one key",
    ),
    "under five keys": (
        a_bucket(members=MANY, portions=dict.fromkeys(MANY, (Portion.MIXED_KEYS,))),
        V.FAILED,
        f"{GCP_KEY}-2 and 2 more",
    ),
}


@pytest.mark.parametrize(("bucket", "verdict", "text"), MIXES.values(), ids=MIXES)
def test_the_data_of_a_namespace_is_to_be_under_one_key(bucket: OwnedBucket, verdict: V, text: str) -> None:
    found = told(mixed_keys.RULE, bucket)
    assert found[0] is verdict
    assert text in found[1]


def test_of_three_keys_all_are_named() -> None:
    portions = dict.fromkeys(MANY[:3], (Portion.MIXED_KEYS,))
    assert told(mixed_keys.RULE, a_bucket(members=MANY, portions=portions))[1].endswith(f"{GCP_KEY}-2")


def test_only_data_of_mixed_namespaces_is_meant() -> None:
    outcome = mixed_keys.RULE.check(a_bucket(members=EVERY, portions=MIXED, providers=(PLAIN,)), AT)
    assert (outcome.members, outcome.portions) == ((HELD, ELSE), (Portion.MIXED_KEYS,))


def test_data_whose_encryption_is_not_known_is_not_taken_for_a_customers() -> None:
    for unresolved, known, expected in (
        (True, True, V.UNKNOWN),
        (False, True, V.PASSED),
        (True, False, V.NOT_APPLICABLE),
    ):
        bucket = a_bucket(members=EVERY, unresolved=unresolved, known=known)
        assert not_customer_managed.RULE.check(bucket, AT).verdict is expected


# registry-mismatch


def heard(mismatch: Mismatch = Mismatch.ALIAS, count: int = 0, **more: Any) -> HeardRegistry:
    facts: dict[str, Any] = {"read": True, "applies": True, **more}
    return HeardRegistry("registry a.csv", mismatch, count=count, **facts)


HEARD: dict[str, tuple[HeardRegistry, V, str]] = {
    "nothing is wrong": (heard(), V.PASSED, "nothing in it is wrong so"),
    "it says nothing": (heard(applies=False), V.NOT_APPLICABLE, "it says nothing that could be wrong so"),
    "it was never read": (heard(read=False, applies=False), V.UNKNOWN, "it was never read"),
    "nobody knows whether its keys exist": (
        heard(Mismatch.MISSING_KEY, untold=2),
        V.UNKNOWN,
        "of 2 keys that it names nobody tells whether they exist",
    ),
    "keys are gone, and of others nobody knows": (
        heard(Mismatch.MISSING_KEY, 2, untold=2, samples=("k1", "k2")),
        V.FAILED,
        "registry a.csv names 2 keys that the service does not know: k1; k2",
    ),
    "versions": (heard(Mismatch.VERSION, 3, samples=("x",)), V.FAILED, "names a key version for 3 namespaces"),
    "aliases": (heard(Mismatch.ALIAS, 1, samples=("x",)), V.FAILED, "names an alias for 1 namespace, which may point"),
    "a dispute, though another was never read": (
        heard(Mismatch.DISPUTE, 4, samples=("x",), read=False),
        V.FAILED,
        "say different things of 4 namespaces, which therefore neither pass nor end: x",
    ),
}


@pytest.mark.parametrize(("registry", "verdict", "text"), HEARD.values(), ids=HEARD)
def test_a_registry_is_to_agree_with_the_clouds_and_with_others(registry: HeardRegistry, verdict: V, text: str) -> None:
    found = told(registry_mismatch.RULE, registry)
    assert found[0] is verdict
    assert text in found[1]


def test_a_dispute_is_about_the_data_that_nobody_judges() -> None:
    for members, portions in (((HELD,), (Portion.DISPUTED,)), ((), ())):
        outcome = registry_mismatch.RULE.check(heard(Mismatch.DISPUTE, 1, members=members), AT)
        assert (outcome.members, outcome.portions) == (members, portions)


def test_each_way_in_which_a_registry_is_wrong_is_a_subject_of_its_own() -> None:
    assert [str(heard(one).subject) for one in Mismatch] == [
        "registry:a.csv (dispute)",
        "registry:a.csv (missing_key)",
        "registry:a.csv (version)",
        "registry:a.csv (alias)",
    ]


# What they are asked about


def a_coverage(bucket: str = "gs://data", *, complete: bool = True) -> BucketCoverage:
    return BucketCoverage(bucket, complete, 10, 10, 0, 0, 0, NOW, NOW, NOW)


def asked(
    rule: Rule,
    *holdings: Holding,
    said: Sayings = Sayings(),  # noqa: B008 - a value
    keys: Mapping[KeyName, tuple[KeyReading | None, KeyMemory | None]] | None = None,
    portions: Mapping[Member, Portions] | None = None,
    buckets: tuple[BucketCoverage, ...] = (a_coverage(),),
) -> list[Any]:
    """All subjects of a rule."""
    seen: list[Any] = []

    def check(subject: object, _at: Context) -> Outcome:
        seen.append(subject)
        return Outcome(V.PASSED, "")

    views = {name: KeyView(name, *one) for name, one in (keys or {}).items()}
    facts = Facts(FixedHoldings(*holdings, portions=portions), views, {}, buckets, Policy(), NOW, said=said)
    judge(facts, [replace(rule, check=check)])
    return seen


def a_registry(name: str = "registry a.csv", namespaces: int | None = 1, **more: Any) -> Registry:
    facts: dict[str, Any] = {"buckets": ("gs://data",), "read_at": NOW, **more}
    return Registry(name, namespaces=namespaces, **facts)


def known(*registries: Registry, digest: str = "d", conflicts: int = 0) -> Registered:
    return Registered(digest, registries, conflicts)


IN_EU = KeyName(GCP_KEY.text.replace("us-east1", "europe"))
HERE = {GCP_KEY: (a_gcp_key(), None)}


def test_a_key_is_for_the_buckets_of_its_data_of_registries_and_of_defaults() -> None:
    there = a_holding(GCP_KEY, "1", bucket="gs://more")
    said = Sayings(
        registered=known(a_registry()),
        declared=Declared({"gs://data": (GCP_KEY.text, IN_EU.text), "gs://gone": (OTHER.text,)}),
        buckets={"gs://data": replace(GOOGLE, default_key=AWS_KEY.text), "gs://more": replace(GOOGLE, url="gs://more")},
        spoken_of=frozenset({OTHER}),
    )
    buckets = (a_coverage(), a_coverage("gs://more"))
    found = asked(key_location_mismatch.RULE, there, said=said, keys=HERE, buckets=buckets)
    assert {one.key: [place.facts.url for place in one.places] for one in found} == {
        AWS_KEY: ["gs://data"],
        GCP_KEY: ["gs://data", "gs://more"],
        IN_EU: ["gs://data"],
        OTHER: [],
    }
    (mine,) = (one for one in found if one.key == GCP_KEY)
    assert (mine.places[0].facts.location, mine.places[0].members) == ("us-east1", ())
    assert (mine.places[1].members, mine.told) == ((member_of(there),), True)


def test_a_key_that_is_watched_and_for_no_bucket_is_asked_about() -> None:
    (one,) = asked(key_location_mismatch.RULE, keys=HERE)
    assert (one.key, one.places, one.told) == (GCP_KEY, (), True)


def test_of_a_bucket_that_never_told_where_it_is_nobody_knows_it() -> None:
    (one,) = asked(key_location_mismatch.RULE, a_holding(GCP_KEY, "1"), keys=HERE)
    assert one.places == (Place(BucketFacts("gs://data", Cloud.GCP), (member_of(a_holding(GCP_KEY, "1")),)),)


def test_a_key_is_not_known_to_be_for_no_other_bucket_while_a_registry_was_never_read() -> None:
    said = Sayings(registered=known(a_registry(), a_registry("registry b.csv", None)))
    (one,) = asked(key_location_mismatch.RULE, a_holding(GCP_KEY, "1"), keys=HERE, said=said)
    assert not one.told


REPLICA = KeyName(MRK.text.replace("us-east-1", "eu-west-1"))
UNLIKE = KeyName(REPLICA.text.replace("mrk-", "mrk-9"))
IN_WEST = KeyName(MRK.text.replace("us-east-1", "us-west-2"))
WEST = BucketFacts("s3://objects", Cloud.AWS, "us-west-2")
REPLICAS: dict[str, tuple[tuple[KeyName, ...], KeyName | None, KeyName | None, set[KeyName]]] = {
    "a registry names both": ((MRK, IN_WEST), None, None, {IN_WEST}),
    "a registry names one, and the default the other": ((MRK,), IN_WEST, None, {IN_WEST}),
    "a registry names one, and data is under the other": ((MRK,), None, IN_WEST, {IN_WEST}),
    "a registry names one that is elsewhere": ((MRK,), None, None, {MRK}),
    "the default is elsewhere, whatever serves the data": ((), MRK, IN_WEST, {MRK, IN_WEST}),
    "the default is elsewhere, and a registry names both": ((MRK, IN_WEST), MRK, IN_WEST, {MRK, IN_WEST}),
    "data names one that is elsewhere, beside one that is not": ((IN_WEST,), IN_WEST, MRK, {MRK, IN_WEST}),
}


@pytest.mark.parametrize(("declared", "default", "held", "expected"), REPLICAS.values(), ids=REPLICAS)
def test_a_bucket_that_a_replica_serves_needs_no_other_and_holds_no_data_under_one(
    declared: tuple[KeyName, ...], default: KeyName | None, held: KeyName | None, expected: set[KeyName]
) -> None:
    facts = replace(WEST, default_key=default.text if default is not None else None)
    said = Sayings(
        registered=known(a_registry()),
        declared=Declared({facts.url: tuple(one.text for one in declared)}),
        buckets={facts.url: facts},
    )
    holdings = [a_holding(held, bucket=facts.url)] if held is not None else []
    keys = dict.fromkeys((MRK, IN_WEST), (None, None))
    found = asked(key_location_mismatch.RULE, *holdings, said=said, keys=keys, buckets=(a_coverage(facts.url),))
    assert {one.key for one in found if one.places} == expected
    wrong = {one.key for one in found if key_location_mismatch.RULE.check(one, AT).verdict is V.FAILED}
    assert wrong == expected - {IN_WEST}


@pytest.mark.parametrize(
    ("held", "declared", "named"),
    [
        (MRK, REPLICA, []),
        (AWS_KEY, REPLICA, [REPLICA]),
        (MRK, UNLIKE, [UNLIKE]),
        (MRK, MRK, [MRK]),
    ],
    ids=["a replica in the bucket's Region holds its data", "another key holds it", "of another key", "itself"],
)
def test_a_replica_elsewhere_is_no_other_key_where_the_one_of_the_bucket_holds_its_data(
    held: KeyName, declared: KeyName, named: list[KeyName]
) -> None:
    holding = a_holding(held, bucket=S3)
    said = Sayings(registered=known(a_registry()), declared=Declared({S3: (declared.text,)}), buckets={S3: AMAZON})
    keys = {held: (an_aws_key(name=held), None)}
    found = asked(key_location_mismatch.RULE, holding, said=said, keys=keys, buckets=(a_coverage(S3),))
    assert [one.key for one in found if one.places] == sorted({held, *named})


def test_a_replica_that_holds_data_of_another_bucket_alone_serves_none() -> None:
    said = Sayings(registered=known(a_registry()), declared=Declared({S3: (REPLICA.text,)}), buckets={S3: AMAZON})
    keys = {MRK: (an_aws_key(name=MRK), None)}
    buckets = (a_coverage(S3), a_coverage("s3://more"))
    found = asked(key_location_mismatch.RULE, a_holding(MRK, bucket="s3://more"), said=said, keys=keys, buckets=buckets)
    assert [one.key for one in found if [place.facts.url for place in one.places] == [S3]] == [REPLICA]


UNREAD = known(a_registry(namespaces=None))
DECLARED: dict[str, tuple[Sayings, bool, bool, tuple[KeyName, ...] | None]] = {
    "by a registry": (
        Sayings(known(a_registry()), Declared({"gs://data": (OTHER.text,)}), {GCP_KEY: "acme"}),
        True,
        True,
        (OTHER,),
    ),
    "by a registry, though another was never read": (
        Sayings(UNREAD, Declared({"gs://data": (OTHER.text,)})),
        True,
        True,
        (OTHER,),
    ),
    "by whose key it is": (Sayings(tenants={GCP_KEY: "acme", OTHER: "zeta"}), True, True, (GCP_KEY,)),
    "by a registry that was never read": (Sayings(UNREAD), True, True, None),
    "by nobody": (Sayings(), True, True, ()),
    "by nobody, and nothing was swept": (Sayings(), False, True, ()),
    "by nobody for the keys that are seen": (Sayings(tenants={OTHER: "zeta"}), True, True, ()),
    "by somebody, and nothing was swept": (Sayings(tenants={OTHER: "zeta"}), False, True, None),
    "by somebody, and not all is known": (Sayings(tenants={OTHER: "zeta"}), True, False, None),
}


@pytest.mark.parametrize(("said", "swept", "resolved", "expected"), DECLARED.values(), ids=DECLARED)
def test_which_keys_are_declared_for_a_bucket_registries_say_first(
    said: Sayings,
    swept: bool,  # noqa: FBT001 - a case
    resolved: bool,  # noqa: FBT001 - a case
    expected: tuple[KeyName, ...] | None,
) -> None:
    holdings = [a_holding(GCP_KEY, "1")]
    if not resolved:
        holdings.append(a_holding(None, bucket="gs://data", encryption=Encryption.UNKNOWN))
    buckets = (a_coverage(complete=swept),)
    (one,) = asked(bucket_default_mismatch.RULE, *holdings, said=said, keys=HERE, buckets=buckets)
    assert (one.declared, one.unresolved) == (expected, not resolved)


def test_a_bucket_is_told_with_what_it_said_of_itself() -> None:
    said = Sayings(registered=known(), buckets={"gs://data": GOOGLE})
    (one,) = asked(mixed_keys.RULE, a_holding(GCP_KEY, "1"), said=said, keys=HERE)
    assert (one.facts, one.compared, one.swept, one.unresolved) == (GOOGLE, True, True, False)
    (one,) = asked(mixed_keys.RULE, a_holding(GCP_KEY, "1"), keys=HERE)
    assert (one.facts, one.compared) == (None, False)


def test_keys_of_the_provider_are_told_apart() -> None:
    holding = a_holding(AWS_KEY)
    keys = {AWS_KEY: (an_aws_key(manager=KeyManager.PROVIDER), None)}
    (one,) = asked(mixed_keys.RULE, holding, keys=keys, buckets=(a_coverage(S3),))
    assert one.providers == (member_of(holding),)
    (one,) = asked(wrong_key.RULE, holding, keys=keys)
    assert (one.provider_managed, told(wrong_key.RULE, one)[0]) == (True, V.NOT_APPLICABLE)
    (one,) = asked(wrong_key.RULE, holding, keys={AWS_KEY: (an_aws_key(), None)})
    assert not one.provider_managed


def test_without_a_registry_nothing_is_asked_of_one() -> None:
    assert asked(registry_mismatch.RULE, a_holding(GCP_KEY, "1"), keys=HERE) == []


def test_what_is_wrong_in_registries_is_told_of_each_and_of_all_together() -> None:
    flawed = (Flawed(Mismatch.ALIAS, 2, "line 3"),)
    words = (
        Word("registry a.csv", "k1", None),
        Word("registry b.csv", "k2", "acme"),
        Word("registry b.csv", None, None),
    )
    said = Sayings(
        registered=known(a_registry(flawed=flawed, unusable=2), a_registry("registry b.csv", 0), conflicts=7),
        declared=Declared({}, {"registry a.csv": (GCP_KEY.text,)}, (Disputed("gs://data", "acme/old", words),)),
    )
    portions: Mapping[Member, Portions] = {HELD: (Portion.DISPUTED,), ELSE: (Portion.WRONG_KEY,)}
    found = asked(registry_mismatch.RULE, a_holding(GCP_KEY, "1"), said=said, keys=HERE, portions=portions)
    told = {one.subject.id: one for one in found}
    assert all(one.subject.kind is SubjectKind.REGISTRY for one in found)
    assert {name: (one.read, one.applies, one.count) for name, one in told.items()} == {
        "a.csv (version)": (True, True, 0),
        "a.csv (alias)": (True, True, 2),
        "a.csv (missing_key)": (True, True, 0),
        "b.csv (version)": (True, False, 0),
        "b.csv (alias)": (True, False, 0),
        "b.csv (missing_key)": (True, False, 0),
        "registries (dispute)": (True, True, 7),
    }
    assert told["a.csv (alias)"].samples == ("the first is line 3",)
    dispute = told["registries (dispute)"]
    assert dispute.members == (HELD,)
    (sample,) = dispute.samples
    assert sample == (
        "gs://data/acme/old: registry a.csv says key k1, registry b.csv says key k2 and tenant acme, "
        "registry b.csv says nothing"
    )


def test_a_registry_of_which_nothing_can_be_used_is_not_empty() -> None:
    said = Sayings(
        registered=known(a_registry(namespaces=0, unusable=3, flawed=(Flawed(Mismatch.VERSION, 3, "line 2"),)))
    )
    told = {one.subject.id: one for one in asked(registry_mismatch.RULE, said=said)}
    assert (told["a.csv (alias)"].applies, told["a.csv (version)"].count) == (True, 3)
    assert not told["registries (dispute)"].applies


def test_what_a_registry_says_that_was_never_read_or_put_together_is_not_known() -> None:
    said = Sayings(registered=known(a_registry(), a_registry("registry b.csv", None)))
    told = {one.subject.id: one.read for one in asked(registry_mismatch.RULE, said=said)}
    assert told == {
        "a.csv (version)": True,
        "a.csv (alias)": True,
        "a.csv (missing_key)": True,
        "b.csv (version)": False,
        "b.csv (alias)": False,
        "b.csv (missing_key)": False,
        "registries (dispute)": False,
    }
    said = Sayings(registered=known(a_registry(), digest=""))
    told = {one.subject.id: one.read for one in asked(registry_mismatch.RULE, said=said)}
    assert [name for name, read in told.items() if not read] == ["a.csv (missing_key)", "registries (dispute)"]


NEVER = remembered(None)
EXISTS: dict[str, tuple[KeyReading | None, KeyMemory | None, bool | None]] = {
    "it answers": (a_gcp_key(), None, True),
    "it is proven to be gone": (KeyGone(GCP_KEY, proven=True), None, False),
    "it is not found for the first time": (KeyGone(GCP_KEY, proven=False), None, None),
    "it is not found for long": (
        KeyGone(GCP_KEY, proven=False),
        remembered(a_gcp_key(), missing_since=NOW - Policy().confirm_missing, missing_until=NOW),
        False,
    ),
    "the service never knew it": (denied(GCP_KEY, Reason.NOT_FOUND), None, False),
    "the service never knew it, nor was it asked before": (denied(GCP_KEY, Reason.NOT_FOUND), NEVER, False),
    "the service does not know it any more": (denied(GCP_KEY, Reason.NOT_FOUND), remembered(a_gcp_key()), None),
    "nobody may ask": (denied(GCP_KEY), None, None),
    "nobody asked": (None, None, None),
}


@pytest.mark.parametrize(("reading", "memory", "expected"), EXISTS.values(), ids=EXISTS)
def test_a_key_that_a_registry_names_exists_when_it_answers(
    reading: KeyReading | None,
    memory: KeyMemory | None,
    expected: bool | None,  # noqa: FBT001 - a case
) -> None:
    said = Sayings(
        registered=known(a_registry()), declared=Declared({}, {"registry a.csv": (GCP_KEY.text, OTHER.text)})
    )
    found = asked(registry_mismatch.RULE, said=said, keys={GCP_KEY: (reading, memory)})
    (one,) = (each for each in found if each.mismatch is Mismatch.MISSING_KEY)
    assert (one.count, one.untold) == (int(expected is False), int(expected is None))
    assert one.samples == ((GCP_KEY.text,) if expected is False else ())


def test_of_many_keys_that_are_gone_some_are_named() -> None:
    names = [KeyName(f"{GCP_KEY}-{number}") for number in range(5)]
    said = Sayings(
        registered=known(a_registry()), declared=Declared({}, {"registry a.csv": tuple(one.text for one in names)})
    )
    for count, more in ((5, ("2 more",)), (3, ())):
        keys = {name: (KeyGone(name, proven=True), None) for name in names[:count]}
        found = asked(registry_mismatch.RULE, said=said, keys=keys)
        (one,) = (each for each in found if each.mismatch is Mismatch.MISSING_KEY)
        assert (one.count, one.samples) == (count, (*(each.text for each in names[:3]), *more))


def test_what_cannot_be_told_of_keys_and_registries_stays_undecided() -> None:
    said = Sayings(registered=UNREAD)
    facts = Facts(
        FixedHoldings(), {}, {}, (a_coverage(),), Policy(), NOW, said=replace(said, spoken_of=frozenset({OTHER}))
    )
    rules = (key_location_mismatch.RULE, registry_mismatch.RULE, bucket_default_mismatch.RULE, mixed_keys.RULE)
    result = judge(facts, rules)
    assert result.findings == ()
    assert len(result.undecided) == 1 + 4 + 1 + 1
    assert Readability.UNKNOWN not in {one.assessment.readability for one in result.assessed}
