"""The embedded Google Cloud on the wire: JSON over HTTP on one port, gRPC on another, both on loopback."""

import json
from collections.abc import Callable
from concurrent import futures
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote

import grpc
from google.protobuf.json_format import ParseError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from auditor.embedded.google import rpc
from auditor.embedded.google.changes import ChangeService
from auditor.embedded.google.kms import FailedRpcError, KeyService
from auditor.embedded.google.logs import LogService
from auditor.embedded.google.monitoring import MonitoringService
from auditor.embedded.google.pubsub import PubSubService
from auditor.embedded.google.storage import StorageService
from auditor.embedded.google.store import RefusedError, Store
from auditor.embedded.http import RESET, Answer, Asked, HttpServer, cut
from auditor.embedded.traffic import Fault, Request, Traffic

_HTTP_STATUS: Final = {
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "FAILED_PRECONDITION": 400,
    "INVALID_ARGUMENT": 400,
    "UNIMPLEMENTED": 501,
    "RESOURCE_EXHAUSTED": 429,
    "UNAUTHENTICATED": 401,
    "UNAVAILABLE": 503,
}
_CODES: Final = {status: code for code, status in reversed(_HTTP_STATUS.items())}


class GoogleCloud:
    """A running cloud; leaving the context stops it."""

    def __init__(self, store: Store, port: int = 0, grpc_port: int = 0) -> None:
        self.store = store
        self.traffic = Traffic()
        self.storage = StorageService(store)
        self._changes = ChangeService(store, self.storage)
        self._keys = KeyService(store)
        self._logs = LogService(store)
        self._monitoring = MonitoringService(store)
        self.pubsub = PubSubService(store)
        self._http = HttpServer(port, self._serve, self._now)
        self._grpc = grpc.server(futures.ThreadPoolExecutor(8))
        self._grpc.add_generic_rpc_handlers(self._handlers())
        grpc_at = self._grpc.add_insecure_port(f"127.0.0.1:{grpc_port}")
        self.endpoint = self._http.endpoint
        self.grpc_address = f"127.0.0.1:{grpc_at}"

    def __enter__(self) -> Self:
        self._http.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()
        self._grpc.stop(0)

    # gRPC

    def _handlers(self) -> list[Any]:
        services: dict[str, dict[str, Any]] = {}
        for one in rpc.table():
            handler = grpc.unary_unary_rpc_method_handler(self._rpc(one), one.read, one.write)
            services.setdefault(one.service, {})[one.name] = handler
        return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]

    def _rpc(self, one: rpc.Rpc) -> Callable[[Any, grpc.ServicerContext], Any]:
        def answer(ask: Any, call: grpc.ServicerContext) -> Any:
            fault = self.traffic.arrived(Request("kms", one.name, _resource(ask)))
            if fault is not None:
                code = getattr(grpc.StatusCode, _CODES.get(fault.status, "UNAVAILABLE"))
                call.abort(code, fault.message)
            try:
                return self._call(one, ask)
            except FailedRpcError as error:
                call.abort_with_status(rpc_status.to_status(_rich(error)))

        return answer

    def _call(self, one: rpc.Rpc, ask: Any) -> Any:
        method = getattr(self._keys, one.name, None)
        if method is None:
            raise FailedRpcError("UNIMPLEMENTED", f"{one.name} is not part of this embedded cloud")
        return method(ask)

    # HTTP

    def _now(self) -> datetime:
        return self.store.clock()  # which may be given another one meanwhile

    def _serve(self, asked: Asked) -> Answer | None:
        service, route, fields = self._route(asked.verb, asked.target.partition("?")[0])
        verb = route.rpc.name if route else asked.verb
        fault = self.traffic.arrived(Request(service, verb, asked.target, asked.body[:2000].decode(errors="replace")))
        if fault is not None and not fault.cut:
            return _faulty(fault)
        answer = self._answer(asked, service, route, fields)
        return cut(answer) if fault is not None else answer

    def _answer(self, asked: Asked, service: str, route: rpc.Route | None, fields: tuple[str, ...]) -> Answer:
        path, _, query = asked.target.partition("?")
        try:
            if route is not None:
                ask = _request(route, fields, query, asked.body)
                return _answer(200, route.rpc.tell(self._call(route.rpc, route.rpc.parse(ask))))
            if service == "iam":
                if path.endswith(":testIamPermissions"):
                    return _answer(200, self._permissions(path, json.loads(asked.body or b"{}")))
                return _answer(200, self._project_policy(path))
            if service == "logging":
                return _answer(200, self._entries(path, json.loads(asked.body or b"{}")))
            if service == "monitoring":
                return _answer(200, self._monitoring.list(unquote(path).split("/")[3], query))
            if service == "pubsub":
                return _answer(200, self.pubsub.answer(asked.verb, unquote(path), asked.headers, asked.body))
            if asked.verb != "GET":
                return self._changes.answer(asked.verb, asked.target, asked.headers, asked.body)
            return self.storage.answer(path, query, asked.headers)
        except RefusedError as refusal:
            return _refused(refusal)
        except FailedRpcError as error:
            return _failed(error)
        except (ParseError, ValueError) as error:
            return _failed(FailedRpcError("INVALID_ARGUMENT", f"Invalid request: {type(error).__name__}"))

    def _route(self, verb: str, raw_path: str) -> tuple[str, rpc.Route | None, tuple[str, ...]]:
        if raw_path.startswith(("/storage/", "/download/", "/upload/")):
            return "storage", None, ()
        of_projects = raw_path.startswith(("/v1/projects/", "/v3/projects/")) and "/locations/" not in raw_path
        if of_projects and raw_path.endswith((":getIamPolicy", ":testIamPermissions")):
            return "iam", None, ()
        if raw_path.startswith("/v1/projects/") and "/subscriptions/" in raw_path:
            return "pubsub", None, ()
        if raw_path.startswith("/v3/projects/") and raw_path.endswith("/timeSeries"):
            return "monitoring", None, ()
        if raw_path.startswith("/v2/entries:"):
            return "logging", None, ()
        for route in rpc.routes():
            if route.verb == verb and (hit := route.pattern.fullmatch(unquote(raw_path))):
                return "kms", route, hit.groups()
        return "storage", None, ()

    def _project_policy(self, path: str) -> dict[str, Any]:
        resource = unquote(path).split("/", 2)[2].removesuffix(":getIamPolicy")
        if self.store.denied("resourcemanager.projects.getIamPolicy", resource):
            raise FailedRpcError("PERMISSION_DENIED", "The caller does not have permission")
        project = resource.removeprefix("projects/")
        if project not in self.store.projects and project not in map(str, self.store.projects.values()):
            raise FailedRpcError("PERMISSION_DENIED", "The caller does not have permission")
        return {"version": 3, "etag": "BwY=", "bindings": self.store.policy(resource)}

    def _permissions(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Which of some permissions the caller has; whoever has none is told so, and not refused."""
        resource = unquote(path).split("/", 2)[2].removesuffix(":testIamPermissions")
        if resource.removeprefix("projects/") not in self.store.projects:
            raise FailedRpcError("PERMISSION_DENIED", "The caller does not have permission")
        mine = [one for one in asked.get("permissions", []) if not self.store.denied(str(one), resource)]
        return {"permissions": mine} if mine else {}

    def _entries(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if path.endswith(":write"):
            return self._logs.write(asked)
        return self._logs.list(asked)


def _request(route: rpc.Route, fields: tuple[str, ...], query: str, raw: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if route.body:
        body = json.loads(raw or b"{}")
        told = body if route.body == "*" else {route.body: body}
    for dotted, text in [*parse_qsl(query), *zip(route.fields, fields, strict=True)]:
        if dotted.startswith("$"):
            continue
        inner = told
        *parents, last = dotted.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        if last in inner and dotted not in route.fields:
            inner[last] = [*(inner[last] if isinstance(inner[last], list) else [inner[last]]), text]
        else:
            inner[last] = text
    return told


def _resource(ask: Any) -> str:
    for name in ("name", "parent", "resource"):
        if getattr(ask, name, ""):
            return str(getattr(ask, name))
    return ""


def _answer(status: int, told: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(told).encode(), {"Content-Type": "application/json; charset=UTF-8"})


def _refused(refusal: RefusedError) -> Answer:
    one = {"message": refusal.text, "domain": "global", "reason": refusal.reason}
    return _answer(refusal.status, {"error": {"code": refusal.status, "message": refusal.text, "errors": [one]}})


def _failed(error: FailedRpcError) -> Answer:
    status = _HTTP_STATUS[error.code]
    told: dict[str, Any] = {"code": status, "message": str(error), "status": error.code}
    if error.violation:
        kind, subject = error.violation
        violation = {"type": kind, "subject": subject, "description": str(error)}
        told["details"] = [{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [violation]}]
    return _answer(status, {"error": told})


def _rich(error: FailedRpcError) -> Any:
    """The status with its details, as they travel in gRPC's trailers."""
    told = status_pb2.Status(code=getattr(grpc.StatusCode, error.code).value[0], message=str(error))
    if error.violation:
        kind, subject = error.violation
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type=kind, subject=subject, description=str(error))
        told.details.add().Pack(failure)
    return told


def _faulty(fault: Fault) -> Answer | None:
    if fault.drop:
        return None
    if fault.reset:
        return RESET
    if fault.body is not None:
        return Answer(fault.status, fault.body, {"Content-Type": "application/json", **fault.headers})
    told = {"code": fault.status, "message": fault.message, "status": _CODES.get(fault.status, "UNKNOWN")}
    return _answer(fault.status, {"error": told})
