"""An evidence bundle is verified: its signature, its files, its ledger, and that this goes on from an earlier one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import msgspec

from auditor.errors import RefusedError
from auditor.evidence import archive, tree
from auditor.evidence.archive import Archive
from auditor.evidence.statement import EVENTS, READINGS, TREE, Head
from auditor.evidence.tree import Peaks
from auditor.evidence.verified import Check, Looked, Verified
from auditor.ledger.link import Event
from auditor.signing.envelope import PublicKey

_LONGEST_EVENT: Final = 64 * 1024 * 1024
"""Bytes of an event as a line; a context of 10,000 buckets has some six millions."""
_MOST_GIVEN: Final = 1_000_000
_AGAIN: Final = "ask whoever made it how that can be; `cmek-auditor report --bundle` writes no such bundle"
_EXPLAIN: Final = "have whoever keeps the ledger explain it, and show the copy from which it was restored, if it was"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as it stands in a bundle."""

    at: str
    body: str
    kind: str
    previous: str
    seq: int
    subject: str


class _Context(msgspec.Struct, frozen=True):
    """What of the context of a judgement stands in the manifest as well."""

    version: str
    config_digest: str
    rules_version: str


_T = TypeVar("_T", Head, _Context)


def line(one: Event) -> bytes:
    """An event as a line of a bundle: as the ledger keeps it, so that its hash can be computed again."""
    told = _Line(one.at, one.body, one.kind, one.previous, one.seq, one.subject)
    return msgspec.json.encode(told, order="sorted") + b"\n"


def verify(
    path: Path, key: PublicKey | None, earlier: Path | None = None, earlier_key: PublicKey | None = None
) -> Verified:
    """Look at a bundle, and where an earlier one is given, whether the ledger goes on from there.

    `earlier_key`: that the earlier one is signed with, where that is another.

    Raises:
        RefusedError: something of it does not hold.
        UsageError: a file cannot be read.
    """
    if earlier is None:
        return Verified(_looked(path, key)[0])
    try:
        before, _ = _looked(earlier, earlier_key or key)
    except RefusedError as error:
        if error.check != Check.SIGNATURE:
            raise
        raise RefusedError(error.check, str(error), f"{error.hint}; --after-key is for a key of then") from None
    then = before.statement.predicate.ledger
    after, root = _looked(path, key, then.events)
    _see_that_it_goes_on(before, after, root)
    return Verified(after, before)


@dataclass(slots=True)
class _Shown:
    """What the events of a bundle say, as far as it is compared with its manifest."""

    given: dict[int, Head] = field(default_factory=dict)
    readings: int = 0
    shown: int = 0
    poll: str | None = None
    context: _Context | None = None


def _looked(path: Path, key: PublicKey | None, end: int | None = None) -> tuple[Looked, bytes | None]:
    """A bundle that holds; and the root of its ledger as it was at an `end`, where the bundle tells that."""
    with archive.opened(path, key) as one:
        told = one.statement.predicate
        seen = _Shown()
        _see_that_they_are_given(one, seen)
        roots = _see_that_the_ledger_has_them(one, seen, end)
        for where, head in seen.given.items():
            if roots.get(head.events) != bytes.fromhex(head.root) or head.events >= where:
                _refuse(one, f"event {where:,} says that the ledger was another one at event {head.events:,}")
        if seen.poll != told.judgement.id or (seen.context is None) != (told.judgement.tenant is not None):
            _refuse(one, "its events are of another judgement than its manifest")
        if seen.context is not None:
            _see_that_it_judged(one, seen.context)
        return Looked(
            str(path),
            one.statement,
            one.digest,
            one.signer,
            one.named,
            one.size,
            seen.readings,
            seen.shown,
            len(seen.given),
        ), roots.get(end) if end is not None else None


def _see_that_it_judged(one: Archive, context: _Context) -> None:
    told = one.statement.predicate
    if (context.config_digest, context.version, context.rules_version) != (
        told.config.sha256,
        told.tool.judged_by,
        told.tool.rules,
    ):
        _refuse(one, "by its events another version or config has judged than by its manifest")


def _see_that_they_are_given(one: Archive, seen: _Shown) -> None:
    """Learn at which events heads were given: there the tree is cut."""
    for event in _events(one, EVENTS):
        if event.kind == "head_given":
            seen.given[event.seq] = _decoded(one, event, Head)
            if len(seen.given) > _MOST_GIVEN:
                _refuse(one, f"it tells of more than {_MOST_GIVEN:,} heads")


