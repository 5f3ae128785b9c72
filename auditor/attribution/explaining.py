"""Which entries of an audit log explain a finding: the call that made it so, and none that changed nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.attribution.logged import Change, Inquiry, Reply
from auditor.model import KeyName
from auditor.readability.access import ANY_PRINCIPAL

Calls = Mapping[str, frozenset[str]]
"""Name of an operation -> the states that it must have asked for; none: whatever it asked for."""

ANY_STATE: Final[frozenset[str]] = frozenset()
_FROM_DISABLED: Final[Calls] = {
    "UpdateCryptoKeyVersion": frozenset({"ENABLED"}),
    "DestroyCryptoKeyVersion": ANY_STATE,
}
UNDONE_BY: Final[Mapping[str, Calls]] = {
    "DisableKey": {"EnableKey": ANY_STATE, "ScheduleKeyDeletion": ANY_STATE},
    "CancelKeyDeletion": {"EnableKey": ANY_STATE, "ScheduleKeyDeletion": ANY_STATE},
    "ScheduleKeyDeletion": {"CancelKeyDeletion": ANY_STATE},
    "DeleteImportedKeyMaterial": {"ImportKeyMaterial": ANY_STATE},
    "DisconnectCustomKeyStore": {"ConnectCustomKeyStore": ANY_STATE},
    "CreateKey": {"PutKeyPolicy": ANY_STATE},
    "UpdateCryptoKeyVersion": _FROM_DISABLED,
    "RestoreCryptoKeyVersion": _FROM_DISABLED,
    "DestroyCryptoKeyVersion": {"RestoreCryptoKeyVersion": ANY_STATE, "ImportCryptoKeyVersion": ANY_STATE},
}
"""What was undone, or left behind for another state, explains nothing: the call that counts is not in the log yet."""
_MAKES: Final[Mapping[str, str]] = {
    "DisableKey": "disabled",
    "CancelKeyDeletion": "disabled",
    "UpdateCryptoKeyVersion": "disabled",
    "RestoreCryptoKeyVersion": "disabled",
    "DeleteImportedKeyMaterial": "without material",
}
"""Calls that succeed as well where it is so already: the first of them made it so."""
UNSURE: Final = frozenset(
    {
        "PutKeyPolicy",
        "RevokeGrant",
        "RetireGrant",
        "CreateKey",
        "UpdateCustomKeyStore",
        "SetIamPolicy",
        "UpdateCryptoKey",
        "UpdateEkmConnection",
    }
)
"""Calls that change many things, of which the log does not tell which one: each of them may have been it."""
_ONE: Final = ("user:", "serviceAccount:", "deleted:")
"""How members of a policy begin that are one person or account."""
_EVERYBODY: Final = frozenset({"allUsers", "allAuthenticatedUsers"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of a log would tell who caused a finding."""

    key: KeyName
    calls: Calls
    about: frozenset[str]
    behind: frozenset[str] = frozenset()
    deprived: str | None = None
    """Whose right it is that is not there any more."""
    opened: bool = False
    """It is everybody that was given a right."""
    state: str = ""
    """The state that the calls are of; empty where the rule alone tells them, or the state was not read."""
    old: bool = False
    """The call may have been made long before what it led to."""


def explaining(
    reply: Reply, what: Wanted, asked: Inquiry, after: datetime | None, seen: datetime
) -> tuple[Change, ...]:
    """The call that explains it, or all those of which each may be the one, the oldest first; none: no call does.

    `after`: when it was last read to be otherwise; None where nobody saw it change. `seen`: when it was first seen.
    What is dated a little later counts where nothing else explains it: clocks differ.
    """
    changes = [each for each in reply.changes if each.at <= asked.until]
    told = [each for each in changes if each.at <= seen]
    return _explaining(told, reply, what, asked, after) or _explaining(changes, reply, what, asked, after)


def _explaining(
    changes: Sequence[Change], reply: Reply, what: Wanted, asked: Inquiry, after: datetime | None
) -> tuple[Change, ...]:
    hits = (each for each in changes if _explains(each, what, asked))
    undone = _undone(changes)
    last = {name: max(times) for name, times in undone.items()}
    standing = sorted(
        (each for each in hits if not _is_undone(each, last.get((each.call, each.about)), after)),
        key=lambda each: (each.at, each.event_id),
    )
    if not standing or (reply.back_to is not None and standing[-1].at < reply.back_to):
        return ()
    newest = standing[-1]
    last_of_all = tuple(each for each in standing if each.at == newest.at)
    if len({_kind(each.call) for each in last_of_all}) > 1:
        # Within one second nobody knows which of them came last.
        return last_of_all
    if newest.call in UNSURE:
        unsure = [each for each in standing if each.call in UNSURE]
        return tuple([each for each in unsure if _is_sure(each, what)] or unsure)
    made = _MAKES.get(newest.call)
    if made is None:
        return last_of_all
    run = [each for each in standing if _MAKES.get(each.call) == made and each.about == newest.about]
    first = [each for each in run if each.at == run[0].at]
    # It may have come before it as well.
    is_in_doubt = any(each.at in undone.get((each.call, each.about), ()) for each in first)
    return tuple(run[: len(first) + 1] if is_in_doubt else first)


def _kind(call: str) -> str:
    return "unsure" if call in UNSURE else _MAKES.get(call, call)


def _explains(each: Change, what: Wanted, asked: Inquiry) -> bool:
    if each.call not in what.calls or each.about not in what.about:
        return False
    if asked.since is not None and each.at < asked.since:
        return False
    states = what.calls[each.call]
    if states and each.lands_in not in states:
        return False
    if what.opened and each.given is not None and not each.given & _EVERYBODY:
        return False
    if what.deprived is None or each.deprived is None or what.deprived == ANY_PRINCIPAL:
        return True
    # Whom a group or a domain holds the log does not tell.
    return _is_sure(each, what) or any(not one.startswith(_ONE) for one in each.deprived)


def _is_sure(each: Change, what: Wanted) -> bool:
    """Whether the entry itself names whom, or what, the finding is about."""
    if what.opened and each.given is not None:
        return True
    return any(one.partition(":")[2].lower() == (what.deprived or "").lower() for one in each.deprived or ())


def _undone(changes: Iterable[Change]) -> Mapping[tuple[str, str], AbstractSet[datetime]]:
    """Call, and what it was about -> when it was undone, each time."""
    found: defaultdict[tuple[str, str], set[datetime]] = defaultdict(set)
    for each in changes:
        for call, by in UNDONE_BY.items():
            states = by.get(each.call)
            if states is not None and (not states or each.lands_in in states):
                found[call, each.about].add(each.at)
    return found


def _is_undone(each: Change, last: datetime | None, after: datetime | None) -> bool:
    # CloudTrail tells whole seconds. What undoes a call in its own second came after it if it was undone later.
    is_past = after is not None and each.at < after
    return last is not None and (each.at < last or (is_past and each.at == last))
