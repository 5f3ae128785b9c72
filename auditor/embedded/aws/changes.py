"""What a customer changes on S3: buckets and objects made and deleted. Nothing here is for the auditor."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import unescape

from auditor.embedded.aws.store import Bucket, RefusedError, Store
from auditor.embedded.http import Answer, Asked

_SSE: Final = "x-amz-server-side-encryption"
_METADATA: Final = "x-amz-meta-"
_OTHERS: Final = frozenset({f"{_SSE}-bucket-key-enabled", f"{_SSE}-customer-key", "x-amz-copy-source"})
"""Headers of other ways to put an object."""
_TAG: Final = re.compile(r"<Key>(.*?)</Key>\s*<Value>(.*?)</Value>", re.DOTALL)
_LOCATION: Final = re.compile(r"<LocationConstraint>(.*?)</LocationConstraint>")


class ChangeService:
    """Answers PUT and DELETE by raw path."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, request: Asked, signed: tuple[str, str]) -> Answer:
        """Answer one request that is signed with an access key for a Region.

        Raises:
            RefusedError: in the words of S3, or 501 for what this cloud does not have.
        """
        access_key, region = signed
        verb, body = request.verb, request.body
        path, _, query = request.target.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        bucket, _, name = path.removeprefix("/").partition("/")
        home = self._store.buckets.get(bucket)
        if verb == "PUT" and not name and not asked:
            return self._create(bucket, region, body.decode())
        if home is None:
            raise RefusedError(404, "NoSuchBucket", "The specified bucket does not exist")
        match verb, bool(name), set(asked) - {"x-id"}:
            case "PUT", False, subresource if subresource == {"tagging"}:
                home.tags = {unescape(tag): unescape(value) for tag, value in _TAG.findall(body.decode())}
                return Answer(204)
            case "DELETE", False, subresource if not subresource:
                return self._delete_bucket(home)
            case "PUT", True, subresource if not subresource:
                return self._put(home, unquote(name), request, access_key)
            case "DELETE", True, subresource if subresource <= {"versionId"}:
                self._store.delete(bucket, unquote(name), asked.get("versionId"))
                return Answer(204)
        raise RefusedError(501, "NotImplemented", f"{verb} of this kind is not part of this embedded cloud")

    def _create(self, bucket: str, region: str, body: str) -> Answer:
        if bucket in self._store.buckets:
            raise RefusedError(409, "BucketAlreadyOwnedByYou", "Your previous request to create it succeeded")
        located = _LOCATION.search(body)
        if (located[1] if located else "us-east-1") != region:
            text = "The location constraint is incompatible for the Region that the request was sent to."
            raise RefusedError(400, "IllegalLocationConstraintException", text)
        self._store.add_bucket(bucket, region)
        return Answer(200, headers={"Location": f"/{bucket}"})

    def _delete_bucket(self, home: Bucket) -> Answer:
        if home.objects:
            raise RefusedError(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
        del self._store.buckets[home.name]
        return Answer(204)

    def _put(self, home: Bucket, name: str, request: Asked, access_key: str) -> Answer:
        headers, body = request.headers, request.body
        sse = headers.get(_SSE)
        if sse not in {None, "AES256", "aws:kms"} or _OTHERS & set(headers):
            raise RefusedError(501, "NotImplemented", "this embedded cloud has no such way to store an object")
        there = self._store.find(home.name, name, None)
        if headers.get("if-none-match") == "*" and there is not None and not there.delete_marker:
            text = "At least one of the pre-conditions you specified did not hold"
            raise RefusedError(412, "PreconditionFailed", text)
        checksum = headers.get("x-amz-checksum-sha256")
        if checksum not in {None, b64encode(sha256(body).digest()).decode()}:
            raise RefusedError(400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
        key = headers.get(f"{_SSE}-aws-kms-key-id") if sse == "aws:kms" else home.default_key if sse is None else None
        if sse == "aws:kms" and key is None:
            raise RefusedError(501, "NotImplemented", "this embedded cloud has no AWS managed key")
        if key is not None:
            known = self._store.key(key)
            if known is None:
                raise RefusedError(400, "KMS.NotFoundException", f"Key '{key}' does not exist")
            call = self._store.call(access_key, "kms:GenerateDataKey", f"s3.{home.region}.amazonaws.com")
            self._store.refuse_use(known, key, call, prefix="KMS.")
            self._store.used(known, "GenerateDataKey")
        how = {"sse": "aws:kms", "key": key} if key else {}
        mine = {one.removeprefix(_METADATA): value for one, value in headers.items() if one.startswith(_METADATA)}
        one = self._store.put(home.name, name, len(body), data=body, metadata=mine, **how)
        told = {"ETag": f'"{one.etag}"', **({_SSE: one.sse} if one.sse else {})}
        if one.key:
            told[f"{_SSE}-aws-kms-key-id"] = one.key
        if one.version_id:
            told["x-amz-version-id"] = one.version_id
        return Answer(200, headers=told)
