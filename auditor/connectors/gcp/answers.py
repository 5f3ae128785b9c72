"""Whether an answer of Cloud Storage or Resource Manager is of the kind that was asked for.

The clients take a JSON object of another kind for an answer that says nothing: a bucket without objects.

Source: Cloud Storage JSON API reference, `kind` of each resource; Resource Manager v3, Policy.
"""

import json
from typing import Final

_KINDS: Final = {
    "buckets.list": "storage#buckets",
    "buckets.get": "storage#bucket",
    "objects.list": "storage#objects",
    "projects.serviceAccount.get": "storage#serviceAccount",
}


def is_sound(operation: str, body: bytes) -> bool:
    """Tell whether a success is one; uploads are XML, which `parse_uploads` looks at."""
    if operation == "multipartUploads.list":
        return True
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if operation == "projects.getIamPolicy":
        return isinstance(told, dict) and "etag" in told
    return isinstance(told, dict) and (operation not in _KINDS or told.get("kind") == _KINDS[operation])
