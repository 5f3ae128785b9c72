"""An account of a period as people and machines get it: what was observed is said first, and no name can do harm."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from auditor.findings import Readability, Severity, Subject, SubjectKind
from auditor.model import Gap, Reason
from auditor.outputs import html, period_csv, period_json, period_page, period_words, trend
from auditor.outputs.timescale import Scale
from auditor.questions.period.answer import (
    BucketWatch,
    Chain,
    Chronicle,
    Ending,
    GapSpan,
    Incident,
    Judge,
    KeyWatch,
    Much,
    Point,
    Polls,
    SetBack,
    Span,
)
from auditor.questions.period.scans import Scanned
from auditor.questions.period.stretches import NOTHING, Stretch
from tests.core_builders import NOW
from tests.hostile import NAMES
from tests.outputs.test_hostile import Tags
from tests.periods import MINUTE, between

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
OCTOBER = Stretch(BEGIN, BEGIN + 31 * DAY)
BLIND = tuple(Stretch(BEGIN + day * DAY, BEGIN + day * DAY + 7 * MINUTE) for day in (3, 5, 8, 9))


def a_span(name: str = "a key", **more: object) -> Span:
    facts: dict[str, object] = {
        "id": "0" * 16,
        "rule": "data-unreadable",
        "severity": Severity.CRITICAL,
        "subject": Subject(SubjectKind.KEY, name),
        "readability": Readability.UNREADABLE,
        "cause": name,
        "since": BEGIN + DAY,
        "since_source": "audit_log",
        "first_seen": BEGIN + DAY,
        "last_seen": BEGIN + 2 * DAY,
        "ended": BEGIN + 2 * DAY,
        "ending": Ending.REPAIRED,
        "worst": Much(1006, 3_700_000_000, 12),
        "last": Much(6, 600, 1),
        "lasted": DAY,
        "in_period": DAY,
        "unobserved": NOTHING,
        "waived": (),
        "succeeds": None,
        "followed_by": (),
        "turned_back": False,
        **more,
    }
    return Span(**facts)  # type: ignore[arg-type]  # whatever a case sets


def an_incident(*spans: Span) -> Incident:
    some = spans or (a_span(),)
    return Incident(some, DAY, DAY, DAY)


def a_chronicle(
    *incidents: Incident, blind: tuple[Stretch, ...] = BLIND, name: str = "s3://data", **more: object
) -> Chronicle:
    unseen = sum((one.length for one in blind), NOTHING)
    stopped = Much(1006, 3_700_000_000, 12) if incidents else Much()
    seen = OCTOBER.length - unseen
    told = Chronicle(
        period=OCTOBER,
        asked=NOW,
        until=OCTOBER.end,
        chain=Chain(10, "0" * 64, BEGIN - DAY, OCTOBER.end - MINUTE),
        polls=Polls(44_612, 3, 0, (MINUTE, MINUTE), seen, blind),
        keys=(KeyWatch(name, OCTOBER.length, seen, 7 * MINUTE, ()),),
        buckets=(BucketWatch(name, OCTOBER.length, 124, 1, OCTOBER.end, 7 * 60 * MINUTE, NOTHING, NOTHING, 1.0),),
        incidents=incidents,
        course=tuple(
            Point(Stretch(BEGIN + part * DAY, BEGIN + (part + 1) * DAY), DAY, stopped if part == 1 else Much(), Much())
            for part in range(31)
        ),
        gaps=(GapSpan(Gap(name, Reason.TIMEOUT, name, name), BEGIN, None, DAY),),
        judges=(Judge(BEGIN, name, name, "c" * 64),),
        set_back=(),
    )
    return replace(told, **more)  # type: ignore[arg-type]  # as above


def page_of(told: Chronicle) -> str:
    return html.render_period(period_page.view(told, NOW, "0.1.0"))


def json_of(told: Chronicle) -> dict[str, object]:
    out = io.StringIO()
    period_json.write(told, "0.1.0", out)
    found: dict[str, object] = json.loads(out.getvalue())
    jsonschema.Draft202012Validator(
        period_json.schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(found)
    return found


def rows_of(told: Chronicle) -> list[dict[str, str]]:
    out = io.StringIO(newline="")
    period_csv.write(told, out)
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


def test_how_much_was_observed_is_said_before_what_was_found() -> None:
    assert period_words.verdict(a_chronicle(an_incident())) == (
        "Observed 99.94 % of the period: polled 44,612 of 44,640 minutes, longest blind 7 min. In what was observed "
        "encryption kept data from being read in 1 incident, for 1 d in the longest, 1,006 objects (3.7 GB) at most at "
        "a time; none of them is open."
    )
    assert period_words.verdict(a_chronicle(an_incident())) in (ROOT / "README.md").read_text()
    assert period_words.verdict(a_chronicle()) == (
        "Observed 99.94 % of the period: polled 44,612 of 44,640 minutes, longest blind 7 min. In what was observed "
        "nothing was found that encryption kept from being read."
    )


def nothing_seen(told: Chronicle) -> Chronicle:
    return replace(told, polls=Polls(0, 0, 0, None, NOTHING, (OCTOBER,)), course=())


NOTHING_SAID = {
    "never looked": (nothing_seen(a_chronicle()), "Observed 0 % of the period: what could be read in it is not known."),
    "not begun": (
        nothing_seen(a_chronicle(asked=BEGIN - DAY, until=BEGIN)),
        "Nothing of the period has passed yet, so that nothing is known of it.",
    ),
}


@pytest.mark.parametrize(("told", "said"), NOTHING_SAID.values(), ids=NOTHING_SAID)
def test_where_nobody_looked_nothing_is_said_to_be_well(told: Chronicle, said: str) -> None:
    assert period_words.verdict(told) == said
    page = page_of(told)
    assert said in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "nothing was found" not in page
    assert "none of them" not in page
    assert json_of(told)["worst"] is None
    assert 'class="first t-unknown"' in page


def test_what_stood_from_before_is_told_though_nobody_looked() -> None:
    stands = an_incident(a_span(ended=None, ending=Ending.OPEN))
    told = nothing_seen(a_chronicle(stands))
    assert period_words.verdict(told) == (
        "Observed 0 % of the period: what could be read in it is not known. By what was told last encryption kept data "
        "from being read in 1 incident, for 1 d in the longest; 1 of them is not repaired."
    )
    assert '<p class="big">1</p><p class="quiet">incidents</p>' in page_of(told)


def test_the_tone_is_fine_only_where_all_was_observed() -> None:
    def tone(told: Chronicle) -> str:
        return period_page.view(told, NOW, "0").tone

    whole = a_chronicle(blind=())
    assert (tone(whole), tone(a_chronicle()), tone(a_chronicle(an_incident(), blind=()))) == (
        "fine",
        "unknown",
        "stopped",
    )
    (key,), (bucket,) = whole.keys, whole.buckets
    assert tone(replace(whole, keys=(replace(key, silent=BLIND),))) == "unknown"
    assert tone(replace(whole, buckets=(replace(bucket, incomplete=DAY),))) == "unknown"


PERCENT = {1.0: "100 %", 0.0: "0 %", 0.999999: "99.99 %", 0.0000001: "< 0.01 %", 0.0001: "0.01 %", 0.87092: "87.09 %"}


@pytest.mark.parametrize("share", PERCENT)
def test_no_share_is_rounded_to_all_or_to_nothing(share: float) -> None:
    assert period_words.percent(share) == PERCENT[share]


def test_a_minute_that_was_partly_missed_counts_as_missed() -> None:
    some = (Stretch(BEGIN, BEGIN + MINUTE / 10),)
    assert period_words.polled(a_chronicle(blind=some)) == "polled 44,639 of 44,640 minutes, longest blind 6 s"
    assert period_words.polled(a_chronicle(blind=())) == "polled 44,640 of 44,640 minutes, never blind"
    assert period_words.at_most(7 * MINUTE + MINUTE / 10) == "8 min"
    hardly = replace(a_chronicle().polls, observed=MINUTE / 2)
    said = period_words.polled(replace(a_chronicle(), polls=hardly))
    assert said.startswith("polled less than 1 of 44,640 minutes, ")
    slow = replace(a_chronicle().polls, promised=(MINUTE, 9 * MINUTE))
    said = period_words.polled(replace(a_chronicle(), polls=slow))
    assert said == "polled 44,612 of 44,640 minutes by a poll each 1 min to 9 min, longest blind 7 min"
    assert period_words.at_most(26 * 60 * MINUTE + MINUTE / 10) == "1 d 2 h"


NOTES = {
    "the period is not over": ({"asked": BEGIN + DAY, "until": BEGIN + DAY}, "The period ends in 30 d"),
    "the ledger is younger": ({"chain": Chain(1, "", BEGIN + DAY)}, "The ledger begins at 2026-10-02 00:00 UTC: what"),
    "the ledger is younger than all of it": ({"chain": Chain(1, "", NOW)}, "after the period: nothing of it was"),
    "the ledger is empty": ({"chain": Chain(0, "", None)}, "The ledger holds no judgement."),
    "no key told": ({"polls": Polls(9, 0, 2, (MINUTE, MINUTE), DAY, BLIND)}, "In 2 polls no key told anything"),
    "one key did not": (
        {"keys": (KeyWatch("k", 2 * DAY, DAY, DAY, BLIND), KeyWatch("l", DAY, DAY, NOTHING, ()))},
        "1 of 2 keys did not tell at some time although asked; the worst was not observed for 1 d of 2 d.",
    ),
    "a bucket was not swept": (
        {"buckets": (BucketWatch("b", DAY, 0, 0, None, None, DAY, DAY, 0.0),)},
        "1 of 1 bucket had no complete sweep for some time, up to 1 d",
    ),
    "data was not known": (
        {"course": (Point(OCTOBER, DAY, Much(), Much(5, 50, 1)), Point(OCTOBER, DAY, None, None))},
        "Of up to 5 objects (50 B) in 1 namespace at a time it was not known whether they could be read.",
    ),
    "the clock": ({"set_back": (SetBack(BEGIN, DAY),)}, "The clock was set back 1 time, by up to 1 d"),
    "no daemon": ({"polls": Polls(9, 0, 0, None, DAY, BLIND)}, "each stands for its own minute"),
}


@pytest.mark.parametrize(("more", "said"), NOTES.values(), ids=NOTES)
def test_what_has_to_be_known_to_read_the_numbers_is_said(more: dict[str, object], said: str) -> None:
    told = a_chronicle(**more)  # type: ignore[arg-type]  # as above
    assert any(said in note for note in period_words.notes(told)), list(period_words.notes(told))
    page = re.sub(r'<span class="whole">([^<]+)</span>', r"\1", page_of(told))
    assert said in page.replace("\N{NO-BREAK SPACE}", " ")


def test_where_all_is_well_there_is_no_note() -> None:
    assert list(period_words.notes(a_chronicle())) == []


def test_a_page_tells_each_finding_of_an_incident_and_all_of_them_together() -> None:
    first = a_span(ending=Ending.FOLLOWED, followed_by=("1" * 16,), lasted=DAY / 2)
    then = a_span(
        id="1" * 16,
        rule="data-doomed",
        readability=Readability.DOOMED,
        succeeds="0" * 16,
        ended=None,
        ending=Ending.OPEN,
        waived=(Stretch(BEGIN + DAY, BEGIN + 3 * DAY),),
        unobserved=DAY,
    )
    page = page_of(a_chronicle(an_incident(first, then)))
    for said in ("went on as data-doomed", "2 findings, one after the other", "waived for 2 d", "1 d not observed"):
        assert said in page
    assert 'y="4" height="10" rx="1" class="r-doomed"' in page
    assert 'height="4" class="waived"' in page


def test_a_page_never_says_what_it_cannot_prove() -> None:
    for told in (a_chronicle(), a_chronicle(an_incident()), nothing_seen(a_chronicle())):
        assert "complian" not in page_of(told).lower()
        assert page_of(told).count("<script") == 1, "our own, which sorts"


def test_who_signs_a_period_signs_by_what_ledger_it_is_told() -> None:
    told = a_chronicle()
    lines = page_of(told).partition('id="signoff"')[2]
    assert told.chain.head in lines
    assert lines.count("<p>Date</p>") == 2, "one for each who signs"


def test_the_table_of_when_nobody_looked_has_whole_times() -> None:
    table = page_of(a_chronicle()).partition('id="looked"')[2].partition("</table>")[0].partition("<tbody>")[2]
    told = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in table.split("</tr>")]
    assert [row for row in told if row] == [
        f"{one.begin:%Y-%m-%d %H:%M:%S} UTC {one.end:%Y-%m-%d %H:%M:%S} UTC 7 min" for one in BLIND
    ]


def test_every_time_in_which_nobody_looked_is_seen_on_the_line_and_they_are_few() -> None:
    scattered = tuple(
        Stretch(BEGIN + number * MINUTE, BEGIN + (number + 0.5) * MINUTE) for number in range(0, 44_640, 2)
    )
    for some in (BLIND, scattered, (OCTOBER,), (Stretch(OCTOBER.end - MINUTE, OCTOBER.end),)):
        told = a_chronicle(blind=some)
        bars = list(period_page._blind(told, Scale(told.period)))  # noqa: SLF001 - what the page draws
        assert 0 < len(bars) <= 400
        for one in some:
            x, width = Scale(told.period).part(one)
            assert any(bar.x - 0.001 <= x and x + width <= bar.x + bar.width + 0.001 for bar in bars)
        assert all(bar.x >= 0 and bar.x + bar.width <= 100.001 and bar.width > 0.2 for bar in bars)


def test_csv_has_a_line_for_each_finding_and_for_each_time_in_which_nobody_looked() -> None:
    silent = KeyWatch("a key", DAY, NOTHING, DAY, (between(0, 5),))
    rows = rows_of(a_chronicle(an_incident(a_span(), a_span(id="1" * 16)), an_incident(), keys=(silent,)))
    assert [row["what"] for row in rows] == ["finding"] * 3 + ["not_observed"] * 4 + ["key_silent"]
    assert [row["incident"] for row in rows[:3]] == ["1", "1", "2"]
    assert (rows[0]["seconds"], rows[0]["objects_worst"], rows[0]["objects_at_end"]) == ("86400.0", "1006", "6")
    assert (rows[3]["since"], rows[3]["ended"], rows[3]["seconds"]) == (
        "2026-10-04T00:00:00Z",
        "2026-10-04T00:07:00Z",
        "420.0",
    )
    assert (rows[-1]["subject"], rows[-1]["subject_kind"]) == ("a key", "key")


def hostile(name: str) -> Chronicle:
    span = a_span(name, worst=None, turned_back=True, subject=Subject(SubjectKind.HSM_INSTANCE, name))
    return a_chronicle(an_incident(span, a_span(name)), name=name)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_do_no_harm_in_any_form(name: str) -> None:
    plain, told = Tags(), Tags()
    plain.feed(page_of(hostile("harmless")))
    text = page_of(hostile(name))
    told.feed(text)
    assert (told.tags, told.attributes) == (plain.tags, plain.attributes)
    assert text.count("<script") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert json_of(hostile(name))["buckets"][0]["bucket"] == name  # type: ignore[index]  # JSON
    cells = [cell for row in rows_of(hostile(name)) for cell in row.values()]
    assert any(name in cell for cell in cells)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)


def test_the_page_stays_small_whatever_happened() -> None:
    name = "n" * 1024
    spans = tuple(a_span(name, id=f"{number:016x}") for number in range(500))
    blind = tuple(Stretch(BEGIN + number * MINUTE, BEGIN + (number + 0.5) * MINUTE) for number in range(40_000))
    many = a_chronicle(*[an_incident(*spans)] * 5, *[an_incident(a_span(name))] * 5_000, blind=blind, name=name)
    many = replace(many, keys=many.keys * 10_000, buckets=many.buckets * 10_000, gaps=many.gaps * 10_000)
    page = page_of(many)
    assert len(page.encode()) < 5_000_000
    assert "500 findings, one after the other; the last 10 are shown" in page
    assert "39900 shorter ones are not shown here" in page


def marks(begin: datetime, length: timedelta) -> list[str]:
    scale = Scale(Stretch(begin, begin + length))
    found = scale.marks()
    assert len(found) <= 7
    assert all(0 <= place <= 100 for place, _ in found)
    return [name for _, name in found]


def test_a_line_of_time_has_a_few_round_marks() -> None:
    assert marks(BEGIN, 92 * DAY) == ["Oct 2026", "Nov 2026", "Dec 2026"]
    assert marks(BEGIN, DAY) == ["00:00", "06:00", "12:00", "18:00"]
    assert marks(BEGIN + 7 * MINUTE, 60 * MINUTE) == ["00:10", "00:20", "00:30", "00:40", "00:50", "01:00"]
    assert marks(BEGIN, 7 * DAY) == ["01 Oct", "03 Oct", "05 Oct", "07 Oct"]
    assert marks(BEGIN, 366 * DAY) == ["Nov 2026", *(f"{month} 2027" for month in ("Jan", "Mar", "May", "Jul", "Sep"))]
    assert marks(BEGIN, 3650 * DAY) == ["2028", "2030", "2032", "2034", "2036"]
    assert marks(datetime(1, 1, 1, tzinfo=UTC), timedelta(days=3_652_058))


def test_a_period_is_told_by_its_dates_and_else_by_its_times() -> None:
    assert period_words.of_period(OCTOBER) == "2026-10-01 to 2026-10-31"
    assert period_words.of_period(Stretch(BEGIN, BEGIN + MINUTE)) == "2026-10-01 00:00 UTC to 2026-10-01 00:01 UTC"


def scans(*sizes: int | None, unknown: int = 0) -> Iterator[Scanned]:
    for place, size in enumerate(sizes):
        yield Scanned(NOW + place * DAY, Much(size, size, 3), Much(unknown, unknown, 1 if unknown else 0))


def test_the_trend_has_a_column_for_each_scan_with_something_and_a_row_for_each() -> None:
    told = trend.view(list(scans(0, 50, 100, 1)))
    assert (told.unit, told.most, told.most_unknown) == ("bytes", "100 B", "")
    assert [(one.x, one.y, one.height) for one in told.columns] == [(25, 50, 50), (50, 0, 100), (75, 98, 2)]
    assert told.rows[1] == ("2026-11-25 12:00 UTC", "50", "50 B", "0 B")


def test_what_was_not_known_stands_on_what_could_not_be_read() -> None:
    told = trend.view(list(scans(0, 50, unknown=50)))
    assert (told.most, told.most_unknown) == ("50 B", "50 B")
    assert [(one.readability, one.y, one.height) for one in told.columns] == [
        ("unknown", 50, 50),
        ("unreadable", 50, 50),
        ("unknown", 0, 50),
    ]


def test_where_nobody_tells_bytes_the_trend_is_one_of_namespaces() -> None:
    told = trend.view(list(scans(5, None)))
    assert (told.unit, told.most, len(told.columns)) == ("namespaces", "3", 2)
    assert trend.view([]).rows == ()
    assert trend.view("the chain breaks").nothing == "the chain breaks"
