"""What operators' bundles said when they were believed last, kept below the folder of registries."""

import os
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from auditor.errors import CollectError, LedgerError
from auditor.handover.bundle import Believed
from auditor.inventory import files, notes
from auditor.inventory.claiming import TOLD
from auditor.inventory.registry import cannot_write, home_of, remove_unfinished
from auditor.model import Encryption, Reason
from auditor.moments import second
from auditor.ownership.registered import Handed, HandedBucket, Registry
from auditor.ports import BundleSource, KeptRegistry

_FORM: Final = 2
"""Rises when files are to be written anew though nothing was said anew."""
_NOTE: Final = "bundle.json"
_AT_ONCE: Final = 50_000
_HANDED: Final = TypeAdapter(Handed)


class BundleStore:
    """Below one folder, one folder for each bundle."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def kept(self, source: BundleSource) -> KeptRegistry | None:
        """What a bundle said when it was believed last; None where none was, or another key or tenant is meant now."""
        home = home_of(self._root, source.name)
        try:
            told = notes.read(home / _NOTE)
            path = home / str(told["file"])
            handed = self._before(source)
            if handed is None or told["form"] != _FORM or files.digest(path) != told["digest"]:
                return None
            return KeptRegistry(
                registry=Registry(
                    name=source.name,
                    buckets=tuple(one.bucket for one in handed.buckets),
                    namespaces=int(told["namespaces"]),
                    read_at=datetime.fromisoformat(told["read_at"]),
                    bundle=handed,
                ),
                version=str(told["version"]),
                first_unusable=None,
                path=path,
                keyed=int(told["namespaces"]),
            )
        except (OSError, KeyError, ValueError, TypeError, ValidationError):
            return None

    def _before(self, source: BundleSource) -> Handed | None:
        """What the one that was believed last says of itself, though what it tells of data may be damaged meanwhile."""
        try:
            handed = _HANDED.validate_python(notes.read(home_of(self._root, source.name) / _NOTE)["handed"])
        except (OSError, KeyError, ValueError, TypeError, ValidationError):
            return None
        is_meant = source.tenant in {None, handed.tenant} and source.signer() in {None, handed.signer}
        return handed if is_meant else None

    def believed(self, source: BundleSource) -> Believed:
        """Read a bundle that goes on with what it said before; nothing is kept.

        Raises:
            CollectError: it is not believed.
        """
        found = source.read()
        if (before := self._before(source)) is not None:
            _see_that_it_goes_on(source.name, before, found, home_of(self._root, source.name))
        return found

    def keep(self, source: BundleSource, version: str, now: datetime) -> KeptRegistry:
        """Read a bundle, and keep it in place of what it said before.

        Raises:
            CollectError: it is not believed; what it said before stays.
            LedgerError: it cannot be written down.
        """
        believed = self.believed(source)
        home = home_of(self._root, source.name)
        try:
            files.make_folder(home, self._root)
            remove_unfinished(home)
            writing = home / f"{files.UNFINISHED}{os.getpid()}"
            try:
                handed, namespaces = _write(writing, source.name, believed)
                digest = files.digest(writing)
                path = home / f"told-{digest[:16]}.parquet"
                files.put(writing, path)
            finally:
                writing.unlink(missing_ok=True)
            told = {"form": _FORM, "version": version, "read_at": now, "digest": digest, "file": path.name}
            kept = {"handed": _HANDED.dump_python(handed, mode="json"), "namespaces": namespaces}
            notes.write(home / _NOTE, {**told, **kept})
            for old in home.glob("told-*.parquet"):
                if old != path:
                    old.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self._root, error) from None
        found = self.kept(source)
        if found is None:
            raise LedgerError(f"what {source.name} says is not kept as it was written", f"look at {self._root}")
        return found


def _see_that_it_goes_on(name: str, before: Handed, believed: Believed, home: Path) -> None:
    """Refuse what is older than what was believed last, or of somebody else: it may be an old file played back."""
    now = believed.bundle
    if now.tenant != before.tenant:
        raise _refused(
            f"{name} is of tenant {now.tenant}, and the one before was of {before.tenant}",
            f"if that is meant, remove {home}",
        )
    if now.made < before.made or (now.made == before.made and believed.digest != before.digest):
        raise _refused(
            f"{name} was made {second(now.made)}, and the one that was read last is newer",
            "get a newer one: an older bundle is not believed",
        )


def _refused(what: str, hint: str) -> CollectError:
    return CollectError(what, hint, reason=Reason.MALFORMED)


def _write(path: Path, source: str, believed: Believed) -> tuple[Handed, int]:
    """Write what a bundle says as dependencies; a key that is not named makes the encryption unknown."""
    told = believed.bundle
    counts = dict.fromkeys(("unknown", "withheld"), 0)
    with pq.ParquetWriter(path, TOLD, compression="zstd") as writer:
        rows = _rows(believed, source, counts)
        while some := list(islice(rows, _AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(some, TOLD))
    namespaces, objects, size = told.amounts
    handed = Handed(
        tenant=told.tenant,
        operator=told.operator,
        signer=believed.signer,
        digest=believed.digest,
        version=told.version,
        made=told.made,
        swept=told.swept,
        objects=objects,
        size=size,
        unknown=counts["unknown"],
        withheld=counts["withheld"],
        unclear=told.seen.unclear,
        unswept=told.seen.unswept,
        elsewhere=told.seen.elsewhere,
        registries=told.seen.registries,
        buckets=tuple(
            HandedBucket(one.bucket, tuple(each.value for each in one.left_out), one.outside, one.uploads)
            for one in told.buckets
        ),
        gaps=tuple((one.about, one.reason.value) for one in told.gaps),
        verified=told.verified,
    )
    return handed, namespaces


def _rows(believed: Believed, source: str, counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    told = believed.bundle
    swept = {one.bucket: one.started for one in told.buckets}
    for some in told.data:
        is_withheld = some.encryption is Encryption.CMEK and some.key is None
        encryption = Encryption.UNKNOWN if is_withheld else some.encryption
        for name, objects, size, archived, oldest, newest in some.namespaces:
            if encryption is Encryption.UNKNOWN:
                counts["withheld" if is_withheld else "unknown"] += objects
            yield {
                "bucket": some.bucket,
                "namespace": name,
                "tenant": told.tenant,
                "population": some.population.value,
                "encryption": encryption.value,
                "key": some.key,
                "key_version": some.version,
                "objects": objects,
                "bytes": size,
                "archived": archived,
                "oldest": oldest,
                "newest": newest,
                "first_name": None,
                "last_name": None,
                "swept": swept[some.bucket],
                "signer": believed.signer,
                "source": source,
            }
