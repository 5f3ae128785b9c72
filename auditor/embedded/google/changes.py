"""What a customer changes in Cloud Storage: buckets and objects made and deleted. Nothing here is for the auditor."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from auditor.embedded.google.storage import StorageService
from auditor.embedded.google.store import Bucket, RefusedError, Store
from auditor.embedded.http import Answer

_BOUNDARY: Final = re.compile(r'boundary="?([^";]+)')
_SETTINGS: Final = frozenset({"name", "labels", "softDeletePolicy"})


class ChangeService:
    """Answers POST, PATCH and DELETE by raw path."""

    def __init__(self, store: Store, storage: StorageService) -> None:
        self._store = store
        self._storage = storage

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request.

        Raises:
            RefusedError: in the words of the service, or 501 for what this cloud does not have.
        """
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        match verb, path.removeprefix("/upload").removeprefix("/storage/v1/").split("/"):
            case "POST", ["b"]:
                return self._create(asked.get("project", ""), json.loads(body))
            case "PATCH", ["b", bucket]:
                home = self._need(unquote(bucket))
                self._set(home, json.loads(body))
                return _json(self._storage.bucket_of(home))
            case "DELETE", ["b", bucket]:
                return self._delete_bucket(self._need(unquote(bucket)))
            case "POST", ["b", bucket, "o"] if path.startswith("/upload/"):
                return self._upload(self._need(unquote(bucket)), asked, headers, body)
            case "DELETE", ["b", bucket, "o", name]:
                self._delete(self._need(unquote(bucket)), unquote(name), asked.get("generation"))
                return Answer(204)
        raise RefusedError(501, "notImplemented", f"{verb} of this kind is not part of this embedded cloud")

    def _need(self, name: str) -> Bucket:
        home = self._store.buckets.get(name)
        if home is None:
            raise RefusedError(404, "notFound", "The specified bucket does not exist.")
        return home

    def _create(self, project: str, told: dict[str, Any]) -> Answer:
        name = told["name"]
        if name in self._store.buckets:
            raise RefusedError(409, "conflict", "Your previous request to create the named bucket succeeded.")
        if project not in self._store.projects:
            raise RefusedError(400, "invalid", f"Unknown project id: {project}")
        home = Bucket(name, project, told.pop("location", "US").lower())
        self._set(home, told)
        self._store.buckets[name] = home
        return _json(self._storage.bucket_of(home))

    def _set(self, home: Bucket, told: Mapping[str, Any]) -> None:
        if set(told) - _SETTINGS:
            raise RefusedError(501, "notImplemented", f"this embedded cloud cannot set {sorted(set(told) - _SETTINGS)}")
        if "softDeletePolicy" in told:
            home.soft_delete = timedelta(seconds=int(told["softDeletePolicy"]["retentionDurationSeconds"]))
        home.labels = told.get("labels", home.labels)

    def _delete_bucket(self, home: Bucket) -> Answer:
        if any(one.soft_deleted_since is None for one in home.objects):
            raise RefusedError(409, "conflict", "The bucket you tried to delete is not empty.")
        del self._store.buckets[home.name]
        return Answer(204)

    def _upload(self, home: Bucket, asked: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
        if asked.get("uploadType") == "multipart":
            told, data = _parts(headers.get("content-type", ""), body)
            name = asked.get("name") or told["name"]
        elif asked.get("uploadType") == "media":
            told, name, data = {}, asked["name"], body
        else:
            raise RefusedError(501, "notImplemented", "this embedded cloud takes no resumable uploads")
        key = asked.get("kmsKeyName") or home.default_key
        if key is not None:
            self._store.refuse_write(home, key)
        if self._store.denied("storage.objects.create", home.name):
            text = f"auditor@platform.example does not have storage.objects.create access to {home.name}/{name}."
            raise RefusedError(403, "forbidden", text)
        with self._store.lock:
            if self._store.find(home.name, name, None) is not None:
                if asked.get("ifGenerationMatch") == "0":
                    raise RefusedError(
                        412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
                    )
                self._delete(home, name, None)
            one = self._store.put(home.name, name, len(data), key=key, data=data, metadata=told.get("metadata"))
        return _json(self._storage.item(home, one, listed=False))

    def _delete(self, home: Bucket, name: str, generation: str | None) -> None:
        with self._store.lock:
            one = self._store.find(home.name, name, int(generation) if generation else None)
            if one is None or one.soft_deleted_since is not None:
                raise RefusedError(404, "notFound", f"No such object: {home.name}/{name}")
            if home.versioned and generation is None:
                one.noncurrent_since = self._store.clock()
            elif home.soft_delete:
                one.soft_deleted_since = self._store.clock()
            else:
                home.objects.remove(one)


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise RefusedError(400, "invalid", "The content type names no boundary.")
    _, first, second, *_ = body.split(b"--" + boundary[1].encode())
    _, _, told = first.partition(b"\r\n\r\n")
    _, _, data = second.partition(b"\r\n\r\n")
    parsed: dict[str, Any] = json.loads(told)
    return parsed, data.removesuffix(b"\r\n")


def _json(told: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json; charset=UTF-8"})
