"""A state folder that is moved away while somebody works is not made anew: it could not come back."""

from pathlib import Path

import pytest

from auditor.errors import LedgerError
from auditor.inventory.files import make_folder
from auditor.inventory.layout import Layout
from auditor.inventory.registry import RegistryStore
from auditor.inventory.store import FileInventory
from auditor.rows import batched
from tests.inventory.test_store import BUCKET, an_object
from tests.sweeps import write


def test_all_is_made_below_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "registry"
    for _ in "twice":
        make_folder(root / "of a" / "b", root)
    assert (root / "of a" / "b").is_dir()
    assert {one.stat().st_mode & 0o777 for one in (root, root / "of a", root / "of a" / "b")} == {0o700}


def test_what_it_is_in_is_never_made(tmp_path: Path) -> None:
    root = tmp_path / "state" / "registry"
    with pytest.raises(FileNotFoundError):
        make_folder(root / "of a", root)
    assert not root.parent.exists()


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    root = tmp_path / "registry"
    root.touch()
    with pytest.raises(NotADirectoryError):
        make_folder(root / "of a", root)


def test_nobody_makes_a_state_folder_anew_that_was_moved_away(tmp_path: Path) -> None:
    state = tmp_path / "state"
    inventory = FileInventory(state / "inventory", {BUCKET: Layout.parse("{org}/{namespace}/")})
    with pytest.raises(LedgerError, match="No such file"):
        RegistryStore(state / "registry", {}).together([], [])
    with pytest.raises(LedgerError, match="No such file"):
        write(inventory, BUCKET, batched([an_object()]))
    assert not state.exists()
