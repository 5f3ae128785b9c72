"""How every command answers: by which config, where to, with which exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from auditor import log
from auditor.config import Config, load
from auditor.errors import AuditorError, UsageError
from auditor.executors import crew_of
from auditor.findings import Judgement, Severity, Status
from auditor.model import KeyName, Reason
from auditor.wiring import Assembly, assemble

STANDARD_OUTPUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class Answering:
    """How a judging command answers."""

    form: str
    """`table` or `json`."""
    output: Path | None
    fail_on: Severity
    allow_gaps: str
    quiet: bool
    verbose: bool


def exit_code(judgement: Judgement, fail_on: Severity, allowed: frozenset[Reason]) -> int:
    """1 for an open finding at or above the level, else 3 for a gap that is not allowed, else 0."""
    if any(one.status is Status.OPEN and one.severity.rank >= fail_on.rank for one in judgement.findings):
        return 1
    return 3 if any(gap.reason not in allowed for gap in judgement.gaps) else 0


def see_that_it_is_text(tenant: str | None) -> None:
    """See that a tenant, where one is named, is named as text.

    Raises:
        UsageError: it is not.
    """
    if tenant is not None and not is_text(tenant):
        raise UsageError(f"tenant {tenant!r} is no text in UTF-8", "name it as `scan --format json` does")


def is_text(given: str) -> bool:
    """Whether it was given as text: bytes of a command line that are none stand for themselves."""
    try:
        given.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def assembled(
    path: Path, *, verbose: bool, by_sdk: bool = False, asking: bool = True, workers: int = 1
) -> Iterator[tuple[Config, Assembly]]:
    """Put together what a config file names; `asking`: services may be asked, `by_sdk`: buckets through the SDKs.

    `workers`: so many processes do the same at once, and share the rates of the config.

    Raises:
        AuditorError: the config is wrong, or something of it is not there.
    """
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    crew = crew_of(config, by_sdk=by_sdk, verbose=verbose) if asking and workers == 1 else None
    assembly = assemble(config, by_sdk=by_sdk, asking=asking, workers=workers, crew=crew)
    try:
        yield config, assembly
    finally:
        assembly.close()


def place_for(output: Path | None) -> None:
    """See that an answer can be written at all, before it is made.

    Raises:
        AuditorError: it cannot.
    """
    if output in {None, STANDARD_OUTPUT} and sys.stdout is None:
        raise AuditorError("cannot write the answer: standard output is closed", "name another place with --output")


@contextmanager
def writing(output: Path | None) -> Iterator[TextIO]:
    """Where the answer goes: a file, or standard output.

    Raises:
        AuditorError: it cannot be written there.
    """
    place_for(output)
    if output is None or output == STANDARD_OUTPUT:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise AuditorError(
                f"cannot write the answer: {error.strerror}", "name another place with --output"
            ) from None
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as error:
        raise AuditorError(f"cannot write {output}: {error.strerror}", "choose another --output") from None


def write_bytes(told: bytes, output: Path) -> list[Path]:
    """Write what is no text; the file, or none where it went to standard output."""
    if output != STANDARD_OUTPUT:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(told)
        except OSError as error:
            raise AuditorError(f"cannot write {output}: {error.strerror}", "choose another --output") from None
        return [output]
    with writing(output) as out:
        out.buffer.write(told)
    return []


def judged(assembly: Assembly) -> Judgement:
    """The newest judgement.

    Raises:
        LedgerError: the ledger cannot be read.
        UsageError: there is none yet.
    """
    return _found(assembly.ledger.judgement())


def judged_about(assembly: Assembly, key: KeyName | None) -> Judgement:
    """The newest judgement as far as it is about one key's data, or about none, without findings: the rest takes long.

    Raises:
        LedgerError: the ledger cannot be read.
        UsageError: there is none yet.
    """
    return _found(assembly.ledger.judgement_about(key))


def _found(judgement: Judgement | None) -> Judgement:
    if judgement is None:
        raise not_judged()
    return judgement


def not_judged() -> UsageError:
    """Say what to do where nothing was ever judged."""
    return UsageError("there is no judgement yet", "run `cmek-auditor scan` first")


def reasons(text: str) -> frozenset[Reason]:
    """Reasons of gaps, separated by commas.

    Raises:
        UsageError: one of them is none.
    """
    asked = {one.strip() for one in text.split(",") if one.strip()}
    wrong = sorted(asked - set(Reason))
    if wrong:
        raise UsageError(f"--allow-gaps: {wrong[0]!r} is no reason of a gap", f"reasons are {', '.join(Reason)}")
    return frozenset(map(Reason, asked))
