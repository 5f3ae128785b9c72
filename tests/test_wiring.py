"""What a config makes of the parts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import cli
from tests.clouds import GOOGLE_KEY
from tests.small import a_small_cloud

ASSEMBLE = """
import sys
from pathlib import Path
from auditor.config import load
from auditor.wiring import assemble
assembly = assemble(load(Path(sys.argv[1])))
print(sorted(str(one) for one in assembly.parts.keys), sorted({"boto3", "google.cloud", "grpc"} & sys.modules.keys()))
assembly.close()
"""
BUCKETS = {
    "s3://data": ("['aws'] ['boto3']", 'region = "us-east-1"'),
    "gs://data": ("['gcp'] ['google.cloud', 'grpc']", ""),
}


@pytest.mark.parametrize("url", BUCKETS)
def test_the_sdk_of_a_cloud_that_nobody_uses_is_not_loaded(tmp_path: Path, url: str) -> None:
    config = tmp_path / "auditor.toml"
    expected, more = BUCKETS[url]
    config.write_text(
        f'state = "state"\n[gcp]\nstorage_endpoint = "http://127.0.0.1:1"\nkms_endpoint = "http://127.0.0.1:1"\n'
        f'iam_endpoint = "http://127.0.0.1:1"\n[[bucket]]\nurl = "{url}"\nlayout = "{{org}}/"\n{more}\n'
    )
    run = subprocess.run(
        [sys.executable, "-c", ASSEMBLE, str(config)], check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == expected


@pytest.mark.parametrize("command", ["impact", "retire", "explain", "report"])
def test_what_is_told_from_what_is_stored_needs_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with a_small_cloud(tmp_path) as small:
        small.set_state(1, "DISABLED")
        cli._run(small.argv("scan", "-q", "--format", "json"))  # noqa: SLF001 - the command without the end of the process
        finding = json.loads(capsys.readouterr().out)["findings"][0]["id"]
        calls = len(small.cloud.traffic.requests)
        # At Google's own address credentials are needed.
        text = small.config.read_text()
        small.config.write_text("\n".join(line for line in text.splitlines() if "_endpoint" not in line))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        assert cli._run(small.argv("scan", "-q")) == 2  # noqa: SLF001 - as above
        assert "credentials" in capsys.readouterr().err
        more = {"impact": [GOOGLE_KEY], "explain": [finding], "report": ["--output", str(tmp_path / "report.html")]}
        code = cli._run(small.argv(command, *more.get(command, [])))  # noqa: SLF001 - as above
        told = capsys.readouterr()
        assert (code, told.err) == (1 if command == "impact" else 0, "")
        assert len(small.cloud.traffic.requests) == calls
