"""Which names are of one key, and what follows from that for what is told of each."""

from datetime import datetime

import pytest

from auditor.model import Cloud, GcpKey, KeyMemory, KeyName
from auditor.ownership.spelling import (
    EACH_ITS_OWN,
    NamesOfKeys,
    Spelling,
    by_id_first,
    spelling_by,
    spelling_of,
)
from tests.clouds import GOOGLE_KEY
from tests.core_builders import AWS_KEY, NOW, an_aws_key, days, remembered

ID = KeyName(GOOGLE_KEY)
NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))
ZETA = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/zeta"))
ZETAS_NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/777"))
MRK = KeyName(AWS_KEY.text.replace("key/", "key/mrk-"))
REPLICA = KeyName(MRK.text.replace("us-east-1", "eu-west-1"))


def made(**at: datetime | None) -> Spelling:
    """What is known where keys say when they were made."""
    names = {"id": ID, "number": NUMBER, "zeta": ZETA, "zetas_number": ZETAS_NUMBER}
    return spelling_of(GcpKey(names[name], (), created=moment) for name, moment in at.items())


LATER = NOW + days(1)
PAIRS: dict[str, tuple[Spelling, KeyName, KeyName, bool | None]] = {
    "nothing is known": (EACH_ITS_OWN, ID, NUMBER, None),
    "made at one moment": (made(id=NOW, number=NOW), ID, NUMBER, True),
    "made at two moments": (made(id=NOW, number=LATER), ID, NUMBER, False),
    "one does not say when": (made(id=NOW, number=None), ID, NUMBER, None),
    "one was never read": (made(id=NOW, zetas_number=NOW), ID, NUMBER, None),
    "beside those of a tenant who calls its key so": (
        made(id=NOW, number=NOW, zeta=LATER, zetas_number=LATER),
        NUMBER,
        ZETA,
        False,
    ),
    "two ids whose keys were made at one moment": (made(id=NOW, number=NOW, zeta=NOW), ID, NUMBER, None),
    "two ids": (made(id=NOW, number=NOW, zeta=NOW), ID, ZETA, False),
    "a name is of its own key": (EACH_ITS_OWN, ID, ID, True),
    "another key of the project": (EACH_ITS_OWN, ID, KeyName(f"{NUMBER}-2"), False),
    "replicas": (EACH_ITS_OWN, MRK, REPLICA, True),
    "keys of AWS": (EACH_ITS_OWN, AWS_KEY, KeyName(f"{AWS_KEY.text[:-1]}0"), False),
}


@pytest.mark.parametrize(("spelling", "one", "other", "expected"), PAIRS.values(), ids=PAIRS)
def test_two_names_are_of_one_key_where_it_was_made_at_the_same_moment(
    spelling: Spelling, one: KeyName, other: KeyName, *, expected: bool | None
) -> None:
    assert (spelling.is_one(one, other), spelling.is_one(other, one)) == (expected, expected)


def test_what_is_told_of_one_name_is_told_of_all() -> None:
    spelling = made(id=NOW, number=NOW)
    assert spelling.spread([(NUMBER, "a"), (ZETA, "b")]) == {ID: {"a"}, NUMBER: {"a"}, ZETA: {"b"}}
    assert spelling.spread([(MRK, "a"), (REPLICA, "b")]) == {MRK: {"a", "b"}, REPLICA: {"a", "b"}}
    assert EACH_ITS_OWN.spread([(NUMBER, "a")]) == {NUMBER: {"a"}}


def test_other_names_are_told_with_what_is_known_of_them() -> None:
    names = NamesOfKeys([NUMBER, ZETA, AWS_KEY], made(id=NOW, number=NOW))
    assert (names.others(ID), names.doubtful(ID)) == ((NUMBER,), ())
    assert names.told(ID, "it") == (f"{NUMBER}, which is it by the other name of its project",)
    assert (names.others(ZETAS_NUMBER), names.doubtful(ZETAS_NUMBER)) == ((ZETA,), (ZETA,))
    assert names.told(ZETAS_NUMBER, "it") == (f"{ZETA}, which may be it by the other name of its project",)
    assert names.others(AWS_KEY) == ()
    assert names.every([NUMBER, AWS_KEY]) == {NUMBER, AWS_KEY}
    assert names.every([ID, ZETAS_NUMBER]) == {NUMBER, ZETAS_NUMBER}
    assert NamesOfKeys([ID, NUMBER], made(id=NOW, number=NOW)).every([ID]) == {ID, NUMBER}


