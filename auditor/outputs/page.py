"""What the report shows: one frozen page, every number and word of it made from a judgement."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from auditor.findings import (
    Assessed,
    BucketCoverage,
    Demand,
    Finding,
    Judgement,
    Readability,
    Run,
    Severity,
    Status,
    View,
    member_of,
)
from auditor.model import Gap
from auditor.outputs import controls, counts, summary, words
from auditor.outputs.changes import ChangesView
from auditor.outputs.controls import ControlsView, Found, RuleRow
from auditor.outputs.limits import SCREEN, Limits
from auditor.outputs.summary import Amount
from auditor.ports import DependencyRows
from auditor.waiver import FIELDS, GivenWaiver

_LABELS: Final = 5
"""As many owners and teams of a finding are named."""

MEANINGS: Final = {
    Readability.LOST: "gone for good",
    Readability.DOOMED: "no read now, gone for good at a date",
    Readability.UNREADABLE: "no read now, can be undone",
    Readability.REVOKED: "no read now, until access is granted again",
    Readability.UNREACHABLE: "no read now, until the key store is repaired",
    Readability.UNKNOWN: "not provable either way",
    Readability.EXPIRING: "readable, stops at a date",
    Readability.READABLE: "no proven obstacle",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the report stands on besides the judgement itself."""

    files: tuple[tuple[str, str], ...]
    """(inventory file, SHA-256)."""
    ledger_events: int
    ledger_head: str


@dataclass(frozen=True, slots=True)
class Share:
    """One segment of the bar and its line in the legend; x and width in percent."""

    readability: str
    meaning: str
    objects: str
    size: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class StepView:
    """One call of an undo."""

    call: str
    who: str
    lands_in: str
    until: str


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding as the page shows it."""

    id: str
    rule: str
    severity: str
    title: str
    kind: str
    subject: str
    name: str
    readability: str
    cause: str
    confidence: str
    amount: str
    deadline: str
    left: str
    since: str
    actor: str
    """Who did it, or why nobody is told; empty where it is about nothing that a call changes."""
    is_attributed: bool
    first_seen: str
    seen: str
    stood: str
    """How long it stood; empty while it does."""
    tenants: str
    owners: str
    teams: str
    samples: tuple[str, ...]
    undo: tuple[StepView, ...]
    evidence: tuple[tuple[str, str, str, str], ...]
    """(call, resource, time, digest)."""
    evidence_left_out: int
    remedy: str
    source: str
    status: str
    waived: str
    """Until when; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """One point of the timeline; x in percent."""

    x: float
    when: str
    left: str
    name: str
    what: str
    objects: str
    readability: str
    anchor: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One key version and what hangs on it."""

    key: str
    name: str
    version: str
    readability: str
    cause: str
    objects: str
    size: str
    namespaces: str
    buckets: str
    share: float
    rows: int = 0
    """How many versions of this key follow, this one included; 0 behind the first."""


@dataclass(frozen=True, slots=True)
class BucketRow:
    """One bucket's coverage in words."""

    bucket: str
    state: str
    listed: str
    resolved: str
    outside: str
    uploads: str
    swept: str
    verified: str
    share: str
    counted: str
    """The cloud's own count."""


