"""What is said where something cannot be written down: one fault has the same words, whatever it was."""

from pathlib import Path

import duckdb

from auditor.errors import DiskError


def unwritten(what: str, root: Path, error: Exception) -> DiskError:
    """Say that something cannot be written; `what` names it, `root` is the folder that it was to be in."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return DiskError(
            f"{what}: the memory for it and the room beside it on the disk do not suffice",
            f"make room below {root}, where what does not fit in memory goes; if there is enough, report it",
        )
    why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return DiskError(f"{what}: {why}", f"look at disk and rights of {root}")
