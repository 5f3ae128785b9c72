"""Names that customers, or their enemies, choose must be harmless in every output."""

import base64
import csv
import hashlib
import html as html_of
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TextIO

import jsonschema
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from auditor.controls.answer import ControlStanding, Excused, FrameworkStanding, RuleStanding, State
from auditor.controls.catalogue import frameworks
from auditor.findings import (
    Assessed,
    Assessment,
    Basis,
    BucketCoverage,
    Coverage,
    Finding,
    Judgement,
    Member,
    Readability,
    Run,
    Severity,
    Subject,
    SubjectKind,
    Undo,
    member_of,
)
from auditor.log import _Json, _Plain, visible
from auditor.model import Dependency, Encryption, Evidence, Extent, Gap, Holding, Population, Reason
from auditor.outputs import diff_json, diff_table, html, metrics, scan_json, tabular, terminal
from auditor.outputs.controls import Found
from auditor.outputs.page import Manifest
from auditor.ports import NamespaceRow, Portions
from auditor.questions.diff.answer import (
    Change,
    ChangedFinding,
    ComparedBucket,
    Data,
    Difference,
    Group,
    How,
    KeyChange,
    Place,
    Total,
    Turn,
)
from auditor.rules import load
from auditor.waiver import Waiver
from tests.core_builders import GCP_KEY, NOW, a_gcp_key, a_holding, a_version
from tests.hostile import NAMES
from tests.test_engine import found, judged


class Rows:
    """One namespace with a hostile name."""

    def __init__(self, name: str, holding: Holding) -> None:
        self._name = name
        self._holding = holding

    def count_namespaces(self, members: Iterable[Member]) -> int:
        del members
        return 1

    def rows(
        self, assessed: Iterable[Assessed], offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[Dependency, Assessed]]:
        del offset, limit
        one = self._holding
        yield (
            Dependency(
                bucket=one.bucket,
                namespace=self._name,
                tenant=self._name,
                population=Population.LIVE,
                encryption=Encryption.CMEK,
                key=one.key,
                key_version=one.key_version,
                objects=one.objects,
                size=one.size,
                archived=0,
                oldest=one.oldest,
                newest=one.newest,
                samples=(self._name,),
                owner=self._name,
                team=self._name,
            ),
            next(iter(assessed)),
        )

    def namespaces(
        self, members: Iterable[Member], offset: int = 0, limit: int | None = None, portions: Portions = ()
    ) -> Iterator[NamespaceRow]:
        del members, offset, limit, portions
        yield NamespaceRow("gs://data", self._name, self._name, 1, 1, owner=self._name, team=self._name)

    def worst_namespaces(self, assessed: Iterable[Assessed], limit: int) -> tuple[NamespaceRow, ...]:
        del assessed, limit
        return (NamespaceRow("gs://data", self._name, self._name, 1, 1, Readability.LOST, self._name, self._name),)

    def named(self, assessed: Iterable[Assessed], name: str, **how: object) -> tuple[NamespaceRow, ...]:
        del name, how
        return self.worst_namespaces(assessed, 1)

    def of_namespace(
        self, assessed: Iterable[Assessed], bucket: str, namespace: str, offset: int, limit: int
    ) -> Iterator[tuple[Dependency, Assessed]]:
        del bucket, namespace
        return self.rows(assessed, offset, limit)

    def namespaces_by_readability(self, assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability], int]:
        del assessed
        return {("gs://data", Readability.LOST): 1}


