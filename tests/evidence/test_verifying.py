"""Whatever somebody does to a bundle, or signs that cannot be, is refused with one reason; what holds is told."""

import base64
import gzip
import hashlib
import io
import json
import os
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import RefusedError, UsageError
from auditor.evidence import archive, statement, tree, zipped
from auditor.evidence.statement import EVENTS, LARGEST, MANIFEST, PAYLOAD_TYPE, READINGS, SEAL, TREE
from auditor.evidence.verified import Check
from auditor.evidence.verifying import verify
from auditor.evidence.zipped import Entry
from auditor.ledger.link import Event
from auditor.signing import envelope
from tests.core_builders import NOW
from tests.evidence.forging import (
    BEGINNING,
    JUDGEMENT,
    KEY,
    PUBLIC,
    Ledger,
    chained,
    following,
    given_of,
    head_of,
    judged,
    stated,
    told_of,
    with_head,
    without,
    written,
)

OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return written(tmp_path / "one.zip", told_of(BEGINNING))


def refusal(path: Path, **how: object) -> RefusedError:
    with pytest.raises(RefusedError) as told:
        verify(path, **{"key": PUBLIC, **how})  # type: ignore[arg-type]  # what a test hands over
    assert told.value.hint
    assert "\n" not in str(told.value)
    return told.value


def test_what_was_not_touched_holds(bundle: Path) -> None:
    found = verify(bundle, PUBLIC)
    assert found.earlier is None
    assert found.bundle.signer == found.bundle.named == envelope.fingerprint(PUBLIC)
    assert (found.bundle.shown, found.bundle.readings, found.bundle.given) == (3, 1, 0)
    assert found.bundle.size == bundle.stat().st_size


def test_without_a_key_all_but_the_signature_is_looked_at(bundle: Path) -> None:
    assert verify(bundle, None).bundle.signer is None
    content = bytearray(bundle.read_bytes())
    content[content.index(b"all is well")] ^= 1
    bundle.write_bytes(content)
    assert refusal(bundle, key=None).check is Check.FILES


def test_every_single_byte_counts(bundle: Path) -> None:
    """One bit of each byte, whichever: nothing in the archive is free to say something else."""
    whole = bytearray(bundle.read_bytes())
    bits = random.Random(7)  # noqa: S311 - a test that is the same each time
    for place, byte in enumerate(whole):
        whole[place] = byte ^ (1 << bits.randrange(8))
        assert not holds(whole), place
        whole[place] = byte
    assert holds(whole)


def test_no_byte_is_missing_or_added(bundle: Path) -> None:
    whole = bundle.read_bytes()
    for place in [*range(0, len(whole), 17), len(whole)]:
        for changed in (whole[:place], whole[:place] + b"\0" + whole[place:], whole[:place] + whole[place + 1 :]):
            assert not holds(changed) or changed == whole


def holds(content: bytes | bytearray) -> bool:
    try:
        archive.read(Path("one.zip"), io.BytesIO(content), PUBLIC)
    except RefusedError:
        return False
    return True


@given(st.binary(max_size=2_000))
def test_whatever_a_file_has_is_an_answer(content: bytes) -> None:
    for beginning in (b"", zipped.local(Entry(SEAL, len(content), zlib.crc32(content)))):
        assert not holds(beginning + content)


def anew(path: Path, files: dict[str, bytes], *, compressed: bool = False) -> Path:
    """Pack an archive with other files, as any program does."""
    way = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, way)
    return path


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def plainly(files: dict[str, bytes]) -> bytes:
    """Pack files as the product does."""
    entries = tuple(Entry(name, len(content), zlib.crc32(content)) for name, content in files.items())
    parts = (zipped.local(one) + files[one.name] for one in entries)
    return b"".join(parts) + zipped.directory(entries)


