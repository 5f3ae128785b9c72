"""The newest judgement and all that it stands on, gathered into one signed archive; no cloud is asked.

A tenant's has its own part of that judgement alone, and of the ledger the readings of its own keys, each of which the
tree shows to stand in the ledger of all: what that has of others is hashes here.
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, BinaryIO, Final, TextIO, cast

from auditor import __version__, reporting
from auditor.config import Config
from auditor.errors import AuditorError, BusyError, LedgerError, UsageError
from auditor.evidence import archive, settings, statement, tree
from auditor.evidence.archive import Content
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
from auditor.evidence.tree import Peaks
from auditor.evidence.verifying import line
from auditor.findings import Judgement, Status
from auditor.ledger import codec
from auditor.ledger.chain import Chain
from auditor.ledger.codec import KeptContext, KeptKey
from auditor.ledger.journal import moment
from auditor.log import visible
from auditor.model import KeyName
from auditor.outputs import dependencies_parquet, provenance_json, scan_json, summary, tabular
from auditor.outputs.provenance_json import JudgedFrom, Readings
from auditor.private_file import private_file
from auditor.reporting import content_of
from auditor.signing.envelope import Signer
from auditor.skew import plausible
from auditor.wiring import Assembly

_TRIES: Final = 5
"""Judgements that may be kept, one after the other, while what is to be given of the one before is computed."""
_LONGEST_VERDICT: Final = 4_000
HOW: Final = "how-to-verify.txt"
_WHAT: Final = {
    "config.json": "the settings in force, without what lets somebody in, and their digest",
    "dependencies.parquet": "what data hangs on which key version, each row of it, as a table",
    "findings.csv": "the findings, one a line",
    "gaps.csv": "what could not be read, and so is unknown, one a line",
    HOW: "what is in this archive, and how to verify it without trusting who made it",
    READINGS: "what was heard of each key when that last changed, as the ledger keeps it",
    EVENTS: "the ledger's events that say who judged, by what and when, and which heads were given out before",
    TREE: "the tree over the hashes of all events of the ledger, by few of its nodes",
    "provenance.json": "by whom, with what and from when on the answer was made, and what of that is not known",
    "report.html": "the report for people",
    "scan.json.gz": "the whole judgement, for machines (cmek-auditor/scan/1)",
    "waivers.json": "the exceptions that somebody answers for",
}
_OPERATORS: Final = frozenset({"config.json"})
"""What tells of everybody."""
_WHOLE: Final = "a judgement, all that it stands on, and a signature over it"
_TENANTS: Final = """\
one tenant's part of a judgement, what that stands on as far as it is the tenant's
own, and a signature over it. Not in it: the config, and the event that says by which one was judged, which name others;
and readings of keys that nobody says are the tenant's, or that may name what is another's: other keys of a ring, what
stands behind several keys, who else may decrypt by the policies of key, ring and project on Google Cloud"""
_EXPLAINED: Final = """\
An evidence bundle of cmek-auditor: {what}.

{files}

attestation.intoto.json is a DSSE envelope with one signature; what is signed is manifest.json, an in-toto statement
that names each other file with its SHA-256, and how many events the ledger had, its head and the root of its tree.

With cmek-auditor, on a machine without config and without network:
  cmek-auditor verify BUNDLE --key PUB.pem --after AN-EARLIER-BUNDLE

