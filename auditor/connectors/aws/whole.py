"""The SDK's HTTP answers, refused where their header lines are cut off or are none.

Python's http.client takes the end of a connection for the end of the header. What S3 says of an object's encryption
stands in there: half of it says that there is none.
"""

import re
from http.client import HTTPException, HTTPResponse
from typing import Any, Final

from botocore.awsrequest import AWSConnection

_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r?\n")
_STATUS: Final = b"HTTP/"
_END: Final = frozenset({b"\r\n", b"\n"})


class _Lines:
    """Reads lines for the SDK and remembers whether they were those of a whole header."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sound = True
        self.ended = False

    def readline(self, *most: int) -> bytes:
        line: bytes = self._file.readline(*most)
        self.ended = line in _END
        self.sound &= self.ended or line.startswith(_STATUS) or _LINE.fullmatch(line) is not None
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class WholeResponse(HTTPResponse):
    """An answer whose header ends with an empty line."""

    def begin(self) -> None:
        """Read the header.

        Raises:
            HTTPException: it is cut off, or holds lines that are none; the SDK asks again.
        """
        file = self.fp
        lines = _Lines(file)
        self.fp = lines  # type: ignore[assignment] # as much of a file as is used until the header has been read
        try:
            super().begin()
        finally:
            if self.fp is lines:  # type: ignore[comparison-overlap] # set above
                self.fp = file
        if not (lines.ended and lines.sound):
            raise HTTPException("the header is not whole")


def demand_whole_headers() -> None:
    """Make the SDK read its answers so, in this process."""
    AWSConnection.response_class = WholeResponse  # type: ignore[assignment] # the stubs name the SDK's own class
