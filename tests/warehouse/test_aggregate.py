"""What a warehouse adds up is what this auditor would have added up, in every dialect."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from auditor.errors import UsageError
from auditor.inventory.layout import Layout
from auditor.inventory.layout_sql import namespace_of
from auditor.warehouse import dialects
from auditor.warehouse.aggregate import COLUMNS, aggregate
from auditor.warehouse.dialects import DIALECTS, written
from tests.hostile import NAMES

LAYOUT = Layout.parse("{org}/{namespace}/")
ARN = "arn:aws:kms:us-east-1:111122223333:key/"
GOOGLE = "projects/acme/locations/us-east1/keyRings/tpuf/cryptoKeys/main"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
S3_COLUMNS = {
    **dict.fromkeys(("bucket", "key", "sequence_number", "version_id"), "VARCHAR"),
    "is_delete_marker": "BOOLEAN",
    "size": "BIGINT",
    "last_modified_date": "TIMESTAMP",
    **dict.fromkeys(("e_tag", "storage_class", "encryption_status", "kms_key_arn"), "VARCHAR"),
}
"""Of a live inventory table of S3 Metadata, as far as they matter."""


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        yield made


def versions(count: int, seed: int = 1) -> list[tuple[Any, ...]]:
    """Rows of a live inventory: names with several versions, delete markers, keys that are not known."""
    random = Random(seed)  # noqa: S311 - no secret
    rows = []
    for number in range(count):
        name = f"org{random.randrange(5)}/ns{random.randrange(40)}/{number // 2}"
        status = random.choice(["SSE-KMS", "SSE-KMS", "DSSE-KMS", "SSE-S3", "SSE-C", None])
        key = f"{ARN}{random.randrange(4)}" if status in {"SSE-KMS", "DSSE-KMS"} and random.random() < 0.9 else None
        modified = (BEGAN + timedelta(minutes=random.randrange(500_000))).replace(tzinfo=None)
        marker = random.random() < 0.1
        size = 0 if marker else random.randrange(10**6)
        storage = random.choice(["STANDARD", "GLACIER", "GLACIER_IR"])
        kept = ("data", name, f"{number:020x}", str(number), marker, size, modified, "e", storage)
        rows.append((*kept, None if marker else status, key))
    return rows


def filled(database: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> None:
    kinds = {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "TIMESTAMP": pa.timestamp("us")}
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(one, kinds.get(kind, pa.string())) for one, kind in zip(columns, S3_COLUMNS.values(), strict=True)
    ]
    database.register("arrived", pa.table(arrays, names=list(S3_COLUMNS)))
    database.execute("CREATE TABLE inventory AS SELECT * FROM arrived")


def answers(database: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
    """Without the moment of the question, in their order."""
    return sorted((row[:-2] + row[-1:] for row in database.execute(statement).fetchall()), key=repr)


def test_rows_of_s3_metadata_are_added_up_as_one_by_one(database: duckdb.DuckDBPyConnection) -> None:
    rows = versions(4_000)
    filled(database, rows)
    database.execute(aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))
    assert database.description is not None
    assert tuple(one[0] for one in database.description) == COLUMNS
    expected: dict[tuple[Any, ...], Counter[str]] = {}
    newest = {name: max(row[2] for row in rows if row[1] == name) for name in {row[1] for row in rows}}
    for _, name, sequence, _, marker, size, _, _, storage, status, key in rows:
        if marker:
            continue
        population = "live" if sequence == newest[name] else "noncurrent"
        kind = {"SSE-S3": "provider", "SSE-C": "customer_supplied"}.get(status or "", "cmek" if key else "unknown")
        space, _ = LAYOUT.read(name)
        sums = expected.setdefault((space, population, kind, key, None), Counter())
        sums.update(objects=1, bytes=size, archived=storage == "GLACIER")
    found = {
        row[:5]: Counter(objects=row[5], bytes=row[6], archived=row[7])
        for row in answers(database, aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))
    }
    assert found == expected
    assert {key[1] for key in found} == {"live", "noncurrent"}
    assert {key[2] for key in found} == {"cmek", "provider", "customer_supplied", "unknown"}


def test_of_which_bucket_it_is_the_table_says_where_it_can(database: duckdb.DuckDBPyConnection) -> None:
    filled(database, [("other", *row[1:]) for row in versions(20)])
    place = COLUMNS.index("bucket")
    told = {row[place] for row in answers(database, aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))}
    assert told == {"s3://other"}
    database.execute(f"CREATE TABLE listed AS {NORMAL}")
    told = {row[place] for row in answers(database, aggregate("normal", LAYOUT, "listed", "gs://data"))}
    assert told == {"gs://data"}


def test_where_no_name_has_two_versions_it_is_the_same_without_sorting_them(
    database: duckdb.DuckDBPyConnection,
) -> None:
    rows = {row[1]: row for row in versions(2_000) if not row[4]}
    filled(database, [*rows.values()])
    quick = aggregate("s3-metadata", LAYOUT, "inventory", "s3://data", never_versioned=True)
    assert "OVER (PARTITION" not in quick
    assert answers(database, quick) == answers(database, aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))


def test_what_a_delete_marker_hides_is_not_live(database: duckdb.DuckDBPyConnection) -> None:
    when = BEGAN.replace(tzinfo=None)
    old = ("data", "a/b/x", "01", "1", False, 5, when, "e", "STANDARD", "SSE-S3", None)
    marker = ("data", "a/b/x", "02", "2", True, 0, when, None, None, None, None)
    filled(database, [old, marker])
    assert [row[:6] for row in answers(database, aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))] == [
        ("a/b", "noncurrent", "provider", None, None, 1)
    ]


def test_a_key_that_the_table_does_not_tell_is_unknown_and_never_unencrypted(
    database: duckdb.DuckDBPyConnection,
) -> None:
    when = BEGAN.replace(tzinfo=None)
    told = [("SSE-KMS", None), ("SSE-KMS", ""), (None, None), ("SOMETHING", None), ("SSE-KMS", "alias/x")]
    rows = [
        ("data", f"a/b/{number}", "01", "1", None, 5, when, "e", "STANDARD", *one) for number, one in enumerate(told)
    ]
    filled(database, rows)
    found = answers(database, aggregate("s3-metadata", LAYOUT, "inventory", "s3://data"))
    assert [row[1:6] for row in found] == [("live", "unknown", None, None, 5)]


def test_keys_of_google_are_parted_from_their_versions(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(
        "CREATE TABLE listed (name VARCHAR, size BIGINT, modified TIMESTAMPTZ, population VARCHAR, encryption VARCHAR, "
        "kms_key VARCHAR, archived BIGINT)"
    )
    rows = [
        ("a/b/1", 1, BEGAN, "live", "cmek", f"{GOOGLE}/cryptoKeyVersions/12", 0),
        ("a/b/2", 2, BEGAN, "live", "cmek", GOOGLE, 1),
        ("outside", 3, BEGAN, "soft_deleted", "provider", None, 0),
    ]
    database.executemany("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    assert [row[:8] for row in answers(database, aggregate("normal", LAYOUT, "listed", "s3://data"))] == [
        ("a/b", "live", "cmek", GOOGLE, "12", 1, 1, 0),
        ("a/b", "live", "cmek", GOOGLE, None, 1, 2, 1),
        (None, "soft_deleted", "provider", None, None, 1, 3, 0),
    ]


LAYOUTS = ("{org}/{namespace}/", "v1/{a}/x/{b}/", "p.+{a}-{b}/", "{a}.{b}/data/", "$(x)|{a}/", "{a}-")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_name_is_in_the_namespace_that_the_layout_reads(database: duckdb.DuckDBPyConnection, layout: str) -> None:
    read = Layout.parse(layout)
    parts = ["a", "-", "--", "/", "x", "v1/", "p.+", ".", "data", "$(x)|", "é", "日", "a-b", "//", "..", "\n"]
    random = Random(layout)  # noqa: S311 - no secret
    made = {"".join(random.choices(parts, k=random.randrange(1, 9))) for _ in range(4_000)}
    names = sorted(
        {*made, *NAMES.values(), *(f"v1/{one}" for one in made), *(f"p.+{one}" for one in made), "v1/a/x/b/c"}
    )
    sql = f"SELECT name, {namespace_of(read)} FROM (SELECT unnest($names) AS name)"  # noqa: S608 - ours
    found = dict(database.execute(sql, {"names": names}).fetchall())
    assert {name: read.read(name)[0] for name in names} == found
    assert any(one is not None for one in found.values())


@given(name=st.text(st.sampled_from("ab-/.x\n"), min_size=1, max_size=14), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=300, deadline=None)
def test_no_name_is_read_otherwise(name: str, layout: str) -> None:
    read = Layout.parse(layout)
    sql = f"SELECT {namespace_of(read)} FROM (SELECT $name AS name)"  # noqa: S608 - ours
    ((found,),) = one_database().execute(sql, {"name": name}).fetchall()
    assert found == read.read(name)[0]


@cache
def one_database() -> duckdb.DuckDBPyConnection:
    """For all examples: to open one takes longer than to ask."""
    return duckdb.connect()


@pytest.mark.parametrize("layout", ["{a}-x/", "it's/{a}/", "a\\b/{a}/", "[x]/{a}/", "{a}--{b}/"])
def test_a_layout_that_engines_would_read_otherwise_is_refused(layout: str) -> None:
    with pytest.raises(UsageError, match="cannot be told in SQL"):
        namespace_of(Layout.parse(layout))


@pytest.mark.parametrize("table", ["", "a b", "a;drop", 'a"b', "a..b", "a.", "x'y", '"', "a--b;"])
def test_what_names_no_table_is_refused(table: str) -> None:
    with pytest.raises(UsageError, match="names no table"):
        aggregate("normal", LAYOUT, table, "s3://data")


@pytest.mark.parametrize("source", ["s3-metadata", "normal"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_read_back_says_the_same(dialect: str, layout: str, source: str) -> None:
    statement = aggregate(source, Layout.parse(layout), '"s3tablescatalog/aws-s3".b_data.inventory', "s3://data")
    there = written(statement, dialect)
    assert "\\" not in there
    back = sqlglot.transpile(there, read=dialect, write="duckdb", identify=True)[0]
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        if source == "s3-metadata":
            filled(database, versions(500))
        else:
            database.execute(f"CREATE TABLE inventory AS {NORMAL}")
        asked = aggregate(source, Layout.parse(layout), "inventory", "s3://data")
        again = back.replace('"s3tablescatalog/aws-s3"."b_data"."inventory"', '"inventory"')
        assert again != back
        assert digest(answers(database, again)) == digest(answers(database, asked))


NORMAL = f"""
SELECT 'org' || i % 3 || '/ns' || i % 7 || '/' || i AS name, i AS size, TIMESTAMP '2026-01-01' AS modified,
       'live' AS population, CASE WHEN i % 5 = 0 THEN 'provider' ELSE 'cmek' END AS encryption,
       '{GOOGLE}/cryptoKeyVersions/' || i % 4 AS kms_key, 0 AS archived
FROM range(500) AS t(i)
"""  # noqa: S608 - ours


def digest(rows: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_a_function_that_an_engine_lacks_is_noticed_before_anybody_asks_it() -> None:
    with pytest.raises(AssertionError, match="not all engines have"):
        written("SELECT SPLIT_PART(name, '/', 1) FROM t", "bigquery")


def test_names_are_quoted_as_each_engine_quotes() -> None:
    statement = aggregate("normal", LAYOUT, '"a b".c', "s3://data")
    for dialect in DIALECTS:
        quote = "`" if dialect in {"bigquery", "spark"} else '"'
        assert f"{quote}a b{quote}.{quote}c{quote}" in written(statement, dialect)
    # A parser of each engine's own reads them in the system tests; here sqlglot's at least does.
    assert all(sqlglot.parse_one(written(statement, one), read=one).find(exp.Group) for one in DIALECTS)
    assert not re.search(r"[^\x20-\x7e\n]", statement)


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sqlglot", None)
    with pytest.raises(UsageError, match="needs the extra `warehouse`"):
        dialects.written("SELECT 1", "athena")
