"""A Google key may be called by its project's id or its number: what is said of one name is said of the other."""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor import cli, scan
from auditor.config import load
from auditor.findings import Finding, Judgement, Readability, Severity, Status, SubjectKind, Verdict
from auditor.gaps import PRINCIPALS
from auditor.inventory import notes
from auditor.model import Cloud, Gap, KeyName, Reason
from auditor.outputs import revocation_json
from auditor.outputs.impact_table import COUNTED
from auditor.overtaking import Lane
from auditor.ownership import registering
from auditor.ownership.said import Parted, Said, parted, revoked
from auditor.ownership.spelling import EACH_ITS_OWN
from auditor.wiring import assemble
from tests.bundles import BUCKET, BUNDLE, a_customer, an_operator, signed
from tests.clouds import GOOGLE_KEY
from tests.core_builders import AWS_KEY, NOW
from tests.keys_only import FILE, a_cloud_of_keys
from tests.ownership.test_registry import found, judged, said
from tests.ownership.test_spelling import ID, MRK, NUMBER, REPLICA, ZETA, ZETAS_NUMBER, made
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

DAY = datetime(2026, 12, 1, tzinfo=UTC)
OFF = Said(NUMBER, revoked=True)
TABLES: dict[str, tuple[tuple[Said, ...], set[str], set[KeyName]]] = {
    "one table": ((OFF,), set(), {ID, NUMBER}),
    "nothing is said of that": ((OFF, Said(ID, tenant="acme")), set(), {ID, NUMBER}),
    "the same by both names": ((OFF, Said(ID, revoked=True)), set(), {ID, NUMBER}),
    "to work by the other name": ((OFF, Said(ID, revoked=False)), {"intended_state"}, set()),
    "from two days on": ((OFF, Said(ID, revoked=True, since=DAY)), {"intended_state"}, set()),
    "two tenants": ((Said(NUMBER, "zeta"), Said(ID, "acme")), {"tenant"}, set()),
    "two tenants of two keys": ((Said(ZETA, "zeta"), Said(ID, "acme")), set(), set()),
    "two owners and teams": ((Said(NUMBER, None, "a", "b"), Said(ID, None, "c", "d")), {"owner", "team"}, set()),
    "two tenants of replicas": ((Said(MRK, "acme"), Said(REPLICA, "zeta")), {"tenant"}, set()),
    "one replica is off": ((Said(MRK, revoked=True), Said(REPLICA, revoked=False)), set(), {MRK}),
}


@pytest.mark.parametrize(("tables", "settings", "off"), TABLES.values(), ids=TABLES)
def test_tables_of_one_key_are_taken_together(tables: tuple[Said, ...], settings: set[str], off: set[KeyName]) -> None:
    spelling = made(id=NOW, number=NOW)
    assert {one.setting for one in parted(tables, spelling)} == settings
    assert set(revoked(tables, spelling)) == off


def test_where_tables_part_each_is_told_with_its_name() -> None:
    (one,) = parted([Said(ID, revoked=True, since=DAY), OFF], made(id=NOW, number=NOW))
    assert one == Parted("intended_state", ((NUMBER, "revoked"), (ID, "revoked since 2026-12-01")))


