"""What was found when somebody looked at an evidence bundle."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.evidence.statement import Statement


class Check(StrEnum):
    """What is looked at, in this order: nothing is believed before what stands above it held."""

    SIGNATURE = "signature"
    FILES = "files"
    LEDGER = "ledger"
    CONTINUES = "continues"


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Looked:
    """One bundle of which all holds that was looked at."""

    name: str
    """Of the file, as it was given."""
    statement: Statement
    digest: str
    """SHA-256 of what is signed, hexadecimal."""
    signer: str | None
    """Fingerprint of the key that the signature was verified with; None: it was not."""
    named: str | None
    """Fingerprint of the key that the file names; nobody vouches for that."""
    size: int
    """Bytes."""
    readings: int
    """Keys of which it has what was heard last."""
    shown: int
    """Events of the ledger that are in it, readings included."""
    given: int
    """Earlier heads that the ledger says were handed out, each of which it was."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle, and an earlier one that it was compared with."""

    bundle: Looked
    earlier: Looked | None = None
    """One of which each event of the ledger is in the later one's."""
