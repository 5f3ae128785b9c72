"""A ledger of any schema that there ever was is brought up to what this version reads and writes."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from auditor.errors import LedgerError
from auditor.ledger.database import _MIGRATIONS, Database
from auditor.ledger.store import LedgerStore
from auditor.ledger.tables import METADATA
from tests.ledger.raw import sql
from tests.ledger.test_store import a_sweep

REVISIONS = [one.revision for one in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()]


def at_revision(where: Path | str, revision: str) -> Database:
    """A ledger as the version wrote it that had this schema."""
    database = Database(where)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.writing() as connection:
        for table in (*METADATA.tables, "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return database


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_schema_becomes_this_one_and_takes_what_is_written(where: Path | str, revision: str) -> None:
    at_revision(where, revision).close()
    store = LedgerStore(where)
    assert store.publish(a_sweep())
    assert store.verify() == 1
    store.close()
    database = Database(where, looking=True)
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == REVISIONS[0]
        differs = [one for one in compare_metadata(context, METADATA) if "alembic_version" not in str(one)]
    database.close()
    assert differs == []


def test_what_is_made_is_compared(where: Path | str) -> None:
    """So that the test above can fail: a column that no query knows is seen."""
    database = at_revision(where, REVISIONS[0])
    sql(where, "ALTER TABLE event ADD COLUMN more TEXT")
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA)
    database.close()


def test_a_ledger_without_a_schema_is_not_looked_at(where: Path | str) -> None:
    database = at_revision(where, REVISIONS[0])
    database.close()
    sql(where, "DELETE FROM alembic_version")
    with pytest.raises(LedgerError):
        Database(where, looking=True)