CHANGES: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], Check, str]] = {
    "a file lacks": (
        lambda files: {name: one for name, one in files.items() if name != READINGS},
        Check.FILES,
        f"lacks {READINGS}",
    ),
    "the last file lacks": (
        lambda files: {name: one for name, one in files.items() if name != "report.html"},
        Check.FILES,
        "lacks report.html",
    ),
    "another file is there": (lambda files: {**files, "zz.txt": b""}, Check.FILES, "'zz.txt' behind its files"),
    "another file is between": (
        lambda files: dict([*list(files.items())[:3], ("key-zz.txt", b""), *list(files.items())[3:]]),
        Check.FILES,
        "'key-zz.txt' where",
    ),
    "it climbs out of the folder": (
        lambda files: {**files, "../../etc/cron.d/x": b"* * * * *"},
        Check.FILES,
        "nobody signed that",
    ),
    "another order": (
        lambda files: dict([*list(files.items())[:2], *reversed(list(files.items())[2:])]),
        Check.FILES,
        "stands elsewhere",
    ),
    "no envelope": (
        lambda files: {name: one for name, one in files.items() if name != SEAL},
        Check.FILES,
        f"begins with '{MANIFEST}'",
    ),
    "another report": (
        lambda files: {**files, "report.html": b"<p>all is lost</p>"},
        Check.FILES,
        "report.html is not what was signed",
    ),
    "a longer report": (
        lambda files: {**files, "report.html": b"<p>all is very well</p>"},
        Check.FILES,
        "report.html is said to have 23 bytes, and 18 are signed",
    ),
    "another manifest for people": (
        lambda files: {**files, MANIFEST: files[MANIFEST].replace(b"All can", b"Nil can")},
        Check.FILES,
        f"{MANIFEST} is not what was signed",
    ),
}


@pytest.mark.parametrize(("change", "check", "because"), CHANGES.values(), ids=CHANGES)
def test_what_is_changed_is_told(
    bundle: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], check: Check, because: str
) -> None:
    bundle.write_bytes(plainly(change(unpacked(bundle))))
    told = refusal(bundle)
    assert (told.check, because in str(told)) == (check, True), told


def test_what_is_stored_as_it_was_is_the_same_file(bundle: Path) -> None:
    whole = bundle.read_bytes()
    assert plainly(unpacked(bundle)) == whole


def test_what_another_program_packed_is_refused_though_nothing_in_it_is_otherwise(bundle: Path) -> None:
    files = unpacked(bundle)
    for compressed in (True, False):
        told = refusal(anew(bundle, files, compressed=compressed))
        assert told.check is Check.FILES
        assert "as it was handed over" in (told.hint or "")


def test_a_bomb_is_not_even_opened(bundle: Path) -> None:
    files = unpacked(bundle)
    told = refusal(anew(bundle, {SEAL: files[SEAL], MANIFEST: b" " * 5_000_000}, compressed=True))
    assert "packed anew" in str(told)


def test_a_link_is_no_file_of_it(bundle: Path) -> None:
    """A link is told by rights in the directory alone, and these are the same for all."""
    whole = bytearray(bundle.read_bytes())
    place = whole.index(b"PK\1\2") + 38
    assert struct.unpack_from("<L", whole, place) == (0o100644 << 16,)
    struct.pack_into("<L", whole, place, 0o120777 << 16)
    bundle.write_bytes(whole)
    assert "its directory is not that of its files" in str(refusal(bundle))


def test_a_name_twice_is_none_that_is_read_differently_by_others(bundle: Path) -> None:
    whole = bundle.read_bytes()
    lied = b"<p>all is lost</p>"
    again = zipped.local(Entry("report.html", len(lied), zlib.crc32(lied))) + lied
    place = whole.index(b"PK\1\2")
    bundle.write_bytes(whole[:place] + again + whole[place:])
    assert "'report.html' behind its files" in str(refusal(bundle))


def test_what_stands_behind_its_end_is_told(bundle: Path) -> None:
    with bundle.open("ab") as file:
        file.write(b"PS: pay here")
    assert "12 bytes stand behind its end" in str(refusal(bundle))


@pytest.mark.parametrize("kept", [0, 10, 200, 2_000, -1, -30])
def test_what_is_cut_off_says_so(bundle: Path, kept: int) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:kept])
    told = str(refusal(bundle))
    assert "is empty" in told if kept == 0 else "ZIP" in told if kept == 10 else "is cut off" in told


