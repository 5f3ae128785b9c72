"""Small ledgers and bundles of them, made of the parts themselves: what a signer that lies could make as well."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.evidence import archive, statement, tree
from auditor.evidence.statement import (
    EVENTS,
    READINGS,
    TREE,
    DigestSet,
    Evidence,
    File,
    Head,
    Judged,
    Statement,
    Subject,
    Tool,
)
from auditor.evidence.tree import Node, Peaks
from auditor.evidence.verifying import line
from auditor.ledger.link import FIRST, Event
from auditor.signing.envelope import Signer
from tests.core_builders import NOW

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
CONFIG = hashlib.sha256(b"config").hexdigest()
CONTEXT = f'{{"config_digest":"{CONFIG}","identity":["x"],"rules_version":"r1","version":"0.1.0"}}'
JUDGEMENT = "20261127T000000-1"


def chained(links: Iterable[tuple[str, str, str]]) -> list[Event]:
    """A chain of events by their kind, subject and body."""
    found: list[Event] = []
    for number, (kind, subject, body) in enumerate(links, 1):
        before = found[-1].hash if found else FIRST
        found.append(Event(number, NOW.isoformat(), kind, subject, body, before))
    return found


def root_of(events: Sequence[Event]) -> str:
    peaks = Peaks()
    for one in events:
        peaks.add(1, tree.leaf(one.hash))
    return peaks.root.hex()


def head_of(events: Sequence[Event]) -> Head:
    return Head(len(events), events[-1].hash, root_of(events))


def with_head(events: Sequence[Event], judgement: str = JUDGEMENT) -> list[Event]:
    """The ledger after a bundle of it was made."""
    body = msgspec.json.encode(head_of(events), order="sorted").decode()
    return [*events, *following(events, [("head_given", judgement, body)])]


def following(events: Sequence[Event], links: Iterable[tuple[str, str, str]]) -> list[Event]:
    told = [(one.kind, one.subject, one.body) for one in events]
    return chained([*told, *links])[len(events) :]


def judged(name: str = JUDGEMENT) -> list[tuple[str, str, str]]:
    """What is kept with a judgement."""
    return [("poll_made", name, "{}"), ("context_changed", name, CONTEXT), ("key_changed", "k", f'{{"of":"{name}"}}')]


BEGINNING = chained([("sweep_published", "b", "{}"), *judged(), ("gap_opened", "g", "{}")])
"""A ledger of five events."""


@dataclass(frozen=True)
class Ledger:
    """What a bundle tells of a ledger; whatever of it is replaced, somebody signs."""

    events: tuple[Event, ...]
    shown: tuple[Event, ...]
    readings: tuple[Event, ...]
    nodes: tuple[Node, ...]
    head: Head

    def files(self) -> dict[str, bytes]:
        return {
            READINGS: b"".join(map(line, self.readings)),
            EVENTS: b"".join(map(line, self.shown)),
            TREE: b"".join(map(tree.line, self.nodes)),
        }


def told_of(events: Sequence[Event]) -> Ledger:
    """As the product tells it."""
    shown = tuple(one for one in events if one.kind in {"poll_made", "context_changed", "head_given"})
    polls = [one for one in shown if one.kind == "poll_made"]
    shown = tuple(one for one in shown if one not in polls[:-1])
    readings = tuple({one.subject: one for one in events if one.kind == "key_changed"}.values())
    ends = [end for one in shown if one.kind == "head_given" for end in [_end(one)] if end is not None]
    cuts = tree.around([*(one.seq for one in (*shown, *readings)), len(events)], ends)
    nodes = tuple(tree.nodes((tree.leaf(one.hash) for one in events), cuts))
    return Ledger(tuple(events), shown, readings, nodes, head_of(events))


def _end(one: Event) -> int | None:
    try:
        return msgspec.json.decode(one.body, type=Head).events
    except msgspec.DecodeError:
        return None


def given_of(events: int, root: str) -> str:
    return msgspec.json.encode(Head(events, "0" * 64, root), order="sorted").decode()


def stated(files: dict[str, bytes], head: Head, named: str = JUDGEMENT, **otherwise: object) -> Statement:
    names = sorted(files)
    about = Evidence(
        config=DigestSet(CONFIG),
        files=tuple(File(len(files[name]), name, "what it is") for name in names),
        judgement=Judged(NOW, 1, 0, named, "All can be read."),
        ledger=head,
        tool=Tool("cmek-auditor", "0.1.0", "0.1.0", "r1"),
    )
    return Statement(
        type=statement.STATEMENT,
        predicate_type=statement.PREDICATE,
        subject=tuple(Subject(DigestSet(hashlib.sha256(files[name]).hexdigest()), name) for name in names),
        predicate=msgspec.structs.replace(about, **otherwise),
    )


def written(
    path: Path,
    ledger: Ledger,
    *,
    told: Statement | None = None,
    more: dict[str, bytes] | None = None,
    key: Signer = KEY,
) -> Path:
    """Write a bundle of a ledger; `told`: another statement than belongs to it."""
    files = {**ledger.files(), "report.html": b"<p>all is well</p>", **(more or {})}
    folder = path.with_suffix(".files")
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    contents = {name: archive.measure(folder / name) for name in files}
    polls = [one for one in ledger.shown if one.kind == "poll_made"]
    with path.open("wb") as file:
        archive.write(
            told or stated(files, ledger.head, polls[-1].subject if polls else JUDGEMENT), contents, key, file
        )
    return path


def without(ledger: Ledger, kind: str) -> Ledger:
    """Leave out events of a kind that are to be shown."""
    return replace(ledger, shown=tuple(one for one in ledger.shown if one.kind != kind))
