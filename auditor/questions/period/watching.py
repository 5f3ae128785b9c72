"""How long one key was looked at, of all the time in which polls were made."""

from datetime import timedelta

from auditor.questions.period.stretches import NOTHING, Stretch, Stretches


def watched(seen: Stretches, silent: Stretches, alone: Stretches, part: Stretch) -> tuple[timedelta, timedelta]:
    """For how much of a part of the time a key told, and how long it did not at most.

    `seen`: when polls of all keys were made; `silent`: when it did not tell; `alone`: when it told because it was asked
    with a few others. Parts of a year in which thousands of polls came late are not looked at one by one.
    """
    quiet = silent.within(part)
    if any(one.length > seen.length_within(one) or quiet.length_within(one) for one in alone.within(part)):
        told = seen.within(part).without(quiet).joined(alone.within(part))
        return told.length, told.missing(part).longest
    observed = seen.length_within(part) - sum((seen.length_within(one) for one in quiet), NOTHING)
    blind = Stretches(seen.widened(one).within(part) for one in quiet)
    return observed, max(blind.longest, seen.longest_missing(part))
