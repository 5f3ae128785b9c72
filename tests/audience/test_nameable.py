"""Which keys may be named to a tenant where a Google project is called by its id here and by its number there."""

from datetime import datetime

import pytest

from auditor.audience.nameable import Nameable
from auditor.audience.viewing import with_names
from auditor.model import GcpKey, KeyName
from auditor.ownership.registered import Doubt, Tenancy
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling, spelling_of
from tests.clouds import GOOGLE_KEY
from tests.core_builders import NOW, days

ID = KeyName(GOOGLE_KEY)
NUMBER = KeyName(GOOGLE_KEY.replace("projects/acme", "projects/123456"))


def made(at: datetime, number_at: datetime) -> Spelling:
    """What is known where keys say when they were made."""
    return spelling_of((GcpKey(ID, (), created=at), GcpKey(NUMBER, (), created=number_at)))


ONE, TWO = made(NOW, NOW), made(NOW, NOW + days(1))
# What is known of the names, whose the keys are, which others may have data under, whether the id is named to acme.
NAMED: dict[str, tuple[Spelling, dict[KeyName, str], set[KeyName], bool]] = {
    "nobody says anything": (EACH_ITS_OWN, {}, set(), True),
    "it is the tenant's": (EACH_ITS_OWN, {ID: "acme"}, {ID}, True),
    "it may be another's": (EACH_ITS_OWN, {NUMBER: "zeta"}, set(), False),
    "it is the tenant's and may be another's": (EACH_ITS_OWN, {ID: "acme", NUMBER: "zeta"}, set(), False),
    "it is another's by its other name": (ONE, {NUMBER: "zeta"}, set(), False),
    "what is another's is another key": (TWO, {NUMBER: "zeta"}, set(), True),
    "others may have data under it": (EACH_ITS_OWN, {}, {NUMBER}, False),
    "others have data under it by its other name": (ONE, {}, {NUMBER}, False),
    "others have data under another key": (TWO, {}, {NUMBER}, True),
    "it is the tenant's by its other name": (ONE, {NUMBER: "acme"}, {ID}, True),
    "it may be the tenant's, and others have data under it": (EACH_ITS_OWN, {NUMBER: "acme"}, {ID}, False),
    "it may be the tenant's, and nobody else's": (EACH_ITS_OWN, {NUMBER: "acme"}, set(), True),
    "another key is the tenant's": (TWO, {NUMBER: "acme"}, {ID}, False),
}


@pytest.mark.parametrize(("spelling", "tenants", "others", "is_named"), NAMED.values(), ids=NAMED)
def test_no_key_is_named_that_may_be_anothers_by_whatever_name(
    spelling: Spelling, tenants: dict[KeyName, str], others: set[KeyName], *, is_named: bool
) -> None:
    nameable = Nameable("acme", tenants, others, spelling)
    assert nameable.may_be(ID) is is_named
    assert (ID in nameable.owned) is (is_named and tenants.get(ID) == "acme")


@pytest.mark.parametrize(("spelling", "hides"), [(EACH_ITS_OWN, True), (ONE, True), (TWO, False)])
def test_who_answers_for_a_key_that_is_not_named_is_not_told_where_that_may_be_said_of_it(
    spelling: Spelling, *, hides: bool
) -> None:
    nameable = Nameable("acme", {ID: "zeta"}, (), spelling)
    tenancy = with_names(Tenancy("acme", Doubt((), ())), [ID], nameable, [NUMBER])
    assert set(tenancy.called) == {ID.text}
    assert tenancy.labelled == (frozenset({ID.text}) if hides else frozenset())
