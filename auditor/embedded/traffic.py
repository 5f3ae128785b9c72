"""What an embedded cloud was asked, and the faults that it answers with on purpose."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    service: str
    """`storage`, `kms`, `iam`, `logging`, `pubsub`, `monitoring` or, on AWS, `s3`, `sts`, `kms` and so on."""
    verb: str
    """HTTP method, RPC name, or the operation that a header names."""
    target: str
    """Path with its query as sent, or the resource of an RPC."""
    body: str = ""
    """Only for small JSON requests."""


@dataclass(slots=True)
class Fault:
    """One fault: which requests, what they get, how often."""

    match: str
    """Text that stands in `service verb target`."""
    status: int = 503
    code: str = "SlowDown"
    message: str = "a fault on purpose"
    delay: float = 0.0
    """Seconds before the answer."""
    drop: bool = False
    """Close the connection without an answer."""
    reset: bool = False
    """Reset the connection without an answer."""
    cut: bool = False
    """Send the first half of the true answer's body, or of its header lines where it has none, then hang up."""
    bare: bool = False
    """Answer the status alone, without a body."""
    body: bytes | None = None
    """Answer exactly these bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers beside those bytes."""
    skip: int = 0
    """How many requests pass before the first gets it."""
    times: int | None = None
    """How many requests get it; None for all."""


@dataclass
class Traffic:
    """The log and the faults of one cloud; safe to use from many threads."""

    faults: list[Fault] = field(default_factory=list)
    _seen: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Everything that was asked, in order."""
        with self._lock:
            return tuple(self._seen)

    def fail(self, match: str, **how: object) -> Fault:
        """Answer requests that hold this text with a fault."""
        fault = Fault(match, **how)  # type: ignore[arg-type]  # the dataclass names and checks what may be given
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take all faults back."""
        with self._lock:
            self.faults.clear()

    def arrived(self, request: Request) -> Fault | None:
        """Log one request, and tell the fault that it gets; the fault's delay has passed on return."""
        told = f"{request.service} {request.verb} {request.target} {request.body}"
        with self._lock:
            self._seen.append(request)
            found = next((one for one in self.faults if one.times != 0 and one.match in told), None)
            if found is not None and found.skip:
                found.skip -= 1
                return None
            if found is not None and found.times is not None:
                found.times -= 1
        if found is not None and found.delay:
            time.sleep(found.delay)
        return found
