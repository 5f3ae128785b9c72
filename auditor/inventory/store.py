"""The inventory's folder: one folder a sweep, put in place whole or not at all."""

import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from auditor.errors import CollectError, GoneError, LedgerError, OrderError
from auditor.findings import Member
from auditor.inventory import files, notes, parts, snapshot
from auditor.inventory.copies import Copies
from auditor.inventory.dependencies import Dependencies, told
from auditor.inventory.flows import FoundFlows, flows
from auditor.inventory.folders import folder_name
from auditor.inventory.known import KnownRows
from auditor.inventory.layout import Layout
from auditor.inventory.parts import Part
from auditor.inventory.registry import RegistryStore
from auditor.inventory.shared import SharedSweeps, begun_in
from auditor.inventory.unwritten import unwritten
from auditor.model import Listing, Population, Reason, Requests, Sample, Sweep
from auditor.ownership.registered import Tenancy
from auditor.ports import Begun, Coming, Listed, Passes, Plan, Shard, Taken, Written

_log = logging.getLogger(__name__)

_UNFINISHED: Final = ".unfinished-"
_GONE: Final = ".gone"
"""How the name of a folder ends that is being removed; who is killed meanwhile leaves it to the next one."""
_OWNER: Final = ".owner"
_BEGUN: Final = ".begun"
_MALFORMED: Final = ".malformed"
"""A note that the listing met an answer that cannot be though it had begun at its beginning.

It is a list: where that followed one that had been gone on with, the names behind which that one had come no further.
"""
_RESUMABLE: Final = 24 * 3600.0
"""Seconds after its last finished part in which a sweep can be gone on with, at most."""
_SURELY: Final = 3600.0
"""Seconds in which any can be."""
_WORTH: Final = 4
"""How many times as long as the work that is saved all pauses may be: what is listed soon again is listed anew."""
_TRIES: Final = 20
_PAUSE: Final = 0.05
"""How often, and after how many seconds, a folder is locked again."""
_WEEK: Final = 7 * 24 * 3600
_LONG: Final = 3600.0
"""Seconds after which nobody still judges by a sweep that was replaced, or is about to publish or to lock one."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which whole sweeps of a bucket stay, beside those that are needed."""

    last: int = 1
    """So many that were put in place last."""
    weeks: int = 0
    """The first of each week, for so many weeks."""

    def chosen(self, ages: Mapping[Path, float]) -> set[Path]:
        """Those that stay, of folders with their ages in seconds."""
        newest = sorted(ages, key=lambda path: (ages[path], path.name))
        found = set(newest[: self.last])
        if self.weeks:
            now = time.time()
            # The oldest of a week comes last, and stays.
            weeks = {int((now - ages[path]) // _WEEK): path for path in newest}
            found.update(path for week, path in weeks.items() if int(now // _WEEK) - week < self.weeks)
        return found


@dataclass(frozen=True, slots=True)
class _Opened:
    """Dependencies that are read by now, with the files beside registries that they stand on."""

    dependencies: Dependencies
    looks: Mapping[Path, files.Seen]
    """File -> what it looked like when it was put there."""

    def is_as_it_was(self) -> bool:
        """Whether it may be read on: other processes remove what registries said, and make it anew."""
        try:
            return not self.dependencies.failed and all(files.seen(path) == look for path, look in self.looks.items())
        except OSError:
            return False


class FileInventory:
    """Snapshots below one folder; one process writes a bucket at a time."""

    def __init__(
        self,
        root: Path,
        layouts: Mapping[str, Layout],
        keep: Keep = Keep(),
        registry: RegistryStore | None = None,
        copies: Copies | None = None,
    ) -> None:
        """`copies`: where whole sweeps are put as well, before anybody judges by them; None: nowhere."""
        self._registry = registry
        self._copies = copies
        self._root = root
        self._layouts = layouts
        self._keep = keep
        self._lock = threading.Lock()
        self._open: dict[tuple[tuple[str, ...], str], _Opened] = {}
        self._compared: tuple[str, FoundFlows] | None = None
        self._proven: dict[str, files.Seen] = {}
        """File -> what it looked like when its digest was right."""
        self._samples: dict[tuple[str, str], tuple[Sample, ...]] = {}
        self.sharing = SharedSweeps(root, layouts)
        self._stuck: dict[str, tuple[str, ...]] = {}
        """Bucket -> names behind which a sweep came no further, until the next begins anew."""

    def layout(self, bucket: str) -> str:
        """How the config says that namespaces are cut out of the names in a bucket."""
        return str(self._layouts[bucket])

    def known(self, sweep: Sweep, *, as_is: bool) -> KnownRows | None:
        """What a sweep learnt, with its stretches where they may stand as they are; None where it was damaged."""
        try:
            with self._lock:
                return KnownRows(self._parts(sweep), as_is=as_is)
        except LedgerError:
            return None

    def begun(self, bucket: str, settings: str) -> Begun | None:
        """The newest sweep that broke off or was killed lately, and can be gone on with."""
        home = self._root / folder_name(bucket)
        try:
            found = list(home.iterdir())
        except OSError:
            return None
        # One that is whole may wait for the ledger still: should two hand it over, they say the same.
        kept = (_kept(path) for path in found if not path.name.startswith(_UNFINISHED) or _is_dead(path))
        return max(
            (one for one in kept if one is not None and one.kept and one.settings == settings),
            key=lambda one: (one.after, one.started),
            default=None,
        )

    def write(self, bucket: str, begun: Begun, passes: Passes) -> Written:
        """Write one bucket's snapshot and dependencies atomically; of a listing that breaks off, finished parts stay.

        Raises:
            CollectError: the listing broke off.
            LedgerError: another process goes on with this sweep, or rows were lost; a `DiskError` where the disk fails.
        """
        home = self._root / folder_name(bucket)
        unfinished = home / f"{_UNFINISHED}{begun.id}"
        if not begun.kept:
            # Nobody goes on any more with what was left before.
            self._remove_dead(home)
        try:
            if (whole := self._whole(bucket, begun)) is not None:
                return whole
            if not begun.kept:
                files.make_folder(home, self._root)
                unfinished.mkdir(mode=0o700)
            with _owned(unfinished) as is_there:
                if not is_there:
                    return self._ended(bucket, begun)
                written = self._write(unfinished, bucket, begun, passes)
                os.replace(unfinished, home / begun.id)  # noqa: PTH105 - the atomic call by its own name
            (home / begun.id / _OWNER).unlink()
            (home / begun.id / _MALFORMED).unlink(missing_ok=True)
            return self._told(bucket, begun, written)
        except (OSError, duckdb.OperationalError) as error:
            raise unwritten(f"cannot write the inventory of {bucket}", self._root, error) from None

    def borders(self, sweep: Sweep) -> list[str]:
        """Names in order, between which about as many objects of a sweep lie; none where it is damaged."""
        with self._lock:
            try:
                whole = self._parts(sweep)
            except LedgerError:
                return []
        return [one.last for one in whole if one.last is not None]

    def gather(self, plan: Plan, listings: tuple[Listing, ...]) -> Begun:
        """Begin the sweep of a plan with what workers have listed: whoever goes on with it lists the rest.

        Raises:
            LedgerError: somebody goes on with it already; a `DiskError` where it cannot be written down.
        """
        home = self._root / folder_name(plan.bucket)
        folder = home / f"{_UNFINISHED}{plan.begun.id}"
        try:
            files.make_folder(home, self._root)
            if folder.exists():
                # Somebody was killed who put them together, or who went on with it.
                with _owned(folder) as is_there:
                    if is_there:
                        _remove(folder)
            folder.mkdir(mode=0o700)
            with _owned(folder):
                found = self.sharing.found(plan, listings)
                names = {each: parts.Names(each) for each in listings}
                gathered = [parts.handed_on(one, folder, names[one.listing].following()) for one in found]
                listed = self.sharing.listed(plan)
                spent = Listed(
                    sum(one.rows for one in gathered),
                    sum((one.sent for one in listed.values()), Requests()),
                    _together([one.markers for one in listed.values()]) if len(listed) == len(plan.shards) else None,
                )
                begun = replace(plan.begun, shared=spent)
                _keep(folder, plan.bucket, begun)
            return replace(begun, kept=spent.rows)
        except OSError as error:
            raise unwritten(f"cannot write the inventory of {plan.bucket}", self._root, error) from None

    def take(self, bucket: str, begun: Begun, put: Callable[[Path, Path], Taken]) -> Written:
        """Keep dependencies that somebody else has added up, atomically, beside a snapshot of no object.

        `put` writes them; it is given a folder to work in, and the file.

        Raises:
            CollectError: they cannot be used.
            LedgerError: the disk fails.
        """
        home = self._root / folder_name(bucket)
        unfinished = home / f"{_UNFINISHED}{begun.id}"
        self._remove_dead(home)
        try:
            files.make_folder(home, self._root)
            unfinished.mkdir(mode=0o700)
            with _owned(unfinished) as is_there:
                if not is_there:
                    raise LedgerError("another process has removed what was added up", "scan again")
                try:
                    # Whoever finds it unlocked and with this note knows at once that it is dead.
                    _keep(unfinished, bucket, begun)
                    found = put(unfinished, unfinished / snapshot.DEPENDENCIES)
                    shutil.rmtree(unfinished / "spill", ignore_errors=True)
                    parts.publish(unfinished, ())
                    os.replace(unfinished, home / begun.id)  # noqa: PTH105 - the atomic call by its own name
                except BaseException:
                    _remove(unfinished)
                    raise
            for name in (_OWNER, _BEGUN):
                (home / begun.id / name).unlink()
            reasons = ((Reason.NOT_VISIBLE, found.unresolved),) if found.unresolved else ()
            written = Written({}, found.listed, found.resolved, found.outside, found.asked, reasons)
            return self._told(bucket, begun, written)
        except (OSError, duckdb.OperationalError) as error:
            raise unwritten(f"cannot write the inventory of {bucket}", self._root, error) from None

    def settle(self, sweep: Sweep) -> None:
        """Forget how to go on with a sweep: the ledger knows it now."""
        # Where that cannot be it does no harm: nobody goes on with what the ledger has.
        with suppress(OSError):
            (self._root / folder_name(sweep.bucket) / sweep.id / _BEGUN).unlink()
        # What was listed by a plan is of no use to anybody either; whoever puts together what failed needs it still.
        with suppress(LedgerError):
            if sweep.complete and (plan := self.sharing.plan(sweep.bucket)) is not None and plan.begun.id == sweep.id:
                self.sharing.end(sweep.bucket, sweep.id)

    def _told(self, bucket: str, begun: Begun, written: Written) -> Written:
        place = f"{folder_name(bucket)}/{begun.id}"
        self._copy(self._root / place)
        names = [f"{place}/{name}" for name in (parts.SNAPSHOT, snapshot.DEPENDENCIES)]
        return replace(written, files={name: files.digest(self._root / name) for name in names})

    def _copy(self, folder: Path) -> None:
        """Put all of a whole sweep where others find it; what says which parts it has comes last.

        Raises:
            DiskError: that could not be done.
        """
        if self._copies is None:
            return
        found = [path for one in parts.published(folder) for path in (one.path, one.sums)]
        self._copies.put([*found, folder / snapshot.DEPENDENCIES, folder / parts.SNAPSHOT])

    def _whole(self, bucket: str, begun: Begun) -> Written | None:
        """What there is of a sweep that was gone on with to its end; None where it has none yet."""
        folder = self._root / folder_name(bucket) / begun.id
        if not (begun.kept and folder.is_dir()):
            return None
        ended = datetime.fromtimestamp((folder / parts.SNAPSHOT).stat().st_mtime, UTC)
        return self._told(bucket, begun, replace(snapshot.again(folder, bucket), ended=ended))

    def _ended(self, bucket: str, begun: Begun) -> Written:
        """What another process has made of a sweep that was to be gone on with.

        Raises:
            LedgerError: it broke off there, and nothing is left.
        """
        whole = self._whole(bucket, begun)
        if whole is None:
            raise LedgerError("another process had this sweep, and nothing of it is left", "scan again")
        return whole

    def _write(self, folder: Path, bucket: str, begun: Begun, passes: Passes) -> Written:
        heard = _Heard(passes)
        stuck = () if begun.kept else self._stuck.pop(bucket, ())
        try:
            _keep(folder, bucket, begun)
            return snapshot.write(folder, bucket, self._layouts[bucket], heard)
        except BaseException as error:
            malformed = isinstance(error, CollectError) and error.reason is Reason.MALFORMED
            if malformed and not begun.kept:
                _note(folder, stuck)
            if not _may_go_on(folder, begun, error, heard.silent):
                _remove(folder)
                if malformed and heard.silent:
                    self._stuck[bucket] = tuple(str(one.after) for one in heard.silent)
            raise
        finally:
            shutil.rmtree(folder / "spill", ignore_errors=True)

    def unusable(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose dependencies nobody may judge by: the bucket and why."""
        found: dict[str, LedgerError] = {}
        with self._lock:
            for one in sweeps:
                try:
                    self._prove(one.bucket, *_file(one, snapshot.DEPENDENCIES))
                except LedgerError as error:
                    found[one.bucket] = error
        return found

    def damaged(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """Of each of these sweeps whose objects are not what it wrote: the bucket and why; its sums may be so still."""
        found: dict[str, LedgerError] = {}
        with self._lock:
            for one in sweeps:
                try:
                    self._parts(one)
                except LedgerError as error:
                    found[one.bucket] = error
        return found

    def open(self, sweeps: Iterable[Sweep], said: str = "") -> Dependencies:
        """Open the dependencies of these sweeps, beside what registries `said`; the same again cost next to nothing.

        Raises:
            LedgerError: a file that a sweep names is not there, or is not what the sweep wrote; or what registries said
                is not kept any more.
        """
        wanted = tuple((one.bucket, *_file(one, snapshot.DEPENDENCIES)) for one in sweeps)
        names = tuple(name for _, name, _ in wanted)
        asked = names, said
        self._fetch(wanted)
        with self._lock:
            known = self._open.get(asked)
            if known is not None and not known.is_as_it_was():
                del self._open[asked]
                if known.dependencies.failed:
                    self._proven = {name: seen for name, seen in self._proven.items() if name not in names}
            for bucket, name, digest in wanted:
                self._prove(bucket, name, digest)
            if asked not in self._open:
                # Two at most: the newest judgement's, and that of sweeps which are published and not judged yet.
                for old in tuple(self._open)[:-1]:
                    del self._open[old]
                held = [(bucket, self._root / name) for bucket, name, _ in wanted]
                self._open[asked] = self._dependencies(held, said)
                used = {name.rpartition("/")[0] for group, _ in self._open for name in group}
                self._proven = {name: seen for name, seen in self._proven.items() if name.rpartition("/")[0] in used}
            return self._open[asked].dependencies

    def claimed(self, said: str) -> Dependencies:
        """Open what registries `said` of namespaces as dependencies; the same again costs next to nothing.

        Raises:
            LedgerError: what they said then is not kept any more, or cannot be read.
        """
        if self._registry is None or not said:
            return Dependencies(())
        asked = (), f"claimed {said}"
        with self._lock:
            known = self._open.get(asked)
            if known is None or not known.is_as_it_was():
                path = self._registry.claimed(said)
                try:
                    looks = {path: files.seen(path)}
                except OSError:
                    raise LedgerError("what registries say was removed while it was read", "poll again") from None
                for old in tuple(self._open)[:-1]:
                    del self._open[old]
                self._open[asked] = _Opened(Dependencies((), (path,), told_by_others=True), looks)
            return self._open[asked].dependencies

    def flows(
        self,
        before: Sequence[Sweep],
        after: Sequence[Sweep],
        members: Sequence[Member],
        also: Collection[Member],
        left_out: Collection[tuple[str, Population]],
        *,
        of: Tenancy | None = None,
    ) -> FoundFlows:
        """Compare what is under each key version of each namespace; the same again costs next to nothing.

        `of`: only what is told to one tenant.

        Raises:
            LedgerError: a file that a sweep names is not there, or is not what the sweep wrote.
        """
        sides = [[(one.bucket, *_file(one, snapshot.DEPENDENCIES)) for one in some] for some in (before, after)]
        asked = repr((sides, members, sorted(also, key=repr), sorted(left_out), of))
        self._fetch((*sides[0], *sides[1]))
        with self._lock:
            for one in (*sides[0], *sides[1]):
                self._prove(*one)
            known = self._compared
        if known is None or known[0] != asked:
            said = of.said if of is not None else ""
            held = ([(bucket, self._root / name) for bucket, name, _ in some] for some in sides)
            earlier, later = (self._beside(some, said) for some in held)
            with told():
                known = asked, flows(earlier, later, members, also, left_out, of=of)
            self._compared = known
        return known[1]

    def _beside(self, held: Iterable[tuple[str, Path]], said: str) -> list[tuple[Path, bool]]:
        """Each file as it stands beside what registries said, where anything is to be put there, else as it is."""
        if self._registry is None or not said:
            return [(path, False) for _, path in held]
        placed = ((path, self._registry.placed(said, bucket, path)) for bucket, path in held)
        return [(path, False) if beside is None else (beside, True) for path, beside in placed]

    def _dependencies(self, held: list[tuple[str, Path]], said: str) -> "_Opened":
        every = self._beside(held, said)
        plain, beside = ([path for path, is_beside in every if is_beside is wanted] for wanted in (False, True))
        try:
            looks = {one: files.seen(one) for one in beside}
        except OSError:
            raise LedgerError("what registries say was removed while it was read", "poll again") from None
        return _Opened(Dependencies(plain, beside), looks)

    def _prove(self, bucket: str, name: str, digest: str) -> None:
        """Compare a file with the digest that the ledger keeps, once and again whenever it was touched.

        Raises:
            LedgerError: it is not there, or not what the sweep wrote.
        """
        path = self._root / name
        self._fetch([(bucket, name, digest)])
        try:
            seen = files.seen(path)
            if self._proven.get(name) == seen:
                return
            same = files.digest(path) == digest
        except OSError:
            raise GoneError(
                f"the inventory of {bucket} lacks {name}, which its sweep in the ledger names",
                "sweep this bucket again; the ledger and the inventory belong together",
            ) from None
        if not same:
            raise LedgerError(
                f"the inventory of {bucket} cannot be used: {name} is not what the sweep wrote",
                "somebody or the disk changed it; sweep this bucket again",
            )
        self._proven[name] = seen

    def _fetch(self, wanted: Iterable[tuple[str, str, str]]) -> None:
        """Fetch what others have put elsewhere and is not here; nobody else needs to wait for it meanwhile.

        Raises:
            LedgerError: it cannot be had.
        """
        if self._copies is None:
            return
        for _, name, digest in wanted:
            if not (self._root / name).exists():
                self._copies.fetch(self._root / name, digest)

    def samples(self, sweeps: Iterable[Sweep]) -> tuple[Sample, ...]:
        """A few stored versions under each key version of each bucket that a probe may read, the best first.

        Of a bucket whose snapshot is missing, damaged or not what the sweep wrote there are none, and the log says so.
        """
        found: dict[tuple[str, str], tuple[Sample, ...]] = {}
        for one in sweeps:
            place = one.bucket, one.id
            known = self._samples.get(place)
            try:
                found[place] = known if known is not None else self._chosen(one)
            except LedgerError as error:
                _log.warning("no probe reads %s: %s; %s", one.bucket, error, error.hint)
        self._samples = found
        return tuple(sample for name in sorted(found) for sample in found[name])

    def _chosen(self, sweep: Sweep) -> tuple[Sample, ...]:
        # A few bytes an object, and it is read to its end for the choice anyway.
        with self._lock:
            whole = self._parts(sweep)
        with told():
            return snapshot.samples(self._root / folder_name(sweep.bucket) / sweep.id, whole)

    def _parts(self, sweep: Sweep) -> list[Part]:
        """Everything that a sweep learnt.

        Raises:
            LedgerError: some of it is not there, or not what the sweep wrote.
        """
        name, digest = _file(sweep, parts.SNAPSHOT)
        self._prove(sweep.bucket, name, digest)
        folder = self._root / folder_name(sweep.bucket) / sweep.id
        try:
            whole = parts.published(folder)
        except (OSError, ValueError):
            raise LedgerError(
                f"the inventory of {sweep.bucket} cannot be used: {name} is no list of parts", "sweep this bucket again"
            ) from None
        for one in whole:
            for path, said in zip((one.path, one.sums), one.digests, strict=True):
                self._prove(sweep.bucket, str(path.relative_to(self._root)), said)
        return whole

    def prune(self, bucket: str, needed: Collection[str]) -> None:
        """Remove what killed sweeps left, and sweeps that were replaced long ago and have no reason to stay.

        Others may do so at the same time; what cannot be removed now is left for the next time.
        """
        home = self._root / folder_name(bucket)
        try:
            found = list(home.iterdir())
        except OSError:
            return
        self._remove_dead(home)
        whole = sorted((path for path in found if not path.name.startswith(_UNFINISHED)), key=_age, reverse=True)
        # It was replaced when the next one was put in place, or later.
        replaced = (one for one, following in pairwise(whole) if _age(following) > _LONG)
        stay = self._keep.chosen({path: _age(path) for path in whole})
        for path in (one for one in replaced if one.name not in needed and one not in stay):
            shutil.rmtree(path, ignore_errors=True)

    def _remove_dead(self, home: Path) -> None:
        try:
            found = [path for path in home.iterdir() if path.name.startswith(_UNFINISHED)]
        except OSError:
            return
        for path in found:
            with _unowned(path) as is_dead:
                if is_dead:
                    _remove(path)

    def remove(self, sweep: Sweep) -> None:
        """Remove the files of a sweep that never was in force, so that nothing stands on them."""
        shutil.rmtree(self._root / folder_name(sweep.bucket) / sweep.id, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Spent:
    """How long a sweep has taken, in seconds."""

    worked: float
    """Until something was finished, whenever somebody listed."""
    paused: float
    """All the rest: nobody listed, or what was listed was lost."""
    since: float
    """Since something was finished last."""

    @property
    def is_soon(self) -> bool:
        """Whether what is kept is young enough for the work that it saves.

        Below zero a clock was wrong then, or is now.
        """
        return -_SURELY < self.paused < max(_SURELY, _WORTH * self.worked) and self.since < _RESUMABLE


def _spent(folder: Path) -> _Spent:
    """What was spent on a sweep until now; by the clock of the disk, which tells when each part was finished.

    Raises:
        OSError, ValueError, KeyError, TypeError: nobody can tell.
    """
    told = notes.read(folder / _BEGUN)
    began = _age(folder / _BEGUN)
    since = min((_age(one) for one in parts.notes_in(folder)), default=began)
    worked = max(0.0, began - since)
    return _Spent(float(told["worked"]) + worked, float(told["paused"]) + began - worked, since)


def _keep(folder: Path, bucket: str, begun: Begun) -> None:
    """Write down which sweep it is, and what was spent on it before, for whoever goes on with it."""
    before = _spent(folder) if begun.kept else _Spent(0.0, 0.0, 0.0)
    told = {
        "id": begun.id,
        "bucket": bucket,
        "started": begun.started.isoformat(),
        "after": begun.after,
        "head": begun.head,
        "settings": begun.settings,
        "shared": None if begun.shared is None else asdict(begun.shared),
        "worked": before.worked,
        "paused": before.paused,
    }
    notes.write(folder / _BEGUN, told)


class _Heard:
    """Passes, of which is noted whether they came further than where they went on."""

    def __init__(self, passes: Passes) -> None:
        self.listings = passes.listings
        self._passes = passes
        self.silent: set[Shard] = set()
        """Those that began behind a name, in the last pass, and of which nothing came."""

    def shards(self, listing: Listing, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Coming]]:
        """Hand on what comes."""
        self.silent = {one for one in shards if one.after is not None}
        for shard, some in self._passes.shards(listing, shards):
            self.silent.discard(shard)
            yield shard, some


def _note(folder: Path, stuck: Sequence[str]) -> None:
    # Where that cannot be it does no harm: the next one begins anew.
    with suppress(OSError):
        notes.write(folder / _MALFORMED, stuck)


def _may_go_on(folder: Path, begun: Begun, error: BaseException, silent: Collection[Shard]) -> bool:
    """Whether the next sweep may do better from where this one broke off than from the beginning.

    `silent`: shards that came no further than where they went on.
    """
    if isinstance(error, OrderError | LedgerError):
        return False
    if isinstance(error, CollectError) and error.reason is Reason.MALFORMED and begun.kept:
        try:
            stuck = [str(one) for one in notes.read(folder / _MALFORMED)]
        except (OSError, ValueError, TypeError):
            # From its beginning the listing may meet no such answer.
            return False
        if silent and not any(_holds(shard, name) for shard in silent for name in stuck):
            # Perhaps the store cannot go on here. One that begins anew shows it: what that keeps, if it comes no
            # further either, is gone on with.
            return False
    kept = _kept(folder)
    return kept is not None and kept.kept > 0


def _holds(shard: Shard, name: str) -> bool:
    """Whether what stands behind a name is still to be listed."""
    return (shard.after is None or shard.after <= name) and (shard.until is None or name < shard.until)


def _kept(folder: Path) -> Begun | None:
    """The sweep in a folder, with what of it is finished; None where nobody can go on with it."""
    try:
        told = notes.read(folder / _BEGUN)
        begun = replace(begun_in(told), shared=_shared(told.get("shared")))
        # Buckets of one config have the same settings: somebody may have put a copy back in the wrong place.
        home = folder_name(str(told["bucket"]))
        # Rows that were taken over are as old as the sweep that wrote them: the notes beside them tell.
        spent = _spent(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if folder.parent.name != home or folder.name not in {f"{_UNFINISHED}{begun.id}", begun.id}:
        return None
    if (folder / parts.DISORDER).exists() or not spent.is_soon:
        return None
    if folder.name == begun.id and not (folder / parts.SNAPSHOT).exists():
        return None  # it was put in place whole, and nobody knows any more of which parts: to begin anew loses none
    try:
        found = parts.found_in(folder)
    except OSError:
        return None  # another process has removed it meanwhile
    return replace(begun, kept=sum(one.rows for one in found))


def _shared(told: Any) -> Listed | None:
    return None if told is None else Listed(told["rows"], Requests(**told["sent"]), told["markers"])


def _together(counts: Iterable[int | None]) -> int | None:
    """The sum of some counts; None where one of them is not known."""
    total = 0
    for one in counts:
        if one is None:
            return None
        total += one
    return total


@contextmanager
def _owned(folder: Path) -> Iterator[bool]:
    """Hold a lock that ends with the process, so that others can tell a running sweep from a killed one.

    It moves along with the folder. False: somebody had it before, and has moved or removed the folder.
    """
    try:
        file = (folder / _OWNER).open("w")
    except FileNotFoundError:
        file = None
    if file is None:
        yield False
        return
    with file:
        for tries in range(_TRIES, -1, -1):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Somebody who looks whether it is dead, for an instant; or somebody who goes on with it.
                if not tries:
                    raise LedgerError("another process goes on with this sweep", "wait until it has ended") from None
                time.sleep(_PAUSE)
        yield _is_at(folder / _OWNER, file)


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _file(sweep: Sweep, kind: str) -> tuple[str, str]:
    """Name and digest of a file that every whole sweep has."""
    for name, digest in (sweep.files or {}).items():
        if name.endswith(f"/{kind}"):
            return name, digest
    raise LedgerError(
        f"sweep {sweep.id} of {sweep.bucket} names no {kind}, and every whole sweep has one",
        "somebody changed the ledger; restore it from a copy, or sweep again",
    )


def _is_dead(folder: Path) -> bool:
    with _unowned(folder) as is_dead:
        return is_dead


@contextmanager
def _unowned(folder: Path) -> Iterator[bool]:
    """Tell whether nobody writes into a folder any more, and let nobody go on with it meanwhile."""
    try:
        file = (folder / _OWNER).open()
    except FileNotFoundError:
        file = None
    except OSError:
        yield False
        return
    if file is None:
        # About to be locked, moved into place by now, or left by a version that unlocked before it was.
        yield _age(folder) > _LONG
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        # Whoever begins anew locks it first, and then says what it begins.
        yield (folder / _BEGUN).exists() or _age(folder) > _LONG


def _remove(folder: Path) -> None:
    """Remove a folder that is locked: whoever waits to go on with it finds all of it gone, and not half."""
    with suppress(OSError):
        folder = folder.replace(folder.with_name(f"{folder.name}{_GONE}"))
    shutil.rmtree(folder, ignore_errors=True)


def _age(path: Path) -> float:
    """Seconds since a folder was last written into; none for one that is not there any more."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0
