"""`cmek-auditor/estimate/1`: what a sweep of each bucket would ask and cost, as JSON."""

import json
from collections.abc import Iterable
from typing import Any, Final, TextIO

from auditor.outputs import scan_json
from auditor.prices import PRICES, Estimate, Price

SCHEMA: Final = "cmek-auditor/estimate/1"


def write(found: Iterable[Estimate], rate: float, out: TextIO) -> None:
    """Write the whole document; `rate`: requests a second, a bucket."""
    told = {
        "schema": SCHEMA,
        "requests_per_second": rate,
        "prices": [price(one) for one in PRICES],
        "buckets": [bucket(one, rate) for one in found],
    }
    out.write(json.dumps(told, indent=1) + "\n")


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
