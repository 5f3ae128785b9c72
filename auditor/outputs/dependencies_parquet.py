"""All dependencies of a judgement as one Parquet file: the same fields as in the JSON, for tables of millions."""

from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.findings import Assessed, Judgement
from auditor.model import Dependency
from auditor.outputs import scan_json
from auditor.ports import DependencyRows

_AT_ONCE: Final = 50_000
_MOMENT: Final = pa.timestamp("us", tz="UTC")
_FIELDS: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(("bucket", "namespace", "tenant", "owner", "team", "population", "encryption"), pa.string()),
    **dict.fromkeys(("key", "key_version", "readability", "basis", "cause"), pa.string()),
    "final_at": _MOMENT,
    **dict.fromkeys(("objects", "bytes", "archived"), pa.int64()),
    **dict.fromkeys(("oldest", "newest"), _MOMENT),
}
_SCHEMA: Final = pa.schema(_FIELDS)


def write(judgement: Judgement, rows: DependencyRows, path: Path) -> int:
    """Write them and count them; memory stays flat however many there are.

    Raises:
        OSError: it cannot be written.
    """
    coming = rows.rows(judgement.assessed)
    count = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        while some := [_told(*one) for one in islice(coming, _AT_ONCE)]:
            writer.write_batch(pa.RecordBatch.from_pylist(some, schema=_SCHEMA))
            count += len(some)
    return count


def _told(row: Dependency, assessed: Assessed) -> dict[str, Any]:
    """As the JSON has it, with moments instead of texts."""
    told = scan_json.dependency(row, assessed)
    return told | {"final_at": assessed.assessment.final_at, "oldest": row.oldest, "newest": row.newest}
