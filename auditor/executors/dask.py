"""Workers of a Dask cluster, asked over nothing but TLS by which both sides know each other."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from auditor.errors import UsageError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_PATIENCE: Final = 30
"""Seconds in which the scheduler is reached."""
_RETRIES: Final = 3
"""How often a task is given to another worker when one has died."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the scheduler is, and by what it and the auditor know each other: PEM files."""

    address: str
    ca: Path
    certificate: Path
    key: Path

    def check(self) -> None:
        """See that it can be asked at all; it is not.

        Raises:
            UsageError: the extra is not installed, or a file cannot be read.
        """
        if find_spec("distributed") is None:
            raise UsageError("[workers] dask needs the extra `dask`", "install cmek-auditor[dask], here and there")
        for one in (self.ca, self.certificate, self.key):
            try:
                one.read_bytes()
            except OSError as error:
                raise UsageError(f"[workers] {one} cannot be read: {error.strerror}", "look at the file") from None


class Cluster(Executor):
    """The workers of a cluster that somebody else runs; it stays when this is shut down."""

    def __init__(self, place: Place) -> None:
        # An extra, slow to import, and without types.
        distributed = import_module("distributed")
        security = distributed.Security(
            require_encryption=True,
            tls_ca_file=str(place.ca),
            tls_client_cert=str(place.certificate),
            tls_client_key=str(place.key),
        )
        self._client: Any = distributed.Client(
            place.address, security=security, timeout=_PATIENCE, set_as_default=False
        )
        # Two shards are two tasks, however alike they look.
        self._executor: Executor = self._client.get_executor(pure=False, retries=_RETRIES)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a worker call it."""
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - its shape
        """Let go of the cluster; what a worker has begun it ends, though nobody hears of it then."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close(timeout=_PATIENCE)
