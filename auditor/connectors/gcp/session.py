"""Google clients: Cloud Storage, Cloud KMS, IAM policies of projects, each with the read-only hook."""

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import google.auth
import google.auth.exceptions
import google.auth.impersonated_credentials
import grpc
import requests
from google.api_core.exceptions import from_http_response
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials, with_scopes_if_required
from google.auth.transport.requests import AuthorizedSession
from google.cloud import kms_v1 as kms
from google.cloud.kms_v1.services.ekm_service import transports as ekm_transports
from google.cloud.kms_v1.services.hsm_management import transports as hsm_transports
from google.cloud.kms_v1.services.key_management_service import transports as key_transports
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from auditor.connectors.documents import parse_once
from auditor.connectors.flowing import flowing
from auditor.connectors.gcp.answers import is_sound
from auditor.connectors.gcp.errors import status_in
from auditor.connectors.gcp.uploads import parse_uploads
from auditor.connectors.pace import Pace
from auditor.connectors.trail import Trail
from auditor.connectors.wire import Wire
from auditor.errors import ReadOnlyError, UsageError

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_IAM: Final = "https://cloudresourcemanager.googleapis.com"
_STORAGE: Final = "https://storage.googleapis.com"
_KMS: Final = "https://cloudkms.googleapis.com"
_LOGGING: Final = "https://logging.googleapis.com"
_PUBSUB: Final = "https://pubsub.googleapis.com"
_MONITORING: Final = "https://monitoring.googleapis.com"
_TIMEOUT: Final = 30
_RETRY: Final = DEFAULT_RETRY.with_timeout(60.0)
_RETRY_POLICY: Final = DEFAULT_RETRY.with_timeout(5.0)
_POLICY_TIMEOUT: Final = 5
"""Seconds: a policy that hangs must not hide the state of the key that it is about."""
_PULL: Final = "subscriptions.pull"

# (service, operation) of each HTTP request that may leave; the group is the bucket that it names. Source: the
# references of Cloud Storage's JSON and XML APIs, of Resource Manager v3, of Cloud Logging v2, of Pub/Sub v1, of Cloud
# Monitoring v3.
_OPERATIONS: Final = (
    (re.compile(r"GET /storage/v1/b"), ("storage", "buckets.list")),
    (re.compile(r"GET /storage/v1/b/([^/]+)"), ("storage", "buckets.get")),
    (re.compile(r"GET /storage/v1/b/([^/]+)/o"), ("storage", "objects.list")),
    (re.compile(r"GET /storage/v1/b/([^/]+)/o/[^/]+"), ("storage", "objects.get")),
    (re.compile(r"POST /upload/storage/v1/b/([^/]+)/o"), ("storage", "objects.insert")),
    (re.compile(r"GET /storage/v1/projects/[^/]+/serviceAccount"), ("storage", "projects.serviceAccount.get")),
    (re.compile(r"GET /((?!storage/)[a-z0-9._-]+)"), ("storage", "multipartUploads.list")),
    (re.compile(r"POST /v3/projects/[^/]+:getIamPolicy"), ("cloudresourcemanager", "projects.getIamPolicy")),
    (
        re.compile(r"POST /v3/projects/[^/]+:testIamPermissions"),
        ("cloudresourcemanager", "projects.testIamPermissions"),
    ),
    (re.compile(r"GET /v3/projects/[^/]+/timeSeries"), ("monitoring", "timeSeries.list")),
    (re.compile(r"POST /v2/entries:list"), ("logging", "entries.list")),
    (re.compile(r"POST /v2/entries:write"), ("logging", "entries.write")),
    (re.compile(r"GET /v1/projects/[^/]+/subscriptions/[^/:]+"), ("pubsub", "subscriptions.get")),
    (re.compile(r"POST /v1/projects/[^/]+/subscriptions/[^/:]+:pull"), ("pubsub", _PULL)),
    (re.compile(r"POST /v1/projects/[^/]+/subscriptions/[^/:]+:acknowledge"), ("pubsub", "subscriptions.acknowledge")),
)


