"""`cmek-auditor/estimate/1`: what a sweep of each bucket would ask and cost, as JSON."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.outputs import scan_json
from auditor.prices import PRICES, Estimate, Price, RegistryEstimate, together

SCHEMA: Final = "cmek-auditor/estimate/1"


def write(found: Sequence[Estimate], rate: float, out: TextIO, registries: Sequence[RegistryEstimate] = ()) -> None:
    """Write the whole document; `rate`: requests a second, a bucket."""
    told = {
        "schema": SCHEMA,
        "requests_per_second": rate,
        "prices": [price(one) for one in PRICES],
        "totals": totals(found),
        "buckets": [bucket(one, rate) for one in found],
        "registries": [registry(one) for one in registries],
    }
    out.write(json.dumps(told, indent=1) + "\n")


def totals(found: Sequence[Estimate]) -> dict[str, Any]:
    """All buckets together that are known, and how many are not."""
    every = together(found)
    return {
        "buckets": len(found) - every.unknown,
        "buckets_unknown": every.unknown,
        "objects": every.objects,
        "requests": {
            "list": every.requests.lists,
            "head": every.requests.heads,
            "other": every.requests.others,
            "estimated_usd": round(every.usd, 7),
        },
    }


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("estimate-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def price(one: Price) -> dict[str, Any]:
    """Whence the estimated prices of one cloud are."""
    return {
        "scheme": one.scheme,
        "usd_per_1000_lists": one.lists,
        "usd_per_1000_others": one.others,
        "place": one.place,
        "as_of": one.as_of,
        "source": one.source,
        "otherwise": one.otherwise,
    }


def registry(one: RegistryEstimate) -> dict[str, Any]:
    """One registry that is a service; null where nobody knows how many namespaces it has."""
    return {
        "registry": one.registry,
        "bucket": one.bucket,
        "list_pages": one.pages,
        "metadata": one.metadata,
        "metadata_at_most": one.per_sweep,
    }


def bucket(one: Estimate, rate: float) -> dict[str, Any]:
    """One bucket; what is not known of it is null, and `unknown` says why."""
    known = one.needed is not None
    return {
        "bucket": one.bucket,
        "unknown": one.unknown or None,
        "objects": one.objects if known else None,
        "swept": one.swept.isoformat().replace("+00:00", "Z") if one.swept is not None else None,
        "populations_not_counted": [each.value for each in one.lacking],
        "requests": scan_json.requests(one.bucket, one.needed) if one.needed is not None else None,
        "seconds_at_least": round(one.needed.total / rate, 3) if one.needed is not None else None,
    }
