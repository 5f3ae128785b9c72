"""The calls that the Google experiments make, in one location of a throw-away project."""

import functools
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import requests
from google.api_core.exceptions import Conflict, GoogleAPICallError, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import kms_v1 as kms
from google.cloud.storage import Client
from google.cloud.storage import __version__ as storage_version
from google.iam.v1 import iam_policy_pb2, policy_pb2

from tests.live.kit import CONTENT, LABEL, Answer, Made, NotAnsweredError, Run, accepted

EXAMPLE_PROJECT: Final = "my-project"
EXAMPLE_NUMBER: Final = "123456789012"

_ROLE: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_VERSION: Final = "/cryptoKeyVersions/"
_SHORTEST_DELAY: Final = timedelta(days=1)
"""Source: Cloud KMS documentation, Control key version destruction."""
_SOFT_DELETE: Final = timedelta(days=7)
"""The shortest that Cloud Storage takes, but for none. Source: Cloud Storage documentation, Soft delete."""
_AGENTS: Final = r"gs-project-accounts\.iam\.gserviceaccount\.com"
_PERSON: Final = re.compile(rf"[\w.+-]+@(?!{_AGENTS})[\w-]+(?:\.[\w-]+)+")
_States: Any = kms.CryptoKeyVersion.CryptoKeyVersionState


@dataclass(frozen=True, slots=True)
class Clients:
    """The SDK's clients, and a session for the one request that the SDK will not send."""

    keys: kms.KeyManagementServiceClient
    storage: Client
    session: requests.Session
    address: str = "https://storage.googleapis.com"


