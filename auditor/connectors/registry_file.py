"""A registry that is a file: CSV with a header, a JSON array of objects, or one JSON object a line."""

import csv
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, Final, TextIO

from auditor.connectors.named_keys import why_no_key
from auditor.errors import CollectError
from auditor.model import Reason
from auditor.ownership.registered import Entry
from auditor.ports import Unusable

_LONGEST: Final = 1_024
"""Bytes of an object's name, which is longer than any namespace in it. Source: S3 and Cloud Storage, object names."""
_SAID: Final = ("bucket", "key", "tenant", "owner", "team")
"""What an entry may say beside the name of its namespace, in words."""
_SIZE: Final = "bytes"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
"""As many digits as 64 bits hold in any case."""
_MEANT: Final = {
    **{name: name for name in ("namespace", _SIZE, *_SAID)},
    **dict.fromkeys(("kmskey", "keyname", "kmskeyname"), "key"),
}
"""How names are often spelled, in small letters and without what stands between words -> the name that is heeded."""
_REMEMBERED: Final = 1_000
"""Names of fields that are not looked at twice."""
_QUOTED: Final = 60
"""As much of a name as an error tells."""
_MOST_FIELDS: Final = 10
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_LONGEST_LINE: Final = 1024 * 1024
"""Characters of a line, which holds one entry."""
_LARGEST_ARRAY: Final = 32 * 1024 * 1024
"""Characters of an array, which stands in memory whole."""


class _Twice(dict[str, object]):
    """An object that has one field twice."""

    def __init__(self, told: Mapping[str, object], field: str) -> None:
        super().__init__(told)
        self.field = field


