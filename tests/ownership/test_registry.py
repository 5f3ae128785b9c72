"""Registries: which data is under another key than they say, of another tenant, or in namespaces that they lack."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import cli, scan
from auditor.config import load
from auditor.findings import Finding, Judgement, Status, Verdict
from auditor.model import Reason
from auditor.outputs import words
from auditor.ownership.registered import Portion
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress
from tests.web.test_web import ask, readings

OTHER_KEY = f"{GOOGLE_KEY}-2"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """`acme/old` and `acme/new` under one key, `acme/plain` and `zeta/plain` under Google's own."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.clock = Clock()
        running.cloud.store.add_key(OTHER_KEY)
        for number in range(3):
            running.cloud.store.put("data", f"acme/plain/{number}", size=10)
            running.cloud.store.put("data", f"zeta/plain/{number}", size=10)
        running.config.write_text(
            f'{running.config.read_text()}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
        )
        yield running


def said(small: Small, *lines: str, header: str = "namespace,key,tenant") -> None:
    (small.config.parent / "namespaces.csv").write_text("\n".join([header, *lines]) + "\n")


def judged(small: Small, *, sweep: bool = True) -> Judgement:
    assembly = assemble(load(small.config), small.cloud.store.clock)
    try:
        if sweep:
            return scan.scan(assembly.parts, NoProgress())
        return scan.poll(assembly.parts, NoProgress())
    finally:
        assembly.close()


def found(judgement: Judgement) -> dict[str, Finding]:
    """The open findings that registries have a part in, by rule."""
    rules = {"wrong-key", "not-customer-managed", "orphan-objects", "foreign-tenant-key"}
    return {one.rule: one for one in judgement.findings if one.rule in rules and one.status is Status.OPEN}


def listed(small: Small, finding: Finding, judgement: Judgement) -> dict[str, int]:
    """The namespaces of a finding, with how many objects of each are meant."""
    assembly = assemble(load(small.config), small.cloud.store.clock)
    rows = assembly.rows(judgement)
    told = {one.namespace: one.objects or 0 for one in rows.namespaces(finding.members, portions=finding.portions)}
    assembly.close()
    return told


def test_data_is_told_apart_that_is_not_as_the_registry_says(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},acme", f"acme/new,{OTHER_KEY},acme", f"acme/plain,{GOOGLE_KEY},acme")
    judgement = judged(small)
    told = found(judgement)
    assert set(told) == {"wrong-key", "not-customer-managed", "orphan-objects"}
    wrong, plain, orphans = (told[rule] for rule in ("wrong-key", "not-customer-managed", "orphan-objects"))
    assert (wrong.subject.id, wrong.portions) == (GOOGLE_KEY, (Portion.WRONG_KEY,))
    assert listed(small, wrong, judgement) == {"acme/new": 10}
    assert (wrong.extent.objects, wrong.extent.size, wrong.extent.namespaces) == (10, 1000, 1)
    assert wrong.extent.sample_namespaces == ("gs://data/acme/new",)
    assert listed(small, plain, judgement) == {"acme/plain": 3}
    assert (plain.subject.id, plain.extent.objects, plain.extent.tenants) == ("gs://data", 3, ("acme",))
    assert listed(small, orphans, judgement) == {"zeta/plain": 3}
    assert not [gap for gap in judgement.gaps if "registry" in gap.what]


def test_nothing_is_found_where_all_is_as_the_registry_says(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},", f"acme/new,{GOOGLE_KEY},", "acme/plain,,", "zeta/plain,,")
    judgement = judged(small)
    assert found(judgement) == {}
    tallies = {one.rule: one.counts for one in judgement.tallies}
    assert tallies["wrong-key"][Verdict.PASSED] == 1
    assert tallies["not-customer-managed"][Verdict.PASSED] == tallies["orphan-objects"][Verdict.PASSED] == 1


