"""The dependencies of some sweeps, read through DuckDB: sums for the judge, rows for outputs."""

import heapq
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import duckdb

from auditor.errors import LedgerError
from auditor.findings import Assessed, Member, Readability, member_of
from auditor.inventory import spaces, tenancy
from auditor.inventory.alike import Alike
from auditor.inventory.cuts import OUTSIDE, ROWS_AT_ONCE, Cut, cut
from auditor.inventory.files import very_file
from auditor.inventory.held import rows_alone, rows_of
from auditor.inventory.largest import SAMPLES, TENANTS, Largest, Told, by_amount
from auditor.inventory.snapshot import moment
from auditor.inventory.sql import lonely_reader, reader
from auditor.model import Dependency, Encryption, Extent, Holding, Population
from auditor.ownership.registered import Doubt, Portion, Tenancy
from auditor.ports import Measured, NamespaceRow, Portions

_TEXTS: Final = (
    *("bucket", "namespace", "tenant", "population", "encryption", "key", "key_version"),
    *("first_name", "last_name", "owner", "team"),
)
_TYPES: Final = {
    **dict.fromkeys(_TEXTS, "VARCHAR"),
    **dict.fromkeys(("objects", "bytes", "archived", "portions"), "BIGINT"),
    **dict.fromkeys(("oldest", "newest"), "TIMESTAMPTZ"),
}
_NOTHING: Final = f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in _TYPES.items())} WHERE false"
_PAGE: Final = 5_000
_FEW: Final = 2
"""Of so many parts each is told anew of which holdings it is asked: to put them down is a question more."""
_ROWS_AT_ONCE: Final = ROWS_AT_ONCE
_MOST: Final = 2**63 - 1

