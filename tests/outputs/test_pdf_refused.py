"""Where PDFs cannot be made, that is one clear error before anything else is written."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.outputs import html
from tests.bundles import run
from tests.small import CONFIG

LACKING: dict[str, tuple[Callable[[], Exception], str, str]] = {
    "the extra": (
        lambda: ModuleNotFoundError("No module named 'weasyprint'"),
        "error: a PDF is made by WeasyPrint, which is not installed\n",
        "hint: pip install 'cmek-auditor[pdf]', or leave pdf out of --as\n",
    ),
    "the libraries": (
        lambda: OSError("cannot load library 'libpango-1.0-0'"),
        "error: a PDF is made with Pango, which this machine does not have\n",
        "hint: Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core; ",
    ),
}


@pytest.mark.parametrize(("error", "what", "hint"), LACKING.values(), ids=LACKING)
def test_what_lacks_is_told_with_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    error: Callable[[], Exception],
    what: str,
    hint: str,
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name == "weasyprint":
            print("WeasyPrint could not import some external libraries.")  # noqa: T201 - as it does
            raise error()
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    config = tmp_path / "auditor.toml"
    config.write_text(CONFIG.format(endpoint="http://127.0.0.1:1"))
    argv = ("report", "--as", "html,pdf", "-c", str(config), "-o", str(tmp_path / "r"))
    assert run(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(what + hint)
    assert not list(tmp_path.glob("r.*"))


def test_a_pdf_is_not_poured_into_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(CONFIG.format(endpoint="http://127.0.0.1:1"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("report", "--as", "pdf", "-c", str(config), "-o", "-") == 2
    assert capsys.readouterr().err == (
        "error: a PDF is no text, and standard output is a terminal\nhint: name a file with --output\n"
    )


@pytest.mark.parametrize(
    ("kind", "hint"),
    {"pdf": "html, and print it with a browser", "ocsf": "json", "oscal": "json", "asff": "json"}.items(),
)
def test_a_period_has_no_such_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, hint: str) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(CONFIG.format(endpoint="http://127.0.0.1:1"))
    argv = ("report", "--period", "2026-10-01/2026-10-31", "--as", f"json,{kind}", "-c", str(config))
    assert run(*argv, "-o", str(tmp_path / "p")) == 2
    assert f"--as {kind} go not together\nhint: ask for {hint}" in capsys.readouterr().err
    assert not list(tmp_path.glob("p.*"))


def test_print_has_no_dark_colours_and_what_a_pdf_needs() -> None:
    style = html.report_style()
    assert all(
        "screen" in one.partition("{")[0]
        for one in style.split("@media")[1:]
        if "prefers-color-scheme" in one.partition("{")[0]
    )
    paper = style.rpartition("@media print")[2]
    for needed in ("color-scheme: light", "counter(page)", "string(section)", "bookmark-level", "table-layout: fixed"):
        assert needed in paper
