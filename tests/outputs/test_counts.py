"""How the cloud's own count is shown beside what was listed."""

from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from auditor.findings import Agreement, Compared, Judgement
from auditor.outputs import html, metrics
from auditor.outputs.counts import NOT_COMPARED, told
from auditor.outputs.page import Manifest
from tests.core_builders import NOW
from tests.outputs.test_hostile import a_difference, a_judgement, found_of


def counted(agreement: Agreement, count: int | None = 12_345) -> Compared:
    return Compared(agreement, NOW, NOW if count is not None else None, count, 5 if count is not None else None, 1_000)


@pytest.mark.parametrize("agreement", Agreement)
def test_each_agreement_has_its_words(agreement: Agreement) -> None:
    assert told(counted(agreement)).startswith("12,345 on 2026-11-24: ")
    assert told(counted(agreement, None)).islower()
    assert told(None) == NOT_COMPARED


def with_count(one: Compared | None) -> Judgement:
    judgement = a_judgement("data")[0]
    (bucket,) = judgement.coverage.buckets
    return replace(judgement, coverage=replace(judgement.coverage, buckets=(replace(bucket, compared=one),)))


def test_the_report_has_a_table_of_it_only_where_somebody_asked() -> None:
    manifest, difference = Manifest((), 0, ""), a_difference("data")
    with_it, without = (
        html.render(
            with_count(one), a_judgement("data")[1], (), manifest, NOW, found=found_of("data"), difference=difference
        )
        for one in (counted(Agreement.UNEXPLAINED), None)
    )
    assert "<td>12,345 on 2026-11-24: more than listed, unexplained</td>" in with_it
    assert "cloud's own count" in with_it
    assert "cloud's own count" not in without


@pytest.mark.parametrize(
    ("one", "sample"),
    [
        (counted(Agreement.AGREES), 'cmek_sweep_cloud_count_difference_objects{bucket="gs://data"} 5.0'),
        (counted(Agreement.NOT_READ, None), None),
        (None, None),
    ],
    ids=["compared", "not read", "not asked"],
)
def test_the_metric_is_there_where_both_are_known(one: Compared | None, sample: str | None) -> None:
    rows = a_judgement("data")[1]
    collector = metrics.JudgementCollector(
        *(lambda: with_count(one), lambda _: rows, dict, dict), reloaded=bool, leads=bool, rules=(), version=("0", "r")
    )
    text = generate_latest(metrics.registry(collector)).decode()
    found = [line for line in text.splitlines() if line.startswith("cmek_sweep_cloud_count_difference_objects{")]
    assert found == ([sample] if sample is not None else [])
