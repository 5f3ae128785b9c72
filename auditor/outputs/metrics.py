"""The newest judgement as Prometheus metrics: no global registry, bounded labels, every rule and reason at zero."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from operator import add
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from auditor.daemon.detecting import BOUNDS, Latencies
from auditor.feeds.silence import Ear
from auditor.findings import Assessed, Finding, Judgement, Severity, Status, SubjectKind, member_of
from auditor.log import visible
from auditor.model import Reason, split_version
from auditor.outputs import summary
from auditor.outputs.summary import Amount
from auditor.ports import DependencyRows, LogStanding

_WORST: Final = 50
"""Key versions and findings with series of their own; the rest goes together under `other`."""
_BUCKETS: Final = 100
"""Buckets with series of their own; the rest goes together likewise, each figure by the worst or as a sum."""
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Described:
    """One metric for people: name, labels, meaning."""

    name: str
    labels: tuple[str, ...]
    meaning: str
    counter: bool = False
    histogram: bool = False


TABLE: Final = (
    Described(
        "cmek_dependent_objects",
        ("bucket", "readability", "basis"),
        "Stored objects, by what encryption lets be read and on what that judgement stands. Of the judgement the 100 "
        "buckets with the worst data, then those of which least is known, are named; the rest goes under bucket other.",
    ),
    Described("cmek_dependent_bytes", ("bucket", "readability", "basis"), "Bytes of those objects."),
    Described("cmek_dependent_namespaces", ("bucket", "readability"), "Namespaces with at least one such object."),
    Described(
        "cmek_key_version_dependent_objects",
        ("key", "version", "readability"),
        "Objects under one key version; the worst 50, the rest under key other. AWS keys have no version label.",
    ),
    Described("cmek_key_version_dependent_bytes", ("key", "version", "readability"), "Bytes of those objects."),
    Described(
        "cmek_key_version_dependent_namespaces",
        ("key", "version", "readability"),
        "Namespaces of those objects, of the worst 50 alone.",
    ),
    Described(
        "cmek_key_version_final_timestamp_seconds",
        ("key", "version"),
        "When data under a key version is lost for good or stops being readable; the worst 50 that have a date.",
    ),
    Described(
        "cmek_next_loss_timestamp_seconds",
        (),
        "The nearest of all those dates; +Inf when none is known, and missing where nobody has told of any data yet.",
    ),
    Described("cmek_findings", ("rule", "severity", "status"), "Findings of the newest judgement."),
    Described(
        "cmek_finding_info",
        ("id", "rule", "severity", "key", "version", "tenant", "owner", "team", "actor"),
        "1 for each open critical or high finding, the worst 50. Of several tenants, owners or teams none is named; "
        "actor is who did it, by the audit log.",
    ),
    Described("cmek_finding_objects", ("id",), "Objects that hang on each finding of cmek_finding_info, where known."),
    Described("cmek_finding_namespaces", ("id",), "Namespaces of those objects."),
    Described(
        "cmek_finding_final_timestamp_seconds",
        ("id",),
        "When it becomes final, or an expiry begins; findings of cmek_finding_info that have a date.",
    ),
    Described("cmek_gaps", ("reason",), "What could not be read."),
    Described(
        "cmek_coverage_ratio",
        ("bucket",),
        "Share of a bucket's objects whose encryption is known, 0 to 1; of other the least.",
    ),
    Described(
        "cmek_oldest_verification_timestamp_seconds",
        ("bucket",),
        "When the key of the longest unverified object was last read.",
    ),
    Described(
        "cmek_key_state_oldest_read_timestamp_seconds", (), "The oldest of the newest readings of all needed keys."
    ),
    Described(
        "cmek_key_poll_last_success_timestamp_seconds",
        (),
        "When all keys were last polled and judged; a poll of a few, as of a feed's, does not count.",
    ),
    Described(
        "cmek_key_poll_effective_interval_seconds", (), "Time between the last two polls, at least as configured."
    ),
    Described(
        "cmek_sweep_last_success_timestamp_seconds",
        ("bucket",),
        "When the newest complete sweep ended; of other the oldest.",
    ),
    Described(
        "cmek_sweep_objects",
        ("bucket", "outcome"),
        "Objects that complete sweeps of this process have listed; outcome is resolved or unresolved.",
        counter=True,
    ),
    Described(
        "cmek_sweep_cloud_count_difference_objects",
        ("bucket",),
        "What the cloud itself counts beyond what the newest complete sweep listed, below zero where that is more; "
        "missing where the two are not compared; of other the most.",
    ),
    Described(
        "cmek_bundle_oldest_sweep_timestamp_seconds",
        ("registry",),
        "When the oldest sweep began that the operator's bundle tells of, the one that was believed last.",
    ),
    Described(
        "cmek_sweep_duration_seconds", ("bucket",), "How long the newest complete sweep took; of other the longest."
    ),
    Described(
        "cmek_api_requests",
        ("service", "operation", "outcome"),
        "Answers of the clouds since this process started; outcome is ok, the service's error code, or other from the "
        "21st code of an operation on.",
        counter=True,
    ),
    Described(
        "cmek_feed_last_event_timestamp_seconds",
        ("feed",),
        "When the newest event happened that a feed told of, by the cloud's clock; missing until one came.",
    ),
    Described(
        "cmek_feed_last_answer_timestamp_seconds",
        ("feed",),
        "When a feed's service last answered, be it that nothing came.",
    ),
    Described(
        "cmek_feed_messages",
        ("feed", "outcome"),
        "Messages of a feed: needed (they hint at a key that is needed), unneeded (at another one), nothing or poison.",
        counter=True,
    ),
    Described(
        "cmek_waiver_end_timestamp_seconds",
        ("rule", "owner"),
        "When a waiver ends; of several with one rule and owner, the first.",
    ),
    Described(
        "cmek_log_entries",
        ("outcome",),
        "Entries of our own log, with [log] cloud_logging, since this process started; outcome is written, refused "
        "(the service takes it never) or lost (given up after 14 days).",
        counter=True,
    ),
    Described(
        "cmek_log_last_success_timestamp_seconds",
        (),
        "When our own log was last told all that there was; missing until then, and without [log] cloud_logging.",
    ),
    Described(
        "cmek_reports_waiting",
        (),
        "Kept reports that are not uploaded yet; missing without [report] upload, NaN where nobody can tell.",
    ),
    Described(
        "cmek_detection_latency_seconds",
        (),
        "From a change, as the audit log dates it, until a judgement with a finding on it was stored: of changes that "
        "this process saw happening, each once the log tells.",
        histogram=True,
    ),
    Described("cmek_leader", (), "1 where this daemon works, 0 where it waits while another one does."),
    Described(
        "cmek_config_last_reload_successful",
        (),
        "1, or 0 where the config was to be read anew and could not be: the one of before stays.",
    ),
    Described("cmek_clock_skew_seconds", (), "Median of the clouds' clocks minus ours."),
    Described("cmek_build_info", ("version", "rules_version"), "1, with the version of the auditor and of its rules."),
)
"""Every metric, in the order in which a scrape shows them."""

_T = TypeVar("_T")
Samples = Iterable[tuple[tuple[str, ...], float]]


class JudgementCollector(Collector):
    """Reads the newest judgement when it is scraped; it never calls a cloud."""

    def __init__(
        self,
        read: Callable[[], Judgement | None],
        rows: Callable[[Judgement], DependencyRows],
        counts: Callable[[], Mapping[tuple[str, str, str], int]],
        swept: Callable[[], Mapping[tuple[str, str], int]],
        *,
        reloaded: Callable[[], bool],
        leads: Callable[[], bool],
        own_log: Callable[[], LogStanding | None] = lambda: None,
        rules: tuple[tuple[str, Severity], ...],
        version: tuple[str, str],
        ears: Callable[[], tuple[Ear, ...]] = tuple,
        latencies: Callable[[], Latencies] = Latencies,
        waiting: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._read = read
        self._rows = rows
        self._counts = counts
        self._swept = swept
        self._reloaded = reloaded
        self._leads = leads
        self._own_log = own_log
        self._rules = rules
        self._version = version
        self._ears = ears
        self._latencies = latencies
        self._waiting = waiting
        self._kept: tuple[str, dict[str, Samples]] | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield all families; those of the judgement are missing before the first one."""
        judgement = self._read()
        samples: dict[str, Samples] = dict(self._of(judgement)) if judgement is not None else {}
        samples["cmek_api_requests"] = [(place, count) for place, count in sorted(self._counts().items())]
        swept = sorted(self._swept().items())
        # By name, as what is counted must not go from one series to another.
        named = frozenset(sorted({bucket for (bucket, _), _ in swept})[:_BUCKETS])
        samples["cmek_sweep_objects"] = _bounded(named, swept, add)
        if (log := self._own_log()) is not None:
            samples["cmek_log_entries"] = [((outcome,), count) for outcome, count in sorted(log.entries.items())]
            if log.told_at is not None:
                samples["cmek_log_last_success_timestamp_seconds"] = [((), log.told_at.timestamp())]
        samples.update(_of_feeds(self._ears()))
        if (waiting := self._waiting()) is not None:
            samples["cmek_reports_waiting"] = [((), waiting)]
        samples["cmek_leader"] = [((), float(self._leads()))]
        samples["cmek_config_last_reload_successful"] = [((), float(self._reloaded()))]
        samples["cmek_build_info"] = [(self._version, 1)]
        for one in TABLE:
            if one.histogram:
                yield _histogram(one, self._latencies())
            elif one.name in samples:
                yield _family(one, samples[one.name])

    def _of(self, judgement: Judgement) -> dict[str, Samples]:
        """Count namespaces once a judgement: the same judgement gives the same samples."""
        if self._kept is None or self._kept[0] != judgement.run.id:
            self._kept = judgement.run.id, self._measure(judgement, self._rows(judgement))
        return self._kept[1]

    def _measure(self, judgement: Judgement, rows: DependencyRows) -> dict[str, Samples]:
        namespaces = rows.namespaces_by_readability(judgement.assessed)
        named = _named_buckets(judgement)
        by_bucket = sorted(summary.by_bucket(judgement.assessed).items())
        # What nobody saw has no number, nor has what goes together with it: 0 would say that nothing is there.
        amounts = _bounded(named, ((_labels(place), amount) for place, amount in by_bucket), add)
        return {
            "cmek_dependent_objects": [(place, one.objects) for place, one in amounts if one.objects is not None],
            "cmek_dependent_bytes": [(place, one.size) for place, one in amounts if one.size is not None],
            "cmek_dependent_namespaces": _bounded(
                named,
                (((bucket, readability.value), count) for (bucket, readability), count in sorted(namespaces.items())),
                add,
            ),
            **_of_sweeps(judgement, named),
            **_by_key_version(judgement, rows),
            "cmek_next_loss_timestamp_seconds": _next_loss(judgement),
            "cmek_findings": self._findings(judgement),
            **_named(judgement),
            "cmek_gaps": [((reason.value,), sum(gap.reason is reason for gap in judgement.gaps)) for reason in Reason],
            "cmek_key_state_oldest_read_timestamp_seconds": [
                ((), moment.timestamp()) for moment in [judgement.oldest_key_read] if moment
            ],
            "cmek_key_poll_last_success_timestamp_seconds": [
                ((), moment.timestamp()) for moment in [judgement.whole_poll] if moment
            ],
            "cmek_key_poll_effective_interval_seconds": [
                ((), interval.total_seconds()) for interval in [judgement.poll_interval] if interval
            ],
            "cmek_bundle_oldest_sweep_timestamp_seconds": [
                ((one.name,), one.bundle.swept.timestamp()) for one in judgement.registered.bundles if one.bundle
            ],
            "cmek_waiver_end_timestamp_seconds": _waiver_ends(judgement),
            "cmek_clock_skew_seconds": [((), judgement.run.skew.total_seconds())],
        }

    def _findings(self, judgement: Judgement) -> Samples:
        counts = {(rule, severity.value, status.value): 0 for rule, severity in self._rules for status in Status}
        for one in judgement.findings:
            place = one.rule, one.severity.value, one.status.value
            counts[place] = counts.get(place, 0) + 1
        return sorted(counts.items())


