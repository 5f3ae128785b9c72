"""boto3 clients: one for each service, Region and identity, each with the read-only hook."""

import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    Credentials,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from botocore.credentials import CredentialResolver as Resolver
from botocore.exceptions import BotoCoreError, PartialCredentialsError, TokenRetrievalError
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParser, create_parser
from botocore.utils import parse_timestamp
from urllib3 import HTTPResponse

from auditor.connectors.aws import answers
from auditor.connectors.aws.endpoints import HINT
from auditor.connectors.aws.errors import FAULTS, reason_of
from auditor.connectors.aws.whole import demand_whole_headers
from auditor.connectors.wire import Wire
from auditor.errors import UsageError
from auditor.model import Reason

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sts.client import STSClient

_ATTEMPTS: Final = 5
_READ_TIMEOUT: Final = 30
_QUICK_TIMEOUT: Final = 5
"""Seconds; the second for KMS, STS, CloudTrail and CloudWatch."""
_DEFAULT_REGION: Final = "us-east-1"
_OF_SERVICE: Final = {
    "s3": "s3",
    "kms": "kms",
    "sts": "sts",
    "cloudtrail": "cloudtrail",
    "sqs": "sqs",
    "cloudwatch": "cloudwatch",
    "s3tables": "s3tables",
}
LONGEST_WAIT: Final = 20
"""Seconds that a queue may be asked to wait for messages. Source: Amazon SQS API Reference, ReceiveMessage."""


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """How to become somebody who may read an account."""

    role_arn: str | None = None
    external_id: str | None = None
    profile: str | None = None


