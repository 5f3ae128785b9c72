from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.inventory import totals
from auditor.inventory.files import SCHEMA
from auditor.inventory.layout import Layout
from auditor.inventory.snapshot import with_namespaces
from auditor.model import Encryption, Population, Reason, StoredObject
from auditor.rows import batched
from tests.core_builders import NOW

BY_SQL = (Path(__file__).parent / "aggregate.sql").read_text()
LAYOUTS = st.sampled_from(["{org}/{namespace}/", "{namespace}/", "data/{org}-{namespace}/", "{a}.{namespace}/x/"])
NAMES = st.text(st.sampled_from("ab/.-xé😀\n"), min_size=1, max_size=8) | st.builds(
    "{}/{}/{}".format, *[st.sampled_from("abé")] * 3
)
ENCRYPTIONS = (
    (Encryption.CMEK, "k1", "1"),
    (Encryption.CMEK, "k1", "2"),
    (Encryption.CMEK, "k2", None),
    (Encryption.PROVIDER, None, None),
    (Encryption.UNKNOWN, None, None),
)


@st.composite
def objects(draw: st.DrawFn) -> StoredObject:
    encryption, key, version = draw(st.sampled_from(ENCRYPTIONS))
    unknown = encryption is Encryption.UNKNOWN
    return StoredObject(
        name=draw(NAMES),
        version=str(draw(st.integers(1, 3))),
        population=draw(st.sampled_from(Population)),
        size=draw(st.integers(0, 9) | st.just(2**63 - 1)),
        modified=NOW + timedelta(seconds=draw(st.integers(-5, 5))),
        etag=None,
        storage_class="STANDARD",
        archived=draw(st.booleans()),
        encryption=encryption,
        key=key,
        key_version=version,
        verified=None if unknown else NOW + timedelta(seconds=draw(st.integers(-5, 5))),
        problem=draw(st.sampled_from([Reason.TIMEOUT, Reason.ACCESS_DENIED])) if unknown else None,
    )


def summed(path: Path, tables: list[pa.Table]) -> tuple[list[tuple[Any, ...]], totals.Told]:
    adding = totals.Totals(path)
    for one in tables:
        adding.add(one)
    told = adding.close()
    found = duckdb.execute("SELECT * FROM read_parquet($path)", {"path": str(path)}).fetchall()
    return found, told


@given(st.lists(objects(), max_size=40), LAYOUTS, st.integers(1, 7), st.integers(0, 4))
def test_sums_of_rows_that_pass_by_are_those_of_the_query(
    tmp_path_factory: pytest.TempPathFactory, some: list[StoredObject], layout: str, at_once: int, held: int
) -> None:
    some.sort(key=lambda one: (one.name.encode(), one.version or ""))
    parsed = Layout.parse(layout)
    batches = [with_namespaces("gs://b", parsed, one) for one in batched(some)]
    snapshot = pa.Table.from_batches(batches, SCHEMA) if batches else SCHEMA.empty_table()
    with duckdb.connect() as database:
        database.register("snapshot", snapshot)
        expected = database.execute(BY_SQL).fetchall()
    pieces = [snapshot.slice(start, at_once) for start in range(0, len(some), at_once)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totals, "_SUMS_HELD", held)
        found, told = summed(tmp_path_factory.mktemp("totals") / "dependencies.parquet", pieces)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert told.listed == len(some)
    assert told.resolved == sum(one.encryption is not Encryption.UNKNOWN for one in some)
    assert told.outside == sum(parsed.read(one.name) == (None, None) for one in some)
    assert told.oldest_verified == min((one.verified for one in some if one.verified), default=None)
    problems = [one.problem for one in some if one.problem]
    assert told.unresolved == {one.value: problems.count(one) for one in set(problems)}
