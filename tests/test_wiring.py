"""What a config makes of the parts."""

import subprocess
import sys
from pathlib import Path

import pytest

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
