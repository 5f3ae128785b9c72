"""Files of our own into a bucket on S3, and back.

Needs `s3:PutObject` on the folder and, where the bucket encrypts with a KMS key, `kms:GenerateDataKey` on that; where
an object of the same name is there, `s3:GetObject` to tell whether it is the same. Source: Amazon S3 API Reference,
PutObject; Amazon S3 User Guide, Conditional writes.
"""

import time
from base64 import b64encode
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from auditor.connectors.aws.bodies import FAULTS, flowing
from auditor.connectors.aws.errors import code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.uploads import DIGEST, Folder, not_looked_at
from auditor.errors import CollectError
from auditor.media_types import media_type_of

_THERE: Final = "PreconditionFailed"


class S3Uploads:
    """`ports.Uploads` and `ports.Depot`."""

    def __init__(self, clients: AwsClients, url: str, region: str | None, account: str | None) -> None:
        """`url`: s3://BUCKET or s3://BUCKET/FOLDER."""
        self._clients = clients
        self._place = region, account
        self.url = url
        self._folder = Folder(url)

    def put(self, name: str, content: bytes) -> None:
        """Put one object, unless the very same is there already.

        Raises:
            TakenError: another one of that name is there, or nobody may look whether it is the same.
            CollectError: it could not be put.
        """
        self._put(name, content, sha256(content).digest())

    def put_file(self, name: str, path: Path) -> None:
        """Put a file, unless the very same is there already.

        Raises:
            CollectError: it could not be put, or another one of that name is there.
            OSError: the file cannot be read.
        """
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").digest()
            file.seek(0)
            self._put(name, file, digest)

    def fetch(self, name: str, out: BinaryIO) -> None:
        """Write what is there of that name to a file.

        Raises:
            CollectError: it could not be read, or is not there.
            OSError: it cannot be written.
        """
        client, key = self._clients.s3(*self._place), self._folder.key(name)
        try:
            told = client.get_object(Bucket=self._folder.bucket, Key=key)
            out.writelines(flowing(told, f"{name} at {self.url}", time.monotonic))
        except FAULTS as error:
            raise self._failed(error, f"{name} was not read from", "s3:GetObject") from None

    def _put(self, name: str, content: bytes | BinaryIO, digest: bytes) -> None:
        key = self._folder.key(name)
        asked: dict[str, Any] = {
            "Bucket": self._folder.bucket,
            "Key": key,
            "Body": content,
            "IfNoneMatch": "*",
            "ContentType": media_type_of(name),
            "ChecksumSHA256": b64encode(digest).decode(),
            "Metadata": {DIGEST: digest.hex()},
        }
        try:
            self._clients.s3(*self._place).put_object(**asked)
        except FAULTS as error:
            if code_of(error) != _THERE:
                raise self._failed(error, f"{name} was not uploaded to", "s3:PutObject") from None
            self._demand_same(key, name, digest.hex())

    def _demand_same(self, key: str, name: str, digest: str) -> None:
        try:
            there = self._clients.s3(*self._place).head_object(Bucket=self._folder.bucket, Key=key)
        except FAULTS as error:
            raise not_looked_at(self._failed(error, f"{name} was not uploaded to", "s3:GetObject")) from None
        self._folder.demand_same(name, there["Metadata"].get(DIGEST), digest)

    def _failed(self, error: Exception, what: str, permission: str) -> CollectError:
        reason = reason_of(error)
        return CollectError(f"{what} {self.url}: {code_of(error)}", hint_for(reason, permission), reason=reason)
