"""A bundle as a value: what it sums up, and what cannot be in one that is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from auditor.handover.bundle import (
    CLOCKS_APART,
    LARGEST,
    LONGEST_NAME,
    PAYLOAD_TYPE,
    Bundle,
    Data,
    Held,
    Open,
    Seen,
    SweptBucket,
    pack,
    unpack,
)
from auditor.model import Encryption, Population, Reason
from tests.core_builders import AWS_KEY, GCP_KEY, NOW

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
MOST = 2**63 - 1
LIVE = Population.LIVE
ROW = ("acme/chat", 10, 1000, 2, NOW - 9 * HOUR, NOW - 8 * HOUR)
SWEPT = SweptBucket("gs://data", NOW - 2 * HOUR, NOW - HOUR, NOW - 2 * HOUR, (), outside=False, uploads=False)
ON_S3 = replace(SWEPT, bucket="s3://data")
UNDER = Data("gs://data", Encryption.CMEK, GCP_KEY.text, (ROW,), LIVE, "1")
BUNDLE = Bundle(
    buckets=(SWEPT,),
    data=(UNDER,),
    gaps=(),
    judgement="j-1",
    made=NOW,
    operator=None,
    seen=Seen(0, registries=True, unclear=0, unswept=0),
    tenant="acme",
    version="0",
)


def refused(bundle: Bundle) -> str:
    """Why what is packed is not read; empty where it is."""
    try:
        assert unpack(pack(bundle), NOW) == bundle
    except ValueError as error:
        return str(error).removeprefix("what is signed cannot be: ")
    return ""


def swept(**more: Any) -> Bundle:
    return replace(BUNDLE, buckets=(replace(SWEPT, **more),))


def data(**more: Any) -> Bundle:
    return replace(BUNDLE, data=(replace(UNDER, **more),))


def row(place: int, value: object) -> Bundle:
    changed: Any = (*ROW[:place], value, *ROW[place + 1 :])
    return data(namespaces=(changed,))


LATER, EARLIER = NOW + CLOCKS_APART, NOW - CLOCKS_APART

RIGHT: dict[str, Bundle] = {
    "as it is": BUNDLE,
    "made by a clock a little ahead": replace(BUNDLE, made=LATER),
    "no data": replace(BUNDLE, buckets=(), data=()),
    "gaps in order": replace(
        BUNDLE, gaps=(Open("a", Reason.THROTTLED), Open("a", Reason.TIMEOUT), Open("b", Reason.TIMEOUT))
    ),
    "one object": data(namespaces=(("a", 1, 0, 0, *ROW[4:]),)),
    "as long a word as there may be": replace(BUNDLE, operator="o" * 200),
    "a sweep that ended as it began": swept(ended=SWEPT.started),
    "a sweep that ended just behind the bundle": swept(ended=LATER),
    "looked at a little after the sweep": swept(verified=SWEPT.ended + CLOCKS_APART),
    "two populations left out": swept(left_out=(Population.NONCURRENT, Population.SOFT_DELETED)),
    "a version that is not told": data(version=None),
    "a key that is kept back": data(key=None, version=None),
    "no key at all": data(encryption=Encryption.PROVIDER, key=None, version=None),
    "a version of eighteen digits": data(version="9" * 18),
    "as long a name as there may be": row(0, "é" * (LONGEST_NAME // 2)),
    "all archived": row(3, 10),
    "written at one moment": row(4, ROW[5]),
    "written just now, by a clock ahead": row(5, LATER),
    "a key of AWS": replace(
        BUNDLE, buckets=(ON_S3,), data=(replace(UNDER, bucket="s3://data", key=AWS_KEY.text, version=None),)
    ),
}


@pytest.mark.parametrize("bundle", RIGHT.values(), ids=RIGHT)
def test_what_may_be_is_read_as_it_was_written(bundle: Bundle) -> None:
    assert refused(bundle) == ""


NOT_UTC = "a time of it is not told in UTC"
TWICE = "its data is not in order, or told twice"
NO_ORDER = "its namespaces are not in order, or told twice"
WHEN_SWEPT = "the sweep of gs://data ended before it began, or after the bundle was made"
WRITTEN = "objects were written in the future, or the newest before the oldest"
CONTROL = "a name of it has control characters"
WRONG: dict[str, tuple[Bundle, str]] = {
    "made in the future": (replace(BUNDLE, made=LATER + SECOND), "it was made in the future"),
    "an operator of two lines": (replace(BUNDLE, operator="a\nb"), CONTROL),
    "a version of two lines": (replace(BUNDLE, version="a\nb"), CONTROL),
    "a judgement of two lines": (replace(BUNDLE, judgement="a\nb"), CONTROL),
    "a bucket of two lines": (swept(bucket="gs://data\n"), CONTROL),
    "buckets in another order": (
        replace(BUNDLE, buckets=(ON_S3, SWEPT)),
        "its buckets are not in order, or told twice",
    ),
    "a bucket twice": (replace(BUNDLE, buckets=(SWEPT, SWEPT)), "its buckets are not in order, or told twice"),
    "left out twice": (
        swept(left_out=(Population.NONCURRENT, Population.NONCURRENT)),
        "populations that were left out of gs://data are told twice",
    ),
    "a sweep that ended before it began": (swept(ended=SWEPT.started - SECOND), WHEN_SWEPT),
    "a sweep that ended behind the bundle": (swept(ended=LATER + SECOND), WHEN_SWEPT),
    "looked at after the sweep": (
        swept(verified=SWEPT.ended + CLOCKS_APART + SECOND),
        "the objects of gs://data were looked at after its sweep",
    ),
    "data twice": (replace(BUNDLE, data=(UNDER, UNDER)), TWICE),
    "a gap twice": (
        replace(BUNDLE, gaps=(Open("a", Reason.TIMEOUT),) * 2),
        "its gaps are not in order, or told twice",
    ),
    "gaps in another order": (
        replace(BUNDLE, gaps=(Open("a", Reason.TIMEOUT), Open("a", Reason.THROTTLED))),
        "its gaps are not in order, or told twice",
    ),
    "gaps of things in another order": (
        replace(BUNDLE, gaps=(Open("b", Reason.THROTTLED), Open("a", Reason.TIMEOUT))),
        "its gaps are not in order, or told twice",
    ),
    "a bucket without a sweep": (replace(BUNDLE, buckets=(ON_S3,)), "it has data of gs://data, and no sweep of it"),
    "a key of what has none": (
        data(encryption=Encryption.PROVIDER, version=None),
        "data that is provider names a key",
    ),
    "a version of what has none": (data(encryption=Encryption.PROVIDER, key=None), "data that is provider names a key"),
    "a version of no key": (data(key=None), "data names a version of no key"),
    "a key that is none": (data(key="alias/main"), "data names what is no key"),
    "a version that is none": (data(version="primary"), "data names what is no version of its key"),
    "version 0": (data(version="0"), "data names what is no version of its key"),
    "a version of nineteen digits": (data(version="9" * 19), "data names what is no version of its key"),
    "a version and more": (data(version="1\n"), "data names what is no version of its key"),
    "a version of a key of AWS": (
        replace(BUNDLE, buckets=(ON_S3,), data=(replace(UNDER, bucket="s3://data", key=AWS_KEY.text),)),
        "data names what is no version of its key",
    ),
    "a key of AWS on Google Cloud": (data(key=AWS_KEY.text, version=None), "data is under a key of another cloud"),
    "a key of Google Cloud on S3": (
        replace(BUNDLE, buckets=(ON_S3,), data=(replace(UNDER, bucket="s3://data"),)),
        "data is under a key of another cloud",
    ),
    "no namespace": (data(namespaces=()), "it tells of data without a namespace"),
    "a namespace twice": (data(namespaces=(ROW, ROW)), NO_ORDER),
    "namespaces in another order": (data(namespaces=(ROW, ("acme/a", *ROW[1:]))), NO_ORDER),
    "a longer name than there may be": (
        row(0, "é" * (LONGEST_NAME // 2 + 1)),
        "a namespace is longer than 1024 bytes",
    ),
    "more archived than there are": (row(3, 11), "more objects are archived than there are"),
    "the newest before the oldest": (row(4, ROW[5] + SECOND), WRITTEN),
    "written in the future": (row(5, LATER + SECOND), WRITTEN),
}


@pytest.mark.parametrize(("bundle", "why"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused(bundle: Bundle, why: str) -> None:
    assert refused(bundle) == why


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (b'"made":"2026-11-24T12:00:00Z"', NOT_UTC),
        (b'"started":"2026-11-24T10:00:00Z"', NOT_UTC),
        (b'"ended":"2026-11-24T11:00:00Z"', NOT_UTC),
        (b'"verified":"2026-11-24T10:00:00Z"', NOT_UTC),
        (b'"2026-11-24T03:00:00Z"', "a time of its objects is not told in UTC"),
        (b'"2026-11-24T04:00:00Z"', "a time of its objects is not told in UTC"),
    ],
)
def test_each_time_is_told_in_utc(what: bytes, why: str) -> None:
    payload = pack(BUNDLE)
    assert payload.count(what) == 1
    elsewhere = payload.replace(what, what.replace(b"Z", b"+05:00"))
    with pytest.raises(ValueError, match="cannot be") as refusal:
        unpack(elsewhere, NOW + 99 * HOUR)
    assert str(refusal.value).endswith(why)


@pytest.mark.parametrize(
    "change",
    [
        (b'"gaps":[]', b'"gaps":[],"gaps":[]'),
        (b'"gaps":[]', b'"gaps": []'),
        (b'"operator":null,', b""),
        (b'"tenant":"acme"', b'"tenant":""'),
        (b'"tenant":"acme"', b'"tenant":"acme","more":1'),
        (b"bundle/1", b"bundle/2"),
        (b"10,1000", b"0,1000"),
        (b"10,1000", b"9223372036854775808,1000"),
        (b"10,1000", b"10,-1"),
        (b"gs://data", b"gs://Data"),
    ],
    ids=repr,
)
def test_what_is_written_otherwise_is_no_bundle(change: tuple[bytes, bytes]) -> None:
    payload = pack(BUNDLE)
    assert change[0] in payload
    with pytest.raises(ValueError, match="what is signed is no"):
        unpack(payload.replace(*change), NOW)


LONG = {
    "no word": replace(BUNDLE, version=""),
    "an operator": replace(BUNDLE, operator="o" * 201),
    "a bucket": swept(bucket="gs://".ljust(231, "x")),
}


@pytest.mark.parametrize("bundle", LONG.values(), ids=LONG)
def test_a_longer_word_than_there_may_be_and_none_at_all_are_no_bundle(bundle: Bundle) -> None:
    assert refused(bundle).startswith("what is signed is no bundle of this version: Expected `str` of length ")


def test_what_a_decoder_says_of_hostile_bytes_is_one_short_line() -> None:
    for payload in (b"\xff", b"[" * 99_999):
        with pytest.raises(ValueError, match="is no bundle of this version: "):
            unpack(payload, NOW)
    hostile = pack(BUNDLE).replace(b'"tenant"', b'"\\u001b[31m' + b"x" * 999 + b'"')
    with pytest.raises(ValueError, match=r"is no bundle of this version: Object .* `\?\[31mxxx") as refusal:
        unpack(hostile, NOW)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value).partition("version: ")[2]) == 200


PARTS: dict[str, Any] = {
    "bundle": BUNDLE,
    "bucket": SWEPT,
    "data": UNDER,
    "gap": Open("a", Reason.TIMEOUT),
    "seen": BUNDLE.seen,
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_no_part_of_it_changes_or_has_a_field_that_nobody_knows(part: Any) -> None:
    with pytest.raises(AttributeError):
        part.more = 1
    first = type(part).__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(part, first, None)
    whole = pack(part if part is BUNDLE else replace(BUNDLE, gaps=(PARTS["gap"],)))
    told = msgspec.json.encode(part, order="sorted")
    assert told in whole
    with pytest.raises(ValueError, match="unknown field `~`"):
        unpack(whole.replace(told, told[:-1] + b',"~":1}'), NOW)


def test_what_others_hold_a_bundle_to_stays() -> None:
    """Files that were handed over, and the documents about them, call it so."""
    assert b'"schema":"cmek-auditor/bundle/1"' in pack(BUNDLE)
    assert PAYLOAD_TYPE == "application/vnd.cmek-auditor.handover.bundle.v1+json"
    assert timedelta(minutes=5) == CLOCKS_APART
    assert LARGEST == 64 << 20


def test_the_oldest_of_its_sweeps_says_how_old_it_is() -> None:
    newer = replace(ON_S3, started=NOW - HOUR, verified=NOW - HOUR)
    two = replace(BUNDLE, buckets=(SWEPT, newer))
    assert (two.swept, two.verified) == (NOW - 2 * HOUR, NOW - 2 * HOUR)
    read_before = replace(BUNDLE, buckets=(SWEPT, replace(newer, verified=NOW - 5 * HOUR)))
    assert (read_before.swept, read_before.verified) == (NOW - 2 * HOUR, NOW - 5 * HOUR)
    read_after = swept(verified=NOW - HOUR)
    assert read_after.verified == NOW - 2 * HOUR, "what came since the sweep began may not be in it"
    nothing = replace(BUNDLE, buckets=(), data=())
    assert (nothing.swept, nothing.verified) == (NOW, NOW)


def test_its_amounts_count_a_namespace_of_a_bucket_once_and_every_object() -> None:
    other = replace(UNDER, version="2", namespaces=(ROW, ("acme/search", 1, 5, 0, *ROW[4:])))
    on_s3 = replace(UNDER, bucket="s3://data", key=AWS_KEY.text, version=None)
    assert BUNDLE.amounts == (1, 10, 1000)
    assert replace(BUNDLE, data=(UNDER, other, on_s3)).amounts == (3, 31, 3005)
    huge = data(namespaces=(("a", MOST, MOST, 0, *ROW[4:]), ("b", MOST, MOST, 0, *ROW[4:])))
    assert huge.amounts == (2, MOST, MOST), "no more than a number of the inventory holds"
    assert [(one.objects, one.size) for one in huge.held] == [(MOST, MOST)]


def test_what_hangs_on_the_same_is_told_once_wherever_it_is() -> None:
    elsewhere = replace(UNDER, bucket="gs://more")
    noncurrent = replace(UNDER, population=Population.NONCURRENT)
    second = replace(UNDER, version="2", namespaces=(ROW, ("acme/search", 10, 5, 0, *ROW[4:])))
    back = replace(UNDER, key=None, version=None)
    none = replace(UNDER, encryption=Encryption.PROVIDER, key=None, version=None)
    found = replace(BUNDLE, data=(second, UNDER, none, elsewhere, noncurrent, back)).held
    cmek, key = Encryption.CMEK, GCP_KEY.text
    assert found == (
        Held(cmek, None, None, 1, 10, 1000),
        Held(Encryption.PROVIDER, None, None, 1, 10, 1000),
        Held(cmek, key, "1", 2, 30, 3000),
        Held(cmek, key, "2", 2, 20, 1005),
    )
    assert [one.is_withheld for one in found] == [True, False, False, False]


def test_data_is_told_from_other_data_by_all_that_it_hangs_on() -> None:
    changes: list[dict[str, Any]] = [
        *({"bucket": "gs://more"}, {"population": Population.NONCURRENT}, {"encryption": Encryption.UNKNOWN}),
        *({"key": f"{GCP_KEY}-2"}, {"version": "2"}),
    ]
    for one in changes:
        assert replace(UNDER, **one).place != UNDER.place, one
        both = sorted((UNDER, replace(UNDER, **one)), key=lambda each: each.place)
        assert refused(replace(BUNDLE, data=tuple(both))) != TWICE


def test_times_are_aware() -> None:
    naive = pack(BUNDLE).replace(b'"made":"2026-11-24T12:00:00Z"', b'"made":"2026-11-24T12:00:00"')
    with pytest.raises(ValueError, match="is no bundle"):
        unpack(naive, datetime.now(UTC))
