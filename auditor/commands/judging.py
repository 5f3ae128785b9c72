"""`scan` and `poll`: the newest answer is asked for, judged, printed."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from auditor import scan
from auditor.commands.answering import Answering, assembled, exit_code, place_for, reasons, writing
from auditor.commands.naming import known_keys
from auditor.config import Config
from auditor.errors import UsageError
from auditor.findings import Judgement
from auditor.outputs import (
    estimate_json,
    scan_json,
    terminal,
)
from auditor.ports import OpenInventory
from auditor.progress import progress_on
from auditor.questions.called import whole
from auditor.questions.estimate import estimate, estimate_registries


def judge_once(
    path: Path,
    how: Answering,
    buckets: list[str] | None = None,
    keys: list[str] | None = None,
    *,
    by_sdk: bool = False,
) -> int:
    """Scan (with `buckets`, an empty list for all) or poll (with `keys`, likewise) and print the judgement."""
    allowed = reasons(how.allow_gaps)
    place_for(how.output)  # before a scan of hours, not after it
    with assembled(path, verbose=how.verbose, by_sdk=by_sdk) as (config, assembly):
        # Nobody asks again in this run: one reading must do, and says so.
        parts = replace(assembly.parts, policy=replace(assembly.parts.policy, one_reading=True))
        with progress_on(sys.stderr, quiet=how.quiet) as progress:
            if buckets is not None:
                judgement = scan.scan(parts, progress, only=configured(config, buckets))
            else:
                names = known_keys(assembly.parts) if keys else ((), tuple)
                # A registry may name a key since: the poll hears it, and refuses what nobody names.
                may_be_new = bool(parts.registries or parts.services or parts.handed)
                only = frozenset(whole(one, *names, strangers=may_be_new) for one in keys or ())
                scan.probe(parts, progress)
                judgement = scan.poll(parts, progress, only=only)
        with writing(how.output) as out:
            _print(judgement, assembly.rows(judgement), how.form, out)
            if buckets is not None and how.form == "table" and judgement.coverage.buckets:
                swept = (one for one in judgement.coverage.buckets if not buckets or one.bucket in buckets)
                terminal.plain(out).print("", terminal.sent(swept), sep="\n")
    return exit_code(judgement, how.fail_on, allowed)


def estimate_sweeps(path: Path, how: Answering, buckets: list[str], *, by_sdk: bool = False) -> int:
    """Print what sweeps of the buckets (an empty list for all) would ask and cost; make none."""
    place_for(how.output)
    with assembled(path, verbose=how.verbose, by_sdk=by_sdk) as (config, assembly):
        chosen = configured(config, buckets)
        found, registries = estimate(assembly.parts, chosen), estimate_registries(assembly.parts, chosen)
        rate = config.limits.requests_per_second
        with writing(how.output) as out:
            if how.form == "json":
                estimate_json.write(found, rate, out, registries)
            else:
                terminal.plain(out).print(terminal.estimates(found, rate, registries))
    return 0


def _print(judgement: Judgement, rows: OpenInventory, form: str, out: TextIO) -> None:
    if form == "json":
        scan_json.write(judgement, rows, out)
    else:
        terminal.show(judgement, terminal.plain(out))


def configured(config: Config, buckets: list[str]) -> frozenset[str]:
    """The buckets that a command line names.

    Raises:
        UsageError: one is not in the config.
    """
    known = {one.url for one in config.bucket}
    wrong = [one for one in buckets if one not in known]
    if wrong:
        raise UsageError(f"--bucket {wrong[0]!r} is not in the config", "name it by its `url`")
    return frozenset(buckets)
