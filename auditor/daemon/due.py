"""When a turn is due again, where those that were missed are made up for by one."""

from datetime import datetime

from apscheduler.triggers.base import BaseTrigger


class AtOnce(BaseTrigger):  # type: ignore[misc] # the library has no types
    """Another trigger, of whose missed times nobody wants more than the first.

    The scheduler counts up every single one of them, and no turn of any loop begins meanwhile: for a clock that is set
    ahead by a year that takes minutes, and from 1970 on all memory that there is.
    """

    def __init__(self, other: BaseTrigger) -> None:
        self._other = other

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """When it is due after `previous_fire_time`, or after `now` where that is over as well; aware, UTC."""
        due: datetime | None = self._other.get_next_fire_time(previous_fire_time, now)
        if previous_fire_time is None or due is None or due > now:
            return due
        later: datetime | None = self._other.get_next_fire_time(now, now)
        return later
