"""What the pages of the web side show: findings, keys and namespaces, one by one, made from a judgement."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.findings import Assessed, Assessment, Finding, Judgement, Readability, Status, member_of
from auditor.model import AwsKey, Cloud, Dependency, Gap, Grant, KeyMemory, KeyName
from auditor.outputs import summary, words
from auditor.outputs.summary import Amount
from auditor.ports import DependencyRows, NamespaceRow
from auditor.shelf import Damaged, Kept, Uploaded

_FEW: Final = 2
"""As many buckets are named in a row."""
_FINDINGS: Final = 50
"""As many findings are named beside a key or a namespace."""
_GAPS: Final = 20
_FACTS: Final = {"True": "yes", "False": "no", **{repr(one): one.value for one in Grant}}
"""What is remembered of a fact that is no text."""
NOTHING_KNOWN: Final = "nothing known"
"""Of a key that no data was seen under: that is no proof that there is none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How old and how complete the answer is: on every page."""

    judged: str
    age: str
    complete: str
    reasons: str
    """Why something could not be read, and how often; empty where nothing is lacking."""
    failing: str
    """Loops that fail, so that the answer gets no newer; empty where none does."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A report that is kept."""

    name: str
    made: str
    verdict: str = ""
    judged: str = ""
    files: tuple[tuple[str, str, str], ...] = ()
    """Name, size, SHA-256."""
    events: str = ""
    head: str = ""
    why: str = ""
    """Where nobody can tell what it was: why not."""
    uploaded: str = ""
    """Where it is as well, and since when."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding as a line."""

    id: str
    rule: str
    severity: str
    status: str
    kind: str
    name: str
    readability: str
    amount: str
    deadline: str
    left: str
    first_seen: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as a line."""

    key: str
    name: str
    readability: str
    state: str
    read: str
    versions: str
    objects: str
    size: str
    namespaces: str
    deadline: str
    left: str


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a key, and what hangs on it."""

    version: str
    state: str
    readability: str
    cause: str
    objects: str
    size: str
    namespaces: str
    buckets: str
    deadline: str
    left: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key whole."""

    row: KeyRow
    facts: tuple[tuple[str, str], ...]
    versions: tuple[VersionView, ...]
    findings: tuple[FindingRow, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """One namespace as a line."""

    namespace: str
    bucket: str
    tenant: str
    owner: str
    team: str
    readability: str
    objects: str
    size: str
    amount: str
    """Both in one sentence's words."""


@dataclass(frozen=True, slots=True)
class DependencyView:
    """What one namespace hangs on: one row of its dependencies."""

    population: str
    encryption: str
    key: str
    name: str
    version: str
    readability: str
    basis: str
    cause: str
    objects: str
    size: str
    written: str
    deadline: str
    left: str


def standing(judgement: Judgement, now: datetime, failing: Iterable[str]) -> Standing:
    """Say how old and how complete the answer is."""
    reasons = Counter(one.reason.value for one in judgement.gaps)
    return Standing(
        judged=words.exactly(judgement.now),
        age=words.until(judgement.run.ended, now),
        complete=summary.complete(judgement),
        reasons=", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items())),
        failing=", ".join(failing),
    )


def finding_row(one: Finding, now: datetime) -> FindingRow:
    """One finding as a line."""
    deadline, left = _deadline(one.final_at, now)
    return FindingRow(
        id=one.id,
        rule=one.rule,
        severity=one.severity.value,
        status=one.status.value,
        kind=words.kind(one.subject),
        name=words.short(one.subject.id.rpartition(" -> ")[2]),
        readability=one.readability.value if one.readability else "",
        amount=words.amount(one.extent),
        deadline=deadline,
        left=left,
        first_seen=words.instant(one.first_seen),
    )


def keys_of(judgement: Judgement, memory: Mapping[KeyName, KeyMemory]) -> tuple[str, ...]:
    """Every key that data names or somebody asked: with the worst of their data first, then by name."""
    worst: dict[str, int] = {name.text: len(Readability) for name in memory}
    for one in judgement.assessed:
        if one.holding.key is not None:
            rank = summary.WORST_FIRST.index(one.assessment.readability)
            worst[one.holding.key] = min(rank, worst.get(one.holding.key, rank))
    return tuple(sorted(worst, key=lambda key: (worst[key], key)))


