"""Live data of one namespace under several keys, told from the rows themselves, a part of them after the other.

Beside registries DuckDB tells the same. Where nobody says anything it would read and sort as often as there are parts,
and take five times as long.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditor.inventory.cuts import starts
from auditor.model import Encryption, Population
from auditor.ownership.registered import Portion

_TEXTS: Final = ["bucket", "tenant", "population", "encryption", "key", "key_version"]
_Sum = tuple[str, Literal["min", "max", "any"]]
_ENDS: Final[tuple[Literal["min", "max"], ...]] = ("min", "max")
_COMPARED: Final = ["namespace", "population", "encryption", "key"]
_CERTAIN: Final = ("alike", "by_id", "by_number", "one")
"""Where one of these is two, keys are two for certain, and not perhaps one by the names of its project."""
_SPELLED: Final = ("named", *_CERTAIN)
_PROJECT: Final = re.compile("projects/([^/]+)")
_NUMBER: Final = re.compile("[0-9]+")
_NOTHING: Final = pa.scalar(0, pa.int32())
_NOT_CMEK: Final = 0
_OWN: Final = -1
"""What is under no KMS key counts as one key more, and what its writer encrypted as another."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that a file has compressed together."""

    number: int
    rows: int
    first: str | None
    """The first namespace; None: nobody tells."""
    last: str | None
    inside: bool
    outside: bool
    """Whether rows in some namespace may be there, and rows in none."""

    def may_hold(self, first: str | None, until: str | None) -> bool:
        """Whether a namespace from `first` on and before `until` may be there."""
        begins_later = until is not None and self.first is not None and self.first >= until
        ends_before = first is not None and self.last is not None and self.last < first
        return self.inside and not begins_later and not ends_before

    def holds_only(self, first: str | None, until: str | None) -> bool:
        """Whether all that is there is in such a namespace."""
        if self.outside or self.first is None or self.last is None:
            return False
        return (first is None or first <= self.first) and (until is None or self.last < until)


class InOrder:
    """The rows of one file: those in no namespace, and then the others in the order of their namespaces."""

    def __init__(self, file: pq.ParquetFile, rows_at_once: int, columns: Sequence[str] | None = None) -> None:
        self._file = file
        self._columns = list(columns) if columns is not None else None
        self._groups = tuple(_groups_of(file))
        self._rows_at_once = rows_at_once
        self._last: tuple[int, pa.Table] | None = None
        """What was read last: the next part may begin in it."""

    def __iter__(self) -> Iterator[pa.Table]:
        none = pc.field("namespace").is_null()
        yield from self._together(self._read(one.number).filter(none) for one in self._groups if one.outside)
        begun = sorted((one.first, one.rows) for one in self._groups if one.first is not None)
        for first, until in pairwise([*starts(begun, self._rows_at_once), None]):
            span = _span(first, until)
            some = [one for one in self._groups if one.may_hold(first, until)]
            yield from self._together(
                self._read(one.number) if one.holds_only(first, until) else self._read(one.number).filter(span)
                for one in some
            )

    def _together(self, found: Iterable[pa.Table]) -> Iterator[pa.Table]:
        if some := [one for one in found if one.num_rows]:
            yield _sorted(pa.concat_tables(some).unify_dictionaries())

    def _read(self, number: int) -> pa.Table:
        if self._last is None or self._last[0] != number:
            self._last = number, self._file.read_row_group(number, self._columns)
        return self._last[1]


def _span(first: str | None, until: str | None) -> pc.Expression:
    name: Any = pc.field("namespace")  # any: the stubs know of no comparing
    begun: Any = name.is_valid() if first is None else name >= first
    span: pc.Expression = begun if until is None else begun & (name < until)
    return span


def opened(path: Path) -> pq.ParquetFile:
    """Open a file with dependencies; of what repeats itself each value is held once."""
    return pq.ParquetFile(path, read_dictionary=_TEXTS, pre_buffer=False)