def _named_buckets(judgement: Judgement) -> frozenset[str]:
    """Those with the worst data, then those of which least is known, then by name: the same from scrape to scrape."""
    worst: dict[str, int] = {}
    for one in judgement.assessed:
        bucket = one.holding.bucket
        worst[bucket] = min(_badness(one), worst.get(bucket, len(summary.WORST_FIRST)))
    ratios = {one.bucket: one.ratio for one in judgement.coverage.buckets}

    def rank(bucket: str) -> tuple[int, float, str]:
        return worst.get(bucket, len(summary.WORST_FIRST)), ratios.get(bucket, 1.0), bucket

    return frozenset(sorted(worst.keys() | ratios.keys(), key=rank)[:_BUCKETS])


def _of_sweeps(judgement: Judgement, named: Collection[str]) -> dict[str, Samples]:
    """How well and how newly each bucket is known; of those that go together, the one of which least is."""
    every = judgement.coverage.buckets
    whole = [(one.bucket, one.sweep_started, one.sweep_ended) for one in every]
    swept = [(bucket, began, ended) for bucket, began, ended in whole if began and ended]
    return {
        "cmek_coverage_ratio": _bounded(named, (((one.bucket,), one.ratio) for one in every), min),
        "cmek_oldest_verification_timestamp_seconds": _bounded(
            named,
            (((one.bucket,), one.oldest_verified.timestamp()) for one in every if one.oldest_verified),
            min,
        ),
        "cmek_sweep_last_success_timestamp_seconds": _bounded(
            named, (((bucket,), ended.timestamp()) for bucket, _, ended in swept), min
        ),
        "cmek_sweep_cloud_count_difference_objects": _bounded(
            named,
            (
                ((one.bucket,), one.compared.difference)
                for one in every
                if one.compared is not None and one.compared.difference is not None
            ),
            max,
        ),
        "cmek_sweep_duration_seconds": _bounded(
            named, (((bucket,), (ended - began).total_seconds()) for bucket, began, ended in swept), max
        ),
    }


