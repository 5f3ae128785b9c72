"""Which key or version somebody means who names it by hand: the same for all commands."""

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from auditor.config import full_key_name
from auditor.errors import UsageError
from auditor.model import Cloud, KeyName, split_version
from auditor.outputs import words

_NAMED: Final = 3
"""How many of the known keys a hint names."""
_ALIKE: Final = 0.85
"""From which share on a name counts as misspelt: all names of a platform's keys are much alike."""
_ALIAS: Final = "alias/"
_ID: Final = re.compile(r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""How ids of keys of AWS look."""
_NUMBER: Final = re.compile(r"[0-9]{1,40}")
"""What may be meant as the number of a version: none is so long, and what is longer still cannot be counted."""

Unoffered = Callable[[], Collection[KeyName]]
"""Tells which of the known names no hint offers; it takes long, and is asked where there is a hint to give."""


@dataclass(frozen=True, slots=True)
class Called:
    """What is meant."""

    key: KeyName
    version: str | None = None
    """None: the key as a whole."""


def called(text: str, names: Iterable[KeyName], unoffered: Unoffered = tuple, *, strangers: bool = False) -> Called:
    """Tell which key or version is meant by its full name, as tables print it, by `KEY/VERSION` or by the id alone.

    `names`: all keys that are known; of these, no hint offers those `unoffered`. `strangers`: whoever is asked next
    knows better whether there is such a key, so that full names of others pass.

    Raises:
        UsageError: it is none of them, or may be several.
    """
    known = {words.short_key(one): one for one in names}
    spelt = text.replace(" version ", "/")
    head, _, number = spelt.rpartition("/")
    head = head.removesuffix("/cryptoKeyVersions")
    if (key := _known(spelt, known)) is not None:
        return Called(key)
    number = str(int(number)) if _NUMBER.fullmatch(number) else ""
    if number and (key := _known(head, known)) is not None:
        return Called(key, number)
    try:
        found = _in_full(spelt, head, number)
    except ValueError as error:
        raise _no_key(text, str(error), head if number else text, _offered(known, unoffered)) from None
    if not strangers and not any(one.may_be(found.key) or one.is_replica_of(found.key) for one in known.values()):
        # Of what nobody has heard of nothing can be told, least of all that nothing hangs on it.
        told = f"nothing is known of key {found.key}: no data that was seen, no registry and no [[key]] names it"
        offered = _offered(known, unoffered)
        raise UsageError(told, _alike(words.short_key(found.key), offered) or _watch_it(offered))
    return found


def may_be_key(text: str) -> bool:
    """Whether a text can be the name of a key, and none of a rule or the id of a finding."""
    return _ID.fullmatch(text) is not None or "/" in text or ":" in text or " version " in text


def whole(text: str, names: Iterable[KeyName], unoffered: Unoffered = tuple, *, strangers: bool = False) -> KeyName:
    """Tell which key is meant where only a key as a whole can be.

    Raises:
        UsageError: it is one version, or not known.
    """
    every = tuple(names)
    found = called(text, every, unoffered, strangers=True)
    if found.version is not None:
        hint = f"leave /cryptoKeyVersions/N away: {words.short_key(found.key)}"
        raise UsageError(f"{text!r} is one version, and a key is asked as a whole", hint)
    return found.key if strangers else called(text, every, unoffered).key


def _offered(known: Mapping[str, KeyName], unoffered: Unoffered) -> Mapping[str, KeyName]:
    left_out = unoffered()
    return {short: one for short, one in known.items() if one not in left_out}


def _known(text: str, known: Mapping[str, KeyName]) -> KeyName | None:
    """The known key of that name, in full or as tables print it, or of that id where it is the only one."""
    if text in known:
        return known[text]
    if text and (hit := next((one for one in known.values() if one.text == text), None)) is not None:
        return hit
    # The name of a Google key is no id: another ring may have the same tomorrow.
    mine = {short: one for short, one in _of_last_part(text, known).items() if one.cloud is Cloud.AWS}
    if len(mine) > 1:
        raise UsageError(f"{text!r} is the id of {words.number(len(mine))} known keys", f"write one of {_some(mine)}")
    return next(iter(mine.values()), None)


def _in_full(text: str, head: str, number: str) -> Called:
    try:
        key, version = split_version(text)
    except ValueError:
        is_version = number and head.startswith("projects/")
        return Called(KeyName(full_key_name(head if is_version else text)), number if is_version else None)
    return Called(key, str(int(version)) if version is not None else None)


def _no_key(text: str, what_it_is: str, name: str, known: Mapping[str, KeyName]) -> UsageError:
    """Say what a text is instead of a key's name."""
    if _ALIAS in text:
        return UsageError(what_it_is, _behind(text, known))
    is_short = not text.startswith(("arn:", "projects/"))
    told = f"no known key is called {text!r}, and it is not the full name of a key" if is_short else what_it_is
    return UsageError(told, _alike(name, known) or _there_are(known))


def _behind(alias: str, known: Mapping[str, KeyName]) -> str:
    """How to learn which key is behind an alias now, and which there are where it is."""
    place, _, _ = alias.rpartition(":")
    there = [
        short for short, one in known.items() if one.cloud is Cloud.AWS and one.text.rpartition(":")[0].endswith(place)
    ]
    region = place.split(":")[3:4]
    where = f" --region={shlex.quote(region[0])}" if region else ""
    ask = f"aws kms describe-key --key-id={shlex.quote(alias)}{where} --query=KeyMetadata.Arn --output=text"
    return f"`{ask}` tells it" + (f"; known {'there ' if place else ''}are {_some(there)}" if there else "")


def _alike(text: str, known: Mapping[str, KeyName]) -> str | None:
    """Which key may be meant: one with the same id elsewhere, else one that is called almost so."""
    if mine := _of_last_part(text.rpartition("/")[2], known):
        # A platform's keys are all called alike at their end: what tells them apart is what is misspelt.
        almost = difflib.get_close_matches(text, mine, 1, _ALIKE) if len(mine) > _NAMED else ()
        return f"did you mean {_some(almost or mine, 'or')}?"
    alike = difflib.get_close_matches(text, known, 1, _ALIKE)
    return f"did you mean {alike[0]}?" if alike else None


def _of_last_part(text: str, known: Mapping[str, KeyName]) -> Mapping[str, KeyName]:
    """Those whose id, or name within its ring, is this."""
    ids = {text, text.lower()}
    return {short: one for short, one in known.items() if one.text.rpartition("/")[2] in ids}


def _watch_it(known: Mapping[str, KeyName]) -> str:
    return f"if the name is right, add it as [[key]] and poll; {_there_are(known)}"


def _there_are(known: Mapping[str, KeyName]) -> str:
    if not known:
        return "no key is known yet: `cmek-auditor scan` finds those that data names"
    return f"known are {_some(known)}; write the name as `scan` or `scan --format json` shows it"


def _some(names: Collection[str], last: str = "and") -> str:
    some = sorted(names)[:_NAMED]
    more = [f"{words.number(len(names) - len(some))} more"] if len(names) > len(some) else []
    every = [*some, *more]
    return f" {last} ".join(filter(None, (", ".join(every[:-1]), every[-1])))
