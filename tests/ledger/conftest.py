"""Where a ledger under test is: a file, or a database of the PostgreSQL server that CMEK_TEST_POSTGRES names."""

import inspect
import os
import uuid
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine, make_url

_SERVER: Final = os.environ.get("CMEK_TEST_POSTGRES")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Promises about files, which ask for a folder themselves, are none of a server's."""
    if _SERVER is None:
        return
    of_files = [
        one
        for one in items
        if isinstance(one, pytest.Function) and "tmp_path" in inspect.signature(one.function).parameters
    ]
    config.hook.pytest_deselected(items=of_files)
    items[:] = [one for one in items if one not in of_files]


@pytest.fixture
def where(request: pytest.FixtureRequest) -> Path | str:
    """A place without a ledger."""
    if _SERVER is None:
        folder: Path = request.getfixturevalue("tmp_path")
        return folder / "ledger.db"
    return a_database(_SERVER)


def a_database(server: str) -> str:
    """Make one, which sorts texts as no program does; its URL."""
    name = f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0"
        )
    engine.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)
