"""One of a thing is told in the singular, verb and all."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console

from auditor import plurals
from auditor.action import Action
from auditor.findings import BucketCoverage, Coverage, Judgement, Readability
from auditor.model import Extent
from auditor.outputs import impact_table, summary
from auditor.questions.impact.answer import Impact, Known, Writes
from tests.core_builders import GCP_KEY, NOW
from tests.outputs.test_hostile import a_judgement


def test_a_number_goes_with_its_noun_and_its_verb() -> None:
    assert [plurals.counted(count, "key") for count in (0, 1, 1_000)] == ["0 keys", "1 key", "1,000 keys"]
    assert plurals.counted(2, "registry", "registries") == "2 registries"
    assert [plurals.agreed(count, "is", "are") for count in (0, 1, 2)] == ["are", "is", "are"]


def an_impact(count: int) -> Impact:
    return Impact(
        key=GCP_KEY,
        version=None,
        action=Action.DISABLE,
        now=NOW,
        judged=NOW,
        state="ENABLED",
        state_read=NOW,
        idle=None,
        shifts=(),
        extent=Extent(count, 1, count),
        members=(),
        worst=(),
        populations={},
        untouched=count,
        writes=Writes(None, "not known", namespaces=count),
        takes_effect="at once",
        final="never",
        final_at=None,
        undo=(),
        not_covered=(),
        known=Known(count, count, NOW, 1, 0, 0),
        gaps=(),
    )


def told(one: Impact) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(impact_table.impact(one))
    return captured.get()


def test_impact_tells_of_one_namespace_and_of_two() -> None:
    assert "1 namespace has data under the key\n" in told(an_impact(1))
    assert "2 namespaces have data under the key\n" in told(an_impact(2))
    nothing = replace(an_impact(1), extent=Extent(0, 0, 0))
    assert impact_table.verdict(nothing) == "Nothing would change for the 1 object that hangs on it."
    assert impact_table.verdict(replace(nothing, idle="it is DISABLED")).endswith("; 1 object still hangs on it.")
    assert impact_table.verdict(replace(nothing, untouched=2)).endswith("for the 2 objects that hang on it.")


def judgements(readability: Readability, count: int) -> Judgement:
    judgement, _ = a_judgement("harmless")
    (one,) = judgement.assessed
    assessed = replace(
        one,
        holding=replace(one.holding, objects=count),
        assessment=replace(one.assessment, readability=readability),
    )
    return replace(judgement, assessed=(assessed,), coverage=Coverage(tuple(buckets()), 1, 1, None))


def buckets() -> Iterator[BucketCoverage]:
    yield BucketCoverage("gs://data", True, 10, 10, 0, 0, 0, NOW, NOW, NOW)
    yield BucketCoverage("gs://more", False, 0, 0, 0, 0, 0, None, None, None)


def test_the_verdict_tells_of_one_object_and_of_two() -> None:
    ends = "; 1 of 2 buckets has no whole sweep in force and is not counted."
    assert summary.verdict(judgements(Readability.LOST, 1)) == (
        f"1 of 1 object cannot be read now (1 is lost for good){ends}"
    )
    assert summary.verdict(judgements(Readability.LOST, 2)) == (
        f"2 of 2 objects cannot be read now (2 are lost for good){ends}"
    )
    assert summary.verdict(judgements(Readability.READABLE, 1)) == (
        f"No proven obstacle stops a read of the 1 object{ends}"
    )
