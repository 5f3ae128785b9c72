"""An evidence bundle that holds, on a terminal: what was checked, what it says, what that proves and what not."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from auditor.evidence.verified import Outcome, Verified
from auditor.log import visible
from auditor.outputs import evidence_text, words


def verified(found: Verified, now: datetime) -> RenderableType:
    """Tell it all."""
    return Group(*_lines(found, now))


def _lines(found: Verified, now: datetime) -> Iterator[Text]:
    one = found.bundle
    about = one.statement.predicate
    texts = {
        "signature": evidence_text.signature(one),
        "files": evidence_text.files(one),
        "ledger": evidence_text.ledger(one),
        "continues": evidence_text.continues(found),
    }
    for check, outcome in evidence_text.outcomes(found).items():
        style = "green" if outcome is Outcome.PASSED else "bold yellow"
        yield _plain(f"{check.value:11} {texts[check.value]}", style)
    yield Text()
    at = about.judgement.at
    yield _plain(f"judgement   {about.judgement.id}, judged {words.exactly(at)} ({words.until(at, now)})")
    if about.judgement.tenant is not None:
        yield _plain(f"of          tenant {about.judgement.tenant}, and of nobody else")
    yield _plain(f"it says     {about.judgement.verdict}")
    counts = words.counted(about.judgement.findings, "finding"), words.counted(about.judgement.gaps, "gap")
    yield _plain(f"            {', '.join(counts)}")
    yield _plain(
        f"judged by   version {about.tool.judged_by}, rules {about.tool.rules}, config sha256:{about.config.sha256}"
    )
    yield _plain(f"digest      sha256:{one.digest}")
    for title, some, style in (
        ("proven", evidence_text.proven(found), ""),
        ("not proven", evidence_text.not_proven(found), ""),
        ("not checked", evidence_text.not_checked(found), "yellow"),
    ):
        for number, text in enumerate(some):
            yield from [Text()] if number == 0 else []
            yield _plain(f"{title:11} {text}", style)


def _plain(text: str, style: str = "") -> Text:
    return Text(visible(text), style=style)
