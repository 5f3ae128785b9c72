"""One pass over the canned bucket as people write it with the SDKs: baseline.py s3|s3-list|gcs|gcs-list ADDRESS CERTS.

Runs in an environment that has boto3 and google-cloud-storage and nothing of this project. Prints one line of JSON.
"""

import json
import os
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

FIELDS = "items(name,generation,size,storageClass,timeCreated,timeDeleted,etag,kmsKeyName),nextPageToken"


def s3_client(address: str) -> Any:
    """A client as its documentation makes it, with connections enough for the pool."""
    import boto3  # noqa: PLC0415 - only where it is measured
    from botocore.config import Config  # noqa: PLC0415 - the same

    return boto3.client("s3", region_name="us-east-1", endpoint_url=address, config=Config(max_pool_connections=16))


def s3_list(address: str) -> int:
    """The paginator alone."""
    pages = s3_client(address).get_paginator("list_objects_v2").paginate(Bucket="bucket")
    return sum(len(page.get("Contents", [])) for page in pages)


def s3(address: str) -> int:
    """The paginator, and a HEAD for each object in a pool of sixteen threads."""
    client = s3_client(address)

    def head(name: str) -> str | None:
        key: str | None = client.head_object(Bucket="bucket", Key=name).get("SSEKMSKeyId")
        return key

    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket")
    with ThreadPoolExecutor(16) as pool:
        return sum(
            sum(key is not None for key in pool.map(head, [one["Key"] for one in page.get("Contents", [])]))
            for page in pages
        )


def gcs(address: str) -> int:
    """`list_blobs` with `fields=`, and the key version of each."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - as above
    from google.cloud import storage  # noqa: PLC0415 - the same

    client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": address})
    return sum(one.kms_key_name is not None for one in client.list_blobs("bucket", fields=FIELDS, page_size=1000))


def main() -> None:
    """Run one and print what it took."""
    what, address, certificates = sys.argv[1:]
    os.environ.update(AWS_ACCESS_KEY_ID="AKIA111122223333TEST", AWS_SECRET_ACCESS_KEY="secret")
    os.environ.update(AWS_CA_BUNDLE=certificates, REQUESTS_CA_BUNDLE=certificates)
    os.environ.update(AWS_CONFIG_FILE="/nonexistent", AWS_SHARED_CREDENTIALS_FILE="/nonexistent")
    run = {"s3": s3, "s3-list": s3_list, "gcs": gcs, "gcs-list": gcs}[what]
    began, used = time.perf_counter(), time.process_time()
    objects = run(address)
    told = {
        "objects": objects,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
