"""What a tenant may read of a judgement: all of its own, and no byte of anybody else's, in any kind of output."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from auditor import gaps
from auditor.audience.narrowing import UNNAMED, Narrowing
from auditor.config import PRODUCT_EXAMPLE
from auditor.controls.answer import State
from auditor.controls.catalogue import frameworks
from auditor.controls.standing import of_rules, standings
from auditor.findings import Counted, Finding, Judgement, Member, Sought, Status, Subject, SubjectKind, Tally, Verdict
from auditor.handover.bundle import Seen
from auditor.inventory.dependencies import Dependencies
from auditor.model import Cloud, Encryption, Extent
from auditor.outputs import asff, html, scan_json, tabular
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from auditor.ownership.registered import Portion
from auditor.ports import DependencyRows, Portions
from auditor.rules import load
from tests.audience.fleets import (
    MARKS,
    NOBODY,
    SHARED,
    Fleet,
    Row,
    audience_of,
    aws_key,
    fleets,
    gcp_key,
    judgement_of,
    opened,
)
from tests.core_builders import NOW

Write = Callable[[TextIO], None]


def outputs(judgement: Judgement, rows: DependencyRows, ended: Iterable[Finding] = ()) -> dict[str, str]:
    """Every kind of report; `ended`: what only one of them tells."""
    demands, rules = tuple(rule.demand for rule in load()), load()
    standing = Found(standings(judgement, rules, frameworks()), of_rules(judgement, rules))
    found = {"html": html.render(judgement, rows, demands, Manifest((), 1, "0" * 64), NOW, found=standing)}
    writers: dict[str, Write] = {
        "json": lambda out: scan_json.write(judgement, rows, out, standing.frameworks),
        "csv": lambda out: tabular.write_findings(judgement, out),
        "csv of dependencies": lambda out: tabular.write_dependencies(judgement, rows, out),
        "csv of gaps": lambda out: tabular.write_gaps(judgement, out),
        "asff": lambda out: asff.write(judgement, demands, standing, ended, out, product=PRODUCT_EXAMPLE),
    }
    for name, write in writers.items():
        out = io.StringIO(newline="")
        write(out)
        found[name] = out.getvalue()
    return found


def seen_by(tenant: str, fleet: Fleet, folder: Path) -> tuple[Judgement, Judgement, dict[str, str]]:
    """The judgement, what is left of it for a tenant, and how that is told."""
    rows = opened(fleet, folder)
    judgement = judgement_of(fleet, rows)
    audience = audience_of(fleet, judgement, rows, tenant)
    narrowing = Narrowing(judgement, audience)
    view = narrowing.done()
    over = [replace(one, id=f"over-{one.id}", status=Status.RESOLVED) for one in judgement.findings]
    return judgement, view, outputs(view, audience.rows, narrowing.ended(over))


@settings(max_examples=10)
@given(fleet=fleets())
def test_a_tenant_reads_all_of_its_own_and_no_byte_of_anybody_elses(
    tmp_path_factory: pytest.TempPathFactory, fleet: Fleet
) -> None:
    for tenant in MARKS[:2]:
        mine = fleet.certain(tenant)
        if not mine:
            continue
        judgement, view, told = seen_by(tenant, fleet, tmp_path_factory.mktemp("view"))
        others = {*MARKS, NOBODY} - {tenant}
        assert not [(kind, other) for kind, text in told.items() for other in others if other in text.casefold()]
        # Its data, down to the last object.
        document = json.loads(told["json"])
        Draft202012Validator(scan_json.schema()).validate(document)
        counted = Counter[tuple[str, str]]()
        for one in document["dependencies"]:
            counted[one["bucket"], one["namespace"]] += one["objects"]
        expected = Counter[tuple[str, str]]()
        for row in mine:
            expected[row.bucket, row.namespace] += row.objects
        assert counted == expected
        assert document["totals"]["objects"] == expected.total()
        assert {one["bucket"]: one["listed"] for one in document["coverage"]["buckets"]} == {
            bucket: sum(row.objects for row in mine if row.bucket == bucket) for bucket in {row.bucket for row in mine}
        }
        assert {one["cloud_comparison"] for one in document["coverage"]["buckets"]} == {None}, "it counts everybody's"
        # Each finding on some of its data, under its own id, with that data alone.
        amounts = {one["id"]: one["objects"] for one in document["findings"]}
        for one in judgement.findings:
            held = [row for row in mine if is_in(row, one.members) and is_of(row, one.portions)]
            if held:
                assert amounts.pop(one.id) == sum(row.objects for row in held)
        # What else is told of is its key as a whole, or a bucket that it has data in, or its own waiver.
        rest = [one for one in view.findings if one.id in amounts]
        assert not any(one.members or one.extent.objects for one in rest)
        assert all(tenant in one.subject.id or one.subject.id == SHARED for one in rest)
        assert tenant in {one.waiver.tenant for one in view.waivers}


def is_in(row: Row, members: tuple[object, ...]) -> bool:
    key = row.key.text if row.key is not None else None
    version = row.columns["key_version"]
    return any((row.bucket, row.columns["encryption"], key, version) == member for member in members)


def is_of(row: Row, portions: tuple[Portion, ...]) -> bool:
    return not portions or not set(row.portions).isdisjoint(portions)


ME, OTHER, THIRD = MARKS
OWN = gcp_key(ME)


def a_fleet(*rows: Row, **states: tuple[str, str, str]) -> Fleet:
    fine = ("ENABLED", "ENABLED", "Enabled")
    return Fleet(rows, frozenset({ME, OTHER}), {**dict.fromkeys((*MARKS, NOBODY), fine), **states})


def held(under: str | None = ME, version: str = "1", bucket: str = SHARED, **more: Any) -> Row:
    return Row(ME, bucket, under, version, 5, 1, **more)


def theirs(under: str = OTHER, version: str = "1", bucket: str = SHARED) -> Row:
    return Row(OTHER, bucket, under, version, 7, 1)


def narrowed(fleet: Fleet, folder: Path, change: Callable[[Judgement], Judgement] = lambda one: one) -> Judgement:
    rows = opened(fleet, folder)
    judgement = change(judgement_of(fleet, rows))
    return Narrowing(judgement, audience_of(fleet, judgement, rows, ME)).done()


def about(judgement: Judgement, rule: str) -> list[Finding]:
    return [one for one in judgement.findings if one.rule == rule]


def test_rules_whose_words_may_name_others_are_chosen_one_by_one() -> None:
    """A rule that says nothing of it is told by its title, so that a new one gives nobody away."""
    assert {one.id for one in load() if not one.quotable} == {
        *("bucket-default-mismatch", "feed-silent", "foreign-tenant-key", "grant-too-wide", "key-location-mismatch"),
        *("mixed-keys", "orphan-objects", "registry-mismatch", "sweep-incomplete", "waiver-ending", "waiver-expired"),
    }


def test_what_stands_behind_ones_own_key_is_named_and_behind_anothers_is_not(tmp_path: Path) -> None:
    down = ("ENABLED", "ENABLED", "Unavailable")
    both = f"s3://{ME}-own"
    fleet = a_fleet(
        held(bucket=both), held(OTHER, bucket=both), theirs(bucket=f"s3://{OTHER}-own"), **{ME: down, OTHER: down}
    )
    found = about(narrowed(fleet, tmp_path), "data-unreachable")
    assert sorted((one.subject.id, one.extent.objects, bool(one.undo)) for one in found) == [
        (UNNAMED, 5, False),
        (f"111122223333/us-east-1/cks-{ME}", 5, True),
    ]
    assert all("nothing under the keys of custom key store" in one.cause for one in found if one.undo)


def test_who_changed_ones_own_key_is_told_also_where_others_have_data_under_it(tmp_path: Path) -> None:
    fleet = a_fleet(
        held(),
        held(OTHER, "2"),
        theirs(ME),
        theirs(version="2"),
        **dict.fromkeys((ME, OTHER), ("DISABLED", "DISABLED", "Enabled")),
    )
    found = {one.subject.id: one for one in about(narrowed(fleet, tmp_path), "data-unreadable")}
    own, other = found[f"{OWN}/cryptoKeyVersions/1"], found["(not named here: 1) version 2"]
    assert own.actor is not None
    assert own.actor.principal == f"{ME}-admin@{ME}.example"
    assert own.extent.objects == 5
    assert other.actor is None
    assert other.unattributed == "who did it this view does not tell: the key may be another tenant's"


_CALLS = {"DisableKey": True, "DisconnectCustomKeyStore": False, "UpdateCustomKeyStore": False}
"""Call -> whether it is told who made it of a key that stands on what keys of others stand on as well."""


def test_who_took_off_what_keys_of_others_stand_on_as_well_is_not_told(tmp_path: Path) -> None:
    fleet = a_fleet(held(bucket=f"s3://{ME}-own"), theirs(), **{ME: ("ENABLED", "ENABLED", "Unavailable")})
    rows = opened(fleet, tmp_path)
    judgement = judgement_of(fleet, rows)
    audience = audience_of(fleet, judgement, rows, ME)
    (alone,) = about(Narrowing(judgement, audience).done(), "data-unreachable")
    assert alone.actor is not None
    stores = audience.behind[aws_key(ME)]
    shared = replace(audience, behind={**audience.behind, aws_key(OTHER): stores})
    (found,) = about(Narrowing(judgement, shared).done(), "data-unreachable")
    assert (found.subject, found.actor) == (alone.subject, None)
    assert found.unattributed == "who did it this view does not tell: keys of others stand on it as well"
    # Who disabled the key itself did that to no other.
    of_key = replace(alone, subject=Subject(SubjectKind.KEY, aws_key(ME).text))
    by_call = {call: replace(of_key, actor=replace(alone.actor, call=call)) for call in _CALLS}
    told = {call: Narrowing(judgement, shared).finding(one) for call, one in by_call.items()}
    assert {call: one is not None and one.actor is not None for call, one in told.items()} == _CALLS


def test_who_did_what_ended_is_told_only_of_a_key_that_somebody_says_is_the_tenants(tmp_path: Path) -> None:
    """Whose data was under it then nobody knows any more: the key is named now as nobody else's is."""
    down = {ME: ("DISABLED", "DISABLED", "Enabled")}

    def told(fleet: Fleet, folder: Path) -> Finding:
        folder.mkdir()
        before, rows = judgement_of(fleet, opened(fleet, folder)), opened(fleet, folder)
        (one,) = (each for each in about(before, "data-unreadable") if each.subject.id.endswith("/1"))
        assert one.actor is not None
        stranger = replace(one.actor, principal=f"{OTHER}-admin@{OTHER}.example")
        over = replace(one, status=Status.RESOLVED, actor=stranger)
        (found,) = Narrowing(before, audience_of(fleet, before, rows, ME)).ended([over])
        assert found.subject == one.subject
        return found

    assert told(a_fleet(held(), theirs(), **down), tmp_path / "said").actor is not None
    one = told(replace(a_fleet(held(), theirs(), **down), owned=frozenset({OTHER})), tmp_path / "alone")
    assert OTHER not in str(one)
    assert one.actor is None
    assert one.unattributed == "who did it this view does not tell: others may have had data under the key then"


