"""What workers cost beside one process: python -m bench.workers [OBJECTS [WORKERS]] prints one line of JSON.

A first sweep of a bucket of an embedded Cloud Storage: by `scan` alone, with so many processes, by so many
`scan --index` at once and the poll behind them, and with so many workers of a Dask cluster, its scheduler counted.
And whether all find the same.
"""

import hashlib
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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


def spent() -> float:
    """Seconds of processor that all processes took which have ended, and theirs."""
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime


def run(config: Path, *commands: list[str]) -> tuple[list[str], dict[str, float]]:
    """Run commands at once; what they print, and what they took together."""
    before, began = spent(), time.perf_counter()
    some = [
        subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *one, "--quiet", "--config", str(config)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for one in commands
    ]
    told = [one.communicate()[0] for one in some]
    return told, {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(spent() - before, 1)}


def found(judgement: str) -> str:
    """A digest of all that a judgement says of data."""
    told: dict[str, Any] = json.loads(judgement)
    return hashlib.sha256(json.dumps([told["totals"], told["dependencies"]], sort_keys=True).encode()).hexdigest()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A Dask cluster of so many workers of one thread each; what `[workers]` says of it."""
    with ExitStack() as held:
        files = {name: folder / f"{name}.pem" for name in ("cert", "key")}
        subject = ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
        subprocess.run([*made, "-keyout", files["key"], "-out", files["cert"]], check=True, capture_output=True)
        tls = ["--tls-ca-file", files["cert"], "--tls-cert", files["cert"], "--tls-key", files["key"]]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tls://127.0.0.1:{free.getsockname()[1]}"
        scheduler = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--protocol", "tls"]
        each = [address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        for one in (["scheduler", *scheduler], *(["worker", *each] for _ in range(workers))):
            dask = list(map(str, [Path(sys.executable).with_name("dask"), *one, "--no-dashboard", *tls]))
            process = held.enter_context(subprocess.Popen(dask, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            held.callback(process.terminate)
        yield f"""
[workers]
processes = {workers}
dask = "{address}"
tls_ca = "{files["cert"]}"
tls_cert = "{files["cert"]}"
tls_key = "{files["key"]}"
"""


def main() -> None:
    """Measure all four."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else WORKERS  # noqa: PLR2004 - the second argument
    judgement = ["scan", "--format", "json"]
    with tempfile.TemporaryDirectory() as folder, serving(objects, delay=0.0) as address:

        def config(state: str, more: str = "") -> Path:
            path = Path(folder) / f"{state}.toml"
            path.write_text(_CONFIG.format(state=state, address=address) + more)
            return path

        (alone,), one = run(config("one"), judgement)
        (by_pool,), pool = run(config("pool", f"[workers]\nprocesses = {workers}\n"), judgement)
        shares = [["scan", "--index", str(index), "--count", str(workers)] for index in range(workers)]
        _, several = run(config("several"), *shares)
        (together,), poll = run(config("several"), ["poll", "--format", "json"])
        before = spent()
        with cluster(Path(folder), workers) as dask_says:
            (by_dask,), _ = run(config("dask", dask_says), judgement)
        dask = {"cpu_seconds": round(spent() - before, 1)}
    same = {found(each) for each in (alone, by_pool, together, by_dask)}
    measured = {"one": one, "pool": pool, "index": several, "poll": poll, "dask": dask}
    print(json.dumps({"objects": objects, "workers": workers, **measured, "same": len(same) == 1}))


if __name__ == "__main__":
    main()
