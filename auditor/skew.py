"""How far the clocks of the clouds are believed."""

from datetime import timedelta
from typing import Final

_MOST: Final = timedelta(days=1)


def plausible(skew: timedelta) -> timedelta:
    """The difference of the clocks as far as it is believed: none where it would be more than a day.

    A cloud refuses who is far off, so that such dates are rather somebody else's than the cloud's.
    """
    return skew if abs(skew) <= _MOST else timedelta(0)
