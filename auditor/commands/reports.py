"""`report`: files for people and machines."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from auditor import __version__, log
from auditor.commands.answering import (
    STANDARD_OUTPUT,
    assembled,
    judged,
    not_judged,
    see_that_it_is_text,
    write_bytes,
    writing,
)
from auditor.config import load
from auditor.controls import catalogue
from auditor.errors import UsageError
from auditor.outputs import (
    html,
    pdf,
    period_csv,
    period_json,
    period_page,
    words,
)
from auditor.questions.period.asking import period_of
from auditor.reporting import ENDINGS, Content, content_of
from auditor.wiring import stored

_OF_NO_PERIOD: Final = {
    "pdf": "ask for html, and print it with a browser",
    "ocsf": "ask for json",
    "oscal": "ask for json",
    "asff": "ask for json",
}
"""Kind of report -> what to ask for instead where a period is to be told."""


def render_report(
    path: Path,
    kinds: list[str],
    output: Path | None,
    frameworks: list[str],
    *,
    tenant: str | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Render the newest judgement as files of each kind, of all frameworks or those that are named.

    `tenant`: for whom it is, so that it has what is its own alone; None: for the operator.
    """
    asked = catalogue.chosen(frameworks) if frameworks else ()
    _see_that_they_fit(kinds, output)
    see_that_it_is_text(tenant)
    with assembled(path, verbose=verbose, asking=False) as (_, assembly):
        assembly.ledger.verify()
        content = content_of(assembly, judged(assembly), tenant, asked=asked)
        for kind in kinds:
            # What one of them cannot be told for is said before any is written.
            content.writers(kind)
        written = [one for kind, to in _targets(kinds, output) for one in write_report(content, kind, to)]
    _tell_written(written, quiet=quiet)
    return 0


def render_period(path: Path, text: str, kinds: list[str], output: Path | None, *, quiet: bool, verbose: bool) -> int:
    """Render what the ledger tells of a period as files of each kind."""
    period, asked = period_of(text), datetime.now(UTC)
    for kind, instead in _OF_NO_PERIOD.items():
        if kind in kinds:
            raise UsageError(f"--period and --as {kind} go not together", instead)
    _see_that_they_fit(kinds, output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=verbose)
    with stored(config) as (ledger, _):
        found = ledger.chronicle(period, asked)
    if found.chain.began is None:
        raise not_judged()
    written = list(_targets(kinds, output, "cmek-period"))
    for kind, target in written:
        with writing(target) as out:
            match kind:
                case "html":
                    out.write(html.render_period(period_page.view(found, asked, __version__)))
                case "json":
                    period_json.write(found, __version__, out)
                case _:
                    period_csv.write(found, out)
    _tell_written([target for _, target in written if target != STANDARD_OUTPUT], quiet=quiet)
    return 0


def _see_that_they_fit(kinds: list[str], output: Path | None) -> None:
    if output == STANDARD_OUTPUT and len(kinds) > 1:
        raise UsageError("standard output takes one kind of report", "name a file with --output, or one kind with --as")
    if "pdf" in kinds:
        if output == STANDARD_OUTPUT and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("a PDF is no text, and standard output is a terminal", "name a file with --output")
        pdf.ready()


def _tell_written(files: Iterable[Path], *, quiet: bool) -> None:
    if not quiet and sys.stdout is not None:
        sys.stdout.writelines(f"wrote {one}\n" for one in files)


def _targets(kinds: list[str], output: Path | None, usual: str = "cmek-report") -> Iterator[tuple[str, Path]]:
    """Each kind with its file: the one that was named, or for several kinds that name with other endings."""
    if output is not None and len(kinds) == 1:
        yield kinds[0], output
        return
    stem = output or Path(usual)
    if stem.suffix.removeprefix(".") in kinds:
        stem = stem.with_suffix("")
    for kind in kinds:
        yield kind, stem.with_name(f"{stem.name}.{ENDINGS.get(kind, kind)}")


def write_report(content: Content, kind: str, target: Path) -> list[Path]:
    """Write a report as a file of one kind; CSV has two more beside it, with the dependencies and the gaps.

    Returns:
        The files that were written; none where it went to standard output.
    """
    if kind == "pdf":
        return write_bytes(content.pdf(), target)
    written = []
    for more, write in content.writers(kind).items():
        place = target.with_stem(f"{target.stem}{more}") if more else target
        with writing(place) as out:
            write(out)
        if target == STANDARD_OUTPUT:
            break
        written.append(place)
    if target == STANDARD_OUTPUT and kind == "csv":
        missing = f"the dependencies and {words.counted(len(content.judgement.gaps), 'gap')} are not"
        sys.stderr.write(f"note: only the findings go to standard output, {missing}; name a file with --output\n")
    return written
