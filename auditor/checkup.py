"""What a doctor's visit is made of: questions that change nothing, and checks that say what came of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from auditor.model import KeyName, Reason


class Answer(StrEnum):
    """What came of a check."""

    OK = "ok"
    MISSING = "missing"
    """Something that verdicts hang on is not there: somebody must grant, mend or set it."""
    UNKNOWN = "unknown"
    """It could not be asked, or nobody answered."""
    OFF = "off"
    """Nothing of the config needs it, so that nobody was asked."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    group: str
    """Where it belongs: the config, this machine, an account, a project."""
    what: str
    answer: Answer
    told: str
    """What was found, or why nothing was."""
    permission: str | None = None
    """What it takes, where it is a permission."""
    reason: Reason | None = None
    lost: str = ""
    """What the auditor's answers lack without it."""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What came back; `reason` says why it is no answer, None that it is one."""

    reason: Reason | None
    text: str
    todo: str = ""
    answer: Answer | None = None
    """Where it is not what its reason usually means."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request that changes nothing, or one page, for one permission."""

    group: str
    what: str
    ask: Callable[[], Told]
    permission: str | None = None
    endpoint: str = ""
    """Where it goes; questions to one place wait for each other, those to others do not."""


Round = Sequence[Question | Check]
"""What can be asked at once; checks among them are settled already."""


Choosing = Callable[[Iterable[KeyName]], tuple[tuple[KeyName, ...], tuple[Check, ...]]]
"""Tells of many keys the few that are asked, and what is said of the others."""

Gone = Callable[[KeyName], Told]
"""Tells of a key that its service says is not there."""


class Doctor(Protocol):
    """Asks one cloud everything that the config needs of it, once and little."""

    def rounds(self, keys: Iterable[KeyName]) -> Iterator[Round]:
        """Yield what is to be asked, round by round: later ones build on what earlier ones were told.

        `keys` are those that the config and what is stored name; those that rounds find are asked as well.
        """


_MISSING: Final = frozenset({Reason.ACCESS_DENIED, Reason.NOT_FOUND})


def answer_of(told: Told) -> Answer:
    """Tell what an answer comes to: a refusal lacks something, silence tells nothing."""
    if told.answer is not None:
        return told.answer
    if told.reason is None:
        return Answer.OK
    return Answer.MISSING if told.reason in _MISSING else Answer.UNKNOWN


def exit_code(checks: Iterable[Check]) -> int:
    """1 where something is missing, else 3 where something is unknown, else 0."""
    answers = {one.answer for one in checks}
    if Answer.MISSING in answers:
        return 1
    return 3 if Answer.UNKNOWN in answers else 0


def verdict(checks: Sequence[Check]) -> str:
    """The answer in one sentence."""
    counts = {one: sum(each.answer is one for each in checks) for one in Answer}
    told = [f"{counts[one]} {one}" for one in (Answer.MISSING, Answer.UNKNOWN, Answer.OK, Answer.OFF) if counts[one]]
    return f"Of {len(checks)} checks: {', '.join(told)}."


def hears_of_none(known: Collection[KeyName], owner: str) -> str:
    """A clause for a feed that tells of keys of an account or project in which none is that is known."""
    if not known or any(one.owner == owner for one in known):
        return ""
    return f"; of the keys that are known none is in {owner}, so that none is heard of there"
