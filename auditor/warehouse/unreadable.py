"""What DuckDB says of files that somebody else wrote, told as their fault."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

from auditor.errors import CollectError


@contextmanager
def refused_by(refuse: Callable[[str], CollectError]) -> Iterator[None]:
    """Raise what `refuse` makes of the first line; what spills is written to our own disk, and stays that disk's fault.

    Raises:
        CollectError: files cannot be read.
        duckdb.OperationalError: the disk fails, or memory.
    """
    try:
        yield
    except duckdb.OperationalError:
        raise
    except (duckdb.Error, ValueError) as error:
        raise refuse(f"cannot be read: {str(error).partition(chr(10))[0][:200]}") from None