def test_what_ended_is_counted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet may have had thousands within the months that are told of."""
    fleet = a_fleet(held(), **{ME: ("DISABLED", "DISABLED", "Enabled")})
    rows = opened(fleet, tmp_path)
    judgement = judgement_of(fleet, rows)
    narrowing = Narrowing(judgement, audience_of(fleet, judgement, rows, ME))
    (first,) = (one for one in about(judgement, "data-unreadable") if one.members)
    asked: list[int] = []
    counted = Dependencies.extents_of

    def extents_of(self: Dependencies, parts: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        asked.append(len(parts))
        return counted(self, parts)

    monkeypatch.setattr(Dependencies, "extents_of", extents_of)
    many = [replace(first, id=f"{number:016x}", status=Status.RESOLVED) for number in range(50)]
    assert [one.id for one in narrowing.ended(many)] == [one.id for one in many]
    assert len(asked) == 1


def test_a_key_of_ones_own_without_data_is_told_of_and_a_strangers_is_not(tmp_path: Path) -> None:
    view = narrowed(a_fleet(held(None), theirs()), tmp_path)
    (found,) = about(view, "short-destroy-delay")
    assert (found.subject.id, found.extent.objects, found.members) == (OWN.text, 0, ())
    assert found.cause.startswith(f"a version of key {OWN} is destroyed 1 day after")
    assert (view.coverage.keys_needed, view.coverage.keys_read) == (2, 2)


def test_that_others_have_data_under_ones_key_is_no_matter_of_ones_own_data(tmp_path: Path) -> None:
    off = ("DISABLED", "ENABLED", "Enabled")
    view = narrowed(a_fleet(held(version="2"), theirs(ME), **{ME: off}), tmp_path)
    assert not about(view, "data-unreadable")
    assert not about(view, "foreign-tenant-key")


def test_a_log_that_was_asked_about_ones_own_key_is_told_of(tmp_path: Path) -> None:
    log = f"projects/{ME}-prod/logs/activity"

    def asked(one: Judgement) -> Judgement:
        about_it = [
            replace(each, sought=Sought(None, log=log)) if OWN.text in each.subject.id else each
            for each in one.findings
        ]
        return replace(one, findings=tuple(about_it))

    off = ("DISABLED", "ENABLED", "Enabled")
    fleet = a_fleet(held(), theirs(), **{ME: off})
    view = narrowed(fleet, tmp_path, asked)
    assert [one.subject.id for one in about(view, "audit-log-off")] == [log]
    assert [one.effect for one in view.gaps if one.what == log] == [
        "who did what led to some of the findings is not known"
    ]
    assert not about(narrowed(fleet, tmp_path), "audit-log-off")


def test_what_ended_on_ones_own_key_is_told_without_amounts_that_nobody_knows(tmp_path: Path) -> None:
    def over(one: Judgement) -> Judgement:
        gone = [
            replace(each, status=Status.RESOLVED, members=((SHARED, Encryption.CMEK, each.subject.id, "9"),))
            for each in about(one, "short-destroy-delay")
        ]
        return replace(one, findings=tuple(gone))

    (found,) = narrowed(a_fleet(held(), theirs()), tmp_path, over).findings
    assert (found.subject.id, found.extent.objects, found.members) == (OWN.text, None, ())


def test_gaps_of_the_machine_and_of_the_config_are_everybodys(tmp_path: Path) -> None:
    def more(one: Judgement) -> Judgement:
        told = (*gaps.of_clock(timedelta(days=2)), *gaps.of_principals(Cloud.GCP, 9), *gaps.of_principals(Cloud.AWS, 9))
        return replace(one, gaps=(*one.gaps, *told))

    found = {one.what: one.effect for one in narrowed(a_fleet(held(), theirs()), tmp_path, more).gaps}
    assert found[gaps.CLOCKS].startswith("the clouds' answers are dated 2 days ahead")
    assert "9" not in found[gaps.PRINCIPALS[Cloud.GCP]]
    assert gaps.PRINCIPALS[Cloud.AWS] in found  # it has a key there, by what the config says


def test_a_waiver_of_more_than_ones_own_is_told_without_its_words(tmp_path: Path) -> None:
    view = narrowed(a_fleet(held(), theirs()), tmp_path)
    told = {one.waiver.name: one.waiver for one in view.waivers}
    assert told.keys() == {
        f"rotation-off: tenant {ME}",
        f"rotation-off: key {OWN}",
        f"rotation-off: namespace {ME}/*",
        "sweep-stale: bucket *",
    }
    assert told["sweep-stale: bucket *"].reason == "not told in this view"
    assert told[f"rotation-off: tenant {ME}"].reason == f"because of {ME}"
    assert all(set(one.covers) <= {each.id for each in view.findings} for one in view.waivers)


def test_how_often_others_meet_a_rule_is_not_counted_and_what_is_not_known_is_not_called_met(tmp_path: Path) -> None:
    def tallied(one: Judgement) -> Judgement:
        def tally(rule: str, passed: int, unknown: int) -> Tally:
            counts = {Verdict.PASSED: passed, Verdict.UNKNOWN: unknown}
            return Tally(rule, counts, (Counted(Cloud.GCP, counts, 0, (f"because of {OTHER}",)),))

        told = (
            tally("rotation-off", 77031, 0),
            tally("key-public", 77031, 88042),
            tally("sweep-stale", 0, 0),
            tally("feed-silent", 1, 0),
        )
        return replace(
            one, gaps=(), findings=(), tallies=(*told, *(each for each in one.tallies if each.rule == "data-lost"))
        )

    fleet = a_fleet(held(), theirs())
    rows = opened(fleet, tmp_path)
    judgement = tallied(judgement_of(fleet, rows))
    audience = replace(
        audience_of(fleet, judgement, rows, ME), seen=Seen(elsewhere=0, registries=True, unclear=0, unswept=0)
    )
    whole = replace(
        judgement,
        coverage=replace(
            judgement.coverage,
            buckets=tuple(replace(one, outside=0, uploads_in_progress=0) for one in judgement.coverage.buckets),
        ),
    )
    view = Narrowing(whole, audience).done()
    found = of_rules(view, load())
    assert [one.rule for one in view.tallies] == ["rotation-off", "key-public", "sweep-stale", "data-lost"]
    assert {
        name: found[name].state for name in ("rotation-off", "key-public", "sweep-stale", "feed-silent", "data-lost")
    } == {
        "rotation-off": State.NONE,
        "key-public": State.OPEN,
        "sweep-stale": State.OPEN,
        "feed-silent": State.OPEN,
        "data-lost": State.NONE,
    }
    assert {(one.passed, one.unknown, one.apart) for one in found.values()} == {(None, None, None)}
    assert found["key-public"].reasons == (
        "not known for all keys: how many of those are this tenant's is not counted",
    )
    assert found["feed-silent"].reasons == ("what it is about is the operator's, and in no tenant's view",)
    told = outputs(view, audience.rows)
    assert not [text for text in told.values() if "77031" in text or "88042" in text]
    # What nobody knows whose it is may be this tenant's.
    unclear = Narrowing(whole, replace(audience, seen=Seen(elsewhere=0, registries=True, unclear=1, unswept=0))).done()
    assert of_rules(unclear, load())["data-lost"].state is State.OPEN
