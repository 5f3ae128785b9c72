"""The RPCs of Cloud KMS, read out of the client library: paths, request classes, reply classes, REST routes.

The library puts no service descriptor into the protobuf pool, so its transports are asked for each of their stubs.
What bears an underscore here is private to google-cloud-kms 3.18, which is why the extra pins it and a test counts.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import grpc
from google.cloud.kms_v1.services.ekm_service import transports as ekm
from google.cloud.kms_v1.services.ekm_service.transports import rest_base as ekm_rest
from google.cloud.kms_v1.services.hsm_management import transports as hsm
from google.cloud.kms_v1.services.hsm_management.transports import rest_base as hsm_rest
from google.cloud.kms_v1.services.key_management_service import transports as kms
from google.cloud.kms_v1.services.key_management_service.transports import rest_base as kms_rest
from google.iam.v1 import iam_policy_pb2
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
    """Every RPC of both services and of their IAM policies."""
    found: dict[tuple[str, str], Rpc] = {}
    for transport_class in (
        kms.KeyManagementServiceGrpcTransport,
        hsm.HsmManagementGrpcTransport,
        ekm.EkmServiceGrpcTransport,
    ):
        transport: Any = transport_class(channel=grpc.insecure_channel("127.0.0.1:1"))  # never connects
        transport._logged_channel, transport._stubs = _Recorder(found), {}  # noqa: SLF001 - see the module's docstring
        for name in sorted(set(dir(transport_class)) - {"operations_client"}):
            if isinstance(inspect.getattr_static(transport_class, name), property):
                getattr(transport, name)
    return tuple(found.values())


@cache
def routes() -> tuple[Route, ...]:
    """Every REST route of those RPCs, those with a verb behind a colon first: `*` would swallow it."""
    return tuple(sorted(_routes(), key=lambda one: ":" not in one.pattern.pattern))


# Raw protobuf methods are inherited, so that they do not tell their class: the IAM requests by name.
_IAM_REQUESTS: Final[dict[str, Any]] = {
    "GetIamPolicy": iam_policy_pb2.GetIamPolicyRequest,
    "SetIamPolicy": iam_policy_pb2.SetIamPolicyRequest,
    "TestIamPermissions": iam_policy_pb2.TestIamPermissionsRequest,
}


class _Recorder:
    """Stands in for a channel and notes what a transport wants to call; locations and operations are left out."""

    def __init__(self, found: dict[tuple[str, str], Rpc]) -> None:
        self._found = found

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, **_more: Any) -> None:
        _, service, name = path.split("/")
        bound = getattr(request_serializer, "__self__", None)
        request = bound if inspect.isclass(bound) else _IAM_REQUESTS.get(name)
        if request is not None:
            self._found[service, name] = Rpc(service, name, request, response_deserializer.__self__)


def _routes() -> Iterator[Route]:
    bases = (
        kms_rest._BaseKeyManagementServiceRestTransport,  # noqa: SLF001 - see the docstring above
        hsm_rest._BaseHsmManagementRestTransport,  # noqa: SLF001 - as above
        ekm_rest._BaseEkmServiceRestTransport,  # noqa: SLF001 - as above
    )
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
