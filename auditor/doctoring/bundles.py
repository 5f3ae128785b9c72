"""What a doctor finds of operators' bundles: whether each would be believed, and whose it is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from auditor.checkup import Answer, Check
from auditor.config import Config
from auditor.errors import AuditorError
from auditor.inventory.handed import BundleStore
from auditor.outputs import words
from auditor.wiring import handed_of

_LOST: Final = "which objects are under which key version is not known, or as it was told last, with a gap"


def of_bundles(config: Config, group: str) -> Iterator[Check]:
    """Read each of them beside what it said before, and keep nothing."""
    now = datetime.now(UTC)
    store = BundleStore(config.state / "registry")
    for one in handed_of(config, lambda: now):
        name = one.source.name
        try:
            found = store.believed(one.source)
        except AuditorError as error:
            todo = error.hint or "look at the files"
            yield Check(group, name, Answer.MISSING, str(error), lost=_LOST, todo=todo)
            continue
        age = now - found.bundle.swept
        told = f"signed by sha256:{found.signer}; the oldest of its sweeps began {words.until(found.bundle.swept, now)}"
        if age > one.max_age:
            told += f", and max_age_hours allows {one.max_age.total_seconds() / 3600:g}"
            yield Check(group, name, Answer.MISSING, told, lost=_LOST, todo="get a newer one, or raise max_age_hours")
        else:
            yield Check(group, name, Answer.OK, told)