def key_row(
    key: str,
    judgement: Judgement,
    memory: Mapping[KeyName, KeyMemory],
    rows: DependencyRows,
    now: datetime,
) -> KeyRow:
    """One key as a line. `now`: aware, UTC, when the page is made, which may be long after the judgement."""
    held = [one for one in judgement.assessed if one.holding.key == key]
    kept = memory.get(KeyName(key))
    amount = _amount(held)
    deadline, left = _deadline(_first_date(held), now)
    return KeyRow(
        key=key,
        name=words.short(key),
        readability=_worst(held).readability.value if held else "",
        state=_state(kept),
        read=words.until(kept.last_at, now) if kept and kept.last_at else "never",
        versions=words.number(len({one.holding.key_version for one in held if one.holding.key_version is not None})),
        objects=words.number(amount.objects) if held else NOTHING_KNOWN,
        size=words.size(amount.size) if held else "",
        namespaces=words.number(rows.count_namespaces(member_of(one.holding) for one in held)) if held else "",
        deadline=deadline,
        left=left,
    )


def key_view(
    key: str,
    judgement: Judgement,
    memory: Mapping[KeyName, KeyMemory],
    rows: DependencyRows,
    findings: Iterable[Finding],
    *,
    now: datetime,
) -> KeyView:
    """One key whole: its versions, what hangs on each, what was found about it."""
    kept = memory.get(KeyName(key))
    return KeyView(
        row=key_row(key, judgement, memory, rows, now),
        facts=tuple(_facts(key, kept, now)),
        versions=tuple(_versions(key, kept, judgement, rows, now)),
        findings=_rows_of(findings, now),
        gaps=_gaps_about(judgement, lambda gap: gap.what == key or gap.what.startswith(f"{key}/")),
    )


def space_row(row: NamespaceRow) -> SpaceRow:
    """One namespace as a line."""
    return SpaceRow(
        namespace=row.namespace,
        bucket=row.bucket,
        tenant=row.tenant or "",
        owner=row.owner or "",
        team=row.team or "",
        readability=row.readability.value if row.readability else "",
        objects=words.number(row.objects),
        size=words.size(row.size),
        amount=f"{words.counted(row.objects, 'object')}, {words.size(row.size)}",
    )


def dependency_view(row: Dependency, assessed: Assessed, now: datetime) -> DependencyView:
    """One dependency of a namespace in words."""
    found = assessed.assessment
    deadline, left = _deadline(found.final_at, now)
    written = ""
    if row.oldest is not None and row.newest is not None:
        written = f"{words.instant(row.oldest)} to {words.instant(row.newest)}"
    return DependencyView(
        population=row.population.value.replace("_", "-") if row.population else words.NOT_KNOWN,
        encryption=assessed.encryption.value.replace("_", " "),
        key=row.key or "",
        name=words.short(row.key) if row.key else "",
        version=row.key_version or "",
        readability=found.readability.value,
        basis=found.basis.value,
        cause=found.cause,
        objects=words.number(row.objects),
        size=words.size(row.size),
        written=written,
        deadline=deadline,
        left=left,
    )


def findings_about(
    rows: Iterable[Assessed], bucket: str, namespace: str, judgement: Judgement, now: datetime
) -> tuple[FindingRow, ...]:
    """What was found about all data under the same keys in this bucket, and what names the namespace itself."""
    members = {member_of(one.holding) for one in rows}
    found = (
        one
        for one in judgement.findings
        if one.status is not Status.RESOLVED
        and (
            f"{bucket}/{namespace}" in one.extent.sample_namespaces
            or (not one.portions and not members.isdisjoint(one.members))
        )
    )
    return _rows_of(found, now)


def gaps_of_bucket(judgement: Judgement, bucket: str) -> tuple[Gap, ...]:
    """What could not be read of a bucket."""
    return _gaps_about(judgement, lambda gap: gap.what == bucket or gap.what.startswith(f"{bucket}/"))


def _rows_of(findings: Iterable[Finding], now: datetime) -> tuple[FindingRow, ...]:
    return tuple(finding_row(one, now) for one, _ in zip(findings, range(_FINDINGS), strict=False))


def _gaps_about(judgement: Judgement, is_about: Callable[[Gap], bool]) -> tuple[Gap, ...]:
    return tuple(gap for gap in judgement.gaps if is_about(gap))[:_GAPS]