def a_judgement(name: str) -> tuple[Judgement, Rows]:
    """Every free text of a judgement is the hostile name."""
    holding = a_holding(GCP_KEY, "1")
    assessment = Assessment(
        Readability.LOST,
        Basis.STATE,
        f"cause {name}",
        Subject(SubjectKind.HSM_INSTANCE, name),
        final_at=NOW + timedelta(days=1),
        undo=(Undo(f"call {name}", "somebody", "ENABLED"),),
        evidence=(Evidence("a call", name, NOW, name, "0" * 64),),
    )
    key = a_gcp_key(a_version("1", "DISABLED"))
    finding: Finding = replace(
        found(judged(holding, keys={GCP_KEY: (key, None)}))["data-unreadable"],
        subject=assessment.subject,
        cause=assessment.cause,
        undo=assessment.undo,
        evidence=assessment.evidence,
        final_at=assessment.final_at,
        extent=Extent(1, 1, 1, (name,), (name,), (name,), (name,)),
        members=(member_of(holding),),
    )
    coverage = Coverage((BucketCoverage("gs://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW, name),), 1, 1, None)
    judgement = Judgement(
        run=Run("id", NOW, NOW, "0", (name,), "c" * 64, "r", timedelta(0)),
        now=NOW,
        coverage=coverage,
        assessed=(Assessed(holding, Encryption.CMEK, assessment),),
        findings=(finding,),
        gaps=(Gap(name, Reason.TIMEOUT, name, name),),
        tallies=(),
        sweeps=("s1",),
    )
    return judgement, Rows(name, holding)


def a_difference(name: str) -> Difference:
    """Every free text of a difference is the hostile name."""
    judgement, _ = a_judgement(name)
    (finding,) = judgement.findings
    version = GCP_KEY.text, "1", Readability.LOST, Population.LIVE
    place = Place(Encryption.CMEK, *version)
    kinds = [(change, turn) for change in Change for turn in Turn]
    gap = judgement.gaps
    return Difference(
        before=judgement,
        after=judgement,
        buckets=(ComparedBucket(name, How.NOT, None, None, name, (Population.LIVE,)),),
        data=Data(
            groups=tuple(Group(*kind, name, place, place, 1, 1, None, (f"{name}/{name}",)) for kind in kinds),
            by_turn=dict.fromkeys(Turn, Total(1, 1, None)),
            by_change=dict.fromkeys(Change, Total(1, 1, 1)),
            unchanged=1,
            not_compared=(1, 1),
        ),
        keys=(KeyChange(GCP_KEY, f"right {name}", name, name, NOW, 2), KeyChange(GCP_KEY, "state", name, None, NOW, 1)),
        opened=(finding,),
        closed=(finding,),
        changed=(ChangedFinding(finding, replace(finding, severity=Severity.LOW, final_at=None)),),
        passed=(finding,),
        unseen=frozenset({finding.id}),
        gaps=gap,
        gaps_opened=gap,
        gaps_closed=gap,
        gaps_standing=gap,
        otherwise=(f"waiver of {name}",),
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def a_waiver(name: str) -> Waiver:
    return Waiver("data-lost", NOW, name, name, name)


def found_of(name: str, rules: Mapping[str, RuleStanding] | None = None, *, asked: bool = False) -> Found:
    """Every free text of what the rules found is the hostile name."""
    excused = Excused(a_judgement(name)[0].findings[0], (a_waiver(name),))
    each = rules or {
        rule.id: RuleStanding(rule.id, State.EXCEPTION, 1, 1, 1, 1, (name,), (name,), excused=(excused,))
        for rule in load()
    }
    told = tuple(
        FrameworkStanding(
            one,
            tuple(
                ControlStanding(control, State.EXCEPTION, tuple(each[rule] for rule in control.rules))
                for control in one.controls
                if control.rules
            ),
            (),
        )
        for one in frameworks()
    )
    return Found(told, each, asked=asked)


def page_of(name: str) -> str:
    judgement, rows = a_judgement(name)
    demands = tuple(rule.demand for rule in load())
    return html.render(
        judgement,
        rows,
        demands,
        Manifest(((name, "0" * 64),), 1, "0" * 64),
        NOW,
        found=found_of(name),
        difference=a_difference(name),
    )


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_html_has_the_same_tags_whatever_the_names(name: str) -> None:
    plain, hostile = Tags(), Tags()
    plain.feed(page_of("harmless"))
    text = page_of(name)
    hostile.feed(text)
    assert (hostile.tags, hostile.attributes) == (plain.tags, plain.attributes)
    assert hostile.tags.count("script") == 1
    ours = (Path(__file__).parents[2] / "reports/static/report.js").read_text()
    assert text.partition("<script>")[2].partition("</script>")[0] == ours
    digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'; base-uri" in html_of.unescape(text.partition("<style>")[0])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "http:" not in text.partition("</style>")[0]
    assert "https:" not in text.partition("</style>")[0]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_json_gives_names_back_as_they_are_and_stays_valid(name: str) -> None:
    judgement, rows = a_judgement(name)
    out = io.StringIO()
    scan_json.write(judgement, rows, out, found_of(name).frameworks)
    told = json.loads(out.getvalue())
    jsonschema.Draft202012Validator(scan_json.schema()).validate(told)
    assert told["dependencies"][0]["namespace"] == name
    assert told["gaps"][0]["what"] == name
    assert told["controls"][0]["rules"][0]["not_seen"] == [name]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_json_of_a_difference_gives_names_back_as_they_are_and_stays_valid(name: str) -> None:
    out = io.StringIO()
    diff_json.write(a_difference(name), out)
    told = json.loads(out.getvalue())
    jsonschema.Draft202012Validator(diff_json.schema()).validate(told)
    assert told["groups"][0]["sample_namespaces"] == [f"{name}/{name}"]
    assert {gaps[0]["what"] for gaps in told["gaps"].values()} == {name}
    assert told["keys"][0]["fact"] == f"right {name}"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    judgement, rows = a_judgement(name)
    writers: list[Callable[[TextIO], None]] = [
        lambda out: tabular.write_findings(judgement, out),
        lambda out: tabular.write_dependencies(judgement, rows, out),
        lambda out: tabular.write_gaps(judgement, out),
        lambda out: tabular.write_namespaces(rows.namespaces(()), out),
    ]
    for write in writers:
        out = io.StringIO(newline="")
        write(out)
        cells = [cell for row in csv.reader(io.StringIO(out.getvalue(), newline="")) for cell in row]
        assert any(name in cell for cell in cells)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)


@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\x00", "\ufeff", "\u200e", "\t", "\r\n"])
@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_what_a_spreadsheet_drops_or_takes_for_a_sign_does_not_begin_a_cell(before: str, sign: str) -> None:
    assert tabular.safe(f"{before}{sign}1") == f"'{before}{sign}1"


def test_what_begins_otherwise_and_a_number_stay_as_they_are() -> None:
    assert [tabular.safe(one) for one in ("a=1", " a=1", -1, None)] == ["a=1", " a=1", "-1", ""]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


COMMANDS = {
    **NAMES,
    "title and clear": "acme/\x1b]0;pwned\x07\x1b[2J",
    "8 bit": "acme/\x9b31m\x85",
    "bidi": "acme/\u202e\u2066\u2028",
}


@pytest.mark.parametrize("name", COMMANDS.values(), ids=COMMANDS)
def test_a_csv_is_exact_for_a_machine_and_harmless_on_a_terminal(name: str) -> None:
    judgement, rows = a_judgement(name)
    writers: list[Callable[[TextIO], None]] = [
        lambda out: tabular.write_findings(judgement, out),
        lambda out: tabular.write_dependencies(judgement, rows, out),
        lambda out: tabular.write_gaps(judgement, out),
        lambda out: tabular.write_namespaces(rows.namespaces(()), out),
    ]
    for write in writers:
        screen, file = Screen(newline=""), io.StringIO(newline="")
        write(screen)
        write(file)
        assert name in file.getvalue().replace('""', '"')
        assert all(line.isprintable() for line in screen.getvalue().split("\r\n"))


@pytest.mark.parametrize("width", [300, 60])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_terminal_shows_no_control_character(name: str, width: int) -> None:
    judgement, _ = a_judgement(name)
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    terminal.show(judgement, console)
    console.print(terminal.explain(judgement.findings[0], None, judgement))
    console.print(diff_table.difference(a_difference(name)))
    assert all(char == "\n" or char.isprintable() for char in out.getvalue())


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_log_line_stays_one_line(name: str) -> None:
    record = logging.LogRecord("auditor", logging.INFO, "", 0, "swept %s", (name,), None)
    assert _Plain().format(record).isprintable()
    told = _Json().format(record)
    assert (told.isprintable(), json.loads(told)["message"]) == (True, f"swept {name}")


@pytest.mark.parametrize("name", COMMANDS.values(), ids=COMMANDS)
def test_metrics_stay_one_line_a_sample(name: str) -> None:
    judgement, rows = a_judgement(name)
    collector = metrics.JudgementCollector(
        lambda: judgement, lambda _: rows, dict, dict, reloaded=bool, leads=bool, rules=(), version=("0", "r")
    )

    text = generate_latest(metrics.registry(collector)).decode()
    assert all(line.isprintable() for line in text.split("\n"))
    families = {one.name: one for one in text_string_to_metric_families(text)}
    labels = families["cmek_finding_info"].samples[0].labels
    for told in (labels["tenant"], labels["owner"], labels["team"]):
        assert told == name if name.isprintable() else told.startswith(f"{visible(name)} (")


def test_tenants_whose_names_look_alike_are_told_apart_in_metrics() -> None:
    judgement, rows = a_judgement("harmless")
    names = ("acme\x1b", "acme\\x1b", "acme\r", "acme\\r", "acme\0", "acme\ud800", "acme")
    findings = (replace(judgement.findings[0], id=name, extent=Extent(1, 1, 1, (name,))) for name in names)
    many = replace(judgement, findings=tuple(findings))
    collector = metrics.JudgementCollector(
        lambda: many, lambda _: rows, dict, dict, reloaded=bool, leads=bool, rules=(), version=("0", "r")
    )
    text = generate_latest(metrics.registry(collector)).decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    told = {one.labels["tenant"] for one in families["cmek_finding_info"].samples}
    assert len(told) == len(names)
    assert all(one.isprintable() for one in told)


def test_the_page_stays_small_whatever_the_fleet() -> None:
    judgement, rows = a_judgement("n" * 1024)
    (one,) = judgement.findings
    many = tuple(
        replace(
            one, id=f"{number:016x}", evidence=one.evidence * 500, extent=Extent(1, 1, 1, *[("n" * 1024,) * 20] * 4)
        )
        for number in range(5_000)
    )
    holdings = tuple(
        replace(judgement.assessed[0], holding=replace(judgement.assessed[0].holding, key_version=str(number)))
        for number in range(5_000)
    )
    large = replace(judgement, findings=many, assessed=holdings, gaps=judgement.gaps * 5_000)
    less = a_difference("n" * 1024)
    data = replace(less.data, groups=less.data.groups * 500)
    much = replace(less, data=data, keys=less.keys * 5_000, opened=less.opened * 5_000, gaps=less.gaps * 5_000)
    manifest = Manifest((("f" * 200, "0" * 64),) * 5_000, 1, "0" * 64)
    standing = replace(
        found_of("n" * 1024).rules["data-lost"],
        excused=tuple(Excused(one, (a_waiver(f"{number}" * 200),)) for number in range(2_000)),
    )
    found = found_of("n" * 1024, dict.fromkeys(found_of("x").rules, standing))
    page = html.render(large, rows, (), manifest, NOW, found=found, difference=much)
    assert len(page.encode()) < 5_000_000
    assert "4800 more are not shown here" in page
