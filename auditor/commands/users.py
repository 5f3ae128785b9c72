"""`user`: a line for a file of users."""

import getpass
import sys

from auditor.errors import UsageError
from auditor.web.users import line_for


def make_user(name: str) -> int:
    """Print a line for a file of users; the password comes from the terminal, unseen, or from a pipe."""
    if sys.stdin is not None and sys.stdin.isatty():
        given = getpass.getpass("password: ")
        if getpass.getpass("again: ") != given:
            raise UsageError("the two are not the same", "type it again")
    else:
        given = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    line = line_for(name, given)
    sys.stdout.write(f"{line}\n")
    return 0
