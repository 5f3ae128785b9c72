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
    if not isinstance(told, dict) or told.get("kind") != _KINDS.get(operation, told.get("kind")):
        return False
    match operation:
        case "projects.serviceAccount.get":
            # An agent without a name would be nobody whose right is judged.
            return isinstance(told.get("email_address"), str) and bool(told["email_address"])
        case "buckets.get":
            settings = told.get("encryption", {})
            is_of_its_kind = isinstance(settings, dict) and isinstance(settings.get("defaultKmsKeyName"), str | None)
            return is_of_its_kind and isinstance(told.get("location"), str | None)
        case _:
            return True
