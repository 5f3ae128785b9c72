"""What can be told without a cloud: the config file, the state folder, the ledger, the disk, who else works here."""

import os
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from auditor.checkup import Answer, Check
from auditor.config import Config
from auditor.connectors.wire import Wire
from auditor.doctoring.bundles import of_bundles
from auditor.errors import AuditorError, LedgerError, UsageError
from auditor.ledger.database import OlderSchemaError
from auditor.ledger.store import LedgerStore
from auditor.locks import is_held
from auditor.model import Cloud, KeyMemory, KeyName, Reason, Sweep, cloud_of
from auditor.outputs import words
from auditor.ports import Unusable
from auditor.wiring import ledger_of, registries_of, service_of

MACHINE: Final = "this machine"
_LEAST: Final = 100_000_000
"""Bytes that must be free in any case."""
CONFIG: Final = "config"
_ENTRIES: Final = 1_000
"""Of a registry, that are read to see whether it can be."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_FULL: Final = "the next sweep breaks off, and its bucket is a gap"
_MOUNTS: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a look at the ledger told."""

    check: Check
    memory: Mapping[KeyName, KeyMemory] = field(default_factory=dict)
    sweeps: tuple[Sweep, ...] = ()


def ledger(config: Config) -> Ledger:
    """Read the ledger as it is, and walk its whole chain."""
    where = ledger_of(config)
    what = f"ledger {where}" if isinstance(where, Path) else "ledger in PostgreSQL"
    if isinstance(where, Path) and not is_there(where):
        return Ledger(Check(MACHINE, what, Answer.OK, "not there yet: the first scan makes it"))
    try:
        store = LedgerStore(where, looking=True)
        try:
            links = store.verify()
            memory, sweeps = store.memory(), store.sweeps()
        finally:
            store.close()
    except OlderSchemaError as error:
        return Ledger(Check(MACHINE, what, Answer.OK, f"{error}: {error.hint}"))
    except (LedgerError, UsageError) as error:
        return Ledger(_broken(what, error))
    told = f"{words.counted(links, 'event')}, whose chain holds; {words.counted(len(memory), 'key')} known"
    return Ledger(Check(MACHINE, what, Answer.OK, told), memory, sweeps)


def _broken(what: str, error: AuditorError) -> Check:
    lost = "nothing can be judged or told"
    return Check(MACHINE, what, Answer.MISSING, str(error), lost=lost, todo=error.hint or "look at the file")


def of_config(path: Path, config: Config, wire: Wire) -> Iterator[Check]:
    """Look at the file, and at what it leaves open or names."""
    counts = ((len(config.bucket), "bucket"), (len(config.account), "account"), (len(config.key), "key"))
    told = ", ".join(words.counted(*one) for one in counts)
    yield Check(CONFIG, f"file {path}", Answer.OK, f"understood: {told}")
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        lost = "whoever can write it decides what is looked at, and where"
        todo = f"chmod go-w {shlex.quote(str(path))}"
        yield Check(CONFIG, f"file {path}: rights", Answer.MISSING, "others may write it", lost=lost, todo=todo)
    on_aws = Cloud.AWS in {
        *map(cloud_of, (one.url for one in config.bucket)),
        *(KeyName(one.name).cloud for one in config.key),
    }
    principals = "[platform] aws_principals"
    if on_aws and not config.platform.aws_principals:
        yield Check(
            CONFIG,
            principals,
            Answer.MISSING,
            "names nobody",
            lost="whether the platform may decrypt on AWS is not judged, with a gap",
            todo="name the roles and users that read and write on S3",
        )
    elif on_aws:
        yield Check(CONFIG, principals, Answer.OK, f"names {len(config.platform.aws_principals)}")
    if not config.registry:
        told = "none: whether data is under the right key is not judged"
        yield Check(CONFIG, "[[registry]]", Answer.OFF, told)
    yield from _services(config, wire)
    yield from _uploads(config)
    yield from of_bundles(config, CONFIG)
    for one in registries_of(config):
        what = one.name
        try:
            some = list(islice(one.entries(), _ENTRIES))
        except AuditorError as error:
            lost = "which key data is to be under is not known, or as it was read last, with a gap"
            yield Check(CONFIG, what, Answer.MISSING, str(error), lost=lost, todo=error.hint or "look at the file")
            continue
        if not some:
            lost = "which key data is to be under is not known, or as it was read last, with a gap"
            yield Check(CONFIG, what, Answer.MISSING, "it is empty", lost=lost, todo="write it, or remove it here")
            continue
        bad = [each for each in some if isinstance(each, Unusable)]
        first = f"of its first {words.counted(len(some), 'entry', 'entries')}"
        if bad:
            lost = "nothing about whose key it is passes or ends in its buckets, with a gap"
            told = f"{first}, {len(bad)} cannot be used, the first {bad[0]}"
            yield Check(CONFIG, what, Answer.MISSING, told, lost=lost, todo="mend them")
        else:
            yield Check(CONFIG, what, Answer.OK, f"{first}, all can be used")


def _uploads(config: Config) -> Iterator[Check]:
    """Where reports are uploaded to: nothing that only looks can tell whether something may be put there."""
    if config.report.upload is not None:
        told = (
            f"{config.report.upload} is set; whether it may be written the first report tells, as nothing is for this"
        )
        yield Check(CONFIG, "[report] upload", Answer.OFF, told)
    if config.inventory is not None:
        told = f"{config.inventory} is set; whether it may be written the first sweep tells, as nothing is for this"
        yield Check(CONFIG, "inventory", Answer.OFF, told)