def test_another_key_is_told_from_a_change(bundle: Path) -> None:
    told = refusal(bundle, key=OTHER.public_key())
    assert told.check is Check.SIGNATURE
    assert f"it names sha256:{envelope.fingerprint(PUBLIC)}" in str(told)
    assert "another key" in (told.hint or "")


def test_who_signs_anew_is_another_signer(tmp_path: Path) -> None:
    told = refusal(written(tmp_path / "his.zip", told_of(BEGINNING), key=OTHER))
    assert (told.check, "not signed by the expected key" in str(told)) == (Check.SIGNATURE, True)


def resealed(path: Path, cover: bytes) -> Path:
    """Put another envelope in the place of the first file."""
    files = unpacked(path)
    path.write_bytes(plainly({**files, SEAL: cover}))
    return path


ABSURD = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "too deep": b"[" * 200_000,
    "a list": b"[]",
    "a number without end": b"1" * 5_000,
    "no signature": b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}',
    "no base64": b'{"payload":"?","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":""}]}',
    "another type": b'{"payload":"","payloadType":"text/plain","signatures":[{"sig":""}]}',
    "a key that is none": b'{"payload":"","payloadType":"application/vnd.in-toto+json",'
    b'"signatures":[{"keyid":[[]],"sig":""}]}',
}


@pytest.mark.parametrize("key", [PUBLIC, None], ids=["with the key", "without"])
@pytest.mark.parametrize("cover", ABSURD.values(), ids=ABSURD)
def test_an_absurd_envelope_is_refused(bundle: Path, cover: bytes, key: object) -> None:
    assert refusal(resealed(bundle, cover), key=key).check is Check.SIGNATURE


def test_an_envelope_that_is_too_large_is_not_read(bundle: Path) -> None:
    told = refusal(resealed(bundle, b" " * (LARGEST + 1)))
    assert f"no more than {LARGEST:,} are read" in str(told)


def test_the_same_signature_in_another_form_is_refused(bundle: Path) -> None:
    cover = json.loads(unpacked(bundle)[SEAL])
    assert "another program" in str(refusal(resealed(bundle, json.dumps(cover).encode())))


def test_an_envelope_that_names_another_key_was_changed(bundle: Path) -> None:
    cover = json.loads(unpacked(bundle)[SEAL])
    cover["signatures"][0]["keyid"] = "0" * 64
    text = json.dumps(cover, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert "names another key" in str(refusal(resealed(bundle, text)))


def test_a_signature_of_another_kind_of_statement_is_none(bundle: Path) -> None:
    """What the key has signed for a tenant, or for somebody else's tool, is no evidence."""
    payload = json.loads(base64.b64decode(json.loads(unpacked(bundle)[SEAL])["payload"]))
    payload["predicateType"] = "https://slsa.dev/provenance/v1"
    sealed = envelope.seal(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode(), PAYLOAD_TYPE, KEY)
    assert "no statement about evidence" in str(refusal(resealed(bundle, sealed)))


def signed_anew(path: Path, change: Callable[[dict[str, object]], object]) -> RefusedError:
    """What is said where the signer itself has signed something that cannot be."""
    told = json.loads(unpacked(path)[MANIFEST])
    change(told)
    payload = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return refusal(resealed(path, envelope.seal(payload, PAYLOAD_TYPE, KEY)))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda told: told["subject"].pop(), "its subjects and its files are not the same"),
        (lambda told: (told["subject"].reverse(), told["predicate"]["files"].reverse()), "not in order"),
        (lambda told: told["predicate"].update(more=1), "no statement about evidence"),
        (lambda told: told["predicate"]["ledger"].update(events=0), "no statement about evidence"),
        (lambda told: told["predicate"]["ledger"].update(events=2**63), "no statement about evidence"),
        (lambda told: told["predicate"]["judgement"].update(verdict="a\nb"), "control characters"),
        (lambda told: told["predicate"]["ledger"].update(head="a" * 64 + "\n"), "control characters"),
        (lambda told: told["predicate"]["judgement"].update(at="2026-11-27T01:00:00+01:00"), "not told in UTC"),
        (lambda told: told["predicate"]["judgement"].update(at="2026-11-27T01:00:00"), "no statement about evidence"),
        (lambda told: told["predicate"]["files"][0].update(bytes=-1), "no statement about evidence"),
    ],
    ids=[
        "a subject lacks",
        "another order",
        "more is said",
        "no event",
        "too many events",
        "a line break",
        "a digest with an end",
        "another zone",
        "no zone",
        "a size that is none",
    ],
)
def test_what_cannot_be_is_refused_whoever_signed_it(
    bundle: Path, change: Callable[[dict[str, object]], object], because: str
) -> None:
    told = signed_anew(bundle, change)
    assert (told.check, because in str(told)) == (Check.SIGNATURE, True), told


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "A.txt", ".x", "x\u202e", SEAL, MANIFEST, "con:", "a b"]
)
def test_no_file_may_be_called_so(bundle: Path, name: str) -> None:
    def change(told: dict[str, object]) -> None:
        for some in (told["subject"], told["predicate"]["files"]):  # type: ignore[index]  # JSON
            some[0]["name"] = name  # type: ignore[index]  # JSON

    assert refusal_is_of_names(signed_anew(bundle, change))


