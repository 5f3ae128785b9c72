"""Reports that the daemon keeps: when they are due, what is in them, and what the log says of them."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor import scan
from auditor.config import Schedule, load
from auditor.daemon.keeping import Keeper
from auditor.daemon.loops import Fault, Health
from auditor.daemon.timers import Daemon, Inherited
from auditor.errors import AuditorError, CollectError
from auditor.model import Reason
from auditor.shelf import Kept, Shelf, Uploaded
from auditor.wiring import Assembly, assemble
from tests.clouds import an_aws_cloud
from tests.daemon.test_schedule import HOUR, Worlds, due, parts_of
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress

DAILY = Schedule(sweep="0 0 1 1 *", report="0 6 * * *")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def assembly(small: Small) -> Iterator[Assembly]:
    with contextlib.closing(assemble(load(small.config))) as made:
        yield made


def test_all_that_was_asked_for_is_kept_and_the_log_can_bear_witness(
    small: Small, assembly: Assembly, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small.set_state(1, "DISABLED")
    judgement = scan.scan(assembly.parts, NoProgress())
    shelf = Shelf(tmp_path / "reports", 5)
    assembly = replace(assembly, security_hub="arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default")
    with caplog.at_level(logging.INFO):
        Keeper(assembly, shelf, ("html", "json", "csv", "ocsf", "oscal", "asff")).keep()
    ((name, one),) = shelf.listed()
    assert isinstance(one, Kept)
    names = ["report-dependencies.csv", "report-gaps.csv", "report.asff.jsonl", "report.csv"]
    names += ["report.html", "report.json", "report.ocsf.jsonl", "report.oscal.json"]
    assert [each.name for each in one.files] == names
    assert (one.told.judgement, one.told.judged) == (judgement.run.id, judgement.now)
    assert one.told.verdict == "10 of 20 objects cannot be read now."
    assert (one.told.events, one.told.head) == assembly.ledger.chain().end_of(judgement.run.id)
    page = (shelf.read(name, "report.html") or b"").decode()
    assert one.told.head in page
    assert json.loads(shelf.read(name, "report.json") or b"")["totals"]["objects"] == 20
    told = caplog.messages[-1]
    assert all(each in told for each in (name, one.told.head, *(file.sha256 for file in one.files)))


def test_before_anything_is_judged_none_is_kept_and_it_is_told(assembly: Assembly, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    with pytest.raises(AuditorError, match="nothing is judged yet"):
        Keeper(assembly, shelf, ("html",)).keep()
    assert shelf.listed() == ()


@dataclass
class Reports:
    """Stands in for what makes reports."""

    last: datetime | None = None
    made: list[datetime] = field(default_factory=list)
    fails: bool = False
    goes_elsewhere: bool = False
    uploaded: int = 0

    def newest(self, until: datetime) -> datetime | None:
        if self.fails:
            raise AuditorError("nobody can tell")
        return self.last if self.last is not None and self.last <= until else None

    def keep(self) -> None:
        self.made.append(datetime.now(UTC))
        if self.fails:
            raise AuditorError("no room")

    @property
    def uploads(self) -> bool:
        return self.goes_elsewhere

    def upload(self, going: Callable[[], None]) -> None:
        self.uploaded += 1
        going()
        if self.fails:
            raise AuditorError("no answer")


def planned(reports: Reports, schedule: Schedule = DAILY) -> Daemon:
    """A daemon that is about to start, whose timers start no turn by themselves."""
    worlds = Worlds()
    made = Daemon(parts_of(worlds, lambda: None), schedule, lambda: worlds.ticks, reports=reports)
    made._scheduler.start(paused=True)  # noqa: SLF001 - else the machine's own clock would have a say
    return made


SEVEN = datetime(2026, 11, 28, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "owes"),
    [
        *((None, False), (timedelta(0), False), (HOUR, False), (HOUR + timedelta(seconds=2), True), (25 * HOUR, True)),
        (SEVEN - datetime.max.replace(tzinfo=UTC), False),
    ],
    ids=["none yet", "just now", "the one of six", "before six", "yesterday", "at the end of time"],
)
def test_one_that_was_due_while_nobody_worked_is_made_up_for(ago: timedelta | None, owes: bool) -> None:  # noqa: FBT001 - a case
    daemon = planned(Reports(SEVEN - ago if ago is not None else None))
    assert daemon._owes_report(SEVEN) is owes  # noqa: SLF001 - what start() asks
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_where_nobody_can_tell_the_turn_itself_says_why(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports(fails=True)
    daemon = planned(reports)
    assert daemon._owes_report(datetime.now(UTC))  # noqa: SLF001 - what start() asks
    for _ in range(3):
        daemon._report()  # noqa: SLF001 - what the timer calls
    assert (len(reports.made), daemon.failing()) == (3, ("report",))
    assert "report failed: no room" in caplog.text
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_one_that_could_not_be_kept_is_tried_again_within_the_hour() -> None:
    reports = Reports(fails=True)
    daemon = planned(reports, Schedule(sweep="0 0 1 1 *", report="0 0 1 1 *"))
    before = due(daemon, "report")
    daemon._report()  # noqa: SLF001 - what the timer calls
    assert due(daemon, "report") - datetime.now(UTC) <= HOUR
    reports.fails = False
    daemon._scheduler.modify_job("report", next_run_time=before)  # noqa: SLF001 - what the timer does after a turn
    daemon._report()  # noqa: SLF001 - as above
    assert due(daemon, "report") == before
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_one_that_failed_by_another_config_is_made_up_for_by_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Daemon, "_poll", int)
    worlds = Worlds()
    failed = Inherited({}, None, None, sweeping=False, health=Health(failed={"report": Fault(1, "no room")}))
    made = Daemon(parts_of(worlds, lambda: None), DAILY, lambda: worlds.ticks, failed, reports=Reports())
    made.start()
    assert due(made, "report") - datetime.now(UTC) <= timedelta(minutes=1)
    assert made.stop()


def test_a_clock_that_is_set_ahead_makes_none_at_once_and_skips_none() -> None:
    worlds = Worlds()
    daemon = Daemon(parts_of(worlds, lambda: None), DAILY, lambda: worlds.ticks, reports=Reports())
    daemon._scheduler.start(paused=True)  # noqa: SLF001 - as above
    missed = worlds.wall + HOUR
    daemon._scheduler.modify_job("report", next_run_time=missed)  # noqa: SLF001 - as above
    worlds.wall += 3 * HOUR
    daemon.mind_the_clock()
    assert due(daemon, "report") == missed
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_where_none_is_asked_for_no_loop_makes_any() -> None:
    daemon = planned(Reports(), Schedule(sweep="0 0 1 1 *"))
    assert "report" not in daemon.loops_alive()
    assert daemon._scheduler.get_job("report") is None  # noqa: SLF001 - as above
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_between_two_reports_days_may_go_by() -> None:
    daemon = planned(Reports())
    assert daemon.loops_alive()["report"]
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


# --- uploads ---

UPLOAD = '[report]\nformats = ["json"]\nupload = "gs://own/audit"\n'


@pytest.fixture
def uploading(small: Small) -> Iterator[Assembly]:
    """A daemon's parts with a judgement, and a config that wants reports in a bucket of its own."""
    small.cloud.store.add_bucket("own", "acme", "us-east1")
    text = small.config.read_text().replace("[schedule]\n", '[schedule]\nreport = "0 6 * * *"\n')
    small.config.write_text(text + UPLOAD)
    with contextlib.closing(assemble(load(small.config))) as made:
        scan.scan(made.parts, NoProgress())
        yield made


