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


WITHOUT_SCHEME = {
    "AWS_ENDPOINT_URL_S3": "localhost:9000",
    "AWS_ENDPOINT_URL_KMS": "//localhost",
    "AWS_ENDPOINT_URL_STS": "ftp://localhost",
    "AWS_ENDPOINT_URL": "http://",
}


@pytest.mark.parametrize("command", ["scan", "poll", "doctor", "serve"])
@pytest.mark.parametrize("name", WITHOUT_SCHEME)
def test_an_endpoint_in_the_environment_that_is_no_url_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    for each in WITHOUT_SCHEME:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, WITHOUT_SCHEME[name])
    config = tmp_path / "auditor.toml"
    config.write_text('[[bucket]]\nurl = "s3://data"\nregion = "us-east-1"\nlayout = "{org}/"\n')
    assert cli._run([command, "-c", str(config)]) == 2  # noqa: SLF001 - as above
    told = capsys.readouterr()
    error = f"error: environment variable {name}: {WITHOUT_SCHEME[name]!r} is not an endpoint\n"
    assert (told.out, told.err) == ("", f"{error}hint: write http://HOST:PORT or https://HOST\n")
    monkeypatch.setenv(name, "me:secret@localhost")
    assert cli._run([command, "-c", str(config)]) == 2  # noqa: SLF001 - as above
    assert "secret" not in capsys.readouterr().err


def test_an_endpoint_of_the_aws_config_file_that_is_no_url_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in WITHOUT_SCHEME:
        monkeypatch.delenv(each, raising=False)
    (tmp_path / "config").write_text("[default]\nendpoint_url = localhost:9000\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    config = tmp_path / "auditor.toml"
    config.write_text('[[bucket]]\nurl = "s3://data"\nregion = "us-east-1"\nlayout = "{org}/"\n')
    assert cli._run(["scan", "-c", str(config)]) == 2  # noqa: SLF001 - as above
    assert "the endpoint of s3 in profile default is no URL" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["STORAGE_EMULATOR_HOST", "API_ENDPOINT_OVERRIDE"])
def test_a_variable_that_would_send_half_of_the_requests_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with a_small_cloud(tmp_path) as small:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert cli._run(small.argv("scan", "-q")) == 0, "the config's own endpoint counts"  # noqa: SLF001 - as above
        text = small.config.read_text()
        small.config.write_text("\n".join(line for line in text.splitlines() if "storage_endpoint" not in line))
        capsys.readouterr()
        assert cli._run(small.argv("scan", "-q")) == 2  # noqa: SLF001 - as above
        assert f"environment variable {name} is set" in capsys.readouterr().err
