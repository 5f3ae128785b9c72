"""A doctor's visit: whether a config can do its work here and now, and what is to be granted or mended."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from auditor.checkup import Answer, Check, Told
from auditor.clouds import Clocks
from auditor.config import Config
from auditor.connectors.wire import Wire
from auditor.doctoring import gone, local
from auditor.doctoring.asking import as_check, ask
from auditor.doctoring.aws_grants import aws_grants
from auditor.doctoring.choosing import chooser
from auditor.doctoring.endpoints import of_clock, of_endpoints
from auditor.doctoring.gcp_grants import gcp_grants
from auditor.doctoring.polling import of_polls
from auditor.doctoring.waivers import of_waivers
from auditor.errors import UsageError
from auditor.model import Cloud, KeyName, Reason
from auditor.skew import plausible
from auditor.wiring import clouds_of, waivers_of

__all__ = ("aws_grants", "examine", "gcp_grants", "known_keys")

_WITHIN: Final = 12.0
"""Seconds that one round may take, whoever hangs: a cloud has four at most, and is not asked where it was silent."""


def examine(
    path: Path, config: Config, clock: Callable[[], datetime] | None = None, within: float = _WITHIN
) -> tuple[Check, ...]:
    """Look at everything that the config needs, and change nothing.

    Raises:
        UsageError: a waiver of the config cannot be.
    """
    now = clock or (lambda: datetime.now(UTC))
    waivers = waivers_of(config, now())
    ledger = local.ledger(config)
    wire = Wire(now)
    checks = [*local.of_config(path, config, wire), *of_waivers(config, waivers), *local.of_machine(config, ledger)]
    clocks = Clocks(now, lambda: now() + plausible(wire.skew()))
    configured = frozenset(KeyName(one.name) for one in config.key)
    keys = {*ledger.memory, *configured}
    choose, lost = chooser(configured, ledger.memory), gone.teller(configured, ledger.memory)
    heard: list[tuple[str, Told]] = []
    asked: list[Check] = []
    for cloud, made in clouds_of(config, wire, clocks).items():
        mine = frozenset(one for one in keys if one.cloud is cloud)
        if mine:
            asked.append(of_polls(config, cloud, len(mine), made.poll_takes(mine)))
        try:
            for questions in made.doctor(choose, lost).rounds(keys):
                answers = ask(questions, within, _silent(heard))
                asked.extend(check for check, _, _ in answers)
                heard.extend((endpoint, told) for _, endpoint, told in answers if endpoint and told is not None)
        except UsageError as error:
            asked.append(_unusable(cloud, error))
    checks += of_endpoints(heard, within)
    checks.append(of_clock(wire.skew(), any(told.reason is None for _, told in heard)))
    return tuple(_in_order([*checks, *asked]))


def _silent(heard: Iterable[tuple[str, Told]]) -> frozenset[str]:
    """Endpoints that were asked, and from which nothing at all came."""
    told = list(heard)
    spoke = {endpoint for endpoint, one in told if one.reason is not Reason.TIMEOUT}
    return frozenset(endpoint for endpoint, _ in told).difference(spoke)


def known_keys(config: Config) -> tuple[KeyName, ...]:
    """Every key that the config names, or that was ever read."""
    return tuple(sorted({*local.ledger(config).memory, *(KeyName(one.name) for one in config.key)}))


def _unusable(cloud: Cloud, error: UsageError) -> Check:
    what = "AWS, default identity" if cloud is Cloud.AWS else "Google Cloud, default identity"
    told = Told(Reason.EXPIRED_CREDENTIALS, str(error), error.hint or "", Answer.MISSING)
    return as_check(what, "credentials", None, told)


def _in_order(checks: Iterable[Check]) -> list[Check]:
    """By group, the config and this machine first; within a group as they were made."""
    given = list(checks)
    local_groups = [local.CONFIG, local.MACHINE]
    others = sorted({one.group for one in given}.difference(local_groups))
    order = {name: place for place, name in enumerate([*local_groups, *others])}
    return sorted(given, key=lambda one: order[one.group])
