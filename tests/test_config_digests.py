"""Whoever holds the config file can check that a judgement was made by it, and by which settings."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor import cli
from auditor.config import Bucket, Config
from auditor.gaps import BUCKET_LISTS
from auditor.ledger import codec
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def judged(small: Small, capsys: pytest.CaptureFixture[str], how: str) -> dict[str, str]:
    cli._run([*small.argv(how), "--format", "json"])  # noqa: SLF001 - the command without the end of the process
    scan: dict[str, str] = json.loads(capsys.readouterr()[0])["scan"]
    return scan


def test_the_file_as_it_was_read_is_told_beside_the_settings(
    small: Small, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = judged(small, capsys, "scan")
    assert first["config_file_digest"] == hashlib.sha256(small.config.read_bytes()).hexdigest()
    small.config.write_text(small.config.read_text() + "# a comment is another file, and no other setting\n")
    second = judged(small, capsys, "poll")
    file = hashlib.sha256(small.config.read_bytes()).hexdigest()
    assert second["config_file_digest"] == file != first["config_file_digest"]
    assert second["config_digest"] == first["config_digest"] != file
    report = tmp_path / "report.html"
    cli._run([*small.argv("report"), "--output", str(report)])  # noqa: SLF001 - likewise
    html = report.read_text()
    assert f"SHA-256 {file}, as sha256sum tells it of the file" in html
    assert f"SHA-256 {second['config_digest']}, of no file: defaults are in it, waivers are not" in html


def lists(small: Small, capsys: pytest.CaptureFixture[str], how: str) -> tuple[int | None, bool]:
    """How many buckets no config names, and whether a gap tells why that is not known."""
    cli._run([*small.argv(how), "--format", "json"])  # noqa: SLF001 - likewise
    told = json.loads(capsys.readouterr()[0])
    return told["coverage"]["buckets_not_configured"], BUCKET_LISTS in {one["what"] for one in told["gaps"]}


def test_how_many_buckets_no_config_names_is_known_until_it_names_other_places(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.cloud.store.add_bucket("elsewhere", "acme", "US-EAST1")
    assert lists(small, capsys, "scan") == (1, False)
    first = small.config.read_text()
    more = f'[policy]\nhorizon_days = 3\n[retention]\nsnapshots = 9\n[[key]]\nname = "{GOOGLE_KEY}"\n'
    small.config.write_text(first + more)
    assert lists(small, capsys, "poll") == (1, False), "what is demanded of data changes nothing of where it is"
    small.config.write_text(f'{first}[[account]]\nproject = "another"\n')
    assert lists(small, capsys, "poll") == (None, True), "nobody has asked that project"
    assert lists(small, capsys, "poll") == (None, True)
    small.config.write_text(first)
    assert lists(small, capsys, "scan") == (1, False)


def test_where_no_file_was_read_none_is_claimed() -> None:
    assert Config(bucket=(Bucket(url="gs://data", layout="{org}/"),)).file_digest is None


def test_a_judgement_of_before_the_file_was_kept_can_still_be_read() -> None:
    older = dict.fromkeys(("version", "config_digest", "rules_version"), "")
    body = json.dumps({**older, "identity": [], "coverage": COVERAGE, "tallies": [], "sweeps": []})
    assert codec.load(codec.KeptContext, body).config_file_digest is None


COVERAGE = {"buckets": [], "keys_needed": 0, "keys_read": 0, "buckets_not_configured": None}
