"""The ledger's two tables: what happened, and what stands now because of it."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, TypeDecorator

from auditor.errors import LedgerError

DAMAGED = "the file is damaged or somebody changed it; restore it from a copy, or move it away and scan anew"
"""What to do about a ledger that holds what no ledger can hold."""


class _Text(TypeDecorator[str]):
    """A text; SQLite itself gives back whatever stands in the row."""

    impl = Text
    cache_ok = True

    def result_processor(self, dialect: object, coltype: object) -> Callable[[Any], str]:  # noqa: ARG002 - SQLAlchemy's shape
        return _text


def _text(value: Any) -> str:
    """Called for each text of each row: the whole of it, where SQLAlchemy would put two calls around it."""
    if not isinstance(value, str):
        raise LedgerError("the ledger holds something that is no text where a text belongs", DAMAGED)
    return value


METADATA = MetaData()

EVENT = Table(
    "event",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", _Text, nullable=False),  # ISO 8601, UTC
    Column("kind", _Text, nullable=False),
    Column("subject", _Text, nullable=False),
    Column("body", _Text, nullable=False),  # canonical JSON
    Column("previous", _Text, nullable=False),
    Column("hash", _Text, nullable=False),
)
"""Append-only; each row's hash covers the row before."""

CURRENT = Table(
    "current",
    METADATA,
    Column("kind", _Text, primary_key=True),
    Column("id", _Text, primary_key=True),
    Column("facts", _Text, nullable=False),  # digest of what counts as a change
    Column("body", _Text, nullable=False),
)
"""The newest state of everything, derived from the events alone and rebuildable from them."""

OURS: Final = frozenset({"alembic_version", EVENT.name, CURRENT.name})
"""All tables of a ledger."""
WRITING: Final = "cmek_writing"
"""The execution option of a connection whose transaction excludes all other writers."""
