"""Files of our own into a bucket of Cloud Storage, and back.

Needs `storage.objects.create` on the bucket, and where an object of the same name is there, `storage.objects.list` to
tell whether it is the same. Source: Cloud Storage JSON API reference, objects.insert; Request preconditions.
"""

from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from google.api_core import exceptions as api
from urllib3.exceptions import HTTPError

from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.gcp.session import GcpClients
from auditor.connectors.uploads import DIGEST, Folder, not_looked_at
from auditor.errors import CollectError
from auditor.media_types import media_type_of


class GcsUploads:
    """`ports.Uploads` and `ports.Depot`."""

    def __init__(self, clients: GcpClients, url: str, project: str | None) -> None:
        """`url`: gs://BUCKET or gs://BUCKET/FOLDER."""
        self._clients = clients
        self._project = project
        self.url = url
        self._folder = Folder(url)

    def put(self, name: str, content: bytes) -> None:
        """Put one object, unless the very same is there already.

        Raises:
            TakenError: another one of that name is there, or nobody may look whether it is the same.
            CollectError: it could not be put.
        """
        key = self._folder.key(name)
        digest = sha256(content).hexdigest()
        told = {"contentType": media_type_of(name), "metadata": {DIGEST: digest}}
        try:
            self._clients.insert(self._project, self._folder.bucket, key, told, content)
        except api.PreconditionFailed:
            self._demand_same(key, name, digest)
        except FAULTS as error:
            raise self._failed(error, f"{name} was not uploaded to", "storage.objects.create") from None

    def put_file(self, name: str, path: Path) -> None:
        """Put a file, unless the very same is there already; it is in memory meanwhile.

        Raises:
            CollectError: it could not be put, or another one of that name is there.
            OSError: the file cannot be read.
        """
        self.put(name, path.read_bytes())

    def fetch(self, name: str, out: BinaryIO) -> None:
        """Write what is there of that name to a file.

        Raises:
            CollectError: it could not be read, or is not there.
            OSError: it cannot be written.
        """
        try:
            self._clients.download(self._project, self._folder.bucket, self._folder.key(name), out)
        except (*FAULTS, HTTPError) as error:
            raise self._failed(error, f"{name} was not read from", "storage.objects.get") from None

    def _demand_same(self, key: str, name: str, digest: str) -> None:
        try:
            there = self._clients.storage(self._project).list_blobs(self._folder.bucket, prefix=key, max_results=1)
            mine = next((one for one in there if one.name == key), None)
        except FAULTS as error:
            raise not_looked_at(self._failed(error, f"{name} was not uploaded to", "storage.objects.list")) from None
        told = mine.metadata if mine is not None else None
        self._folder.demand_same(name, (told or {}).get(DIGEST), digest)

    def _failed(self, error: Exception, what: str, permission: str) -> CollectError:
        reason = reason_of(error)
        return CollectError(f"{what} {self.url}: {code_of(error)}", hint_for(reason, permission), reason=reason)
