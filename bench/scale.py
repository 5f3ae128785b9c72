"""The figures that are no pair: what a large fleet, a slow server and a storm cost, each measured by its own bench."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

NAMESPACES = 1_000_000
SUMMED = 3_000_000
MANY = 100_000_000
"""Objects that are summed up: as many as pass by, and as many as the bar speaks of."""


class Figure(NamedTuple):
    """One line of the results."""

    name: str
    measured: str
    must: str = ""
    aim: str = ""


def figures(*, quick: bool) -> Iterator[Figure]:
    """Measure all; `quick` does it once, with a quarter of the namespaces and without the file of many objects."""
    yield from _judging(NAMESPACES // (4 if quick else 1), 1 if quick else 3)
    yield from _waiting(1 if quick else 3)
    yield from _in_shards(quick=quick)
    yield from _summing_up(quick=quick)


def _judging(namespaces: int, rounds: int) -> Iterator[Figure]:
    told = _run("judging", namespaces, rounds)
    judged, read = told["rounds"], told["read"]

    def middle(of: Callable[[Any], float]) -> float:
        return median(of(one) for one in judged)

    def took(what: str) -> str:
        seconds = middle(lambda one: one[what]["poll"] + one[what]["scrape"])
        return f"{seconds:.1f} s ({middle(lambda one: one[what]['cpu']):.1f} s of CPU)"

    size = f"{namespaces / 1e6:g} M namespaces, 1,000 keys, {namespaces * 3 / 1e6:g} M dependencies"
    found = f"{judged[0]['findings']:,} findings"
    yield Figure(f"judge, keep and metrics: {size}, {found}; the first of a process", took("first"), "15 s", "3 s")
    yield Figure("the same, after the key of all namespaces was disabled", took("changed"), "15 s", "3 s")
    yield Figure("the same, nothing changed", took("unchanged"), "15 s", "3 s")
    yield Figure("peak memory of that process", f"{max(one['mib'] for one in judged):.0f} MiB", "1 GB", "400 MB")
    name = f"impact of destroying the key that all {namespaces / 1e6:g} M namespaces are under, nothing known before"
    seconds = f"{middle(lambda one: one['impact']['seconds']):.2f} s"
    yield Figure(name, f"{seconds} ({middle(lambda one: one['impact']['cpu']):.2f} s of CPU)", "1 s")
    yield Figure("the report of the same as a page, nothing known before", _page(judged), "10 s, 5 MB, 500 MB")
    scrape = f"{middle(lambda one: one['changed']['scrape']) * 1000:.0f} ms"
    yield Figure("scrape of /metrics, the first after a change", scrape, "100 ms", "20 ms")
    scrape = f"{middle(lambda one: one['again']['scrape']) * 1000:.1f} ms"
    yield Figure("any other scrape", scrape, "100 ms", "20 ms")
    yield Figure("size of a scrape", f"{max(one['again']['bytes'] for one in judged) / 1e6:.2f} MB", "1 MB")
    name = f"reading 1,000 keys of an embedded Cloud KMS without quotas ({read['requests']:,} requests)"
    yield Figure(name, f"{read['seconds']:.1f} s ({read['cpu']:.1f} s of CPU)")


def _page(judged: list[Any]) -> str:
    cpu, seconds, mib = (median(one["report"][what] for one in judged) for what in ("cpu", "seconds", "mib"))
    return f"{seconds:.1f} s ({cpu:.1f} s of CPU), {judged[0]['report']['bytes'] / 1e6:.2f} MB, {mib:.0f} MiB"


def _waiting(rounds: int) -> Iterator[Figure]:
    heads = [_run("waiting", "heads") for _ in range(rounds)]
    rate, cpu, held = (median(one[what] for one in heads) for what in ("rate", "cpu", "held"))
    share, of_held = (median(one[what] for one in heads) for what in ("share", "share_of_held"))
    name = "HEAD with 15 ms of delay through 256 connections, against connections / latency"
    told = (
        f"{rate:,.0f}/s, {cpu * 1e6:.0f} us of CPU each; {of_held:.2f} of what the server's {held * 1e3:.1f} ms allow"
    )
    yield Figure(name, f"{share:.2f} ({told})", "0.85", "0.95")
    storm = _run("waiting", "storm")
    name = f"from the end of a storm of 503 ({storm['refused']:.0f} refused, no object lost) to 80 % of the former rate"
    yield Figure(name, f"{storm['back']:.0f} s ({storm['former']:.0f}/s before)", "60 s")


def _in_shards(*, quick: bool) -> Iterator[Figure]:
    told = _run("shards", *([30_000] if quick else []))
    one, several = told["one"], told["several"]
    name = f"first sweep of {told['objects']:,} objects whose pages take 0.2 s each: four streams against one"
    requests = f"{several['requests']:,} pages instead of {one['requests']:,}"
    measured = f"{one['seconds'] / several['seconds']:.1f}x ({several['seconds']:.0f} s, {requests})"
    yield Figure(name, measured)


def _summing_up(*, quick: bool) -> Iterator[Figure]:
    told = _run("aggregate", SUMMED, *([] if quick else [MANY]))
    each = told["passing"]["cpu"]
    name = f"summing up objects while they pass by, CPU an object ({SUMMED / 1e6:g} M measured)"
    yield Figure(name, f"{each * 1e6:.2f} us, that is {each * MANY:.0f} s for {MANY / 1e6:g} M", "20 s")
    if told["sql"] is not None:
        name = f"the same sums by one query over a file of {MANY / 1e6:g} M, with 300 MB"
        yield Figure(name, f"{told['sql']['seconds']:.1f} s ({told['sql']['mib']:.0f} MiB in all)", "20 s")


def _run(script: str, *asked: object) -> Any:
    """Run a bench as a process of its own."""
    command = [sys.executable, "-m", f"bench.{script}", *map(str, asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout.splitlines()[-1])
