"""Small files of JSON that are whole or not there, and that tell when somebody or the disk has changed them."""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor.inventory import files


def write(path: Path, told: Any) -> None:
    """Write one, in place of any that was there."""
    body = json.dumps(told, default=datetime.isoformat)
    writing = path.with_name(f"{files.UNFINISHED}{path.name}")
    with writing.open("w", encoding="utf-8") as file:
        file.write(f"{_digest(body)}\n{body}")
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)


def read(path: Path) -> Any:
    """What somebody wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what was written.
    """
    digest, _, body = path.read_text(encoding="utf-8").partition("\n")
    if digest != _digest(body):
        raise ValueError("it was changed")
    return json.loads(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
