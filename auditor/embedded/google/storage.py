"""Cloud Storage's JSON API over a store: bucket settings, listings, reads."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from auditor.embedded.google.store import Bucket, RefusedError, Store, StoredObject
from auditor.embedded.http import Answer

_PAGE: Final = 1000
_TOKEN: Final = re.compile(r"[(),]|[^(),]+")


class StorageService:
    """Answers storage requests by raw path, because object names may hold anything."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.empty_pages = False
        """Put an empty page with a token before each full one, as the service may."""

    def answer(self, raw_path: str, query: str, headers: Mapping[str, str]) -> Answer:
        """Answer one GET.

        Raises:
            RefusedError: in the words of the service.
        """
        asked = dict(parse_qsl(query, keep_blank_values=True))
        path = raw_path.removeprefix("/download")
        if "uploads" in asked and path.count("/") == 1:
            return self._uploads(unquote(path[1:]), asked)
        parts = path.removeprefix("/storage/v1/").split("/")
        match parts:
            case ["projects", project, "serviceAccount"]:
                return self._service_account(unquote(project))
            case ["b"]:
                return self._buckets(asked)
            case ["b", bucket]:
                return self._bucket(unquote(bucket), asked)
            case ["b", bucket, "o"]:
                return self._list(unquote(bucket), asked)
            case ["b", bucket, "o", *name] if name:
                return self._object(unquote(bucket), unquote("/".join(name)), asked, headers)
            case _:
                raise RefusedError(404, "notFound", "Not Found")

    def _service_account(self, project: str) -> Answer:
        numbers = {str(number): name for name, number in self._store.projects.items()}
        name = numbers.get(project, project)
        self._check("resourcemanager.projects.get", name)
        if name not in self._store.projects:
            raise RefusedError(404, "notFound", "The requested project was not found.")
        return _json({"kind": "storage#serviceAccount", "email_address": self._store.agent(name)})

    def _buckets(self, asked: Mapping[str, str]) -> Answer:
        project = asked.get("project", "")
        self._check("storage.buckets.list", project)
        mine = [self.bucket_of(one) for one in self._store.buckets.values() if one.project == project]
        return _json({"kind": "storage#buckets", "items": mine})

    def _bucket(self, name: str, asked: Mapping[str, str]) -> Answer:
        home = self._need_bucket("storage.buckets.get", name)
        return _json(masked(self.bucket_of(home), asked.get("fields")))

    def bucket_of(self, home: Bucket) -> dict[str, Any]:
        """Tell a bucket as the API does."""
        told: dict[str, Any] = {
            "kind": "storage#bucket",
            "id": home.name,
            "name": home.name,
            "projectNumber": str(self._store.projects[home.project]),
            "location": home.location.upper(),
            "storageClass": "STANDARD",
            "softDeletePolicy": {"retentionDurationSeconds": str(int(home.soft_delete.total_seconds()))},
        }
        if home.versioned:
            told["versioning"] = {"enabled": True}
        encryption: dict[str, Any] = {"defaultKmsKeyName": home.default_key} if home.default_key else {}
        for kind, mode in home.enforced.items():
            encryption[f"{kind}EncryptionEnforcementConfig"] = {"restrictionMode": mode}
        if encryption:
            told["encryption"] = encryption
        if home.data_locations:
            told["customPlacementConfig"] = {"dataLocations": list(home.data_locations)}
        if home.labels:
            told["labels"] = home.labels
        return told

    def _list(self, name: str, asked: Mapping[str, str]) -> Answer:
        home = self._need_bucket("storage.objects.list", name)
        versions, soft = (asked.get(name, "").lower() == "true" for name in ("versions", "softDeleted"))
        if versions and soft:
            raise RefusedError(400, "invalid", "softDeleted and versions cannot both be true.")
        if soft and not home.soft_delete:
            raise RefusedError(400, "invalid", "The bucket does not have a soft delete policy.")
        after, was_empty = _place(asked.get("pageToken"))
        if self.empty_pages and not was_empty:
            return _json(
                masked({"kind": "storage#objects", "nextPageToken": _token(after, empty=True)}, asked.get("fields"))
            )
        most = min(int(asked.get("maxResults", _PAGE)), _PAGE)
        prefix = asked.get("prefix", "")
        low, high = asked.get("startOffset", "").encode(), asked.get("endOffset", "").encode()
        items: list[dict[str, Any]] = []
        last: StoredObject | None = None
        more = False
        for one in self._store.objects(name, versions=versions, soft_deleted=soft, after=after):
            place = one.name.encode()
            if not one.name.startswith(prefix) or place < low or (high and place >= high):
                continue
            if len(items) == most:
                more = True
                break
            items.append(self.item(home, one, listed=True))
            last = one
        told: dict[str, Any] = {"kind": "storage#objects"}
        if items:
            told["items"] = items
        if more and last is not None:
            told["nextPageToken"] = _token(last.order, empty=False)
        return _json(masked(told, asked.get("fields")))

    def _uploads(self, bucket: str, asked: Mapping[str, str]) -> Answer:
        home = self._need_bucket("storage.multipartUploads.list", bucket)
        start = int(asked.get("upload-id-marker") or 0)
        end = start + _PAGE
        more = end < len(home.uploads)
        rows = "".join(f"<Upload><Key>{escape(name)}</Key></Upload>" for name in home.uploads[start:end])
        place = f"<NextKeyMarker>{escape(home.uploads[end - 1])}</NextKeyMarker>" if more else ""
        place += f"<NextUploadIdMarker>{end}</NextUploadIdMarker>"
        told = f"<IsTruncated>{str(more).lower()}</IsTruncated>{place}{rows}"
        text = f'<?xml version="1.0"?><ListMultipartUploadsResult xmlns="urn:s3">{told}</ListMultipartUploadsResult>'
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _object(self, bucket: str, name: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        home = self._need_bucket("storage.objects.get", bucket)
        generation = int(asked["generation"]) if asked.get("generation", "").isdigit() else None
        one = self._store.find(bucket, name, generation)
        if one is None or (one.soft_deleted_since and asked.get("softDeleted") != "true"):
            raise RefusedError(404, "notFound", f"No such object: {bucket}/{name}")
        if asked.get("alt") != "media":
            return _json(masked(self.item(home, one, listed=False), asked.get("fields")))
        given = headers.get("x-goog-encryption-key")
        self._store.refuse_read(one, base64.b64decode(given) if given else None)
        return _media(one, headers.get("range"))

    def item(self, home: Bucket, one: StoredObject, *, listed: bool) -> dict[str, Any]:
        """Tell an object as the API does in a listing, or by itself."""
        told: dict[str, Any] = {
            "kind": "storage#object",
            "name": one.name,
            "bucket": one.bucket,
            "generation": str(one.generation),
            "metageneration": "1",
            "size": str(one.size),
            "storageClass": one.storage_class,
            "timeCreated": _time(one.created),
            "updated": _time(one.created),
            "etag": f"C{one.generation}=",
        }
        if one.key:
            told["kmsKeyName"] = one.key + (f"/cryptoKeyVersions/{one.version}" if one.version and one.named else "")
        elif listed and not one.customer_key_hash:
            told["md5Hash"] = "1B2M2Y8AsgTpgAmY7PhCfg=="
        if one.customer_key_hash:
            told["customerEncryption"] = {"encryptionAlgorithm": "AES256", "keySha256": one.customer_key_hash}
        if one.metadata:
            told["metadata"] = dict(one.metadata)
        if one.noncurrent_since:
            told["timeDeleted"] = _time(one.noncurrent_since)
        if one.soft_deleted_since:
            told["softDeleteTime"] = _time(one.soft_deleted_since)
            told["hardDeleteTime"] = _time(one.soft_deleted_since + home.soft_delete)
        return told

    def _need_bucket(self, permission: str, name: str) -> Bucket:
        self._check(permission, name)
        home = self._store.buckets.get(name)
        if home is None:
            raise RefusedError(404, "notFound", "The specified bucket does not exist.")
        return home

    def _check(self, permission: str, resource: str) -> None:
        if self._store.denied(permission, resource):
            text = f"auditor@platform.example does not have {permission} access to {resource}."
            raise RefusedError(403, "forbidden", text)


def masked(told: Mapping[str, Any], mask: str | None) -> dict[str, Any]:
    """Keep only what a `fields` mask names; what it leaves out is gone, page tokens too."""
    if not mask:
        return dict(told)
    tree, rest = _mask_tree(_TOKEN.findall(mask))
    if rest:
        raise RefusedError(400, "invalidParameter", "Invalid field selection")
    return _cut(told, tree)


def _mask_tree(tokens: list[str]) -> tuple[dict[str, Any], list[str]]:
    tree: dict[str, Any] = {}
    name = ""
    while tokens:
        part, *tokens = tokens
        if part == "(":
            tree[name], tokens = _mask_tree(tokens)
        elif part == ")":
            break
        elif part != ",":
            name = part.strip()
            tree[name] = {}
    return tree, tokens


def _cut(told: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, inner in tree.items():
        if name not in told:
            continue
        value = told[name]
        if not inner:
            kept[name] = value
        elif isinstance(value, list):
            kept[name] = [_cut(one, inner) for one in value]
        else:
            kept[name] = _cut(value, inner)
    return kept


def _media(one: StoredObject, asked: str | None) -> Answer:
    span = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", asked or "")
    if not span:
        return Answer(200, one.content(0, one.size), {"Content-Type": "application/octet-stream"})
    start = int(span[1])
    if start >= one.size:
        raise RefusedError(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
    end = min(int(span[2] or one.size - 1), one.size - 1)
    told = {"Content-Type": "application/octet-stream", "Content-Range": f"bytes {start}-{end}/{one.size}"}
    return Answer(206, one.content(start, end + 1), told)


def _token(after: tuple[bytes, int] | None, *, empty: bool) -> str:
    name, generation = after or (b"", 0)
    return base64.urlsafe_b64encode(json.dumps([name.decode(), generation, empty]).encode()).decode()


def _place(token: str | None) -> tuple[tuple[bytes, int] | None, bool]:
    if not token:
        return None, False
    try:
        name, generation, empty = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise RefusedError(400, "invalid", "Invalid page token") from None
    return ((name.encode(), generation) if generation else None), bool(empty)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _json(told: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(told).encode(), {"Content-Type": "application/json; charset=UTF-8"})