def beside_itself(path: Path, ones: Mapping[str, str], rows_at_once: int) -> Iterator[pa.Table]:
    """Yield the rows of a file in order, with nobody who answers for them, and with what `mixed` tells of each."""
    with opened(path) as file:
        yield _with(file.schema_arrow.empty_table(), pa.array([], pa.int32()))
        for some in InOrder(file, rows_at_once):
            yield _with(some, mixed(some, ones))


def _with(rows: pa.Table, portions: "pa.Array[Any]") -> pa.Table:
    nobody = pa.nulls(rows.num_rows, pa.string())
    return rows.append_column("owner", nobody).append_column("team", nobody).append_column("portions", portions)


def any_mixed(path: Path, ones: Mapping[str, str], rows_at_once: int) -> bool:
    """Whether `mixed` tells anything of any row of a file."""
    with opened(path) as file:
        parts = InOrder(file, rows_at_once, _COMPARED)
        return any(pc.any(pc.not_equal(mixed(some, ones), _NOTHING)).as_py() for some in parts)


def _groups_of(file: pq.ParquetFile) -> Iterator[_Group]:
    about = file.metadata
    place = file.schema_arrow.get_field_index("namespace")
    for number in range(about.num_row_groups):
        column = about.row_group(number).column(place)
        told: Any = column.statistics  # any: the stubs do not know all of it
        rows = about.row_group(number).num_rows
        known = told is not None and told.has_min_max
        none = told.null_count if told is not None and told.has_null_count else None
        first, last = (told.min, told.max) if known else (None, None)
        yield _Group(number, rows, first, last, inside=none != rows, outside=none != 0)


def _sorted(rows: pa.Table) -> pa.Table:
    """In the order of namespaces; a sweep has them in that of the names of objects, where `a-b/` is before `a/`."""
    names = rows.column("namespace").combine_chunks()
    if names.null_count or not pc.any(pc.less(names[1:], names[:-1])).as_py():
        return rows
    return rows.take(pc.sort_indices(names))


def mixed(rows: pa.Table, ones: Mapping[str, str]) -> "pa.Array[Any]":  # quoted: no parameters at run time
    """Tell of each row as a number whether live data of its namespace is under several keys, or may be; else 0.

    All rows of a namespace are there, next to each other. `ones`: as `OfKeys` tells them.
    """
    nothing: pa.Array[Any] = pa.repeat(_NOTHING, rows.num_rows)
    names = rows.column("namespace").combine_chunks()
    if names.null_count:
        return nothing
    is_live = pc.equal(rows.column("population"), pa.scalar(Population.LIVE.value))
    is_known = pc.not_equal(rows.column("encryption"), pa.scalar(Encryption.UNKNOWN.value))
    counts: Any = pc.and_(is_live, is_known).combine_chunks()  # type: ignore[attr-defined] # of columns, columns come
    space = pc.cumulative_sum(pa.concat_arrays([pa.array([0], pa.int32()), _differ(names)]))
    live = pa.table(
        {"space": space, "key": _coded(rows.column("key")), "encryption": rows.column("encryption")}
    ).filter(counts)
    several = _several(live, ones)
    where = pc.index_in(space, several.column("space"))
    portions: Any = several.column("portion").combine_chunks().take(where)
    found: pa.Array[Any] = pc.if_else(counts, pc.fill_null(portions, _NOTHING), nothing)
    return found


def _differ(names: "pa.Array[Any]") -> "pa.Array[Any]":
    """Whether each but the first is another one than that before it, as a number."""
    return pc.cast(pc.not_equal(names[1:], names[:-1]), pa.int32())


def _coded(column: "pa.ChunkedArray[Any]") -> "pa.DictionaryArray[Any, Any]":
    found: Any = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    coded: pa.DictionaryArray[Any, Any] = found.unify_dictionaries().combine_chunks()
    return coded


