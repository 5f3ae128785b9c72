"""What is asked of the inventory for one tenant is answered by that tenant's rows alone."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.inventory.dependencies import Dependencies
from auditor.inventory.flows import flows
from auditor.inventory.totals import SCHEMA
from auditor.model import Encryption
from auditor.ownership.registered import Doubt, Portion, Tenancy
from tests.core_builders import NOW

_FIELDS = [*SCHEMA, pa.field("owner", pa.string()), pa.field("team", pa.string()), pa.field("portions", pa.int64())]
CMEK = Encryption.CMEK


def row(namespace: str | None, tenant: str | None, key: str, **more: Any) -> dict[str, Any]:
    told = {"bucket": "gs://one", "population": "live", "encryption": "cmek", "objects": 1, "bytes": 10, "archived": 0}
    times = {"oldest": NOW, "newest": NOW, "first_name": f"{namespace}/1", "last_name": f"{namespace}/2"}
    labels = {"owner": f"{tenant}-owner", "team": f"{tenant}-team", "portions": 0, "key_version": "1"}
    return {**told, **times, **labels, "namespace": namespace, "tenant": tenant, "key": key, **more}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    rows = tuple(sorted(rows, key=lambda one: one["namespace"] or ""))
    pq.write_table(pa.Table.from_pylist(list(rows), pa.schema(_FIELDS)), path)
    return path


@pytest.fixture
def everything(tmp_path: Path) -> Dependencies:
    disputed = {"portions": Portion.DISPUTED.bit}
    stray = {"portions": Portion.UNREGISTERED.bit, "bucket": "gs://two"}
    rows = (
        row("acme/a", "acme", "k1"),
        row("acme/a", "acme", "k2", objects=2, bytes=20),
        row("acme/b", "acme", "k3", objects=4, bytes=40),
        row("acme/c", "acme", "k1", **disputed),
        row("acme/d", "acme", "k1", **stray, objects=8, bytes=80),
        row("zeta/a", "zeta", "k2", objects=100),
        row(None, None, "k1", objects=1000),
        row("nobody", None, "k1", objects=1000),
    )
    return Dependencies((), (written(tmp_path / "rows.parquet", *rows),))


def test_each_question_is_answered_as_if_nothing_else_were_there(everything: Dependencies) -> None:
    alone = everything.alone(Tenancy("acme", Doubt(), called={"k2": "(1)"}))
    held = {(one.bucket, one.key): (one.objects, one.size, one.namespaces) for one in alone.holdings()}
    assert held == {
        ("gs://one", "k1"): (1, 10, 1),
        ("gs://one", "(1)"): (2, 20, 1),
        ("gs://one", "k3"): (4, 40, 1),
        ("gs://two", "k1"): (8, 80, 1),
    }
    (extent,) = alone.extents_of([([("gs://one", CMEK, "(1)", "1"), ("gs://one", CMEK, "k1", "1")], ())])
    assert (extent.objects, extent.namespaces, extent.tenants) == (3, 1, ("acme",))
    assert extent.sample_namespaces == ("gs://one/acme/a",)
    assert alone.beyond([([("gs://one", CMEK, "k1", "1")], ())], "*", None) == ((1, 0),)
    members = [(one.bucket, one.encryption, one.key, one.key_version) for one in alone.holdings()]
    assert alone.count_namespaces(members) == 3
    assert {one.namespace for one in alone.namespaces(members)} == {"acme/a", "acme/b", "acme/d"}
    assert sum(one.objects or 0 for one in everything.holdings()) == 2116


def test_what_is_not_certain_is_not_there(everything: Dependencies) -> None:
    def spaces(doubt: Doubt) -> set[str | None]:
        alone = everything.alone(Tenancy("acme", doubt))
        members = [(one.bucket, one.encryption, one.key, one.key_version) for one in alone.holdings()]
        return {one.namespace for one in alone.namespaces(members)}

    assert spaces(Doubt(buckets=("gs://one",))) == {"acme/d"}
    assert spaces(Doubt(unregistered=("gs://two",))) == {"acme/a", "acme/b"}
    assert everything.alone(Tenancy("x' OR true --", Doubt())).holdings() == ()
    assert Dependencies(()).alone(Tenancy("acme", Doubt())).holdings() == ()


def test_who_answers_for_anothers_key_is_not_told_and_no_object_is_named(everything: Dependencies) -> None:
    of = Tenancy("acme", Doubt(), called={"k2": "(1)", "k3": "(2)"}, labelled=frozenset({"k3"}))
    alone = everything.alone(of)
    rows = list(alone.of_tenant("acme", Doubt()))
    members = [(one.bucket, one.encryption, one.key, one.key_version) for one in alone.holdings()]
    owners = {one.namespace: (one.owner, one.team) for one in alone.namespaces(members)}
    assert owners == {
        "acme/a": ("acme-owner", "acme-team"),
        "acme/b": (None, None),
        "acme/d": ("acme-owner", "acme-team"),
    }
    assert not any(one.samples for one in rows)


def test_where_data_went_is_told_of_one_tenant_alone(tmp_path: Path) -> None:
    before = written(
        tmp_path / "1.parquet", row("acme/a", "acme", "k1", objects=5), row("zeta/a", "zeta", "k1", objects=7)
    )
    after = written(
        tmp_path / "2.parquet", row("acme/a", "acme", "k2", objects=5), row("zeta/a", "zeta", "k2", objects=7)
    )
    members = [("gs://one", CMEK, key, "1") for key in ("k1", "(1)")]
    of = Tenancy("acme", Doubt(), called={"k2": "(1)"})
    found = flows([(before, True)], [(after, True)], members, set(), (), of=of)
    ((one,), stayed) = found.flows, found.stayed
    assert (one.before, one.after, one.objects, one.samples, stayed) == (*members, 5, ("gs://one/acme/a",), 0)


def test_rows_of_a_sweep_that_no_registry_speaks_of_are_told_by_its_layout(tmp_path: Path) -> None:
    """They have neither owners nor portions."""
    rows = [row("acme/a", "acme", "k1"), row("zeta/a", "zeta", "k1", objects=7)]
    path = written(tmp_path / "rows.parquet", *rows)
    plain = tmp_path / "plain.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["owner", "team", "portions"]), plain)
    (held,) = Dependencies((plain,)).alone(Tenancy("acme", Doubt())).holdings()
    assert held.objects == 1
