"""What a terminal shows, whatever its width."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from auditor.findings import Status
from auditor.model import Gap, Reason
from auditor.outputs import terminal, words
from tests.core_builders import AWS_KEY, GCP_KEY
from tests.outputs.test_hostile import a_judgement


@pytest.mark.parametrize("width", [40, 60, 99, 100, 200])
def test_each_finding_is_told_with_its_subject_and_an_id_that_explain_takes(width: int) -> None:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.findings
    out = io.StringIO()
    terminal.show(judgement, Console(file=out, width=width, highlight=False, markup=False, emoji=False))
    told = out.getvalue().replace("\n", "").replace(" ", "")
    subject = words.short(one.subject.id).replace(" ", "")
    assert (one.id[:8] in told, subject in told, one.rule in told) == (True, True, True)


def test_what_is_not_known_of_a_findings_subject_stands_beside_it() -> None:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.findings
    gap = Gap(one.subject.id, Reason.THROTTLED, "no new answer", "poll again")
    beside = replace(judgement, gaps=(gap, replace(gap, what="another", effect="of others")))
    out = io.StringIO()
    console = Console(file=out, width=300, highlight=False, markup=False, emoji=False)
    console.print(terminal.explain(one, None, beside))
    assert "not known   no new answer [throttled]; poll again\n" in out.getvalue()
    assert "of others" not in out.getvalue()
    console.print(terminal.explain(replace(one, status=Status.RESOLVED), None, beside))
    assert out.getvalue().count("no new answer") == 1, "what has ended lacks nothing"


def test_gaps_that_hide_more_than_one_key_are_told_before_those_of_keys() -> None:
    judgement, _ = a_judgement("harmless")
    keys = (f"{GCP_KEY}-{number:02}" for number in range(11))
    named = (AWS_KEY.text, *keys, f"{GCP_KEY}/cryptoKeyVersions/1", "registry a.csv", "s3://data")
    gaps = tuple(Gap(one, Reason.THROTTLED, "not known", "poll again") for one in named)
    out = io.StringIO()
    console = Console(file=out, width=300, highlight=False, markup=False, emoji=False)
    terminal.show(replace(judgement, gaps=gaps), console)
    told = [line.split(": ")[1] for line in out.getvalue().splitlines() if line.startswith("gap: ")]
    assert (told[:3], len(told)) == (["registry a.csv", "s3://data", words.short(AWS_KEY.text)], 10)
    assert out.getvalue().endswith("and 5 more gaps; --format json has all of them\n")
