"""Whether an answer of Google Cloud's JSON APIs is of the kind that was asked for.

The clients take a JSON object of another kind for an answer that says nothing, a bucket without objects, and break on
one whose fields are of another kind.

Source: Cloud Storage JSON API reference, `kind` of each resource; Resource Manager v3, Policy; Cloud Logging v2,
entries.list; Pub/Sub v1, subscriptions.get and pull; Cloud Monitoring v3, projects.timeSeries.list.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from auditor.connectors.documents import parse_once
from auditor.connectors.gcp.listing import parse_page

_Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}$")]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Versioning(msgspec.Struct):
    enabled: bool = False


class _SoftDeletePolicy(msgspec.Struct, rename="camel"):
    retention_duration_seconds: _Digits | None = None


class _Enforcement(msgspec.Struct, rename="camel"):
    restriction_mode: str | None = None


class _Encryption(msgspec.Struct, rename="camel"):
    default_kms_key_name: str | None = None
    customer_managed_encryption_enforcement_config: _Enforcement | None = None
    customer_supplied_encryption_enforcement_config: _Enforcement | None = None
    google_managed_encryption_enforcement_config: _Enforcement | None = None


class _Placement(msgspec.Struct, rename="camel"):
    data_locations: list[str] | None = None


class _Bucket(msgspec.Struct, rename="camel"):
    kind: Literal["storage#bucket"]
    id: str | None = None
    location: str | None = None
    project_number: _Digits | None = None
    versioning: _Versioning | None = None
    soft_delete_policy: _SoftDeletePolicy | None = None
    encryption: _Encryption | None = None
    custom_placement_config: _Placement | None = None


class _Named(msgspec.Struct):
    name: str


class _Buckets(msgspec.Struct, rename="camel"):
    kind: Literal["storage#buckets"]
    items: list[_Named] = []
    next_page_token: str | None = None


class _Put(msgspec.Struct):
    kind: Literal["storage#object"]
    name: str


class _Agent(msgspec.Struct):
    kind: Literal["storage#serviceAccount"]
    email_address: _Text
    """One without a name would be nobody whose right is judged."""


class _Policy(msgspec.Struct):
    etag: str
    bindings: list[dict[str, Any]] = []


class _Permissions(msgspec.Struct):
    permissions: list[str] = []


class _Entries(msgspec.Struct, rename="camel"):
    entries: list[dict[str, Any]] = []
    next_page_token: str | None = None


class _Received(msgspec.Struct, rename="camel"):
    ack_id: _Text
    message: dict[str, Any] = {}


class _Pulled(msgspec.Struct, rename="camel"):
    received_messages: list[_Received] = []


class _Series(msgspec.Struct, rename="camel"):
    time_series: list[dict[str, Any]] = []
    next_page_token: str | None = None


class _Subscription(msgspec.Struct, rename="camel"):
    name: str
    ack_deadline_seconds: int | None = None


_KINDS: Final = {
    "subscriptions.get": _Subscription,
    "subscriptions.pull": _Pulled,
    "entries.list": _Entries,
    "timeSeries.list": _Series,
    "buckets.list": _Buckets,
    "buckets.get": _Bucket,
    "objects.insert": _Put,
    "projects.serviceAccount.get": _Agent,
    "projects.getIamPolicy": _Policy,
    "projects.testIamPermissions": _Permissions,
}


_SAY_NOTHING: Final = {
    "subscriptions.pull": {"receivedMessages"},
    "subscriptions.acknowledge": frozenset[str](),
}
"""Answers that are an empty object where nothing is to be said: what says something else is none."""


def _are_all_series(told: dict[str, Any]) -> bool:
    """Whether a page of time series is one, and says of no series that it could not be told."""
    is_page = "timeSeries" in told or not set(told) - {"nextPageToken", "unit"}
    return is_page and not told.get("executionErrors")


def is_sound(operation: str, body: bytes) -> bool:
    """Tell whether a success is one; uploads are XML, which `parse_uploads` looks at."""
    if operation == "multipartUploads.list":
        return True
    try:
        if operation == "objects.list":
            parse_page(body)
        else:
            told = parse_once(body)
            msgspec.convert(told, _KINDS.get(operation, dict[str, Any]))
            # A log without entries says nothing at all; what says something else is no page of one.
            if operation == "entries.list" and "entries" not in told and set(told) - {"nextPageToken"}:
                return False
            if operation == "timeSeries.list" and not _are_all_series(told):
                return False
            if operation in _SAY_NOTHING and set(told) - _SAY_NOTHING[operation]:
                return False
    except (ValueError, RecursionError):
        return False
    return True