# What a bucket says of its sizes may add up to more than 64 bits hold: too much to count is no error. Where nobody
# tells one of the amounts, nobody knows what they are together.
_TOTAL: Final = """
CREATE OR REPLACE MACRO total(amount) AS
CASE WHEN count(amount) = count(*) THEN least(coalesce(sum(amount), 0), 9223372036854775807)::BIGINT END
"""
_HOLDINGS: Final = """
SELECT bucket, encryption, key, key_version, total(objects), total(bytes), total(archived),
       epoch_us(min(oldest)), epoch_us(max(newest)), coalesce(bit_or(portions), 0), bit_and(coalesce(portions, 0))
FROM dependency GROUP BY ALL ORDER BY bucket, encryption, key NULLS FIRST, key_version NULLS FIRST
"""
_POPULATIONS: Final = """
SELECT bucket, population, total(objects) FROM dependency WHERE population IS NOT NULL GROUP BY ALL
"""
_MEMBERS: Final = """
SELECT unnest($buckets::VARCHAR[]) AS bucket, unnest($encryptions::VARCHAR[]) AS encryption,
       unnest($keys::VARCHAR[]) AS key, unnest($versions::VARCHAR[]) AS key_version,
       unnest($ranks::BIGINT[]) AS rank, unnest($portions::BIGINT[]) AS portions
"""
_OF_MEMBERS: Final = frozenset(("buckets", "encryptions", "keys", "versions", "ranks", "portions"))
_CHOSEN: Final = f"""
WITH member AS ({_MEMBERS}), chosen AS (
    SELECT dependency.* EXCLUDE (portions), member.rank FROM dependency JOIN member
    ON dependency.bucket = member.bucket AND dependency.encryption = member.encryption
    AND dependency.key IS NOT DISTINCT FROM member.key
    AND dependency.key_version IS NOT DISTINCT FROM member.key_version
    AND (member.portions = 0 OR dependency.portions & member.portions <> 0)
)
"""
# Namespaces apart, so that these of several parts of the files add up.
_MEASURED: Final = (
    _CHOSEN
    + """
, space AS (
    SELECT rank, bucket, namespace, min(tenant) AS tenant, total(objects) AS held, total(bytes) AS bytes
    FROM chosen WHERE {part} GROUP BY rank, bucket, namespace
)
SELECT rank, total(held), total(bytes), count(*), min(DISTINCT tenant, $tenants),
       min((-held, bucket, namespace), $samples)
FROM space GROUP BY rank
"""
)
_ALIKE: Final = (
    _CHOSEN
    + """
, space AS (SELECT list(rank) AS ranks FROM chosen WHERE {part} GROUP BY bucket, namespace)
SELECT ranks, count(*), NULL, NULL FROM space GROUP BY ranks
"""
)
# Half as long again, and hardly a set of holdings has to be asked for any more.
_LARGEST: Final = (
    _CHOSEN
    + f"""
, space AS (
    SELECT bucket, namespace, list(rank) AS ranks, min(tenant) AS tenant, total(objects) AS held
    FROM chosen WHERE {{part}} GROUP BY bucket, namespace
)
SELECT ranks, count(*), min(DISTINCT tenant, {TENANTS}), min((-held, bucket, namespace), {SAMPLES})
FROM space GROUP BY ranks
"""
)
# The tenant is part of the namespace. The first of "fewer than none" are those with the most objects.
_SAMPLED: Final = (
    _CHOSEN
    + """
, space AS (
    SELECT rank, bucket, namespace, min(tenant) AS tenant, total(objects) AS held
    FROM chosen WHERE {part} GROUP BY rank, bucket, namespace
)
SELECT rank, min(DISTINCT tenant, $tenants), min((-held, bucket, namespace), $samples) FROM space GROUP BY rank
"""
)
# Who answers for data hangs on its namespace, and where nobody says that, on its key.
_LABELLED: Final = "SELECT EXISTS (SELECT 1 FROM dependency WHERE owner IS NOT NULL OR team IS NOT NULL)"
_LABELS: Final = (
    _CHOSEN
    + """
SELECT rank, min(DISTINCT owner, $most), min(DISTINCT team, $most) FROM chosen WHERE {part} GROUP BY rank
"""
)
_SUMS: Final = (
    _CHOSEN
    + """
SELECT rank, population, total(objects), total(bytes) FROM chosen GROUP BY ALL ORDER BY ALL
"""
)
# Which of the sets a namespace has data of, as bits.
_TOGETHER: Final = (
    _CHOSEN
    + """
, space AS (
    SELECT bucket, namespace, bit_or(1::BIGINT << rank) AS ranks, min(tenant) AS tenant, total(objects) AS held
    FROM chosen WHERE {part} GROUP BY bucket, namespace
)
SELECT ranks, count(*), min(DISTINCT tenant, $tenants), min((-held, bucket, namespace), $samples)
FROM space GROUP BY ranks
"""
)
# All else of the few that are told by name: of every one it would take a third as long again.
_OF_SPACES: Final = (
    _CHOSEN
    + """
SELECT bucket, namespace, min(tenant), total(objects), total(bytes), min(owner), min(team)
FROM chosen JOIN (SELECT unnest($homes::VARCHAR[]) AS bucket, unnest($spaces::VARCHAR[]) AS namespace) AS wanted
USING (bucket, namespace) GROUP BY bucket, namespace
"""
)
_BEYOND: Final = (
    _CHOSEN
    + """
SELECT rank, total(CASE WHEN ($namespace::VARCHAR IS NULL OR namespace LIKE $namespace::VARCHAR ESCAPE '!')
                   AND ($tenant::VARCHAR IS NULL OR tenant LIKE $tenant::VARCHAR ESCAPE '!')
                   THEN coalesce(objects, 1) ELSE 0 END),
       total(coalesce(objects, 1))
FROM chosen GROUP BY rank
"""
)
_NAMESPACES: Final = (
    _CHOSEN
    + """
SELECT bucket, namespace, min(tenant), total(objects) AS held, total(bytes), min(owner), min(team) FROM chosen
WHERE namespace IS NOT NULL GROUP BY bucket, namespace ORDER BY held DESC, bucket, namespace LIMIT $most OFFSET $skip
"""
)
_WORST: Final = (
    _CHOSEN
    + """
, space AS (
    SELECT bucket, namespace, rank, min(tenant) AS tenant, total(objects) AS held, total(bytes) AS bytes,
           min(owner) AS owner, min(team) AS team
    FROM chosen WHERE {part} GROUP BY bucket, namespace, rank
    QUALIFY row_number() OVER (PARTITION BY bucket, namespace ORDER BY rank DESC) = 1
)
SELECT bucket, namespace, tenant, held, bytes, rank, owner, team FROM space
ORDER BY rank DESC, held DESC, bucket, namespace LIMIT $most
"""
)
_ROWS: Final = """
SELECT bucket, namespace, tenant, population, encryption, key, key_version, objects, bytes, archived,
       epoch_us(oldest), epoch_us(newest), owner, team, first_name, last_name
FROM dependency WHERE bucket = $bucket AND {part}
ORDER BY namespace, tenant NULLS FIRST, population, encryption, key NULLS FIRST,
         key_version NULLS FIRST
LIMIT $most OFFSET $skip
"""
_COUNTS: Final = "SELECT bucket, count(*) FROM dependency WHERE {part} GROUP BY bucket"

