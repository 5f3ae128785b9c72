import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from auditor import cli
from auditor.connectors.gcp import keys, listing
from auditor.controls.catalogue import frameworks
from auditor.errors import ReadOnlyError
from auditor.inventory.folders import folder_name
from auditor.model import GcpKeyVersion
from auditor.outputs import period_json
from auditor.rules import load as load_rules
from tests.clouds import GOOGLE_KEY
from tests.forked import COMMAND, Forked
from tests.small import Small, a_small_cloud


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def run(capsys: pytest.CaptureFixture[str], argv: list[str]) -> tuple[int, str, str]:
    code = cli._run(argv)  # noqa: SLF001 - the command without the end of the process
    out, err = capsys.readouterr()
    return code, out, err


def findings(text: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(text)["findings"]
    return told


def test_a_healthy_fleet_ends_with_0(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, small.argv("scan"))
    assert (code, "No proven obstacle stops a read of any of the 20 objects." in out) == (0, True)
    assert "swept gs://data: 20 objects" in err
    assert "polled 1 of 1 key" in err


def test_a_finding_ends_with_1_and_the_table_names_it(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.set_state(1, "DISABLED")
    code, out, _ = run(capsys, small.argv("scan", "--quiet"))
    assert code == 1
    assert "10 of 20 objects cannot be read now" in out
    assert "data-unreadable" in out
    assert "acme/us-east1/tpuf/main version 1" in out


def test_a_gap_alone_ends_with_3_unless_it_is_allowed_and_1_at_a_lower_level(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.cloud.store.deny("cloudkms.cryptoKeyVersions.list", GOOGLE_KEY)
    assert run(capsys, small.argv("scan"))[0] == 3
    assert run(capsys, small.argv("poll", "--allow-gaps", "access_denied,throttled"))[0] == 0
    assert run(capsys, small.argv("poll", "--allow-gaps", "throttled"))[0] == 3
    assert run(capsys, small.argv("poll", "--fail-on", "medium"))[0] == 1


def test_a_poll_finds_a_change_without_listing(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan"))
    small.set_state(2, "DISABLED")
    listed = sum(one.service == "storage" for one in small.cloud.traffic.requests)
    code, out, _ = run(capsys, [*small.argv("poll", "--format", "json"), GOOGLE_KEY])
    assert (code, [one["rule"] for one in findings(out)]) == (1, ["data-unreadable"])
    assert sum(one.service == "storage" for one in small.cloud.traffic.requests) == listed
    small.set_state(2, "ENABLED")
    code, out, _ = run(capsys, small.argv("poll"))
    assert (code, "resolved: data-unreadable" in out) == (0, True)


def test_a_key_is_polled_by_the_name_that_tables_print(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan"))
    small.set_state(2, "DISABLED")
    for name, expected in (("acme/us-east1/tpuf/main", 1), ("acme/us-east1/tpuf/other", 2)):
        code, out, err = run(capsys, [*small.argv("poll"), name])
        assert (code, name in out + err) == (expected, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{GOOGLE_KEY}/cryptoKeyVersions/3", "leave /cryptoKeyVersions/N away"),
        ("arn:aws:kms:us-east-1:111122223333:alias/data", "is an alias"),
    ],
)
def test_a_poll_of_what_is_no_key_says_what_to_write(
    small: Small, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    code, _, err = run(capsys, [*small.argv("poll"), name])
    assert (code, told in err) == (2, True)


def test_what_is_piped_has_one_line_a_finding_that_explain_takes_its_id_from(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.set_state(2, "DISABLED")
    _, out, _ = run(capsys, small.argv("scan"))
    (row,) = (line for line in out.splitlines() if line.startswith("critical"))
    code, out, _ = run(capsys, [*small.argv("explain"), row.split()[-1]])
    (cause,) = (line for line in out.splitlines() if line.startswith("cause "))
    assert (code, cause.endswith("until it is enabled")) == (0, True)


def test_a_key_that_is_gone_is_a_finding_and_no_gap_beside_it(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.cloud.store.delete_key(GOOGLE_KEY)
    # Nobody may ask which keys were deleted.
    small.cloud.store.deny("cloudkms.retiredResources.list", "projects/acme/locations/us-east1")
    code, out, _ = run(capsys, small.argv("scan", "--format", "json"))
    told = json.loads(out)
    (finding,) = told["findings"]
    assert (code, finding["rule"], finding["confidence"], told["gaps"]) == (1, "data-lost", "inferred", [])


def test_a_key_that_is_gone_and_only_watched_is_a_gap(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(small.config.read_text() + f'[[key]]\nname = "{GOOGLE_KEY}-2"\n')
    code, out, _ = run(capsys, small.argv("scan", "--format", "json"))
    assert (code, [gap["reason"] for gap in json.loads(out)["gaps"]]) == (3, ["not_found"])


def test_a_revocation_that_is_meant_pages_nobody_and_is_still_told(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    meant = f'[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n'
    small.config.write_text(small.config.read_text() + meant)
    small.set_state(1, "DISABLED")
    code, out, _ = run(capsys, small.argv("scan", "--format", "json"))
    severities = {one["rule"]: one["severity"] for one in findings(out)}
    assert (code, severities) == (1, {"data-unreadable": "low", "revocation-incomplete": "high"})
    small.set_state(2, "DISABLED")
    code, out, _ = run(capsys, small.argv("poll", "--format", "json"))
    told = [(one["severity"], "revoked on purpose" in one["cause"]) for one in findings(out) if one["status"] == "open"]
    assert (code, told) == (0, [("low", True), ("low", True)])
    assert not any(one["undo"] for one in findings(out) if one["status"] == "open"), "who means it undoes nothing"
    _, out, _ = run(capsys, small.argv("poll"))
    assert "20 of 20 objects cannot be read now (20 as the config means it)" in out


def test_what_was_not_read_now_is_not_told_as_if_it_were(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan"))
    small.cloud.traffic.fail("/o?", status=403)
    small.cloud.traffic.fail("kms", status=403)
    code, out, _ = run(capsys, small.argv("scan"))
    assert code == 1
    assert "1 of 1 bucket swept (1 of them by an older sweep: the newest failed)" in out
    assert "1 of 1 key read (1 of them not now but before, the oldest at 2" in out


def test_what_the_config_leaves_out_is_told(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, small.argv("scan"))
    assert "left out" not in out
    small.config.write_text(small.config.read_text() + 'populations = ["live"]\n')
    code, out, _ = run(capsys, small.argv("scan"))
    assert code == 0
    assert "noncurrent objects left out in 1 bucket, soft-deleted objects left out in 1 bucket" in out
    _, out, _ = run(capsys, small.argv("poll", "--format", "json"))
    assert json.loads(out)["coverage"]["buckets"][0]["left_out"] == ["noncurrent", "soft_deleted"]
    assert cli._run(small.argv("report", "-o", str(small.config.with_name("r.html")))) == 0  # noqa: SLF001 - as above
    assert "left out by the config: noncurrent, soft_deleted" in small.config.with_name("r.html").read_text()


def test_what_a_sweep_left_out_is_a_gap_once_the_config_asks_for_it(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = small.config.read_text()
    small.config.write_text(whole + 'populations = ["live", "soft_deleted"]\n')
    assert run(capsys, small.argv("scan"))[0] == 0
    small.config.write_text(whole)
    code, out, _ = run(capsys, small.argv("poll", "--format", "json"))
    told = json.loads(out)
    assert (code, told["coverage"]["buckets"][0]["left_out"]) == (3, ["noncurrent"])
    of_data = [gap["effect"].partition(":")[0] for gap in told["gaps"] if gap["what"] == "gs://data"]
    assert of_data == ["nothing is known of its noncurrent objects"]
    code, out, _ = run(capsys, small.argv("scan", "--format", "json"))
    assert (code, json.loads(out)["coverage"]["buckets"][0]["left_out"]) == (0, [])


def test_what_a_sweep_has_beyond_the_config_stays_in_the_answer(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, small.argv("scan"))
    small.config.write_text(small.config.read_text() + 'populations = ["live"]\n')
    code, out, _ = run(capsys, small.argv("poll", "--format", "json"))
    told = json.loads(out)
    assert told["coverage"]["buckets"][0]["left_out"] == []
    # Which other buckets there are nobody asked by this config yet.
    assert (code, [gap["what"] for gap in told["gaps"]]) == (3, ["list of all buckets"])
    assert told["coverage"]["buckets_not_configured"] is None
    assert run(capsys, small.argv("scan"))[0] == 0


@pytest.mark.parametrize("layout", ["{namespace}/", '{org}/{namespace}/"\ntenant_field = "namespace'])
def test_a_layout_that_came_after_the_sweep_is_a_gap(
    small: Small, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    run(capsys, small.argv("scan"))
    small.config.write_text(small.config.read_text().replace("{org}/{namespace}/", layout))
    code, out, _ = run(capsys, small.argv("poll", "--format", "json"))
    (gap,) = [one for one in json.loads(out)["gaps"] if one["what"] == "gs://data"]
    assert code == 3
    assert gap["effect"].endswith("it was swept by {org}/{namespace}/ with tenant {org}")
    assert run(capsys, small.argv("scan"))[0] == 0


def test_names_outside_the_layout_are_told(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(small.config.read_text().replace("{org}/{namespace}/", "v1/{org}/{namespace}/"))
    code, out, _ = run(capsys, small.argv("scan"))
    assert (code, "20 of 20 objects resolved (20 outside their bucket's layout)" in out) == (3, True)
    assert "no object's name fits the bucket's layout" in out


def test_json_goes_to_a_file_and_nothing_else_is_printed(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "scan.json"
    code, out, err = run(capsys, small.argv("scan", "-q", "--format", "json", "--output", str(target)))
    assert (code, out, err) == (0, "", "")
    assert json.loads(target.read_text())["totals"]["objects"] == 20


def test_one_bucket_can_be_swept_alone(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, small.argv("scan", "--bucket", "gs://data"))[0] == 0
    code, _, err = run(capsys, small.argv("scan", "--bucket", "gs://else"))
    assert (code, err.startswith("error: --bucket 'gs://else' is not in the config")) == (2, True)


def test_report_writes_every_kind(small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small.set_state(1, "DESTROY_SCHEDULED")
    run(capsys, small.argv("scan"))
    code, out, _ = run(capsys, small.argv("report", "--as", "html,json,csv", "--output", str(tmp_path / "r")))
    assert (code, out.count("wrote")) == (0, 5)
    assert "10 of 20 objects cannot be read now" in (tmp_path / "r.html").read_text()
    assert len(findings((tmp_path / "r.json").read_text())) == 1
    rows = list(csv.DictReader((tmp_path / "r.csv").open(newline="")))
    assert [row["rule"] for row in rows] == ["data-doomed"]
    (finding,) = findings((tmp_path / "r.json").read_text())
    assert rows[0]["undo"] == " && ".join(step["call"] for step in finding["undo"])
    dependencies = list(csv.DictReader((tmp_path / "r-dependencies.csv").open(newline="")))
    assert sum(int(row["objects"]) for row in dependencies) == 20
    assert (tmp_path / "r-gaps.csv").read_text() == "what,reason,effect,hint,objects\n"


def test_a_report_as_csv_tells_every_gap(small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small.cloud.traffic.fail("kms", status=403)
    told = json.loads(run(capsys, small.argv("scan", "--format", "json"))[1])["gaps"]
    assert told
    run(capsys, small.argv("report", "--as", "csv", "--output", str(tmp_path / "r.csv")))
    rows = list(csv.DictReader((tmp_path / "r-gaps.csv").open(newline="")))
    assert [dict(row) for row in rows] == [{**one, "objects": str(one["objects"] or "")} for one in told]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--output", "seen/r"], {"r"}),
        (["--output", "seen/r.htm"], {"r.htm"}),
        (["--as", "html,json,html", "--output", "seen/r.html"], {"r.html", "r.json"}),
        (["--as", "html,json", "--output", "seen/at.10.00"], {"at.10.00.html", "at.10.00.json"}),
        (["--as", "csv", "--output", "seen/r.txt"], {"r.txt", "r-dependencies.txt", "r-gaps.txt"}),
    ],
)
def test_a_report_is_where_it_was_asked_for(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], expected: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli._run(small.argv("scan"))  # noqa: SLF001 - the command without the end of the process
    assert cli._run([*small.argv("report"), *options]) == 0  # noqa: SLF001 - as above
    assert {one.name for one in (tmp_path / "seen").iterdir()} == expected


def test_a_dash_is_standard_output(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    small.set_state(1, "DISABLED")
    told = findings(run(capsys, small.argv("scan", "-q", "--format", "json", "-o", "-"))[1])
    for argv in (
        small.argv("poll", "-q"),
        small.argv("report"),
        small.argv("report", "--as", "json"),
        small.argv("report", "--as", "csv"),
        [*small.argv("explain"), told[0]["id"]],
        ["rules"],
    ):
        _, out, err = run(capsys, [*argv, "-o", "-"])
        assert "data-unreadable" in out
        assert "wrote" not in out
        assert ("note: only the findings go to standard output" in err) is ("csv" in argv)
    code, out, err = run(capsys, small.argv("report", "--as", "html,json", "-o", "-"))
    assert (code, out) == (2, "")
    assert "standard output takes one kind of report" in err
    assert {one.name for one in tmp_path.iterdir()} == {"auditor.toml", "state"}


def test_explain_tells_all_about_a_finding_by_the_start_of_its_id(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.set_state(1, "DISABLED")
    told = findings(run(capsys, small.argv("scan", "--format", "json"))[1])
    name = told[0]["id"]
    code, out, _ = run(capsys, [*small.argv("explain"), name[:6]])
    assert (code, "gcloud kms keys versions enable 1 --project=" in out, "acme/old" in out) == (0, True, True)
    code, out, _ = run(capsys, [*small.argv("explain", "--namespaces"), name])
    assert list(csv.reader(out.splitlines()))[1] == ["gs://data", "acme/old", "acme", "", "", "10", "1000"]
    code, out, _ = run(capsys, [*small.argv("explain", "--format", "json"), name])
    assert json.loads(out) == told[0]


def test_what_is_to_be_pasted_is_one_line_on_a_narrow_terminal(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small.set_state(1, "DISABLED")
    told = findings(run(capsys, small.argv("scan", "--format", "json"))[1])
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run(capsys, [*small.argv("explain"), told[0]["id"]])
    (line,) = (line for line in out.splitlines() if "gcloud kms keys versions enable" in line)
    assert "--keyring=" in line
    assert "--key=" in line


def test_explain_and_rules_tell_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, ["rules", "--format", "json"])
    assert (code, [one["id"] for one in json.loads(out)]) == (0, [rule.id for rule in load_rules()])
    _, table, _ = run(capsys, ["rules"])
    for rule in load_rules():
        assert rule.id in table
        code, out, _ = run(capsys, ["explain", rule.id])
        assert (code, rule.title in out) == (0, True)


def test_rules_and_explain_tell_the_controls_that_a_rule_relates_to(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, ["rules", "--format", "json"])
    told = {one["id"]: {each["framework"]: each for each in one["controls"]} for one in json.loads(out)}
    assert [one["id"] for one in told["wrong-key"]["pci-dss-4.0.1"]["controls"]] == ["3.7.7"]
    assert told["waiver-ending"] == {}
    assert "pci-dss-4.0.1 3.7.7;" in run(capsys, ["rules"])[1]
    assert "3.7.7  Keys cannot be swapped without authority" in run(capsys, ["explain", "wrong-key"])[1]
    _, out, _ = run(capsys, ["explain", "wrong-key", "--format", "json"])
    assert json.loads(out)["controls"] == list(told["wrong-key"].values())


def test_a_report_of_some_frameworks_tells_no_other(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys, small.argv("scan", "-q"))
    asked = ("--framework", "hipaa,fedramp-r5", "--framework", "dora")
    code, out, _ = run(capsys, small.argv("report", "--as", "html,json", "-o", str(tmp_path / "r"), *asked))
    assert (code, len(out.splitlines())) == (0, 2)
    page = (tmp_path / "r.html").read_text()
    assert [name in page for name in ('id="c-dora"', 'id="c-hipaa"', 'id="c-nist-800-53-r5"', 'id="c-gdpr"')] == [
        *(True, True, True),
        False,
    ]
    told = json.loads((tmp_path / "r.json").read_text())
    assert [one["framework"] for one in told["controls"]] == ["dora", "hipaa", "nist-800-53-r5"]
    run(capsys, small.argv("report", "-q", "-o", str(tmp_path / "all.html")))
    assert (tmp_path / "all.html").read_text().count('<details class="framework"') == len(frameworks())
    assert "controls" not in json.loads(run(capsys, small.argv("poll", "--format", "json"))[1])


REFUSED_ARGUMENTS = {
    "no such command": ["frobnicate"],
    "no such option": ["scan", "--frobnicate"],
    "no such level": ["scan", "--fail-on", "bad"],
    "no such reason": ["scan", "--allow-gaps", "bad"],
    "no such kind": ["report", "--as", "pdf"],
    "no such framework": ["report", "--framework", "nist-800-53"],
    "a framework without a name": ["report", "--framework", " , "],
    "no period": ["report", "--period", "2026-10-01"],
    "a period that ends before it begins": ["report", "--period", "2026-10-02/2026-10-01"],
    "a key that is none": ["poll", "alias/mine"],
    "missing argument": ["explain"],
    "namespaces of a rule": ["explain", "data-lost", "--namespaces"],
}


@pytest.mark.parametrize("argv", REFUSED_ARGUMENTS.values(), ids=REFUSED_ARGUMENTS)
def test_wrong_usage_ends_with_2_one_error_and_one_hint(
    small: Small, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    if argv[0] in {"scan", "report", "poll"} and "--config" not in argv:
        argv = [argv[0], "--config", str(small.config), *argv[1:]]
    code, out, err = run(capsys, argv)
    assert (code, out) == (2, "")
    error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert "Error" not in error
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(("argv", "asked"), [(["impact"], "cmek-auditor impact"), (["frobnicate"], "cmek-auditor")])
def test_what_is_left_out_of_a_command_is_looked_up_there(
    capsys: pytest.CaptureFixture[str], argv: list[str], asked: str
) -> None:
    assert run(capsys, argv)[2].splitlines()[1].startswith(f"hint: {asked} --help lists ")


def test_no_label_in_a_list_of_namespaces_is_a_formula(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    file = '[[registry]]\nkind = "file"\npath = "namespaces.csv"\n'
    small.config.write_text(f"{small.config.read_text()}{file}")
    names = "=cmd|' /C calc'!A0", "+oncall", "@search"
    rows = "".join(f"acme/{name},{','.join(names)}\n" for name in ("old", "new"))
    (small.config.parent / "namespaces.csv").write_text(f"namespace,tenant,owner,team\n{rows}")
    small.set_state(1, "DISABLED")
    told = findings(run(capsys, small.argv("scan", "-q", "--format", "json"))[1])
    (one,) = (each for each in told if each["rule"] == "data-unreadable")
    for argv in (["impact", GOOGLE_KEY], ["explain", one["id"]]):
        _, out, _ = run(capsys, [*small.argv(argv[0]), argv[1], "--namespaces"])
        assert [each[2:5] for each in csv.reader(out.splitlines())][1:] == [[f"'{name}" for name in names]]


def test_the_namespaces_of_an_impact_are_csv_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, ["impact", "main", "--namespaces", "--format", "json"])
    assert (code, out) == (2, "")
    assert err.startswith("error: --namespaces lists them as CSV\nhint: ")


def test_a_rule_that_is_none_needs_no_config_to_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, ["explain", "stale-versions"])
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "error: 'stale-versions' is neither a rule nor a finding that there is or was"
    assert err.splitlines()[1] == "hint: did you mean stale-version?"


def test_a_config_that_cannot_be_is_one_error_and_one_hint(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.config.write_text(small.config.read_text() + "[shedule]\n")
    code, out, err = run(capsys, small.argv("scan"))
    error, hint = err.splitlines()
    assert (code, out) == (2, "")
    assert error == f"error: {small.config}: shedule: there is no such setting"
    assert hint == "hint: did you mean schedule?"


def test_an_inventory_that_was_changed_resolves_nothing(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small.set_state(1, "DISABLED")
    assert run(capsys, small.argv("scan"))[0] == 1
    file = next((tmp_path / "state").rglob("dependencies.parquet"))
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    report = small.argv("report", "-q", "-o", str(tmp_path / "report"))
    code, out, err = run(capsys, report)
    assert (code, out, "the inventory of gs://data cannot be used: " in err, "hint: " in err) == (70, "", True, True)
    for _ in range(2):
        code, out, _ = run(capsys, small.argv("poll", "-q", "--format", "json"))
        statuses = {one["rule"]: one["status"] for one in findings(out)}
        assert (code, statuses) == (1, {"data-unreadable": "open", "sweep-incomplete": "open"})
    assert run(capsys, report) == (0, "", "")
    small.set_state(1, "ENABLED")
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    assert (code, {one["status"] for one in findings(out)}) == (0, {"resolved"})


def two_buckets(small: Small) -> None:
    """`gs://data`, and `gs://bee` with objects under each version of its key and under a key of its own."""
    store = small.cloud.store
    store.add_bucket("bee", "acme", "us-east1")
    store.add_key(f"{GOOGLE_KEY}-2")
    for name, key, version in (("bee/1", GOOGLE_KEY, 1), ("bee/2", GOOGLE_KEY, 2), ("wasp/3", f"{GOOGLE_KEY}-2", 1)):
        store.put("bee", f"acme/{name}", key=key, version=version, size=100)
    layout = 'layout = "{org}/{namespace}/"'
    small.config.write_text(small.config.read_text() + f'[[bucket]]\nurl = "gs://bee"\n{layout}\naccount = "acme"\n')


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_inventory_of_one_bucket_does_not_blind_the_others_and_is_healed_by_a_sweep(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str
) -> None:
    two_buckets(small)
    small.set_state(1, "DISABLED")
    second = small.cloud.store.key(f"{GOOGLE_KEY}-2")
    assert second is not None
    second.versions[1].state = "DISABLED"
    _, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    whole = {one["subject"]["id"].rpartition("/cryptoKeys/")[2]: one["objects"] for one in findings(out)}
    assert whole == {"main/cryptoKeyVersions/1": 11, "main-2/cryptoKeyVersions/1": 1}
    (file,) = (tmp_path / "state" / "inventory").glob("gs-bee-*/*/dependencies.parquet")
    if damage == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    else:
        file.unlink()
    small.cloud.traffic.fail("/b/bee/o?", status=403)

    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    told = json.loads(out)
    assert (code, told["totals"]["objects"]) == (1, 20)
    coverage = {one["bucket"]: (one["complete"], one["listed"]) for one in told["coverage"]["buckets"]}
    assert coverage == {"gs://bee": (False, 0), "gs://data": (True, 20)}
    assert {gap["what"] for gap in told["gaps"]} == {"gs://bee"}
    why = [gap["effect"] for gap in told["gaps"] if gap["reason"] == "unsupported"]
    assert len(why) == 1
    assert why[0].startswith("nothing is known of its objects: the inventory of gs://bee ")
    assert "dependencies.parquet" in why[0]
    open_ones = {one["subject"]["id"]: one["objects"] for one in findings(out) if one["severity"] != "low"}
    assert {one["status"] for one in findings(out)} == {"open"}
    assert open_ones == {
        f"{GOOGLE_KEY}/cryptoKeyVersions/1": 10,
        f"{GOOGLE_KEY}-2/cryptoKeyVersions/1": 1,  # nobody sees that it is over
        "gs://bee": 0,
    }

    small.set_state(1, "ENABLED")
    _, out, _ = run(capsys, small.argv("poll", "-q", "--format", "json"))
    ended = [one["subject"]["id"] for one in findings(out) if one["status"] == "resolved"]
    assert ended == [f"{GOOGLE_KEY}/cryptoKeyVersions/1"], "what is seen elsewhere is decided"

    small.cloud.traffic.heal()
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    told = json.loads(out)
    assert (code, told["totals"]["objects"], told["gaps"]) == (1, 23, [])
    assert [one["subject"]["id"] for one in findings(out) if one["status"] == "open"] == [
        f"{GOOGLE_KEY}-2/cryptoKeyVersions/1"
    ]


def test_asking_for_a_finding_that_is_not_there_ends_with_2(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, [*small.argv("explain"), "abcdef"])
    assert (code, "there is no judgement yet" in err) == (2, True)
    run(capsys, small.argv("scan"))
    code, _, err = run(capsys, [*small.argv("explain"), "abcdef"])
    assert (code, "neither a rule nor a finding" in err) == (2, True)


def test_a_finding_is_told_as_it_was_when_it_ended_for_ever(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    small.set_state(1, "DISABLED")
    _, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    (one,) = findings(out)
    small.set_state(1, "ENABLED")
    for _ in range(3):
        run(capsys, small.argv("poll", "-q"))
    code, out, _ = run(capsys, [*small.argv("explain"), one["id"][:8].upper()])
    assert (code, out.splitlines()[0]) == (0, f"critical · data-unreadable · resolved · finding {one['id']}")
    assert "hangs on it 10 objects, 1.0 kB, 1 namespace" in out
    code, out, err = run(capsys, [*small.argv("explain"), one["id"], "--namespaces"])
    assert (code, out, err.startswith(f"error: finding {one['id']} ended at ")) == (2, "", True)

    small.set_state(1, "DISABLED")
    run(capsys, small.argv("poll", "-q"))
    code, out, _ = run(capsys, [*small.argv("explain"), one["id"], "--format", "json"])
    assert (code, json.loads(out)["status"]) == (0, "open"), "one that came back is told as it is now"


def test_a_state_folder_that_cannot_be_used_ends_with_70(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    (small.config.parent / "state").write_text("in the way")
    code, _, err = run(capsys, small.argv("scan"))
    assert (code, err.count("\n"), "cannot open the ledger" in err) == (70, 2, True)


def test_a_defect_ends_with_70_without_a_trace(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.scan.judge", lambda *_: 1 / 0)
    code, _, err = run(capsys, small.argv("scan", "-q"))
    assert (code, "ZeroDivisionError" in err, "Traceback" in err) == (70, True, False)


def test_help_waits_for_no_cloud_sdk() -> None:
    heavy = [
        "boto3",
        "google.cloud.kms_v1",
        "google.cloud.storage",
        "duckdb",
        "pyarrow",
        "sqlalchemy",
        "pydantic",
        "starlette",
    ]
    code = f"import auditor.cli, sys; sys.exit(any(one in sys.modules for one in {heavy!r}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_installed_command_runs() -> None:
    command = Path(sys.executable).with_name("cmek-auditor")
    told = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("cmek-auditor ")


def test_a_poll_before_any_sweep_is_not_fine(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, small.argv("poll"))
    assert code == 3
    assert "No object is known yet" in out
    assert "it was never swept" in out
    assert run(capsys, small.argv("poll", "--allow-gaps", "not_visible"))[0] == 3
    small.config.write_text(f'{small.config.read_text()}[[key]]\nname = "{GOOGLE_KEY}"\n')
    argv = small.argv("impact", GOOGLE_KEY, "--action", "destroy", "--allow-gaps", "not_visible")
    assert run(capsys, small.argv("poll", "--allow-gaps", "not_visible"))[0] == 3
    assert run(capsys, argv)[0] == 3


def test_a_defect_in_one_bucket_is_a_gap_and_does_not_blind_the_others(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small.cloud.store.add_bucket("broken", "acme", "us-east1")
    small.config.write_text(
        small.config.read_text() + '[[bucket]]\nurl = "gs://broken"\nlayout = "{org}/"\naccount = "acme"\n'
    )
    small.cloud.store.put("broken", "x/1")
    real = listing.parse_page

    def breaking(body: bytes) -> listing.Page:
        page = real(body)
        if [one.name for one in page.items] == ["x/1"]:
            raise ZeroDivisionError
        return page

    monkeypatch.setattr("auditor.connectors.gcp.census.parse_page", breaking)
    code, out, _ = run(capsys, small.argv("scan", "--format", "json", "-q"))
    told = json.loads(out)
    assert (code, told["totals"]["objects"]) == (3, 20)
    assert any("defect: ZeroDivisionError" in gap["effect"] for gap in told["gaps"])


def test_a_bucket_whose_folder_cannot_be_written_is_a_gap_and_does_not_blind_the_others(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small.cloud.store.add_bucket("apart", "acme", "us-east1")
    small.config.write_text(
        small.config.read_text() + '[[bucket]]\nurl = "gs://apart"\nlayout = "{org}/"\naccount = "acme"\n'
    )
    small.cloud.store.put("apart", "x/1")
    home = tmp_path / "state" / "inventory" / folder_name("gs://apart")
    home.parent.mkdir(parents=True)
    home.write_text("in the way")
    for argv in (small.argv("scan", "-q", "--format", "json"), small.argv("poll", "-q", "--format", "json")):
        code, out, _ = run(capsys, argv)
        told = json.loads(out)
        assert (code, told["totals"]["objects"]) == (3, 20)
        effects = [gap["effect"] for gap in told["gaps"] if gap["what"] == "gs://apart"]
        assert any(one.startswith("cannot write the inventory of gs://apart: ") for one in effects)
    home.unlink()
    code, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    assert (code, json.loads(out)["totals"]["objects"]) == (0, 21)


def test_a_request_that_may_not_be_sent_ends_the_scan(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: bytes) -> listing.Page:
        raise ReadOnlyError("refused to send it", "this is a defect of the auditor")

    monkeypatch.setattr("auditor.connectors.gcp.census.parse_page", refused)
    code, out, err = run(capsys, small.argv("scan", "-q"))
    assert (code, out, "error: refused to send it" in err) == (70, "", True)


def test_an_interrupt_ends_at_once_and_keeps_nothing_half_done(small: Small) -> None:
    small.cloud.traffic.fail("/o?", delay=60.0)
    with Forked(COMMAND, *small.argv("scan")) as process:
        while not any("/o?" in one.target for one in small.cloud.traffic.requests):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.wait(), "error: interrupted" in err, "Traceback" in err) == (130, True, False)


def test_an_interrupt_that_python_drops_ends_the_process_all_the_same() -> None:
    deaf = (
        "import time; from auditor import cli\n"
        "def run(argv):\n"
        "    while True:\n"
        "        try: print('up', flush=True); time.sleep(60)\n"
        "        except KeyboardInterrupt: pass\n"
        "cli._INTERRUPT_PATIENCE, cli._run = 0.2, run\n"
        "cli.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", deaf], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "error: interrupted" in err) == (130, True)


def test_a_defect_in_one_key_is_a_gap_and_does_not_blind_the_others(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GOOGLE_KEY.replace("main", "other")
    small.cloud.store.add_key(other)
    small.cloud.store.put("data", "acme/other/x", key=other)
    real = keys.parse_version

    def breaking(told: Any, backend: str) -> GcpKeyVersion:
        if "/other/" in told.name:
            raise ZeroDivisionError
        return real(told, backend)

    monkeypatch.setattr("auditor.connectors.gcp.keys.parse_version", breaking)
    code, out, _ = run(capsys, small.argv("scan", "--format", "json", "-q"))
    told = json.loads(out)
    assert (code, told["totals"]["by_readability"]["readable"]["objects"]) == (3, 20)
    assert [gap["reason"] for gap in told["gaps"]] == ["unsupported"]
    assert "defect of the auditor: ZeroDivisionError" in told["gaps"][0]["effect"]


def test_a_key_that_nobody_needs_is_not_polled_silently(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, small.argv("scan"))
    code, _, err = run(capsys, [*small.argv("poll"), GOOGLE_KEY.replace("main", "else")])
    assert (code, "error: nothing is known of key" in err) == (2, True)


def test_a_poll_of_a_key_by_its_projects_other_name_says_by_which_data_names_it(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, small.argv("scan"))
    by_number = GOOGLE_KEY.replace("projects/acme", "projects/123456")
    told = [run(capsys, [*small.argv(command), by_number]) for command in ("poll", "retire")]
    assert told[0] == told[1], "the same words everywhere"
    assert (told[0][0], f"ask for {GOOGLE_KEY}" in told[0][2]) == (2, True)


# Nothing but this device fails so, and only Linux has it.
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")  # Linux has it: nothing else is always full
def test_an_answer_that_cannot_be_written_is_told(small: Small) -> None:
    command = [sys.executable, "-c", "from auditor.cli import main; main()"]
    for argv in (["rules"], small.argv("scan", "-q")):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([*command, *argv], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 70
        assert done.stderr.startswith("error: cannot write the answer: No space left on device\nhint: ")


def test_names_that_hold_a_zero_byte_are_counted_like_any_other(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.cloud.store.put("data", "acme/zero\x00byte/x", key=GOOGLE_KEY, version=2)
    code, out, _ = run(capsys, small.argv("scan", "--format", "json", "-q"))
    told = json.loads(out)
    assert (code, told["totals"]["objects"]) == (0, 21)
    assert "acme/zero\x00byte" in {row["namespace"] for row in told["dependencies"]}


MAIN = [sys.executable, "-c", "from auditor.cli import main; main()"]


def ends(argv: list[str], by: Sequence[str] = (), **streams: Any) -> tuple[int, str]:
    """Run the command in a process of its own; its exit code and what it says of errors."""
    done = subprocess.run([*by, *MAIN, *argv], stderr=subprocess.PIPE, text=True, check=False, **streams)
    return done.returncode, done.stderr


NO_ASCII = "acme/nß☃/x"


@pytest.fixture
def unreadable(small: Small, capsys: pytest.CaptureFixture[str]) -> tuple[Small, str]:
    """A scanned cloud, and the id of its finding about a namespace that is no ASCII."""
    small.cloud.store.put("data", NO_ASCII, key=GOOGLE_KEY, version=1, size=100)
    small.set_state(1, "DISABLED")
    _, out, _ = run(capsys, small.argv("scan", "-q", "--format", "json"))
    return small, findings(out)[0]["id"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_pipes_get_the_exact_text_whatever_the_locale_says(unreadable: tuple[Small, str], encoding: str) -> None:
    small, finding = unreadable
    ways = (
        (["explain", finding], "nß☃"),
        (["explain", finding, "--namespaces"], "acme/nß☃"),
        (["report", "--as", "html", "--output", "-"], "nß☃"),
    )
    for argv, told in ways if encoding == "ascii" else ways[1:2]:
        done = subprocess.run(
            [*MAIN, *small.argv(argv[0], *argv[1:])],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, told in done.stdout.decode()) == (0, True)


def test_a_terminal_shows_escapes_of_what_it_cannot_show(unreadable: tuple[Small, str]) -> None:
    small, finding = unreadable
    for argv in (["explain", finding], ["explain", finding, "--namespaces"]):
        ours, theirs = os.openpty()
        done = subprocess.run(
            [*MAIN, *small.argv(argv[0], *argv[1:])],
            env={**os.environ, "PYTHONIOENCODING": "latin-1", "COLUMNS": "200"},
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(theirs)
        shown = os.read(ours, 65_536)
        os.close(ours)
        assert (done.returncode, done.stderr, b"acme/n\xdf\\u2603" in shown) == (0, b"", True)


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_pipe_that_nobody_reads_is_not_taken_for_findings(small: Small, broken_pipe: int) -> None:
    assert ends(small.argv("scan", "-q"), stdout=broken_pipe) == (141, "")
    assert ends(small.argv("poll", "-q", "--format", "json"), stdout=broken_pipe) == (141, "")
    assert ends(["rules"], stdout=broken_pipe) == (141, "")
    assert ends(["--help"], stdout=broken_pipe) == (141, "")


def test_errors_that_nobody_reads_keep_their_code(broken_pipe: int) -> None:
    done = subprocess.run([*MAIN, "nosuch"], stdout=subprocess.PIPE, stderr=broken_pipe, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


# A shell closes the streams: what is done between fork and exec would run in a copy of this process and its threads.
WITHOUT_OUTPUT = ["sh", "-c", 'exec "$@" >&-', "sh"]
WITHOUT_STREAMS = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]


def test_a_closed_standard_output_is_told_before_a_cloud_is_asked(small: Small) -> None:
    told = "error: cannot write the answer: standard output is closed\nhint: name another place with --output\n"
    for argv in (small.argv("scan"), small.argv("poll"), ["rules"]):
        assert ends(argv, by=WITHOUT_OUTPUT) == (70, told)
    assert not small.cloud.traffic.requests
    assert ends(small.argv("scan", "-q", "-o", str(small.config.with_name("out"))), by=WITHOUT_OUTPUT) == (0, "")
    report = small.argv("report", "-o", str(small.config.with_name("r.html")))
    assert ends(report, by=WITHOUT_OUTPUT) == (0, "")


def test_with_all_streams_closed_a_scan_still_ends_with_its_code(small: Small) -> None:
    out = small.config.with_name("scan.json")
    command = [*WITHOUT_STREAMS, *MAIN, *small.argv("scan", "--format", "json", "--output", str(out))]
    done = subprocess.run(command, check=False)
    assert done.returncode == 0
    assert json.loads(out.read_text())["totals"]["objects"] == 20


def test_a_period_is_told_in_every_form(
    small: Small, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    small.set_state(1, "DISABLED")
    run(capsys, small.argv("scan"))
    small.set_state(1, "ENABLED")
    run(capsys, small.argv("poll"))
    now = datetime.now(UTC)
    period = f"{now - timedelta(days=1):%Y-%m-%d}/{now + timedelta(days=1):%Y-%m-%d}"
    code, out, _ = run(capsys, small.argv("report", "--period", period, "--as", "html,json,csv"))
    assert (code, out.splitlines()) == (0, [f"wrote cmek-period.{kind}" for kind in ("html", "json", "csv")])
    told = json.loads((tmp_path / "cmek-period.json").read_text())
    jsonschema.Draft202012Validator(period_json.schema()).validate(told)
    assert told["verdict"].startswith("Observed < 0.01 % of the period")
    assert "in 1 incident" in told["verdict"]
    assert [one["ending"] for one in told["incidents"]] == ["repaired"]
    assert [one["complete_sweeps"] for one in told["buckets"]] == [1]
    page = (tmp_path / "cmek-period.html").read_text()
    assert "acme/us-east1/tpuf/main version 1" in page
    assert "All polls were made outside of the daemon" in page
    rows = list(csv.DictReader((tmp_path / "cmek-period.csv").open(newline="")))
    assert [row["rule"] for row in rows if row["what"] == "finding"] == ["data-unreadable"]
    code, out, _ = run(capsys, small.argv("report", "--period", period, "--as", "csv", "-o", "-"))
    assert (code, out.startswith("what,incident,finding")) == (0, True)


def test_of_a_ledger_without_a_judgement_no_period_is_told(small: Small, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, small.argv("report", "--period", "2026-10-01/2026-12-31"))
    assert (code, out) == (2, "")
    assert err.splitlines() == ["error: there is no judgement yet", "hint: run `cmek-auditor scan` first"]


def test_the_report_tells_the_last_scans_and_how_long_what_is_over_stood(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    small.set_state(1, "DISABLED")
    run(capsys, small.argv("scan"))
    one = ["--output", str(tmp_path / "r.html")]
    run(capsys, small.argv("report", *one))
    page = (tmp_path / "r.html").read_text()
    assert "There are not two scans yet to compare." in page
    assert "first seen 20" in page
    small.set_state(1, "ENABLED")
    run(capsys, small.argv("scan"))
    run(capsys, small.argv("report", *one))
    page = (tmp_path / "r.html").read_text()
    assert "bytes that could not be read, at most 1.0 kB" in page
    assert re.search(r"over after \d+ s, first seen 20\d\d-", page)