@dataclass(frozen=True, slots=True)
class WaiverRow:
    """One waiver and what it is about now."""

    rule: str
    match: tuple[tuple[str, str], ...]
    until: str
    left: str
    owner: str
    approved_by: str
    reason: str
    covers: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template may show; nothing is computed there."""

    tenant: str
    """Whose view it is; empty where everything is here."""
    version: str
    """Of the program that judged."""
    verdict: str
    tone: str
    """`stopped`, `unknown` or `fine`."""
    complete: str
    made: str
    made_at: str
    """The same for machines."""
    judged: str
    next_loss: str
    next_loss_left: str
    next_loss_what: str
    unit: str
    """What shares, their total and what is stopped are counted in."""
    shares: tuple[Share, ...]
    total: str
    stopped: str
    stopped_size: str
    counts: tuple[tuple[str, str], ...]
    """(how many, which severity) of the current findings."""
    findings: tuple[FindingView, ...]
    brief: tuple[FindingView, ...]
    """Those behind them, of which a line is told."""
    findings_left_out: int
    resolved: tuple[FindingView, ...]
    resolved_left_out: int
    waivers: tuple[WaiverRow, ...]
    waivers_left_out: int
    waived: tuple[FindingView, ...]
    waived_left_out: int
    waived_count: str
    """Empty where none is."""
    changes: ChangesView
    deadlines: tuple[Deadline, ...]
    axis: tuple[tuple[float, str], ...]
    versions: tuple[VersionRow, ...]
    versions_left_out: int
    namespaces: tuple[tuple[str, str, str, str, str, str, str, str], ...]
    namespaces_left_out: bool
    namespaces_labelled: bool
    """Somebody says of one of them who answers for it."""
    controls: ControlsView
    rules: tuple[RuleRow, ...]
    buckets: tuple[BucketRow, ...]
    buckets_left_out: int
    buckets_counted: bool
    """The clouds were asked for their own counts."""
    gaps: tuple[Gap, ...]
    gaps_left_out: int
    method: tuple[tuple[str, str], ...]
    judgement: str
    ledger_head: str
    files: tuple[tuple[str, str], ...]
    files_count: str
    files_left_out: int


def view(
    judgement: Judgement,
    rows: DependencyRows,
    rules: tuple[Demand, ...],
    manifest: Manifest,
    made: datetime,
    *,
    changes: ChangesView,
    found: Found,
    limits: Limits = SCREEN,
) -> Page:
    """Build the page's view."""
    now = judgement.now
    by_id = {rule.id: rule for rule in rules}
    current = [one for one in judgement.findings if one.status is Status.OPEN]
    waived = [one for one in judgement.findings if one.status is Status.WAIVED]
    resolved = [one for one in judgement.findings if one.status is Status.RESOLVED]
    sums = summary.by_readability(judgement.assessed)
    stopped = summary.stopped(judgement.assessed)
    total = sum(sums.values(), Amount())
    versions = _versions(judgement, rows, limits)
    worst = rows.worst_namespaces(judgement.assessed, limits.namespaces + 1)
    next_loss = judgement.next_loss
    return Page(
        tenant=judgement.view.tenant if judgement.view is not None else "",
        version=judgement.run.version,
        verdict=summary.verdict(judgement),
        tone=_tone(judgement, total),
        complete=summary.complete(judgement),
        made=words.instant(made),
        made_at=words.stamp(made),
        judged=words.instant(now),
        next_loss=words.instant(next_loss)
        if next_loss
        else words.NOT_KNOWN
        if judgement.is_untold
        else "no date known",
        next_loss_left=words.until(next_loss, now) if next_loss else "",
        next_loss_what=summary.next_loss(judgement),
        unit=_unit(judgement),
        shares=_shares(judgement, sums),
        total=_total(judgement, total),
        stopped=words.number(None if judgement.is_untold else _stopped(judgement)),
        stopped_size=words.size(stopped.size) if stopped.size is not None and not judgement.is_untold else "",
        counts=tuple(
            (words.number(sum(one.severity is severity for one in current)), severity.value)
            for severity in reversed(Severity)
        ),
        findings=tuple(finding_view(one, by_id, now, limits) for one in current[: limits.findings]),
        brief=tuple(finding_view(one, by_id, now, limits) for one in current[limits.findings :][: limits.brief]),
        findings_left_out=max(0, len(current) - limits.findings - limits.brief),
        resolved=tuple(finding_view(one, by_id, now, limits) for one in resolved[: limits.resolved]),
        resolved_left_out=max(0, len(resolved) - limits.resolved),
        waivers=tuple(_waiver(one, now) for one in judgement.waivers[: limits.waivers]),
        waivers_left_out=max(0, len(judgement.waivers) - limits.waivers),
        waived=tuple(finding_view(one, by_id, now, limits) for one in waived[: limits.findings]),
        waived_left_out=max(0, len(waived) - limits.findings),
        waived_count=words.number(len(waived)) if waived else "",
        changes=changes,
        # That somebody accepts a loss moves no date.
        deadlines=_deadlines([*current, *waived], now),
        axis=_axis([*current, *waived], now),
        versions=versions[: limits.versions],
        versions_left_out=max(0, len(versions) - limits.versions),
        namespaces=tuple(
            (
                row.namespace,
                row.bucket,
                row.tenant or "",
                row.owner or "",
                row.team or "",
                row.readability.value if row.readability else "",
                words.number(row.objects),
                words.size(row.size),
            )
            for row in worst[: limits.namespaces]
        ),
        namespaces_left_out=len(worst) > limits.namespaces,
        namespaces_labelled=any(row.owner or row.team for row in worst[: limits.namespaces]),
        controls=controls.view(found, by_id),
        rules=controls.rule_rows(found.rules.values(), by_id),
        buckets=tuple(_bucket(one) for one in judgement.coverage.buckets[: limits.buckets]),
        buckets_left_out=max(0, len(judgement.coverage.buckets) - limits.buckets),
        buckets_counted=any(one.compared is not None for one in judgement.coverage.buckets),
        gaps=judgement.gaps[: limits.gaps],
        gaps_left_out=max(0, len(judgement.gaps) - limits.gaps),
        method=_method(judgement, manifest),
        judgement=judgement.run.id,
        ledger_head=manifest.ledger_head,
        files=manifest.files[: limits.files],
        files_count=words.number(len(manifest.files)),
        files_left_out=max(0, len(manifest.files) - limits.files),
    )


