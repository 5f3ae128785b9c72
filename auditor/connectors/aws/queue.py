"""What the URL of an SQS queue tells of it."""

import re
from dataclasses import dataclass
from typing import Final

_URL: Final = re.compile(r"https://sqs(?:-fips)?\.([a-z0-9-]+)\.[a-z.]+/([0-9]{12})/([A-Za-z0-9_.-]+)")


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, as its URL names it."""

    url: str
    region: str
    account: str
    name: str

    @property
    def partition(self) -> str:
        """The partition that its Region is in. Source: botocore, partitions.json."""
        begins = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((one for prefix, one in begins.items() if self.region.startswith(prefix)), "aws")

    @property
    def arn(self) -> str:
        """Its full name."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{self.name}"


def queue_of(url: str) -> Queue:
    """The queue that a URL names, whose shape the config has checked.

    Raises:
        ValueError: it names none.
    """
    hit = _URL.fullmatch(url)
    if hit is None:
        raise ValueError(f"{url!r} is not the URL of a queue")
    return Queue(url, *hit.groups())
