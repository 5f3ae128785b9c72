"""Registries that are files: what is kept of them outlives other processes, and bad files are told."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import load
from auditor.inventory.store import FileInventory
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY, Clock
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress
from tests.test_registry import OTHER_KEY, found, judged, said

WHOLE = (f"acme/old,{OTHER_KEY},", "acme/new,,", "acme/plain,,", "zeta/plain,,")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """`acme/old` and `acme/new` under one key."""
    with a_small_cloud(tmp_path) as running:
        running.cloud.store.clock = Clock()
        running.cloud.store.add_key(OTHER_KEY)
        text = running.config.read_text()
        running.config.write_text(f'{text}\n[[registry]]\nkind = "file"\npath = "namespaces.csv"\n')
        yield running


def _all_removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _placed_removed(folder: Path) -> None:
    for path in folder.glob("placed-*.parquet"):
        path.unlink()


def _placed_cut(folder: Path) -> None:
    for path in folder.glob("placed-*.parquet"):
        path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize("harm", [_all_removed, _placed_removed, _placed_cut])
def test_a_running_process_makes_anew_what_another_removed_or_changed(
    small: Small, harm: Callable[[Path], None]
) -> None:
    said(small, *WHOLE)
    assembly = assemble(load(small.config), small.cloud.store.clock)
    try:
        before = found(scan.scan(assembly.parts, NoProgress()))
        (folder,) = small.config.parent.glob("state/registry/all-*")
        harm(folder)
        judgement = scan.poll(assembly.parts, NoProgress())
    finally:
        assembly.close()
    assert found(judgement)["wrong-key"].extent == before["wrong-key"].extent
    assert not [gap for gap in judgement.gaps if "registr" in gap.what]


def test_what_could_not_be_read_once_is_opened_anew(small: Small) -> None:
    said(small, *WHOLE)
    judgement = judged(small)
    assembly = assemble(load(small.config), small.cloud.store.clock)
    try:
        inventory = assembly.inventory
        assert isinstance(inventory, FileInventory)
        sweeps = assembly.ledger.published(judgement.sweeps)
        first = inventory.open(sweeps, judgement.registered.digest)
        assert inventory.open(sweeps, judgement.registered.digest) is first
        first.failed = True
        assert inventory.open(sweeps, judgement.registered.digest) is not first
    finally:
        assembly.close()


def test_polls_of_another_config_leave_what_a_process_used_within_the_hour(small: Small) -> None:
    said(small, *WHOLE)
    mine = judged(small).registered.digest
    said(small, *WHOLE, f"acme/more,{GOOGLE_KEY},")
    for _ in range(3):
        judged(small, sweep=False)
    assert (small.config.parent / "state" / "registry" / f"all-{mine[:32]}" / "entries.parquet").exists()
