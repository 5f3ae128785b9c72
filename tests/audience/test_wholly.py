"""What a key says is told a tenant word by word where all of it is the tenant's own."""

from typing import Any

import pytest

from auditor.audience.wholly import told_wholly
from auditor.model import AwsKey, CustomKeyStore, EkmConnection, GcpKey, HsmInstance, KeyAccess, KeyMemory, KeyName
from tests.core_builders import AWS_KEY, GCP_KEY, a_version, an_aws_key, remembered

RING = GCP_KEY.text.rpartition("/")[0]
SECOND, OTHER = KeyName(f"{RING}/second"), KeyName(f"{RING}/other")
ELSEWHERE = KeyName(GCP_KEY.text.replace("acme-keys", "zeta"))
OTHER_AWS = KeyName(f"{AWS_KEY.text[:-1]}2")


def gcp(name: KeyName = GCP_KEY, *others: str, rings: tuple[str, ...] = (), **more: Any) -> GcpKey:
    what = {"versions": (a_version(),), **more}
    return GcpKey(name=name, access=KeyAccess(others=others, ring_keys=rings), **what)


def aws(name: KeyName = AWS_KEY, store: str | None = None, *others: str) -> AwsKey:
    stands = CustomKeyStore(store, "CONNECTED") if store is not None else None
    return an_aws_key(name=name, store=stands, access=KeyAccess(others=others))


BESIDE: dict[str, tuple[AwsKey | GcpKey | None, AwsKey | GcpKey | None, bool]] = {
    "alone": (gcp(), None, True),
    "another's in its project": (gcp(), gcp(OTHER), True),
    "another's in its ring": (gcp(rings=(OTHER.text,)), None, False),
    "its own in its ring": (gcp(rings=(SECOND.text,)), None, True),
    "one instance": (
        gcp(hsm_instance=HsmInstance("i", None)),
        gcp(ELSEWHERE, hsm_instance=HsmInstance("i", None)),
        False,
    ),
    "two instances": (
        gcp(hsm_instance=HsmInstance("i", None)),
        gcp(ELSEWHERE, hsm_instance=HsmInstance("j", None)),
        True,
    ),
    "one connection": (
        gcp(versions=(a_version(ekm_connection="c"),)),
        gcp(ELSEWHERE, connections=(EkmConnection("c", None),)),
        False,
    ),
    "one store": (aws(AWS_KEY, "cks-1"), aws(OTHER_AWS, "cks-1"), False),
    "two stores": (aws(AWS_KEY, "cks-1"), aws(OTHER_AWS, "cks-2"), True),
    "others in the policy of a key of AWS": (
        aws(AWS_KEY, None, "arn:aws:iam::111122223333:role/x"),
        aws(OTHER_AWS),
        True,
    ),
    "it never gave a state": (None, gcp(OTHER), True),
}


@pytest.mark.parametrize(("mine", "others", "wholly"), BESIDE.values(), ids=BESIDE)
def test_what_may_name_what_is_anothers_is_not_told_word_by_word(
    mine: AwsKey | GcpKey | None, others: AwsKey | GcpKey | None, *, wholly: bool
) -> None:
    name = mine.name if mine is not None else GCP_KEY
    memory: dict[KeyName, KeyMemory] = {name: remembered(mine)}
    if others is not None:
        memory[others.name] = remembered(others)
    found = told_wholly({name, SECOND}, memory)
    assert found == ({name} if wholly else set())
    assert told_wholly({*memory, SECOND, OTHER}, memory) == set(memory), "all is the tenant's"
    assert told_wholly((), memory) == set()


def test_who_else_may_decrypt_a_google_key_may_be_of_whoever_has_keys_in_its_project() -> None:
    """Nobody lists the keys of a project: those of others that no data is under are in no memory."""
    memory = {GCP_KEY: remembered(gcp(GCP_KEY, "user:a@zeta.example")), SECOND: remembered(gcp(SECOND))}
    assert told_wholly(memory, memory) == {SECOND}
