"""Each command that docs/questions.md names as an answer runs, and answers."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor import cli
from tests.clouds import GOOGLE_KEY
from tests.small import Small, a_small_cloud

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
NAMES = {one.name or getattr(one.callback, "__name__", "") for one in cli.app.registered_commands}
# tests/daemon/test_daemon.py runs `serve`, which does not end by itself.
COMMANDS = sorted({one for row in ROWS for one in re.findall(r"`([^`]+)`", row) if one.split()[0] in NAMES - {"serve"}})


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    monkeypatch.chdir(tmp_path)
    with a_small_cloud(tmp_path) as running:
        yield running


def test_every_question_has_its_row_and_an_answer() -> None:
    assert [int(row.split("|")[1]) for row in ROWS] == list(range(1, 31))
    assert all(row.split("|")[4].strip() for row in ROWS)
    assert {one.split()[0] for one in COMMANDS} >= {"scan", "impact", "retire", "prove-revoked", "diff", "report"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_named_as_an_answer_runs(
    small: Small, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    meant = f'\n[[key]]\nname = "{GOOGLE_KEY}"\nintended_state = "revoked"\n' if "revoked" in command else ""
    whose = 'tenant_field = "org"\n' if "NAME" in command else ""
    small.config.write_text(small.config.read_text() + whose + meant)
    cli._run(small.argv("scan", "-q"))  # noqa: SLF001 - the command without the end of the process
    scanned = datetime.now(UTC).isoformat()
    small.set_state(1, "DISABLED")
    capsys.readouterr()
    cli._run(small.argv("poll", "-q", "--format", "json"))  # noqa: SLF001 - as above
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    told = command.replace("KEY", GOOGLE_KEY).replace("FINDING", finding["id"]).replace("NAME", "acme")
    words = told.replace("TIME", scanned).split()
    config = [] if words[0] == "rules" else ["--config", str(small.config)]
    code = cli._run([*words, *config])  # noqa: SLF001 - as above
    out, err = capsys.readouterr()
    assert code in {0, 1, 3}, err
    assert out