def refusal_is_of_names(told: RefusedError) -> bool:
    return told.check is Check.SIGNATURE and ("no file of an archive is called" in str(told) or "order" in str(told))


def test_there_are_no_more_files_than_there_can_be() -> None:
    files = {**told_of(BEGINNING).files(), **{f"x{number:03}.txt": b"" for number in range(62)}}
    with pytest.raises(ValueError, match="more than 64 files"):
        statement.unpack(statement.pack(stated(files, head_of(BEGINNING))))


@pytest.mark.parametrize("name", [TREE, EVENTS, READINGS])
def test_a_statement_that_leaves_out_what_proves_is_refused(name: str) -> None:
    files = {each: one for each, one in told_of(BEGINNING).files().items() if each != name}
    with pytest.raises(ValueError, match=f"it has no {name}"):
        statement.unpack(statement.pack(stated(files, head_of(BEGINNING))))


def changed_event(one: Event) -> Event:
    return one._replace(body=one.body.replace("}", ',"more":1}'))


LEDGER = told_of(BEGINNING)
LIES = {
    "a reading was changed": (
        replace(LEDGER, readings=tuple(map(changed_event, LEDGER.readings))),
        "event 4 of it is not the one that its ledger has",
    ),
    "a poll was changed": (
        replace(LEDGER, shown=(changed_event(LEDGER.shown[0]), *LEDGER.shown[1:])),
        "event 2 of it is not the one that its ledger has",
    ),
    "an event that its ledger has not": (
        replace(LEDGER, readings=(*LEDGER.readings, *following(BEGINNING, [("key_changed", "z", "{}")]))),
        "event 6 of it is behind the end of its ledger",
    ),
    "a reading among the events": (
        replace(LEDGER, shown=(*LEDGER.shown, *LEDGER.readings), readings=()),
        f"event 4 stands in {EVENTS} and does not belong there",
    ),
    "an event twice": (replace(LEDGER, readings=LEDGER.shown[:1]), "it has event 2 twice"),
    "out of order": (replace(LEDGER, shown=LEDGER.shown[::-1]), f"line 2 of {EVENTS} is out of order"),
    "no poll": (without(LEDGER, "poll_made"), "of another judgement than its manifest"),
    "no context": (without(LEDGER, "context_changed"), "of another judgement than its manifest"),
    "another head": (
        replace(LEDGER, head=msgspec.structs.replace(LEDGER.head, head="0" * 64)),
        "its tree is not that of the ledger which its manifest names",
    ),
    "another root": (
        replace(LEDGER, head=msgspec.structs.replace(LEDGER.head, root="0" * 64)),
        "its tree is not that of the ledger which its manifest names",
    ),
    "more events": (
        replace(LEDGER, head=msgspec.structs.replace(LEDGER.head, events=6)),
        "its tree is not that of the ledger which its manifest names",
    ),
    "a node lacks": (replace(LEDGER, nodes=LEDGER.nodes[:1] + LEDGER.nodes[2:]), f"{TREE} is no tree"),
    "the last node lacks": (replace(LEDGER, nodes=LEDGER.nodes[:-1]), "its tree is not that of the ledger"),
    "no node": (replace(LEDGER, nodes=()), "behind the end of its ledger"),
    "nodes that nobody can add": (
        replace(LEDGER, nodes=(replace(LEDGER.nodes[0], count=3), *LEDGER.nodes[3:])),
        f"{TREE} is no tree",
    ),
    "a head that cannot be read": (
        told_of([*BEGINNING, *following(BEGINNING, [("head_given", "x", "{}")])]),
        "what event 6 of it says cannot be read",
    ),
    "a head that its ledger never had": (
        told_of([*BEGINNING, *following(BEGINNING, [("head_given", "x", given_of(5, "0" * 64))])]),
        "event 6 says that the ledger was another one at event 5",
    ),
    "a head of what came later": (
        told_of([*BEGINNING, *following(BEGINNING, [("head_given", "x", given_of(6, "0" * 64))])]),
        "event 6 says that the ledger was another one at event 6",
    ),
}


