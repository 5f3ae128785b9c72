"""One page of the XML API's list of multipart uploads.

Source: Cloud Storage XML API reference, List multipart uploads.
"""

from typing import Final
from xml.etree import ElementTree as ET

import requests

_ONCE: Final = frozenset({"IsTruncated", "NextKeyMarker", "NextUploadIdMarker"})


def parse_uploads(raw: bytes) -> tuple[list[tuple[str, str]], dict[str, str] | None]:
    """Read a page: (name, id) of its uploads, and the query of the next page if there is one.

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
    told = [(child.tag.rpartition("}")[2], child.text or "") for child in root]
    beside = [one for one in told if one[0] in _ONCE]
    texts = dict(beside)
    if len(texts) < len(beside):
        raise requests.JSONDecodeError("a page that says something twice", "", 0)
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
