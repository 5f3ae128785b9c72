"""Who answers for data: labels of registries and keys reach every output, and decide nothing."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from auditor import cli
from auditor.config import load
from auditor.findings import Finding, Judgement
from auditor.inventory.dependencies import Dependencies
from auditor.model import Reason
from auditor.outputs import metrics
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.ownership.test_registry import found, judged, said, small
from tests.small import Small
from tests.web.test_web import ask, readings

__all__ = ["small"]
HEADER = "namespace,key,tenant,owner,team"
REST = ("acme/plain,,,,", "zeta/plain,,,,")
OF_THE_KEY = f'\n[[key]]\nname = "{GOOGLE_KEY}"\nowner = "keys@acme.example"\nteam = "key desk"\n'


def unreadable(judgement: Judgement) -> Finding:
    """The finding about version 1, which is disabled."""
    (one,) = (each for each in judgement.findings if each.rule == "data-unreadable")
    return one


def of_version_1(small: Small, *lines: str) -> Finding:
    said(small, *lines, *REST, header=HEADER)
    small.set_state(1, "DISABLED")
    return unreadable(judged(small))


def labels(finding: Finding) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return finding.extent.owners, finding.extent.teams


def infos(small: Small, judgement: Judgement) -> Iterator[dict[str, str]]:
    """The labels of each finding that the metrics name."""
    assembly = assemble(load(small.config), small.cloud.store.clock)
    collector = metrics.JudgementCollector(
        lambda: judgement, assembly.rows, dict, dict, reloaded=bool, leads=bool, rules=(), version=("0", "r")
    )
    for family in collector.collect():
        if family.name == "cmek_finding_info":
            yield from (one.labels for one in family.samples)
    assembly.close()


def test_a_finding_names_who_answers_for_the_data_that_hangs_on_it(small: Small) -> None:
    one = of_version_1(small, f"acme/old,{GOOGLE_KEY},,ada@acme.example,search", "acme/new,,,bob@acme.example,billing")
    assert labels(one) == (("ada@acme.example",), ("search",))


def test_every_output_tells_who_answers(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    one = of_version_1(small, "acme/old,,,ada@acme.example,search", "acme/new,,,,")
    judgement = judged(small, sweep=False)
    assert cli._run(small.argv("explain", one.id)) == 0  # noqa: SLF001 - without the end of the process
    lines = capsys.readouterr().out.splitlines()
    assert {"owners      ada@acme.example", "teams       search"} <= set(lines)

    assert cli._run(small.argv("explain", one.id, "--namespaces")) == 0  # noqa: SLF001 - as above
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["namespace"], row["owner"], row["team"]) == ("acme/old", "ada@acme.example", "search")

    assembly = assemble(load(small.config), small.cloud.store.clock)
    answer = ask(f"/api/v1/findings/{one.id}/namespaces", replace(readings(lambda: judgement), rows=assembly.rows))
    assembly.close()
    (listed,) = json.loads(answer.text)["items"]
    assert (listed["owner"], listed["team"]) == ("ada@acme.example", "search")

    out = small.config.parent / "out"
    assert cli._run(small.argv("report", "--as", "html,json,csv", "--output", str(out))) == 0  # noqa: SLF001 - as above
    document = json.loads(out.with_suffix(".json").read_text())
    (finding,) = (each for each in document["findings"] if each["id"] == one.id)
    assert (finding["owners"], finding["teams"]) == (["ada@acme.example"], ["search"])
    rows = {each["namespace"]: (each["owner"], each["team"]) for each in document["dependencies"]}
    assert (rows["acme/old"], rows["acme/new"]) == (("ada@acme.example", "search"), (None, None))
    page = out.with_suffix(".html").read_text()
    assert "<dt>owners</dt><dd>ada@acme.example</dd>" in page
    assert "<td>ada@acme.example</td><td>search</td>" in page
    with out.with_suffix(".csv").open() as file:
        (line,) = (each for each in csv.DictReader(file) if each["id"] == one.id)
    assert (line["owners"], line["teams"]) == ("ada@acme.example", "search")

    assert cli._run(small.argv("impact", GOOGLE_KEY, "--action", "destroy")) == 1  # noqa: SLF001 - as above
    assert "teams       search" in capsys.readouterr().out


def test_an_alert_finds_owner_and_team_among_the_labels_of_a_finding(small: Small) -> None:
    of_version_1(small, 'acme/old,,,"Ada ""the key"" \\ L.",search', "acme/new,,,,")
    (info,) = (one for one in infos(small, judged(small, sweep=False)) if one["rule"] == "data-unreadable")
    assert (info["owner"], info["team"]) == ('Ada "the key" \\ L.', "search")


def test_data_of_several_teams_is_no_single_ones(small: Small) -> None:
    said(small, "acme/old,,,ada,search", "acme/new,,,ada,billing", *REST, header=HEADER)
    small.set_state(1, "DISABLED")
    small.set_state(2, "DISABLED")
    judged(small)
    small.cloud.store.delete_key(GOOGLE_KEY)
    judgement = judged(small)
    told = [one for one in judgement.findings if one.extent.namespaces == 2 and one.extent.owners]
    assert told
    assert {labels(one) for one in told} == {(("ada",), ("billing", "search"))}
    assert {(one["owner"], one["team"]) for one in infos(small, judgement)} == {("ada", "")}


def test_who_answers_for_a_key_answers_for_data_of_which_no_registry_says_so(small: Small) -> None:
    small.config.write_text(small.config.read_text() + OF_THE_KEY)
    assert labels(of_version_1(small, "acme/old,,,,search", "acme/new,,,,")) == (("keys@acme.example",), ("search",))


def test_who_answers_for_a_key_the_config_says_without_any_registry(small: Small) -> None:
    text = small.config.read_text().partition("[[registry]]")[0]
    small.config.write_text(text + OF_THE_KEY)
    small.set_state(1, "DISABLED")
    one = unreadable(judged(small))
    assert labels(one) == (("keys@acme.example",), ("key desk",))
    small.config.write_text(small.config.read_text().replace("key desk", "new desk"))
    assert labels(unreadable(judged(small, sweep=False))) == (("keys@acme.example",), ("new desk",))


def test_labels_decide_nothing(small: Small) -> None:
    lines = (f"acme/old,{GOOGLE_KEY},,ada,search", "acme/new,,,bob,billing")
    said(small, *lines, *REST, header=HEADER)
    judgement = judged(small)
    assert found(judgement) == {}
    assert not [gap for gap in judgement.gaps if "registr" in gap.what]


def test_two_owners_of_one_namespace_are_a_gap_and_neither_is_told(small: Small) -> None:
    one = of_version_1(small, f"acme/old,{GOOGLE_KEY},acme,ada,search", "acme/old,,,bob,search", "acme/new,,,,")
    assert labels(one) == ((), ("search",))
    judgement = judged(small, sweep=False)
    (gap,) = (each for each in judgement.gaps if each.what == "registries")
    assert (gap.reason, "different owners or teams of 1 namespace:" in gap.effect) == (Reason.MALFORMED, True)
    # What they say of keys counts all the same.
    assert not [each for each in judgement.findings if each.rule == "registry-mismatch"]


def test_who_answers_for_the_key_does_not_answer_for_data_of_which_registries_part(small: Small) -> None:
    small.config.write_text(small.config.read_text() + OF_THE_KEY)
    assert labels(of_version_1(small, "acme/old,,,ada,search", "acme/old,,,bob,search", "acme/new,,,,")) == (
        (),
        ("search",),
    )


def test_an_owner_of_another_kind_than_text_is_not_heeded(small: Small) -> None:
    small.config.write_text(small.config.read_text().replace("namespaces.csv", "namespaces.json"))
    told = [{"namespace": "acme/old", "owner": ["ada"]}, {"namespace": "acme/new", "team": "search"}]
    (small.config.parent / "namespaces.json").write_text(json.dumps(told))
    effects = [gap.effect for gap in judged(small).gaps if gap.what.startswith("registry")]
    assert any("the first is entry 1: owner is no text" in effect for effect in effects)


def test_what_an_older_version_put_beside_registries_names_nobody(small: Small, tmp_path: Path) -> None:
    said(small, "acme/old,,,ada,search", "acme/new,,,,", *REST, header=HEADER)
    judged(small)
    (placed,) = small.config.parent.glob("state/registry/all-*/placed-*.parquet")
    older = tmp_path / "older.parquet"
    pq.write_table(pq.read_table(placed).drop_columns(["owner", "team"]), older)
    for files, owners in (([older], set()), ([older, placed], {"ada"})):
        rows = Dependencies([], files)
        members = [(one.bucket, one.encryption, one.key, one.key_version) for one in rows.holdings()]
        (extent,) = rows.extents([members])
        assert set(extent.owners) == owners
