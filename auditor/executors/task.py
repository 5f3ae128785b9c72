"""What one process does that lists for another one: a shard of a plan, by the config that comes with it."""

import sys
import threading
from collections import Counter
from dataclasses import dataclass
from functools import partial

from auditor import __version__
from auditor.config import Config
from auditor.crew import Done, Task
from auditor.errors import ReadOnlyError
from auditor.ports import Plan
from auditor.progress import progress_on
from auditor.run import Parts
from auditor.spreading import list_shards
from auditor.wiring import assemble


@dataclass(frozen=True, slots=True)
class Order:
    """By what shards are listed."""

    config: Config
    count: int
    """So many processes share the rates of the config among them."""
    by_sdk: bool
    version: str = __version__


def task_of(order: Order) -> Task:
    """What lists a shard in another process."""
    return partial(list_shard, order)


def list_shard(order: Order, plan: Plan, number: int) -> Done:
    """List one shard where all that share the sweep see it.

    Raises:
        ReadOnlyError: a request was about to leave that must not; nothing excuses that.
    """
    if order.version != __version__:
        return Done(number, None, f"this process has version {__version__}, not {order.version}", {})
    hand: _Hand | None = None
    try:
        hand = _hand(order)
        source = next(one for one in hand.parts.sources if one.url == plan.bucket)
        with progress_on(sys.stderr, quiet=True) as progress:
            listed, failed = list_shards(hand.parts, source, plan, [number], progress)
    except ReadOnlyError:
        raise
    except Exception as error:  # noqa: BLE001 - what fails here whoever asked lists again, and tells what is wrong
        return Done(number, None, type(error).__name__, hand.untold() if hand is not None else {})
    why = failed.get(number)
    return Done(number, listed.get(number), None if why is None else str(why), hand.untold())


class _Hand:
    """What one thread lists with; nobody else uses it: a source counts what it meets in the shard at hand."""

    def __init__(self, order: Order) -> None:
        self._assembly = assemble(order.config, by_sdk=order.by_sdk, workers=order.count)
        self._told: Counter[tuple[str, str, str]] = Counter()

    @property
    def parts(self) -> Parts:
        """What the config names."""
        return self._assembly.parts

    def untold(self) -> dict[tuple[str, str, str], int]:
        """What clouds have answered since this was asked last."""
        now = Counter(self._assembly.wire.counts())
        found, self._told = now - self._told, now
        return dict(found)


_HANDS = threading.local()


def _hand(order: Order) -> _Hand:
    """Made once: connections stay, and so does what is learnt of how fast a cloud wants to be asked."""
    about = (order.config.digest, order.count, order.by_sdk)
    made: tuple[object, _Hand] | None = getattr(_HANDS, "made", None)
    if made is None or made[0] != about:
        made = _HANDS.made = about, _Hand(order)
    return made[1]
