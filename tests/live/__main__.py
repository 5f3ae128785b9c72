"""Ask a real cloud what its documents leave open: `python -m tests.live aws|gcp --region REGION`.

It makes keys and buckets of its own in a throw-away account and removes them again. With --rehearse it talks to an
embedded cloud instead.
"""

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from tests.live import aws_experiments, connect, gcp_experiments
from tests.live.aws import Aws
from tests.live.gcp import Google
from tests.live.kit import Experiment, Patience, Run
from tests.live.plan import plan
from tests.live.run import run


def main(argv: Sequence[str] | None = None, answer: Callable[[str], str] = input) -> int:
    """Print the plan, ask, run; the exit code is told in the README."""
    asked = _parser().parse_args(argv)
    if asked.cloud == "gcp" and not asked.project:
        return _wrong("gcp needs --project")
    table: Sequence[Experiment[Any]] = aws_experiments.TABLE if asked.cloud == "aws" else gcp_experiments.TABLE
    chosen = [one for one in table if not asked.only or one.id in asked.only]
    unknown = set(asked.only or ()) - {one.id for one in table}
    if unknown:
        return _wrong(
            f"no such experiment: {', '.join(sorted(unknown))}; there are {', '.join(one.id for one in table)}"
        )
    if os.environ.get("CI") and not asked.rehearse:
        return _wrong("this writes to a real account and costs money: not in CI; --rehearse talks to an embedded cloud")
    patience = Patience(2, 0) if asked.rehearse else Patience(asked.limit, asked.every)
    settings = Run(secrets.token_hex(5), patience)
    with ExitStack() as until_the_end:
        try:
            cloud = until_the_end.enter_context(_connected(asked, settings))
        except (*Aws.errors, *Google.errors) as error:
            return _wrong(f"no way in: {' '.join(str(error).split())}")
        return _go(cloud, chosen, settings, asked, answer)


def _connected(asked: argparse.Namespace, settings: Run) -> AbstractContextManager[Aws | Google]:
    if asked.cloud == "aws":
        return connect.aws(asked.region, settings, rehearse=asked.rehearse)
    return connect.gcp(asked.project, asked.region, settings, rehearse=asked.rehearse)


def _go(
    cloud: Aws | Google,
    chosen: Sequence[Experiment[Any]],
    settings: Run,
    asked: argparse.Namespace,
    answer: Callable[[str], str],
) -> int:
    asked_of = "an embedded cloud" if asked.rehearse else f"{asked.cloud} {asked.region}"
    for line in plan(asked.cloud, chosen, settings, f"{asked_of}: {cloud.where}"):
        _tell(line)
    if not asked.yes and not _confirmed(answer):
        return _wrong("not confirmed, nothing was made")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill removes what was made, as Ctrl-C does
    try:
        return run(cloud, chosen, asked.out, asked_of, _tell).code
    finally:
        signal.signal(signal.SIGTERM, before)


def _confirmed(answer: Callable[[str], str]) -> bool:
    try:
        return answer("go on? [yes/no] ").strip() == "yes"
    except (EOFError, KeyboardInterrupt):
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=__doc__)
    parser.add_argument("cloud", choices=["aws", "gcp"])
    parser.add_argument(
        "--region", required=True, help="where keys and buckets are made, such as us-east-1 or us-east1"
    )
    parser.add_argument("--project", help="the throw-away project on Google Cloud")
    parser.add_argument("--out", type=Path, default=Path("live-answers"), help="folder of the recorded answers")
    parser.add_argument("--only", nargs="+", metavar="ID", help="ask only these")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds to wait for a change to take effect")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two reads meanwhile")
    parser.add_argument("--yes", action="store_true", help="do not ask before it begins")
    parser.add_argument("--rehearse", action="store_true", help="talk to an embedded cloud instead of the real one")
    return parser


def _wrong(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
