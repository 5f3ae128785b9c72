"""URLs as they may be shown."""

import re
from typing import Final

# As far as the last sign, so that nothing is left of a password that has one, or a slash, in it.
_USERINFO: Final = re.compile(r"(?<=://).*(?=@)", re.DOTALL)


def shown(text: str) -> str:
    """Leave out the name and password of a URL, or of one in a text; dots stand for them."""
    return _USERINFO.sub("...", text)