def _services(config: Config, wire: Wire) -> Iterator[Check]:
    """Registries that are a platform's API: each request is billed, so that none is made here."""
    for one in config.registry:
        if one.api_key_env is None:
            continue
        what = f"registry {one.name}"
        try:
            service_of(one, one.api_key_env, wire).ready()
        except UsageError as error:
            lost = "no scan and no daemon starts: exit code 2"
            told = str(error).removeprefix(f"{what}: ")
            yield Check(CONFIG, what, Answer.MISSING, told, lost=lost, todo=error.hint or "look at the config")
        else:
            told = f"{one.api_key_env} is set; whether the key is accepted the next sweep tells"
            yield Check(CONFIG, what, Answer.OFF, told)


def of_machine(config: Config, found: Ledger) -> Iterator[Check]:
    """Look at the state folder and what stands in it."""
    folder = config.state
    yield _writable(folder)
    if folder.is_dir():
        yield _private(folder)
    yield _room(folder, found.sweeps)
    yield found.check
    yield _daemon(folder)
    yield _lockout(config)


def _writable(folder: Path) -> Check:
    what = f"state folder {folder}"
    there = next(one for one in (folder, *folder.parents) if is_there(one))
    if not there.is_dir():
        todo = "move it away, or name another folder as `state`"
        return Check(MACHINE, what, Answer.MISSING, f"{there} is no folder", lost="nothing can be kept", todo=todo)
    if not os.access(there, os.W_OK | os.X_OK):
        todo = f"let this user write to {there}, or name another folder as `state`"
        return Check(
            MACHINE, what, Answer.MISSING, f"{there} may not be written to", lost="nothing can be kept", todo=todo
        )
    return Check(MACHINE, what, Answer.OK, "may be written to" if there == folder else "can be made")


def _private(folder: Path) -> Check:
    """What a ledger tells, names of objects and tenants among it, is nobody else's."""
    what = f"state folder {folder}: rights"
    open_ones = [one for one in (folder / "ledger.db", folder / "inventory") if is_there(one) and _is_open(one)]
    if folder.stat().st_mode & stat.S_IXOTH and open_ones:
        lost = "other users of this machine may read names of objects, keys and tenants"
        told = f"{open_ones[0].name} may be read by others"
        return Check(MACHINE, what, Answer.MISSING, told, lost=lost, todo=f"chmod 700 {shlex.quote(str(folder))}")
    return Check(MACHINE, what, Answer.OK, "nobody else may read what is kept")


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IROTH)


def _room(folder: Path, sweeps: tuple[Sweep, ...]) -> Check:
    """A sweep is written beside those that it replaces."""
    what = "disk of the state folder"
    there = next(one for one in (folder, *folder.parents) if is_there(one))
    free = shutil.disk_usage(there).free
    size = sum(_size(folder / "inventory" / name) for one in sweeps for name in one.files or {})
    told = f"{words.size(free)} free; the sweeps in force take {words.size(size)}"
    if not sweeps:
        told = f"{words.size(free)} free; no sweep yet that tells how much one takes"
    if free < max(_LEAST, size):
        return Check(
            MACHINE, what, Answer.MISSING, told, lost=_FULL, todo="make room, or name another folder as `state`"
        )
    return Check(MACHINE, what, Answer.OK, told)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _daemon(folder: Path) -> Check:
    what = "daemon on the state folder"
    try:
        busy = is_held(folder / "daemon.lock")
    except OSError as error:
        told = f"cannot be told: {error.strerror}"
        return Check(MACHINE, what, Answer.UNKNOWN, told, reason=Reason.UNSUPPORTED, todo="look at the folder's rights")
    return Check(MACHINE, what, Answer.OK, "one runs; commands may run beside it" if busy else "none runs")


def _lockout(config: Config) -> Check:
    """Whether what the auditor needs itself hangs on a key that it watches."""
    what = "self-lockout"
    places = [config.state, *(one.path for one in config.registry if one.path is not None)]
    names = {one.url.partition("://")[2]: one.url for one in config.bucket}
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = "on which file system the state folder is cannot be told here"
        return Check(MACHINE, what, Answer.UNKNOWN, told, reason=Reason.UNSUPPORTED, todo="look at it yourself")
    for place in places:
        kind, source = _mount(place, mounts)
        hit = next((url for name, url in names.items() if name in {source, source.partition(":")[0]}), None)
        if hit is not None:
            told = f"{place} is on {hit}, which is audited"
            lost = "when a key of that bucket goes away, so does the auditor's own memory, or its registry"
            return Check(MACHINE, what, Answer.MISSING, told, lost=lost, todo="put it elsewhere")
        if "fuse" in kind:
            told = f"{place} is on {kind} {source}: whose keys that hangs on is not seen from here"
            todo = "see that it is under no key that this config watches"
            return Check(MACHINE, what, Answer.UNKNOWN, told, reason=Reason.NOT_VISIBLE, todo=todo)
    told = "state and registries are in no audited bucket; the key of this machine's own disk was not looked for"
    return Check(MACHINE, what, Answer.OK, told)


def _mount(path: Path, mounts: str) -> tuple[str, str]:
    """(kind of file system, what it is of) that a path is on. Source: proc_pid_mountinfo(5)."""
    there = next(one for one in (path, *path.parents) if is_there(one)).resolve()
    found: tuple[int, str, str] = (-1, "", "")
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields, about = head.split(" "), tail.split(" ")
        point = Path(fields[4].encode().decode("unicode_escape")) if len(fields) > 4 else None  # noqa: PLR2004 - as documented
        if point is not None and len(about) > 1 and there.is_relative_to(point) and len(point.parts) >= found[0]:
            found = len(point.parts), about[0], about[1]
    return found[1], found[2]


def is_there(path: Path) -> bool:
    """Whether a path is there, as far as this user may tell."""
    try:
        path.stat()
    except OSError:
        return False
    return True
