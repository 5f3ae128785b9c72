"""`impact` lets nothing pass that could be known, whatever its reader has got used to allowing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor.wiring import assemble
from tests.bundles import BUNDLE, Customer, a_customer, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud

OTHER = f"{GOOGLE_KEY}-2"
BY_NUMBER = GOOGLE_KEY.replace("projects/acme", "projects/123456")
USED_TO = ("--allow-gaps", "not_visible")
"""What whoever sees no bucket allows each day."""
REGISTRY = '[[registry]]\nkind = "file"\npath = "own.csv"\nbucket = "gs://data"\n'


@pytest.fixture
def customer(tmp_path: Path) -> Iterator[Customer]:
    with an_operator(tmp_path) as operator:
        operator.cloud.store.add_key(OTHER)
        found = a_customer(operator)
        operator.hand_over(found)
        yield found


def asked(customer: Customer | Small, command: str, key: str, *more: str) -> int:
    return run(command, "--config", str(customer.config), key, *more)


def test_data_under_a_name_that_may_be_the_keys_other_one_is_not_left_out(customer: Customer) -> None:
    customer.polled()
    assert asked(customer, "impact", BY_NUMBER, *USED_TO) == 3


@pytest.mark.parametrize(("days", "code"), [(1, 0), (40, 3)])
def test_a_bundle_that_has_grown_too_old_since_the_last_poll_is_told(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], days: int, code: int
) -> None:
    customer.configure(f'{BUNDLE}[[key]]\nname = "{OTHER}"\n')
    customer.polled()

    def later(config: Any, *_: Any, **more: Any) -> Any:
        return assemble(config, lambda: datetime.now(UTC) + timedelta(days=days), **more)

    monkeypatch.setattr("auditor.commands.answering.assemble", later)
    assert asked(customer, "impact", OTHER, *USED_TO) == code
    assert ("hours ago, and max_age_hours allows 48" in capsys.readouterr().out) is (code == 3)


def test_that_a_bundle_is_too_old_is_told_once(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    customer.configure(f'{BUNDLE}max_age_hours = 1\n[[key]]\nname = "{OTHER}"\n')
    for days in (20, 40):
        monkeypatch.setattr(
            "auditor.commands.answering.assemble",
            lambda config, *_, days=days, **more: assemble(
                config, lambda: datetime.now(UTC) + timedelta(days=days), **more
            ),
        )
        if days == 20:
            run("poll", "-q", "--config", str(customer.config))
    capsys.readouterr()
    assert asked(customer, "impact", OTHER, *USED_TO) == 3
    assert capsys.readouterr().out.count("max_age_hours allows") == 1


def test_where_registries_name_no_key_how_much_depends_on_one_is_not_known(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    customer.configure(f'{REGISTRY}[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n')
    (customer.folder / "own.csv").write_text("namespace,key,tenant\nacme/search,,acme\n")
    customer.polled()
    asked(customer, "impact", GOOGLE_KEY, "--format", "json")
    told = json.loads(capsys.readouterr().out)["affected"]
    assert (told["objects"], told["bytes"], told["namespaces"]) == (None, None, None)
    asked(customer, "prove-revoked", GOOGLE_KEY, "-q", "--format", "json")
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["objects"], data["namespaces"]) == (None, None)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Small]:
    """A bucket without an object, and a key that is watched by both its names."""
    with a_small_cloud(tmp_path) as small:
        small.cloud.store.buckets["data"].objects.clear()
        watched = "".join(f'\n[[key]]\nname = "{one}"\n' for one in (GOOGLE_KEY, BY_NUMBER))
        small.config.write_text(small.config.read_text() + watched)
        yield small


@pytest.mark.parametrize("asked_by", [GOOGLE_KEY, BY_NUMBER], ids=["id", "number"])
@pytest.mark.parametrize("default", [GOOGLE_KEY, BY_NUMBER], ids=["by id", "by number"])
def test_what_new_data_of_a_bucket_comes_under_is_needed_though_there_is_none_yet(
    empty: Small, capsys: pytest.CaptureFixture[str], default: str, asked_by: str
) -> None:
    empty.cloud.store.buckets["data"].default_key = default
    for command in ("scan", "poll"):
        run(*empty.argv(command, "-q"))
    capsys.readouterr()
    assert asked(empty, "impact", asked_by) == 1
    told = capsys.readouterr().out
    assert "it is the default key of gs://data: new data would fail" in told
    assert asked(empty, "impact", OTHER) != 1


def test_a_default_key_that_may_be_it_by_another_name_is_a_gap(
    empty: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.cloud.store.buckets["data"].default_key = BY_NUMBER
    empty.cloud.store.deny("cloudkms.cryptoKeys.get", BY_NUMBER)
    run(*empty.argv("scan", "-q"))
    capsys.readouterr()
    assert asked(empty, "impact", GOOGLE_KEY, *USED_TO) == 3
    assert f"its default key {BY_NUMBER} may be {GOOGLE_KEY} by the other name of its project" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_bucket_that_has_come_into_the_config_since_is_no_matter_of_habit(
    customer: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    customer.configure(f'[[key]]\nname = "{OTHER}"\n')
    customer.polled()
    customer.configure(f'[[key]]\nname = "{OTHER}"\n[[bucket]]\nurl = "gs://data"\nlayout = "{{org}}/{{namespace}}/"\n')
    assert asked(customer, "impact", OTHER, *USED_TO) == 3
    assert "it is in the config since" in capsys.readouterr().out