def there(small: Small) -> dict[str, bytes | None]:
    return {one.name: one.data for one in small.cloud.store.buckets["own"].objects}


def test_what_is_kept_is_uploaded_as_it_is_and_at_last_what_says_that_it_is_whole(
    small: Small, uploading: Assembly, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json", "csv"))
    keeper.keep()
    assert keeper.uploads
    ((name, _),) = shelf.listed()
    assert shelf.waiting("gs://own/audit") == (name,)
    keeper.upload()
    folder = tmp_path / "reports" / name
    files = ["report-dependencies.csv", "report-gaps.csv", "report.csv", "report.json", "kept.json"]
    assert list(there(small).items()) == [(f"audit/{name}/{file}", (folder / file).read_bytes()) for file in files]
    assert (shelf.waiting("gs://own/audit"), shelf.waiting("gs://other")) == ((), (name,))


def test_it_may_be_a_bucket_of_the_other_cloud(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = small.config.read_text().replace("[schedule]\n", '[schedule]\nreport = "0 6 * * *"\n')
    small.config.write_text(text + '[report]\nupload = "s3://own/audit/"\nupload_region = "eu-west-1"\n')
    with an_aws_cloud(monkeypatch) as aws, contextlib.closing(assemble(load(small.config))) as made:
        aws.store.add_bucket("own", "eu-west-1")
        scan.scan(made.parts, NoProgress())
        keeper = Keeper(made, Shelf(tmp_path / "reports", 5), ("json",))
        keeper.keep()
        keeper.upload()
        assert [one.rpartition("/")[2] for one in aws.store.buckets["own"].objects] == ["report.json", "kept.json"]


def test_what_was_uploaded_is_not_asked_about_again(small: Small, uploading: Assembly, tmp_path: Path) -> None:
    keeper = Keeper(uploading, Shelf(tmp_path / "reports", 5), ("json",))
    keeper.keep()
    keeper.upload()
    asked = len(small.cloud.traffic.requests)
    keeper.upload()
    assert len(small.cloud.traffic.requests) == asked


def test_what_could_not_be_uploaded_waits_and_goes_with_the_next_the_oldest_first(
    small: Small, uploading: Assembly, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()
    small.cloud.store.deny("storage.objects.create", "own")
    with pytest.raises(AuditorError, match=r"report\.json was not uploaded to gs://own/audit: HTTP 403") as caught:
        keeper.upload()
    assert "storage.objects.create" in str(caught.value.hint)
    keeper.keep()
    small.cloud.store.allow("storage.objects.create", "own")
    names = [name for name, _ in reversed(shelf.listed())]
    assert shelf.waiting("gs://own/audit") == tuple(names)
    keeper.upload()
    assert [one for one in there(small) if one.endswith("kept.json")] == [f"audit/{one}/kept.json" for one in names]


def test_one_that_was_changed_on_the_disk_is_not_uploaded_and_keeps_no_other_back(
    small: Small, uploading: Assembly, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()
    keeper.keep()
    first, second = (name for name, _ in reversed(shelf.listed()))
    (tmp_path / "reports" / first / "report.json").write_text("{}")
    with pytest.raises(AuditorError, match=rf"report.json of report {first} was changed since it was written"):
        keeper.upload()
    assert list(there(small)) == [f"audit/{second}/report.json", f"audit/{second}/kept.json"]
    assert shelf.waiting("gs://own/audit") == (first,)


def test_a_broken_off_upload_is_made_whole_by_the_next_one(small: Small, uploading: Assembly, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json", "html"))
    keeper.keep()
    small.cloud.traffic.fail("kept.json", status=403, code="forbidden")
    with pytest.raises(AuditorError):
        keeper.upload()
    small.cloud.traffic.heal()
    begun = list(there(small))
    keeper.upload()
    assert (len(begun), len(there(small)), shelf.waiting("gs://own/audit")) == (2, 3, ())


def test_what_cannot_be_written_down_is_told_and_not_sent_again(
    small: Small, uploading: Assembly, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("auditor.shelf._settle", full)
        for _ in range(2):
            with pytest.raises(AuditorError, match="was uploaded: No space left on device"):
                keeper.upload()
    asked = [one.target for one in small.cloud.traffic.requests if one.target.startswith("/upload/")]
    keeper.upload()
    assert (len(asked), len(there(small)), shelf.waiting("gs://own/audit")) == (2, 2, ())


def test_one_that_newer_ones_push_out_before_it_was_uploaded_is_told_in_the_log(
    uploading: Assembly, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path / "reports", 1)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()
    ((first, _),) = shelf.listed()
    keeper.keep()
    assert f"report {first} is removed, as newer ones are kept, and is not known to be in gs://own/audit" in caplog.text
    keeper.upload()
    caplog.clear()
    keeper.keep()
    assert "is removed" not in caplog.text


def test_a_failing_upload_is_told_and_ends_no_readiness(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports(fails=True, goes_elsewhere=True)
    daemon = planned(reports)
    for _ in range(3):
        daemon._upload()  # noqa: SLF001 - what the timer calls
    assert (reports.uploaded, daemon.failing()) == (3, ())
    assert daemon.faults()["upload"].why == "no answer"
    assert "upload failed: no answer" in caplog.text
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_a_report_is_uploaded_as_soon_as_it_is_kept() -> None:
    daemon = planned(Reports(goes_elsewhere=True))
    before = due(daemon, "upload")
    daemon._report()  # noqa: SLF001 - what the timer calls
    after = due(daemon, "upload")
    assert before is not None
    assert after is not None
    assert after < before
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_without_an_upload_no_loop_makes_any(assembly: Assembly, tmp_path: Path) -> None:
    daemon = planned(Reports())
    assert "upload" not in daemon.loops_alive()
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above
    keeper = Keeper(assembly, Shelf(tmp_path / "reports", 5), ("json",))
    keeper.upload()
    assert not keeper.uploads


def test_a_bucket_that_fails_for_hours_takes_no_readiness() -> None:
    worlds = Worlds()
    daemon = Daemon(
        *(parts_of(worlds, lambda: None), DAILY, lambda: worlds.ticks),
        reports=Reports(fails=True, goes_elsewhere=True),
    )
    daemon._scheduler.start(paused=True)  # noqa: SLF001 - as above
    for _ in range(13):
        worlds.ticks += 300
        daemon._upload()  # noqa: SLF001 - what the timer calls
    assert daemon.loops_alive()["upload"]
    assert daemon.faults()["upload"].turns == 13
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_many_uploads_take_as_long_as_they_get_on_and_end_with_their_loops(caplog: pytest.LogCaptureFixture) -> None:
    worlds = Worlds()
    alive = []

    class Many(Reports):
        def upload(self, going: Callable[[], None]) -> None:
            for _ in range(3):
                going()
                worlds.ticks += 2_000
                alive.append(daemon.loops_alive()["upload"])
            daemon._stopping.set()  # noqa: SLF001 - what stop() does first
            going()
            pytest.fail("it went on")

    daemon = Daemon(*(parts_of(worlds, lambda: None), DAILY, lambda: worlds.ticks), reports=Many(goes_elsewhere=True))
    daemon._scheduler.start(paused=True)  # noqa: SLF001 - as above
    with caplog.at_level(logging.INFO):
        daemon._upload()  # noqa: SLF001 - what the timer calls
    assert alive == [True] * 3
    assert caplog.messages == ["uploads broken off: their loops are ending"]
    assert daemon.faults() == {}
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above


def test_a_report_that_ends_after_its_loops_ends_without_a_fault() -> None:
    daemon = planned(Reports(goes_elsewhere=True))
    daemon._stopping.set()  # noqa: SLF001 - what stop() does first
    daemon._scheduler.shutdown()  # noqa: SLF001 - as above
    daemon._report()  # noqa: SLF001 - what the timer calls


def test_one_that_nobody_may_look_at_keeps_no_other_back(small: Small, uploading: Assembly, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "reports", 5)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()
    ((first, _),) = shelf.listed()
    small.cloud.store.put("own", f"audit/{first}/report.json", 1, data=b"?")
    small.cloud.store.deny("storage.objects.list", "own")
    keeper.keep()
    with pytest.raises(AuditorError, match=rf"{first}/report.json was not uploaded"):
        keeper.upload()
    assert shelf.waiting("gs://own/audit") == (first,)


@dataclass
class Nonsense:
    """A bucket that answers something else."""

    url: str = "gs://own/audit"
    asked: list[str] = field(default_factory=list)

    def put(self, name: str, content: bytes) -> None:  # noqa: ARG002 - the port's
        self.asked.append(name)
        raise CollectError(f"{name} was not uploaded", reason=Reason.MALFORMED)


def test_a_bucket_that_answers_nonsense_is_asked_for_one_report_alone(uploading: Assembly, tmp_path: Path) -> None:
    bucket = Nonsense()
    keeper = Keeper(replace(uploading, uploads=bucket), Shelf(tmp_path / "reports", 5), ("json",))
    keeper.keep()
    keeper.keep()
    with pytest.raises(AuditorError, match="was not uploaded"):
        keeper.upload()
    assert len(bucket.asked) == 1


def test_one_that_is_elsewhere_alone_is_told_as_well_when_it_goes(
    uploading: Assembly, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path / "reports", 1)
    keeper = Keeper(uploading, shelf, ("json",))
    keeper.keep()
    ((first, _),) = shelf.listed()
    shelf.tell_uploaded(first, Uploaded("gs://the-one-of-before", datetime.now(UTC)))
    keeper.keep()
    assert f"report {first} is removed, as newer ones are kept, and is not known to be in gs://own/audit" in caplog.text