class AwsClients:
    """Makes clients and keeps them; safe to use from many threads.

    Endpoints come from the SDK's own `AWS_ENDPOINT_URL_<SERVICE>` variables.
    """

    def __init__(
        self,
        identities: Mapping[str, AwsIdentity],
        wire: Wire,
        user_agent: str,
        connections: int,
        attempts: int | None = None,
        *,
        patience: int | None = None,
        queues: Collection[str] = (),
        own_uploads: Collection[str] = (),
        own_copies: Collection[str] = (),
        reported: Collection[str] = (),
    ) -> None:
        """`patience`: seconds that one attempt waits for an answer; None: as long as a listing may take.

        `queues`: URLs of the only ones that may be read. `own_uploads`: each BUCKET or BUCKET/FOLDER, into which
        alone something new may be put; `own_copies`: those of them that are read again. `reported`: names of the
        buckets whose reports of S3 Inventory may be read.
        """
        self._own_uploads = frozenset(own_uploads)
        self._own_copies = frozenset(own_copies)
        self._reported = frozenset(reported)
        demand_whole_headers()
        self._identities = identities
        self.wire = wire
        self._queues = frozenset(queues)
        self.agent = user_agent
        self.attempts = attempts
        longest = patience or _READ_TIMEOUT
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts or _ATTEMPTS},
            connect_timeout=min(10, longest),
            read_timeout=longest,
            max_pool_connections=connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=user_agent,
        )
        # A key that hangs must not keep the others waiting; a listing has more time.
        quick = min(_QUICK_TIMEOUT, longest)
        self._quick = self._config.merge(Config(connect_timeout=min(5, quick), read_timeout=quick))
        # Who listens asks again and again by itself, and is answered only after the time that it gives.
        self._patient = self._quick.merge(
            Config(read_timeout=quick + LONGEST_WAIT, retries={"mode": "standard", "total_max_attempts": 1})
        )
        self._lock = threading.RLock()
        self._sessions: dict[str | None, boto3.session.Session] = {}
        self._clients: dict[tuple[str, str, str | None], Any] = {}
        self._callers: dict[str | None, tuple[str, str] | Reason] = {}

    def s3(self, region: str | None, account: str | None) -> "S3Client":
        """A client for one bucket's Region; without one, that of the environment."""
        client: S3Client = self._client("s3", region, account)
        return client

    def kms(self, region: str, account: str | None) -> "KMSClient":
        """A client for the Region in a key's ARN."""
        client: KMSClient = self._client("kms", region, self._known(account))
        return client

    def cloudtrail(self, region: str, account: str | None) -> Any:
        """A client for the event history of the Region in a key's ARN; its one call needs no types of its own."""
        return self._client("cloudtrail", region, self._known(account))

    def cloudwatch(self, region: str | None, account: str | None) -> Any:
        """A client for the metrics of a bucket's Region; its one call needs no types of its own."""
        return self._client("cloudwatch", region, self._known(account))

    def s3tables(self, region: str, account: str | None) -> Any:
        """A client for the Region of a table bucket; its one call needs no types of its own."""
        return self._client("s3tables", region, self._known(account))

    def sqs(self, region: str, account: str | None) -> Any:
        """A client for the Region of a queue; its few calls need no types of their own."""
        return self._client("sqs", region, self._known(account))

    def endpoint(self, service: str, region: str | None, account: str | None) -> str:
        """Where requests to a service go.

        Raises:
            UsageError: the config names a profile that is not there, or half of the credentials is missing.
            botocore.exceptions.BotoCoreError: the SDK cannot tell.
        """
        return str(self._client(service, region, self._known(account)).meta.endpoint_url)

    def place(self, bucket: str, region: str | None, account: str | None) -> tuple[str, str]:
        """(URL of a bucket without a slash at its end, Region to sign for), as the SDK would address it.

        Raises:
            botocore.exceptions.BotoCoreError: the SDK cannot tell.
        """
        with self._lock:
            session = self._session(self._known(account))
            where = region or session.region_name or _DEFAULT_REGION
        unsigned = self._config.merge(Config(signature_version=UNSIGNED))
        client = session.client("s3", region_name=where, config=unsigned)
        asked: list[str] = []

        def keep(request: AWSPreparedRequest, **_: Any) -> Any:
            """Answer in the service's stead: nothing leaves."""
            asked.append(str(request.url))
            headers: Any = HeadersDict()
            return AWSResponse(str(request.url), 200, headers, HTTPResponse(BytesIO(), preload_content=False))

        client.meta.events.register("before-send.s3.HeadBucket", keep)
        client.head_bucket(Bucket=bucket)
        return asked[0].rstrip("/"), where

    def credentials(self, account: str | None) -> Credentials | None:
        """The SDK's own credentials for an account, which renew themselves; None where there are none.

        Raises:
            UsageError: the config names a profile that is not there.
        """
        with self._lock:
            return self._session(self._known(account)).get_credentials()

    def certificates(self, account: str | None) -> str:
        """File of the certificates that are trusted, as the SDK would choose it."""
        with self._lock:
            profile = self._identities.get(self._known(account) or "", AwsIdentity()).profile
        asked = botocore.session.Session(profile=profile).get_config_variable("ca_bundle")
        return str(asked or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(verify=True))

    def caller(self, account: str | None) -> tuple[str, str] | Reason:
        """(account id, ARN) of the identity that is used for an account; or why it could not be learnt."""
        known = self._known(account)
        with self._lock:
            if known in self._callers and not isinstance(self._callers[known], Reason):
                return self._callers[known]
        found: tuple[str, str] | Reason
        try:
            client: STSClient = self._client("sts", None, known)
            told = client.get_caller_identity()
            who = told.get("Account"), told.get("Arn")
            found = (who[0], who[1]) if who[0] and who[1] else Reason.MALFORMED
        except FAULTS as error:
            found = reason_of(error)
        with self._lock:
            self._callers[known] = found
        return found

    def identity(self) -> tuple[str, ...]:
        """ARNs of all identities that were used, sorted."""
        with self._lock:
            used = {account for _, _, account in self._clients}
        told = (self.caller(account) for account in used)
        return tuple(sorted({one[1] for one in told if not isinstance(one, Reason)}))

    def _known(self, account: str | None) -> str | None:
        return account if account in self._identities else None

    def _client(self, service: str, region: str | None, account: str | None) -> Any:
        with self._lock:
            session = self._session(account)
            where = region or session.region_name or _DEFAULT_REGION
            client = self._clients.get((service, where, account))
            if client is None:
                make: Any = session.client  # the stubs want the service's name literally
                config = {"s3": self._config, "sqs": self._patient}.get(service, self._quick)
                try:
                    client = make(service, region_name=where, config=config)
                except PartialCredentialsError as error:
                    raise UsageError(
                        f"half of the AWS credentials is missing: {error.kwargs['cred_var']}",
                        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither",
                    ) from None
                except ValueError as error:
                    # Of the environment it was told before; the SDK says it so of what stands in its config file.
                    if not str(error).startswith("Invalid endpoint"):
                        raise
                    where = f"profile {profile}" if (profile := session.profile_name) else "the AWS config file"
                    raise UsageError(
                        f"the endpoint of {service} in {where} is no URL", f"{HINT} as its `endpoint_url`"
                    ) from None
                self._hook(client)
                self._clients[service, where, account] = client
            return client

    def _session(self, account: str | None) -> boto3.session.Session:
        if account not in self._sessions:
            self._sessions[account] = self._new_session(self._identities.get(account or "", AwsIdentity()))
        return self._sessions[account]

    def _new_session(self, identity: AwsIdentity) -> boto3.session.Session:
        try:
            base = boto3.session.Session(profile_name=identity.profile)
        except BotoCoreError as error:
            raise UsageError(f"AWS profile {identity.profile}: {error}", "look at ~/.aws/config") from None
        _demand_fresh(base)
        if identity.role_arn is None:
            return base
        role_arn = identity.role_arn
        more = {"ExternalId": identity.external_id} if identity.external_id else {}

        def client_creator(service: str, **settings: Any) -> Any:
            make: Any = base.client
            settings["region_name"] = settings.get("region_name") or base.region_name or _DEFAULT_REGION
            client = make(service, config=self._config, **settings)
            self._hook(client)
            return client

        inner = botocore.session.Session()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator,
            base.get_credentials(),
            role_arn,
            extra_args={"RoleSessionName": "cmek-auditor", **more},
        )
        inner.register_component("credential_provider", Resolver([_Assumed(fetcher)]))
        return boto3.session.Session(botocore_session=inner, region_name=base.region_name)

    def _hook(self, client: Any) -> None:
        """Let every request pass the table before it is built, look at every answer, and count it, retried ones too."""
        wire = self.wire

        def allow(params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
            asked = params
            if model.name == "PutObject":
                asked = {**params, "own_uploads": self._own_uploads}
            elif model.name == "GetObject":
                asked = {**params, "reported": self._reported, "own_copies": self._own_copies}
            wire.allow(_OF_SERVICE[model.service_model.service_name], model.name, asked, self._queues)
            context["cmek_bucket"] = f"s3://{params['Bucket']}" if "Bucket" in params else None

        def answered(
            response_dict: Mapping[str, Any] | None,
            parsed_response: Mapping[str, Any] | None,
            context: Mapping[str, Any],
            exception: Exception | None = None,
            **_: Any,
        ) -> None:
            outcome = "ok"
            if exception is not None or parsed_response is None:
                outcome = type(exception).__name__
            elif int(response_dict["status_code"] if response_dict else 0) >= 300:  # noqa: PLR2004 - HTTP's successes
                outcome = str(parsed_response.get("Error", {}).get("Code") or "unknown")
            date = response_dict["headers"].get("date") if response_dict else None
            service, operation, bucket = (context[f"cmek_{one}"] for one in ("service", "operation", "bucket"))
            wire.answered(service, operation, outcome[:64], date, bucket=bucket)

        def name(model: Any, context: dict[str, Any], **_: Any) -> None:
            context["cmek_service"] = _OF_SERVICE[model.service_model.service_name]
            context["cmek_operation"] = model.name

        parser = create_parser(client.meta.service_model.resolved_protocol)

        def look(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
            """Turn what is no answer into a server fault, which the SDK asks again about."""
            status, body = response_dict["status_code"], response_dict["body"]
            sound = answers.is_sound(operation_model.name, status, response_dict["headers"], body)
            if sound and _is_readable(parser, response_dict, operation_model.output_shape):
                return
            response_dict["status_code"] = 500
            response_dict["body"] = answers.as_error(_OF_SERVICE[operation_model.service_model.service_name])

        def retry(response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
            """Let the SDK see the status that `look` has set; S3's clients do so by themselves."""
            if response is not None:
                response[0].status_code = response[1]["ResponseMetadata"]["HTTPStatusCode"]

        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"before-parse.{service}", look)
        client.meta.events.register_first(f"needs-retry.{service}", retry)
        client.meta.events.register_first("before-parameter-build", allow)
        client.meta.events.register_first("before-call", name)
        client.meta.events.register("response-received", answered)


def _is_readable(parser: ResponseParser, response: Mapping[str, Any], shape: Any) -> bool:
    """Whether the SDK's own parser can read an answer: what it breaks on it would raise as an error of its own."""
    try:
        parser.parse({**response}, shape)
    except Exception:  # noqa: BLE001 - whatever it may be, to the caller it is an answer that is none
        return False
    return True


class _Assumed(CredentialProvider):
    METHOD = "cmek-auditor-assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> Any:
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=self._fetched)

    def _fetched(self) -> Any:
        return _fresh(self._fetcher.fetch_credentials(), "sts")


def _fresh(found: Any, provider: str) -> Any:
    """Hand on credentials that were fetched just now.

    Raises:
        TokenRetrievalError: they have run out; the SDK would say so with an error that nobody expects of a call.
    """
    if found.get("expiry_time") and parse_timestamp(found["expiry_time"]) <= datetime.now(UTC):
        raise TokenRetrievalError(provider=provider, error_msg="they had run out by our clock when they came")
    return found


def _demand_fresh(session: boto3.session.Session) -> None:
    """Let credentials that the SDK fetches anew for itself, for example from a process, be refused by their kind."""
    try:
        found = session.get_credentials()
    except BotoCoreError:
        return  # whoever makes a client with them is told so
    if isinstance(found, RefreshableCredentials):
        credentials: Any = found  # the stubs do not know what follows
        fetch = credentials._refresh_using  # noqa: SLF001 - the SDK has no other place between fetching and its error
        credentials._refresh_using = lambda: _fresh(fetch(), str(credentials.method))  # noqa: SLF001 - the same
