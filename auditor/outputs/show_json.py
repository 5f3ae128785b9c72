"""`cmek-auditor/show/1`: what a bundle says of itself and of the data, as JSON; its JSON Schema is in the package."""

import json
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.handover.bundle import Shown
from auditor.outputs import scan_json

SCHEMA: Final = "cmek-auditor/show/1"


def write(one: Shown, out: TextIO) -> None:
    """Write the whole document; namespaces are counted, and only the bundle itself names them."""
    bundle = one.bundle
    namespaces, objects, size = bundle.amounts
    told = {
        "schema": SCHEMA,
        "signature": {
            "verified": one.signer is not None,
            "key": f"sha256:{one.signer}" if one.signer is not None else None,
            "named_by_file": f"sha256:{one.named}" if one.named is not None else None,
        },
        "digest": one.digest,
        "tenant": bundle.tenant,
        "operator": bundle.operator,
        "made": scan_json.time(bundle.made),
        "version": bundle.version,
        "judgement": bundle.judgement,
        "oldest_sweep": scan_json.time(bundle.swept),
        "oldest_verified": scan_json.time(bundle.verified),
        "namespaces": namespaces,
        "objects": objects,
        "bytes": size,
        "buckets": [
            {
                "bucket": each.bucket,
                "sweep_started": scan_json.time(each.started),
                "sweep_ended": scan_json.time(each.ended),
                "oldest_verified": scan_json.time(each.verified),
                "left_out": [population.value for population in each.left_out],
                "objects_outside": each.outside,
                "uploads_in_progress": each.uploads,
            }
            for each in bundle.buckets
        ],
        "held": [
            {
                "key": each.key,
                "key_version": each.version,
                "encryption": each.encryption.value,
                "key_not_named": each.is_withheld,
                "objects": each.objects,
                "bytes": each.size,
                "namespaces": each.namespaces,
            }
            for each in bundle.held
        ],
        "not_seen": {
            "namespaces_of_nobody": bundle.seen.unclear,
            "buckets_not_swept": bundle.seen.unswept,
            "buckets_not_configured": bundle.seen.elsewhere,
            "registries_usable": bundle.seen.registries,
        },
        "gaps": [{"what": each.about, "reason": each.reason.value} for each in bundle.gaps],
    }
    json.dump(told, out, indent=1)
    out.write("\n")


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("show-1.schema.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told