def _waiver(one: GivenWaiver, now: datetime) -> WaiverRow:
    told = one.waiver
    over = now >= told.until
    covers = words.counted(len(one.covers), "finding") if one.covers else "no finding"
    parts = [f"{'was about' if over else 'waives'} {covers}"]
    if one.in_part:
        parts.append(f"{words.counted(len(one.in_part), 'finding')} only in part, which stay open")
    return WaiverRow(
        rule=told.rule,
        match=tuple((field, value) for field in FIELDS if (value := getattr(told, field)) is not None),
        until=words.through(told.until),
        left="over" if over else words.until(told.until, now),
        owner=told.owner,
        approved_by=told.approved_by,
        reason=told.reason,
        covers="; ".join(parts),
    )


def _tone(judgement: Judgement, total: Amount) -> str:
    if _stopped(judgement):
        return "stopped"
    return "unknown" if judgement.gaps or not total.objects else "fine"


def _no_date(judgement: Judgement) -> str:
    return words.NOT_KNOWN if judgement.is_untold else "no date known"


def _unit(judgement: Judgement) -> str:
    if judgement.is_by_bundles:
        return "objects by an operator's bundle"
    return "namespaces by registries" if judgement.is_keys_only else "objects"


def _total(judgement: Judgement, total: Amount) -> str:
    if judgement.is_untold:
        return summary.of_untold(judgement)
    if judgement.is_by_bundles:
        return f"{words.counted(total.objects, 'object')} by an operator's bundle"
    if judgement.is_keys_only:
        return f"{summary.counted_spaces(judgement)} by registries, objects {words.NOT_KNOWN}"
    return words.counted(total.objects, "object")


def _weight(judgement: Judgement, some: Iterable[Assessed]) -> int:
    """How much it is: objects, or where nobody saw those of all data, namespaces."""
    if _is_in_objects(judgement):
        return sum(one.holding.objects or 0 for one in some)
    return sum(one.holding.namespaces for one in some)


def _is_in_objects(judgement: Judgement) -> bool:
    return judgement.is_by_bundles or not judgement.is_keys_only


def _stopped(judgement: Judgement) -> int:
    """The same of all that cannot be read now; of namespaces, each counted once."""
    if _is_in_objects(judgement):
        return summary.stopped(judgement.assessed).objects or 0
    return summary.spaces(judgement).stopped


def _weights(judgement: Judgement, amounts: Mapping[Readability, Amount]) -> Mapping[Readability, int]:
    """The same by readability, the worst first; a namespace that has data of several kinds counts with each."""
    if _is_in_objects(judgement):
        return {one: amounts[one].objects or 0 for one in summary.WORST_FIRST}
    spaces = summary.spaces(judgement).by_readability
    return {one: spaces[one] for one in summary.WORST_FIRST}


def _shares(judgement: Judgement, amounts: Mapping[Readability, Amount]) -> tuple[Share, ...]:
    found: list[Share] = []
    x = 0.0
    weights = _weights(judgement, amounts)
    total = sum(weights.values())
    for readability, weight in weights.items():
        amount = amounts[readability]
        width = 100 * weight / total if total else 0.0
        found.append(
            Share(
                readability.value,
                MEANINGS[readability],
                words.number(None if judgement.is_untold else weight),
                words.size(None if judgement.is_untold else amount.size),
                round(x, 3),
                round(width, 3),
            )
        )
        x += width
    return tuple(found)


