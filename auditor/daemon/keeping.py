"""Reports that the daemon makes on its schedule, and keeps."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from auditor.errors import AuditorError, TakenError
from auditor.moments import exact
from auditor.outputs import summary
from auditor.reporting import ENDINGS, Content, content_of
from auditor.shelf import ChangedError, Shelf, Told, UntoldError, Uploaded
from auditor.wiring import Assembly

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps a report of the newest judgement whenever it is asked to."""

    def __init__(self, assembly: Assembly, shelf: Shelf, forms: Sequence[str]) -> None:
        self._assembly = assembly
        self._shelf = shelf
        self._forms = forms
        self._untold: set[str] = set()
        """Reports that are uploaded, which could not be written down: they are not sent at each turn anew."""

    def newest(self, until: datetime) -> datetime | None:
        """When the last one up to a moment was made; None: none was, or nobody can tell."""
        return self._shelf.newest(until)

    @property
    def uploads(self) -> bool:
        """Whether what is kept is uploaded as well."""
        return self._assembly.uploads is not None

    def keep(self) -> None:
        """Make one more, of the newest judgement.

        Raises:
            AuditorError: nothing is judged yet, what it stands on cannot be read, or it cannot be written.
        """
        judgement = self._assembly.ledger.judgement()
        if judgement is None:
            raise AuditorError("nothing is judged yet that a report could be of", "one is made when it is due again")
        content = content_of(self._assembly, judgement)
        events, head = content.manifest.ledger_events, content.manifest.ledger_head
        told = Told(
            judgement=judgement.run.id,
            judged=judgement.now,
            made=content.made,
            verdict=summary.verdict(judgement),
            version=self._assembly.parts.version,
            events=events,
            head=head,
        )
        to = self._assembly.uploads.url if self._assembly.uploads is not None else None
        name, kept = self._shelf.put(told, lambda folder: _write(content, self._forms, folder), to)
        _log.info(
            "kept report %s of the judgement of %s: event %d of the ledger has the hash %s; %s",
            *(name, exact(judgement.now), events, head),
            ", ".join(f"{one.name} has SHA-256 {one.sha256}" for one in kept.files),
        )

    def upload(self, going: Callable[[], None] = lambda: None) -> None:
        """Upload all that is kept and was not yet, the oldest first; `going` is called before each file.

        Raises:
            AuditorError: some of it cannot be; the rest was.
        """
        uploads = self._assembly.uploads
        if uploads is None:
            return
        failed: AuditorError | None = None
        for name in self._shelf.waiting(uploads.url):
            try:
                if name not in self._untold:
                    for file, content in self._shelf.content(name):
                        going()
                        uploads.put(f"{name}/{file}", content)
                self._untold.add(name)
                self._shelf.tell_uploaded(name, Uploaded(uploads.url, self._assembly.parts.clock()))
            except (ChangedError, TakenError, UntoldError) as error:
                # What is wrong with one keeps no other from being uploaded; of any other fault there would be more.
                failed = error
                continue
            self._untold.discard(name)
            _log.info("uploaded report %s to %s", name, uploads.url)
        if failed is not None:
            raise failed


def _write(content: Content, forms: Sequence[str], folder: Path) -> None:
    for form in forms:
        for more, write in content.writers(form).items():
            # As the files of `report --output report.html` are called.
            with (folder / f"report{more}.{ENDINGS.get(form, form)}").open("w", encoding="utf-8", newline="") as out:
                write(out)
