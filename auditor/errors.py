"""The few kinds of failure that the auditor itself raises."""

from auditor.model import Reason


class AuditorError(Exception):
    """What failed, on what and what follows; `hint` says what to do about it."""

    exit_code = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AuditorError):
    """The command line or the config cannot be used as it stands."""

    exit_code = 2


class RefusedError(AuditorError):
    """What was handed over is not what was signed, or does not go on where it should; `check` names what failed."""

    exit_code = 1

    def __init__(self, check: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.check = check


class CollectError(AuditorError):
    """A bucket or a service could not be read to the end; `reason` is the gap that it leaves."""

    def __init__(self, message: str, hint: str | None = None, *, reason: Reason) -> None:
        super().__init__(message, hint)
        self.reason = reason


class TakenError(CollectError):
    """Where one object was to be put another one is, or one of which nobody can tell: that concerns it alone."""


class OrderError(CollectError):
    """Names come in no order, so that a bucket can only be listed in one go, from its beginning to its end."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"cannot list {bucket}: it goes on before the name where it was to",
            "sweep again; it is listed from its beginning then",
            reason=Reason.MALFORMED,
        )


class ReadOnlyError(AuditorError):
    """A request outside the table of allowed requests was about to be sent, and was not."""


class LedgerError(AuditorError):
    """The ledger cannot be read or written, or its chain of hashes does not hold."""


class GoneError(LedgerError):
    """A file that the ledger names is not there any more."""


class DiskError(LedgerError):
    """What is known cannot be written down: the disk is full, or may not be written to."""


class BusyError(LedgerError):
    """Another process, here or elsewhere, holds what only one may hold."""
