"""One page of the XML API's list of multipart uploads.

Source: Cloud Storage XML API reference, List multipart uploads.
"""

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

import requests

_ECHOES: Final = {
    "Bucket": "bucket",
    "KeyMarker": "key-marker",
    "UploadIdMarker": "upload-id-marker",
    "Prefix": "prefix",
    "Delimiter": "delimiter",
}
"""The element that repeats it -> what was asked."""
_ONCE: Final = frozenset({"IsTruncated", "NextKeyMarker", "NextUploadIdMarker", *_ECHOES})


def parse_uploads(raw: bytes, asked: Mapping[str, str]) -> tuple[list[tuple[str, str]], dict[str, str] | None]:
    """Read a page: (name, id) of its uploads, and the query of the next page if there is one.

    `asked`: its own query, and the `bucket`.

    Raises:
        requests.JSONDecodeError: it is no such page (the connectors' word for an answer that cannot be read).
    """
    try:
        # The storage service's own answer; expat fetches nothing and bounds what entities may grow to.
        root = ET.fromstring(raw)  # noqa: S314 - as said above
    except ET.ParseError as error:
        raise requests.JSONDecodeError(str(error), "", 0) from None
    if root.tag.rpartition("}")[2] != "ListMultipartUploadsResult":
        raise requests.JSONDecodeError("no list of uploads", "", 0)
    uploads = [_named(child) for child in root if child.tag.rpartition("}")[2] == "Upload"]
    beside = [(name, child) for child in root if (name := child.tag.rpartition("}")[2]) in _ONCE]
    texts = {name: child.text or "" for name, child in beside}
    if len(texts) < len(beside) or any(len(child) for _, child in beside):
        raise requests.JSONDecodeError("a page that says something twice", "", 0)
    elsewhere = any(texts.get(name, due) != due for name, one in _ECHOES.items() for due in (asked.get(one, ""),))
    if elsewhere or any(child.tag.rpartition("}")[2] == "CommonPrefixes" for child in root):
        raise requests.JSONDecodeError("a page of another bucket, or one that begins elsewhere", "", 0)
    if texts.get("IsTruncated") not in {"true", "false"}:
        raise requests.JSONDecodeError("a page that does not say whether there is more", "", 0)
    if texts["IsTruncated"] == "false":
        return uploads, None
    if not texts.get("NextKeyMarker"):
        raise requests.JSONDecodeError("a page that says there is more, and not where", "", 0)
    return uploads, {
        "uploads": "",
        "key-marker": texts["NextKeyMarker"],
        "upload-id-marker": texts.get("NextUploadIdMarker", ""),
    }


def _named(upload: ET.Element) -> tuple[str, str]:
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in upload}
    return texts.get("Key", ""), texts.get("UploadId", "")
