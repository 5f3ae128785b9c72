"""How the folder of a bucket is called."""

import hashlib
import re


def folder_name(bucket: str) -> str:
    """Name a bucket's folder: readable, and different for any two buckets."""
    readable = re.sub(r"[^a-z0-9-]", "-", bucket.replace("://", "-"))[:60]
    return f"{readable}-{hashlib.sha256(bucket.encode()).hexdigest()[:8]}"
