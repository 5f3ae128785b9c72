"""The report as HTML: one self-contained file, no script, no request to anywhere."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auditor.difference import Difference
from auditor.findings import Demand, Judgement
from auditor.log import visible
from auditor.outputs.changes import NOTHING_BEFORE, changes
from auditor.outputs.page import Manifest, view
from auditor.ports import DependencyRows

_LONGEST: Final = 200


def render(
    judgement: Judgement,
    rows: DependencyRows,
    rules: tuple[Demand, ...],
    manifest: Manifest,
    made: datetime,
    *,
    difference: Difference | str = NOTHING_BEFORE,
) -> str:
    """Render the report: HTML that needs no network and no script, at most a few megabytes at any fleet's size.

    `difference`: from an earlier judgement, or why there is none.
    """
    environment = Environment(
        loader=FileSystemLoader(_folder() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["short"] = _short
    style = (_folder() / "static" / "report.css").read_text(encoding="utf-8")
    page = view(judgement, rows, rules, manifest, made, changes=changes(difference))
    return environment.get_template("report.html.j2").render(page=page, style=style)


def _short(text: str) -> str:
    """A name as it is, or the start of one that nobody could read at a glance; the JSON has it whole."""
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown)} characters)"


def _folder() -> Path:
    """The templates of an installed wheel, else those of the checkout."""
    packaged = Path(str(files("auditor"))) / "_reports"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "reports"
