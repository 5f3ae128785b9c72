"""One run: each experiment is asked and recorded, and whatever happens, what was made is removed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.live.kit import Answer, AnyCloud, Experiment, NotAnsweredError

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went."""

    unanswered: tuple[str, ...]
    """Ids of experiments."""
    left: tuple[str, ...]
    """What could not be removed, and why."""
    interrupted: bool

    @property
    def code(self) -> int:
        """The command's exit code."""
        return 130 if self.interrupted else 1 if self.left else 3 if self.unanswered else 0


def run(cloud: AnyCloud, experiments: Sequence[Experiment[AnyCloud]], out: Path, asked_of: str, tell: Tell) -> Outcome:
    """Ask and record each experiment, then remove what was made; a Ctrl-C ends the asking, not the removing."""
    out.mkdir(parents=True, exist_ok=True)
    unanswered, left, interrupted = [], [], False
    try:
        for one in experiments:
            record = _ask(cloud, one, asked_of)
            text = cloud.mask(json.dumps(record, indent=2, ensure_ascii=False))
            (out / f"{one.cloud}-{one.id}.json").write_text(text + "\n")
            if not record["answered"]:
                unanswered.append(one.id)
            tell(_line(record))
    except KeyboardInterrupt:
        interrupted = True
        tell("interrupted: what was made is removed now")
    finally:
        left = cloud.made.remove()
        for what in left:
            tell(f"NOT REMOVED  {what}")
        for what in cloud.made.stays:
            tell(f"stays        {what}")
        tell(f"removed      {'all else' if left else 'everything else' if cloud.made.stays else 'everything'}")
    return Outcome(tuple(unanswered), tuple(left), interrupted)


def _ask(cloud: AnyCloud, one: Experiment[AnyCloud], asked_of: str) -> dict[str, Any]:
    answers: list[Answer] = []
    error = None
    expected: tuple[type[Exception], ...] = (NotAnsweredError, *cloud.errors)
    try:
        for answer in one.ask(cloud):
            answers.append(answer)  # noqa: PERF402 - those before a failure are kept
    except expected as failure:
        kind = "" if isinstance(failure, NotAnsweredError) else f"{type(failure).__name__}: "
        error = kind + " ".join(str(failure).split())
    return {
        "experiment": one.id,
        "cloud": one.cloud,
        "question": one.question,
        "asked_of": asked_of,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "sdk": cloud.sdk,
        "answered": error is None,
        "error": error,
        "answer": [asdict(answer) for answer in answers],
    }


def _line(record: dict[str, Any]) -> str:
    if record["answered"]:
        told = "; ".join(_short(one) for one in record["answer"])
        return f"answered     {record['experiment']}: {told}"
    return f"NOT ANSWERED {record['experiment']}: {record['error']}"


def _short(answer: dict[str, Any]) -> str:
    head = " ".join(part for part in (answer["call"], str(answer["status"]), answer["code"]) if part)
    told = dict(answer["told"])
    settled, seconds, *_ = (told.pop(name, None) for name in ("settled", "seconds", "reads", "changes"))
    if settled is not None:
        head += f" after {seconds} s" if settled else f", not refused within {seconds} s"
    fields = [f"{name}={value}" if isinstance(value, bool) else name for name, value in told.items()]
    return f"{head} ({', '.join(fields)})" if fields else head
