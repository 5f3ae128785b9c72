"""Text that others choose, in a format whose texts are Markdown: no name becomes a link, a heading or markup."""

import re
from typing import Final

from auditor.log import visible

_SPECIAL: Final = re.compile(r"[\\`*<>\[\]&{}~^|#!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What means something to CommonMark, or to who reads it; an underscore within a word does not."""
_LIST: Final = re.compile(r"^( *)(?:([0-9]+)(?=[.)](?: |$))|(?=[-+]))")
"""What at the beginning of a text would make a list or a heading of it."""


def plain(text: str) -> str:
    """The text as one line that reads as it is."""
    return _LIST.sub(r"\1\2\\", _SPECIAL.sub(r"\\\g<0>", visible(text)))