def finding_view(one: Finding, rules: Mapping[str, Demand], now: datetime, limits: Limits = SCREEN) -> FindingView:
    """One finding in words."""
    rule = rules.get(one.rule)
    extent = one.extent
    return FindingView(
        id=one.id,
        rule=one.rule,
        severity=one.severity.value,
        title=rule.title if rule else one.rule,
        kind=words.kind(one.subject),
        subject=one.subject.id,
        name=words.short(one.subject.id.rpartition(" -> ")[2]),
        readability=one.readability.value if one.readability else "",
        cause=one.cause,
        confidence=one.confidence.value,
        amount=words.amount(extent),
        deadline=words.instant(one.final_at) if one.final_at else "",
        left=words.until(one.final_at, now) if one.final_at else "",
        since=f"{words.instant(one.since)}, {words.SINCE[one.since_source]}",
        actor=words.attributed(one),
        is_attributed=one.actor is not None,
        first_seen=words.instant(one.first_seen),
        seen=f"{words.instant(one.first_seen)} to {words.instant(one.last_seen)}",
        stood=words.span(one.last_seen - one.since) if one.status is Status.RESOLVED else "",
        tenants=", ".join(_clip(name) for name in extent.tenants),
        owners=_first(extent.owners),
        teams=_first(extent.teams),
        samples=extent.sample_namespaces,
        undo=tuple(
            StepView(step.call, step.who, step.lands_in, words.instant(step.until) if step.until else "")
            for step in one.undo
        ),
        evidence=tuple(
            (each.call, each.resource, words.exactly(each.at), each.answer_digest)
            for each in one.evidence[: limits.evidences]
        ),
        evidence_left_out=max(0, len(one.evidence) - limits.evidences),
        remedy=words.remedy(one, rule),
        source=rule.source if rule else "",
        status=one.status.value,
        waived=words.through(one.waived_until) if one.waived_until else "",
    )


def _attributed(judgement: Judgement) -> str:
    """Of how many findings that somebody's call has led to it is known whose that was."""
    found = [one for one in judgement.findings if one.status is not Status.RESOLVED]
    known = sum(one.actor is not None for one in found)
    every = known + sum(one.unattributed is not None for one in found)
    if not every:
        return "no finding is about a change that somebody made"
    return f"audit logs tell who did it for {known} of {words.counted(every, 'finding')} about changes of keys"


def _dated(current: list[Finding], now: datetime) -> list[Finding]:
    dated = [one for one in current if one.final_at is not None and one.final_at > now]
    return sorted(dated, key=lambda one: one.final_at or now)[:40]


def _deadlines(current: list[Finding], now: datetime) -> tuple[Deadline, ...]:
    dated = _dated(current, now)
    end = _end(dated, now)
    return tuple(
        Deadline(
            x=round(100 * (one.final_at - now) / (end - now), 2),
            when=words.instant(one.final_at),
            left=words.until(one.final_at, now),
            name=words.short(one.subject.id),
            what="lost for good" if one.readability is Readability.DOOMED else "stops being readable",
            objects=words.number(one.extent.objects),
            readability=one.readability.value if one.readability else "",
            anchor=one.id,
        )
        for one in dated
        if one.final_at is not None
    )


def _end(dated: list[Finding], now: datetime) -> datetime:
    """The timeline ends a little behind the last date, and is at least a week long."""
    last = max((one.final_at for one in dated if one.final_at), default=now)
    return now + max(timedelta(days=7), (last - now) * 1.08)


def _axis(current: list[Finding], now: datetime) -> tuple[tuple[float, str], ...]:
    end = _end(_dated(current, now), now)
    days = (end - now).days
    step = next(one for one in (1, 2, 7, 14, 30, 90, 365, 10_000) if days / one <= 8)  # noqa: PLR2004 - labels in a row
    marks = range(0, days + 1, step)
    return tuple(
        (round(100 * timedelta(days=mark) / (end - now), 2), "now" if mark == 0 else f"{mark} d") for mark in marks
    )


def _versions(judgement: Judgement, rows: DependencyRows, limits: Limits) -> tuple[VersionRow, ...]:
    groups: dict[tuple[str, str], list[Assessed]] = {}
    for one in judgement.assessed:
        if one.holding.key is not None:
            groups.setdefault((one.holding.key, one.holding.key_version or ""), []).append(one)
    of_key: dict[str, int] = {}
    for (key, _), group in groups.items():
        of_key[key] = of_key.get(key, 0) + _weight(judgement, group)
    found: list[tuple[tuple[int, str, int], VersionRow]] = []
    for (key, version), group in groups.items():
        worst = min(group, key=lambda one: summary.WORST_FIRST.index(one.assessment.readability))
        amount = sum((Amount(one.holding.objects, one.holding.size) for one in group), Amount())
        row = VersionRow(
            key=key,
            name=words.short(key),
            version=version,
            readability=worst.assessment.readability.value,
            cause=worst.assessment.cause,
            objects=words.number(amount.objects),
            size=words.size(amount.size),
            namespaces=words.number(rows.count_namespaces(member_of(one.holding) for one in group)),
            buckets=_few(sorted({one.holding.bucket for one in group})),
            share=round(100 * _weight(judgement, group) / of_key[key], 1) if of_key[key] else 0.0,
        )
        found.append(((0, key, int(version) if version.isdigit() else 0), row))
    # Keys with the worst version first, and the versions of one key together.
    rank = dict.fromkeys(of_key, len(summary.WORST_FIRST))
    for (key, _), group in groups.items():
        rank[key] = min(rank[key], *(summary.WORST_FIRST.index(one.assessment.readability) for one in group))
    ordered = [row for _, row in sorted(found, key=lambda item: (rank[item[0][1]], item[0][1], item[0][2]))]
    return tuple(_grouped(ordered[: limits.versions])) + tuple(ordered[limits.versions :])