def _versions(
    key: str, kept: KeyMemory | None, judgement: Judgement, rows: DependencyRows, now: datetime
) -> Iterator[VersionView]:
    held: dict[str, list[Assessed]] = {}
    for one in judgement.assessed:
        if one.holding.key == key:
            held.setdefault(one.holding.key_version or "", []).append(one)
    states = _states(kept)
    newest_first = sorted({*held, *states}, key=lambda number: (-int(number) if number.isdecimal() else 0, number))
    for number in newest_first:
        some = held.get(number, [])
        worst = _worst(some) if some else None
        amount = _amount(some)
        deadline, left = _deadline(_first_date(some), now)
        buckets = sorted({one.holding.bucket for one in some})
        yield VersionView(
            version=number,
            state=words.state(states[number], KeyName(key).cloud) if number in states else words.NOT_KNOWN,
            readability=worst.readability.value if worst else "",
            cause=worst.cause if worst else "",
            objects=words.number(amount.objects) if some else NOTHING_KNOWN,
            size=words.size(amount.size) if some else "",
            namespaces=words.number(rows.count_namespaces(member_of(one.holding) for one in some)) if some else "",
            buckets=", ".join(buckets) if len(buckets) <= _FEW else words.counted(len(buckets), "bucket"),
            deadline=deadline,
            left=left,
        )


def _states(kept: KeyMemory | None) -> dict[str, str]:
    """Version -> its state as it was told last; of a key of AWS that is the key's."""
    match kept.last if kept else None:
        case None:
            return {}
        case AwsKey() as key:
            return {"": key.state}
        case key:
            return {one.number: one.state for one in key.versions}


def _state(kept: KeyMemory | None) -> str:
    states = list(_states(kept).values())
    if not states or kept is None or kept.last is None:
        return words.NOT_KNOWN
    cloud = kept.last.name.cloud
    return words.state(states[0], cloud) if len(states) == 1 else words.states(states, cloud)


def _facts(key: str, kept: KeyMemory | None, now: datetime) -> Iterator[tuple[str, str]]:
    yield "full name", key
    if kept is None:
        yield "state", "nobody asked the key yet"
        return
    if kept.last_at is not None:
        yield "state read", f"{words.exactly(kept.last_at)}, {words.until(kept.last_at, now)}"
    else:
        yield "state read", "never"
    for what, moment in (("denied since", kept.denied_since), ("not found since", kept.missing_since)):
        if moment is not None:
            yield what, words.exactly(moment)
    for fact, moment in sorted(kept.changed.items(), key=lambda item: item[1], reverse=True)[:_FEW]:
        yield f"{fact} changed", f"to {_told(fact, kept, KeyName(key).cloud)}, seen {words.exactly(moment)}"


def _told(fact: str, kept: KeyMemory, cloud: Cloud) -> str:
    """What a fact was when it was told last."""
    told = kept.told.get(fact)
    if told is None:
        return words.NOT_KNOWN
    if told in _FACTS:
        return _FACTS[told]
    text = told[1:-1]  # it stands in quotes
    return words.state(text, cloud) if fact == "state" or fact.startswith("version ") else text


def _worst(held: list[Assessed]) -> Assessment:
    return min(held, key=lambda one: summary.WORST_FIRST.index(one.assessment.readability)).assessment


def _amount(held: Iterable[Assessed]) -> Amount:
    return sum((Amount(one.holding.objects, one.holding.size) for one in held), Amount())


def _first_date(held: Iterable[Assessed]) -> datetime | None:
    return min((one.assessment.final_at for one in held if one.assessment.final_at is not None), default=None)


def _deadline(moment: datetime | None, now: datetime) -> tuple[str, str]:
    return (words.instant(moment), words.until(moment, now)) if moment is not None else ("", "")


def kept_row(name: str, one: Kept | Damaged, uploaded: Uploaded | None = None) -> KeptRow:
    """Tell of a report that is kept, and of where it was uploaded to."""
    if isinstance(one, Damaged):
        return KeptRow(name, name, why=one.why)
    told = one.told
    return KeptRow(
        name=name,
        made=words.instant(told.made),
        verdict=told.verdict,
        judged=words.instant(told.judged),
        files=tuple((each.name, words.size(each.size), each.sha256) for each in one.files),
        events=f"{told.events:,}",
        head=told.head,
        uploaded=f"uploaded to {uploaded.to} at {words.instant(uploaded.at)}" if uploaded is not None else "",
    )
