"""Moments as text, UTC. A year has four digits: `%Y` pads none on some platforms, as glibc."""

from datetime import datetime


def stamp(moment: datetime) -> str:
    """A time to the second in RFC 3339."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def exact(moment: datetime) -> str:
    """A time to the microsecond in RFC 3339."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def second(moment: datetime) -> str:
    """A time to the second, for people."""
    return moment.isoformat(" ", "seconds").replace("+00:00", " UTC")


def minute(moment: datetime) -> str:
    """A time to the minute, for people."""
    return moment.isoformat(" ", "minutes").replace("+00:00", " UTC")


def day(moment: datetime) -> str:
    """A day."""
    return moment.date().isoformat()