def _see_that_the_ledger_has_them(one: Archive, seen: _Shown, end: int | None) -> Mapping[int, bytes]:
    """Add the tree up, see that each event of the bundle stands in it, and give its root at each cut that is meant."""
    ledger = one.statement.predicate.ledger
    wanted = {head.events for head in seen.given.values()}.union([end] if end is not None else [])
    roots: dict[int, bytes] = {}
    peaks = Peaks()
    coming = _all_events(one, seen)
    event = next(coming, None)
    last = b""
    try:
        for node in tree.read(one.lines(TREE, tree.LONGEST_LINE)):
            peaks.add(node.count, node.hash)
            last = node.hash if node.count == 1 else b""
            if peaks.count in wanted:
                roots[peaks.count] = peaks.root
            if event is not None and event.seq <= peaks.count:
                if node.count != 1 or node.hash != tree.leaf(event.hash):
                    _refuse(one, f"event {event.seq:,} of it is not the one that its ledger has")
                event = next(coming, None)
    except ValueError as error:
        _refuse(one, f"{TREE} is no tree: {error}")
    if event is not None:
        _refuse(one, f"event {event.seq:,} of it is behind the end of its ledger")
    if (peaks.count, peaks.root.hex()) != (ledger.events, ledger.root) or last != tree.leaf(ledger.head):
        _refuse(one, "its tree is not that of the ledger which its manifest names")
    return roots


def _all_events(one: Archive, seen: _Shown) -> Iterator[Event]:
    """All events of a bundle, each once, as they stand in the ledger; what they say is noted."""
    before = 0
    some = (_numbered(one, name) for name in (EVENTS, READINGS))
    for number, name, event in merge(*some, key=lambda found: found[0]):
        if number == before:
            _refuse(one, f"it has event {number:,} twice")
        before = number
        seen.shown += 1
        if (event.kind == "key_changed") != (name == READINGS):
            _refuse(one, f"event {number:,} stands in {name} and does not belong there")
        if name == READINGS:
            seen.readings += 1
        elif event.kind == "poll_made":
            seen.poll = event.subject
        elif event.kind == "context_changed":
            seen.context = _decoded(one, event, _Context)
        yield event


def _numbered(one: Archive, name: str) -> Iterator[tuple[int, str, Event]]:
    for event in _events(one, name):
        yield event.seq, name, event


def _events(one: Archive, name: str) -> Iterator[Event]:
    before = 0
    for number, text in enumerate(one.lines(name, _LONGEST_EVENT), 1):
        try:
            told = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            _refuse(one, f"line {number:,} of {name} is no event")
        if told.seq <= before:
            _refuse(one, f"line {number:,} of {name} is out of order")
        before = told.seq
        yield Event(told.seq, told.at, told.kind, told.subject, told.body, told.previous)


def _decoded(one: Archive, event: Event, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(event.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _refuse(one, f"what event {event.seq:,} of it says cannot be read")


def _see_that_it_goes_on(before: Looked, after: Looked, root: bytes | None) -> None:
    then, now = (one.statement.predicate for one in (before, after))
    end = f"event {then.ledger.events:,}, where that of {before.name} ended"
    if now.ledger.events < then.ledger.events:
        is_older = now.judgement.at < then.judgement.at
        told = f"its ledger ends at event {now.ledger.events:,}, before {end}"
        if is_older:
            told, hint = f"{told}: it is the older one of the two", "get the newest one, or name this one with --after"
        else:
            told, hint = f"{told}, and it was judged later: its ledger was rolled back", _EXPLAIN
        raise RefusedError(Check.CONTINUES, f"{after.name}: {told}", hint)
    if root is None:
        told = f"it does not tell what its ledger was at {end}: it was rolled back to before that, or is another ledger"
        raise RefusedError(Check.CONTINUES, f"{after.name}: {told}", _EXPLAIN)
    if root.hex() != then.ledger.root:
        told = f"its ledger is another one up to {end}: something in it was changed, left out or put between since"
        raise RefusedError(Check.CONTINUES, f"{after.name}: {told}", _EXPLAIN)


def _refuse(one: Archive, what: str) -> NoReturn:
    raise RefusedError(Check.LEDGER, f"{one.path}: {what}", _AGAIN)
