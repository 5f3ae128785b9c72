"""By which of its names a key is called for as long as findings speak of it, and which names are asked for so long."""

from collections.abc import Container

import pytest

from auditor.findings import Finding, Readability, Status, Subject, SubjectKind
from auditor.model import KeyName
from auditor.ownership.calling import as_called, spoken_of_besides
from auditor.ownership.spelling import EACH_ITS_OWN
from tests.attribution.test_attribution_table import a_finding
from tests.core_builders import AWS_KEY, NOW, days
from tests.ownership.test_spelling import ID, NUMBER, ZETA, ZETAS_NUMBER, made

SPELLING = made(id=NOW, number=NOW)
(KEY,) = set(SPELLING.ones.values())


def on(name: KeyName, kind: SubjectKind = SubjectKind.KEY, **more: object) -> Finding:
    told = {
        SubjectKind.KEY: name.text,
        SubjectKind.KEY_VERSION: f"{name}/cryptoKeyVersions/1",
        SubjectKind.PRINCIPAL: f"serviceAccount:a -> {name}",
    }
    return a_finding("a-rule", Subject(kind, told.get(kind, name.text)), **more)


OF_VERSION = on(ID, SubjectKind.KEY_VERSION, readability=Readability.UNREADABLE)
CALLED: dict[str, tuple[list[Finding], Container[KeyName] | None, KeyName | None]] = {
    "nothing": ([], None, None),
    "by a version": ([OF_VERSION], None, ID),
    "by the whole key first": ([OF_VERSION, on(NUMBER)], None, NUMBER),
    "of two findings on the whole key by its id": ([on(NUMBER), on(ID)], None, ID),
    "about reading the key's data, which is not of the whole": (
        [on(NUMBER, readability=Readability.UNREADABLE), on(ID)],
        None,
        ID,
    ),
    "of two about reading by its id": ([on(NUMBER, readability=Readability.LOST), OF_VERSION], None, ID),
    "by what is asked alone": ([OF_VERSION, on(NUMBER)], {ID}, ID),
    "nothing of it is asked": ([on(NUMBER)], {ID}, None),
    "it is resolved": ([on(NUMBER, status=Status.RESOLVED)], None, None),
    "it is waived": ([on(NUMBER, status=Status.WAIVED)], None, NUMBER),
    "who may use it": ([on(NUMBER, SubjectKind.PRINCIPAL)], None, NUMBER),
    "another key": ([on(ZETA), on(AWS_KEY)], None, None),
    "something else": ([on(NUMBER, SubjectKind.BUCKET)], None, None),
}


@pytest.mark.parametrize(("before", "among", "name"), CALLED.values(), ids=CALLED)
def test_a_key_is_called_as_open_findings_call_it(
    before: list[Finding], among: Container[KeyName] | None, name: KeyName | None
) -> None:
    found = as_called(SPELLING, before, among)
    assert found.called == ({KEY: name} if name is not None else {})
    assert found.ones == SPELLING.ones


def test_each_key_is_called_by_its_own_findings() -> None:
    both = made(id=NOW, number=NOW, zeta=NOW + days(1), zetas_number=NOW + days(1))
    called = as_called(both, [on(NUMBER), on(ZETA)]).called
    assert called == {both.one(ID): NUMBER, both.one(ZETA): ZETA}


def test_names_that_open_findings_speak_of_are_asked_for_where_the_key_is_needed_by_another() -> None:
    said = [on(NUMBER), on(ZETA, SubjectKind.BUCKET)]
    assert spoken_of_besides({ID}, said, SPELLING) == {NUMBER}
    assert spoken_of_besides({ID}, said, EACH_ITS_OWN) == {NUMBER}, "it may be the key"
    assert spoken_of_besides({ID}, said, made(id=NOW, number=NOW + days(1))) == set(), "it is another"
    assert spoken_of_besides({ID, NUMBER}, said, SPELLING) == set(), "it is asked for anyway"
    assert spoken_of_besides({ZETA}, [on(ID), on(AWS_KEY)], SPELLING) == set(), "nobody needs it"
    assert spoken_of_besides({ID}, [on(NUMBER, status=Status.RESOLVED)], SPELLING) == set()
    assert spoken_of_besides({ID}, [on(NUMBER, status=Status.WAIVED)], SPELLING) == {NUMBER}
    assert spoken_of_besides({ZETA}, [on(ZETAS_NUMBER, SubjectKind.KEY_VERSION)], SPELLING) == {ZETAS_NUMBER}
