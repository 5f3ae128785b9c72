"""`bundle` and `show`: what an operator tells a tenant's auditor."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from auditor import log
from auditor.commands.answering import Answering, assembled, is_text, judged, place_for, writing
from auditor.connectors.registry_bundle import look
from auditor.errors import CollectError, UsageError
from auditor.handover.bundling import bundling
from auditor.handover.handing import hand_over
from auditor.log import visible
from auditor.outputs import (
    bundle_text,
    show_json,
    show_table,
    terminal,
)
from auditor.signing.keys import fingerprint_of, signing_key
from auditor.skew import plausible

_LONGEST_OPERATOR: Final = 200


def write_bundle(
    path: Path, tenant: str, operator: str | None, sign_with: Path, output: Path, *, quiet: bool, verbose: bool
) -> int:
    """Write what the newest judgement tells of one tenant's data, signed for this tenant."""
    if operator is not None and not (operator.isprintable() and 0 < len(operator) <= _LONGEST_OPERATOR):
        raise UsageError(f"--operator {operator!r} is no name", f"give one of at most {_LONGEST_OPERATOR} characters")
    if not is_text(tenant):
        raise UsageError(f"--tenant {tenant!r} is no text in UTF-8", "name it as `scan --format json` does")
    key = signing_key(sign_with)
    if output.exists() and output.samefile(sign_with):
        raise UsageError(f"--output {output} is the key to sign with, which would be lost", "choose another --output")
    with assembled(path, verbose=verbose, asking=False) as (_, assembly):
        assembly.ledger.verify()
        judgement = judged(assembly)
        now = assembly.parts.clock() + plausible(judgement.run.skew)
        made = bundling(assembly.parts, judgement, assembly.rows(judgement), tenant=tenant, operator=operator, now=now)
    hand_over(made, key, output)
    if not quiet and sys.stdout is not None:
        sys.stdout.writelines(
            f"{visible(one)}\n" for one in (f"wrote {output}", *bundle_text.made(made, fingerprint_of(key)))
        )
    return 0


def show_bundle(path: Path, key: Path | None, how: Answering) -> int:
    """Print what a bundle says of itself and of the data; 3 where its signature was not verified.

    Raises:
        UsageError: it cannot be read, is none, or is not signed by the key.
    """
    place_for(how.output)
    log.start(json_lines=False, verbose=how.verbose)
    now = datetime.now(UTC)
    try:
        found = look(path, key, now)
    except CollectError as error:
        raise UsageError(str(error), error.hint) from None
    with writing(how.output) as out:
        if how.form == "json":
            show_json.write(found, out)
        else:
            terminal.plain(out).print(show_table.shown(found, now), soft_wrap=True)
    return 0 if found.signer is not None else 3