def test_a_finding_ends_when_the_registry_is_mended_without_a_sweep(small: Small) -> None:
    said(small, f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    assert set(found(judged(small))) == {"wrong-key"}
    said(small, f"acme/old,{GOOGLE_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    judgement = judged(small, sweep=False)
    assert found(judgement) == {}
    assert [one.rule for one in judgement.findings if one.status is Status.RESOLVED] == ["wrong-key"]


@pytest.mark.parametrize("how", ["resolved", "undecided"])
def test_an_empty_list_of_namespaces_is_never_given_for_a_finding_that_has_some(
    small: Small, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    others = ("acme/new,,", "acme/plain,,", "zeta/plain,,")
    said(small, f"acme/old,{OTHER_KEY},", *others)
    judged(small)
    if how == "resolved":
        said(small, f"acme/old,{GOOGLE_KEY},", *others)
    else:
        registries = small.config.parent / "state" / "registry"
        shutil.rmtree(registries)
        registries.write_text("")
    judgement = judged(small, sweep=False)
    (one,) = (each for each in judgement.findings if each.rule == "wrong-key")
    assert (one.status.value, one.extent.namespaces) == ("resolved" if how == "resolved" else "open", 1)
    target = small.config.parent / "told.csv"
    argv = small.argv("explain", one.id, "--namespaces", "--output", str(target))
    assert cli._run(argv) == 2  # noqa: SLF001 - without the end of the process
    err = capsys.readouterr().err
    assert (words.NAMESPACES_NOT_KEPT in err, "hint: " in err, target.exists()) == (True, True, False)
    assembly = assemble(load(small.config), small.cloud.store.clock)
    read = readings(lambda: judgement)
    answer = ask(f"/api/v1/findings/{one.id}/namespaces", replace(read, rows=assembly.rows))
    assembly.close()
    assert (answer.status, json.loads(answer.text)["error"]) == (404, words.NAMESPACES_NOT_KEPT)


def test_whose_data_it_is_the_registry_says_before_the_layout(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},zeta", f"acme/new,{GOOGLE_KEY},zeta", "acme/plain,,", "zeta/plain,,")
    small.set_state(1, "DISABLED")
    judgement = judged(small)
    (one,) = (each for each in judgement.findings if each.rule == "data-unreadable")
    assert one.extent.tenants == ("zeta",)


def test_data_of_another_tenant_than_its_key_is_found(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},acme", "acme/new,,zeta", "acme/plain,,", "zeta/plain,,")
    judgement = judged(small)
    (one,) = found(judgement).values()
    assert (one.rule, one.subject.id) == ("foreign-tenant-key", GOOGLE_KEY)
    assert listed(small, one, judgement) == {"acme/new": 10}
    assert "belongs to acme" in one.cause


def test_whose_key_it_is_the_config_says_before_the_registry(small: Small) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},acme", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    small.config.write_text(f'{small.config.read_text()}\n[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "zeta"\n')
    (one,) = found(judged(small)).values()
    assert (one.rule, one.extent.namespaces) == ("foreign-tenant-key", 2)


def test_what_was_said_last_counts_while_a_registry_cannot_be_read(small: Small) -> None:
    said(small, f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    judged(small)
    (small.config.parent / "namespaces.csv").unlink()
    judgement = judged(small)
    assert set(found(judgement)) == {"wrong-key"}
    (gap,) = (one for one in judgement.gaps if "registry" in one.what)
    assert (gap.what, gap.reason) == ("registry namespaces.csv", Reason.NOT_FOUND)
    assert "what it said on 20" in gap.effect


def test_a_registry_that_was_never_read_refutes_nothing_and_is_a_gap(small: Small) -> None:
    judgement = judged(small)
    assert found(judgement) == {}
    (gap,) = (one for one in judgement.gaps if "registry" in one.what)
    assert gap.reason is Reason.NOT_FOUND
    assert "is not known" in gap.effect
    counts = {one.rule: one.counts for one in judgement.tallies}["wrong-key"]
    assert (counts[Verdict.UNKNOWN], counts[Verdict.PASSED]) == (1, 0)


def test_keys_that_a_registry_names_are_read_before_data_is_under_them(small: Small) -> None:
    said(small, f"acme/soon,{OTHER_KEY},", "acme/old,,", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    assert judged(small).coverage.keys_needed == 2


def test_whose_key_it_is_the_config_may_say_without_any_registry(small: Small) -> None:
    text = small.config.read_text().partition("[[registry]]")[0]
    small.config.write_text(f'{text}\n[[key]]\nname = "{GOOGLE_KEY}"\ntenant = "zeta"\n')
    judgement = judged(small)
    (one,) = found(judgement).values()
    assert (one.rule, one.extent.namespaces) == ("foreign-tenant-key", 2)
    small.config.write_text(small.config.read_text().replace('"zeta"', '"acme"'))
    assert found(judged(small)) == {}


@pytest.mark.parametrize(("namespace", "status"), [("acme/new", Status.WAIVED), ("acme/old", Status.OPEN)])
def test_a_waiver_is_compared_with_the_namespaces_that_a_finding_is_about(
    small: Small, namespace: str, status: Status
) -> None:
    said(small, f"acme/old,{GOOGLE_KEY},", f"acme/new,{OTHER_KEY},", "acme/plain,,", "zeta/plain,,")
    until = (small.cloud.store.clock() + timedelta(days=30)).date()
    who = 'owner = "ada@acme.example"\napproved_by = "head of security"\nreason = "a migration"\n'
    told = f'[[waiver]]\nrule = "wrong-key"\nmatch = {{ namespace = "{namespace}" }}\nuntil = {until}\n{who}'
    small.config.write_text(f"{small.config.read_text()}\n{told}")
    (one,) = (each for each in judged(small).findings if each.rule == "wrong-key")
    assert one.status is status


def test_what_the_inventory_cannot_stand_beside_is_a_gap_and_refutes_nothing(small: Small) -> None:
    said(small, f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    judged(small)
    registries = small.config.parent / "state" / "registry"
    shutil.rmtree(registries)
    registries.write_text("in the way")
    judgement = judged(small, sweep=False)
    assert set(found(judgement)) == {"wrong-key"}
    assert judgement.coverage.keys_read == 1, "whether data can be read is judged all the same"
    assert any("cannot be kept" in gap.effect for gap in judgement.gaps)


BAD: dict[str, tuple[str, str]] = {
    "an alias": ("acme/old,arn:aws:kms:us-east-1:111122223333:alias/main,", "its key is an alias"),
    "a version": (f"acme/old,{GOOGLE_KEY}/cryptoKeyVersions/1,", "its key is a key version"),
    "no key": ("acme/old,main,", "its key is not the full name of a key"),
    "one field short": ("old,,", "no namespace by the bucket's layout"),
    "one field more": ("acme/old/more,,", "no namespace by the bucket's layout"),
    "no namespace": (",,acme", "no namespace by the bucket's layout"),
}


@pytest.mark.parametrize(("line", "why"), BAD.values(), ids=BAD)
def test_an_entry_that_cannot_be_used_is_a_gap(small: Small, line: str, why: str) -> None:
    said(small, f"acme/new,{GOOGLE_KEY},", line)
    judgement = judged(small)
    (gap,) = (one for one in judgement.gaps if "registry" in one.what)
    assert gap.reason is Reason.MALFORMED
    assert "1 of its entries is not heeded; the first is line 3: " in gap.effect
    assert why in gap.effect


FILES: dict[str, tuple[str, str, str]] = {
    "no header": ("namespaces.csv", "acme/old\n", "names no column"),
    "a column twice": ("namespaces.csv", "namespace,key,key\na,b,c\n", "names column 'key' twice"),
    "a field too much": ("namespaces.csv", "namespace,key\na,b,c\n", "line 2 has not as many fields"),
    "a field too few": ("namespaces.csv", "namespace,key\na\n", "line 2 has not as many fields"),
    "an open quote": ("namespaces.csv", 'namespace,key\n"a,b\n', "unexpected end of data"),
    "no JSON": ("namespaces.json", "[", "Expecting value"),
    "no array": ("namespaces.json", "{}", "it is no JSON array"),
    "no objects": ("namespaces.json", "[1]", "entry 1 is no object"),
    "no JSON on a line": ("namespaces.jsonl", "{}\n{\n", "Expecting property name"),
    "nothing at all": ("namespaces.json", "", "it is empty"),
}


@pytest.mark.parametrize(("name", "text", "why"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_registry_is_a_gap(small: Small, name: str, text: str, why: str) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", name))
    (small.config.parent / name).write_text(text)
    (gap,) = (one for one in judged(small).gaps if "registry" in one.what)
    assert gap.reason is Reason.MALFORMED
    assert why in gap.effect


def test_half_a_character_is_no_namespace(small: Small) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", "namespaces.jsonl"))
    (small.config.parent / "namespaces.jsonl").write_text('{"namespace": "acme/\\ud800"}\n')
    (gap,) = (one for one in judged(small).gaps if "registry" in one.what)
    assert "line 1: namespace is no text" in gap.effect


def test_a_folder_is_no_registry(small: Small) -> None:
    (small.config.parent / "namespaces.csv").mkdir()
    (gap,) = (one for one in judged(small).gaps if "registry" in one.what)
    assert "is no file" in gap.effect


@pytest.mark.parametrize("name", ["namespaces.json", "namespaces.jsonl"])
def test_the_same_may_be_said_in_json(small: Small, name: str) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", name))
    entries = [{"namespace": "acme/old", "key": OTHER_KEY}, {"namespace": "acme/new", "tenant": None}]
    entries += [{"namespace": f"{org}/plain", "more": 1} for org in ("acme", "zeta")]
    told = json.dumps(entries) if name.endswith(".json") else "\n".join(map(json.dumps, entries))
    (small.config.parent / name).write_text(told)
    assert set(found(judged(small))) == {"wrong-key"}


def test_fields_of_the_layout_come_from_columns_or_from_the_config(small: Small) -> None:
    said(small, f"acme,old,{OTHER_KEY}", "acme,new,", "acme,plain,", "zeta,plain,", header="org,namespace,key")
    assert set(found(judged(small))) == {"wrong-key"}
    small.config.write_text(f'{small.config.read_text()}fields = {{ org = "acme" }}\n')
    said(small, f"old,{OTHER_KEY}", "new,", "plain,", header="namespace,key")
    judgement = judged(small)
    assert {rule: one.extent.sample_namespaces for rule, one in found(judgement).items()} == {
        "wrong-key": ("gs://data/acme/old",),
        "orphan-objects": ("gs://data/zeta/plain",),
    }


def test_what_registries_part_in_nobody_judges_by(small: Small) -> None:
    said(small, f"acme/old,{OTHER_KEY},", f"acme/old,{GOOGLE_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    judgement = judged(small)
    assert found(judgement) == {}
    (gap,) = (one for one in judgement.gaps if one.what == "registries")
    assert "different things of 1 namespace:" in gap.effect


def test_a_file_that_is_no_text_is_a_gap(small: Small) -> None:
    (small.config.parent / "namespaces.csv").write_bytes(b"namespace\nacme/\xff\n")
    (gap,) = (one for one in judged(small).gaps if "registry" in one.what)
    assert (gap.reason, "is no UTF-8 text" in gap.effect) == (Reason.MALFORMED, True)


def test_what_was_put_beside_a_sweep_and_is_damaged_is_put_beside_it_again(small: Small) -> None:
    said(small, f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")
    before = found(judged(small))["wrong-key"]
    (placed,) = small.config.parent.glob("state/registry/all-*/placed-*.parquet")
    whole = placed.read_bytes()
    placed.write_bytes(whole[:-100])
    after = found(judged(small, sweep=False))["wrong-key"]
    assert after.extent == before.extent
    assert placed.read_bytes()[-100:] == whole[-100:]


def test_what_nothing_stands_on_any_more_is_removed(small: Small) -> None:
    for number in range(4):
        said(small, f"acme/old,{OTHER_KEY},tenant-{number}", "acme/new,,", "acme/plain,,", "zeta/plain,,")
        for _ in range(3):
            for folder in small.config.parent.glob("state/registry/all-*"):
                os.utime(folder, (0, 0))
            judgement = judged(small)
    folders = list(small.config.parent.glob("state/registry/all-*"))
    assert [one.name.removeprefix("all-") for one in folders] == [judgement.registered.digest[:32]]
    assert len(list(folders[0].glob("placed-*.parquet"))) == 2, "of the newest judgement and the one before"
    assert len(list(small.config.parent.glob("state/registry/*/entries-*"))) == 1


def test_a_registry_of_several_buckets_says_of_each_namespace_where_it_is(small: Small) -> None:
    small.cloud.store.add_bucket("more", "acme", "us-east1")
    small.cloud.store.put("more", "acme/old/1", key=GOOGLE_KEY, version=1)
    text = small.config.read_text()
    more = '\n[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
    small.config.write_text(text + more)
    spaces = ("acme/old", "acme/new", "acme/plain", "zeta/plain")
    lines = [f"gs://more,acme/old,{OTHER_KEY}", *(f"gs://data,{one}," for one in spaces)]
    said(small, *lines, "gs://else,acme/old,", ",acme/old,", header="bucket,namespace,key")
    judgement = judged(small)
    assert found(judgement)["wrong-key"].extent.sample_namespaces == ("gs://more/acme/old",)
    assert judgement.registered.registries[0].buckets == ("gs://data", "gs://more")
    (gap,) = (one for one in judgement.gaps if one.what.startswith("registry"))
    assert "2 of its entries are not heeded; the first is line 7: its bucket is none" in gap.effect


def test_a_path_that_the_disk_refuses_is_a_gap_and_ends_no_poll(small: Small) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", f"{'n' * 300}.csv"))
    (gap,) = (one for one in judged(small).gaps if one.what.startswith("registry"))
    assert "cannot be read: File name too long" in gap.effect