class FileRegistry:
    """One file, read anew whenever it is another."""

    def __init__(
        self,
        path: Path,
        bucket: str | None,
        layouts: Mapping[str, tuple[str, ...]] | None,
        constants: Mapping[str, str],
        given: str,
    ) -> None:
        """`bucket`: whose namespaces it names, None where each entry says so; `layouts`: bucket -> its fields.

        Without layouts no bucket is configured: an entry may name any, and names its namespace whole.
        """
        self._path = path
        self._bucket = bucket
        self._layouts = layouts or {}
        self._is_alone = layouts is None
        self._constants = constants
        own = (field for each in self._layouts.values() for field in each)
        self._names = frozenset(("bucket", "namespace", _SIZE, *_SAID, *own))
        """What columns and fields are called that say something; all others are not looked at."""
        self._passed: set[str] = set()
        self._fields: dict[str, None] = {}
        self.name = f"registry {given}"
        self.buckets = (bucket,) if bucket is not None else (self.name,) if layouts is None else tuple(sorted(layouts))
        told = sorted(layouts.items()) if layouts is not None else None
        self.asked = json.dumps([str(path), self.buckets, sorted(constants.items()), told])

    def version(self) -> str:
        """SHA-256 of the file.

        Raises:
            CollectError: it cannot be read.
        """
        try:
            # A pipe would be waited for, and whoever waits polls no keys.
            if not S_ISREG(self._path.stat().st_mode):
                raise self._malformed("is no file", "name a file")
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._unreadable(error) from None

    def entries(self) -> Iterator[Entry | Unusable]:
        """Yield each entry in the file's order.

        Raises:
            CollectError: it cannot be read to its end, or is no such file.
        """
        before = self.version()
        self._fields = {}
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                for place, told in self._told(file):
                    yield self._entry(place, told)
        except OSError as error:
            raise self._unreadable(error) from None
        except UnicodeDecodeError:
            raise self._malformed("is no UTF-8 text", "save it as UTF-8") from None
        except (csv.Error, ValueError, RecursionError) as error:
            raise self._malformed(f"cannot be understood: {error}", "mend that place") from None
        if self.version() != before:
            raise self._malformed("was changed while it was read", "write it under another name and rename it")

    def ends(self) -> bool | None:
        """Whether its last line has its line break; None of an array, which has an end of its own.

        Raises:
            CollectError: it cannot be read.
        """
        if self._path.suffix.lower() not in {".csv", ".jsonl"}:
            return None
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                return file.read(1) in {b"\n", b"\r"}
        except OSError as error:
            raise self._unreadable(error) from None

    def fields(self) -> tuple[str, ...]:
        """What the first columns or fields of the entries that were read last are called, as it may be shown."""
        told = tuple(map(_shown, list(self._fields)[:_MOST_FIELDS]))
        return (*told, "...") if len(self._fields) > _MOST_FIELDS else told

    def _told(self, file: TextIO) -> Iterator[tuple[str, Mapping[str, object]]]:
        ending = self._path.suffix.lower()
        if ending == ".csv":
            yield from self._rows(file)
        elif ending == ".jsonl":
            for number, line in enumerate(_lines(file), 1):
                if line.strip():
                    yield f"line {number}", self._object(json.loads(line, object_pairs_hook=_fields), f"line {number}")
        elif text := _whole(file).strip():
            for number, one in enumerate(_array(text), 1):
                yield f"entry {number}", self._object(one, f"entry {number}")

    def _rows(self, file: TextIO) -> Iterator[tuple[str, Mapping[str, object]]]:
        if not any(line.strip() for line in _lines(file)):
            return  # an empty file has no header either, and is told as empty
        file.seek(0)
        rows = csv.DictReader(_lines(file), strict=True)
        header = [one.strip() for one in rows.fieldnames or ()]
        rows.fieldnames = header
        self._fields = dict.fromkeys(header)
        self._check("its first line names column", header)
        if "namespace" not in header and not any(field in header for each in self._layouts.values() for field in each):
            separated = header and any(one in header[0] for one in ";\t")
            why = ": it is read with commas" if separated else ""
            raise ValueError(f"its first line names no column `namespace`{why}")
        if twice := [one for one in header if header.count(one) > 1]:
            raise ValueError(f"its first line names column {_short(twice[0])} twice")
        for told in rows:
            place = f"line {rows.line_num}"
            if None in told or None in told.values():
                raise ValueError(f"{place} has not as many fields as the first line")
            yield place, told

    def _object(self, told: Any, place: str) -> Mapping[str, object]:
        entry = _object(told, place)
        if len(self._fields) <= _MOST_FIELDS:
            self._fields.update(dict.fromkeys(islice(entry, _MOST_FIELDS + 1)))
        # Entries have the same fields, mostly.
        if new := entry.keys() - self._passed:
            self._check(f"{place} has field", new)
            if len(self._passed) < _REMEMBERED:
                self._passed.update(new)
        return entry

    def _check(self, where: str, names: Iterable[str]) -> None:
        """Refuse what looks like a name that is heeded and is another: all that it says would count for nothing."""
        for one in names:
            meant = _MEANT.get(re.sub(r"[\s_-]", "", one).casefold())
            if meant is not None and one not in self._names:
                raise ValueError(f"{where} {_short(one)}, which is not heeded: call it `{meant}`")

    def _entry(self, place: str, told: Mapping[str, object]) -> Entry | Unusable:
        if isinstance(told, _Twice):
            return Unusable(place, f"it has field {_short(told.field)} twice")
        text: dict[str, str | None] = {}
        for name in (*_SAID, "namespace", *(one for each in self._layouts.values() for one in each)):
            value = told.get(name)
            if value is not None and not _is_text(value):
                return Unusable(place, f"{name} is no text")
            if value and len(str(value).encode()) > _LONGEST:
                return Unusable(place, f"{name} is longer than {_LONGEST} bytes")
            # Names of objects may end with one: nobody knows whether it is meant.
            if value and str(value) != str(value).strip():
                return Unusable(place, f"{name} begins or ends with a space")
            text[name] = str(value) if value else None
        key = text["key"]
        if key is not None and (why := why_no_key(key)) is not None:
            return Unusable(place, *why)
        size = told.get(_SIZE)
        if size is None or size == "":
            size = None
        elif isinstance(size, bool) or not _NUMBER.fullmatch(str(size)):
            return Unusable(place, f"{_SIZE} is no whole number")
        bucket = text["bucket"] or self._bucket
        entry = self._alone(place, bucket, text) if self._is_alone else self._laid_out(place, bucket, text)
        return entry if isinstance(entry, Unusable) or size is None else replace(entry, size=int(str(size)))

    def _laid_out(self, place: str, bucket: str | None, text: Mapping[str, str | None]) -> Entry | Unusable:
        """An entry whose namespace is one by the layout of its bucket."""
        if bucket is None or bucket not in self._layouts or (self._bucket is not None and bucket != self._bucket):
            return Unusable(place, "its bucket is none of those that the registry is of")
        layout = self._layouts[bucket]
        for field in layout:
            if text[field] is not None and self._constants.get(field, text[field]) != text[field]:
                return Unusable(place, f"its {field} is another than `fields` of the config gives")
        namespace = self._namespace(layout, text)
        if namespace is None or len(namespace.encode()) > _LONGEST:
            return Unusable(place, "what it names is no namespace by the bucket's layout")
        if any(part != part.strip() for part in namespace.split("/")):
            return Unusable(place, "a field of its namespace begins or ends with a space")
        return Entry(bucket, namespace, text["key"], text["tenant"], text["owner"], text["team"])

    def _alone(self, place: str, bucket: str | None, text: Mapping[str, str | None]) -> Entry | Unusable:
        """An entry where no bucket is configured, so that no layout says what a namespace is."""
        if self._bucket is not None and bucket != self._bucket:
            return Unusable(place, "its bucket is none of those that the registry is of")
        if bucket is not None and not bucket.startswith(("s3://", "gs://")):
            return Unusable(place, "its bucket is no s3:// or gs:// URL")
        namespace = text["namespace"]
        if namespace is None:
            return Unusable(place, "it names no namespace")
        return Entry(bucket or self.name, namespace, text["key"], text["tenant"], text["owner"], text["team"])

    def _namespace(self, layout: tuple[str, ...], text: Mapping[str, str | None]) -> str | None:
        """The layout's fields joined: each from the config, from a column of its name, or all from `namespace`."""
        given = {field: self._constants.get(field) or text[field] for field in layout}
        lacking = [field for field, value in given.items() if value is None]
        if lacking and not self._constants:
            whole = text["namespace"] or ""
            parts = whole.split("/")
            return whole if len(parts) == len(layout) and all(parts) else None
        if len(lacking) == 1 and "namespace" not in layout:
            given[lacking[0]] = text["namespace"]
        values = [value for value in given.values() if value is not None and "/" not in value]
        return "/".join(values) if len(values) == len(layout) else None

    def _unreadable(self, error: OSError) -> CollectError:
        denied = isinstance(error, PermissionError)
        reason = Reason.ACCESS_DENIED if denied else Reason.NOT_FOUND
        return CollectError(f"{self._path} cannot be read: {error.strerror}", "look at path and rights", reason=reason)

    def _malformed(self, what: str, hint: str) -> CollectError:
        return CollectError(f"{self._path} {what}", hint, reason=Reason.MALFORMED)


