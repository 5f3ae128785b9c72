"""Who works with a database finds it empty, whatever anybody did before."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from auditor.inventory import sql
from auditor.inventory.sql import lonely_reader, quoted, reader, working


def _left(database: duckdb.DuckDBPyConnection) -> list[tuple[str, ...]]:
    tables = database.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
    return tables + database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()


def test_nothing_temporary_is_left_to_the_next(tmp_path: Path) -> None:
    with working(tmp_path) as database:
        database.execute("CREATE TEMP TABLE kept AS SELECT 1 AS a")
        database.execute("CREATE TEMP VIEW seen AS SELECT * FROM kept")
        database.register("learnt", pa.table({"a": [1]}))
        assert len(_left(database)) == 3
    with working(tmp_path) as database:
        assert _left(database) == []


def test_two_at_a_time_have_one_each(tmp_path: Path) -> None:
    with working(tmp_path) as one, working(tmp_path) as other:
        one.execute("CREATE TABLE mine AS SELECT 1 AS a")
        assert _left(other) == []
        one.execute("DROP TABLE mine")


def test_one_that_failed_is_not_used_again(tmp_path: Path) -> None:
    def fail() -> None:
        with working(tmp_path) as database:
            database.execute("CREATE TABLE half AS SELECT 1 AS a")
            database.execute("SELECT * FROM nowhere")

    with pytest.raises(duckdb.CatalogException):
        fail()
    with working(tmp_path) as database:
        assert _left(database) == []


def test_a_file_of_the_same_name_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    for number in range(3):
        with working(tmp_path) as database:
            database.execute(f"COPY (SELECT {number} AS a) TO '{quoted(path)}' (FORMAT parquet)")
            assert database.execute("SELECT a FROM read_parquet($file)", {"file": str(path)}).fetchall() == [(number,)]


def test_what_does_not_fit_goes_to_each_ones_own_folder(tmp_path: Path) -> None:
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        with working(folder) as database:
            database.execute("SET memory_limit = '20MB'")
            database.execute("CREATE TEMP TABLE much AS SELECT hash(i) FROM range(4_000_000) numbers(i)")
            assert (folder / "spill").exists()
        assert not (folder / "spill").exists()


def test_a_database_that_takes_no_other_folder_is_not_worked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    spilled = duckdb.connect()
    spilled.execute(f"SET temp_directory = '{quoted(first)}'")
    spilled.execute("SET memory_limit = '20MB'")
    spilled.execute("CREATE TEMP TABLE much AS SELECT hash(i) FROM range(4_000_000) numbers(i)")
    spilled.execute("DROP TABLE much")
    with pytest.raises(duckdb.Error):
        spilled.execute(f"SET temp_directory = '{quoted(tmp_path)}'")
    idle = [spilled]
    monkeypatch.setattr(sql, "_IDLE", idle)
    with working(tmp_path) as database:
        ((where,),) = database.execute("SELECT current_setting('temp_directory')").fetchall()
    assert where == str(tmp_path / "spill")
    assert spilled not in idle


def test_what_one_asked_for_less_of_the_next_has_again(tmp_path: Path) -> None:
    allowed = []
    for _ in range(2):
        with working(tmp_path) as database:
            allowed += database.execute("SELECT current_setting('memory_limit')").fetchall()
            database.execute("SET memory_limit = '20MB'")
    assert allowed[0] == allowed[1]


def test_times_are_told_in_utc(tmp_path: Path) -> None:
    for _ in range(2):
        with working(tmp_path) as database:
            ((zone,),) = database.execute("SELECT current_setting('TimeZone')").fetchall()
            assert zone == "UTC"


class Owner:
    """Whoever reads."""


def test_who_reads_has_a_database_alone_and_the_next_one_has_it_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_READ", [])
    one, other = Owner(), Owner()
    first = reader(one, "CREATE OR REPLACE VIEW seen AS SELECT 1 AS a")
    second = reader(other, "CREATE OR REPLACE VIEW seen AS SELECT 2 AS a")
    assert (first is second, first.execute("FROM seen").fetchall()) == (False, [(1,)])
    del one
    third = Owner()
    assert reader(third, "CREATE OR REPLACE VIEW seen AS SELECT 3 AS a") is first
    assert (first.execute("FROM seen").fetchall(), second.execute("FROM seen").fetchall()) == ([(3,)], [(2,)])


def test_a_database_that_can_do_no_more_is_not_read_through(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = duckdb.connect()
    dead.close()
    monkeypatch.setattr(sql, "_READ", [dead])
    owner = Owner()
    database = reader(owner, "CREATE OR REPLACE VIEW seen AS SELECT 1 AS a")
    assert database.execute("FROM seen").fetchall() == [(1,)]


def test_where_one_tenant_reads_alone_nobody_did_before_and_nobody_does_after(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = [duckdb.connect()]
    monkeypatch.setattr(sql, "_READ", idle)
    alone = lonely_reader("CREATE TABLE mine AS SELECT 1 AS a")
    assert alone is not idle[0]
    del alone
    assert [_left(one) for one in idle] == [[]]