@dataclass(frozen=True, slots=True)
class GcpIdentity:
    """How to become somebody who may read a project."""

    impersonate: str | None = None
    quota_project: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Other addresses than Google's own; plain http:// means without credentials."""

    storage: str | None = None
    kms: str | None = None
    iam: str | None = None
    logging: str | None = None
    pubsub: str | None = None
    monitoring: str | None = None


class GcpClients:
    """Makes clients and keeps them; safe to use from many threads."""

    def __init__(
        self,
        identities: Mapping[str, GcpIdentity],
        endpoints: Endpoints,
        wire: Wire,
        agent: str = "cmek-auditor",
        *,
        grpc_channel: grpc.Channel | None = None,
        own_log: str | None = None,
        feeds: Collection[str] = (),
        own_uploads: Collection[str] = (),
        own_copies: Collection[str] = (),
    ) -> None:
        """Make none yet.

        `own_log`: the one log that may be written to. `feeds`: subscriptions that may be pulled and acknowledged.
        `own_uploads`: each BUCKET or BUCKET/FOLDER, into which alone something new may be put; `own_copies`: those of
        them that are read again.
        """
        self._own = {"own_uploads": frozenset(own_uploads), "own_copies": frozenset(own_copies)}
        self._feeds = frozenset(feeds)
        self._identities = identities
        self._endpoints = endpoints
        self.wire = wire
        self.agent = agent
        self._channel = grpc_channel
        self._own_log = own_log
        self._lock = threading.RLock()
        self._made: dict[tuple[str, str | None], Any] = {}

    @property
    def endpoint(self) -> str | None:
        """Another address of Cloud Storage than Google's own."""
        return self._endpoints.storage

    def may_be_called(self, project: str) -> tuple[str, ...]:
        """Projects of the config that may be this one, which it does not name so, by their other name.

        Only those whose identity is one of their own: else whoever asks is the same.
        """
        if project in self._identities:
            return ()
        alike = {one for name, one in self._identities.items() if name.isdigit() is project.isdigit()}
        return tuple(
            name
            for name, one in sorted(self._identities.items())
            if name.isdigit() is not project.isdigit() and one != GcpIdentity() and one not in alike
        )

    def credentials(self, project: str | None) -> Any:
        """google-auth's credentials for the buckets of a project, which renew themselves.

        Raises:
            UsageError: there are none.
        """
        known = project if project in self._identities else None
        return self._once("credentials", known, lambda one: self._credentials(self._endpoints.storage, one))

    def storage(self, project: str | None) -> Client:
        """The client for the buckets of a project."""
        return self._once("storage", project, self._new_storage)

    def keys(self, project: str) -> kms.KeyManagementServiceClient:
        """The client for the keys of a project: gRPC, or REST where the endpoint is plain http."""
        client: kms.KeyManagementServiceClient = self._once("kms", project, self._new_keys)
        return client

    def hsm(self, project: str) -> kms.HsmManagementClient:
        """The client for the single-tenant HSM instances of a project."""
        client: kms.HsmManagementClient = self._once("hsm", project, self._new_hsm)
        return client

    def project_policy(self, project: str) -> Mapping[str, Any]:
        """Read a project's IAM policy.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session: requests.Session = self._once("iam", project, lambda one: self._session(self._endpoints.iam, one))
        url = f"{self._endpoints.iam or _IAM}/v3/projects/{project}:getIamPolicy"
        options = {"options": {"requestedPolicyVersion": 3}}
        answer = _answered(lambda: session.post(url, json=options, timeout=_POLICY_TIMEOUT), _RETRY_POLICY)
        told: Mapping[str, Any] = answer.json()
        return told

    def has(self, project: str, permission: str) -> bool:
        """Ask whether the identity for a project has a permission on it, which takes none.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session: requests.Session = self._once("iam", project, lambda one: self._session(self._endpoints.iam, one))
        url = f"{self._endpoints.iam or _IAM}/v3/projects/{project}:testIamPermissions"
        asked = {"permissions": [permission]}
        answer = _answered(lambda: session.post(url, json=asked, timeout=_POLICY_TIMEOUT), _RETRY_POLICY)
        return permission in answer.json().get("permissions", ())

    def log_entries(self, project: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read one page of a project's log entries, as google-cloud-logging asks for it over its JSON route.

        What the page holds is handed on as it came: the library itself breaks on one entry of another shape.

        Raises:
            ImportError: the library is not installed.
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        api = self._once("logging", project, self._new_log)
        request = {"resourceNames": [f"projects/{project}"], **asked}
        page = partial(api.api_request, method="POST", path="/entries:list", data=request, timeout=_POLICY_TIMEOUT)
        told: Mapping[str, Any] = _RETRY_POLICY(page)()
        return told

    def write_log(self, project: str, asked: Mapping[str, Any]) -> None:
        """Write entries, as google-cloud-logging does over its JSON route; asked once, for whoever asks again later.

        Raises:
            ReadOnlyError: an entry is for another log than the auditor's own.
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        api = self._once("logging", project, self._new_log)
        api.api_request(method="POST", path="/entries:write", data=asked, timeout=_POLICY_TIMEOUT)

    def feeds(self, project: str | None) -> requests.Session:
        """Who asks Pub/Sub for the subscriptions that are feeds; for others nothing is sent.

        Raises:
            UsageError: there are no credentials.
        """
        session: requests.Session = self._once(
            "pubsub", project, lambda one: self._session(self._endpoints.pubsub, one)
        )
        return session

    def time_series(self, project: str | None, of: str, asked: Mapping[str, str]) -> Mapping[str, Any]:
        """Read one page of the time series `of` a project, by the identity for a project of the config.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        endpoint = self._endpoints.monitoring
        session: requests.Session = self._once("monitoring", project, lambda one: self._session(endpoint, one))
        url = f"{endpoint or _MONITORING}/v3/projects/{of}/timeSeries"
        answer = _answered(partial(session.get, url, params=asked, timeout=_POLICY_TIMEOUT), _RETRY_POLICY)
        told: Mapping[str, Any] = answer.json()
        return told

    def count_uploads(self, project: str | None, bucket: str, pace: Pace) -> int:
        """Count a bucket's unfinished multipart uploads, which only the XML API lists.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session, url = self._uploads_of(project, bucket)
        asked: dict[str, str] = {"uploads": ""}
        count = 0
        trail = Trail()
        while True:
            pace.wait()
            answer = _answered(partial(session.get, url, params=asked, timeout=_TIMEOUT))
            uploads, following = parse_uploads(answer.content, {**asked, "bucket": bucket})
            count += len(uploads)
            if following is None:
                return count
            place = tuple(following.items())
            back = following["key-marker"] < asked.get("key-marker", "")
            if back or not (trail.leads_on(place) and trail.gets_on(uploads[-1] if uploads else None)):
                raise requests.JSONDecodeError("the pages never end", "", 0)
            asked = following

    def some_uploads(self, project: str | None, bucket: str) -> None:
        """Ask for one of a bucket's unfinished multipart uploads; who may not list them is refused.

        Raises:
            requests.RequestException: no answer, or none that can be read.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session, url = self._uploads_of(project, bucket)
        asked = {"uploads": "", "max-uploads": "1"}
        answer = _answered(lambda: session.get(url, params=asked, timeout=_POLICY_TIMEOUT), _RETRY_POLICY)
        parse_uploads(answer.content, {**asked, "bucket": bucket})

    def _uploads_of(self, project: str | None, bucket: str) -> tuple[requests.Session, str]:
        """Who asks for the uploads of a bucket, and where."""
        session: requests.Session = self._once(
            "uploads", project, lambda one: self._session(self._endpoints.storage, one)
        )
        return session, f"{self._endpoints.storage or _STORAGE}/{bucket}"

    def email(self, project: str | None) -> str | None:
        """E-mail address of the identity for the buckets of a project, as far as the credentials tell it.

        Raises:
            UsageError: there are no credentials.
        """
        self.storage(project)
        return self._email(project if project in self._identities else None)

    def at(self, service: str) -> str:
        """Where requests to a service go: `storage`, `kms`, `iam`, `logging`, `pubsub` or `monitoring`."""
        given, usual = {
            "storage": (self._endpoints.storage, _STORAGE),
            "kms": (self._endpoints.kms, _KMS),
            "iam": (self._endpoints.iam, _IAM),
            "logging": (self._endpoints.logging, _LOGGING),
            "pubsub": (self._endpoints.pubsub, _PUBSUB),
            "monitoring": (self._endpoints.monitoring, _MONITORING),
        }[service]
        return given or usual

    def read_byte(self, project: str | None, bucket: str, name: str, generation: str) -> requests.Response:
        """Read the first byte of one generation; the answer's body is left on the wire, unless it is an error.

        Raises:
            requests.RequestException: no answer.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session: requests.Session = self._once(
            "uploads", project, lambda one: self._session(self._endpoints.storage, one)
        )
        url = f"{self._endpoints.storage or _STORAGE}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        asked = {"alt": "media", "generation": generation}
        answer = session.get(url, params=asked, headers={"Range": "bytes=0-0"}, timeout=_TIMEOUT, stream=True)
        if answer.ok:
            answer.close()
        return answer

    def download(self, project: str | None, bucket: str, name: str, out: BinaryIO) -> None:
        """Write all of an object to a file.

        Raises:
            requests.RequestException: no answer, or not all of it.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session: requests.Session = self._once(
            "uploads", project, lambda one: self._session(self._endpoints.storage, one)
        )
        url = f"{self._endpoints.storage or _STORAGE}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        with _answered(lambda: session.get(url, params={"alt": "media"}, timeout=_TIMEOUT, stream=True)) as answer:
            length = answer.headers.get("Content-Length", "")
            due = int(length) if length.isdigit() else None
            out.writelines(flowing(answer.raw, due, f"gs://{bucket}/{name}", time.monotonic))

    def insert(self, project: str | None, bucket: str, name: str, told: Mapping[str, Any], content: bytes) -> None:
        """Put a new object into a bucket, unless one of that name is there; `told`: its metadata, as the API names it.

        Raises:
            google.api_core.exceptions.PreconditionFailed: one is.
            requests.RequestException: no answer.
            google.api_core.exceptions.GoogleAPICallError, RetryError: an answer that is an error.
            google.auth.exceptions.GoogleAuthError: no credentials.
        """
        session: requests.Session = self._once(
            "uploads", project, lambda one: self._session(self._endpoints.storage, one)
        )
        url = f"{self._endpoints.storage or _STORAGE}/upload/storage/v1/b/{bucket}/o"
        asked = {"uploadType": "multipart", "ifGenerationMatch": "0", "name": name, "fields": "kind,name"}
        boundary = uuid.uuid4().hex
        parts = (("application/json; charset=UTF-8", json.dumps(told).encode()), (told["contentType"], content))
        body = b"".join(
            f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n" for kind, part in parts
        )
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}
        data = body + f"--{boundary}--\r\n".encode()
        made = _answered(lambda: session.post(url, params=asked, data=data, headers=headers, timeout=_TIMEOUT)).json()
        if made["name"] != name:
            raise requests.JSONDecodeError("the answer is of another object", "", 0)

    def ekm(self, project: str) -> kms.EkmServiceClient:
        """The client for the EKM connections of a project."""
        client: kms.EkmServiceClient = self._once("ekm", project, self._new_ekm)
        return client

    def identity(self) -> tuple[str, ...]:
        """E-mail addresses of the identities in use, as far as the credentials tell them, sorted."""
        with self._lock:
            projects = {project for _, project in self._made}
        found = {self._email(project) for project in projects}
        return tuple(sorted(one for one in found if one))

    def _once(self, kind: str, project: str | None, make: Any) -> Any:
        known = project if project in self._identities else None
        with self._lock:
            if (kind, known) not in self._made:
                self._made[kind, known] = make(known)
            return self._made[kind, known]

    def _new_storage(self, project: str | None) -> Client:
        endpoint = self._endpoints.storage
        # The client would read bucket settings in the background for traces that nobody asked for.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        options = {"api_endpoint": endpoint} if endpoint else None
        # `_http` is how the client takes a session of one's own; only a session can refuse before anything is sent.
        return Client(
            project=project or "none",
            credentials=self._credentials(endpoint, project),
            client_options=options,
            _http=self._session(endpoint, project),
        )

    def _new_log(self, project: str | None) -> Any:
        # Only who looks for somebody pays for the import.
        from google.cloud.logging_v2 import Client as LogClient  # noqa: PLC0415 - as said above

        endpoint = self._endpoints.logging
        return LogClient(
            project=project or "none",
            credentials=self._credentials(endpoint, project),
            client_options={"api_endpoint": endpoint} if endpoint else None,
            _http=self._session(endpoint, project),
            _use_grpc=False,
        ).logging_api

    def _new_keys(self, project: str | None) -> kms.KeyManagementServiceClient:
        endpoint = self._endpoints.kms
        if self._channel is not None:
            transport = key_transports.KeyManagementServiceGrpcTransport(channel=self._channel)
            return kms.KeyManagementServiceClient(transport=transport)
        if endpoint is not None:
            return kms.KeyManagementServiceClient(
                transport=key_transports.KeyManagementServiceRestTransport(**self._rest(endpoint, project))
            )
        return kms.KeyManagementServiceClient(credentials=self._credentials(None, project))

    def _new_hsm(self, project: str | None) -> kms.HsmManagementClient:
        endpoint = self._endpoints.kms
        if self._channel is not None:
            return kms.HsmManagementClient(transport=hsm_transports.HsmManagementGrpcTransport(channel=self._channel))
        if endpoint is not None:
            return kms.HsmManagementClient(
                transport=hsm_transports.HsmManagementRestTransport(**self._rest(endpoint, project))
            )
        return kms.HsmManagementClient(credentials=self._credentials(None, project))

    def _new_ekm(self, project: str | None) -> kms.EkmServiceClient:
        endpoint = self._endpoints.kms
        if self._channel is not None:
            return kms.EkmServiceClient(transport=ekm_transports.EkmServiceGrpcTransport(channel=self._channel))
        if endpoint is not None:
            return kms.EkmServiceClient(
                transport=ekm_transports.EkmServiceRestTransport(**self._rest(endpoint, project))
            )
        return kms.EkmServiceClient(credentials=self._credentials(None, project))

    def _rest(self, endpoint: str, project: str | None) -> dict[str, Any]:
        url = urlsplit(endpoint)
        return {
            "host": url.netloc,
            "url_scheme": url.scheme,
            "credentials": self._credentials(endpoint, project),
        }

    def _session(self, endpoint: str | None, project: str | None) -> requests.Session:
        session = AuthorizedSession(self._credentials(endpoint, project))
        session.max_redirects = 0  # these APIs never redirect: who does is not the service
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Guarded(self.wire, self._own_log, self._feeds, self._own))
        return session

    def _credentials(self, endpoint: str | None, project: str | None) -> Any:
        if endpoint is not None and endpoint.startswith("http://"):
            return AnonymousCredentials()
        identity = self._identities.get(project or "", GcpIdentity())
        # Requests count against it, not what makes the token: that is the business of whoever impersonates.
        own_quota = None if identity.impersonate else identity.quota_project
        try:
            found, _ = google.auth.default(scopes=[_SCOPE], quota_project_id=own_quota)
        except google.auth.exceptions.DefaultCredentialsError as error:
            first = str(error).partition(".")[0]
            raise UsageError(
                f"no Google credentials: {first}",
                "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
            ) from None
        if identity.impersonate:
            found = google.auth.impersonated_credentials.Credentials(
                source_credentials=found,
                target_principal=identity.impersonate,
                target_scopes=[_SCOPE],
                quota_project_id=identity.quota_project,
            )
        return with_scopes_if_required(found, [_SCOPE])

    def _email(self, project: str | None) -> str | None:
        identity = self._identities.get(project or "")
        if identity is not None and identity.impersonate:
            return identity.impersonate
        with self._lock:
            made = [one for (kind, known), one in self._made.items() if kind in {"storage", "iam"} and known == project]
        for one in made:
            credentials = getattr(one, "credentials", None) or getattr(one, "_credentials", None)
            email = getattr(credentials, "service_account_email", None)
            if isinstance(email, str) and "@" in email:
                return email
        return None