def _whole(file: IO[str]) -> str:
    text = file.read(_LARGEST_ARRAY + 1)
    if len(text) > _LARGEST_ARRAY:
        raise ValueError("an array of more than 32 MiB is not read; write one object a line, as .jsonl")
    return text


def _is_text(value: object) -> bool:
    """Whether it can be written down: half a character cannot."""
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


def _lines(file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"line {number} is longer than {_LONGEST_LINE} characters")
        yield line


def _array(text: str) -> Iterator[object]:
    """Yield what an array is of, one after the other: all at once takes many times the memory of the text."""
    decoder = json.JSONDecoder(object_pairs_hook=_fields)
    at = _after_space(text, 0)
    if not text.startswith("[", at):
        raise ValueError("it is no JSON array")
    at = _after_space(text, at + 1)
    is_first = True
    while not (is_first and text.startswith("]", at)):
        one, at = decoder.raw_decode(text, at)
        yield one
        is_first = False
        at = _after_space(text, at)
        if text.startswith("]", at):
            break
        if not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _after_space(text, at + 1)
    if (end := _after_space(text, at + 1)) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


def _object(told: Any, place: str) -> Mapping[str, object]:
    if isinstance(told, dict):
        return told
    raise ValueError(f"{place} is no object")


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """One object, which tells where it has a field twice: nobody knows which of both is meant."""
    told = dict(pairs)
    if len(told) == len(pairs):
        return told
    seen = Counter(name for name, _ in pairs)
    return _Twice(told, next(name for name, count in seen.items() if count > 1))


def _shown(text: str) -> str:
    return _short(text)[1:-1]


def _short(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else f"{text[:_QUOTED]}...")