def _bounded(
    named: Collection[str], samples: Iterable[tuple[tuple[str, ...], _T]], merge: Callable[[_T, _T], _T]
) -> list[tuple[tuple[str, ...], _T]]:
    """The samples of the named buckets as they are, and those of all others as one; a bucket is their first label."""
    found: dict[tuple[str, ...], _T] = {}
    for (bucket, *more), value in samples:
        place = bucket if bucket in named else _OTHER, *more
        found[place] = merge(found[place], value) if place in found else value
    return list(found.items())


def _next_loss(judgement: Judgement) -> Samples:
    """When the next data is lost; nothing where nobody told of any data, because "never" would be an all-clear."""
    if judgement.next_loss is None and judgement.is_untold:
        return []
    return [((), judgement.next_loss.timestamp() if judgement.next_loss else float("inf"))]


def _of_feeds(ears: Iterable[Ear]) -> dict[str, Samples]:
    every = tuple(ears)
    return {
        "cmek_feed_last_event_timestamp_seconds": [
            ((one.feed,), one.newest.timestamp()) for one in every if one.newest is not None
        ],
        "cmek_feed_last_answer_timestamp_seconds": [
            ((one.feed,), one.answered.timestamp()) for one in every if one.answered is not None
        ],
        "cmek_feed_messages": [
            ((one.feed, outcome), count) for one in every for outcome, count in sorted(one.messages.items())
        ],
    }


