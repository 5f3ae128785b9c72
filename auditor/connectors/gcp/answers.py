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
_TEXTS: Final = {"buckets.get": ("location",), "projects.serviceAccount.get": ("email_address",)}
"""What is read of an answer and is a text, where it is told."""


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
    settings = told.get("encryption") if operation == "buckets.get" else None
    keys = settings is None or (isinstance(settings, dict) and _is_text(settings.get("defaultKmsKeyName")))
    return keys and all(_is_text(told.get(one)) for one in _TEXTS.get(operation, ()))


def _is_text(value: object) -> bool:
    return isinstance(value, str | None)
