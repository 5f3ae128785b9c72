"""What users install: one import package, the templates inside, few dependencies."""

import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_one_import_package_with_the_templates_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"auditor"}
    for needed in (
        "auditor/_reports/templates/report.html.j2",
        "auditor/_reports/static/report.css",
        "auditor/_reports/static/pages.css",
        "auditor/_reports/templates/namespace.html.j2",
        "auditor/_reports/templates/controls.html.j2",
        "auditor/controls/frameworks/nist-800-53-r5.json",
        "auditor/schemas/scan-1.schema.json",
        "auditor/schemas/estimate-1.schema.json",
        "auditor/schemas/doctor-1.schema.json",
        "auditor/schemas/grants-1.schema.json",
        "auditor/schemas/diff-1.schema.json",
        "auditor/schemas/bundle-1.schema.json",
        "auditor/schemas/show-1.schema.json",
        "auditor/schemas/evidence-1.schema.json",
        "auditor/schemas/provenance-1.schema.json",
        "auditor/schemas/verify-1.schema.json",
        "auditor/ledger/migrations/versions/v0001_events.py",
    ):
        assert needed in names


def test_the_report_is_rendered_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "import auditor; assert auditor.__file__.startswith(sys.path[0]), auditor.__file__\n"
        "from tests.outputs.test_hostile import page_of\n"
        "assert 'Deadlines' in page_of('x')\n"
        "from auditor.outputs import html; assert html._folder().name == '_reports'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_core_install_is_at_most_sixty_distributions() -> None:
    seen: set[str] = set()
    waiting = ["cmek-auditor"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        for text in requires(name) or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                waiting.append(one.name)
    assert len(seen) <= 60, sorted(seen)
    assert len(seen) > 20  # the walk really walked
