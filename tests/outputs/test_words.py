import json
from datetime import timedelta
from pathlib import Path

import pytest

from auditor import states
from auditor.findings import SubjectKind
from auditor.model import Cloud
from auditor.outputs import metrics, scan_json, words
from auditor.outputs.words import KINDS
from auditor.readability import aws, gcp
from auditor.states import STATES
from tests.core_builders import AWS_KEY, GCP_KEY, NOW

SIZES = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_999: "10.0 kB", 12_345: "12 kB", 2_500_000_000: "2.5 GB"}
SPANS = {
    timedelta(seconds=12): "12 s",
    timedelta(minutes=5, seconds=59): "5 min",
    timedelta(hours=3, minutes=5): "3 h 5 min",
    timedelta(days=2, hours=21, minutes=59): "2 d 21 h",
}


DOLLARS = {0: "$0.0000", 0.000099: "< $0.0001", 0.0001: "$0.0001", 0.99: "$0.9900", 1: "$1.00", 4050.127: "$4,050.13"}


@pytest.mark.parametrize(("amount", "told"), DOLLARS.items())
def test_a_price_that_is_too_little_to_write_is_not_none(amount: float, told: str) -> None:
    assert words.dollars(amount) == told


def test_a_state_without_a_known_meaning_is_told_in_words_wherever_states_are_counted() -> None:
    assert words.states(["77", "DISABLED", "DISABLED"], Cloud.GCP) == (
        "2 DISABLED, 1 in a state that this version does not know (77)"
    )
    assert words.state("77", Cloud.GCP) == "a state that this version does not know (77)"
    assert states.being("77", Cloud.GCP) == "in a state that this version does not know (77)"
    assert states.being("DISABLED", Cloud.GCP) == "DISABLED"
    assert words.state("Enabled", Cloud.AWS) == "Enabled"
    assert words.state("ENABLED", Cloud.AWS) == "a state that this version does not know (ENABLED)"


def test_the_states_with_a_known_meaning_are_those_that_are_judged_by() -> None:
    assert STATES[Cloud.GCP] == set(gcp.STATES)
    assert STATES[Cloud.AWS] == set(aws.STATES)


@pytest.mark.parametrize(("count", "told"), SIZES.items())
def test_bytes_keep_two_digits(count: int, told: str) -> None:
    assert words.size(count) == told


@pytest.mark.parametrize(("length", "told"), SPANS.items())
def test_spans_keep_their_two_largest_units(length: timedelta, told: str) -> None:
    assert words.span(length) == told
    assert words.until(NOW + length, NOW) == f"in {told}"
    assert words.until(NOW - length, NOW) == f"{told} ago"


def test_short_names_still_tell_any_two_apart() -> None:
    assert words.short(GCP_KEY.text) == "acme-keys/us-east1/tpuf/main"
    assert words.short(f"{GCP_KEY}/cryptoKeyVersions/3") == "acme-keys/us-east1/tpuf/main version 3"
    assert words.short(AWS_KEY.text) == "111122223333/us-east-1/1f3c0f5e-0000-4000-8000-000000000001"
    assert words.short("gs://bucket\n") == "gs://bucket\\n"


def test_the_metrics_page_is_the_table_in_the_code() -> None:

    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    assert metrics.document() in page


def test_every_kind_of_subject_has_a_word_and_stands_in_the_schema() -> None:
    assert set(KINDS) == set(SubjectKind)
    told = json.dumps(scan_json.schema())
    assert all(f'"{kind.value}"' in told for kind in SubjectKind)
