"""OSCAL documents by the models of compliance-trestle, which has an environment of its own."""

import subprocess
from pathlib import Path

from tests.outputs.test_oscal import WRITTEN
from tests.system.conftest import PEERS

VALIDATE = """
import pathlib, sys
from trestle.oscal.assessment_results import Model
for path in sys.argv[1:]:
    try:
        Model.model_validate_json(pathlib.Path(path).read_bytes())
    except ValueError as error:
        print(path, error)
"""


def validated(*paths: Path) -> str:
    """What is wrong with them."""
    python = PEERS / "bin" / "python"
    assert python.is_file(), "compliance-trestle is not installed: make test-system installs it"
    argv = [str(python), "-c", VALIDATE, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_document_is_one_of_the_model(tmp_path: Path) -> None:
    paths = []
    for number, write in enumerate(WRITTEN.values()):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(write())
    assert validated(*paths) == ""
    wrong = tmp_path / "wrong.json"
    wrong.write_text(paths[0].read_text().replace('"not-satisfied"', '"compliant"'))
    assert "not-satisfied" in validated(wrong)
