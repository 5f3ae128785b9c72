"""A registry that is a service: asked with each sweep within a budget, and told by what is kept of it."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, Final

from auditor.errors import AuditorError, CollectError, LedgerError
from auditor.inventory import files, notes
from auditor.inventory.recall import Recall
from auditor.locks import held
from auditor.model import Reason
from auditor.ownership.registered import Entry
from auditor.ports import Asking, Names, NamespaceService, Recalled, Unusable

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 50_000
"""Namespaces that are asked about until what is learnt goes into the table."""
_A_PAGE: Final = 1_000
"""Names on one page of the list. Source: turbopuffer docs, List namespaces."""
_FAILED: Final = "failed.json"
_SAID: Final = "said.json"


class _BusyError(AuditorError):
    """Another process asks the same registry."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the config speaks of a registry that is a service."""

    name: str
    bucket: str
    """Which bucket its namespaces are in; where no config names one, what stands for it."""
    layout: tuple[str, ...]
    """The fields of the bucket's layout, one of which is `namespace`: as the service calls it."""
    constants: tuple[tuple[str, str], ...]
    """The others, with their values."""
    where: str
    """Whom it asks, and as whom: what is said elsewhere is another registry's."""
    per_sweep: int
    reread: timedelta
    """After which time it is asked again about a namespace."""


