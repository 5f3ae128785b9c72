"""Every pair in turn against the canned server: python -m bench.run BASELINE_PYTHON [--quick].

Figures are ratios within one run on one machine: they mean something on another one, which seconds do not.
"""

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench import scale
from bench.canned import Canned, serving

HERE = Path(__file__).parent
Told = dict[str, float]
AGAIN = 60_000
"""Objects of the bucket that is swept twice."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing that is measured, ours beside the SDKs'."""

    name: str
    what: str
    figure: str
    """`rate`: objects a second; `cpu`: CPU seconds an object."""
    ours: int
    theirs: int
    """Objects that each side is given: the slow side needs fewer for a steady figure."""
    must: float | None


PAIRS = (
    Pair("S3 first sweep into a snapshot, objects/s (TLS)", "s3", "rate", 60_000, 6_000, 20),
    Pair("the same, CPU an object", "s3", "cpu", 60_000, 6_000, 20),
    Pair("S3 LIST and decode, CPU an object (TLS)", "s3-list", "cpu", 200_000, 60_000, 12),
    Pair("Cloud Storage LIST and decode, CPU an object (TLS)", "gcs-list", "cpu", 200_000, 60_000, 4),
    Pair("the same, and into a snapshot, which the SDK does not make", "gcs", "cpu", 200_000, 60_000, None),
)


def run(python: str, script: str, what: str, canned: Canned) -> Told:
    """Run one side as a process of its own."""
    command = [python, str(HERE / script), what, canned.https, str(canned.certificates)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    told: Told = json.loads(done.stdout.splitlines()[-1])
    if told["objects"] != canned.objects:
        raise RuntimeError(f"{script} {what} saw {told['objects']} of {canned.objects} objects")
    return told


def main() -> None:
    """Measure, print, and write results.md."""
    baseline, quick = sys.argv[1], "--quick" in sys.argv
    rounds = 1 if quick else 3
    seen: dict[tuple[str, str], list[Told]] = {}
    for one in {pair.what: pair for pair in PAIRS}.values():
        shrink = 4 if quick else 1
        with serving(one.ours // shrink) as large, serving(one.theirs // shrink) as small:
            for _ in range(rounds):
                seen.setdefault((one.what, "ours"), []).append(run(sys.executable, "ours.py", one.what, large))
                seen.setdefault((one.what, "theirs"), []).append(run(baseline, "baseline.py", one.what, small))
    lines = ["| figure | ours | SDK | ratio | must |", "| --- | --- | --- | --- | --- |"]
    for pair in PAIRS:
        ours, theirs = (seen[pair.what, side] for side in ("ours", "theirs"))
        lines.append(_row(pair, ours, theirs))
    listed = median(one["cpu"] / one["objects"] for one in seen["s3-list", "ours"])
    with serving(AGAIN // (4 if quick else 1)) as canned:
        again = [run(sys.executable, "ours.py", "s3-again", canned) for _ in range(rounds)]
    seen["s3-again", "ours"] = again
    rescan = median(one["cpu"] / one["objects"] for one in again)
    told = f"{rescan * 1e6:.1f} us | {listed * 1e6:.1f} us (ours, listing alone) | {rescan / listed:.1f} | 1.2"
    lines.append(f"| S3 sweep of an unchanged bucket into a snapshot, CPU an object (TLS) | {told} |")
    peak = max(one["mib"] for (_, side), told in seen.items() if side == "ours" for one in told)
    lines.append(f"| peak memory of ours, MiB | {peak:.0f} | | | 200 |")
    lines += ["", "| figure | measured | must | aim |", "| --- | --- | --- | --- |"]
    lines += [f"| {one.name} | {one.measured} | {one.must} | {one.aim} |" for one in scale.figures(quick=quick)]
    text = "\n".join(lines)
    sys.stdout.write(f"{text}\n")
    if not quick:
        (HERE / "results.md").write_text(f"{_facts(rounds)}\n\n{text}\n", encoding="utf-8")


def _row(pair: Pair, ours: list[Told], theirs: list[Told]) -> str:
    if pair.figure == "rate":
        mine, other = (median(one["objects"] / one["seconds"] for one in side) for side in (ours, theirs))
        return f"| {pair.name} | {mine:,.0f} | {other:,.0f} | {mine / other:.1f}x | {pair.must:.0f}x |"
    mine, other = (median(one["cpu"] / one["objects"] for one in side) * 1e6 for side in (ours, theirs))
    must = f"1/{pair.must:.0f}" if pair.must else ""
    return f"| {pair.name} | {mine:.1f} us | {other:.1f} us | 1/{other / mine:.1f} | {must} |"


def _facts(rounds: int) -> str:
    parts = (f"{name} {version(name)}" for name in ("pycurl", "lxml", "msgspec", "pyarrow", "duckdb"))
    machine = ", ".join((platform.machine(), f"Python {platform.python_version()}", *parts))
    return (
        f"# Measured\n\n`make bench`: medians of {rounds} rounds, one after the other, against nginx on the same "
        f"machine ({machine}). The SDKs ran in an environment of their own. Bars and method: [README.md](README.md)."
    )


if __name__ == "__main__":
    main()