def _grouped(ordered: list[VersionRow]) -> Iterator[VersionRow]:
    """Let the first row of each key tell how many rows the key has."""
    for _, rows in groupby(ordered, key=lambda row: row.key):
        first, *others = rows
        yield replace(first, rows=1 + len(others))
        yield from others


def _clip(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."  # noqa: PLR2004 - one line


def _first(names: tuple[str, ...]) -> str:
    return ", ".join([*map(_clip, names[:_LABELS]), *(["and others"] if len(names) > _LABELS else [])])


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 2 else words.counted(len(names), "bucket")  # noqa: PLR2004 - what fits


def _bucket(one: BucketCoverage) -> BucketRow:
    if one.last_attempt_failed:
        state = f"last attempt failed: {one.last_attempt_failed}"
    else:
        state = "complete" if one.complete else "no whole sweep"
    if one.left_out:
        state += f"; left out by the config: {', '.join(one.left_out)}"
    window = "never"
    if one.sweep_started and one.sweep_ended:
        window = f"{words.exactly(one.sweep_started)} to {words.exactly(one.sweep_ended)}"
    return BucketRow(
        bucket=one.bucket,
        state=state,
        listed=words.number(one.listed),
        resolved=words.number(one.resolved),
        outside=words.number(one.outside),
        uploads="not counted" if one.uploads_in_progress is None else words.number(one.uploads_in_progress),
        swept=window,
        verified=words.exactly(one.oldest_verified) if one.oldest_verified else "never",
        share=f"{100 * one.ratio:.1f} %" if one.ratio in {0.0, 1.0} else f"{min(99.9, 100 * one.ratio):.1f} %",
        counted=counts.told(one.compared),
    )


def _config_file(run: Run) -> str:
    if run.config_file_digest is None:
        return "its SHA-256 was not kept"
    return f"SHA-256 {run.config_file_digest}, as sha256sum tells it of the file"


def _of_the_operator(judgement: Judgement) -> Iterator[tuple[str, str]]:
    """What a tenant is not told."""
    not_configured = judgement.coverage.buckets_not_configured
    yield "read as", ", ".join(judgement.run.identity) or "an identity that the credentials do not tell"
    told = "not known: listing is not allowed" if not_configured is None else str(not_configured)
    yield "buckets not configured", told


def _of_the_view(view: View) -> Iterator[tuple[str, str]]:
    yield "view", f"only what is certainly of tenant {view.tenant}"
    yield "amounts", "of its data alone, also where others have data in the same bucket or under the same key"
    yield "left out", "what may name others, or told in general words; ids of findings are the operator's"


def _method(judgement: Judgement, manifest: Manifest) -> tuple[tuple[str, str], ...]:
    run, coverage = judgement.run, judgement.coverage
    return (
        ("judgement", run.id),
        ("judged at", f"{words.exactly(judgement.now)} by the clouds' clocks"),
        ("clock skew", f"{run.skew.total_seconds():.0f} s (clouds minus ours)"),
        *(_of_the_operator(judgement) if judgement.view is None else _of_the_view(judgement.view)),
        ("keys", f"{summary.keys(judgement)}, {coverage.keys_unknown} unknown"),
        (
            "oldest key reading",
            words.exactly(judgement.oldest_key_read) if judgement.oldest_key_read else "none yet",
        ),
        ("cmek-auditor", f"version {run.version}, rules {run.rules_version}"),
        ("config file as read", _config_file(run)),
        ("settings in force", f"SHA-256 {run.config_digest}, of no file: defaults are in it, waivers are not"),
        ("ledger", f"{manifest.ledger_events} events, chain head {manifest.ledger_head}"),
        ("actors", _attributed(judgement)),
        (
            "readability",
            (
                "by key state; on Google Cloud by Key Access Justifications and IAM policies of key, ring and project "
                "as well, on AWS by policies and grants of the key; no other policy is read"
            ),
        ),
    )