class AskedRegistry:
    """Of one bucket; its entries are what the service said last."""

    def __init__(self, asked: Asked, service: NamespaceService, root: Path, clock: Callable[[], datetime]) -> None:
        self._asked = asked
        self._service = service
        self._clock = clock
        self._home = root / f"service-{hashlib.sha256(asked.where.encode()).hexdigest()[:16]}"
        self._recall = Recall(self._home)
        self._failed: CollectError | None = None
        """Why what it says could not be written down, so that no other process knows."""
        self.name = asked.name
        self.buckets = (asked.bucket,)
        self.asked = json.dumps([asked.where, asked.bucket, asked.layout, asked.constants])
        self.per_sweep = asked.per_sweep

    def ready(self) -> None:
        """Make sure that it can be asked at all.

        Raises:
            UsageError: the config, the environment or what is installed does not allow it.
        """
        self._service.ready()

    def version(self) -> str:
        """When it was listed, and the digest of what was known of its namespaces when it was asked to the end.

        Raises:
            CollectError: it was never asked to the end.
        """
        kept = self._recall.kept()
        if kept is None:
            raise self._failure() or CollectError(
                f"{self.name} was not asked yet", "scan: it is asked with each sweep", reason=Reason.NOT_FOUND
            )
        try:
            return str(notes.read(self._home / _SAID))
        except (OSError, ValueError):
            return kept.digest

    def entries(self) -> Iterator[Entry | Unusable]:
        """Yield each namespace, and what it is to be under as far as that is known.

        Raises:
            CollectError: what is kept was changed.
        """
        kept = self._recall.whole()
        if kept is None:
            hint = "scan: it is asked anew"
            raise CollectError(f"what is kept of {self.name} was changed", hint, reason=Reason.MALFORMED)
        for some in files.read([kept.path]):
            told = [some.column(one).to_pylist() for one in ("name", "key", "parent")]
            # A table of an older version has no sizes.
            sizes = some.column("size").to_pylist() if "size" in some.schema.names else [None] * some.num_rows
            for name, key, parent, size in zip(*told, sizes, strict=True):
                above = parent and self._space(parent)
                yield Entry(self._asked.bucket, self._space(name), key, parent=above, size=size)
        for number in range(kept.told.odd):
            yield Unusable(f"entry {number + 1} of the odd ones", "its id is no name of a namespace")

    def fields(self) -> tuple[str, ...]:
        """It is no table."""
        return ()

    def ends(self) -> None:
        """What is kept of it is whole, or was changed."""

    def recalled(self) -> Recalled | None:
        """What is kept; None where it was never asked to the end, or nobody can tell any more."""
        kept = self._recall.kept()
        return replace(kept.told, failed=self._failure()) if kept is not None else None

    def needs(self) -> tuple[int, int] | None:
        """Pages of its list and namespaces that it would be asked about by now.

        Raises:
            LedgerError: what is kept cannot be read.
        """
        kept = self._recall.whole()
        if kept is None:
            return None
        now = self._clock()
        due = self._recall.how_many_due(now - self._asked.reread, now)
        return max(1, ceil(kept.told.namespaces / _A_PAGE)), min(due, self.per_sweep)

    def refresh(self, tell: Callable[[Asking], None]) -> None:
        """Ask which namespaces there are; where that fails, keep that it did.

        `tell` may raise to break it off: what was known before stays.
        """
        self._alone(lambda: self._list(tell))

    def ask(self, tell: Callable[[Asking], None]) -> None:
        """Ask about those whose turn it is, unless it could not even be asked which there are.

        `tell` may raise to break it off: what was learnt until then stays.
        """
        self._alone(lambda: self._describe(tell) if self._failure() is None else None)

    def _alone(self, do: Callable[[], None]) -> None:
        """Do something that no other process does meanwhile, and keep how it ended."""
        try:
            files.make_folder(self._home, self._home.parent)
            with held(self._home / "lock", _BusyError("another process asks this registry")):
                self._tried(do)
        except _BusyError:
            _log.info("%s: another process is asking it", self.name)
        except OSError as error:
            self._failed = _on_disk(LedgerError(f"what {self.name} says cannot be kept: {error.strerror}"))
        except LedgerError as error:
            # With the disk out of order nothing can be noted: this process at least remembers.
            self._failed = _on_disk(error)

    def _tried(self, do: Callable[[], None]) -> None:
        try:
            do()
        except CollectError as error:
            self._note(error)
        except AuditorError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect here must not end the sweeps beside it
            _log.debug("asking %s", self.name, exc_info=True)
            told = f"{self.name} was not asked to the end, by a defect: {type(error).__name__}"
            self._note(CollectError(told, "scan with --verbose and report what it shows", reason=Reason.UNSUPPORTED))

    def _list(self, tell: Callable[[Asking], None]) -> None:
        began = self._clock()
        self._recall.fold()  # what was learnt by somebody who was killed
        listed = 0

        def pages() -> Iterator[Names]:
            nonlocal listed
            for page in self._service.names():
                yield page
                listed += len(page.names)
                tell(Asking(self.name, listed, 0, 0))

        self._recall.put_names(pages(), began)
        self._note(None)
        self._say()

    def _describe(self, tell: Callable[[Asking], None]) -> None:
        began = self._clock()
        kept = self._recall.kept()
        listed = kept.told.namespaces if kept is not None else 0
        told, left = 0, self.per_sweep
        while left > 0 and (names := self._due(min(left, _AT_ONCE), began)):
            before = told
            with self._recall.learning() as keep:
                for one in self._service.describe(names):
                    keep(one, self._clock())
                    told += 1
                    tell(Asking(self.name, listed, told, before + len(names)))
            self._recall.fold()
            if told - before < len(names):
                break  # whom it does not answer now is asked about the next time
            left -= len(names)
        self._say()

    def _say(self) -> None:
        """Let others read it anew: seldom, for all that is judged with it is made anew then."""
        if (kept := self._recall.kept()) is not None:
            notes.write(self._home / _SAID, f"{kept.told.listed_at.isoformat()} {kept.digest}")

    def _due(self, most: int, began: datetime) -> tuple[str, ...]:
        return self._recall.due(most, began, began - self._asked.reread, self._clock())

    def _space(self, name: str) -> str:
        given: dict[str, str] = {**dict(self._asked.constants), "namespace": name}
        return "/".join(given[field] for field in self._asked.layout)

    def _failure(self) -> CollectError | None:
        """Why it could not be asked the last time, by this process or another."""
        try:
            told: Any = notes.read(self._home / _FAILED)
            return CollectError(told["what"], told["hint"], reason=Reason(told["reason"]))
        except (OSError, KeyError, ValueError, TypeError):
            return self._failed

    def _note(self, error: CollectError | None) -> None:
        self._failed = None
        path = self._home / _FAILED
        if error is None:
            path.unlink(missing_ok=True)
        else:
            notes.write(path, {"what": str(error), "hint": error.hint, "reason": error.reason.value})


def _on_disk(error: LedgerError) -> CollectError:
    return CollectError(str(error), error.hint or "look at the auditor's disk", reason=Reason.UNSUPPORTED)
