"""What findings come to while nobody knows whether two names are of one Google key: the other one was never read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.findings import Finding, Judgement, Severity, Status, Subject, SubjectKind
from auditor.model import GcpKey, KeyName
from auditor.ownership.calling import spoken_of_besides
from auditor.ownership.spelling import EACH_ITS_OWN, NamesOfKeys, spelling_of
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW
from tests.keys_only import FILE, OTHER_KEY, KeysOnly, a_cloud_of_keys
from tests.ownership.test_registry import judged, said
from tests.small import Small, a_small_cloud

ID = KeyName(GOOGLE_KEY)
NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))
ZETAS_NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/777"))
TABLE = f'[[key]]\nname = "{ID}"\n'


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeysOnly]:
    """A registry names the key by its id, and what was written under version 1 cannot be read."""
    with a_cloud_of_keys(tmp_path, FILE) as running:
        running.set_state(1, "DISABLED")
        running.say(f"search,{ID},acme")
        yield running


def lost(judgement: Judgement) -> Finding:
    (one,) = (each for each in judgement.findings if each.rule.startswith("data-"))
    return one


def unread(keys: KeysOnly, name: KeyName) -> None:
    keys.cloud.store.deny("cloudkms.cryptoKeys.get", name.text)


def rules_open(judgement: Judgement) -> set[tuple[str, Severity, str]]:
    return {
        (one.rule, one.severity, one.id)
        for one in judgement.findings
        if one.status is Status.OPEN and one.rule in {"key-public", "primary-unusable"}
    }


@pytest.mark.parametrize("table", ["", TABLE], ids=["", "the config names it as before"])
def test_a_finding_stays_open_while_its_data_may_have_only_another_name(keys: KeysOnly, table: str) -> None:
    keys.config.write_text(keys.config.read_text() + table)
    first = lost(keys.polled())
    unread(keys, NUMBER)
    keys.say(f"search,{NUMBER},acme")
    for _ in range(2):
        judgement = keys.polled()
        stays = lost(judgement)
        assert (stays.id, stays.status, stays.severity) == (first.id, Status.OPEN, first.severity)
        assert stays.first_seen == first.first_seen
        assert [one.what for one in judgement.gaps if one.effect.startswith("its state is not known")] == [NUMBER.text]
    keys.cloud.store.allow("cloudkms.cryptoKeys.get", NUMBER.text)
    goes_on = lost(keys.polled())
    assert (goes_on.id, goes_on.status, goes_on.first_seen) == (first.id, Status.OPEN, first.first_seen)


def test_a_finding_ends_when_the_other_name_is_proven_to_be_of_another_key(keys: KeysOnly) -> None:
    first = lost(keys.polled())
    store = keys.cloud.store
    store.add_project("zeta", 777)
    store.add_key(GOOGLE_KEY.replace("projects/acme", "projects/zeta"))
    unread(keys, ZETAS_NUMBER)
    keys.say(f"search,{ZETAS_NUMBER},acme")
    assert lost(keys.polled()).status is Status.OPEN
    store.allow("cloudkms.cryptoKeys.get", ZETAS_NUMBER.text)
    over = lost(keys.polled())
    assert (over.id, over.status) == (first.id, Status.RESOLVED)


def test_a_finding_ends_when_its_key_tells_that_nothing_bars_the_data_whichever_it_is(keys: KeysOnly) -> None:
    first = lost(keys.polled())
    unread(keys, NUMBER)
    keys.say(f"search,{NUMBER},acme")
    assert lost(keys.polled()).status is Status.OPEN
    keys.set_state(1, "DESTROYED")
    assert (lost(keys.polled()).id, lost(keys.polled()).status) == (first.id, Status.OPEN), "it has become worse"
    keys.set_state(1, "ENABLED")
    assert lost(keys.polled()).status is Status.RESOLVED


def test_the_keys_of_data_are_asked_by_whatever_stands_behind_them_a_finding_is_on(keys: KeysOnly) -> None:
    first = lost(keys.polled())
    behind = replace(first, subject=Subject(SubjectKind.EKM_CONNECTION, "projects/acme/locations/us-east1/ekm"))
    for one in (first, behind):
        assert spoken_of_besides({NUMBER}, [one], EACH_ITS_OWN) == {ID}
        assert spoken_of_besides({NUMBER}, [replace(one, status=Status.RESOLVED)], EACH_ITS_OWN) == set()


def test_a_finding_stays_open_while_neither_name_is_read(keys: KeysOnly) -> None:
    first = lost(keys.polled())
    keys.cloud.traffic.fail("cryptoKeys", status=503)
    keys.say(f"search,{NUMBER},acme")
    silent = keys.polled()
    assert (lost(silent).id, lost(silent).status) == (first.id, Status.OPEN)


def test_a_finding_ends_when_its_row_goes_for_good(keys: KeysOnly) -> None:
    keys.polled()
    keys.say(f"search,{OTHER_KEY},acme")
    assert lost(keys.polled()).status is Status.RESOLVED


def test_findings_on_a_key_that_registries_alone_name_keep_their_ids(tmp_path: Path) -> None:
    coming = KeyName(f"{NUMBER}-2")
    with a_small_cloud(tmp_path) as small:
        store = small.cloud.store
        small.config.write_text(f'{small.config.read_text()}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n')
        store.add_key(OTHER_KEY, versions=2)
        store.grant(OTHER_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
        key = store.key(OTHER_KEY)
        assert key is not None
        key.versions[2].state = "DISABLED"
        told = []
        for name, is_read in ((OTHER_KEY, True), (coming, False), (coming, True)):
            said(small, f"acme/old,{ID},acme", f"acme/new,{ID},acme", f"acme/coming,{name},acme")
            (store.allow if is_read else store.deny)("cloudkms.cryptoKeys.get", coming.text)
            told.append(rules_open(judged(small, sweep=name == OTHER_KEY)))
        assert {rule for rule, _, _ in told[0]} == {"key-public", "primary-unusable"}
        assert told[0] == told[1] == told[2]


def test_a_finding_on_a_whole_key_is_as_bad_as_it_was_while_its_data_may_be_called_otherwise(keys: KeysOnly) -> None:
    keys.cloud.store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    first = rules_open(keys.polled())
    assert {severity for _, severity, _ in first} == {Severity.HIGH}
    unread(keys, NUMBER)
    keys.say(f"search,{NUMBER},acme")
    assert rules_open(keys.polled()) == first
    keys.cloud.store.revoke(GOOGLE_KEY, "allUsers")
    assert rules_open(keys.polled()) == set(), "the key tells that it is over"


def test_a_project_has_one_number_so_that_another_one_is_no_name_of_its_key() -> None:
    spelling = spelling_of(GcpKey(name, (), created=NOW) for name in (ID, NUMBER))
    names = NamesOfKeys((ID, NUMBER, ZETAS_NUMBER), spelling)
    assert (names.undecided(ID), names.undecided(ZETAS_NUMBER)) == ((), ())
    assert NamesOfKeys((ID, ZETAS_NUMBER), spelling).undecided(ZETAS_NUMBER) == (ID,), "where that is not known"


def test_objects_that_were_rewritten_under_what_may_be_another_name_end_nothing(tmp_path: Path) -> None:
    with a_small_cloud(tmp_path) as small:
        small.set_state(1, "DISABLED")
        first = lost(judged(small))
        small.cloud.store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
        renamed(small, NUMBER, 1)
        assert (lost(judged(small)).id, lost(judged(small)).status) == (first.id, Status.OPEN)
        renamed(small, NUMBER, 2)
        assert lost(judged(small)).status is Status.RESOLVED, "no other data can have been it"


def renamed(small: Small, name: KeyName, version: int) -> None:
    """What was under version 1 is under a version by another name."""
    for one in small.cloud.store.buckets["data"].objects:
        if one.name.startswith("acme/old"):
            one.key, one.version = name.text, version
