"""What workers cost beside one process: python -m bench.workers [OBJECTS [WORKERS]] prints one line of JSON.

A first sweep of a bucket of an embedded Cloud Storage, by `scan` and by so many `scan --index` at once;
and whether both find the same.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.shards import serving

OBJECTS: Final = 200_000
WORKERS: Final = 2
_COMMAND: Final = "from auditor import cli; cli.main()"
_CONFIG: Final = """
state = "{state}"
[limits]
streams = 4
requests_per_second = 10000
[gcp]
storage_endpoint = "{address}"
kms_endpoint = "{address}"
logging_endpoint = "{address}"
iam_endpoint = "{address}"
[[account]]
project = "acme"
[[bucket]]
url = "gs://bucket"
layout = "{{org}}/{{namespace}}/"
account = "acme"
"""


def run(config: Path, *commands: list[str]) -> tuple[list[str], dict[str, float]]:
    """Run commands at once; what they print, and what they took together."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    some = [
        subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *one, "--quiet", "--config", str(config)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in commands
    ]
    told = [one.communicate()[0] for one in some]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told, {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1)}


def found(judgement: str) -> str:
    """A digest of all that a judgement says of data."""
    told: dict[str, Any] = json.loads(judgement)
    return hashlib.sha256(json.dumps([told["totals"], told["dependencies"]], sort_keys=True).encode()).hexdigest()


def main() -> None:
    """Measure both."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else WORKERS  # noqa: PLR2004 - the second argument
    with tempfile.TemporaryDirectory() as folder, serving(objects, delay=0.0) as address:
        configs: list[Path] = []
        for state in ("one", "several"):
            configs.append(Path(folder) / f"{state}.toml")
            configs[-1].write_text(_CONFIG.format(state=state, address=address))
        (alone,), one = run(configs[0], ["scan", "--format", "json"])
        shares = [["scan", "--index", str(index), "--count", str(workers)] for index in range(workers)]
        _, several = run(configs[1], *shares)
        (together,), poll = run(configs[1], ["poll", "--format", "json"])
    result = {"objects": objects, "workers": workers, "one": one, "several": several, "poll": poll}
    print(json.dumps({**result, "same": found(alone) == found(together)}))


if __name__ == "__main__":
    main()
