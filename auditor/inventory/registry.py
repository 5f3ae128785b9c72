"""What registries said when they were read last, kept below one folder and put together."""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from auditor import plurals
from auditor.errors import CollectError, LedgerError
from auditor.inventory import beginning, files, notes
from auditor.inventory.beginning import Read
from auditor.inventory.claiming import claim, gather
from auditor.inventory.copies import Copies
from auditor.inventory.merging import Heard, merge, unplaced
from auditor.inventory.placing import OfKeys, has_mixed, only, place
from auditor.inventory.sql import working
from auditor.inventory.unwritten import unwritten
from auditor.model import KeyName, Reason
from auditor.ownership.registered import Declared, Disputed, Entry, Flawed, Labels, Mismatch, Registered, Registry, Word
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling
from auditor.ports import KeptRegistry, RegistrySource, Unusable

_log = logging.getLogger(__name__)

_TEXTS: Final = ("bucket", "namespace", "key", "tenant", "owner", "team", "parent")
_FIELDS: Final[list[tuple[str, pa.DataType]]] = [*((name, pa.string()) for name in _TEXTS), ("size", pa.int64())]
_SCHEMA: Final = pa.schema(_FIELDS)
_AT_ONCE: Final = 50_000
_FORM: Final = 5
"""Rises when files are to be written anew though nothing was said anew."""
_FORM_TOGETHER: Final = 7
"""Rises when that is so of what is made of all of them together, and what each said stays."""
_NOTE: Final = "registry.json"
_PLAIN: Final = "as it was"
"""Stands in place of a digest where nothing was to be put beside a sweep."""
_ENTRIES: Final = "entries.parquet"
_TOLD: Final = "told.parquet"
"""What operators' bundles say is there."""
_CLAIMS: Final = "claimed.parquet"
_TOGETHER: Final = "all-"
# By each name, so that all are read: that tells which of them are of one key. Where entries part, none says whose it
# is.
_KEYS: Final = """
SELECT name, if(count(DISTINCT tenant) = 1, any_value(tenant), NULL), count(DISTINCT tenant) > 1
FROM (
    SELECT unnest(keys) AS name, if(key IS NULL, NULL, tenant) AS tenant
    FROM read_parquet($files, hive_partitioning = false)
) GROUP BY name ORDER BY name
"""
_CONFLICTS: Final = """
SELECT count(*) FILTER (contradicted), count(*) FILTER (parted), count(*) FILTER (other IS NOT NULL)
FROM read_parquet($files, hive_partitioning = false)
"""
_OF_BUCKETS: Final = """
SELECT bucket, list(DISTINCT name ORDER BY name) FROM (
    SELECT bucket, unnest(keys) AS name FROM read_parquet($files, hive_partitioning = false) WHERE key IS NOT NULL
) GROUP BY bucket ORDER BY bucket
"""
_NAMED: Final = """
SELECT DISTINCT key FROM read_parquet($files, hive_partitioning = false) WHERE key IS NOT NULL ORDER BY key
"""
_NAMESPACES: Final = """
SELECT count(*), count(*) FILTER (has_key) FROM (
    SELECT bool_or(key IS NOT NULL) AS has_key FROM read_parquet($path) GROUP BY bucket, namespace
)
"""
_DISPUTED: Final = """
SELECT bucket, namespace FROM read_parquet($files, hive_partitioning = false)
WHERE contradicted ORDER BY bucket, namespace LIMIT $most
"""
_WORDS: Final = """
SELECT DISTINCT key, tenant FROM read_parquet($files, hive_partitioning = false)
WHERE bucket IN ($bucket, $name) AND namespace = $namespace ORDER BY key NULLS FIRST, tenant NULLS FIRST LIMIT $most
"""
_COPIED: Final = 6 * 3600.0
"""Seconds after which it is looked anew whether what all say is still in the bucket that others read."""
_LONG: Final = 3600.0
"""Seconds after which nobody still judges by what registries said: each poll tells anew that it does."""
_SAMPLES: Final = 3
"""As many namespaces that registries say different things of are named, and words of each registry."""
_Summed = tuple[tuple[int, int, int], Sequence[tuple[str, str | None, bool]], Sequence[tuple[str, list[str]]]]
"""How many namespaces are disputed, parted in labels and doubtful; all keys, and those of each bucket."""
_NOTHING_SAID: Final[_Summed] = (0, 0, 0), (), ()


