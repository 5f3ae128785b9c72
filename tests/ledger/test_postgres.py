"""What is told of a PostgreSQL server's faults; with a server, tests/system/test_postgres.py."""

import pytest

from auditor.ledger import postgres

NO_CONNECTION = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
REACH = "look whether the server runs and can be reached"
FAULTS = {
    "it does not run": (f"{NO_CONNECTION}Connection refused", REACH),
    "it does not answer": ("connection timeout expired", REACH),
    "it goes": ("terminating connection due to administrator command", REACH),
    "it comes": (f"{NO_CONNECTION}FATAL:  the database system is starting up", REACH),
    "its name is not known": ("failed to resolve host 'db': [Errno -2] Name or service not known", REACH),
    "no connection is free here": ("TimeoutError", REACH),
    "wrong password": (f'{NO_CONNECTION}FATAL:  password authentication failed for user "a"', "give the password"),
    "no password": (f"{NO_CONNECTION}fe_sendauth: no password supplied", "give the password"),
    "not admitted": (
        f'{NO_CONNECTION}FATAL:  no pg_hba.conf entry for host "10.0.0.1"',
        "let the server's pg_hba.conf",
    ),
    "no connection is free there": (f"{NO_CONNECTION}FATAL:  sorry, too many clients already", "close connections"),
    "none is left for users": (
        f"{NO_CONNECTION}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "close connections",
    ),
    "no more for the user": (f'{NO_CONNECTION}FATAL:  too many connections for role "a"', "close connections"),
    "no such database": (f'{NO_CONNECTION}FATAL:  database "a" does not exist', "look whether `ledger` in the config"),
    "a table is gone": ('relation "event" does not exist', "look whether `ledger` in the config"),
    "read-only": ("cannot execute INSERT in a read-only transaction", "look why the server lets nothing be written"),
    "not allowed": ("permission denied for table event", "the database's user must own it"),
    "full": ('could not extend file "base/1/2": No space left on device', "make room on the server's disk"),
    "locked": ("canceling statement due to lock timeout", "another process writes to it"),
    "slow": ("canceling statement due to statement timeout", "look what keeps the server busy"),
    "whatever else": ("invalid page in block 0 of relation base/1/2", "look into the server's own log"),
}


@pytest.mark.parametrize(("told", "hint"), FAULTS.values(), ids=FAULTS)
def test_each_fault_of_a_server_has_its_own_advice_and_none_is_to_begin_anew(told: str, hint: str) -> None:
    advice = postgres._hint(told)  # noqa: SLF001 - a server says few of these when it is asked to
    assert advice.startswith(hint)
    assert "move it away" not in advice
