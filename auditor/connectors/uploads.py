"""What uploads into a folder of a bucket have in common, whichever cloud it is of."""

from dataclasses import dataclass
from typing import Final

from auditor.errors import CollectError, TakenError
from auditor.model import Reason

DIGEST: Final = "sha256"
"""Name of the metadata of an object that tells the SHA-256 of its content, hexadecimal."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a bucket, or all of it."""

    url: str
    """s3://BUCKET, gs://BUCKET, or with /FOLDER behind it."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.url.split("/")[2]

    def key(self, name: str) -> str:
        """What an object in it is called in its bucket."""
        folder = "/".join(self.url.split("/")[3:])
        return f"{folder}/{name}" if folder else name

    def demand_same(self, name: str, there: str | None, digest: str) -> None:
        """See that what is there already is what was to be put, by what its metadata tells of it.

        Raises:
            TakenError: it is not.
        """
        if there != digest:
            raise TakenError(
                f"{self.url} has another {name} already",
                "give each auditor a folder of its own; nothing there is replaced",
                reason=Reason.MALFORMED,
            )


def not_looked_at(failed: CollectError) -> CollectError:
    """Why nobody knows what is there: who may not look is kept from that one object alone."""
    if failed.reason is Reason.ACCESS_DENIED:
        return TakenError(str(failed), failed.hint, reason=failed.reason)
    return failed