def _waiver_ends(judgement: Judgement) -> Samples:
    ends: dict[tuple[str, ...], float] = {}
    for one in judgement.waivers:
        place = one.waiver.rule, one.waiver.owner
        ends[place] = min(one.waiver.until.timestamp(), ends.get(place, float("inf")))
    return sorted(ends.items())


def _family(one: Described, samples: Samples) -> Metric:
    kind = CounterMetricFamily if one.counter else GaugeMetricFamily
    family = kind(one.name, one.meaning, labels=one.labels)
    for labels, value in samples:
        family.add_metric(tuple(map(_harmless, labels)), value)
    return family


def _histogram(one: Described, found: Latencies) -> Metric:
    edges = (*(str(bound) for bound in BOUNDS), "+Inf")
    buckets = list(zip(edges, accumulate(found.counts), strict=True))
    return HistogramMetricFamily(one.name, one.meaning, buckets=buckets, sum_value=found.total)


def _harmless(label: str) -> str:
    """A label as it is; with characters that command a terminal, they are escaped, and a digest tells such names apart.

    Without it a name with an escape in it, and one that is spelt like that escape, would be one series.
    """
    if label.isprintable():
        return label
    return f"{visible(label)} ({sha256(label.encode(errors='surrogatepass')).hexdigest()[:8]})"


