"""Asks a round of questions at once, in bounded time: who hangs holds up nobody else."""

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from auditor.checkup import Answer, Check, Question, Round, Told, answer_of
from auditor.doctoring.rights import LOST
from auditor.errors import ReadOnlyError, UsageError
from auditor.model import Reason

_log = logging.getLogger(__name__)

_LOOK: Final = "look at the endpoint and the network, and ask again"
_AT_ONCE: Final = 4
"""Of one endpoint."""

_SILENT: Final = Told(Reason.TIMEOUT, "not asked: its endpoint answered nothing before", _LOOK)

Answered = tuple[Check, str, Told | None]
"""(what came of it, the endpoint that was asked, what it told)."""


def ask(questions: Round, within: float, silent: Collection[str] = ()) -> list[Answered]:
    """Ask all of them, and wait for so many seconds together; checks that are settled stay where they are.

    `silent`: endpoints that answered nothing before; they are not asked again.

    Raises:
        ReadOnlyError: a request was about to leave that must not; nothing excuses that.
    """
    pools: dict[str, ThreadPoolExecutor] = {}
    asked: list[tuple[Question, Future[Told]] | Check] = []
    for one in questions:
        if isinstance(one, Check):
            asked.append(one)
            continue
        if one.endpoint in silent:
            asked.append(as_check(one.group, one.what, one.permission, _SILENT))
            continue
        pool = pools.setdefault(one.endpoint, ThreadPoolExecutor(_AT_ONCE))
        asked.append((one, pool.submit(_safely, one)))
    wait(_futures(asked), timeout=within)
    for pool in pools.values():
        # Whoever hangs keeps nobody waiting; the client's own timeouts end it.
        pool.shutdown(wait=False, cancel_futures=True)
    return [_settled(one, within) for one in asked]


def as_check(group: str, what: str, permission: str | None, told: Told) -> Check:
    """What an answer comes to."""
    answer = answer_of(told)
    bad = answer in {Answer.MISSING, Answer.UNKNOWN}
    return Check(
        group,
        what,
        answer,
        told.text,
        permission,
        told.reason,
        LOST.get(permission or "", "") if bad else "",
        told.todo if bad else "",
    )


def _futures(asked: Iterable[tuple[Question, Future[Told]] | Check]) -> list[Future[Told]]:
    return [one[1] for one in asked if not isinstance(one, Check)]


def _settled(one: tuple[Question, Future[Told]] | Check, within: float) -> Answered:
    if isinstance(one, Check):
        lost = LOST.get(one.permission or "", "") if one.answer in {Answer.MISSING, Answer.UNKNOWN} else ""
        return Check(one.group, one.what, one.answer, one.told, one.permission, one.reason, lost, one.todo), "", None
    question, future = one
    if future.done() and not future.cancelled():
        told = future.result()
    else:
        told = Told(Reason.TIMEOUT, f"no answer within {within:.0f} s", _LOOK)
    return as_check(question.group, question.what, question.permission, told), question.endpoint, told


def _safely(question: Question) -> Told:
    try:
        return question.ask()
    except ReadOnlyError:
        raise
    except UsageError as error:
        return Told(Reason.EXPIRED_CREDENTIALS, str(error), error.hint or "look at the config")
    except Exception as error:  # noqa: BLE001 - one question's defect must not end the visit
        _log.debug("asking %s", question.what, exc_info=True)
        return Told(Reason.UNSUPPORTED, f"a defect of the auditor: {type(error).__name__}", "report it, with --verbose")
