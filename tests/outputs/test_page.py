from dataclasses import replace
from datetime import timedelta

from auditor.model import AwsKey, GcpKey, KeyName
from auditor.outputs import html, summary, words
from auditor.outputs.page import Manifest, _deadlines
from tests.core_builders import AWS_KEY, GCP_KEY, NOW, a_gcp_key, a_holding, a_version, an_aws_key, days
from tests.outputs.test_hostile import a_difference, a_judgement, found_of
from tests.test_engine import judged


def test_a_deadline_says_whether_the_data_is_lost_or_stops_being_readable() -> None:
    def imported(name: KeyName, left: float) -> AwsKey:
        return an_aws_key(name=name, origin="EXTERNAL", valid_to=NOW + days(left))

    later = KeyName(AWS_KEY.text[:-1] + "2")
    doomed = a_gcp_key(a_version("1", "DESTROY_SCHEDULED", destroy_time=NOW + days(1)))
    result = judged(
        a_holding(GCP_KEY, "1"),
        a_holding(),
        a_holding(later),
        keys={
            GCP_KEY: (doomed, None),
            AWS_KEY: (imported(AWS_KEY, 10), None),
            later: (imported(later, 200), None),
        },
    )
    told = [(one.what, one.readability) for one in _deadlines(list(result.findings), NOW)]
    assert told == [("lost for good", "doomed"), ("stops being readable", "expiring"), ("stops being readable", "")]


def test_the_next_loss_names_the_most_and_counts_what_else_has_the_same_minute() -> None:
    def scheduled(name: KeyName, seconds: float) -> GcpKey:
        gone = a_version("1", "DESTROY_SCHEDULED", destroy_time=NOW + days(1) + timedelta(seconds=seconds))
        return replace(a_gcp_key(gone), name=name)

    names = [KeyName(f"{GCP_KEY}-{number}") for number in range(4)]
    seconds = (0, 1, 2, 3600)
    empty = replace(a_judgement("harmless")[0], assessed=(), findings=(), now=NOW)
    result = judged(
        *(a_holding(name, "1", objects=number + 1) for number, name in enumerate(names)),
        keys={name: (scheduled(name, late), None) for name, late in zip(names, seconds, strict=True)},
    )
    told = summary.next_loss(replace(empty, findings=tuple(result.findings)))
    most = f"3 objects under {words.short_key(names[2])} version 1 are lost for good"
    assert told == f"{most}, and 2 more findings at that minute"
    one = judged(a_holding(names[0], "1"), keys={names[0]: (scheduled(names[0], 0), None)})
    assert summary.next_loss(replace(empty, findings=tuple(one.findings))).endswith("are lost for good")
    assert summary.next_loss(empty) == ""


def test_who_signs_signs_which_judgement_and_when() -> None:
    judgement, rows = a_judgement("data")
    manifest = Manifest((), 7, "ab" * 32)
    page = html.render(judgement, rows, (), manifest, NOW, found=found_of("data"), difference=a_difference("data"))
    lines = page.partition('id="signoff"')[2]
    assert judgement.run.id in lines
    assert "ab" * 32 in lines
    assert lines.count("<p>Date</p>") == 2, "one for each who signs"