BY_ONE = made(id=NOW, number=NOW)
THIRD = KeyName(f"{NUMBER}-2")


def test_what_is_the_same_for_all_names_of_a_key_is_of_that_key_alone() -> None:
    assert BY_ONE.one(ID) == BY_ONE.one(NUMBER) != BY_ONE.one(ZETA)
    assert BY_ONE.one(ZETA) == ZETA.text, "nothing is known of it"
    both = made(id=NOW, number=NOW, zeta=LATER, zetas_number=LATER)
    assert both.one(ID) != both.one(ZETA)
    ring = KeyName(GOOGLE_KEY.replace("us-east1", "europe-west1"))
    assert spelling_of([GcpKey(ID, (), created=NOW), GcpKey(ring, (), created=NOW)]).ones == {}, "a number tells"


def test_replicas_have_in_common_what_other_keys_of_aws_have_not() -> None:
    assert EACH_ITS_OWN.one_of_all(MRK) == EACH_ITS_OWN.one_of_all(REPLICA)
    assert EACH_ITS_OWN.one(MRK) != EACH_ITS_OWN.one(REPLICA)
    of_others = KeyName(MRK.text.replace("111122223333", "444455556666"))
    of_china = KeyName(MRK.text.replace("arn:aws:", "arn:aws-cn:"))
    assert len({EACH_ITS_OWN.one_of_all(one) for one in (MRK, of_others, of_china)}) == 3
    assert EACH_ITS_OWN.one_of_all(AWS_KEY) == AWS_KEY.text
    called_so = KeyName(GOOGLE_KEY.rpartition("/")[0] + "/mrk-1")
    assert EACH_ITS_OWN.one_of_all(called_so) == called_so.text, "on Google Cloud it is a name like any other"


def test_all_that_is_told_of_a_key_is_told_together() -> None:
    told = [(NUMBER, "a"), (ID, "b"), (ID, "b"), (MRK, "c"), (REPLICA, "d")]
    assert sorted(map(sorted, BY_ONE.together(told).values())) == [["a", "b"], ["c", "d"]]
    assert set(EACH_ITS_OWN.together(told)) == {NUMBER.text, ID.text, EACH_ITS_OWN.one_of_all(MRK)}


def test_each_key_is_called_once_by_what_findings_data_or_its_projects_id_call_it() -> None:
    assert BY_ONE.each([NUMBER, ID]) == {ID: (ID, NUMBER)}
    assert BY_ONE.each([NUMBER, ID, ID], {NUMBER}) == {NUMBER: (NUMBER, ID)}
    assert BY_ONE.each([NUMBER, ID], {NUMBER, ID}) == {ID: (ID, NUMBER)}
    called = Spelling(BY_ONE.ones, {BY_ONE.one(ID): NUMBER})
    assert called.each([ID], {ID}) == {NUMBER: (ID,)}
    assert EACH_ITS_OWN.each([NUMBER, ID]) == {ID: (ID,), NUMBER: (NUMBER,)}


def test_a_name_by_number_has_one_by_id_where_both_are_known() -> None:
    assert BY_ONE.by_id() == {NUMBER: ID}
    assert Spelling({NUMBER: "one"}).by_id() == {}
    assert Spelling({NUMBER: "one", ID: "other"}).by_id() == {}


