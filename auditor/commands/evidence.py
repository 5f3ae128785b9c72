"""`report --bundle` and `verify`: evidence is made, or looked at."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from auditor import log
from auditor.commands.answering import STANDARD_OUTPUT, Answering, assembled, place_for, see_that_it_is_text, writing
from auditor.errors import RefusedError, UsageError
from auditor.evidence.making import make
from auditor.evidence.verified import Verified
from auditor.evidence.verifying import verify
from auditor.log import visible
from auditor.outputs import (
    evidence_text,
    terminal,
    verify_json,
    verify_table,
)
from auditor.signing.elsewhere import is_uri, signer_at
from auditor.signing.envelope import Signer
from auditor.signing.keys import fingerprint_of, signing_key, verifying_key


def write_evidence(
    path: Path, sign_with: str, public: Path | None, output: Path, tenant: str | None, *, quiet: bool, verbose: bool
) -> int:
    """Write the newest judgement and all that it stands on as one signed archive; for a tenant its own part alone."""
    see_that_it_is_text(tenant)
    if output == STANDARD_OUTPUT:
        raise UsageError("a bundle is a file, and standard output is none", "name a file with --output")
    key = _signer(sign_with, public)
    if output.exists() and not is_uri(sign_with) and output.samefile(sign_with):
        raise UsageError(f"--output {output} is the key to sign with, which would be lost", "choose another --output")
    with assembled(path, verbose=verbose, asking=False) as (config, assembly):
        assembly.ledger.verify()
        made = make(assembly, config, key, output, tenant)
    if not quiet and sys.stdout is not None:
        told = evidence_text.made(made.statement, made.size, fingerprint_of(key))
        sys.stdout.writelines(f"{visible(one)}\n" for one in (f"wrote {output}", *told))
    return 0


def _signer(sign_with: str, public: Path | None) -> Signer:
    """A key in a file, or one that is elsewhere, of which the public key is in a file."""
    if not is_uri(sign_with):
        if public is not None:
            raise UsageError("--public-key is of a key that --sign-with names by a URI", "leave --public-key away")
        return signing_key(Path(sign_with))
    if public is None:
        raise UsageError(f"--sign-with {sign_with} needs --public-key PUB.pem", "save what its service shows as that")
    return signer_at(sign_with, verifying_key(public))


def verify_bundle(path: Path, key: Path | None, after: Path | None, after_key: Path | None, how: Answering) -> int:
    """Print whether an evidence bundle holds; 1 where it does not, 3 where its signature was not verified.

    Raises:
        RefusedError: something of it does not hold.
        UsageError: a file or a key cannot be read.
    """
    place_for(how.output)
    log.start(json_lines=False, verbose=how.verbose)
    if after_key is not None and after is None:
        raise UsageError("--after-key is of the bundle that --after names", "name that, or leave both away")
    signer = verifying_key(key) if key is not None else None
    found: Verified | RefusedError
    try:
        found = verify(path, signer, after, verifying_key(after_key) if after_key is not None else None)
    except RefusedError as error:
        if how.form != "json":
            raise
        found = error
    with writing(how.output) as out:
        if how.form == "json":
            verify_json.write(path, after, found, out, keyed=signer is not None)
        elif isinstance(found, Verified):
            terminal.plain(out).print(verify_table.verified(found, datetime.now(UTC)), soft_wrap=True)
    if isinstance(found, RefusedError):
        raise found
    return 0 if found.bundle.signer is not None else 3