Without it, with openssl and jq, in a folder where this archive was unpacked:
  jq -j .payload attestation.intoto.json | base64 -d | cmp - manifest.json
  jq -j '.signatures[0].sig' attestation.intoto.json | base64 -d > signature
  (printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(wc -c < manifest.json)"; cat manifest.json) > signed
  openssl pkeyutl -verify -pubin -inkey PUB.pem -rawin -in signed -sigfile signature
  jq -r '.subject[] | "\\(.digest.sha256)  \\(.name)"' manifest.json | sha256sum -c

PUB.pem is the public key that who made it has given you on a way that you trust. No key in here proves anything.
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written."""

    path: Path
    size: int
    statement: Statement


def make(assembly: Assembly, config: Config, key: Signer, target: Path, tenant: str | None = None) -> Made:
    """Write the evidence of the newest judgement; the same judgement and key give the same bytes.

    `tenant`: for whom it is, so that it has what is its own alone; None: for the operator. That a head is given out is
    kept in the ledger before: the next bundle proves that it goes on from there.

    Raises:
        AuditorError: it cannot be written.
        LedgerError: the ledger cannot be read or written, or is not what an earlier bundle says it was.
        UsageError: there is no judgement yet, or more of it than an archive takes; or nothing is known of such a
            tenant, or nobody can tell of any.
    """
    with private_file(target) as file, _folder_beside(target) as folder:
        content, head, shown = _given(assembly, tenant, folder)
        _gather(assembly, config, content, shown, folder)
        contents = {one.name: archive.measure(one) for one in sorted(folder.iterdir())}
        told = _statement(content.judgement, head, contents)
        archive.write(told, contents, key, file)
        return Made(target, file.tell(), told)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Which events are shown."""

    events: tuple[int, ...]
    readings: tuple[int, ...]


def _given(assembly: Assembly, tenant: str | None, folder: Path) -> tuple[reporting.Content, Head, _Numbers]:
    """Write the tree of the newest judgement's ledger, and keep that its head is given out."""
    chain = assembly.ledger.chain()
    for _ in range(_TRIES):
        judgement = assembly.ledger.judgement()
        if judgement is None:
            raise UsageError("there is no judgement yet", "run `cmek-auditor scan` first")
        content = content_of(assembly, judgement, tenant, made=judgement.now)
        until, newest = chain.end_of(judgement.run.id)
        given = chain.given(until)
        shown = _shown(chain, content, until, given)
        roots = _write_tree(chain, until, shown, given, folder / TREE)
        for head in given.values():
            if roots.get(head.events) != head.root:
                raise LedgerError(
                    f"the ledger is not the one of which a bundle was made when it had {head.events:,} events",
                    "somebody changed it; nothing that it says is proven; restore it from a copy",
                )
        head = Head(until, newest, roots[until])
        now = assembly.parts.clock() + plausible(judgement.run.skew)
        if chain.give(judgement.run.id, head, now):
            return content, head, shown
    raise BusyError("judgements are made faster than evidence of one can be", "make it while no daemon polls")


def _shown(chain: Chain, content: reporting.Content, until: int, given: Iterable[int]) -> _Numbers:
    """Which events tell of this judgement; to a tenant none that tells of others."""
    judgement, readings = content.judgement.run.id, chain.readings(until)
    if (audience := content.audience) is None:
        return _Numbers((*chain.judging(judgement, until), *given), tuple(sorted(readings.values())))
    mine = (number for name, number in readings.items() if KeyName(name) in audience.wholly)
    return _Numbers((chain.poll(judgement), *given), tuple(sorted(mine)))


def _write_tree(chain: Chain, until: int, shown: _Numbers, given: dict[int, Head], path: Path) -> dict[int, str]:
    """Write the nodes of the tree; how many events -> the root of the ledger that ended there."""
    ends = {head.events for head in given.values()}
    cuts = tree.around((*shown.events, *shown.readings, until), ends)
    peaks, roots = Peaks(), dict[int, str]()
    with path.open("wb") as file:
        for node in tree.nodes(map(tree.leaf, chain.hashes(until)), cuts):
            file.write(tree.line(node))
            peaks.add(node.count, node.hash)
            if peaks.count in ends or peaks.count == until:
                roots[peaks.count] = peaks.root.hex()
    return roots


def _gather(assembly: Assembly, config: Config, content: reporting.Content, shown: _Numbers, folder: Path) -> None:
    chain, judgement = assembly.ledger.chain(), content.judgement
    changes: list[JudgedFrom] = []
    with (folder / EVENTS).open("wb") as file:
        for one in chain.events(shown.events):
            file.write(line(one))
            if one.kind == "context_changed":
                context = codec.load(KeptContext, one.body)
                changes.append(_judged_from(one.seq, moment(one.at), context))
    calls = [0, 0]
    with (folder / READINGS).open("wb") as file:
        for one in chain.events(shown.readings):
            file.write(line(one))
            kept = codec.load(KeptKey, one.body)
            known = kept.aws or kept.gcp
            for each in known.evidence if known is not None else ():
                calls[each.request_id is None] += 1
    readings = Readings(len(shown.readings), *calls)
    _text(folder / "report.html", lambda out: out.write(content.html()))
    _text(folder / "findings.csv", lambda out: tabular.write_findings(judgement, out))
    _text(folder / "gaps.csv", lambda out: tabular.write_gaps(judgement, out))
    _text(folder / "waivers.json", lambda out: _json([scan_json.waiver(one) for one in judgement.waivers], out))
    if content.audience is None:
        _text(folder / "config.json", lambda out: _json(_settings(config, judgement), out))
    _text(folder / "provenance.json", lambda out: provenance_json.write(judgement, changes, readings, out))
    _text(folder / HOW, lambda out: out.write(_explained(is_tenants=content.audience is not None)))
    # Without name and time of its own, so that the same content gives the same bytes.
    with (
        (folder / "scan.json.gz").open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        TextIOWrapper(cast("BinaryIO", packed), encoding="utf-8", newline="") as out,
        dependencies_parquet.copying(content.rows, folder / "dependencies.parquet") as copied,
    ):
        scan_json.write(judgement, copied, out, content.found.frameworks)


def _judged_from(number: int, at: datetime, context: KeptContext) -> JudgedFrom:
    return JudgedFrom(
        number,
        at,
        context.version,
        context.rules_version,
        context.config_digest,
        context.config_file_digest,
        context.identity,
    )


def _settings(config: Config, judgement: Judgement) -> dict[str, Any]:
    """What the config says, where it is the one by which was judged."""
    if config.digest != judgement.run.config_digest:
        told = "another config has judged than is there now: what that one said is not kept"
        return {"digest": judgement.run.config_digest, "settings": None, "kept_back": [], "why": told}
    return {
        "digest": config.digest,
        "settings": settings.told(config),
        "kept_back": list(settings.kept_back(config)),
        "why": None,
    }


def _statement(judgement: Judgement, head: Head, contents: dict[str, Content]) -> Statement:
    run = judgement.run
    return Statement(
        type=statement.STATEMENT,
        predicate_type=statement.PREDICATE,
        subject=tuple(Subject(DigestSet(one.sha256), name) for name, one in contents.items()),
        predicate=Evidence(
            config=DigestSet(run.config_digest),
            files=tuple(File(one.size, name, _WHAT[name]) for name, one in contents.items()),
            judgement=Judged(
                at=judgement.now,
                findings=sum(one.status is not Status.RESOLVED for one in judgement.findings),
                gaps=len(judgement.gaps),
                id=run.id,
                verdict=summary.verdict(judgement)[:_LONGEST_VERDICT],
                tenant=visible(judgement.view.tenant) if judgement.view is not None else None,
            ),
            ledger=head,
            tool=Tool("cmek-auditor", run.version, __version__, run.rules_version),
        ),
    )


def _explained(*, is_tenants: bool) -> str:
    there = {name: what for name, what in _WHAT.items() if not (is_tenants and name in _OPERATORS)}
    listed = "\n".join(f"{name:22} {what}" for name, what in there.items())
    return _EXPLAINED.format(what=_TENANTS if is_tenants else _WHOLE, files=listed)


def _json(told: object, out: TextIO) -> None:
    json.dump(told, out, indent=1)
    out.write("\n")


def _text(path: Path, write: Callable[[TextIO], object]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        write(out)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A folder that nobody else may look into, gone afterwards."""
    try:
        folder = Path(mkdtemp(prefix=f".writing-{target.name}-", dir=target.parent))
    except OSError as error:
        raise AuditorError(f"cannot write beside {target}: {error.strerror}", "choose another --output") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