def _labels(place: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(one) for one in place)


def _by_key_version(judgement: Judgement, rows: DependencyRows) -> dict[str, Samples]:
    groups: dict[tuple[str, str, str], list[Assessed]] = {}
    for one in judgement.assessed:
        if one.holding.key is not None:
            place = one.holding.key, one.holding.key_version or "", one.assessment.readability.value
            groups.setdefault(place, []).append(one)
    ranked = sorted(groups.items(), key=lambda item: (_badness(item[1][0]), -_weight(item[1]), item[0]))
    objects: dict[tuple[str, ...], float] = {}
    sizes: dict[tuple[str, ...], float] = {}
    spaces: dict[tuple[str, ...], float] = {}
    final: dict[tuple[str, ...], float] = {}
    for rank, (name, group) in enumerate(ranked):
        labels = name if rank < _WORST else (_OTHER, "", name[2])
        amount = _amount(group)
        for numbers, count in ((objects, amount.objects), (sizes, amount.size)):
            if count is not None:
                numbers[labels] = numbers.get(labels, 0) + count
        if rank < _WORST:
            spaces[labels] = rows.count_namespaces(member_of(one.holding) for one in group)
            dates = [one.assessment.final_at.timestamp() for one in group if one.assessment.final_at]
            if dates:
                final[name[:2]] = min(dates)
    return {
        "cmek_key_version_dependent_objects": list(objects.items()),
        "cmek_key_version_dependent_bytes": list(sizes.items()),
        "cmek_key_version_dependent_namespaces": list(spaces.items()),
        "cmek_key_version_final_timestamp_seconds": list(final.items()),
    }


def _badness(one: Assessed) -> int:
    return summary.WORST_FIRST.index(one.assessment.readability)


def _amount(group: list[Assessed]) -> Amount:
    return sum((Amount(one.holding.objects, one.holding.size) for one in group), Amount())


def _weight(group: list[Assessed]) -> int:
    """How much hangs on it: objects, or where nobody saw any, namespaces."""
    return sum(one.holding.namespaces if one.holding.objects is None else one.holding.objects for one in group)


def _named(judgement: Judgement) -> dict[str, Samples]:
    """The worst findings by name, and what hangs on each."""
    grave = {Severity.CRITICAL, Severity.HIGH}
    shown = [one for one in judgement.findings if one.status is Status.OPEN and one.severity in grave][:_WORST]
    return {
        "cmek_finding_info": [(_info(one), 1) for one in shown],
        "cmek_finding_objects": [((one.id,), one.extent.objects) for one in shown if one.extent.objects is not None],
        "cmek_finding_namespaces": [((one.id,), one.extent.namespaces) for one in shown],
        "cmek_finding_final_timestamp_seconds": [
            ((one.id,), one.final_at.timestamp()) for one in shown if one.final_at
        ],
    }


def _info(one: Finding) -> tuple[str, ...]:
    key, version = _key_of(one)
    extent = one.extent
    whose = tuple(names[0] if len(names) == 1 else "" for names in (extent.tenants, extent.owners, extent.teams))
    actor = one.actor.principal if one.actor is not None else ""
    return one.id, one.rule, one.severity.value, key, version, *whose, actor


def _key_of(one: Finding) -> tuple[str, str]:
    name = one.subject.id.rpartition(" -> ")[2]
    if one.subject.kind in {SubjectKind.KEY_VERSION, SubjectKind.KEY, SubjectKind.PRINCIPAL}:
        key, version = split_version(name)
        return key.text, version or ""
    return "", ""


def document() -> str:
    """The table of all metrics in Markdown, as docs/metrics.md has it."""
    lines = ["| metric | labels | meaning |", "| --- | --- | --- |"]
    for one in TABLE:
        name = f"{one.name}_total" if one.counter else one.name
        lines.append(f"| `{name}` | {', '.join(f'`{label}`' for label in one.labels) or '-'} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def registry(collector: JudgementCollector) -> CollectorRegistry:
    """A registry of its own with this collector, nothing else in it."""
    made = CollectorRegistry()
    made.register(collector)
    return made
