"""`diff`: two judgements side by side."""

from pathlib import Path

from auditor import log
from auditor.commands.answering import Answering, place_for, reasons, writing
from auditor.config import load
from auditor.outputs import (
    diff_json,
    diff_table,
    terminal,
)
from auditor.questions.diff.comparing import compare
from auditor.wiring import stored


def compare_two(path: Path, first: str | None, last: str | None, how: Answering) -> int:
    """Print what differs between two judgements; 1 if something got worse, else 3 where something is not compared."""
    allowed = reasons(how.allow_gaps)
    place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    with stored(config) as (ledger, inventory):
        found = compare(ledger, inventory, first, last)
    with writing(how.output) as out:
        if how.form == "json":
            diff_json.write(found, out)
        else:
            terminal.plain(out).print(diff_table.difference(found))
    if found.worse or found.alarming(how.fail_on):
        return 1
    return 3 if any(gap.reason not in allowed for gap in found.all_gaps) else 0
