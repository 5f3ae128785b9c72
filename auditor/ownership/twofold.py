"""The words of every gap about keys that are called by two names: by the id of their project, and by its number."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from auditor.model import Gap, KeyName, Reason
from auditor.ownership.owning import Sayings
from auditor.ownership.said import Parted, Said
from auditor.ownership.spelling import NamesOfKeys

_NAMED: Final = 3


def of_parted(found: Iterable[Parted]) -> Iterator[Gap]:
    """Keys of which tables of the config say different things, by several names."""
    for one in found:
        (name, _), *_ = one.words
        each = ", ".join(f"{word} as {called.text}" for called, word in one.words[:_NAMED])
        more = f" and {len(one.words) - _NAMED} more" if len(one.words) > _NAMED else ""
        effect = f"[[key]] says different things of it by its names, of which none counts: {one.setting} {each}{more}"
        yield Gap(name.text, Reason.MALFORMED, effect, "name the key once in the config")


def of_doubtful(held: Iterable[KeyName], said: Sayings, of_keys: Iterable[Said]) -> Iterator[Gap]:
    """Keys of data of which something may be said by the other name of their project, as far as anybody knows."""
    words: dict[KeyName, dict[str, str]] = defaultdict(dict)
    for name, tenant in said.tenants.items():
        words[name]["tenant"] = tenant
    for one in of_keys:
        if one.words:
            words[one.name].update(one.words)
    names = NamesOfKeys((*words, *said.parted), said.spelling)
    for key in sorted(held):
        if doubtful := [one for one in names.doubtful(key) if words.get(one) != words.get(key)]:
            more = f" and {len(doubtful) - 1} more" if len(doubtful) > 1 else ""
            effect = (
                f"what is said of {doubtful[0].text}{more}, which may be it by the other name of its project, is not "
                "heeded: whose key it is, and what is meant with it, may not be known"
            )
            hint = "name it as the data does, or let both names be read, which tells whether they are of one key"
            # Reading both tells: whoever allows what nobody can see has not allowed that.
            yield Gap(key.text, Reason.UNSUPPORTED, effect, hint)
