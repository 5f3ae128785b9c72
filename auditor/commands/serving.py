"""`serve`: the daemon, as long as it runs."""

import sys
from pathlib import Path

from auditor import log
from auditor.config import load
from auditor.daemon import serving
from auditor.daemon.leading import Leadership
from auditor.errors import UsageError
from auditor.executors import crew_of
from auditor.ownership.registering import ready
from auditor.wiring import Assembly, assemble


def run_daemon(path: Path, *, standby: bool, verbose: bool) -> int:
    """Serve until SIGTERM or SIGINT, and read the config anew at SIGHUP; with `standby` behind another daemon."""
    again = serving.hang_ups()
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    assembly = assemble(config, crew=crew_of(config, verbose=verbose))
    ready(assembly.parts)
    leadership = leading_or_waiting(assembly, standby=standby)
    assembly.ledger.verify()

    def started(address: str) -> None:
        if sys.stdout is not None:
            waits = "" if leadership else "; another daemon works, and this one waits"
            sys.stdout.write(f"serving on {address} (metrics: {address}/metrics, report: {address}/){waits}\n")
            sys.stdout.flush()

    done = serving.serve(serving.Serving(path, config, assembly, leadership, verbose=verbose), started, again)
    serving.leave(at_once=not done)
    return 0


def leading_or_waiting(assembly: Assembly, *, standby: bool) -> Leadership:
    """Make this daemon the one that works with its ledger, or one that may wait for that.

    Raises:
        UsageError: another daemon works, and this one is not to wait.
    """
    leadership = Leadership(assembly.ledger)
    leadership.look()
    if not leadership and not standby:
        raise UsageError(
            f"another daemon works with the ledger {assembly.ledger.name}",
            "stop it first, let this one wait with --standby, or give it a `state` of its own",
        )
    return leadership