def _several(live: pa.Table, ones: Mapping[str, str]) -> pa.Table:
    """Each space that has data under several keys, or may have, and which of both that is."""
    compared = _compared(live, ones)
    each = _of_each(compared, ["named", "alike"], [("is_cmek", "any")])
    each = each.filter(pc.and_(each.column("is_cmek_any"), _differs(each, "named")))
    certain = _differs(each, "alike")
    found = _as_portions(each, certain)
    if pc.all(certain, min_count=0).as_py():
        return found
    # The rest is compared only where that decides, which is hardly anywhere.
    spaces = each.column("space").filter(pc.invert(certain)).combine_chunks()
    rest = _of_each(compared.filter(pc.is_in(compared.column("space"), spaces)), _CERTAIN)
    by_any: Any = reduce(pc.or_, [_differs(rest, name) for name in _CERTAIN])
    return pa.concat_tables([found.filter(certain), _as_portions(rest, by_any)])


def _compared(live: pa.Table, ones: Mapping[str, str]) -> pa.Table:
    """What all rows are compared by, as numbers."""
    coded = _coded(live.column("key"))
    spelled = _spelled(coded.dictionary.to_pylist(), ones)
    is_cmek = pc.equal(live.column("encryption"), pa.scalar(Encryption.CMEK.value))
    is_own = pc.equal(live.column("encryption"), pa.scalar(Encryption.CUSTOMER_SUPPLIED.value))
    no_key = pc.cast(pc.if_else(is_own, _OWN, _NOT_CMEK), pa.int32())
    numbers = {name: pc.if_else(is_cmek, spelled.column(name).take(coded.indices), no_key) for name in _SPELLED}
    return pa.table({"space": live.column("space"), "is_cmek": is_cmek, **numbers})


def _of_each(compared: pa.Table, names: Iterable[str], more: Iterable[_Sum] = ()) -> pa.Table:
    """The least and the greatest numbers of each space."""
    ends: list[_Sum] = [(name, end) for name in names for end in _ENDS]
    return compared.group_by("space", use_threads=False).aggregate([*more, *ends])


def _differs(each: pa.Table, name: str) -> Any:
    """Of each whether the least and the greatest are two."""
    return pc.fill_null(pc.not_equal(each.column(f"{name}_min"), each.column(f"{name}_max")), pa.scalar(value=False))


def _as_portions(each: pa.Table, certain: Any) -> pa.Table:
    portion = pc.if_else(certain, Portion.MIXED_KEYS.bit, Portion.MIXED_NAMES.bit)
    return pa.table({"space": each.column("space"), "portion": pc.cast(portion, pa.int32())})


def _spelled(keys: Iterable[str | None], ones: Mapping[str, str]) -> pa.Table:
    """What keys are compared by, as numbers from one on: equal numbers are equal words."""
    numbers: dict[str, int] = {}
    columns: dict[str, list[int | None]] = {name: [] for name in _SPELLED}
    for key in keys:
        words = _words(key, ones) if key is not None else (None,) * len(_SPELLED)
        for name, word in zip(_SPELLED, words, strict=True):
            columns[name].append(None if word is None else numbers.setdefault(word, len(numbers) + 1))
    return pa.table({name: pa.array(some, pa.int32()) for name, some in columns.items()})


def _words(key: str, ones: Mapping[str, str]) -> tuple[str | None, ...]:
    """Of one key what `_SPELLED` names: the same as `placing.SPELLING`."""
    one, same = ones.get(key), _same(key)
    project = _PROJECT.match(key)
    alike = key[project.end() :] if project else same
    by_number = project is not None and _NUMBER.fullmatch(project[1]) is not None
    named = same if one is None else one
    return named, alike, None if by_number else same, same if by_number else None, one


def _same(key: str) -> str:
    """What all replicas of a key have in common: the same as `placing.SAME`."""
    name, parts = [*key.split("/"), ""][1], [*key.split(":"), "", "", ""]
    is_replica = key.startswith("arn:") and name.startswith("mrk-")
    return ":".join((parts[1], parts[4], name)) if is_replica else key