class Google:
    """Makes one ring, keys and buckets, takes keys away, asks; all that it makes bears the run's suffix and label.

    Names are of one run alone, so what is there already came of a request of its own whose answer was lost.
    """

    errors: tuple[type[Exception], ...] = (GoogleAPIError, GoogleAuthError, requests.RequestException)
    sdk = f"google-cloud-storage {storage_version}, google-cloud-kms {kms.__version__}"

    def __init__(self, clients: Clients, project: str, location: str, run: Run) -> None:
        self.run = run
        self.project = project
        self.location = location
        self.made = Made()
        self.where = f"project {project}, {location}"
        self._keys = clients.keys
        self._storage = clients.storage
        self._session = clients.session
        self._address = clients.address
        self._labels = {LABEL: run.suffix}
        self._hidden = [(project, EXAMPLE_PROJECT)]
        self._count = 0

    def mask(self, text: str) -> str:
        for hidden, shown in self._hidden:
            text = re.sub(rf"(?<![a-z0-9]){re.escape(hidden)}(?![a-z0-9])", shown, text)
        return _PERSON.sub("someone@example.com", text)

    @functools.cached_property
    def _agent(self) -> str:
        email: str = self._storage.get_service_account_email(project=self.project)
        self._hidden.append((email.removeprefix("service-").partition("@")[0], EXAMPLE_NUMBER))
        return email

    # What it makes

    @functools.cached_property
    def ring(self) -> str:
        """The run's key ring, made when it is first needed; nobody can delete one."""
        parent = f"projects/{self.project}/locations/{self.location}"
        with suppress(Conflict):
            self._keys.create_key_ring(parent=parent, key_ring_id=self.run.name, key_ring=kms.KeyRing())
        name = f"{parent}/keyRings/{self.run.name}"
        after = "no call deletes a ring; its keys can be deleted in a day, when their versions are destroyed"
        self.made.stays.append(f"key ring {name}: {after}")
        return name

    @functools.cached_property
    def bucket(self) -> str:
        """The run's bucket, which keeps nothing that was deleted."""
        return self._create_bucket(self.run.name, timedelta(0))

    @functools.cached_property
    def soft_bucket(self) -> str:
        """A bucket with soft deletion."""
        return self._create_bucket(f"{self.run.name}-soft", _SOFT_DELETE)

    def _create_bucket(self, name: str, soft_delete: timedelta) -> str:
        made = self._storage.bucket(name)
        made.labels = self._labels
        made.soft_delete_policy.retention_duration_seconds = int(soft_delete.total_seconds())
        self.made.note(f"bucket gs://{name}", lambda: self._remove_bucket(name))
        with suppress(Conflict):
            self._storage.create_bucket(made, project=self.project, location=self.location)
        return name

    def create_key(self) -> str:
        """Make a key with one version, with which the project's storage service agent may encrypt and decrypt."""
        self._count += 1
        name = f"{self.ring}/cryptoKeys/key-{self._count}"
        wanted = kms.CryptoKey(
            purpose=kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT,
            destroy_scheduled_duration=_SHORTEST_DELAY,
            labels=self._labels,
        )
        self.made.note(f"versions of {name}", lambda: self._remove_key(name))
        with suppress(Conflict):
            self._keys.create_crypto_key(parent=self.ring, crypto_key_id=f"key-{self._count}", crypto_key=wanted)
        self._set_grant(name, [f"serviceAccount:{self._agent}"])
        return name

    def put_object(self, key: str, bucket: str | None = None) -> str:
        """Put an object under a key, as soon as Cloud Storage takes it; its name."""
        name = f"object-{key.rpartition('/')[2]}"
        blob = self._storage.bucket(bucket or self.bucket).blob(name, kms_key_name=key)

        def upload() -> dict[str, Any]:
            blob.upload_from_string(CONTENT, retry=None)
            return _about(blob)

        stored = accepted(lambda: self._stored("objects.insert", upload), self.run.setting_up)
        if not stored.told.get("kmsKeyName", "").startswith(key):
            raise NotAnsweredError(f"{name} was not stored under {key}")
        return name

    def delete_object(self, name: str, bucket: str) -> None:
        """Delete the live generation."""
        self._storage.bucket(bucket).blob(name).delete()

    # How it takes a key away

    def disable(self, key: str) -> None:
        """Disable the key's only version."""
        off = kms.CryptoKeyVersion(name=f"{key}{_VERSION}1", state=_States.DISABLED)
        self._keys.update_crypto_key_version(
            request={"crypto_key_version": off, "update_mask": {"paths": ["state"]}}, timeout=60
        )

    def schedule_destruction(self, key: str) -> None:
        """Schedule the key's only version for destruction."""
        self._keys.destroy_crypto_key_version(name=f"{key}{_VERSION}1")

    def remove_grant(self, key: str) -> None:
        """Take the storage service agent's grant away."""
        self._set_grant(key, [])

    def _set_grant(self, key: str, members: list[str]) -> None:
        policy = policy_pb2.Policy(bindings=[policy_pb2.Binding(role=_ROLE, members=members)] if members else [])
        asked = iam_policy_pb2.SetIamPolicyRequest(resource=key, policy=policy)
        self._keys.set_iam_policy(request=asked, timeout=60)

    # What it asks

    def get(self, name: str) -> Answer:
        """Read a whole object."""
        blob = self._storage.bucket(self.bucket).blob(name)

        def read() -> dict[str, Any]:
            return {"as_written": blob.download_as_bytes(retry=None) == CONTENT}

        return self._stored("objects.get with alt=media", read)

    def metadata(self, name: str) -> Answer:
        """Read an object's metadata."""
        blob = self._storage.bucket(self.bucket).blob(name)

        def read() -> dict[str, Any]:
            blob.reload(retry=None)
            return _about(blob)

        return self._stored("objects.get", read)

    def listed(self, name: str, bucket: str, *, soft_deleted: bool = False) -> Answer:
        """Find an object in a listing."""

        def read() -> dict[str, Any]:
            found = self._storage.list_blobs(bucket, prefix=name, soft_deleted=soft_deleted or None, retry=None)
            return next((_about(one) for one in found if one.name == name), {"listed": False})

        return self._stored("objects.list with softDeleted" if soft_deleted else "objects.list", read)

    def rewrite(self, name: str, key: str) -> Answer:
        """Rewrite an object under a key by exactly this name; the SDK would leave out one with a version."""
        source = f"b/{self.bucket}/o/{quote(name, safe='')}"
        url = f"{self._address}/storage/v1/{source}/rewriteTo/{source}-rewritten"
        answer = self._session.post(url, params={"destinationKmsKeyName": key}, json={}, timeout=60)
        if answer.status_code < 400:
            return Answer("objects.rewrite", answer.status_code, told={"done": answer.json().get("done")})
        return _refusal("objects.rewrite", answer.status_code, _reason(answer))

    def restore(self, name: str, bucket: str) -> Answer:
        """Restore a soft-deleted object."""
        found = self._storage.list_blobs(bucket, prefix=name, soft_deleted=True)
        generation = next(one.generation for one in found if one.name == name)

        def restore() -> dict[str, Any]:
            restored = self._storage.bucket(bucket).restore_blob(name, generation=generation, retry=None)
            return _about(restored)

        return self._stored("objects.restore", restore)

    def describe(self, key: str) -> Answer:
        """Read a key, or a version by its name."""
        call = "GetCryptoKeyVersion" if _VERSION in key else "GetCryptoKey"
        try:
            if _VERSION in key:
                told = {"state": self._keys.get_crypto_key_version(name=key).state.name}
            else:
                told = {"primary": self._keys.get_crypto_key(name=key).primary.state.name}
        except GoogleAPICallError as error:
            code = error.grpc_status_code.name if error.grpc_status_code else ""
            return _refusal(call, int(error.code or 0), (code, error.message))
        return Answer(call, 200, told=told)

    def versions(self, key: str) -> Answer:
        """List a key's versions."""
        page = next(iter(self._keys.list_crypto_key_versions(parent=key).pages))
        return Answer(
            "ListCryptoKeyVersions", 200, told={"listed": len(page.crypto_key_versions), "totalSize": page.total_size}
        )

    def _stored(self, call: str, send: Callable[[], dict[str, Any]]) -> Answer:
        try:
            return Answer(call, 200, told=send())
        except GoogleAPICallError as error:
            reason = _reason(error.response) if error.response is not None else ("", error.message)
            return _refusal(call, int(error.code or 0), reason)

    # How it removes what it made

    def _remove_bucket(self, name: str) -> None:
        try:
            home = self._storage.get_bucket(name)
        except NotFound:
            return
        if home.labels.get(LABEL) != self.run.suffix:
            return  # somebody else's
        if home.soft_delete_policy.retention_duration_seconds:
            home.soft_delete_policy.retention_duration_seconds = 0
            home.patch()
        for one in self._storage.list_blobs(name, versions=True):
            home.blob(one.name, generation=one.generation).delete()
        home.delete()

    def _remove_key(self, name: str) -> None:
        try:
            versions = list(self._keys.list_crypto_key_versions(parent=name))
        except NotFound:
            return
        for one in versions:
            if one.state == _States.ENABLED:
                self.disable(name)  # an organisation may demand it before a destruction
            if one.state in {_States.ENABLED, _States.DISABLED}:
                self.schedule_destruction(name)


def _about(blob: Any) -> dict[str, Any]:
    found = {"kmsKeyName": blob.kms_key_name, "crc32c": blob.crc32c, "md5Hash": blob.md5_hash}
    return {name: value for name, value in found.items() if value is not None}


def _reason(answer: requests.Response) -> tuple[str, str]:
    """Reason and text of an error; those of a media read only stand in its body."""
    try:
        told = answer.json()["error"]
        first = (told.get("errors") or [{}])[0]
        return str(first.get("reason", "")), str(told.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", answer.text[:500]


def _refusal(call: str, status: int, reason: tuple[str, str]) -> Answer:
    code, message = reason
    if status >= 500 or status in {0, 401, 408, 429}:
        raise NotAnsweredError(f"{call}: {status} {code}: {message}")
    return Answer(call, status, code, message)


def with_version_told(answer: Answer) -> Answer:
    """Add whether the name of the key has a version."""
    name = str(answer.told.get("kmsKeyName", ""))
    return replace(answer, told={**answer.told, "names_a_version": _VERSION in name})
