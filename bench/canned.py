"""A canned S3 and Cloud Storage: nginx answers from files, so that the server never is what is measured."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PAGE = 1000
ETAG = "d41d8cd98f00b204e98009"
KEYS = 50
_KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-0000000000"
_RING = "projects/keys/locations/us-east1/keyRings/tpuf"
START = datetime(2026, 1, 1, tzinfo=UTC)

_CONF = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off;
  default_type application/xml;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  map_hash_bucket_size 256;
  map $args $s3_page {{
    default first;
    "~continuation-token=([0-9]+)-" $1;
    "~start-after=[^&]*%2F([0-9]+)[.]seg" after-$1;
  }}
  map $args $gcs_page {{
    default first;
    "~pageToken=([0-9]+)-" $1;
  }}
  map $uri $object {{
    default 0000000000;
    "~([0-9]{{10}})[0-9][0-9][.]seg$" $1;
  }}
  map $uri $kms_key {{
    default 00;
    "~([0-9][0-9])[.]seg$" $1;
  }}
  server {{
    listen 127.0.0.1:{http} backlog=1024;
    listen 127.0.0.1:{https} ssl backlog=1024;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    ssl_session_cache shared:s:1m;
    root {folder}/files;
    location ~ ^/bucket/?$ {{
      sub_filter @random@ $request_id;
      sub_filter_types application/xml;
      try_files /s3/$s3_page.xml /s3/empty.xml =404;
    }}
    location = /storage/v1/b/bucket/o {{
      default_type application/json;
      sub_filter @random@ $request_id;
      sub_filter_types application/json;
      try_files /gcs/$gcs_page.json =404;
    }}
    location ~ ^/bucket/. {{
      add_header ETag '"{etag}$object"';
      add_header x-amz-request-id $request_id;
      add_header x-amz-id-2 "canned/$request_id/$request_id";
      add_header x-amz-server-side-encryption aws:kms;
      add_header x-amz-server-side-encryption-aws-kms-key-id {key}$kms_key;
      return 200;
    }}
  }}
}}
"""


def name_of(number: int, objects: int) -> str:
    """The name of one object: sorted by number, ten thousand namespaces, 65 bytes."""
    namespace = namespace_of(number, objects)
    key = namespace // 10 % KEYS
    return f"org-{namespace // 10:04}/namespace-{namespace:08}/index/segments/{number:010}{key:02}.seg"


def namespace_of(number: int, objects: int) -> int:
    """The namespace of one object; all of an organisation's are under its one key."""
    return number * 10_000 // objects


def etag_of(number: int) -> str:
    """32 hexadecimal digits, of which the last ten tell the object, so that HEAD can repeat them."""
    return f"{ETAG}{number:010}"


@dataclass(frozen=True, slots=True)
class Canned:
    """A running server."""

    http: str
    https: str
    certificates: Path
    objects: int


@contextmanager
def serving(objects: int) -> Iterator[Canned]:
    """Serve one bucket, `bucket`, with so many objects."""
    folder = Path(tempfile.mkdtemp(prefix="canned-"))
    http, https = _free_port(), _free_port()
    (folder / "files" / "s3").mkdir(parents=True)
    (folder / "files" / "gcs").mkdir()
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir()
    write_pages(folder / "files", objects)
    _certificate(folder)
    conf = folder / "nginx.conf"
    conf.write_text(_CONF.format(folder=folder, http=http, https=https, key=_KEY, etag=ETAG))
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    server = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        _await(http, server)
        yield Canned(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", folder / "cert.pem", objects)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


def write_pages(folder: Path, objects: int) -> None:
    """Write every page of both clouds' listings; @random@ in them is filled in anew with each answer."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    (folder / "s3" / "empty.xml").write_text(
        f"{head}<Name>bucket</Name><Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
        "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    pages = (objects + PAGE - 1) // PAGE
    for page in range(pages):
        numbers = range(page * PAGE, min(objects, (page + 1) * PAGE))
        more = page + 1 < pages
        s3 = "".join(_contents(number, objects) for number in numbers)
        token = f"<NextContinuationToken>{page + 1}-@random@</NextContinuationToken>" if more else ""
        name = "first" if page == 0 else str(page)
        (folder / "s3" / f"{name}.xml").write_text(
            f"{head}<Name>bucket</Name><Prefix></Prefix>{token}<KeyCount>{len(numbers)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{s3}</ListBucketResult>"
        )
        if page:
            last = name_of(page * PAGE - 1, objects).rpartition("/")[2].removesuffix(".seg")
            os.link(folder / "s3" / f"{name}.xml", folder / "s3" / f"after-{last}.xml")
        items = [_item(number, objects) for number in numbers]
        following = {"nextPageToken": f"{page + 1}-@random@"} if more else {}
        (folder / "gcs" / f"{name}.json").write_text(
            json.dumps({"kind": "storage#objects", **following, "items": items})
        )


def _contents(number: int, objects: int) -> str:
    modified = (START + timedelta(seconds=number * 7919 % 20_000_000)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{name_of(number, objects)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><Size>0</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _item(number: int, objects: int) -> dict[str, str]:
    moment = START + timedelta(microseconds=number * 7919 % 20_000_000 * 1_000_000 + number % 1_000_000)
    generation = int(moment.timestamp() * 1_000_000)
    # Written over time, in the order of the names here: the older half under the version before the last rotation.
    age = number * 10_000 % objects * 2 // objects
    key = f"{_RING}/cryptoKeys/k{namespace_of(number, objects) // 10 % KEYS:02}/cryptoKeyVersions/{1 + age}"
    return {
        "name": name_of(number, objects),
        "generation": str(generation),
        "size": str(number * 104_729 % 4_000_000),
        "storageClass": "STANDARD",
        "timeCreated": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "etag": "CJ" + hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()[:10] + "EAE=",
        "kmsKeyName": key,
    }


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(__import__("ipaddress").ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError("nginx did not start; is it installed? apt-get install nginx")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("nginx does not answer")
