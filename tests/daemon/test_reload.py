"""SIGHUP: the daemon goes on by the config as it is now; by one that is wrong it does not, and says so."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auditor import scan
from auditor.config import load
from auditor.daemon import serving
from auditor.daemon.leading import Leadership
from auditor.daemon.timers import Daemon
from auditor.errors import AuditorError
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.daemon.test_daemon import Running, eventually
from tests.daemon.test_daemon import serving as running_daemon
from tests.forked import Forked
from tests.small import Small, a_small_cloud
from tests.test_fleet import NoProgress


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


def reloaded(daemon: Running) -> float | None:
    return daemon.metric("cmek_config_last_reload_successful")


def config_of(daemon: Running) -> Any:
    return daemon.json("/api/v1/status")["config"]


def hang_up(daemon: Running) -> None:
    daemon.process.send_signal(signal.SIGHUP)


HUNG_UP_EARLY = """
import os, signal
from auditor import cli
from auditor.ledger.store import LedgerStore
LedgerStore.verify = lambda self: os.kill(os.getpid(), signal.SIGHUP)
cli.main()
"""


def test_a_hang_up_while_it_starts_ends_nothing_and_is_a_reload_as_soon_as_it_can_be(small: Small) -> None:
    with Forked(HUNG_UP_EARLY, *small.argv("serve")) as process:
        try:
            assert any("the config was read anew: " in line for line in process.stderr)
        finally:
            process.kill()


def test_a_bucket_that_the_config_gains_is_swept_and_told_without_a_restart(small: Small) -> None:
    small.set_state(1, "DISABLED")
    small.cloud.store.add_bucket("more", "acme", "us-east1")
    small.cloud.store.put("more", "acme/young/1", key=GOOGLE_KEY, version=2)
    with running_daemon(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 10)
        first = config_of(daemon)
        assert (first["digest"], first["refused_since"], reloaded(daemon)) == (load(small.config).digest, None, 1)
        assert first["file_digest"] == load(small.config).file_digest
        asked = daemon.metric("cmek_api_requests_total", operation="objects.list")

        more = '[[bucket]]\nurl = "gs://more"\nlayout = "{org}/{namespace}/"\naccount = "acme"\n'
        small.config.write_text(small.config.read_text() + more)
        hang_up(daemon)
        eventually(lambda: daemon.metric("cmek_dependent_objects", bucket="gs://more") == 1)
        assert daemon.metric("cmek_dependent_objects", bucket="gs://data") == 10
        assert config_of(daemon)["digest"] == load(small.config).digest != first["digest"]
        assert config_of(daemon)["read"] > first["read"]
        assert reloaded(daemon) == 1
        assert (daemon.metric("cmek_api_requests_total", operation="objects.list") or 0) > (asked or 0) > 0

        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=10) == 0
        assert daemon.process.stderr is not None
        told = daemon.process.stderr.read()
        assert told.count("the config was read anew: ") == 1
        assert "digest of its settings without waivers" in told, "nobody compares it with the file's"
        assert told.count("finding opened: critical data-unreadable") == 1, "what was told before is not new"


def test_a_config_that_is_wrong_leaves_the_one_of_before_at_work_until_it_is_mended(small: Small) -> None:
    good = small.config.read_text()
    with running_daemon(small.config) as daemon:
        eventually(lambda: daemon.metric("cmek_dependent_objects", readability="readable") == 20)
        small.config.write_text(good.replace("layout", "layuot"))
        hang_up(daemon)
        eventually(lambda: reloaded(daemon) == 0)
        refused = config_of(daemon)["refused_since"]
        assert "bucket[1].layuot: there is no such setting" in refused["why"]
        assert "did you mean layout?" in refused["why"]
        assert daemon.get("/readyz")[0] == 200

        small.set_state(1, "DISABLED")
        eventually(lambda: daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1)

        listings = daemon.metric("cmek_api_requests_total", operation="objects.list")
        small.config.write_text(good)
        hang_up(daemon)
        eventually(lambda: reloaded(daemon) == 1)
        assert config_of(daemon)["refused_since"] is None
        polls = daemon.json("/api/v1/status")["judged"]
        eventually(lambda: daemon.json("/api/v1/status")["judged"] > polls)
        assert daemon.metric("cmek_findings", rule="data-unreadable", status="open") == 1
        assert daemon.metric("cmek_api_requests_total", operation="objects.list") == listings, "nothing to sweep anew"


def test_a_sweep_that_a_new_config_breaks_off_is_made_again_at_once(small: Small) -> None:
    config = load(small.config)
    assembly = assemble(config)
    small.cloud.traffic.fail("/o?", delay=2.0, times=1)
    before = Daemon(assembly.parts, config.schedule)
    before.start()
    eventually(lambda: any("/o?" in one.target for one in small.cloud.traffic.requests))
    assert before.stop()
    assert before.handed_on().sweeping
    scan.scan(assembly.parts, NoProgress())
    assert not before.swept_objects()

    # Nothing else would make it sweep for hours.
    after = Daemon(assembly.parts, config.schedule, inherited=before.handed_on())
    after.start()
    eventually(after.swept_objects)
    assert after.stop()
    assembly.close()


def test_a_poll_that_waited_while_another_config_took_over_asks_nobody_and_judges_nothing(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.daemon.timers._LAST_WORDS", timedelta(0))
    config = load(small.config)
    assembly = assemble(config)
    judged = scan.scan(assembly.parts, NoProgress())
    with assembly.ledger.judging():
        before = Daemon(assembly.parts, config.schedule)
        before.start()
        eventually(lambda: before._watch.running_for("key_poll"))  # noqa: SLF001 - nobody else can tell
        assert not before.stop(), "it waits for whoever polls"
        asked = len(small.cloud.traffic.requests)
    eventually(lambda: not before._watch.running_for("key_poll"))  # noqa: SLF001 - likewise
    assert len(small.cloud.traffic.requests) == asked
    newest = assembly.ledger.judgement()
    assert newest is not None
    assert newest.run.id == judged.run.id
    assembly.close()


def test_a_poll_whose_loops_end_while_keys_answer_judges_nothing(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    config = load(small.config)
    assembly = assemble(config)
    judged = scan.scan(assembly.parts, NoProgress())
    small.cloud.traffic.fail("/cryptoKeys/", delay=1.0, times=1)
    asked = len(small.cloud.traffic.requests)
    before = Daemon(assembly.parts, config.schedule)
    before.start()
    eventually(lambda: any("/cryptoKeys/" in one.target for one in small.cloud.traffic.requests[asked:]))
    assert before.stop()
    newest = assembly.ledger.judgement()
    assert newest is not None
    assert newest.run.id == judged.run.id
    assert " failed" not in caplog.text
    assembly.close()


def test_a_loop_that_hangs_for_good_ends_the_process(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(small.config)
    assembly = assemble(config)
    served = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
    served.lead_or_wait()
    served.mind_the_loops()
    monkeypatch.setattr(Daemon, "hung", lambda _: ("key_poll",))
    with pytest.raises(AuditorError, match="key_poll has hung for too long, so this process ends") as ended:
        served.mind_the_loops()
    assert ended.value.exit_code == 70
    assert served.stop()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('state = "state"', 'state = "elsewhere"', "state cannot change while the daemon runs; restart it"),
        ("127.0.0.1:0", "127.0.0.1:9464", "[web] listen cannot change while the daemon runs; restart it"),
        (
            "[web]",
            '[web]\ntls_cert = "a"\ntls_key = "b"',
            "[web] tls_cert cannot change while the daemon runs; restart",
        ),
        ("[web]", '[web]\ntoken_env = "NOT_THERE"', "environment variable NOT_THERE is not set"),
        ('layout = "{org}', 'layout = "{org}{org}', "has nothing between {org} and {org}"),
    ],
)
def test_what_cannot_change_while_it_runs_is_refused_as_a_whole(
    small: Small, before: str, after: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load(small.config)
    assembly = assemble(config)
    served = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
    small.config.write_text(small.config.read_text().replace(before, after))
    served.reload()
    assert told in caplog.text
    assert "the config was not read anew, and the one of before stays: " in caplog.text
    assembly.close()


def test_a_registry_whose_key_is_missing_is_refused(small: Small, caplog: pytest.LogCaptureFixture) -> None:
    config = load(small.config)
    assembly = assemble(config)
    served = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
    registry = (
        '[[registry]]\nkind = "turbopuffer"\nregion = "gcp-us-east1"\napi_key_env = "NOT_THERE"\n'
        'bucket = "gs://data"\nfields = { org = "acme" }\n'
    )
    small.config.write_text(small.config.read_text() + registry)
    served.reload()
    assert "NOT_THERE" in caplog.text
    assert "read anew: " not in caplog.text
    assembly.close()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_takes_the_place_of_the_config_and_is_no_file_holds_nothing_up(
    small: Small, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    config = load(small.config)
    assembly = assemble(config)
    served = serving.Serving(small.config, config, assembly, Leadership(assembly.ledger))
    small.config.unlink()
    if kind == "pipe":
        os.mkfifo(small.config)
    elif kind == "folder":
        small.config.mkdir()
    else:
        small.config.symlink_to("/dev/zero")
    served.reload()
    assert f"the one of before stays: config file {small.config} is no file; put one in its place" in caplog.text
    assembly.close()