@pytest.fixture(params=[False, True], ids=["told as asked", "told by id"])
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Small]:
    """`acme/old` and `acme/new` under one key; a registry that is not written yet; Cloud KMS by either habit."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.tells_ids = request.param
        running.config.write_text(
            f'{running.config.read_text()}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
        )
        yield running


def says_of(small: Small, name: KeyName, *settings: str) -> None:
    table = "\n".join(["[[key]]", f'name = "{name}"', *settings])
    small.config.write_text(f"{small.config.read_text()}\n{table}\n")


def the_gaps(gaps: tuple[Gap, ...], text: str) -> list[Gap]:
    return [one for one in gaps if text in one.effect]


def foreign(small: Small, *, sweep: bool = True) -> Finding | None:
    return found(judged(small, sweep=sweep)).get("foreign-tenant-key")


@pytest.mark.parametrize(("held", "told"), [(ID, NUMBER), (NUMBER, ID), (ID, ID)])
def test_whose_a_key_is_reaches_data_that_names_it_otherwise(small: Small, held: KeyName, told: KeyName) -> None:
    for each in small.cloud.store.buckets["data"].objects:
        each.key = held.text
    says_of(small, told, 'tenant = "acme"')
    said(small, "acme/old,,acme", "acme/new,,zeta")
    one = foreign(small)
    assert one is not None
    assert (one.subject.id, one.severity, one.extent.objects) == (held.text, Severity.HIGH, 10)
    assert foreign(small, sweep=False) is not None
    said(small, "acme/old,,acme", "acme/new,,acme")
    judgement = judged(small, sweep=False)
    assert "foreign-tenant-key" not in found(judgement)
    assert not the_gaps(judgement.gaps, "other name of its project")


def test_whose_a_key_is_by_a_registry_reaches_it_too(small: Small) -> None:
    said(small, f"acme/old,{NUMBER},acme", f"acme/more,{NUMBER},acme", "acme/new,,zeta")
    one = foreign(small)
    assert one is not None
    assert (one.subject.id, one.extent.objects) == (GOOGLE_KEY, 10)
    said(small, f"acme/old,{NUMBER},acme", f"acme/more,{ID},zeta", "acme/new,,zeta")
    assert foreign(small, sweep=False) is None, "several tenants share it"


def test_what_the_config_says_of_one_replica_counts_more_than_what_a_registry_says_of_another(tmp_path: Path) -> None:
    config = tmp_path / "auditor.toml"
    table = f'[[key]]\nname = "{MRK}"\ntenant = "acme"\n'
    config.write_text(f'state = "state"\n[[registry]]\nkind = "file"\npath = "own.csv"\n{table}')
    (tmp_path / "own.csv").write_text(f"namespace,key,tenant\nsearch,{REPLICA},zeta\n")
    with contextlib.closing(assemble(load(config), asking=False)) as assembly:
        heard = registering.hear(assembly.parts, EACH_ITS_OWN)
        assert registering.tenants_of(assembly.parts, heard) == {MRK: "acme", REPLICA: "acme"}


def test_the_key_that_a_registry_names_by_its_other_name_is_the_right_one(small: Small) -> None:
    said(small, f"acme/old,{NUMBER},", f"acme/new,{NUMBER},")
    judgement = judged(small)
    assert found(judgement) == {}
    counts = {one.rule: one.counts for one in judgement.tallies}["wrong-key"]
    assert (counts[Verdict.PASSED], counts[Verdict.UNKNOWN]) == (1, 0)
    assert not the_gaps(judgement.gaps, "other name of its project")


def test_entries_that_name_one_key_by_two_names_say_the_same(small: Small) -> None:
    small.cloud.store.add_key(f"{ID}-2")
    small.cloud.store.put("data", "zeta/more/1", key=GOOGLE_KEY, version=1)
    both = (f"acme/new,{ID},acme", f"acme/new,{NUMBER},acme", "zeta/more,,zeta")
    said(small, f"acme/old,{ID}-2,acme", *both)
    judged(small)
    said(small, f"acme/old,{ID}-2,acme", f"acme/old,{NUMBER}-2,acme", *both)
    judged(small, sweep=False)
    judgement = judged(small, sweep=False)
    counted = {name: one.extent.objects for name, one in found(judgement).items()}
    # Of acme/new nobody says anything else than where it is, and the key is acme's.
    assert counted == {"wrong-key": 10, "foreign-tenant-key": 1}
    assert judgement.registered.conflicts == 0


THIRD = f"{ID}-2"


def test_of_two_names_that_may_be_of_one_key_what_is_under_neither_is_wrong(small: Small) -> None:
    store = small.cloud.store
    store.add_key(THIRD)
    store.put("data", "acme/third/1", key=THIRD, version=1)
    store.put("data", "acme/plain/1")
    store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
    said(small, *(f"acme/{one},{key},acme" for one in ("old", "third", "plain") for key in (ID, NUMBER)))
    judgement = judged(small)
    counted = {name: one.extent.objects for name, one in found(judgement).items()}
    assert counted == {"wrong-key": 1, "not-customer-managed": 1, "orphan-objects": 10}
    assert found(judgement)["wrong-key"].subject.id == THIRD
    assert "registry-mismatch" not in {one.rule for one in judgement.findings}
    unsure = {one.rule: one.counts[Verdict.UNKNOWN] for one in judgement.tallies}
    assert (unsure["wrong-key"], unsure["registry-mismatch"]) == (1, 2), "of ID; whether they part, and what exists"
    (gap,) = the_gaps(judgement.gaps, "whether they say the same is not known")
    assert (gap.what, gap.reason, gap.effect[:16]) == ("registries", Reason.UNSUPPORTED, "of 3 namespaces ")
    assert [one.what for one in the_gaps(judgement.gaps, "whether its data is under the right key")] == [ID.text]
    store.allow("cloudkms.cryptoKeys.get", NUMBER.text)
    judgement = judged(small, sweep=False)
    assert {one.rule: one.counts[Verdict.UNKNOWN] for one in judgement.tallies}["wrong-key"] == 0
    assert not the_gaps(judgement.gaps, "whether they say the same")


def test_the_first_judgement_already_tells_what_its_own_readings_prove(small: Small) -> None:
    said(small, *(f"acme/{one},{key},acme" for one in ("old", "new") for key in (ID, NUMBER)))
    first = judged(small)
    assert [one.effect for one in first.gaps if one.what == "registries"] == []
    assert first.gaps == judged(small).gaps


def test_entries_that_name_replicas_of_one_key_say_the_same(tmp_path: Path) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text('state = "state"\n[[registry]]\nkind = "file"\npath = "own.csv"\n')
    lines = (f"search,{MRK},acme", f"search,{REPLICA},acme", f"chat,{MRK},acme", f"chat,{AWS_KEY},acme")
    (tmp_path / "own.csv").write_text("\n".join(["namespace,key,tenant", *lines]) + "\n")
    with contextlib.closing(assemble(load(config), asking=False)) as assembly:
        heard = registering.hear(assembly.parts, EACH_ITS_OWN)
        assert heard.registered.conflicts == 1, "chat"
        assert set(registering.keys_of(assembly.parts, heard)) == {MRK, REPLICA, AWS_KEY}, "and each is asked for"
        assert registering.tenants_of(assembly.parts, heard) == {MRK: "acme", REPLICA: "acme"}


def test_a_key_of_another_project_that_is_called_alike_is_another_one(small: Small) -> None:
    store = small.cloud.store
    store.add_project("zeta", 777)
    store.add_key(ZETA.text)
    says_of(small, ZETAS_NUMBER, 'tenant = "zeta"')
    said(small, f"acme/old,{ZETAS_NUMBER},acme", f"acme/new,{ID},acme")
    judgement = judged(small)
    assert set(found(judgement)) == {"wrong-key"}, "and nobody said that its key is zeta's"
    assert found(judgement)["wrong-key"].extent.objects == 10
    assert not the_gaps(judgement.gaps, "other name of its project")
    said(small, "acme/old,,")
    store.put("data", "acme/old/by-number", key=NUMBER.text, version=1)
    store.put("data", "acme/two/by-number", key=ZETAS_NUMBER.text, version=1)
    store.put("data", "acme/two/by-id", key=ID.text, version=1)
    (mixed,) = (one for one in judged(small).findings if one.rule == "mixed-keys")
    assert mixed.extent.objects == 2, "and nothing of acme/old, which is under one key by its two names"


def test_a_default_key_that_is_called_as_the_declared_one_is_another_tenants(small: Small) -> None:
    store = small.cloud.store
    store.add_project("zeta", 777)
    store.add_key(ZETA.text)
    store.buckets["data"].default_key = ZETAS_NUMBER.text
    said(small, f"acme/old,{ID},", f"acme/new,{ID},")
    counts = {one.rule: one.counts for one in judged(small).tallies}["bucket-default-mismatch"]
    assert (counts[Verdict.PASSED], counts[Verdict.UNKNOWN]) == (0, 1), "nobody asked for the default key"
    says_of(small, ZETAS_NUMBER, 'tenant = "zeta"')
    (one,) = (each for each in judged(small, sweep=False).findings if each.rule == "bucket-default-mismatch")
    assert "under a default key that nobody declares" in one.cause


def test_whose_a_key_is_is_not_known_while_a_name_of_it_cannot_be_read(small: Small) -> None:
    says_of(small, NUMBER, 'tenant = "acme"')
    said(small, "acme/old,,acme", "acme/new,,zeta")
    for name in (NUMBER, ID):
        small.cloud.store.deny("cloudkms.cryptoKeys.get", name.text)
        judgement = judged(small)
        assert "foreign-tenant-key" not in found(judgement)
        assert {one.rule: one.counts[Verdict.UNKNOWN] for one in judgement.tallies}["foreign-tenant-key"] == 1
        (gap,) = the_gaps(judgement.gaps, f"what is said of {NUMBER}, which may be it by the other name")
        assert (gap.what, gap.reason) == (GOOGLE_KEY, Reason.UNSUPPORTED)
        small.cloud.store.allow("cloudkms.cryptoKeys.get", name.text)
    assert foreign(small, sweep=False) is not None
    # What is known of its names is not forgotten with it.
    small.cloud.store.deny("cloudkms.cryptoKeys.get", GOOGLE_KEY)
    assert foreign(small, sweep=False) is not None


def test_two_tables_of_one_key_with_two_tenants_are_one_gap_and_end_nothing(small: Small) -> None:
    says_of(small, NUMBER, 'tenant = "acme"')
    said(small, "acme/old,,acme", "acme/new,,zeta")
    assert foreign(small) is not None
    alone = small.config.read_text()
    says_of(small, ID, 'tenant = "zeta"')
    judgement = judged(small, sweep=False)
    assert found(judgement)["foreign-tenant-key"].status is Status.OPEN, "nobody knows whose it is"
    (gap,) = the_gaps(judgement.gaps, "[[key]] says different things of it by its names, of which none counts")
    assert (gap.what, gap.reason) == (NUMBER.text, Reason.MALFORMED)
    assert gap.effect.endswith(f": tenant acme as {NUMBER}, zeta as {ID}")
    small.config.write_text(alone)
    says_of(small, ID, 'tenant = "acme"')
    assert not the_gaps(judged(small, sweep=False).gaps, "[[key]] says different things")


def test_two_tables_that_may_be_of_one_key_with_two_tenants_are_a_gap(small: Small) -> None:
    says_of(small, NUMBER, 'tenant = "acme"')
    says_of(small, ID, 'tenant = "zeta"')
    said(small, "acme/old,,zeta", "acme/new,,zeta")
    small.cloud.store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
    (gap,) = the_gaps(judged(small).gaps, f"what is said of {NUMBER}, which may be it by the other name")
    assert gap.what == GOOGLE_KEY


def test_a_key_that_is_meant_to_be_revoked_is_so_by_each_name(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    says_of(small, NUMBER, 'intended_state = "revoked"')
    said(small, "acme/old,,", "acme/new,,")
    judgement = judged(small)
    mine = {one.subject.id: one for one in judgement.findings if one.rule == "revocation-incomplete"}
    assert (mine[GOOGLE_KEY].severity, mine[GOOGLE_KEY].extent.objects) == (Severity.HIGH, 20)
    for version in (1, 2):
        small.set_state(version, "DISABLED")
    judgement = judged(small)
    assert {one.severity for one in judgement.findings if one.rule == "data-unreadable"} == {Severity.LOW}
    judged(small)
    code = cli._run([*small.argv("prove-revoked"), GOOGLE_KEY, "-q"])  # noqa: SLF001 - without the end of the process
    out, err = capsys.readouterr()
    assert (code, "Revoked: none of the 20 objects" in out) == (0, True), out + err


def test_a_revocation_is_proven_by_any_name_of_the_key(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    says_of(small, NUMBER, 'intended_state = "revoked"')
    said(small, "acme/old,,", "acme/new,,")
    judged(small)

    def proven(*more: str) -> tuple[int, str]:
        code = cli._run([*small.argv("prove-revoked"), NUMBER.text, *more])  # noqa: SLF001 - without the end of the process
        return code, capsys.readouterr().out

    code, told = proven()
    assert (code, f"counted     {COUNTED.format(name=ID)}" in told) == (1, True), told
    assert "to do 1     gcloud kms keys versions disable 1 " in told
    for version in (1, 2):
        small.set_state(version, "DISABLED")
    document = json.loads(proven("--format", "json")[1])
    Draft202012Validator(revocation_json.schema()).validate(document)
    assert (document["key"], document["other_names"], document["data"]["objects"]) == (NUMBER.text, [ID.text], 20)
    assert (document["proof"], document["to_do"]) == ("revoked", [])


def test_data_under_a_second_name_that_can_be_read_is_no_proof_of_the_first(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    says_of(small, ID, 'intended_state = "revoked"')
    small.cloud.store.put("data", "acme/old/more", key=NUMBER.text, version=2)
    judged(small)
    objects = small.cloud.store.buckets["data"].objects
    objects[:] = [one for one in objects if not one.name.startswith("acme/new/")]
    judged(small)
    small.set_state(1, "DISABLED")
    code = cli._run([*small.argv("prove-revoked"), GOOGLE_KEY])  # noqa: SLF001 - without the end of the process
    assert (code, "Not revoked: " in capsys.readouterr().out) == (1, True)


@pytest.mark.parametrize(("asked", "other"), [(ID, NUMBER), (NUMBER, ID)], ids=["by its id", "by its number"])
def test_what_hangs_on_a_key_is_counted_by_each_of_its_names(
    small: Small, capsys: pytest.CaptureFixture[str], asked: KeyName, other: KeyName
) -> None:
    for each in small.cloud.store.buckets["data"].objects:
        each.key = NUMBER.text if each.version == 2 else ID.text
    says_of(small, ID, "")
    judged(small)

    def told(command: str, *what: str) -> tuple[int, Any]:
        code = cli._run([*small.argv(command), *what, "--format", "json"])  # noqa: SLF001 - without the end of the process
        return code, json.loads(capsys.readouterr().out)

    for version in ("1", "2"):
        code, answer = told("impact", f"{asked}/{version}")
        assert (code, answer["affected"]["objects"], answer["other_names"]) == (1, 10, [other.text])
        assert not [one for one in answer["gaps"] if "other name of its project" in one["effect"]]
        code, answer = told("retire", f"{asked}/{version}")
        assert (code, [one["use"] for one in answer["key_versions"]]) == (1, ["in_use"])
        assert [one["objects"] for one in answer["moves"]] == ([10] if version == "1" else [])
    code, answer = told("retire")
    uses = [(one["key"], one["other_names"], one["objects"]) for one in answer["key_versions"]]
    assert (code, uses) == (0, [(ID.text, [NUMBER.text], 10)] * 2), "one key, told once"
    # Nothing is under the number any more, and nobody asks it: it is told as it is now all the same.
    for each in small.cloud.store.buckets["data"].objects:
        each.key = ID.text
    judged(small)
    small.set_state(1, "DISABLED")
    judged(small, sweep=False)
    for name in (ID, NUMBER):
        code, answer = told("impact", f"{name}/1")
        assert (code, answer["changes_nothing_because"] is not None) == (1, True)


def test_what_registries_alone_tell_of_is_asked_for_by_each_of_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_cloud_of_keys(tmp_path, f'{FILE}[[key]]\nname = "{NUMBER}"\n') as keys:
        keys.say(f"search,{ID},acme")
        keys.scanned()
        for name in (ID, NUMBER):
            for command in ("impact", "retire"):
                code = cli._run([command, f"{name}/1", "--config", str(keys.config), "--format", "json"])  # noqa: SLF001 - without the end of the process
                told = json.loads(capsys.readouterr().out)
                assert (code, told.get("affected", {}).get("namespaces", 1)) == (1 if command == "impact" else 3, 1)


def test_impact_goes_by_what_a_key_told_last_under_a_name_that_no_data_has_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        for version in (1, 2, 3):
            keys.set_state(version, "DISABLED")
        keys.say(f"search,{ID},acme", f"chat,{NUMBER},acme")
        keys.scanned()
        keys.set_state(1, "ENABLED")
        keys.say(f"search,{ID},acme")
        keys.scanned()
        keys.cloud.traffic.fail("cryptoKeys", status=503)
        keys.say(f"search,{NUMBER},acme")
        keys.scanned()
        code = cli._run(["impact", f"{NUMBER}/1", "--config", str(keys.config), "--format", "json"])  # noqa: SLF001 - without the end of the process
        told = json.loads(capsys.readouterr().out)
        assert (code, told["changes_nothing_because"], told["affected"]["namespaces"]) == (1, None, 1)


def test_a_key_is_polled_and_read_once_by_whatever_names(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    says_of(small, NUMBER, "")
    said(small, "acme/old,,")
    judged(small)
    small.cloud.store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
    assert cli._run(small.argv("poll")) == 3  # noqa: SLF001 - without the end of the process
    assert "polled 1 of 1 key\n" in capsys.readouterr().err
    covered = judged(small, sweep=False).coverage
    assert (covered.keys_needed, covered.keys_read, covered.keys_from_before) == (1, 1, 0), "its id tells of it"
    small.cloud.store.deny("cloudkms.cryptoKeys.get", ID.text)
    covered = judged(small, sweep=False).coverage
    assert (covered.keys_needed, covered.keys_read, covered.keys_from_before) == (1, 1, 1)


def readability(judgement: Judgement) -> set[tuple[str | None, Readability]]:
    return {
        (one.holding.key, one.assessment.readability)
        for one in judgement.assessed
        if one.holding.key_version == "1" and one.holding.key is not None
    }


@pytest.mark.parametrize("read", [True, False], ids=["both were read", "its number was never read"])
@pytest.mark.parametrize("name", [ID, NUMBER])
def test_whoever_polls_a_key_by_one_name_polls_it_by_all(small: Small, name: KeyName, *, read: bool) -> None:
    said(small, "acme/old,,", "acme/new,,")
    if read:
        small.cloud.store.put("data", "acme/old/more", key=NUMBER.text, version=1)
    judged(small)
    says_of(small, NUMBER)
    small.set_state(1, "DISABLED")
    with contextlib.closing(assemble(load(small.config), small.cloud.store.clock)) as assembly:
        judgement = scan.poll(assembly.parts, NoProgress(), frozenset({name}))
    held = {GOOGLE_KEY, NUMBER.text} if read else {GOOGLE_KEY}
    assert readability(judgement) == {(one, Readability.UNREADABLE) for one in held}


def test_whoever_polls_one_key_opens_nothing_about_the_second_name_of_another(small: Small) -> None:
    store, second = small.cloud.store, f"{ID}-2"
    store.add_key(second)
    store.put("data", "acme/two/1", key=second, version=1)
    store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    said(small, f"acme/old,{NUMBER},", f"acme/new,{ID},", f"acme/two,{second},")
    whole = judged(small)
    assert [one.subject.id for one in whole.findings if one.rule == "key-public"] == [GOOGLE_KEY]
    with contextlib.closing(assemble(load(small.config), store.clock)) as assembly:
        some = scan.poll(assembly.parts, NoProgress(), frozenset({KeyName(second)}))
    assert {one.id for one in some.findings} == {one.id for one in whole.findings}
    assert (some.coverage.keys_needed, some.coverage.keys_read, some.coverage.keys_from_before) == (2, 2, 1)


def test_a_key_is_polled_by_a_name_that_nothing_names_any_more(small: Small) -> None:
    said(small, "acme/old,,", "acme/new,,")
    alone = small.config.read_text()
    says_of(small, NUMBER)
    judged(small)
    small.config.write_text(alone)
    small.set_state(1, "DISABLED")
    assert cli._run([*small.argv("poll"), NUMBER.text, "-q", "--fail-on", "critical"]) == 1  # noqa: SLF001 - without the end of the process


def test_a_finding_is_explained_by_any_name_of_its_key_and_hints_are_names_that_all_commands_take(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    says_of(small, NUMBER)
    said(small, "acme/old,,", "acme/new,,")
    small.set_state(1, "DISABLED")
    judged(small)

    def run(command: str, name: str) -> tuple[int, str]:
        code = cli._run([*small.argv(command), name])  # noqa: SLF001 - without the end of the process
        told = capsys.readouterr()
        return code, told.out + told.err

    short = "123456/us-east1/tpuf/main"
    code, told = run("explain", f"{short}/1")
    assert (code, "data-unreadable" in told) == (0, True), told
    code, told = run("explain", f"{short}/2")
    assert (code, f"no finding is about {short} version 2" in told) == (2, True), told
    hinted = f"{ID}/cryptoKeyVersions/2"
    assert f"`cmek-auditor impact {hinted}` tells" in told
    assert run("impact", hinted)[0] == 1
    for command in ("impact", "retire", "explain"):
        assert "hint: did you mean acme/us-east1/tpuf/main?" in run(command, "us-east1/tpuf/main")[1]
        told = run(command, "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")[1]
        assert "known are acme/us-east1/tpuf/main;" in told


def test_a_poll_that_overtakes_tells_by_which_names_it_has_read(small: Small) -> None:
    said(small, "acme/old,,", "acme/new,,")
    says_of(small, NUMBER)
    judged(small)
    lane, only = Lane(), frozenset({NUMBER})
    with contextlib.closing(assemble(load(small.config), small.cloud.store.clock)) as assembly:
        poll = lambda: scan.poll(assembly.parts, NoProgress(), only, lane=lane, overtakes=True)  # noqa: E731 - used in the next lines alone
        with assembly.ledger.judging() as still, lane.reading() as overtaken:
            lane.still = still
            assert lane.overtake(only, poll)
    assert overtaken == {ID, NUMBER}


def test_a_key_that_may_be_meant_to_be_revoked_is_not_proven_before_that_is_known(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    said(small, "acme/old,,", "acme/new,,")
    judged(small)
    says_of(small, NUMBER, 'intended_state = "revoked"')
    code = cli._run([*small.argv("prove-revoked"), GOOGLE_KEY, "-q"])  # noqa: SLF001 - without the end of the process
    assert (code, f"one means {NUMBER}, which may be it" in capsys.readouterr().err) == (2, True)


def test_who_answers_for_data_is_said_of_a_key_by_any_name(small: Small) -> None:
    says_of(small, NUMBER, 'owner = "keys@acme.example"', 'team = "key desk"')
    said(small, "acme/old,,", "acme/new,,")
    small.set_state(1, "DISABLED")
    (one,) = (each for each in judged(small).findings if each.rule == "data-unreadable")
    assert (one.extent.owners, one.extent.teams) == (("keys@acme.example",), ("key desk",))


@pytest.mark.parametrize("name", [ID, NUMBER, KeyName(f"{NUMBER}-2")])
def test_an_exception_names_a_key_by_any_of_its_names(small: Small, name: KeyName) -> None:
    says_of(small, NUMBER, 'tenant = "acme"')
    said(small, "acme/old,,acme", "acme/new,,zeta")
    small.set_state(1, "DISABLED")
    until = (small.cloud.store.clock() + timedelta(days=9)).date()
    who = f'until = {until}\nowner = "a@acme.example"\napproved_by = "b@acme.example"\nreason = "a migration"\n'
    for rule, key in (("foreign-tenant-key", name), ("data-unreadable", f"{name}/cryptoKeyVersions/1")):
        table = f'\n[[waiver]]\nrule = "{rule}"\nmatch = {{ key = "{key}" }}\n{who}'
        small.config.write_text(small.config.read_text() + table)
    told = {one.rule: one.status for one in judged(small).findings}
    expected = Status.WAIVED if name in {ID, NUMBER} else Status.OPEN
    assert (told["foreign-tenant-key"], told["data-unreadable"]) == (expected, expected)


def test_what_an_older_version_put_together_is_read_still(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    said(small, "acme/old,,acme", "acme/new,,acme")
    judged(small)
    (path,) = small.config.parent.glob("state/registry/all-*/registry.json")
    told = notes.read(path)
    notes.write(path, {name: one for name, one in told.items() if name not in {"ones", "parted"}})
    for placed in path.parent.glob("placed-*"):
        placed.unlink()
    assert cli._run([*small.argv("impact"), GOOGLE_KEY, "--namespaces"]) == 1  # noqa: SLF001 - without the end of the process
    assert "acme/old,acme" in capsys.readouterr().out
    with contextlib.closing(assemble(load(small.config), asking=False)) as assembly:
        judgement = assembly.ledger.judgement()
        assert judgement is not None
        assert assembly.parts.registry.parted(judgement.registered.digest) == frozenset()


def test_a_key_that_is_called_as_another_tenants_is_named_to_its_own(tmp_path: Path) -> None:
    with an_operator(tmp_path) as operator:
        operator.cloud.store.add_project("zeta", 777)
        operator.cloud.store.add_key(ZETA.text)
        table = f'[[key]]\nname = "{ZETAS_NUMBER}"\ntenant = "zeta"\n'
        operator.configure(BUCKET + table)
        operator.scanned()
        assert operator.bundle("-q") == 0
        assert GOOGLE_KEY in {one["key"] for one in signed(operator.made)["data"]}


def test_what_an_operator_saw_is_compared_by_all_names_of_a_key(tmp_path: Path) -> None:
    registry = '[[registry]]\nkind = "file"\npath = "own.csv"\nbucket = "gs://data"\n'
    with an_operator(tmp_path) as operator:
        customer = a_customer(operator)
        operator.hand_over(customer)
        customer.configure(f'{BUNDLE}{registry}[[key]]\nname = "{NUMBER}"\ntenant = "acme-eu"\n')
        lines = (f"acme/search,{NUMBER},acme-us", f"acme/chat,{NUMBER},acme-eu")
        (customer.folder / "own.csv").write_text("\n".join(["namespace,key,tenant", *lines]) + "\n")
        judgement = customer.polled()
        assert {name: one.extent.objects for name, one in found(judgement).items()} == {"foreign-tenant-key": 10}
        assert {one.holding.key for one in judgement.assessed} == {GOOGLE_KEY}, "nothing is told twice"


def test_without_buckets_a_key_that_is_claimed_by_two_names_is_one(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        keys.say(f"search,{ID},acme", f"chat,{NUMBER},acme", f"mail,{ID},acme", f"mail,{NUMBER},acme")
        keys.set_state(1, "DISABLED")
        keys.cloud.store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
        for judgement in (keys.scanned(), keys.polled()):
            lost = [one for one in judgement.findings if one.rule == "data-unreadable"]
            assert [(one.subject.id, one.extent.namespaces) for one in lost] == [(f"{ID}/cryptoKeyVersions/1", 3)]
            assert [one.subject.id for one in judgement.findings if one.rule == "key-public"] == [GOOGLE_KEY]
            assert (judgement.coverage.keys_needed, judgement.coverage.keys_read) == (1, 1)
        keys.cloud.store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
        # What is known of its names is not forgotten with it.
        assert [one.holding.key for one in keys.polled().assessed] == [ID.text]


def test_without_buckets_a_key_of_two_names_is_counted_once_where_no_service_agents_are_named(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        keys.say(f"search,{NUMBER},acme", f"mail,{ID},acme")
        (told,) = (one.effect for one in keys.scanned().gaps if one.what == PRINCIPALS[Cloud.GCP])
        assert "a Google key" in told


def test_without_buckets_names_that_nobody_could_compare_are_two_keys(tmp_path: Path) -> None:
    with a_cloud_of_keys(tmp_path) as keys:
        keys.say(f"search,{ID},acme", f"chat,{NUMBER},acme")
        keys.cloud.store.deny("cloudkms.cryptoKeys.get", NUMBER.text)
        judgement = keys.scanned()
        assert {one.holding.key for one in judgement.assessed} == {ID.text, NUMBER.text}
        assert (judgement.coverage.keys_needed, judgement.coverage.keys_read) == (2, 1)


def ids(judgement: Judgement) -> set[str]:
    """Of all findings about keys and their versions that are not over."""
    kinds = {SubjectKind.KEY, SubjectKind.KEY_VERSION}
    return {one.id for one in judgement.findings if one.status is not Status.RESOLVED and one.subject.kind in kinds}


TABLE = f'[[key]]\nname = "{NUMBER}"\n'
COMING = {
    "by its number, which the config has": (TABLE, NUMBER, ID),
    "by its number, which nothing else names": ("", NUMBER, ID),
    "by its id": ("", ID, NUMBER),
    "by its id, and the config has its number": (TABLE, ID, NUMBER),
}


@pytest.mark.parametrize(("table", "first", "second"), COMING.values(), ids=COMING)
def test_without_buckets_a_finding_keeps_its_name_whatever_rows_come_and_go(
    tmp_path: Path, table: str, first: KeyName, second: KeyName
) -> None:
    one, other = f"search,{first},acme", f"mail,{second},acme"
    with a_cloud_of_keys(tmp_path, f"{FILE}{table}") as keys:
        keys.set_state(1, "DISABLED")
        keys.cloud.store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
        keys.say(one)
        keys.scanned()
        told = keys.polled()
        expected = ids(told)
        assert expected
        for rows in ((one, other), (other,), (one,), (other, one)):
            keys.say(*rows)
            judgement = keys.polled()
            assert ids(judgement) == expected, rows
            assert {each.first_seen for each in judgement.findings if each.rule == "data-unreadable"} == {
                each.first_seen for each in told.findings if each.rule == "data-unreadable"
            }


def test_a_finding_on_a_key_keeps_its_name_when_its_data_goes_or_is_called_otherwise(small: Small) -> None:
    store = small.cloud.store
    store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    says_of(small, NUMBER)
    of_number = small.config.read_text()
    said(small, "acme/old,,")
    judged(small)

    def told() -> list[tuple[str, Severity]]:
        findings = judged(small).findings
        assert "key-public" not in {one.rule for one in findings if one.status is Status.RESOLVED}
        return [(one.subject.id, one.severity) for one in findings if one.rule == "key-public"]

    assert told() == [(GOOGLE_KEY, Severity.HIGH)]
    store.put("data", "acme/old/more", key=NUMBER.text, version=1)
    assert told() == [(GOOGLE_KEY, Severity.HIGH)], "once, by whatever names data has it"
    objects = store.buckets["data"].objects
    objects[:] = [one for one in objects if one.name == "acme/old/more"]
    assert told() == [(GOOGLE_KEY, Severity.HIGH)]
    objects.clear()
    assert told() == [(GOOGLE_KEY, Severity.LOW)]
    says_of(small, ID)
    assert told() == [(GOOGLE_KEY, Severity.LOW)]
    small.config.write_text(of_number)
    assert told() == [(GOOGLE_KEY, Severity.LOW)]


@pytest.mark.parametrize("is_named", [True, False])
def test_a_tenants_view_has_a_key_once_and_what_is_said_of_it_by_any_name(
    small: Small, tmp_path: Path, *, is_named: bool
) -> None:
    store = small.cloud.store
    store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    objects = store.buckets["data"].objects
    if is_named:
        objects.clear()
        store.put("data", "acme/old/more", key=ID.text, version=1)
    store.put("data", "zeta/old/more", key=NUMBER.text, version=1)
    said(small, "acme/old,,acme", "acme/new,,acme", "zeta/old,,zeta")
    says_of(small, NUMBER, *(['tenant = "zeta"'] if is_named else []))
    judged(small)
    judged(small)

    def view() -> dict[str, Any]:
        argv = small.argv("report", "--view", "tenant", "zeta", "-q", "--as", "json", "-o", str(tmp_path / "r"))
        assert cli._run(argv) == 0  # noqa: SLF001 - the command without the end of the process
        told: dict[str, Any] = json.loads((tmp_path / "r").read_text())
        return told

    told = view()
    assert told["coverage"]["keys"] == {"needed": 1, "read": 1, "from_before": 0, "unknown": 0}
    (one,) = (each for each in told["findings"] if each["rule"] == "key-public")
    assert (one["objects"], one["subject"]["id"] == GOOGLE_KEY) == (1, is_named)
    store.put("data", "zeta/old/again", key=ID.text, version=1)
    judged(small)
    told = view()
    assert told["coverage"]["keys"] == {"needed": 1, "read": 1, "from_before": 0, "unknown": 0}
    (one,) = (each for each in told["findings"] if each["rule"] == "key-public")
    assert one["objects"] == 2


def test_a_finding_keeps_its_name_when_an_operators_bundle_calls_the_key_otherwise(tmp_path: Path) -> None:
    registry = '[[registry]]\nkind = "file"\npath = "own.csv"\n[[key]]\nname = "{}"\n'
    with an_operator(tmp_path) as operator:
        customer = a_customer(operator)
        operator.hand_over(customer)
        customer.configure(registry.format(ID))
        (customer.folder / "own.csv").write_text(f"bucket,namespace,key,tenant\ngs://more,mail,{NUMBER},acme-eu\n")
        operator.cloud.store.grant(GOOGLE_KEY, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
        customer.polled()
        told = ids(customer.polled())
        assert told
        customer.configure(BUNDLE + registry.format(ID))
        judgement = customer.polled()
        assert told <= ids(judgement)
        assert {one.holding.key for one in judgement.assessed} == {NUMBER.text}, "nothing is told by two names"