OWNED: dict[str, tuple[Spelling, str, Cloud, KeyName, bool | None]] = {
    "by the same name": (EACH_ITS_OWN, "acme", Cloud.GCP, ID, True),
    "by another id": (EACH_ITS_OWN, "acme", Cloud.GCP, ZETA, False),
    "by a number, and nothing is known": (EACH_ITS_OWN, "acme", Cloud.GCP, NUMBER, None),
    "by its number": (BY_ONE, "acme", Cloud.GCP, NUMBER, True),
    "another key, by its number": (BY_ONE, "acme", Cloud.GCP, THIRD, True),
    "by its id, of a number": (BY_ONE, "123456", Cloud.GCP, ID, True),
    "by another id, of a known number": (BY_ONE, "123456", Cloud.GCP, ZETA, False),
    "by another number, of a known id": (BY_ONE, "acme", Cloud.GCP, ZETAS_NUMBER, False),
    "by a number, of an id that nobody knows": (BY_ONE, "zeta", Cloud.GCP, ZETAS_NUMBER, None),
    "by another number, of a number": (EACH_ITS_OWN, "123456", Cloud.GCP, ZETAS_NUMBER, False),
    "an account's": (EACH_ITS_OWN, "111122223333", Cloud.AWS, AWS_KEY, True),
    "another account's": (EACH_ITS_OWN, "444455556666", Cloud.AWS, AWS_KEY, False),
    "an account that is called as a project": (EACH_ITS_OWN, "111122223333", Cloud.GCP, AWS_KEY, False),
    "a project that is called as an account": (EACH_ITS_OWN, "123456", Cloud.AWS, NUMBER, False),
}


@pytest.mark.parametrize(("spelling", "owner", "cloud", "key", "has"), OWNED.values(), ids=OWNED)
def test_whose_keys_are_is_told_by_either_name_of_a_project(
    spelling: Spelling, owner: str, cloud: Cloud, key: KeyName, *, has: bool | None
) -> None:
    owned = spelling.of_owner(owner, cloud)
    assert owned.has(key) is has
    if key.cloud is cloud:
        assert owned.is_called(key.owner) is has


def test_an_account_has_no_other_name_whatever_it_is_called() -> None:
    assert BY_ONE.of_owner("acme", Cloud.AWS).is_called("123456") is False


def test_what_keys_said_last_tells_which_names_are_of_one() -> None:
    by_number, by_id = GcpKey(NUMBER, (), created=NOW), GcpKey(ID, (), created=NOW)
    memory: dict[KeyName, KeyMemory] = {ID: remembered(by_id), NUMBER: remembered(by_number), ZETA: remembered(None)}
    assert spelling_by(memory) == BY_ONE
    assert spelling_of([None, an_aws_key(created=NOW), by_id, by_number]) == BY_ONE
    assert set(BY_ONE.ones) == {ID, NUMBER}
    assert spelling_of([by_id, GcpKey(ZETA, (), created=NOW)]) == EACH_ITS_OWN, "two ids are never one project"
    two = made(id=NOW, number=NOW, zeta=LATER)
    assert set(two.ones) == {ID, NUMBER, ZETA}, "of ZETA it is known that it is neither"
    assert two.one(ID) == two.one(NUMBER) != two.one(ZETA)


def test_names_by_id_come_first() -> None:
    assert sorted([NUMBER, ZETA, ID], key=by_id_first) == [ID, ZETA, NUMBER]
    assert ID.common == NUMBER.common == "locations/us-east1/keyRings/tpuf/cryptoKeys/main"


def test_names_that_are_a_keys_own_and_those_that_may_be() -> None:
    names = NamesOfKeys([NUMBER, ID, ZETA], BY_ONE)
    assert (names.same(ID), names.same(NUMBER), names.same(ZETA)) == ((NUMBER,), (ID,), ())
    assert (names.known_by(ID), names.known_by(ZETAS_NUMBER)) == ((), ())
    assert NamesOfKeys([NUMBER], BY_ONE).known_by(ID) == (NUMBER,)
    assert (names.doubtful(ID), names.doubtful(ZETA)) == ((), (NUMBER,))
    assert names.doubtful_of([ZETA]) == (NUMBER,)
    assert names.doubtful_of([ID, NUMBER]) == ()
    assert NamesOfKeys([NUMBER, ZETA], BY_ONE).doubtful_of([NUMBER, ID]) == (), "by ID it is known not to be ZETA"
    assert NamesOfKeys([NUMBER, ZETAS_NUMBER], EACH_ITS_OWN).doubtful_of([ID, ZETA]) == (NUMBER, ZETAS_NUMBER)
