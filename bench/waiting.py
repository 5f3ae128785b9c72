"""What HEADs cost in waiting: python -m bench.waiting heads|storm prints one line of JSON.

`heads`: as many as 256 connections carry to a server that takes 15 ms for each, against connections / latency.
`storm`: a sweep at the default rate of a bucket that refuses everything for some seconds, and how long it is slow.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from botocore.credentials import Credentials

from auditor.config import Limits
from auditor.connectors.aws.signing import S3Signer
from auditor.connectors.transfers import Transfers
from auditor.connectors.wire import Wire
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.ports import Begun
from bench.canned import name_of
from bench.ours import FASTER_THAN_ANY_SERVER, be_somebody, clock, s3
from bench.slow import HOLD, TICKS, serving, told

HEADS: Final = 80_000
CONNECTIONS: Final = 256
_AHEAD: Final = 3_000
"""Requests that wait, as in a sweep."""
STORMY: Final = 15_000
"""Objects: enough to sweep for a minute and a half at the default rate."""
BEFORE: Final = 6.0
LASTS: Final = 5.0
"""Seconds of calm, and then of storm."""
_BACK: Final = 0.8


def heads(count: int = HEADS) -> dict[str, float]:
    """HEADs a second through 256 connections, signed and read as in a sweep, and the share of what these can carry."""
    with serving(0) as address:
        signer = S3Signer(Credentials("AKIA111122223333TEST", "secret"), "bucket", (f"{address}/bucket", "x"))
        transfers = Transfers(
            signer, Wire(clock), ceiling=FASTER_THAN_ANY_SERVER, agent="cmek-auditor/bench", connections=CONNECTIONS
        )
        began, used = time.perf_counter(), time.process_time()
        asked = found = 0
        while found < count:
            while asked < count and transfers.open < _AHEAD:
                transfers.start(signer.version(name_of(asked, count), None))
                asked += 1
            found += sum(one.answer is not None for one in transfers.settled())
            if not transfers.open:
                break
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        transfers.close()
        if found != count:
            raise RuntimeError(f"{found} of {count} HEADs were answered")
        held = told(address).held
    rate = count / seconds
    return {
        "rate": rate,
        "share": rate / (CONNECTIONS / HOLD),
        "share_of_held": rate / (CONNECTIONS / held),
        "held": held,
        "cpu": cpu / count,
    }


def storm() -> dict[str, float]:
    """Sweep through a storm: seconds from its end until as much is answered in a second as 80 % of before."""
    be_somebody()
    with serving(STORMY, BEFORE, LASTS) as address, tempfile.TemporaryDirectory() as folder:
        source = s3(address, Limits().requests_per_second)
        inventory = FileInventory(Path(folder), {source.url: Layout.parse("{org}/{namespace}/")})
        written = inventory.write(source.url, Begun("s1", clock(), ""), source)
        seen = told(address)
    if (written.listed, written.resolved) != (STORMY, STORMY):
        raise RuntimeError(f"{written.listed} objects were listed and {written.resolved} resolved, of {STORMY}")
    if not seen.refused:
        raise RuntimeError("the sweep was over before the storm")
    begins, ends, last = round(BEFORE * TICKS), round((BEFORE + LASTS) * TICKS), max(seen.answered)

    def rate(until: int, ticks: int) -> float:
        return sum(seen.answered.get(tick, 0) for tick in range(until - ticks, until)) / ticks * TICKS

    former = rate(begins, 3 * TICKS)
    back = next((tick for tick in range(ends + TICKS, last) if rate(tick, TICKS) >= _BACK * former), None)
    if back is None:
        raise RuntimeError("the sweep was over before its rate was back")
    return {"back": (back - ends) / TICKS, "former": former, "refused": sum(seen.refused.values())}


def main() -> None:
    """Measure one of them."""
    print(json.dumps({"heads": heads, "storm": storm}[sys.argv[1]]()))


if __name__ == "__main__":
    main()
