"""Run one embedded cloud in a process of its own: `python -m auditor.embedded google --fleet 7`."""

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime

from auditor.embedded import aws, fleet, google, owned
from auditor.embedded.turbopuffer import Platform, Turbopuffer


def main() -> None:
    """Print one JSON line with the addresses, then serve until SIGTERM, SIGINT or the end of standard input."""
    parser = argparse.ArgumentParser(prog="python -m auditor.embedded", description=__doc__)
    parser.add_argument("cloud", choices=["google", "aws", "turbopuffer"])
    parser.add_argument("--port", type=int, default=0, help="HTTP port; 0 takes a free one")
    parser.add_argument("--fleet", type=int, metavar="SEED", help="fill it with the demo's fleet")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if asked.with_parent:
        threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    if asked.cloud == "google":
        google_store = google.Store(lambda: datetime.now(UTC))
        if asked.fleet is not None:
            fleet.fill_google(google_store, asked.fleet)
        with google.GoogleCloud(google_store, asked.port) as google_cloud:
            _tell({"endpoint": google_cloud.endpoint, "grpc": google_cloud.grpc_address})
            stop.wait()
    elif asked.cloud == "turbopuffer":
        platform = Platform(lambda: datetime.now(UTC), owned.API_KEY)
        if asked.fleet is not None:
            owned.tell(platform)
        with Turbopuffer(platform, asked.port) as service:
            _tell({"endpoint": service.endpoint})
            stop.wait()
    else:
        aws_store = aws.Store(lambda: datetime.now(UTC))
        if asked.fleet is not None:
            fleet.fill_aws(aws_store, asked.fleet)
        with aws.AwsCloud(aws_store, asked.port) as aws_cloud:
            _tell({"endpoint": aws_cloud.endpoint})
            stop.wait()


def _wait_for_parent(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _tell(addresses: dict[str, str]) -> None:
    print(json.dumps(addresses), flush=True)  # noqa: T201 - the parent process reads it


if __name__ == "__main__":
    main()
