"""Templates filled in: the report as one self-contained file, and the pages that go with a stylesheet."""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from auditor.findings import Demand, Judgement
from auditor.log import visible
from auditor.outputs import trend
from auditor.outputs.changes import NOTHING_BEFORE, changes
from auditor.outputs.controls import Found
from auditor.outputs.limits import SCREEN, Limits
from auditor.outputs.page import Manifest, view
from auditor.outputs.period_page import PeriodPage
from auditor.ports import DependencyRows
from auditor.questions.diff.answer import Difference
from auditor.questions.period.scans import Scanned

_LONGEST: Final = 200
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?: UTC|Z)?)?")


def render(
    judgement: Judgement,
    rows: DependencyRows,
    rules: tuple[Demand, ...],
    manifest: Manifest,
    made: datetime,
    *,
    found: Found,
    difference: Difference | str = NOTHING_BEFORE,
    scans: Sequence[Scanned] | str = (),
    linked: bool = False,
    limits: Limits = SCREEN,
) -> str:
    """Render the report: HTML that needs no network, at most a few megabytes at any fleet's size.

    A script in it sorts and narrows; without that all of it can be read. Nothing else runs, or is fetched, by its own
    policy.

    `found`: what the rules found, and of which frameworks' controls to tell. `difference`: from an earlier judgement,
    or why there is none. `scans`: the last ones, or why they are not told. `linked`: it is shown beside the other
    pages, and leads to them. `limits`: how much of each list it shows.
    """
    page = view(judgement, rows, rules, manifest, made, changes=changes(difference, limits), found=found, limits=limits)
    shown = {"page": page, "trend": trend.view(scans), "linked": linked, "policy": _policy(report_style())}
    own = {"style": report_style(), "script": _static("report.js")}
    return _environment().get_template("report.html.j2").render(**shown, **own)


def render_page(name: str, **values: Any) -> str:
    """Render one of the pages that the web side has beside the report."""
    return _environment().get_template(f"{name}.html.j2").render(linked=True, **values)


def render_period(page: PeriodPage) -> str:
    """Render the report on a period, with the same script and as much of a policy."""
    style = report_style() + _static("period.css")
    own = {"style": style, "script": _static("report.js"), "policy": _policy(style)}
    return _environment().get_template("period.html.j2").render(page=page, **own)


def _policy(style: str) -> str:
    return f"default-src 'none'; {sources(style)}; base-uri 'none'; form-action 'none'"


def report_style() -> str:
    """The style of the report, which stands in it."""
    return _static("report.css")


def sources(style: str) -> str:
    """Which style and script a content security policy lets a report have, by their hashes; no script but ours."""
    return f"style-src '{_hashed(style)}'; script-src '{_hashed(_static('report.js'))}'"


def _hashed(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def style_of(page: str) -> str:
    """The style that stands in a report, whichever version made it."""
    return page.partition("<style>")[2].partition("</style>")[0]


@cache
def stylesheet() -> str:
    """The style of the pages: that of the report, and what they have beside it."""
    return report_style() + _static("pages.css")


def key_address(key: str) -> str:
    """Where the page of a key is."""
    return f"/keys/{quote(key, safe='/:')}"


def space_address(namespace: str, bucket: str) -> str:
    """Where the page of a namespace is."""
    return f"/namespaces/one?{urlencode({'bucket': bucket, 'name': namespace})}"


@cache
def _static(name: str) -> str:
    return (_folder() / "static" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_folder() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.filters["short"] = _short
    environment.filters["dates"] = _dates
    environment.filters["key_address"] = key_address
    environment.filters["space_address"] = space_address
    return environment


def _short(text: str) -> str:
    """A name as it is, or the start of one that nobody could read at a glance; the JSON has it whole."""
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... ({len(shown)} characters)"


def _dates(text: str, *, is_whole_ours: bool = False) -> Markup:
    """A text of ours in which no date is broken over two lines.

    `is_whole_ours`: no name of others is in it, so that its spaces that hold words together stay what they are.
    """
    safe = str(escape(text if is_whole_ours else visible(text)))
    return Markup(_DATE.sub(r'<span class="whole">\g<0></span>', safe))  # noqa: S704 - escaped in the line before


def _folder() -> Path:
    """The templates of an installed wheel, else those of the checkout."""
    packaged = Path(str(files("auditor"))) / "_reports"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "reports"
