"""The embedded AWS on the wire: S3, S3 Tables, KMS, STS, CloudTrail, SQS, CloudWatch on one loopback port."""

import json
import re
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from auditor.embedded.aws.changes import ChangeService
from auditor.embedded.aws.history import HistoryService
from auditor.embedded.aws.iam import needed
from auditor.embedded.aws.kms import Caller, KeyService
from auditor.embedded.aws.queues import QueueService
from auditor.embedded.aws.s3 import ObjectService
from auditor.embedded.aws.statistics import StatisticsService
from auditor.embedded.aws.store import ACCOUNT, RefusedError, Store
from auditor.embedded.http import RESET, Answer, Asked, HttpServer, cut
from auditor.embedded.traffic import Fault, Request, Traffic

_SCOPE: Final = re.compile(r"Credential=([^/,]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request")

_TARGETS: Final = {"TrentService": "kms", "AmazonSQS": "sqs", "GraniteServiceVersion20100801": "cloudwatch"}
_JSON: Final = frozenset({"kms", "cloudtrail", "sqs", "cloudwatch", "s3tables"})
"""Services that answer in JSON."""
_DENIED: Final = "AccessDeniedException"


class AwsCloud:
    """A running cloud; leaving the context stops it.

    An access key such as `ASIA444455556666...` belongs to the account in its digits; any other to account 111122223333.
    """

    def __init__(self, store: Store, port: int = 0) -> None:
        self.store = store
        self.traffic = Traffic()
        self._keys = KeyService(store)
        self._history = HistoryService(store)
        self._queues = QueueService(store)
        self._statistics = StatisticsService(store)
        self._objects = ObjectService(store)
        self._changes = ChangeService(store)
        self._http = HttpServer(port, self._serve, self._now)
        self.endpoint = self._http.endpoint

    def __enter__(self) -> Self:
        self._http.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.stop()

    def _now(self) -> datetime:
        return self.store.clock()  # which may be given another one meanwhile

    def _serve(self, asked: Asked) -> Answer | None:
        signed = _SCOPE.search(asked.headers.get("authorization", ""))
        access_key, region, service = signed.groups() if signed else ("", "us-east-1", "s3")
        target, _, operation = asked.headers.get("x-amz-target", "").rpartition(".")
        if operation:
            service = _TARGETS.get(target, "cloudtrail")
        verb = operation or (dict(parse_qsl(asked.body.decode(errors="replace"))).get("Action", "") or asked.verb)
        body = asked.body[:2000].decode(errors="replace")
        fault = self.traffic.arrived(Request(service, verb, asked.target, body))
        if fault is not None and not fault.cut:
            return _faulty(fault, service, asked.verb)
        answer = self._answer(asked, operation, service, (access_key, region))
        return cut(answer) if fault is not None else answer

    def _answer(self, asked: Asked, operation: str, service: str, signed: tuple[str, str]) -> Answer:
        access_key, region = signed
        try:
            if access_key in self.store.expired:
                code = "ExpiredToken" if service in {"s3", "sts"} else "ExpiredTokenException"
                raise RefusedError(400, code, "The provided token has expired.")  # noqa: TRY301 - one place answers
            caller = Caller(_account(access_key), region, access_key)
            if not all(self.store.permits(caller.account, *one) for one in needed(asked, service, operation, caller)):
                code = _DENIED if service in _JSON else "AccessDenied"
                raise RefusedError(400 if service in _JSON else 403, code, "not authorized")  # noqa: TRY301 - as above
            if service == "kms":
                return _json(200, self._keys.answer(operation, json.loads(asked.body or b"{}"), caller))
            if service == "cloudtrail":
                return _json(200, self._history.answer(operation, json.loads(asked.body or b"{}"), caller))
            if service == "sqs":
                return _json(200, self._queues.answer(operation, json.loads(asked.body or b"{}")))
            if service == "cloudwatch":
                return _json(200, self._statistics.answer(operation, json.loads(asked.body or b"{}"), caller))
            if service == "s3tables":
                return _json(200, self._located(asked.target))
            if service == "sts":
                arn = self.store.principals.get(access_key)
                return _sts(dict(parse_qsl(asked.body.decode())), caller, arn)
            if asked.verb in {"PUT", "DELETE"}:
                return self._changes.answer(asked, (access_key, region))
            return self._objects.answer(asked.verb, asked.target, asked.headers, (access_key, region))
        except RefusedError as refusal:
            return _refused(refusal, service, asked.verb)

    def _located(self, target: str) -> dict[str, Any]:
        """Answer GetTableMetadataLocation.

        Raises:
            RefusedError: there is no such table.
        """
        for bucket in self.store.buckets.values():
            table = bucket.table
            if table and unquote(target) == f"/tables/{table.arn}/b_{bucket.name}/inventory/metadata-location":
                home = table.metadata.partition("/metadata/")[0]
                return {"versionToken": "1", "metadataLocation": table.metadata, "warehouseLocation": home}
        raise RefusedError(404, "NotFoundException", "The specified table does not exist")


def _account(access_key: str) -> str:
    return access_key[4:16] if access_key[4:16].isdigit() else ACCOUNT


def _sts(asked: dict[str, str], caller: Caller, principal: str | None) -> Answer:
    match asked.get("Action"):
        case "GetCallerIdentity":
            role = principal.rpartition("/")[2] if principal else "auditor"
            arn = f"arn:aws:sts::{caller.account}:assumed-role/{role}/session"
            told = f"<Arn>{arn}</Arn><UserId>AROAEXAMPLE:session</UserId><Account>{caller.account}</Account>"
        case "AssumeRole":
            account = asked["RoleArn"].split(":")[4]
            told = (
                f"<Credentials><AccessKeyId>ASIA{account}EXAMPLE0</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
                "<SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
                f"<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId><Arn>{escape(asked['RoleArn'])}</Arn>"
                "</AssumedRoleUser>"
            )
        case action:
            raise RefusedError(400, "InvalidAction", f"{action} is not part of this embedded cloud")
    name = asked["Action"]
    namespace = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
    text = f"<{name}Response {namespace}><{name}Result>{told}</{name}Result></{name}Response>"
    return Answer(200, text.encode(), {"Content-Type": "text/xml"})


def _json(status: int, told: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())}
    return Answer(status, json.dumps(told).encode(), headers)


def _refused(refusal: RefusedError, service: str, verb: str) -> Answer:
    if service in _JSON:
        told = _json(refusal.status, {"__type": refusal.code, "message": refusal.message})
        if (service, refusal.code) != ("cloudwatch", _DENIED):
            return told
        # What its older protocol would say stands in a header.
        return replace(told, headers={**told.headers, "x-amzn-query-error": "AccessDenied;Sender"})
    headers = {"x-amz-request-id": uuid.uuid4().hex[:16].upper(), **refusal.headers}
    if verb == "HEAD":
        return Answer(refusal.status, b"", headers)
    inner = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message><RequestId>1</RequestId>"
    text = f"<Error>{inner}</Error>" if service == "s3" else f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
    return Answer(refusal.status, text.encode(), {"Content-Type": "application/xml", **headers})


def _faulty(fault: Fault, service: str, verb: str) -> Answer | None:
    if fault.drop:
        return None
    if fault.reset:
        return RESET
    if fault.body is not None:
        return Answer(fault.status, fault.body, {"Content-Type": "application/xml", **fault.headers})
    return _refused(RefusedError(fault.status, fault.code, fault.message), service, "HEAD" if fault.bare else verb)
