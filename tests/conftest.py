"""What holds for every test: none is timed, and none pays or waits for what it says nothing about."""

import functools
import gc

import pytest
import typer.main
from hypothesis import HealthCheck, settings

from auditor import garbage
from tests import ledger_once, sdk_once

# A busy machine is no failure of a property.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

sdk_once.share()
ledger_once.share()
# A process has one command line, and makes it once.
typer.main.get_command = functools.cache(typer.main.get_command)

_LONG = (
    *("tests/test_fleet.py", "tests/test_readme.py", "tests/truth/"),
    *("tests/test_resumed.py", "tests/test_clients_agree.py"),
)
"""What takes a minute by itself: begun last, it would keep one worker busy while the others wait for it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda one: not one.nodeid.startswith(_LONG))
    for one in items:
        if isinstance(one, pytest.Function) and _shares_with_its_module(one):
            # Each worker would make it for itself.
            one.add_marker(pytest.mark.xdist_group(one.nodeid.partition("::")[0]))


def _shares_with_its_module(one: pytest.Function) -> bool:
    made = one._fixtureinfo.name2fixturedefs.values()  # noqa: SLF001 - there is no other place
    return any(each.scope == "module" and each.baseid for defined in made for each in defined)


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays to the end: nobody needs to look through it for garbage."""
    gc.collect()
    gc.freeze()
    garbage.seldom()  # as in every process of the product


_TIDY = garbage.tidy
# After each poll it would look through all that was just set aside, which is far more than any daemon holds.
pytest.MonkeyPatch().setattr("auditor.garbage.tidy", lambda: None)


@pytest.fixture
def tidied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a judgement leaves is collected, as in the product: for tests that say so."""
    monkeypatch.setattr("auditor.garbage.tidy", _TIDY)


# The clouds' own quotas of their logs are a request or two a second: each poll that finds something would wait.
for _asked in ("aws.audit_log", "gcp.log_pages"):
    pytest.MonkeyPatch().setattr(f"auditor.connectors.{_asked}._QUOTA", 1000.0)
