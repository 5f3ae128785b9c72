"""`cmek-auditor` whose daemon polls each so many seconds, oftener than a config may ask for.

`python -m bench.hasty SECONDS serve ...`: all else is as a user has it, but for the quotas of Cloud KMS and of the
audit logs, which the embedded clouds do not have.
"""

import sys
from typing import Any

from auditor import cli
from auditor.clouds import gcp
from auditor.connectors.aws import audit_log
from auditor.connectors.gcp import log_pages
from auditor.daemon.timers import Daemon


def main() -> None:
    """Run one command."""
    seconds = int(sys.argv.pop(1))
    planned = Daemon.__init__

    def hastened(daemon: Daemon, parts: Any, schedule: Any, *more: Any, **named: Any) -> None:
        planned(daemon, parts, schedule.model_copy(update={"key_poll": seconds}), *more, **named)

    Daemon.__init__ = hastened  # type: ignore[method-assign,assignment] # no config may say so
    gcp._KMS_QUOTA = 1_000.0  # type: ignore[misc] # noqa: SLF001 - no config may say so
    for pages in (audit_log, log_pages):
        pages._QUOTA = 1_000.0  # type: ignore[attr-defined] # noqa: SLF001 - no config may say so
    cli.main()


if __name__ == "__main__":
    main()
