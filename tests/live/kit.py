"""What the experiments on both clouds share: answers, questions, patience, and the list of what must be removed."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Protocol, TypeVar

LABEL: Final = "cmek-auditor-live"
"""Tag or label of all that a run makes; its value is the run's suffix, and names begin with it."""

CONTENT: Final = b"written by tests/live, to be deleted\n"
_IN_A_ROW: Final = 3
"""A key's change spreads unevenly: an answer counts once it has come this many times in a row."""


class NotAnsweredError(Exception):
    """The cloud was asked, or should have been, and the question stands as open as before."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; only what stands here is recorded, so that nothing else of a response can leak."""

    call: str
    status: int
    """HTTP status."""
    code: str = ""
    """Error code or reason; empty when the call succeeded."""
    message: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    """Fields that the question is about, by the API's own names, and what was measured."""

    @property
    def refused(self) -> bool:
        """Whether it is an error."""
        return self.status >= 400


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a change to take effect: seconds in all, and seconds between two reads."""

    limit: float = 300.0
    every: float = 3.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the suffix of all its names, and its patience."""

    suffix: str
    patience: Patience = Patience()

    @property
    def setting_up(self) -> Patience:
        """How long to wait until the service knows what was made a moment ago."""
        return Patience(min(60.0, self.patience.limit), min(1.0, self.patience.every))

    @property
    def name(self) -> str:
        """What the names of all that it makes begin with."""
        return f"{LABEL}-{self.suffix}"


class Made:
    """What a run has made, to be removed newest first, and what nobody can remove."""

    def __init__(self) -> None:
        self._undo: list[tuple[str, Callable[[], None]]] = []
        self.stays: list[str] = []

    def note(self, what: str, undo: Callable[[], None]) -> None:
        """Keep a thing in mind; call it before the thing is made wherever its name is known by then."""
        self._undo.append((what, undo))

    def remove(self) -> list[str]:
        """Try to remove each thing, whatever happens to the others, and tell what is left and why.

        A Ctrl-C gives up the thing that is being removed, and no other.
        """
        left = []
        while self._undo:
            what, undo = self._undo.pop()
            try:
                undo()
            except KeyboardInterrupt:
                left.append(f"{what}: interrupted")
            except Exception as error:  # noqa: BLE001 - whatever stops one removal must not stop the next
                left.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
        return left


class Cloud(Protocol):
    """What a run needs to know of a cloud; the experiments know the concrete ones."""

    made: Made
    errors: tuple[type[Exception], ...]
    """What its SDK raises."""
    sdk: str
    """Name and version."""
    where: str
    """Whose account or project, and where in it."""

    def mask(self, text: str) -> str:
        """Take account ids, project ids, people and access keys out of a text."""


AnyCloud = TypeVar("AnyCloud", bound=Cloud)


@dataclass(frozen=True, slots=True)
class Experiment(Generic[AnyCloud]):
    """One question to a cloud, and how to ask it."""

    id: str
    question: str
    cloud: str
    ask: Callable[[AnyCloud], Iterator[Answer]]
    keys: int
    """How many keys it makes."""


def experiment(cloud: str, ask: Callable[[AnyCloud], Iterator[Answer]], keys: int = 1) -> Experiment[AnyCloud]:
    """Take id and question from a function's name and docstring."""
    return Experiment(ask.__name__.replace("_", "-"), " ".join((ask.__doc__ or "").split()), cloud, ask, keys)


def watched(read: Callable[[], Answer], patience: Patience) -> Answer:
    """Read until it is refused and stays so, or the limit is over; the last answer tells how it went.

    It tells `settled`; `seconds` until the first of the refusals that stayed, or all that were waited for;
    `reads`; and `changes`, one `[seconds, status, code]` for each answer that differed from the one before.
    """
    begun = time.monotonic()
    changes: list[tuple[float, int, str]] = []
    reads, since = 0, begun
    in_a_row = 0
    while True:
        asked_at = time.monotonic()
        answer = read()
        reads += 1
        if not changes or changes[-1][1:] != (answer.status, answer.code):
            changes.append((round(asked_at - begun, 1), answer.status, answer.code))
        if not answer.refused:
            in_a_row = 0
        else:
            in_a_row += 1
            since = asked_at if in_a_row == 1 else since
        settled = in_a_row == _IN_A_ROW
        if settled or asked_at - begun >= patience.limit:
            end = since if settled else asked_at
            how = {"settled": settled, "seconds": round(end - begun, 1), "reads": reads}
            return replace(answer, told={**answer.told, **how, "changes": [list(one) for one in changes]})
        time.sleep(patience.every)


def accepted(send: Callable[[], Answer], patience: Patience) -> Answer:
    """Send until it is taken: the service may not know yet what was made a moment ago.

    Raises:
        NotAnsweredError: it is still refused after the limit.
    """
    begun = time.monotonic()
    while (answer := send()).refused:
        if time.monotonic() - begun >= patience.limit:
            raise NotAnsweredError(f"{answer.call} is still refused: {answer.status} {answer.code}: {answer.message}")
        time.sleep(patience.every)
    return answer


def insist(answer: Answer) -> None:
    """Do nothing when what was watched is refused by now.

    Raises:
        NotAnsweredError: it was not within the limit.
    """
    if not answer.told["settled"]:
        seconds = answer.told["seconds"]
        raise NotAnsweredError(f"{answer.call} still works after {seconds} s; a higher --limit waits longer")