class RegistryStore:
    """Below one folder, one folder for each registry, and one for all together as they were at one time."""

    def __init__(
        self,
        root: Path,
        tenants: Mapping[str, str],
        labels: Mapping[str, Labels] | None = None,
        copies: Copies | None = None,
    ) -> None:
        """`copies`: where what all say together is put as well; None: nowhere."""
        self._root = root
        self._copies = copies
        self._tenants = tenants
        """Key -> whose it is, as the config says."""
        self._labels = labels or {}
        """Key -> who answers for data under it of which no registry says so, as the config says."""

    def kept(self, source: RegistrySource) -> KeptRegistry | None:
        """What a registry said when it was read last; None where it never was, or nobody can tell any more."""
        home = home_of(self._root, source.name)
        try:
            told = notes.read(home / _NOTE)
            path = home / str(told["file"])
            if (told["form"], told["asked"]) != (_FORM, source.asked) or files.digest(path) != told["digest"]:
                return None
            return KeptRegistry(
                registry=Registry(
                    name=source.name,
                    buckets=source.buckets,
                    namespaces=int(told["namespaces"]),
                    read_at=datetime.fromisoformat(told["read_at"]),
                    unusable=int(told["unusable"]),
                    flawed=tuple(Flawed(Mismatch(one), int(count), first) for one, count, first in told["flawed"]),
                ),
                version=str(told["version"]),
                first_unusable=told["first_unusable"],
                path=path,
                keyed=int(told["keyed"]),
                fields=tuple(told["fields"]),
                ends=told["ends"],
            )
        except (OSError, KeyError, ValueError, TypeError):
            return None

    def keep(self, source: RegistrySource, version: str, now: datetime) -> KeptRegistry:
        """Read all that a registry says, and keep it in place of what it said before.

        Raises:
            CollectError: it could not be read to its end, or has become empty or shorter; what it said before stays.
            LedgerError: it cannot be written down.
        """
        home = home_of(self._root, source.name)
        try:
            files.make_folder(home, self._root)
            remove_unfinished(home)
            writing = home / f"{files.UNFINISHED}{os.getpid()}"
            try:
                counted = {**_write(writing, source.entries()), **_counted(writing)}
                ends = source.ends()
                self._believe(source, counted)
                if ends is not None and (before := self.kept(source)) is not None:
                    beginning.see_that_it_is_whole(Read(writing, version, counted["unusable"], ends, now), before)
                digest = files.digest(writing)
                path = home / f"entries-{digest[:16]}.parquet"
                files.put(writing, path)
            finally:
                writing.unlink(missing_ok=True)
            told = {"form": _FORM, "asked": source.asked, "version": version, "read_at": now, "digest": digest}
            notes.write(home / _NOTE, {**told, **counted, "fields": source.fields(), "ends": ends, "file": path.name})
            for old in home.glob("entries-*.parquet"):
                if old != path:
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self._root, error) from None
        kept = self.kept(source)
        if kept is None:
            raise LedgerError(f"what {source.name} says is not kept as it was written", f"look at {self._root}")
        return kept

    def unchanged(self, source: RegistrySource) -> None:
        """A registry says what it said before, so that whatever it said in between is not on its way any more.

        Raises:
            LedgerError: that cannot be written down.
        """
        try:
            beginning.forget(home_of(self._root, source.name))
        except OSError as error:
            raise cannot_write(self._root, error) from None

    def _believe(self, source: RegistrySource, counted: Mapping[str, Any]) -> None:
        """Refuse a registry that has become empty: somebody who writes it broke off more likely than all went away."""
        if counted["namespaces"] or counted["unusable"]:
            return
        before = self.kept(source)
        if before is not None and (before.registry.namespaces or before.registry.unusable):
            named = f"named {plurals.counted(before.registry.namespaces or 0, 'namespace')}"
            had = f"had {plurals.counted(before.registry.unusable, 'entry', 'entries')}, none of which can be used,"
            raise CollectError(
                f"it is empty, and {named if before.registry.namespaces else had} before",
                "write it whole; where nothing is to be registered any more, remove its [[registry]]",
                reason=Reason.MALFORMED,
            )

    def together(
        self, kept: Iterable[KeptRegistry], unread: Iterable[Registry], spelling: Spelling = EACH_ITS_OWN
    ) -> Registered:
        """Put together what registries said last; `unread` are those that never said anything.

        `spelling`: which names are of one key, so that what is said of one name is said of all.

        Raises:
            LedgerError: it cannot be written down.
        """
        every = sorted(kept, key=lambda one: one.registry.name)
        registries = (*(one.registry for one in every), *unread)
        told = [[one.registry.name, one.registry.buckets, one.path.name] for one in every]
        open_ = sorted({bucket for one in unread for bucket in one.buckets})
        ones = sorted((name.text, one) for name, one in spelling.ones.items())
        called = sorted((one, name.text) for one, name in spelling.called.items())
        said = [_FORM, _FORM_TOGETHER, told, open_, sorted(self._tenants.items()), self._told_labels(), ones, called]
        digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        folder = self._folder(digest)
        try:
            if not _is_whole(folder):
                # Another process may be about to put it together: what it writes stays.
                for path in folder.glob("placed-*"):
                    path.unlink(missing_ok=True)
                files.make_folder(folder, self._root)
                handed = [one.path for one in every if one.registry.bundle is not None]
                paths = {one.registry.name: one.path for one in every if one.registry.bundle is None}
                self._merge(folder, paths, handed, (Registered(digest, registries), spelling))
            # So that no other process removes it meanwhile, whose config says otherwise.
            os.utime(folder)
            self._copy(folder)
            note = notes.read(folder / _NOTE)
            counts = (int(note[name]) for name in ("conflicts", "parted_labels", "doubtful"))
            return Registered(digest, registries, *counts)
        except OSError as error:
            raise cannot_write(self._root, error) from None
        except (duckdb.Error, KeyError, ValueError, TypeError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            hint = "it was removed, and is put together anew the next time"
            raise LedgerError(f"what registries say cannot be put together: {type(error).__name__}", hint) from None

    def _merge(
        self, folder: Path, paths: Mapping[str, Path], handed: Collection[Path], of_all: tuple[Registered, Spelling]
    ) -> None:
        registered, spelling = of_all
        writing = folder / f"{files.UNFINISHED}{os.getpid()}"
        with working(folder) as database:
            names = {name.text: one for name, one in spelling.ones.items()}
            gather(database, handed, folder / _TOLD)
            heard = Heard(paths, folder / _TOLD, OfKeys({}, {}, names).spelt)
            merge(database, heard, writing)
            digest = files.digest(writing)
            files.put(writing, folder / _ENTRIES)
            merged = {"files": [files.very_file(folder / _ENTRIES)]}
            # Where the config alone says whose keys are whose there is no registry, and nothing to ask.
            (conflicts, parted, doubtful), named, of_buckets = _summed(database, merged) if paths else _NOTHING_SAID
            declared = {
                "of_buckets": dict(of_buckets),
                "by_registries": {
                    name: [key for (key,) in database.execute(_NAMED, {"files": [files.very_file(path)]}).fetchall()]
                    for name, path in paths.items()
                },
                "disputed": list(_disputed(database, merged, paths)),
                "unplaced": [
                    [name, *counts]
                    for name, *counts in unplaced(database, replace(heard, registries=paths if handed else {}))
                ],
            }
        buckets = sorted({bucket for one in registered.registries for bucket in one.buckets})
        owners = _owners(named, self._tenants, spelling)
        notes.write(
            folder / _NOTE,
            {
                "entries": digest,
                "told": files.digest(folder / _TOLD),
                "known": {bucket: registered.knows(bucket) is True for bucket in buckets},
                "conflicts": conflicts,
                "parted_labels": parted,
                "doubtful": doubtful,
                "labels": _labels_of(self._labels, spelling),
                "keys": [key for key, *_ in named],
                "shared": owners.shared,
                "parted": owners.parted,
                "declared": declared,
                "tenants": owners.tenants,
                "ones": names,
                "called": {one: name.text for one, name in spelling.called.items()},
            },
        )

    def _told_labels(self) -> list[list[str | None]]:
        return [[key, one.owner, one.team] for key, one in sorted(self._labels.items())]

    def keys(self, digest: str) -> tuple[KeyName, ...]:
        """Every key that registries name."""
        return tuple(KeyName(one) for one in self._note(digest)["keys"]) if digest else ()

    def tenants(self, digest: str) -> Mapping[KeyName, str]:
        """Whose each key is, where the config says so or registries name it for one tenant only."""
        told = self._note(digest)["tenants"] if digest else self._tenants
        return {KeyName(key): str(tenant) for key, tenant in told.items()}

    def parted(self, digest: str) -> frozenset[KeyName]:
        """Every key of which the config says two tenants, by several of its names."""
        return frozenset(map(KeyName, self._note(digest).get("parted", ()))) if digest else frozenset()

    def shared(self, digest: str) -> frozenset[KeyName]:
        """Every key that registries name for several tenants."""
        return frozenset(KeyName(one) for one in self._note(digest)["shared"]) if digest else frozenset()

    def labelled(self, digest: str) -> frozenset[KeyName]:
        """Every key of which the config says who answers for data under it."""
        return frozenset(map(KeyName, (one[0] for one in self._note(digest)["labels"]) if digest else self._labels))

    def declared(self, digest: str) -> Declared:
        """Which keys registries name, and in what they part."""
        if not digest:
            return Declared()
        told = self._note(digest)["declared"]
        return Declared(
            of_buckets={bucket: tuple(keys) for bucket, keys in told["of_buckets"].items()},
            by_registries={name: tuple(keys) for name, keys in told["by_registries"].items()},
            disputed=tuple(
                Disputed(bucket, namespace, tuple(Word(*one) for one in words))
                for bucket, namespace, words in told["disputed"]
            ),
            unplaced={name: (taken, open_) for name, taken, open_ in told.get("unplaced", ())},
        )

    def placed(self, digest: str, bucket: str, held: Path) -> Path | None:
        """Where a sweep's dependencies stand beside what registries said; made where they do not yet.

        None where nobody says anything, and each namespace is under one key: then they are as they were.

        Raises:
            LedgerError: what they said then is not kept any more, or cannot be read.
        """
        told = self._note(digest)
        folder = self._folder(digest)
        target = folder / f"placed-{held.parent.name}.parquet"
        proof = target.with_suffix(".json")
        try:
            if _is_plain(proof):
                return None
            if not _is_proven(target, proof):
                is_known = bool(told["known"].get(bucket, False))
                of_keys = _of_keys(told)
                is_said = is_known or of_keys.tenants or of_keys.labels or told["declared"]["by_registries"]
                if not is_said and not has_mixed(held, of_keys):
                    notes.write(proof, _PLAIN)
                    return None
                if not _is_whole(folder):
                    raise LedgerError("what registries say was changed", "poll: it is put together anew")
                place(held, target, bucket, folder / _ENTRIES, of_keys, is_known=is_known)
                notes.write(proof, files.digest(target))
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise cannot_write(self._root, error) from None
        return target

    def claimed(self, digest: str) -> Path:
        """Where what registries said stands as dependencies: each namespace under each key that anybody names for it.

        Raises:
            LedgerError: what they said then is not kept any more, or cannot be read.
        """
        folder = self._folder(digest)
        of_keys = _of_keys(self._note(digest))
        target = folder / _CLAIMS
        proof = target.with_suffix(".json")
        try:
            if not _is_proven(target, proof):
                if not _is_whole(folder):
                    raise LedgerError("what registries say was changed", "poll: it is put together anew")
                claim(folder / _ENTRIES, folder / _TOLD, target, of_keys)
                notes.write(proof, files.digest(target))
        except (OSError, duckdb.Error) as error:
            raise cannot_write(self._root, error) from None
        return target

    def prune(self, digests: Collection[str], sweeps: Collection[str]) -> None:
        """Remove what nothing stands on any more, and no other process used lately."""
        stay = {self._folder(one) for one in digests if one}
        for folder in self._root.glob(f"{_TOGETHER}*"):
            if folder not in stay:
                if _age(folder) > _LONG:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.glob("placed-*"):
                if path.stem.removeprefix("placed-") not in sweeps:
                    path.unlink(missing_ok=True)

    def _copy(self, folder: Path) -> None:
        """Put it where others find it, once; what says what is in it comes last."""
        if self._copies is None:
            return
        done = folder / f".sent-{hashlib.sha256(self._copies.url.encode()).hexdigest()[:16]}"
        # Whoever removes what is old there does not know that this is in use.
        if done.exists() and _age(done) < _COPIED:
            return
        try:
            self._copies.put([folder / one for one in (_ENTRIES, _TOLD, _NOTE)])
            done.touch()
        except LedgerError as error:
            # Who judges here has all of it: others lack it until the next poll tries again.
            _log.warning("what registries say: %s; %s", error, error.hint)

    def _note(self, digest: str) -> Any:
        note = self._folder(digest) / _NOTE
        if self._copies is not None and not note.exists():
            self._fetch(note.parent)
        try:
            return notes.read(note)
        except (OSError, ValueError):
            raise LedgerError(
                "what registries said then is not kept any more, or was changed", "poll: they are put together anew"
            ) from None

    def _fetch(self, folder: Path) -> None:
        """Fetch it from where others have put it.

        Raises:
            LedgerError: it is not there either, or not as it was put there.
        """
        assert self._copies is not None  # noqa: S101 - looked at before
        every = [folder / name for name in (_ENTRIES, _TOLD, _NOTE)]
        for path in every:
            self._copies.fetch(path)
        if not _is_whole(folder):
            for path in every:
                path.unlink(missing_ok=True)
            why = f"what registries say, {folder.name} at {self._copies.url}, is not what was put there"
            raise LedgerError(why, "somebody changed it; poll where it was put together")

    def _folder(self, digest: str) -> Path:
        return self._root / f"{_TOGETHER}{digest[:32]}"


def home_of(root: Path, name: str) -> Path:
    """Where what one registry says is kept."""
    readable = re.sub(r"[^a-z0-9-]", "-", name.lower())[:60]
    return root / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _write(path: Path, entries: Iterator[Entry | Unusable]) -> dict[str, Any]:
    """Write the usable entries; count the others."""
    unusable = 0
    first: str | None = None
    flawed: dict[Mismatch, tuple[int, str]] = {}
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        while some := list(islice(entries, _AT_ONCE)):
            usable = [one for one in some if isinstance(one, Entry)]
            bad = [one for one in some if isinstance(one, Unusable)]
            if bad and first is None:
                first = str(bad[0])
            for one in bad:
                if one.mismatch is not None:
                    count, place = flawed.get(one.mismatch, (0, one.place))
                    flawed[one.mismatch] = count + 1, place
            unusable += len(bad)
            columns = {name: [getattr(one, name) for one in usable] for name in _SCHEMA.names}
            writer.write_table(pa.table(columns, _SCHEMA))
    told = {"unusable": unusable, "first_unusable": first}
    return {**told, "flawed": [[one, *flawed[one]] for one in Mismatch if one in flawed]}


def _counted(path: Path) -> dict[str, int]:
    """How many namespaces entries name, each once, and of how many a key."""
    with working(path.parent) as database:
        ((namespaces, keyed),) = database.execute(_NAMESPACES, {"path": files.very_file(path)}).fetchall()
    return {"namespaces": namespaces, "keyed": keyed}


def _summed(database: duckdb.DuckDBPyConnection, merged: Mapping[str, Any]) -> _Summed:
    ((conflicts, parted, doubtful),) = database.execute(_CONFLICTS, merged).fetchall()
    named = database.execute(_KEYS, merged).fetchall()
    return (conflicts, parted, doubtful), named, database.execute(_OF_BUCKETS, merged).fetchall()


def _disputed(
    database: duckdb.DuckDBPyConnection, merged: Mapping[str, Any], paths: Mapping[str, Path]
) -> Iterator[tuple[str, str, list[list[str | None]]]]:
    """The first few namespaces of which registries say different things, and what each says."""
    for bucket, namespace in database.execute(_DISPUTED, {**merged, "most": _SAMPLES}).fetchall():
        words: list[list[str | None]] = []
        for name, path in paths.items():
            asked = {"bucket": bucket, "name": name, "namespace": namespace, "most": _SAMPLES}
            found = database.execute(_WORDS, {**asked, "files": [files.very_file(path)]}).fetchall()
            words.extend([name, key, tenant] for key, tenant in found)
        yield bucket, namespace, words


def _age(path: Path) -> float:
    """Seconds since it was last written or used; none where it is not there any more."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def remove_unfinished(home: Path) -> None:
    """Remove what polls left that were killed while they wrote."""
    for path in home.glob(f"{files.UNFINISHED}*"):
        name = path.name.removeprefix(files.UNFINISHED)
        if _age(path) > _LONG or (name.isdecimal() and not _is_running(int(name))):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_whole(folder: Path) -> bool:
    """Whether what registries say together is as it was written."""
    try:
        note = notes.read(folder / _NOTE)
        return [note[name] for name in ("entries", "told")] == [files.digest(folder / one) for one in (_ENTRIES, _TOLD)]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_plain(proof: Path) -> bool:
    try:
        return bool(notes.read(proof) == _PLAIN)
    except (OSError, ValueError):
        return False


def _of_keys(note: Mapping[str, Any]) -> OfKeys:
    # What an older version put together knows of no other names.
    labels = {key: Labels(*one) for key, *one in note["labels"]}
    return OfKeys(note["tenants"], labels, note.get("ones", {}), note.get("called", {}))


@dataclass(frozen=True, slots=True)
class _Owners:
    """Whose keys are, by each name of theirs."""

    tenants: dict[str, str]
    shared: list[str]
    """Names of keys that registries name for several tenants, and of which the config says nothing."""
    parted: list[str]
    """Names of keys of which the config says several."""


def _owners(named: Iterable[tuple[str, str | None, bool]], tenants: Mapping[str, str], spelling: Spelling) -> _Owners:
    """Whose each key is; `named`: (key, the one tenant that registries name it for, whether they name several)."""
    told = [(KeyName(key), (tenant, is_shared)) for key, tenant, is_shared in named]
    by_config = spelling.together((KeyName(key), tenant) for key, tenant in tenants.items())
    by_registries = spelling.together(told)
    found = _Owners({}, [], [])
    for name in sorted({*map(KeyName, tenants), *(key for key, _ in told), *spelling.ones}):
        one = spelling.one_of_all(name)
        said, heard = by_config.get(one, frozenset()), by_registries.get(one, frozenset())
        owners = said or {tenant for tenant, _ in heard if tenant is not None}
        if len(said) > 1:
            found.parted.append(name.text)
        elif not said and (len(owners) > 1 or any(is_shared for _, is_shared in heard)):
            found.shared.append(name.text)
        elif owners:
            found.tenants[name.text] = min(owners)
    return found


def _labels_of(labels: Mapping[str, Labels], spelling: Spelling) -> list[list[str | None]]:
    """Who answers for data under each key, by each name of its own; nobody where its names part."""
    told = spelling.spread((KeyName(key), one) for key, one in labels.items())
    return [
        [name.text, only(one.owner for one in some), only(one.team for one in some)]
        for name, some in sorted(told.items())
    ]


def _is_proven(target: Path, proof: Path) -> bool:
    try:
        return bool(notes.read(proof) == files.digest(target))
    except (OSError, ValueError):
        return False


def cannot_write(root: Path, error: Exception) -> LedgerError:
    """Say that what registries say cannot be kept."""
    return unwritten("what registries say cannot be kept", root, error)