# How bad each is for a namespace, best first: the same order in which proven obstacles rank.
_RANKED: Final = (
    Readability.READABLE,
    Readability.EXPIRING,
    Readability.UNKNOWN,
    Readability.UNREACHABLE,
    Readability.REVOKED,
    Readability.UNREADABLE,
    Readability.DOOMED,
    Readability.LOST,
)


_Sum = tuple[int | None, int | None]
"""Objects and bytes; None: nobody tells."""
_Asked = tuple[tuple[tuple[tuple[Member, ...], Portions], ...], str | None, str | None]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is learnt once of all rows, and answers most questions."""

    holdings: tuple[Holding, ...]
    places: Mapping[Member, int]
    """Where each holding stands among them."""
    alike: Alike
    largest: Largest
    bits: Mapping[Member, tuple[int, int]]
    """Which portions some of each holding is, and which all of it is, as numbers."""


@dataclass(frozen=True, slots=True)
class _Names:
    """The first owners and teams of some data, by name."""

    owners: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()

    def beside(self, owners: Iterable[str], teams: Iterable[str]) -> "_Names":
        """The first of these and of others."""
        return _Names(tuple(sorted({*self.owners, *owners})[:TENANTS]), tuple(sorted({*self.teams, *teams})[:TENANTS]))


class Dependencies:
    """Immutable once made; safe to use from many threads."""

    def __init__(
        self,
        files: Iterable[Path],
        placed: Iterable[Path] = (),
        *,
        told_by_others: bool = False,
        of: Tenancy | None = None,
    ) -> None:
        """`placed`: files that tell as well how the data parts from what registries say, and from its namespace.

        `told_by_others`: whoever saw objects was not this auditor. `of`: all else is as if it were not there.
        """
        self._told_by_others = told_by_others
        self._made_of = tuple(files), tuple(placed)
        # What is one tenant's is never where anybody else's may be asked for.
        self._database = reader(self, _TOTAL) if of is None else lonely_reader(_TOTAL)
        plain, beside = ([very_file(file) for file in some] for some in self._made_of)
        self._files = [*plain, *beside]
        with told():
            text = rows_of(plain, beside) if self._files else _NOTHING
            if self._files and of is not None:
                text = rows_alone(self._database, text, of)
            self._database.execute(f"CREATE OR REPLACE VIEW dependency AS {text}")
        self.failed = False
        """Whether a file could not be read since: the same again would fail again."""
        self._lock = threading.Lock()
        self._extents: dict[tuple[Member, ...], Extent] = {}
        self._extents_of: dict[tuple[tuple[Member, ...], Portions], Extent] = {}
        self._portions: Mapping[Member, Portions] | None = None
        self._beyond: dict[_Asked, tuple[tuple[int, int], ...]] = {}
        self._known: _Known | None = None
        self._labelled: bool | None = None
        self._cut: tuple[Cut, ...] | None = None
        self._counts: dict[Cut, Mapping[str, int]] = {}

    def alone(self, of: Tenancy) -> "Dependencies":
        """The same of one tenant's data alone."""
        return Dependencies(*self._made_of, told_by_others=self._told_by_others, of=of)

    def holdings(self) -> tuple[Holding, ...]:
        """All holdings, sorted by (bucket, encryption, key, key version)."""
        return self._all().holdings

    def extents(self, wanted: Iterable[Iterable[Member]]) -> tuple[Extent, ...]:
        """How much data each set of holdings is together, each namespace counted once; remembered, as nothing changes.

        Many at once take hardly longer than one.
        """
        asked = [tuple(one) for one in wanted]
        with self._lock:
            new = [one for one in dict.fromkeys(asked) if one and one not in self._extents]
        if new:
            found = dict(zip(new, self._measured(new), strict=True))
            with self._lock:
                self._extents.update(found)
        with self._lock:
            return tuple(self._extents[one] if one else Extent() for one in asked)

    def beyond(
        self, wanted: Sequence[tuple[Sequence[Member], Portions]], namespace: str | None, tenant: str | None
    ) -> tuple[tuple[int, int], ...]:
        """Count for portions of each set of holdings its objects in namespaces and of tenants that patterns fit.

        Beside them stand its others. A holding of which nothing is here counts as one other: nobody knows what is in
        it. A namespace of which nobody saw an object counts as one.
        """
        asked = tuple((tuple(some), portions) for some, portions in wanted), namespace, tenant
        with self._lock:
            found = self._beyond.get(asked)
        if found is None:
            values = {"namespace": _like(namespace), "tenant": _like(tenant)}
            chosen = _chosen(
                [(one, rank) for rank, (some, _) in enumerate(asked[0]) for one in some],
                [portions for some, portions in asked[0] for _ in some],
            )
            counts = {rank: (within, every) for rank, within, every in self._ask(_BEYOND, {**chosen, **values})}
            places = self._all().places
            found = tuple(
                (within, every - within + sum(one not in places for one in some))
                for rank, (some, _) in enumerate(asked[0])
                for within, every in [counts.get(rank, (0, 0))]
            )
            with self._lock:
                self._beyond[asked] = found
        return found

    def portions(self) -> Mapping[Member, Portions]:
        """Of each holding, which data in it is otherwise than registries say; holdings without any are not in it."""
        if self._portions is None:
            some = {member: bits for member, (bits, _) in self._all().bits.items() if bits}
            self._portions = {member: tuple(one for one in Portion if one.bit & bits) for member, bits in some.items()}
        return self._portions

    def extents_of(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        """How much data some portions of each set of holdings are together; remembered, as nothing changes."""
        asked = [(tuple(some), portions) for some, portions in wanted]
        with self._lock:
            new = [one for one in dict.fromkeys(asked) if one not in self._extents_of]
        if new:
            found = dict(zip(new, self._measured_of(new), strict=True))
            with self._lock:
                self._extents_of.update(found)
        with self._lock:
            return tuple(self._extents_of[one] for one in asked)

    def _measured_of(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> Iterator[Extent]:
        is_all = [self._is_all(some, portions) for some, portions in wanted]
        whole = iter(self.extents(some for (some, _), yes in zip(wanted, is_all, strict=True) if yes))
        apart = [one for one, yes in zip(wanted, is_all, strict=True) if not yes]
        rest = iter(self._measured_apart(apart) if apart else ())
        for yes in is_all:
            yield next(whole if yes else rest)

    def _is_all(self, members: Iterable[Member], portions: Portions) -> bool:
        """Whether these portions of some holdings are all that there is of them; what is in no namespace is in none."""
        bits, wanted = self._all().bits, sum(one.bit for one in portions)
        return bool(portions) and all(bits[one][1] & wanted for one in members if one in bits)

    def _measured_apart(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        chosen = _chosen(
            [(one, rank) for rank, (some, _) in enumerate(wanted) for one in some],
            [portions for some, portions in wanted for _ in some],
        )
        sums: dict[int, _Sum] = defaultdict(lambda: (0, 0))
        spaces: dict[int, int] = defaultdict(int)
        told: dict[int, Told] = defaultdict(Told)
        for some in self._in_parts(_MEASURED, {**chosen, "tenants": TENANTS, "samples": SAMPLES}):
            for rank, objects, size, count, tenants, samples in some:
                sums[rank] = _added(sums[rank], (objects, size))
                spaces[rank] += count
                told[rank].add(tenants or (), samples)
        labels = self._labels_of(chosen)
        return tuple(
            Extent(
                *sums[rank],
                namespaces=spaces[rank],
                tenants=tuple(sorted(told[rank].tenants)),
                sample_namespaces=told[rank].names,
                owners=labels[rank].owners,
                teams=labels[rank].teams,
            )
            for rank in range(len(wanted))
        )

    def count_namespaces(self, members: Iterable[Member]) -> int:
        """How many namespaces these holdings have together."""
        known = self._all()
        return known.alike.count(known.places[one] for one in members if one in known.places)

    def _measured(self, sets: list[tuple[Member, ...]]) -> Iterator[Extent]:
        chosen = _chosen([(member, number) for number, members in enumerate(sets) for member in members])
        told = self._told_of(sets)
        labels = self._labels_of(chosen)
        known = self._all()
        for number, members in enumerate(sets):
            held = [known.holdings[known.places[one]] for one in members if one in known.places]
            objects, size = _sum_of((one.objects, one.size) for one in held)
            yield Extent(
                objects=objects,
                size=size,
                namespaces=self.count_namespaces(members),
                tenants=tuple(sorted(told[number].tenants)),
                sample_namespaces=told[number].names,
                owners=labels[number].owners,
                teams=labels[number].teams,
            )

    def _told_of(self, sets: list[tuple[Member, ...]]) -> Mapping[int, Told]:
        """The tenants and the largest namespaces of each set of holdings, by its number."""
        known = self._all()
        found: dict[int, Told] = {}
        for number, members in enumerate(sets):
            told = known.largest.of(known.places[one] for one in members if one in known.places)
            if told is not None:
                found[number] = told
        missing = [number for number in range(len(sets)) if number not in found]
        chosen = _chosen([(member, number) for number in missing for member in sets[number]])
        values = {**chosen, "tenants": TENANTS, "samples": SAMPLES}
        found.update((number, Told()) for number in missing)
        for some in self._in_parts(_SAMPLED, values) if missing else ():
            for number, tenants, samples in some:
                found[number].add(tenants or (), samples)
        return found

    def _labels_of(self, chosen: Mapping[str, Any]) -> Mapping[int, "_Names"]:
        """Who answers for each set of holdings, by its rank."""
        if self._labelled is None:
            self._labelled = bool(self._ask(_LABELLED)[0][0])
        found: dict[int, _Names] = defaultdict(_Names)
        for some in self._in_parts(_LABELS, {**chosen, "most": TENANTS}) if self._labelled else ():
            for rank, owners, teams in some:
                found[rank] = found[rank].beside(owners or (), teams or ())
        return found

    def _all(self) -> "_Known":
        if self._known is None:
            found = self._ask(_HOLDINGS)
            members: list[Member] = [(row[0], Encryption(row[1]), row[2], row[3]) for row in found]
            places = {member: place for place, member in enumerate(members)}
            largest = Largest()
            alike = Alike(self._alike(_chosen(list(places.items())), largest))
            holdings = tuple(
                _holding(row, alike.count([place]), is_told=self._told_by_others and row[4] is not None)
                for place, row in enumerate(found)
            )
            bits = {member: (row[-2], row[-1]) for member, row in zip(members, found, strict=True)}
            self._known = _Known(holdings, places, alike, largest, bits)
        return self._known

    def _alike(self, chosen: Mapping[str, Any], largest: Largest) -> Iterator[tuple[list[int], int]]:
        """Which holdings namespaces have data in, and how many do; `largest` is told of them."""
        # From a part on that makes it full it wants no more.
        texts = iter(lambda: _ALIKE if largest.is_full else _LARGEST, None)
        for some in self._asked(texts, chosen):
            for ranks, count, tenants, samples in some:
                largest.add(ranks, tenants or (), samples or ())
                yield ranks, count

    def _in_parts(self, text: str, values: Mapping[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
        """Ask of some namespaces after the other: the answers add up, wherever their rows stand."""
        return self._asked(repeat(text), values)

    def _asked(self, texts: Iterable[str], values: Mapping[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
        """The same, where what is asked of the next may hang on what was told before."""
        if len(self._parts()) <= _FEW or not values.keys() >= _OF_MEMBERS:
            for text, part in zip(texts, self._parts(), strict=False):
                yield self._ask(text.format(part=part.text), {**values, **part.values})
            return
        rest = {name: value for name, value in values.items() if name not in _OF_MEMBERS}
        with self._told(), self._database.cursor() as cursor:
            # Temporary tables are this cursor's alone.
            cursor.execute(f"CREATE TEMPORARY TABLE told AS {_MEMBERS}", {name: values[name] for name in _OF_MEMBERS})
            for text, part in zip(texts, self._parts(), strict=False):
                asked = text.replace(_MEMBERS, "FROM told").format(part=part.text)
                yield cursor.execute(asked, {**rest, **part.values} or None).fetchall()

    def _parts(self) -> tuple[Cut, ...]:
        if self._cut is None:
            self._cut = tuple(cut(self._files, self._ask, _ROWS_AT_ONCE))
        return self._cut

    def namespaces(
        self, members: Iterable[Member], offset: int = 0, limit: int | None = None, portions: Portions = ()
    ) -> Iterator[NamespaceRow]:
        """Yield the namespaces of these holdings, or of some portions of them, most objects first."""
        named = [(member, 0) for member in members]
        chosen = _chosen(named, [portions] * len(named))
        for bucket, namespace, tenant, objects, size, owner, team in self._ask(
            _NAMESPACES, {**chosen, "most": limit if limit is not None else 2**62, "skip": offset}
        ):
            yield NamespaceRow(bucket, namespace, tenant, objects, size, owner=owner, team=team)

    def worst_namespaces(self, assessed: Iterable[Assessed], limit: int) -> tuple[NamespaceRow, ...]:
        """Rank all namespaces by the worst of their data, then by how much is so."""
        values = {**_chosen(_ranks(assessed)), "most": limit}
        found = (row for some in self._in_parts(_WORST, values) for row in some)
        worst = heapq.nsmallest(limit, found, key=lambda row: (-row[5], -(row[3] or 0), row[0], row[1]))
        return tuple(
            NamespaceRow(bucket, namespace, tenant, objects, size, _RANKED[rank], owner, team)
            for bucket, namespace, tenant, objects, size, rank, owner, team in worst
        )

    def namespaces_by_readability(self, assessed: Iterable[Assessed]) -> Mapping[tuple[str, Readability], int]:
        """Count namespaces for each (bucket, readability); one namespace may stand under several."""
        groups: dict[tuple[str, Readability], list[Member]] = defaultdict(list)
        for one in assessed:
            groups[one.holding.bucket, one.assessment.readability].append(member_of(one.holding))
        return {place: self.count_namespaces(members) for place, members in groups.items()}

    def populations(self) -> Mapping[tuple[str, Population], int]:
        """Count objects for each (bucket, population) that has some."""
        return {(bucket, Population(population)): count for bucket, population, count in self._ask(_POPULATIONS)}

    def measured(self, groups: Sequence[Iterable[Member]], worst: int) -> Measured:
        """How much data some sets of holdings are, each for itself and all together; no holding is in two of them."""
        chosen = _chosen([(member, rank) for rank, members in enumerate(groups) for member in members])
        sums: dict[int, _Sum] = defaultdict(lambda: (0, 0))
        populations: dict[Population, tuple[int, int]] = {}
        for rank, population, objects, size in self._ask(_SUMS, chosen):
            sums[rank] = _added(sums[rank], (objects, size))
            if population is None:
                continue  # nobody saw an object
            before = populations.get(Population(population), (0, 0))
            populations[Population(population)] = min(_MOST, before[0] + objects), min(_MOST, before[1] + size)
        namespaces = [0] * len(groups)
        every, tenants, most = 0, set[str](), list[tuple[int | None, str, str]]()
        values = {**chosen, "tenants": TENANTS, "samples": max(worst, SAMPLES)}
        for some in self._in_parts(_TOGETHER, values):
            for ranks, count, first, top in some:
                every += count
                tenants.update(first or ())
                most.extend(top)
                for rank in range(len(groups)):
                    namespaces[rank] += count if ranks >> rank & 1 else 0
        most = heapq.nsmallest(max(worst, SAMPLES), most, key=by_amount)
        objects, size = _sum_of(sums.values())
        labels = reduce(
            lambda one, other: one.beside(other.owners, other.teams), self._labels_of(chosen).values(), _Names()
        )
        return Measured(
            each=tuple(Extent(*sums[rank], namespaces[rank]) for rank in range(len(groups))),
            together=Extent(
                objects=objects,
                size=size,
                namespaces=every,
                tenants=tuple(sorted(tenants)[:TENANTS]),
                sample_namespaces=tuple(f"{bucket}/{namespace}" for _, bucket, namespace, *_ in most[:SAMPLES]),
                owners=labels.owners,
                teams=labels.teams,
            ),
            populations=populations,
            worst=self._of_spaces(chosen, [(bucket, namespace) for _, bucket, namespace in most[:worst]]),
        )

    def _of_spaces(self, chosen: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> tuple[NamespaceRow, ...]:
        """The same namespaces with all that is told of the chosen data in them."""
        values = {"homes": [bucket for bucket, _ in wanted], "spaces": [namespace for _, namespace in wanted]}
        found = {
            (bucket, namespace): NamespaceRow(bucket, namespace, tenant, objects, size, owner=owner, team=team)
            for bucket, namespace, tenant, objects, size, owner, team in self._ask(_OF_SPACES, {**chosen, **values})
        }
        return tuple(found[one] for one in wanted)

    def rows(
        self, assessed: Iterable[Assessed], offset: int = 0, limit: int | None = None
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield every dependency with its assessment, in an order that only the data decides."""
        by_member = {member_of(one.holding): one for one in assessed}
        left = limit if limit is not None else _MOST
        skip = offset
        for bucket in dict.fromkeys(one.bucket for one in self.holdings()):
            for part in (OUTSIDE, *self._parts()):
                held = self._held(part).get(bucket, 0) if skip else _MOST
                if skip >= held:
                    skip -= held
                    continue
                for row in self._stream(_ROWS, part, {"bucket": bucket, "most": left, "skip": skip}):
                    found = _dependency(row)
                    yield found, by_member[found.bucket, found.encryption, found.key, found.key_version]
                    left -= 1
                if not left:
                    return
                skip = 0

    def named(
        self, assessed: Iterable[Assessed], name: str, *, prefix: bool, bucket: str | None, offset: int, limit: int
    ) -> tuple[NamespaceRow, ...]:
        """Find namespaces by name, or by how it begins, in the order of their names, with the worst of their data."""
        wanted = Cut(name, spaces.upper_bound(name)) if prefix else Cut(name, f"{name}\0")
        chosen = _chosen(_ranks(assessed))
        found: list[NamespaceRow] = []
        # Part by part: what one takes in memory does not grow with the fleet.
        for part in filter(None, (wanted.within(one) for one in self._parts())):
            values = {**part.values, "bucket": bucket}
            if offset and (count := self._ask(spaces.COUNT.format(part=part.text), values)[0][0]) <= offset:
                offset -= count
                continue
            more = {**chosen, **values, "most": limit - len(found), "skip": offset}
            found += (
                NamespaceRow(place, namespace, tenant, objects, size, _RANKED[rank], owner, team)
                for place, namespace, tenant, objects, size, rank, owner, team in self._ask(
                    (_CHOSEN + spaces.NAMED).format(part=part.text), more
                )
            )
            offset = 0
            if len(found) >= limit:
                break
        return tuple(found)

    def of_namespace(
        self, assessed: Iterable[Assessed], bucket: str, namespace: str, offset: int, limit: int
    ) -> Iterator[tuple[Dependency, Assessed]]:
        """Yield the dependencies of one namespace with their assessments."""
        by_member = {member_of(one.holding): one for one in assessed}
        part = Cut(namespace, f"{namespace}\0")
        for row in self._stream(_ROWS, part, {"bucket": bucket, "most": limit, "skip": offset}):
            found = _dependency(row)
            yield found, by_member[found.bucket, found.encryption, found.key, found.key_version]

    def held_by(self, tenant: str) -> frozenset[tuple[Member, Portions]]:
        """Which holdings have data of a tenant, and of which of their portions it is."""
        return frozenset(
            ((bucket, Encryption(encryption), key, version), tuple(one for one in Portion if one.bit & bits))
            for bucket, encryption, key, version, bits in self._ask(spaces.HELD, {"tenant": tenant})
        )

    def of_tenant(self, tenant: str, doubt: Doubt) -> Iterator[Dependency]:
        """Yield every dependency of the namespaces that are certainly this tenant's, without names of objects."""
        for part in self._parts():
            values = {"tenant": tenant, **tenancy.doubted(doubt)}
            yield from map(_dependency, self._stream(tenancy.ROWS, part, values))

    def keys_of_others(self, tenant: str, doubt: Doubt) -> frozenset[str]:
        """Every key that has data which is not certainly this tenant's."""
        values = {"tenant": tenant, **tenancy.doubted(doubt)}
        return frozenset(key for (key,) in self._ask(tenancy.FOREIGN, values))

    def tenants_like(self, tenant: str, doubt: Doubt, most: int) -> tuple[Sequence[str], int]:
        """The `most` names of tenants that are most like this one, and how many have data for certain.

        For the operator alone.
        """
        values = {"tenant": tenant, "most": most, **tenancy.doubted(doubt)}
        found = self._ask(tenancy.NAMED, values)
        return [name for name, _ in found], found[0][1] if found else 0

    def of_nobody(self, doubt: Doubt) -> int:
        """Count the namespaces of which nobody says for certain whose they are."""
        return sum(some[0][0] for some in self._in_parts(tenancy.UNCLEAR, tenancy.doubted(doubt)))

    def _held(self, part: Cut) -> Mapping[str, int]:
        """How many rows each bucket has in a part."""
        if part not in self._counts:
            self._counts[part] = dict(self._ask(_COUNTS.format(part=part.text), part.values))
        return self._counts[part]

    def _stream(self, text: str, part: Cut, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Ask, and take the answer a page at a time."""
        with self._told(), self._database.cursor() as cursor:
            cursor.execute(text.format(part=part.text), {**values, **part.values})
            while some := cursor.fetchmany(_PAGE):
                yield from some

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with told():
                yield
        except LedgerError:
            self.failed = True
            raise

    def _ask(self, text: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with self._told(), self._database.cursor() as cursor:
            return cursor.execute(text, values or None).fetchall()


@contextmanager
def told() -> Iterator[None]:
    """Put what DuckDB says of a missing or damaged file into words.

    Raises:
        LedgerError: it says so.
    """
    try:
        yield
    except duckdb.Error as error:
        raise LedgerError(
            f"the inventory cannot be read: {type(error).__name__}", "a file is missing or damaged; scan again"
        ) from None


def _added(one: _Sum, other: _Sum) -> _Sum:
    """Objects and bytes together; too much to count is no error, and what is not known of a part is not of all."""
    objects, size = zip(one, other, strict=True)
    return _both(*objects), _both(*size)


def _sum_of(every: Iterable[_Sum]) -> _Sum:
    nothing: _Sum = (0, 0)
    return reduce(_added, every, nothing)


def _both(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(_MOST, one + other)


def _ranks(assessed: Iterable[Assessed]) -> list[tuple[Member, int]]:
    return [(member_of(one.holding), _RANKED.index(one.assessment.readability)) for one in assessed]


def _chosen(members: list[tuple[Member, int]], portions: Sequence[Portions] | None = None) -> dict[str, Any]:
    """What stands for the holdings that are asked for; `portions`: of each of them, none for all of it."""
    bits = [sum(one.bit for one in some) for some in portions] if portions is not None else [0] * len(members)
    return {
        "portions": bits,
        "buckets": [member[0] for member, _ in members],
        "encryptions": [member[1].value for member, _ in members],
        "keys": [member[2] for member, _ in members],
        "versions": [member[3] for member, _ in members],
        "ranks": [rank for _, rank in members],
    }


def _holding(row: tuple[Any, ...], namespaces: int, *, is_told: bool) -> Holding:
    bucket, encryption, key, version, objects, size, archived, oldest, newest, *_ = row
    return Holding(
        bucket=bucket,
        encryption=Encryption(encryption),
        key=key,
        key_version=version,
        objects=objects,
        size=size,
        archived=archived or 0,
        namespaces=namespaces,
        oldest=_moment(oldest),
        newest=_moment(newest),
        is_told=is_told,
    )


def _moment(told: int | None) -> datetime | None:
    return moment(told) if told is not None else None


def _dependency(row: tuple[Any, ...]) -> Dependency:
    (
        bucket,
        namespace,
        tenant,
        population,
        encryption,
        key,
        version,
        objects,
        size,
        archived,
        oldest,
        newest,
        owner,
        team,
        *names,
    ) = row
    return Dependency(
        bucket=bucket,
        namespace=namespace,
        tenant=tenant,
        population=Population(population) if population is not None else None,
        encryption=Encryption(encryption),
        key=key,
        key_version=version,
        objects=objects,
        size=size,
        archived=archived,
        oldest=_moment(oldest),
        newest=_moment(newest),
        samples=tuple(dict.fromkeys(name for name in names if name is not None)),
        owner=owner,
        team=team,
    )


def _like(pattern: str | None) -> str | None:
    """The same pattern for SQL, where other signs than `*` are special."""
    if pattern is None:
        return None
    for sign in "!%_":
        pattern = pattern.replace(sign, f"!{sign}")
    return pattern.replace("*", "%")