@pytest.mark.parametrize(("ledger", "because"), LIES.values(), ids=LIES)
def test_a_ledger_that_does_not_add_up_is_refused_whoever_signed_it(
    tmp_path: Path, ledger: Ledger, because: str
) -> None:
    told = refusal(written(tmp_path / "one.zip", ledger))
    assert (told.check, because in str(told)) == (Check.LEDGER, True), told


@pytest.mark.parametrize(
    "otherwise",
    [
        {"config": statement.DigestSet("0" * 64)},
        {"tool": statement.Tool("cmek-auditor", "0.2.0", "0.2.0", "r1")},
        {"tool": statement.Tool("cmek-auditor", "0.1.0", "0.1.0", "r2")},
    ],
    ids=["another config", "another version", "other rules"],
)
def test_a_manifest_that_its_events_gainsay_is_refused(tmp_path: Path, otherwise: dict[str, object]) -> None:
    files = {**LEDGER.files(), "report.html": b"<p>all is well</p>"}
    told = refusal(written(tmp_path / "one.zip", LEDGER, told=stated(files, LEDGER.head, JUDGEMENT, **otherwise)))
    assert (told.check, "another version or config" in str(told)) == (Check.LEDGER, True)


TEXTS = {
    "no JSON": b"x\n",
    "an empty line": b"\n",
    "another event": b'{"seq":1}\n',
    "a field more": b'{"at":"","body":"","kind":"","more":1,"previous":"","seq":1,"subject":""}\n',
    "no text": b"\xff\n",
    "too deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_event_is_refused(tmp_path: Path, text: bytes) -> None:
    files = {**LEDGER.files(), "report.html": b"<p>all is well</p>", READINGS: text}
    told = refusal(written(tmp_path / "one.zip", LEDGER, more={READINGS: text}, told=stated(files, LEDGER.head)))
    assert (told.check, f"line 1 of {READINGS} is no event" in str(told)) == (Check.LEDGER, True)


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    text = b"1" * (tree.LONGEST_LINE + 1)
    told = refusal(written(tmp_path / "one.zip", LEDGER, more={TREE: text}))
    assert "no list of lines" in str(told)


LATER = [*with_head(BEGINNING), *following(with_head(BEGINNING), judged("20261128T000000-2"))]
"""The ledger of the beginning after a bundle and one more judgement."""


def pair(tmp_path: Path, later: list[Event], *, earlier: list[Event] = BEGINNING) -> tuple[Path, Path]:
    return written(tmp_path / "late.zip", told_of(later)), written(tmp_path / "early.zip", told_of(earlier))


def test_a_ledger_that_goes_on_is_told_with_what_came_since(tmp_path: Path) -> None:
    late, early = pair(tmp_path, LATER)
    found = verify(late, PUBLIC, early)
    assert found.earlier is not None
    assert found.earlier.statement.predicate.ledger.events == 5
    assert (found.bundle.given, found.bundle.statement.predicate.ledger.events) == (1, 9)


def test_the_same_bundle_goes_on_from_itself(bundle: Path) -> None:
    assert verify(bundle, PUBLIC, bundle).earlier is not None


def rewritten(place: int) -> list[Event]:
    """Somebody has changed an event, and computed all that hangs on it anew, so that the chain holds."""
    told = [(one.kind, one.subject, one.body) for one in BEGINNING]
    told[place] = (told[place][0], told[place][1], '{"of":"nobody"}' if place == 3 else told[place][2] + " ")
    anew = with_head(chained(told))
    return [*anew, *following(anew, judged("20261128T000000-2"))]


@pytest.mark.parametrize("place", range(5))
def test_a_ledger_that_was_written_anew_is_refused(tmp_path: Path, place: int) -> None:
    late, early = pair(tmp_path, rewritten(place))
    assert verify(late, PUBLIC).bundle.given == 1, "it holds by itself: nobody sees it who has no earlier one"
    told = refusal(late, earlier=early)
    assert (told.check, "changed, left out or put between" in str(told)) == (Check.CONTINUES, True)


@pytest.mark.parametrize("place", range(5))
def test_an_event_that_was_left_out_or_put_between_is_noticed(tmp_path: Path, place: int) -> None:
    told = [(one.kind, one.subject, one.body) for one in BEGINNING]
    lacking = told[:place] + told[place + 1 :]
    longer = [*told[:place], ("gap_opened", "new", "{}"), *told[place:]]
    for some in (lacking, longer):
        anew = [*chained(some), *following(chained(some), [("gap_closed", "x", "{}")])]
        whole = [*with_head(anew), *following(with_head(anew), judged("20261128T000000-2"))]
        late, early = pair(tmp_path, whole)
        assert refusal(late, earlier=early).check is Check.CONTINUES


def test_a_ledger_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    """It was restored from before the bundle was made, and went on without it."""
    back = [*BEGINNING[:4], *following(BEGINNING[:4], [("gap_opened", "x", "{}"), *judged("20261128T000000-2") * 2])]
    late, early = pair(tmp_path, back)
    told = refusal(late, earlier=early)
    assert (told.check, "does not tell what its ledger was at event 5" in str(told)) == (Check.CONTINUES, True)


def test_a_ledger_that_has_forgotten_that_a_bundle_was_made_proves_nothing(tmp_path: Path) -> None:
    late, early = pair(tmp_path, [*BEGINNING, *following(BEGINNING, judged("20261128T000000-2") * 2)])
    assert refusal(late, earlier=early).check is Check.CONTINUES


def test_a_shorter_ledger_is_an_older_bundle_or_was_rolled_back(tmp_path: Path) -> None:
    late, early = pair(tmp_path, LATER)
    told = refusal(early, earlier=late)
    assert told.check is Check.CONTINUES
    assert "ends at event 5, before event 9" in str(told)
    assert "rolled back" in str(told), "both were judged at the same time"
    files = {**LEDGER.files(), "report.html": b"<p>all is well</p>"}
    of_now = stated(files, LEDGER.head).predicate.judgement
    older = msgspec.structs.replace(of_now, at=NOW - timedelta(days=1))
    written(early, LEDGER, told=stated(files, LEDGER.head, judgement=older))
    assert "it is the older one of the two" in str(refusal(early, earlier=late))


def test_an_earlier_one_that_does_not_hold_proves_nothing(tmp_path: Path) -> None:
    late, early = pair(tmp_path, LATER)
    content = bytearray(early.read_bytes())
    content[content.index(b"all is well")] ^= 1
    early.write_bytes(content)
    told = refusal(late, earlier=early)
    assert (told.check, str(early) in str(told)) == (Check.FILES, True)


def test_an_earlier_one_may_be_signed_with_a_key_that_was_replaced(tmp_path: Path) -> None:
    late = written(tmp_path / "late.zip", told_of(LATER))
    early = written(tmp_path / "early.zip", told_of(BEGINNING), key=OTHER)
    told = refusal(late, earlier=early)
    assert (told.check, "--after-key" in (told.hint or "")) == (Check.SIGNATURE, True)
    assert verify(late, PUBLIC, early, OTHER.public_key()).earlier is not None


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda _: None], ids=["a folder", "a pipe", "nothing"])
def test_what_is_no_file_is_wrong_usage(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(UsageError):
        verify(tmp_path / "x", PUBLIC)


OTHERS = {
    "a bundle for a tenant": (b'{"payload":""}', "JSON", "cmek-auditor show"),
    "packed by gzip": (gzip.compress(b"x" * 100), "ZIP", "report --bundle"),
}


@pytest.mark.parametrize(("content", "because", "hint"), OTHERS.values(), ids=OTHERS)
def test_another_file_is_told_from_a_damaged_one(tmp_path: Path, content: bytes, because: str, hint: str) -> None:
    (tmp_path / "x").write_bytes(content)
    told = refusal(tmp_path / "x")
    assert (because in str(told), hint in (told.hint or "")) == (True, True)


def test_a_hostile_name_commands_no_terminal(bundle: Path) -> None:
    files = unpacked(bundle)
    del files[READINGS]
    told = str(refusal(anew(bundle, {**files, "\x1b[31m\n" + "x" * 500: b""})))
    assert "\x1b" not in told


def test_a_file_is_measured_as_it_is(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    assert archive.measure(tmp_path / "x") == archive.Content(tmp_path / "x", len(content), digest, zlib.crc32(content))


def test_what_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    files = {**LEDGER.files(), "report.html": b"<p>all is well</p>"}
    told = stated(files, LEDGER.head, JUDGEMENT, config=statement.DigestSet("none"))
    with pytest.raises(UsageError, match="nobody could read the bundle"):
        written(tmp_path / "one.zip", LEDGER, told=told)
    assert (tmp_path / "one.zip").read_bytes() == b""


def test_an_archive_has_as_much_as_the_format_takes_and_no_byte_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path
) -> None:
    size = bundle.stat().st_size
    monkeypatch.setattr(zipped, "LARGEST", size)
    assert written(tmp_path / "two.zip", LEDGER).stat().st_size == size
    monkeypatch.setattr(zipped, "LARGEST", size - 1)
    with pytest.raises(UsageError, match=f"takes no more than {size - 1:,}"):
        written(tmp_path / "three.zip", LEDGER)


def test_what_is_changed_while_it_is_read_is_not_believed(bundle: Path) -> None:
    whole = bundle.read_bytes()
    with bundle.open("r+b") as file:
        one = archive.read(bundle, file, PUBLIC)
        assert list(one.lines("report.html", 18)) == [b"<p>all is well</p>"]
        with pytest.raises(RefusedError, match="no list of lines"):
            list(one.lines("report.html", 17))
        file.seek(whole.index(b"all is well"))
        file.write(b"nil")
        file.flush()
        with pytest.raises(RefusedError, match="changed while it was read"):
            list(one.lines("report.html", 18))
        file.truncate(whole.index(b"is well"))
        with pytest.raises(RefusedError, match="no list of lines"):
            list(one.lines("report.html", 18))


def test_the_table_in_the_document_says_what_is_said() -> None:
    """Each text is one that a test here finds in an error, or that the code has as it stands."""
    document = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text()
    rows = document.partition("| done | check | said |")[2].partition("Exit codes")[0]
    said = re.findall(r"`([^`]+)`", rows)
    assert len(said) > 15
    folder = Path(archive.__file__).parent
    code = "".join((folder / f"{name}.py").read_text() for name in ("archive", "statement", "verifying"))
    code += (folder.parent / "signing" / "envelope.py").read_text()
    for text in said:
        name = re.sub(r"^(lacks )?(report\.html|key-readings\.jsonl)", r"\1{name}", text)
        assert name in code, text
