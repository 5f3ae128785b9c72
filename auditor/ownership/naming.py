"""Which keys registries name, as the newest judgement heard them: data that is not there yet may come under these."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from auditor.errors import LedgerError
from auditor.findings import Judgement
from auditor.gaps import REGISTRIES
from auditor.model import AwsKey, Gap, GcpKey, KeyName, Reason
from auditor.ownership.registered import NOTHING_DECLARED
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling
from auditor.run import Parts


@dataclass(frozen=True, slots=True)
class Named:
    """What registries name, and what of it is not known."""

    by_registries: Mapping[str, tuple[str, ...]]
    """Registry -> all keys that it names."""
    gaps: tuple[Gap, ...]
    spelling: Spelling = EACH_ITS_OWN
    """Which names are of one key."""

    def who(self, key: KeyName) -> tuple[str, ...]:
        """The registries that name a key, or what may be another name of it; replicas of a key are the same key."""
        return tuple(
            name
            for name, keys in sorted(self.by_registries.items())
            if any(self.spelling.is_one(key, KeyName(each)) is not False for each in keys)
        )


NOTHING_NAMED: Final = Named({}, ())
"""Where it does not matter what registries name."""


def named_by(parts: Parts, judgement: Judgement, spelling: Spelling = EACH_ITS_OWN) -> Named:
    """Tell which keys the registries of the config name.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    said = judgement.registered
    heard = {one.name for one in said.registries}
    declared, open_ = NOTHING_DECLARED, [one for one in judgement.gaps if one.what in heard]
    open_.extend(unheard(parts, judgement))
    try:
        declared = parts.registry.declared(said.digest)
    except LedgerError as error:
        open_.append(_not_known(str(error), error.hint))
    if heard and not said.digest:
        open_.append(_not_known("it could not be put together", None))
    return Named(declared.by_registries, tuple(open_), spelling)


def unheard(parts: Parts, judgement: Judgement) -> Iterator[Gap]:
    """Tell of registries that the config names since a judgement was made.

    Whoever allows what no registry can tell has not allowed that one was not looked into.
    """
    heard = {one.name for one in judgement.registered.registries}
    for name in sorted({*(one.name for one in parts.registries), *(one.source.name for one in parts.handed)} - heard):
        effect = "what it names is not known: it is in the config since the last judgement, which has nothing of it"
        yield Gap(name, Reason.NOT_FOUND, effect, "poll")


def takes_new_data(key: AwsKey | GcpKey, version: str | None) -> bool:
    """Whether what comes under a key may come under one version of it; no version: under the key as a whole."""
    if isinstance(key, AwsKey) or version is None:
        return True
    primary = next((one for one in key.versions if one.number == key.primary), None)
    # Where the primary version does not work, somebody may make another one the primary.
    return primary is None or primary.number == version or primary.state != "ENABLED"


def _not_known(why: str, hint: str | None) -> Gap:
    return Gap(REGISTRIES, Reason.UNSUPPORTED, f"what they name is not known: {why}", hint or "poll")
