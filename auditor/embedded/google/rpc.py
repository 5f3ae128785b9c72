"""The RPCs of Cloud KMS, read out of the client library: paths, request classes, reply classes, REST routes.

The library puts no service descriptor into the protobuf pool, so its transports are asked for each of their stubs.
What bears an underscore here is private to google-cloud-kms 3.18, which is why the extra pins it and a test counts.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import grpc
from google.cloud.kms_v1.services.hsm_management import transports as hsm
from google.cloud.kms_v1.services.hsm_management.transports import rest_base as hsm_rest
from google.cloud.kms_v1.services.key_management_service import transports as kms
from google.cloud.kms_v1.services.key_management_service.transports import rest_base as kms_rest
from google.protobuf.json_format import MessageToDict, ParseDict


@dataclass(frozen=True)
class Rpc:
    """One method of one service."""

    service: str
    name: str
    request: Any
    """proto-plus or raw protobuf class."""
    reply: Any

    def read(self, raw: bytes) -> Any:
        """Parse a gRPC request."""
        return self.request.deserialize(raw) if hasattr(self.request, "deserialize") else self.request.FromString(raw)

    def write(self, reply: Any) -> bytes:
        """Serialise a gRPC reply."""
        raw: bytes = self.reply.serialize(reply) if hasattr(self.reply, "serialize") else reply.SerializeToString()
        return raw

    def parse(self, told: dict[str, Any]) -> Any:
        """Build a request from JSON."""
        if hasattr(self.request, "pb"):
            return self.request.wrap(ParseDict(told, self.request.pb()(), ignore_unknown_fields=True))
        return ParseDict(told, self.request(), ignore_unknown_fields=True)

    def tell(self, reply: Any) -> dict[str, Any]:
        """Turn a reply into JSON, enums as numbers as the client asks."""
        raw = type(reply).pb(reply) if hasattr(type(reply), "pb") else reply
        told: dict[str, Any] = MessageToDict(raw, use_integers_for_enums=True)
        return told


@dataclass(frozen=True)
class Route:
    """One REST route of an RPC."""

    verb: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...]
    """Dotted request fields that the path holds."""
    body: str | None
    rpc: Rpc


@cache
def table() -> tuple[Rpc, ...]:
    """Every RPC of both services and their IAM, location and operation methods."""
    found: dict[tuple[str, str], Rpc] = {}
    for transport_class in (kms.KeyManagementServiceGrpcTransport, hsm.HsmManagementGrpcTransport):
        transport: Any = transport_class(channel=grpc.insecure_channel("127.0.0.1:1"))  # never connects
        transport._logged_channel, transport._stubs = _Recorder(found), {}  # noqa: SLF001 - see the module's docstring
        for name in sorted(set(dir(transport_class)) - {"operations_client"}):
            if isinstance(inspect.getattr_static(transport_class, name), property):
                getattr(transport, name)
    return tuple(found.values())


@cache
def routes() -> tuple[Route, ...]:
    """Every REST route of those RPCs."""
    return tuple(_routes())


class _Recorder:
    """Stands in for a channel and notes what a transport wants to call."""

    def __init__(self, found: dict[tuple[str, str], Rpc]) -> None:
        self._found = found

    def unary_unary(
        self, path: str, request_serializer: Callable[..., Any], response_deserializer: Callable[..., Any], **_more: Any
    ) -> None:
        _, service, name = path.split("/")
        self._found[service, name] = Rpc(service, name, _owner(request_serializer), _owner(response_deserializer))


def _owner(function: Any) -> Any:
    """proto-plus gives bound methods, raw protobuf gives descriptors: the class behind either."""
    return getattr(function, "__self__", None) or function.__objclass__


def _routes() -> Iterator[Route]:
    bases = (kms_rest._BaseKeyManagementServiceRestTransport, hsm_rest._BaseHsmManagementRestTransport)  # noqa: SLF001 - see the module's docstring
    seen: set[tuple[str, str]] = set()
    for base in bases:
        for rpc in table():
            holder = getattr(base, f"_Base{rpc.name}", None)
            for option in holder._get_http_options() if holder else ():  # noqa: SLF001 - see the module's docstring
                if (option["method"], option["uri"]) in seen:
                    continue
                seen.add((option["method"], option["uri"]))
                uri = re.sub(r"\*\*?", lambda hit: ".+" if hit[0] == "**" else "[^/]+", option["uri"])
                pattern = re.compile(re.sub(r"\{[\w.]+=([^}]*)\}", r"(\1)", uri))
                fields = tuple(re.findall(r"\{([\w.]+)=", option["uri"]))
                yield Route(option["method"].upper(), pattern, fields, option.get("body"), rpc)
