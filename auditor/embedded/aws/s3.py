"""S3's REST API over a store: bucket settings, listings, HEAD and GET."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qsl, quote_plus, unquote, unquote_plus
from xml.sax.saxutils import escape

from auditor.embedded.aws.store import ACCOUNT, Bucket, RefusedError, Store, StoredVersion
from auditor.embedded.http import Answer

_PAGE: Final = 1000
_NAMESPACE: Final = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_ECHOED: Final = {"start-after": "StartAfter", "key-marker": "KeyMarker", "version-id-marker": "VersionIdMarker"}
"""What was asked -> the element that repeats it."""


class ObjectService:
    """Answers S3 requests by raw path, because object names may hold anything."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, verb: str, target: str, headers: Mapping[str, str], signed: tuple[str, str]) -> Answer:
        """Answer one request that is signed with an access key for a Region.

        Raises:
            RefusedError: in the words of S3.
        """
        access_key, region = signed
        path, _, query = target.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        bucket, slash, name = path.removeprefix("/").partition("/")
        if not bucket:
            return self._buckets(asked)
        home = self._store.buckets.get(bucket)
        if home is None:
            raise RefusedError(404, "NoSuchBucket", "The specified bucket does not exist")
        if headers.get("x-amz-expected-bucket-owner", ACCOUNT) != ACCOUNT:
            raise RefusedError(403, "AccessDenied", "Access Denied")
        if home.region != region:
            told = {"x-amz-bucket-region": home.region}
            raise RefusedError(301, "PermanentRedirect", "The bucket is in another Region", told)
        if not slash or not name:
            return self._of_bucket(verb, home, asked)
        self._check("GetObject", home)
        return self._object(verb, home, unquote(name), asked, {**headers, "access-key": access_key})

    def _check(self, operation: str, home: Bucket) -> None:
        if (operation, home.name) in self._store.denied:
            raise RefusedError(403, "AccessDenied", "Access Denied")

    def _buckets(self, asked: Mapping[str, str]) -> Answer:
        if ("ListBuckets", "") in self._store.denied:
            raise RefusedError(403, "AccessDenied", "Access Denied")
        names = sorted(self._store.buckets)
        start = int(asked.get("continuation-token") or 0)
        end = start + int(asked.get("max-buckets") or len(names) or 1)
        rows = "".join(
            f"<Bucket><Name>{escape(name)}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>"
            for name in names[start:end]
        )
        more = f"<ContinuationToken>{end}</ContinuationToken>" if end < len(names) else ""
        owner = "<Owner><ID>owner</ID></Owner>"
        return _xml("ListAllMyBucketsResult", f"{owner}<Buckets>{rows}</Buckets>{more}")

    def _of_bucket(self, verb: str, home: Bucket, asked: Mapping[str, str]) -> Answer:
        if verb == "HEAD":
            self._check("HeadBucket", home)
            return Answer(200, headers={"x-amz-bucket-region": home.region})
        if "location" in asked:
            self._check("GetBucketLocation", home)
            return _xml("LocationConstraint", "" if home.region == "us-east-1" else home.region)
        if "versioning" in asked:
            self._check("GetBucketVersioning", home)
            return _xml("VersioningConfiguration", "<Status>Enabled</Status>" if home.versioned else "")
        if "encryption" in asked:
            self._check("GetBucketEncryption", home)
            return _default_encryption(home)
        if "inventory" in asked:
            self._check("GetBucketInventoryConfiguration", home)
            return _inventory_configuration(home, asked.get("id", ""))
        if "metadataConfiguration" in asked:
            self._check("GetBucketMetadataConfiguration", home)
            return _metadata_configuration(home)
        if "uploads" in asked:
            self._check("ListMultipartUploads", home)
            return _uploads(home, asked)
        if "versions" in asked:
            self._check("ListObjectVersions", home)
            return self._list_versions(home, asked)
        self._check("ListObjectsV2", home)
        return self._list(home, asked)

    def _list(self, home: Bucket, asked: Mapping[str, str]) -> Answer:
        after = unquote_plus(asked.get("continuation-token", "")) or asked.get("start-after", "")
        most = min(int(asked.get("max-keys") or _PAGE), _PAGE)
        rows: list[str] = []
        last = ""
        for one in self._newest(home, after, asked.get("prefix", "")):
            if len(rows) == most:
                break
            rows.append(f"<Contents>{_entry(one, asked)}</Contents>")
            last = one.name
        else:
            return _xml("ListBucketResult", _head(home, asked, more=False) + "".join(rows))
        token = f"<NextContinuationToken>{quote_plus(last)}</NextContinuationToken>"
        return _xml("ListBucketResult", _head(home, asked, more=True) + token + "".join(rows))

    def _newest(self, home: Bucket, after: str, prefix: str) -> Iterator[StoredVersion]:
        with self._store.lock:
            names = home.names_from(after.encode())
            newest = [home.objects[name][0] for name in names if name != after and name.startswith(prefix)]
        return (one for one in newest if not one.delete_marker)

    def _list_versions(self, home: Bucket, asked: Mapping[str, str]) -> Answer:
        marker, version_marker = asked.get("key-marker", ""), asked.get("version-id-marker", "")
        most = min(int(asked.get("max-keys") or _PAGE), _PAGE)
        rows: list[str] = []
        last: StoredVersion | None = None
        passed = not version_marker
        with self._store.lock:
            names = [one for one in home.names_from(marker.encode()) if one.startswith(asked.get("prefix", ""))]
            versions = [(one, place == 0) for name in names for place, one in enumerate(home.objects[name])]
        for one, newest in versions:
            if one.name == marker and (not version_marker or not passed):
                passed = passed or (one.version_id or "null") == version_marker
                continue
            if len(rows) == most and last is not None:
                place = (
                    f"<NextKeyMarker>{_name(last.name, asked)}</NextKeyMarker>"
                    f"<NextVersionIdMarker>{last.version_id or 'null'}</NextVersionIdMarker>"
                )
                return _xml("ListVersionsResult", _head(home, asked, more=True) + place + "".join(rows))
            tag = "DeleteMarker" if one.delete_marker else "Version"
            told = f"<VersionId>{one.version_id or 'null'}</VersionId><IsLatest>{str(newest).lower()}</IsLatest>"
            rows.append(f"<{tag}>{_entry(one, asked)}{told}</{tag}>")
            last = one
        return _xml("ListVersionsResult", _head(home, asked, more=False) + "".join(rows))

    def _object(
        self, verb: str, home: Bucket, name: str, asked: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        version_id = asked.get("versionId")
        one = self._store.find(home.name, name, version_id)
        if one is None:
            code = "NoSuchVersion" if version_id else "NoSuchKey"
            raise RefusedError(404, code, "The specified key does not exist.")
        if one.delete_marker:
            told = {"x-amz-delete-marker": "true"}
            if version_id:
                raise RefusedError(405, "MethodNotAllowed", "The specified method is not allowed.", told)
            raise RefusedError(404, "NoSuchKey", "The specified key does not exist.", told)
        if one.head_denied:
            raise RefusedError(403, "AccessDenied", "Access Denied")
        customer_key = headers.get("x-amz-server-side-encryption-customer-key")
        if verb == "HEAD":
            self._store.refuse_customer_key(one, customer_key)
            if one.key and headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
                raise RefusedError(501, "NotImplemented", "what S3 answers here is not documented")
            return Answer(200, headers=_headers(one), length=one.size)
        self._store.refuse_read(one, customer_key, headers["access-key"])
        return _media(one, headers.get("range"))


def _headers(one: StoredVersion) -> dict[str, str]:
    told = {
        "ETag": f'"{one.etag}"',
        "Last-Modified": format_datetime(one.modified, usegmt=True),
        "Content-Type": "binary/octet-stream",
        "Accept-Ranges": "bytes",
    }
    if one.version_id:
        told["x-amz-version-id"] = one.version_id
    if one.sse:
        told["x-amz-server-side-encryption"] = one.sse
    if one.key:
        told["x-amz-server-side-encryption-aws-kms-key-id"] = one.key
    if one.bucket_key:
        told["x-amz-server-side-encryption-bucket-key-enabled"] = "true"
    if one.customer_key:
        told["x-amz-server-side-encryption-customer-algorithm"] = "AES256"
    if one.storage_class != "STANDARD":
        told["x-amz-storage-class"] = one.storage_class
    told |= {f"x-amz-meta-{name}": value for name, value in (one.metadata or {}).items()}
    if one.restored:
        told["x-amz-restore"] = 'ongoing-request="false", expiry-date="Fri, 01 Jan 2100 00:00:00 GMT"'
    return told


def _media(one: StoredVersion, asked: str | None) -> Answer:
    span = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", asked or "")
    if not span:
        return Answer(200, one.content(0, one.size), _headers(one))
    start = int(span[1])
    if start >= one.size:
        raise RefusedError(416, "InvalidRange", "The requested range is not satisfiable")
    end = min(int(span[2] or one.size - 1), one.size - 1)
    told = {**_headers(one), "Content-Range": f"bytes {start}-{end}/{one.size}"}
    return Answer(206, one.content(start, end + 1), told)


def _head(home: Bucket, asked: Mapping[str, str], *, more: bool) -> str:
    encoding = "<EncodingType>url</EncodingType>" if asked.get("encoding-type") == "url" else ""
    prefix = _name(asked.get("prefix", ""), asked)
    place = "".join(
        f"<{element}>{_name(asked[name], asked)}</{element}>" for name, element in _ECHOED.items() if name in asked
    )
    there = f"<Name>{home.name}</Name><Prefix>{prefix}</Prefix>{place}{encoding}"
    return f"{there}<IsTruncated>{str(more).lower()}</IsTruncated>"


def _entry(one: StoredVersion, asked: Mapping[str, str]) -> str:
    told = f"<Key>{_name(one.name, asked)}</Key><LastModified>{_time(one.modified)}</LastModified>"
    if one.delete_marker:
        return told
    told = f"{told}<ETag>&quot;{one.etag}&quot;</ETag><Size>{one.size}</Size>"
    return f"{told}<StorageClass>{one.storage_class}</StorageClass>"


def _name(name: str, asked: Mapping[str, str]) -> str:
    return quote_plus(name, safe="/") if asked.get("encoding-type") == "url" else escape(name)


def _uploads(home: Bucket, asked: Mapping[str, str]) -> Answer:
    start = int(asked.get("upload-id-marker") or 0)
    end = start + min(int(asked.get("max-uploads") or _PAGE), _PAGE)
    rows = "".join(
        f"<Upload><Key>{_name(name, asked)}</Key><UploadId>{upload}</UploadId></Upload>"
        for name, upload in home.uploads[start:end]
    )
    more = end < len(home.uploads)
    place = f"<NextKeyMarker>more</NextKeyMarker><NextUploadIdMarker>{end}</NextUploadIdMarker>" if more else ""
    return _xml("ListMultipartUploadsResult", _head(home, asked, more=more) + place + rows)


def _inventory_configuration(home: Bucket, name: str) -> Answer:
    made = home.inventories.get(name)
    if made is None:
        raise RefusedError(404, "NoSuchConfiguration", "The specified configuration does not exist.")
    account = f"<AccountId>{made.account}</AccountId>" if made.account else ""
    prefix = f"<Prefix>{escape(made.prefix)}</Prefix>" if made.prefix else ""
    where = f"{account}<Bucket>arn:aws:s3:::{made.home}</Bucket><Format>{made.form}</Format>{prefix}"
    only = f"<Filter><Prefix>{escape(made.filter)}</Prefix></Filter>" if made.filter else ""
    fields = "".join(f"<Field>{one}</Field>" for one in made.fields)
    inner = (
        f"<Id>{escape(name)}</Id><IsEnabled>{str(made.enabled).lower()}</IsEnabled>{only}"
        f"<Destination><S3BucketDestination>{where}</S3BucketDestination></Destination>"
        f"<Schedule><Frequency>Daily</Frequency></Schedule>"
        f"<IncludedObjectVersions>{made.versions}</IncludedObjectVersions><OptionalFields>{fields}</OptionalFields>"
    )
    return _xml("InventoryConfiguration", inner)


def _metadata_configuration(home: Bucket) -> Answer:
    table = home.table
    if table is None:
        raise RefusedError(404, "MetadataConfigurationNotFound", "The metadata configuration does not exist")
    where = f"<TableBucketArn>{table.arn}</TableBucketArn><TableNamespace>b_{home.name}</TableNamespace>"
    state = f"<ConfigurationState>{table.state}</ConfigurationState><TableStatus>{table.status}</TableStatus>"
    inner = (
        f"<DestinationResult><TableBucketType>aws</TableBucketType>{where}</DestinationResult>"
        f"<InventoryTableConfigurationResult>{state}<TableName>inventory</TableName></InventoryTableConfigurationResult>"
    )
    told = f"<MetadataConfigurationResult>{inner}</MetadataConfigurationResult>"
    return _xml("GetBucketMetadataConfigurationResult", told)


def _default_encryption(home: Bucket) -> Answer:
    key = f"<KMSMasterKeyID>{home.default_key}</KMSMasterKeyID>" if home.default_key else ""
    sse = home.default_sse or ("aws:kms" if home.default_key else "AES256")
    default = f"<SSEAlgorithm>{sse}</SSEAlgorithm>{key}"
    kinds = "".join(f"<EncryptionType>{kind}</EncryptionType>" for kind in home.blocked)
    blocked = f"<BlockedEncryptionTypes>{kinds}</BlockedEncryptionTypes>" if kinds else ""
    inner = f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>{blocked}"
    return _xml("ServerSideEncryptionConfiguration", f"<Rule>{inner}</Rule>")


def _xml(tag: str, inner: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag} {_NAMESPACE}>{inner}</{tag}>'
    return Answer(200, text.encode(), {"Content-Type": "application/xml"})


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
