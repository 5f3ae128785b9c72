"""The ledger's two tables: what happened, and what stands now because of it."""

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

METADATA = MetaData()

EVENT = Table(
    "event",
    METADATA,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),  # ISO 8601, UTC
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
"""Append-only; each row's hash covers the row before."""

CURRENT = Table(
    "current",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("facts", Text, nullable=False),  # digest of what counts as a change
    Column("body", Text, nullable=False),
)
"""The newest state of everything, derived from the events alone and rebuildable from them."""
