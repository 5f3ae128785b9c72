"""What an operator saw is put beside what the customer's own registry names: data under another key is found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor.findings import Confidence, Finding, Judgement, Severity, Status, Verdict
from auditor.model import Reason
from tests.bundles import BUNDLE, Customer, Operator, a_customer, an_operator
from tests.clouds import GOOGLE_KEY, RING

OWN_KEY = f"{RING}/cryptoKeys/second"
REGISTRY = '[[registry]]\nkind = "file"\npath = "own.csv"\nbucket = "gs://data"\n'


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        running.cloud.store.add_key(OWN_KEY)
        yield running


@pytest.fixture
def customer(operator: Operator) -> Customer:
    found = a_customer(operator)
    operator.hand_over(found)
    found.configure(BUNDLE + REGISTRY)
    return found


def says(customer: Customer, *lines: str) -> None:
    (customer.folder / "own.csv").write_text("\n".join(["namespace,key,tenant", *lines]) + "\n")


def owned(judgement: Judgement) -> dict[str, Finding]:
    rules = {"wrong-key", "foreign-tenant-key", "not-customer-managed", "mixed-keys", "orphan-objects"}
    return {one.rule: one for one in judgement.findings if one.rule in rules and one.status is Status.OPEN}


def test_data_under_another_key_than_the_customers_registry_names_is_wrong_key_by_the_operators_word(
    customer: Customer,
) -> None:
    says(customer, f"acme/search,{OWN_KEY},acme", f"acme/chat,{GOOGLE_KEY},acme")
    ((rule, one),) = owned(customer.polled()).items()
    assert (rule, one.subject.id, one.severity) == ("wrong-key", GOOGLE_KEY, Severity.HIGH)
    assert (one.extent.objects, one.extent.sample_namespaces) == (10, ("gs://data/acme/search",))
    assert one.confidence is Confidence.INFERRED, "nobody here has seen it"
    assert {each.call for each in one.evidence} == {"bundle"}


def test_it_ends_when_the_registry_says_what_the_operator_saw(customer: Customer) -> None:
    says(customer, f"acme/search,{OWN_KEY},acme", f"acme/chat,{GOOGLE_KEY},acme")
    assert set(owned(customer.polled())) == {"wrong-key"}
    says(customer, f"acme/search,{GOOGLE_KEY},acme", f"acme/chat,{GOOGLE_KEY},acme")
    assert not owned(customer.polled())


def test_data_of_another_tenant_by_the_customers_own_registry_is_foreign(customer: Customer) -> None:
    customer.configure(f'{BUNDLE}{REGISTRY}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme-eu"\n')
    says(customer, "acme/search,,acme-us", "acme/chat,,acme-eu")
    ((rule, one),) = owned(customer.polled()).items()
    assert (rule, one.subject.id, one.extent.objects) == ("foreign-tenant-key", GOOGLE_KEY, 10)
    assert one.extent.sample_namespaces == ("gs://data/acme/search",)


def test_what_the_operator_calls_a_tenant_makes_no_data_foreign(customer: Customer) -> None:
    customer.configure(f'{BUNDLE}{REGISTRY}[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "acme corporation"\n')
    says(customer, f"acme/search,{GOOGLE_KEY},", f"acme/chat,{GOOGLE_KEY},")
    assert not owned(customer.polled())


def test_a_registry_that_names_no_bucket_is_compared_with_nothing(customer: Customer) -> None:
    customer.configure(BUNDLE + REGISTRY.replace('bucket = "gs://data"\n', ""))
    says(customer, f"acme/search,{OWN_KEY},acme")
    judgement = customer.polled()
    assert not owned(judgement)
    (gap,) = (one for one in judgement.gaps if one.what == "registry own.csv")
    assert (gap.reason, "not the bucket that they are in" in gap.effect) == (Reason.UNSUPPORTED, True)
    for line in (f"gs://data,acme/search,{GOOGLE_KEY},acme", ",acme/search,,acme"):
        (customer.folder / "own.csv").write_text(f"bucket,namespace,key,tenant\n{line}\n")
        assert not [one for one in customer.polled().gaps if "the bucket that they are in" in one.effect]


def test_entries_that_part_make_no_key_wrong(customer: Customer) -> None:
    more = REGISTRY.replace("own.csv", "more.csv")
    customer.configure(BUNDLE + REGISTRY + more)
    says(customer, f"acme/search,{OWN_KEY},acme", f"acme/chat,{GOOGLE_KEY},acme")
    (customer.folder / "more.csv").write_text(f"namespace,key,tenant\nacme/search,{GOOGLE_KEY},acme\n")
    assert not owned(customer.polled())


NO_KEY = {
    "the provider's own": ({"key": None}, "provider"),
    "a key that its writer holds": ({"key": None, "customer_key_hash": "x" * 43 + "="}, "customer_supplied"),
}


@pytest.mark.parametrize(("how", "encryption"), NO_KEY.values(), ids=NO_KEY)
def test_data_under_no_customers_key_is_found_by_the_operators_word_and_nothing_passes_by_it(
    operator: Operator, how: dict[str, Any], encryption: str
) -> None:
    customer = a_customer(operator)
    customer.configure(BUNDLE + REGISTRY)
    says(customer, f"acme/search,{GOOGLE_KEY},acme", f"acme/chat,{GOOGLE_KEY},acme")
    for number in range(5):
        operator.cloud.store.put("data", f"acme/chat/plain-{number}", size=100, **how)
    operator.hand_over(customer)
    judgement = customer.polled()
    ((rule, one),) = owned(judgement).items()
    assert (rule, one.subject.id, one.severity) == ("not-customer-managed", "gs://data", Severity.HIGH)
    assert (one.extent.objects, one.extent.sample_namespaces) == (5, ("gs://data/acme/chat",))
    assert [(member[1], member[2]) for member in one.members] == [(encryption, None)]
    assert one.confidence is Confidence.INFERRED, "nobody here has seen it"
    assert {each.call for each in one.evidence} == {"bundle"}
    operator.remove("acme/chat")
    operator.hand_over(customer)
    judgement = customer.polled()
    assert not owned(judgement)
    tallies = {one.rule: one.counts for one in judgement.tallies}
    for rule in ("not-customer-managed", "mixed-keys", "orphan-objects", "bucket-default-mismatch"):
        assert tallies[rule] == {**dict.fromkeys(Verdict, 0), Verdict.NOT_APPLICABLE: 1}, rule


def test_what_the_operator_saw_under_no_key_ends_by_no_word_that_lacks_some_of_it(operator: Operator) -> None:
    customer = a_customer(operator)
    customer.configure(BUNDLE + REGISTRY)
    says(customer, f"acme/search,{GOOGLE_KEY},acme", f"acme/plain,{GOOGLE_KEY},acme")
    operator.cloud.store.put("data", "acme/plain/1", size=100, key=None)
    operator.hand_over(customer)
    assert set(owned(customer.polled())) == {"not-customer-managed"}
    # An entry that cannot be used may speak of any namespace.
    says(customer, f"acme/search,{GOOGLE_KEY},acme", "acme/plain,alias/main,acme")
    assert set(owned(customer.polled())) == {"not-customer-managed"}
    says(customer, f"acme/search,{GOOGLE_KEY},acme", "acme/plain,,acme")
    assert set(owned(customer.polled())) == {"not-customer-managed"}, "a blank is no word that it is to be under none"
    says(customer, f"acme/search,{GOOGLE_KEY},acme")
    assert set(owned(customer.polled())) == {"not-customer-managed"}, "it may have been cut off"
    says(customer, f"acme/other,{GOOGLE_KEY},acme", f"acme/search,{GOOGLE_KEY},acme")
    assert not owned(customer.polled())


def test_what_is_under_no_key_is_found_only_where_a_registry_names_one_for_it(operator: Operator) -> None:
    customer = a_customer(operator)
    customer.configure(BUNDLE + REGISTRY)
    operator.cloud.store.put("data", "acme/plain/1", size=100, key=None)
    operator.hand_over(customer)
    for said in (f"acme/search,{GOOGLE_KEY},acme", "acme/plain,,acme", f"other/plain,{GOOGLE_KEY},acme"):
        says(customer, said)
        assert not owned(customer.polled()), said


def test_a_namespace_of_no_bucket_counts_as_the_one_of_its_name_and_key_that_the_operator_saw(
    customer: Customer,
) -> None:
    customer.configure(BUNDLE + REGISTRY.replace('bucket = "gs://data"\n', ""))
    (customer.folder / "own.csv").write_text(
        "namespace,key,tenant,team\n"
        f"acme/search,{GOOGLE_KEY},acme,search\n"
        f"acme/chat,{OWN_KEY},acme,chat\n"
        f"acme/new,{OWN_KEY},acme,new\n"
    )
    customer.set_state(1, "DISABLED")
    judgement = customer.polled()
    held = {(one.holding.bucket, one.holding.key_version): one.holding for one in judgement.assessed}
    assert {name: (one.objects, one.size, one.namespaces) for name, one in held.items()} == {
        ("gs://data", "1"): (10, 1000, 1),
        ("gs://data", "2"): (10, 1000, 1),
        ("registry own.csv", None): (None, None, 2),
    }
    (one,) = (one for one in judgement.findings if one.rule == "data-unreadable")
    assert (one.extent.objects, one.extent.size, one.extent.teams) == (10, 1000, ("search",))
    assert not owned(judgement), "that both are one is a guess, and proves no other key wrong"
    (gap,) = (one for one in judgement.gaps if one.what == "registry own.csv")
    assert "1 namespace counts as what an operator's bundle tells of by the same name and key" in gap.effect
    assert "of 1 namespace a bundle tells by that name, and under another key" in gap.effect
