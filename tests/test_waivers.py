"""What somebody accepted for a time raises no alarm so long, is told all the same, and nothing else is accepted."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import cli, scan
from auditor.config import load
from auditor.engine import Facts, judge_waivers
from auditor.errors import UsageError
from auditor.findings import Finding, Judgement, Severity, Status, Subject, SubjectKind
from auditor.outputs import scan_json
from auditor.outputs.accepting import waiver_of
from auditor.ownership.registered import Portion
from auditor.policy import Policy
from auditor.ports import Portions
from auditor.rules import load as load_rules
from auditor.waiver import GivenWaiver, Waiver, fits
from auditor.waiving import Sight, waive
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock, an_aws_cloud
from tests.core_builders import NOW, FixedHoldings, a_holding, days
from tests.small import Small, a_small_cloud
from tests.test_denied import AWS_CONFIG, AWS_KEY, PLATFORM
from tests.test_engine import a_finding
from tests.test_fleet import NoProgress
from tests.test_silence import damage

OLD = f"{GOOGLE_KEY}/cryptoKeyVersions/1"
RULE = "data-unreadable"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        running.set_state(1, "DISABLED")
        yield running


@pytest.fixture
def clock(small: Small) -> Clock:
    made = Clock()
    small.cloud.store.clock = made
    return made


def waived(small: Small, match: str, left: float = 100, rule: str = RULE) -> None:
    """Let the config waive something for so many days from today on."""
    until = (Clock()() + timedelta(days=left)).date()
    told = f'rule = "{rule}"\nmatch = {{ {match} }}\nuntil = {until}\n'
    who = 'owner = "ada@acme.example"\napproved_by = "head of security"\nreason = "a migration"\n'
    small.config.write_text(f"{small.config.read_text()}\n[[waiver]]\n{told}{who}")


def judged(small: Small, clock: Clock) -> Judgement:
    assembly = assemble(load(small.config), clock)
    found = scan.scan(assembly.parts, NoProgress())
    assembly.close()
    return found


def findings(judgement: Judgement) -> dict[str, tuple[Status, Severity]]:
    return {one.rule: (one.status, one.severity) for one in judgement.findings}


COVERED: dict[str, tuple[str, bool]] = {
    "the namespace": ('namespace = "acme/old"', True),
    "namespaces like it": ('namespace = "acme/*"', True),
    "the tenant": ('tenant = "acme"', True),
    "the bucket": ('bucket = "gs://data"', True),
    "the key": (f'key = "{GOOGLE_KEY}"', True),
    "the version": (f'key = "{OLD}"', True),
    "any key of its ring": (f'key = "{GOOGLE_KEY.rpartition("/")[0]}/*"', True),
    "all of it": (f'bucket = "gs://*", namespace = "acme/old", tenant = "acme", key = "{OLD}"', True),
    "another namespace": ('namespace = "acme/new"', False),
    "a beginning alone": ('namespace = "acme/ol"', False),
    "another tenant": ('tenant = "other"', False),
    "another bucket": ('bucket = "gs://data2"', False),
    "another version": (f'key = "{GOOGLE_KEY}/cryptoKeyVersions/2"', False),
    "the namespace of another bucket": ('namespace = "acme/old", bucket = "s3://*"', False),
    "the namespace and a space": ('namespace = "acme/old "', False),
    "the tenant behind a space": ('tenant = " acme"', False),
    "a star behind a space": ('namespace = " *"', False),
    "what SQL would take for anything": ('namespace = "acme/%"', False),
    "what SQL would take for a letter": ('namespace = "acme/ol_"', False),
    "what a shell would take for a letter": ('namespace = "acme/[o]ld"', False),
}


@pytest.mark.parametrize(("match", "is_covered"), COVERED.values(), ids=COVERED)
def test_a_finding_is_waived_where_all_of_it_is_within_what_is_named(
    small: Small, clock: Clock, match: str, *, is_covered: bool
) -> None:
    waived(small, match)
    found = judged(small, clock)
    status = Status.WAIVED if is_covered else Status.OPEN
    assert findings(found)[RULE] == (status, Severity.CRITICAL)
    (given,) = found.waivers
    (one,) = [each for each in found.findings if each.rule == RULE]
    assert (given.covers, given.in_part) == ((one.id,) if is_covered else (), ())
    assert one.waived_until == (given.waiver.until if is_covered else None)


@pytest.mark.parametrize("match", ['namespace = "acme/old"', 'namespace = "*", bucket = "gs://data"'])
def test_a_finding_that_is_covered_in_part_stays_open(small: Small, clock: Clock, match: str) -> None:
    small.cloud.store.add_bucket("data2", "acme", "us-east1")
    small.cloud.store.put("data2", "acme/other/1", key=GOOGLE_KEY, version=1)
    text = small.config.read_text()
    small.config.write_text(
        f'{text}[[bucket]]\nurl = "gs://data2"\nlayout = "{{org}}/{{namespace}}/"\naccount = "acme"\n'
    )
    waived(small, match)
    found = judged(small, clock)
    assert findings(found)[RULE] == (Status.OPEN, Severity.CRITICAL)
    (given,) = found.waivers
    assert (given.covers, len(given.in_part)) == ((), 1)


def test_a_finding_some_of_whose_data_is_hidden_for_a_time_is_open_for_that_time(small: Small, clock: Clock) -> None:
    small.cloud.store.add_bucket("data2", "acme", "us-east1")
    small.cloud.store.put("data2", "acme/other/1", key=GOOGLE_KEY, version=1)
    text = small.config.read_text()
    small.config.write_text(
        f'{text}[[bucket]]\nurl = "gs://data2"\nlayout = "{{org}}/{{namespace}}/"\naccount = "acme"\n'
    )
    waived(small, 'namespace = "acme/*"')
    assert findings(judged(small, clock))[RULE][0] is Status.WAIVED
    damage(small.config, "gs-data2")
    assembly = assemble(load(small.config), clock)
    hidden = scan.poll(assembly.parts, NoProgress())
    assembly.close()
    assert findings(hidden)[RULE][0] is Status.OPEN
    assert findings(judged(small, clock))[RULE][0] is Status.WAIVED


def test_what_lies_outside_the_layout_is_in_no_namespace(small: Small, clock: Clock) -> None:
    small.cloud.store.put("data", "alone", key=GOOGLE_KEY, version=1)
    waived(small, 'namespace = "*"')
    assert findings(judged(small, clock))[RULE] == (Status.OPEN, Severity.CRITICAL)


def test_only_the_named_rules_findings_are_waived(small: Small, clock: Clock) -> None:
    waived(small, f'key = "{GOOGLE_KEY}"', rule="data-lost")
    assert findings(judged(small, clock))[RULE] == (Status.OPEN, Severity.CRITICAL)


def test_a_waiver_goes_its_way_to_its_end_and_beyond(small: Small, clock: Clock) -> None:
    waived(small, 'namespace = "acme/*"', left=20)
    told = []
    for _ in range(4):
        found = findings(judged(small, clock))
        about = {rule: found[rule] for rule in ("waiver-ending", "waiver-expired") if rule in found}
        told.append((found[RULE][0], about))
        clock.ahead += days(7)
    assert told == [
        (Status.WAIVED, {}),
        (Status.WAIVED, {"waiver-ending": (Status.OPEN, Severity.LOW)}),
        (Status.WAIVED, {"waiver-ending": (Status.OPEN, Severity.LOW)}),
        (
            Status.OPEN,
            {
                "waiver-ending": (Status.RESOLVED, Severity.LOW),
                "waiver-expired": (Status.OPEN, Severity.CRITICAL),
            },
        ),
    ]
    small.set_state(1, "ENABLED")
    found = findings(judged(small, clock))
    assert (found[RULE][0], found["waiver-expired"][0]) == (Status.RESOLVED, Status.RESOLVED)


def test_the_last_day_counts_to_its_end(small: Small, clock: Clock) -> None:
    waived(small, 'namespace = "acme/*"', left=0)
    until = judged(small, clock).waivers[0].waiver.until
    assert (until.hour, until.minute, until.utcoffset()) == (0, 0, timedelta(0))
    assert until.date() == clock().date() + timedelta(days=1)
    clock.ahead += until - clock() - timedelta(seconds=30)
    assert findings(judged(small, clock))[RULE][0] is Status.WAIVED
    clock.ahead += timedelta(seconds=31)
    assert findings(judged(small, clock))[RULE][0] is Status.OPEN


def test_what_is_waived_anew_is_not_expired(small: Small, clock: Clock) -> None:
    waived(small, 'namespace = "acme/*"', left=-1)
    waived(small, 'tenant = "acme"', left=30)
    found = judged(small, clock)
    assert findings(found)[RULE][0] is Status.WAIVED
    assert "waiver-expired" not in findings(found)


def test_a_waiver_that_is_taken_back_ends_at_once(small: Small, clock: Clock) -> None:
    before = small.config.read_text()
    waived(small, 'namespace = "acme/*"')
    assert findings(judged(small, clock))[RULE][0] is Status.WAIVED
    small.config.write_text(before)
    found = judged(small, clock)
    (one,) = [each for each in found.findings if each.rule == RULE]
    assert (one.status, one.waived_until, found.waivers) == (Status.OPEN, None, ())


def test_a_waived_finding_is_told_everywhere_and_alarms_nobody(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    last = (Clock()() + timedelta(days=100)).date()
    waived(small, 'namespace = "acme/*"')

    def run(*argv: str) -> tuple[int, str]:
        code = cli._run([argv[0], "--config", str(small.config), *argv[1:]])  # noqa: SLF001 - without the end of the process
        return code, capsys.readouterr().out

    code, table = run("scan", "--fail-on", "low", "--allow-gaps", "not_visible")
    assert code == 0
    (line,) = [each for each in table.splitlines() if each.startswith("waived until ")]
    through = f"{last} (UTC, that day included)"
    assert line.startswith(f"waived until {through} by ada@acme.example: critical data-unreadable")
    assert "10 of 20 objects cannot be read now" in table, "nothing turns green"
    code, text = run("report", "--as", "json", "--output", "-")
    told = json.loads(text)
    jsonschema.validate(told, scan_json.schema())
    (one,) = [each for each in told["findings"] if each["rule"] == RULE]
    assert one["status"] == "waived"
    assert told["waivers"][0]["covers"] == [one["id"]]
    assert told["waivers"][0]["owner"] == "ada@acme.example"
    page = small.config.parent / "report.html"
    run("report", "--output", str(page))
    assert "waived</a></li>" in page.read_text()
    assert f"waived until {through}<" in page.read_text(), "the day that the config names, and no other"
    assert f'<span class="quiet"><span class="whole">{last}</span> (UTC, that day included)</span>' in page.read_text()
    assert 'Nothing is open: what was found is <a href="#waivers">waived</a>.' in page.read_text()
    assert "No exception was found in" not in page.read_text()
    assert f'id="f-{one["id"]}"' in page.read_text()
    _, explained = run("explain", one["id"])
    assert f"until {through} by ada@acme.example, approved by head of security: a migration" in explained


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a rule that is none": ("there is no rule 'data-lots' to be waived", {"rule": "data-lots"}),
    "a rule about waivers": ("there is no rule 'waiver-expired' to be waived", {"rule": "waiver-expired"}),
    "more than a year": ("is more than a year ahead", {"left": 368}),
    "a part of what is no data": ("of rotation-off are about keys or buckets as a whole", {"rule": "rotation-off"}),
    "a part of a bucket": ("of sweep-stale are about keys or buckets as a whole", {"rule": "sweep-stale"}),
}


@pytest.mark.parametrize(("told", "how"), REFUSED.values(), ids=REFUSED)
def test_a_waiver_that_nobody_should_give_is_refused(small: Small, told: str, how: dict[str, Any]) -> None:
    waived(small, 'namespace = "acme/*"')
    waived(small, 'namespace = "acme/old"', **how)
    with pytest.raises(UsageError, match="waiver 2: ") as refused:
        assemble(load(small.config))
    assert told in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ("", "name a key, bucket, namespace or tenant"),
        ('namespace = ""', "waiver[1].match.namespace"),
        ('key = "main"', "is not the full name of a key"),
        (f'key = "{GOOGLE_KEY}/1"', "nor of a version of it (KEY/cryptoKeyVersions/N)"),
        (f'key = "{GOOGLE_KEY}/cryptoKeyVersions/01"', "nor of a version of it (KEY/cryptoKeyVersions/N)"),
        (f'key = "{GOOGLE_KEY}/cryptoKeyVersions/"', "nor of a version of it (KEY/cryptoKeyVersions/N)"),
        ('bucket = "data"', "does not begin with s3:// or gs://"),
        ('names = "x"', "waiver[1].match.names: there is no such setting"),
    ],
)
def test_a_waiver_of_nothing_in_particular_is_refused(small: Small, match: str, told: str) -> None:
    waived(small, match)
    with pytest.raises(UsageError) as refused:
        load(small.config)
    assert told in str(refused.value)


def test_a_waiver_for_ever_is_refused(small: Small) -> None:
    waived(small, 'namespace = "acme/*"')
    small.config.write_text(re.sub("until = .*", "until = 9999-12-31", small.config.read_text()))
    with pytest.raises(UsageError, match=r"waiver\[1\]\.until"):
        load(small.config)


def test_a_waiver_is_no_other_config(small: Small) -> None:
    before = load(small.config).digest
    waived(small, 'namespace = "acme/*"')
    assert load(small.config).digest == before


def test_namespaces_prove_nothing_in_a_bucket_some_of_whose_keys_are_not_known(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_aws_cloud(monkeypatch) as cloud:
        cloud.store.add_bucket("objects")
        cloud.store.add_key(AWS_KEY, state="Disabled")
        for name in ("acme/old/1", "bank/prod/1"):
            cloud.store.put("objects", name, sse="aws:kms", key=AWS_KEY)
        small.set_state(1, "ENABLED")
        small.config.write_text(f"{small.config.read_text()}{PLATFORM}{AWS_CONFIG}")
        waived(small, 'namespace = "acme/*"')
        assert findings(judged(small, Clock()))[RULE][0] is Status.OPEN
        cloud.traffic.fail("HEAD /objects/bank", status=403)
        found = judged(small, Clock())
        assert findings(found)[RULE][0] is Status.OPEN
        assert len(found.waivers[0].in_part) == 1


def test_what_was_waived_and_is_resolved_is_waived_no_more(small: Small, clock: Clock) -> None:
    waived(small, 'namespace = "acme/*"')
    judged(small, clock)
    small.set_state(1, "ENABLED")
    (one,) = [each for each in judged(small, clock).findings if each.rule == RULE]
    assert (one.status, one.waived_until) == (Status.RESOLVED, None)


def test_a_finding_on_a_key_as_a_whole_is_not_one_on_the_version_that_its_data_is_under(
    small: Small, clock: Clock
) -> None:
    small.set_state(1, "ENABLED")
    small.set_state(2, "DISABLED")
    objects = small.cloud.store.buckets["data"].objects
    small.cloud.store.buckets["data"].objects = [one for one in objects if "/old/" in one.name]
    waived(small, f'key = "{OLD}"', rule="primary-unusable")
    assert findings(judged(small, clock))["primary-unusable"][0] is Status.OPEN
    waived(small, f'key = "{GOOGLE_KEY}"', rule="primary-unusable")
    assert findings(judged(small, clock))["primary-unusable"][0] is Status.WAIVED


def test_two_waivers_of_the_same_are_refused(small: Small) -> None:
    for left in (3, 30):
        waived(small, 'namespace = "acme/*"', left)
    with pytest.raises(UsageError, match="is given twice"):
        load(small.config)


EMPTY = replace(a_finding(), rule="rotation-off", members=(), subject=Subject(SubjectKind.KEY, GOOGLE_KEY))
OF_BUCKET = replace(EMPTY, subject=Subject(SubjectKind.BUCKET, "gs://data"))
NO_DATA: dict[str, tuple[Finding, dict[str, str], bool]] = {
    "its key": (EMPTY, {"key": GOOGLE_KEY}, True),
    "its version": (replace(EMPTY, subject=Subject(SubjectKind.KEY_VERSION, OLD)), {"key": OLD}, True),
    "the key of its version": (
        replace(EMPTY, subject=Subject(SubjectKind.KEY_VERSION, OLD)),
        {"key": GOOGLE_KEY},
        True,
    ),
    "another key": (EMPTY, {"key": f"{GOOGLE_KEY}2"}, False),
    "its bucket": (OF_BUCKET, {"bucket": "gs://d*"}, True),
    "a bucket, of a key": (EMPTY, {"bucket": "*"}, False),
    "a key, of a bucket": (OF_BUCKET, {"key": "*"}, False),
    "namespaces": (EMPTY, {"namespace": "*"}, False),
    "tenants": (EMPTY, {"tenant": "*", "key": "*"}, False),
}


@pytest.mark.parametrize(("one", "match", "is_waived"), NO_DATA.values(), ids=NO_DATA)
def test_a_finding_that_no_data_hangs_on_is_waived_by_its_name(
    one: Finding, match: dict[str, str], *, is_waived: bool
) -> None:
    waiver = Waiver("rotation-off", NOW + days(1), "o", "a", "r", **match)
    (found,), _ = waive([one], [waiver], NOW, SIGHT)
    assert (found.status is Status.WAIVED) is is_waived


def _never(*_: object) -> list[tuple[int, int]]:
    raise AssertionError("nobody has to look into namespaces")


SIGHT = Sight(of_data={"stale-version"}, hidden=(), beyond=_never)


def test_of_several_waivers_the_last_to_end_counts_and_one_that_is_over_does_not() -> None:
    ends = [NOW + days(one) for one in (2, 9, 5)]
    (found,), given = waive([EMPTY], [_until(one) for one in ends], NOW, SIGHT)
    assert (found.waived_until, [one.covers for one in given]) == (ends[1], [(EMPTY.id,)] * 3)
    for one in (NOW, NOW - days(1)):
        (found,), (over,) = waive([replace(found, status=Status.WAIVED)], [_until(one)], NOW, SIGHT)
        assert (found.status, found.waived_until, over.covers) == (Status.OPEN, None, (EMPTY.id,))


def _until(end: datetime) -> Waiver:
    return Waiver("rotation-off", end, "o", "a", "r", key=GOOGLE_KEY)


@pytest.mark.parametrize(
    ("each", "together"),
    [
        (((Portion.MIXED_KEYS,), (Portion.WRONG_KEY, Portion.MIXED_KEYS)), (Portion.WRONG_KEY, Portion.MIXED_KEYS)),
        (((Portion.MIXED_KEYS,), ()), ()),
        (((), ()), ()),
    ],
    ids=["of two parts", "of a part and of all", "of all twice"],
)
def test_a_waiver_of_several_findings_is_about_all_the_data_that_one_of_them_is_about(
    each: tuple[Portions, ...], together: Portions
) -> None:
    findings = [replace(a_finding(), id=f"f{place}", portions=some) for place, some in enumerate(each)]
    waiver = Waiver("mixed-keys", NOW + days(1), "security", "security", "a migration")
    facts = Facts(FixedHoldings(a_holding()), {}, {}, (), Policy(), NOW)
    (told,) = judge_waivers(facts, load_rules(), [GivenWaiver(waiver, ("f0", "f1"))], findings).findings
    assert (told.rule, told.portions, told.members) == ("waiver-ending", together, a_finding().members)


def test_what_is_resolved_is_waived_by_nobody() -> None:
    gone = replace(EMPTY, status=Status.RESOLVED)
    assert waive([gone], [_until(NOW + days(1))], NOW, SIGHT)[0] == (gone,)


PARTS = st.text(st.sampled_from("ab/%_!*[\\.\n"), max_size=6)


@given(PARTS, PARTS)
def test_a_star_is_any_text_and_nothing_else_is_special(pattern: str, text: str) -> None:
    pieces = pattern.split("*")

    def rest(text: str, pieces: list[str]) -> bool:
        if len(pieces) == 1:
            return text == pieces[0]
        if not text.startswith(pieces[0]):
            return False
        text = text[len(pieces[0]) :]
        return any(rest(text[place:], pieces[1:]) for place in range(len(text) + 1))

    assert fits(pattern, text) is rest(text, pieces)


def test_a_finding_on_what_no_waiver_can_name_is_offered_none() -> None:
    store = replace(a_finding(), subject=Subject(SubjectKind.KEY_STORE, "cks-1"))
    who = replace(a_finding(), subject=Subject(SubjectKind.PRINCIPAL, f'x"\n[evil] -> {GOOGLE_KEY}'))
    bucket = replace(a_finding(), subject=Subject(SubjectKind.BUCKET, "gs://data"))
    assert waiver_of(store, NOW) == ()
    assert 'match = { bucket = "gs://data" }' in waiver_of(bucket, NOW)
    assert f'match = {{ key = "{GOOGLE_KEY}" }}' in waiver_of(who, NOW)
    assert waiver_of(replace(who, status=Status.RESOLVED), NOW) == ()


def test_what_explain_offers_waives_the_finding_once_somebody_answers_for_it(small: Small, clock: Clock) -> None:
    ring = GOOGLE_KEY.rpartition("/cryptoKeys/")[0]
    small.cloud.store.grant(ring, "roles/cloudkms.cryptoKeyDecrypter", "allUsers")
    found = judged(small, clock)
    of_subjects = {one.id for one in found.findings}
    assert {one.subject.kind.value for one in found.findings} == {"key_version", "key"}
    offered = {one.id: "\n".join(waiver_of(one, found.now)) for one in found.findings}
    assert {name for name, text in offered.items() if text} == of_subjects
    before = small.config.read_text()
    small.config.write_text(f"{before}\n{next(filter(None, offered.values()))}\n")
    with pytest.raises(UsageError, match="owner"):
        load(small.config)
    every = "\n".join(filter(None, offered.values())).replace('""', '"somebody"')
    small.config.write_text(f"{before}\n{every}\n")
    now = judged(small, clock)
    assert {one.id for one in now.findings if one.status is Status.WAIVED} == of_subjects
    assert all(waiver_of(one, now.now) == () for one in now.findings if one.id in of_subjects)