class _Guarded(HTTPAdapter):
    """Refuses what is not in the table, and counts every answer, retried ones too."""

    def __init__(
        self,
        wire: Wire,
        own_log: str | None = None,
        feeds: Collection[str] = (),
        own: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__(pool_maxsize=32)
        self._own = own
        self._wire = wire
        self._own_log = own_log
        self._feeds = feeds

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        url = urlsplit(request.url or "")
        service, operation, bucket = _operation(f"{request.method} {url.path}", url.query)
        about: dict[str, Any] = {"Range": request.headers.get("Range"), "name": _named(url.path)}
        if operation == "entries.write":
            about |= {"own_log": self._own_log, "logs": logs_in(request.body)}
        if operation == "objects.insert":
            about |= {**self._own, **_put_by(bucket, url.query)}
        if operation == "objects.get" and bucket is not None:
            about |= {**self._own, "Bucket": bucket.removeprefix("gs://"), "Key": unquote(url.path.rpartition("/")[2])}
        self._wire.allow(service, operation, about, self._feeds)
        try:
            answer = super().send(request, *args, **more)
            # The body of a read is the object's, and stays on the wire.
            if answer.ok:
                # To the library a redirect without a place is a success; these APIs never redirect.
                is_success = answer.status_code < requests.codes.multiple_choices
                sound = operation == "objects.get" or (is_success and is_sound(operation, answer.content))
            else:
                sound = _is_readable(answer)
        except requests.RequestException as error:
            self._wire.answered(service, operation, type(error).__name__, bucket=bucket)
            raise
        if not sound:
            self._wire.answered(service, operation, "malformed", answer.headers.get("Date"), bucket=bucket)
            raise requests.JSONDecodeError("the answer is not what was asked for", "", 0, request=request)
        outcome = "ok" if answer.ok or _has_waited(operation, answer) else str(answer.status_code)
        self._wire.answered(service, operation, outcome, answer.headers.get("Date"), bucket=bucket)
        return answer


def logs_in(body: Any) -> tuple[str, ...]:
    """Names of all logs that a request writes to; none where it cannot be told of each entry."""
    try:
        told = parse_once(body if isinstance(body, bytes) else str(body).encode())
        named = [one.get("logName", told.get("logName")) for one in told["entries"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()
    names = {told.get("logName"), *named} if told.get("logName") is not None else {*named}
    return tuple(sorted(names)) if names and all(isinstance(one, str) for one in names) else ()


def _put_by(bucket: str | None, query: str) -> dict[str, str | None]:
    """What an upload puts where, and whether only where nothing is, in the words of the table."""
    asked = dict(parse_qsl(query))
    only_new = "*" if asked.get("ifGenerationMatch") == "0" else None
    name = bucket.removeprefix("gs://") if bucket is not None else None
    return {"Bucket": name, "Key": asked.get("name"), "IfNoneMatch": only_new}


def _named(path: str) -> str:
    """The name of the resource that a request is for, or calls a method of; an old project's id may have a colon."""
    before, _, last = path.removeprefix("/v1/").rpartition("/")
    return f"{before}/{last.partition(':')[0]}"


def _has_waited(operation: str, answer: requests.Response) -> bool:
    """Whether a pull has ended because nothing came in the time that it was given: that is an answer."""
    is_late = operation == _PULL and answer.status_code == requests.codes.gateway_timeout
    return is_late and status_in(answer.content) == "DEADLINE_EXCEEDED"


def _is_readable(answer: requests.Response) -> bool:
    """Whether the clients can read an error: what they break on they would raise as an error of their own."""
    try:
        from_http_response(answer)
    except Exception:  # noqa: BLE001 - whatever it may be, to the caller it is an answer that is none
        return False
    return True


def _answered(ask: Callable[[], requests.Response], retry: Retry = _RETRY) -> requests.Response:
    """Ask, and ask again after 429, 503 and lost connections, as the storage client does for its own requests."""

    def once() -> requests.Response:
        answer = ask()
        if not answer.ok:
            raise from_http_response(answer)
        return answer

    found: requests.Response = retry(once)()
    return found


def _operation(told: str, query: str) -> tuple[str, str, str | None]:
    """(service, operation, URL of the bucket that it names) of a request."""
    for pattern, operation in _OPERATIONS:
        found = pattern.fullmatch(told)
        # A GET on a bucket by its bare name is a listing of uploads only when it says so.
        if found is not None and (operation[1] != "multipartUploads.list" or query.startswith("uploads=")):
            return *operation, f"gs://{found[1]}" if pattern.groups else None
    raise ReadOnlyError(f"refused to send {told}: it is not in the table of read-only requests", "nothing was sent")
